"""Windows: a bound that can't be meant is refused with the bound, what was understood and what exists."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone

import pandas as pd
import pytest
from building import T0, after, loaded
from hypothesis import given
from hypothesis import strategies as st

from replaykit.errors import WindowError
from replaykit.reconciler import Reconciler
from replaykit.replay import replay
from replaykit.window import Window, parse_time

DAY = Window("2026-03-26T06:00Z", "2026-03-26T07:00Z")
DAYS = Window("2026-03-26T06:00Z", "2026-03-28T07:00Z")


@pytest.fixture(scope="module")
def recording():
    """One hour of one day, an event every ten minutes."""
    with loaded(*[(600 * n, "beat") for n in range(7)]) as found:
        yield found


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NaT, pd.NA])
@pytest.mark.parametrize("side", ["start", "end"])
def test_a_missing_bound_is_named(missing, side):
    """A cell of a frame that holds nothing often ends up as a bound."""
    bounds = {"start": T0, "end": after(60), side: missing}

    with pytest.raises(WindowError, match=f"Window {side} is missing; expected an ISO 8601 time"):
        Window(**bounds)


@pytest.mark.parametrize("empty", ["", "   ", "\t\n"])
def test_an_empty_bound_is_named(empty):
    """A text field nobody filled in is not the beginning of time."""
    with pytest.raises(WindowError, match="Window end is empty"):
        Window(T0, empty)


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2026-02-30",
        "2026-03-26T25:00",
        "06:61",
        "26.03.2026",
        "now",
        "1774504800",
        "2026-03-26T06:00+25:00",
    ],
)
def test_an_unreadable_bound_is_quoted(text):
    """Whoever typed it must see what replaykit saw, and a form that works."""
    with pytest.raises(WindowError, match=re.escape(f"Window start {text!r} can't be read as a time")):
        Window(text, after(60))


def test_a_long_unreadable_bound_is_cut():
    """An error quotes at most 80 characters of anybody's data."""
    with pytest.raises(WindowError) as caught:
        Window("x" * 10_000, after(60))

    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("value", [1774504800, 1.5, True, object(), b"2026-03-26", ["2026-03-26"], timedelta(1)])
def test_a_bound_of_another_type_is_refused(value):
    """A number could be seconds, milliseconds or a position: guessing would be wrong two times in three."""
    with pytest.raises(WindowError, match=f"is a {type(value).__name__}; expected an ISO 8601 time"):
        Window(T0, value)


def test_reversed_bounds_are_shown_both():
    """The sentence must show which bound is which."""
    with pytest.raises(WindowError, match="start 2026-03-26T06:01:00Z is after end 2026-03-26T06:00:00Z"):
        Window(after(60), T0)


def test_equal_bounds_hold_nothing_and_are_refused():
    """[t, t) is empty: whoever writes it expects the event at t."""
    with pytest.raises(WindowError, match=r"equals end .* a window is \[start, end\)"):
        Window(T0, T0)


def test_bounds_of_one_instant_in_two_zones_are_equal():
    """Order is a question of the instant, not of the text."""
    with pytest.raises(WindowError, match="equals end"):
        Window("2026-03-26T08:00+02:00", "2026-03-26T06:00Z")


def test_the_end_is_excluded():
    """Adjacent windows must share no event."""
    assert T0 in DAY
    assert "2026-03-26T07:00Z" not in DAY
    assert "2026-03-26T06:59:59.999999Z" in DAY


@pytest.mark.parametrize(
    "bound",
    [
        "2026-03-26T06:00Z",
        "2026-03-26 06:00",
        "2026-03-26T08:00+02:00",
        " 2026-03-26T06:00:00.000000 ",
        T0,
        T0.replace(tzinfo=UTC),
        datetime(2026, 3, 26, 8, tzinfo=timezone(timedelta(hours=2))),
        pd.Timestamp("2026-03-26T06:00"),
        pd.Timestamp("2026-03-26T07:00", tz="Europe/Berlin"),
        pd.Timestamp("2026-03-26T06:00:00.000000999"),
    ],
)
def test_naive_is_utc_and_aware_is_converted(bound):
    """One instant, however it is written; nanoseconds are cut, for a window has microseconds."""
    assert Window(bound, after(60)).bounds() == (T0, after(60))


def test_a_date_is_its_midnight():
    """``date`` is the commonest column type of a calendar."""
    assert Window(date(2026, 3, 26), "2026-03-27").bounds() == (datetime(2026, 3, 26), datetime(2026, 3, 27))


@pytest.mark.parametrize("bound", [datetime.min.replace(tzinfo=timezone(timedelta(hours=1))), "0001-01-01T00:00+01:00"])
def test_a_bound_outside_the_calendar_is_refused(bound):
    """Year 1 east of Greenwich lies before what a datetime can hold in UTC."""
    with pytest.raises(WindowError, match="Window start"):
        Window(bound, after(60))


def test_a_time_without_a_day_takes_the_recordings_day():
    """``Window("06:10", "06:30")`` is what people type about this morning."""
    assert Window("06:10", time(6, 30)).within(DAY).bounds() == (after(600), after(1800))


def test_a_time_without_a_day_is_refused_over_several_days():
    """Any choice of day would be a guess; the message shows one that works."""
    with pytest.raises(WindowError, match=r"'06:10:00' has no day, and the recording covers 2026-03-26 to 2026-03-28"):
        Window("06:10", "06:30").within(DAYS)


def test_a_recording_that_ends_with_its_day_covers_one_day():
    """The span's end is excluded, so a last event just before midnight does not reach the next day."""
    day = Window("2026-03-26T06:00", "2026-03-27T00:00")

    assert Window("06:10", "06:30").within(day).bounds() == (after(600), after(1800))


def test_a_time_without_a_day_has_no_bounds_yet():
    """Without a recording nobody knows which day it is."""
    with pytest.raises(WindowError, match="has no day"):
        Window("06:10", "06:30").bounds()


def test_times_without_a_day_are_ordered_once_the_day_is_known():
    """Night shifts read '23:00' to '01:00', which is no window of one day."""
    with pytest.raises(WindowError, match="is after end"):
        Window("06:30", "06:10").within(DAY)


@pytest.mark.parametrize("clock", ["06:10+02:00", time(6, 10, tzinfo=timezone(timedelta(hours=2)))])
def test_a_time_with_an_offset_needs_a_day(clock):
    """An offset can move the day."""
    with pytest.raises(WindowError, match="has an offset but no day"):
        Window(clock, "06:30")


def test_a_time_in_utc_needs_no_day():
    """Z moves nothing."""
    assert Window("06:10Z", time(6, 30, tzinfo=UTC)).within(DAY).bounds() == (after(600), after(1800))


@pytest.mark.parametrize(
    ("start", "end"),
    [("2026-03-26T07:00Z", "2026-03-26T08:00Z"), ("2026-03-25", "2026-03-26T06:00Z"), ("1999-01-01", "1999-01-02")],
)
def test_a_window_outside_the_recording_is_told_what_exists(start, end):
    """Both sides are half-open: a window that ends where the recording begins holds none of it."""
    with pytest.raises(
        WindowError, match="outside the recording, which covers 2026-03-26T06:00:00Z to 2026-03-26T07:00:00Z"
    ):
        Window(start, end).within(DAY)


def test_a_window_that_only_overlaps_is_kept_as_it_is():
    """An investigator rounds outwards; clipping would move the ticks."""
    assert Window("2026-03-26", "2026-03-27").within(DAY) == Window("2026-03-26", "2026-03-27")


def test_an_empty_recording_has_no_window():
    """There is nothing to replay, and the message says so."""
    with pytest.raises(WindowError, match="holds no events"):
        Window(T0, after(1)).within(None)


def test_a_window_with_no_event_is_replayed(recording):
    """Rules still tick where nothing happened, and that may be the finding."""
    run = replay(recording, Reconciler("empty"), Window(after(1), after(599)), ticks="100s")

    assert run.before_step == run.after_step == 1
    assert len(run.events) == 0
    assert list(run.metrics["at"]) == [after(1)]
    assert run.metrics["repeats"].sum() + len(run.metrics) == 6


def test_replay_refuses_what_is_no_window(recording):
    """A tuple of two texts is a near miss that must not end in an AttributeError."""
    with pytest.raises(WindowError, match=r"expected rk\.Window"):
        replay(recording, Reconciler("empty"), ("06:00", "06:10"))


def test_a_moment_of_no_day_is_explained():
    """`parse_time` also reads the time of ``run.at``."""
    with pytest.raises(WindowError, match="Time at '06:10:00' has no day"):
        parse_time("06:10", what="at")


@given(
    moment=st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),
    offset=st.integers(-14 * 60, 14 * 60),
    length=st.timedeltas(timedelta(microseconds=1), timedelta(days=400)),
)
def test_a_window_survives_its_own_repr(moment, offset, length):
    """What the panel copies as code must be the window it shows."""
    zoned = moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=offset)))

    window = Window(zoned, zoned + length)

    assert eval(repr(window)) == window == Window(moment, moment + length)
    assert moment in window
    assert moment + length not in window
