"""What must not enter the file: `only`, `drop` and `mask`, over columns, payload paths and rejects."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from replaykit.errors import LoadError
from replaykit.sources.table import Column, Intake, SourceTable, one_of
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

__all__ = ["Masking", "PathRules"]

_DIGITS = 24
_SLICE = 50_000


@dataclass(frozen=True)
class PathRules:
    """What happens inside the JSON values of one column; paths are tuples of keys, ``*`` is any key or element."""

    only: tuple[tuple[str, ...], ...] | None
    drop: tuple[tuple[str, ...], ...]
    mask: tuple[tuple[str, ...], ...]


@dataclass
class Masking:
    """The three lists of a load, applied to every table it reads, and which of their names were found."""

    only: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()
    key: bytes = b""
    found: set[str] = field(default_factory=set)

    @classmethod
    def of(
        cls, only: Iterable[str] | None, drop: Iterable[str], mask: Iterable[str], key: str | bytes | None
    ) -> Masking:
        """Return the rules; without a key a random one is used once and forgotten."""
        for option, names in (("only", only), ("drop", drop), ("mask", mask)):
            if isinstance(names, str):
                raise LoadError(f"{option}= is a list of names, got the text {names!r}; write {option}=[{names!r}].")
        secret = key.encode() if isinstance(key, str) else key
        return cls(None if only is None else tuple(only), tuple(drop), tuple(mask), secret or os.urandom(32))

    @property
    def active(self) -> bool:
        """Tell whether anything is to be kept out."""
        return self.only is not None or bool(self.drop or self.mask)

    def digest(self, text: str | None) -> str | None:
        """Return the keyed hash that stands for a value: the same for the same text, in every table and path."""
        if text is None:
            return None
        return "masked-" + hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()[:_DIGITS]

    def apply(
        self, table: SourceTable, intake: Intake, *, name: str, keep: Sequence[str], payload: str | None
    ) -> SourceTable:
        """Return the table with forbidden columns gone, masked ones hashed, and paths inside JSON treated.

        `name` is the table's name in the recording, for ``"beads.token"``; `keep` are columns that play a part and
        stay under `only`; `payload` is the column that may also be called ``payload``.
        """
        if not self.active:
            return table
        columns, staged = [], {}
        for column in table.columns:
            rules = self._paths(column.name, name, payload)
            if self._listed("drop", column.name, name, payload) or not self._allowed(
                column.name, name, keep, payload, rules
            ):
                continue
            if self._listed("mask", column.name, name, payload):
                columns.append(Column(column.name, self._hashed(column), "VARCHAR"))
            else:
                columns.append(column)
                if rules is not None:
                    staged[column.name] = rules
        result = replace(table, columns=tuple(columns))
        return self._staged(result, staged, intake) if staged else result

    def protect(self, columns: Sequence[str], table: str) -> None:
        """Refuse to mask or drop a column that places rows in time or order."""
        for column in columns:
            for option in ("mask", "drop"):
                if {column, f"{table}.{column}"} & set(getattr(self, option)):
                    raise LoadError(
                        f"{option}= names {column!r}, which puts the rows of {table!r} in order; it has to stay."
                    )

    def describe(self) -> str:
        """Return what the rules were, for the report."""
        parts = [] if self.only is None else [f"everything but {list(self.only)}"]
        parts += [f"dropped {list(self.drop)}"] if self.drop else []
        return "; ".join(parts + ([f"masked {list(self.mask)}"] if self.mask else []))

    def unused(self) -> list[str]:
        """Return the names that matched no column of any table."""
        names = [*(self.only or ()), *self.drop, *self.mask]
        return [name for name in dict.fromkeys(names) if name not in self.found]

    def check_used(self, available: Sequence[str]) -> None:
        """Refuse names that matched nothing: a misspelt mask must not let a secret through."""
        unused = [name for name in self.unused() if name not in (self.only or ())]
        if unused:
            raise LoadError(
                f"drop= or mask= names {one_of(unused)}, which no source has; the columns are {one_of(available)}."
            )

    def _spellings(self, column: str, table: str, payload: str | None) -> list[str]:
        names = [column, f"{table}.{column}"]
        return [*names, "payload", f"{table}.payload"] if column == payload else names

    def _listed(self, option: str, column: str, table: str, payload: str | None) -> bool:
        hits = set(self._spellings(column, table, payload)) & set(getattr(self, option) or ())
        self.found |= hits
        return bool(hits)

    def _allowed(
        self, column: str, table: str, keep: Sequence[str], payload: str | None, rules: PathRules | None
    ) -> bool:
        if self.only is None or self._listed("only", column, table, payload):
            return True
        return (column in keep and column != payload) or bool(rules and rules.only)

    def _paths(self, column: str, table: str, payload: str | None) -> PathRules | None:
        starts = [spelling + "." for spelling in self._spellings(column, table, payload)]

        def below(option: str) -> tuple[tuple[str, ...], ...]:
            paths = []
            for name in getattr(self, option) or ():
                start = next((start for start in starts if name.startswith(start)), None)
                if start:
                    self.found.add(name)
                    paths.append(tuple(name[len(start) :].replace("[*]", ".*").split(".")))
            return tuple(paths)

        rules = PathRules(below("only") or None, below("drop"), below("mask"))
        if rules.only is not None and self._listed("only", column, table, payload):
            rules = replace(rules, only=None)
        return rules if rules.only or rules.drop or rules.mask else None

    def _hashed(self, column: Column) -> str:
        """Return HMAC-SHA256 of a column's text in SQL; `digest` is the same in Python."""
        block = hashlib.sha256(self.key).digest() if len(self.key) > 64 else self.key
        block = block.ljust(64, b"\0")
        inner, outer = (_blob(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
        text = f"({column.sql} ->> '$')" if column.type == "JSON" else f"({column.sql})::VARCHAR"
        digest = f"sha256({outer} || unhex(sha256({inner} || encode({text}))))"
        return f"CASE WHEN {text} IS NULL THEN NULL ELSE 'masked-' || left({digest}, {_DIGITS}) END"

    def _staged(self, table: SourceTable, rules: dict[str, PathRules], intake: Intake) -> SourceTable:
        """Copy the table in slices, the JSON of some columns rewritten in Python; what is no JSON is withheld."""
        places = {f"c{place}": rules[column.name] for place, column in enumerate(table.columns) if column.name in rules}
        reads = [f"{_json_text(column) if column.name in rules else column.sql} AS c{place}"
                 for place, column in enumerate(table.columns)]  # fmt: skip
        query = f"SELECT {table.row} AS row, {', '.join(reads)} FROM {table.relation}"
        relation = intake.stage("masked", f"{query} LIMIT 0")
        last = sum(part.rows for part in table.parts)
        for first in range(1, last + 1, _SLICE):
            piece = intake.connection.sql(f"{query} WHERE {table.row} BETWEEN {first} AND {first + _SLICE - 1}")
            self._add(relation, piece.to_arrow_table(), places, intake)
        columns = tuple(
            Column(column.name, f"c{place}", "VARCHAR" if column.name in rules else column.type)
            for place, column in enumerate(table.columns)
        )
        return replace(table, relation=relation, row="row", columns=columns)

    def _add(self, relation: str, piece: pa.Table, places: dict[str, PathRules], intake: Intake) -> None:
        import pyarrow as pa

        for name, rules in places.items():
            texts = pa.array([self._json(text, rules) for text in piece.column(name).to_pylist()], pa.string())
            piece = piece.set_column(piece.schema.get_field_index(name), name, texts)
        staged = intake.name("slice")
        intake.connection.register(staged, piece)
        intake.connection.execute(f"INSERT INTO {relation} SELECT * FROM {quote(staged)} ORDER BY row")
        intake.connection.unregister(staged)

    def _json(self, text: str | None, rules: PathRules) -> str | None:
        if text is None:
            return None
        try:
            return json.dumps(self._value(json.loads(text), rules), ensure_ascii=False, allow_nan=False)
        except (ValueError, RecursionError):
            return f"(withheld, {len(text)} characters)"

    def _value(self, value: Any, rules: PathRules) -> Any:
        if rules.only is not None:
            value = _pick(value, rules.only)
        value = _without(value, rules.drop)
        return self._masked(value, rules.mask)

    def _masked(self, value: Any, paths: Sequence[tuple[str, ...]]) -> Any:
        if any(not path for path in paths):
            return self.digest(_text(value))
        return _each(value, paths, self._masked) if paths else value


def _json_text(column: Column) -> str:
    text = column.sql if column.type in ("VARCHAR", "JSON") else f"to_json({column.sql})"
    return f"CAST({text} AS VARCHAR)"


def _blob(value: bytes) -> str:
    return f"unhex('{value.hex()}')"


def _text(value: Any) -> str | None:
    """Return a JSON value as the text a column holds for it, so that both hash alike."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _below(key: str, paths: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [path[1:] for path in paths if path and path[0] in (key, "*")]


def _each(value: Any, paths: Sequence[tuple[str, ...]], change: Any) -> Any:
    if isinstance(value, dict):
        return {key: change(item, below) if (below := _below(key, paths)) else item for key, item in value.items()}
    if isinstance(value, list):
        # A path may name elements ("items.*.token", "items[*].token", "items.0") or pass through ("items.token").
        return [change(item, [*_below(str(place), paths), *paths]) for place, item in enumerate(value)]
    return value


def _without(value: Any, paths: Sequence[tuple[str, ...]]) -> Any:
    if not paths:
        return value
    ends = {path[0] for path in paths if len(path) == 1}
    if isinstance(value, dict):
        value = {} if "*" in ends else {key: item for key, item in value.items() if key not in ends}
    if isinstance(value, list) and ends:
        value = [] if "*" in ends else [item for place, item in enumerate(value) if str(place) not in ends]
    return _each(value, paths, _without)


def _pick(value: Any, paths: Sequence[tuple[str, ...]]) -> Any:
    if any(not path for path in paths):
        return value
    if isinstance(value, dict):
        return {key: _pick(item, below) for key, item in value.items() if (below := _below(key, paths))}
    if isinstance(value, list):
        return [_pick(item, [*_below(str(place), paths), *paths]) for place, item in enumerate(value)]
    return None
