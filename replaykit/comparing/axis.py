"""Axis: the ticks of two replays on one line, so that what both did at a tick lies side by side."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from replaykit.replayed import Replay

__all__ = ["Axis"]


class Axis:
    """Places of ticks. Neighbouring ticks have neighbouring places, and a tick both replays had has one.

    Ticks at an interval are their own places. Ticks after events are told apart by their time, and by their order at
    that time: two replays need not have applied the same events.
    """

    def __init__(self, old: Replay, new: Replay) -> None:
        self._interval = None
        schedule = old.settings["ticks"]
        if schedule.mode == "interval" and new.settings["ticks"] == schedule and old.window == new.window:
            self._interval, self._start = schedule.interval, old.window.bounds()[0]
        labels = [_labels(run, by_time=schedule.mode == "event") for run in (old, new)]
        both = sorted(set(labels[0].values()) | set(labels[1].values()))
        place = {label: number for number, label in enumerate(both)}
        self._places = [{tick: place[label] for tick, label in one.items()} for one in labels]
        self._at = {place[label]: label for label in both}
        self._times = {self._places[n][t]: at for n, run in enumerate((old, new)) for t, at in _times(run).items()}
        self.ticks = sum(old.metrics["repeats"] + 1) if self._interval else len(both)
        """How many ticks there are."""

    def place(self, side: int, tick: int) -> int:
        """Return the place of a tick of the old (0) or the new (1) replay."""
        return tick if self._interval else self._places[side][tick]

    def at(self, place: int) -> datetime:
        """Return the clock of the tick at a place, naive UTC."""
        return self._start + place * self._interval if self._interval else self._times[place]

    def tick(self, side: int, place: int) -> int | None:
        """Return the number that a replay gave the tick at a place; None if it had none there."""
        if self._interval:
            return place
        return next((tick for tick, one in self._places[side].items() if one == place), None)


def _times(run: Replay) -> Mapping[int, datetime]:
    return dict(zip(run.metrics["tick"].tolist(), run.metrics["at"].dt.to_pydatetime(), strict=True))


def _labels(run: Replay, *, by_time: bool) -> dict[int, Any]:
    """Return what tells each tick apart from others, and sorts as the ticks do."""
    if not by_time:
        return {tick: (tick,) for tick in run.metrics["tick"].tolist()}
    seen: Counter[datetime] = Counter()
    labels: dict[int, Any] = {}
    for tick, at in _times(run).items():
        labels[tick] = (at, seen[at])
        seen[at] += 1
    return labels
