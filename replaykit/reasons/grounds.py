"""why(): run the rule, or the invariant, once more where it spoke, and look at what it read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.collector import collector_resting
from replaykit.display import is_empty
from replaykit.errors import QueryError, excerpt
from replaykit.reasons.program_why import of_program, program_grounds
from replaykit.reasons.python_why import cells_behind, shown_place
from replaykit.reasons.running import Trial, traced
from replaykit.reasons.scene import Scene
from replaykit.reasons.undoing import blamed, judged
from replaykit.reasons.why import Why
from replaykit.results import entity_of
from replaykit.yielded import as_action, as_row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replaykit.declarations import Invariant, Rule
    from replaykit.reasons.values import Cell
    from replaykit.replayed import Replay
    from replaykit.state import State

__all__ = ["why"]


@collector_resting()
def why(run: Replay, asked: Any) -> Why:
    """Return why a rule emitted an action, or an invariant was broken: see `replaykit.Replay.why`."""
    if hasattr(asked, "get") and asked.get("violation") is not None:
        return _of_violation(run, asked)
    number = _number(asked, "action", len(run.actions))
    row = run.actions.iloc[number - 1]
    scene = Scene(run, int(row["tick"]), row["at"].to_pydatetime(), int(row["step"]))
    _, kind, fields, name = run.emitted[number - 1]
    rule = run.reconciler.rules[name]

    def same(given: Any) -> bool:
        action = as_action(rule, given)
        return action.kind == kind and dict(action.fields) == dict(fields)

    place, cells, beyond = _grounds(scene, rule, same, _place_among(run, number))
    return Why(number, kind, fields, name, scene.tick, scene.at, scene.step, place, cells, beyond)


def _of_violation(run: Replay, asked: Any) -> Why:
    """Return why an invariant was first found broken."""
    number = _number(asked, "violation", len(run.violations))
    row = run.violations.iloc[number - 1]
    at = row["opened_at"].to_pydatetime()
    scene = Scene(run, int(row["opened_tick"]), at, int(row["opened_step"]))
    invariant, found = run.reconciler.invariants[row["invariant"]], list[Any]()

    def same(given: Any) -> bool:
        detail = as_row(invariant, given)
        matches = bool(entity_of(detail[name] for name in invariant.key) == row["entity"])
        found.extend([detail] if matches and not found else [])
        return matches

    place, cells, beyond = _grounds(scene, invariant, same, 0)
    detail = found[0] if found else {}
    return Why(number, "violation", detail, invariant.name, scene.tick, at, scene.step, place, cells, beyond)


def _number(asked: Any, what: str, most: int) -> int:
    """Return the number of an action or a violation; it, or a row that has it, was given."""
    number = asked.get(what) if hasattr(asked, "get") else asked
    if number is None or is_empty(number) or isinstance(number, bool) or not hasattr(number, "__index__"):
        raise QueryError(
            f"why() takes an action's number, a row of run.actions or one of run.violations, and {excerpt(asked)} is "
            "none of these; run.why(1) is the first action, run.why(run.actions.iloc[0]) is the same."
        )
    if not 1 <= int(number) <= most:
        raise QueryError(f"There is no {what} {int(number)}; this replay has {most}: see run.{what}s.")
    return int(number)


def _place_among(run: Replay, number: int) -> int:
    """Return how many equal actions of the same rule and tick stand before this one."""
    found = run.emitted[number - 1]
    before = 0
    for one in reversed(run.emitted[: number - 1]):
        if one[0] != found[0]:
            break
        before += one[1:] == found[1:]
    return before


def _grounds(
    scene: Scene, declared: Rule | Invariant, same: Callable[[Any], bool], before: int
) -> tuple[str, tuple[Cell, ...], str]:
    """Return where a row was made, the cells behind it, and what could not be looked into.

    Parameters
    ----------
    same
        Whether something that was yielded is what is asked about.
    before
        How many such come before it.
    """
    if of_program(declared):
        return program_grounds(scene, declared, same, before)
    if declared.statement is not None:
        place, cells, beyond, uses_sql = *_in_sql(scene, declared, same), False
    else:
        place, cells, beyond, uses_sql = _in_python(scene, declared, same, before)
    trial = Trial(scene, declared, uses_sql=uses_sql)
    return place, judged(scene, blamed(scene, cells), lambda change: _stands(trial, same, change)), beyond


def _in_sql(scene: Scene, declared: Rule | Invariant, same: Callable[[Any], bool]) -> tuple[str, tuple[Cell, ...], str]:
    from replaykit.reasons.sql_why import sql_grounds

    row: Mapping[str, Any] | None = next((one for one in Trial(scene, declared).rows() if same(one)), None)
    if row is None:
        return "", (), _outside(declared)
    return "", *sql_grounds(scene, declared, row)


def _outside(declared: Rule | Invariant) -> str:
    return f"Run once more, {declared.name} did not say it: it depends on more than state and clock"


def _in_python(
    scene: Scene, declared: Rule | Invariant, same: Callable[[Any], bool], before: int
) -> tuple[str, tuple[Cell, ...], str, bool]:
    run = traced(scene, declared, lambda variables: any(hasattr(one, "_rk_table") for one in variables.values()))
    places = [place for _, row, place in run.rows if same(row)]
    if not places:
        return "", (), _outside(declared), False
    place = places[min(before, len(places) - 1)]
    beyond = "It asks through state.sql, and what that read is not followed" if run.used_sql else ""
    if place is None:
        beyond = "Where it was made is not followed, so these are all cells it read"
    return shown_place(place), cells_behind(run, place), beyond, run.used_sql


def _stands(trial: Trial, same: Callable[[Any], bool], change: Callable[[State], None]) -> bool:
    """Return whether the same is still said after a change; what raises says nothing."""
    try:
        return any(same(row) for row in trial.rows(change))
    except Exception:  # noqa: BLE001 - whatever a rule raises on a state it did not expect
        return False
