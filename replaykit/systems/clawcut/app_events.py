"""The events of a recording: audit events by their fields, and what has to be made beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from replaykit.systems.clawcut.audit import CHECKED, SETTLED, AuditEvent
from replaykit.systems.clawcut.evidence import CREATED, POLLED, SUBMITTED, ZERO, Evidence, together
from replaykit.systems.clawcut.policy import LIVE, TERMINAL
from replaykit.systems.clawcut.tables import JOB_ID
from replaykit.systems.clawcut.times import read_time

if TYPE_CHECKING:
    from datetime import datetime

    from replaykit.systems.clawcut.schema import Job

__all__ = ["EVENT_COLUMNS", "event_rows"]

EVENT_COLUMNS = {
    "event_id": "VARCHAR",
    "at": "TIMESTAMP",
    "kind": "VARCHAR",
    "job_id": JOB_ID,
    "actor": "VARCHAR",
    "job_kind": "VARCHAR",
    "provider": "VARCHAR",
    "status": "VARCHAR",
    "has_provider_id": "BOOLEAN",
    "outcome": "VARCHAR",
    "applied": "BOOLEAN",
    "automatic": "BOOLEAN",
    "asked_at": "TIMESTAMP",
    "created_at": "TIMESTAMP",
    "updated_at": "TIMESTAMP",
    "writes": "BOOLEAN",
    "dry_run": "BOOLEAN",
    "scanned": "BIGINT",
    "eligible": "BIGINT",
    "reconciled": "BIGINT",
    "skip_reason": "VARCHAR",
    "metadata_unreadable": "BOOLEAN",
    "derived": "BOOLEAN",
}
"""Columns of the recording's events and their types."""


def event_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """Return one row for each event, with all of `EVENT_COLUMNS`, by time; those without a time come first."""
    made = [
        *_created(evidence),
        *_audited(evidence),
        *_submitted(evidence),
        *_ended(evidence),
        *_heard_of(evidence),
        *_logged(evidence),
    ]
    rows = [{**dict.fromkeys(EVENT_COLUMNS), "derived": False, "metadata_unreadable": False, **row} for row in made]
    rows.sort(key=lambda row: row["at"] or ZERO)
    _as_rows_say(rows, evidence)
    return rows


def _audited(evidence: Evidence) -> Iterator[dict[str, Any]]:
    for event, metadata in evidence.told:
        job_id = evidence.job_of(event)
        asked_at = event.details.get("asked_at")
        if event.kind == CHECKED and asked_at is not None and event.at is not None and asked_at <= event.at:
            yield {
                "event_id": f"{event.id}: asked",
                "at": asked_at,
                "kind": "check_started",
                "job_id": job_id,
                "derived": True,
            }
        yield _row(event, evidence.by_id.get(job_id), metadata) | {"writes": evidence.writes(event)}


def _row(event: AuditEvent, job: Job | None, metadata: dict[str, Any]) -> dict[str, Any]:
    row = {name: event.details[name] for name in event.details if name in EVENT_COLUMNS}
    row |= {"event_id": str(event.id), "at": event.at, "kind": event.kind, "actor": event.actor}
    row |= {"job_id": None if job is None else job.id, "metadata_unreadable": event.metadata_unreadable}
    if job is not None and event.kind == CREATED:
        row |= {"job_kind": job.kind, "provider": job.provider}
    if job is not None and event.kind == SUBMITTED:
        row["has_provider_id"] = bool(metadata.get("provider_job_id", job.has_provider_id))
    if event.kind == CHECKED:
        row.setdefault("applied", event.details.get("outcome") in SETTLED)
        row.setdefault("automatic", event.actor not in ("operator", "user"))
    return row


def _created(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Yield job_created for jobs whose creation no event tells."""
    for job in evidence.jobs:
        if CREATED not in evidence.kinds_of(job.id):
            yield _derived(job, CREATED, evidence.created_at(job))


def _submitted(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Yield submitted for jobs that have a provider id, and no event tells since when: from the beginning on."""
    for job in evidence.jobs:
        if job.has_provider_id and SUBMITTED not in evidence.kinds_of(job.id):
            yield _derived(job, SUBMITTED, evidence.created_at(job)) | {"has_provider_id": True}


def _ended(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Yield the ending of jobs that have ended, and no event tells of it."""
    for job in evidence.jobs:
        if job.status in TERMINAL and job.status not in evidence.kinds_of(job.id):
            updated = read_time(job.updated_at)
            times = [one for one in (updated, evidence.written_at(job.id), evidence.created_at(job)) if one is not None]
            yield _derived(job, job.status, max(times)) | {"updated_at": updated}


def _heard_of(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Yield status_polled where the row of a live job was written after its last event: the app heard of it."""
    for job in evidence.jobs:
        updated, written = read_time(job.updated_at), evidence.written_at(job.id) or evidence.created_at(job)
        if job.status in LIVE and updated is not None and updated > written and not together(updated, written):
            yield _derived(job, POLLED, updated) | {"status": job.status, "writes": True}


def _derived(job: Job, kind: str, at: datetime) -> dict[str, Any]:
    return {
        "event_id": f"job {job.id}: {kind}",
        "at": at,
        "kind": kind,
        "job_id": job.id,
        "job_kind": job.kind,
        "provider": job.provider,
        "derived": True,
    }


def _logged(evidence: Evidence) -> Iterator[dict[str, Any]]:
    for number, (job_id, logged) in enumerate(evidence.logged):
        if job_id is None:
            continue
        row = {"event_id": f"provider {number}: accepted", "at": logged.known_at, "job_id": job_id}
        yield row | {"kind": "provider_accepted"}
        if logged.outcome is not None:
            ended = {"event_id": f"provider {number}: finished", "at": logged.ended_at, "outcome": logged.outcome}
            yield row | ended | {"kind": "provider_finished"}


def _as_rows_say(rows: list[dict[str, Any]], evidence: Evidence) -> None:
    """Give a job's first and last event what its row says of them, where an app's clock was read once for each.

    The row is what the last event wrote: its exact time, and a status that the event itself does not tell.
    """
    first, last = _first_and_last(rows)
    for job in evidence.jobs:
        created, updated = read_time(job.created_at), read_time(job.updated_at)
        if job.id in first and together(created, first[job.id]["at"]):
            first[job.id]["created_at"] = created
        if job.id in last and together(updated, last[job.id]["at"]):
            last[job.id]["updated_at"] = updated
            if last[job.id]["kind"] in (CREATED, SUBMITTED, POLLED) and job.status in LIVE:
                last[job.id]["status"] = last[job.id]["status"] or job.status


def _first_and_last(rows: list[dict[str, Any]]) -> tuple[dict[Any, dict[str, Any]], dict[Any, dict[str, Any]]]:
    """Return by job the event that created it and the last one that wrote its row."""
    dated = [row for row in rows if row["at"] is not None]
    first = {row["job_id"]: row for row in reversed(dated) if row["kind"] == CREATED}
    last = {row["job_id"]: row for row in dated if row["writes"] or row["kind"] == CREATED}
    return first, last
