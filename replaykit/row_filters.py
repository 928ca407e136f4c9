"""Which rows of a state table a SELECT lets in: conditions on one row alone, taken from its WHERE and ON.

``WHERE b.status = 'open' AND ...`` has no use for a bead that is not open, whatever the rest says. Only conditions
that mean the same in Python as in SQL are taken; leaving one out lets more rows in, which is never wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from replaykit.sql_trees import conjuncts_of
from replaykit.storage import storage_type
from replaykit.temp_tables import broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replaykit.rows import Row

__all__ = ["RowFilter", "is_plain", "row_filters", "sources_of"]

RowFilter: TypeAlias = "Callable[[Row], bool]"
_Condition: TypeAlias = "Callable[[Row], bool | None]"
"""True, False, or None for SQL's NULL."""

_NAMES = ("this", "alias")
_INTEGERS = "U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER"
_JOINED = ({"", "LEFT"}, {"", "INNER", "CROSS", "OUTER"})  # sides and kinds of joins that are understood


def sources_of(select: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what a SELECT reads from, each with its join; None for what stands first or is lateral."""
    clause = select.args.get("from_") or select.args.get("from")
    if clause is not None:
        yield clause.this, None
    for join in select.args.get("joins") or ():
        yield join.this, join
    for lateral in select.args.get("laterals") or ():
        yield lateral, None


def is_plain(source: Any) -> bool:
    """Return whether a source is a table by its name, with an alias at most."""
    from sqlglot import exp

    if not isinstance(source, exp.Table) or any(value for key, value in source.args.items() if key not in _NAMES):
        return False
    alias = source.args.get("alias")
    return alias is None or not alias.args.get("columns")


def row_filters(tree: Any, table: str, types: Mapping[str, str], text: str) -> tuple[RowFilter, ...]:
    """Return a filter for each place at which a statement names a table; none if some place lets every row in.

    Parameters
    ----------
    tree
        The statement's syntax tree. Common table expressions count as tables of their name: one filter more.
    types
        Columns of the table and their DuckDB types.
    """
    from sqlglot import exp

    renamed = {node.alias.lower() for node in tree.find_all(exp.Alias)}
    places = [node for node in tree.find_all(exp.Table) if node.name.lower() == table.lower()]
    found = [_Place(node, types, text, renamed).filter() for node in places]
    return tuple(one for one in found if one is not None) if None not in found else ()


class _Place:
    """One place at which a statement reads a table."""

    def __init__(self, node: Any, types: Mapping[str, str], text: str, renamed: set[str]) -> None:
        self._node = node
        self._types = {column.lower(): (column, storage_type(sql).upper()) for column, sql in types.items()}
        self._text = text
        self._renamed = renamed
        self._alias = node.alias_or_name.lower()
        self._alone = False
        self._texts: set[str] = set()

    def filter(self) -> RowFilter | None:
        """Return the conjunction of all that is asked of this row alone; None if nothing is."""
        conditions = [self._condition(one) for one in self._conjuncts()]
        known = tuple(one for one in conditions if one is not None)
        return partial(_let_in, known, tuple(sorted(self._texts))) if known else None

    def _conjuncts(self) -> Iterator[Any]:
        """Yield conditions without which no row of this place has a part in the result."""
        from sqlglot import exp

        own = self._node.parent
        select = own.parent
        if not isinstance(own, (exp.From, exp.Join)) or not isinstance(select, exp.Select) or not is_plain(self._node):
            return
        sources = list(sources_of(select))
        joins = [join for _, join in sources if join is not None]
        names = [source.alias_or_name.lower() for source, _ in sources]
        if names.count(self._alias) > 1 or select.args.get("laterals") or not all(map(_understood, joins)):
            return
        self._alone = len(sources) == 1
        if isinstance(own, exp.Join) and own.side:  # its rows may be missing, and WHERE is asked behind that
            yield from conjuncts_of(own.args.get("on"))
            return
        where = select.args.get("where")
        yield from conjuncts_of(where.this if where is not None else None)
        for join in joins:
            if not join.side:
                yield from conjuncts_of(join.args.get("on"))

    def _condition(self, node: Any) -> _Condition | None:
        """Return a condition on one row in Python; None if it is not one, or not surely the same."""
        from sqlglot import exp

        if isinstance(node, exp.Paren):
            return self._condition(node.this)
        if isinstance(node, exp.Not):
            inner = self._condition(node.this)
            return partial(_not, inner) if inner is not None else None
        if isinstance(node, (exp.And, exp.Or)):
            left, right = self._condition(node.this), self._condition(node.expression)
            if left is None or right is None:
                return None
            return partial(_either if isinstance(node, exp.Or) else _both, left, right)
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
            column = self._column(node.this)
            return partial(_is_null, column[0]) if column is not None else None
        if isinstance(node, (exp.EQ, exp.NEQ)):
            equal = self._among(node.this, [node.expression]) or self._among(node.expression, [node.this])
            return partial(_not, equal) if equal is not None and isinstance(node, exp.NEQ) else equal
        if isinstance(node, exp.In) and not (set(node.args) - {"this", "expressions"}):
            return self._among(node.this, node.expressions)
        return None

    def _among(self, node: Any, listed: list[Any]) -> _Condition | None:
        column = self._column(node)
        if column is None or not listed:
            return None
        values = [self._literal(one, column[1]) for one in listed]
        if None in values:
            return None
        if column[1].startswith("VARCHAR"):
            self._texts.add(column[0])
        return partial(_in, column[0], frozenset(values))

    def _column(self, node: Any) -> tuple[str, str] | None:
        """Return name and type of this place's column that a node surely is."""
        from sqlglot import exp

        if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier) or node.args.get("db"):
            return None
        name, table = node.name.lower(), node.table.lower()
        mine = table == self._alias or (not table and self._alone and name not in self._renamed)
        return self._types.get(name) if mine else None

    def _literal(self, node: Any, sql: str) -> str | int | bool | None:
        """Return the Python value of a constant that SQL compares with a column of this type as it is."""
        from sqlglot import exp

        if isinstance(node, exp.Boolean):
            return bool(node.this) if sql == "BOOLEAN" else None
        if not isinstance(node, exp.Literal):
            return None
        if node.is_string:  # not if the text has it in another way, with an escape for instance
            simple = re.fullmatch(r"[\w .:/-]*", node.this, re.ASCII) and f"'{node.this}'" in self._text
            return str(node.this) if simple and sql.startswith("VARCHAR") else None
        return int(node.this) if re.fullmatch("[0-9]{1,18}", node.this) and re.fullmatch(_INTEGERS, sql) else None


def _understood(join: Any) -> bool:
    used = {key for key, value in join.args.items() if value}
    sides, kinds = _JOINED
    return used <= {"this", "on", "side", "kind", "using"} and join.side in sides and join.kind in kinds


def _let_in(conditions: tuple[_Condition, ...], texts: tuple[str, ...], row: Row) -> bool:
    if all(condition(row) for condition in conditions):
        return True
    return any(row[name] is not None and not row[name].isascii() and broken(row[name]) for name in texts)


def _in(column: str, values: frozenset[Any], row: Row) -> bool | None:
    value = row[column]
    return None if value is None else value in values


def _is_null(column: str, row: Row) -> bool | None:
    return row[column] is None


def _not(condition: _Condition, row: Row) -> bool | None:
    found = condition(row)
    return None if found is None else not found


def _both(left: _Condition, right: _Condition, row: Row) -> bool | None:
    one, other = left(row), right(row)
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _either(left: _Condition, right: _Condition, row: Row) -> bool | None:
    one, other = left(row), right(row)
    if one or other:
        return True
    return None if one is None or other is None else False
