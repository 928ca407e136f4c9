"""Why a job was not checked at a moment of a replay, in the words of the policy."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, excerpt, show_time
from replaykit.systems.clawcut.audit import SETTLED, Past
from replaykit.systems.clawcut.outlook import LiveJob, live_job
from replaykit.systems.clawcut.policy import LIVE, Policy

if TYPE_CHECKING:
    from replaykit.moment import Moment
    from replaykit.replayed import Replay

__all__ = ["jobs_at", "why_not_checked"]

_JOBS = """
SELECT j.*, c.attempts, c.last_checked_at, c.last_outcome FROM ai_jobs AS j LEFT JOIN checks AS c ON c.job_id = j.id
ORDER BY coalesce(j.updated_at, TIMESTAMP '9999-12-31'), j.id
"""


def jobs_at(run: Replay, at: Any) -> tuple[LiveJob, ...]:
    """Return the jobs that were not terminal at a moment of a replay, with their outlook, oldest update first.

    Parameters
    ----------
    at
        A time, as for ``run.at``.
    """
    moment = run.at(at)
    policy, now = Policy.of(run.reconciler.params), _time_of(moment)
    return tuple(_live(row, now, policy) for row in _rows(moment) if row["status"] in LIVE)


def why_not_checked(run: Replay, job_id: Any, at: Any) -> str:
    """Return in a sentence why the pass would not have asked about a job at a moment.

    ``run.why_not("check_job", job_id=..., at=...)`` says the same by the rule's own lines and cells.

    Raises
    ------
    QueryError
        There was no such job then.
    """
    moment = run.at(at)
    policy, now = Policy.of(run.reconciler.params), _time_of(moment)
    row = next((row for row in _rows(moment) if str(row["id"]) == str(job_id)), None)
    if row is None:
        raise QueryError(
            f"There was no job {excerpt(job_id)} at {show_time(now)}; jobs_at(run, at) lists those there were."
        )
    if row["status"] not in LIVE:
        return f"Job {job_id} was not checked: it was {row['status']} at {show_time(row['updated_at'])}."
    return _live(row, now, policy).told


def _time_of(moment: Moment) -> datetime:
    assert moment.at is not None  # a moment that was asked for by time has one
    return moment.at


def _rows(moment: Moment) -> list[dict[str, Any]]:
    frame = moment.sql(_JOBS).astype(object)
    records: Any = frame.where(frame.notna(), None).to_dict("records")
    return list(records)


def _live(row: dict[str, Any], now: datetime, policy: Policy) -> LiveJob:
    for name in ("created_at", "updated_at", "last_checked_at"):
        row[name] = row[name].to_pydatetime() if row[name] is not None else None
    return live_job(row, now, policy, created_at=row["created_at"], updated_at=row["updated_at"], past=_past(row))


def _past(row: dict[str, Any]) -> Past | None:
    last, updated = row["last_checked_at"], row["updated_at"]
    if last is None or row["last_outcome"] in SETTLED or (updated is not None and last < updated):
        return None
    return Past(int(row["attempts"]), last, str(row["last_outcome"]))
