"""Lateral: a rule's SELECT asked anew, in one query, at every tick at which its answer may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.sql import quote
from replaykit.temporal.intervals import Dial, at_time
from replaykit.temporal.reading import Refused, by_rows
from replaykit.temporal.selects import of_output, ordered_by, ordering, outputs_of, with_names, with_of
from replaykit.temporal.spans import BORN, TICKS, spans_name
from replaykit.temporal.turns import clocks, turns_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["by_lateral"]


def by_lateral(tree: Any, names: Mapping[str, str], dial: Dial, count: int) -> str:
    """Return a query for ``t0``, ``t1`` and the columns of a qualified statement, in the order of its rows.

    Parameters
    ----------
    names
        State tables, and ``events``, by their names in lower case.
    count
        How many ticks there are.

    Raises
    ------
    Refused
        It uses ``$now`` in a way that can't be followed over very many ticks, or something sqlglot does not tell.
    """
    from sqlglot import exp

    outputs = outputs_of(tree)
    ticks = _ticks(tree, names, dial, count)
    keys, tree = _keyed(tree.copy(), names, outputs)
    tree = at_time(_inlined(tree), "replaykit_at")
    for table in [*tree.find_all(exp.Table)]:
        if table.name.lower() not in names:
            raise Refused(f"it reads {table.sql('duckdb')[:40]}, which is no table")
        table.replace(_as_of(table, tree))
    listed = ", ".join(f"o{n}" for n in range(len(outputs)))
    renamed = ", ".join([*(f"o{n}" for n in range(len(outputs))), *(f"k{n}" for n, one in enumerate(keys) if one[0])])
    texts = [text for _, text in keys]
    points = dial.timed(f"SELECT tick AS replaykit_tick, lead(tick) OVER (ORDER BY tick) AS t1 FROM ({ticks})",
                        "replaykit_at", "replaykit_tick")  # fmt: skip
    return (
        f"WITH points AS MATERIALIZED (SELECT * FROM ({points}) WHERE t1 IS NOT NULL) "
        f"SELECT replaykit_tick AS t0, t1, {listed} FROM points, LATERAL ({tree.sql('duckdb')}) AS rows({renamed}) "
        f"ORDER BY {', '.join([*texts, 't0'])}"
    )


def _ticks(tree: Any, names: Mapping[str, str], dial: Dial, count: int) -> str:
    """Return the query for the ticks at which the answer may change, and the number of ticks behind them."""
    from sqlglot import exp

    aliases = {one.alias_or_name.lower(): one.name.lower() for one in tree.find_all(exp.Table)}
    used = sorted({name for name in aliases.values() if name in names})
    parts = [f"SELECT unnest([0, {count}]) AS tick"]
    parts += [f"SELECT unnest([t0, t1]) FROM {quote(spans_name(name))}" for name in used]
    if clocks(tree):
        turns = turns_of([tree]) if dial.step is not None else None
        found = None if turns is None else [_turning(turn, aliases, names, dial) for turn in turns]
        if found is None or None in found:
            if not dial.walkable:
                raise Refused(
                    "it uses $now in a way that can't be followed, over more ticks than are looked at one by one"
                )
            every = f"SELECT tick FROM {TICKS}" if dial.step is None else f"SELECT unnest(range({count}))"
            found = [every]
        parts += [one for one in found if one]
    return f"SELECT tick FROM ({' UNION '.join(parts)}) WHERE tick <= {count}"


def _turning(turn: Any, aliases: Mapping[str, str], names: Mapping[str, str], dial: Dial) -> str | None:
    from sqlglot import exp

    used = {one.table.lower() for one in turn.find_all(exp.Column)}
    if len(used) > 1 or any(aliases.get(one) not in names for one in used):
        return None
    tick = dial.behind(turn.sql("duckdb"))
    source = "".join(f" FROM {quote(spans_name(aliases[one]))} AS {quote(one)}" for one in used)
    return f"SELECT unnest([k, k + 1]) FROM (SELECT {tick} AS k{source})"


def _keyed(tree: Any, names: Mapping[str, str], outputs: list[str]) -> tuple[list[tuple[bool, str]], Any]:
    """Return what orders the rows, each with whether it is a column of its own, and the tree that gives those too."""
    from sqlglot import exp

    called = [f"o{n}" for n in range(len(outputs))]
    born = by_rows(tree, names)
    ends: list[tuple[bool, str]] = []
    for one in ordering(tree):
        text = of_output(one, outputs, called)
        if text is None:
            if not isinstance(tree, exp.Select) or tree.args.get("distinct"):
                raise Refused("it orders by more than its columns")
            own = sum(1 for mine, _ in ends if mine)
            text = ordered_by(one, f"k{len(ends)}")
            tree.append("expressions", exp.alias_(one.this.copy(), f"k{own}", quoted=True))
        ends.append((text.startswith('"k'), text))
    limited = tree.args.get("limit") or tree.args.get("offset")
    breaks = [
        exp.column(exp.to_identifier(BORN), table=exp.to_identifier(alias, quoted=True)) for alias, _ in born or ()
    ]
    places: list[Any] = [exp.Literal.number(n + 1) for n in range(len(outputs))]
    for column in breaks:
        tree.append("expressions", exp.alias_(column.copy(), f"k{len(ends)}", quoted=True))
        ends.append((True, f"k{len(ends)}"))
    if born is None:
        ends += [(False, name) for name in called]
        breaks = places
    if limited:
        order = tree.args.get("order") or exp.Order(expressions=[])
        tree.set("order", exp.Order(expressions=[*order.expressions, *(exp.Ordered(this=one) for one in breaks)]))
    else:
        tree.set("order", None)
    return ends, tree


def _inlined(tree: Any) -> Any:
    """Return the tree with every query that a WITH names put where it is read: DuckDB correlates no WITH."""
    from sqlglot import exp

    for query in [one for one in tree.find_all(exp.Query) if with_names(one)]:
        for name, body in with_of(query).items():
            for table in [
                one for one in query.find_all(exp.Table) if one.name.lower() == name and not one.args.get("db")
            ]:
                if not _under(table, body):
                    alias = exp.TableAlias(this=exp.to_identifier(table.alias_or_name, quoted=True))
                    table.replace(exp.Subquery(this=body.copy(), alias=alias))
        query.set("with_", None)
        query.set("with", None)
    return tree


def _under(node: Any, top: Any) -> bool:
    while node is not None and node is not top:
        node = node.parent
    return node is top


def _as_of(table: Any, tree: Any) -> Any:
    """Return the query that stands for a table: its rows at the tick."""
    from sqlglot import exp

    alias = table.alias_or_name
    read = {one.name for one in tree.find_all(exp.Column) if one.table.lower() == alias.lower()}
    listed = ", ".join(quote(one) for one in sorted(read)) or "1 AS one"
    query: Any = exp.maybe_parse(
        f"SELECT {listed} FROM {quote(spans_name(table.name))} WHERE t0 <= replaykit_tick AND replaykit_tick < t1",
        dialect="duckdb",
    )
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
