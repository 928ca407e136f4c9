"""Histograms: events by kind over time, counted in DuckDB once and then quick and exact at every zoom."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from replaykit.bins import round_width
from replaykit.instants import ends_of, moment
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from replaykit.recording import Recording
    from replaykit.window import Window

__all__ = ["Histogram", "Histograms", "event_filter", "histogram"]

_SHOWN = 7
_MOST_BUCKETS = 20_000
_FEW_EVENTS = 100_000  # as many are counted within a few milliseconds, so nothing is kept for them
_MOST_LEVELS = 8
_BETWEEN = "occurred_at >= make_timestamp($start) AND occurred_at < make_timestamp($end)"
_KIND = "coalesce(kind, '')"
_SECOND, _DAY = 1_000_000, 86_400 * 1_000_000
# Each divides every round width (see bins) that is not much smaller than the next one.
_BUCKETS = (
    *(10**power for power in range(7)),
    *(seconds * _SECOND for seconds in (5, 60, 300, 3_600)),
    *(10**power * _DAY for power in range(7)),
)


@dataclass(frozen=True)
class Histogram:
    """How many events of each kind fall into each of some bins, all of one round width."""

    edges: tuple[int, ...]
    """Microseconds since 1970, UTC: one more than there are bins."""
    kinds: tuple[str, ...]
    """The kinds told apart, most frequent in the recording first, whatever the view; no kind is an empty text."""
    counts: tuple[tuple[int, ...], ...]
    """A row for each kind and a last one for all others; in it a number for each bin."""
    others: int
    """How many kinds the last row sums up."""


def event_filter(recording: Recording, kinds: Iterable[str] | None = None, text: str | None = None) -> Any:
    """Return a condition on ``events`` and its parameters: of these kinds, and with this text in an id or the payload.

    Parameters
    ----------
    kinds
        None is all, an empty one is none.
    text
        Looked for in every column of text except the kind, capital or not; None and "" are anything.

    Returns
    -------
    tuple of str and dict
        SQL that is true for the events meant, and values for its parameters.
    """
    parts, values = ["true"], {}
    if kinds is not None:
        parts.append(f"list_contains($kinds::VARCHAR[], {_KIND})")
        values["kinds"] = sorted(kinds)
    if text:
        found = (
            f"contains(lower(CAST({quote(name)} AS VARCHAR)), lower($text))"
            for name, type in recording.columns("events").items()
            if type in {"VARCHAR", "JSON"} and name != "kind"
        )
        parts.append(f"({' OR '.join(found)})")
        values["text"] = text  # type: ignore[assignment]
    return " AND ".join(parts), values


@dataclass(frozen=True, eq=False)
class _Level:
    """Counts in buckets of one width, summed up from the left, so that any stretch is one subtraction."""

    first: int
    width: int
    sums: NDArray[np.int64]
    """A row for each kind and one for the others; in it one number more than there are buckets."""

    @property
    def buckets(self) -> int:
        return int(self.sums.shape[1]) - 1

    @property
    def end(self) -> int:
        return self.first + self.width * self.buckets

    def place(self, at: int) -> int:
        """Return how many whole buckets end at or before a time."""
        return min(max(at - self.first, 0) // self.width, self.buckets)


@dataclass(eq=False)
class Histograms:
    """Histograms of a recording's events, under one filter; what was counted once is kept.

    Parameters
    ----------
    kinds, text
        As for `event_filter`.
    """

    recording: Recording
    kinds: Iterable[str] | None = None
    text: str | None = None
    totals: dict[str, int] = field(default_factory=dict)
    """How many events of each kind the recording holds, most frequent first; counted if not given."""
    _levels: list[_Level] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        if not self.totals:
            query = f"SELECT {_KIND}, count(*) FROM events GROUP BY 1 ORDER BY 2 DESC, 1"
            self.totals = dict(self.recording._fetch(query))
        self.kinds = None if self.kinds is None else frozenset(self.kinds)
        self._condition, self._values = event_filter(self.recording, self.kinds, self.text)
        meant = [kind for kind in self.totals if self.kinds is None or kind in self.kinds]
        self.shown = tuple(meant[:_SHOWN])
        """The kinds told apart."""
        self.others = len(meant) - len(self.shown)
        """How many kinds are summed up."""
        if self.totals:
            ((first, last),) = self._ends()
            self._keep(first, last + 1)
        self._total = self._levels[0].sums.sum(axis=0) if self.totals else np.zeros(1, dtype="int64")

    def _ends(self) -> list[tuple[Any, ...]]:
        return self.recording._fetch("SELECT epoch_us(min(occurred_at)), epoch_us(max(occurred_at)) FROM events")

    def filtered(self, kinds: Iterable[str] | None = None, text: str | None = None) -> Histograms:
        """Return those of the same recording under another filter."""
        return Histograms(self.recording, kinds, text, self.totals)

    def over(self, start: int, end: int, most: int = 240) -> Histogram:
        """Return the counts over ``[start, end)``, widened to whole bins, of which there are at most `most`."""
        width = round_width(moment(start), moment(end), most) // timedelta(microseconds=1)
        first, last = start // width * width, -(-end // width) * width
        edges = tuple(range(first, last + 1, width))
        counts = self._counts(edges, width)
        return Histogram(edges, self.shown, tuple(map(tuple, counts.tolist())), self.others)

    def count(self, start: int, end: int) -> int:
        """Return how many events lie in ``[start, end)``."""
        if not self._levels or start >= end:
            return 0
        level = self._levels[0]
        left, right = level.place(start + level.width - 1), level.place(end)
        if left > right:
            return self._between("count(*)", start, end) or 0
        inner = int(self._total[right] - self._total[left])
        return inner + self._part(start, min(self._edge(left), end)) + self._part(max(self._edge(right), start), end)

    def first_from(self, at: int) -> int | None:
        """Return the time of the first event at or after `at`, or None."""
        if not self._levels or at >= self._levels[0].end:
            return None
        bucket = self._levels[0].place(at)
        found = self._between("epoch_us(min(occurred_at))", at, self._edge(bucket + 1))
        if found is not None:
            return found
        bucket = int(np.searchsorted(self._total, self._total[bucket + 1], "right")) - 1
        return self._between("epoch_us(min(occurred_at))", self._edge(bucket), self._edge(bucket + 1))

    def last_before(self, at: int) -> int | None:
        """Return the time of the last event before `at`, or None."""
        if not self._levels or at <= self._levels[0].first:
            return None
        bucket = self._levels[0].place(min(at, self._levels[0].end) - 1)
        found = self._between("epoch_us(max(occurred_at))", self._edge(bucket), at)
        if found is not None:
            return found
        bucket = int(np.searchsorted(self._total, self._total[bucket], "left")) - 1
        return self._between("epoch_us(max(occurred_at))", self._edge(bucket), self._edge(bucket + 1))

    def _edge(self, bucket: int) -> int:
        return self._levels[0].first + bucket * self._levels[0].width

    def _part(self, start: int, end: int) -> int:
        """Count a part of one bucket, without a query where the bucket is empty."""
        root = self._levels[0]
        left, right = root.place(start), root.place(end + root.width - 1)
        return (self._between("count(*)", start, end) or 0) if self._total[right] > self._total[left] else 0

    def _counts(self, edges: Sequence[int], width: int) -> NDArray[np.int64]:
        if not self._levels:
            return np.zeros((1, len(edges) - 1), dtype="int64")
        level = self._level(edges[0], edges[-1], width)
        if level is None:
            return self._grid(edges[0], width, len(edges) - 1)
        return np.diff(level.sums[:, [level.place(edge) for edge in edges]], axis=1)

    def _level(self, first: int, last: int, width: int) -> _Level | None:
        """Return what answers for bins of a width between two times; None if there is so little that it is counted."""
        root = self._levels[0]
        start, end = max(first, root.first), min(last, root.end)
        for level in self._levels:
            if width % level.width == 0 and level.first <= start and end <= level.end:
                return level
        left, right = root.place(start), root.place(end + root.width - 1)
        if self._total[right] - self._total[left] <= _FEW_EVENTS:
            return None
        around = last - first  # room to move to both sides
        return self._keep(max(first - around, root.first), min(last + around, root.end), width)

    def _keep(self, start: int, end: int, bins: int = 0) -> _Level | None:
        """Count ``[start, end)`` in narrow buckets of which bins of a width are made, and keep that."""
        fitting = (one for one in _BUCKETS if -(-end // one) - start // one <= _MOST_BUCKETS and bins % one == 0)
        width = next(fitting, None)
        if width is None:
            return None
        first = start // width * width
        grid = self._grid(first, width, -(-(end - first) // width))
        sums = np.concatenate([np.zeros((len(grid), 1), dtype="int64"), grid.cumsum(axis=1)], axis=1)
        level = _Level(first, width, sums)
        self._levels = [*self._levels[:1], *self._levels[1:][2 - _MOST_LEVELS :], level]
        return level

    def _grid(self, first: int, width: int, bins: int) -> NDArray[np.int64]:
        """Count events in bins, by kind."""
        values = {"first": first, "width": width, "shown": list(self.shown)}
        within = "true"
        if self._levels:  # the first level holds everything
            within, values = _BETWEEN, {**values, "start": first, "end": first + bins * width}
        rows = self._columns(
            "SELECT (epoch_us(occurred_at) - $first) // $width AS bin, count(*) AS events, "
            f"coalesce(list_position($shown::VARCHAR[], {_KIND}), 0) AS code FROM events "
            f"WHERE {within} AND {self._condition} GROUP BY ALL",
            values,
        )
        grid = np.zeros((len(self.shown) + 1, bins), dtype="int64")
        grid[rows["code"] - 1, rows["bin"]] = rows["events"]  # code 0, the others, is the last row
        return grid

    def _columns(self, query: str, values: dict[str, Any]) -> dict[str, NDArray[np.int64]]:
        cursor = self.recording._run(query, {**values, **self._values})
        try:
            return {name: np.asarray(column) for name, column in cursor.fetchnumpy().items()}
        finally:
            cursor.close()

    def _between(self, what: str, start: int, end: int) -> int | None:
        query = f"SELECT {what} FROM events WHERE {_BETWEEN} AND {self._condition}"
        found: int | None = self._rows(query, {"start": start, "end": end})[0][0]
        return found

    def _rows(self, query: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self.recording._fetch(query, {**self._values, **(values or {})})


def histogram(
    recording: Recording, view: Window, kinds: Iterable[str] | None = None, text: str | None = None, *, bins: int = 240
) -> Histogram:
    """Return how many events of each kind fall into each of at most `bins` spans that cover a view.

    Parameters
    ----------
    view
        Widened to whole bins, which are cut at round times.
    kinds, text
        Which events: of these kinds, with this text in an id or the payload. See `event_filter`.

    Notes
    -----
    For many views of one recording keep a `Histograms`, which reads all events only once.
    """
    return Histograms(recording, kinds, text).over(*ends_of(view.within(recording.span)), bins)
