"""Evidence: what an app's tables say about its jobs, found by job; and what the app's habits are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.display import count
from replaykit.systems.clawcut.audit import CHECKED, SETTLED, AuditEvent, metadata_of, read_entry
from replaykit.systems.clawcut.policy import LIVE, TERMINAL
from replaykit.systems.clawcut.times import read_time

if TYPE_CHECKING:
    from replaykit.systems.clawcut.provider_log import LoggedJob
    from replaykit.systems.clawcut.schema import Entry, Job

__all__ = ["CREATED", "POLLED", "SUBMITTED", "ZERO", "Evidence", "together"]

CREATED, SUBMITTED, POLLED = "job_created", "submitted", "status_polled"
ZERO = datetime(1970, 1, 1)
"""Before any other time: of what has none."""
_APART = timedelta(seconds=2)


@dataclass
class Evidence:
    """What an app's database holds about its jobs, and what the provider's log adds."""

    jobs: list[Job]
    audit: list[Entry]
    """In order of time."""
    logged: list[tuple[Any, LoggedJob]] = field(default_factory=list)
    """Job id, None for a provider's job that the app does not know, and what the log says of it."""

    def __post_init__(self) -> None:
        self.nameless = sum(job.id is None for job in self.jobs)
        self.jobs = [job for job in self.jobs if job.id is not None]
        self.known: dict[str, Any] = {str(job.id): job.id for job in self.jobs}
        """Text of a job's id to the id itself: metadata may have one as the other."""
        self.by_id = {job.id: job for job in self.jobs}
        self.told = [(read_entry(entry), metadata_of(entry.metadata) or {}) for entry in self.audit]
        self.of_job: dict[Any, list[AuditEvent]] = {}
        """Job to its events in order of time; those without a time are left out."""
        for event, _ in self.told:
            if event.at is not None and self.job_of(event) is not None:
                self.of_job.setdefault(self.job_of(event), []).append(event)
        self.polls_write = self._polls_write()
        """Whether the app writes into a job's row when it polls: told by the rows of jobs it polled last."""

    def _polls_write(self) -> bool:
        votes = 0
        for job in self.jobs:
            events, updated = self.of_job.get(job.id, []), read_time(job.updated_at)
            last = next((event for event in reversed(events) if event.kind != CHECKED), None)
            if job.status in LIVE and updated is not None and last is not None and last.kind == POLLED:
                votes += 1 if together(updated, last.at) else -1 if updated < (last.at or updated) else 0
        return votes >= 0

    def job_of(self, event: AuditEvent) -> Any:
        """Return the id of the job an audit event names, as the job's row has it; None if there is no such job."""
        return None if event.job_id is None else self.known.get(str(event.job_id))

    def kinds_of(self, job_id: Any) -> set[str]:
        """Return the kinds of a job's events; a check that settled it counts as its outcome."""
        events = self.of_job.get(job_id, [])
        settled = (str(event.details["outcome"]) for event in events if is_settling(event))
        return {event.kind for event in events} | set(settled)

    def created_at(self, job: Job) -> datetime:
        """Return when a job began: by its event, else by its row, and not after its first event."""
        events = self.of_job.get(job.id, [])
        told = next((event.at for event in events if event.kind == CREATED), None)
        times = [read_time(job.created_at), events[0].at if events else None]
        known = [one for one in times if one is not None]
        return told or (min(known) if known else self._beginning())

    def written_at(self, job_id: Any) -> datetime | None:
        """Return when an event last wrote a job's row; None if none did."""
        events = self.of_job.get(job_id, [])
        return max((event.at for event in events if self.writes(event) and event.at is not None), default=None)

    def writes(self, event: AuditEvent) -> bool:
        """Return whether the app, or a check, writes a job's row with an event."""
        if event.kind == POLLED:
            return self.polls_write
        return event.kind in (CREATED, SUBMITTED, *TERMINAL) or is_settling(event)

    def _beginning(self) -> datetime:
        return min((event.at for event, _ in self.told if event.at is not None), default=ZERO)

    def span(self, times: Iterable[datetime]) -> tuple[datetime, datetime]:
        """Return the oldest and the newest time of events; where there is none, of what rows say."""
        rows = [read_time(one) for job in self.jobs for one in (job.created_at, job.updated_at)]
        found = [*times] or [one for one in rows if one is not None] or [ZERO]
        return min(found), max(found)

    def note(self, derived: int) -> str:
        """How the app was read, for the recording's report; `derived` is how many events were made."""
        counts = {
            "event made out of rows, which no verdict can doubt": derived,
            "event with metadata that can't be read": sum(event.metadata_unreadable for event, _ in self.told),
            "event of a job that has no row": sum(self._is_strange(event) for event, _ in self.told),
            "row without an id": self.nameless,
            "job that only the provider knows": sum(job_id is None for job_id, _ in self.logged),
        }
        told = [f"The app has {count(len(self.jobs), 'job')} and {count(len(self.audit), 'audit event')}"]
        told += [f"{number:,} x {what}" for what, number in counts.items() if number]
        told += [] if self.polls_write else ["its polls do not write into the rows"]
        return "; ".join(told) + "."

    def _is_strange(self, event: AuditEvent) -> bool:
        return event.job_id is not None and self.job_of(event) is None


def is_settling(event: AuditEvent) -> bool:
    """Return whether an event is a check that ended its job."""
    outcome = event.details.get("outcome")
    return event.kind == CHECKED and outcome in SETTLED and bool(event.details.get("applied", True))


def together(one: datetime | None, other: datetime | None) -> bool:
    """Return whether two times are one instant of an app that read its clock twice: at most 2 s apart."""
    return one is not None and other is not None and abs(one - other) <= _APART
