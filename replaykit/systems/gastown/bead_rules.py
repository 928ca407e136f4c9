"""Rules B1 to B4: issues that wait for an agent, agents that wait for dispatch, lost work, finished reviews."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from replaykit.declarations import Action
from replaykit.systems.gastown.agents import hooked_to
from replaykit.systems.gastown.operations import is_blocked, reviews_of, targets
from replaykit.systems.gastown.reading import TERMINAL, labels_of
from replaykit.systems.gastown.reconciler import reconciler
from replaykit.systems.gastown.times import fresh, stale
from replaykit.systems.gastown.triage import asks_for_triage

if TYPE_CHECKING:
    from replaykit.rows import Row
    from replaykit.state import State

__all__ = ["give_up", "move", "rig_of"]


def move(bead_id: str, before: str | None, after: str, reason: str) -> Action:
    """Return the action that moves a bead from one status to another."""
    return Action("transition_bead", bead_id=bead_id, **{"from": before}, to=after, reason=reason, actor="system")


def give_up(agent: Row, reason: str) -> Iterator[Action]:
    """Yield what fails the bead of an agent that was dispatched too often."""
    yield move(agent["current_hook_bead_id"], None, "failed", reason)
    yield Action("unhook_agent", agent_id=agent["bead_id"], reason="max dispatch attempts")


def _issues(state: State, status: str) -> list[Row]:
    return [bead for bead in state["beads"].find(status=status) if bead["type"] == "issue"]


@reconciler.rule("B1", key="bead_id")
def unassigned_issues(state: State, now: datetime) -> Iterator[Action]:  # noqa: ARG001 - a rule is given the clock
    """Dispatch somebody to every open issue of a rig that has no assignee, no blocker and no planned convoy."""
    for bead in _issues(state, "open"):
        if _is_unassigned(state, bead):
            labels_of(bead["labels"])  # or it raises
            if bead["rig_id"]:
                yield Action("dispatch_agent", agent_id="", bead_id=bead["bead_id"], rig_id=bead["rig_id"])


def _is_unassigned(state: State, bead: Row) -> bool:
    if bead["assignee_agent_bead_id"] is not None or bead["rig_id"] is None or bead["labels"] is None:
        return False
    if asks_for_triage(bead["labels"]) or is_blocked(state, bead["bead_id"]):
        return False
    convoys = state["convoy_metadata"]
    found = (convoys.get(target) for target in targets(state, bead["bead_id"], "tracks"))
    return not any(convoy["staged"] == 1 for convoy in found if convoy is not None)


@reconciler.rule("B2", key=["agent_id", "bead_id"])
def idle_hooked_agents(state: State, now: datetime) -> Iterator[Action]:
    """Dispatch an idle agent, refineries aside, to its open, unblocked bead; after too many attempts fail the bead."""
    beads, params = state["beads"], state.params
    for agent in state["agent_metadata"].find(status="idle"):
        bead_id = agent["current_hook_bead_id"]
        if not bead_id or agent["role"] == "refinery":
            continue
        if not stale(agent["last_activity_at"], params.dispatch_cooldown, now):
            continue
        if agent["dispatch_attempts"] >= params.max_dispatch_attempts:
            yield from give_up(agent, "max dispatch attempts exceeded")
            continue
        bead = beads.get(bead_id)
        if bead is None or bead["status"] != "open" or is_blocked(state, bead_id):
            continue
        rig_id = rig_of(state, bead, agent)
        yield Action("dispatch_agent", agent_id=agent["bead_id"], bead_id=bead_id, rig_id=rig_id)


def rig_of(state: State, bead: Row, agent: Row) -> str:
    """Return the rig of a bead, else of an agent, else empty text."""
    own = state["beads"].get(agent["bead_id"])
    rigs = (bead["rig_id"], own["rig_id"] if own is not None else None)
    return next((rig for rig in rigs if rig is not None), "")


@reconciler.rule("B3", key="bead_id")
def lost_work(state: State, now: datetime) -> Iterator[Action]:
    """Reopen an issue in progress that nobody has touched for long and no living agent is on."""
    limit, heartbeat = state.params.stale_in_progress, state.params.heartbeat_limit
    for bead in _issues(state, "in_progress"):
        labels_of(bead["labels"])  # or it raises
        if not stale(bead["updated_at"], limit, now):
            continue
        if not any(_is_alive(agent, heartbeat, now) for agent in hooked_to(state, bead["bead_id"])):
            yield move(bead["bead_id"], "in_progress", "open", "agent lost")
            yield Action("clear_bead_assignee", bead_id=bead["bead_id"])


def _is_alive(agent: Row, heartbeat: timedelta, now: datetime) -> bool:
    return agent["status"] in ("working", "stalled") or fresh(agent["last_activity_at"], heartbeat, now)


@reconciler.rule("B4", key="bead_id")
def finished_reviews(state: State, now: datetime) -> Iterator[Action]:
    """Close an issue in review whose merge requests are all terminal if one was merged, else reopen it."""
    limit = state.params.orphaned_source
    for bead in _issues(state, "in_review"):
        labels_of(bead["labels"])  # or it raises
        if not stale(bead["updated_at"], limit, now):
            continue
        statuses = {mr["status"] for mr in reviews_of(state, bead["bead_id"])}
        if not statuses or not statuses <= TERMINAL:
            continue
        if "closed" in statuses:
            yield move(bead["bead_id"], "in_review", "closed", "MR merged (reconciler safety net)")
        else:
            yield move(bead["bead_id"], "in_review", "open", "all reviews failed")
            yield Action("clear_bead_assignee", bead_id=bead["bead_id"])
