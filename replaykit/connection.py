"""How replaykit opens DuckDB: private, quiet, in UTC, and sealed once what it needs is attached."""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache
from pathlib import Path

import duckdb

from replaykit.sql import quote

__all__ = ["memory", "seal", "sealed", "writable"]


@lru_cache(maxsize=1)
def _spill_directory() -> str:
    """Return where DuckDB may spill, a folder for this user alone; its default is one beside the caller's notebook."""
    cache = os.environ.get("XDG_CACHE_HOME")
    folder = Path(cache) / "replaykit-spill" if cache else Path(tempfile.gettempdir()) / f"replaykit-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        return tempfile.mkdtemp(prefix="replaykit-")  # somebody else's folder of that name
    folder.chmod(0o700)
    return str(folder)


def _quiet(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    # A plain SET of TimeZone does not reach cursors. The progress bar would display a widget after two seconds,
    # which makes a notebook's outputs depend on the speed of the machine.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET GLOBAL preserve_insertion_order = true")
    connection.execute(f"SET temp_directory = '{_spill_directory().replace(chr(39), chr(39) * 2)}'")
    return connection


def memory() -> duckdb.DuckDBPyConnection:
    """Return a private in-memory instance; `seal` it when everything it needs is in."""
    return _quiet(duckdb.connect(":memory:"))


def writable(path: str | os.PathLike[str]) -> duckdb.DuckDBPyConnection:
    """Return a connection that creates or writes the DuckDB file at `path`. Only the loader may use it."""
    return _quiet(duckdb.connect(os.fspath(path)))


def seal(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Switch external access off and lock the configuration. Can't be undone for this instance."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def sealed(path: str | os.PathLike[str], *, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """Return a sealed in-memory instance with the file at `path` attached read-only as ``recording``.

    With ``threads=1`` sums of DOUBLE and rows without ORDER BY come out the same every time.

    Raises
    ------
    duckdb.Error
        The file is no DuckDB database, or another process is writing it.
    """
    connection = memory()
    try:
        if threads is not None:
            connection.execute(f"SET threads = {int(threads)}")
        text = os.fspath(path).replace("'", "''")
        connection.execute(f"ATTACH '{text}' AS {quote('recording')} (READ_ONLY)")
        return seal(connection)
    except BaseException:
        connection.close()
        raise
