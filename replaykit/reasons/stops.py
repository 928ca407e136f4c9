"""Stops: the tests at which control turned away from something, read off the lines it went through."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from replaykit.reasons.syntax import Body, Test

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["emits", "refusals"]

_LEAVING = (ast.Continue, ast.Break, ast.Return, ast.Raise)


def refusals(
    body: Body, lines: list[int], numbers: Iterable[int], loop: Any, kind: str | None = None, *, flat: bool = False
) -> list[tuple[Test, int]]:
    """Return the tests that kept control from an emission, each with the number of its line; one turned would do.

    Parameters
    ----------
    numbers
        The lines gone through, by their number: one round of `loop`, or a whole call if that is None.
    kind
        The kind of action looked for: emissions that name it count before others.
    flat
        Leave emissions inside of loops aside.
    """
    passed = [number for number in numbers if number < len(lines)]
    if not passed:
        return []
    last = body.statement_at(lines[passed[-1]])
    if isinstance(last, _LEAVING) and not _gives(last):
        found = list(_around(body, last, loop))
        if found:
            return [(test, number) for test in found for number in [_number(lines, passed, test)] if number is not None]
    return _passed_by(body, lines, passed, loop, kind, flat=flat)


def _gives(statement: Any) -> bool:
    """Return whether a return gives something that was made there."""
    return isinstance(statement, ast.Return) and statement.value is not None and emits(statement, None)


def _around(body: Body, statement: ast.stmt, loop: Any) -> Iterator[Test]:
    """Yield the tests that led to a statement: the nearest one, and those before it in the same chain of elif."""
    inner: Any = statement
    for one in body.around(statement):
        if one is loop or one is body.node or isinstance(one, (ast.For, ast.While)):
            return
        if isinstance(one, ast.If):
            inside = inner in one.body
            if not inside or inner is statement:
                yield Test(one.test, not inside, one.test.lineno)
            if inside:
                return
        inner = one


def _number(lines: list[int], passed: list[int], test: Test) -> int | None:
    """Return the last time a test was gone through."""
    first, end = test.expression.lineno, test.expression.end_lineno or test.expression.lineno
    return next((number for number in reversed(passed) if first <= lines[number] <= end), None)


def _passed_by(
    body: Body, lines: list[int], passed: list[int], loop: Any, kind: str | None, *, flat: bool
) -> list[tuple[Test, int]]:
    """Return the tests that led past emissions."""
    gone = {lines[number] for number in passed}
    around = loop.body if loop is not None else getattr(body.node, "body", [])
    scope = around if isinstance(around, list) else []
    targets = [one for one in body.statements if emits(one, None) and _is_under(body, one, scope)]
    if not targets and loop is not None:  # what it does with others then counts
        targets = [one for one in body.statements if _is_under(body, one, scope) and not hasattr(one, "body")]
    if flat:
        targets = [one for one in targets if not any(isinstance(o, (ast.For, ast.While)) for o in body.around(one))]
    named = [one for one in targets if kind is not None and emits(one, kind)]
    found: dict[int, tuple[Test, int]] = {}
    for target in named or targets:
        if any(target.lineno <= line <= (target.end_lineno or target.lineno) for line in gone):
            continue
        test = _outermost_refusing(body, target, loop, lines, passed)
        if test is not None:
            found.setdefault(test[1], test)
    return list(found.values())


def _is_under(body: Body, statement: ast.stmt, scope: list[Any]) -> bool:
    return statement in scope or any(one in scope for one in body.around(statement))


def _outermost_refusing(
    body: Body, target: ast.stmt, loop: Any, lines: list[int], passed: list[int]
) -> tuple[Test, int] | None:
    """Return the last test gone through among those around a statement that was not reached."""
    inner: Any = target
    for one in body.around(target):
        if one is loop:
            return None
        if isinstance(one, ast.If):
            test = Test(one.test, inner in one.body, one.test.lineno)
            number = _number(lines, passed, test)
            if number is not None:
                return test, number
        inner = one
    return None


def emits(statement: ast.AST, kind: str | None) -> bool:
    """Return whether a statement yields, returns or makes an Action, by itself; with `kind`, whether it names it."""
    if isinstance(statement, (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.FunctionDef, ast.ClassDef, ast.Match)):
        return False
    nodes = list(ast.walk(statement))
    if kind is not None:
        return any(isinstance(one, ast.Constant) and one.value == kind for one in nodes)
    return any(isinstance(one, (ast.Yield, ast.YieldFrom)) or _makes_action(one) for one in nodes)


def _makes_action(node: ast.AST) -> bool:
    called = getattr(node, "func", None)
    return "Action" in (getattr(called, "id", ""), getattr(called, "attr", ""))
