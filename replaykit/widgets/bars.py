"""What the brush draws: bars with a look for each kind, and marks in bins, as plain lists for the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from replaykit.display import count, show_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from replaykit.histogram import Histogram

__all__ = ["Marks", "bars", "looks"]

_COLOURS = 7
_LENGTH = 60
_GLYPHS = {"snapshot": "▼", "recorded action": "▲", "recorded violation": "✖", "action": "△", "violation": "✕"}


def looks(shown: Sequence[str], known: Sequence[str]) -> list[int]:
    """Return which colour and pattern each kind has: by its place among all known ones, or else one that is free."""
    places = [known.index(kind) for kind in shown]
    free = iter([look for look in range(_COLOURS) if look not in places])
    return [place if place < _COLOURS else next(free) for place in places]


def bars(found: Histogram, known: Sequence[str]) -> dict[str, Any]:
    """Return the width of a bin in microseconds, the kinds (name, look, number of events) and their rows of counts."""
    names = [show_text(kind, _LENGTH) or "(no kind)" for kind in found.kinds]
    rows, styles = [list(row) for row in found.counts], looks(found.kinds, known)
    if found.others:
        names, styles = [*names, count(found.others, "other kind")], [*styles, _COLOURS]
    told = zip(names, styles, rows, strict=False)  # the last row is left out where there are no others
    kinds = [{"name": name, "look": look, "events": sum(row)} for name, look, row in told]
    return {"width": found.edges[1] - found.edges[0], "kinds": kinds, "counts": rows[: len(kinds)]}


class Marks:
    """Times of snapshots, actions, violations and whatever else is to be seen, by name."""

    def __init__(self) -> None:
        self._times: dict[str, NDArray[np.int64]] = {}

    def put(self, name: str, times: Iterable[Any]) -> None:
        """Keep naive UTC times under a name, in place of those it had; without any the name is forgotten."""
        values = np.asarray(times if hasattr(times, "dtype") else list(times), dtype="datetime64[us]")
        kept = np.sort(values[~np.isnat(values)].astype("int64"))
        self._times.pop(name, None)
        if len(kept):
            self._times[name] = kept

    def binned(self, start: int, end: int, width: int) -> list[dict[str, Any]]:
        """Return for each name its glyph, how many there are in all, and pairs of a bin and how many are in it."""
        edges, found = np.arange(start, end + 1, width), []
        for name, times in self._times.items():
            numbers = np.diff(np.searchsorted(times, edges))
            pairs = [[int(place), int(numbers[place])] for place in np.flatnonzero(numbers)]
            glyph = _GLYPHS.get(name, "◆")
            found.append({"name": show_text(name, _LENGTH), "glyph": glyph, "all": len(times), "bins": pairs})
        return found

    def nearest(self, at: int, reach: int) -> list[int]:
        """Return the times next to an instant, at most `reach` away."""
        places = ((times, int(np.searchsorted(times, at))) for times in self._times.values())
        near = [int(time) for times, place in places for time in times[max(place - 1, 0) : place + 1]]
        return [time for time in near if abs(time - at) <= reach]
