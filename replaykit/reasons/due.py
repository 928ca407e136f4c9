"""Due: when a comparison with the clock turns, and at which tick that is seen."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.reasons.values import Threshold

if TYPE_CHECKING:
    from replaykit.reasons.running import Turn
    from replaykit.reasons.scene import Scene

__all__ = ["MOMENT", "threshold_of", "tick_from"]


def threshold_of(scene: Scene, turn: Turn) -> Threshold:
    """Return a comparison with the clock as ages, and the first tick at which it has turned."""
    actual, needed = turn.actual, turn.needed
    if isinstance(actual, datetime) and isinstance(needed, datetime):
        # Whichever was compared, the clock has moved on from one of them and must from the other.
        actual, needed = scene.at - needed, scene.at - actual
    tick = tick_from(scene, turn.turns_at, at_once=turn.at_once)
    return Threshold(actual, needed, turn.turns_at, *(tick or (None, None)))


def tick_from(scene: Scene, moment: datetime, *, at_once: bool) -> tuple[int, datetime] | None:
    """Return number and time of the first tick behind a moment, or at it; None if the replay ends before."""
    last_before = moment - timedelta(microseconds=1) if at_once else moment
    for row in scene.run.metrics.itertuples():
        start: Any = row.at.to_pydatetime()  # type: ignore[union-attr]
        found = _within(scene, int(row.tick), start, int(row.repeats), last_before)  # type: ignore[arg-type]
        if found is not None:
            return found
    return None


def _within(scene: Scene, tick: int, start: datetime, repeats: int, moment: datetime) -> tuple[int, datetime] | None:
    """Return the first tick behind a moment among one and those that repeat it."""
    if start > moment:
        return tick, start
    interval = scene.run.settings["ticks"].interval
    if not repeats or interval is None:
        return None
    further = (moment - start) // interval + 1
    return (tick + further, start + further * interval) if further <= repeats else None


MOMENT = timedelta(microseconds=2)
