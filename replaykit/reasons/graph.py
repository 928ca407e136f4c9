"""Graph: why a rule emitted an action as a small picture, read from left to right."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.display import count, show_value
from replaykit.errors import show_time
from replaykit.picture import COLOURS, Picture, label, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from replaykit.reasons.values import Cell
    from replaykit.reasons.why import Why

__all__ = ["Graph", "graph"]

_MOST = 8  # cells drawn
_DASHES = ("-", "--", ":", "-.")


class _Column(NamedTuple):
    """Where the boxes of one kind stand, and their colour."""

    left: float
    width: float
    colour: str


_SOURCE = _Column(0.0, 0.24, COLOURS[4])
_CELL = _Column(0.32, 0.26, COLOURS[1])
_DECIDED = _Column(0.65, 0.07, COLOURS[2])
_EMITTED = _Column(0.77, 0.23, COLOURS[0])


@dataclass(frozen=True, repr=False, eq=False)
class Graph(Picture):
    """What set the cells (an event, an action, the base), the cells, the rule, and the action it emitted.

    Cells without which there would be no such action have a bold frame and a star.
    """

    why: Why

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells drawn: decisive ones first, 8 at most."""
        chosen = sorted(self.why.cells, key=lambda cell: not cell.decisive)
        return tuple(chosen[:_MOST])

    @property
    def sentence(self) -> str:
        """What the picture shows, for those who don't see it."""
        left = len(self.why.cells) - len(self.cells)
        more = f" {count(left, 'further cell')} not drawn." if left else ""
        return self.why.sentence + more

    def __repr__(self) -> str:
        return f"Graph({self.sentence})"

    @cached_property
    def figure(self) -> Figure:  # type: ignore[override]
        """The matplotlib figure."""
        with styled():
            return _drawn(self.why, self.cells)


def graph(why: Why) -> Graph:
    """Return why a rule emitted an action as a picture."""
    return Graph(why)


def _drawn(why: Why, cells: tuple[Cell, ...]) -> Figure:
    sources = _sources(cells)
    rows = max(1, len(cells), len(sources))
    figure = new_figure(11, 0.6 + 0.6 * rows)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, rows - 0.4)
    middle = (rows - 1) / 2
    heights = _spread(len(cells), rows)
    fields = [label(f"{name}={show_value(value, 30)}", 40) for name, value in list(why.fields.items())[:3]]
    ends = _Boxes(axes)
    ends.add(_DECIDED, middle, [label(why.rule, 12)])
    ends.add(_EMITTED, middle, [label(why.kind, 40), *fields, label(show_time(why.at))])
    ends.arrow(_DECIDED, middle, _EMITTED, middle)
    order = sorted(sources, key=lambda text: (-sum(heights[n] for n in sources[text]) / len(sources[text]), text))
    for place, (text, height) in enumerate(zip(order, _spread(len(order), rows), strict=True)):
        ends.add(_SOURCE, height, list(text))
        for number in sources[text]:
            ends.arrow(_SOURCE, height, _CELL, heights[number], dash=place)
    for cell, height in zip(cells, heights, strict=True):
        name = label(f"{cell.table}[{'/'.join(map(str, cell.key))}]", 44)
        value = label(f"{cell.column} = {show_value(cell.value, 30)}", 44)
        ends.add(_CELL, height, [("* " if cell.decisive else "") + name, value], bold=bool(cell.decisive))
        ends.arrow(_CELL, height, _DECIDED, middle)
    return figure


def _spread(count: int, rows: int) -> list[float]:
    """Return heights for so many boxes, from top to bottom, evenly over the rows."""
    return [rows * (count - number - 0.5) / count - 0.5 for number in range(count)]


class _Boxes:
    """Boxes in columns, and arrows between them."""

    def __init__(self, axes: Any) -> None:
        self._axes = axes

    def add(self, column: _Column, y: float, lines: list[str], *, bold: bool = False) -> None:
        """Draw a box with lines of text."""
        from matplotlib.patches import FancyBboxPatch

        height = 0.16 + 0.17 * len(lines)
        box = FancyBboxPatch(
            (column.left, y - height / 2), column.width, height, boxstyle="round,pad=0,rounding_size=0.01",
            facecolor=column.colour + "33", edgecolor=column.colour, linewidth=1 + 1.2 * bold,
        )  # fmt: skip
        self._axes.add_patch(box)
        text = "\n".join(lines)
        self._axes.text(column.left + 0.006, y, text, fontsize=7, va="center", ha="left", color="black")

    def arrow(self, start: _Column, y: float, end: _Column, to: float, *, dash: int = 0) -> None:
        """Draw an arrow from the right of a box to the left of another."""
        look = {"arrowstyle": "->", "color": "#555555", "linewidth": 0.8, "linestyle": _DASHES[dash % len(_DASHES)]}
        begin = (start.left + start.width, y)
        self._axes.annotate("", xy=(end.left, to), xytext=begin, arrowprops=look)


def _sources(cells: tuple[Cell, ...]) -> dict[tuple[str, ...], list[int]]:
    """Return the text of each cause, with the numbers of the cells it set, in the order of the cells."""
    found: dict[tuple[str, ...], list[int]] = {}
    for number, cell in enumerate(cells):
        found.setdefault(_source(cell), []).append(number)
    return found


def _source(cell: Cell) -> tuple[str, ...]:
    cause = cell.blame
    if cause is None:
        return ("not known",)
    if cause.step == 0:
        return ("base",)
    name = " ".join(str(one) for one in (cause.kind or cause.input, cause.event_id) if one)
    when = show_time(cause.since) if cause.since is not None else ""
    return (label(name, 30), f"step {cause.step:,}, {when}".rstrip(", "))
