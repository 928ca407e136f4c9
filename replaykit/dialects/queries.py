"""Queries: SELECT, WITH, UNION, joins, grouping and order, clause by clause, for whatever expressions a dialect has."""

from __future__ import annotations

from typing import Any

from replaykit.dialects.pieces import Piece, name_sql, only
from replaykit.dialects.sources import Sources, kinds_of

__all__ = ["Queries"]

_SETS = {"Union": "UNION", "Except": "EXCEPT", "Intersect": "INTERSECT"}


class Queries(Sources):
    """Translates queries; a subclass translates expressions."""

    def whole(self, node: Any) -> str:
        """Return the text of a whole query."""
        return self.query(node, named=True)[0]

    def query(self, node: Any, *, named: bool) -> tuple[str, list[tuple[str, Piece]]]:
        """Return the text of a query and its columns; with `named` each must have a name that all dialects agree on."""
        kind = type(node).__name__
        if kind == "Subquery":
            only(node, self.dialect, "this", "alias")
            return self.query(node.this, named=named)
        if kind not in ("Select", *_SETS):
            self.refuse(node, f"is a {kind.upper()}, not a SELECT", "write a SELECT")
        outer = self.scope
        self.scope = outer.child()
        try:
            heads = self._with(node)
            text, columns = self._select(node, named) if kind == "Select" else self._set(node, named)
        finally:
            self.scope = outer
        return heads + text, columns

    def _with(self, node: Any) -> str:
        clause = node.args.get("with_")
        if clause is None:
            return ""
        only(clause, self.dialect, "expressions", "recursive")
        texts = [self._named_query(one, recursive=bool(clause.args.get("recursive"))) for one in clause.expressions]
        return f"WITH {'RECURSIVE ' if clause.args.get('recursive') else ''}{', '.join(texts)}\n"

    def _named_query(self, cte: Any, *, recursive: bool) -> str:
        only(cte, self.dialect, "this", "alias", "materialized")
        names = [str(one.name) for one in cte.args["alias"].args.get("columns") or []]
        body = cte.this
        if recursive and type(body).__name__ == "Union":
            first = self.query(body.this, named=not names)[1]
            self.scope.queries[cte.alias.lower()] = kinds_of(first, names)
        text, columns = self.query(body, named=not names)
        self.scope.queries[cte.alias.lower()] = kinds_of(columns, names)
        listed = f"({', '.join(map(name_sql, names))})" if names else ""
        return f"{name_sql(cte.args['alias'].this)}{listed} AS ({text})"

    def _set(self, node: Any, named: bool) -> tuple[str, list[tuple[str, Piece]]]:
        only(node, self.dialect, "this", "expression", "distinct", "with_", "order", "limit", "offset")
        for side in (node.this, node.expression):
            if type(side).__name__ in _SETS and type(side) is not type(node):
                self.refuse(node, "mixes UNION, EXCEPT and INTERSECT, which bind differently", "say it with WITH")
        left, mine = self.query(node.this, named=named)
        right, theirs = self.query(node.expression, named=False)
        if len(mine) != len(theirs):
            self.refuse(node, "joins queries of different width", "select as many columns in each")
        kinds = []
        for (name, one), (_, other) in zip(mine, theirs, strict=True):
            pair = self.unified([one, other], node)
            if any(piece.sql != before.sql for piece, before in zip(pair, (one, other), strict=True)):
                self.refuse(node, f"mixes {one.kind} and {other.kind} in column {name!r}", "cast one of them")
            kinds.append((name, pair[0]))
        self.scope.outputs, self.scope.width = dict(kinds), len(kinds)
        word = _SETS[type(node).__name__] + ("" if node.args.get("distinct") else " ALL")
        return f"{_framed(left, node.this)}\n{word}\n{_framed(right, node.expression)}" + self._tail(node), kinds

    def _select(self, node: Any, named: bool) -> tuple[str, list[tuple[str, Piece]]]:
        known = ("expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "distinct",
                 "with_", "kind")  # fmt: skip
        if node.args.get("locks"):
            lock = node.args["locks"][0].sql(self.dialect)
            self.refuse(lock, "takes a lock, and a replay has no other transaction to lock out", "leave it out")
        only(node, self.dialect, *known)
        sources = self.sources_of(node)
        where = self._clause(node, "where", "WHERE")
        self._check_group(node)
        columns = [one for item in node.expressions for one in self._outputs(item, named)]
        self.scope.outputs = {name.lower(): piece for name, piece in columns if name}
        self.scope.width = len(columns)
        group = self._group(node)
        having = self._clause(node, "having", "HAVING")
        listed = ", ".join(_listed(name, piece) for name, piece in columns)
        head = f"SELECT {self._distinct(node)}{listed}"
        return head + sources + where + group + having + self._tail(node), [(n, _output(p)) for n, p in columns]

    def _distinct(self, node: Any) -> str:
        distinct = node.args.get("distinct")
        if distinct is None:
            return ""
        only(distinct, self.dialect, "on")
        on = distinct.args.get("on")
        if on is None:
            return "DISTINCT "
        if node.args.get("order") is None:
            self.refuse(distinct, "keeps any row of each group", "say which with ORDER BY")
        return f"DISTINCT ON ({', '.join(self.value(one).sql for one in getattr(on, 'expressions', None) or [on])}) "

    def _outputs(self, item: Any, named: bool) -> list[tuple[str, Piece]]:
        kind = type(item).__name__
        if kind == "Star" or (kind == "Column" and type(item.this).__name__ == "Star"):
            return self._starred(item)
        if kind == "Alias":
            only(item, self.dialect, "this", "alias")
            return [(self.called(item), self.value(item.this))]
        if kind == "Column":
            return [(item.name, self.value(item))]
        if named:
            self.refuse(item, "has a name that every database makes up for itself", "give it one with AS")
        return [("", self.value(item))]

    def called(self, item: Any) -> str:
        """Return the name an output is given."""
        return str(item.alias)

    def _starred(self, item: Any) -> list[tuple[str, Piece]]:
        only(item, self.dialect, "this", "table")
        if self.scope.merged and not getattr(item, "table", ""):
            self.refuse(item, "takes columns that USING has made one", "name the columns")
        found: list[tuple[str, Piece]] = []
        for alias, (columns, more) in self.scope.sources.items():
            if getattr(item, "table", "").lower() not in ("", alias):
                continue
            if more:
                self.refuse(item, f"takes columns of {alias!r} that are not declared", "declare them, or name them")
            found += [(name, self.named_column(name, alias)) for name in columns]
        return found

    def _clause(self, node: Any, name: str, word: str) -> str:
        clause = node.args.get(name)
        return "" if clause is None else f"\n{word} {self.condition(clause.this).sql}"

    def _check_group(self, node: Any) -> None:
        """Note which columns may stand outside aggregates, before the columns are read."""
        from sqlglot import exp

        group = node.args.get("group")
        if group is not None:
            only(group, self.dialect, "expressions")
            self.scope.grouped = set()
            for one in map(self._grouped_by, group.expressions, [node] * len(group.expressions)):
                found = self.scope.find(one.name, one.table) if isinstance(one, exp.Column) else None
                key = one.sql(comments=False).lower() if found is None else f"{found[0]}.{one.name.lower()}"
                self.scope.grouped.add(key)
        elif any(_aggregates(item) for item in [*node.expressions, node.args.get("having")] if item is not None):
            self.scope.grouped = set()

    def _grouped_by(self, one: Any, node: Any) -> Any:
        """Return what a member of GROUP BY stands for: a column, or the output it counts or names."""
        from sqlglot import exp

        if isinstance(one, exp.Literal) and one.is_int:
            if not 0 < int(one.name) <= len(node.expressions):
                self.refuse(one, "counts an output that is not there", "name what to group by")
            return node.expressions[int(one.name) - 1].unalias()
        aliases = {item.alias.lower(): item.this for item in node.expressions if isinstance(item, exp.Alias)}
        if isinstance(one, exp.Column) and not one.table and one.name.lower() in aliases:
            if self.scope.find(one.name) is None:
                return aliases[one.name.lower()]
            if aliases[one.name.lower()] != one:
                self.refuse(one, "is both a column and the name of another output", "name the output otherwise")
        return one

    def _group(self, node: Any) -> str:
        group = node.args.get("group")
        if group is None:
            return ""
        texts = []
        for one in group.expressions:
            meant = self._grouped_by(one, node)
            texts.append(self.by(meant))
        return f"\nGROUP BY {', '.join(texts)}"

    def _tail(self, node: Any) -> str:
        order, limit, offset = (node.args.get(name) for name in ("order", "limit", "offset"))
        text = f"\n{self.order(order)}" if order is not None else ""
        if limit is None and offset is None:
            return text
        if order is None and type(node.parent).__name__ != "Exists":
            self.refuse(limit or offset, "takes any rows where the order is not said", "add ORDER BY")
        for clause, word in ((limit, "LIMIT"), (offset, "OFFSET")):
            if clause is not None:
                text += f"\n{word} {self._amount(clause)}"
        return text

    def _amount(self, clause: Any) -> str:
        if type(clause).__name__ not in ("Limit", "Offset"):
            self.refuse(clause, "is a limit of its own kind", "write LIMIT")
        only(clause, self.dialect, "expression")
        piece = self.value(clause.expression)
        if piece.kind != "int" or (isinstance(piece.literal, int) and piece.literal < 0):
            self.refuse(clause, "is no number of rows", "give a whole number from 0")
        return piece.sql

    def order(self, node: Any) -> str:
        """Return an ORDER BY that says where NULL goes."""
        only(node, self.dialect, "this", "expressions")
        return f"ORDER BY {', '.join(map(self._ordered, node.expressions))}"

    def _ordered(self, node: Any) -> str:
        only(node, self.dialect, "this", "desc", "nulls_first")
        text = self._order_by(node.this)
        down = " DESC" if node.args.get("desc") else ""
        return f"{text}{down} NULLS {'FIRST' if node.args.get('nulls_first') else 'LAST'}"

    def _order_by(self, node: Any) -> str:
        kind = type(node).__name__
        if kind == "Literal" and node.is_int and 0 < int(node.name) <= self.scope.width:
            return str(node.name)
        if kind == "Column" and not node.table and node.name.lower() in self.scope.outputs:
            output, found = self.scope.outputs[node.name.lower()], self.scope.find(node.name)
            if (
                found is not None
                and found[2] is self.scope
                and self.value(node).sql.rpartition(".")[2] != (output.sql.rpartition(".")[2])
            ):
                self.refuse(node, "is both a column and the name of another output", "name the output otherwise")
            return name_sql(node.this)
        return self.by(node)

    def by(self, node: Any) -> str:
        """Return what to group, order or partition by: anything but a constant."""
        found = self.value(node)
        if found.literal is not None or found.kind == "null" or found.sql.startswith("$"):
            self.refuse(node, "is the same for every row, and puts nothing in order", "name a column")
        return found.sql


def _listed(name: str, piece: Piece) -> str:
    own = piece.sql.rpartition(".")[2].strip('"')
    return piece.sql if not name or own == name else f"{piece.sql} AS {name_sql(name)}"


def _output(piece: Piece) -> Piece:
    """Return a column as the queries around it see it: no literal any more, and a text that was a time is text."""
    kind = "text" if piece.forms else piece.kind
    return Piece(piece.sql, kind, piece.binds, piece.narrow)


def _framed(text: str, node: Any) -> str:
    plain = type(node).__name__ == "Select" and not any(node.args.get(n) for n in ("order", "limit", "offset", "with_"))
    return text if plain else f"({text})"


def _aggregates(item: Any) -> bool:
    """Return whether an output aggregates, itself and not in a query of its own."""
    from sqlglot import exp

    if isinstance(item, (exp.Query, exp.Window)):
        return False
    if isinstance(item, exp.AggFunc) or (isinstance(item, exp.Anonymous) and item.name.lower() == "total"):
        return True
    return any(_aggregates(child) for child in item.iter_expressions())
