"""Row and the values it may hold: scalars and JSON text, checked where they are written, never changed after."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
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

    __slots__ = ("accepts", "convert", "name", "sql")

    def __init__(self, name: str, sql: str, accepts: frozenset[type], convert: Callable[[Any], Any]) -> None:
        self.name = name
        self.sql = sql
        self.accepts = accepts
        self.convert = convert

    def __call__(self, value: Any) -> Any:
        """Return `value` as this column stores it.

        Raises
        ------
        StateError
            The value does not fit the column.
        """
        if type(value) is datetime and self.convert is _time and value.tzinfo is None:
            return value
        if type(value) in self.accepts:
            return value
        if value is None or (value != value and not isinstance(value, float)):  # noqa: PLR0124 - NaT and NA
            return None
        try:
            if hasattr(value, "item") and not isinstance(value, (bytes, str)):
                value = value.item()  # a numpy scalar
                if type(value) in self.accepts:
                    return value
            return self.convert(value)
        except (TypeError, ValueError, OverflowError) as exc:
            raise StateError(
                f"Column {self.name!r} is {self.sql} and can't hold {excerpt(value)} ({type(value).__name__})."
            ) from exc


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (dict, list, tuple, Mapping)):
        return _json(value)
    if isinstance(value, UUID):
        return str(value)
    raise TypeError


def _json(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=dict)


def plain(value: Any) -> Any:
    """Return a value as results show it: scalars as they are, containers as JSON text, times naive UTC."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    value = getattr(value, "_value", value) if type(value).__name__ == "Tracked" else value
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, (dict, list, tuple, Mapping)):
        return _json(value)
    if isinstance(value, (set, frozenset)):
        raise TypeError("a set has no order, and results must be the same every time; give a sorted list")
    return value.item() if hasattr(value, "item") else value


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


def _decimal(value: Any) -> Decimal:
    if isinstance(value, (bool, float)):
        raise TypeError
    return Decimal(value)


_NONE = type(None)
_INTEGERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "INT",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "HUGEINT",
)
_FAMILIES: dict[str, tuple[frozenset[type], Callable[[Any], Any]]] = {
    "VARCHAR": (frozenset({str, _NONE}), _text),
    "TEXT": (frozenset({str, _NONE}), _text),
    "STRING": (frozenset({str, _NONE}), _text),
    "JSON": (frozenset({str, _NONE}), _json),
    "UUID": (frozenset({str, _NONE}), _text),
    "BOOLEAN": (frozenset({bool, _NONE}), lambda value: _same(value, bool)),
    "DOUBLE": (frozenset({float, _NONE}), _float),
    "FLOAT": (frozenset({float, _NONE}), _float),
    "REAL": (frozenset({float, _NONE}), _float),
    "DECIMAL": (frozenset({Decimal, _NONE}), _decimal),
    # A datetime may carry a zone, so each one takes the slow way through `convert`.
    "TIMESTAMP": (frozenset({_NONE}), _time),
    "DATE": (frozenset({date, _NONE}), _date),
    "TIME": (frozenset({time, _NONE}), lambda value: _same(value, time)),
    "INTERVAL": (frozenset({timedelta, _NONE}), _interval),
    "BLOB": (frozenset({bytes, _NONE}), lambda value: _same(bytes(value), bytes)),
    **{name: (frozenset({int, _NONE}), _int) for name in _INTEGERS},
}


def column_type(table: str, name: str, sql: str) -> ColumnType:
    """Return the `ColumnType` of a DuckDB type name.

    Raises
    ------
    StateError
        State rows can't hold this type; nested values are kept as JSON text.
    """
    family = sql.upper().partition("(")[0].strip()
    family = {"TIMESTAMP_NS": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP", "TIMESTAMP_S": "TIMESTAMP"}.get(family, family)
    if family not in _FAMILIES:
        raise StateError(
            f"Table {table!r} declares {name!r} as {sql!r}; state rows hold {', '.join(sorted(set(_FAMILIES)))}. "
            "Use JSON for nested values, and TIMESTAMP (UTC) for times with a zone."
        )
    accepts, convert = _FAMILIES[family]
    return ColumnType(name, sql, accepts, convert)
