"""Recording: events, snapshots and logs in one sealed DuckDB file, never changed by anything."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit import connection as connections
from replaykit import findings
from replaykit.content import content_digest
from replaykit.display import count
from replaykit.errors import FormatError, QueryError, excerpt
from replaykit.interrupt import interruptible
from replaykit.snapshot import RecordedSnapshot
from replaykit.sources.format import checked_meta, read_columns
from replaykit.sources.report import Report
from replaykit.sources.writing import remove
from replaykit.sql import check_query, quote
from replaykit.tables import frame_of
from replaykit.window import Window, recorded_span

if TYPE_CHECKING:
    import os

    import pandas as pd
    import pyarrow as pa

__all__ = ["Recording", "open_recording"]

Parameters = Sequence[Any] | Mapping[str, Any] | None
_SNAPSHOTS = 'SELECT snapshot, "at", after_position, name, after_seq FROM recording.main.snapshots ORDER BY snapshot'


def open_recording(path: str | os.PathLike[str]) -> Recording:
    """Open a recording that `load` saved; read-only, and several processes may do so at once.

    Raises
    ------
    FormatError
        The file is missing, no recording, of another format version, or holds anything a recording does not
        (views, macros, foreign tables): it is not read then.
    """
    return Recording(_opened(Path(path).expanduser()), Path(path).expanduser(), None)


def open_private(path: Path, folder: Path) -> Recording:
    """Open a recording in a private folder, which is removed when it is closed or forgotten."""
    return Recording(_opened(path), path, folder)


class Recording:
    """Evidence, sealed: events, snapshots and recorded logs in one read-only DuckDB file.

    Made by ``rk.load`` and ``rk.open``. Its tables are ``events``, ``rejects``, ``snapshots``, ``"state"."<table>"``
    and the logs; `sql` asks them anything. Close it, or use it as a context manager; forgetting it closes it too.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path, folder: Path | None) -> None:
        self._connection = connection
        self._path = path
        self._finalizer = weakref.finalize(self, _close, connection, folder)
        try:
            self._columns = read_columns(self)
            self._meta = checked_meta(self)
            self._snapshots = self._fetch(_SNAPSHOTS)
            self._events = int(self._fetch("SELECT count(*) FROM events")[0][0])
        except BaseException:
            self.close()
            raise

    def sql(self, query: str, params: Parameters = None, /, **named: Any) -> pd.DataFrame:
        """Return the rows of one SELECT over the recording's tables.

        Parameters
        ----------
        query
            One SELECT; ``$name`` or ``?`` for parameters. Without ORDER BY, rows come in no promised order.
        params
            Values for the parameters, bound, never written into the text; those of ``$name`` also as keywords.

        Raises
        ------
        GuardError
            The query is more than one harmless SELECT.
        QueryError
            The query does not run; the message is DuckDB's.
        """
        check_query(query, what="The query")
        return self._frame(query, {**(params or {}), **named} if named and not isinstance(params, Sequence) else params)

    # Findings without a reconciler; each is documented where it is written.
    unexplained = findings.unexplained
    check = findings.check
    episodes = findings.episodes
    story = findings.story
    latest = findings.latest
    as_of = findings.as_of
    rewind = findings.rewind_snapshot
    digest = cached_property(content_digest)

    @property
    def events(self) -> pd.DataFrame:
        """All events in their declared order, with every column; `sql` reads parts of large recordings."""
        return self._frame("SELECT * FROM events ORDER BY position")

    @property
    def kinds(self) -> pd.DataFrame:
        """One row for each kind of event: how many, the first and the last time; most frequent first."""
        return self._frame(
            "SELECT kind, count(*) AS events, min(occurred_at) AS first_at, max(occurred_at) AS last_at "
            "FROM events GROUP BY kind ORDER BY events DESC, kind"
        )

    @property
    def snapshots(self) -> tuple[RecordedSnapshot, ...]:
        """The snapshots in time order."""
        return tuple(map(self._shown, self._snapshots))

    def snapshot(self, number: int) -> RecordedSnapshot:
        """Return a snapshot by its number; negative numbers count from the last.

        Raises
        ------
        QueryError
            There is none of that number.
        """
        try:
            return self._shown(self._snapshots[number])
        except IndexError:
            raise QueryError(
                f"There is no snapshot {number}; the recording has {len(self._snapshots)}, numbered from 0."
            ) from None

    def _shown(self, row: tuple[Any, ...]) -> RecordedSnapshot:
        return RecordedSnapshot(*row, ordered=row[0] in self._meta.get("ordered", ()), _recording=self)

    @property
    def state_tables(self) -> tuple[str, ...]:
        """Names of the tables snapshots have, sorted."""
        return tuple(sorted(table for schema, table in self._columns if schema == "state"))

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """Key columns of the state tables for which they are known."""
        return {table: tuple(columns) for table, columns in self._meta["keys"].items()}

    def columns(self, table: str) -> dict[str, str]:
        """Return the columns of a table and their DuckDB types: ``"events"``, a log, or a state table.

        Raises
        ------
        QueryError
            There is no such table.
        """
        for schema in ("main", "state"):
            if (schema, table) in self._columns:
                return dict(self._columns[schema, table])
        known = sorted(name for _, name in self._columns if name != "meta")
        raise QueryError(f"The recording has no table {excerpt(table)}; its tables are {known}.")

    @property
    def logs(self) -> tuple[str, ...]:
        """Names of the recorded logs it has: ``actions``, ``writes``, ``checks``, ``applications``, ``ticks``."""
        return tuple(self._meta["logs"])

    def log(self, name: str) -> pd.DataFrame:
        """Return a recorded log in its own order.

        Raises
        ------
        QueryError
            The recording has no such log.
        """
        if name not in self.logs:
            raise QueryError(f"The recording has no log {excerpt(name)}; its logs are {list(self.logs)}.")
        return self._frame(f"SELECT * FROM {quote(name)} ORDER BY position")

    @property
    def span(self) -> Window | None:
        """From the first event or entry of a log to one microsecond after the last; None without any.

        A part of a recording that `replaykit.fixtures` wrote has the span of the whole.
        """
        return Window(*self._meta["span"]) if "span" in self._meta else recorded_span(self)

    @property
    def rejects(self) -> pd.DataFrame:
        """Rows that were not loaded: source, place (line or row, from 1), reason and at most 80 characters."""
        return self._frame("SELECT * FROM rejects ORDER BY reject")

    @property
    def report(self) -> Report:
        """What the load did and assumed; print it."""
        return Report.from_dict(self._meta["report"])

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    @property
    def is_open(self) -> bool:
        """Whether it can be asked."""
        return self._finalizer.alive

    def close(self) -> None:
        """Close the recording; a private file is removed. Closing twice is harmless."""
        self._finalizer()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._events

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        parts = [count(self._events, "event"), count(len(self._snapshots), "snapshot"), count(len(self.logs), "log")]
        shown = [part for part in parts[1:] if not part.startswith("0 ")]
        return f"Recording({', '.join([parts[0], *shown])})"

    def _repr_html_(self) -> str:
        from replaykit.recording_html import recording_html

        return recording_html(self)

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        if not self.is_open:
            raise QueryError("The recording is closed; open it again with rk.open(path) or load it again.")
        cursor = self._connection.cursor()
        cursor.execute("USE recording")
        return cursor

    def _run(self, query: str, params: Parameters) -> duckdb.DuckDBPyConnection:
        cursor = self._cursor()
        try:
            return interruptible(cursor, lambda: cursor.execute(query, params))
        except duckdb.Error as error:
            cursor.close()
            raise QueryError(f"The query does not run: {error}") from None

    def _fetch(self, query: str, params: Parameters = None) -> list[tuple[Any, ...]]:
        """Return rows of an unguarded query, on a cursor of its own."""
        cursor = self._run(query, params)
        try:
            return cursor.fetchall()
        finally:
            cursor.close()

    def _arrow(self, query: str, params: Parameters = None) -> pa.Table:
        """Return an unguarded query's rows as Arrow."""
        cursor = self._cursor()
        try:
            return cursor.sql(query, params=params).to_arrow_table()  # a DB-API result would copy the rows once more
        except duckdb.Error as error:
            raise QueryError(f"The query does not run: {error}") from None
        finally:
            cursor.close()

    def _frame(self, query: str, params: Parameters = None) -> pd.DataFrame:
        cursor = self._run(query, params)
        try:
            return frame_of(cursor)
        finally:
            cursor.close()

    def _state_frame(self, table: str, number: int) -> pd.DataFrame:
        where = f"state.{quote(table)} WHERE snapshot = ? ORDER BY row_no"
        return self._frame(f"SELECT * EXCLUDE (snapshot, row_no) FROM {where}", [number])


def _close(connection: duckdb.DuckDBPyConnection, folder: Path | None) -> None:
    connection.close()
    if folder is not None:
        remove(folder)


def _opened(path: Path) -> duckdb.DuckDBPyConnection:
    if not path.exists():
        raise FormatError(f"There is no recording {str(path)!r}.")
    try:
        return connections.sealed(path)
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise FormatError(f"File {str(path)!r} can't be opened as a recording: {excerpt(reason)}.") from None
