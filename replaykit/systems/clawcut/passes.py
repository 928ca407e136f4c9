"""The pass: what may ask providers by itself, if it was enabled; conservative, and with one audit event of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.display import brief, count
from replaykit.errors import OperationError, show_time
from replaykit.systems.clawcut.audit import PASSED
from replaykit.systems.clawcut.batches import age_gate, check_all, check_limit, is_named, minutes_of, told_unnamed
from replaykit.systems.clawcut.candidates import Candidate, find_candidates
from replaykit.systems.clawcut.checking import Order, check_switch
from replaykit.systems.clawcut.checks import Check, Checked, checks_html, told_outcomes
from replaykit.systems.clawcut.claims import claimed
from replaykit.systems.clawcut.database import read, writing
from replaykit.systems.clawcut.policy import Policy
from replaykit.systems.clawcut.provider import check_providers
from replaykit.systems.clawcut.settling import add_event, prove_writable
from replaykit.systems.clawcut.times import written_like

if TYPE_CHECKING:
    from replaykit.systems.clawcut.provider import Providers

__all__ = ["Pass", "run_pass"]

_USUAL = Policy()
_SKIPPED = {
    "disabled": "it is not enabled, and nothing was opened",
    "no_candidates": "there is no job to ask about",
    "none_old_enough": "no job is old enough",
    "all_waiting": "every job that is old enough waits for the pause after its last check",
    "nobody_named": "nobody was named for the providers of the jobs that may be asked about",
    "another_pass": "another pass is at work on this machine",
}


@dataclass(frozen=True, repr=False)
class Pass(Checked):
    """What a pass came to."""

    ran_at: datetime
    """When it began, UTC."""
    enabled: bool
    dry_run: bool
    """Whether answers were only asked for, not written."""
    limit: int
    min_age_minutes: float
    scanned: int = 0
    """Jobs that could be asked about, however old."""
    eligible: int = 0
    """Those of them that were old enough, had no pause to keep, and whose provider somebody was named for; at most
    ``limit`` of them were asked about."""
    skip_reason: str | None = None
    """Why nobody was asked: ``disabled``, ``no_candidates``, ``none_old_enough``, ``all_waiting``, ``nobody_named`` or
    ``another_pass``; None if somebody was, or the limit is 0."""
    checks: tuple[Check, ...] = ()
    """Oldest update first."""
    unnamed: int = 0
    """Further jobs that might have been asked about, and whose provider nobody was named for."""
    spares_fresh: bool = True
    """Whether ``min_age_minutes`` kept it from jobs that the policy calls fresh."""

    @property
    def reconciled(self) -> int:
        """How many jobs were ended; 0 in a dry run."""
        return sum(check.applied for check in self.checks)

    @property
    def sentence(self) -> str:
        """The pass in one line."""
        if self.skip_reason is not None:
            return f"nobody was asked: {_SKIPPED[self.skip_reason]}"
        dry = "; dry run, no job was written" if self.dry_run else ""
        fresh = "" if self.spares_fresh else f"; fresh jobs too, from {self.min_age_minutes:g} min on"
        scanned = f"{self.eligible:,} of {count(self.scanned, 'candidate')} eligible"
        left = told_unnamed(self.unnamed)
        return f"{scanned}, {len(self.checks):,} checked: {told_outcomes(self.results)}{left}{fresh}{dry}"

    def __repr__(self) -> str:
        return brief("Pass", f"{show_time(self.ran_at)}, {self.sentence}")

    def _repr_html_(self) -> str:
        return checks_html(self.checks, caption=f"Pass of {show_time(self.ran_at)}: {self.sentence}.")

    def _metadata(self) -> dict[str, Any]:
        """Return what its audit event says."""
        return {
            "ran_at": written_like(self.ran_at, None),
            "enabled": self.enabled,
            "dry_run": self.dry_run,
            "limit": self.limit,
            "min_age_minutes": self.min_age_minutes,
            "scanned": self.scanned,
            "eligible": self.eligible,
            "reconciled": self.reconciled,
            "skip_reason": self.skip_reason,
            "results": dict(self.results),
        }


def run_pass(
    database: str | os.PathLike[str],
    provider: Providers,
    *,
    enabled: bool = False,
    dry_run: bool = True,
    limit: int | None = None,
    min_age_minutes: float | None = None,
    now: datetime | str | None = None,
    policy: Policy = _USUAL,
) -> Pass:
    """Ask about jobs that are old enough, for cron or a scheduler.

    Parameters
    ----------
    enabled
        Without it nothing is opened, nobody is asked and nothing is written.
    dry_run
        Ask, and write nothing but the audit event of the pass itself.
    limit
        How many jobs to ask about at most; None is the policy's, 25 by default.
    min_age_minutes
        Only jobs that were last updated so long ago; None is the policy's ``min_age``, 10 by default. Below the
        policy's ``fresh_for`` the pass says so. A job that was checked without an end also waits for the policy's
        backoff.
    policy
        Which kinds of jobs can be asked about, how long to wait between checks, and the defaults of `limit` and
        `min_age_minutes`.

    Returns
    -------
    Pass
        With what was asked. The same is in its audit event ``pass_ran``, which is written last: a pass that was
        killed leaves the events of the jobs it had checked.

    Raises
    ------
    OperationError
        There is no such database, or it can't be read or written: that is tried before anybody is asked. If the event
        of the pass can't be written afterwards, ``result`` of the error is the `Pass`.
    LoadError
        It is not the app's.
    """
    check_switch("enabled", enabled)
    check_switch("dry_run", dry_run)
    order = Order(not dry_run, now, "pass", policy, automatic=True, keep_going=True)
    gate, most = age_gate(min_age_minutes, policy), check_limit(limit, policy)
    plan = Pass(
        order.time(),
        enabled,
        dry_run,
        most,
        minutes_of(gate),
        skip_reason="disabled",
        spares_fresh=gate >= policy.fresh_for,
    )
    if not enabled:
        return plan
    check_providers(provider)
    order = replace(order, policy=policy.with_(min_age=gate))
    with claimed(database, "pass") as alone:
        done = _run(database, provider, order, plan) if alone else replace(plan, skip_reason="another_pass")
    try:
        with writing(database) as connection:
            add_event(connection, PASSED, "pass", order.time(), done._metadata())
    except OperationError as error:
        error.result = done
        raise
    return done


def _run(database: str | os.PathLike[str], provider: Providers, order: Order, plan: Pass) -> Pass:
    prove_writable(database, order.time(), order.actor)
    found = read(database, lambda connection: find_candidates(connection, order.time(), order.policy))
    ready = [one for one in found if one.hints.eligible]
    eligible = [one for one in ready if is_named(one, provider)]
    checks = tuple(check_all(database, eligible[: plan.limit], provider, order))
    done = replace(plan, scanned=len(found), eligible=len(eligible), checks=checks, unnamed=len(ready) - len(eligible))
    return replace(done, skip_reason=None if eligible else _skip_reason(found, ready, order.policy))


def _skip_reason(found: list[Candidate], ready: list[Candidate], policy: Policy) -> str:
    if ready:
        return "nobody_named"
    if not found:
        return "no_candidates"
    old = any(one.hints.age is not None and one.hints.age >= policy.min_age for one in found)
    return "all_waiting" if old else "none_old_enough"
