"""Sources: what a query reads from, tables, queries and joins, and which names it can use for their columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from replaykit.dialects.pieces import Piece, name_sql, only, refuse
from replaykit.dialects.scopes import Kinds, Scope, table_kinds

if TYPE_CHECKING:
    from replaykit.declarations import Table

__all__ = ["Sources", "kinds_of"]

_JOINS = {"": "JOIN", "LEFT": "LEFT JOIN", "RIGHT": "RIGHT JOIN", "FULL": "FULL JOIN"}


class Sources:
    """Translates FROM and joins; subclasses translate queries and expressions."""

    dialect = ""

    def __init__(self, tables: Mapping[str, Table], params: Mapping[str, Any]) -> None:
        self.tables = table_kinds(tables)
        self.params = params
        self.scope = Scope()

    def value(self, node: Any) -> Piece:
        """Return an expression as a value."""
        raise NotImplementedError

    def condition(self, node: Any) -> Piece:
        """Return an expression as a condition."""
        raise NotImplementedError

    def unified(self, pieces: list[Piece], node: Any) -> list[Piece]:
        """Return pieces as values of one kind."""
        raise NotImplementedError

    def refuse(self, node: Any, why: str, instead: str) -> Any:
        """Refuse a fragment."""
        refuse(node, self.dialect, why, instead)

    def named_column(self, name: str, alias: str) -> Piece:
        """Return a column by its name and its source's."""
        raise NotImplementedError

    def query(self, node: Any, *, named: bool) -> tuple[str, list[tuple[str, Piece]]]:
        """Return the text of a query and its columns."""
        raise NotImplementedError

    def sources_of(self, node: Any) -> str:
        """Return FROM with its joins, and note what can be named there."""
        clause = node.args.get("from_")
        if clause is None:
            return ""
        only(clause, self.dialect, "this")
        return "\nFROM " + self._source(clause.this) + "".join(map(self._join, node.args.get("joins") or []))

    def _source(self, node: Any) -> str:
        kind = type(node).__name__
        if kind == "Subquery":
            text, columns = self.query(node, named=True)
            self.scope.sources[node.alias.lower()] = (kinds_of(columns, []), False)
            return f"({text})" + (f" AS {name_sql(node.args['alias'].this)}" if node.alias else "")
        if kind != "Table" or not isinstance(node.name, str) or type(node.this).__name__ != "Identifier":
            self.refuse(node, "is no table", "name a state table, or a query")
        only(node, self.dialect, "this", "alias", "joins")
        name = node.name.lower()
        if name in self.scope.queries:
            self.scope.sources[node.alias_or_name.lower()] = (self.scope.queries[name], False)
        elif name in self.tables:
            self.scope.sources[node.alias_or_name.lower()] = self.tables[name]
        else:
            self.refuse(node, "is no table of the reconciler", f"the tables are {sorted(self.tables)}")
        alias = node.args.get("alias")
        if alias is not None:
            only(alias, self.dialect, "this")
        nested = "".join(map(self._join, node.args.get("joins") or []))
        return name_sql(node.this) + (f" AS {name_sql(alias.this)}" if alias is not None else "") + nested

    def _join(self, join: Any) -> str:
        only(join, self.dialect, "this", "on", "using", "side", "kind")
        kind = (join.args.get("kind") or "").upper()
        side = (join.args.get("side") or "").upper()
        if kind not in ("", "INNER", "CROSS", "OUTER") or side not in _JOINS:
            self.refuse(join, "is a join without a counterpart", "write JOIN, LEFT JOIN or CROSS JOIN with ON")
        source = self._source(join.this)
        if join.args.get("using"):
            self.scope.merged = True
            return f"\n{_JOINS[side]} {source} USING ({', '.join(map(name_sql, join.args['using']))})"
        if join.args.get("on") is None:
            if side:
                self.refuse(join, "has no ON", "say on what it joins")
            return f"\nCROSS JOIN {source}"
        return f"\n{_JOINS[side]} {source} ON {self.condition(join.args['on']).sql}"


def kinds_of(columns: list[tuple[str, Piece]], names: list[str]) -> Kinds:
    """Return the kinds of a query's columns, under these names if there are any."""
    called = names or [name for name, _ in columns]
    return {name.lower(): (piece.kind, piece.narrow) for name, (_, piece) in zip(called, columns, strict=False)}
