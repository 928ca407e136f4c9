"""When the comparisons of a SQL rule with ``$now`` turn, read off its syntax tree.

The counterpart of `replaykit.clock` for SQL. ``$now - updated_at > $patience`` turns at
``updated_at + $patience``, for any row of the table, whether or not the rest of the rule lets that row through: a
superset, so that asking the rule again at each of them misses nothing. A rule that uses ``$now`` in any other way is
asked at every tick.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


__all__ = ["comparison_of", "conjuncts_of", "is_of_calendar", "terms_of", "turn_queries"]

_SEARCHED = 64  # ancestors looked at before giving up


@lru_cache(maxsize=256)
def turn_queries(text: str, tables: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[str, ...] | None:
    """Return queries that give the next turn at or after ``$now``; None if some use of ``$now`` can't be followed.

    Parameters
    ----------
    tables
        State tables and their columns: only comparisons with these can be followed.
    """
    import sqlglot
    from sqlglot import errors, exp

    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
    except errors.SqlglotError:
        return None
    known = {name.lower(): frozenset(c.lower() for c in columns) for name, columns in tables}
    hidden = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    queries: list[str] = []
    clocks = [node for node in tree.find_all(exp.Placeholder, exp.Parameter) if node.name.lower() == "now"]
    for now in clocks:
        found = _solved(now, {name: columns for name, columns in known.items() if name not in hidden})
        if found is None:
            return None
        queries += found
    return tuple(dict.fromkeys(queries)) if clocks else None


def _solved(now: Any, tables: Mapping[str, frozenset[str]]) -> list[str] | None:
    """Return the turn queries of the comparison around one ``$now``."""
    from sqlglot import exp

    comparison = comparison_of(now)
    if comparison is None:
        return None
    if isinstance(comparison, exp.Between):
        sides = [(comparison.this, comparison.args["low"]), (comparison.this, comparison.args["high"])]
    else:
        sides = [(comparison.this, comparison.expression)]
    queries = []
    for left, right in sides:
        terms = [*terms_of(left, 1), *terms_of(right, -1)]
        mine = [sign for sign, term in terms if term is now]
        if len(mine) != 1:
            continue  # the other side of a BETWEEN
        query = _query([(-sign * mine[0], term) for sign, term in terms if term is not now], now, tables)
        if query is None:
            return None
        queries.append(query)
    return queries or None


def comparison_of(now: Any) -> Any:
    """Return the comparison that `now` stands in with nothing but sums between; None if there is none."""
    from sqlglot import exp

    node = now
    for _ in range(_SEARCHED):
        parent = node.parent
        if isinstance(parent, (exp.LT, exp.LTE, exp.GT, exp.GTE, exp.EQ, exp.NEQ, exp.Between)):
            return parent
        if not isinstance(parent, (exp.Add, exp.Sub, exp.Paren)):
            return None
        node = parent
    return None


def conjuncts_of(node: Any) -> Iterator[Any]:
    """Yield the conditions that AND joins; none for None."""
    from sqlglot import exp

    if isinstance(node, exp.Paren):
        yield from conjuncts_of(node.this)
    elif isinstance(node, exp.And):
        yield from conjuncts_of(node.this)
        yield from conjuncts_of(node.expression)
    elif node is not None:
        yield node


def terms_of(node: Any, sign: int) -> Iterator[tuple[int, Any]]:
    """Yield the terms of a sum, each with its sign."""
    from sqlglot import exp

    if isinstance(node, exp.Paren):
        yield from terms_of(node.this, sign)
    elif isinstance(node, (exp.Add, exp.Sub)):
        yield from terms_of(node.this, sign)
        yield from terms_of(node.expression, sign if isinstance(node, exp.Add) else -sign)
    else:
        yield sign, node


def _query(terms: list[tuple[int, Any]], now: Any, tables: Mapping[str, frozenset[str]]) -> str | None:
    """Return ``SELECT min(turn)`` for the sum of `terms`, over the one state table whose columns they name."""
    from sqlglot import exp

    plain = [(sign, _without_extreme(term)) for sign, term in terms]
    refused = (exp.AggFunc, exp.Window, exp.Query, exp.Lambda)
    if not plain or any(term.find(*refused) is not None or is_of_calendar(term) for _, term in plain):
        return None
    source = _source([column for _, term in plain for column in term.find_all(exp.Column)], now, tables)
    if source is None:
        return None
    added = [term.sql("duckdb") for sign, term in plain if sign > 0]
    taken = [term.sql("duckdb") for sign, term in plain if sign < 0]
    if not added:
        return None
    turn = " + ".join(f"({term})" for term in added) + "".join(f" - ({term})" for term in taken)
    return f"SELECT min(turn) FROM (SELECT {turn} AS turn {source}) WHERE turn >= $now"


def is_of_calendar(term: Any) -> bool:
    """Return whether a term may be months or years, which have no fixed length: a month before is not a month after."""
    return re.search("mon|year|quarter|decade|centur|millen", term.sql("duckdb").lower()) is not None


def _without_extreme(term: Any) -> Any:
    # The turn for max(x) or min(x) is among the turns for all x.
    from sqlglot import exp

    return term.this if isinstance(term, (exp.Max, exp.Min)) else term


def _source(columns: list[Any], now: Any, tables: Mapping[str, frozenset[str]]) -> str | None:
    """Return the FROM clause for the one state table that `columns` belong to; "" if there are no columns."""
    from sqlglot import exp

    if not columns:
        return ""
    select = now.find_ancestor(exp.Select)
    owners = {_owner(column, select, tables) for column in columns}
    if len(owners) != 1 or None in owners:
        return None
    name, alias = owners.pop()  # type: ignore[misc]
    quoted = exp.to_identifier(name, quoted=True).sql("duckdb")
    return f"FROM {quoted} AS {exp.to_identifier(alias, quoted=True).sql('duckdb')}"


def _owner(column: Any, select: Any, tables: Mapping[str, frozenset[str]]) -> tuple[str, str] | None:
    """Return name and alias of the state table a column belongs to; None if it is not the only one possible."""
    from sqlglot import exp

    while select is not None:
        clauses = [select.args.get("from_") or select.args.get("from"), *(select.args.get("joins") or [])]
        sources = [clause.this for clause in clauses if clause is not None]
        if any(not isinstance(source, exp.Table) or source.name.lower() not in tables for source in sources):
            return None
        fits = [
            (source.name, source.alias_or_name)
            for source in sources
            if column.name.lower() in tables[source.name.lower()]
            and column.table.lower() in ("", source.alias_or_name.lower())
        ]
        if fits:
            return fits[0] if len(fits) == 1 else None
        select = select.find_ancestor(exp.Select)
    return None
