"""run.plot(): four lanes over one axis, and a table that counts every event, tick, action and violation once."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise

import pandas as pd
import pytest

import replaykit as rk
from replaykit.overview import Overview


@pytest.fixture(scope="module")
def recording():
    """Give twenty events of two kinds, one every seven minutes."""
    times = pd.date_range("2026-01-01", periods=20, freq="7min")
    frame = pd.DataFrame({"at": times, "kind": ["set", "set", "clear", "noise"] * 5})
    with rk.load(frame, time="at", kind="kind", id=False, payload=False) as loaded:
        yield loaded


def rules():
    """Return rules that emit an action and break an invariant at every tick while a flag is up."""
    made = rk.Reconciler("flags", {"flags": rk.Table(key="n", n="BIGINT", up="BOOLEAN")})
    made.ignore("noise")

    @made.apply("set")
    def up(state, event):
        state["flags"].upsert(n=1, up=True)

    @made.apply("clear")
    def down(state, event):
        state["flags"].upsert(n=1, up=False)

    made.rule("wave", "SELECT n FROM flags WHERE up", key="n")
    made.invariant("down", "SELECT n FROM flags WHERE up", key="n")
    return made


def expanded(rows, interval):
    """Return the time of every tick, also of those that were not walked."""
    return [
        row.at.to_pydatetime() + number * interval for row in rows.itertuples() for number in range(row.repeats + 1)
    ]


def counted(run, table, interval):
    """Return the table computed one thing at a time, in Python."""
    start, end = run.window.bounds()
    edges = [*(one.to_pydatetime() for one in table.index), end + timedelta(microseconds=1)]
    spans = list(pairwise(edges))
    times = {
        "events": [at for at in run.recording.events["occurred_at"] if start <= at < end],
        "ticks": expanded(run.metrics, interval),
        "actions": expanded(run.actions, interval),
        "opened": list(run.violations["opened_at"]),
        "closed": list(run.violations["closed_at"].dropna()),
    }
    rows = {name: [sum(a <= at < b for at in found) for a, b in spans] for name, found in times.items()}
    rows["open"] = [
        sum(one.opened_at < b and not (one.closed_at < b) for one in run.violations.itertuples()) for _, b in spans
    ]
    return rows


@pytest.mark.parametrize("bins", [1, 5, 60])
@pytest.mark.parametrize("seconds", [30, 60, 3600])
def test_the_table_is_what_counting_one_by_one_gives(recording, bins, seconds):
    """Ticks that were not walked because nothing had changed stand in their own bins, with their actions."""
    run = rk.replay(recording, rules(), rk.Window("00:05", "02:00"), ticks=f"{seconds}s")
    table = run.plot(bins=bins).table

    assert table.to_dict("list") == counted(run, table, timedelta(seconds=seconds))
    if seconds == 30:
        assert len(run.metrics) < table["ticks"].sum() == 230
        assert (table["opened"].sum(), table["closed"].sum(), table["open"].iloc[-1]) == (5, 4, 1)


def test_what_happens_at_the_very_end_is_in_the_last_bin(recording):
    """The one tick of ticks="end" is at the window's end, where no bin begins."""
    run = rk.replay(recording, rules(), rk.Window("00:05", "00:13"))
    table = run.plot().table

    assert table.sum().to_dict() == {"events": 1, "ticks": 1, "actions": 1, "opened": 1, "closed": 0, "open": 1}
    assert table.iloc[-1].to_dict() == {"events": 0, "ticks": 1, "actions": 1, "opened": 1, "closed": 0, "open": 1}


def test_events_stand_by_kind_and_in_all(recording):
    """The first lane is stacked; its sum is the table's column."""
    found = rk.replay(recording, rules(), ticks="1h").plot(bins=7)

    assert found.kinds.sum().to_dict() == {"set": 10, "clear": 5, "noise": 5}
    assert found.kinds.sum(axis=1).tolist() == found.table["events"].tolist()


def test_the_sentence_says_what_the_table_does(recording):
    """Who does not see the picture hears it."""
    found = rk.replay(recording, rules(), rk.Window("00:00", "02:00"), ticks="10m").plot()
    sums = found.table.sum()

    assert found.sentence.startswith(
        f"2026-01-01T00:00:00Z to 2026-01-01T02:00:00Z: 18 events, 12 ticks, {sums['actions']} actions; "
        f"{sums['opened']} violations opened, {found.table['open'].iloc[-1]} open at the end. Most actions in the bin"
    )
    assert repr(found) == f"Overview({found.sentence})"


def test_the_same_replay_gives_the_same_picture_of_the_same_size(recording):
    """Bytes are compared, and a page must not jump; how much there is to draw changes neither width nor height."""
    runs = [rk.replay(recording, rules(), window, ticks="5m") for window in (None, None, rk.Window("00:01", "00:02"))]
    pictures = [run.plot().svg for run in runs]
    sizes = [re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', picture).groups() for picture in pictures]

    assert pictures[0] == pictures[1] != pictures[2]
    assert set(sizes) == {("720", "432")}
    assert set(runs[0].plot()._repr_mimebundle_()) == {"text/plain", "image/svg+xml"}


def test_an_empty_window_is_drawn(recording):
    """Nothing happened is an answer too."""
    found = rk.replay(recording, rules(), rk.Window("00:15", "00:16")).plot()

    assert isinstance(found, Overview)
    assert found.sentence == (
        "2026-01-01T00:15:00Z to 2026-01-01T00:16:00Z: 0 events, 1 tick, 0 actions; 0 violations opened, 0 open at the "
        "end."
    )
    assert "<svg" in found.svg


def test_no_bins_is_an_error(recording):
    """Said in words before anything is drawn."""
    with pytest.raises(rk.QueryError, match="bins=0: expected a whole number from 1"):
        rk.replay(recording, rules()).plot(bins=0)
