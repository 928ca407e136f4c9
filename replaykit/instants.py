"""Instants: times as microseconds since 1970, UTC, which arithmetic and browsers take."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from replaykit.sql import quote
from replaykit.window import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from replaykit.recording import Recording

__all__ = ["ends_of", "log_times", "micros", "moment", "window_of"]

_EPOCH = datetime(1970, 1, 1)
_FIRST, _LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999_999)
_MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Return a naive UTC time as microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    """Return microseconds since 1970 as a naive UTC time; what lies outside the calendar is its first or last."""
    return _EPOCH + timedelta(microseconds=min(max(at, micros(_FIRST)), micros(_LAST)))


def ends_of(window: Window) -> tuple[int, int]:
    """Return both bounds of a window that has its day."""
    start, end = window.bounds()
    return micros(start), micros(end)


def window_of(start: int, end: int) -> Window:
    """Return the window between two instants."""
    return Window(moment(start), moment(end))


def log_times(recording: Recording, log: str) -> NDArray[np.datetime64]:
    """Return when the entries of a recorded log were made, in time order, as ``datetime64[us]``."""
    rows = recording._fetch(f"SELECT epoch_us(occurred_at) FROM {quote(log)} WHERE occurred_at IS NOT NULL ORDER BY 1")
    return np.array([row[0] for row in rows], dtype="int64").astype("datetime64[us]")
