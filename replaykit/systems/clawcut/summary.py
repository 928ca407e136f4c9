"""Summary: how an app's jobs stand at a moment, in values that hold nothing secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from numbers import Integral
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from replaykit.display import brief
from replaykit.errors import OperationError, show_time
from replaykit.systems.clawcut.audit import CHECKED, PASSED, AuditEvent, Past, past_checks, read_entry
from replaykit.systems.clawcut.clocks import moment
from replaykit.systems.clawcut.database import read
from replaykit.systems.clawcut.outlook import CHECKED_LATER, COLUMNS, HEALS, PERSON, LiveJob, live_job
from replaykit.systems.clawcut.policy import LIVE, Policy
from replaykit.systems.clawcut.schema import ONLY_LIVE, Job, entries, jobs, status_word
from replaykit.systems.clawcut.times import read_time

if TYPE_CHECKING:
    import os
    import sqlite3

    import pandas as pd

__all__ = ["Summary", "live_jobs", "summary"]

_LAST = datetime.max  # noqa: DTZ901 - jobs of unknown age come last


@dataclass(frozen=True)
class Summary:
    """How an app's jobs stand at a moment; read-only, and without request, response, provider ids, URLs and errors."""

    at: datetime
    """The clock by which ages were told, UTC."""
    counts: Mapping[str, int]
    """Status to number of jobs, sorted by status."""
    jobs: tuple[LiveJob, ...]
    """All jobs that are not terminal, oldest update first; those of unknown age last."""
    recent: tuple[AuditEvent, ...]
    """The newest audit events, newest first."""
    last_pass: AuditEvent | None
    """The newest ``pass_ran``; None if no pass has run."""
    policy: Policy = field(default_factory=Policy)

    @property
    def candidates(self) -> tuple[LiveJob, ...]:
        """Jobs that can be asked about, oldest update first."""
        return tuple(job for job in self.jobs if job.candidate)

    @property
    def indeterminate(self) -> tuple[LiveJob, ...]:
        """Jobs without a provider id: it can't be known whether the provider got them."""
        return tuple(job for job in self.jobs if job.indeterminate)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each job that is not terminal, with its hints, in the order of `jobs`."""
        return _frame(self.jobs)

    def outlooks(self) -> dict[str, int]:
        """Return how many jobs heal themselves, will be checked, and need a person."""
        found = Counter(job.outlook for job in self.jobs)
        return {name: found[name] for name in (HEALS, CHECKED_LATER, PERSON)}

    def __repr__(self) -> str:
        return brief("Summary", f"{show_time(self.at)}: {self.sentence}")

    @property
    def sentence(self) -> str:
        """The counts in one sentence."""
        told = ", ".join(f"{number:,} {name}" for name, number in self.counts.items()) or "no job"
        waiting = ", ".join(
            f"{number:,} {_WORDS[name][number > 1]}" for name, number in self.outlooks().items() if number
        )
        return f"{told}; {waiting}." if waiting else f"{told}; nothing waits."

    @property
    def last_pass_sentence(self) -> str:
        """What the last pass said of itself."""
        from replaykit.systems.clawcut.summary_html import pass_text

        return pass_text(self.last_pass)

    def _repr_html_(self) -> str:
        from replaykit.systems.clawcut.summary_html import summary_html

        return summary_html(self)


_WORDS = {
    HEALS: ("heals by itself", "heal by themselves"),
    CHECKED_LATER: ("will be checked", "will be checked"),
    PERSON: ("needs a person", "need a person"),
}
"""Said of one job, and of several."""


def summary(
    database: str | os.PathLike[str],
    *,
    now: datetime | str | None = None,
    policy: Policy | None = None,
    recent: int = 20,
) -> Summary:
    """Return how an app's jobs stand. The database is opened read-only, and nobody is asked anything.

    Parameters
    ----------
    database
        The app's SQLite database; the app may be writing to it.
    now
        The clock by which ages are told: UTC, ISO text or a datetime. None is the machine's.
    policy
        By which jobs are candidates, and their ages and outlooks told.
    recent
        How many audit events to show.

    Raises
    ------
    OperationError
        There is no such database, it can't be read, it is locked, or an argument is none that can be.
    LoadError
        It is not the app's.
    """
    usual, newest = _policy(policy), _number(recent)
    return read(database, lambda connection: _summary(connection, now, usual, newest))


def _policy(policy: object) -> Policy:
    if policy is not None and not isinstance(policy, Policy):
        raise OperationError("policy: expected a clawcut.Policy.")
    return policy if policy is not None else Policy()


def _number(recent: object) -> int:
    if isinstance(recent, bool) or not isinstance(recent, Integral) or recent < 0:
        raise OperationError("recent: expected a whole number from 0 on, such as 20.")
    return int(recent)


def _summary(connection: sqlite3.Connection, now: datetime | str | None, policy: Policy, recent: int) -> Summary:
    at = moment(now)  # not before the transaction: the app goes on writing until then
    counts = connection.execute("SELECT status, count(*) FROM ai_jobs GROUP BY status ORDER BY status").fetchall()
    told = [read_entry(entry) for entry in entries(connection, newest=recent)]
    checks = [read_entry(entry) for entry in entries(connection, (CHECKED,))]
    passes = [read_entry(entry) for entry in entries(connection, (PASSED,), newest=1)]
    known = _known(connection, told)
    return Summary(
        at,
        MappingProxyType(_counted(counts)),
        live_jobs(jobs(connection, *ONLY_LIVE), checks, at, policy),
        tuple(_of_known_job(event, known) for event in reversed(told)),
        passes[0] if passes else None,
        policy,
    )


def _known(connection: sqlite3.Connection, events: list[AuditEvent]) -> set[str]:
    """Return the texts of the job ids that events name and that are there."""
    named = sorted({str(event.job_id) for event in events if event.job_id is not None})
    query = f"SELECT CAST(id AS TEXT) FROM ai_jobs WHERE CAST(id AS TEXT) IN ({', '.join('?' * len(named))})"
    return {str(id) for (id,) in connection.execute(query, named)}


def _counted(rows: list[tuple[Any, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for status, number in rows:
        found[status_word(status)] += number
    return dict(sorted(found.items()))


def _of_known_job(event: AuditEvent, known: set[str]) -> AuditEvent:
    """Return the event, without its job if there is none of that id: then the text may be anything."""
    return event if event.job_id is None or str(event.job_id) in known else replace(event, job_id=None)


def live_jobs(rows: Iterable[Job], events: Iterable[AuditEvent], at: datetime, policy: Policy) -> tuple[LiveJob, ...]:
    """Return the jobs among rows that are not terminal, with their outlook, oldest update first, then by id.

    Parameters
    ----------
    events
        The checks there were, in order of time.
    """
    live = [job for job in rows if job.status in LIVE]
    updated = {job.id: read_time(job.updated_at) for job in live}
    past = past_checks(events, updated)
    found = [_live(job, updated[job.id], at, policy, past.get(job.id)) for job in live]
    return tuple(sorted(found, key=lambda job: (job.updated_at or _LAST, str(type(job.job_id)), job.job_id)))


def _live(job: Job, updated_at: datetime | None, at: datetime, policy: Policy, past: Past | None) -> LiveJob:
    created_at = read_time(job.created_at)
    return live_job(job._asdict(), at, policy, created_at=created_at, updated_at=updated_at, past=past)


def _frame(jobs: Iterable[LiveJob]) -> pd.DataFrame:
    import pandas as pd

    rows = [job.row() for job in jobs]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    times = dict.fromkeys(("created_at", "updated_at", "eligible_at"), "datetime64[us]")
    return frame.astype({**times, "age": "timedelta64[us]", "attempts": "int64", "eligible": "bool"})
