"""Behind a divergence: the cells it was decided on, in both replays, and what stopped the side that did not act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.display import brief, note_html, show_text, show_value, table_html
from replaykit.errors import ReplayKitError, show_time
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pandas as pd

    from replaykit.comparing.axis import Axis
    from replaykit.comparing.spans import Difference, Span
    from replaykit.reasons.values import Cell
    from replaykit.replayed import Replay

__all__ = ["First", "first_of"]

_CELLS = 50
_DOES = {
    "missing": "no longer emits",
    "extra": "now emits",
    "changed": "emits with other fields",
    "other rule": "emits in the place of another rule",
    "reordered": "emits in another order",
}


@dataclass(frozen=True, repr=False, eq=False)
class First:
    """The first action in which two replays differ, and what was behind it."""

    difference: str
    """``missing``, ``extra``, ``changed``, ``other rule`` or ``reordered``."""
    tick: int
    """The tick, as the replay that emitted it counts; the new one if both did."""
    at: datetime
    """The clock of that tick, naive UTC."""
    rule: str
    kind: str
    entity: str
    fields: Mapping[str, Any]
    """The action's fields; of the new replay if both emitted it."""
    differing: tuple[str, ...]
    """The fields that differ, where both emitted it."""
    cells: pd.DataFrame
    """One row for each cell the rule decided on: ``table``, ``key``, ``column``, ``old`` and ``new`` (its value in each
    replay at that tick), ``step``, ``since`` and ``caused_by`` (what set it), ``where`` (where it was read)."""
    explained: str
    """Why the one that emitted it did, or why that can't be said."""
    stopped: str
    """What stopped the other; where all cells are the same, what the reconcilers differ in. Nothing if not known."""

    @property
    def sentence(self) -> str:
        """The divergence in one sentence."""
        what = f"{self.rule} {_DOES[self.difference]} {show_text(self.kind, 60)} {show_text(self.entity, 60)}".rstrip()
        fields = f" ({', '.join(self.differing)})" if self.differing else ""
        return f"{show_time(self.at)}, tick {self.tick:,}: {what}{fields}"

    def __repr__(self) -> str:
        return brief("First", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        parts = [note_html(one, 1_000) for one in (self.sentence, self.explained, self.stopped) if one]
        if len(self.cells):
            parts.append(table_html(self.cells, caption="The cells behind it", limit=20, more=".cells"))
        return "\n".join(parts)


def first_of(difference: Difference, old: Replay, new: Replay, axis: Axis, changed: Sequence[str]) -> First:
    """Return a difference with what was behind it; `changed` says what the reconcilers differ in."""
    side = 0 if difference.new is None else 1
    span, run = difference.shown, (old, new)[side]
    found, explained = _why(run, span)
    cells = _cells(found, (old, new), [axis.step(side, difference.first) for side in (0, 1)])
    stopped = ""
    if difference.difference in ("missing", "extra"):
        stopped = _why_not((old, new)[1 - side], span, axis.at(difference.first), ("old", "new")[1 - side])
    both = span.rule in old.reconciler.rules and span.rule in new.reconciler.rules
    if both and changed and len(cells) and list(map(repr, cells["old"])) == list(map(repr, cells["new"])):
        told = f"Each cell that {span.rule} read is the same in both; the reconcilers differ in {', '.join(changed)}."
        stopped = f"{told} {stopped}".rstrip()
    return First(
        difference=difference.difference,
        tick=axis.tick(side, difference.first),
        at=axis.at(difference.first),
        rule=span.rule,
        kind=span.kind,
        entity=span.entity,
        fields=dict(span.fields),
        differing=difference.fields,
        cells=cells,
        explained=explained,
        stopped=stopped,
    )


def _why(run: Replay, span: Span) -> tuple[tuple[Cell, ...], str]:
    try:
        found = run.why(span.number)
    except ReplayKitError as exc:
        return (), f"What {span.rule} read can't be told: {exc}"
    return found.cells, found.sentence


def _why_not(run: Replay, span: Span, at: datetime, side: str) -> str:
    """Return what stopped the replay that did not emit it."""
    rule = run.reconciler.rules.get(span.rule)
    if rule is None:
        return f"The {side} reconciler has no rule {span.rule}."
    asked = {name: span.fields[name] for name in rule.key if name in span.fields} or dict(span.fields)
    try:
        found = run.why_not(span.kind, at=at, **asked)
        nearest = next((one for one in found.obstacles if one.rule == span.rule), found.best)
        return f"The {side} replay did not: {nearest.sentence}"
    except (ReplayKitError, TypeError) as exc:
        return f"What stopped the {side} replay can't be told: {exc}"


def _cells(cells: tuple[Cell, ...], runs: tuple[Replay, Replay], steps: list[int]) -> pd.DataFrame:
    import pandas as pd

    values = [_values(run, cells[:_CELLS], step) for run, step in zip(runs, steps, strict=True)]
    rows = []
    for number, cell in enumerate(cells[:_CELLS]):
        set_by = cell.blame
        key = "/".join(show_value(part, 60) for part in cell.key)
        cause = (None, None, None) if set_by is None else (set_by.step, set_by.since, set_by.kind or set_by.input)
        rows.append((cell.table, key, cell.column, values[0][number], values[1][number], *cause, cell.where))
    names = ["table", "key", "column", "old", "new", "step", "since", "caused_by", "where"]
    frame = pd.DataFrame({name: pd.Series([row[n] for row in rows], dtype=object) for n, name in enumerate(names)})
    return frame.astype({"step": "Int64", "since": "datetime64[us]"})


def _values(run: Replay, cells: tuple[Cell, ...], step: int) -> list[Any]:
    """Return what these cells held after a step; None for a row that was not there."""
    found: list[Any] = []
    for cell in cells:
        if cell.table not in run.history.keys or cell.column not in run.history.columns(cell.table):
            found.append(None)
            continue
        where, parameters = run.history.where(cell.table, cell.key)
        rows = run.history.fetch(
            f"SELECT v.{quote(cell.column)} FROM history.{quote(cell.table)} v {where} AND v.valid_from <= {step} "
            f"AND (v.valid_to IS NULL OR v.valid_to > {step})",
            parameters,
        )
        found.append(rows[0][0] if rows else None)
    return found
