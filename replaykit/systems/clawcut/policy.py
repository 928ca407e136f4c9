"""The policy: which jobs are candidates, how stale each is, when it may be checked, and what will become of it.

Pure functions of a job, a time and thresholds. The rule, the card, the pass and the batch all ask here.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.errors import ReconcilerError, excerpt
from replaykit.systems.clawcut.times import read_time

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "LIVE",
    "PARAMS",
    "TERMINAL",
    "UNANSWERED",
    "Hints",
    "Policy",
    "age_text",
    "backoff",
    "hints",
    "is_candidate",
    "next_due",
]

LIVE = ("queued", "pending", "processing")
TERMINAL = ("completed", "failed", "cancelled")
UNANSWERED = ("provider_error", "indeterminate", "changed_meanwhile", "in_flight", "not_written")
"""Outcomes of a check that tell nothing of the job: they are no reason for a longer pause."""

_AHEAD = timedelta(seconds=5)
PARAMS: dict[str, Any] = {
    "kinds": ("video",),  # kinds of jobs that a provider works on for long, and that can be asked about
    "min_age": timedelta(minutes=10),  # no automatic check of a job that was updated more recently
    "fresh_for": timedelta(minutes=5),  # bucket fresh; an automatic check of such a job is a violation
    "stale_after": timedelta(minutes=10),  # bucket stale; between the two: watch
    "very_stale_after": timedelta(hours=1),  # bucket very_stale
    "limit": 25,  # checks of one pass
    "backoff": timedelta(minutes=10),  # pause after a check; doubled after each further answer that settled nothing
    "longest_backoff": timedelta(hours=6),
    "check_timeout": timedelta(minutes=2),  # a check without an answer is no longer in flight after this
    "bound": timedelta(hours=6),  # no job may be non-terminal for longer
}
_TIMES = tuple(name for name, value in PARAMS.items() if isinstance(value, timedelta))


@dataclass(frozen=True)
class Policy:
    """The thresholds; `PARAMS` are the same for the reconciler, which takes them from ``state.params``."""

    kinds: tuple[str, ...] = PARAMS["kinds"]
    min_age: timedelta = PARAMS["min_age"]
    fresh_for: timedelta = PARAMS["fresh_for"]
    stale_after: timedelta = PARAMS["stale_after"]
    very_stale_after: timedelta = PARAMS["very_stale_after"]
    limit: int = PARAMS["limit"]
    backoff: timedelta = PARAMS["backoff"]
    longest_backoff: timedelta = PARAMS["longest_backoff"]
    check_timeout: timedelta = PARAMS["check_timeout"]
    bound: timedelta = PARAMS["bound"]

    def __post_init__(self) -> None:
        self._check_types()
        if not timedelta(0) <= self.fresh_for <= self.stale_after <= self.very_stale_after:
            raise ReconcilerError(
                f"Policy: fresh_for={self.fresh_for}, stale_after={self.stale_after}, "
                f"very_stale_after={self.very_stale_after}; expected them in rising order."
            )
        if self.min_age < timedelta(0) or self.limit < 0:
            raise ReconcilerError(
                f"Policy: min_age={self.min_age}, limit={excerpt(self.limit)}; expected neither below 0."
            )

    def _check_types(self) -> None:
        for name in _TIMES:
            value = getattr(self, name)
            if not isinstance(value, timedelta):
                raise ReconcilerError(
                    f"Policy: {name}={excerpt(value)}; expected a timedelta, such as timedelta(minutes=10)."
                )
        kinds: object = self.kinds
        if not isinstance(kinds, (tuple, list, set, frozenset)) or not all(isinstance(kind, str) for kind in kinds):
            raise ReconcilerError(f"Policy: kinds={excerpt(kinds)}; expected a tuple of kinds, such as ('video',).")
        limit: object = self.limit
        if isinstance(limit, bool) or not hasattr(limit, "__index__"):
            raise ReconcilerError(f"Policy: limit={excerpt(limit)}; expected a whole number, such as 25.")
        object.__setattr__(self, "kinds", tuple(kinds))
        object.__setattr__(self, "limit", operator.index(self.limit))

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Policy:
        """Return the policy in a reconciler's parameters."""
        return cls(**{name: params[name] for name in PARAMS})

    def with_(self, **thresholds: Any) -> Policy:
        """Return a copy with some thresholds changed."""
        return replace(self, **thresholds)


@dataclass(frozen=True)
class Hints:
    """How stale a job is at a moment, and whether the automatic pass may ask about it."""

    age: timedelta | None
    """Since the job was last updated; None where that can't be known."""
    bucket: str
    """``fresh``, ``watch``, ``stale``, ``very_stale`` or ``unknown`` (updated_at missing, unreadable or ahead by more
    than 5 s)."""
    eligible: bool
    """Whether it is old enough for an automatic check, and no earlier check asks for patience."""
    eligible_at: datetime | None
    """From when on it is; UTC. None where that can't be known."""
    attempts: int
    """Answers since the job last changed that settled nothing."""
    advice: str
    """One sentence for the operator."""


def is_candidate(job: Mapping[str, Any], policy: Policy) -> bool:
    """Return whether a job can be asked about: of such a kind, not terminal, and the provider gave it an id.

    ``job["has_provider_id"]`` says the last; a job without one is never a candidate, since nobody can know whether
    the provider has it.
    """
    return job["kind"] in policy.kinds and job["status"] in LIVE and bool(job["has_provider_id"])


def backoff(attempts: int, policy: Policy) -> timedelta:
    """Return the pause after so many answers in a row that settled nothing: doubled each time, up to the longest."""
    if attempts <= 0 or not policy.backoff:
        return timedelta(0)
    doublings = min(attempts - 1, 20)  # by then any pause is longer than the longest
    return min(policy.backoff * (1 << doublings), policy.longest_backoff)


def next_due(
    attempts: int, last_checked_at: datetime | None, policy: Policy, last_outcome: str | None = None
) -> datetime | None:
    """Return when a job that was checked before may be checked again by itself; None if it never was.

    A check that got no answer (`UNANSWERED`, or no answer so far) is followed by one plain pause.
    """
    if last_checked_at is None:
        return None
    return last_checked_at + backoff(1 if last_outcome in UNANSWERED else max(attempts, 1), policy)


def hints(
    updated_at: Any,
    now: datetime,
    policy: Policy,
    *,
    attempts: int = 0,
    last_checked_at: datetime | None = None,
    last_outcome: str | None = None,
) -> Hints:
    """Return how stale a job is.

    Parameters
    ----------
    updated_at
        As the app wrote it; see `replaykit.systems.clawcut.times.read_time`. Up to 5 s ahead of `now`, as clocks of two
        machines may be, the job's age is 0.
    now
        UTC without a zone.
    attempts, last_checked_at, last_outcome
        Earlier answers that settled nothing, and when and how the last check ended.
    """
    updated = read_time(updated_at)
    if updated is None or updated - _AHEAD > now:
        reason = (
            "updated_at lies ahead"
            if updated is not None
            else ("updated_at is missing" if updated_at in (None, "") else "updated_at can't be read")
        )
        return Hints(None, "unknown", False, None, attempts, f"Look at it yourself: {reason}, so its age is unknown.")
    due = next_due(attempts, last_checked_at, policy, last_outcome)
    eligible_at = max(updated + policy.min_age, due) if due is not None else updated + policy.min_age
    age, eligible = max(now - updated, timedelta(0)), now >= eligible_at
    bucket = _bucket(age, policy)
    return Hints(
        age, bucket, eligible, eligible_at, attempts, _advice(bucket, now, eligible_at, attempts, eligible_at == due)
    )


def _bucket(age: timedelta, policy: Policy) -> str:
    if age < policy.fresh_for:
        return "fresh"
    if age < policy.stale_after:
        return "watch"
    return "stale" if age < policy.very_stale_after else "very_stale"


def _advice(bucket: str, now: datetime, eligible_at: datetime, attempts: int, checked: bool) -> str:
    if now < eligible_at:
        wait = f"{eligible_at:%H:%M} UTC" if eligible_at.date() == now.date() else f"{eligible_at:%Y-%m-%d %H:%M} UTC"
        if attempts:
            times = "once" if attempts == 1 else f"{attempts} times"
            return f"Checked {times} without an end; the next check is due at {wait}."
        if checked:
            return f"The last check got no answer; the next is due at {wait}."
        return f"Leave it: it was updated recently and may be checked from {wait} on."
    if bucket == "very_stale":
        return "Check it: nothing has been heard of it for long, so it is probably stranded."
    return "Check it: it may be stranded." if bucket == "stale" else "It may be checked."


def age_text(age: timedelta | None) -> str:
    """Return an age as people say it: ``41 s``, ``12 min``, ``3 h 05 min``, ``2 d 4 h``."""
    if age is None:
        return "not known"
    minutes, hours = int(age.total_seconds()) // 60, int(age.total_seconds()) // 3600
    if minutes < 1:
        return f"{int(age.total_seconds())} s"
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
