"""rewind: state taken back by undoing an audit table of old and new values."""

from __future__ import annotations

import pandas as pd
import pytest
from incident import incident

from replaykit.errors import QueryError
from replaykit.findings import rewind

AUDIT = pd.DataFrame(
    [
        ("a", "status", "open", "busy", "2026-01-01T01:00Z"),
        ("a", "status", "busy", "done", "2026-01-01T03:00Z"),
        ("b", "status", "open", "busy", "2026-01-01T02:00Z"),
        ("a", "tries", "0", "1", "2026-01-01T02:30Z"),
        ("gone", "status", "open", "done", "2026-01-01T02:00Z"),
    ],
    columns=["id", "field", "old_value", "new_value", "created_at"],
)
TABLE = pd.DataFrame({"id": ["a", "b", "c"], "status": ["done", "done", "open"], "tries": [1, 0, 0]})


def _beads(number):
    return incident().rewind(
        "beads",
        "bead_events",
        at=incident().snapshots[number].at,
        column={"status_changed": "status"},
        kind="event_type",
        created="created_at",
    )


def test_the_incidents_audit_alone_gives_1659_of_1743_past_statuses():
    """Beads that are not agents at the twelve past snapshots; 80 of the 84 misses are among those listed."""
    total = right = listed = 0
    for number in range(12):
        found = _beads(number)
        past = incident().snapshots[number]["beads"].query("type != 'agent'").set_index("bead_id")["status"]
        ours = found.frame.set_index("bead_id")["status"]
        assert set(past.index) <= set(ours.index)
        wrong = past.index[past != ours[past.index]]
        total, right = total + len(past), right + len(past) - len(wrong)
        listed += int(wrong.isin(found.misses["entity"]).sum())

    assert (total, right, total - right, listed) == (1743, 1659, 84, 80)


def test_most_listed_misses_hold_the_truth_as_logged_or_found():
    """Only where several unlogged writes followed each other can the value at the moment be a third one."""
    found = _beads(3)
    past = incident().snapshots[3]["beads"].set_index("bead_id")["status"]

    third = [row.entity for row in found.misses.itertuples() if past[row.entity] not in {row.logged, row.found}]
    assert (len(found.misses), len(third)) == (40, 3)


def test_values_are_undone_from_the_newest_backwards_and_keep_their_type():
    """The state at a moment is the old value of the first later entry; a number stays a number."""
    found = rewind(TABLE, AUDIT, at="02:15", key="id", column="field")

    assert found.frame.to_numpy().tolist() == [["a", "busy", 0], ["b", "done", 0], ["c", "open", 0]]
    assert found.frame["tries"].dtype == TABLE["tries"].dtype


def test_a_write_nobody_logged_is_a_conflict_and_a_miss_only_around_the_moment():
    """B was last logged busy at 02:00 and is done now: at 02:15 it was one of the two, at 01:00 it was open."""
    later = rewind(TABLE, AUDIT, at="02:15", key="id", column="field")
    earlier = rewind(TABLE, AUDIT, at="01:00", key="id", column="field")

    assert later.misses[["entity", "logged", "found"]].to_numpy().tolist() == [["b", "busy", "done"]]
    assert (len(earlier.conflicts), len(earlier.misses)) == (1, 0)
    assert earlier.frame["status"].tolist() == ["busy", "open", "open"]
    assert "1 cells uncertain" in later.sentence


def test_rows_created_later_are_left_out():
    """What did not exist yet is no row of that state."""
    table = TABLE.assign(born=["2026-01-01T00:00Z", "2026-01-01T01:30Z", "2026-01-01T05:00Z"])
    found = rewind(table, AUDIT, at="01:00", key="id", column="field", created="born")

    assert found.frame["id"].tolist() == ["a"]
    assert found.created_later == 2


def test_one_column_may_be_named_for_all_entries():
    """An audit of one column needs no column that says so."""
    audit = AUDIT[AUDIT["field"] == "status"].drop(columns="field")
    found = rewind(TABLE, audit, at="00:30", key="id", column="status")

    assert found.frame["status"].tolist() == ["open", "open", "open"]


def test_what_cannot_be_rewound_says_why():
    """Missing columns and repeated keys are errors."""
    with pytest.raises(QueryError, match="no column 'state'"):
        rewind(TABLE, AUDIT, at="01:00", key="id", column="state")
    with pytest.raises(QueryError, match="several rows with id 'a'"):
        rewind(pd.concat([TABLE, TABLE]), AUDIT, at="01:00", key="id", column="field")
    with pytest.raises(QueryError, match="kind="):
        rewind(TABLE, AUDIT, at="01:00", key="id", column={"x": "status"})


def test_a_recording_takes_a_time_of_day_and_its_own_tables():
    """Twelve hours lie within one day; the audit reaches further back, which is no obstacle."""
    recording = incident()
    options = {"column": {"status_changed": "status"}, "kind": "event_type", "created": "created_at"}

    assert recording.rewind("beads", "bead_events", at="12:00", **options).frame.equals(_beads(4).frame)
    with pytest.raises(QueryError, match="has no table 'bead'"):
        recording.rewind("bead", "bead_events", at="12:00", **options)
    with pytest.raises(QueryError, match="rewind needs one column"):
        recording.rewind("bead_dependencies", "bead_events", at="12:00", **options)
