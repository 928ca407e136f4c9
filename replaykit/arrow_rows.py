"""Rows of a query as Python values, by way of Arrow and NumPy, which takes half as long as DuckDB's own rows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from replaykit.recording import Recording

__all__ = ["read_rows"]

# Types whose values come out equal both ways; others (intervals, maps, 128 bits) take DuckDB's.
_EQUAL = frozenset("VARCHAR JSON BIGINT INTEGER SMALLINT TINYINT DOUBLE FLOAT BOOLEAN DATE TIMESTAMP".split())
_SLICE = 5_000  # so many rows stay in the processor's cache from making to use
_WHOLE = frozenset("int64 int32 int16 int8 double float".split())
_EPOCH = datetime(1970, 1, 1)
_DAY = 86_400_000_000
_FIRST, _LAST = ((edge - _EPOCH).days * _DAY for edge in (datetime(1, 1, 2), datetime(9999, 12, 31)))


def read_rows(
    recording: Recording, query: str, parameters: dict[str, Any], types: Iterable[str]
) -> Iterator[Iterable[tuple[Any, ...]]]:
    """Yield the rows of a query whose columns have these DuckDB types, some thousands at a time.

    The values are those `Recording._fetch` gives.
    """
    if _EQUAL.issuperset(types):
        table = recording._arrow(query, parameters)
        if all(_in_calendar(column) for column in table.columns):
            for start in range(0, len(table), _SLICE):
                yield zip(*[_values(column) for column in table.slice(start, _SLICE).columns], strict=True)
            return
    yield recording._fetch(query, parameters)


def _in_calendar(column: pa.ChunkedArray) -> bool:
    """Return whether Python's datetime reaches every value: not ``infinity``, nor a year before 1 or after 9999."""
    import pyarrow.compute as pc

    if not str(column.type).startswith("timestamp"):
        return True
    edges = pc.min_max(column.cast("int64")).as_py()
    return edges["min"] is None or (edges["min"] > _FIRST and edges["max"] < _LAST)


def _values(column: pa.ChunkedArray) -> list[Any]:
    kind = str(column.type)
    if kind in ("string", "timestamp[us]") or (kind in _WHOLE and not column.null_count):
        values: list[Any] = column.to_numpy().tolist()
        return values
    return column.to_pylist()  # type: ignore[no-any-return]
