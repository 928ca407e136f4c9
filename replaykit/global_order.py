"""Global order: the one number (``seq``) by which events and logs were written down, and how far a replay reaches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replaykit.history import History
    from replaykit.inputs import Plan
    from replaykit.recorded import RecordedInput
    from replaykit.recorded_ticks import RecordedTick
    from replaykit.recording import Recording

__all__ = ["INPUTS", "Reach", "has_order", "last_place", "next_input", "reach_of"]

INPUTS = ("applications", "actions", "writes")
"""The logs whose entries are inputs, beside the events where no log says when they were applied."""


@dataclass(frozen=True)
class Reach:
    """Which places of the global order a plan covers: behind `after`, before `end`; None where nothing limits it."""

    after: int | None
    """The place up to which the base holds everything."""
    end: int | None
    """The place of the first input at or behind the window's end: what is behind it happened later, whatever its
    clock says."""


def reach_of(recording: Recording, plan: Plan) -> Reach:
    """Return which places a plan covers."""
    after, end = plan.base.seq, plan.window.bounds()[1]
    reads = [f"SELECT global_seq, occurred_at FROM {name}" for name in _placed(recording)]
    if not reads:
        return Reach(after, None)
    found = recording._fetch(
        f"SELECT min(global_seq) FROM ({' UNION ALL '.join(reads)}) WHERE occurred_at >= $end AND "
        f"CASE WHEN $after IS NULL THEN occurred_at > $at ELSE global_seq > $after END",
        {"end": end, "after": after, "at": plan.base.at or datetime.min},  # noqa: DTZ901 - naive UTC
    )
    first: int | None = found[0][0]
    return Reach(after, first)


def next_input(recording: Recording, seq: int) -> int | None:
    """Return the place of the first input behind a place; None if it was the last."""
    reads = [f"SELECT min(global_seq) AS seq FROM {name} WHERE global_seq > $seq" for name in _placed(recording)]
    if "applications" not in recording.logs and "global_seq" in recording.columns("events"):
        reads.append("SELECT min(global_seq) AS seq FROM events WHERE global_seq > $seq")
    if not reads:
        return None
    found: int | None = recording._fetch(f"SELECT min(seq) FROM ({' UNION ALL '.join(reads)})", {"seq": seq})[0][0]
    return found


def last_place(plan: Plan, history: History) -> int | None:
    """Return the place of the last input that a retraced state holds; None if nothing says."""
    found: int | None = history.fetch("SELECT max(global_seq) FROM steps")[0][0]
    return plan.base.seq if found is None else found


def _placed(recording: Recording) -> list[str]:
    return [name for name in INPUTS if name in recording.logs and "global_seq" in recording.columns(name)]


def has_order(recording: Recording, recorded: list[RecordedInput], ticks: tuple[RecordedTick, ...]) -> bool:
    """Return whether recorded inputs, ticks and, where they are inputs, events all have a place in the global order."""
    if not ticks or any(one.global_seq is None for one in recorded) or any(one.seq is None for one in ticks):
        return False
    if "applications" in recording.logs:
        return True
    if "global_seq" not in recording.columns("events"):
        return len(recording) == 0
    return bool(recording._fetch("SELECT count(*) = count(global_seq) FROM events")[0][0])
