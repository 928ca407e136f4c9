"""Candidates: the jobs that can be asked about, how stale each is, and what was tried before."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from replaykit.systems.clawcut.audit import CHECKED, Past, job_of, metadata_of, past_checks, read_entry
from replaykit.systems.clawcut.policy import Hints, Policy, hints, is_candidate
from replaykit.systems.clawcut.schema import ONLY_LIVE, Job, entries, has_rowid, jobs
from replaykit.systems.clawcut.times import read_time

__all__ = ["Candidate", "checked_since", "find_candidates", "find_job", "newest_event"]


@dataclass(frozen=True)
class Candidate:
    """A job as it was seen at a moment, without its secrets."""

    job: Job
    hints: Hints
    newest_event: int
    """The rowid of the newest audit event at that moment, after which what is checked later comes; where there are no
    rowids, how many checks of this job there were."""
    last_outcome: str | None = None
    """What the last check since the job changed came to; None if there was none."""


def find_candidates(connection: sqlite3.Connection, now: datetime, policy: Policy) -> list[Candidate]:
    """Return the jobs that can be asked about, oldest updated first; those of an unknown age last."""
    found = [job for job in jobs(connection, *ONLY_LIVE) if is_candidate(job._asdict(), policy)]
    seen = _seen(connection, found, now, policy)
    return sorted(seen, key=lambda one: (one.hints.age is None, read_time(one.job.updated_at) or now))


def find_job(connection: sqlite3.Connection, job_id: Any, now: datetime, policy: Policy) -> Candidate | None:
    """Return one job, whatever its kind and status; None if there is none with that id."""
    try:
        found = list(jobs(connection, "WHERE id = ?", (job_id,)))
    except (OverflowError, UnicodeEncodeError, sqlite3.ProgrammingError, sqlite3.InterfaceError):
        return None  # no id of SQLite
    return _seen(connection, found, now, policy)[0] if found else None


def _seen(connection: sqlite3.Connection, found: list[Job], now: datetime, policy: Policy) -> list[Candidate]:
    checks = [read_entry(entry) for entry in entries(connection, (CHECKED,))]
    past = past_checks(checks, {job.id: read_time(job.updated_at) for job in found})
    if has_rowid(connection):
        newest = newest_event(connection)
        return [_candidate(job, past.get(job.id), newest, now, policy) for job in found]
    named = Counter(str(check.job_id) for check in checks)
    return [_candidate(job, past.get(job.id), named[str(job.id)], now, policy) for job in found]


def _candidate(job: Job, past: Past | None, newest: int, now: datetime, policy: Policy) -> Candidate:
    earlier = past._asdict() if past is not None else {}
    return Candidate(job, hints(job.updated_at, now, policy, **earlier), newest, earlier.get("last_outcome"))


def newest_event(connection: sqlite3.Connection) -> int:
    """Return the rowid of the newest audit event; 0 if there is none."""
    (newest,) = connection.execute("SELECT coalesce(max(rowid), 0) FROM audit_events").fetchone()
    return int(newest)


def checked_since(connection: sqlite3.Connection, seen: Candidate) -> bool:
    """Return whether a job was checked by somebody after it was seen."""
    numbered = has_rowid(connection)
    query = f"SELECT metadata FROM audit_events WHERE kind = ? {'AND rowid > ?' if numbered else ''}"
    bound = (CHECKED, seen.newest_event) if numbered else (CHECKED,)
    told = (metadata_of(metadata) for (metadata,) in connection.execute(query, bound))
    named = sum(str(job_of(metadata or {})) == str(seen.job.id) for metadata in told)
    return named > (0 if numbered else seen.newest_event)
