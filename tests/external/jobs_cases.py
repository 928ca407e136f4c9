"""Jobs: a program for rk.external, the same rules in Python, and a recording for both."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd

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
