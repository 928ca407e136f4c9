"""Asking: what would be asked of whom, told before anybody is asked, then put as it was told."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from replaykit.display import count
from replaykit.errors import OperationError, show_time
from replaykit.systems.clawcut.batches import Batch, check_batch, minutes_of
from replaykit.systems.clawcut.checking import check
from replaykit.systems.clawcut.checks import Check
from replaykit.systems.clawcut.outlook import PERSON
from replaykit.systems.clawcut.policy import Policy, age_text
from replaykit.systems.clawcut.provider import Providers, asker, repeats
from replaykit.systems.clawcut.schema import word
from replaykit.systems.clawcut.summary_html import short_id

if TYPE_CHECKING:
    from replaykit.systems.clawcut.outlook import LiveJob
    from replaykit.systems.clawcut.summary import Summary

__all__ = ["Question", "question_of_job", "question_of_jobs", "standing", "told", "why_nobody"]

_FAILED = {"provider_error", "not_written"}
_ANSWERED = {"completed", "failed", "still_running"}
_LISTED = 30


@dataclass(frozen=True)
class Question:
    """What will be asked of whom."""

    jobs: tuple[LiveJob, ...]
    """Those that somebody will be asked about, in that order."""
    batch: bool
    """Whether it was asked for as a batch, perhaps of one job."""
    apply: bool
    limit: int
    min_age_minutes: float
    repeats: int = 0
    """How often a request that failed may be repeated at most, as far as the providers tell."""
    left: int = 0
    """Further jobs that are old enough, beyond the limit."""
    nobody: int = 0
    """Jobs that are old enough, and for whose provider nobody was named."""

    @property
    def sentence(self) -> str:
        """Who is asked about how many jobs, how many requests that is, and whether answers are written."""
        requests = count(len(self.jobs), "request") + self._repeated()
        if not self.batch:
            job = self.jobs[0]
            end = "The answer is written, in one transaction." if self.apply else "Dry run: nothing is written."
            return f"Ask {job.provider} about job {short_id(job.job_id)}: {requests}. {end}"
        found = Counter(job.provider for job in self.jobs).most_common()
        (first, number), rest = found[0], [f"{name} about {number:,}" for name, number in found[1:]]
        parts = [f"{first} about {count(number, 'job')}", *rest]
        whom = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
        end = "The answers are written, one transaction per job." if self.apply else "Dry run: nothing is written."
        return f"Ask {whom}: {requests}. {end}"

    def _repeated(self) -> str:
        if not self.repeats:
            return ""
        which = "which" if len(self.jobs) == 1 else "each"
        return f", {which} may be repeated {'once' if self.repeats == 1 else f'up to {self.repeats:,} times'}"

    @property
    def details(self) -> str:
        """Which jobs these are, and which are left out."""
        if not self.batch:
            job = self.jobs[0]
            age = "of unknown age" if job.hints.age is None else f"updated {age_text(job.hints.age)} ago"
            return f"It is {job.status}, {age}. {job.reason}"
        names = ", ".join(short_id(job.job_id) for job in self.jobs[:_LISTED])
        more = f" and {len(self.jobs) - _LISTED:,} more" if len(self.jobs) > _LISTED else ""
        others = f" For {count(self.nobody, 'other job')} nobody was named to be asked." if self.nobody else ""
        beyond = f" {count(self.left, 'further job')} old enough: beyond the limit of {self.limit:,}."
        return f"{'Job' if len(self.jobs) == 1 else 'Jobs'} {names}{more}.{others}{beyond if self.left else ''}"

    def call(self, now: datetime | str | None = None, *, actor: bool = False, policy: bool = False) -> str:
        """Return the plain call that asks the same; `actor` and `policy` say whether the caller gave their own."""
        given = f", apply={self.apply}"
        given += "" if now is None else f", now={(now if isinstance(now, str) else show_time(now))!r}"
        given += ", actor=actor" * actor + ", policy=policy" * policy
        if not self.batch:
            return f"clawcut.check(database, {self.jobs[0].job_id!r}, provider{given})"
        ids = [job.job_id for job in self.jobs]
        whom = f"jobs={ids!r}, limit={self.limit}, min_age_minutes={self.min_age_minutes}"
        return f"clawcut.check_batch(database, provider, {whom}{given})"

    def put(
        self,
        database: str | os.PathLike[str],
        provider: Providers,
        *,
        now: datetime | str | None = None,
        actor: str = "operator",
        policy: Policy,
        progress: Callable[[int, int], object] | None = None,
    ) -> Check | Batch:
        """Ask: about these jobs and no others, and only where they are still as they were told.

        Raises
        ------
        OperationError, LoadError
            As `check` and `check_batch` do.
        """
        seen = {job.job_id: (job.provider, job.status, job.updated_at) for job in self.jobs}
        if not self.batch:
            job_id = self.jobs[0].job_id
            return check(database, job_id, provider, apply=self.apply, now=now, actor=actor, policy=policy, seen=seen)
        return check_batch(
            database,
            provider,
            limit=self.limit,
            min_age_minutes=self.min_age_minutes,
            apply=self.apply,
            now=now,
            actor=actor,
            policy=policy,
            seen=seen,
            progress=progress,
        )


def why_nobody(job: LiveJob, provider: Providers) -> str:
    """Return why nobody can be asked about a job that is not terminal; empty if somebody can."""
    if job.indeterminate:
        return job.reason
    known = word(job.provider) == job.provider  # else it is not shown, and nobody here can tell who it is
    return (
        f"Nobody was named to ask about jobs of {job.provider}." if known and not asker(provider, job.provider) else ""
    )


def question_of_job(job: LiveJob, provider: Providers, *, apply: bool, policy: Policy) -> Question:
    """Return what asking about one job means.

    Raises
    ------
    OperationError
        Nobody can be asked about it.
    """
    if why := why_nobody(job, provider):
        raise OperationError(why)
    return Question((job,), False, apply, 1, minutes_of(policy.min_age), repeats(provider, {job.provider}))


def question_of_jobs(summary: Summary, provider: Providers, *, limit: int, apply: bool) -> Question:
    """Return what asking about the oldest jobs of a summary means: candidates as old as the policy's least age.

    Those that their provider did not know when it was asked last come after the others.

    Raises
    ------
    OperationError
        There is none, nobody can be asked about them, or the limit is 0.
    """
    old = [job for job in summary.candidates if job.hints.age is not None and job.hints.age >= summary.policy.min_age]
    known = [job for job in old if not why_nobody(job, provider)]
    known.sort(key=lambda job: job.outlook == PERSON)  # its provider did not know it: it keeps no other from its turn
    jobs, minutes = tuple(known[:limit]), minutes_of(summary.policy.min_age)
    if not limit:
        raise OperationError("The limit is 0 jobs, so that nobody is asked about any.")
    if not old:
        raise OperationError(f"No job that can be asked about was last updated {minutes:g} min ago or earlier.")
    if not known:
        raise OperationError(why_nobody(old[0], provider))
    again = repeats(provider, {job.provider for job in jobs})
    return Question(jobs, True, apply, limit, minutes, again, len(known) - len(jobs), len(old) - len(known))


def standing(question: Question, result: Check | Batch) -> str:
    """Return how it went: ``done``, ``failed`` if an answer is missing or was not written, or ``look`` at it."""
    outcomes = {result.outcome} if isinstance(result, Check) else set(result.results)
    if outcomes & _FAILED:
        return "failed"
    whole = isinstance(result, Check) or result.count == len(question.jobs)
    return "done" if whole and outcomes <= _ANSWERED else "look"


def told(question: Question, result: Check | Batch, *, stopped: bool = False) -> str:
    """Return what came of a question, in a line; of a dry run it says so."""
    if isinstance(result, Check):
        dry = "" if question.apply or "dry run" in result.sentence else " Dry run: nothing was written."
        outcome = result.outcome.replace("_", " ")
        return f"Job {short_id(result.job_id)}: {outcome}. {result.sentence}{dry}"
    left, written = len(question.jobs) - result.count, sum(one.applied for one in result.checks)
    line = f"{result.sentence}; {count(written, 'job')} written." if question.apply else f"{result.sentence}."
    if stopped and left:
        return f"Stopped after {result.count:,} of {len(question.jobs):,}. {line}"
    them = "it" if left == 1 else "them"
    return f"{line} {count(left, 'job')} had moved on since, and nobody was asked about {them}." if left else line
