"""Axis: the ticks of two replays on one line, so that what both did at a tick lies side by side."""

from __future__ import annotations

from bisect import bisect_right
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from replaykit.replayed import Replay

__all__ = ["Axis"]

_Tick = tuple[Any, Any, int, "datetime", int]
"""What ticks are ordered by, what tells them apart among equals, the number, the clock, and the step they saw."""


class Axis:
    """Places of ticks. Neighbouring ticks have neighbouring places, and a tick both replays had has one.

    Ticks at an interval are their own places. Ticks after events belong together if the event is the same: two replays
    need not have applied the same. What a replay said at a tick it still says where only the other one had a tick.
    """

    def __init__(self, old: Replay, new: Replay) -> None:
        self._interval = None
        schedule = old.settings["ticks"]
        sides = [_ticks(run, after_events=schedule.mode == "event") for run in (old, new)]
        self._ticks = [[one[2] for one in ticks] for ticks in sides]
        self._steps = [[one[4] for one in ticks] for ticks in sides]
        if schedule.mode == "interval" and new.settings["ticks"] == schedule and old.window == new.window:
            self._interval, self._start = schedule.interval, old.window.bounds()[0]
            self._own = self._ticks
            self.ticks = int((old.metrics["repeats"] + 1).sum())
            """How many ticks there are."""
        else:
            pairs = list(_merged(*sides))
            self._own = [[place for place, pair in enumerate(pairs) if pair[side] is not None] for side in (0, 1)]
            self._times = [next(one[3] for one in pair if one is not None) for pair in pairs]
            self.ticks = len(pairs)
        self._places = [dict(zip(*pair, strict=True)) for pair in zip(self._ticks, self._own, strict=True)]

    def place(self, side: int, tick: int) -> int:
        """Return the place of a tick of the old (0) or the new (1) replay."""
        return tick if self._interval else self._places[side][tick]

    def last(self, side: int, tick: int, repeats: int) -> int:
        """Return the place up to which a replay says what it said at a tick and at so many further ones."""
        if self._interval:
            return tick + repeats
        coming = self._at(side, self._places[side][tick]) + 1
        return (self._own[side][coming] if coming < len(self._own[side]) else self.ticks) - 1

    def at(self, place: int) -> datetime:
        """Return the clock of the tick at a place, naive UTC."""
        return self._start + place * self._interval if self._interval else self._times[place]

    def tick(self, side: int, place: int) -> int:
        """Return the number that a replay gave the tick at a place, or the last one before it."""
        return place if self._interval else self._ticks[side][self._at(side, place)]

    def step(self, side: int, place: int) -> int:
        """Return the last step that a replay's rules saw at a place."""
        number = self._at(side, place)
        return self._steps[side][number] if number >= 0 else 0

    def _at(self, side: int, place: int) -> int:
        return bisect_right(self._own[side], place) - 1


def _ticks(run: Replay, *, after_events: bool) -> list[_Tick]:
    """Return the ticks that were evaluated, in order."""
    times = run.metrics["at"].dt.to_pydatetime()
    rows = list(zip(run.metrics["tick"].tolist(), times, run.metrics["step"].tolist(), strict=True))
    if not after_events:
        return [(tick, 0, tick, at, step) for tick, at, step in rows]
    found = run.history.fetch("SELECT step, coalesce(event_id, CAST(position AS VARCHAR)) FROM steps")
    events = dict(found)
    return [(at, events.get(step), tick, at, step) for tick, at, step in rows]


def _merged(old: Sequence[_Tick], new: Sequence[_Tick]) -> Iterator[tuple[_Tick | None, _Tick | None]]:
    """Yield the ticks of both in order, each with the other's if that is the same."""
    sides = [{order: list(ticks) for order, ticks in groupby(side, key=lambda one: one[0])} for side in (old, new)]
    for order in sorted({*sides[0], *sides[1]}):
        mine, theirs = sides[0].get(order, []), sides[1].get(order, [])
        while mine or theirs:
            first = mine[0][1] if mine else None
            if mine and theirs and first == theirs[0][1]:
                yield mine.pop(0), theirs.pop(0)
            elif mine and first not in [one[1] for one in theirs]:
                yield mine.pop(0), None
            elif theirs:
                yield None, theirs.pop(0)
            else:
                yield mine.pop(0), None
