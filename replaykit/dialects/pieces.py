"""Pieces: translated SQL with what is known of it, and the error that names what can't be translated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from replaykit.errors import GuardError, excerpt
from replaykit.sql import quote

__all__ = [
    "AND",
    "ATOM",
    "COMPARED",
    "ELSEWISE",
    "NEGATED",
    "NUMBERS",
    "OR",
    "OTHER",
    "PRODUCT",
    "REFUSED",
    "SIGN",
    "SUM",
    "Piece",
    "cast",
    "column_kind",
    "name_sql",
    "only",
    "refuse",
    "text_sql",
    "unframed",
    "value_kind",
]

OR, AND, NEGATED, COMPARED, OTHER, SUM, PRODUCT, SIGN, ATOM = range(1, 10)
"""How tightly DuckDB's operators bind; OTHER is ``||``."""

NUMBERS = frozenset({"int", "real", "decimal"})
_IGNORED = {"typed", "safe", "big_int", "coalesce", "ignore_nulls", "only_json_types", "over", "_type", "comments"}

ELSEWISE = "write the rule in DuckDB's SQL"
_JSON = "reads JSON, which databases write back differently", "keep the value in a column of its own"
_DRAWS = "draws, and replays must repeat", "draw in a handler, with state.random or state.new_id"
REFUSED = {
    **dict.fromkeys("JSONExtract JSONExtractScalar JSONBExtract JSONBExtractScalar JSONBContains".split(), _JSON),
    **dict.fromkeys("Rand Randn Uuid".split(), _DRAWS),
    "Collate": ("compares by rules that no replay has", "compare lower(x), or leave it out"),
    "RegexpLike": ("has a pattern whose rules are the program's own", "use LIKE"),
}
"""Why some of what sqlglot knows is refused, by class, and what to write."""

_KINDS = {
    **dict.fromkeys("BOOLEAN BOOL LOGICAL".split(), "bool"),
    **dict.fromkeys("TINYINT SMALLINT INTEGER INT INT1 INT2 INT4 SHORT UTINYINT USMALLINT UINTEGER".split(), "narrow"),
    **dict.fromkeys("BIGINT INT8 LONG".split(), "int"),
    **dict.fromkeys("DOUBLE FLOAT8".split(), "real"),
    **dict.fromkeys("VARCHAR TEXT STRING CHAR BPCHAR UUID".split(), "text"),
    **dict.fromkeys("TIMESTAMP DATETIME".split(), "time"),
    **dict.fromkeys("DECIMAL NUMERIC".split(), "decimal"),
    "DATE": "date",
    "INTERVAL": "interval",
    "JSON": "json",
}


@dataclass(frozen=True)
class Piece:
    """A translated expression."""

    sql: str
    kind: str
    """``int``, ``real``, ``decimal``, ``text``, ``bool``, ``time``, ``date``, ``interval``, ``json``, ``null``, or
    ``any``; in SQLite also text of a known form: ``stamp`` (a time), ``day``, and ``digits`` (a whole number)."""
    binds: int = ATOM
    narrow: bool = False
    """Whether a whole number has at most 32 bits."""
    literal: Any = None
    """The value of a literal."""
    forms: Mapping[str, str] = field(default_factory=dict)
    """The same as another kind, where the text that SQLite would give has one."""

    def within(self, binds: int) -> str:
        """Return the text in parentheses if it binds less tightly than it must."""
        return self.sql if self.binds >= binds else f"({self.sql})"

    def formed(self, kind: str) -> Piece:
        """Return the form of another kind."""
        return replace(self, sql=self.forms[kind], kind=kind, forms={}, binds=ATOM)


def refuse(node: Any, dialect: str, why: str, instead: str) -> NoReturn:
    """Raise a GuardError that names the fragment, why it has no exact counterpart, and what to write."""
    fragment = node if isinstance(node, str) else node.sql(dialect, comments=False)
    raise GuardError(f"{excerpt(fragment)} {why}; {instead}.")


def only(node: Any, dialect: str, *known: str) -> None:
    """Refuse a node that says more than the caller reads."""
    for name, value in node.args.items():
        if value not in (None, False, []) and name not in known and name not in _IGNORED:
            refuse(node, dialect, f"says {name.rstrip('_')}, which has no exact counterpart in DuckDB", "leave it out")


_TESTS = frozenset(
    "EQ NEQ LT LTE GT GTE NullSafeEQ NullSafeNEQ In Like ILike Glob Between Is RegexpLike Escape SimilarTo Not".split()
)
_ARITHMETIC = frozenset("Add Sub Mul Div Mod IntDiv".split())


def unframed(node: Any, dialect: str) -> None:
    """Refuse operators side by side of which databases, and sqlglot, bind now one and now the other first."""
    name = type(node).__name__
    if name in ("Not", "Escape") or name not in _TESTS | _ARITHMETIC | {"DPipe"}:
        return
    inside = {type(node.args.get(side)).__name__ for side in ("this", "expression", "low", "high")}
    if (name in _TESTS and inside & _TESTS) or (name == "DPipe" and inside & _ARITHMETIC) or (
        name in _ARITHMETIC and "DPipe" in inside
    ):  # fmt: skip
        refuse(node, dialect, "could be read in two ways", "put one of its operators into parentheses")


def cast(piece: Piece, target: str, kind: str) -> Piece:
    """Return a piece cast to a DuckDB type."""
    return Piece(f"CAST({piece.sql} AS {target})", kind)


def name_sql(identifier: Any) -> str:
    """Return an identifier as DuckDB reads it."""
    name = str(identifier.this) if hasattr(identifier, "this") else str(identifier)
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name) and not _quoted(identifier) else quote(name)


def _quoted(identifier: Any) -> bool:
    return bool(getattr(identifier, "args", {}).get("quoted"))


def text_sql(value: str) -> str:
    """Return a text literal."""
    return "'" + value.replace("'", "''") + "'"


def column_kind(sql: str) -> tuple[str, bool]:
    """Return the kind of a DuckDB type, and whether it is a whole number of at most 32 bits."""
    kind = _KINDS.get(sql.upper().partition("(")[0].strip(), "any")
    return ("int", True) if kind == "narrow" else (kind, False)


def value_kind(value: Any) -> tuple[str, bool]:
    """Return the kind of a parameter's value; None may become anything later, so its kind is not known."""
    names = {
        "bool": "bool", "int": "int", "float": "real", "str": "text", "datetime": "time", "Timestamp": "time",
        "date": "date", "timedelta": "interval", "Timedelta": "interval", "Decimal": "decimal",
    }  # fmt: skip
    return names.get(type(value).__name__, "any"), type(value) is int and abs(value) < 2**31
