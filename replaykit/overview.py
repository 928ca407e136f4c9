"""Overview of a replay: events, ticks, actions and violations over one axis of time, and a table that says the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.bins import round_width
from replaykit.display import count, show_value
from replaykit.errors import QueryError, excerpt, show_time
from replaykit.picture import COLOURS, Picture, new_figure, plain, stacked_bars, styled
from replaykit.plots import timeline_table
from replaykit.tick_bins import cuts_of, place, spread

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    from replaykit.replayed import Replay

    Numbers = np.ndarray[Any, Any]

__all__ = ["Overview", "overview"]

_BINS = 60


@dataclass(frozen=True, eq=False, repr=False)
class Overview(Picture):
    """Four lanes over a replay's window. Shown as SVG, of which the same replay always gives the same bytes."""

    table: pd.DataFrame
    """One row per bin. Index ``from`` (its start, naive UTC); ``events`` recorded in it, ``ticks`` and the ``actions``
    they emitted (each tick counts, also one that was not walked because nothing had changed), ``opened`` and ``closed``
    violations, and how many were ``open`` at its end. The last bin holds the tick at the window's end."""
    kinds: pd.DataFrame
    """The events of each bin by kind, as `replaykit.plots.timeline_table` gives them."""
    end: datetime
    """Where the last bin ends: the window's end, naive UTC."""
    figure: Figure
    """The matplotlib figure, to be changed or saved; a change shows when it is displayed."""

    @property
    def sentence(self) -> str:
        """What the picture shows, for those who don't see it."""
        sums = self.table.sum()
        parts = [count(int(sums[name]), name.removesuffix("s")) for name in ("events", "ticks", "actions")]
        span = f"{show_time(self.table.index[0].to_pydatetime())} to {show_time(self.end)}"
        return f"{span}: {', '.join(parts)}; {_violations(self.table)}.{self._busiest()}"

    def _busiest(self) -> str:
        busiest = next((name for name in ("actions", "events") if self.table[name].any()), None)
        if busiest is None:
            return ""
        place = int(self.table[busiest].to_numpy().argmax())
        since = show_time(self.table.index[place].to_pydatetime())
        return f" Most {busiest} in the bin from {since} ({self.table[busiest].iloc[place]:,})."


def overview(run: Replay, *, bins: int = _BINS) -> Overview:
    """Return a picture of a replay's events by kind, ticks, actions and violations over its window.

    Parameters
    ----------
    bins
        How many there are at most; they are cut at round times.

    Raises
    ------
    QueryError
        `bins` is no whole number from 1, or the recording is closed.
    """
    if bins < 1:
        raise QueryError(f"bins={excerpt(bins)}: expected a whole number from 1.")
    start, end = run.window.bounds()
    kinds = timeline_table(run.recording, run.window, bins=bins)
    table = _table(run, kinds, bins)
    with styled():
        figure = new_figure(10, 6)
        lanes = figure.subplots(4, 1, sharex=True, height_ratios=[3, 1, 1.5, 1.5])
        _draw(lanes, table, kinds, end, show_value(round_width(start, end, bins)))
        lanes[0].set_xlim(start, end)
    return Overview(table, kinds, end, figure)


def _table(run: Replay, kinds: pd.DataFrame, bins: int) -> pd.DataFrame:
    import pandas as pd

    cuts = cuts_of(run, bins).to_numpy()
    opened, closed = (_happened(cuts, run.violations[name]) for name in ("opened_at", "closed_at"))
    cells = {
        "events": kinds.sum(axis=1).to_numpy(),
        "ticks": spread(run, run.metrics, cuts),
        "actions": spread(run, run.actions, cuts),
        "opened": opened,
        "closed": closed,
        "open": (opened - closed).cumsum(),
    }
    return pd.DataFrame(cells, index=kinds.index).astype("int64")


def _happened(cuts: Numbers, times: pd.Series[Any]) -> Numbers:
    import numpy as np

    return np.bincount(place(cuts, times.dropna().to_numpy()), minlength=len(cuts) - 1)


def _violations(table: pd.DataFrame) -> str:
    opened, still = int(table["opened"].sum()), int(table["open"].iloc[-1])
    return f"{count(opened, 'violation')} opened, {still:,} open at the end"


def _draw(lanes: Any, table: pd.DataFrame, kinds: pd.DataFrame, end: datetime, width: str) -> None:
    from matplotlib.ticker import MaxNLocator

    sums = table.sum()
    titles = [f"{count(int(sums['events']), 'event')} by kind, {width} a bin, UTC"]
    titles += [count(int(sums[name]), name.removesuffix("s")) for name in ("ticks", "actions")]
    units = ("events", "ticks", "actions", "violations")
    for axes, title, unit in zip(lanes, [*titles, _violations(table)], units, strict=True):
        plain(axes, title, unit)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
    stacked_bars(lanes[0], kinds, end)
    for axes, name, colour in ((lanes[1], "ticks", COLOURS[7]), (lanes[2], "actions", COLOURS[5])):
        _bars(axes, table[name], end, label=None, color=colour)
    _bars(lanes[3], table["opened"], end, label="opened", color=COLOURS[3], hatch="///")
    lanes[3].stairs(table["open"], [*table.index, end], label="open at the bin's end", color="black", baseline=None)
    for axes in (lanes[0], lanes[3]):
        axes.set_ylim(bottom=0)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.05), frameon=False, fontsize=8)


def _bars(axes: Any, numbers: pd.Series[Any], end: datetime, **look: Any) -> None:
    import numpy as np

    width = np.diff(np.append(numbers.index.to_numpy(), np.datetime64(end, "us")))
    there = numbers.to_numpy() > 0
    axes.bar(numbers.index[there], numbers[there], width=width[there], align="edge", **look)
