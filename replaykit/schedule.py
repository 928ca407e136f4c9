"""Schedule: when a replay ticks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from replaykit.errors import ReconcilerError, excerpt
from replaykit.recorded_ticks import recorded_ticks

if TYPE_CHECKING:
    from replaykit.inputs import Plan
    from replaykit.recorded_ticks import RecordedTick
    from replaykit.recording import Recording

__all__ = ["Schedule", "as_interval", "schedule_of"]


@dataclass(frozen=True)
class Schedule:
    """When ticks happen: never (``none``), at the window's end, after each event, at an interval, or as recorded."""

    mode: str
    interval: timedelta | None = None
    recorded: tuple[RecordedTick, ...] = ()


def as_interval(value: Any) -> timedelta | None:
    """Return a tick interval as timedelta from a timedelta or text such as ``"5s"``; None if it is neither."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        return None
    import pandas as pd

    try:
        parsed: Any = pd.Timedelta(value)
    except ValueError:
        return None
    interval: timedelta | None = None if pd.isna(parsed) else parsed.to_pytimedelta()  # "" is NaT
    return interval


def schedule_of(ticks: Any, recording: Recording, plan: Plan) -> Schedule:
    """Return when to tick, from what the user wrote.

    Raises
    ------
    ReconcilerError
        It is no kind of ticks, or the recording has no ticks recorded.
    """
    if ticks in ("end", "event"):
        return Schedule(ticks)
    if ticks == "recorded":
        return Schedule("recorded", recorded=recorded_ticks(recording, plan))
    interval = as_interval(ticks)
    if interval is None or interval.total_seconds() <= 0:
        raise ReconcilerError(
            f"ticks={excerpt(ticks)}: expected 'end', 'event', 'recorded', or a positive timedelta or text like '5s'."
        )
    return Schedule("interval", interval)
