"""Row and the values it may hold: scalars and JSON text, checked where they are written, never changed after."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from typing import Any, NoReturn
from uuid import UUID

from replaykit.errors import StateError, excerpt

__all__ = ["ColumnType", "Row", "column_type", "plain"]


def _refuse(_self: Row, *_: object, **__: object) -> NoReturn:
    raise StateError(
        "A row can't be changed in place, or the change would be missing from the history; "
        'write state["table"].update(key, column=value).'
    )


class Row(dict[str, Any]):
    """One version of a row: a dict that refuses changes. ``row["x"]`` reads a column, ``row.x`` where no name collides.

    A dict subclass reads in 20 ns, a class with its own ``__getitem__`` in 30.
    """

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __missing__(self, name: str) -> NoReturn:
        raise KeyError(f"no column {name!r}; the columns are {list(self)}")

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"no column {name!r}; the columns are {list(self)}")

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def __deepcopy__(self, memo: object) -> dict[str, Any]:
        return dict(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Row, (dict(self),))


class ColumnType:
    """A state column's type: what it takes as it is, and how it converts or refuses the rest."""

    __slots__ = ("accepts", "convert", "high", "low", "name", "quick", "sql", "timely")

    def __init__(self, name: str, sql: str, accepts: frozenset[type], convert: Callable[[Any], Any]) -> None:
        self.name = name
        self.sql = sql
        self.accepts, self.convert = accepts, convert
        self.timely = convert is _time
        # What fits as it is, a datetime only if it carries no zone.
        self.quick = accepts | {datetime} if self.timely else accepts
        self.low, self.high = _SPANS.get(sql.upper(), (0, -1))

    def __call__(self, value: Any) -> Any:
        """Return `value` as this column stores it.

        Raises
        ------
        StateError
            The value does not fit the column.
        """
        # The two most frequent first; what a column accepts as it is, `StateTable` has looked at already.
        kind = type(value)
        if kind is int:
            if self.low <= value <= self.high:
                return value
        elif (kind is datetime and self.timely and value.tzinfo is None) or kind in self.accepts:
            return value
        if _absent(value):
            return None
        try:
            return self._converted(_unwrapped(value))
        except (ArithmeticError, TypeError, ValueError) as exc:
            raise StateError(
                f"Column {self.name!r} is {self.sql} and can't hold {excerpt(value)} ({type(value).__name__})."
            ) from exc

    def _converted(self, value: Any) -> Any:
        if type(value) in self.accepts:
            return value
        value = self.convert(value)
        if type(value) is int and not self.low <= value <= self.high:
            raise OverflowError
        return value


def _absent(value: Any) -> bool:
    """Return whether `value` is one of pandas' words for a missing value; a float NaN is a number."""
    try:
        return bool(value != value) and not isinstance(value, float)  # noqa: PLR0124 - NaT differs from itself
    except (TypeError, ValueError):
        return type(value).__name__ == "NAType"


def _unwrapped(value: Any) -> Any:
    """Return the Python value of a numpy scalar; others as they are."""
    if isinstance(value, (bytes, str)) or not hasattr(value, "item"):
        return value
    if value.dtype.kind in "mM":  # nanoseconds would come out as a bare number
        value = value.astype(f"{value.dtype.kind}8[us]")
    return value.item()


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str.__str__(value)  # str() of a member of a str Enum is its name
    if isinstance(value, (dict, list, tuple, Mapping)):
        return _json(value)
    if isinstance(value, UUID):
        return str(value)
    raise TypeError


def _json(value: Any) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain_mapping)


def _plain_mapping(value: Any) -> Any:
    # dict() alone would take a set of two-letter words.
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError


def plain(value: Any) -> Any:
    """Return a value as results show it: scalars as they are, containers as JSON text, times naive UTC.

    Raises
    ------
    TypeError
        The value is none of these; its text could differ from run to run.
    """
    if value is None or type(value) in (str, int, float, bool, bytes, Decimal):
        return value
    value = getattr(value, "_value", value) if type(value).__name__ == "Tracked" else value
    if _absent(value):
        return None
    if isinstance(value, (set, frozenset)):
        raise TypeError("a set has no order, and results must be the same every time; give a sorted list")
    for kind, convert in _SHOWN:
        if isinstance(value, kind):
            return convert(value)
    if not hasattr(value, "dtype"):
        raise TypeError(f"a {type(value).__name__} is neither a scalar nor JSON")
    return plain(_unwrapped(value))


def _time(value: Any) -> datetime:
    value = getattr(value, "moment", value)  # the clock a rule is given
    if hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime(warn=False)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise TypeError
    return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)


def _date(value: Any) -> date:
    if isinstance(value, datetime):
        raise TypeError
    return date.fromisoformat(value) if isinstance(value, str) else _same(value, date)


def _interval(value: Any) -> timedelta:
    interval: timedelta = value.to_pytimedelta() if hasattr(value, "to_pytimedelta") else _same(value, timedelta)
    return interval


def _same(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError
    return value


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or int(value) != value:
        raise TypeError
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, (bool, str)):
        raise TypeError
    return float(value)


def _single(value: Any) -> float:
    found: float = struct.unpack("<f", struct.pack("<f", _float(value)))[0]
    return found


def _decimal(arguments: str) -> Callable[[Any], Decimal]:
    precision, _, scale = (arguments.rstrip(") ") or "18,3").partition(",")
    step = Decimal(1).scaleb(-int(scale or 0))
    limit = Decimal(1).scaleb(int(precision) - int(scale or 0))
    context = Context(prec=80)

    def convert(value: Any) -> Decimal:
        if isinstance(value, (bool, float)):
            raise TypeError
        exact = Decimal(value)
        stored = exact.quantize(step, context=context)
        if stored != exact or abs(stored) >= limit:
            raise OverflowError
        return stored

    return convert


def _blob(value: Any) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError
    return bytes(value)


_SHOWN: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (datetime, _time),
    (timedelta, _interval),
    (UUID, str),
    (str, str.__str__),
    (bool, bool),
    (int, int),
    (float, float),
    ((dict, list, tuple, Mapping), _json),
    ((bytes, Decimal, date, time), lambda value: value),
    ((bytearray, memoryview), bytes),
)
_NONE = type(None)
_INT = (-(2**31), 2**31 - 1)
_SPANS: dict[str, tuple[int, int]] = {
    "TINYINT": (-(2**7), 2**7 - 1),
    "SMALLINT": (-(2**15), 2**15 - 1),
    "INTEGER": _INT,
    "INT": _INT,
    "BIGINT": (-(2**63), 2**63 - 1),
    "UTINYINT": (0, 2**8 - 1),
    "USMALLINT": (0, 2**16 - 1),
    "UINTEGER": (0, 2**32 - 1),
    "UBIGINT": (0, 2**64 - 1),
    "HUGEINT": (1 - 10**38, 10**38 - 1),  # what a decimal of 38 digits carries
}
_FAMILIES: dict[str, tuple[frozenset[type], Callable[[Any], Any]]] = {
    "VARCHAR": (frozenset({str, _NONE}), _text),
    "TEXT": (frozenset({str, _NONE}), _text),
    "STRING": (frozenset({str, _NONE}), _text),
    "JSON": (frozenset({str, _NONE}), _json),
    "UUID": (frozenset({str, _NONE}), _text),
    "BOOLEAN": (frozenset({bool, _NONE}), lambda value: _same(value, bool)),
    "DOUBLE": (frozenset({float, _NONE}), _float),
    "FLOAT": (frozenset({_NONE}), _single),
    "REAL": (frozenset({_NONE}), _single),
    # A datetime may carry a zone, so each one takes the slow way through `convert`.
    "TIMESTAMP": (frozenset({_NONE}), _time),
    "DATE": (frozenset({date, _NONE}), _date),
    "TIME": (frozenset({time, _NONE}), lambda value: _same(value, time)),
    "INTERVAL": (frozenset({timedelta, _NONE}), _interval),
    "BLOB": (frozenset({bytes, _NONE}), _blob),
    # Whether an int fits is looked at in `ColumnType`.
    **{name: (frozenset({_NONE}), _int) for name in _SPANS},
}
_SAME = {"TIMESTAMP_NS": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP", "TIMESTAMP_S": "TIMESTAMP", "NUMERIC": "DECIMAL"}


def column_type(table: str, name: str, sql: str) -> ColumnType:
    """Return the `ColumnType` of a DuckDB type name.

    Raises
    ------
    StateError
        State rows can't hold this type; nested values are kept as JSON text.
    """
    family, _, arguments = sql.upper().partition("(")
    family = _SAME.get(family.strip(), family.strip())
    if family == "DECIMAL":
        return ColumnType(name, sql, frozenset({_NONE}), _decimal(arguments))
    if family not in _FAMILIES:
        raise StateError(
            f"Table {table!r} declares {name!r} as {sql!r}; state rows hold "
            f"{', '.join(sorted({*_FAMILIES, 'DECIMAL'}))}. "
            "Use JSON for nested values, and TIMESTAMP (UTC) for times with a zone."
        )
    accepts, convert = _FAMILIES[family]
    return ColumnType(name, sql, accepts, convert)
