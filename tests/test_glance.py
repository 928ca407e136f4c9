"""glance: what lies in a window, in a sentence and in tables that are read when asked for."""

from __future__ import annotations

import pandas as pd
import pytest

import replaykit as rk
from replaykit.glance import glance


@pytest.fixture(scope="module")
def recording():
    """Five events an hour apart, two snapshots; between them the row 2 changes and nobody says so."""
    frame = pd.DataFrame(
        {"at": pd.date_range("2026-01-01T01:00", periods=5, freq="1h"), "kind": list("aabba"), "item": ["i1"] * 5}
    )
    rows = [[("i1", "new"), ("i2", "new")], [("i1", "new"), ("i2", "gone")]]
    snapshots = [
        rk.Snapshot({"items": pd.DataFrame(one, columns=["item", "status"])}, at=f"2026-01-01T0{hour}:30Z")
        for hour, one in zip((1, 3), rows, strict=True)
    ]
    with rk.load(
        frame, time="at", kind="kind", payload=False, id=False, snapshots=snapshots, keys={"items": "item"}
    ) as made:
        yield made


def test_it_counts_what_lies_in_the_window(recording):
    """Half-open: the event at the end is not inside."""
    found = glance(recording, rk.Window("02:00", "04:00"))

    assert (len(found), list(found.events["position"])) == (2, [2, 3])
    assert found.kinds[["kind", "events"]].to_numpy().tolist() == [["a", 1], ["b", 1]]
    assert found.sentence == "2 of 5 events and 1 snapshot in 02:00:00 from T+01:00:00."


def test_an_empty_window_says_where_the_nearest_events_are(recording):
    """The next question after "none" is "where then?"."""
    found = glance(recording, rk.Window("02:10", "02:20"))

    assert found
    assert found.sentence.endswith("the nearest events are at 2026-01-01T02:00:00Z and 2026-01-01T03:00:00Z.")


def test_without_a_window_it_is_the_whole_recording(recording):
    """The same default as replay's."""
    assert len(glance(recording)) == 5
    assert glance(recording).window == recording.span


def test_unexplained_changes_are_those_between_snapshots_the_window_reaches(recording):
    """A change is known to lie between two snapshots and no closer."""
    assert glance(recording, rk.Window("02:00", "02:01")).unexplained["key"].tolist() == ["i2"]
    assert glance(recording, rk.Window("03:30", "04:30")).unexplained.empty


def test_only_the_first_events_are_read_for_showing(recording):
    """A window of millions is shown like one of five."""
    assert list(glance(recording).first_events(2)["position"]) == [1, 2]
    assert "5 of 5 events" in glance(recording)._repr_html_()


def test_a_window_outside_is_an_error(recording):
    """As for replay."""
    with pytest.raises(rk.WindowError, match="outside the recording"):
        glance(recording, rk.Window("2027-01-01", "2027-01-02"))


def test_no_events_is_an_error_that_says_where_to_look():
    """An empty recording is one, a window of it is not."""
    with (
        rk.load(pd.DataFrame({"at": pd.Series([], dtype="str")}), time="at", kind=False) as empty,
        pytest.raises(rk.QueryError, match="report"),
    ):
        glance(empty)
