"""DataFrames and Arrow tables: any column name, any dtype, nothing guessed from a sample."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.errors import LoadError, excerpt
from replaykit.sources.table import Column, Intake, Part, SourceTable, check_distinct
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    import pyarrow as pa

__all__ = ["read_arrow", "read_frame"]


def read_frame(frame: pd.DataFrame, label: str, intake: Intake) -> SourceTable:
    """Register a DataFrame; a named index becomes columns, NaN in numbers becomes NULL (and is noted)."""
    import pyarrow as pa

    if any(name is not None for name in frame.index.names):
        intake.note(f"{label}: the index {one_name(frame.index.names)} was read as columns.")
        frame = frame.reset_index()
    names = [_name(name, label, intake) for name in frame.columns]
    check_distinct(label, names)
    arrays, kinds = [], []
    for place, name in enumerate(names):
        array, kind = _array(frame.iloc[:, place], name, label, intake)
        arrays.append(array)
        kinds.append(kind)
    table = pa.table(arrays, names=[f"c{place}" for place in range(len(names))]) if names else None
    return _register(table, names, label, intake, kinds=kinds, rows=len(frame))


def read_arrow(source: Any, label: str, intake: Intake) -> SourceTable:
    """Register an Arrow table, record batch reader or anything that offers an Arrow stream (polars, DuckDB)."""
    import pyarrow as pa

    table = source if isinstance(source, pa.Table) else pa.table(source)
    names = [str(name) for name in table.column_names]
    check_distinct(label, names)
    renamed = table.rename_columns([f"c{place}" for place in range(len(names))])
    return _register(renamed, names, label, intake, kinds=[None] * len(names), rows=table.num_rows)


def one_name(names: Iterable[object]) -> str:
    """Return index names for a sentence."""
    return ", ".join(repr(str(name)) for name in names)


def _name(name: object, label: str, intake: Intake) -> str:
    if isinstance(name, str):
        return name
    text = ".".join(str(part) for part in name) if isinstance(name, tuple) else str(name)
    intake.note(f"{label}: column {excerpt(name)} is not text; it is called {text!r}.")
    return text


def _register(
    table: pa.Table | None, names: list[str], label: str, intake: Intake, *, kinds: list[str | None], rows: int
) -> SourceTable:
    import pyarrow as pa

    numbers = pa.array(range(1, rows + 1), pa.int64()) if rows < 1000 else _numbers(rows)
    staged = intake.name("frame")
    complete = pa.table({"row": numbers}) if table is None else table.append_column("row", numbers)
    try:
        intake.connection.register(staged, complete)
        types = dict(intake.describe(quote(staged)))
    except (duckdb.Error, pa.ArrowException) as error:
        raise LoadError(f"{label} can't be read: {excerpt(str(error).splitlines()[0])}") from None
    columns = tuple(_column(name, f"c{place}", types[f"c{place}"], kinds[place]) for place, name in enumerate(names))
    return SourceTable(label, quote(staged), columns, "row", rows, (Part(label, rows),))


def _column(name: str, sql: str, type: str, kind: str | None) -> Column:
    if kind is not None:
        return Column(name, f"CAST({sql} AS {kind})", kind)
    # A column without any value has a type of its own in Arrow, which no table can hold.
    return Column(name, f"CAST({sql} AS VARCHAR)", "VARCHAR") if type.strip('"') == "NULL" else Column(name, sql, type)


def _numbers(rows: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.array(np.arange(1, rows + 1, dtype="int64"))


def _array(series: pd.Series[Any], name: str, label: str, intake: Intake) -> tuple[pa.Array, str | None]:
    """Return the values as Arrow, and "JSON" if they are containers written as JSON text."""
    import pandas as pd
    import pyarrow as pa

    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    if series.dtype == object:
        return _objects(series, name, label, intake)
    if isinstance(series.dtype, pd.PeriodDtype | pd.IntervalDtype):
        series = series.astype(str)
    if isinstance(series.dtype, pd.SparseDtype):
        series = series.astype(series.dtype.subtype)
    if series.dtype.kind == "f" and (missing := int(series.isna().sum())):
        intake.note(f"{label}: column {name!r} has {missing:,} NaN, read as NULL.")
    try:
        return _whole(pa.array(series, from_pandas=True)), None
    except (pa.ArrowException, TypeError, ValueError):
        intake.note(f"{label}: column {name!r} of dtype {series.dtype} was read as text.")
        return pa.array(_texts(series), pa.string()), None


def _whole(array: Any) -> pa.Array:
    import pyarrow as pa

    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _texts(values: Iterable[Any]) -> list[str | None]:
    return [None if _missing(value) else str(value) for value in values]


def _missing(value: object) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def _objects(series: pd.Series[Any], name: str, label: str, intake: Intake) -> tuple[pa.Array, str | None]:
    import pyarrow as pa

    values = [None if _missing(value) else value for value in series]
    kinds = {type(value).__name__ for value in values if value is not None}
    if kinds & {"dict", "list", "tuple", "set", "ndarray"}:
        intake.note(f"{label}: column {name!r} holds Python containers, kept as JSON.")
        return pa.array([None if value is None else _json(value) for value in values], pa.string()), "JSON"
    if len(kinds) > 1 or kinds & {"datetime", "Timestamp"}:
        if len(kinds) > 1:
            intake.note(f"{label}: column {name!r} mixes {', '.join(sorted(kinds))}; kept as text.")
        return pa.array(_texts(values), pa.string()), None
    try:
        return pa.array(values), None
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.array(_texts(values), pa.string()), None


def _json(value: Any) -> str:
    if hasattr(value, "tolist"):
        value = value.tolist()
    return json.dumps(sorted(value) if isinstance(value, set) else value, default=str, ensure_ascii=False)
