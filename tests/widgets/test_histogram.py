"""Histograms: whatever was counted before, a view's numbers are those of the events in it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import replaykit as rk
from replaykit import histogram as module
from replaykit.histogram import Histograms, event_filter, histogram
from replaykit.instants import micros, moment

BASE = micros(datetime(2026, 1, 1))
# Bursts within microseconds, lulls of months, ties, times before 1970: what real logs do.
GAPS = st.sampled_from([0, 1, 2, 999, 1_000_000, 60_000_000, 3_600_000_001, 30 * 86_400_000_000])
TIMES = st.lists(GAPS, min_size=1, max_size=40).map(
    lambda gaps: [sum(gaps[: number + 1]) for number in range(len(gaps))]
)
STARTS = st.sampled_from([BASE, 0, -1_000_003, micros(datetime(9999, 12, 30))])


def load(times, kinds=("a",), **columns):
    """Return a recording of events at these microseconds, their kinds in turn."""
    frame = pd.DataFrame(
        {
            "at": [moment(at).isoformat() for at in times],
            "kind": [kinds[number % len(kinds)] for number in range(len(times))],
            **columns,
        }
    )
    return rk.load(frame, time="at", kind="kind")


@pytest.fixture
def small(monkeypatch):
    """Limits so low that forty events need as many levels as ten million do."""
    monkeypatch.setattr(module, "_FEW_EVENTS", 2)
    monkeypatch.setattr(module, "_MOST_BUCKETS", 60)
    monkeypatch.setattr(module, "_MOST_LEVELS", 3)


def expected(times, kinds, edges, shown):
    """Return the counts by looking at each event."""
    rows = [[0] * (len(edges) - 1) for _ in range(len(shown) + 1)]
    width = edges[1] - edges[0]
    for number, at in enumerate(times):
        if edges[0] <= at < edges[-1]:
            kind = kinds[number % len(kinds)]
            rows[shown.index(kind) if kind in shown else -1][(at - edges[0]) // width] += 1
    return tuple(map(tuple, rows))


@pytest.mark.usefixtures("small")
@settings(max_examples=8)
@given(offsets=TIMES, start=STARTS, data=st.data())
def test_every_view_counts_exactly_its_events(offsets, start, data):
    """What is kept from one view must not show in another; neither may time before 1970 or a century of nothing."""
    times = [start + offset for offset in offsets if start + offset <= micros(datetime.max)]
    kinds = [f"kind {number}" for number in range(9)]
    with load(times, kinds) as recording:
        found = Histograms(recording)
        for _ in range(15):
            left, right = sorted(data.draw(st.sampled_from(times)) + data.draw(st.integers(-3, 3)) for _ in range(2))
            left, right = max(left, micros(datetime.min)), min(max(right, left + 1), micros(datetime.max))
            seen = found.over(left, right, most=8)
            assert seen.edges[0] <= left < right <= seen.edges[-1]
            assert len(seen.edges) <= 9
            assert seen.counts == expected(times, kinds, seen.edges, seen.kinds)
            assert found.count(left, right) == sum(left <= at < right for at in times)


@pytest.mark.usefixtures("small")
@settings(max_examples=8)
@given(offsets=TIMES, start=STARTS, data=st.data())
def test_neighbours_are_exact_to_one_event(offsets, start, data):
    """From any instant, in a burst or in a lull."""
    times = [start + offset for offset in offsets if start + offset <= micros(datetime.max)]
    with load(times) as recording:
        found = Histograms(recording)
        for _ in range(25):
            at = data.draw(st.sampled_from(times)) + data.draw(st.sampled_from([-86_400_000_000, -1, 0, 1, 500_000]))
            assert found.first_from(at) == min((time for time in times if time >= at), default=None)
            assert found.last_before(at) == max((time for time in times if time < at), default=None)


def test_kinds_beyond_the_seventh_are_summed_up_and_keep_their_places():
    """A kind must not change its colour because another stretch is looked at."""
    kinds = [*"aaaaaaaa", *"bbbbbbb", *"cccccc", *"ddddd", *"eeee", *"fff", *"gg", "h", "i"]
    times = [BASE + 1_000_000 * number for number in range(len(kinds))]
    with load(times, kinds) as recording:
        found = Histograms(recording)
        assert found.shown == tuple("abcdefg")
        assert found.others == 2
        late = found.over(times[-3], times[-1] + 1)
        assert late.kinds == tuple("abcdefg")
        assert [sum(row) for row in late.counts] == [0, 0, 0, 0, 0, 0, 1, 2]
        assert found.filtered(kinds={"i", "a"}).shown == ("a", "i")
        assert sum(map(sum, found.filtered(kinds=()).over(times[0], times[-1]).counts)) == 0


def test_a_filter_counts_only_what_it_means():
    """By kind, by text in any column, in capitals or not; the same condition the tables are read with."""
    times = [BASE + 1_000_000 * number for number in range(6)]
    agents = ["Anna", "Bert", "anna", "Carl", "x", "y"]
    with load(times, "ab", agent=agents, note=["", "", "", "", "100%", "of ANNA's"]) as recording:
        found = Histograms(recording, text="anna")
        assert found.count(times[0], times[-1] + 1) == 3
        assert found.first_from(times[1]) == times[2]
        assert Histograms(recording, kinds=["b"], text="anna").count(times[0], times[-1] + 1) == 1
        assert Histograms(recording, text="%").count(times[0], times[-1] + 1) == 1
        assert Histograms(recording, kinds=[]).count(times[0], times[-1] + 1) == 0
        condition, values = event_filter(recording, ["a"], "anna")
        assert len(recording.sql(f"SELECT * FROM events WHERE {condition}", values)) == 2


def test_one_call_gives_a_view_by_its_window():
    """The plain function behind the picture, with bins at round times."""
    times = [BASE + 1_000_000 * number for number in range(60)]
    with load(times, "ab") as recording:
        found = histogram(recording, rk.Window("00:00:10", "00:00:20.5"), kinds=["a"], bins=12)
        assert (found.edges[0], found.edges[-1]) == (BASE + 10_000_000, BASE + 21_000_000)
        assert found.counts[0] == (1, 0) * 5 + (1,)
        with pytest.raises(rk.WindowError, match="outside"):
            histogram(recording, rk.Window("2027-01-01", "2027-01-02"))


def test_events_without_kind_and_no_events_at_all():
    """Neither is an error."""
    with load([BASE, BASE + 1], [None, "a"]) as recording:
        assert Histograms(recording).totals == {"": 1, "a": 1}
    with rk.load(pd.DataFrame({"at": pd.Series([], dtype="str"), "kind": []}), time="at", kind="kind") as recording:
        found = Histograms(recording)
        assert set(found.over(BASE, BASE + 1_000).counts) == {(0,) * 200}
        assert (found.count(BASE, BASE + 1), found.first_from(BASE), found.last_before(BASE)) == (0, None, None)


def test_what_lies_outside_the_calendar_is_its_edge():
    """Python's times end with the year 9999, arithmetic with views does not."""
    assert moment(micros(datetime.max) + 5) == datetime.max
    assert moment(micros(datetime.min) - 5) == datetime.min
    assert micros(moment(BASE) + timedelta(microseconds=1)) == BASE + 1
