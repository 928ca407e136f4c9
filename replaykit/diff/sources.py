"""What a diff compares: a pandas frame or an Arrow table behind one small interface, rows addressed by position.

The values a diff shows are taken from the source by row position, never from the engine that found them, so that a
categorical stays one and no type is rounded on the way.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from replaykit.errors import KeyDiffError, QueryError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = [
    "ArrowSource",
    "HasTables",
    "PandasSource",
    "Source",
    "TablesAndKeys",
    "index_frame",
    "source_of",
    "tables_of",
    "with_index_names",
]


class Source(Protocol):
    """One side of a diff."""

    @property
    def names(self) -> tuple[Hashable, ...]:
        """Every column, the key's index levels first."""

    @property
    def index_names(self) -> tuple[Hashable, ...]:
        """The columns among `names` that are levels of the frame's index."""

    def __len__(self) -> int: ...

    def type_name(self, name: Hashable) -> str:
        """Return the column's type as its owner would write it."""

    def arrow(self, name: Hashable) -> Any:
        """Return the column as an Arrow array whose nulls are the missing values; None if Arrow can't hold it."""

    def values(self, name: Hashable) -> list[Any]:
        """Return the column as Python values."""

    def take(self, positions: np.ndarray[Any, Any]) -> pd.DataFrame:
        """Return the rows at these positions, in this order, as a frame of their own."""


@dataclass(frozen=True)
class PandasSource:
    """A DataFrame; with `index_names` its index levels are columns too."""

    frame: pd.DataFrame
    index_names: tuple[Hashable, ...] = ()

    @property
    def names(self) -> tuple[Hashable, ...]:
        """Every column, the index levels first."""
        return (*self.index_names, *self.frame.columns)

    def __len__(self) -> int:
        return len(self.frame)

    def type_name(self, name: Hashable) -> str:
        """Return the dtype."""
        return str(self._column(name).dtype)

    def arrow(self, name: Hashable) -> Any:
        """Return the column as Arrow, NaN as null; None for what Arrow would refuse, truncate or merge."""
        import pyarrow as pa
        from pandas.api.types import infer_dtype

        column = self._column(name)
        # Arrow reads a list of dates and datetimes as dates, and of dicts as one struct: both would hide changes.
        if column.dtype == object and infer_dtype(column, skipna=True) not in _PLAIN_OBJECTS:
            return None
        try:
            return pa.array(column, from_pandas=True)
        except (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError):
            return None

    def values(self, name: Hashable) -> list[Any]:
        """Return the column as Python values."""
        return list(self._column(name))

    def take(self, positions: np.ndarray[Any, Any]) -> pd.DataFrame:
        """Return rows by position; the index is kept only where it is the key."""
        rows = self.frame.iloc[positions]
        return rows if self.index_names else rows.reset_index(drop=True)

    def _column(self, name: Hashable) -> pd.Series[Any]:
        if name in self.index_names:
            return self.frame.index.get_level_values(self.index_names.index(name)).to_series()
        return self.frame[name]


_PLAIN_OBJECTS = {"string", "bytes", "boolean", "integer", "floating", "empty", "decimal"}


@dataclass(frozen=True)
class ArrowSource:
    """An Arrow table, also made from a relation or any object that speaks Arrow."""

    table: Any
    index_names: tuple[Hashable, ...] = ()

    @property
    def names(self) -> tuple[Hashable, ...]:
        """Every column."""
        return tuple(self.table.column_names)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def type_name(self, name: Hashable) -> str:
        """Return the Arrow type."""
        return str(self.table.column(name).type)

    def arrow(self, name: Hashable) -> Any:
        """Return the column itself."""
        return self.table.column(name)

    def values(self, name: Hashable) -> list[Any]:
        """Return the column as Python values."""
        return list(self.table.column(name).to_pylist())

    def take(self, positions: np.ndarray[Any, Any]) -> pd.DataFrame:
        """Return rows by position, as pandas."""
        frame: pd.DataFrame = self.table.take(positions).to_pandas()
        return frame


def source_of(value: object, side: str, *, by_index: bool = False) -> Source:
    """Return one side of a diff from a DataFrame, Series, Arrow table, DuckDB relation or polars frame.

    A relation is fetched once, on its own connection.

    Raises
    ------
    QueryError
        `value` is none of these, or two of its columns have one name.
    """
    import pandas as pd

    if isinstance(value, pd.Series):
        value = value.to_frame()
    if isinstance(value, pd.DataFrame):
        source: Source = PandasSource(value, _index_names(value, side) if by_index else ())
    else:
        source = ArrowSource(_arrow_table(value, side))
        if by_index:
            raise KeyDiffError(f"key='index' needs a DataFrame, but {side} is a {type(value).__name__}; name columns.")
    seen: set[Hashable] = set()
    for name in source.names:
        if name in seen:
            raise QueryError(f"Two columns of {side} are named {name!r}; rename one before the diff.")
        seen.add(name)
    return source


def _arrow_table(value: Any, side: str) -> Any:
    import pyarrow as pa

    if isinstance(value, pa.Table):
        return value
    if hasattr(value, "to_arrow_table"):
        return value.to_arrow_table()
    if hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__"):
        table = pa.table(value)
        return pa.table([_without_views(column) for column in table.columns], names=table.column_names)
    raise QueryError(
        f"Can't diff {side}, a {type(value).__name__}. Pass a DataFrame, Arrow table, DuckDB relation, "
        "a dict of those, a Snapshot, a Moment or a Replay."
    )


def _without_views(column: Any) -> Any:
    """Return the column without string views, which polars writes and Arrow can't decode from a dictionary."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if pa.types.is_dictionary(kind) and pa.types.is_string_view(kind.value_type):
        chunks = [
            pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(pa.large_string()))
            for chunk in column.chunks
        ]
        return pa.chunked_array(chunks, pa.dictionary(kind.index_type, pa.large_string()))
    return column


def _index_names(frame: pd.DataFrame, side: str) -> tuple[Hashable, ...]:
    several = frame.index.nlevels > 1
    names = tuple(
        name if name is not None else (f"level_{level}" if several else "index")
        for level, name in enumerate(frame.index.names)
    )
    clash = [name for name in names if name in frame.columns]
    if clash:
        raise KeyDiffError(f"Index and a column of {side} are both named {clash[0]!r}; use {side}.rename_axis(...).")
    return names


def index_frame(index: pd.Index[Any], names: tuple[Hashable, ...]) -> pd.DataFrame:
    """Return the levels of an index as columns under these names."""
    import pandas as pd

    frame = pd.DataFrame({level: index.get_level_values(level).array for level in range(index.nlevels)})
    frame.columns = pd.Index(list(names), tupleize_cols=False)
    return frame


def with_index_names(source: Source, names: tuple[Hashable, ...]) -> Source:
    """Return after with the index names of before, since levels are compared by place."""
    if not isinstance(source, PandasSource) or len(source.index_names) != len(names):
        raise KeyDiffError(
            f"The index has {len(names)} levels before and {len(source.index_names)} after; name columns with key=."
        )
    return PandasSource(source.frame, names)


class HasTables(Protocol):
    """What holds several tables: a Snapshot, a Moment, a Replay. A mapping `keys` beside it names their key columns."""

    @property
    def tables(self) -> Mapping[str, Any]:
        """The tables by name."""


@dataclass(frozen=True)
class TablesAndKeys:
    """Several tables, and the key columns of those that declare them."""

    tables: Mapping[str, object]
    keys: Mapping[str, tuple[str, ...]]


def tables_of(value: object) -> TablesAndKeys | None:
    """Return the tables of a dict, Snapshot, Moment or Replay; None if `value` is one table."""
    import pandas as pd

    if isinstance(value, (pd.DataFrame, pd.Series)) or hasattr(value, "__arrow_c_stream__"):
        return None
    if isinstance(value, Mapping):
        return TablesAndKeys(dict(value), {})
    tables = getattr(value, "tables", None)
    if tables is None and getattr(value, "after", None) is not None:
        return tables_of(value.after)  # type: ignore[attr-defined]  # a run counts as the state it ended in
    if isinstance(tables, Mapping):
        return TablesAndKeys(dict(tables), _keys_of(value))
    if isinstance(tables, Iterable) and hasattr(value, "__getitem__"):
        return TablesAndKeys({name: value[name] for name in tables}, _keys_of(value))
    return None


def _keys_of(value: object) -> dict[str, tuple[str, ...]]:
    keys = getattr(value, "keys", None)
    if not isinstance(keys, Mapping):
        return {}
    return {table: (names,) if isinstance(names, str) else tuple(names) for table, names in keys.items() if names}
