"""Which rows an output row of a SELECT was made of, and which rows a SELECT lets through at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.reasons.sql_bench import CannotSplitError, same
from replaykit.reasons.sql_reading import written

if TYPE_CHECKING:
    from replaykit.reasons.sql_selects import Combo, Select

__all__ = ["MOST_OF_GROUP", "Origin", "group_of", "grouped_by", "let_through", "origin_of"]

MOST_OF_GROUP = 50


@dataclass(frozen=True)
class Origin:
    """What an output row was made of."""

    combos: tuple[Combo, ...]
    """One combination of rows, or those of a group in order, at most `MOST_OF_GROUP`."""
    size: int
    """How many there are of the group."""
    grouped: bool


def origin_of(select: Select, wanted: Mapping[int, Any]) -> Origin | None:
    """Return what the first output row with these values at these places was made of; None if there is no such row."""
    outputs = [written(select.output(place)) for place in wanted]
    groups = [written(one) for one in grouped_by(select)] if select.grouped else []
    more = groups if select.grouped else [source.place for source in select.sources.values()]
    rows = select.ask([*outputs, *more] or ["1"], where=_conditions(select), end=_end(select))
    for row in rows:
        if all(same(value, row[number]) for number, value in enumerate(wanted.values())):
            rest = row[len(outputs) :]
            if select.grouped:
                return group_of(select, rest[: len(groups)])
            return Origin((dict(zip(select.sources, rest, strict=False)),), 1, grouped=False)
    return None


def group_of(select: Select, values: tuple[Any, ...]) -> Origin:
    """Return the rows of the group that has these values."""
    found = let_through(select, dict(zip(map(written, grouped_by(select)), values, strict=True)))
    return Origin(tuple(found[:MOST_OF_GROUP]), len(found), grouped=True)


def let_through(select: Select, equal: Mapping[str, Any], limit: int | None = None) -> list[Combo]:
    """Return the combinations that meet all conditions and for which expressions have these values, in order."""
    places = [source.place for source in select.sources.values()]
    order = f" ORDER BY {', '.join(places)}" if places else ""
    end = order if limit is None or equal else f"{order} LIMIT {limit}"
    # What came out of a query as text or a whole number is equal to the same in it; the rest is compared below.
    same_there = [f"{text} = {select.bench.bind(value)}" for text, value in equal.items() if type(value) in (str, int)]
    rows = select.ask([*equal, *places] or ["1"], where=[*_conditions(select), *same_there], end=end)
    found: list[Combo] = [
        dict(zip(select.sources, row[len(equal) :], strict=False))
        for row in rows
        if all(same(value, row[number]) for number, value in enumerate(equal.values()))
    ]
    return found[:limit]


def grouped_by(select: Select) -> list[Any]:
    """Return the expressions of GROUP BY.

    Raises
    ------
    CannotSplitError
        There are several groupings at once.
    """
    from sqlglot import exp

    group = select.node.args.get("group")
    if group is None:
        return []
    several = any(isinstance(one, (exp.Cube, exp.Rollup, exp.GroupingSets)) for one in group.expressions)
    if several or any(group.args.get(key) for key in ("cube", "rollup", "grouping_sets", "totals")):
        raise CannotSplitError("GROUP BY with several groupings at once")
    if group.args.get("all"):
        return [one.unalias() for one in select.node.expressions if one.find(exp.AggFunc) is None]
    return list(group.expressions)


def _conditions(select: Select) -> list[str]:
    return [written(one.node) for one in select.conjuncts]


def _end(select: Select) -> str:
    """Return the clauses behind WHERE that make and order rows, without those that only leave some out."""
    parts = [select.node.args.get(key) for key in ("group", "having", "windows", "qualify")]
    texts = [written(one) for one in parts if one is not None and not isinstance(one, list)]
    order = select.node.args.get("order")
    return " " + " ".join([*texts, *([written(_spelt_out(select, order))] if order is not None else [])])


def _spelt_out(select: Select, order: Any) -> Any:
    """Return ORDER BY with output columns put in for their names, and none by number or ALL."""
    from sqlglot import exp

    order = order.copy()
    names = select.names
    for ordered in order.expressions:
        node = ordered.this
        if isinstance(node, exp.Literal) and not node.is_string:
            node.replace(exp.paren(select.output(int(node.this) - 1).copy()))
        for column in list(ordered.find_all(exp.Column)):
            if not column.table and column.name in names:
                column.replace(exp.paren(select.output(names.index(column.name)).copy()))
    return order
