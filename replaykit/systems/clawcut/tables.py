"""The state tables of a replay: the app's jobs without their secrets, and what past events say about them."""

from __future__ import annotations

from replaykit.declarations import Table

__all__ = ["JOB_COLUMNS", "JOB_ID", "TABLES"]

JOB_ID = "ai_jobs.id"
"""The type of job ids: whole numbers or text, as the app has them."""

JOB_COLUMNS = {
    "id": JOB_ID,
    "kind": "VARCHAR",
    "provider": "VARCHAR",
    "status": "VARCHAR",
    "has_provider_id": "BOOLEAN",
    "created_at": "TIMESTAMP",
    "updated_at": "TIMESTAMP",
}

TABLES = {
    "ai_jobs": Table(key="id"),  # columns as `open` lays them into every snapshot
    "checks": Table(
        key="job_id",
        columns={
            "job_id": JOB_ID,
            "attempts": "BIGINT",
            "last_checked_at": "TIMESTAMP",
            "last_outcome": "VARCHAR",
            "in_flight": "BIGINT",
            "in_flight_since": "TIMESTAMP",
            "fresh_check_at": "TIMESTAMP",
        },
        defaults={"attempts": 0, "in_flight": 0},
    ),
    "endings": Table(
        key="job_id",
        columns={"job_id": JOB_ID, "status": "VARCHAR", "ended_at": "TIMESTAMP", "went_back_at": "TIMESTAMP"},
    ),
    "provider_jobs": Table(
        key="job_id",
        columns={"job_id": JOB_ID, "known_at": "TIMESTAMP", "outcome": "VARCHAR", "finished_at": "TIMESTAMP"},
    ),
    "polls": Table(key="job_id", columns={"job_id": JOB_ID, "polled_at": "TIMESTAMP"}),
    "restarts": Table(key="restart_id", columns={"restart_id": "VARCHAR", "restarted_at": "TIMESTAMP"}),
    "passes": Table(
        key="pass_id",
        columns={
            "pass_id": "VARCHAR",
            "ran_at": "TIMESTAMP",
            "dry_run": "BOOLEAN",
            "scanned": "BIGINT",
            "eligible": "BIGINT",
            "reconciled": "BIGINT",
            "skip_reason": "VARCHAR",
        },
    ),
}
