"""Columns of two sources made comparable: one Arrow type for both sides that loses nothing, or exact text.

Each pair of columns is cast to a common type only where the cast is exact. Everything else (mixed objects, containers,
numbers against text) becomes a canonical text, in which equal values have equal text and no two others do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from replaykit.diff.sources import PandasSource, Source
from replaykit.display import is_empty

__all__ = ["ColumnPair", "canonical", "pair_up"]

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class ColumnPair:
    """One column of both sides as Arrow arrays of one type."""

    name: Hashable
    before: Any
    after: Any
    families: tuple[str, str]
    """What each side held: number, text, time, ... Two families never hold an equal value."""


def pair_up(before: Source, after: Source, name: Hashable, *, as_json: bool = False, rough: bool = False) -> ColumnPair:
    """Return a column of both sides in one type; as JSON, containers are their JSON text.

    `rough` is for columns with a tolerance: numbers without an exact common type become doubles.
    """
    if as_json:
        return ColumnPair(name, _json_texts(before, name), _json_texts(after, name), ("json", "json"))
    nan_is_null = isinstance(before, PandasSource) or isinstance(after, PandasSource)
    left = _simple(before.arrow(name), nan_is_null=nan_is_null)
    right = _simple(after.arrow(name), nan_is_null=nan_is_null)
    families = (_family(left), _family(right))
    if left is not None and right is not None:
        for common in _common_types(left.type, right.type):
            cast = _cast(left, common), _cast(right, common)
            if cast[0] is not None and cast[1] is not None:
                return ColumnPair(name, cast[0], cast[1], families)
        if rough and families == ("number", "number"):
            doubles = [side.cast("float64", safe=False) for side in (left, right)]
            return ColumnPair(name, doubles[0], doubles[1], families)
    return ColumnPair(name, _texts(before.values(name)), _texts(after.values(name)), families)


def _simple(array: Any, *, nan_is_null: bool) -> Any:
    """Return an array of a type the engine compares exactly, or None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if array is None:
        return None
    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.cast(kind.value_type), kind.value_type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return array.cast(pa.timestamp(kind.unit))
    if pa.types.is_float16(kind):
        return array.cast(pa.float32())
    if nan_is_null and pa.types.is_floating(kind) and pc.any(pc.is_nan(array)).as_py():
        return pc.if_else(pc.is_nan(array), pa.scalar(None, kind), array)
    # The engine takes a month for 30 days, so intervals of months are compared as text.
    exact = pa.types.is_primitive(kind) and not pa.types.is_interval(kind)
    other = _is_text(kind) or _is_binary(kind) or pa.types.is_decimal128(kind) or pa.types.is_null(kind)
    return array if exact or other else None


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _is_whole(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _is_time(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _family(array: Any) -> str:
    import pyarrow as pa

    if array is None:
        return "object"
    kind = array.type
    if pa.types.is_null(kind):
        return "empty"
    if _is_whole(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if _is_time(kind):
        return "time"
    return "text" if _is_text(kind) else "binary" if _is_binary(kind) else str(kind)


def _common_types(left: Any, right: Any) -> list[Any]:
    """Return the types to try for two columns, the cheapest first. A cast that loses anything fails."""
    import pyarrow as pa

    if pa.types.is_duration(left) and pa.types.is_duration(right):
        return [pa.duration("us"), pa.duration("ns")]
    if pa.types.is_null(left) or pa.types.is_null(right):
        return [right if pa.types.is_null(left) else left]
    if left == right:
        return [left]
    if _is_text(left) and _is_text(right):
        return [pa.large_string()]
    if _is_binary(left) and _is_binary(right):
        return [pa.large_binary()]
    if _is_time(left) and _is_time(right):
        return [pa.timestamp("us"), pa.timestamp("ns")]
    return _common_numbers(left, right)


def _common_numbers(left: Any, right: Any) -> list[Any]:
    import pyarrow as pa

    if _is_whole(left) and _is_whole(right):
        return [pa.int64(), pa.uint64()]
    if pa.types.is_floating(left) and pa.types.is_floating(right):
        return [pa.float64()]
    numbers = [kind for kind in (left, right) if _is_whole(kind) or pa.types.is_floating(kind)]
    if len(numbers) == 2:
        return [pa.int64(), pa.float64()]
    scales = [kind.scale for kind in (left, right) if pa.types.is_decimal128(kind)]
    if len(scales) == 2 or (scales and any(map(_is_whole, (left, right)))):
        return [pa.decimal128(38, max(scales))]
    return []


def _cast(array: Any, kind: Any) -> Any:
    """Return the array in another type, or None where a value would not survive."""
    import pyarrow as pa

    try:
        cast = array if array.type == kind else array.cast(kind, safe=True)
    except pa.ArrowException:
        return None
    # The engine's INTERVAL and TIME are of microseconds; counts of the unit compare exactly.
    if pa.types.is_duration(kind) or (pa.types.is_time(kind) and kind.bit_width == 64):
        return cast.cast(pa.int64())
    return cast


def _texts(values: list[Any]) -> Any:
    import pyarrow as pa

    return pa.array([None if is_empty(value) else canonical(value) for value in values], pa.large_string())


def _json_texts(source: Source, name: Hashable) -> Any:
    import pyarrow as pa

    array = source.arrow(name)
    if array is not None and _is_text(array.type):
        return array.cast(pa.large_string())
    return pa.array([_json_text(value) for value in source.values(name)], pa.large_string())


def _json_text(value: Any) -> str | None:
    if is_empty(value):
        return None
    if isinstance(value, str):
        # Arrow holds no lone surrogate; its JSON escape means the same.
        return _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", value)
    return json.dumps(value, default=canonical)


def canonical(value: Any) -> str:
    """Return a text that equal values share and no others; 1, 1.0 and Decimal(1) are equal, "1" differs."""
    if is_empty(value):
        return "null" if value is None else "nan"
    if type(value).__module__ == "numpy":
        return _canonical_numpy(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return _canonical_number(value)
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "0x" + bytes(value).hex()
    if isinstance(value, (datetime, date, time, timedelta)):
        return _canonical_instant(value)
    return _canonical_container(value)


def _canonical_numpy(value: Any) -> str:
    import pandas as pd

    if value.ndim == 0 and value.dtype.kind in "mM":
        return canonical(pd.Timestamp(value) if value.dtype.kind == "M" else pd.Timedelta(value))
    return canonical(value.tolist())


def _canonical_number(value: float | Decimal) -> str:
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not exact.is_finite():
        return str(exact)
    sign, digits, exponent = exact.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    short = text.rstrip("0")
    if not short:
        return "0"
    return f"{'-' if sign else ''}{short}e{int(exponent) + len(text) - len(short)}"


def _canonical_instant(value: Any) -> str:
    import pandas as pd

    if isinstance(value, timedelta):
        return f"duration {pd.Timedelta(value).isoformat()}"
    if isinstance(value, time):
        return f"time {value.isoformat()}"
    if isinstance(value, datetime):
        naive = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        return f"at {naive.isoformat()}"
    return f"at {value.isoformat()}T00:00:00"


def _canonical_container(value: Any) -> str:
    if isinstance(value, Mapping):
        items = sorted((canonical(key), canonical(item)) for key, item in value.items())
        return "{" + ",".join(f"{key}:{item}" for key, item in items) + "}"
    if isinstance(value, AbstractSet):
        return "set(" + ",".join(sorted(map(canonical, value))) + ")"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(canonical, value)) + "]"
    return f"{type(value).__qualname__} {value!r}"
