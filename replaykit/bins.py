"""Bins: a span of time cut at round times, so that what is read off a picture is easy to write down."""

from __future__ import annotations

from datetime import datetime, timedelta

__all__ = ["edges", "first_edge", "round_width"]

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_WIDTHS = (
    *(step * 10**power for power in range(6) for step in (1, 2, 5)),
    *(step * _SECOND for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800)),
    *(step * 3_600 * _SECOND for step in (1, 2, 3, 6, 12, 24)),
    *(step * 10**power * _DAY for power in range(6) for step in (2, 5, 10)),
)
"""Widths in microseconds, each round in its own unit."""
_EPOCH = datetime(1970, 1, 1)


def round_width(start: datetime, end: datetime, most: int) -> timedelta:
    """Return the smallest round width that cuts ``[start, end)`` into at most `most` bins."""
    first, last = _micros(start), _micros(end)
    fitting = (width for width in _WIDTHS if -(-last // width) - first // width <= most)
    return timedelta(microseconds=next(fitting, last - first))


def edges(start: datetime, end: datetime, most: int) -> list[datetime]:
    """Return `start`, the multiples of a round width between, and `end`: the edges of at most `most` bins."""
    width = round_width(start, end, most)
    inner = _EPOCH + ((start - _EPOCH) // width + 1) * width
    found = [start]
    while inner < end:
        found.append(inner)
        inner += width
    return [*found, end]


def first_edge(start: datetime, width: timedelta) -> int:
    """Return the last multiple of `width` at or before `start`, in microseconds since 1970 (negative before)."""
    return _micros(start) - (start - _EPOCH) % width // timedelta(microseconds=1)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
