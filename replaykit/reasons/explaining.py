"""Explaining a condition in Python: which part of it decided, on which cells, and what would turn it.

Operands are evaluated once more with the variables that the function had; a rule only reads, so that changes nothing.
"""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.reasons.chains import body_of_log
from replaykit.reasons.needs import Examples, need_for
from replaykit.reasons.syntax import place_name
from replaykit.reasons.tracing import Tracer, tracing
from replaykit.reasons.wording import bare, cell, shown, text, within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replaykit.reasons.notes import Read
    from replaykit.reasons.running import Run, Turn
    from replaykit.reasons.tracing import FrameLog
    from replaykit.reasons.values import Cell, Need

__all__ = ["Explainer", "Finding"]

_DEEPEST = 6
_FEW = 3
_OPERATORS = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Is: "is",
    ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """A part of a condition that would have to turn."""

    where: str
    source: str
    reason: str
    cells: tuple[Cell, ...] = ()
    needs: tuple[Need, ...] = ()
    turn: Turn | None = None
    wanted: bool = True


class Scope(NamedTuple):
    """Where an expression stood: the call, the number of its line, and the variables there."""

    log: FrameLog
    number: int
    variables: Mapping[str, Any]
    given: tuple[Read, ...] = ()
    """What was read for the arguments of the call."""


class Explainer:
    """Explains conditions of one traced run."""

    def __init__(self, run: Run, fields: Mapping[str, Any] | None = None) -> None:
        self._run = run
        self._fields = fields or {}

    def explain(self, expression: ast.expr, wanted: bool, scope: Scope, depth: int = 0) -> list[Finding]:
        """Return the parts of a condition that stood against its being `wanted`; one of them turned would do.

        Where several operands stand against it one after another, only the first is told: the next one is the next
        question.
        """
        if isinstance(expression, ast.UnaryOp) and isinstance(expression.op, ast.Not):
            return self.explain(expression.operand, not wanted, scope, depth)
        if isinstance(expression, ast.BoolOp):
            return self._several(expression, wanted, scope, depth)
        if isinstance(expression, ast.IfExp):
            taken = self.truth(expression.test, scope)
            if taken is not None and isinstance(expression.body if not taken else expression.orelse, ast.Constant):
                return self.explain(expression.body if taken else expression.orelse, wanted, scope, depth)
            return self.explain(expression.test, not taken, scope, depth)
        if isinstance(expression, ast.Call) and depth < _DEEPEST:
            found = self._called(expression, wanted, scope, depth)
            if found:
                return found
        if isinstance(expression, ast.Name) and depth < _DEEPEST:
            made = self._assigned(expression.id, scope)
            if made is not None:
                return self.explain(made[0], wanted, made[1], depth + 1)
        return [self._leaf(expression, wanted, scope)]

    def _several(self, expression: ast.BoolOp, wanted: bool, scope: Scope, depth: int) -> list[Finding]:
        one_does = isinstance(expression.op, ast.Or) == wanted
        found: list[Finding] = []
        for operand in expression.values:
            value = self.truth(operand, scope)
            if value is wanted or (value is None and not one_does):
                continue
            found += self.explain(operand, wanted, scope, depth)
            if not one_does:
                break
        found.sort(key=lambda one: not (one.needs or one.turn))  # what can be tried is told first
        return found or [self._leaf(expression, wanted, scope)]

    def truth(self, expression: ast.expr, scope: Scope) -> bool | None:
        """Return whether an expression was true; None if that can't be told."""
        self._run.notes.muted += 1
        try:
            return bool(self.value(expression, scope))
        except Exception:  # noqa: BLE001 - an operand that was never reached may not go through
            return None
        finally:
            self._run.notes.muted -= 1

    def value(self, expression: ast.expr, scope: Scope) -> Any:
        """Evaluate an expression where it stood."""
        if any(isinstance(one, (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)) for one in ast.walk(expression)):
            raise ValueError
        code = compile(ast.Expression(expression), scope.log.code.co_filename, "eval")
        # One namespace: a comprehension inside would not see the variables otherwise.
        return eval(code, {**scope.log.namespace, **scope.variables})  # noqa: S307 - the rule's own code

    def _called(self, call: ast.Call, wanted: bool, scope: Scope, depth: int) -> list[Finding]:
        """Go into a call of a function that can be followed, or of any() and all()."""
        function = getattr(call.func, "id", "")
        if function in ("any", "all") and len(call.args) == 1 and isinstance(call.args[0], ast.GeneratorExp):
            return self._any_or_all(function, call.args[0], wanted, scope, depth)
        tracer = Tracer(lambda _: True, scope.log.code.co_filename)
        notes = self._run.notes
        mark = len(notes.reads)
        try:
            target, arguments, named = self._operands(call, scope)
            given = (*scope.given, *notes.reads[mark:])
            notes.muted += 1
            with tracing(tracer):
                returned = target(*arguments, **named)
            notes.muted -= 1
        except Exception:  # noqa: BLE001 - then there is nothing to go into
            notes.muted = 0
            return []
        finally:
            del notes.reads[mark:]
        code = getattr(target, "__code__", None)
        log = next((one for one in tracer.logs if one.code is code), None)
        if log is None or log.is_generator or bool(returned) is wanted:
            return []
        return self._returned(log, wanted, depth + 1, given)

    def _operands(self, call: ast.Call, scope: Scope) -> tuple[Any, list[Any], dict[str, Any]]:
        arguments: list[Any] = []
        for one in call.args:
            if isinstance(one, ast.Starred):
                arguments += self.value(one.value, scope)
            else:
                arguments.append(self.value(one, scope))
        named: dict[str, Any] = {}
        for pair in call.keywords:
            named |= {pair.arg: self.value(pair.value, scope)} if pair.arg else dict(self.value(pair.value, scope))
        return self.value(call.func, scope), arguments, named

    def _returned(self, log: FrameLog, wanted: bool, depth: int, given: tuple[Read, ...]) -> list[Finding]:
        """Explain why a function returned what it did."""
        from replaykit.reasons.stops import refusals

        body = body_of_log(log.code)
        if body is None or not log.lines:
            return []
        last = len(log.lines) - 1
        scope = Scope(log, last, log.seen.get(last, log.last), given)
        if isinstance(body.node, ast.Lambda):
            return self.explain(body.node.body, wanted, scope, depth)
        statement = body.statement_at(log.lines[last])
        value = statement.value if isinstance(statement, ast.Return) else None
        if value is not None and not isinstance(value, ast.Constant):
            return self.explain(value, wanted, scope, depth)
        found: list[Finding] = []
        for test, number in refusals(body, log.lines, range(len(log.lines)), None):
            inner = Scope(log, number, log.seen.get(number, log.last), given)
            found += self.explain(test.expression, test.wanted, inner, depth)
        return found

    def _any_or_all(
        self, function: str, generator: ast.GeneratorExp, wanted: bool, scope: Scope, depth: int
    ) -> list[Finding]:
        """Explain any() or all(): by the one element that decided, or, where all did, by each of the first."""
        found: list[Finding] = []
        elements = list(self._elements(generator, scope))
        for variables in elements:
            inner = scope._replace(variables=variables)
            truth = self.truth(generator.elt, inner)
            if truth is None or truth is wanted:
                continue
            found += self.explain(generator.elt, wanted, inner, depth + 1)
            if (function == "any") is not wanted or len(found) >= _FEW:
                break
        if not elements:
            return [replace(self._leaf(generator, wanted, scope), reason=f"{text(generator)} gave nothing")]
        return found

    def _elements(self, generator: ast.GeneratorExp, scope: Scope) -> list[dict[str, Any]]:
        """Return the variables inside a generator expression for each element that passes its conditions."""
        names = sorted({
            one.id for part in generator.generators for one in ast.walk(part.target) if isinstance(one, ast.Name)
        })  # fmt: skip
        listed = ast.Tuple([ast.Name(name, ast.Load()) for name in names], ast.Load())
        every = ast.ListComp(listed, generator.generators)
        ast.fix_missing_locations(ast.copy_location(every, generator))
        self._run.notes.muted += 1
        try:
            found = self.value(every, scope)
        except Exception:  # noqa: BLE001
            return []
        finally:
            self._run.notes.muted -= 1
        return [{**scope.variables, **dict(zip(names, values, strict=True))} for values in found]

    def _assigned(self, name: str, scope: Scope) -> tuple[ast.expr, Scope] | None:
        """Return the expression that a variable was last given, and where."""
        body = body_of_log(scope.log.code)
        if body is None or body.is_comprehension:
            return None
        for number in range(scope.number - 1, -1, -1):
            statement = body.statement_at(scope.log.lines[number])
            targets = statement.targets if isinstance(statement, ast.Assign) else ()
            if any(isinstance(one, ast.Name) and one.id == name for one in targets):
                variables = scope.log.seen.get(number, scope.variables)
                return statement.value, scope._replace(number=number, variables=variables)  # type: ignore[union-attr]
            if isinstance(statement, ast.For) and name in {
                one.id for one in ast.walk(statement.target) if isinstance(one, ast.Name)
            }:
                return None
        return None

    def _leaf(self, expression: Any, wanted: bool, scope: Scope) -> Finding:
        """Explain a comparison, or whatever else is true or false as a whole."""
        notes, clock = self._run.notes, self._run.clock
        reads, turns = len(notes.reads), len(clock.compared) if clock is not None else 0
        values: list[Any] = []
        operands = [expression.left, *expression.comparators] if isinstance(expression, ast.Compare) else [expression]
        try:
            values = [self._operand(one, scope) for one in operands]
            self.truth(expression, scope)  # the clock takes note, whatever the notes do
        except Exception:  # noqa: BLE001
            values = []
        made = notes.reads[reads:]
        del notes.reads[reads:]
        behind = made or self._behind(expression, values, scope)
        turn = clock.compared[-1] if clock is not None and len(clock.compared) > turns else None
        need = (
            None
            if turn is not None
            else need_for(expression, wanted, values, behind, Examples(self._run.state, self._fields))
        )
        where = place_name(scope.log.code.co_filename, expression.lineno)
        cells = tuple(cell(one, where, text(expression)) for one in dict.fromkeys(map(bare, behind)))
        reason = f"{text(expression)} was {not wanted}" + shown(operands, values)
        return Finding(where, text(expression), reason, cells, (need,) if need is not None else (), turn, wanted)

    def _operand(self, operand: ast.expr, scope: Scope) -> Any:
        value = self.value(operand, scope)
        return getattr(value, "_value", value) if type(value).__name__ == "Tracked" else value

    def _behind(self, expression: ast.expr, values: list[Any], scope: Scope) -> list[Read]:
        """Return the reads that gave the variables of an expression their values; of a collection only what counts."""
        found = [*self._reads_behind(expression, scope), *scope.given]
        members = isinstance(expression, ast.Compare) and isinstance(expression.ops[0], (ast.In, ast.NotIn))
        if members and values and len(found) > _FEW:
            return [one for one in found if one.value == values[0]] or found[:_FEW]
        return found

    def _reads_behind(self, expression: ast.expr, scope: Scope, depth: int = 0) -> list[Read]:
        """Return what was read where the variables of an expression were made, in the same call."""
        found: list[Read] = []
        for name in [one.id for one in ast.walk(expression) if isinstance(one, ast.Name)]:
            made = None if hasattr(builtins, name) or depth > _DEEPEST else self._assigned(name, scope)
            if made is None:
                continue
            number = made[1].number
            found += [read for read in self._run.notes.reads if within(read.place, scope.log, number)]
            found += self._reads_behind(made[0], made[1], depth + 1)
        return found
