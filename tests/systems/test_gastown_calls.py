"""The program's debug calls on recordings: what its own gave, without what made them useless."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from functools import cache

import pytest
from town_file import INCIDENT, build, insert

import replaykit as rk
from replaykit.errors import QueryError, WindowError
from replaykit.systems import gastown
from replaykit.systems.gastown import endpoints
from replaykit.systems.gastown.calls import state_of
from replaykit.systems.gastown.times import parse

BOUNDS = ("2026-03-26T14:00:00Z", "2026-03-26T14:10:00.000Z")


@cache
def trace():
    """Return the traced town."""
    return gastown.load_trace(INCIDENT)


def pending(number, kind, *, agent=None, bead=None, payload="{}"):
    """Return an event that waits in the queue at the end of the incident."""
    return {
        "event_id": f"waits-{number}",
        "event_type": kind,
        "agent_id": agent,
        "bead_id": bead,
        "payload": payload,
        "created_at": f"2026-03-26T19:59:59.{number:03d}Z",
        "processed_at": None,
    }


def opened(tmp_path, *events):
    """Return a town with these events still waiting."""
    path = build(tmp_path / "town.sqlite")
    with closing(sqlite3.connect(path)) as connection:
        insert(connection, "town_events", list(events))
        connection.commit()
    return gastown.open(path)


def working_agent(recording):
    """Return an agent that is on a bead at the end."""
    agents = recording.snapshot(-1)["agent_metadata"]
    return agents[agents["current_hook_bead_id"].notna() & (agents["role"] == "polecat")]["bead_id"].iloc[0]


def test_a_dry_run_drains_what_waits_and_lists_what_fails(tmp_path):
    """One event of a deleted agent lost the program's whole answer; here it is one row."""
    with opened(tmp_path) as recording:
        agent = working_agent(recording)
        quiet = gastown.dry_run(recording)
    with opened(tmp_path_of(tmp_path), *_waiting(agent)) as recording:
        found = gastown.dry_run(recording)
        again = gastown.dry_run(recording)

    assert quiet.metrics["events_drained"] == 0
    assert found.metrics["events_drained"] == 3
    assert list(found.problems["event_id"]) == ["waits-1", "waits-4"]
    assert list(found.problems["reason"]) == ["not_found", "parse"]
    assert found.metrics["actions_emitted"] == len(found.actions) == sum(found.metrics["actions_by_type"].values())
    assert found.metrics["pending_event_count"] == 2
    assert "2 events failed and would come back" in found.sentence
    assert found.actions.equals(again.actions)
    assert "<table" in found._repr_html_()
    assert repr(found).startswith("DryRun(A tick at ")


def tmp_path_of(tmp_path):
    """Return a second folder beside the first."""
    folder = tmp_path / "second"
    folder.mkdir()
    return folder


def _waiting(agent):
    return (
        pending(1, "agent_done", agent="long-gone"),
        pending(2, "agent_completed", agent=agent, payload='{"status":"failed"}'),
        pending(4, "nobody_knows"),
    )


def test_a_dry_run_of_the_trace_equals_the_reconcile_of_the_next_tick():
    """At each checkpoint: what waits there is what the next tick drained, and what it emits is what that emitted."""
    recording, compared = trace(), 0
    for snapshot in recording.snapshots[1:-1]:
        following = recording.sql(
            "SELECT tick, occurred_at FROM ticks WHERE occurred_at > $at ORDER BY tick LIMIT 1", at=snapshot.at
        )
        between = recording.sql(
            "SELECT count(*) AS n FROM writes WHERE global_seq > $seq AND occurred_at <= $at",
            seq=snapshot.after_seq, at=following["occurred_at"].iloc[0],
        )  # fmt: skip
        found = gastown.dry_run(recording, snapshot=snapshot.number, at=following["occurred_at"].iloc[0])
        recorded = recording.sql(
            "SELECT payload FROM actions WHERE tick = $t ORDER BY position", t=int(following["tick"][0])
        )
        if between["n"][0] == 0 and found.metrics["events_drained"] == 0:
            compared += 1
            assert list(found.actions["kind"]) == [json.loads(one)["type"] for one in recorded["payload"]]
    assert compared >= 3


def test_a_dry_run_needs_to_know_what_was_processed(orders):
    """A recording of something else is refused."""
    with pytest.raises(QueryError, match="processed_at"):
        gastown.dry_run(orders)


@pytest.fixture
def orders():
    """Return a recording that is no town."""
    with rk.load([{"time": "2026-03-26T06:00:00Z", "kind": "x"}]) as recording:
        yield recording


def test_all_events_of_the_closed_range_are_replayed_processed_or_not():
    """Bounds are times: with or without milliseconds they mean the same."""
    found = gastown.replay_events(trace(), *BOUNDS)
    counted = trace().sql(
        "SELECT count(*) AS n FROM events WHERE occurred_at BETWEEN TIMESTAMP '2026-03-26 14:00:00' "
        "AND TIMESTAMP '2026-03-26 14:10:00'"
    )

    assert found.events_replayed == counted["n"][0] > 0
    assert found.verdict.status == "unverified"
    assert list(found.agents.columns) == [
        "bead_id", "role", "status", "current_hook_bead_id", "dispatch_attempts", "last_activity_at",
    ]  # fmt: skip
    assert list(found.non_terminal_beads.columns) == [
        "bead_id", "type", "status", "title", "assignee_agent_bead_id", "updated_at",
    ]  # fmt: skip
    assert not set(found.non_terminal_beads["status"]) & {"closed", "failed"}
    assert found.non_terminal_beads[["type", "status"]].apply(tuple, axis=1).is_monotonic_increasing
    assert "snapshot 6" in found.sentence


def test_equal_bounds_are_the_events_of_one_instant():
    """The program allowed them, too."""
    at = trace().sql("SELECT occurred_at FROM events ORDER BY position LIMIT 1")["occurred_at"][0]
    assert gastown.replay_events(trace(), at, at).events_replayed == 1


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (None, BOUNDS[1], "start is missing"),
        (BOUNDS[0], "", "end is empty"),
        ("yesterday", BOUNDS[1], "start 'yesterday'"),
        (BOUNDS[0], "14 o'clock", 'end "14 o\'clock"'),
        (BOUNDS[1], BOUNDS[0], "start 2026-03-26T14:10:00Z is after end 2026-03-26T14:00:00Z"),
    ],
)
def test_a_bad_bound_is_named(start, end, message):
    """Missing, empty, unreadable or reversed."""
    with pytest.raises(WindowError, match=message):
        gastown.replay_events(trace(), start, end)


def test_on_the_live_base_it_is_the_programs_call_and_says_so():
    """The same events on the same state and clock give the same agents; the verdict gives the reason to doubt it."""
    recording = trace()
    found = gastown.replay_events(recording, *BOUNDS, base="live")
    rows = recording.sql(
        "SELECT event_id, kind AS event_type, agent_id, bead_id, payload, "
        "strftime(occurred_at, '%Y-%m-%dT%H:%M:%S.%gZ') AS created_at FROM events ORDER BY position"
    )
    rows = rows.astype(object).where(rows.notna(), None).to_dict("records")
    state = state_of(recording.snapshot(-1))
    theirs = endpoints.replay_events(
        state, gastown.reconciler, rows, "2026-03-26T14:00:00.000Z", BOUNDS[1], parse(BOUNDS[1])
    )

    assert theirs["eventsReplayed"] == found.events_replayed
    shown = found.agents.astype(object).where(found.agents.notna(), None).to_dict("records")
    assert [row["status"] for row in shown] == [row["status"] for row in theirs["stateSnapshot"]["agents"]]
    assert found.verdict.status == "approximate"
    assert "later than the window's start" in found.verdict.sentence


def test_retraced_it_is_verified():
    """With everything that was logged, the next checkpoint is met."""
    found = gastown.replay_events(trace(), "2026-03-26T14:00Z", "2026-03-26T15:00Z", actions="recorded")
    assert found.verdict.status == "verified"
