"""Focus: the one time, entity and event that every view of an explorer looks at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from replaykit.display import is_empty

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import pandas as pd

__all__ = ["Focus", "names_entity"]

_TIMES = ("at", "occurred_at", "applied_at", "opened_at", "time", "since")
_EVENTS = ("event_id",)
_ENTITIES = ("entity", "key", "bead_id", "agent_id", "job_id", "id")


@dataclass(frozen=True)
class Focus:
    """What an explorer looks at. Each part may be None."""

    time: datetime | None = None
    """An instant, naive UTC."""
    entity: str | None = None
    """The text of a key."""
    event: str | None = None
    """An event's id."""

    def moved(self, row: Mapping[str, Any], column: str | None = None, keys: tuple[str, ...] = ()) -> Focus:
        """Return the focus after a row was chosen: its time, its event, and its entity or the chosen cell's.

        Parameters
        ----------
        column
            The chosen cell's column; an id in it is the entity.
        keys
            Columns that identify the row, where the table is known.
        """
        found = replace(self, event=None)
        time = next((time for name in _TIMES if (time := _instant(row.get(name))) is not None), None)
        if time is not None:
            found = replace(found, time=time)
        if (name := _first(row, _EVENTS)) is not None:
            found = replace(found, event=_text(row[name]))
        named = (column,) if column is not None and names_entity(column, keys) else ()
        if not named and keys and all(name in row for name in keys):
            return replace(found, entity="/".join(str(row[name]) for name in keys))
        name = _first(row, (*named, *_ENTITIES, *(name for name in row if names_entity(str(name)))))
        return found if name is None else replace(found, entity=(str if name in keys else _text)(row[name]))

    def place_in(self, frame: pd.DataFrame, keys: tuple[str, ...] = ()) -> int | None:
        """Return the place of the row in focus, from 0: the event's; else the entity's next to the time; else by time.

        None if the frame shows neither the event nor the entity, or, where it has no entities, nothing up to the time.
        """
        import numpy as np

        if self.event is not None and _EVENTS[0] in frame.columns:
            rows = np.flatnonzero(_texts(frame, _EVENTS[0], _text) == self.event)
            if len(rows):
                return int(rows[0])
        found = None if self.entity is None else self._of_entity(frame, keys)
        rows = np.arange(len(frame)) if found is None else np.flatnonzero(found)
        times = None if self.time is None else _times(frame)
        if times is not None:
            before = rows[times[rows] <= np.datetime64(self.time)]
            if len(before):  # in not every view later rows stand further down
                return int(before[np.argmax(times[before])])
        return int(rows[0]) if found is not None and len(rows) else None

    def _of_entity(self, frame: pd.DataFrame, keys: tuple[str, ...]) -> Any:
        """Return which rows are of the entity, by the column that names the most important thing; None without one."""
        import numpy as np

        if len(keys) > 1 and all(name in frame.columns for name in keys):
            parts = zip(*(_texts(frame, name, str) for name in keys), strict=True)
            return np.array(["/".join(part or "" for part in row) == self.entity for row in parts], dtype=bool)
        known: tuple[Any, ...] = (*keys, *_ENTITIES, *(name for name in frame.columns if names_entity(str(name))))
        columns = [name for name in dict.fromkeys(known) if name in frame.columns]
        for name in columns:
            found = _texts(frame, name, str if name in keys else _text) == self.entity
            if found.any():
                return found
        return np.zeros(len(frame), dtype=bool) if columns else None

    @property
    def sentence(self) -> str:
        """The focus in words."""
        from replaykit.display import show_text
        from replaykit.errors import show_time

        parts = [
            None if self.time is None else show_time(self.time),
            None if self.entity is None else f"entity {show_text(self.entity, 60)}",
            None if self.event is None else f"event {show_text(self.event, 60)}",
        ]
        return ", ".join(part for part in parts if part) or "nothing"


def names_entity(column: str, keys: tuple[str, ...] = ()) -> bool:
    """Return whether a column's cells name something that has a story."""
    return column in keys or column in _ENTITIES or (column.endswith("_id") and column not in _EVENTS)


def _text(value: Any) -> str:
    """Return a cell's text; pandas makes a number of 7 beside missing ones 7.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _column(frame: pd.DataFrame, name: Any) -> pd.Series[Any]:
    """Return the first column of a name."""
    return frame.iloc[:, list(frame.columns).index(name)]


def _texts(frame: pd.DataFrame, name: Any, shown: Callable[[Any], str]) -> Any:
    """Return a column's cells as texts; missing ones are None."""
    import numpy as np

    found = np.empty(len(frame), dtype=object)
    found[:] = [None if is_empty(cell) else shown(cell) for cell in _column(frame, name)]
    return found


def _times(frame: pd.DataFrame) -> Any:
    """Return the times of the rows by the first column that has any; None without one."""
    import numpy as np

    for name in _TIMES:
        if name in frame.columns and (column := _column(frame, name)).dtype.kind in "MO":
            naive = column.dtype.kind == "M" and getattr(column.dtype, "tz", None) is None
            cells: Any = column.to_numpy() if naive else [_instant(cell) for cell in column]
            times = np.asarray(cells, dtype="datetime64[us]")
            if not np.isnat(times).all():
                return times
    return None


def _instant(value: Any) -> datetime | None:
    """Return a point in time as naive UTC; None of anything else, such as the text of one."""
    from datetime import UTC, datetime

    if is_empty(value) or not isinstance(value, datetime):
        return None
    # A pandas Timestamp has nanoseconds.
    moment: datetime = value.floor("us").to_pydatetime() if hasattr(value, "floor") else value
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """Return the first of the names under which there is something."""
    return next((name for name in names if name in row and not is_empty(row[name]) and row[name] != ""), None)
