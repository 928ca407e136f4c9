"""Why a job was not checked at a moment of a replay, in the words of the policy."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, excerpt, show_time
from replaykit.systems.clawcut.audit import SETTLED, Past
from replaykit.systems.clawcut.clocks import asked_time
from replaykit.systems.clawcut.outlook import LiveJob, live_job
from replaykit.systems.clawcut.policy import LIVE, Policy

if TYPE_CHECKING:
    from replaykit.replayed import Replay

__all__ = ["jobs_at", "why_not_checked"]

_JOBS = """
SELECT j.*, c.attempts, c.last_checked_at, c.last_outcome, c.in_flight, c.in_flight_since
FROM ai_jobs AS j LEFT JOIN checks AS c ON c.job_id = j.id
ORDER BY coalesce(j.updated_at, TIMESTAMP '9999-12-31'), j.id
"""
_TIMES = ("created_at", "updated_at", "last_checked_at", "in_flight_since")


def jobs_at(run: Replay, at: Any) -> tuple[LiveJob, ...]:
    """Return the jobs that were not terminal at a moment of a replay, with their outlook, oldest update first.

    Parameters
    ----------
    at
        A time, as for ``run.at``; ages are told by it.
    """
    policy, now = Policy.of(run.reconciler.params), asked_time(run, at)
    return tuple(_live(row, now, policy) for row in _rows(run, now) if row["status"] in LIVE)


def why_not_checked(run: Replay, job_id: Any, at: Any) -> str:
    """Return in a sentence why the pass would not have asked about a job at a moment.

    ``run.why_not("check_job", job_id=..., at=...)`` says the same by the rule's own lines and cells, of the last tick.

    Raises
    ------
    QueryError
        There was no such job then.
    """
    policy, now = Policy.of(run.reconciler.params), asked_time(run, at)
    rows = _rows(run, now)
    row = next((row for row in rows if str(row["id"]) == str(job_id)), None)
    if row is None:
        raise QueryError(
            f"There was no job {excerpt(job_id)} at {show_time(now)}; jobs_at(run, at) lists those there were."
        )
    if row["status"] not in LIVE:
        return f"Job {job_id} was not checked: it was {row['status']} at {show_time(row['updated_at'])}."
    job = _live(row, now, policy)
    return (job.hints.eligible and _kept_back(row, rows, now, policy)) or job.told


def _kept_back(row: dict[str, Any], rows: list[dict[str, Any]], now: datetime, policy: Policy) -> str:
    """Return why a job that is old enough was not checked all the same; empty if it may be."""
    if _in_flight(row, now, policy):
        return f"Job {row['id']} was not checked: a check of it waits for its answer since {row['in_flight_since']}."
    older = 0
    for other in rows:
        if other["id"] == row["id"]:
            break
        eligible = other["status"] in LIVE and _live(other, now, policy).hints.eligible
        older += eligible and not _in_flight(other, now, policy)
    if older < policy.limit:
        return ""
    return f"Job {row['id']} was not checked: {older:,} older jobs come first, and a pass takes {policy.limit:,}."


def _in_flight(row: dict[str, Any], now: datetime, policy: Policy) -> bool:
    since = row["in_flight_since"]
    return bool(row["in_flight"]) and since is not None and now - since < policy.check_timeout


def _rows(run: Replay, now: datetime) -> list[dict[str, Any]]:
    frame = run.at(now).sql(_JOBS).astype(object)
    rows: Any = frame.where(frame.notna(), None).to_dict("records")
    for row in rows:
        for name in _TIMES:
            row[name] = row[name].to_pydatetime() if row[name] is not None else None
    return list(rows)


def _live(row: dict[str, Any], now: datetime, policy: Policy) -> LiveJob:
    return live_job(row, now, policy, created_at=row["created_at"], updated_at=row["updated_at"], past=_past(row))


def _past(row: dict[str, Any]) -> Past | None:
    last, updated = row["last_checked_at"], row["updated_at"]
    if last is None or row["last_outcome"] in SETTLED or (updated is not None and last < updated):
        return None
    return Past(int(row["attempts"]), last, str(row["last_outcome"]))
