"""The workload all replay benchmarks share: jobs that are submitted, started, make progress, and end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

import replaykit as rk

__all__ = ["COLUMNS", "KEY", "ROLES", "by_handlers", "by_projections", "write_events"]

KEY = "job_id"
COLUMNS = {
    "job_id": "VARCHAR",
    "status": "VARCHAR",
    "worker": "VARCHAR",
    "attempts": "BIGINT",
    "progress": "DOUBLE",
    "message": "VARCHAR",
    "submitted_at": "TIMESTAMP",
    "updated_at": "TIMESTAMP",
}

ROLES: dict[str, Any] = {"time": "created_at", "kind": "event_type", "id": "event_id", "payload": "payload"}

_EVENTS = """
COPY (
    WITH placed AS (
        SELECT i, CASE WHEN i < $rows THEN i ELSE (hash(i) % $rows)::BIGINT END AS job FROM range($events) numbers(i)
    ), counted AS (
        SELECT i, job, row_number() OVER (PARTITION BY job ORDER BY i) - 2 AS turn FROM placed
    ), named AS (
        SELECT i, turn, 'job-' || lpad(job::VARCHAR, 6, '0') AS job_id,
            CASE WHEN turn < 0 THEN 'submitted' WHEN turn % 8 = 0 THEN 'started' WHEN turn % 8 < 7 THEN 'progress'
                WHEN turn % 24 = 7 THEN 'failed' ELSE 'done' END AS kind
        FROM counted
    )
    SELECT TIMESTAMP '2026-03-26 06:00:00' + to_microseconds(i * 37000) AS created_at, kind AS event_type,
        'ev-' || i AS event_id, job_id,
        CASE kind
            WHEN 'submitted' THEN json_object('queue', 'q-' || i % 7)
            WHEN 'started' THEN json_object('worker', 'worker-' || i % 97, 'attempt', turn // 8 + 1)
            WHEN 'progress' THEN json_object('percent', (turn % 8) * 12.5::DOUBLE, 'step', i % 1000)
            WHEN 'done' THEN json_object('percent', 100.0::DOUBLE, 'message', 'wrote ' || i % 5000 || ' rows')
            ELSE json_object('message', 'exit code ' || i % 5, 'retry', true)
        END AS payload
    FROM named ORDER BY i
) TO '{path}' (FORMAT parquet)
"""


def write_events(path: Path, events: int, rows: int) -> None:
    """Write a Parquet file of `events` events on `rows` jobs: each job is submitted once, then lives in cycles of 8.

    First all jobs are submitted, then each event names one of them by a hash, so that neighbours rarely touch one row.
    """
    with duckdb.connect() as connection:
        connection.execute(_EVENTS.format(path=str(path).replace("'", "''")), {"events": events, "rows": rows})


def _jobs() -> rk.Reconciler:
    return rk.Reconciler("jobs", tables={"jobs": rk.Table(KEY, COLUMNS)})


def by_handlers() -> rk.Reconciler:
    """Return the rules as Python handlers, written as a user would write them."""
    jobs = _jobs()

    @jobs.apply("submitted")
    def submitted(state: Any, event: Any) -> None:
        at = event.occurred_at
        state["jobs"].insert({"job_id": event["job_id"], "status": "queued", "submitted_at": at, "updated_at": at})

    @jobs.apply("started")
    def started(state: Any, event: Any) -> None:
        found = event.payload
        state["jobs"].update(
            event["job_id"],
            status="running",
            worker=found["worker"],
            attempts=found["attempt"],
            updated_at=event.occurred_at,
        )

    @jobs.apply("progress")
    def progress(state: Any, event: Any) -> None:
        state["jobs"].update(event["job_id"], progress=event.payload["percent"], updated_at=event.occurred_at)

    @jobs.apply("done")
    def done(state: Any, event: Any) -> None:
        found = event.payload
        state["jobs"].update(
            event["job_id"],
            status="done",
            progress=found["percent"],
            message=found["message"],
            updated_at=event.occurred_at,
        )

    @jobs.apply("failed")
    def failed(state: Any, event: Any) -> None:
        state["jobs"].update(
            event["job_id"], status="failed", message=event.payload["message"], updated_at=event.occurred_at
        )

    return jobs


_PROJECTIONS = {
    "submitted": "'queued' AS status, occurred_at AS submitted_at",
    "started": "'running' AS status, payload->>'$.worker' AS worker, (payload->>'$.attempt')::BIGINT AS attempts",
    "progress": "(payload->>'$.percent')::DOUBLE AS progress",
    "done": "'done' AS status, (payload->>'$.percent')::DOUBLE AS progress, payload->>'$.message' AS message",
    "failed": "'failed' AS status, payload->>'$.message' AS message",
}


def by_projections() -> rk.Reconciler:
    """Return the same rules as SQL projections, one for each kind of event."""
    jobs = _jobs()
    for kind, columns in _PROJECTIONS.items():
        query = f"SELECT step, job_id, {columns}, occurred_at AS updated_at FROM events WHERE kind = '{kind}'"
        jobs.project("jobs", query)
    return jobs
