"""Why a Python rule did not emit an action: where it turned away from the entity, or which find left it out."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replaykit.display import show_value
from replaykit.errors import StateError, excerpt
from replaykit.reasons.chains import body_of_log
from replaykit.reasons.due import MOMENT, threshold_of
from replaykit.reasons.entity import Entity, entity_of
from replaykit.reasons.explaining import Explainer, Scope
from replaykit.reasons.left_out import Candidate, elsewhen, left_out
from replaykit.reasons.running import Run, Trial, traced
from replaykit.reasons.segments import Segment, segments
from replaykit.reasons.stops import refusals
from replaykit.reasons.syntax import Test, place_name
from replaykit.reasons.values import Need, Obstacle
from replaykit.rows import plain
from replaykit.yielded import as_action

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replaykit.declarations import Action, Rule
    from replaykit.reasons.scene import Scene
    from replaykit.state import State

__all__ = ["emitted_like", "python_obstacle"]

_TRIED = 6  # candidates that are tried out


def python_obstacle(scene: Scene, rule: Rule, kind: str, fields: Mapping[str, Any]) -> Obstacle:
    """Return what stopped a Python rule at one tick.

    Of several candidates the first is told that a trial confirms: with the named values set, the rule emits the action
    or stops at another place.
    """
    plain_run = traced(scene, rule, None)
    known = emitted_like(rule, plain_run, kind, fields)
    if known is not None:
        return _emitted(scene, rule, known, fields)
    if plain_run.error is not None:
        return _raised(scene, rule, traced(scene, rule, lambda _: False))
    entity = entity_of(rule, fields, plain_run.state, [find.table for find in plain_run.notes.finds])
    run = traced(scene, rule, entity.holds)
    candidates = list(_candidates(run, entity, kind, fields))
    chosen = _confirmed(scene, rule, kind, fields, run, candidates)
    if chosen is None:
        return _no_trace(scene, rule, run, entity)
    return _obstacle(scene, rule, run, chosen)


def emitted_like(rule: Rule, run: Run, kind: str, fields: Mapping[str, Any]) -> Action | None:
    """Return the action a rule emitted for these fields, or for those of its key; None if it emitted none."""
    named = [name for name in rule.key if name in fields] or list(fields)
    for _, row, _ in run.rows:
        action = as_action(rule, row)
        if action.kind == kind and all(action.get(name) == fields[name] for name in named):
            return action
    return None


def _emitted(scene: Scene, rule: Rule, action: Action, fields: Mapping[str, Any]) -> Obstacle:
    base = _blank(scene, rule)
    other = [name for name in fields if action.get(name) != fields[name]]
    if not other:
        return replace(base, stop="emitted", reason=f"it emitted {action.kind} for it")
    told = ", ".join(f"{name}={show_value(action.get(name), 60)}" for name in other)
    asked = ", ".join(f"{name}={show_value(fields[name], 60)}" for name in other)
    return replace(base, stop="other fields", reason=f"it emitted {action.kind} with {told}, not {asked}")


def _blank(scene: Scene, rule: Rule) -> Obstacle:
    return Obstacle(rule.name, scene.tick, scene.at, scene.step, "unknown", "", "", "")


def _raised(scene: Scene, rule: Rule, run: Run) -> Obstacle:
    error = run.error
    trace = error.__traceback__ if error is not None else None
    where = ""
    while trace is not None:
        log = next((one for one in run.tracer.logs if one.code is trace.tb_frame.f_code), None)
        where = place_name(log.code.co_filename, trace.tb_lineno) if log is not None else where
        trace = trace.tb_next
    reason = f"it raised {type(error).__name__}: {excerpt(str(error))}"
    return replace(_blank(scene, rule), stop="raised", where=where, reason=reason)


def _candidates(run: Run, entity: Entity, kind: str, fields: Mapping[str, Any]) -> Iterator[Candidate]:
    """Yield what may have stopped the rule, the most telling first."""
    explainer = Explainer(run, fields)
    found = segments(run, entity)
    for segment in [one for one in found if one.may_emit]:
        yield from _turned_away(run, explainer, segment, kind)
    for level, rows in enumerate((entity.rows, entity.naming)):
        yield from left_out(run, rows)
        for segment in [one for one in found if not one.may_emit and (one.level > 0) == (level > 0)]:
            yield from _turned_away(run, explainer, segment, kind)
    if entity.rows or entity.naming:
        yield from _not_reached(run, explainer, kind)


def _turned_away(run: Run, explainer: Explainer, segment: Segment, kind: str, depth: int = 0) -> Iterator[Candidate]:
    log, body = segment.log, segment.body
    if body.is_comprehension or not body.statements:
        yield from _filtered(explainer, segment)
        return
    tests = refusals(body, log.lines, segment.numbers, segment.loop, kind)
    for test, number in tests:
        yield from _explained(explainer, test, log, number, "turned away")
    if not tests and depth < 4:  # it handed on to another function, from which nothing came
        for inner in _handed_to(run, segment):
            yield from _turned_away(run, explainer, inner, kind, depth + 1)


def _explained(explainer: Explainer, test: Test, log: Any, number: int, stop: str) -> Iterator[Candidate]:
    scope = Scope(log, number, log.seen.get(number, log.last))
    where, source = place_name(log.code.co_filename, log.lines[number]), ast.unparse(test.expression)
    for finding in explainer.explain(test.expression, test.wanted, scope):
        deeper = finding.where != where
        reason = f"{finding.reason} ({finding.where}), so it turned away at {source}" if deeper else finding.reason
        yield Candidate(stop, replace(finding, where=where, source=source, reason=reason))


def _handed_to(run: Run, segment: Segment) -> Iterator[Segment]:
    """Yield the calls made in a segment of functions that could have emitted."""
    numbers = set(segment.numbers)
    for log in run.tracer.logs:
        body = body_of_log(log.code)
        called = [place for _, place in log.entries if place is not None]
        if body is not None and any(place.log is segment.log and place.number in numbers for place in called):
            yield replace(segment, log=log, body=body, loop=None, numbers=tuple(range(len(log.lines))))


def _filtered(explainer: Explainer, segment: Segment) -> Iterator[Candidate]:
    """Yield the conditions of a comprehension, or the result of a lambda, that kept a row out."""
    log, body = segment.log, segment.body
    last = segment.numbers[-1] if segment.numbers else len(log.lines) - 1
    scope = Scope(log, last, log.seen.get(last, log.last))
    parts = [one for part in getattr(body.node, "generators", ()) for one in part.ifs] or [
        getattr(body.node, "body", None)
    ]
    for part in parts:
        if part is None or isinstance(part, list):
            continue
        if explainer.truth(part, scope) is False:
            for finding in explainer.explain(part, True, scope):
                yield Candidate("turned away", finding)
            return


def _not_reached(run: Run, explainer: Explainer, kind: str) -> Iterator[Candidate]:
    """Yield the tests after which the rule's own function ended, or left a loop, before it came to the entity."""
    for log in [one for one in run.tracer.logs if one.code is run.code]:
        body = body_of_log(log.code)
        if body is None or not log.lines:
            continue
        for test, number in refusals(body, log.lines, range(len(log.lines)), None, kind, flat=True):
            yield from _explained(explainer, test, log, number, "not reached")


def _confirmed(
    scene: Scene, rule: Rule, kind: str, fields: Mapping[str, Any], run: Run, candidates: list[Candidate]
) -> Candidate | None:
    """Return the first candidate that a trial confirms, or else the first of all."""
    if not candidates:
        return None
    trial = Trial(scene, rule, uses_sql=run.used_sql)
    for one in candidates[:_TRIED]:
        if _does_it(trial, rule, kind, fields, one):
            return one
    return next((one for one in candidates[:_TRIED] if _moves_on(scene, rule, kind, fields, one)), candidates[0])


def _moves_on(scene: Scene, rule: Rule, kind: str, fields: Mapping[str, Any], candidate: Candidate) -> bool:
    """Return whether the rule stops at another place once what a candidate needs is so, or there is nothing to try."""
    finding = candidate.finding
    if finding.turn is not None or not finding.needs:
        return True

    try:
        changed = scene.with_cells([(one.table, one.key, one.column, one.value) for one in finding.needs])
    except StateError:  # the value does not fit
        return False
    run = traced(changed, rule, None)
    entity = entity_of(rule, fields, run.state, [find.table for find in run.notes.finds])
    following = next(_candidates(traced(changed, rule, entity.holds), entity, kind, fields), None)
    return following is not None and (following.stop, following.finding) != (candidate.stop, finding)


def _does_it(trial: Trial, rule: Rule, kind: str, fields: Mapping[str, Any], candidate: Candidate) -> bool:
    """Return whether the action is emitted once what a candidate needs is so."""
    finding = candidate.finding
    named = [name for name in rule.key if name in fields] or list(fields)
    try:
        if finding.turn is not None:
            rows = trial.rows(at=finding.turn.turns_at + MOMENT)
        elif finding.needs:
            rows = trial.rows(lambda state: put(state, finding.needs))
        else:
            return False
        actions = [as_action(rule, row) for row in rows]
    except Exception:  # noqa: BLE001 - a rule may raise on a state it did not expect
        return False
    return any(one.kind == kind and all(one.get(n) == plain(fields[n]) for n in named) for one in actions)


def put(state: State, needs: tuple[Need, ...]) -> None:
    """Set the cells that needs name."""
    for need in needs:
        state[need.table].update(need.key if len(need.key) > 1 else need.key[0], {need.column: need.value})


def _obstacle(scene: Scene, rule: Rule, run: Run, chosen: Candidate) -> Obstacle:
    finding = chosen.finding
    threshold = threshold_of(scene, finding.turn) if finding.turn is not None else None
    beyond = "it asks through state.sql, and what that read is not followed" if run.used_sql else ""
    return replace(
        _blank(scene, rule), stop=chosen.stop, where=finding.where, source=finding.source, reason=finding.reason,
        cells=finding.cells, needs=finding.needs, threshold=threshold, beyond=beyond,
    )  # fmt: skip


def _no_trace(scene: Scene, rule: Rule, run: Run, entity: Entity) -> Obstacle:
    """Return the answer where the rule never came to anything of the entity."""
    blank = _blank(scene, rule)
    named = " or ".join(show_value(one, 60) for one in entity.values)
    if run.tracer.cut or run.first is None:
        return replace(blank, beyond="the rule's code could not be followed", reason="it did not emit it")
    tables = sorted({find.table for find in run.notes.finds})
    if not any(table in tables for table, _ in entity.rows | entity.naming):
        told = f"no row of {', '.join(tables) or 'any table'} has or names {named}"
        return replace(blank, stop="no row", reason=told + elsewhen(scene, tables, entity))
    return replace(blank, stop="not reached", reason=f"it never came to {named}")
