"""latest and as_of: the newest row of each entity, now or at any moment, from rows that only ever get added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from replaykit.findings.frame_times import column_times, key_list, moment_in, need_columns

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.recording import Recording

__all__ = ["as_of", "latest"]

Deleted = str | Sequence[str] | Mapping[str, Any] | Callable[[Any], Any] | None
"""Rows that say an entity is gone: kinds, ``{column: value or values}``, or a function of the frame giving booleans."""


def latest(
    rows: pd.DataFrame | Recording, key: str | Sequence[str], time: str | None = None, *, deleted: Deleted = None
) -> pd.DataFrame:
    """Return the newest row of each entity, as a state table.

    Entities stand in the order in which they first appeared, as an insert would have placed them. Of rows with the
    same time the last one in source order wins. Rows without a key value name no entity and are left out.

    Parameters
    ----------
    rows
        A DataFrame, or a Recording, whose events are taken in their declared order.
    key
        The column or columns that name an entity.
    time
        Column of times (datetimes or ISO 8601 text, UTC if no zone is given); None trusts the order of the rows.
    deleted
        Rows that say that the entity is gone from then on: kinds (values of the column ``kind``),
        ``{column: value or list of values}`` (all must hold), or a function of the frame that returns one boolean
        per row.

    Raises
    ------
    QueryError
        A column is missing, or a time is missing or unreadable.
    """
    frame = _rows(rows)
    if time is None:
        need_columns(frame, key_list(key), "The frame")
        return _newest(frame, key_list(key), None, deleted)
    need_columns(frame, [*key_list(key), time], "The frame")
    return _newest(frame, key_list(key), column_times(frame, time, "The frame's"), deleted)


def as_of(
    rows: pd.DataFrame | Recording,
    at: Any,
    *,
    key: str | Sequence[str],
    time: str | None = None,
    deleted: Deleted = None,
) -> pd.DataFrame:
    """Return the newest row of each entity at a moment: of the rows with a time up to and including `at`.

    Parameters
    ----------
    rows
        A DataFrame, or a Recording, whose events are taken in their declared order.
    at
        ISO 8601 text or datetime; a time of day such as ``"06:10"`` if all rows lie within one day.
    key, deleted
        As in `latest`.
    time
        Column of times; None is ``occurred_at``, the one a recording's events have.

    Raises
    ------
    QueryError
        A column is missing, or a time is missing or unreadable.
    WindowError
        `at` can't be read, or is a time of day and the rows lie on several.
    """
    frame = _rows(rows)
    column = "occurred_at" if time is None else time
    need_columns(frame, [*key_list(key), column], "The frame")
    times = column_times(frame, column, "The frame's")
    until = (times <= moment_in(at, times)).to_numpy()
    return _newest(frame[until], key_list(key), None if _declared(rows, time) else times[until], deleted)


def _declared(rows: object, time: str | None) -> bool:
    """Return whether the rows stand in a recording's declared order, which beats their times."""
    import pandas as pd

    return time is None and not isinstance(rows, pd.DataFrame)


def _rows(rows: pd.DataFrame | Recording) -> pd.DataFrame:
    import pandas as pd

    if isinstance(rows, pd.DataFrame):
        return rows
    events: pd.DataFrame = rows.events
    return events


def _newest(frame: pd.DataFrame, key: list[str], times: pd.Series[Any] | None, deleted: Deleted) -> pd.DataFrame:
    import numpy as np

    if times is not None:
        frame = frame.iloc[np.argsort(times.to_numpy(), kind="stable")]
    frame = frame[frame[key].notna().all(axis=1)]
    entity = frame.groupby(key, sort=False, dropna=True).ngroup().to_numpy()
    last: pd.DataFrame = frame.iloc[_last_places(entity)]
    if deleted is not None:
        last = last[~_is_deleted(last, deleted)]
    return last.reset_index(drop=True)


def _last_places(entity: Any) -> Any:
    """Return the last place of each entity number, in the order of the numbers."""
    import numpy as np

    places = np.zeros(int(entity.max()) + 1 if len(entity) else 0, dtype=np.int64)
    np.maximum.at(places, entity, np.arange(len(entity)))
    return places


def _is_deleted(frame: pd.DataFrame, deleted: Any) -> Any:
    import numpy as np

    if callable(deleted):
        return np.asarray(deleted(frame), dtype=bool)
    wanted = deleted if isinstance(deleted, Mapping) else {"kind": deleted}
    need_columns(frame, list(wanted), "The frame")
    found = np.ones(len(frame), dtype=bool)
    for column, values in wanted.items():
        listed = list(values) if isinstance(values, (list, tuple, set, frozenset)) else [values]
        found &= frame[column].isin(listed).to_numpy()
    return found
