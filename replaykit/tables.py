"""Tables as DataFrames: what a query gave, and several tables by name, each read when it is taken out."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import duckdb
    import pandas as pd

__all__ = ["LazyTables", "frame_of", "quietly"]

_FILTERS = threading.RLock()


class LazyTables(Mapping[str, "pd.DataFrame"]):
    """A read-only mapping of table name to DataFrame that reads a table each time it is asked for."""

    def __init__(self, names: Iterable[str], read: Callable[[str], pd.DataFrame]) -> None:
        self._names = tuple(names)
        self._read = read

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names  # a Mapping would read the table to find out

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"LazyTables({', '.join(self._names)})"


@contextmanager
def quietly(message: str) -> Iterator[None]:
    """Leave out a warning; one thread at a time, since the process has one list of filters, which each puts back."""
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=message)
        yield


def frame_of(cursor: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return what a cursor has fetched, without DuckDB's warning about zoned times, and whole sums as whole numbers."""
    types = [str(column[1]) for column in cursor.description or []]
    if not any("TIME ZONE" in type for type in types):
        frame = cursor.df()
    else:
        with quietly(".*inplace keyword.*"):  # DuckDB calls pandas in a way pandas 4 will change, only for zoned times
            frame = cursor.df()
    for place, type in enumerate(types):
        if type == "HUGEINT":  # a sum of whole numbers would come as float64
            column = frame.iloc[:, place]
            if column.dtype.kind == "f" and (column.isna() | (column.abs() < 2**53)).all():
                frame.isetitem(place, column.astype("Int64"))  # type: ignore[arg-type]
    return frame
