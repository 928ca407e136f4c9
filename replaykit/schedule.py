"""Schedule: when a replay ticks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta

    from replaykit.recorded_ticks import RecordedTick

__all__ = ["Schedule"]


@dataclass(frozen=True)
class Schedule:
    """When ticks happen: never (``none``), at the window's end, after each event, at an interval, or as recorded."""

    mode: str
    interval: timedelta | None = None
    recorded: tuple[RecordedTick, ...] = ()
