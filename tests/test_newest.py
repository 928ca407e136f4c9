"""latest and as_of: the newest row of each entity."""

from __future__ import annotations

import pandas as pd
import pytest
from incident import incident

from replaykit.errors import QueryError, WindowError
from replaykit.findings import as_of, latest

ROWS = pd.DataFrame(
    {
        "id": ["b", "a", "b", "a", None, "b"],
        "ts": ["06:00", "06:00", "06:05", "06:10", "06:11", "06:05"],
        "v": [1, 2, 3, 4, 5, 6],
        "kind": ["made", "made", "moved", "deleted", "noise", "moved"],
    }
)
ROWS["ts"] = "2026-03-26T" + ROWS["ts"] + ":00Z"


def test_of_rows_with_one_time_the_last_in_source_order_wins():
    """B has two rows at 06:05; the later line of the file is the newer one."""
    found = as_of(ROWS, "06:05", key="id", time="ts")

    assert found[["id", "v"]].to_numpy().tolist() == [["b", 6], ["a", 2]]
    assert found["ts"].tolist() == ["2026-03-26T06:05:00Z", "2026-03-26T06:00:00Z"]


def test_a_row_exactly_at_the_moment_is_in():
    """as_of(t) is the state after everything up to and including t, as run.at(t) is."""
    found = as_of(ROWS, "2026-03-26T06:10:00Z", key="id", time="ts")

    assert dict(zip(found["id"], found["v"], strict=True)) == {"a": 4, "b": 6}


def test_latest_takes_rows_out_of_order_by_time_or_trusts_their_order():
    """A file may run backwards; without a time column its order is all there is."""
    backwards = ROWS.iloc[::-1]

    assert latest(backwards, "id", "ts").set_index("id")["v"].to_dict() == {"a": 4, "b": 3}
    assert latest(backwards, "id").set_index("id")["v"].to_dict() == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    "deleted",
    ["deleted", ["deleted", "gone"], {"kind": "deleted"}, {"kind": ["deleted"], "v": 4}, lambda f: f["v"] == 4],
)
def test_deleted_entities_are_left_out(deleted):
    """Kinds, columns with values or a function say which rows mean that the entity is gone."""
    assert latest(ROWS, "id", "ts", deleted=deleted)["id"].tolist() == ["b"]


def test_every_moment_equals_a_loop_over_the_rows():
    """The set-based answer is what a dictionary filled row by row would hold."""
    times = pd.to_datetime(ROWS["ts"], utc=True)
    for moment in sorted(set(times)):
        state = {}
        for place in times.index[times <= moment]:
            if pd.notna(ROWS["id"][place]):
                state[ROWS["id"][place]] = ROWS["v"][place]

        assert as_of(ROWS, moment, key="id", time="ts").set_index("id")["v"].to_dict() == state


def test_a_recordings_events_are_taken_in_their_declared_order():
    """The newest event of each agent at noon is the last one in the recording that names it."""
    recording = incident()
    found = recording.as_of("12:00", key="agent_id")

    before = recording.events[recording.events["occurred_at"] <= "2026-03-26T12:00"].dropna(subset="agent_id")
    assert found.set_index("agent_id")["position"].to_dict() == before.groupby("agent_id")["position"].max().to_dict()


def test_what_cannot_be_answered_says_why():
    """Unknown columns, unreadable times and numbers without a unit are errors that show the way."""
    with pytest.raises(QueryError, match="no column 'nope'; its columns are"):
        latest(ROWS, "nope")
    with pytest.raises(QueryError, match=r"no readable time in 1 rows; the first is row 1, 'soon'"):
        as_of(pd.DataFrame({"id": [1, 1], "t": ["2026-01-01", "soon"]}), "2026-01-01", key="id", time="t")
    with pytest.raises(QueryError, match="unit"):
        latest(pd.DataFrame({"id": [1], "t": [1]}), "id", "t")
    with pytest.raises(WindowError, match="has no day"):
        as_of(pd.DataFrame({"id": [1, 1], "t": ["2026-01-01", "2026-01-02"]}), "06:00", key="id", time="t")
    with pytest.raises(QueryError, match="2 columns called 'id'"):
        latest(pd.DataFrame([[1, 2]], columns=["id", "id"]), "id")


def test_no_rows_give_no_rows():
    """An empty frame is an ordinary answer."""
    assert len(latest(ROWS[:0], "id", "ts")) == 0
    assert len(as_of(ROWS, "2026-03-25T00:00Z", key="id", time="ts")) == 0
