"""open: an app's database becomes a recording of its jobs, without anything secret; the database is never written."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from replaykit.snapshot import Snapshot
from replaykit.sources import load
from replaykit.systems.clawcut.app_events import EVENT_COLUMNS, event_rows
from replaykit.systems.clawcut.arrow import arrow_table, id_type
from replaykit.systems.clawcut.database import read
from replaykit.systems.clawcut.evidence import Evidence
from replaykit.systems.clawcut.provider_log import logged_jobs
from replaykit.systems.clawcut.schema import entries, jobs
from replaykit.systems.clawcut.tables import JOB_COLUMNS, TABLES
from replaykit.systems.clawcut.times import read_time

if TYPE_CHECKING:
    import os

    import pyarrow as pa

    from replaykit.recording import Recording
    from replaykit.systems.clawcut.provider_log import LoggedJob
    from replaykit.systems.clawcut.schema import Entry, Job

__all__ = ["open"]

_MOMENT = timedelta(milliseconds=1)


def open(
    database: str | os.PathLike[str], *, provider_log: Any = None, save: str | os.PathLike[str] | None = None
) -> Recording:
    """Open an app's SQLite database as a recording; replay it with ``rk.replay(recording, clawcut)``.

    The events are ``audit_events``, in order of time, then as inserted. Snapshot 0 is the empty app, the last one
    ``ai_jobs`` as it lies.

    ``derived`` marks events that were made beside them, out of rows and other events: ``check_started`` from the time a
    check says it asked; ``job_created``, ``submitted`` and a job's ending where the row has them and no event tells; a
    ``status_polled`` where a row was written after its last event. What was made so agrees with the rows by itself:
    the report says how much that is.

    Parameters
    ----------
    database
        May be written meanwhile: what is read is of one moment. Request and response JSON, provider ids, URLs, errors
        and what metadata says beyond jobs, outcomes and counts stay in it; instead of a provider id the recording has
        ``has_provider_id``.
    provider_log
        The provider's own log, as `LoggedProvider` reads it: events ``provider_accepted`` and ``provider_finished``,
        which the app does not see; a closed loop (``actions="apply"``) answers checks from them.
    save
        Where to keep the recording; else it is private and temporary.

    Raises
    ------
    OperationError
        There is no such database, it can't be read, or it is locked.
    LoadError
        It is not the app's, or the provider's log can't be read.
    """
    rows, audit, ids = read(database, _looked)
    evidence = Evidence(rows, audit)
    if provider_log is not None:
        evidence.logged = [(_job_of(job, ids), job) for job in logged_jobs(provider_log)]
    events = event_rows(evidence)
    dated = [event for event in events if event["at"] is not None]
    oldest, newest = evidence.span(event["at"] for event in dated)
    job_type = id_type(evidence.known.values())
    return load(
        arrow_table(events, EVENT_COLUMNS, job_type),
        time="at",
        kind="kind",
        id="event_id",
        payload=False,
        snapshots=[
            Snapshot(
                {"ai_jobs": arrow_table([], JOB_COLUMNS, job_type)},
                at=oldest - _MOMENT,
                after=0,
                name="before the first row",
            ),
            Snapshot(
                {"ai_jobs": _as_they_lie(evidence, job_type)},
                at=newest,
                after=len(dated),
                name="the app as it lies",
            ),
        ],
        keys={"ai_jobs": TABLES["ai_jobs"].key},
        save=save,
        notes=[evidence.note(sum(row["derived"] and row["kind"] != "check_started" for row in events))],
    )


def _looked(connection: Any) -> tuple[list[Job], list[Entry], dict[tuple[str, str], list[Any]]]:
    return list(jobs(connection)), entries(connection), _provider_ids(connection)


def _provider_ids(connection: Any) -> dict[tuple[str, str], list[Any]]:
    """Return the jobs of each provider's id; those of any provider stand under an empty name as well."""
    query = "SELECT provider, provider_job_id, id FROM ai_jobs WHERE coalesce(provider_job_id, '') <> '' ORDER BY id"
    found: dict[tuple[str, str], list[Any]] = {}
    for provider, given, id in connection.execute(query):
        for name in {str(provider), ""}:
            found.setdefault((name, str(given)), []).append(id)
    return found


def _job_of(logged: LoggedJob, ids: dict[tuple[str, str], list[Any]]) -> Any:
    """Return the job a log tells of; None if the app has none, or several, with that id."""
    found = ids.get((logged.provider, logged.provider_job_id), [])
    return found[0] if len(found) == 1 else None


def _as_they_lie(evidence: Evidence, job_type: str) -> pa.Table:
    rows = [
        {**job._asdict(), "created_at": read_time(job.created_at), "updated_at": read_time(job.updated_at)}
        for job in evidence.jobs
    ]
    return arrow_table(rows, JOB_COLUMNS, job_type)
