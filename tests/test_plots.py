"""Pictures: the same recording gives the same bytes, and a table says the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime, timedelta
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import replaykit as rk
from replaykit.bins import edges, round_width
from replaykit.plots import timeline, timeline_table

TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1))


def _recording(kinds="aab", every="7min", **options):
    frame = pd.DataFrame({"at": pd.date_range("2026-01-01", periods=len(kinds), freq=every), "kind": list(kinds)})
    return rk.load(frame, time="at", kind="kind", id=False, payload=False, **options)


@given(TIMES, st.timedeltas(timedelta(microseconds=1), timedelta(days=20_000)), st.integers(2, 200))
def test_edges_are_round_cover_the_span_and_are_few(start, length, most):
    """Every instant lies in exactly one bin, and only the first and last may be narrower."""
    end = start + length
    found, width = edges(start, end, most), round_width(start, end, most)

    assert (found[0], found[-1]) == (start, end)
    assert all(before < after <= before + width for before, after in pairwise(found))
    assert len(found) - 1 <= most
    assert all((edge - datetime(1970, 1, 1)) % width == timedelta(0) for edge in found[1:-1])


def test_hours_are_cut_at_quarters():
    """A bar from 14:11:16.38 could neither be said nor typed."""
    found = edges(datetime(2026, 1, 1, 8, 3), datetime(2026, 1, 1, 20, 0), 60)

    assert found[:3] == [datetime(2026, 1, 1, 8, 3), datetime(2026, 1, 1, 8, 15), datetime(2026, 1, 1, 8, 30)]


def test_the_table_counts_every_event_once():
    """Its sum is the number of events, also in the last bin and for kinds beyond the first."""
    with _recording("abcdefghij" * 5 + "z") as recording:
        table = timeline_table(recording, kinds=3)

        assert list(table.columns) == ["a", "b", "c", "other"]
        assert int(table.to_numpy().sum()) == 51
        assert set(table.dtypes) == {pd.Series([1]).dtype}


@pytest.mark.parametrize("start", ["1969-12-31T23:00:30", "1901-02-03T04:05:06", "2026-01-01T00:00:30"])
@pytest.mark.parametrize("bins", [5, 20])
def test_every_event_is_in_the_bin_of_its_time(start, bins):
    """Also before 1970, where dividing rounds towards zero in SQL and downwards in Python."""
    times = pd.date_range(start, periods=11, freq="13min")
    frame = pd.DataFrame({"at": times, "kind": "a"})
    with rk.load(frame, time="at", kind="kind", id=False, payload=False) as recording:
        table = timeline_table(recording, bins=bins)

    cuts = [*table.index, times[-1] + pd.Timedelta(1, "us")]
    assert table["a"].tolist() == [sum(first <= at < last for at in times) for first, last in pairwise(cuts)]
    assert table["a"].max() < 11


def test_a_kind_called_other_is_not_lost():
    """Nothing keeps a program from calling a kind "other"."""
    with _recording(["other"] * 4 + ["a"] * 3 + ["b"] * 2) as recording:
        assert timeline_table(recording, kinds=2).sum().to_dict() == {"other": 6, "a": 3}
        assert timeline_table(recording, kinds=1).sum().to_dict() == {"other": 9}


def test_the_table_of_a_window_holds_its_events_only():
    """A window is half-open: the event at its end is not in it."""
    with _recording("abcd") as recording:
        table = timeline_table(recording, rk.Window("00:07", "00:21"))

        assert table.sum().to_dict() == {"b": 1, "c": 1}
        assert table.index[0] == pd.Timestamp("2026-01-01T00:07")


def test_a_window_without_events_and_a_single_event_are_drawn():
    """Empty is an answer."""
    with _recording("ad", every="1h") as recording:
        empty = timeline(recording, rk.Window("00:10", "00:20"))
        single = timeline(recording, rk.Window("00:59", "01:00:00.000001"))

    assert empty.sentence.startswith("0 events: none")
    assert (len(single.table), int(single.table.to_numpy().sum())) == (31, 1)
    assert empty.svg.startswith("<svg")
    assert single.svg.startswith("<svg")


def test_a_recording_without_events_has_no_timeline():
    """Said in words, not by matplotlib."""
    with (
        rk.load(pd.DataFrame({"at": pd.Series([], dtype="str")}), time="at", kind=False) as recording,
        pytest.raises(rk.QueryError, match="no events"),
    ):
        timeline(recording)


def test_the_picture_is_the_same_in_another_process_with_another_hash_seed():
    """A notebook's output is compared byte for byte; dates, ids and hash order must not come into it."""
    program = """
import pandas as pd, replaykit as rk
from replaykit.plots import timeline
frame = pd.DataFrame({"at": pd.date_range("2026-01-01", periods=50, freq="7min"), "kind": list("abcdefghij") * 5})
print(timeline(rk.load(frame, time="at", kind="kind", id=False, payload=False)).svg)
"""
    pictures = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(pictures) == 1


def test_the_picture_carries_its_sentence_and_no_script():
    """Who does not see it hears it; kinds are somebody else's text."""
    hostile = '<script>alert("$x^2$")</script>'
    with _recording([hostile, "b", hostile]) as recording:
        shown = timeline(recording)
        bundle = shown._repr_mimebundle_()

    assert set(bundle) == {"text/plain", "image/svg+xml"}
    assert "<script" not in bundle["image/svg+xml"]
    assert 'aria-label="3 events: 2 &lt;script&gt;' in shown.svg
    assert "$x^2$" in re.sub(r"\\", "", shown.svg)


def test_snapshots_actions_and_violations_are_marked(counted):
    """What the picture marks is also in its sentence."""
    recording, run = counted

    assert timeline(recording).sentence.endswith("Marked: 1 snapshot.")
    assert timeline(run).sentence.endswith("Marked: 1 snapshot, 2 actions, 1 violation opened.")


@pytest.fixture
def counted():
    """A recording with a snapshot, and a replay with two actions and a violation."""
    snapshot = rk.Snapshot({"seen": pd.DataFrame({"n": [0]})}, at="2026-01-01T00:07:00Z")
    with _recording("abc", snapshots=[snapshot], keys={"seen": "n"}) as recording:
        rules = rk.Reconciler("counting", {"seen": rk.Table(key="n", n="BIGINT")})
        rules.ignore("a", "b", "c")
        rules.rule("act", "SELECT 1 AS n UNION ALL SELECT 2 ORDER BY n", key="n")
        rules.invariant("none", "SELECT 1 AS n", key="n")
        yield recording, rk.replay(recording, rules)
