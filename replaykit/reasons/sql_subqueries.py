"""Subqueries of a condition for one combination of rows: the rows they find, and the conditions that find none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.reasons.sql_bench import CannotSplitError
from replaykit.reasons.sql_reading import branches_of, outer_columns, text_of, written
from replaykit.reasons.sql_selects import Select

if TYPE_CHECKING:
    from replaykit.reasons.sql_selects import Combo

__all__ = ["Existence", "bound", "existence_in", "inner_query", "queries_in"]


@dataclass(frozen=True)
class Existence:
    """A condition that asks whether a subquery has a row: EXISTS, IN, ANY and their opposites."""

    query: Any
    """The subquery."""
    negated: bool
    member: Any = None
    """What IN looks for; None for EXISTS."""

    @property
    def clause(self) -> str:
        """``EXISTS``, ``NOT IN`` and so on."""
        return ("NOT " if self.negated else "") + ("EXISTS" if self.member is None else "IN")


def existence_in(node: Any) -> Existence | None:
    """Return what a condition asks of a subquery, if that is all it asks."""
    from sqlglot import exp

    negated = False
    while isinstance(node, (exp.Not, exp.Paren)):
        negated ^= isinstance(node, exp.Not)
        node = node.this
    if isinstance(node, exp.Exists):
        return Existence(_bare(node.this), negated)
    query = node.args.get("query") if isinstance(node, exp.In) else None
    if query is not None and not isinstance(node.this, exp.Tuple):
        return Existence(_bare(query), negated, node.this)
    return None


def queries_in(node: Any) -> list[Any]:
    """Return the outermost subqueries in a condition whose rows speak for it: those under NOT do not."""
    from sqlglot import exp

    found = []
    for query in node.find_all(exp.Query):
        query = _bare(query)  # noqa: PLW2901
        above = query.find_ancestor(exp.Query)
        while isinstance(above, exp.Subquery):
            above = above.find_ancestor(exp.Query)
        inside = above is not None and any(above is one for one in node.find_all(exp.Query))
        if isinstance(query, exp.Select) and not inside and not _under_not(query, node):
            found.append(query)
    return list({id(one): one for one in found}.values())


def _under_not(query: Any, root: Any) -> bool:
    from sqlglot import exp

    node = query
    while node is not root:
        node = node.parent
        if isinstance(node, exp.Not):
            return True
    return False


def _bare(query: Any) -> Any:
    from sqlglot import exp

    while isinstance(query, exp.Subquery):
        query = query.this
    return query


def bound(select: Select, combo: Combo, existence: Existence) -> Select:
    """Return the subquery as a SELECT of its own, with the values of the combination in place of outer columns.

    Raises
    ------
    CannotSplitError
        It is no plain SELECT.
    """
    branches = branches_of(existence.query)
    if len(branches) != 1:
        raise CannotSplitError("a subquery of several SELECTs")
    query = branches[0].copy()
    if existence.member is not None:
        _add_equal(query, _valued(select, combo, existence.member), existence)
    _fill(select, combo, query)
    given = select.node.args.get("with_")
    if given is not None and query.args.get("with_") is None:
        query.set("with_", given.copy())
    return Select(select.bench, query)


def _add_equal(query: Any, member: Any, existence: Existence) -> None:
    """Ask of a subquery's output that it is what IN looks for; for NOT IN an unknown answer is as good."""
    from sqlglot import exp

    plain = not any(query.args.get(key) for key in ("group", "having", "limit", "offset", "qualify"))
    output = query.expressions[0].unalias()
    if not plain or query.find(exp.AggFunc) is not None:
        raise CannotSplitError("IN with a subquery that groups or limits")
    equal: Any = exp.EQ(this=output.copy(), expression=exp.paren(member))
    if existence.negated:
        equal = exp.Coalesce(this=equal, expressions=[exp.true()])
    equal.meta["text"] = f"{text_of(output)} = {text_of(existence.member)}"
    query.where(equal, copy=False)


def inner_query(select: Select, alias: str) -> Any:
    """Return the query whose rows a source gives, with the WITH it needs; None if it is no query."""
    from sqlglot import exp

    node, given = select.sources[alias].node, select.node.args.get("with_")
    if given is not None and given.args.get("recursive"):
        return None
    before: list[Any] = []
    query = node.this if isinstance(node, exp.Subquery) else None
    for cte in given.expressions if given is not None else ():
        if isinstance(node, exp.Table) and cte.alias == node.name:
            query = cte.this
            break
        before.append(cte)
    if not isinstance(query, exp.Query):
        return None
    query = query.copy()
    if before and query.args.get("with_") is None:
        query.set("with_", exp.With(expressions=[cte.copy() for cte in before]))
    return query


def _valued(select: Select, combo: Combo, node: Any) -> Any:
    """Return a copy of an expression with values in place of its columns."""
    from sqlglot import exp

    holder = exp.paren(node.copy())
    holder.this.parent = holder
    _fill(select, combo, holder)
    return holder.this


def _fill(select: Select, combo: Combo, node: Any) -> None:
    """Put the combination's values in place of the outer columns in a node."""
    from sqlglot import parse_one

    columns = [column for column in outer_columns(node) if column.table in select.sources]
    for column in columns:
        source = select.sources[column.table]
        value = select.one([written(column)], combo)[0]
        text = select.bench.bind(value)
        if source.table is not None:
            text = f"CAST({text} AS {select.bench.storage(source.table, column.name)})"
        column.replace(parse_one(text, dialect="duckdb"))
