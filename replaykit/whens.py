"""First time and all times: the steps at which a query over the state returns rows, and what made it so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.causes import cause_text
from replaykit.display import brief, count, note_html, show_text, table_html
from replaykit.errors import show_time
from replaykit.sql import check_query
from replaykit.when_ways import ALONG, WALKED, spans_along, spans_walked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pandas as pd

    from replaykit.replayed import Replay
    from replaykit.sql import Statement
    from replaykit.when_ways import Span

__all__ = ["FirstTime", "Times", "first_time", "times"]


@dataclass(frozen=True, repr=False, eq=False)
class FirstTime:
    """The first step at which a query returns rows; false if there is none. Made by ``run.first``."""

    query: str
    step: int | None
    """None if there is none; 0 is the base."""
    at: datetime | None
    """The clock at that step, naive UTC."""
    input: str | None
    """What the step applied: ``event``, ``action``, ... as ``steps`` says it, or ``base``."""
    kind: str | None
    """The kind of that event, action or write."""
    event_id: str | None
    action: int | None
    """The number in ``run.actions`` of what was applied, where a tick of this replay emitted it."""
    tick: int | None
    rows: pd.DataFrame
    """What the query returns at that step; empty if there is none."""
    steps: int
    """How many steps the replay has."""
    how: str
    """Which way was taken: over the validity of row versions, or step by step."""

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        asked = show_text(" ".join(self.query.split()), 80)
        if self.step is None:
            return f"Never in {count(self.steps + 1, 'moment')} (the base, and after each step): {asked}"
        cause = cause_text(self.input, self.kind, self.event_id, self.action, self.tick)
        when = f"At step {self.step:,}, {show_time(self.at)} ({cause})" if self.step else "From the base on"
        return f"{when}, the first of {self.steps:,}, {count(len(self.rows), 'row')}: {asked}"

    def __bool__(self) -> bool:
        return self.step is not None

    def __repr__(self) -> str:
        return brief("FirstTime", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        parts = [note_html(self.sentence)]
        if self:
            parts.append(table_html(self.rows, caption="What it returned", limit=50, more=".rows"))
        return "\n".join([*parts, note_html(f"Found {self.how}.")])

    def to_frame(self) -> pd.DataFrame:
        """Return `rows`, as a frame of their own."""
        return self.rows.copy()


@dataclass(frozen=True, repr=False, eq=False)
class Times:
    """All steps at which a query returns rows, as intervals; false if there are none. Made by ``run.when``."""

    query: str
    intervals: pd.DataFrame
    """One row for each interval in order: ``from_step``, ``to_step`` (excluded; missing: until the end), ``from_at``,
    ``to_at``, ``opened_by`` (kind of event or action, or ``base``), ``opened_event``, ``closed_by``, ``closed_event``,
    ``rows`` (how many the query returns at ``from_step``)."""
    steps: int
    """At how many steps it returns rows; the base counts as one."""
    of: int
    """How many steps the replay has."""
    how: str
    """Which way was taken: over the validity of row versions, or step by step."""

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        asked = show_text(" ".join(self.query.split()), 80)
        if not self:
            return f"Never in {count(self.of + 1, 'moment')} (the base, and after each step): {asked}"
        first, last = self.intervals.iloc[0], self.intervals.iloc[-1]
        still = "still so at the end" if last.isna()["to_step"] else f"last until step {last['to_step']:,}"
        since = f"step {first['from_step']:,}" if first["from_step"] else "the base"
        return (
            f"At {self.steps:,} of {count(self.of + 1, 'moment')} (the base, and after each step), "
            f"{count(len(self), 'interval')}, first from {since} ({first['opened_by']}), {still}: {asked}"
        )

    def __len__(self) -> int:
        return len(self.intervals)

    def __repr__(self) -> str:
        return brief("Times", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        parts = [note_html(self.sentence)]
        if self:
            parts.append(table_html(self.intervals, caption="When it returned rows", limit=50, more=".intervals"))
        return "\n".join([*parts, note_html(f"Found {self.how}.")])

    def to_frame(self) -> pd.DataFrame:
        """Return `intervals`, as a frame of their own."""
        return self.intervals.copy()


def first_time(run: Replay, query: str, values: Mapping[str, Any]) -> FirstTime:
    """Return the first step at which a query returns rows; see `Replay.first`."""
    statement = check_query(query, what="The query")
    spans, how = _asked(run, statement, values, until_found=True)
    step = spans[0].first if spans else 0
    at, input, kind, event_id, action, tick = _caused(run, [step])[step]
    rows = run.history.ask(query, _with_now(statement, values, at), step=step)
    if not spans:
        return FirstTime(query, None, None, None, None, None, None, None, rows, run.after_step, how)
    return FirstTime(query, step, at, input, kind, event_id, action, tick, rows, run.after_step, how)


def times(run: Replay, query: str, values: Mapping[str, Any]) -> Times:
    """Return all steps at which a query returns rows; see `Replay.when`."""
    import pandas as pd

    statement = check_query(query, what="The query")
    run.history.ask(query, _with_now(statement, values, run.plan.base.at), step=0)  # says what is wrong with it
    spans, how = _asked(run, statement, values, until_found=False)
    known = _caused(run, [step for one in spans for step in (one.first, one.end) if step is not None])
    none = (None,) * 6
    rows = []
    for one in spans:
        began, ended = known[one.first], none if one.end is None else known[one.end]
        causes = (began[2] or began[1], began[3], ended[2] or ended[1], ended[3])
        rows.append((one.first, one.end, began[0], ended[0], *causes, one.rows))
    columns = zip(*rows, strict=True) if rows else ([] for _ in _TYPES)
    pairs = zip(_TYPES.items(), columns, strict=True)
    frame = pd.DataFrame({name: pd.Series(list(cells), dtype=kind) for (name, kind), cells in pairs})
    steps = sum((run.after_step + 1 if one.end is None else one.end) - one.first for one in spans)
    return Times(query, frame, steps, run.after_step, how)


_TYPES = {
    "from_step": "int64",
    "to_step": "Int64",
    "from_at": "datetime64[us]",
    "to_at": "datetime64[us]",
    "opened_by": "object",
    "opened_event": "object",
    "closed_by": "object",
    "closed_event": "object",
    "rows": "int64",
}


def _asked(
    run: Replay, statement: Statement, values: Mapping[str, Any], *, until_found: bool
) -> tuple[list[Span], str]:
    """Return the spans at which a query returns rows, and the way they were found."""
    history, base_at = run.history, run.plan.base.at
    spans = spans_along(history, statement, values, until_found=until_found)
    if spans is not None:
        return spans, ALONG
    history.ask(statement.text, _with_now(statement, values, base_at), step=0)  # says what is wrong with it
    return spans_walked(history, statement, values, base_at, until_found=until_found), WALKED


def _with_now(statement: Statement, values: Mapping[str, Any], at: datetime | None) -> dict[str, Any]:
    clock = "now" in statement.parameters and "now" not in values
    return {**values, "now": at} if clock else dict(values)


def _caused(run: Replay, steps: list[int]) -> dict[int, tuple[Any, ...]]:
    """Return clock, input, kind, event, action and tick of steps; the base's are told, too."""
    found = {0: (run.plan.base.at, "base", None, None, None, None)}
    rows = run.history.fetch(
        "SELECT step, applied_at, input, kind, event_id, action, tick FROM steps "
        "WHERE step IN (SELECT unnest($steps)) ORDER BY step",
        {"steps": sorted({*steps, -1})},
    )
    return {**found, **{step: tuple(rest) for step, *rest in rows}}
