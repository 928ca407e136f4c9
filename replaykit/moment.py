"""Moment: the state after one of the steps of a replay, read from its history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, show_time
from replaykit.tables import LazyTables
from replaykit.window import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pandas as pd

    from replaykit.blame import Blame
    from replaykit.history import History
    from replaykit.replayed import Replay

__all__ = ["Moment", "moment_at", "reach_of_time"]


@dataclass(frozen=True, repr=False, eq=False)
class Moment:
    """The state after one step. Its tables are read from the history when asked for; nothing is replayed."""

    history: History
    step: int
    """The last step included; 0 is the base."""
    at: datetime | None
    """The clock at that step, naive UTC."""

    def __repr__(self) -> str:
        return f"Moment(step {self.step}, {show_time(self.at)}, {len(self.history.keys)} tables)"

    def __getitem__(self, table: str) -> pd.DataFrame:
        """Return a table as of this moment, in insertion order."""
        return self.history.frame(self.history.at_query(self.history.check_table(table), self.step))

    def _repr_html_(self) -> str:
        from replaykit.replay_html import moment_html

        return moment_html(self)

    @property
    def keys(self) -> Mapping[str, tuple[str, ...]]:
        """Key columns by table."""
        return self.history.keys

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Every table as of this moment, read when taken out."""
        return LazyTables(self.keys, self.__getitem__)

    def blame(self, table: str, key: Any, column: str) -> Blame:
        """Return which step set a cell to what it is at this moment, and what was behind it; see `replaykit.blame`."""
        from replaykit.blame import blame

        return blame(self, table, key, column)

    def sql(self, query: str, params: Mapping[str, Any] | None = None, /, **named: Any) -> pd.DataFrame:
        """Run one SELECT over the state tables as of this moment; ``history.<table>`` and ``steps`` are there too."""
        return self.history.ask(query, {**(params or {}), **named}, step=self.step)


def moment_at(run: Replay, time: Any = None, *, step: int | None = None, event: str | None = None) -> Moment:
    """Return a moment of a replay by a time, a step or an event; see `Replay.at`.

    Raises
    ------
    QueryError
        None or several were given, or this replay has no such step or event, or does not reach that time.
    """
    if [time, step, event].count(None) != 2:
        raise QueryError("at() takes exactly one of a time, step= and event=.")
    if time is not None:
        step = _step_at(run, parse_time(time, what="at", span=run.plan.span))
    elif event is not None:
        step = run.history.step_of(event)
    if not 0 <= int(step or 0) <= run.after_step:
        raise QueryError(f"There is no step {step}; this replay has steps 0 (the base) to {run.after_step}.")
    clock = run.history.fetch("SELECT applied_at FROM steps WHERE step = $step", {"step": step})
    return Moment(run.history, int(step or 0), clock[0][0] if clock else run.plan.base.at)


def _step_at(run: Replay, time: datetime) -> int:
    """Return the last step applied at or before a time that the replay reaches."""
    start, end = run.window.bounds()
    if not start <= time <= end:
        start, end = reach_of_time(run)
    if not start <= time <= end:
        side = "before this replay's first moment" if time < start else "behind this replay's last moment"
        raise QueryError(
            f"{show_time(time)} is {side}: it goes from {show_time(start)} to {show_time(end)}, steps 0 (the base) to "
            f"{run.after_step:,}. Replay another window to see more."
        )
    return run.history.step_at(time)


def reach_of_time(run: Replay) -> tuple[datetime, datetime]:
    """Return the first and the last time a replay knows a state of: of its base, its window and its steps."""
    start, end = run.window.bounds()
    ((first, last),) = run.history.fetch("SELECT min(applied_at), max(applied_at) FROM steps")
    return (
        min(one for one in (start, first, run.plan.base.at) if one is not None),
        max(one for one in (end, last) if one is not None),
    )
