"""Container statuses that only repeat are folded, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replaykit.errors import QueryError
from replaykit.systems.gastown.noise import Folding, folded

EVENTS = Path(__file__).parents[2] / "sample_data" / "gastown-incident" / "town_events.parquet"

# The folding of a drained log in SQL: a status stays unless the agent's event before it is the same status, other than
# exited, at most 90 s earlier.
STAYS = """
    SELECT event_type, payload, agent_id, NOT coalesce(
        event_type = 'container_status' AND last_type = event_type AND last_payload = payload
        AND payload ->> 'status' <> 'exited' AND created_at::TIMESTAMP - last_at::TIMESTAMP <= INTERVAL 90 SECONDS,
        false
    ) AS stays
    FROM (
        SELECT *, lag(event_type) OVER agent AS last_type, lag(payload) OVER agent AS last_payload,
               lag(created_at) OVER agent AS last_at
        FROM read_parquet($path) WHERE agent_id IS NOT NULL
        WINDOW agent AS (PARTITION BY agent_id ORDER BY created_at, inserted_seq)
    )
"""


def events(*rows):
    """Return events from ``(second, status or None, drained second or None, agent)``; without status an agent_done."""
    told = []
    for number, (second, status, *more) in enumerate(rows):
        drained, agent = (*more, "a")[:2] if more else (second, "a")
        told.append(
            {
                "event_id": f"e{number}",
                "event_type": "agent_done" if status is None else "container_status",
                "agent_id": agent,
                "payload": "{}" if status is None else status if "{" in status else json.dumps({"status": status}),
                "created_at": moment(second),
                "processed_at": None if drained is None else moment(drained),
            }
        )
    return pd.DataFrame(told, columns=["event_id", "event_type", "agent_id", "payload", "created_at", "processed_at"])


def moment(second):
    """Return a time as the program writes it."""
    return f"2026-03-26T08:{second // 60:02}:{second % 60:02}.000Z"


def left(*rows):
    """Return number and count of the events that are left."""
    frame, _ = folded(events(*rows))
    return list(zip(frame["event_id"].str[1:].astype(int), frame["folded"], strict=True))


def test_448_statuses_of_the_incident_only_repeat():
    """1,052 statuses in twelve hours, most of them of one bad hour; SQL finds the same."""
    frame, folding = folded(pd.read_parquet(EVENTS))

    with duckdb.connect() as connection:
        counted = connection.execute(
            f"SELECT agent_id, count(*) FROM ({STAYS}) WHERE NOT stays GROUP BY 1 ORDER BY 1", {"path": str(EVENTS)}
        ).fetchall()
    assert dict(counted) == folding.by_agent
    assert (folding.statuses, folding.running, folding.folded) == (1052, 0, 448)
    assert len(frame) == 1704 - 448
    assert frame["folded"].sum() == 448
    assert (frame["event_type"] == "container_status").sum() == 604
    assert folding.sentence == (
        "Of 1,052 container_status events, 0 that said running were skipped and 448 that repeated the one before were "
        "folded into it, from 18 agents; 604 are left (columns folded, folded_until)."
    )


def test_an_exit_seen_again_after_a_dispatch_is_kept():
    """At 08:24:31 of the incident an old exit hits an agent that was just put to new work: no noise at all."""
    frame, _ = folded(pd.read_parquet(EVENTS))

    exits = frame[(frame["agent_id"] == "new-bead-0006") & frame["payload"].str.contains("exited")]
    assert {"2026-03-26T08:23:50.537Z", "2026-03-26T08:24:31.484Z"} <= set(exits["created_at"])


def test_the_first_stays_and_counts_the_others():
    """Where it was and as it was, with the time of the last."""
    frame, folding = folded(events((0, "unknown"), (5, "unknown"), (70, "unknown"), (75, "not_found")))

    assert frame[["event_id", "folded"]].to_numpy().tolist() == [["e0", 2], ["e3", 0]]
    assert frame["folded_until"].isna().tolist() == [False, True]
    assert frame["folded_until"][0] == moment(70)
    assert folding == Folding(4, 0, 2, {"a": 2})


def test_a_status_after_a_pause_is_another():
    """Ninety seconds are the slowest tick; later, something may have happened in between."""
    assert left((0, "not_found"), (90, "not_found"), (181, "not_found")) == [(0, 1), (2, 0)]


def test_another_event_of_the_agent_ends_a_repeat():
    """What came before and after its end of work are two things."""
    assert left((0, "unknown"), (1, None), (2, "unknown")) == [(0, 0), (1, 0), (2, 0)]
    assert left((0, "unknown"), (1, None, 1, "b"), (2, "unknown")) == [(0, 1), (1, 0)]
    assert left((0, "unknown", 0, "a"), (1, "unknown", 1, "b"), (2, "unknown", 2, "a")) == [(0, 1), (1, 0)]


def test_running_is_skipped_and_ends_a_repeat():
    """The program never records it; where another recorder did, it shows that the container was back."""
    frame, folding = folded(events((0, "unknown"), (5, "running"), (10, "unknown"), (15, "running")))

    assert frame["event_id"].tolist() == ["e0", "e2"]
    assert folding == Folding(4, 2, 0, {"a": 2})


def test_what_was_pending_together_is_folded_as_the_program_does():
    """By status alone, however late, exits too, as long as the one before waits; the first reason is kept."""
    exits = [(0, '{"status":"exited","exit_reason":"oom"}', 400), (300, '{"status":"exited","exit_reason":"x"}', 400)]
    assert left(*exits, (500, "exited")) == [(0, 1), (2, 0)]
    assert left((0, "unknown", None), (3000, "unknown", None)) == [(0, 1)]
    assert left((0, "unknown", None), (1, None, None), (2, "running", None), (3, "unknown", None)) == [(0, 1), (1, 0)]
    assert left((0, "unknown", None), (1, "not_found", None), (2, "unknown", None)) == [(0, 0), (1, 0), (2, 0)]


def test_what_can_not_be_read_is_kept():
    """No status, no agent, no JSON, no time: nothing is known to repeat."""
    odd = events((0, "{"), (1, "{"), (2, "unknown"), (3, "unknown"), (4, '{"state":1}'), (5, '{"state":1}'))
    odd.loc[2:3, "agent_id"] = None
    timeless = events((0, "unknown"), (1, "unknown")).assign(created_at="soon")

    assert len(folded(odd)[0]) == 6
    assert len(folded(timeless)[0]) == 2
    assert len(folded(events())[0]) == 0


def test_other_columns_and_the_frame_itself_stay():
    """It is a view of the evidence, not a change of it."""
    given = events((0, "unknown"), (5, "unknown")).assign(source=["x", "y"])
    before = given.copy()

    frame, _ = folded(given)

    pd.testing.assert_frame_equal(given, before)
    assert frame["source"].tolist() == ["x"]


def test_columns_that_are_missing_are_named():
    """And folding twice would count wrongly."""
    with pytest.raises(QueryError, match="no column 'payload'; folding needs"):
        folded(events().drop(columns="payload"))
    with pytest.raises(QueryError, match="folded before"):
        folded(folded(events((0, "unknown")))[0])


_row = st.tuples(
    st.integers(0, 200), st.sampled_from([None, "running", "unknown", "not_found", "exited"]), st.just(0),
    st.sampled_from("ab"),
)  # fmt: skip


@given(st.lists(_row, max_size=30))
def test_every_event_is_left_or_counted_and_the_agents_do_not_mix(rows):
    """Nothing is lost in silence, and one agent's noise says nothing about another's."""
    ordered = sorted(rows, key=lambda row: row[0])
    whole = events(*ordered)

    frame, folding = folded(whole)

    assert len(frame) + folding.folded + folding.running == len(whole)
    assert frame["folded"].sum() == folding.folded
    assert sum(folding.by_agent.values()) == folding.folded + folding.running
    alone = [folded(whole[whole["agent_id"] == agent])[0] for agent in "ab"]
    assert sorted(pd.concat(alone)["event_id"]) == sorted(frame["event_id"])
    assert folded(frame.drop(columns=["folded", "folded_until"]))[1].folded == 0 or folding.running
