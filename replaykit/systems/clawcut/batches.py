"""Batches: an operator asks about the oldest jobs at once."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from replaykit.display import brief, count
from replaykit.errors import OperationError
from replaykit.systems.clawcut.candidates import Candidate, find_candidates
from replaykit.systems.clawcut.checking import Order, Told, check_one, not_written
from replaykit.systems.clawcut.checks import Check, Checked, checks_html, told_outcomes
from replaykit.systems.clawcut.database import read
from replaykit.systems.clawcut.policy import Policy
from replaykit.systems.clawcut.provider import asker, check_providers

if TYPE_CHECKING:
    from replaykit.systems.clawcut.provider import Providers

__all__ = [
    "Batch",
    "age_gate",
    "check_all",
    "check_batch",
    "check_limit",
    "is_named",
    "minutes_of",
    "told_unnamed",
]

_USUAL = Policy()
Progress = Callable[[int, int], object]


@dataclass(frozen=True, repr=False)
class Batch(Checked):
    """What a batch came to."""

    scanned_count: int
    """Jobs that could be asked about: of such a kind, not terminal, with a provider id; however old."""
    min_age_minutes: float
    checks: tuple[Check, ...]
    """Oldest update first; those that the provider did not know when last asked come behind the others."""
    apply: bool
    """Whether answers were written."""
    unnamed: int = 0
    """Further jobs that were old enough, and whose provider nobody was named for."""

    @property
    def count(self) -> int:
        """How many of them were old enough, within the limit, and had their turn."""
        return len(self.checks)

    @property
    def sentence(self) -> str:
        """The batch in one line."""
        dry = "" if self.apply else "; dry run, nothing was written"
        scanned = count(self.scanned_count, "candidate")
        return f"{self.count:,} of {scanned} checked: {told_outcomes(self.results)}{told_unnamed(self.unnamed)}{dry}"

    def __repr__(self) -> str:
        return brief("Batch", self.sentence)

    def _repr_html_(self) -> str:
        return checks_html(self.checks, caption=self.sentence)


def check_batch(
    database: str | os.PathLike[str],
    provider: Providers,
    *,
    limit: int | None = None,
    min_age_minutes: float | None = None,
    apply: bool = False,
    now: datetime | str | None = None,
    actor: str = "operator",
    policy: Policy = _USUAL,
    jobs: Collection[Any] | None = None,
    seen: Told | None = None,
    progress: Progress | None = None,
) -> Batch:
    """Ask the providers about the oldest jobs; one that fails does not keep the others.

    Where answers can't be written, the job is ``not_written``; nobody is asked about the others then.

    A batch does not wait for the backoff of earlier checks: an operator asks on purpose. Jobs whose age is not known
    are not in it; `check` them one by one.

    Jobs that the provider did not know when it was last asked come last, and those whose provider nobody was named for
    are left out: neither may take the places of others.

    Parameters
    ----------
    provider, apply, now, actor
        As for `replaykit.systems.clawcut.check`.
    limit
        How many jobs to ask about at most; None is the policy's, 25 by default.
    min_age_minutes
        Only jobs that were last updated so long ago; None is the policy's ``min_age``, 10 by default.
    policy
        Which kinds of jobs can be asked about, and the defaults of `limit` and `min_age_minutes`.
    jobs
        Only jobs with one of these ids, however many others there are; None is any, or those in `seen`.
    seen
        What was told of the jobs, as for `check`: nobody is asked about one that is otherwise (``changed_meanwhile``).
    progress
        Called as ``progress(done, total)`` before the first job and after each. If it returns False, the batch ends
        there.

    Raises
    ------
    OperationError
        There is no such database, or it can't be read.
    LoadError
        It is not the app's.
    """
    order = Order(apply, now, actor, policy, keep_going=True, told=seen)
    check_providers(provider)
    gate, most = age_gate(min_age_minutes, policy), check_limit(limit, policy)
    chosen = _ids(seen if jobs is None else jobs)
    found = read(database, lambda connection: find_candidates(connection, order.time(), policy))
    wanted = found if chosen is None else [one for one in found if one.job.id in chosen]
    old = [one for one in wanted if one.hints.age is not None and one.hints.age >= gate]
    named = sorted((one for one in old if is_named(one, provider)), key=lambda one: one.last_outcome == "not_found")
    checks = check_all(database, named[:most], provider, order, progress)
    return Batch(len(found), minutes_of(gate), tuple(checks), apply, len(old) - len(named))


def _ids(jobs: object) -> Collection[Any] | None:
    if jobs is None or (isinstance(jobs, Collection) and not isinstance(jobs, (str, bytes))):
        return jobs
    raise OperationError("jobs: expected a list of ids of jobs.")


def is_named(one: Candidate, provider: Providers) -> bool:
    """Return whether somebody was named to be asked about a job; where its provider is not shown, its turn tells."""
    return one.job.provider.startswith("(") or asker(provider, one.job.provider) is not None


def told_unnamed(number: int) -> str:
    """Return how many jobs nobody was named for, as the end of a sentence; nothing if there is none."""
    return f"; {count(number, 'other')} left out, whose provider nobody was named for" if number else ""


def check_all(
    database: str | os.PathLike[str],
    chosen: list[Candidate],
    provider: Providers,
    order: Order,
    progress: Progress | None = None,
) -> Iterable[Check]:
    """Yield a check for each job in turn; an error is one job's outcome.

    After one of the database, such as a lock that lasts, nobody is asked about the others.
    """
    tell = progress if progress is not None else lambda _done, _total: None
    if tell(0, len(chosen)) is False:
        return
    stopped: OperationError | None = None
    for done, one in enumerate(chosen, 1):
        try:
            check = not_written(one, stopped) if stopped is not None else check_one(database, one, provider, order)
        except Exception as error:  # noqa: BLE001  the others have their turn whatever it is
            check = not_written(one, error)
            stopped = error if isinstance(error, OperationError) and error.reason != "changed" else None
        yield check
        if tell(done, len(chosen)) is False:
            return


def age_gate(min_age_minutes: object, policy: Policy) -> timedelta:
    """Return the least age, None being the policy's; raise OperationError if it is none."""
    if min_age_minutes is None:
        return policy.min_age
    if isinstance(min_age_minutes, bool) or not isinstance(min_age_minutes, Real):
        raise OperationError("min_age_minutes: expected a number of minutes, such as 10.")
    minutes = float(min_age_minutes)
    if not math.isfinite(minutes) or not 0 <= minutes <= 1e9:
        raise OperationError("min_age_minutes: expected minutes from 0 on, such as 10.")
    return timedelta(minutes=minutes)


def minutes_of(gate: timedelta) -> float:
    """Return a least age in minutes, a whole number where it is one."""
    minutes = gate / timedelta(minutes=1)
    return int(minutes) if minutes.is_integer() else minutes


def check_limit(limit: object, policy: Policy = _USUAL) -> int:
    """Return how many jobs to ask about, None being the policy's; raise OperationError if it is no such number."""
    if limit is None:
        return policy.limit
    if isinstance(limit, bool) or not isinstance(limit, Integral) or limit < 0:
        raise OperationError("limit: expected a whole number from 0 on, such as 25.")
    return int(limit)
