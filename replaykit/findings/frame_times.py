"""Times of a plain frame's column, whatever they were stored as, as naive UTC microseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, WindowError, excerpt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pandas as pd

__all__ = ["column_times", "key_list", "moment_in", "need_columns"]


def key_list(key: str | Sequence[str]) -> list[str]:
    """Return one or several column names as a list."""
    return [key] if isinstance(key, str) else list(key)


def need_columns(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Check that every column is there once.

    Raises
    ------
    QueryError
        A column is missing or repeated; the message lists those that are there.
    """
    names = list(frame.columns)
    for column in columns:
        if column not in names:
            raise QueryError(f"{what} has no column {column!r}; its columns are {names[:40]}.")
        if names.count(column) > 1:
            raise QueryError(f"{what} has {names.count(column)} columns called {column!r}; rename all but one.")


def column_times(frame: pd.DataFrame, column: str, what: str) -> pd.Series[Any]:
    """Return a column of ISO 8601 text or datetimes as naive UTC ``datetime64[us]``, in the frame's order.

    Raises
    ------
    QueryError
        The column is numeric, or a value is missing or unreadable; the message shows the first.
    """
    import pandas as pd

    values = frame[column]
    if pd.api.types.is_numeric_dtype(values):
        raise QueryError(
            f"{what} column {column!r} holds numbers, whose unit nobody said; convert it first, for example with "
            f"frame.assign({column}=pandas.to_datetime(frame[{column!r}], unit='s'))."
        )
    if pd.api.types.is_datetime64_any_dtype(values):
        times = pd.to_datetime(values, utc=True)
    else:
        times = pd.to_datetime(values, utc=True, format="ISO8601", errors="coerce")
    if times.isna().any():
        place = int(times.isna().to_numpy().argmax())
        raise QueryError(
            f"{what} column {column!r} has no readable time in {int(times.isna().sum()):,} rows; the first is row "
            f"{place}, {excerpt(values.iloc[place])}. Leave them out first: frame[frame[{column!r}].notna()]."
        )
    naive: pd.Series[Any] = times.dt.tz_localize(None).astype("datetime64[us]")
    return naive


def moment_in(at: Any, times: pd.Series[Any]) -> datetime:
    """Return `at` as naive UTC; a time of day takes its day from `times` if they lie within one day."""
    from datetime import timedelta

    from replaykit.window import Window, parse_time

    if not len(times):
        return parse_time(at, what="at")
    first, last = times.min().to_pydatetime(), times.max().to_pydatetime()
    try:
        return parse_time(at, what="at", span=Window(first, last + timedelta(microseconds=1)))
    except WindowError as exc:
        raise WindowError(str(exc).replace("the recording covers", "the rows cover")) from exc
