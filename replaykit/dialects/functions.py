"""Functions that mean the same in all dialects, or do once their arguments are looked at: text, aggregates, windows."""

from __future__ import annotations

from typing import Any

from replaykit.dialects.expressions import Expressions
from replaykit.dialects.pieces import ATOM, NUMBERS, OTHER, Piece, cast, only

__all__ = ["Functions"]

_RANKS = {"RowNumber": "row_number", "Rank": "rank", "DenseRank": "dense_rank"}


class Functions(Expressions):
    """Translates function calls."""

    def text(self, node: Any, what: Any = None) -> Piece:
        """Return an argument that must be text."""
        found = self.value(node)
        if found.kind not in ("text", "null") and not found.forms:
            self.refuse(what or node, f"takes text and is given {found.kind}", "give it text")
        return found

    def whole_literal(self, node: Any, argument: Any, least: int, instead: str) -> Piece:
        """Return an argument that must be a whole number written out, at least `least`."""
        found = self.value(argument)
        if not isinstance(found.literal, int) or found.literal < least:
            self.refuse(node, f"is given {found.sql} where only whole numbers from {least} mean the same", instead)
        return found

    def nonempty(self, node: Any, argument: Any) -> Piece:
        """Return an argument that must be text written out, and not empty."""
        found = self.text(argument)
        if not found.literal or not isinstance(found.literal, str):
            self.refuse(node, "takes text that may be empty, which databases answer differently", "write the text out")
        return found

    def on_length(self, node: Any) -> Piece:
        """Return how many characters a text has."""
        only(node, self.dialect, "this")
        return Piece(f"length({self.text(node.this, node).sql})", "int", narrow=True)

    def on_substring(self, node: Any) -> Piece:
        """Return a part of a text."""
        only(node, self.dialect, "this", "start", "length")
        parts = [self.text(node.this, node)]
        parts.append(self.whole_literal(node, node.args["start"], 1, "start at 1 or behind it"))
        if node.args.get("length") is not None:
            parts.append(self.whole_literal(node, node.args["length"], 0, "give the length as a number"))
        return Piece(f"substr({', '.join(one.sql for one in parts)})", "text")

    def on_trim(self, node: Any) -> Piece:
        """Return a text without spaces, or the given characters, at its ends."""
        only(node, self.dialect, "this", "expression", "position")
        given = node.args.get("expression")
        name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or ""), "trim")
        characters = self.nonempty(node, given).sql if given is not None else "' '"
        return Piece(f"{name}({self.text(node.this, node).sql}, {characters})", "text")

    def on_replace(self, node: Any) -> Piece:
        """Return a text with another in place of a third."""
        only(node, self.dialect, "this", "expression", "replacement")
        parts = [self.text(node.this), self.nonempty(node, node.expression), self.text(node.args["replacement"])]
        return Piece(f"replace({', '.join(one.sql for one in parts)})", "text")

    def on_strposition(self, node: Any) -> Piece:
        """Return where a text stands in another, from 1; 0 if it does not."""
        only(node, self.dialect, "this", "substr")
        return Piece(
            f"instr({self.text(node.this).sql}, {self.nonempty(node, node.args['substr']).sql})", "int", narrow=True
        )

    def on_abs(self, node: Any) -> Piece:
        """Return a number without its sign."""
        found = self.value(node.this)
        if found.kind not in NUMBERS:
            self.refuse(node, f"takes a number and is given {found.kind}", "give it a number")
        return Piece(f"abs({found.sql})", found.kind, ATOM, found.narrow)

    def on_dpipe(self, node: Any) -> Piece:
        """Return texts one behind the other."""
        only(node, self.dialect, "this", "expression")
        sides = [self.joinable(node, self.value(one)) for one in (node.this, node.expression)]
        return Piece(f"{sides[0].within(OTHER)} || {sides[1].within(OTHER)}", "text", OTHER)

    def joinable(self, node: Any, found: Piece) -> Piece:
        """Return a piece as text, where the text of it is the same in every database."""
        if found.kind == "int":
            return cast(found, "VARCHAR", "text")
        if found.kind not in ("text", "null") and not found.forms:
            self.refuse(node, f"makes text of {found.kind}, which databases write differently", "cast it first")
        return found

    # Aggregates

    def on_count(self, node: Any) -> Piece:
        """Return a number of rows or values."""
        only(node, self.dialect, "this")
        inner = node.this
        kind = type(inner).__name__
        if kind == "Star":
            return Piece("count(*)", "int")
        if kind == "Distinct":
            if len(inner.expressions) != 1 or inner.args.get("on"):
                self.refuse(node, "counts several columns together", "count one")
            return Piece(f"count(DISTINCT {self.aggregate(inner.expressions[0]).sql})", "int")
        return Piece(f"count({self.aggregate(inner).sql})", "int")

    def whole_numbers(self, node: Any) -> tuple[str, Piece]:
        """Return the argument of a sum, which must be of whole numbers, as DuckDB sums doubles in any order."""
        distinct = "DISTINCT " if type(node.this).__name__ == "Distinct" else ""
        found = self.aggregate(node.this.expressions[0] if distinct else node.this)
        if found.kind not in ("int", "decimal" if self.dialect == "postgres" else "int"):
            self.refuse(
                node, f"adds up {found.kind}, and a sum of fractions depends on the order of rows",
                "add up whole numbers",
            )  # fmt: skip
        return distinct + found.sql, found

    def on_sum(self, node: Any) -> Piece:
        """Return a sum of whole numbers."""
        only(node, self.dialect, "this")
        text, found = self.whole_numbers(node)
        if found.kind == "decimal":
            return Piece(f"sum({text})", "decimal")
        # In PostgreSQL only whole numbers of 32 bits add up to a whole number; others to a numeric.
        kind = "decimal" if self.dialect == "postgres" and not found.narrow else "int"
        return Piece(f"CAST(sum({text}) AS BIGINT)", kind)

    def on_avg(self, node: Any) -> Piece:
        """Return a mean of whole numbers."""
        only(node, self.dialect, "this")
        text, _ = self.whole_numbers(node)
        return Piece(f"(CAST(sum({text}) AS DOUBLE) / nullif(count({text}), 0))", "real")

    def extreme(self, node: Any, name: str) -> Piece:
        """Return the least or greatest value."""
        only(node, self.dialect, "this")
        found = self.aggregate(node.this)
        if found.kind in ("any", "json", "null"):
            self.refuse(node, f"orders values of kind {found.kind}", "declare the column's type")
        kept = {kind: f"{name}({text})" for kind, text in found.forms.items()}
        return Piece(f"{name}({found.sql})", found.kind, ATOM, found.narrow, forms=kept)

    def on_min(self, node: Any) -> Piece:
        """Return the least value."""
        return self.extreme(node, "min")

    def on_max(self, node: Any) -> Piece:
        """Return the greatest value."""
        return self.extreme(node, "max")

    def on_groupconcat(self, node: Any) -> Piece:
        """Return texts joined, where their order is said."""
        only(node, self.dialect, "this", "separator")
        order = node.this
        if type(order).__name__ != "Order":
            self.refuse(node, "joins texts in any order", "say which with ORDER BY inside it")
        separator = node.args.get("separator")
        self.scope.inside += 1
        inner, by = self.joinable(node, self.value(order.this)), self.order_inside(order)
        text = self.text(separator).sql if separator is not None else "','"
        self.scope.inside -= 1
        return Piece(f"string_agg({inner.sql}, {text} {by})", "text")

    def order_inside(self, order: Any) -> str:
        """Return the ORDER BY inside an aggregate, where no output can be named."""
        outputs, self.scope.outputs = self.scope.outputs, {}
        try:
            return self.order(type(order)(expressions=[one.copy() for one in order.expressions]))
        finally:
            self.scope.outputs = outputs

    def on_filter(self, node: Any) -> Piece:
        """Return an aggregate over some of the rows."""
        only(node, self.dialect, "this", "expression")
        found = self.piece(node.this)
        self.scope.inside += 1
        where = self.condition(node.expression.this).sql
        self.scope.inside -= 1
        head, _, tail = found.sql.rpartition(")") if not found.sql.startswith("CAST(") else found.sql.rpartition(" AS ")
        if found.sql.startswith("("):
            self.refuse(node, "filters a mean", "divide a filtered sum by a filtered count")
        text = f"{head} FILTER (WHERE {where}) AS {tail}" if found.sql.startswith("CAST(") else (
            f"{head}){tail} FILTER (WHERE {where})"
        )  # fmt: skip
        return Piece(text, found.kind)

    def on_window(self, node: Any) -> Piece:
        """Return a rank within a partition."""
        only(node, self.dialect, "this", "partition_by", "order")
        kind = type(node.this).__name__
        if kind not in _RANKS:
            self.refuse(node, "is a window function without a known counterpart", "use row_number, rank or dense_rank")
        if node.args.get("order") is None:
            self.refuse(node, "numbers rows in any order", "add ORDER BY to it")
        parts = node.args.get("partition_by") or []
        by = f"PARTITION BY {', '.join(self.value(one).sql for one in parts)} " if parts else ""
        return Piece(f"{_RANKS[kind]}() OVER ({by}{self.order_inside(node.args['order'])})", "int")
