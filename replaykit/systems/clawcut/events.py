"""What each event does to the state: the app's own writes, and what checks and passes leave behind."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.systems.clawcut.audit import SETTLED
from replaykit.systems.clawcut.policy import LIVE, TERMINAL, UNANSWERED
from replaykit.systems.clawcut.reconciler import reconciler

if TYPE_CHECKING:
    from replaykit.rows import Row
    from replaykit.state import State

__all__ = ["count_check", "set_job"]


@reconciler.apply("job_created")
def job_created(state: State, event: Any) -> None:
    """Insert the job; one whose row is there already is left as it is."""
    if event["job_id"] is not None and state["ai_jobs"].get(event["job_id"]) is None:
        state["ai_jobs"].insert(
            {
                "id": event["job_id"],
                "kind": event["job_kind"],
                "provider": event["provider"],
                "status": event["status"] if event["status"] in LIVE else "queued",
                "has_provider_id": False,
                "created_at": event["created_at"] or event.occurred_at,
                "updated_at": _written_at(event),
            }
        )


@reconciler.apply("submitted")
def submitted(state: State, event: Any) -> None:
    """Note that the provider accepted the job, if it gave an id; an event that was made up says no more than that."""
    if event["derived"]:
        state["ai_jobs"].update(event["job_id"], has_provider_id=event["has_provider_id"])
        return
    status = event["status"] if event["status"] in LIVE else "pending"
    set_job(state, event["job_id"], _written_at(event), status=status, has_provider_id=event["has_provider_id"])


@reconciler.apply("status_polled")
def status_polled(state: State, event: Any) -> None:
    """Note a sign of life: the app has asked about the job. Not every app writes into the row when it asks."""
    if event["job_id"] is None or state["ai_jobs"].get(event["job_id"]) is None:
        return
    if event["writes"] is False:
        state["polls"].upsert(job_id=event["job_id"], polled_at=event.occurred_at)
        return
    status = {"status": event["status"]} if event["status"] in LIVE else {}
    set_job(state, event["job_id"], _written_at(event), **status)


@reconciler.apply("completed", "failed", "cancelled")
def ended(state: State, event: Any) -> None:
    """End the job."""
    set_job(state, event["job_id"], _written_at(event), status=event.kind)


@reconciler.apply("app_restarted")
def app_restarted(state: State, event: Any) -> None:
    """Note when the app began again: what was asking about jobs before is gone."""
    state["restarts"].insert(restart_id=event.id, restarted_at=event.occurred_at)


@reconciler.apply("check_started")
def check_started(state: State, event: Any) -> None:
    """Count a check that waits for its answer."""
    if event["job_id"] is None:
        return
    check = _check(state, event["job_id"])
    state["checks"].update(check["job_id"], in_flight=check["in_flight"] + 1, in_flight_since=event.occurred_at)


@reconciler.apply("reconcile_checked")
def reconcile_checked(state: State, event: Any) -> None:
    """Note a check that has its answer, and what it wrote into the job; one that names no job can't be counted."""
    if event["job_id"] is None:
        return
    asked_at = event["asked_at"] if event["asked_at"] is not None else event.occurred_at
    count_check(state, event["job_id"], event["outcome"], asked_at, event.occurred_at, event["automatic"])
    if event["outcome"] in SETTLED and event["applied"]:
        set_job(state, event["job_id"], _written_at(event), status=event["outcome"])


@reconciler.apply("pass_ran")
def pass_ran(state: State, event: Any) -> None:
    """Keep what a pass said of itself."""
    names = ("dry_run", "scanned", "eligible", "reconciled", "skip_reason")
    state["passes"].insert({"pass_id": event.id, "ran_at": event.occurred_at, **{name: event[name] for name in names}})


@reconciler.apply("provider_accepted")
def provider_accepted(state: State, event: Any) -> None:
    """Note that the provider's own log knows the job."""
    state["provider_jobs"].insert(job_id=event["job_id"], known_at=event.occurred_at)


@reconciler.apply("provider_finished")
def provider_finished(state: State, event: Any) -> None:
    """Note what the provider's own log says; the app does not know it yet."""
    state["provider_jobs"].update(event["job_id"], outcome=event["outcome"], finished_at=event.occurred_at)


def _written_at(event: Any) -> datetime:
    """Return what the app wrote as updated_at: its clock may have been read a moment before or after the event's."""
    written: datetime = event["updated_at"] or event.occurred_at
    return written


def set_job(state: State, job_id: Any, at: datetime, **columns: Any) -> None:
    """Write into a job as the app does, its updated_at with it, and note its end or its return from one."""
    job = state["ai_jobs"].get(job_id) if job_id is not None else None
    if job is None:
        return
    before, after = job["status"], columns.get("status", job["status"])
    state["ai_jobs"].update(job_id, **columns, updated_at=at)
    if after in TERMINAL and before not in TERMINAL:
        _end(state, job_id, after, at)
    elif before in TERMINAL and after not in TERMINAL:
        state["endings"].update(job_id, went_back_at=at)


def _end(state: State, job_id: Any, status: str, at: datetime) -> None:
    if state["endings"].get(job_id) is None:
        state["endings"].insert({"job_id": job_id, "status": status, "ended_at": at})
    else:
        state["endings"].update(job_id, status=status, ended_at=at)


def count_check(
    state: State, job_id: Any, outcome: str | None, asked_at: datetime, at: datetime, automatic: bool | None
) -> None:
    """Count a check towards the job's backoff; one that was automatic, of a fresh job, is noted as such."""
    check, job = _check(state, job_id), state["ai_jobs"].get(job_id)
    updated = job["updated_at"] if job is not None else None
    counts: dict[str, Any] = {"in_flight": max(check["in_flight"] - 1, 0), "last_outcome": outcome}
    moved = check["last_checked_at"] is not None and updated is not None and updated > check["last_checked_at"]
    counts["attempts"] = (0 if moved else check["attempts"]) + (outcome not in UNANSWERED)
    if automatic and updated is not None and asked_at - updated < state.params["fresh_for"]:
        counts["fresh_check_at"] = asked_at
    state["checks"].update(job_id, **counts, last_checked_at=at)


def _check(state: State, job_id: Any) -> Row:
    if state["checks"].get(job_id) is None:
        state["checks"].insert(job_id=job_id)
    row: Row = state["checks"][job_id]
    return row
