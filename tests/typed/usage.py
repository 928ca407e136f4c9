"""The public calls as a user types them: checked by mypy --strict, and run against the built wheel."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

import replaykit as rk
from replaykit.inputs import Event
from replaykit.state import State

EVENTS = """at,kind,job_id
2026-03-01T10:00:00Z,submitted,a
2026-03-01T10:00:10Z,started,a
2026-03-01T10:00:20Z,submitted,b
2026-03-01T10:05:00Z,finished,a
"""

jobs = rk.Reconciler(
    "jobs",
    tables={"jobs": rk.Table(key="job_id", status="VARCHAR", updated_at="TIMESTAMP")},
    params={"patience": timedelta(minutes=2)},
)


@jobs.apply("submitted")
def submitted(state: State, event: Event) -> None:
    """Queue a job."""
    state["jobs"].insert({"job_id": event["job_id"], "status": "queued", "updated_at": event.occurred_at})


@jobs.apply("started", "finished")
def moved(state: State, event: Event) -> None:
    """Follow a job."""
    state["jobs"].update(event["job_id"], status=event.kind, updated_at=event.occurred_at)


@jobs.rule("requeue_lost", key=["job_id"])
def requeue_lost(state: State, now: datetime) -> Iterator[rk.Action]:
    """Queue again what has waited too long."""
    for job in state["jobs"].find(status="queued"):
        if now - job["updated_at"] > state.params["patience"]:
            yield rk.Action("requeue", job_id=job["job_id"])


jobs.invariant("no_nameless_job", "SELECT job_id FROM jobs WHERE job_id IS NULL", key=["job_id"])
jobs.rule(
    "nudge",
    "SELECT job_id FROM jobs WHERE status LIKE 'QUEUED' AND updated_at < datetime('now', '-1 hour')",
    key=["job_id"],
    dialect="sqlite",
)


def main(folder: Path) -> str:
    """Load, replay, ask; return what was found in one line."""
    source = folder / "events.csv"
    source.write_text(EVENTS)
    with rk.load(source, time="at", kind="kind", save=folder / "jobs.duckdb") as recording:
        kinds: pd.DataFrame = recording.kinds
    with rk.open(folder / "jobs.duckdb") as recording:
        run: rk.Replay = rk.replay(recording, jobs, rk.Window("2026-03-01T10:00Z", "2026-03-01T10:10Z"), ticks="5s")
        verdict: str = run.verdict.status
        before: pd.DataFrame = run.at("2026-03-01T10:00:15Z")["jobs"]
        difference: rk.Diff = rk.diff(before, run.after["jobs"], key="job_id")
        rk.testing.assert_no_violations(run)
        rk.testing.assert_same_actions(jobs, jobs, recording)
        saved: Path = run.save(folder / "run.duckdb")
        kept: rk.Replay = rk.open_run(saved, reconciler=jobs, recording=recording)
        assert kept.verdict.status == verdict
        compared: rk.Comparison = rk.compare(recording, jobs, jobs.without("nudge"), ticks="5s")
        assert compared[0].rules["rule"].tolist() == ["requeue_lost", "nudge"]
        assert run.what_if(skip=2).new.after_step < run.after_step
        assert len(run.ablate("actions").table) == len(run.events)
        assert len(recording.digest) == 64
    return f"{len(kinds)} kinds, {len(run.actions)} actions, {len(difference)} differ, {verdict}"


if __name__ == "__main__":
    print(main(Path()))
