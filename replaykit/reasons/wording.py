"""Wording: what an explained condition read, and how its parts and values are written."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from replaykit.reasons.values import Cell, amount

if TYPE_CHECKING:
    from replaykit.reasons.notes import Read
    from replaykit.reasons.tracing import FrameLog

__all__ = ["bare", "cell", "shown", "text", "within"]


def within(place: Any, log: FrameLog, number: int) -> bool:
    """Return whether a place is a line of a call, or in a call made there."""
    while place is not None:
        if place.log is log:
            return bool(place.number == number)
        place = place.log.called_from(place.number)
    return False


def bare(read: Read) -> tuple[str, Any, str, Any]:
    """Return table, key, column and value of a read."""
    return (read.table, read.key, read.column, read.value)


def cell(read: tuple[str, Any, str, Any], where: str, source: str) -> Cell:
    """Return a read as a cell of an answer."""
    table, key, column, value = read
    return Cell(table, key if isinstance(key, tuple) else (key,), column, value, f"{where}: {source}")


def text(expression: ast.expr) -> str:
    """Return the source of an expression, on one line."""
    return ast.unparse(expression)


def shown(operands: list[Any], values: list[Any]) -> str:
    """Return the values of operands that are more than what is written there."""
    told = [
        f"{text(one)} is {amount(value)}"
        for one, value in zip(operands, values, strict=False)
        if not isinstance(one, ast.Constant) and (value is None or isinstance(value, (str, int, float, bool)) or
                                                  hasattr(value, "total_seconds") or hasattr(value, "isoformat"))
    ]  # fmt: skip
    return f": {', '.join(told)}" if told else ""
