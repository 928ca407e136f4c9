"""Snapshots: rows of the state tables at one moment, with the last event they include."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, excerpt, show_time
from replaykit.tables import LazyTables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pandas as pd

    from replaykit.recording import Recording
    from replaykit.sources.sqlite import SQLiteSource

__all__ = ["RecordedSnapshot", "Snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """State tables at one moment, to be loaded into a recording.

    Parameters
    ----------
    tables
        Table name to source (path, glob, DataFrame, Arrow, dictionaries, ``rk.sqlite(path, table)``), or
        ``rk.sqlite(path)``: every table of the database except the one the events came from.
    at
        The moment, ISO 8601 or datetime, UTC if it has no zone. None is the end of the recording, as for an export of
        live tables.
    after
        The last event inside: an event id, or its position as a number (0 = none). None includes every event with
        ``occurred_at <= at``; False leaves out those at exactly `at`.
    after_seq
        The last input inside in the recording's global order (``seq=``), instead of `after`.
    name
        What to call it; shown, never used to find it.
    """

    tables: Mapping[str, Any] | SQLiteSource
    at: str | datetime | None = None
    after: str | int | bool | None = None
    after_seq: int | None = None
    name: str | None = None

    @classmethod
    def split(
        cls,
        tables: Mapping[str, Any],
        by: str,
        at: Mapping[Any, Any],
        *,
        order: str | None = None,
        after_seq: Mapping[Any, int] | None = None,
    ) -> list[Snapshot]:
        """Return one snapshot for each value of column `by`, from sources that hold several snapshots each.

        Parameters
        ----------
        tables
            Table name to source, each with the column `by` (left out of the state).
        by
            The column that numbers the snapshots.
        at
            Its values and the moment of each; rows with other values are not loaded.
        order
            A column that gives the order of rows inside a table (left out of the state as well).
        after_seq
            Its values and the last input inside, as in `Snapshot`.
        """
        return [
            cls(
                {table: Slice(source, by, number, order) for table, source in tables.items()},
                at=moment,
                after_seq=None if after_seq is None else after_seq[number],
                name=f"{by} {number}",
            )
            for number, moment in at.items()
        ]


@dataclass(frozen=True)
class Slice:
    """The rows of a source in which column `by` has one value."""

    source: Any
    by: str
    value: Any
    order: str | None = None


@dataclass(frozen=True)
class RecordedSnapshot:
    """A snapshot in a recording. ``snapshot["beads"]`` is a table of it, in its own row order."""

    number: int
    """Its place in time order, from 0."""
    at: datetime
    """The moment, naive UTC."""
    after_position: int
    """Position of the last event it includes; 0 if it includes none."""
    name: str | None = None
    after_seq: int | None = None
    """The last input it includes in the global order, if the recording has one."""
    ordered: bool = field(default=False, kw_only=True)
    """Whether the order of its rows was declared, so that a replay's order is compared with it."""
    _recording: Recording | None = field(default=None, repr=False, compare=False, kw_only=True)

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The state tables it has, also those without rows; each is read when taken out."""
        names = () if self._recording is None else self._recording.state_tables
        return LazyTables(names, self.__getitem__)

    @property
    def keys(self) -> Mapping[str, tuple[str, ...]]:
        """Key columns by table."""
        return {} if self._recording is None else self._recording.keys

    def __contains__(self, table: object) -> bool:
        return table in self.tables

    def __getitem__(self, table: str) -> pd.DataFrame:
        if self._recording is None or table not in self._recording.state_tables:
            raise QueryError(
                f"Snapshot {self.number} has no table {excerpt(table)}; its tables are {list(self.tables)}."
            )
        return self._recording._state_frame(table, self.number)

    def _repr_html_(self) -> str:
        from replaykit.recording_html import snapshot_html

        return snapshot_html(self)

    def __repr__(self) -> str:
        return f"RecordedSnapshot({self.number}, {show_time(self.at)}, after event {self.after_position:,})"
