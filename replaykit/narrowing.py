"""Narrowing: a plan with some of its inputs, or rows of its base, left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from replaykit.display import count
from replaykit.inputs import counted
from replaykit.tables import LazyTables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replaykit.inputs import Plan
    from replaykit.recording import Recording

__all__ = ["LeftOut", "held", "narrowed", "ranges"]


@dataclass(frozen=True)
class LeftOut:
    """What a replay does without."""

    events: frozenset[int] = frozenset()
    """Positions of events, and of their applications where a log says when they were applied."""
    logs: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Positions of entries of ``actions`` and ``writes``, by log."""
    rows: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Numbers of rows of the base, from 0 in insertion order, by table."""

    @property
    def sentence(self) -> str:
        """What is left out, in words."""
        logs = [(len(gone), f"recorded {log.removesuffix('s')}") for log, gone in self.logs.items()]
        parts = [count(number, noun) for number, noun in ((len(self.events), "event"), *logs) if number]
        rows = sum(map(len, self.rows.values()))
        return ", ".join([*parts, *([f"{count(rows, 'row')} of the base"] if rows else [])])


def narrowed(recording: Recording, plan: Plan, left_out: LeftOut) -> Plan:
    """Return a plan that applies what another does, without some events, recorded inputs and rows of its base."""
    where = plan.where if not left_out.events else f"({plan.where}) AND NOT {ranges('position', left_out.events)}"
    left = replace(
        plan,
        base=replace(plan.base, tables=_without_rows(plan.base.tables, left_out.rows)),
        where=where,
        logs=_conditions(recording, left_out),
        altered=f"without {left_out.sentence}",
    )
    return counted(recording, left)


def held(plan: Plan) -> Plan:
    """Return the plan with the rows of its base in memory, for replaying it many times."""
    base = plan.base
    return replace(plan, base=replace(base, tables={name: base.tables[name] for name in base.tables}))


def _conditions(recording: Recording, left_out: LeftOut) -> dict[str, str]:
    """Return for each log the condition on the entries that stay."""
    found = {log: f"NOT {ranges('position', gone)}" for log, gone in left_out.logs.items() if gone}
    if left_out.events and "applications" in recording.logs:
        gone = f"SELECT event_id FROM events WHERE {ranges('position', left_out.events)}"
        found["applications"] = f"event_id NOT IN ({gone})"
    return found


def ranges(column: str, numbers: Iterable[int]) -> str:
    """Return the condition that a column is one of these numbers, neighbours told as ranges."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    told = [f"{column} BETWEEN {int(low)} AND {int(high)}" for low, high in parts]
    return f"({' OR '.join(told) or 'false'})"


def _without_rows(tables: Any, gone: Mapping[str, frozenset[int]]) -> Any:
    """Return the tables without rows of these numbers, each read when it is taken out."""
    if not any(gone.values()):
        return tables

    def read(name: str) -> Any:
        frame = tables[name]
        left = [number for number in range(len(frame)) if number not in gone.get(name, ())]
        return frame.iloc[left]

    return LazyTables(tables, read)
