"""Needs: the value of a cell that would turn a comparison."""

from __future__ import annotations

import ast
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import inf, nextafter
from typing import TYPE_CHECKING, Any

from replaykit.reasons.values import ANY, Need

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replaykit.reasons.notes import NotedState, Read

__all__ = ["Examples", "need_for"]

_SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}
_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


def need_for(
    expression: ast.expr, wanted: bool, values: list[Any], reads: list[Read], examples: Examples
) -> Need | None:
    """Return the value a cell would need for a comparison to come out as wanted; None if that can't be told.

    Parameters
    ----------
    values
        Of the operands of a comparison, or of the expression as a whole; empty if they could not be evaluated.
    reads
        The cells the expression read.
    """
    if not values or not reads:
        return None
    if not isinstance(expression, ast.Compare):
        read = _read_of(values[0], reads)
        return None if read is None else _truth(read, wanted, examples)
    if len(values) != 2:
        return None
    operator = type(expression.ops[0])
    for mine, other, kind in ((0, 1, operator), (1, 0, _SWAPPED.get(operator, operator))):
        if mine and kind in (ast.In, ast.NotIn):
            continue
        read = _read_of(values[mine], reads)
        if read is not None and not (isinstance(expression.left, ast.Constant) and mine == 0):
            return _compared(read, kind if wanted else _OPPOSITE[kind], values[other], examples)
    if (operator if wanted else _OPPOSITE[operator]) is ast.NotIn:  # of a collection of cells, the one that is the same
        same = [one for one in reads if one.value == values[0]]
        return _other(same[-1], [values[0]], examples) if same else None
    return None


def _read_of(value: Any, reads: list[Read]) -> Read | None:
    """Return the read that gave an operand its value: of the same object."""
    same = [one for one in reads if one.value is value]
    return same[-1] if same else None


def _need(read: Read, value: Any, instead_of: Any = ANY) -> Need:
    return Need(read.table, read.key if isinstance(read.key, tuple) else (read.key,), read.column, value, instead_of)


def _compared(read: Read, kind: type[ast.cmpop], other: Any, examples: Examples) -> Need | None:
    if kind in (ast.Eq, ast.Is):
        return _need(read, other)
    if kind is ast.In:
        members = _members(other)
        return _need(read, members[0]) if members else None
    if kind in (ast.NotEq, ast.IsNot):
        return _other(read, [other], examples)
    if kind is ast.NotIn:
        return _other(read, _members(other), examples)
    value = _beyond(other, up=kind in (ast.Gt, ast.GtE), strictly=kind in (ast.Gt, ast.Lt))
    return None if value is None else _need(read, value)


def _members(container: Any) -> list[Any]:
    if isinstance(container, (list, tuple)):
        return list(container)
    return sorted(container, key=repr) if isinstance(container, (set, frozenset, dict)) else []


def _beyond(limit: Any, *, up: bool, strictly: bool) -> Any:
    """Return the nearest value on the wanted side of a limit."""
    if not strictly:
        return limit
    sign = 1 if up else -1
    if isinstance(limit, bool) or limit is None:
        return None
    if isinstance(limit, (int, Decimal)):
        return limit + sign
    if isinstance(limit, float):
        return nextafter(limit, inf * sign)
    if isinstance(limit, (datetime, timedelta)):
        return limit + sign * timedelta(microseconds=1)
    if isinstance(limit, date):
        return limit + sign * timedelta(days=1)
    return limit + "0" if isinstance(limit, str) and up else None


def _other(read: Read, refused: list[Any], examples: Examples) -> Need | None:
    """Return a need for any value but some."""
    value = examples.value(read, refused)
    return None if value is ANY else _need(read, value, read.value)


def _truth(read: Read, wanted: bool, examples: Examples) -> Need | None:
    if wanted:
        return _other(read, [None, "", 0, False, 0.0], examples)
    return _need(read, next((one for one in examples.column(read) if not one), None))


class Examples:
    """Values that a cell could have: those of the action asked about, or of other rows."""

    def __init__(self, state: NotedState, fields: Mapping[str, Any]) -> None:
        self._state = state
        self._fields = fields

    def column(self, read: Read) -> list[Any]:
        """Return what the rows of a table have in a column."""
        return [dict.__getitem__(row, read.column) for row in self._state.tables[read.table]._rows.values()]

    def value(self, read: Read, refused: list[Any]) -> Any:
        """Return a value other than some: the asked one if a column is named like its field, or what most rows have.

        ANY if there is none.
        """
        for name, value in self._fields.items():
            if read.column.endswith(name) and value not in refused and value not in (None, ""):
                return value
        counts: dict[Any, int] = {}
        for value in self.column(read):
            if not any(value is one or value == one for one in refused):
                counts[value] = counts.get(value, 0) + 1
        best = max(counts.values(), default=0)
        return min((one for one, count in counts.items() if count == best), key=repr, default=ANY)
