"""Expressions that the dialects share: operators, names, CASE, IN, subqueries; what kinds may meet differs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from replaykit.dialects.pieces import (
    AND,
    ATOM,
    COMPARED,
    ELSEWISE,
    NEGATED,
    NUMBERS,
    OR,
    OTHER,
    PRODUCT,
    REFUSED,
    SIGN,
    SUM,
    Piece,
    name_sql,
    only,
    refuse,
    text_sql,
    unframed,
    value_kind,
)
from replaykit.dialects.queries import Queries
from replaykit.errors import ReconcilerError

__all__ = ["Expressions"]

_COMPARISONS = {"EQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
_SAME = {"NullSafeEQ": "IS NOT DISTINCT FROM", "NullSafeNEQ": "IS DISTINCT FROM"}
_SUMS = {"Add": "+", "Sub": "-"}


class Expressions(Queries):
    """Translates expressions, by the name of their class; one that has no method here is refused."""

    def piece(self, node: Any) -> Piece:
        """Return any expression, with conditions as conditions."""
        name = type(node).__name__
        unframed(node, self.dialect)
        grouped = self.scope.grouped
        if grouped and not self.scope.inside and name != "Column" and node.sql(comments=False).lower() in grouped:
            return self.aggregate(node)
        if name in _COMPARISONS or name in _SAME:
            return self.compared(node, _COMPARISONS.get(name) or _SAME[name])
        if name in ("And", "Or"):
            return self.joined(node, name.upper(), AND if name == "And" else OR)
        if name in _SUMS:
            only(node, self.dialect, "this", "expression")
            return self.summed(node, _SUMS[name], self.value(node.this), self.value(node.expression))
        method: Callable[[Any], Piece] | None = getattr(self, f"on_{name.lower()}", None)
        if method is None:
            refuse(
                node, self.dialect, *REFUSED.get(name, (f"has no exact counterpart that is known ({name})", ELSEWISE))
            )
        return method(node)

    def aggregate(self, node: Any) -> Piece:
        """Return an expression in which columns need not be grouped: an aggregate's, or one that is grouped by."""
        self.scope.inside += 1
        try:
            return self.value(node)
        finally:
            self.scope.inside -= 1

    def value(self, node: Any) -> Piece:
        """Return an expression as a value."""
        return self.piece(node)

    def condition(self, node: Any) -> Piece:
        """Return an expression as a condition."""
        found = self.piece(node)
        if found.kind not in ("bool", "null"):
            self.refuse(node, f"is of kind {found.kind}, not a condition", "compare it with something")
        return found

    def summed(self, node: Any, sign: str, left: Piece, right: Piece) -> Piece:
        """Return a sum or difference."""
        raise NotImplementedError

    def paired(self, node: Any, operator: str, left: Piece, right: Piece) -> tuple[str, Piece, Piece]:
        """Return the operator and both sides of a comparison in kinds that DuckDB compares as the dialect does."""
        raise NotImplementedError

    def compared(self, node: Any, operator: str) -> Piece:
        """Return a comparison."""
        only(node, self.dialect, "this", "expression")
        operator, left, right = self.paired(node, operator, self.value(node.this), self.value(node.expression))
        return Piece(f"{left.within(OTHER)} {operator} {right.within(OTHER)}", "bool", COMPARED)

    def joined(self, node: Any, word: str, binds: int) -> Piece:
        """Return conditions joined by AND or OR."""
        only(node, self.dialect, "this", "expression")
        sides = [self.condition(one).within(binds) for one in (node.this, node.expression)]
        return Piece(f" {word} ".join(sides), "bool", binds)

    def on_not(self, node: Any) -> Piece:
        """Return NOT, in the form people write where there is one."""
        inner = node.this.this if type(node.this).__name__ == "Paren" else node.this
        if type(inner).__name__ == "Is" and type(inner.expression).__name__ == "Null":
            word = "IS NULL" if inner.args.get("negate") else "IS NOT NULL"
            return Piece(f"{self.piece(inner.this).within(OTHER)} {word}", "bool", COMPARED)
        return Piece(f"NOT {self.condition(inner).within(NEGATED)}", "bool", NEGATED)

    def on_paren(self, node: Any) -> Piece:
        """Return what is in parentheses, which come back where they are needed."""
        return self.piece(node.this)

    def on_is(self, node: Any) -> Piece:
        """Return IS NULL, IS TRUE, IS FALSE."""
        only(node, self.dialect, "this", "expression", "negate")
        kind = type(node.expression).__name__
        negated = "NOT " if node.args.get("negate") else ""
        if kind == "Null":
            return Piece(f"{self.piece(node.this).within(OTHER)} IS {negated}NULL", "bool", COMPARED)
        if kind != "Boolean":
            self.refuse(node, "compares with IS", "compare with =, or write IS NULL")
        word = "TRUE" if node.expression.this else "FALSE"
        return Piece(f"{self.condition(node.this).within(OTHER)} IS {negated}{word}", "bool", COMPARED)

    def on_between(self, node: Any) -> Piece:
        """Return BETWEEN, as two comparisons where its sides are of unlike kinds."""
        only(node, self.dialect, "this", "low", "high")
        this, low, high = (self.value(node.args[name]) for name in ("this", "low", "high"))
        self.paired(node, "=", low, high)
        more, mine, low = self.paired(node, ">=", this, low)
        less, again, high = self.paired(node, "<=", this, high)
        if (more, less, mine.sql) == (">=", "<=", again.sql):
            text = f"{mine.within(OTHER)} BETWEEN {low.within(OTHER)} AND {high.within(OTHER)}"
            return Piece(text, "bool", COMPARED)
        sides = ((mine, more, low), (again, less, high))
        return Piece(" AND ".join(f"{a.within(OTHER)} {op} {b.within(OTHER)}" for a, op, b in sides), "bool", AND)

    def on_in(self, node: Any) -> Piece:
        """Return IN a list or a query."""
        only(node, self.dialect, "this", "expressions", "query")
        this = self.value(node.this)
        if node.args.get("query") is not None:
            text, columns = self.query(node.args["query"], named=False)
            if len(columns) != 1:
                self.refuse(node, "looks in more than one column", "select one")
            _, mine, other = self.paired(node, "=", this, columns[0][1])
            if other.sql != columns[0][1].sql:
                self.refuse(node, f"looks for {this.kind} among {columns[0][1].kind}", "cast one of them")
            return Piece(f"{mine.within(OTHER)} IN ({text})", "bool", COMPARED)
        triples = [self.paired(node, "=", this, self.value(one)) for one in node.expressions]
        if not triples or {(op, mine.sql) for op, mine, _ in triples} != {("=", triples[0][1].sql)}:
            self.refuse(node, "lists values of unlike kinds", "list values of one kind")
        listed = ", ".join(one.sql for *_, one in triples)
        return Piece(f"{triples[0][1].within(OTHER)} IN ({listed})", "bool", COMPARED)

    def on_exists(self, node: Any) -> Piece:
        """Return EXISTS."""
        return Piece(f"EXISTS ({self.query(node.this, named=False)[0]})", "bool")

    def on_subquery(self, node: Any) -> Piece:
        """Return a query that stands for one value; DuckDB raises where it gives several rows."""
        text, columns = self.query(node, named=False)
        if len(columns) != 1:
            self.refuse(node, "stands for one value and has several columns", "select one")
        return Piece(f"({text})", columns[0][1].kind, ATOM, columns[0][1].narrow)

    def on_literal(self, node: Any) -> Piece:
        """Return text or a number."""
        if node.args.get("is_string"):
            return Piece(text_sql(str(node.this)), "text", literal=str(node.this))
        text = str(node.this)
        if re.fullmatch(r"\d+", text):
            narrow = int(text) < 2**31
            if int(text) >= 2**63:
                self.refuse(node, "is no whole number of 64 bits", "write a smaller one")
            return Piece(text, "int", narrow=narrow, literal=int(text))
        return self.fraction(node, text)

    def fraction(self, node: Any, text: str) -> Piece:
        """Return a number that is not whole."""
        raise NotImplementedError

    def on_null(self, node: Any) -> Piece:  # noqa: ARG002 - one signature for all
        """Return NULL."""
        return Piece("NULL", "null")

    def on_boolean(self, node: Any) -> Piece:
        """Return TRUE or FALSE."""
        return Piece("TRUE" if node.this else "FALSE", "bool")

    def on_neg(self, node: Any) -> Piece:
        """Return a number with the other sign."""
        inner = self.value(node.this)
        if inner.kind not in NUMBERS:
            self.refuse(node, f"negates a {inner.kind}", "negate a number")
        literal = -inner.literal if inner.literal is not None else None
        return Piece(f"-{inner.within(ATOM)}", inner.kind, SIGN, inner.narrow, literal)

    def on_column(self, node: Any) -> Piece:
        """Return a column, or the output of that name."""
        only(node, self.dialect, "this", "table")
        found = self.scope.find(node.name, node.table)
        if found is None:
            self.unknown(node)
        alias, (kind, narrow), scope = found  # type: ignore[misc]
        if scope.grouped is not None and not scope.inside and f"{alias}.{node.name.lower()}" not in scope.grouped:
            self.refuse(
                node, "is neither aggregated nor in GROUP BY, and which row's it is has no answer",
                f"write GROUP BY {node.name}, or min({node.name})",
            )  # fmt: skip
        prefix = f"{name_sql(node.args['table'])}." if node.args.get("table") else ""
        return Piece(prefix + name_sql(node.this), kind, ATOM, narrow)

    def named_column(self, name: str, alias: str) -> Piece:
        """Return a column by its name and its source's."""
        kind, narrow = self.scope.sources[alias][0][name]
        return Piece(f"{name_sql(alias)}.{name_sql(name)}" if alias else name_sql(name), kind, ATOM, narrow)

    def unknown(self, node: Any) -> None:
        """Refuse a name that is no column."""
        listed = sorted({name for columns, _ in self.scope.sources.values() for name in columns})
        self.refuse(node, "is no column of the tables it can mean", f"the columns are {listed}")

    def parameter(self, name: str, node: Any) -> Piece:
        """Return a named parameter, whose kind is that of its value."""
        if not name.isidentifier():
            self.refuse(node, "is a parameter without a name", "name it, as in $patience")
        if name == "now":
            return Piece("$now", "time")
        if name not in self.params:
            raise ReconcilerError(f"${name} is not declared; the parameters are {sorted([*self.params, 'now'])}.")
        kind, narrow = value_kind(self.params[name])
        if kind == "any":
            self.refuse(node, f"is a {type(self.params[name]).__name__}, which has no type in SQL", "give it a value")
        return Piece(f"${name}", kind, ATOM, narrow)

    def on_placeholder(self, node: Any) -> Piece:
        """Return ``:name`` and ``%(name)s``."""
        return self.parameter(node.name if node.this else "?", node)

    def on_parameter(self, node: Any) -> Piece:
        """Return ``@name`` and ``$name``."""
        return self.parameter(node.name, node)

    def on_case(self, node: Any) -> Piece:
        """Return CASE."""
        only(node, self.dialect, "this", "ifs", "default")
        base = node.args.get("this")
        tests = [self._when(one, base) for one in node.args["ifs"]]
        default = node.args.get("default")
        values = [self.value(one.args["true"]) for one in node.args["ifs"]]
        values = self.unified([*values, *([self.value(default)] if default is not None else [])], node)
        parts = [f"WHEN {test} THEN {value.sql}" for test, value in zip(tests, values, strict=False)]
        parts += [f"ELSE {values[-1].sql}"] if default is not None else []
        return _like(values, f"CASE {' '.join(parts)} END")

    def _when(self, one: Any, base: Any) -> str:
        if base is None:
            return self.condition(one.this).sql
        _, left, right = self.paired(one, "=", self.value(base), self.value(one.this))
        return f"{left.within(OTHER)} = {right.within(OTHER)}"

    def on_coalesce(self, node: Any) -> Piece:
        """Return COALESCE."""
        only(node, self.dialect, "this", "expressions")
        values = self.unified([self.value(one) for one in (node.this, *node.expressions)], node)
        return _like(values, f"coalesce({', '.join(one.sql for one in values)})")

    def on_nullif(self, node: Any) -> Piece:
        """Return NULLIF."""
        left = self.value(node.this)
        operator, mine, right = self.paired(node, "=", left, self.value(node.expression))
        if (operator, mine.sql) != ("=", left.sql):
            self.refuse(node, "compares unlike kinds", "compare values of one kind")
        return Piece(f"nullif({mine.sql}, {right.sql})", mine.kind, ATOM, mine.narrow)

    def on_mul(self, node: Any) -> Piece:
        """Return a product of numbers."""
        only(node, self.dialect, "this", "expression")
        return self.multiplied(node, self.value(node.this), self.value(node.expression))

    def multiplied(self, node: Any, left: Piece, right: Piece) -> Piece:
        """Return a product."""
        return self.numeric(node, "*", PRODUCT, left, right)

    def numeric(self, node: Any, sign: str, binds: int, left: Piece, right: Piece) -> Piece:
        """Return arithmetic of two numbers."""
        if left.kind not in NUMBERS or right.kind not in NUMBERS:
            self.refuse(node, f"calculates with {left.kind} and {right.kind}", "calculate with numbers")
        kind = next(one for one in ("real", "decimal", "int") if one in (left.kind, right.kind))
        tight = binds + 1 if binds in (SUM, PRODUCT) else binds
        return Piece(f"{left.within(binds)} {sign} {right.within(tight)}", kind, binds, left.narrow and right.narrow)


def _like(values: list[Piece], text: str) -> Piece:
    known = [one for one in values if one.kind != "null"]
    kind = known[0].kind if known else "null"
    return Piece(text, kind, ATOM, all(one.narrow for one in known))
