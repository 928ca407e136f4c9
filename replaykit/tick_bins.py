"""Tick bins: into which spans of time a replay's ticks fall, also those that repeat a row without being walked."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from replaykit.bins import edges

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from replaykit.replayed import Replay

    Numbers = np.ndarray[Any, Any]

__all__ = ["cuts_of", "place", "spread"]

_INSTANT = timedelta(microseconds=1)


def cuts_of(run: Replay, bins: int) -> pd.DatetimeIndex:
    """Return the edges of at most `bins` bins of a replay's window, the last one microsecond later.

    So the tick at the window's end belongs to what led up to it.
    """
    import pandas as pd

    start, end = run.window.bounds()
    return pd.DatetimeIndex([*edges(start, end, bins)[:-1], end + _INSTANT]).as_unit("us")


def place(cuts: Numbers, times: Numbers) -> Numbers:
    """Return the bin of each time; what lies outside counts in the bin next to it."""
    import numpy as np

    return np.clip(np.searchsorted(cuts, times, side="right") - 1, 0, len(cuts) - 2)


def spread(run: Replay, rows: pd.DataFrame, cuts: Numbers, weights: Numbers | None = None) -> Numbers:
    """Return sums by bin over rows of a replay and the ticks that repeat them, each in its own bin.

    Parameters
    ----------
    rows
        With ``at`` and ``repeats``, as the frames of actions and of metrics have them.
    cuts
        Edges of the bins, one more than there are.
    weights
        What each row counts at each of its ticks; None is 1.
    """
    import numpy as np

    at, repeats = rows["at"].to_numpy(), rows["repeats"].to_numpy()
    interval = np.timedelta64(run.settings["ticks"].interval or _INSTANT, "us")
    first = place(cuts, at)
    bins = place(cuts, at + repeats * interval) - first + 1
    row = np.repeat(np.arange(len(rows)), bins)
    into = first[row] + np.arange(len(row)) - np.repeat(np.cumsum(bins) - bins, bins)

    def before(edge: Numbers) -> Numbers:
        return np.clip(-((at[row] - edge) // interval), 0, repeats[row] + 1)

    # What lies before the first edge or behind the last counts in the bin at its side.
    low = np.where(into == 0, 0, before(cuts[into]))
    high = np.where(into == len(cuts) - 2, repeats[row] + 1, before(cuts[into + 1]))
    return np.bincount(into, (1 if weights is None else weights[row]) * (high - low), minlength=len(cuts) - 1)
