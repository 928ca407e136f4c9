"""Window: a half-open span of time, ``[start, end)``, UTC, in microseconds. Not a SQL window function."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.errors import WindowError, excerpt, show_time

if TYPE_CHECKING:
    from replaykit.recording import Recording

__all__ = ["Window", "parse_time", "recorded_span"]

_EXPECTED = "expected an ISO 8601 time such as '2026-03-26T06:00Z'"


@dataclass(frozen=True, init=False, repr=False)
class Window:
    """A half-open span ``[start, end)``; a bound without a zone is UTC.

    A bound may be a time without a day (``"06:10"``): it takes its day from the recording it is used on, which
    must then lie within one day.

    Parameters
    ----------
    start, end
        ISO 8601 text, datetime, date or pandas Timestamp.

    Raises
    ------
    WindowError
        A bound is missing, empty or unreadable, or ``end`` is not after ``start``.
    """

    start: datetime | time
    """First instant inside the window, naive UTC (or a time without a day, until `within` gave it one)."""
    end: datetime | time
    """First instant after the window; an event exactly here is not inside."""

    def __init__(self, start: Any, end: Any) -> None:
        object.__setattr__(self, "start", _parse(start, "start"))
        object.__setattr__(self, "end", _parse(end, "end"))
        if isinstance(self.start, datetime) and isinstance(self.end, datetime):
            _in_order(self.start, self.end)

    def __repr__(self) -> str:
        return f"Window({_show(self.start)!r}, {_show(self.end)!r})"

    def __contains__(self, moment: Any) -> bool:
        start, end = self.bounds()
        return start <= parse_time(moment, what="moment") < end

    def bounds(self) -> tuple[datetime, datetime]:
        """Return both bounds as naive UTC datetimes; a bound without a day is a WindowError."""
        for what, bound in (("start", self.start), ("end", self.end)):
            if isinstance(bound, time):
                raise WindowError(
                    f"Window {what} {_show(bound)!r} has no day; use it on a recording of one day, or write the date."
                )
        return self.start, self.end  # type: ignore[return-value]

    def within(self, span: Window | None) -> Window:
        """Return this window with days filled in from `span`, a recording's span, checked to touch it.

        Raises
        ------
        WindowError
            The recording is empty or covers several days, or the window lies wholly outside it.
        """
        if span is None:
            raise WindowError("The recording holds no events, so no window of it can be replayed; load some first.")
        start = parse_time(self.start, what="start", span=span)
        end = parse_time(self.end, what="end", span=span)
        first, last = span.bounds()
        window = Window(start, end)
        if end <= first or start >= last:
            raise WindowError(
                f"{window!r} lies outside the recording, which covers {show_time(first)} to {show_time(last)}; "
                "choose bounds inside it."
            )
        return window


def parse_time(value: Any, *, what: str, span: Window | None = None) -> datetime:
    """Return a time as naive UTC datetime.

    Parameters
    ----------
    value
        ISO 8601 text, datetime, date, pandas Timestamp, or a time of day if `span` lies within one day.
    what
        What the time is for, named in the error ("start", "end", "at").
    span
        The recording's span, from which a time without a day takes its day.

    Raises
    ------
    WindowError
        The time is missing, empty, unreadable, or has no day and the recording covers several.
    """
    parsed = _parse(value, what)
    if isinstance(parsed, datetime):
        return parsed
    if span is None:
        raise WindowError(f"Time {what} {_show(parsed)!r} has no day; write the date as well: {_EXPECTED}.")
    first, last = span.bounds()
    days = sorted({first.date(), (last - timedelta.resolution).date()})  # the span's end is excluded
    if len(days) > 1:
        raise WindowError(
            f"Time {what} {_show(parsed)!r} has no day, and the recording covers {days[0]} to {days[-1]}; "
            f"write the date as well, for example '{days[0]}T{_show(parsed)}Z'."
        )
    return datetime.combine(days[0], parsed)


def _in_order(start: datetime, end: datetime) -> None:
    if start >= end:
        relation = "equals" if start == end else "is after"
        raise WindowError(
            f"Window start {show_time(start)} {relation} end {show_time(end)}; a window is [start, end), "
            "so the end must be later. Swap the bounds or widen them."
        )


def _show(bound: datetime | time) -> str:
    return bound.isoformat() if isinstance(bound, time) else show_time(bound)


def _parse(value: Any, what: str) -> datetime | time:
    if _missing(value):
        raise WindowError(f"Window {what} is missing; {_EXPECTED}.")
    if isinstance(value, datetime):
        return _in_calendar(value, what)
    if isinstance(value, date):
        return datetime.combine(value, time())
    if isinstance(value, time):
        return _without_zone(value, value, what)
    if not isinstance(value, str):
        raise WindowError(f"Window {what} {excerpt(value)} is a {type(value).__name__}; {_EXPECTED}.")
    return _parse_text(value.strip(), what)


def _parse_text(text: str, what: str) -> datetime | time:
    if not text:
        raise WindowError(f"Window {what} is empty; {_EXPECTED}.")
    try:
        return _naive(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        pass
    try:
        clock = time.fromisoformat(text)
    except ValueError:
        raise WindowError(f"Window {what} {excerpt(text)} can't be read as a time; {_EXPECTED}.") from None
    return _without_zone(clock, text, what)


def _missing(value: Any) -> bool:
    # NaT and NaN differ from themselves; pandas' NA does not even say so.
    try:
        return value is None or bool(value != value)  # noqa: PLR0124
    except (TypeError, ValueError):
        return True


def _without_zone(clock: time, shown: Any, what: str) -> time:
    if clock.utcoffset():
        raise WindowError(f"Window {what} {excerpt(shown)} has an offset but no day; write the date as well.")
    return clock.replace(tzinfo=None)


def _in_calendar(moment: datetime, what: str) -> datetime:
    try:
        return _naive(moment)
    except OverflowError:
        raise WindowError(
            f"Window {what} {excerpt(moment)} lies outside the years 1 to 9999 in UTC; {_EXPECTED}."
        ) from None


def _naive(moment: datetime) -> datetime:
    if hasattr(moment, "floor"):  # a pandas Timestamp carries nanoseconds, which a window does not
        floored: datetime = moment.floor("us").to_pydatetime()
        moment = floored
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def recorded_span(recording: Recording) -> Window | None:
    """Return the span from the first event or entry of a log to one microsecond after the last; None without any."""
    tables = ["events", *(name for name in recording.logs if "occurred_at" in recording.columns(name))]
    reads = [f"SELECT min(occurred_at) AS a, max(occurred_at) AS b FROM {one}" for one in tables]
    if "ticks" in recording.logs and "checked_at" in recording.columns("ticks"):
        reads.append("SELECT NULL, max(checked_at) FROM ticks")
    both = " UNION ALL ".join(reads)
    ((first, last),) = recording._fetch(f"SELECT min(a), max(b) FROM ({both})")
    return None if first is None else Window(first, last + timedelta(microseconds=1))
