"""Values as JSON text and back, to the type; what is read can only ever become one of the types listed here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from replaykit.errors import FormatError, excerpt

__all__ = ["Kept", "decode", "encode", "from_text", "to_text"]

_MICROSECOND = timedelta(microseconds=1)
_LARGEST = 2**63


@dataclass(frozen=True)
class Kept:
    """What is left of a value of a type that no file holds: a user's own class."""

    type: str
    """Module and name of its type."""
    text: str
    """Its repr, at most 1,000 characters."""

    def __repr__(self) -> str:
        return self.text


def to_text(value: Any) -> str:
    """Return a value as JSON text: one value, one text."""
    return json.dumps(encode(value), separators=(",", ":"))


def from_text(text: Any) -> Any:
    """Return the value that `to_text` wrote.

    Raises
    ------
    FormatError
        It is no such text.
    """
    try:
        return decode(json.loads(text))
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
        raise FormatError(f"The file holds {excerpt(text)}, which is no value: {excerpt(str(error))}.") from None


def encode(value: Any) -> Any:
    """Return a value as JSON has it; what JSON has no word for is an object of one key, which names its type."""
    if value is None or type(value) in (bool, str):
        return value
    for kind, (name, write) in _WRITTEN.items():
        if type(value) is kind:
            return _tagged(name, write(value))
    return _wider(value)


def _tagged(name: str, content: Any) -> Any:
    return content if name == "" else {name: content}


def _wider(value: Any) -> Any:
    """Return a value of a type that is not plain Python's, or of a subclass of such."""
    module = type(value).__module__.partition(".")[0]
    if module == "pandas" and _missing(value):
        return {type(value).__name__: None}
    if module in ("pandas", "numpy"):
        return _of_frames(value)
    if isinstance(value, Mapping):
        return {"dict": [[encode(name), encode(one)] for name, one in value.items()]}
    if isinstance(value, str):  # str() of a member of a str Enum is its name
        return str.__str__(value)
    plain: Any
    for plain in (int, float, bytes, list, tuple):
        if isinstance(value, plain):
            return encode(plain(value))
    return {"kept": [f"{type(value).__module__}.{type(value).__qualname__}", repr(value)[:1_000]]}


def _missing(value: Any) -> bool:
    return type(value).__name__ in ("NAType", "NaTType")


def _of_frames(value: Any) -> Any:
    """Return what pandas and numpy hold: scalars with their type, arrays with that of their cells."""
    name = type(value).__name__
    if name == "Timestamp":
        return {"Timestamp": [encode(value.to_pydatetime(warn=False)), value.nanosecond]}
    if name == "Timedelta":
        return {"Timedelta": value.value if value.unit == "ns" else value.as_unit("ns").value}
    if name == "ndarray":
        return {"array": [str(value.dtype), [encode(one) for one in value.tolist()]]}
    if hasattr(value, "item") and value.dtype.kind in "biufU":
        return {"scalar": [str(value.dtype), encode(value.item())]}
    return {"kept": [f"numpy.{name}", repr(value)[:1_000]]}


def _zone(value: datetime | time) -> Any:
    """Return the text of a time, with the name of its zone if it has one."""
    zone: Any = value.tzinfo
    if zone is None or isinstance(zone, timezone):
        return value.isoformat()
    key = getattr(zone, "key", None)
    if key is None or not isinstance(value, datetime):
        return value.isoformat()
    return [value.astimezone(UTC).isoformat(), key]


def _number(value: int) -> Any:
    return value if -_LARGEST <= value < _LARGEST else {"int": hex(value)}


def _float(value: float) -> Any:
    return value if value - value == 0 else {"float": repr(value)}


def _listed(value: Any) -> Any:
    return [encode(one) for one in value]


def _pairs(value: Any) -> Any:
    return [[encode(name), encode(one)] for name, one in value.items()]


def _members(value: Any) -> Any:
    return sorted(_listed(value), key=json.dumps)


def _read_time(kind: Any) -> Callable[[Any], Any]:
    def read(content: Any) -> Any:
        if isinstance(content, list):
            from zoneinfo import ZoneInfo

            text, key = content
            return datetime.fromisoformat(text).astimezone(ZoneInfo(key))
        found = kind.fromisoformat(content)
        return found.replace(tzinfo=UTC) if kind is datetime and found.utcoffset() == timedelta() else found

    return read


def _read_stamp(content: Any) -> Any:
    import pandas as pd

    moment, nanosecond = content
    stamp = pd.Timestamp(decode(moment))
    return stamp + pd.Timedelta(nanosecond, "ns") if nanosecond else stamp


def _read_array(content: Any) -> Any:
    import numpy as np

    name, values = content
    return np.array([decode(one) for one in values], dtype=_dtype(name))


def _dtype(name: Any) -> Any:
    import numpy as np

    # An object's cells are values of this file, read one by one like any other.
    if not isinstance(name, str) or len(name) > 20 or np.dtype(name).kind not in "biufUOMm":
        raise ValueError(f"{excerpt(name)} is no type of an array")
    return np.dtype(name)


def _read_scalar(content: Any) -> Any:
    name, value = content
    return _dtype(name).type(decode(value))


def _read_missing(name: str) -> Callable[[Any], Any]:
    def read(_content: Any) -> Any:
        import pandas as pd

        return pd.NA if name == "NAType" else pd.NaT

    return read


def _read_delta(content: Any) -> Any:
    import pandas as pd

    return pd.Timedelta(int(content), "ns")


def decode(content: Any) -> Any:
    """Return the value of what `encode` gave; errors are Python's own, see `from_text`."""
    if isinstance(content, list):
        return [decode(one) for one in content]
    if not isinstance(content, dict):
        return content
    ((name, inner),) = content.items()
    return _READ[name](inner)


_WRITTEN: dict[type, tuple[str, Callable[[Any], Any]]] = {
    int: ("", _number),
    float: ("", _float),
    datetime: ("datetime", _zone),
    timedelta: ("timedelta", lambda value: value // _MICROSECOND),
    date: ("date", date.isoformat),
    time: ("time", _zone),
    Decimal: ("decimal", str),
    bytes: ("bytes", bytes.hex),
    bytearray: ("bytearray", bytearray.hex),
    UUID: ("uuid", str),
    list: ("", _listed),
    tuple: ("tuple", _listed),
    dict: ("dict", _pairs),
    set: ("set", _members),
    frozenset: ("frozenset", _members),
}
_READ: dict[str, Callable[[Any], Any]] = {
    "int": lambda content: int(content, 16),
    "float": float,
    "datetime": _read_time(datetime),
    "timedelta": lambda content: int(content) * _MICROSECOND,
    "date": date.fromisoformat,
    "time": _read_time(time),
    "decimal": Decimal,
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "uuid": UUID,
    "tuple": lambda content: tuple(map(decode, content)),
    "dict": lambda content: {decode(name): decode(one) for name, one in content},
    "set": lambda content: set(map(decode, content)),
    "frozenset": lambda content: frozenset(map(decode, content)),
    "kept": lambda content: Kept(*map(str, content)),
    "array": _read_array,
    "scalar": _read_scalar,
    "Timestamp": _read_stamp,
    "Timedelta": _read_delta,
    "NAType": _read_missing("NAType"),
    "NaTType": _read_missing("NaTType"),
}
