"""What is measured of the closed loop: a small fleet under Python rules, beside the same program on bare dictionaries.

Both read the events from the same recording, decode the same JSON, evaluate five rules at each tick and apply what
they emitted before the next. The peer is what one would write by hand: dictionaries of dictionaries, plain loops; no
history, no types, no log of changes, no identity of actions. Final rows and actions of both are compared.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import duckdb

# Loaded before any clock runs, as a notebook has them by the time it replays.
import pandas as pd
import pyarrow as pa  # noqa: F401 - loaded on purpose
import pyarrow.compute  # noqa: F401 - loaded on purpose

import replaykit as rk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measuring import Clock

__all__ = ["loop_bare", "loop_ours", "make_loop"]

_T0 = datetime(2026, 3, 26, 6)
_LOST, _SLOW = timedelta(seconds=60), timedelta(minutes=10)
_WORKERS = 40


def make_loop(clock: Clock, path: str, hours: float) -> None:
    """Write a recording: jobs are submitted, whoever runs them beats or falls silent, and they finish."""
    random, rows = Random(7), []
    for number in range(int(hours * 250)):
        start = random.random() * hours * 3600
        job = f"job-{number:05d}"
        rows.append((start, "submitted", {"job_id": job}))
        beat = start
        for _ in range(random.randint(2, 12)):
            beat += random.choice((10, 20, 30, 30, 45, 90))
            rows.append((beat, "beat", {"job_id": job}))
        if random.random() < 0.9:
            rows.append((beat + 5, "finished", {"job_id": job}))
    rows.sort(key=lambda row: (row[0], row[2]["job_id"], row[1]))
    times = [_T0 + timedelta(microseconds=round(at * 1e6)) for at, _, _ in rows]
    frame = pd.DataFrame({"at": times, "what": [row[1] for row in rows], "body": [json.dumps(row[2]) for row in rows]})
    with clock, rk.load(frame, time="at", kind="what", id=False, payload="body", save=path):
        pass


def _fleet() -> rk.Reconciler:
    fleet = rk.Reconciler(
        "fleet",
        tables={
            "jobs": rk.Table(
                key="job_id", status="VARCHAR", worker="VARCHAR", attempts="BIGINT", since="TIMESTAMP",
                beat="TIMESTAMP", nudged="BOOLEAN",
            ),
            "workers": rk.Table(key="worker", job_id="VARCHAR"),
        },
    )  # fmt: skip

    @fleet.apply("submitted")
    def submitted(state: Any, event: Any) -> None:
        if not len(state["workers"]):
            for number in range(_WORKERS):
                state["workers"].insert(worker=f"w-{number:02d}", job_id=None)
        state["jobs"].insert(
            job_id=event.payload["job_id"], status="queued", worker=None, attempts=0, since=state.now, beat=None,
            nudged=False,
        )  # fmt: skip

    @fleet.apply("beat")
    def beat(state: Any, event: Any) -> None:
        job = state["jobs"].get(event.payload["job_id"])
        if job is not None and job["status"] == "running":
            state["jobs"].update(job["job_id"], beat=state.now)

    @fleet.apply("finished")
    def finished(state: Any, event: Any) -> None:
        state["jobs"].delete(event.payload["job_id"])

    _rules(fleet)
    _more_rules(fleet)
    _acts(fleet)
    return fleet


def _rules(fleet: rk.Reconciler) -> None:
    @fleet.rule("lost", key="job_id")
    def lost(state: Any, now: Any) -> Iterator[rk.Action]:
        for job in state["jobs"].find(status="running"):
            if now - job["beat"] > _LOST:
                yield rk.Action("requeue", job_id=job["job_id"])

    @fleet.rule("release", key="worker")
    def release(state: Any, _: Any) -> Iterator[rk.Action]:
        jobs = state["jobs"]
        for worker in state["workers"]:
            if worker["job_id"] is not None:
                job = jobs.get(worker["job_id"])
                if job is None or job["worker"] != worker["worker"]:
                    yield rk.Action("release", worker=worker["worker"])


def _more_rules(fleet: rk.Reconciler) -> None:
    @fleet.rule("give up", key="job_id")
    def give_up(state: Any, _: Any) -> Iterator[rk.Action]:
        for job in state["jobs"].find(status="queued"):
            if job["attempts"] >= 5:
                yield rk.Action("fail", job_id=job["job_id"])

    @fleet.rule("dispatch", key="job_id")
    def dispatch(state: Any, _: Any) -> Iterator[rk.Action]:
        free = [worker["worker"] for worker in state["workers"].find(job_id=None)]
        waiting = [job for job in state["jobs"].find(status="queued") if job["attempts"] < 5]
        for job, worker in zip(waiting, free, strict=False):
            yield rk.Action("dispatch", job_id=job["job_id"], worker=worker)

    @fleet.rule("nudge", key="job_id")
    def nudge(state: Any, now: Any) -> Iterator[rk.Action]:
        for job in state["jobs"].find(nudged=False):
            if now - job["since"] > _SLOW:
                yield rk.Action("nudge", job_id=job["job_id"])


def _acts(fleet: rk.Reconciler) -> None:
    @fleet.act("requeue")
    def requeue(state: Any, action: Any) -> None:
        state["jobs"].update(action["job_id"], status="queued", worker=None)

    @fleet.act("release")
    def release(state: Any, action: Any) -> None:
        state["workers"].update(action["worker"], job_id=None)

    @fleet.act("fail")
    def fail(state: Any, action: Any) -> None:
        state["jobs"].update(action["job_id"], status="failed")

    @fleet.act("dispatch")
    def dispatch(state: Any, action: Any) -> None:
        job = state["jobs"][action["job_id"]]
        state["jobs"].update(
            action["job_id"], status="running", worker=action["worker"], attempts=job["attempts"] + 1, beat=state.now
        )
        state["workers"].update(action["worker"], job_id=action["job_id"])

    @fleet.act("nudge")
    def nudge(state: Any, action: Any) -> None:
        state["jobs"].update(action["job_id"], nudged=True)


def loop_ours(clock: Clock, recording: str, out: str, hours: float) -> dict[str, Any]:
    """Replay the fleet in a closed loop, with all that rk.replay does."""
    with rk.open(recording) as opened:
        window = rk.Window(_T0, _T0 + timedelta(hours=hours))
        with clock:
            run = rk.replay(opened, _fleet(), window, ticks="5s", actions="apply")
        told = [(tick, kind, dict(fields)) for tick, kind, fields, _ in run.emitted]
        rows = {name: run.after[name].astype(str).to_dict("records") for name in ("jobs", "workers")}
        _write(out, "loop_ours", told, rows)
        return {"events": run.plan.events, "ticks": int(run.metrics["repeats"].sum() + len(run.metrics)),
                "actions": len(told)}  # fmt: skip


def loop_bare(clock: Clock, recording: str, out: str, hours: float) -> dict[str, Any]:
    """Run the same program by hand."""
    jobs: dict[str, dict[str, Any]] = {}
    workers: dict[str, dict[str, Any]] = {}
    told: list[tuple[int, str, dict[str, Any]]] = []
    end = _T0 + timedelta(hours=hours)
    with duckdb.connect(recording, read_only=True) as connection, clock:
        query = "SELECT occurred_at, kind, payload FROM events WHERE occurred_at < $end ORDER BY position"
        events = connection.execute(query, {"end": end}).fetchall()
        tick, at = 0, _T0
        for moment, kind, payload in events:
            while at < moment:
                _bare_tick(tick, at, jobs, workers, told)
                tick, at = tick + 1, _T0 + (tick + 1) * timedelta(seconds=5)
            _bare_event(moment, kind, json.loads(payload)["job_id"], jobs, workers)
        while at < end:
            _bare_tick(tick, at, jobs, workers, told)
            tick, at = tick + 1, _T0 + (tick + 1) * timedelta(seconds=5)
    rows = {
        name: pd.DataFrame(list(table.values())).astype(str).to_dict("records")
        for name, table in (("jobs", jobs), ("workers", workers))
    }
    _write(out, "loop_bare", told, rows)
    return {}


def _bare_event(
    at: datetime, kind: str, job_id: str, jobs: dict[str, dict[str, Any]], workers: dict[str, dict[str, Any]]
) -> None:
    if kind == "submitted":
        if not workers:
            workers.update({f"w-{n:02d}": {"worker": f"w-{n:02d}", "job_id": None} for n in range(_WORKERS)})
        jobs[job_id] = {"job_id": job_id, "status": "queued", "worker": None, "attempts": 0, "since": at, "beat": None,
                        "nudged": False}  # fmt: skip
    elif kind == "finished":
        jobs.pop(job_id, None)
    elif (job := jobs.get(job_id)) is not None and job["status"] == "running":
        job["beat"] = at


def _bare_tick(
    tick: int, at: datetime, jobs: dict[str, dict[str, Any]], workers: dict[str, dict[str, Any]], told: list[Any]
) -> None:
    """Evaluate the rules in their order, then apply what they asked for."""
    queued = [job for job in jobs.values() if job["status"] == "queued"]
    running = [job for job in jobs.values() if job["status"] == "running"]
    found = [("requeue", {"job_id": job["job_id"]}) for job in running if at - job["beat"] > _LOST]
    for worker in workers.values():
        if worker["job_id"] is not None:
            job = jobs.get(worker["job_id"])
            if job is None or job["worker"] != worker["worker"]:
                found.append(("release", {"worker": worker["worker"]}))
    found += [("fail", {"job_id": job["job_id"]}) for job in queued if job["attempts"] >= 5]
    free = [worker["worker"] for worker in workers.values() if worker["job_id"] is None]
    waiting = [job["job_id"] for job in queued if job["attempts"] < 5]
    found += [("dispatch", {"job_id": job, "worker": worker}) for job, worker in zip(waiting, free, strict=False)]
    calm = [job for job in jobs.values() if not job["nudged"]]
    found += [("nudge", {"job_id": job["job_id"]}) for job in calm if at - job["since"] > _SLOW]
    for kind, fields in found:
        told.append((tick, kind, fields))
        _bare_act(at, kind, fields, jobs, workers)


def _bare_act(
    at: datetime, kind: str, fields: dict[str, Any], jobs: dict[str, dict[str, Any]], workers: dict[str, dict[str, Any]]
) -> None:
    if kind == "requeue":
        jobs[fields["job_id"]].update(status="queued", worker=None)
    elif kind == "release":
        workers[fields["worker"]]["job_id"] = None
    elif kind == "fail":
        jobs[fields["job_id"]]["status"] = "failed"
    elif kind == "nudge":
        jobs[fields["job_id"]]["nudged"] = True
    else:
        job = jobs[fields["job_id"]]
        job.update(status="running", worker=fields["worker"], attempts=job["attempts"] + 1, beat=at)
        workers[fields["worker"]]["job_id"] = fields["job_id"]


def _write(out: str, case: str, told: list[Any], rows: dict[str, Any]) -> None:
    Path(out, f"{case}.json").write_text(json.dumps({"actions": told, "rows": rows}), encoding="utf-8")
