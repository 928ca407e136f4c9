"""The strip above the slider: a bar for each bin, the chosen window and what happened, as inline SVG without script."""

from __future__ import annotations

from bisect import bisect_right
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from replaykit.display import count, show_value
from replaykit.errors import show_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["place", "strip"]

_WIDTH, _HEIGHT, _LEAST = 1000, 64, 4
# Okabe and Ito's colours, and a shape or place of its own for each mark, so that none is told by colour alone.
_CHOSEN, _ACTION, _VIOLATION = "var(--jp-brand-color1, #0072B2)", "#D55E00", "#CC79A7"
_INK = "var(--jp-ui-font-color2, currentColor)"


def place(edges: Sequence[datetime], moment: datetime) -> float:
    """Return where a moment stands, counted in bins: 2.5 is the middle of the third."""
    number = min(max(bisect_right(edges, moment) - 1, 0), len(edges) - 2)
    share = (moment - edges[number]) / (edges[number + 1] - edges[number])
    return number + min(max(share, 0.0), 1.0)


def strip(
    edges: Sequence[datetime],
    events: Sequence[int],
    chosen: tuple[float, float],
    marks: Sequence[tuple[str, Sequence[datetime]]] = (),
) -> str:
    """Return bars for `events`, one for each bin, the chosen window shaded; marks: snapshot, action or violation."""
    step = _WIDTH / len(events)
    left, right = (number * step for number in chosen)
    parts = [
        f'<rect x="{left:.2f}" y="0" width="{right - left:.2f}" height="{_HEIGHT}" fill="{_CHOSEN}" opacity=".15"/>'
    ]
    highest = max(events, default=0) or 1
    for number, value in enumerate(events):
        tall = max(value / highest * (_HEIGHT - 18), _LEAST) if value else 0
        fill = _CHOSEN if chosen[0] < number + 1 and number < chosen[1] else _INK
        said = escape(f"{show_time(edges[number])}: {count(value, 'event')}")
        parts.append(
            f'<rect x="{number * step + 0.5:.2f}" y="{_HEIGHT - 8 - tall:.2f}" width="{step - 1:.2f}" '
            f'height="{tall:.2f}" fill="{fill}"><title>{said}</title></rect>'
        )
    for name, times in marks:
        within = {int(place(edges, at)) for at in times if edges[0] <= at <= edges[-1]}
        parts += [_mark(name, (number + 0.5) * step) for number in sorted(within)]
    picture = (
        f'<svg role="img" aria-label="{escape(_told(edges, events))}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'preserveAspectRatio="none" style="display:block;width:100%;height:{_HEIGHT}px">{"".join(parts)}</svg>'
    )
    # As far from the edges as the slider's track below it.
    return (
        f'<div style="padding:0 6px">{picture}' + _ends(edges, [name for name, times in marks if len(times)]) + "</div>"
    )


def _mark(name: str, x: float) -> str:
    if name == "snapshot":
        return f'<path d="M{x - 4:.2f} 0h8l-4 8z" fill="{_INK}"><title>snapshot</title></path>'
    colour, y = (_ACTION, _HEIGHT - 7) if name == "action" else (_VIOLATION, 9)
    return f'<rect x="{x - 2.5:.2f}" y="{y}" width="5" height="6" fill="{colour}"><title>{escape(name)}</title></rect>'


def _told(edges: Sequence[datetime], events: Sequence[int]) -> str:
    peak = max(range(len(events)), key=lambda number: events[number])
    most = f", most from {show_time(edges[peak])} ({events[peak]:,})"
    return f"{count(sum(events), 'event')} from {show_time(edges[0])} to {show_time(edges[-1])}{most}"


def _ends(edges: Sequence[datetime], names: Sequence[str]) -> str:
    signs = {"snapshot": "▼ snapshot", "action": "▂ action (below)", "violation": "▀ violation opened (above)"}
    widths = [after - before for before, after in pairwise(edges)]
    legend = " · ".join([f"a bar is {show_value(max(widths))}", *(signs[name] for name in names)])
    ends = [escape(text) for text in (show_time(edges[0]), legend, show_time(edges[-1]))]
    return (
        '<div style="display:flex;justify-content:space-between;font-size:11px;line-height:1.5">'
        + "".join(f"<span>{text}</span>" for text in ends)
        + "</div>"
    )
