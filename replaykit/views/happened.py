"""Events of a window, filtered, page by page from DuckDB; and on which page a given one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError
from replaykit.histogram import event_filter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import pandas as pd

    from replaykit.focus import Focus
    from replaykit.recording import Recording
    from replaykit.window import Window

__all__ = ["event_at", "event_place", "events"]

_BETWEEN = "occurred_at >= $start AND occurred_at < $end"


def events(
    recording: Recording,
    window: Window | None = None,
    *,
    kinds: Iterable[str] | None = None,
    text: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> pd.DataFrame:
    """Return events of a window in their declared order, with every column.

    Parameters
    ----------
    window
        Half-open, UTC; None is the whole recording.
    kinds, text
        Only of these kinds, and with this text in an id or the payload; see `replaykit.histogram.event_filter`.
    limit, offset
        At most so many rows, without so many before them; None is all.

    Raises
    ------
    WindowError
        The window lies outside the recording.
    QueryError
        The recording holds no events.
    """
    condition, values = _condition(recording, window, kinds, text)
    page = ("" if limit is None else f" LIMIT {int(limit)}") + f" OFFSET {int(offset)}"
    return recording._frame(f"SELECT * FROM events WHERE {condition} ORDER BY position{page}", values)


def event_place(
    recording: Recording,
    window: Window,
    focus: Focus,
    *,
    kinds: Iterable[str] | None = None,
    text: str | None = None,
) -> int | None:
    """Return how many of the events shown come before the one in focus, or, without one, before its time.

    None if the focus names neither, or an event that is not among them.
    """
    if focus.event is None and focus.time is None:
        return None
    condition, values = _condition(recording, window, kinds, text)
    if focus.event is not None:
        chosen = "SELECT min(position) FROM events WHERE event_id = $focus AND " + condition
        ((position,),) = recording._fetch(chosen, {**values, "focus": focus.event})
        if position is None:
            return None
        before, values = "position < $place", {**values, "place": position}
    else:
        before, values = "occurred_at < $place", {**values, "place": focus.time}
    ((place,),) = recording._fetch(f"SELECT count(*) FROM events WHERE {condition} AND {before}", values)
    return int(place)


def event_at(recording: Recording, time: datetime) -> str | None:
    """Return the id of the first event at an instant; None if there is none, or it has no id."""
    found = recording._fetch(
        "SELECT event_id FROM events WHERE occurred_at = $time ORDER BY position LIMIT 1", {"time": time}
    )
    return None if not found or found[0][0] is None else str(found[0][0])


def _condition(
    recording: Recording, window: Window | None, kinds: Iterable[str] | None, text: str | None
) -> tuple[str, dict[str, Any]]:
    span = recording.span
    if span is None:
        raise QueryError("The recording holds no events; recording.report says what was read and rejected.")
    start, end = (span if window is None else window.within(span)).bounds()
    condition, values = event_filter(recording, kinds, text)
    return f"{_BETWEEN} AND {condition}", {**values, "start": start, "end": end}
