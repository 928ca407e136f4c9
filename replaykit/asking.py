"""Asker: runs the SQL of a replay, so that an interrupt stops it at once and small questions need no other thread."""

from __future__ import annotations

from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.errors import StateError, excerpt
from replaykit.interrupt import Worker, interruptible, stopped
from replaykit.rows import Row

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Asker", "parsed"]

_BRIEF = 0.005  # seconds: nobody would feel an interrupt that waits for it
_MANY = 1_000  # statements whose time is kept


class Asker:
    """A connection, and the worker thread that long questions run on.

    Handing a question to another thread costs as much as a small question itself. One that was quick the last time
    runs on this thread, until it is asked of more than twice as many rows.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._pool = Worker()
        self._quick: dict[str, int] = {}

    def close(self) -> None:
        """Stop the worker thread."""
        stopped(self._pool, self._connection)

    def ask(self, text: str, parameters: Mapping[str, Any], size: int | None) -> list[Row]:
        """Run a statement and return its rows.

        Parameters
        ----------
        size
            Number of rows it may read; None if nothing is known of what it may cost.

        Raises
        ------
        StateError
            Two of its columns have the same name.
        duckdb.Error
            It failed, and with it the transaction.
        """
        started = perf_counter()
        if size is not None and size <= self._quick.get(text, -1):
            rows = self._fetched(text, parameters)
        else:
            rows = interruptible(self._connection, lambda: self._fetched(text, parameters), self._pool)
        if size is not None:
            self._remember(text, size, quick=perf_counter() - started < _BRIEF)
        return rows

    def _remember(self, text: str, size: int, *, quick: bool) -> None:
        if not quick:
            self._quick.pop(text, None)
        elif text not in self._quick or size > self._quick[text]:
            if len(self._quick) >= _MANY:
                self._quick.clear()
            self._quick[text] = 2 * size

    def _fetched(self, text: str, parameters: Mapping[str, Any]) -> list[Row]:
        cursor = self._connection.execute(parsed(text), dict(parameters))
        names = [column[0] for column in cursor.description or ()]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise StateError(f"SQL {excerpt(text)} gives two columns named {twice[0]!r}; rename one with AS.")
        return [Row(zip(names, values, strict=True)) for values in cursor.fetchall()]


@lru_cache(maxsize=1024)
def parsed(text: str) -> duckdb.Statement:
    """Return a checked statement, read once: reading costs up to a fifth of asking."""
    return duckdb.extract_statements(text)[0]
