"""PostgreSQL's expressions: strict kinds, literals that take their neighbour's, patterns."""

from __future__ import annotations

import re
from typing import Any

from replaykit.dialects.functions import Functions
from replaykit.dialects.pieces import COMPARED, NEGATED, NUMBERS, OTHER, PRODUCT, Piece, cast, only, text_sql
from replaykit.dialects.postgres_times import Times

__all__ = ["PostgresExpressions"]

_TRUE, _FALSE = {"t", "true", "y", "yes", "on", "1"}, {"f", "false", "n", "no", "off", "0"}
_REGEX = re.compile(
    r"\^?(?:(?:[A-Za-z0-9_ \-/:,@#=]|\\[.()\[\]*+?|^$/\-]|\[\^?[A-Za-z0-9_ \-/:,@#=]+\]|\((?!\?)|\)|\|)"
    r"(?:[*+?](?![*+?]))?)*\$?"
)


class PostgresExpressions(Times, Functions):
    """Translates what PostgreSQL says, for a database in UTC that sorts text by code point (C, C.UTF-8)."""

    dialect = "postgres"

    def called(self, item: Any) -> str:
        """Return the name an output is given, which PostgreSQL writes small unless it is in quotes."""
        name = str(item.alias)
        return name if item.args["alias"].args.get("quoted") else name.lower()

    def unknown(self, node: Any) -> None:
        """Refuse a name that is no column."""
        if node.name.lower() in ("ctid", "xmin", "xmax", "tableoid"):
            self.refuse(node, "is PostgreSQL's own column, which no replay has", "use the key")
        super().unknown(node)

    def fraction(self, node: Any, text: str) -> Piece:  # noqa: ARG002 - one signature for all dialects
        """Return a number that is not whole: a decimal in both."""
        return Piece(text, "real" if "e" in text.lower() else "decimal", literal=float(text))

    def paired(self, node: Any, operator: str, left: Piece, right: Piece) -> tuple[str, Piece, Piece]:
        """Return both sides of a comparison in kinds that DuckDB compares as PostgreSQL does."""
        left, right = self._taken(node, left, right), self._taken(node, right, left)
        kinds = {left.kind, right.kind} - {"null"}
        alike = len(kinds) < 2 or kinds <= NUMBERS or kinds == {"time", "date"}
        if not alike or kinds & {"any", "json", "monthly"}:
            self.refuse(
                node, f"compares {left.kind} with {right.kind}, of which no exact counterpart is known",
                "declare the columns' types, or cast one side",
            )  # fmt: skip
        return operator, left, right

    def _taken(self, node: Any, piece: Piece, beside: Piece) -> Piece:
        """Return a text literal as what stands beside it is, as PostgreSQL reads it."""
        text = piece.literal
        if piece.kind != "text" or not isinstance(text, str) or beside.kind in ("text", "null"):
            return piece
        if beside.kind == "int" and re.fullmatch(r"-?\d{1,18}", text):
            return Piece(text, "int", narrow=abs(int(text)) < 2**31, literal=int(text))
        if beside.kind == "bool" and text.lower() in _TRUE | _FALSE:
            return Piece("TRUE" if text.lower() in _TRUE else "FALSE", "bool")
        if beside.kind in ("time", "date"):
            return self.time_literal(node, text, beside.kind)
        if beside.kind == "interval":
            return self.interval_literal(node, text)
        return piece

    def unified(self, pieces: list[Piece], node: Any) -> list[Piece]:
        """Return values of one kind."""
        leading = next((one for one in pieces if one.kind not in ("null", "text")), None)
        if leading is not None:
            pieces = [self._taken(node, one, leading) for one in pieces]
        kinds = {one.kind for one in pieces} - {"null"}
        if kinds & {"any"} or not (len(kinds) < 2 or kinds <= NUMBERS):
            self.refuse(node, f"has values of kinds {', '.join(sorted(kinds))}", "cast them to one kind")
        if len(kinds) > 1:
            kind, target = ("real", "DOUBLE") if "real" in kinds else ("decimal", "")
            pieces = [cast(one, target, kind) if target else Piece(one.sql, kind, one.binds) for one in pieces]
        return pieces

    def on_div(self, node: Any) -> Piece:
        """Return a quotient: of whole numbers a whole one; by 0 both raise, but not for fractions."""
        only(node, self.dialect, "this", "expression")
        left, right = self.value(node.this), self.value(node.expression)
        if left.kind == right.kind == "int":
            return self.numeric(node, "//", PRODUCT, left, right)
        if type(node.expression.unnest()).__name__ != "Nullif" and not right.literal:
            self.refuse(node, "may divide by 0, which raises there and is infinite in DuckDB", "write nullif(x, 0)")
        if left.kind == "decimal" or right.kind == "decimal":
            left = cast(left, "DOUBLE", "real")
        return self.numeric(node, "/", PRODUCT, left, right)

    def on_mod(self, node: Any) -> Piece:
        """Return a remainder of whole numbers."""
        only(node, self.dialect, "this", "expression")
        left, right = self.value(node.this), self.value(node.expression)
        if (left.kind, right.kind) != ("int", "int"):
            self.refuse(node, "takes the remainder of fractions", "take it of whole numbers")
        return self.numeric(node, "%", PRODUCT, left, right)

    def on_like(self, node: Any, escape: str | None = None) -> Piece:
        """Return LIKE, in which a backslash escapes."""
        return self._like(node, "LIKE", escape)

    def on_ilike(self, node: Any, escape: str | None = None) -> Piece:
        """Return ILIKE."""
        return self._like(node, "ILIKE", escape)

    def _like(self, node: Any, word: str, escape: str | None) -> Piece:
        only(node, self.dialect, "this", "expression", "negate")
        this, pattern = self.text(node.this, node), self.text(node.expression, node)
        escape = "\\" if escape is None else escape
        plain = isinstance(pattern.literal, str) and escape not in pattern.literal
        if len(escape) != 1 or (escape.isalpha() and word == "ILIKE"):
            self.refuse(node, "escapes with something other than one sign", "escape with one sign")
        tail = "" if plain else f" ESCAPE {text_sql(escape)}"
        negated = "NOT " if node.args.get("negate") else ""
        text = f"{this.within(OTHER)} {negated}{word} {pattern.within(OTHER)}{tail}"
        return Piece(text, "bool", COMPARED)

    def on_escape(self, node: Any) -> Piece:
        """Return LIKE or ILIKE with an escape."""
        kind = type(node.this).__name__
        if kind not in ("Like", "ILike"):
            self.refuse(node, "escapes in something other than LIKE", "write LIKE ... ESCAPE '!'")
        return self._like(node.this, kind.upper(), node.expression.name)

    def on_regexplike(self, node: Any) -> Piece:
        """Return ``~`` for patterns that every engine reads alike."""
        only(node, self.dialect, "this", "expression")
        this, pattern = self.text(node.this, node), self.text(node.expression, node)
        if not isinstance(pattern.literal, str) or not _REGEX.fullmatch(pattern.literal):
            self.refuse(
                node, "has a pattern that PostgreSQL and DuckDB may read differently",
                "use letters, digits, [...], (a|b), * + ?, ^ and $, written out; a dot is \\.",
            )  # fmt: skip
        return Piece(f"regexp_matches({this.sql}, {pattern.sql})", "bool")

    def on_concat(self, node: Any) -> Piece:
        """Return concat(), which passes NULL over."""
        parts = [self.joinable(node, self.value(one)) for one in node.expressions]
        return Piece(f"concat({', '.join(one.sql for one in parts)})", "text")

    def on_lower(self, node: Any) -> Piece:
        """Return a text in small letters."""
        return Piece(f"lower({self.text(node.this, node).sql})", "text")

    def on_upper(self, node: Any) -> Piece:
        """Return a text in capitals."""
        return Piece(f"upper({self.text(node.this, node).sql})", "text")

    def on_left(self, node: Any) -> Piece:
        """Return the first characters."""
        amount = self.whole_literal(node, node.expression, 0, "give a number from 0")
        return Piece(f"left({self.text(node.this).sql}, {amount.sql})", "text")

    def on_right(self, node: Any) -> Piece:
        """Return the last characters."""
        amount = self.whole_literal(node, node.expression, 0, "give a number from 0")
        return Piece(f"right({self.text(node.this).sql}, {amount.sql})", "text")

    def on_splitpart(self, node: Any) -> Piece:
        """Return a part of a text between separators."""
        by = self.nonempty(node, node.args["delimiter"])
        number = self.whole_literal(node, node.args["part_index"], 1, "count from 1")
        return Piece(f"split_part({self.text(node.this).sql}, {by.sql}, {number.sql})", "text")

    def on_startswith(self, node: Any) -> Piece:
        """Return whether a text begins with another."""
        return Piece(f"starts_with({self.text(node.this).sql}, {self.text(node.expression).sql})", "bool")

    def on_least(self, node: Any) -> Piece:
        """Return the least of several values, NULL left out."""
        return self._of_several(node, "least")

    def on_greatest(self, node: Any) -> Piece:
        """Return the greatest of several values, NULL left out."""
        return self._of_several(node, "greatest")

    def _of_several(self, node: Any, name: str) -> Piece:
        only(node, self.dialect, "this", "expressions")
        values = self.unified([self.value(one) for one in (node.this, *node.expressions)], node)
        kind = next((one.kind for one in values if one.kind != "null"), "null")
        return Piece(f"{name}({', '.join(one.sql for one in values)})", kind)

    def on_logicaland(self, node: Any) -> Piece:
        """Return bool_and()."""
        return self._all(node, "bool_and")

    def on_logicalor(self, node: Any) -> Piece:
        """Return bool_or()."""
        return self._all(node, "bool_or")

    def _all(self, node: Any, name: str) -> Piece:
        only(node, self.dialect, "this")
        self.scope.inside += 1
        inner = self.condition(node.this).sql
        self.scope.inside -= 1
        return Piece(f"{name}({inner})", "bool")

    def on_floor(self, node: Any) -> Piece:
        """Return the whole number below."""
        return self._rounded(node, "floor")

    def on_ceil(self, node: Any) -> Piece:
        """Return the whole number above."""
        return self._rounded(node, "ceil")

    def _rounded(self, node: Any, name: str) -> Piece:
        only(node, self.dialect, "this")
        found = self.value(node.this)
        if found.kind != "real":
            self.refuse(node, f"rounds {found.kind}", "round a double precision number")
        return Piece(f"{name}({found.sql})", "real")

    def on_cast(self, node: Any) -> Piece:
        """Return a cast where PostgreSQL and DuckDB read a value alike."""
        only(node, self.dialect, "this", "to")
        target = node.args["to"].sql("postgres").upper()
        if target == "INTERVAL":
            return self.interval_cast(node)
        found = self.value(node.this)
        if target in ("TIMESTAMPTZ", "TIMESTAMP", "DATE"):
            return self.time_cast(node, found, "date" if target == "DATE" else "time")
        if target in ("INT", "INTEGER", "BIGINT", "SMALLINT"):
            if found.kind == "bool" and target in ("INT", "INTEGER"):
                return Piece(f"CAST({found.sql} AS INTEGER)", "int", narrow=True)
            if isinstance(found.literal, str):
                found = self._taken(node, found, Piece("", "int"))
            if found.kind == "int":
                return Piece(f"CAST({found.sql} AS {target})", "int", narrow=target != "BIGINT")
        if target in ("DOUBLE PRECISION", "DOUBLE") and found.kind in NUMBERS:
            return cast(found, "DOUBLE", "real")
        if target in ("TEXT", "VARCHAR") and found.kind in ("text", "int"):
            return cast(found, "VARCHAR", "text") if found.kind == "int" else found
        return self.refuse(  # type: ignore[no-any-return]
            node, f"makes {target} of {found.kind}, which databases do differently", "store the value in that type"
        )

    def compared(self, node: Any, operator: str) -> Piece:
        """Return a comparison; ``= ANY(ARRAY[...])`` is IN, ``<> ALL(ARRAY[...])`` NOT IN."""
        of = node.expression
        listed = of.this.unnest() if type(of).__name__ == "Any" else (of.expressions or [None])[0]
        name = of.name.upper() if type(of).__name__ == "Anonymous" else type(of).__name__.upper()
        if type(listed).__name__ != "Array" or (operator, name) not in (("=", "ANY"), ("<>", "ALL")):
            return super().compared(node, operator)
        from sqlglot import exp

        found = self.on_in(exp.In(this=node.this.copy(), expressions=[one.copy() for one in listed.expressions]))
        return found if name == "ANY" else Piece(f"NOT {found.sql}", "bool", NEGATED)

    def on_anonymous(self, node: Any) -> Piece:
        """Return functions that sqlglot has no class for."""
        name = node.name.lower()
        if name == "every" and len(node.expressions) == 1:
            return Piece(f"bool_and({self.aggregate(node.expressions[0]).sql})", "bool")
        if name in ("clock_timestamp", "statement_timestamp", "transaction_timestamp") and not node.expressions:
            return Piece("$now", "time")
        if name == "strpos" and len(node.expressions) == 2:
            this, part = node.expressions
            return Piece(f"instr({self.text(this).sql}, {self.nonempty(node, part).sql})", "int", narrow=True)
        return self.refuse(  # type: ignore[no-any-return]
            node, f"calls {name}(), of which no exact counterpart in DuckDB is known", "write it in DuckDB's SQL"
        )
