"""The clock of an operation: given, or the machine's; and the time that a question about a replay names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from replaykit.window import parse_time

if TYPE_CHECKING:
    from replaykit.replayed import Replay

__all__ = ["asked_time", "moment"]


def moment(now: datetime | str | None) -> datetime:
    """Return a time as naive UTC; None is now.

    Raises
    ------
    WindowError
        It can't be read.
    """
    return datetime.now(UTC).replace(tzinfo=None) if now is None else parse_time(now, what="now")


def asked_time(run: Replay, at: Any) -> datetime:
    """Return the time a question asks about; None is the end of the replay's window.

    ``run.at(at).at`` is that of the last step before, which may lie hours back.
    """
    return run.window.bounds()[1] if at is None else parse_time(at, what="at", span=run.plan.span)
