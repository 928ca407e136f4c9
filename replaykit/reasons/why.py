"""Why: the cells a rule decided on when it emitted an action, and which steps had made them so, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.display import brief, count, note_html, show_value, table_html
from replaykit.errors import show_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pandas as pd

    from replaykit.reasons.graph import Graph
    from replaykit.reasons.values import Cell

__all__ = ["SILENT", "Why", "cells_frame"]

SILENT = "The program does not say what it read"
"""What could not be looked into where an external program names no cells."""


@dataclass(frozen=True, repr=False, eq=False)
class Why:
    """Why a rule emitted an action, or why an invariant was found broken."""

    number: int
    """The action's number in ``run.actions``, or the violation's in ``run.violations``."""
    kind: str
    """The kind of the action; ``violation`` of a breach."""
    fields: Mapping[str, Any]
    """The action's fields, or what the invariant said of the breach."""
    rule: str
    """The rule, or the invariant."""
    tick: int
    at: datetime
    """The clock of the tick, naive UTC."""
    step: int
    """The last step before the tick."""
    where: str
    """The line at which the action was made, or nothing for a rule in SQL."""
    cells: tuple[Cell, ...]
    """The cells the rule decided on, in the order in which it read them, each with the step that set it."""
    beyond: str = ""
    """What could not be looked into, and why."""

    @property
    def decisive(self) -> tuple[Cell, ...]:
        """The cells without whose last write the rule would not have emitted this action at this tick."""
        return tuple(cell for cell in self.cells if cell.decisive)

    @property
    def cause(self) -> Cell | None:
        """The decisive cell that was written last: what set the action off, as far as writes did; None if none did."""
        written = [cell for cell in self.decisive if cell.blame is not None]
        return max(written, key=lambda cell: cell.blame.step if cell.blame else 0, default=None)

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        fields = ", ".join(f"{name}={show_value(value, 60)}" for name, value in self.fields.items())
        found = self.kind == "violation"
        what = (
            f"Invariant {self.rule} was broken by ({fields})" if found else f"{self.rule} emitted {self.kind}({fields})"
        )
        told = f"{what} at {show_time(self.at)}"
        cause = self.cause
        if cause is not None and cause.blame is not None:
            return f"{told}: {cause.blame.sentence}"
        if self.beyond == SILENT:
            return f"{told}. {SILENT}."
        if not self.cells:
            return f"{told}: it read no cell." + (f" {self.beyond}." if self.beyond else "")
        return f"{told}, deciding on {count(len(self.cells), 'cell')}; no single write of them set it off."

    def __repr__(self) -> str:
        return brief("Why", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        caption = f"{count(len(self.cells), 'cell')} it decided on"
        parts = [note_html(self.sentence), table_html(self.to_frame(), caption=caption, limit=50, more=".to_frame()")]
        return "\n".join([*parts, *([note_html(self.beyond)] if self.beyond else [])])

    def to_frame(self) -> pd.DataFrame:
        """Return one row per cell: where it is, its value, what set it, when and from what, and where it was read."""
        return cells_frame(self.cells)

    def plot(self) -> Graph:
        """Return the answer as a picture: events and actions, the cells they set, the rule, the action."""
        from replaykit.reasons.graph import graph

        return graph(self)


def cells_frame(cells: tuple[Cell, ...]) -> pd.DataFrame:
    """Return cells as a table, in their order."""
    import pandas as pd

    rows = [_cell_row(cell) for cell in cells]
    columns = [
        "table", "key", "column", "value", "decisive", "since", "step", "caused_by", "event_id", "before", "where",
    ]  # fmt: skip
    frame = pd.DataFrame({name: pd.Series([row[n] for row in rows], dtype=object) for n, name in enumerate(columns)})
    return frame.astype({"since": "datetime64[us]", "step": "Int64", "decisive": "boolean"})


def _cell_row(cell: Cell) -> tuple[Any, ...]:
    set_by = cell.blame
    cause = (None, None, None, None, None)
    if set_by is not None:
        before = "inserted" if set_by.inserted else set_by.before
        cause = (set_by.since, set_by.step, set_by.kind or set_by.input, set_by.event_id, before)  # type: ignore[assignment]
    key = "/".join(map(str, cell.key))
    return (cell.table, key, cell.column, cell.value, cell.decisive, *cause, cell.where)
