"""Focus: the one time, entity and event that every view of an explorer looks at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from replaykit.display import is_empty

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pandas as pd

__all__ = ["Focus", "names_entity"]

_TIMES = ("at", "occurred_at", "applied_at", "opened_at", "time")
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
        time = _first(row, _TIMES)
        if time is not None:
            found = replace(found, time=time.to_pydatetime() if hasattr(time, "to_pydatetime") else time)
        event = _first(row, _EVENTS)
        if event is not None:
            found = replace(found, event=str(event))
        named = (column,) if column is not None and names_entity(column, keys) else ()
        if not named and keys and all(name in row for name in keys):
            return replace(found, entity="/".join(str(row[name]) for name in keys))
        entity = _first(row, (*named, *_ENTITIES, *(name for name in row if names_entity(name))))
        return found if entity is None else replace(found, entity=str(entity))

    def place_in(self, frame: pd.DataFrame, keys: tuple[str, ...] = ()) -> int | None:
        """Return the place of the row in focus, from 0: the event's; else the entity's next to the time; else by time.

        None if the frame shows neither the event nor the entity, or, where it has no entities, nothing up to the time.
        """
        import numpy as np

        if self.event is not None and _EVENTS[0] in frame.columns:
            rows = np.flatnonzero(_texts(frame[_EVENTS[0]]) == self.event)
            if len(rows):
                return int(rows[0])
        rows = np.arange(len(frame))
        if self.entity is not None and (found := self._of_entity(frame, keys)) is not None:
            rows = np.flatnonzero(found)
        times = next((name for name in _TIMES if name in frame.columns), None)
        if self.time is not None and times is not None and len(rows):
            before = np.flatnonzero((frame[times].iloc[rows] <= self.time).to_numpy())
            # Not in every view later rows stand further down.
            return int(rows[max(before, key=lambda one: (frame[times].iloc[rows[one]], -one), default=0)])
        return int(rows[0]) if self.entity is not None and len(rows) and len(rows) < len(frame) else None

    def _of_entity(self, frame: pd.DataFrame, keys: tuple[str, ...]) -> Any:
        """Return which rows are of the entity, by the column that names the most important thing; None without one."""
        if len(keys) > 1 and all(name in frame.columns for name in keys):
            joined = _texts(frame[keys[0]])
            for name in keys[1:]:
                joined = joined + "/" + _texts(frame[name])
            return joined == self.entity
        known = (*keys, *_ENTITIES, *(str(name) for name in frame.columns if names_entity(str(name))))
        columns = [name for name in dict.fromkeys(known) if name in frame.columns]
        hits = ((_texts(frame[name]) == self.entity) for name in columns)
        return next((hit for hit in hits if hit.any()), None) if columns else None

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


def _texts(column: pd.Series[Any]) -> Any:
    return column.astype(object).map(str).to_numpy()


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if name in row and not is_empty(row[name]) and row[name] != ""), None)
