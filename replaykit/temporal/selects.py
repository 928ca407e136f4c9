"""Parts of a qualified SELECT: its conditions, outputs and order, and what in it intervals have no answer to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.row_filters import sources_of
from replaykit.temporal.reading import Refused
from replaykit.temporal.turns import clocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "Conditions", "Membership", "check_select", "conjuncts", "flat", "group_of", "has_window", "is_grouped",
    "is_inside", "is_simple", "may_be_missing", "membership", "number_of", "of_output", "ordered_by", "ordering",
    "outputs_of", "per_tick", "reaches", "with_names", "with_of",
]  # fmt: skip

_UNKNOWN = (
    "windows",
    "connect",
    "match",
    "sample",
    "prewhere",
    "cluster",
    "distribute",
    "sort",
    "into",
    "kind",
    "pivots",
)


class Membership(NamedTuple):
    """A condition on whether a query has rows, or such a row."""

    negated: bool
    query: Any
    operand: Any
    """What is looked for; None for EXISTS."""


def conjuncts(clause: Any) -> list[Any]:
    """Return the conditions that a WHERE, ON, HAVING or QUALIFY joins by AND."""
    from sqlglot import exp

    if clause is None:
        return []
    node = clause.this if isinstance(clause, (exp.Where, exp.Having, exp.Qualify, exp.Paren)) else clause
    if isinstance(node, exp.And):
        return [*conjuncts(node.this), *conjuncts(node.expression)]
    return conjuncts(node) if isinstance(node, exp.Paren) else [node]


def membership(node: Any) -> Membership | None:
    """Return what a condition asks of another query, if that is all it does."""
    from sqlglot import exp

    negated = False
    while isinstance(node, (exp.Paren, exp.Not)):
        negated ^= isinstance(node, exp.Not)
        node = node.this
    if isinstance(node, exp.Exists):
        return Membership(negated, node.this.unnest(), None)
    if isinstance(node, exp.In) and node.args.get("query") is not None:
        return Membership(negated, node.args["query"].unnest(), node.this)
    return None


def check_select(tree: Any) -> None:
    """Refuse what intervals have no answer to."""
    group = tree.args.get("group")
    if group is not None and any(group.args.get(name) for name in ("rollup", "cube", "grouping_sets", "totals")):
        raise Refused("it groups in several ways at once")
    found = [name for name in _UNKNOWN if tree.args.get(name)]
    if found:
        raise Refused(f"it uses {found[0].upper()}")
    if is_grouped(tree) and not group:
        raise Refused("an aggregate over all rows is there without any row too")
    if is_grouped(tree) and has_window(tree):
        raise Refused("it has windows over groups")


def _own(tree: Any, *kinds: Any) -> Iterator[Any]:
    from sqlglot import exp

    clauses = [*tree.expressions, *[tree.args.get(name) for name in ("having", "qualify", "order")]]
    for clause in clauses:
        for node in clause.find_all(*kinds) if clause is not None else ():
            if node.find_ancestor(exp.Select) is tree:
                yield node


def is_grouped(tree: Any) -> bool:
    """Return whether a SELECT aggregates."""
    from sqlglot import exp

    if tree.args.get("group") or tree.args.get("having"):
        return True
    return any(
        not (isinstance(node.parent, exp.Window) and node.arg_key == "this")
        and not (isinstance(node.parent, (exp.Filter, exp.IgnoreNulls)) and isinstance(node.parent.parent, exp.Window))
        for node in _own(tree, exp.AggFunc)
        if type(node).__name__ not in {"RowNumber", "Rank", "DenseRank", "PercentRank", "CumeDist", "Ntile"}
    )


def has_window(tree: Any) -> bool:
    """Return whether a SELECT has window functions."""
    from sqlglot import exp

    return next(_own(tree, exp.Window), None) is not None


def is_simple(tree: Any) -> bool:
    """Return whether a query has a row for each row of its FROM and WHERE."""
    from sqlglot import exp

    if not isinstance(tree, exp.Select) or is_grouped(tree) or has_window(tree) or with_names(tree):
        return False
    return not any(tree.args.get(name) for name in ("limit", "offset", "qualify", *_UNKNOWN))


def with_names(tree: Any) -> Any:
    """Return the WITH of a query; None if there is none."""
    return tree.args.get("with_") or tree.args.get("with")


def with_of(tree: Any) -> dict[str, Any]:
    """Return the queries a WITH names, in order."""
    clause = with_names(tree)
    if clause is None:
        return {}
    if clause.args.get("recursive") or any(cte.args["alias"].args.get("columns") for cte in clause.expressions):
        raise Refused("it uses WITH RECURSIVE, or a WITH that renames columns")
    return {cte.alias.lower(): cte.this for cte in clause.expressions}


def outputs_of(tree: Any) -> list[str]:
    """Return the names of a query's columns."""
    found = [one.alias_or_name for one in tree.selects]
    if any(one.is_star for one in tree.selects) or len({name.lower() for name in found}) < len(found):
        raise Refused("its columns can't be told apart")
    return found


def ordering(tree: Any) -> list[Any]:
    """Return what a query orders by."""
    order = tree.args.get("order")
    return list(order.expressions) if order is not None else []


def of_output(node: Any, outputs: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the text that orders by a column of the result, where `node` means one; None if it does not."""
    from sqlglot import exp

    what, place = node.this, None
    if isinstance(what, exp.Literal) and what.is_int:
        place = int(what.this) - 1
    elif isinstance(what, exp.Column) and not what.table:
        lower = [name.lower() for name in outputs]
        if what.name.lower() == "all" and "all" not in lower:
            raise Refused("it uses ORDER BY ALL")
        place = lower.index(what.name.lower()) if what.name.lower() in lower else None
    return ordered_by(node, names[place]) if place is not None and place < len(names) else None


def ordered_by(node: Any, name: str) -> str:
    """Return the text of an ORDER BY's part for another column."""
    from sqlglot import exp

    found = node.copy()
    found.set("this", exp.column(exp.to_identifier(name, quoted=True)))
    text: str = found.sql("duckdb")
    return text


def group_of(tree: Any) -> list[Any]:
    """Return the expressions of a GROUP BY."""
    from sqlglot import exp

    group = tree.args["group"]
    listed = group.expressions
    if group.args.get("all"):
        listed = [one.unalias() for one in tree.expressions if one.find(exp.AggFunc) is None]
    if any(isinstance(one, exp.Literal) or clocks(one) for one in listed):
        raise Refused("it groups by a constant, or by $now")
    return [flat(one) for one in listed]


def flat(node: Any) -> Any:
    """Return a copy in which columns are called by their source and name in one: what intervals call them."""
    from sqlglot import exp

    if node.find(exp.Query) is not None:
        raise Refused("it has a query inside an expression")

    def renamed(one: Any) -> Any:
        if isinstance(one, exp.Column) and one.table:
            return exp.column(exp.to_identifier(f"{one.table.lower()}.{one.name.lower()}", quoted=True))
        return one

    return node.copy().transform(renamed, copy=False)


def per_tick(node: Any) -> Any:
    """Return the expression with its windows apart for each tick."""
    from sqlglot import exp

    for window in [*node.find_all(exp.Window)]:
        window.set("partition_by", [exp.column("t0"), *(window.args.get("partition_by") or [])])
    return node


def number_of(clause: Any) -> int | None:
    """Return the number of a LIMIT or OFFSET; None if there is none."""
    if clause is None:
        return None
    if clause.key == "fetch" or not getattr(clause.expression, "is_int", False) or clause.args.get("limit_options"):
        raise Refused("it has a LIMIT that is no plain number")
    return int(clause.expression.this)


def may_be_missing(sources: Sequence[tuple[Any, Any]]) -> set[str]:
    """Return the sources whose rows an outer join may leave out."""
    found: set[str] = set()
    before: list[str] = []
    for source, join in sources:
        alias = source.alias_or_name.lower()
        side = join.side if join is not None else ""
        found |= {alias} if side in {"LEFT", "FULL"} else set()
        found |= set(before) if side in {"RIGHT", "FULL"} else set()
        before.append(alias)
    return found


def _tables_in(node: Any) -> set[str]:
    """Return the sources whose columns a condition names, those of queries in it aside."""
    from sqlglot import exp

    inside = {source.alias_or_name.lower() for select in node.find_all(exp.Select) for source, _ in sources_of(select)}
    return {one.table.lower() for one in node.find_all(exp.Column)} - inside


def reaches(node: Any, mine: set[str]) -> bool:
    """Return whether a condition names columns of other sources than these."""
    return not _tables_in(node) <= mine


def is_inside(query: Any) -> bool:
    """Return whether a query names columns of its own sources only."""
    return not _tables_in(query)


class Conditions:
    """The conditions of a WHERE, each to be asked as soon as the rows it is about are there."""

    def __init__(self, wanted: list[Any], missing: set[str]) -> None:
        self._left = wanted
        self._missing = missing

    def take(self, sources: set[str]) -> list[Any]:
        """Return those that name nothing but these sources, and leave the others."""
        ready = [
            one
            for one in self._left
            if not clocks(one) and {*_tables_in(one)} <= sources - self._missing and _tables_in(one)
            and (len(sources) == 1 or not self._missing)
        ]  # fmt: skip
        self._left = [one for one in self._left if not any(one is other for other in ready)]
        return [flat(one) for one in ready]

    def rest(self) -> list[Any]:
        """Return all that are left."""
        return [flat(one) for one in self._left]
