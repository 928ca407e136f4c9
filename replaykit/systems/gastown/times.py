"""Timestamps as the program keeps them: ISO 8601 text in UTC, compared as text or read as JavaScript's Date does."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta
from functools import lru_cache

__all__ = ["fresh", "iso", "parse", "stale"]

_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:Z|([+-])(\d\d):?(\d\d))?)?"
)
_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def iso(moment: datetime) -> str:
    """Return a naive UTC datetime as the program writes it: ``2026-03-26T12:00:00.000Z``."""
    return moment.isoformat(timespec="milliseconds") + "Z"


@lru_cache(maxsize=1 << 16)
def parse(text: str) -> datetime | None:
    """Return what JavaScript's Date makes of a timestamp, naive UTC in milliseconds; None if it can't read it.

    No exception is caught here or in what rules call: the core may follow their clock only where none is.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if not (year and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    fraction, sign, hours, minutes = found.groups()[6:]
    moment = datetime(year, month, day, hour, minute, second, 1000 * int(((fraction or "") + "000")[:3]))
    if sign is None:
        return moment
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return moment - offset if sign == "+" else moment + offset


def stale(text: str | None, limit: timedelta, now: datetime) -> bool:
    """Return whether a timestamp is missing or lies more than `limit` before `now`; an unreadable one never does."""
    if not text:
        return True
    moment = parse(text)
    return moment is not None and now - moment > limit


def fresh(text: str | None, limit: timedelta, now: datetime) -> bool:
    """Return whether a timestamp sorts, as text, after `now` less `limit`; a missing one does not."""
    if text is None:
        return False
    moment = parse(text) if _CANONICAL.fullmatch(text) else None
    if moment is not None:  # the same answer as text would give, without formatting a clock that may be followed
        return now - limit < moment
    return text > iso(now - limit)
