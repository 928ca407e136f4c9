"""Focus: the one time, entity and event that every view of an explorer looks at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from replaykit.display import is_empty

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["Focus"]

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
        named = (column,) if column is not None and _names_one(column) else ()
        entity = _first(row, (*named, *keys, *_ENTITIES, *(name for name in row if _names_one(name))))
        return found if entity is None else replace(found, entity=str(entity))

    @property
    def sentence(self) -> str:
        """The focus in words."""
        from replaykit.errors import show_time

        parts = [
            None if self.time is None else show_time(self.time),
            None if self.entity is None else f"entity {self.entity}",
            None if self.event is None else f"event {self.event}",
        ]
        return ", ".join(part for part in parts if part) or "nothing"


def _names_one(column: str) -> bool:
    return column.endswith("_id") and column not in _EVENTS


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if name in row and not is_empty(row[name]) and row[name] != ""), None)
