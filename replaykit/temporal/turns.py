"""Turns: the instants at which a comparison of a rule with ``$now`` turns, as expressions over the row it compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.sql_trees import comparison_of, is_of_calendar, terms_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["clocks", "is_now", "turns_of"]


def is_now(node: Any) -> bool:
    """Return whether a node is ``$now``."""
    from sqlglot import exp

    return isinstance(node, (exp.Placeholder, exp.Parameter)) and node.name.lower() == "now"


def clocks(node: Any) -> list[Any]:
    """Return every ``$now`` in a tree."""
    from sqlglot import exp

    return [one for one in node.find_all(exp.Placeholder, exp.Parameter) if is_now(one)]


def turns_of(nodes: Iterable[Any]) -> list[Any] | None:
    """Return the turns of all comparisons with ``$now`` in some trees; None if a use of ``$now`` can't be followed.

    For ``$now - max(x) > limit`` it is that of every ``x``, the turn for the greatest being among them.
    """
    found: list[Any] = []
    for node in nodes:
        for now in clocks(node):
            solved = _solved(now, node)
            if solved is None:
                return None
            found += solved
    return found


def _solved(now: Any, top: Any) -> list[Any] | None:
    from sqlglot import exp

    comparison = comparison_of(now)
    if comparison is None or not _within(comparison, top):
        return None
    sides = [(comparison.this, comparison.expression)]
    if isinstance(comparison, exp.Between):
        sides = [(comparison.this, comparison.args["low"]), (comparison.this, comparison.args["high"])]
    found = []
    for left, right in sides:
        terms = [*terms_of(left, 1), *terms_of(right, -1)]
        mine = [sign for sign, term in terms if term is now]
        if len(mine) != 1:
            continue  # the other side of a BETWEEN
        turn = _sum([(-sign * mine[0], term) for sign, term in terms if term is not now])
        if turn is None:
            return None
        found.append(turn)
    return found or None


def _sum(terms: list[tuple[int, Any]]) -> Any:
    from sqlglot import exp

    plain = [(sign, term.this if isinstance(term, (exp.Max, exp.Min)) else term) for sign, term in terms]
    refused = (exp.AggFunc, exp.Window, exp.Query, exp.Lambda)
    if any(term.find(*refused) is not None or is_of_calendar(term) or clocks(term) for _, term in plain):
        return None
    added = [term.copy() for sign, term in plain if sign > 0]
    if not added:
        return None
    turn: Any = exp.paren(added[0], copy=False)
    for term in added[1:]:
        turn = exp.Add(this=turn, expression=exp.paren(term, copy=False))
    for term in [term.copy() for sign, term in plain if sign < 0]:
        turn = exp.Sub(this=turn, expression=exp.paren(term, copy=False))
    return turn


def _within(node: Any, top: Any) -> bool:
    while node is not None and node is not top:
        node = node.parent
    return node is top
