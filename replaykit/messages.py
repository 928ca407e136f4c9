"""Messages: what one would send about breaches while a replay ticks, one when each opens and one when it has closed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.display import count, show_text, show_value
from replaykit.errors import show_time

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.outcomes import Episode, TickRecord

__all__ = ["MESSAGE", "READ", "Looked", "looked_at", "messages"]

READ = ("violation", "invariant", "entity", "opened_at", "ticks", "detail")
"""The columns of violations that messages are made from."""

MESSAGE = {
    "what": "str",
    "invariant": "str",
    "entity": "str",
    "tick": "int64",
    "at": "datetime64[us]",
    "ticks": "int64",
    "lasted": "timedelta64[us]",
    "text": "str",
    "violation": "int64",
}
"""Columns of messages and their types."""

_TEXT = 300


@dataclass(frozen=True, eq=False)
class Looked:
    """The ticks at which invariants were asked, in order; the nth of them, from 0, has the place n."""

    ticks: Any
    """Arrays with one entry per tick that was walked: its number, its time, and its place. Ticks that gave the same
    answer follow it, each `interval` after the one before."""
    times: Any
    places: Any
    count: int
    """How many there are in all."""
    interval: timedelta
    blind: Mapping[str, Sequence[int]]
    """By invariant: the places, ascending, at which it could not be asked because it raised."""
    spans: Sequence[tuple[int, int, int]]
    """For violation n, at n - 1: the number of the first one of the same invariant and key, and the first and last
    place at which it was seen."""

    def at(self, place: int) -> tuple[int, datetime]:
        """Return number and time of the tick at a place."""
        before = int(self.places.searchsorted(place, side="right")) - 1
        further = place - int(self.places[before])
        time: datetime = self.times[before].item()
        return int(self.ticks[before]) + further, time + further * self.interval

    def asked_from(self, invariant: str, place: int) -> int:
        """Return the first place from `place` on at which an invariant was asked."""
        for blind in self.blind.get(invariant, ()):
            place += blind == place
        return place

    def clean_by(self, invariant: str, last: int, until: int, clean: int) -> int | None:
        """Return the place that ends the first `clean` asked ones in a row after `last` and before `until`."""
        start = last + 1
        for blind in self.blind.get(invariant, ()):
            if blind >= until or blind - start >= clean:
                break
            start = max(start, blind + 1)
        return start + clean - 1 if until - start >= clean else None


def looked_at(
    episodes: Iterable[Episode],
    records: Iterable[TickRecord],
    interval: timedelta | None = None,
    blind: Iterable[tuple[str, int]] = (),
) -> Looked | None:
    """Return the ticks of a replay; None if their numbers do not ascend, so that a number says nothing.

    Parameters
    ----------
    records
        In order. One without ``checked_at`` had its rules evaluated, but not its invariants.
    interval
        From one tick to the next, where ticks repeat.
    blind
        Names of invariants, each with a tick at which it raised; ticks ascend.
    """
    import numpy as np

    asked = [(one, one.checked_at) for one in records if one.checked_at is not None]
    ticks = np.array([one.tick for one, _ in asked], dtype="int64")
    if (np.diff(ticks) <= 0).any():
        return None
    ends = np.cumsum([1 + one.repeats for one, _ in asked], dtype="int64")
    places = np.concatenate([np.zeros(1, "int64"), ends])[:-1]
    times = np.array([checked for _, checked in asked], dtype="datetime64[us]")

    def place(tick: int) -> int:
        before = int(ticks.searchsorted(tick, side="right")) - 1
        return int(places[before]) + tick - int(ticks[before])

    first: dict[Any, int] = {}
    spans = []
    for number, one in enumerate(episodes, 1):
        same = first.setdefault((one.invariant.name, one.key), number)
        spans.append((same, place(one.opened[0]), place(one.last[0])))
    unasked: dict[str, list[int]] = {}
    for name, tick in blind:
        unasked.setdefault(name, []).append(place(tick))
    return Looked(ticks, times, places, int(ends[-1]) if asked else 0, interval or timedelta(), unasked, spans)


def messages(violations: pd.DataFrame, looked: Looked, clean: int) -> list[dict[str, Any]]:
    """Return the messages about violations, ordered by tick; at one tick, closings first, then by violation."""
    apart: dict[int, list[_Seen]] = {}
    for values in violations[list(READ)].sort_values("violation", kind="stable").itertuples(index=False, name=None):
        row = dict(zip(READ, values, strict=True))
        same, first, last = looked.spans[row["violation"] - 1]
        apart.setdefault(same, []).append(_Seen(row, row["invariant"], first, last))
    told = [message for seen in apart.values() for message in _of_one(seen, looked, clean)]
    return sorted(told, key=lambda one: (one["tick"], one["what"] != "closed", one["violation"]))


@dataclass(frozen=True)
class _Seen:
    """One row of violations, with the places of the first and the last tick that saw it."""

    row: Mapping[str, Any]
    invariant: str
    first: int
    last: int


def _of_one(episodes: Sequence[_Seen], looked: Looked, clean: int) -> list[dict[str, Any]]:
    """Return the messages about the episodes of one invariant and key."""
    told = []
    spell: list[_Seen] = []
    for one, until in zip(episodes, [*(one.first for one in episodes[1:]), looked.count], strict=True):
        if not spell:
            told.append(_opening(one, looked))
        spell.append(one)
        place = looked.clean_by(one.invariant, one.last, until, clean)
        if place is not None:
            told.append(_closing(spell, place, looked))
            spell = []
    return told


def _opening(one: _Seen, looked: Looked) -> dict[str, Any]:
    what = "open at start" if one.first == looked.asked_from(one.invariant, 0) else "opened"
    tick, at = looked.at(one.first)
    said = _said(one.row["detail"])
    text = f"{what}, {show_time(at)}" + (f": {said}" if said else "")
    return _message(one, what, tick, at, ticks=1, lasted=timedelta(), text=text)


def _closing(spell: Sequence[_Seen], place: int, looked: Looked) -> dict[str, Any]:
    _, cleared = looked.at(looked.asked_from(spell[0].invariant, spell[-1].last + 1))
    _, opened = looked.at(spell[0].first)
    ticks = sum(one.row["ticks"] for one in spell)
    pauses = f", with {count(len(spell) - 1, 'pause')}" if len(spell) > 1 else ""
    text = f"closed after {count(ticks, 'tick')}, {show_value(cleared - opened)}{pauses}"
    return _message(spell[0], "closed", *looked.at(place), ticks=ticks, lasted=cleared - opened, text=text)


def _message(one: _Seen, what: str, tick: int, at: datetime, *, text: str, **more: Any) -> dict[str, Any]:
    own = {name: one.row[name] for name in ("invariant", "entity", "violation")}
    whole = show_text(f"{one.invariant}: {own['entity']} {text}", _TEXT)
    return {**own, "what": what, "tick": tick, "at": at, "text": whole, **more}


def _said(detail: str) -> str:
    """Return the ``message`` in what an invariant yielded; empty if it yielded none."""
    yielded = json.loads(detail)
    said = yielded.get("message") if isinstance(yielded, dict) else None
    return said if isinstance(said, str) else ""
