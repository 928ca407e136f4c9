"""The events of a recording: audit events by their fields, and what has to be made beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.display import count
from replaykit.systems.clawcut.audit import CHECKED, SETTLED, AuditEvent, metadata_of, read_entry
from replaykit.systems.clawcut.policy import LIVE, TERMINAL
from replaykit.systems.clawcut.tables import JOB_ID
from replaykit.systems.clawcut.times import read_time

if TYPE_CHECKING:
    from replaykit.systems.clawcut.provider_log import Finished
    from replaykit.systems.clawcut.schema import Entry, Job

__all__ = ["EVENT_COLUMNS", "Evidence", "event_rows"]

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
    "dry_run": "BOOLEAN",
    "scanned": "BIGINT",
    "eligible": "BIGINT",
    "reconciled": "BIGINT",
    "skip_reason": "VARCHAR",
    "metadata_unreadable": "BOOLEAN",
    "derived": "BOOLEAN",
}
"""Columns of the recording's events and their types."""

_ZERO = datetime(1970, 1, 1)
_APART = timedelta(seconds=2)
_CREATED = "job_created"
_PROGRESS = ("submitted", "status_polled")
_WRITE = (_CREATED, *_PROGRESS, *TERMINAL)


@dataclass
class Evidence:
    """What an app's database holds about its jobs, and what the provider's log adds."""

    jobs: list[Job]
    audit: list[Entry]
    """In order of time."""
    ends: list[tuple[Any, Finished]] = field(default_factory=list)
    """Job id, None for a provider's job that the app does not know, and how it ended at the provider."""

    def __post_init__(self) -> None:
        self.known: dict[str, Any] = {str(job.id): job.id for job in self.jobs}
        """Text of a job's id to the id itself: metadata may have one as the other."""
        self.by_id = {job.id: job for job in self.jobs}
        self.told = [(read_entry(entry), metadata_of(entry.metadata) or {}) for entry in self.audit]

        self.first: dict[Any, datetime] = {}
        """Job to the time of its first event."""
        for event, _ in self.told:
            if event.at is not None and event.job_id is not None:
                self.first.setdefault(self.job_of(event), event.at)

    def jobs_with(self, kind: str) -> set[Any]:
        """Return the jobs of which an event of this kind tells."""
        return {self.job_of(event) for event, _ in self.told if event.kind == kind and event.at is not None}

    def job_of(self, event: AuditEvent) -> Any:
        """Return the id of the job an audit event names, as the job's row has it; None if there is no such job."""
        return self.known.get(str(event.job_id))

    def span(self, times: Iterable[datetime]) -> tuple[datetime, datetime]:
        """Return the oldest and the newest time of events; where there is none, of what rows say."""
        rows = [read_time(one) for job in self.jobs for one in (job.created_at, job.updated_at)]
        found = [*times] or [one for one in rows if one is not None] or [_ZERO]
        return min(found), max(found)

    def note(self, events: list[dict[str, Any]]) -> str:
        """How the app was read, for the recording's report."""
        derived = sum(bool(event["derived"]) for event in events)
        unreadable = sum(event.metadata_unreadable for event, _ in self.told)
        strange = sum(event.job_id is not None and self.job_of(event) is None for event, _ in self.told)
        unknown = sum(job_id is None for job_id, _ in self.ends)
        told = [f"The app has {count(len(self.jobs), 'job')} and {count(len(self.audit), 'audit event')}"]
        told += [f"{count(derived, 'event')} made beside them"] if derived else []
        told += [f"{count(unreadable, 'event')} with metadata that can't be read"] if unreadable else []
        told += [f"{count(strange, 'event')} of jobs that have no row"] if strange else []
        told += [f"{count(unknown, 'job')} that only the provider knows"] if unknown else []
        return "; ".join(told) + "."


def event_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """Return one row for each event, with all of `EVENT_COLUMNS`, by time; those without a time come first."""
    made = [*_created(evidence), *_audited(evidence), *_submitted(evidence), *_silent(evidence), *_ended(evidence)]
    rows = [{**dict.fromkeys(EVENT_COLUMNS), "derived": False, "metadata_unreadable": False, **row} for row in made]
    rows.sort(key=lambda row: row["at"] or _ZERO)
    _as_rows_say(rows, evidence)
    return rows


def _as_rows_say(rows: list[dict[str, Any]], evidence: Evidence) -> None:
    """Give a job's first and last event what its row says of them, where an app's clock was read once for each.

    The row is what the last event wrote: its exact time, and a status that the event itself does not tell.
    """
    first, last = _first_and_last(rows)
    for job in evidence.jobs:
        created, updated = read_time(job.created_at), read_time(job.updated_at)
        if job.id in first and _together(created, first[job.id]["at"]):
            first[job.id]["created_at"] = created
        if job.id in last and _together(updated, last[job.id]["at"]):
            last[job.id]["updated_at"] = updated
            if last[job.id]["kind"] in _PROGRESS and job.status in LIVE:
                last[job.id]["status"] = last[job.id]["status"] or job.status


def _first_and_last(rows: list[dict[str, Any]]) -> tuple[dict[Any, dict[str, Any]], dict[Any, dict[str, Any]]]:
    """Return by job the event that created it and the last one that wrote its row."""
    dated = [row for row in rows if row["at"] is not None]
    first = {row["job_id"]: row for row in reversed(dated) if row["kind"] == _CREATED}
    last = {row["job_id"]: row for row in dated if row["kind"] in _WRITE or (row["kind"] == CHECKED and row["applied"])}
    return first, last


def _together(one: datetime | None, other: datetime) -> bool:
    return one is not None and abs(one - other) <= _APART


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
        yield _row(event, job_id, evidence.by_id.get(job_id), metadata)


def _row(event: AuditEvent, job_id: Any, job: Job | None, metadata: dict[str, Any]) -> dict[str, Any]:
    row = {name: event.details[name] for name in event.details if name in EVENT_COLUMNS}
    row |= {"event_id": str(event.id), "at": event.at, "kind": event.kind, "job_id": job_id, "actor": event.actor}
    row["metadata_unreadable"] = event.metadata_unreadable
    if job is not None and event.kind == _CREATED:
        row |= {"job_kind": job.kind, "provider": job.provider}
    if job is not None and event.kind == "submitted":
        row["has_provider_id"] = bool(metadata.get("provider_job_id", job.has_provider_id))
    if event.kind == CHECKED:
        row.setdefault("applied", event.details.get("outcome") in SETTLED)
        row.setdefault("automatic", event.actor not in ("operator", "user"))
    return row


def _created(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Yield job_created for jobs whose creation no event tells."""
    told = evidence.jobs_with(_CREATED)
    for job in evidence.jobs:
        if job.id not in told:
            known = [one for one in (read_time(job.created_at), evidence.first.get(job.id)) if one is not None]
            yield _derived(job, _CREATED, min(known) if known else _before(evidence))


def _submitted(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Yield submitted for jobs that have a provider id, and no event tells since when: from the beginning on."""
    told = evidence.jobs_with("submitted")
    for job in evidence.jobs:
        if job.has_provider_id and job.id not in told:
            at = evidence.first.get(job.id) or read_time(job.created_at) or _before(evidence)
            yield _derived(job, "submitted", at) | {"has_provider_id": True, "status": "queued"}


def _before(evidence: Evidence) -> datetime:
    return min((event.at for event, _ in evidence.told if event.at is not None), default=_ZERO)


def _silent(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Yield what the row says last, for jobs of which no event tells anything."""
    for job in evidence.jobs:
        at = read_time(job.updated_at)
        if job.id not in evidence.first and at is not None and job.status in (*LIVE, *TERMINAL):
            kind = job.status if job.status in TERMINAL else "status_polled"
            yield _derived(job, kind, at) | {"status": job.status}


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


def _ended(evidence: Evidence) -> Iterator[dict[str, Any]]:
    for number, (job_id, end) in enumerate(evidence.ends):
        if job_id is not None:
            yield {
                "event_id": f"provider {number}",
                "at": end.at,
                "kind": "provider_finished",
                "job_id": job_id,
                "outcome": end.outcome,
                "derived": False,
            }
