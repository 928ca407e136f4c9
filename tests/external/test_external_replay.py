"""A program as reconciler: its events, rules and invariants are replayed as those of a reconciler in Python are."""

from __future__ import annotations

import pandas as pd
import pytest
from jobs_cases import WINDOW, history_of, in_python, jobs_program
from pandas.testing import assert_frame_equal

import replaykit as rk


@pytest.mark.parametrize("actions", ["collect", "apply"])
def test_a_program_gives_the_same_history_and_actions_as_python(recording, program, actions):
    """Everything after a replay works on these, so all of it works on programs."""
    ours = rk.replay(recording, in_python(), WINDOW, ticks="60s", actions=actions)
    theirs = rk.replay(recording, program, WINDOW, ticks="60s", actions=actions)

    assert_frame_equal(history_of(theirs), history_of(ours))
    assert theirs.emitted == ours.emitted
    assert_frame_equal(theirs.actions, ours.actions)
    assert_frame_equal(pd.DataFrame(theirs.violations), pd.DataFrame(ours.violations))
    assert_frame_equal(theirs.effects, ours.effects)
    assert_frame_equal(theirs.steps, ours.steps)
    assert len(theirs.actions) > 2
    assert len(theirs.violations) == 1


def test_the_verdict_says_that_isolation_is_not_guaranteed(recording, program):
    """Nobody watches what a process does, and no result may hide that."""
    run = rk.replay(recording, program, WINDOW, ticks="60s")

    assert run.verdict.status == "unverified"
    assert "Isolation is not guaranteed" in str(run.verdict)
    assert "Isolation is not guaranteed" in run._repr_html_()
    assert "isolation not guaranteed" in repr(run)


def test_rules_in_python_and_sql_may_be_added(recording, program):
    """What the program does not check can still be asked, over its own state."""
    program = program.copy()
    program.invariant("nobody waits", "SELECT job_id FROM jobs WHERE status = 'queued'", key="job_id")

    @program.rule("praise", key="job_id")
    def praise(state, now):
        return [rk.Action("praise", job_id=job["job_id"]) for job in state["jobs"].find(runs=1)]

    run = rk.replay(recording, program, WINDOW, ticks="60s")

    assert {"nobody waits", "at most two runs"} == set(run.violations["invariant"])
    assert {"praise", "requeue_lost", "greet"} == set(run.actions["rule"])


def test_parameters_reach_the_program(recording, program):
    """A changed threshold is asked for as with any other reconciler."""
    ticks = [
        rk.replay(recording, program, WINDOW, ticks="60s", params={"patience": patience})
        .actions.query("kind == 'requeue'")["tick"]
        .iloc[0]
        for patience in (120, 600)
    ]

    assert ticks == [3, 11]


def test_a_rule_can_be_left_out(recording, program):
    """Its actions are dropped, those of the others stay."""
    run = rk.replay(recording, program.without("greet"), WINDOW, ticks="60s")

    assert set(run.actions["rule"]) == {"requeue_lost"}


@pytest.mark.parametrize("state", ["sqlite", "json"])
@pytest.mark.parametrize(("on_error", "left"), [("undo", "running"), ("keep", "half written")])
def test_a_refused_event_is_undone_or_kept_in_both_states(state, on_error, left):
    """The program must go on from the same state as the history."""
    at = pd.date_range("2026-03-26T06:00", periods=5, freq="10s")
    payloads = ['{"job":"j1"}', '{"job":"j1"}', '{"job":"j1","bad":true}', '{"job":"j2"}', '{"job":"j1"}']
    kinds = ["submitted", "started", "done", "submitted", "started"]
    events = pd.DataFrame({"at": at, "kind": kinds, "id": list("abcde"), "payload": payloads})
    recording = rk.load(events=events, time="at", kind="kind", id="id", payload="payload")

    run = rk.replay(recording, jobs_program(state), on_error=on_error)

    assert run.at(event="c")["jobs"]["status"].tolist() == [left]
    assert run.after["jobs"][["job_id", "status", "runs"]].values.tolist() == [
        ["j1", "running", 2],
        ["j2", "queued", 0],
    ]
    assert run.problems["detail"].str.contains("ValueError: done badly").all()
    with pytest.raises(
        rk.ReconcilerError, match=r"raised .*ValueError: done badly.* at step 3, event 'c' of kind 'done'"
    ):
        rk.replay(recording, jobs_program(state))


def test_verify_and_a_snapshot_as_base_work(recording, program):
    """The program starts from the rows of a snapshot, and is held against the next one."""
    at = [pd.Timestamp("2026-03-26T06:01"), pd.Timestamp("2026-03-26T06:20")]
    rows = rk.replay(recording, in_python(), WINDOW)
    snapshots = [rk.Snapshot({"jobs": rows.at(one)["jobs"]}, at=one) for one in at]
    events = recording.sql("SELECT occurred_at AS at, kind, event_id AS id, payload FROM events ORDER BY position")
    held = rk.load(
        events=events, time="at", kind="kind", id="id", payload="payload", snapshots=snapshots, keys={"jobs": "job_id"}
    )

    found = rk.verify(held, program)

    assert found.ok
    assert "Isolation is not guaranteed" in found.sentence


def test_production_is_retraced_with_writes_that_somebody_else_made(program):
    """Recorded actions go through its act, recorded writes reach its state, and it is held to both."""
    at = "2026-03-26T06:{}".format
    events = pd.DataFrame(
        [(at("00:00"), "submitted"), (at("00:10"), "started"), (at("14:00"), "started")], columns=["at", "kind"]
    ).assign(id=["e0", "e1", "e2"], payload='{"job":"j1"}')
    actions = pd.DataFrame(
        [(at("11:00"), "requeue", '{"job_id":"j1"}'), (at("12:00"), "greet", '{"job_id":"j9"}')],
        columns=["at", "kind", "fields"],
    )
    changed = [(at("13:30"), "update", '"j1"', '{"runs":2}'), (at("13:40"), "insert", '"j2"', '{"status":"queued"}')]
    writes = pd.DataFrame(changed, columns=["at", "op", "key", "values"]).assign(table="jobs", by="program")
    held = rk.load(
        events=events, time="at", kind="kind", id="id", payload="payload",
        actions=rk.Log(actions, time="at", kind="kind", payload="fields"),
        writes=rk.Log(writes, time="at", kind="by", payload=False, table="table", op="op", key="key", values="values"),
    )  # fmt: skip

    found = {
        name: rk.replay(held, one, WINDOW, ticks="recorded", actions="recorded")
        for name, one in {"theirs": program, "ours": in_python()}.items()
    }

    assert_frame_equal(history_of(found["theirs"]), history_of(found["ours"]))
    assert_frame_equal(found["theirs"].divergence.frame, found["ours"].divergence.frame)
    assert found["theirs"].after["jobs"][["job_id", "runs"]].fillna(-1).values.tolist() == [["j1", 3], ["j2", -1]]
    assert found["theirs"].verdict.status == "contradicted"
