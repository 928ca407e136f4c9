"""Outlook: what becomes of a job that is not terminal: it heals itself, it will be checked, or it needs a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.display import count
from replaykit.errors import show_time
from replaykit.systems.clawcut.policy import Hints, Policy, age_text, hints, is_candidate

if TYPE_CHECKING:
    from replaykit.systems.clawcut.audit import Past

__all__ = ["CHECKED_LATER", "COLUMNS", "HEALS", "PERSON", "LiveJob", "live_job"]

HEALS = "heals itself"
CHECKED_LATER = "will be checked"
PERSON = "needs a person"


@dataclass(frozen=True)
class LiveJob:
    """A job that is not terminal, with nothing but operational fields."""

    job_id: Any
    kind: str
    provider: str
    status: str
    has_provider_id: bool
    """Whether the provider gave it an id; the id itself is not here."""
    created_at: datetime | None
    """UTC; None where it is missing or can't be read."""
    updated_at: datetime | None
    """UTC; as `created_at`."""
    hints: Hints
    candidate: bool
    """Whether it can be asked about. It may be too fresh for that: see ``hints.eligible``."""
    outlook: str
    """``heals itself``, ``will be checked`` or ``needs a person``."""
    reason: str
    """Why, in a sentence."""

    @property
    def indeterminate(self) -> bool:
        """Whether it can't be known if the provider has it, since it has no provider id."""
        return not self.has_provider_id

    @property
    def told(self) -> str:
        """Why it is not checked at this moment, or that it may be, in a sentence."""
        hint, name = self.hints, f"Job {self.job_id}"
        if not self.candidate or hint.eligible_at is None:
            return f"{name} was not checked: {self.reason[0].lower()}{self.reason[1:]}"
        when = f"{hint.eligible_at:%H:%M:%S} UTC"
        if self.updated_at is not None and hint.eligible_at.date() != self.updated_at.date():
            when = f"{hint.eligible_at:%Y-%m-%d} {when}"
        ago = f"updated {age_text(hint.age)} ago"
        if hint.eligible:
            return f"{name} may be checked: {ago}, eligible since {when}."
        tries = f", checked {count(hint.attempts, 'time')} since" if hint.attempts else ""
        return f"{name} was not checked: {ago}{tries}, eligible at {when}."

    def row(self) -> dict[str, Any]:
        """Return its fields and hints side by side, one for each of `COLUMNS`."""
        own, hinted = self.__dict__, self.hints.__dict__
        return {name: own[name] if name in own else hinted[name] for name in COLUMNS}


COLUMNS = (
    "job_id",
    "provider",
    "kind",
    "status",
    "has_provider_id",
    "created_at",
    "updated_at",
    "age",
    "bucket",
    "eligible",
    "eligible_at",
    "attempts",
    "outlook",
    "reason",
    "advice",
)
"""Columns of tables of such jobs."""


def live_job(
    job: Mapping[str, Any],
    now: datetime,
    policy: Policy,
    *,
    created_at: datetime | None,
    updated_at: datetime | None,
    past: Past | None = None,
) -> LiveJob:
    """Return the outlook of a job.

    Parameters
    ----------
    job
        ``id``, ``kind``, ``provider``, ``status``, ``has_provider_id`` and ``updated_at`` as it stands there.
    now
        UTC without a zone.
    created_at, updated_at
        The times as read; None where they can't be.
    past
        Earlier checks that settled nothing.
    """
    earlier = past._asdict() if past is not None else {}
    hint = hints(job["updated_at"], now, policy, **earlier)
    candidate = is_candidate(job, policy)
    outlook, reason = _outlook(job, hint, policy, candidate, past)
    if not candidate:
        hint = replace(hint, eligible=False, eligible_at=None, advice=f"Look at it yourself. {reason}")
    return LiveJob(
        job["id"],
        job["kind"],
        job["provider"],
        job["status"],
        bool(job["has_provider_id"]),
        created_at,
        updated_at,
        hint,
        candidate,
        outlook,
        reason,
    )


def _outlook(
    job: Mapping[str, Any], hint: Hints, policy: Policy, candidate: bool, past: Past | None
) -> tuple[str, str]:
    if hint.bucket == "unknown":
        return PERSON, "Its age is not known, so that it is never checked by itself."
    young = hint.age is not None and hint.age < policy.stale_after
    if not job["has_provider_id"]:
        reason = "It has no provider id: it can't be known whether the provider got it."
        return (HEALS, reason + " It is young and may still be on its way.") if young else (PERSON, reason)
    if not candidate:
        reason = f"Jobs of kind {job['kind']} are not checked."
        return (HEALS, reason + " It is young; the app is at work on it.") if young else (PERSON, reason)
    if past is not None and past.last_outcome == "not_found":
        return PERSON, "The provider does not know it."
    if hint.eligible:
        return CHECKED_LATER, "It is old enough, and the next pass takes it."
    when = show_time(hint.eligible_at)
    if past is not None:
        return CHECKED_LATER, f"It was checked at {show_time(past.last_checked_at)}; again from {when} on."
    return HEALS, f"The app has just heard of it; it may be checked from {when} on."
