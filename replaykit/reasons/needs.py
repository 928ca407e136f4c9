"""Needs: the value of a cell that would turn a comparison."""

from __future__ import annotations

import ast
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import inf, nextafter
from typing import TYPE_CHECKING, Any

from replaykit.reasons.values import ANY, Need

if TYPE_CHECKING:
    from replaykit.reasons.notes import NotedState, Read

__all__ = ["need_for"]

_SWAPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}
_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


def need_for(
    expression: ast.expr, wanted: bool, values: list[Any], reads: list[Read], state: NotedState
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
        return None if read is None else _truth(read, wanted, state)
    if len(values) != 2:
        return None
    operator = type(expression.ops[0])
    for mine, other, kind in ((0, 1, operator), (1, 0, _SWAPPED.get(operator, operator))):
        if mine and kind in (ast.In, ast.NotIn):
            continue
        read = _read_of(values[mine], reads)
        if read is not None and not (isinstance(expression.left, ast.Constant) and mine == 0):
            return _compared(read, kind if wanted else _OPPOSITE[kind], values[other], state)
    return None


def _read_of(value: Any, reads: list[Read]) -> Read | None:
    """Return the read that gave an operand its value: of the same object."""
    same = [one for one in reads if one.value is value]
    return same[-1] if same else None


def _need(read: Read, value: Any, instead_of: Any = ANY) -> Need:
    return Need(read.table, read.key if isinstance(read.key, tuple) else (read.key,), read.column, value, instead_of)


def _compared(read: Read, kind: type[ast.cmpop], other: Any, state: NotedState) -> Need | None:
    if kind in (ast.Eq, ast.Is):
        return _need(read, other)
    if kind is ast.In:
        members = _members(other)
        return _need(read, members[0]) if members else None
    if kind in (ast.NotEq, ast.IsNot):
        return _other(read, [other], state)
    if kind is ast.NotIn:
        return _other(read, _members(other), state)
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


def _other(read: Read, refused: list[Any], state: NotedState) -> Need | None:
    """Return a need for any value but some: the one most rows of the table have, the smallest of several."""
    counts: dict[Any, int] = {}
    for row in state.tables[read.table]._rows.values():
        value = dict.__getitem__(row, read.column)
        if not any(value is one or value == one for one in refused):
            counts[value] = counts.get(value, 0) + 1
    if not counts:
        return None
    best = max(counts.values())
    value = min((one for one, count in counts.items() if count == best), key=repr)
    return _need(read, value, read.value)


def _truth(read: Read, wanted: bool, state: NotedState) -> Need | None:
    if not wanted:
        table = state.tables[read.table]
        empty = [dict.__getitem__(row, read.column) for row in table._rows.values()]
        return _need(read, next((one for one in empty if not one), None))
    return _other(read, [None, "", 0, False, 0.0], state)
