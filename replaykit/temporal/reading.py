"""Reading a rule: its qualified syntax tree, in what order its rows come, and what could make two readings differ.

DuckDB orders rows only as far as ORDER BY says (its sort is not stable, and a join gives rows in whatever order suits
it). So that every way of asking gives the same, ties are broken in the statement itself: by the rows' insertion order
where its rows are rows of tables, else by its columns. A scan of one table needs nothing: it comes in insertion order.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit import connection
from replaykit.row_filters import is_plain, sources_of
from replaykit.sql import quote
from replaykit.temporal.spans import BORN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replaykit.declarations import Invariant, Rule
    from replaykit.readings import Shape
    from replaykit.sql import Statement

__all__ = ["Refused", "by_rows", "has_order", "in_order", "ordered", "parsed", "qualified", "unsure"]

_STEADY = (
    "bitwiseandagg",
    "bitwiseoragg",
    "bitwisexoragg",
    "count",
    "countif",
    "countstar",
    "min",
    "max",
    "logicalor",
    "logicaland",
    "sum",
    "avg",
    "approxdistinct",
)
_RANKS = ("rank", "denserank", "percentrank", "cumedist")
_WHOLE = re.compile("U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER|DECIMAL.*")


class Refused(Exception):  # noqa: N818 - no error: it says that a way of asking is not for this statement
    """A statement holds something this way of asking has no answer to; the message says what."""


@lru_cache(maxsize=512)
def parsed(text: str) -> Any:
    """Return the syntax tree of a statement; it is shared, so copy it. None if sqlglot can't read it."""
    import sqlglot
    from sqlglot import errors, exp

    try:
        tree = sqlglot.parse_one(text, dialect="duckdb")
    except errors.SqlglotError:
        return None
    return tree if isinstance(tree, (exp.Select, exp.SetOperation)) else None


def qualified(text: str, tables: Shape) -> Any:
    """Return a tree in which every column names its source, sources have names of their own, and stars are spelt out.

    Raises
    ------
    Refused
        sqlglot can't read it, or does not find a column.
    """
    from sqlglot import errors, exp
    from sqlglot.optimizer.qualify import qualify

    tree = parsed(text)
    if tree is None:
        raise Refused("it can't be read by sqlglot")
    schema: dict[str, object] = {name: dict(columns) for name, columns in tables}
    tree = tree.copy()
    if _take_rowids(tree, tables):
        schema = {name: {**dict(columns), BORN: "BIGINT"} for name, columns in tables}
    try:
        found = qualify(tree.copy(), dialect="duckdb", schema=schema)
        if not _apart(found):  # sqlglot gives up on j.* where it names sources itself, so only where it has to
            found = qualify(tree, dialect="duckdb", schema=schema, canonicalize_table_aliases=True)
    except errors.SqlglotError as exc:
        raise Refused(f"sqlglot can't tell its columns: {str(exc).splitlines()[0]}") from exc
    if not _apart(found):
        raise Refused("several of its sources have the same name")
    for select in found.find_all(exp.Select):
        if any(one.alias_or_name == BORN for one in select.expressions):
            select.set("expressions", [one for one in select.expressions if one.alias_or_name != BORN])
    return found


def _apart(tree: Any) -> bool:
    """Return whether each source has a name of its own."""
    from sqlglot import exp

    names = [one.alias_or_name.lower() for one in tree.find_all(exp.Table, exp.Subquery) if one.alias_or_name]
    return len(set(names)) == len(names)


def _take_rowids(tree: Any, tables: Shape) -> bool:
    """Rename ``rowid`` to `BORN`, which orders rows the same; refuse it where its value matters."""
    from sqlglot import exp

    if any(name.lower() == "rowid" for _, columns in tables for name, _ in columns):
        return False
    found = [one for one in tree.find_all(exp.Column) if one.name.lower() == "rowid"]
    for column in found:
        if not isinstance(column.parent, exp.Ordered):
            raise Refused("it reads rowid other than to order by it")
        column.set("this", exp.to_identifier(BORN))
    return bool(found)


def by_rows(tree: Any, names: Mapping[str, str]) -> list[tuple[str, str]] | None:
    """Return alias and table of the sources whose rows are those of the statement; None if its rows are others."""
    from sqlglot import exp

    if not isinstance(tree, exp.Select) or tree.args.get("distinct") or tree.args.get("group"):
        return None
    if any(one.find_ancestor(exp.Select) is tree for one in tree.find_all(exp.AggFunc) if not _windowed(one)):
        return None
    if tree.args.get("having") or tree.args.get("with_") or tree.args.get("with"):
        return None
    sources = [source for source, _ in sources_of(tree)]
    if not sources or any(not is_plain(one) or one.name.lower() not in names for one in sources):
        return None
    if any(join.side in {"SEMI", "ANTI"} or join.kind in {"SEMI", "ANTI"} for join in tree.args.get("joins") or ()):
        return None
    return [(source.alias_or_name, names[source.name.lower()]) for source in sources]


def _windowed(node: Any) -> bool:
    from sqlglot import exp

    return node.find_ancestor(exp.Window) is not None


@lru_cache(maxsize=512)
def ordered(statement: Statement, tables: tuple[str, ...]) -> Statement:
    """Return the statement with ties in its order broken; itself if its rows have an order, or it can't be told."""
    from sqlglot import exp

    tree = parsed(statement.text)
    if tree is None or _is_scan(tree, tables):
        return statement
    sources = by_rows(tree, {name.lower(): name for name in tables})
    columns = _columns(tree)
    order = tree.args.get("order")
    limited = tree.args.get("limit") or tree.args.get("offset")
    hidden = sources is None and columns is None
    if (hidden and (order is not None or limited)) or (order is not None and "all" in _first(order)):
        return statement
    if sources is not None:
        breaks = [f"{quote(alias)}.{'step' if table.lower() == 'events' else 'rowid'}" for alias, table in sources]
    else:
        breaks = ["ALL"] if columns is None else [str(n + 1) for n in range(columns)]
    if isinstance(tree, exp.Select) and tree.args.get("distinct") and tree.args["distinct"].args.get("on"):
        return statement
    head, tail = _cut(statement.text) if limited else (statement.text, "")
    text = f"{head}{',' if order is not None else ' ORDER BY'} {', '.join(breaks)} {tail}".strip()
    return replace(statement, text=text) if _reads(text) else statement


def in_order(declared: Rule | Invariant, tables: tuple[str, ...]) -> Rule | Invariant:
    """Return what was declared with its statement `ordered`."""
    return declared if declared.statement is None else replace(declared, statement=ordered(declared.statement, tables))


def has_order(statement: Statement, tables: tuple[str, ...]) -> bool:
    """Return whether `ordered` can give a statement's rows one order, or they have it."""
    return _is_scan(parsed(statement.text), tables) or ordered(statement, tables) is not statement


def _reads(text: str) -> bool:
    try:
        return len(duckdb.extract_statements(text)) == 1
    except duckdb.Error:
        return False


def _first(order: Any) -> str:
    return str(order.expressions[0].sql("duckdb")).lower().split(" ")[0].replace("*", "all")


def _is_scan(tree: Any, tables: tuple[str, ...]) -> bool:
    from sqlglot import exp

    plain = len(list(tree.find_all(exp.Table))) == 1 and not tree.args.get("order") and not tree.find(exp.Window)
    return plain and bool(by_rows(tree, {name.lower(): name for name in tables}))


def _columns(tree: Any) -> int | None:
    """Return how many columns a statement gives; None if a star hides it."""
    from sqlglot import exp

    while isinstance(tree, exp.SetOperation):
        tree = tree.this
    listed = getattr(tree, "expressions", [])
    return None if not listed or any(one.is_star for one in listed) else len(listed)


def _cut(text: str) -> tuple[str, str]:
    """Return a statement without its LIMIT and OFFSET, and these."""
    raw, depth, place = text.encode("utf-8", "surrogatepass"), 0, None
    for offset, _ in duckdb.tokenize(text):
        depth += {b"(": 1, b")": -1}.get(raw[offset : offset + 1], 0)
        word = re.match(rb"\w*", raw[offset:]).group().lower()  # type: ignore[union-attr]
        if depth == 0 and word in {b"limit", b"offset"} and place is None:
            place = offset
        elif depth == 0 and word in {b"order", b"from", b"select", b"where", b"union"}:
            place = None
    head = raw if place is None else raw[:place]
    tail = b"" if place is None else raw[place:]
    return head.decode("utf-8", "surrogatepass").rstrip(), tail.decode("utf-8", "surrogatepass")


def unsure(tree: Any, tables: Shape, keys: Mapping[str, tuple[str, ...]]) -> str | None:
    """Return why a qualified statement might give something else if its rows came in another order; None if not."""
    from sqlglot import exp

    for node in tree.find_all(exp.AggFunc):
        name = type(node).__name__.lower()
        window = node.find_ancestor(exp.Window)
        if isinstance(window, exp.Window) and name not in {*_STEADY, "groupconcat", "arrayagg"}:
            continue  # whether it leaves ties is asked below
        if name not in _STEADY:
            return f"{node.sql_name().lower()}() may depend on the order of rows"
        if name in {"sum", "avg"} and not _is_whole(node, tree, tables):
            return f"{node.sql_name().lower()}() of fractions depends on the order of rows"
    for node in tree.find_all(exp.Func):
        names = {node.name.lower()} if isinstance(node, exp.Anonymous) else {one.lower() for one in node.sql_names()}
        called = "" if isinstance(node, exp.AggFunc) else next(iter(names & _aggregates()), "")
        if called:
            return f"{called}() may depend on the order of rows"
    for window in tree.find_all(exp.Window):
        ranks = type(window.this).__name__.lower() in (*_RANKS, *_STEADY)
        if (window.args.get("spec") or not ranks) and not _is_total(window, tree, keys):
            return "a window over equal rows depends on their order"
    distinct = [one for one in tree.find_all(exp.Distinct) if one.args.get("on")]
    return "DISTINCT ON takes whichever row comes first" if distinct else None


@lru_cache(maxsize=1)
def _aggregates() -> frozenset[str]:
    """Return the aggregate functions of this DuckDB."""
    with connection.memory() as found:
        query = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'"
        return frozenset(row[0] for row in found.execute(query).fetchall())


def _tables_of(tree: Any) -> dict[str, str]:
    from sqlglot import exp

    return {one.alias_or_name.lower(): one.name.lower() for one in tree.find_all(exp.Table)}


def _is_whole(node: Any, tree: Any, tables: Shape) -> bool:
    from sqlglot import exp

    types = {(name.lower(), column.lower()): kind.upper() for name, columns in tables for column, kind in columns}
    aliases = _tables_of(tree)
    allowed = (exp.Column, exp.Identifier, exp.Literal, exp.Add, exp.Sub, exp.Mul, exp.Paren, exp.Neg, exp.Distinct)
    for one in node.this.walk():
        if not isinstance(one, allowed) or (isinstance(one, exp.Literal) and not one.is_int):
            return False
        if isinstance(one, exp.Column):
            kind = types.get((aliases.get(one.table.lower(), ""), one.name.lower()), "")
            if not _WHOLE.fullmatch(kind):
                return False
    return True


def _is_total(window: Any, tree: Any, keys: Mapping[str, tuple[str, ...]]) -> bool:
    """Return whether the order of a window leaves no ties: it names the whole key of every source."""
    from sqlglot import exp

    select, aliases = window.find_ancestor(exp.Select), _tables_of(tree)
    if select.args.get("group") or select.args.get("distinct") or select.args.get("having"):
        return False
    order = window.args.get("order")
    listed = [one.this for one in order.expressions] if order else []
    named = {(one.table.lower(), one.name.lower()) for one in [*listed, *window.args.get("partition_by", [])] if
             isinstance(one, exp.Column)}  # fmt: skip
    for source, _ in sources_of(select):
        alias = source.alias_or_name.lower()
        key = keys.get(aliases.get(alias, "")) if isinstance(source, exp.Table) else None
        if key is None or not all((alias, part.lower()) in named for part in key):
            return False
    return True
