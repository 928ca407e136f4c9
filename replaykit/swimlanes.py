"""Swim-lanes: one lane for each entity of a state table, one bar for as long as a column held one value."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.display import count, show_text, show_value
from replaykit.errors import show_time
from replaykit.picture import COLOURS, Picture, label, new_figure, plain, styled, time_axis
from replaykit.stretches import Lane, Stretch, bounds_of, lanes_of, stretches_frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pandas as pd
    from matplotlib.figure import Figure

    from replaykit.replayed import Replay
    from replaykit.window import Window

__all__ = ["Swimlanes", "swimlanes"]

_MOST = 40
_VALUES = 14
_HATCHES = ("", "//", "..", "xx", "\\\\", "oo", "--", "++")
_REST = "other values"
_OTHER = {"color": "#DDDDDD", "hatch": "O"}
_ACROSS = 500
"""How many bars fit beside each other so that each can be seen."""
_LETTERS = 120
"""How many letters of a label fit across."""
_SHORT = {"marker": "|", "color": "black", "linestyle": "none", "markersize": 7, "markeredgewidth": 0.8}


class _Bar(NamedTuple):
    """One bar: its lane, where it begins and ends as shares of the window, and the value's name."""

    lane: int
    low: float
    high: float
    name: str


@dataclass(frozen=True, eq=False, repr=False)
class Swimlanes(Picture):
    """What one column of a state table was over time. Shown as SVG; the same replay always gives the same bytes."""

    table: pd.DataFrame
    """One row per bar, lane by lane from the top: ``entity`` (its key), ``value``, ``from`` and ``to`` (naive UTC; NaT
    while it stands; not cut at the window), ``from_step``, and ``caused_by``: the kind of event or action, or
    ``base``."""
    of: str
    """The state table."""
    column: str
    window: tuple[datetime, datetime]
    """First instant and end, naive UTC."""
    changes: tuple[tuple[str, int], ...]
    """Each lane's entity, and at how many steps in the window its value appeared, changed or disappeared."""
    left_out: int
    """Entities that have no lane."""
    figure: Figure
    """The matplotlib figure, to be changed or saved; a change shows when it is displayed."""

    @property
    def sentence(self) -> str:
        """What the picture shows, for those who don't see it."""
        start, end = map(show_time, self.window)
        what = f"{show_text(self.column, 40)} of {show_text(self.of, 40)}, {start} to {end}"
        if not self.changes:
            return f"{what}: no row was there."
        total = sum(number for _, number in self.changes)
        text = f"{what}: {count(len(self.changes), 'entity')}, {count(total, 'change')}"
        entity, most = self.changes[0]
        text += f", most of {show_text(entity, 40)} ({most:,})." if most else "."
        if self.left_out:
            text += f" {self.left_out:,} more, which changed no more than these, are left out: .history({self.of!r})."
        return text


def swimlanes(run: Replay, table: str, column: str = "status", window: Window | None = None) -> Swimlanes:
    """Return a picture of what a column of a state table was over time, one lane for each row's key.

    At most 40 entities have a lane: those that changed most, then by key.

    Parameters
    ----------
    window
        None is the replay's own; what its last tick did is in then.

    Raises
    ------
    QueryError
        There is no such table or column; the message lists those there are.
    WindowError
        The window lies outside what was replayed.
    """
    start, end = bounds_of(run, window)
    lanes = lanes_of(run, table, column, start, end)
    shown = lanes[:_MOST]
    with styled():
        figure = new_figure(10, 7)
        axes = figure.subplots()
        _draw(axes, shown, start, end)
        plain(axes, label(f"{column} of {table}, UTC", 100), "")
    changes = tuple((lane.entity, lane.changes) for lane in shown)
    return Swimlanes(stretches_frame(shown), table, column, (start, end), changes, len(lanes) - len(shown), figure)


def _draw(axes: Any, lanes: Sequence[Lane], start: datetime, end: datetime) -> None:
    from matplotlib.dates import date2num

    first, last = (float(date2num(one)) for one in (start, end))  # type: ignore[no-untyped-call]
    looks = _looks(lanes)
    bars: dict[str, list[_Bar]] = {name: [] for name in [*looks, _REST]}
    short: dict[tuple[int, int], None] = {}
    for number, lane in enumerate(lanes):
        for one in lane.stretches:
            bar = _Bar(number, *_inside(one, start, end), _name(one.value))
            if bar.high - bar.low >= 1 / _ACROSS:
                bars[bar.name if bar.name in looks else _REST].append(bar)
            else:
                short[number, int(bar.low * _ACROSS)] = None
    for name, drawn in bars.items():
        _bars(axes, name, drawn, looks.get(name, _OTHER), first, last - first)
    if short:
        xs = [first + (place + 0.5) / _ACROSS * (last - first) for _, place in short]
        axes.plot(xs, [lane for lane, _ in short], label="too short to draw", zorder=3, **_SHORT)
    _axes(axes, lanes, first, last)


def _inside(one: Stretch, start: datetime, end: datetime) -> tuple[float, float]:
    """Return where a stretch begins and ends, as shares of the window."""
    since = start if one.since is None else min(max(one.since, start), end)
    until = end if one.until is None else min(max(one.until, since), end)
    return (since - start) / (end - start), (until - start) / (end - start)


def _looks(lanes: Sequence[Lane]) -> dict[str, dict[str, str]]:
    """Return colour and hatch of the most frequent values: no two share both, the first few share neither."""
    names = Counter(_name(one.value) for lane in lanes for one in lane.stretches)
    shown = sorted(names, key=lambda name: (-names[name], name))[:_VALUES]
    pairs = ((COLOURS[n % len(COLOURS)], _HATCHES[(n + n // len(COLOURS)) % len(_HATCHES)]) for n in range(len(shown)))
    return {name: {"color": colour, "hatch": hatch} for name, (colour, hatch) in zip(shown, pairs, strict=True)}


def _name(value: object) -> str:
    return show_value(value, 40)


def _bars(axes: Any, name: str, bars: Sequence[_Bar], look: dict[str, str], first: float, span: float) -> None:
    if not bars:
        return
    lefts, widths = [first + bar.low * span for bar in bars], [(bar.high - bar.low) * span for bar in bars]
    lanes = [bar.lane for bar in bars]
    axes.barh(
        lanes, widths, left=lefts, height=0.8, label=label(name), edgecolor="black", linewidth=0.4, zorder=2, **look
    )
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    for bar in bars:
        if (bar.high - bar.low) * _LETTERS > len(bar.name) + 1:
            middle = first + (bar.low + bar.high) / 2 * span
            axes.text(middle, bar.lane, label(bar.name), fontsize=6, ha="center", va="center", bbox=box, zorder=4)


def _axes(axes: Any, lanes: Sequence[Lane], first: float, last: float) -> None:
    axes.set_xlim(first, last)
    axes.set_ylim(max(len(lanes), 8) - 0.5, -0.5)
    axes.set_yticks(range(len(lanes)), [label(lane.entity, 28) for lane in lanes])
    axes.xaxis_date()
    time_axis(axes)
    if lanes:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.01), frameon=False, fontsize=8)
