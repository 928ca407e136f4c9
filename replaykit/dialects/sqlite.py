"""SQLite's expressions: whole-number division, ASCII-only letter case, 0 and 1 as conditions, no type that is sure."""

from __future__ import annotations

import re
import string
from typing import Any

from replaykit.dialects.functions import Functions
from replaykit.dialects.pieces import COMPARED, NUMBERS, OTHER, PRODUCT, SUM, Piece, cast, only, refuse, text_sql
from replaykit.dialects.sqlite_times import Times

__all__ = ["SqliteExpressions"]

_Compared = tuple[str, Piece, Piece]
_UPPER, _LOWER = string.ascii_uppercase, string.ascii_lowercase
_TO_DAY = {">": ">=", ">=": ">=", "<": "<", "<=": "<"}
_TURNED = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
_FULL = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


class SqliteExpressions(Times, Functions):
    """Translates what SQLite says. A TIMESTAMP column stands for its text ``YYYY-MM-DD HH:MM:SS``."""

    dialect = "sqlite"

    def value(self, node: Any) -> Piece:
        """Return an expression as a value: a condition is 1 or 0."""
        found = self.piece(node)
        return cast(found, "INTEGER", "int") if found.kind == "bool" else found

    def condition(self, node: Any) -> Piece:
        """Return an expression as a condition: a number is true if it is not 0."""
        found = self.piece(node)
        if found.kind in ("int", "real"):
            return Piece(f"{found.within(OTHER)} <> 0", "bool", COMPARED)
        if found.kind not in ("bool", "null"):
            self.refuse(node, f"takes {found.kind} for a condition, which SQLite reads as a number", "compare it")
        return found

    def unknown(self, node: Any) -> None:
        """Refuse a name that is no column; SQLite takes one in double quotes for text."""
        if node.this.args.get("quoted") and not node.table:
            self.refuse(node, "is no column, and SQLite takes it for text", f"write {text_sql(node.name)}")
        if node.name.lower() in ("rowid", "oid", "_rowid_"):
            self.refuse(node, "is SQLite's own number of a row, which no replay has", "use the key")
        super().unknown(node)

    def on_column(self, node: Any) -> Piece:
        """Return a column; sqlglot takes ``$name`` for one."""
        if node.name.startswith("$") and not node.table:
            return self.parameter(node.name[1:], node)
        return super().on_column(node)

    def fraction(self, node: Any, text: str) -> Piece:  # noqa: ARG002 - one signature for all dialects
        """Return a number that is not whole: in SQLite a double, in DuckDB only with an exponent."""
        return Piece(text if "e" in text.lower() else f"{text}e0", "real", literal=float(text))

    def paired(self, node: Any, operator: str, left: Piece, right: Piece) -> _Compared:
        """Return both sides of a comparison in kinds that DuckDB compares as SQLite does."""
        kinds = {left.kind, right.kind} - {"null"}
        if "any" in kinds or "json" in kinds or "decimal" in kinds or "interval" in kinds:
            self.refuse(
                node, f"compares {left.kind} with {right.kind}, and SQLite's answer depends on types not known here",
                "declare the columns' types, or cast both sides",
            )  # fmt: skip
        if len(kinds) < 2 or kinds == {"int", "real"}:
            return self._numbers(node, operator, left, right)
        if kinds <= {"text", "stamp", "day", "digits", "clocktext"}:
            return operator, left, right
        found = self._timely(node, operator, left, right, turned=False)
        found = found or self._timely(node, operator, right, left, turned=True)
        if found is None:
            why = f"compares {left.kind} with {right.kind}, which SQLite does by the type of each value"
            refuse(node, self.dialect, why, "cast one of them")
        return found

    def _numbers(self, node: Any, operator: str, left: Piece, right: Piece) -> _Compared:
        for one, other in ((left, right), (right, left)):
            exact = one.narrow or (isinstance(other.literal, float) and abs(other.literal) < 2**53)
            if one.kind == "int" and other.kind == "real" and not exact:
                self.refuse(
                    node, "compares a whole number of 64 bits with a fraction, which DuckDB rounds first",
                    f"write CAST({one.sql} AS REAL)",
                )  # fmt: skip
        return operator, left, right

    def _timely(self, node: Any, operator: str, one: Piece, other: Piece, *, turned: bool) -> _Compared | None:
        """Return a comparison of a time or a date with SQLite's text of one; None if it is none."""
        pair = None
        if one.kind == "time" and other.kind == "stamp":
            pair = operator, one, other.formed("time")
        elif one.kind == "time" and isinstance(other.literal, str) and re.fullmatch(_FULL, other.literal):
            pair = operator, one, Piece(f"TIMESTAMP {other.sql}", "time")
        elif one.kind == "time" and other.kind == "day":
            asked = _TURNED.get(operator, operator) if turned else operator
            if asked in _TO_DAY:
                return _TO_DAY[asked], one, other.formed("time")  # the time stands on the left now
        elif one.kind == "date" and other.kind == "day":
            pair = operator, one, other.formed("date")
        elif one.kind == "date" and isinstance(other.literal, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", other.literal):
            pair = operator, one, Piece(f"DATE {other.sql}", "date")
        elif one.kind == "time" and other.kind == "text":
            self.refuse(
                node, "compares a time with text that is not written YYYY-MM-DD HH:MM:SS",
                "write it so, or make both the same kind",
            )  # fmt: skip
        if pair is None or not turned:
            return pair
        return pair[0], pair[2], pair[1]

    def unified(self, pieces: list[Piece], node: Any) -> list[Piece]:
        """Return values of one kind: SQLite keeps the kind of each, DuckDB makes one of all."""
        kinds = {one.kind for one in pieces} - {"null"}
        texts = {"text", "stamp", "day", "digits", "clocktext"}
        if len(kinds) < 2 and not kinds & {"any"}:
            return pieces if not kinds & texts else [_plain(one) for one in pieces]
        if kinds <= texts:
            return [_plain(one) for one in pieces]
        if kinds == {"time", "stamp"}:
            return [one.formed("time") if one.kind == "stamp" else one for one in pieces]
        self.refuse(node, f"has values of kinds {', '.join(sorted(kinds))}", "cast them to one kind")
        return pieces

    def summed(self, node: Any, sign: str, left: Piece, right: Piece) -> Piece:
        """Return a sum or difference; text that is a whole number counts as one."""
        return self.numeric(node, sign, SUM, left, right)

    def numeric(self, node: Any, sign: str, binds: int, left: Piece, right: Piece) -> Piece:
        """Return arithmetic, with 64 bits as SQLite has, and text that is a whole number taken for one."""
        left, right = (one.formed("int") if "int" in one.forms else one for one in (left, right))
        if "decimal" in (left.kind, right.kind):
            self.refuse(node, "calculates with DECIMAL, which SQLite does not have", "declare the column DOUBLE")
        if left.narrow and right.narrow and sign in "+-*":
            left = cast(left, "BIGINT", "int")
        return super().numeric(node, sign, binds, left, right)

    def on_div(self, node: Any) -> Piece:
        """Return a quotient: of whole numbers a whole one; by 0 it is NULL."""
        only(node, self.dialect, "this", "expression")
        left, right = self._sides(node)
        if left.kind == right.kind == "int":
            return self.numeric(node, "//", PRODUCT, left, right)
        return self.numeric(node, "/", PRODUCT, cast(left, "DOUBLE", "real"), right)

    def on_mod(self, node: Any) -> Piece:
        """Return a remainder of whole numbers."""
        only(node, self.dialect, "this", "expression")
        left, right = self._sides(node)
        if (left.kind, right.kind) != ("int", "int"):
            self.refuse(node, "takes the remainder of fractions, which SQLite cuts first", "cast both to INTEGER")
        return self.numeric(node, "%", PRODUCT, left, right)

    def _sides(self, node: Any) -> list[Piece]:
        sides = [self.value(one) for one in (node.this, node.expression)]
        sides = [one.formed("int") if "int" in one.forms else one for one in sides]
        for one in sides:
            if one.kind not in NUMBERS or one.kind == "decimal":
                self.refuse(node, f"divides {one.kind}", "declare the column's type as BIGINT or DOUBLE")
        if not sides[1].literal:  # by 0 DuckDB raises, and SQLite gives NULL
            sides[1] = Piece(f"nullif({sides[1].sql}, 0)", sides[1].kind, narrow=sides[1].narrow)
        return sides

    def on_like(self, node: Any, escape: str | None = None) -> Piece:
        """Return LIKE, which in SQLite takes A for a and nothing else for anything else."""
        only(node, self.dialect, "this", "expression", "negate")
        this, pattern = self.joinable(node, self.value(node.this)), self.text(node.expression, node)
        if isinstance(pattern.literal, str):
            folded = text_sql(pattern.literal.translate(str.maketrans(_UPPER, _LOWER)))
        else:
            folded = _folded(pattern.sql)
        word = "NOT LIKE" if node.args.get("negate") else "LIKE"
        if escape is not None and escape.isalpha():
            self.refuse(node, "escapes with a letter", "escape with another character")
        tail = f" ESCAPE {text_sql(escape)}" if escape is not None else ""
        return Piece(f"{_folded(this.sql)} {word} {folded}{tail}", "bool", COMPARED)

    def on_escape(self, node: Any) -> Piece:
        """Return LIKE with an escape."""
        character = node.expression.name
        if type(node.this).__name__ != "Like" or len(character) != 1:
            self.refuse(node, "escapes something other than one character of LIKE", "write LIKE ... ESCAPE '!'")
        return self.on_like(node.this, character)

    def on_glob(self, node: Any) -> Piece:
        """Return GLOB of ``*`` and ``?``."""
        only(node, self.dialect, "this", "expression")
        pattern = self.text(node.expression, node).literal
        if not isinstance(pattern, str) or "[" in pattern:
            self.refuse(node, "has a pattern of its own kind", "use * and ? in a pattern written out, or LIKE")
        escaped = re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%").replace("?", "_")
        tail = " ESCAPE '\\'" if "\\" in escaped else ""
        this = self.joinable(node, self.value(node.this))
        return Piece(f"{this.within(OTHER)} LIKE {text_sql(escaped)}{tail}", "bool", COMPARED)

    def on_lower(self, node: Any) -> Piece:
        """Return a text with A to Z made small, and no other letter."""
        return Piece(_folded(self.text(node.this, node).sql), "text")

    def on_upper(self, node: Any) -> Piece:
        """Return a text with a to z made large, and no other letter."""
        return Piece(f"translate({self.text(node.this, node).sql}, '{_LOWER}', '{_UPPER}')", "text")

    def on_if(self, node: Any) -> Piece:
        """Return iif()."""
        only(node, self.dialect, "this", "true", "false")
        values = [self.value(node.args[name]) for name in ("true", "false")]
        values = self.unified(values, node)
        kind = next((one.kind for one in values if one.kind != "null"), "null")
        test = self.condition(node.this).sql
        return Piece(f"CASE WHEN {test} THEN {values[0].sql} ELSE {values[1].sql} END", kind)

    def on_least(self, node: Any) -> Piece:
        """Return min() of several values: NULL if one of them is."""
        return self._of_several(node, "least")

    def on_greatest(self, node: Any) -> Piece:
        """Return max() of several values: NULL if one of them is."""
        return self._of_several(node, "greatest")

    def _of_several(self, node: Any, name: str) -> Piece:
        only(node, self.dialect, "this", "expressions")
        values = self.unified([self.value(one) for one in (node.this, *node.expressions)], node)
        absent = " OR ".join(f"{one.within(OTHER)} IS NULL" for one in values)
        text = f"CASE WHEN {absent} THEN NULL ELSE {name}({', '.join(one.sql for one in values)}) END"
        return Piece(text, next((one.kind for one in values if one.kind != "null"), "null"))

    def on_round(self, node: Any) -> Piece:
        """Return a number rounded to a whole one, halves away from 0."""
        only(node, self.dialect, "this")
        found = self.value(node.this)
        if found.kind != "real":
            self.refuse(node, f"rounds {found.kind}", "round a number of type REAL")
        text = f"trunc({found.sql} + CASE WHEN {found.within(OTHER)} < 0 THEN -0.5e0 ELSE 0.5e0 END)"
        return Piece(text, "real")

    def on_cast(self, node: Any) -> Piece:
        """Return CAST where SQLite and DuckDB read a value alike."""
        only(node, self.dialect, "this", "to")
        found, target = self.value(node.this), node.args["to"].sql("sqlite").upper()
        if target in ("INTEGER", "INT", "BIGINT") and (found.kind == "int" or "int" in found.forms):
            return found.formed("int") if "int" in found.forms else cast(found, "BIGINT", "int")
        if target in ("INTEGER", "INT", "BIGINT") and found.kind == "real":
            return Piece(f"CAST(trunc({found.sql}) AS BIGINT)", "int")
        if target in ("REAL", "DOUBLE", "FLOAT") and found.kind in ("int", "real"):
            return cast(found, "DOUBLE", "real")
        if target in ("TEXT", "VARCHAR") and (found.kind == "text" or found.forms):
            return _plain(found)
        if target in ("TEXT", "VARCHAR") and found.kind == "int":
            return cast(found, "VARCHAR", "text")
        return self.refuse(  # type: ignore[no-any-return]
            node, f"makes {target} of {found.kind}, which SQLite does by its own rules", "store the value in that type"
        )

    def on_anonymous(self, node: Any) -> Piece:
        """Return functions that sqlglot has no class for."""
        name = node.name.lower()
        if name == "total" and len(node.expressions) == 1:
            found = self.aggregate(node.expressions[0])
            if found.kind != "int":
                self.refuse(node, f"adds up {found.kind}, which depends on the order of rows", "add up whole numbers")
            return Piece(f"coalesce(CAST(sum({found.sql}) AS DOUBLE), 0e0)", "real")
        return self.timed(node, name)


def _plain(piece: Piece) -> Piece:
    return Piece(piece.sql, "null" if piece.kind == "null" else "text", piece.binds, literal=piece.literal)


def _folded(sql: str) -> str:
    return f"translate({sql}, '{_UPPER}', '{_LOWER}')"
