"""The dashboard of a town, drawn from a replay: six panels, and tables that say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replaykit.display import count
from replaykit.picture import Picture, styled
from replaykit.systems.gastown.buckets import BINS, panel_summary, panel_table
from replaykit.systems.gastown.dashboard import Dashboard, said

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from replaykit.replayed import Replay

__all__ = ["Panels", "panels"]


@dataclass(frozen=True, eq=False, repr=False)
class Panels(Picture):
    """Six panels over a replay's window. Shown as SVG, of which the same replay always gives the same bytes."""

    table: pd.DataFrame
    """The numbers behind the lines and bars, as `panel_table` gives them."""
    summary: pd.DataFrame
    """One row for each series of each panel: what its legend says, and whether it passes a threshold."""
    figure: Figure
    """The matplotlib figure, to be changed or saved; a change shows when it is displayed."""

    @property
    def sentence(self) -> str:
        """What the picture shows, for those who don't see it."""
        parts = [f"{count(int(self.table['ticks'].sum()), 'tick')}."]
        for panel, rows in self.summary.groupby("panel", sort=False):
            parts.append(f"{panel}: {', '.join(f'{row.series} {said(row)}' for row in rows.itertuples())}.")
        return " ".join(parts)


def panels(run: Replay, *, bins: int = BINS) -> Panels:
    """Return the six panels of the program's dashboard for a replay, each with its thresholds.

    Lines are means over the ticks of a bin, bars sums. Where production's values are known and others, they are drawn
    beside the replayed ones, in black; where only they are known, as of the wall clock, in their place. What nobody
    knows is said to be not known, and is not drawn as zero.

    Parameters
    ----------
    bins
        How many there are at most; they are cut at round times.
    """
    table = panel_table(run, bins=bins)
    summary = panel_summary(run, table)
    with styled():
        figure = Dashboard(run, table, summary).figure()
    return Panels(table, summary, figure)
