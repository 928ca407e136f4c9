"""DataFrames as DuckDB tables and back, to the type of every column and cell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from replaykit.errors import FormatError, LoadError, excerpt
from replaykit.saving.values import decode, encode, from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb
    import pandas as pd
    import pyarrow as pa

__all__ = ["read_frame", "write_frame"]

_MASKED = re.compile(r"U?Int(8|16|32|64)|Float(32|64)|boolean")
_PLAIN = re.compile(r"u?int(8|16|32|64)|float(32|64)|bool|datetime64\[(s|ms|us|ns)\]")
_ZONED = re.compile(r"datetime64\[(s|ms|us|ns), ([A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*)\]")
_SPAN = re.compile(r"timedelta64\[(s|ms|us|ns)\]")
_TEXT = re.compile(r"(str|string)\[(python|pyarrow)\]")


def write_frame(cursor: duckdb.DuckDBPyConnection, target: str, frame: pd.DataFrame) -> dict[str, Any]:
    """Create table `target` from a frame whose rows are numbered from 0; return what `read_frame` needs to know.

    Columns of objects, and texts that are no UTF-8, are stored as JSON text.

    Raises
    ------
    LoadError
        A column has a type that a file can't keep.
    """
    import pyarrow as pa

    columns: list[Any] = []
    kinds: list[str] = []
    for place in range(frame.shape[1]):
        kind, values = _stored(frame.iloc[:, place], frame.columns[place])
        kinds.append(kind)
        columns.append(values)
    if not columns:  # DuckDB has no table without columns
        columns, kinds = [pa.nulls(len(frame), pa.int64())], []
    labels = list(_labels(frame.columns)) or ["nothing"]
    cursor.register("replaykit_rows", pa.table(columns, names=labels))
    try:
        cursor.execute(f"CREATE TABLE {target} AS SELECT * FROM replaykit_rows")
    finally:
        cursor.unregister("replaykit_rows")
    names = [encode(name) for name in frame.columns]
    return {"names": names, "kinds": kinds, "index": str(frame.columns.dtype), "rows": len(frame)}


def _labels(names: Any) -> Iterator[str]:
    """Yield a column name for each, which SQL can tell from the others; upper and lower case are the same to it."""
    taken: set[str] = set()
    for number, name in enumerate(names):
        label = str(name).encode("utf-8", "replace").decode().replace("\0", "") or f"column{number}"
        while label.lower() in taken:
            label += "_"
        taken.add(label.lower())
        yield label


def _stored(values: pd.Series[Any], name: Any) -> tuple[str, Any]:
    """Return how a column is stored, and its values as Arrow."""
    import pyarrow as pa

    dtype: Any = values.dtype
    kind = _kind(dtype)
    if kind is None:
        raise LoadError(
            f"Column {excerpt(name)} is of type {excerpt(str(dtype))}, which a saved run can't hold; make it numbers, "
            "texts or times."
        )
    if _SPAN.fullmatch(kind):
        return kind, pa.array(values.to_numpy().view("int64"), pa.int64())
    if _ZONED.fullmatch(kind):
        return kind, pa.array(values.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), from_pandas=True)
    if _TEXT.fullmatch(kind):
        try:
            return kind, pa.array([None if one is dtype.na_value else one for one in values.array], pa.string())
        except UnicodeEncodeError:
            kind = f"coded {kind}"
    if kind == "object" or kind.startswith("coded"):
        return kind, pa.array([to_text(one) for one in values.array], pa.string())
    return kind, pa.array(values.array if _MASKED.fullmatch(kind) else values.to_numpy(), from_pandas=_dated(kind))


def _dated(kind: str) -> bool | None:
    return True if kind.startswith("datetime64") else None


def _kind(dtype: Any) -> str | None:
    """Return the name of a type by which it is restored; None if there is none."""
    import pandas as pd

    if isinstance(dtype, pd.StringDtype):
        return f"{'string' if dtype.na_value is pd.NA else 'str'}[{dtype.storage}]"
    text = str(dtype)
    known = text == "object" or any(one.fullmatch(text) for one in (_MASKED, _PLAIN, _ZONED, _SPAN))
    return text if known else None


def read_frame(cursor: duckdb.DuckDBPyConnection, source: str, spec: Any) -> pd.DataFrame:
    """Return the frame that `write_frame` stored.

    Raises
    ------
    FormatError
        The table does not look as `spec` says.
    """
    import pandas as pd

    rows = cursor.sql(f"SELECT * FROM {source} ORDER BY rowid").to_arrow_table()
    names, kinds = [decode(name) for name in spec["names"]], spec["kinds"]
    if len(kinds) != len(names) or len(rows) != spec["rows"] or rows.num_columns != max(1, len(kinds)):
        raise FormatError(f"Table {source} has other rows or columns than the file says; it was not read.")
    series = [_restored(rows.column(place), kind, source) for place, kind in enumerate(kinds)]
    frame = pd.DataFrame(dict(enumerate(series)), index=pd.RangeIndex(len(rows)))
    frame.columns = _index(names, spec["index"])
    return frame


def _index(names: Sequence[Any], kind: Any) -> Any:
    import pandas as pd

    if not names and kind == "int64":
        return pd.RangeIndex(0)
    return pd.Index(names, dtype=kind if kind in ("str", "string", "int64", "object") else "object")


def _restored(values: pa.ChunkedArray, kind: Any, source: str) -> pd.Series[Any]:
    import pyarrow as pa

    try:
        return _series(values, str(kind))
    except (pa.ArrowException, TypeError, ValueError, LookupError, AttributeError) as error:
        raise FormatError(f"Table {source} holds a column that is no {excerpt(kind)}: {excerpt(str(error))}.") from None


def _series(values: pa.ChunkedArray, kind: str) -> pd.Series[Any]:
    import pandas as pd
    import pyarrow as pa

    if kind == "object" or kind.startswith("coded "):
        coded: Any = _dtype(kind.removeprefix("coded "))
        cells: pd.Series[Any] = pd.Series([from_text(one) for one in values.to_pylist()], dtype=coded)
        return cells
    if zone := _ZONED.fullmatch(kind):
        times = pd.Series(_times(values, zone[1])).dt.tz_localize("UTC")
        moved: pd.Series[Any] = times.dt.tz_convert(zone[2])
        return moved
    if span := _SPAN.fullmatch(kind):
        return pd.Series(values.cast(pa.int64()).to_numpy().view(f"timedelta64[{span[1]}]"))
    if _PLAIN.fullmatch(kind):
        if kind.startswith("datetime64"):
            return pd.Series(_times(values, kind[11:-1]))
        if values.null_count:
            raise ValueError("it has gaps")
        return pd.Series(values.to_numpy().astype(kind, copy=False, casting="equiv"))
    dtype = _dtype(kind)
    return pd.Series(dtype.__from_arrow__(values))


def _times(values: pa.ChunkedArray, unit: str) -> Any:
    import pyarrow as pa

    return values.cast(pa.timestamp(unit)).to_numpy()


def _dtype(kind: str) -> Any:
    """Return a type of pandas by its name, of those that are known here and no others."""
    import numpy as np
    import pandas as pd

    if text := _TEXT.fullmatch(kind):
        return pd.StringDtype(text[2], na_value=np.nan if text[1] == "str" else pd.NA)
    if kind != "object" and not _MASKED.fullmatch(kind):
        raise ValueError("no such type")
    return pd.api.types.pandas_dtype(kind)
