"""Why a program's rule asked for something: the cells it says it read, and what had set them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.declarations import Action, Rule
from replaykit.errors import ExternalError, QueryError, excerpt
from replaykit.reasons.undoing import blamed, judged
from replaykit.reasons.values import Cell
from replaykit.reasons.why import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from replaykit.declarations import Invariant
    from replaykit.external.session import Session
    from replaykit.reasons.scene import Scene
    from replaykit.replayed import Replay
    from replaykit.state import State

__all__ = ["of_program", "program_grounds", "refuse_readers", "refuse_why_not"]

_SAID = "said by the program"


def of_program(declared: Rule | Invariant) -> bool:
    """Return whether a rule or an invariant is one of an external program."""
    return bool(getattr(declared.function, "unfollowed", False))


def refuse_why_not(run: Replay, rules: Iterable[Rule]) -> None:
    """Raise a QueryError if one of these rules is a program's: nobody sees where it turned away."""
    name = next((rule.name for rule in rules if of_program(rule)), None)
    if name is not None:
        raise QueryError(
            f"why_not() can't look into rule {name!r}: it belongs to {_program(run)}, a process of its own, and only "
            "rules in Python and SQL can be followed. run.why() tells what it read where it says so; run.first() and "
            "run.when() ask about the state."
        )


def refuse_readers(run: Replay) -> None:
    """Raise a QueryError if the rules are those of a program that does not say what it reads."""
    rules = run.reconciler.rules.values()
    if rules and all(map(of_program, rules)) and not run.reconciler.hello.says("reads"):  # type: ignore[attr-defined]
        raise QueryError(
            f"readers() knows nothing of {_program(run)}: it does not say what its rules read. Let its hello say "
            '"reads": true, and its actions name the cells.'
        )


def _program(run: Replay) -> str:
    return str(getattr(run.reconciler, "program", None) and run.reconciler.program.name)  # type: ignore[attr-defined]


def program_grounds(
    scene: Scene, declared: Rule | Invariant, same: Callable[[Any], bool], before: int
) -> tuple[str, tuple[Cell, ...], str]:
    """Ask the program once more on the state of that tick; return no place, its cells, and what could not be told.

    Parameters
    ----------
    same
        Whether something the rule gave is what is asked about.
    before
        How many such come before it.
    """
    reconciler: Any = scene.run.reconciler
    state = scene.state()
    with reconciler.session(state) as session:
        found = [one for one in _given(session, declared) if same(_made(declared, one))]
        if not found:
            return "", (), f"Asked once more, {declared.name} did not say it: it depends on more than state and clock"
        reads = found[min(before, len(found) - 1)].get("reads")
        if reads is None:
            return "", (), SILENT
        cells = blamed(scene, tuple(_cells(state, reads, session)))
        return "", judged(scene, cells, lambda change: _stands(session, state, declared, same, change)), ""


def _given(session: Session, declared: Rule | Invariant) -> list[dict[str, Any]]:
    if isinstance(declared, Rule):
        return [one for one in session.reconcile() if one["rule"] == declared.name]
    return [one for one in session.check() if one["invariant"] == declared.name]


def _made(declared: Rule | Invariant, one: dict[str, Any]) -> Any:
    return Action(one["kind"], **one["fields"]) if isinstance(declared, Rule) else one["fields"]


def _cells(state: State, reads: Iterable[list[Any]], session: Session) -> Iterable[Cell]:
    """Yield the cells that are there among those the program says it read, each once."""
    seen: set[tuple[str, Any, str]] = set()
    for table, parts, columns in reads:
        key = session.key_in(table, parts)
        row = state[table].get(key)
        for column in columns:
            if row is not None and column not in row:
                raise ExternalError(f"{_SAID}: it read {table}.{column}; the table has {list(row)}.")
            if row is not None and (table, key, column) not in seen:
                seen.add((table, key, column))
                yield Cell(table, key if isinstance(key, tuple) else (key,), column, row[column], _SAID)


def _stands(
    session: Session,
    state: State,
    declared: Rule | Invariant,
    same: Callable[[Any], bool],
    change: Callable[[State], None],
) -> bool:
    """Return whether the program still says it on a changed state, which is changed back."""
    mark = len(state.changes)
    try:
        change(state)
        session.reload()
        return any(same(_made(declared, one)) for one in _given(session, declared))
    except ExternalError as exc:
        raise QueryError(
            f"The program broke when it was asked on a state without one write: {excerpt(str(exc))}"
        ) from exc
    except Exception:  # noqa: BLE001 - a refusal on a state it did not expect says nothing
        return False
    finally:
        state.undo(mark)
