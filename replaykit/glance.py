"""glance: what lies in a window of a recording, before or without replaying it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from replaykit.display import count, show_value
from replaykit.errors import QueryError, show_time

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from replaykit.recording import Recording
    from replaykit.window import Window

__all__ = ["Glance", "glance"]

_BETWEEN = "occurred_at >= $start AND occurred_at < $end"


@dataclass(frozen=True, eq=False, repr=False)
class Glance:
    """What lies in a window. ``len()`` counts its events; each table is read when it is asked for."""

    recording: Recording
    window: Window
    """With its day, checked to touch the recording."""
    events_in: int
    """How many events lie in the window."""

    def __len__(self) -> int:
        return self.events_in

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"Glance({count(self.events_in, 'event')} in {self.window!r})"

    @property
    def _bounds(self) -> dict[str, Any]:
        start, end = self.window.bounds()
        return {"start": start, "end": end}

    @cached_property
    def events(self) -> pd.DataFrame:
        """The window's events in their declared order, with every column."""
        return self.recording._frame(f"SELECT * FROM events WHERE {_BETWEEN} ORDER BY position", self._bounds)

    def first_events(self, limit: int = 100) -> pd.DataFrame:
        """Return the first events of the window, so that a large one need not be held."""
        query = f"SELECT * FROM events WHERE {_BETWEEN} ORDER BY position LIMIT $limit"
        return self.recording._frame(query, {**self._bounds, "limit": limit})

    @cached_property
    def kinds(self) -> pd.DataFrame:
        """One row for each kind of event in the window: how many, the first and the last time; most frequent first."""
        return self.recording._frame(
            "SELECT kind, count(*) AS events, min(occurred_at) AS first_at, max(occurred_at) AS last_at FROM events "
            f"WHERE {_BETWEEN} GROUP BY kind ORDER BY events DESC, kind",
            self._bounds,
        )

    @cached_property
    def unexplained(self) -> pd.DataFrame:
        """Rows that changed between two snapshots both in reach of the window, and that nothing recorded names.

        Raises
        ------
        QueryError
            The recording has fewer than two snapshots, or no state table with a key.
        """
        from replaykit.findings.unexplained import unexplained

        start, end = self.window.bounds()
        found = unexplained(self.recording).unnamed
        return found[(found["to_at"] > start) & (found["from_at"] < end)].reset_index(drop=True)

    @property
    def sentence(self) -> str:
        """What lies in the window, in one sentence; where it is empty, where the nearest events are."""
        start, end = self.window.bounds()
        first = self.recording.span.bounds()[0]  # type: ignore[union-attr]  # a recording without events has no window
        inside = [s for s in self.recording.snapshots if start <= s.at < end]
        parts = [f"{self.events_in:,} of {count(len(self.recording), 'event')}"]
        parts += [count(len(inside), "snapshot")] if self.recording.snapshots else []
        text = f"{' and '.join(parts)} in {show_value(end - start)} from {_offset(start - first)}"
        if self.events_in:
            return f"{text}."
        before, after = self.nearest
        near = [show_time(at) for at in (before, after) if at is not None]
        return f"{text}; the nearest events are at {' and '.join(near)}."

    @property
    def nearest(self) -> tuple[datetime | None, datetime | None]:
        """The last event before the window and the first behind it, naive UTC; None where there is none."""
        query = "SELECT max(occurred_at) FILTER (occurred_at < $start), min(occurred_at) FILTER (occurred_at >= $end)"
        ((before, after),) = self.recording._fetch(f"{query} FROM events", self._bounds)
        return before, after

    def _repr_html_(self) -> str:
        from replaykit.display import note_html, table_html

        parts = [note_html(self.sentence), table_html(self.kinds, caption="Kinds", limit=20, more=".kinds")]
        first = self.first_events(20)
        parts.append(table_html(first, caption="First events", limit=20, more=".events", total=len(self)))
        return "\n".join(parts)


def _offset(since: Any) -> str:
    return f"T{'-' if since < -since else '+'}{show_value(abs(since))}"


def glance(recording: Recording, window: Window | None = None) -> Glance:
    """Look at what lies in a window: how many events, of which kinds, and what changed unexplained.

    Parameters
    ----------
    window
        Half-open ``[start, end)``, UTC. None is the whole recording.

    Raises
    ------
    QueryError
        The recording holds no events.
    WindowError
        A bound has no day in a recording of several, or the window lies outside the recording.
    """
    span = recording.span
    if span is None:
        raise QueryError("The recording holds no events; recording.report says what was read and rejected.")
    within = span if window is None else window.within(span)
    start, end = within.bounds()
    ((events,),) = recording._fetch(f"SELECT count(*) FROM events WHERE {_BETWEEN}", {"start": start, "end": end})
    return Glance(recording, within, int(events))
