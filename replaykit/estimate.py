"""Estimate: what a replay will cost, before anybody pays for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.inputs import make_plan
from replaykit.schedule import schedule_of

if TYPE_CHECKING:
    from replaykit.inputs import Plan
    from replaykit.reconciler import Reconciler
    from replaykit.recording import Recording
    from replaykit.window import Window

__all__ = ["Estimate", "estimate"]

_START = 0.2  # seconds for opening, loading the base and gathering results
_INPUT = 12e-6
_ASKED = 20e-6  # for one rule or invariant at one tick
_SQL = 1e-3


@dataclass(frozen=True)
class Estimate:
    """What a replay will apply and evaluate, and about how long that takes."""

    inputs: int
    """Events, and recorded actions and writes, in the window."""
    warmup: int
    """Those between the base and the window."""
    ticks: int
    seconds: float
    """By rule of thumb; multiply by what the last run took for each second estimated."""

    def sentence(self, rate: float = 1.0) -> str:
        """Return the estimate in words."""
        from replaykit.display import count

        seconds = self.seconds * rate
        took = f"about {seconds:.0f} s" if seconds >= 2 else "a second or two" if seconds >= 0.7 else "at once"
        warm = f" after {self.warmup:,} before the window" if self.warmup else ""
        return f"{took}: {count(self.inputs, 'input')}{warm}, {count(self.ticks, 'tick')}"


def estimate(
    recording: Recording, reconciler: Reconciler, window: Window, *, ticks: Any = "end", actions: str = "collect",
    base: Any = "nearest",
) -> Estimate:  # fmt: skip
    """Return what replaying a window will cost; arguments and errors as `replaykit.replay`."""
    plan = make_plan(recording, window, base)
    inputs, warmup = plan.events - plan.warmup, plan.warmup
    if actions == "recorded":
        inputs, warmup = _logged(recording, plan)
    number = _ticks(recording, plan, ticks, inputs)
    asked = sum(_SQL if one.statement else _ASKED for one in reconciler.declared())
    return Estimate(inputs, warmup, number, _START + (inputs + warmup) * _INPUT + number * asked)


def _logged(recording: Recording, plan: Plan) -> tuple[int, int]:
    """Return how many recorded inputs lie inside the window and before it."""
    first = "applications" if "applications" in recording.logs else "events"
    logs = [first, *(name for name in ("actions", "writes") if name in recording.logs)]
    start, end = plan.window.bounds()
    reads = " UNION ALL ".join(f"SELECT occurred_at FROM {log}" for log in logs)
    row = recording._fetch(
        f"SELECT count(*) FILTER (occurred_at >= $start), count(*) FILTER (occurred_at < $start) FROM ({reads}) "
        "WHERE occurred_at < $end AND ($base IS NULL OR occurred_at > $base)",
        {"start": start, "end": end, "base": plan.base.at},
    )[0]
    return int(row[0]), int(row[1])


def _ticks(recording: Recording, plan: Plan, ticks: Any, inputs: int) -> int:
    schedule = schedule_of(ticks, recording, plan)
    if schedule.mode == "recorded":
        return len(schedule.recorded)
    if schedule.mode == "event":
        return inputs
    if schedule.interval is None:
        return 1
    start, end = plan.window.bounds()
    # Stretches without events are answered at once, so ticks count no more than what happens.
    return min(int((end - start) / schedule.interval) + 1, 3 * inputs + 1)
