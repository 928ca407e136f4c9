"""What each kind of event does to a town. A missing id that makes an event a no-op is no error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replaykit.systems.gastown.agents import hooked_to, unhook
from replaykit.systems.gastown.operations import log, set_bead_status, update_if_there
from replaykit.systems.gastown.reading import TERMINAL, Agent, GastownError, bead_in_full, labels_of, maybe_agent
from replaykit.systems.gastown.reconciler import reconciler
from replaykit.systems.gastown.reviews import finish_review, mark_in_progress, set_pr_url, submit_for_review
from replaykit.systems.gastown.times import parse

if TYPE_CHECKING:
    from replaykit.inputs import Event
    from replaykit.state import State

__all__: list[str] = []

reconciler.ignore("bead_created", "nudge_timeout")


def _text(event: Event, name: str) -> str | None:
    value = event.payload.get(name)
    return value if isinstance(value, str) else None


@reconciler.apply("agent_done")
def agent_done(state: State, event: Event) -> None:
    """Submit the agent's bead for review, or finish the review if it is a refinery's."""
    if not event["agent_id"]:
        return
    agent = maybe_agent(state, event["agent_id"])
    if agent is None:
        raise GastownError("not_found", f"agent {event['agent_id']} not found")
    if not agent.hook:
        if agent.role == "refinery":
            _recover(state, event, agent)
        return
    bead = bead_in_full(state, agent.hook)
    labels = labels_of(bead["labels"]) if bead is not None else ()
    if bead is not None and ("gt:rework" in labels or ("gt:triage" in labels and bead["created_by"] == "patrol")):
        set_bead_status(state, agent.hook, "closed", agent.id)
        unhook(state, agent.id)
    elif agent.role == "refinery":
        _reviewed(state, event, agent, agent.hook)
    else:
        _worked(state, event, agent, agent.hook)


def _recover(state: State, event: Event, agent: Agent) -> None:
    """Finish the review of a refinery that lost its hook: that of the merge request it is assigned to."""
    found = state["beads"].find(assignee_agent_bead_id=agent.id, type="merge_request")
    live = sorted((row for row in found if row["status"] not in TERMINAL), key=lambda row: row["status"])
    if not live:
        return
    mr_id, url = max(live, key=lambda row: row["updated_at"])["bead_id"], _text(event, "pr_url")
    if not url:
        summary = _text(event, "summary")
        default = "Merged by refinery agent (recovered from unhook)"
        finish_review(state, mr_id, "merged", default if summary is None else summary)
    elif set_pr_url(state, mr_id, url):
        mark_in_progress(state, mr_id)
    else:
        finish_review(state, mr_id, "failed", f"Refinery provided invalid pr_url: {url}")


def _reviewed(state: State, event: Event, agent: Agent, mr_id: str) -> None:
    url = _text(event, "pr_url")
    if not url:
        summary = _text(event, "summary")
        finish_review(state, mr_id, "merged", "Merged by refinery agent" if summary is None else summary)
    elif set_pr_url(state, mr_id, url):
        mark_in_progress(state, mr_id)
        entry = {"pr_url": url, "created_by": "refinery"}
        log(state, mr_id, agent.id, "pr_created", new=url, metadata=entry)
    else:
        finish_review(state, mr_id, "failed", f"Refinery provided invalid pr_url: {url}")
        entry = {"pr_url": url, "reason": "invalid_url"}
        log(state, mr_id, agent.id, "pr_creation_failed", metadata=entry)
    unhook(state, agent.id)
    update_if_there(state, "agent_metadata", agent.id, status="idle")


def _worked(state: State, event: Event, agent: Agent, source_id: str) -> None:
    rig = state["rigs"].get(agent.rig_id) if agent.rig_id else None
    submit_for_review(
        state,
        agent.id,
        source_id,
        agent.rig_id or "",
        _text(event, "branch") or "",
        pr_url=_text(event, "pr_url"),
        summary=_text(event, "summary"),
        default_branch=rig["default_branch"] if rig is not None else None,
    )
    unhook(state, agent.id)
    set_bead_status(state, source_id, "in_review", agent.id)


@reconciler.apply("agent_completed")
def agent_completed(state: State, event: Event) -> None:
    """Take an agent that ended off its bead and idle it; a refinery keeps its hook and its attempts."""
    agent = maybe_agent(state, event["agent_id"]) if event["agent_id"] else None
    if agent is None:
        return
    if agent.hook and agent.role != "refinery":
        bead_in_full(state, agent.hook)
        if event.payload.get("status") != "completed":
            set_bead_status(state, agent.hook, "failed", agent.id)
        unhook(state, agent.id)
    row = state["agent_metadata"][agent.id]
    if row["status"] != "working" or row["current_hook_bead_id"] is None:
        attempts = row["dispatch_attempts"] if row["role"] == "refinery" else 0
        state["agent_metadata"].update(agent.id, status="idle", dispatch_attempts=attempts)


@reconciler.apply("pr_status_changed")
def pr_status_changed(state: State, event: Event) -> None:
    """Finish the review of a pull request that was merged or closed."""
    outcome = event.payload.get("pr_state")
    if not event["bead_id"]:
        return
    if outcome == "merged":
        finish_review(state, event["bead_id"], "merged", "PR merged (detected by polling)")
    elif outcome == "closed":
        finish_review(state, event["bead_id"], "failed", "PR closed without merge")


@reconciler.apply("bead_cancelled")
def bead_cancelled(state: State, event: Event) -> None:
    """Close or fail a bead and take every agent off it, even if it was terminal."""
    if not event["bead_id"]:
        return
    status = "closed" if event.payload.get("cancel_status") == "closed" else "failed"
    set_bead_status(state, event["bead_id"], status, "system")
    for agent in hooked_to(state, event["bead_id"]):
        unhook(state, agent["bead_id"])


@reconciler.apply("convoy_started")
def convoy_started(state: State, event: Event) -> None:
    """Let a planned convoy's beads be dispatched."""
    convoy_id = _text(event, "convoy_id")
    if convoy_id:
        update_if_there(state, "convoy_metadata", convoy_id, staged=0)


@reconciler.apply("container_status")
def container_status(state: State, event: Event) -> None:
    """Idle an agent whose container is gone; a refinery whose merge request is done comes off it too."""
    agent = maybe_agent(state, event["agent_id"]) if event["agent_id"] else None
    status = event.payload.get("status")
    if agent is None or agent.status not in ("working", "stalled") or status not in ("exited", "not_found"):
        return
    if status == "not_found" and _starting(state, agent):
        return
    bead = bead_in_full(state, agent.hook) if agent.role == "refinery" and agent.hook else None
    done = bead is not None and bead["status"] in TERMINAL
    if done:
        unhook(state, agent.id)
    state["agent_metadata"].update(agent.id, status="idle")
    if done:
        state["agent_metadata"].update(agent.id, checkpoint=None)


def _starting(state: State, agent: Agent) -> bool:
    """Return whether an agent was active so recently that its container may only not have registered yet."""
    moment = parse(agent.last_activity_at) if agent.last_activity_at else None
    return moment is not None and bool(state.now - moment < state.params.not_found_grace)
