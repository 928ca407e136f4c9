"""unexplained: which changed rows does nothing recorded name? Figures were counted once with hand-written SQL."""

from __future__ import annotations

import pandas as pd
import pytest
from incident import incident

from replaykit.errors import QueryError
from replaykit.findings import unexplained
from replaykit.snapshot import Snapshot
from replaykit.sources import load


def _tiny(events: list[dict[str, object]], before: list[dict[str, object]], after: list[dict[str, object]], **options):
    return load(
        pd.DataFrame(events),
        time="ts",
        kind="kind",
        payload="payload",
        id=False,
        snapshots=[
            Snapshot({"jobs": pd.DataFrame(before)}, at="2026-01-01T00:00Z"),
            Snapshot({"jobs": pd.DataFrame(after)}, at="2026-01-01T01:00Z"),
        ],
        **{"keys": {"jobs": "id"}, **options},
    )


def test_the_incidents_beads_reach_the_figures_of_hand_written_sql():
    """168 are named by the events' own columns, 340 with the actions' bead_id, 143 by neither, of 483."""
    found = unexplained(incident(), "beads", {"events": ["agent_id", "bead_id"], "actions": ["bead_id"]})

    row = found.summary.iloc[0]
    assert (row["rows"], row["events"], row["events_or_actions"]) == (483, 168, 340)
    assert row["rows"] - row["events_or_actions"] == 143
    assert (row["added"], row["removed"], row["changed"]) == (280, 3, 200)


def test_looking_everywhere_also_finds_beads_named_inside_payloads():
    """Six more are named in event payloads and others in further fields of actions, so fewer stay unnamed."""
    found = incident().unexplained("beads")

    row = found.summary.iloc[0]
    assert (row["rows"], row["events"], row["events_or_actions"], row["nothing"]) == (483, 174, 352, 121)
    assert len(found) == 121
    assert "483 rows of beads changed between 13 snapshots" in found.sentence
    assert repr(found) == "Unexplained(483 changed rows, 121 named by nothing)"


def test_the_same_holds_in_plain_python_over_the_same_rows():
    """An independent count, entry by entry, agrees with the set-based SQL."""
    recording = incident()
    found = unexplained(recording, "beads").frame
    events = recording.events
    bounds = [snapshot.after_position for snapshot in recording.snapshots]
    quoted = [f'"{row.agent_id}" "{row.bead_id}" {row.payload}' for row in events.itertuples()]

    by_hand = [
        sum(f'"{row.key}"' in text for text in quoted[bounds[row.from_snapshot] : bounds[row.to_snapshot]])
        for row in found.itertuples()
    ]

    assert list(found["by_events"]) == by_hand


def test_all_tables_are_compared_and_shown_bounded():
    """Without a table every one with a key is looked at; the display stays small and is free of script."""
    found = unexplained(incident())

    assert list(found.summary["table"]) == sorted(found.summary["table"])
    assert found.frame.groupby("table").size()["bead_dependencies"] == 171
    assert found.frame["key"][found.frame["table"] == "bead_dependencies"].iloc[0].startswith('["')
    html = found._repr_html_()
    assert len(html) < 60_000
    assert "<script" not in html


def test_a_change_is_told_with_its_columns_and_first_event():
    """Changed columns are listed; the first event that names the row is given; the rest counts as unnamed."""
    events = [{"ts": "2026-01-01T00:10Z", "kind": "moved", "payload": '{"job": {"ids": ["a"]}}'}]
    before = [{"id": "a", "x": 1, "y": "1"}, {"id": "b", "x": 1, "y": None}, {"id": "gone", "x": 0, "y": "0"}]
    after = [{"id": "a", "x": 2, "y": None}, {"id": "b", "x": 1, "y": None}, {"id": "new", "x": 0, "y": "0"}]
    with _tiny(events, before, after) as recording:
        found = unexplained(recording)

    told = found.frame[["key", "change", "columns", "by_events"]].to_numpy().tolist()
    assert told == [["a", "changed", "x, y", 1], ["gone", "removed", "", 0], ["new", "added", "", 0]]
    assert list(found.unnamed["key"]) == ["gone", "new"]


def test_a_number_as_key_is_not_found_in_unrelated_numbers():
    """7 stands for many things: only a place called like the key column counts, unless names= says otherwise."""
    events = [
        {"ts": "2026-01-01T00:10Z", "kind": "retried", "payload": '{"retries": 7}'},
        {"ts": "2026-01-01T00:20Z", "kind": "moved", "payload": '{"job_id": 8, "n": 1}'},
    ]
    before = [{"id": 7, "x": 1}, {"id": 8, "x": 1}]
    after = [{"id": 7, "x": 2}, {"id": 8, "x": 2}]
    with _tiny(events, before, after) as recording:
        by_name = unexplained(recording).frame["by_events"].tolist()
        told_where = unexplained(recording, names=["retries"]).frame["by_events"].tolist()

    assert by_name == [0, 1]
    assert told_where == [1, 0]


def test_events_before_the_older_snapshot_do_not_count():
    """An event at the older snapshot's moment is inside it; one at the newer's moment may explain the change."""
    events = [
        {"ts": "2026-01-01T00:00Z", "kind": "moved", "payload": '["a"]'},
        {"ts": "2026-01-01T01:00Z", "kind": "moved", "payload": '["b"]'},
    ]
    before = [{"id": "a", "x": 1}, {"id": "b", "x": 1}]
    after = [{"id": "a", "x": 2}, {"id": "b", "x": 2}]
    with _tiny(events, before, after) as recording:
        found = unexplained(recording)

    assert found.frame["by_events"].tolist() == [0, 1]


def test_a_composite_key_is_named_only_by_all_its_parts():
    """Half a key names many rows."""
    events = [{"ts": "2026-01-01T00:10Z", "kind": "linked", "payload": '{"from": "a", "to": "b"}'}]
    before = [{"id": "x", "to": "x", "n": 0}]
    after = [{"id": "a", "to": "b", "n": 1}, {"id": "a", "to": "c", "n": 1}, {"id": "x", "to": "x", "n": 0}]
    with _tiny(events, before, after, keys={"jobs": ["id", "to"]}) as recording:
        found = unexplained(recording)

    assert found.frame[["key", "by_events"]].to_numpy().tolist() == [['["a","b"]', 1], ['["a","c"]', 0]]


def test_rows_that_share_a_key_are_paired_in_order_and_odd_names_are_quoted():
    """A key declared by mistake may repeat; names with quotes and keywords are ordinary columns."""
    events = [{"ts": "2026-01-01T00:10Z", "kind": "x", "payload": "{}"}]
    before = [{"id": "a", 'the "group"': 1}, {"id": "a", 'the "group"': 2}]
    after = [{"id": "a", 'the "group"': 1}, {"id": "a", 'the "group"': 3}]
    with _tiny(events, before, after) as recording:
        found = unexplained(recording)

    assert found.frame[["key", "columns"]].to_numpy().tolist() == [["a", 'the "group"']]


def test_what_cannot_be_compared_says_what_is_there():
    """Errors name the table, what exists and the call that works."""
    with pytest.raises(QueryError, match=r"No state table 'bead'; it has|No state table 'bead' in"):
        unexplained(incident(), "bead")
    with pytest.raises(QueryError, match="is one text"):
        unexplained(incident(), "beads", "bead_id")
    with pytest.raises(QueryError, match="log 'event'"):
        unexplained(incident(), "beads", {"event": ["bead_id"]})
    with load(pd.DataFrame({"ts": ["2026-01-01"], "kind": ["x"]}), time="ts", kind="kind") as bare:  # noqa: SIM117
        with pytest.raises(QueryError, match="0 snapshots"):
            unexplained(bare)
