"""What each kind of action does to a town at once; returned is the effect it would start afterwards, if any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.declarations import Action
from replaykit.systems.gastown.agents import agent_for, hook, hooked_to, town_of, unhook
from replaykit.systems.gastown.operations import remove_agent, reviews_of, set_bead_status, set_flag, update_if_there
from replaykit.systems.gastown.reading import TERMINAL, GastownError, bead_in_full
from replaykit.systems.gastown.reconciler import reconciler
from replaykit.systems.gastown.reviews import set_pr_url, submit_for_review
from replaykit.systems.gastown.times import iso
from replaykit.systems.gastown.triage import request_triage

if TYPE_CHECKING:
    from replaykit.state import State

__all__ = ["analytics"]


@reconciler.act("transition_bead")
def transition_bead(state: State, action: Action) -> None:
    """Set a bead's status under the terminal guard; what raises is swallowed."""
    try:
        set_bead_status(state, action["bead_id"], action["to"], action["actor"])
    except GastownError:
        return


@reconciler.act("assign_bead")
def assign_bead(state: State, action: Action) -> None:
    """Set a bead's assignee."""
    now = iso(state.now)
    update_if_there(state, "beads", action["bead_id"], assignee_agent_bead_id=action["agent_id"], updated_at=now)


@reconciler.act("clear_bead_assignee")
def clear_bead_assignee(state: State, action: Action) -> None:
    """Take the assignee off a bead, and every agent."""
    update_if_there(state, "beads", action["bead_id"], assignee_agent_bead_id=None, updated_at=iso(state.now))
    for agent in hooked_to(state, action["bead_id"]):
        unhook(state, agent["bead_id"])


@reconciler.act("create_mr_bead")
def create_mr_bead(state: State, action: Action) -> None:
    """Submit a bead for review; the action's own target branch is ignored."""
    submit_for_review(
        state,
        action["agent_id"],
        action["source_bead_id"],
        action["rig_id"],
        action["branch"],
        pr_url=action.get("pr_url"),
        summary=action.get("summary"),
    )


@reconciler.act("create_landing_mr")
def create_landing_mr(state: State, action: Action) -> None:
    """Submit a convoy's feature branch for review."""
    submit_for_review(
        state,
        "system",
        action["convoy_id"],
        action["rig_id"],
        action["feature_branch"],
        default_branch=action["target_branch"],
    )


@reconciler.act("close_sibling_mrs")
def close_sibling_mrs(state: State, action: Action) -> None:
    """Close every other merge request of a source that is not terminal."""
    ids = {row["bead_id"] for row in reviews_of(state, action["source_bead_id"])} - {action["exclude_mr_id"]}
    found = [row for row in state["beads"].find(type="merge_request") if row["bead_id"] in ids]
    for row in sorted(found, key=lambda row: row["status"]):
        if row["status"] not in TERMINAL:
            set_bead_status(state, row["bead_id"], "closed", "system")


@reconciler.act("set_review_pr_url")
def set_review_pr_url(state: State, action: Action) -> None:
    """Note a merge request's pull request, if it is an https address."""
    set_pr_url(state, action["bead_id"], action["pr_url"])


@reconciler.act("transition_agent")
def transition_agent(state: State, action: Action) -> None:
    """Set an agent's status, whatever it was."""
    update_if_there(state, "agent_metadata", action["agent_id"], status=action["to"])


@reconciler.act("hook_agent")
def hook_agent(state: State, action: Action) -> None:
    """Put an agent on a bead; a refusal is swallowed."""
    try:
        hook(state, action["agent_id"], action["bead_id"])
    except GastownError:
        return


@reconciler.act("unhook_agent")
def unhook_agent(state: State, action: Action) -> None:
    """Take an agent off its bead."""
    unhook(state, action["agent_id"])


@reconciler.act("clear_agent_checkpoint")
def clear_agent_checkpoint(state: State, action: Action) -> None:
    """Forget an agent's checkpoint."""
    update_if_there(state, "agent_metadata", action["agent_id"], checkpoint=None)


@reconciler.act("delete_agent")
def delete_agent(state: State, action: Action) -> None:
    """Delete an agent, and reopen every bead it was ever assigned; what raises is swallowed."""
    try:
        remove_agent(state, action["agent_id"])
    except (GastownError, RecursionError):  # a bead may be its own ancestor
        return


@reconciler.act("update_convoy_progress")
def update_convoy_progress(state: State, action: Action) -> None:
    """Set a convoy's count of closed beads."""
    update_if_there(state, "convoy_metadata", action["convoy_id"], closed_beads=action["closed_beads"])


@reconciler.act("set_convoy_ready_to_land")
def set_convoy_ready_to_land(state: State, action: Action) -> None:
    """Mark a convoy as ready for its landing merge request."""
    set_flag(state, action["convoy_id"], "ready_to_land")


@reconciler.act("close_convoy")
def close_convoy(state: State, action: Action) -> None:
    """Close a convoy under the terminal guard; it is stamped as landed in any case."""
    set_bead_status(state, action["convoy_id"], "closed", "system")
    update_if_there(state, "convoy_metadata", action["convoy_id"], landed_at=iso(state.now))


@reconciler.act("dispatch_agent")
def dispatch_agent(state: State, action: Action) -> Action | None:
    """Set an agent to work on a bead, one found or created for it if none is named; it is then to be started."""
    bead_id, rig_id = action["bead_id"], action["rig_id"]
    agent_id = action["agent_id"] or _hooked_agent(state, bead_id, rig_id)
    if agent_id is None:
        return None
    agent = state["agent_metadata"].get(agent_id)
    if agent is not None:
        attempts = agent["dispatch_attempts"] + 1
        state["agent_metadata"].update(agent_id, status="working", dispatch_attempts=attempts)
    set_bead_status(state, bead_id, "in_progress", agent_id)
    return Action("start_agent", agent_id=agent_id, bead_id=bead_id, rig_id=rig_id)


def _hooked_agent(state: State, bead_id: str, rig_id: str) -> str | None:
    """Put a suitable agent on a bead and return it; None if that was refused. An agent created for it stays."""
    bead = bead_in_full(state, bead_id)
    role = "refinery" if bead is not None and bead["type"] == "merge_request" else "polecat"
    try:
        agent_id = agent_for(state, role, rig_id)
        hook(state, agent_id, bead_id)
    except GastownError:
        return None
    return agent_id


@reconciler.act("stop_agent")
def stop_agent(state: State, action: Action) -> Action:  # noqa: ARG001 - an applier is given both
    """Write nothing; the agent's process is to be stopped."""
    return Action("stop_agent", agent_id=action["agent_id"])


@reconciler.act("poll_pr")
def poll_pr(state: State, action: Action) -> Action:
    """Touch a merge request, so that it does not look stale; the platform is to be asked for its pull request."""
    update_if_there(state, "beads", action["bead_id"], updated_at=iso(state.now))
    return Action("poll_pr", bead_id=action["bead_id"], pr_url=action["pr_url"])


@reconciler.act("send_nudge")
def send_nudge(state: State, action: Action) -> Action:
    """Note a nudge; a second row is to be queued and delivered, and this one never is."""
    state["agent_nudges"].insert(
        nudge_id=state.new_id("new-nudge"),
        agent_bead_id=action["agent_id"],
        message=action["message"],
        mode="immediate",
        priority="urgent",
        source=f"reconciler:{action['tier']}",
        created_at=iso(state.now),
    )
    return Action("deliver_nudge", agent_id=action["agent_id"], message=action["message"], tier=action["tier"])


@reconciler.act("create_triage_request")
def create_triage_request(state: State, action: Action) -> None:
    """Ask for triage of an agent, unless that was asked already or too much waits; what raises is swallowed."""
    try:
        request_triage(state, action["agent_id"], action["triage_type"], action["reason"])
    except GastownError:
        return


@reconciler.act("notify_mayor", "emit_event")
def write_nothing(state: State, action: Action) -> None:
    """Change no state; what ``emit_event`` emits is `analytics`."""


def analytics(state: State, action: Action) -> dict[str, Any] | None:
    """Return the analytics event an action emits at once; None for all kinds but ``emit_event``."""
    if action.kind != "emit_event":
        return None
    return {"event": action["event_name"], "townId": town_of(state), **action["data"]}
