"""Checking: ask the provider of one job, and write what it says where that was asked for."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from replaykit.errors import OperationError, ReplayKitError
from replaykit.systems.clawcut.candidates import Candidate, checked_since, find_job
from replaykit.systems.clawcut.checks import Check, sentence_of
from replaykit.systems.clawcut.claims import claimed
from replaykit.systems.clawcut.clocks import moment
from replaykit.systems.clawcut.database import read
from replaykit.systems.clawcut.policy import LIVE, TERMINAL, Policy
from replaykit.systems.clawcut.provider import Asker, Providers, Reply, ask, asker, check_providers
from replaykit.systems.clawcut.schema import Job, status_word, word
from replaykit.systems.clawcut.settling import Row, Settled, prove_writable, read_row, settle
from replaykit.systems.clawcut.times import read_time, written_like

__all__ = ["Order", "Told", "check", "check_one", "check_switch", "not_written"]

_USUAL = Policy()
Told = Mapping[Any, tuple[str, str, datetime | None]]
"""What was told of jobs before: job id to provider, status and updated_at, as in a `LiveJob`."""
_NO_ID = "It has no provider id, so that nobody can know whether the provider has it; it needs a person."
_NO_PROVIDER = "Nobody was named to ask about jobs of its provider."
_ODD_STATUS = "Its status is none that is known; it needs a person."


@dataclass(frozen=True)
class Order:
    """What was asked for: by whom, at which time, and whether answers are written."""

    apply: bool
    now: datetime | str | None
    actor: str
    policy: Policy
    automatic: bool = False
    keep_going: bool = False
    """Whether an answer that can't be written is an outcome, not an error."""
    told: Told | None = None
    """What whoever asks was told of the jobs; nobody is asked about one that is otherwise."""

    def __post_init__(self) -> None:
        check_switch("apply", self.apply)
        policy: object = self.policy
        if not isinstance(policy, Policy):
            raise OperationError("policy: expected a clawcut.Policy.")
        told: object = self.told
        if told is not None and not (isinstance(told, Mapping) and all(_is_told(one) for one in told.values())):
            raise OperationError("seen: expected a mapping from job ids to (provider, status, updated_at).")
        actor: object = self.actor
        if not isinstance(actor, str) or not actor:
            raise OperationError("actor: expected a word for who asks, such as 'operator'.")
        self.time()

    def time(self) -> datetime:
        """Return the time that was given, else the machine's, as naive UTC."""
        return moment(self.now)


def check(
    database: str | os.PathLike[str],
    job_id: Any,
    provider: Providers,
    *,
    apply: bool = False,
    now: datetime | str | None = None,
    actor: str = "operator",
    policy: Policy = _USUAL,
    seen: Told | None = None,
) -> Check:
    """Ask the provider about one job, on purpose: whatever its kind and age, and however often it was asked before.

    Parameters
    ----------
    provider
        A `Provider`, a function of the same shape, or a mapping from names of providers to such.
    apply
        Whether to write the answer: the job's ending, if it has one, and one audit event. A job that changed while
        the provider was asked is left alone. Without it the provider is asked, and nothing is written.
    now
        The time that ages are told by and that is written: UTC, ISO text or a datetime. None is the machine's.
    actor
        Who asks, for the audit event.
    policy
        By which the job's age and earlier checks are told; it keeps nobody from asking.
    seen
        What was told of the job before it was confirmed: job id to provider, status and updated_at, as in
        ``summary(...).jobs``. Nobody is asked if it is otherwise now, or not there (``changed_meanwhile``).

    Returns
    -------
    Check
        Nobody is asked about a job that is terminal (``terminal``), has no provider id or whose provider nobody was
        named for (``indeterminate``), or that somebody else asks about just now (``in_flight``): on this machine, as
        the same user and with the same temporary folder.

    Raises
    ------
    OperationError
        There is no such job or database, it is locked for too long, or an answer could not be written: that is tried
        before anybody is asked.
    LoadError
        The database is not the app's.
    """
    if isinstance(job_id, bool):
        raise OperationError("job_id: expected the id of a job, not True or False.")
    order = Order(apply, now, actor, policy, told=seen)
    check_providers(provider)
    found = read(database, lambda connection: find_job(connection, job_id, order.time(), policy))
    if found is None:
        raise OperationError(
            "The database has no job with that id; expected the id of a row of ai_jobs.", reason="unknown_job"
        )
    return check_one(database, found, provider, order)


def check_one(database: str | os.PathLike[str], seen: Candidate, provider: Providers, order: Order) -> Check:
    """Ask about a job as it was seen, unless it has moved since or somebody else is at it."""
    if seen.job.status in TERMINAL:
        return _untouched(seen, "terminal")
    if order.told is not None and not _is_as_told(seen.job, order.told):
        return _untouched(seen, "changed_meanwhile", "it is not as it was told any more")
    with claimed(database, "job", seen.job.id) as free:
        if not free:
            return _untouched(seen, "in_flight")
        row, checked = read(database, lambda connection: _again(connection, seen))
        if row is None or checked or not _is_as_seen(row, seen):
            status = None if row is None else status_word(row.status)
            because = "somebody else checked it" if checked else "it changed"
            return replace(_untouched(seen, "changed_meanwhile", because), status_after=status)
        return _asked(database, seen, row, provider, order)


def _again(connection: sqlite3.Connection, seen: Candidate) -> tuple[Row | None, bool]:
    """Return a job's row as it is now, and whether somebody has checked it since it was seen."""
    return read_row(connection, seen.job.id), checked_since(connection, seen)


def _is_told(one: object) -> bool:
    return isinstance(one, (tuple, list)) and len(one) == 3


def _is_as_told(job: Job, told: Told) -> bool:
    if job.id not in told:
        return False
    provider, status, updated_at = told[job.id]
    return (job.provider, job.status, read_time(job.updated_at)) == (provider, status, read_time(updated_at))


def _is_as_seen(row: Row, seen: Candidate) -> bool:
    has_id = row.provider_job_id not in (None, "", b"")
    return (word(row.provider), status_word(row.status), row.updated_at, has_id) == (
        seen.job.provider,
        seen.job.status,
        seen.job.updated_at,
        seen.job.has_provider_id,
    )


def _asked(database: str | os.PathLike[str], seen: Candidate, row: Row, provider: Providers, order: Order) -> Check:
    asks = asker(provider, row.provider)
    asked_at = None
    reply = Reply("indeterminate", _reason(seen, asks))
    if not reply.because and asks is not None:
        if order.apply:
            prove_writable(database, order.time(), order.actor)
        asked_at = order.time()
        reply = ask(asks, _text(row.provider_job_id))
    found = replace(_untouched(seen, reply.outcome, reply.because), asked_at=asked_at)
    return _written(database, found, row, reply, seen, order) if order.apply else found


def _written(
    database: str | os.PathLike[str], found: Check, row: Row, reply: Reply, seen: Candidate, order: Order
) -> Check:
    try:
        done = settle(database, row, reply, order.time(), order.actor, _details(found, seen, order))
    except Exception as error:
        if not order.keep_going:
            raise
        return replace(found, outcome="not_written", sentence=sentence_of("not_written", _words(error)))
    return replace(
        found,
        outcome=done.outcome,
        status_after=done.status,
        applied=done.applied,
        sentence=sentence_of(done.outcome, _because(done, reply), written=done.applied),
    )


def _details(found: Check, seen: Candidate, order: Order) -> dict[str, Any]:
    return {
        "asked_at": None if found.asked_at is None else written_like(found.asked_at, None),
        "age_minutes": None if found.age is None else round(found.age.total_seconds() / 60, 1),
        "attempt": seen.hints.attempts + 1,
        "automatic": order.automatic,
    }


def _because(done: Settled, reply: Reply) -> str:
    if done.outcome != "changed_meanwhile":
        return reply.because
    now = "it is gone" if done.status is None else f"it is {done.status} now"
    return f"the app changed it while the provider was asked, and {now}"


def check_switch(name: str, value: object) -> None:
    """Raise OperationError if a switch is neither True nor False: the text "false" of a setting would switch it on."""
    if not isinstance(value, bool):
        raise OperationError(f"{name}: expected True or False.")


def _reason(seen: Candidate, asks: Asker | None) -> str:
    """Return why nobody can be asked; empty if somebody can."""
    if not seen.job.has_provider_id:
        return _NO_ID
    if seen.job.status not in LIVE:
        return _ODD_STATUS
    return _NO_PROVIDER if asks is None else ""


def _text(provider_job_id: Any) -> str:
    return provider_job_id.decode("utf-8", "replace") if isinstance(provider_job_id, bytes) else str(provider_job_id)


def _untouched(seen: Candidate, outcome: str, because: str = "") -> Check:
    job = seen.job
    return Check(
        job_id=job.id,
        kind=job.kind,
        provider=job.provider,
        status_before=job.status,
        outcome=outcome,
        status_after=job.status,
        applied=False,
        age=seen.hints.age,
        asked_at=None,
        sentence=sentence_of(outcome, because),
    )


def not_written(seen: Candidate, error: Exception) -> Check:
    """Return what to tell of a job whose turn ended with an error before anybody was asked."""
    return _untouched(seen, "not_written", _words(error))


def _words(error: Exception) -> str:
    """Return an error in words of our own; the text of any other may hold what is secret."""
    if isinstance(error, ReplayKitError):
        return str(error)
    name = type(error).__name__ if type(error).__module__ == "builtins" else "an error of its own"
    return f"Something raised {name}, which was not expected."
