"""Values: how cells, parameters and fields travel as JSON, and how a SQLite file holds them."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from replaykit.errors import StateError, excerpt
from replaykit.rows import plain

if TYPE_CHECKING:
    from replaykit.rows import ColumnType

__all__ = ["as_json", "as_time", "from_json", "from_sqlite", "json_fields", "sqlite_type", "to_sqlite"]

_SAFE = 2**53 - 1  # beyond it a program that reads numbers as doubles would read another one
_WIDE = 2**63
_WHOLE = frozenset("TINYINT SMALLINT INTEGER INT BIGINT UTINYINT USMALLINT UINTEGER".split())
_WIDER = frozenset({"UBIGINT", "HUGEINT"})
_REALS = frozenset({"DOUBLE", "FLOAT", "REAL"})
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def as_time(value: datetime) -> str:
    """Return a naive UTC time as JavaScript writes it, with microseconds only where there are some."""
    spec = "microseconds" if value.microsecond % 1_000 else "milliseconds"
    return value.isoformat(timespec=spec) + "Z"


def as_json(value: Any) -> Any:
    """Return a value as JSON carries it.

    Integers beyond 2^53 - 1, decimals and times become strings, spans of time seconds, bytes base64.
    """
    if value is None or type(value) in (str, bool):
        return value
    if type(value) is int:
        return value if -_SAFE <= value <= _SAFE else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _special(value)
    if isinstance(value, (list, tuple)):
        return [as_json(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): as_json(one) for name, one in value.items()}
    return _other(value)


def _other(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode("ascii")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return as_time(plain(value))
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    return as_json(plain(value))


def _special(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def json_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's cells as JSON carries them."""
    return {name: as_json(value) for name, value in row.items()}


def _family(kind: ColumnType) -> str:
    return kind.sql.upper().partition("(")[0].strip()


def from_json(kind: ColumnType) -> Callable[[Any], Any]:
    """Return a function that makes a cell of what came as JSON; what does not fit is a StateError."""
    decode = _TEXTS.get(_family(kind))

    def read(value: Any) -> Any:
        if decode is not None and value is not None:
            value = _decoded(kind, decode, value)
        elif isinstance(value, float) and _family(kind) in ("DECIMAL", "NUMERIC"):
            raise StateError(f"Column {kind.name!r} is {kind.sql}; a program gives it as a string, not {value!r}.")
        return kind(value)

    return read


def from_sqlite(kind: ColumnType) -> Callable[[Any], Any]:
    """Return a function that makes a cell of what a SQLite file holds; what does not fit is a StateError."""
    family = _family(kind)

    def read(value: Any) -> Any:
        if value is None:
            return None
        if family == "BOOLEAN":
            return bool(value) if value in (0, 1) and not isinstance(value, (str, bytes)) else kind(value)
        decode = None if family == "BLOB" and isinstance(value, bytes) else _TEXTS.get(family)
        return kind(value if decode is None else _decoded(kind, decode, value))

    return read


def _decoded(kind: ColumnType, decode: Callable[[Any], Any], value: Any) -> Any:
    try:
        return decode(value)
    except (ArithmeticError, TypeError, ValueError, AttributeError) as exc:
        raise StateError(
            f"Column {kind.name!r} is {kind.sql} and can't hold {excerpt(value)} ({type(value).__name__})."
        ) from exc


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, str) else value


def _real(value: Any) -> Any:
    return _SPECIAL.get(value, value) if isinstance(value, str) else value


def _blob(value: Any) -> bytes:
    return base64.b64decode(value.encode("ascii"), validate=True)


_TEXTS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_WHOLE | _WIDER, _whole),
    **dict.fromkeys(_REALS, _real),
    "TIME": time.fromisoformat,
    "INTERVAL": lambda value: timedelta(seconds=value),
    "BLOB": _blob,
}


def to_sqlite(value: Any) -> Any:
    """Return a cell as our tables in a SQLite file hold it.

    Raises
    ------
    StateError
        SQLite can't hold it: NaN.
    """
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value if -_WIDE <= value < _WIDE else str(value)
    if isinstance(value, float) and math.isnan(value):
        raise StateError("SQLite stores NaN as NULL, so that a state that holds NaN can't be handed over; clean it.")
    if value is None or isinstance(value, (str, float, bytes)):
        return value
    return as_json(value)


def sqlite_type(kind: ColumnType) -> str:
    """Return the SQLite type of a column: it keeps values as they are, and makes no key an alias of the rowid."""
    family = _family(kind)
    if family in _WHOLE or family == "BOOLEAN":
        return "BIGINT"
    if family in _REALS or family == "INTERVAL":
        return "REAL"
    return "BLOB" if family == "BLOB" else "TEXT"
