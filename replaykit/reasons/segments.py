"""Segments: the rounds of loops, or the calls, in which a rule dealt with an entity."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.reasons.chains import body_of_log
from replaykit.reasons.stops import emits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replaykit.reasons.entity import Entity
    from replaykit.reasons.running import Run
    from replaykit.reasons.syntax import Body
    from replaykit.reasons.tracing import FrameLog

__all__ = ["Segment", "segments"]


@dataclass(frozen=True)
class Segment:
    """A part of a call: one round of a loop, or all of it."""

    log: FrameLog
    body: Body
    loop: Any
    """The loop's syntax; None for the whole call."""
    numbers: tuple[int, ...]
    """The lines gone through, by their number in the call's log."""
    level: int
    """How near it is to the entity: 0 deals with its row, 1 with a row that names it, 2 with a value that does, 3 with
    what holds one of the rows."""
    bound: bool
    """Whether the loop goes over the entity, or the function was given it."""
    may_emit: bool
    """Whether an emission stands in it."""

    @property
    def order(self) -> tuple[Any, ...]:
        """What comes first is looked into first."""
        return (not self.may_emit, not self.bound, self.level, self.numbers[0] if self.numbers else 0)


def segments(run: Run, entity: Entity) -> list[Segment]:
    """Return where a rule dealt with an entity, the most telling first."""
    found: dict[tuple[int, int, int], Segment] = {}
    for place, log in enumerate(run.tracer.logs):
        body = body_of_log(log.code)
        if body is None or not log.lines:
            continue
        for segment in _of_call(run, log, body, entity):
            key = (place, id(segment.loop), segment.numbers[0])
            known = found.get(key)
            if known is None or (segment.level, not segment.bound) < (known.level, not known.bound):
                found[key] = segment
    order = {id(log): place for place, log in enumerate(run.tracer.logs)}
    return sorted(found.values(), key=lambda one: (*one.order[:3], order[id(one.log)], one.order[3]))


def _of_call(run: Run, log: FrameLog, body: Body, entity: Entity) -> Iterator[Segment]:
    rounds = body.iterations(log.lines)
    states = {**log.seen, len(log.lines) - 1: log.seen.get(len(log.lines) - 1, log.last)}
    targets = [(loop, _targets(loop)) for loop in body.loops]
    for number, variables in sorted(states.items()):
        for name, value in variables.items():
            level = entity.level(value)
            over = any(name in names for _, names in targets) and not any(
                name in names and body.inside(loop, log.lines[number]) for loop, names in targets
            )
            if level < 4 and not over and not _left_behind(body, rounds, states, number, name):
                yield _segment(run, log, body, rounds, number, name, level)


def _left_behind(
    body: Body, rounds: list[tuple[tuple[int, int], ...]], states: dict[int, Any], number: int, name: str
) -> bool:
    """Return whether a variable had its value before the round it is looked at in, from a round that is over."""
    if body.is_comprehension or not rounds[number]:
        return False
    header, which = rounds[number][-1]
    if any(body.header(loop) == header and name in _targets(loop) for loop in body.loops):
        return False
    first = number
    while first > 0 and (header, which) in rounds[first - 1]:
        first -= 1
    if first == number:  # its header, where nothing is new but what the loop itself gives
        return which > 0
    before = states.get(first, {})
    return name in before and before[name] is states[number][name]


def _segment(
    run: Run, log: FrameLog, body: Body, rounds: list[tuple[tuple[int, int], ...]], number: int, name: str, level: int
) -> Segment:
    loop, bound = _loop_of(body, rounds[number], name, log.lines[number])
    mine = rounds[number]
    if loop is None:
        given = name in log.code.co_varnames[: log.code.co_argcount]
        return Segment(log, body, None, tuple(range(len(log.lines))), level, given, _may_emit(run, log, body, None))
    header = body.header(loop)
    which = dict(mine).get(header)
    numbers = tuple(n for n, one in enumerate(rounds) if dict(one).get(header) == which)
    return Segment(log, body, loop, numbers or (number,), level, bound, _may_emit(run, log, body, loop))


def _loop_of(body: Body, rounds: tuple[tuple[int, int], ...], name: str, line: int) -> tuple[Any, bool]:
    """Return the loop that gives a variable its value, or else the innermost around the line, and which it was."""
    around = {header for header, _ in rounds}
    loops = [loop for loop in body.loops if body.header(loop) in around]
    for loop in loops:
        if name in _targets(loop):
            return loop, True
    inner = [loop for loop in loops if body.inside(loop, line)]
    return (inner[-1], False) if inner else (None, False)


def _targets(loop: Any) -> set[str]:
    parts = [one.target for one in loop.generators] if hasattr(loop, "generators") else [getattr(loop, "target", None)]
    return {one.id for part in parts if part is not None for one in ast.walk(part) if isinstance(one, ast.Name)}


def _may_emit(run: Run, log: FrameLog, body: Body, loop: Any) -> bool:
    if body.is_comprehension:
        return emits(ast.Expression(body.node), None)
    scope = loop.body if loop is not None else getattr(body.node, "body", [])
    inside = [
        one
        for one in body.statements
        if isinstance(scope, list) and any(one is s or s in body.around(one) for s in scope)
    ]
    return (log.code is run.code and any(emits(one, None) for one in inside)) or any(
        emits(one, None) for one in inside if log.is_generator
    )
