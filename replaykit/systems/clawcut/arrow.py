"""Rows as Arrow tables with declared types, so that an empty table has its columns and a job id keeps its type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from replaykit.systems.clawcut.tables import JOB_ID

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["arrow_table", "id_type"]

_LARGEST = 1 << 63


def id_type(ids: Iterable[Any]) -> str:
    """Return BIGINT if all job ids are whole numbers, else VARCHAR."""
    found = list(ids)
    whole = bool(found) and all(type(one) is int and -_LARGEST <= one < _LARGEST for one in found)
    return "BIGINT" if whole else "VARCHAR"


def arrow_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], job_type: str) -> pa.Table:
    """Return rows as a table of these columns, DuckDB's types; what a row does not have is NULL."""
    import pyarrow as pa

    arrays, names = [], list(columns)
    for name, declared in columns.items():
        values = [row.get(name) for row in rows]
        if declared == JOB_ID and job_type == "VARCHAR":
            values = [None if value is None else str(value) for value in values]
        arrays.append(pa.array(values, _types()[job_type if declared == JOB_ID else declared]))
    return pa.Table.from_arrays(arrays, names=names)


def _types() -> dict[str, pa.DataType]:
    import pyarrow as pa

    return {"BIGINT": pa.int64(), "VARCHAR": pa.string(), "BOOLEAN": pa.bool_(), "TIMESTAMP": pa.timestamp("us")}
