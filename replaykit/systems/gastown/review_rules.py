"""Rules R1 to R6: merge requests in progress, one by one, then the queue of every rig, then idle refineries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from replaykit.declarations import Action
from replaykit.systems.gastown.agents import hooked_to, in_join_order
from replaykit.systems.gastown.bead_rules import give_up, move, rig_of
from replaykit.systems.gastown.operations import is_blocked
from replaykit.systems.gastown.reconciler import reconciler
from replaykit.systems.gastown.times import stale

if TYPE_CHECKING:
    from replaykit.rows import Row
    from replaykit.state import State

__all__ = ["in_progress"]


def in_progress(state: State, now: datetime) -> list[Row]:  # noqa: ARG001 - as a rule it is given the clock
    """Return the merge requests in progress that have review metadata, in insertion order.

    The program goes through the open ones too, behind these, but no rule has anything to say about them.
    """
    reviews = state["review_metadata"]
    found = [bead for bead in state["beads"].find(status="in_progress") if bead["type"] == "merge_request"]
    return [mr for mr in found if reviews.get(mr["bead_id"]) is not None]


def _pr_url(state: State, mr: Row) -> str | None:
    url: str | None = state["review_metadata"][mr["bead_id"]]["pr_url"]
    return url or None


def _working(state: State, mr: Row) -> bool:
    return any(agent["status"] in ("working", "stalled") for agent in hooked_to(state, mr["bead_id"]))


@reconciler.rule("R1", key="bead_id", each=in_progress)
def open_pull_requests(state: State, now: datetime, mr: Row) -> Iterator[Action]:  # noqa: ARG001
    """Poll the pull request of a merge request in progress."""
    url = _pr_url(state, mr)
    if url is not None:
        yield Action("poll_pr", bead_id=mr["bead_id"], pr_url=url)


@reconciler.rule("R2", key=["bead_id", "agent_id"], each=in_progress)
def stuck_reviews(state: State, now: datetime, mr: Row) -> Iterator[Action]:
    """Reopen a merge request without pull request, blocker or working agent that has been stale for long."""
    if _pr_url(state, mr) is not None or not stale(mr["updated_at"], state.params.stuck_review, now):
        return
    if is_blocked(state, mr["bead_id"]) or _working(state, mr):
        return
    yield move(mr["bead_id"], "in_progress", "open", "stuck review, no working agent")
    idle = next((agent for agent in hooked_to(state, mr["bead_id"]) if agent["status"] == "idle"), None)
    if idle is not None:
        yield Action("unhook_agent", agent_id=idle["bead_id"], reason="stuck review cleanup")


@reconciler.rule("R3", key="bead_id", each=in_progress)
def abandoned_reviews(state: State, now: datetime, mr: Row) -> Iterator[Action]:
    """Reopen a stale merge request without pull request or blocker that no agent at all is on."""
    if _pr_url(state, mr) is not None or not stale(mr["updated_at"], state.params.abandoned_mr, now):
        return
    if not is_blocked(state, mr["bead_id"]) and not hooked_to(state, mr["bead_id"]):
        yield move(mr["bead_id"], "in_progress", "open", "abandoned, no agent hooked")


@reconciler.rule("R4", key="bead_id", each=in_progress)
def orphaned_pull_requests(state: State, now: datetime, mr: Row) -> Iterator[Action]:
    """Fail a merge request whose pull request was not polled for long and no working agent is on."""
    if _pr_url(state, mr) is None or not stale(mr["updated_at"], state.params.orphaned_pr_review, now):
        return
    if not _working(state, mr):
        yield move(mr["bead_id"], "in_progress", "failed", "PR review orphaned")


@reconciler.rule("R5", key=["bead_id", "agent_id"])
def review_queue(state: State, now: datetime) -> Iterator[Action]:
    """Give a rig's refinery its oldest open merge request, unless it is busy or a merge without PR is under way."""
    queues: dict[str, list[Row]] = {}
    for mr in state["beads"].find(status="open"):
        if mr["type"] == "merge_request" and mr["rig_id"] is not None:
            queues.setdefault(mr["rig_id"], []).append(mr)
    reviews = state["review_metadata"]
    running = [mr for mr in in_progress(state, now) if reviews[mr["bead_id"]]["pr_url"] is None] if queues else []
    taken = {mr["rig_id"] for mr in running}
    for rig_id, queue in queues.items():
        if rig_id not in taken:
            oldest = min(queue, key=lambda mr: mr["created_at"])
            yield from _popped(state, rig_id, oldest["bead_id"])


def _popped(state: State, rig_id: str, mr_id: str) -> Iterator[Action]:
    found = in_join_order(state, rig_id, state["agent_metadata"].find(role="refinery"))
    if not found:
        yield move(mr_id, "open", "in_progress", "popped for review (creating refinery)")
        yield Action("dispatch_agent", agent_id="", bead_id=mr_id, rig_id=rig_id)
    elif found[0]["status"] == "idle" and not found[0]["current_hook_bead_id"]:
        agent_id = found[0]["bead_id"]
        yield move(mr_id, "open", "in_progress", "popped for review")
        yield Action("hook_agent", agent_id=agent_id, bead_id=mr_id)
        yield Action("dispatch_agent", agent_id=agent_id, bead_id=mr_id, rig_id=rig_id)


@reconciler.rule("R6", key=["agent_id", "bead_id"])
def idle_hooked_refineries(state: State, now: datetime) -> Iterator[Action]:
    """Dispatch an idle refinery to its merge request in progress again; after too many attempts fail that."""
    beads, params = state["beads"], state.params
    for agent in state["agent_metadata"].find(role="refinery"):
        mr_id = agent["current_hook_bead_id"] if agent["status"] == "idle" else None
        if not mr_id or not stale(agent["last_activity_at"], params.dispatch_cooldown, now):
            continue
        if agent["dispatch_attempts"] >= params.max_dispatch_attempts:
            yield from give_up(agent, "refinery max dispatch attempts exceeded")
            continue
        mr = beads.get(mr_id)
        if mr is not None and mr["type"] == "merge_request" and mr["status"] == "in_progress":
            rig_id = rig_of(state, mr, agent)
            yield Action("dispatch_agent", agent_id=agent["bead_id"], bead_id=mr_id, rig_id=rig_id)
