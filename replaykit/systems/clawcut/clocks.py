"""The clock of an operation: given, or the machine's. Replays never come here."""

from __future__ import annotations

from datetime import UTC, datetime

from replaykit.window import parse_time

__all__ = ["moment"]


def moment(now: datetime | str | None) -> datetime:
    """Return a time as naive UTC; None is now.

    Raises
    ------
    WindowError
        It can't be read.
    """
    return datetime.now(UTC).replace(tzinfo=None) if now is None else parse_time(now, what="now")
