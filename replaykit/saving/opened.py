"""A replay read back from its file: what it still knows of its recording and rules, and what it needs them for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import duckdb

from replaykit.errors import QueryError
from replaykit.history import History
from replaykit.interrupt import interruptible
from replaykit.replayed import Replay
from replaykit.saving.declared import SavedRules

if TYPE_CHECKING:
    import pyarrow as pa

    from replaykit.determinism import Determinism
    from replaykit.reasons import Why, WhyNot
    from replaykit.reasons.readers import Readers
    from replaykit.window import Window

__all__ = ["KeptEvents", "Origin", "SavedHistory", "SavedReplay"]


class _Inside:
    """A DuckDB instance whose cursors stand in the attached file."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = self._connection.cursor()
        cursor.execute("USE recording")
        return cursor


class SavedHistory(History):
    """A history read from a file, which stays attached read-only as long as it is in use."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        tables: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]],
    ) -> None:
        self.keys = {name: key for name, (key, _) in tables.items()}
        self._columns = {name: dict(columns) for name, (_, columns) in tables.items()}
        self._connection: Any = _Inside(connection)
        self._lock = threading.RLock()


class KeptEvents:
    """What a saved run kept of its recording: the window's events, the span and the names of its logs.

    Everything else needs the recording, and says so.
    """

    is_open = True

    def __init__(self, connection: duckdb.DuckDBPyConnection, span: Window | None, logs: tuple[str, ...]) -> None:
        self._inside = _Inside(connection)
        self.span = span
        self.logs = logs

    def __repr__(self) -> str:
        return "KeptEvents(of a saved run; the recording itself is not open)"

    def columns(self, table: str) -> dict[str, str]:
        """Return the columns of the events and their types; another table needs the recording."""
        if table != "events":
            self.needed(f"table {table!r}")
        rows = self._fetch("DESCRIBE SELECT * FROM events")
        return {name: kind for name, kind, *_ in rows}

    def _fetch(self, query: str, params: Any = None) -> list[tuple[Any, ...]]:
        cursor = self._run(query, params)
        try:
            return cursor.fetchall()
        finally:
            cursor.close()

    def _arrow(self, query: str, params: Any = None) -> pa.Table:
        cursor = self._inside.cursor()
        try:
            return cursor.sql(query, params=params).to_arrow_table()
        except duckdb.CatalogException:
            self.needed("this")
        finally:
            cursor.close()

    def _run(self, query: str, params: Any) -> duckdb.DuckDBPyConnection:
        cursor = self._inside.cursor()
        try:
            return interruptible(cursor, lambda: cursor.execute(query, params))
        except duckdb.CatalogException:  # a table that only the recording has
            cursor.close()
            self.needed("this")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith(("__", "_repr_", "_ipython_")):
            raise AttributeError(name)
        self.needed(f"recording.{name}")

    def needed(self, what: str) -> NoReturn:
        """Say that something needs the recording.

        Raises
        ------
        QueryError
            Always.
        """
        raise QueryError(
            f"A saved run holds no recording, and {what} needs it: open the run with "
            "rk.open_run(path, recording=rk.open(...))."
        )


@dataclass(frozen=True)
class Origin:
    """Where a run was read from, and on what it was made."""

    path: Path
    versions: Mapping[str, str]
    """Of replaykit, duckdb, pandas and python, when it was replayed."""
    recording: Mapping[str, Any] = field(repr=False)
    """Digest of the recording, of each of its parts, and how many events it has."""


@dataclass(frozen=True, repr=False, eq=False)
class SavedReplay(Replay):
    """A `Replay` read back from its file; every question about state is answered from the file."""

    origin: Any = None
    """The file, and on what the run was made; see `Origin`."""

    def _needs_rules(self, what: str) -> None:
        if isinstance(self.reconciler, SavedRules):
            raise QueryError(
                f"{what} runs rules, and a saved run holds no code: open it with rk.open_run(path, reconciler=...), "
                f"given {self.reconciler.name!r} as it was then (digest {self.digest})."
            )

    def why(self, action: Any) -> Why:
        """Return why; see `Questions.why`. Needs the rules, and the recording where these read its events."""
        self._needs_rules("why()")
        return super().why(action)

    def why_not(self, kind: str, /, *, at: Any = None, window: Any = None, **fields: Any) -> WhyNot:
        """Return why not; see `Questions.why_not`. Needs the rules."""
        self._needs_rules("why_not()")
        return super().why_not(kind, at=at, window=window, **fields)

    def readers(self, *, most: int = 50, **asked: Any) -> Readers:
        """Return who read; see `Questions.readers`. Needs the rules."""
        self._needs_rules("readers()")
        return super().readers(most=most, **asked)

    def again(self) -> Replay:
        """Return the same replay, run once more. Needs the rules and the recording."""
        self._needs_rules("again()")
        self._needs_recording("again()")
        return super().again()

    def check_determinism(self) -> Determinism:
        """Look for clocks; see `Replay.check_determinism`. Needs the rules and the recording."""
        self._needs_rules("check_determinism()")
        self._needs_recording("check_determinism()")
        return super().check_determinism()

    def _needs_recording(self, what: str) -> None:
        if isinstance(self.recording, KeptEvents):
            self.recording.needed(what)
