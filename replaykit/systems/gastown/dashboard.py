"""Dashboard: how the six panels are drawn from their tables."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from replaykit.bins import round_width
from replaykit.display import count, is_empty, show_value
from replaykit.errors import show_time
from replaykit.picture import COLOURS, look_of, new_figure, plain, time_axis
from replaykit.systems.gastown.buckets import EFFECTS, PANELS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

    from replaykit.replayed import Replay

    Numbers = np.ndarray[Any, Any]

__all__ = ["Dashboard", "said"]

_BLUE, _GREEN, _RED = COLOURS[0], COLOURS[2], COLOURS[5]
_RECORDED = {"color": "black", "linestyle": ":", "marker": "o", "markersize": 4, "fillstyle": "none", "linewidth": 1}
# Pale grounds below black text: a strong colour would leave too little contrast. A glyph says the same.
_GROUND = {"ok": "#D9F0E8", "yellow": "#FBF0B8", "red": "#FADFCF", "": "#EEEEEE"}
_GLYPH = {"ok": "✓", "yellow": "~", "red": "!", "": ""}
_NO_TICKS = "no ticks"
_NO_EFFECTS = 'not known: effects come with actions\nthat are applied (actions="apply" or "recorded")'
_NO_CLOCK = "not known: a replay has no wall clock,\nand no recorded tick is in its window"
_NO_QUEUE = 'not known: only a retrace knows\n(ticks="recorded", actions="recorded")'
_WHY = {PANELS[4]: "; a replay has none"}
_SLOW, _FULL = 500, 200


def said(row: Any) -> str:
    """Return what was replayed in a row of the summary, with what was recorded, if that is another, and its state."""
    text = _number(row.replayed)
    if _differs(row):
        told = f"{_number(row.recorded)} recorded"
        text = told if is_empty(row.replayed) else f"{text} ({told})"
    return f"{text}, {row.state}" if row.state not in ("", "ok") else text


def _differs(row: Any) -> bool:
    return not is_empty(row.recorded) and (is_empty(row.replayed) or bool(row.recorded != row.replayed))


def _number(value: Any) -> str:
    if is_empty(value):
        return "not known"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def _beside(row: Any) -> str:
    return f" ({_number(row.recorded)})" if _differs(row) else ""


class Dashboard:
    """One figure: the tables of `replaykit.systems.gastown.buckets`, drawn."""

    def __init__(self, run: Replay, table: pd.DataFrame, summary: pd.DataFrame) -> None:
        self.table, self.summary = table, summary
        self.start, self.end = run.window.bounds()
        self.episodes = len(run.violations)
        self.ticks = int(table["ticks"].sum())

    def figure(self) -> Figure:
        """Draw the panels."""
        figure: Any = new_figure(10, 8)
        width = show_value(round_width(self.start, self.end, max(len(self.table), 2)))
        span = f"{show_time(self.start)} to {show_time(self.end)}"
        figure.suptitle(f"{count(self.ticks, 'tick')}, {span}; {width} a point or bar", x=0.01, ha="left", fontsize=10)
        # Columns that are laid out apart: else the legend at the right would make the panels below it narrower.
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.1))
        upper, lower = right.subfigures(2, 1, height_ratios=(1.15, 2))
        drained, effects, wall_clock = left.subplots(3, 1, height_ratios=(1.15, 1, 1))
        violations, pending = lower.subplots(2, 1, height_ratios=(1.3, 1))
        self._drained(drained)
        self._actions(upper.subplots())
        self._effects(effects)
        self._violations(violations)
        self._wall_clock(wall_clock)
        self._pending(pending)
        drawn: Figure = figure
        return drawn

    def _drained(self, axes: Any) -> None:
        mean, highest = self._begin(axes, PANELS[0], "events per tick", "events_drained")
        told = f"mean {_number(mean.replayed)}, highest {_number(highest.replayed)}"
        self._line(axes, "events_drained", told, {"color": _BLUE})
        self._over_time(axes, _NO_TICKS)

    def _effects(self, axes: Any) -> None:
        rows = self._begin(axes, PANELS[2], "effects per tick", EFFECTS[0])
        looks: tuple[dict[str, Any], ...] = (
            {"color": _BLUE, "linewidth": 4, "alpha": 0.4},  # below the next, which often is the same
            {"color": _GREEN},
            {"color": _RED, "linestyle": "--"},
        )
        for name, row, look in zip(EFFECTS, rows, looks, strict=True):
            self._line(axes, name, f"{row.series} {_number(row.replayed)}", look)
        self._over_time(axes, _NO_EFFECTS)

    def _wall_clock(self, axes: Any) -> None:
        mean, highest = self._begin(axes, PANELS[4], "ms, logarithmic", "wall_clock_ms")
        told = f"mean {_number(mean.replayed)}, highest {_number(highest.replayed)}"
        self._line(axes, "wall_clock_ms", told, {"color": _BLUE})
        if axes.lines:
            top = 2 * max(axes.get_ylim()[1], _SLOW)
            axes.axhline(_SLOW, color=_RED, linewidth=1.2, label=f"! red from {_SLOW} ms")
            axes.axhspan(_SLOW, top, color=_GROUND["red"], zorder=0)
        if self._over_time(axes, _NO_CLOCK):
            axes.set(yscale="log", ylim=(1, top))

    def _actions(self, axes: Any) -> None:
        """Draw one bar for each kind and bin, stacked, and what was recorded in all where that is another number."""
        import numpy as np

        rows = self._begin(axes, PANELS[1], "actions")
        bottom, recorded = np.zeros(len(self.table)), np.zeros(len(self.table))
        for number, row in enumerate(rows):
            height = self._values(f"actions_{row.series}")
            self._bars(axes, height, bottom, f"{row.series} {_number(row.replayed)}{_beside(row)}", look_of(number))
            theirs = self._values(f"recorded_actions_{row.series}")
            bottom, recorded = bottom + height, recorded + (height if np.isnan(theirs).all() else theirs)
        if (recorded != bottom).any():
            axes.plot(self._middles(), recorded, label="all, recorded", **{**_RECORDED, "linestyle": "none"})
        title = "in all (recorded)" if any(map(_differs, rows)) else "in all"
        legend = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.1), "borderaxespad": 0, "title": title}
        self._over_time(axes, "no actions", **legend)

    def _bars(self, axes: Any, height: Numbers, bottom: Numbers, told: str, look: dict[str, str]) -> None:
        starts, widths = self._bins()
        there = height > 0
        there[0] |= not there.any()  # without a bar, the legend would not know the colour
        axes.bar(starts[there], height[there], widths[there], bottom[there], align="edge", label=told, **look)

    def _violations(self, axes: Any) -> None:
        """Draw the sum on a ground that says how bad it is, and below it when they were found."""
        (row,) = self._begin(axes, PANELS[3], "")
        self._bare(axes, _GROUND[row.state])
        self._centred(axes, 0.74, f"{_GLYPH[row.state]} {_number(row.replayed)}" if self.ticks else _NO_TICKS, 24)
        recorded = f"{_number(row.recorded)} recorded; " if _differs(row) else ""
        told = f"one for each breach at each tick; {count(self.episodes, 'episode')}; red from 1"
        self._centred(axes, 0.5, recorded + told, 8)
        if not is_empty(row.replayed) and row.replayed:
            spark = axes.inset_axes((0.01, 0.03, 0.98, 0.34))
            self._bare(spark, "none")
            starts, widths = self._bins()
            found = self._values("invariant_violations")
            spark.bar(starts, found, widths, align="edge", color=_RED, alpha=0.4)
            spark.step(starts, found, where="post", color=_RED)
            spark.set_xlim(self.start, self.end)

    def _pending(self, axes: Any) -> None:
        """Draw a gauge from 0 to 200 with its zones, and a bar for what was waiting after the last tick."""
        (row,) = self._begin(axes, PANELS[5], "", "pending_event_count")
        zones = ((0, "ok"), (25, "yellow"), (50, "red"), (_FULL, ""))
        for (left, state), (right, _) in pairwise(zones):
            axes.axvspan(left, right, color=_GROUND[state])
            axes.text((left + right) / 2, 0.08, _GLYPH[state], fontsize=10, ha="center")
        axes.set(xlim=(0, _FULL), ylim=(0, 1), xticks=[left for left, _ in zones], yticks=[])
        axes.set_xlabel("events waiting after the last tick; yellow from 25, red from 50", fontsize=8)
        if is_empty(row.replayed):
            self._centred(axes, 0.6, _NO_QUEUE if self.ticks else _NO_TICKS, 9)
            return
        filled = min(row.replayed, _FULL)
        axes.barh(0.45, filled, height=0.3, color="black")
        axes.plot([filled], [0.45], marker="D", markersize=9, color="black", clip_on=False)
        side = "left" if filled < _FULL / 2 else "right"
        told = f"{_GLYPH[row.state]} {_number(row.replayed)}{_beside(row)}"
        axes.text(max(filled, 4), 0.8, told, fontsize=14, ha=side, va="center")

    def _begin(self, axes: Any, panel: str, unit: str, name: str | None = None) -> list[Any]:
        """Give axes title and unit, and return the panel's rows of the summary, told of what is known."""
        rows: list[Any] = list(self.summary[self.summary["panel"] == panel].itertuples())
        only = name is not None and is_empty(rows[0].replayed) and not is_empty(rows[0].recorded)
        plain(axes, f"{panel} (recorded{_WHY.get(panel, '')})" if only else panel, unit)
        return [row._replace(replayed=row.recorded) for row in rows] if only else rows

    def _line(self, axes: Any, name: str, told: str, look: dict[str, Any]) -> None:
        """Draw what was replayed, or recorded if only that is known; and beside it what was recorded otherwise."""
        import numpy as np

        replayed, recorded = self._values(name), self._values(f"recorded_{name}")
        only = np.isnan(replayed).all()
        if only and np.isnan(recorded).all():
            return
        axes.plot(self._middles(), recorded if only else replayed, marker=".", markersize=4, label=told, **look)
        if not only and not np.isnan(recorded).all():
            axes.plot(self._middles(), recorded, label="recorded", **_RECORDED)

    def _over_time(self, axes: Any, nothing: str, **legend: Any) -> bool:
        """Finish axes over the window, or say why nothing is drawn; return whether something is."""
        handles, labels = axes.get_legend_handles_labels()
        if not handles:
            self._bare(axes, "none")
            self._centred(axes, 0.5, nothing if self.ticks else _NO_TICKS, 9)
            return False
        axes.set_xlim(self.start, self.end)
        axes.set_ylim(bottom=0)
        time_axis(axes, 7)
        axes.xaxis.get_offset_text().set_visible(False)  # the day stands above it all
        above = {"loc": "lower left", "bbox_to_anchor": (0, 0.98), "borderaxespad": 0, "ncols": 4}
        shown = axes.legend(handles, labels, frameon=False, fontsize=8, title_fontsize=8, **(legend or above))
        if not legend:
            shown.set_in_layout(False)  # else one that is too long would leave no room for the panel
            axes.set_title(axes.get_title(loc="left"), loc="left", fontsize=10, pad=22)
        return True

    def _bare(self, axes: Any, ground: str) -> None:
        axes.set(facecolor=ground, xticks=[], yticks=[], ylabel="")
        for spine in axes.spines.values():
            spine.set_visible(False)

    def _centred(self, axes: Any, height: float, text: str, size: int) -> None:
        axes.text(0.5, height, text, fontsize=size, ha="center", va="center", transform=axes.transAxes)

    def _values(self, name: str) -> Numbers:
        """Return a column of the table; NaN is not known, as everything in a column that is not there."""
        import numpy as np

        if name not in self.table:
            return np.full(len(self.table), np.nan)
        values: Numbers = self.table[name].to_numpy(dtype="float64", na_value=np.nan)
        return values

    def _bins(self) -> tuple[Numbers, Numbers]:
        """Return starts and widths of the bins."""
        import numpy as np

        starts = self.table.index.to_numpy()
        return starts, np.diff(np.append(starts, np.datetime64(self.end, "us")))

    def _middles(self) -> Numbers:
        starts, widths = self._bins()
        middles: Numbers = starts + widths // 2
        return middles
