"""The ticks of a replay that has ended: their numbers, times and steps, and which of them no event lies between."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Noted", "Ticks"]

Noted = tuple[int, int, int, datetime]
"""First and last of some ticks that see the same state, its step, and the time of the first."""


@dataclass(frozen=True, eq=False)
class Ticks:
    """All ticks, as spans: a tick on its own, or a stretch of several without an event between."""

    first: Any
    """Arrays with one entry per span: its first and its last tick, and the step both see. All ascend."""
    last: Any
    steps: Any
    times: list[datetime]
    """Of the first tick of each span."""
    interval: timedelta | None
    """From one tick to the next; None where ticks come with events."""

    @classmethod
    def of(cls, noted: list[Noted], interval: timedelta | None) -> Ticks:
        """Return the table of what a ticker noted."""
        import numpy as np

        numbers = np.array([one[:3] for one in noted], dtype="int64").reshape(-1, 3)
        return cls(numbers[:, 0], numbers[:, 1], numbers[:, 2], [one[3] for one in noted], interval)

    @property
    def count(self) -> int:
        """How many ticks there are; they are numbered from 0."""
        return int(self.last[-1]) + 1 if len(self.last) else 0

    def seeing(self, steps: Any) -> Any:
        """Return for each step the first tick that comes after it; the number of ticks if none does."""
        import numpy as np

        bounds = np.append(self.first, self.count)
        return bounds[np.searchsorted(self.steps, steps, side="left")]

    def at(self, tick: int) -> datetime:
        """Return the time of a tick."""
        span = self.span_of(tick)
        return self.times[span] + (tick - int(self.first[span])) * (self.interval or timedelta())

    def span_of(self, tick: int) -> int:
        """Return the number of the span that a tick is in."""
        return int(self.first.searchsorted(tick, side="right")) - 1

    def table(self) -> pa.Table:
        """Return ``tick`` and ``moment`` of every tick, where each is a span of its own."""
        import pyarrow as pa

        return pa.table({"tick": pa.array(self.first), "moment": pa.array(self.times, pa.timestamp("us"))})
