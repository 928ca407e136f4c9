"""Picture: what every figure has in common, so that the same numbers always give the same bytes, and words."""

from __future__ import annotations

from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

from replaykit.display import show_text

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import datetime

    import pandas as pd
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "HATCHES",
    "Picture",
    "label",
    "look_of",
    "new_figure",
    "plain",
    "stacked_bars",
    "styled",
    "time_axis",
]

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
"""Okabe and Ito's palette: told apart by people with any common colour vision."""
HATCHES = ("", "///", "...", "xx")
"""What tells series apart once the colours are used up."""
# Text stays text: readable by machines, and the same bytes whatever fonts the reader has.
_STYLE = {"svg.hashsalt": "replaykit", "svg.fonttype": "none", "font.family": "DejaVu Sans"}


class Picture:
    """A matplotlib figure shown as SVG, of which the same numbers always give the same bytes."""

    figure: Figure
    """The matplotlib figure, to be changed or saved; a change shows when it is displayed."""

    @property
    def sentence(self) -> str:
        """What the picture shows, for those who don't see it."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sentence})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "image/svg+xml": self.svg}

    @cached_property
    def svg(self) -> str:
        """The picture as SVG text, with the sentence as its name for screen readers."""
        from io import StringIO

        target = StringIO()
        with styled():
            self.figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
        text = target.getvalue()
        named = f'<svg role="img" aria-label="{escape(self.sentence)}" '
        return text[text.index("<svg") :].replace("<svg ", named, 1)


def styled() -> AbstractContextManager[None]:
    """Return a context in which figures are drawn and saved the same everywhere."""
    from matplotlib import rc_context

    return rc_context(_STYLE)  # type: ignore[arg-type]  # matplotlib lists every setting as a literal


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches."""
    # Not pyplot: a figure that nobody registered is not shown twice and does not leak.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout="constrained", facecolor="white")


def plain(axes: Any, title: str, unit: str) -> None:
    """Give axes a title, a unit and no frame."""
    axes.set_title(title, loc="left", fontsize=10, pad=12)
    axes.set_ylabel(unit, fontsize=8)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def time_axis(axes: Any, most: int | None = None) -> None:
    """Label the x axis with times as short as they can be; at least 3 and at most `most`, or as matplotlib likes."""
    from matplotlib import dates

    locator: Any = dates.AutoDateLocator(minticks=5 if most is None else 3, maxticks=most)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def stacked_bars(axes: Any, table: pd.DataFrame, end: datetime) -> None:
    """Draw one bar for each cell that is not zero, stacked in the order of the columns; the index is where bins begin.

    `end` is where the last bin ends.
    """
    import numpy as np

    width = np.diff(np.append(table.index.to_numpy(), np.datetime64(end, "us")))
    bottom = np.zeros(len(table), dtype="int64")
    for number, kind in enumerate(table.columns):
        height = table[kind].to_numpy()
        there = height > 0
        axes.bar(
            table.index[there], height[there], width=width[there], bottom=bottom[there], align="edge",
            label=label(kind), **look_of(number),
        )  # fmt: skip
        bottom = bottom + height
    time_axis(axes)


def look_of(number: int) -> dict[str, str]:
    """Return colour and hatch of the series of this number, from 0."""
    hatch = HATCHES[number // len(COLOURS) % len(HATCHES)]
    return {"color": COLOURS[number % len(COLOURS)], "hatch": hatch}


def label(text: object, limit: int = 40) -> str:
    """Return somebody else's text as a label: short, on one line, and not read as mathematics."""
    return show_text(str(text), limit).replace("$", r"\$")
