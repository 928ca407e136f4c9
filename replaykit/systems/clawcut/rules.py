"""What the pass would do at a tick, what a check does in a closed loop, and what should hold at every tick."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.declarations import Action
from replaykit.systems.clawcut.audit import SETTLED
from replaykit.systems.clawcut.events import count_check, set_job
from replaykit.systems.clawcut.policy import LIVE, Policy, next_due
from replaykit.systems.clawcut.reconciler import reconciler

if TYPE_CHECKING:
    from replaykit.state import State

__all__: list[str] = []


@reconciler.rule("check_stale_jobs", key="job_id")
def check_stale_jobs(state: State, now: datetime) -> Iterator[Action]:
    """Ask for a check of each candidate that is old enough and need not wait, oldest updated first, up to the limit."""
    policy = Policy.of(state.params)
    emitted = 0
    for job in sorted(state["ai_jobs"].find(status=LIVE), key=_oldest_first):
        if job["kind"] not in policy.kinds:
            continue
        if not job["has_provider_id"]:
            continue  # it can't be known whether the provider has it
        if job["updated_at"] is None or now < job["updated_at"]:
            continue  # its age can't be known
        if now - job["updated_at"] < policy.min_age:
            continue
        check = state["checks"].get(job["id"])
        if check is not None and not _may_check_again(check, job["updated_at"], now, policy):
            continue
        if emitted >= policy.limit:
            return
        emitted += 1
        yield Action("check_job", job_id=job["id"], provider=job["provider"], updated_at=job["updated_at"])


def _oldest_first(job: Any) -> tuple[datetime, Any]:
    return job["updated_at"] if job["updated_at"] is not None else datetime.min, job["id"]  # noqa: DTZ901


def _may_check_again(check: Any, updated_at: datetime, now: datetime, policy: Policy) -> bool:
    if check["in_flight"] and now - check["in_flight_since"] < policy.check_timeout:
        return False
    if check["last_checked_at"] is None or check["last_checked_at"] < updated_at:
        return True  # the job has moved since
    due = next_due(check["attempts"], check["last_checked_at"], policy, check["last_outcome"])
    return due is None or now >= due


@reconciler.act("check_job")
def check_job(state: State, action: Any) -> None:
    """Check a job at once; the answer is what the provider's log says at that time, if there is one."""
    job_id, now = action["job_id"], state.now
    answer = state["provider_jobs"].get(job_id)
    if answer is None:
        outcome = "not_found" if len(state["provider_jobs"]) else "unknown"
    else:
        outcome = answer["outcome"] or "still_running"
    count_check(state, job_id, outcome, now, now, automatic=True)
    if outcome in SETTLED:
        set_job(state, job_id, now, status=outcome)


@reconciler.invariant("terminal_stays", key="job_id")
def terminal_stays(state: State, now: datetime) -> Iterator[dict[str, Any]]:  # noqa: ARG001
    """Yield each job that is live again though it was completed, failed or cancelled."""
    for ending in state["endings"].find():
        if ending["went_back_at"] is not None:
            job = state["ai_jobs"].get(ending["job_id"])
            if job is not None and job["status"] in LIVE:
                yield {"job_id": ending["job_id"], "was": ending["status"], "status": job["status"]}


@reconciler.invariant("not_live_too_long", key="job_id")
def not_live_too_long(state: State, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield each job that is queued, pending or processing for longer than the bound."""
    for job in state["ai_jobs"].find(status=LIVE):
        if job["created_at"] is not None and now - job["created_at"] > state.params["bound"]:
            yield {"job_id": job["id"], "status": job["status"], "created_at": job["created_at"]}


@reconciler.invariant("no_automatic_check_of_a_fresh_job", key="job_id")
def no_automatic_check_of_a_fresh_job(state: State, now: datetime) -> Iterator[dict[str, Any]]:  # noqa: ARG001
    """Yield each job that was checked automatically just after the app had heard of it."""
    for check in state["checks"].find():
        if check["fresh_check_at"] is not None:
            yield {"job_id": check["job_id"], "checked_at": check["fresh_check_at"]}


@reconciler.invariant("one_check_in_flight", key="job_id")
def one_check_in_flight(state: State, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield each job of which more than one check waits for its answer."""
    for check in state["checks"].find():
        if check["in_flight"] > 1 and now - check["in_flight_since"] < state.params["check_timeout"]:
            yield {"job_id": check["job_id"], "in_flight": check["in_flight"]}
