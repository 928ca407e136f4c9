"""rolled_back(): the one place that opens a writing transaction, and it never commits."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from replaykit.errors import IsolationError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_only", "restarted", "rolled_back"]


@contextmanager
def rolled_back(connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """Run the block in a transaction that is always rolled back, also when the block raises.

    A rollback does not undo sequence values, ``SET`` options, ``SET VARIABLE`` and files written by ``COPY``; the
    guard in `replaykit.sql` keeps replayed SQL from using them. Transactions do not nest in DuckDB.

    Raises
    ------
    IsolationError
        The transaction was gone when the block ended: something committed or rolled it back.
    """
    connection.execute("BEGIN TRANSACTION")
    try:
        yield connection
    except BaseException:
        _undo(connection)
        raise
    if not _undo(connection):
        raise IsolationError(
            "The replay's transaction had ended before the replay did: replayed code committed or rolled back. "
            "Take COMMIT and ROLLBACK out of it; the recording itself is opened read-only and was not changed."
        )


def restarted(connection: duckdb.DuckDBPyConnection) -> None:
    """Roll back and begin again inside `rolled_back`: any failing statement aborts the transaction it is in."""
    _undo(connection)
    connection.execute("BEGIN TRANSACTION")


@contextmanager
def read_only(connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """Run the block in a transaction in which the engine refuses writes to every attached database."""
    connection.execute("BEGIN TRANSACTION READ ONLY")
    try:
        yield connection
    finally:
        _undo(connection)


def _undo(connection: duckdb.DuckDBPyConnection) -> bool:
    # An error here would hide the one the caller is about to see, so it is told, not raised.
    try:
        connection.execute("ROLLBACK")
    except duckdb.Error:
        return False
    return True
