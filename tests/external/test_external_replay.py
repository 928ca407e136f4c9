"""A program as reconciler: its events, rules and invariants are replayed as those of a reconciler in Python are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import replaykit as rk

PROGRAMS = Path(__file__).parent / "programs"
WINDOW = rk.Window("2026-03-26T06:00Z", "2026-03-26T06:30Z")
HAPPENED = [
    (0, "submitted", "j1"),
    (10, "started", "j1"),
    (20, "submitted", "j2"),
    (30, "started", "j2"),
    (31, "heartbeat", "j2"),
    (40, "done", "j2"),
    (700, "submitted", "j1"),
    (710, "started", "j1"),
    (720, "started", "j1"),
    (730, "started", "j1"),
]
PATIENCE = pd.Timedelta(seconds=600)


def jobs_program(state: str, **options: Any) -> rk.Reconciler:
    """Return the program as reconciler."""
    return rk.external([sys.executable, "-S", str(PROGRAMS / "jobs.py")], state=state, **options)


@pytest.fixture(scope="module")
def recording() -> rk.Recording:
    """Return some jobs' lives."""
    rows = [
        {
            "at": pd.Timestamp("2026-03-26T06:00:00") + pd.Timedelta(seconds=seconds),
            "kind": kind,
            "id": f"e{number}",
            "payload": f'{{"job":"{job}"}}',
        }
        for number, (seconds, kind, job) in enumerate(HAPPENED)
    ]
    return rk.load(events=pd.DataFrame(rows), time="at", kind="kind", id="id", payload="payload")


@pytest.fixture(scope="module", params=["sqlite", "json"])
def program(request: pytest.FixtureRequest) -> rk.Reconciler:
    """Return the program, with its state in a file or in memory."""
    return jobs_program(request.param)


def in_python() -> rk.Reconciler:  # noqa: C901 - one function for each thing jobs do
    """Return the same rules in Python."""
    columns = {"status": "VARCHAR", "updated_at": "TIMESTAMP", "runs": "BIGINT"}
    jobs = rk.Reconciler("jobs", {"jobs": rk.Table("job_id", columns)}, {"patience": 600})
    jobs.ignore("heartbeat")

    @jobs.apply("submitted")
    def submitted(state, event):
        state["jobs"].delete(event.payload["job"])
        state["jobs"].insert(job_id=event.payload["job"], status="queued", updated_at=event.occurred_at, runs=0)

    @jobs.apply("started")
    def started(state, event):
        job = event.payload["job"]
        state["jobs"].update(job, status="running", updated_at=event.occurred_at)
        state["jobs"].update(job, runs=state["jobs"][job]["runs"] + 1)

    @jobs.apply("done")
    def done(state, event):
        state["jobs"].delete(event.payload["job"])

    @jobs.act("requeue")
    def requeue(state, action):
        state["jobs"].update(action["job_id"], status="queued", updated_at=state.now)
        return rk.Action("send mail", job_id=action["job_id"])

    def rows(state, now):
        return state["jobs"].find()

    @jobs.rule("requeue_lost", key="job_id", each=rows)
    def requeue_lost(state, now, job):
        if job["status"] == "running" and now - job["updated_at"] > PATIENCE:
            yield rk.Action("requeue", job_id=job["job_id"])

    @jobs.rule("greet", key="job_id", each=rows)
    def greet(state, now, job):
        if job["status"] == "queued":
            yield rk.Action("greet", job_id=job["job_id"], at=now.isoformat(timespec="milliseconds") + "Z")

    @jobs.invariant("at most two runs", key="job_id")
    def two_runs(state, now):
        return [{"job_id": job["job_id"], "runs": job["runs"]} for job in state["jobs"] if job["runs"] > 2]

    return jobs


def history_of(run: rk.Replay) -> pd.DataFrame:
    """Return every version of every job."""
    return run.history.frame("SELECT * FROM history.jobs ORDER BY change")


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
