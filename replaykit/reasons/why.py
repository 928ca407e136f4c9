"""why(): the cells a rule decided on when it emitted an action, and which steps had made them so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.display import brief, count, is_empty, note_html, show_value, table_html
from replaykit.errors import QueryError, ReconcilerError, StateError, excerpt, show_time
from replaykit.reasons.python_why import cells_behind, shown_place
from replaykit.reasons.running import Trial, traced
from replaykit.reasons.scene import Scene
from replaykit.reasons.undoing import blamed, judged
from replaykit.reasons.values import Cell
from replaykit.yielded import as_action

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import pandas as pd

    from replaykit.declarations import Action, Rule
    from replaykit.reasons.graph import Graph
    from replaykit.replayed import Replay
    from replaykit.state import State

__all__ = ["Why", "why"]


@dataclass(frozen=True, repr=False, eq=False)
class Why:
    """Why a rule emitted an action."""

    number: int
    """The action's number in ``run.actions``."""
    kind: str
    fields: Mapping[str, Any]
    rule: str
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
        told = f"{self.rule} emitted {self.kind}({fields}) at {show_time(self.at)}"
        cause = self.cause
        if cause is not None and cause.blame is not None:
            return f"{told}: {cause.blame.sentence}"
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


def why(run: Replay, action: Any) -> Why:
    """Return why a rule emitted an action: see `replaykit.Replay.why`."""
    row, number = action_row(run, action)
    scene = Scene(run, int(row["tick"]), row["at"].to_pydatetime(), int(row["step"]))
    _, kind, fields, name = run.emitted[number - 1]
    rule = run.reconciler.rules[name]
    place, beyond, cells = "", "", tuple[Cell, ...]()
    if rule.statement is not None:
        from replaykit.reasons.sql_why import sql_cells

        cells, uses_sql = sql_cells(scene, rule, fields), False
    else:
        place, cells, beyond, uses_sql = _in_python(scene, rule, kind, fields, _place_among(run, number))
    trial = Trial(scene, rule, uses_sql=uses_sql)
    cells = judged(scene, blamed(scene, cells), lambda change: _stands(trial, rule, kind, fields, change))
    return Why(number, kind, fields, name, scene.tick, scene.at, scene.step, place, cells, beyond)


def action_row(run: Replay, action: Any) -> tuple[Any, int]:
    """Return the row of ``run.actions`` that is meant, and its number."""
    number = action.get("action") if hasattr(action, "get") else action
    if number is None or is_empty(number) or isinstance(number, bool) or not hasattr(number, "__index__"):
        raise QueryError(
            f"why() takes an action's number or a row of run.actions, and {excerpt(action)} is neither; "
            "run.why(1) is the first action, run.why(run.actions.iloc[0]) is the same."
        )
    if not 1 <= int(number) <= len(run.actions):
        raise QueryError(f"There is no action {int(number)}; this replay emitted {len(run.actions)}: see run.actions.")
    return run.actions.iloc[int(number) - 1], int(number)


def _place_among(run: Replay, number: int) -> int:
    """Return how many equal actions of the same rule and tick stand before this one."""
    found = run.emitted[number - 1]
    before = 0
    for one in reversed(run.emitted[: number - 1]):
        if one[0] != found[0]:
            break
        before += one[1:] == found[1:]
    return before


def _in_python(
    scene: Scene, rule: Rule, kind: str, fields: Mapping[str, Any], before: int
) -> tuple[str, tuple[Cell, ...], str, bool]:
    run = traced(scene, rule, lambda variables: any(hasattr(one, "_rk_table") for one in variables.values()))
    same = [place for _, row, place in run.rows if _is(as_action(rule, row), kind, fields)]
    if not same:
        return (
            "",
            (),
            f"Run once more, rule {rule.name} did not emit it: it depends on more than state and clock",
            False,
        )
    place = same[min(before, len(same) - 1)]
    beyond = "It asks through state.sql, and what that read is not followed" if run.used_sql else ""
    if place is None:
        beyond = "Where it was made is not followed, so these are all cells the rule read"
    return shown_place(place), cells_behind(run, place), beyond, run.used_sql


def _is(action: Action, kind: str, fields: Mapping[str, Any]) -> bool:
    return action.kind == kind and dict(action.fields) == dict(fields)


def _stands(trial: Trial, rule: Rule, kind: str, fields: Mapping[str, Any], change: Callable[[State], None]) -> bool:
    """Return whether the rule still emits an action after a change; a rule that raises emits nothing."""
    try:
        return any(_is(as_action(rule, row), kind, fields) for row in trial.rows(change))
    except (ReconcilerError, StateError):
        return False
    except Exception:  # noqa: BLE001 - whatever a rule raises on a state it did not expect
        return False
