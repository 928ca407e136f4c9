"""What a person waits for in an explorer: the first picture, and each new one while a window is dragged."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import replaykit as rk
from replaykit.instants import ends_of

if TYPE_CHECKING:
    from benchmarks.measuring import Clock

__all__ = ["explorer"]

_STEPS = 40


def explorer(clock: Clock, recording: str) -> dict[str, Any]:
    """Open an explorer, drag its window across everything, zoom and drag again; every count is checked by a query.

    Raises
    ------
    AssertionError
        A picture or a count differs from what a plain query gives.
    """
    with rk.open(recording) as opened:
        rk.explore(opened)  # imports ipywidgets and itables, as the notebook's first widget does
    with rk.open(recording) as opened:
        with clock:
            found = rk.explore(opened)
        brush = found.frame.brush
        drawn = sum(kind["events"] for kind in brush.bins["kinds"])
        if drawn != len(opened):
            raise AssertionError(f"The first picture shows {drawn:,} of {len(opened):,} events.")
        seconds = _dragged(opened, brush)
        brush._received(None, {"do": "zoom", "how": "window", "seq": "z"}, None)
        return {"drag": statistics.median(seconds), "slowest": max(seconds)}


def _dragged(opened: rk.Recording, brush: Any) -> list[float]:
    low, high = ends_of(brush.limits)
    step, seconds = (high - low) // (_STEPS * 2), []
    for number in range(_STEPS):
        ask = {"do": "window", "part": "both", "done": False, "seq": number}
        ask |= {"start": str(low + number * step), "end": str(low + (number + 20) * step)}
        began = time.perf_counter()
        brush._received(None, ask, None)
        brush._look(low + number * step, low + (number + 20) * step)  # a new picture as well, as if zoomed
        seconds.append(time.perf_counter() - began)
        start, end = brush.window.bounds()
        where = "occurred_at >= $start AND occurred_at < $end"
        counted = opened.sql(f"SELECT count(*) AS n FROM events WHERE {where}", start=start, end=end)["n"][0]
        if counted != brush.counted:
            raise AssertionError(f"{brush.window!r} holds {counted:,} events; the brush says {brush.counted:,}.")
    return seconds
