"""Moves: where a key takes a window of the brush, exact to one event at any zoom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from replaykit.histogram import Histograms

__all__ = ["KEYS", "Ground", "Part", "clipped", "moved"]

Part = Literal["start", "end", "both"]
KEYS = ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End")
"""Keys the brush takes; up means later, as for any slider."""
_LATER = ("ArrowRight", "ArrowUp", "PageUp", "End")


@dataclass(frozen=True)
class Ground:
    """What a window moves on; times are microseconds since 1970."""

    events: Histograms
    """Which events an arrow stops at."""
    span: tuple[int, int]
    """First event and the instant after the last."""
    limits: tuple[int, int]
    """What a window may not leave."""
    bin: int
    """Width of a bin."""

    def next_event(self, at: int) -> int:
        """Return the bound with one event more before it than `at` has; events of one instant go together."""
        here = self.events.first_from(at)
        found = None if here is None else self.events.first_from(here + 1)
        return max(self.span[1], at) if found is None else found

    def event_before(self, at: int) -> int:
        """Return the bound that takes in, or leaves out, the last event before `at`."""
        found = self.events.last_before(at)
        return min(self.span[0], at) if found is None else found


def moved(ends: tuple[int, int], part: Part, key: str, ground: Ground, *, by_bin: bool = False) -> tuple[int, int]:
    """Return a window after a key; it never becomes empty, and moved as a whole it keeps its length.

    Parameters
    ----------
    part
        What has the focus. PageUp and PageDown move the whole window by its length, whatever that is.
    key
        One of `KEYS`.
    by_bin
        With Shift: an arrow moves to the next edge of a bin.
    """
    start, end = ends
    if key.startswith("Page"):
        return _shifted(ends, end - start if key in _LATER else start - end, ground.limits)
    if key in {"Home", "End"}:
        return _to_end(ends, part, key, ground)
    if part == "both":
        return _shifted(ends, _stepped(start, key, ground, by_bin) - start, ground.limits)
    at = _stepped(start if part == "start" else end, key, ground, by_bin)
    return clipped(at, end, ground.limits, "start") if part == "start" else clipped(start, at, ground.limits, "end")


def clipped(start: int, end: int, limits: tuple[int, int], part: str) -> tuple[int, int]:
    """Return a window inside limits, at least a microsecond long, of which `part` gives way."""
    start, end = (min(max(at, limits[0]), limits[1]) for at in (start, end))
    if part == "start":
        start = max(min(start, end - 1), limits[0])
        return start, max(end, start + 1)
    end = min(max(end, start + 1), limits[1])
    return min(start, end - 1), end


def _stepped(at: int, key: str, ground: Ground, by_bin: bool) -> int:
    if by_bin:
        return (at // ground.bin + 1) * ground.bin if key in _LATER else (-(-at // ground.bin) - 1) * ground.bin
    return ground.next_event(at) if key in _LATER else ground.event_before(at)


def _to_end(ends: tuple[int, int], part: Part, key: str, ground: Ground) -> tuple[int, int]:
    (start, end), (first, last) = ends, ground.span
    if part == "both":
        return _shifted(ends, first - start if key == "Home" else last - end, ground.limits)
    if part == "start":  # at its furthest only the last event is left
        return clipped(first if key == "Home" else ground.event_before(end), end, ground.limits, "start")
    return clipped(start, ground.next_event(start) if key == "Home" else last, ground.limits, "end")


def _shifted(ends: tuple[int, int], by: int, limits: tuple[int, int]) -> tuple[int, int]:
    start, end = ends
    by = max(limits[0] - start, min(by, limits[1] - end))
    return start + by, end + by
