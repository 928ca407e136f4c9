"""Agents: putting them on a bead and taking them off, and finding or creating one for a bead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replaykit.systems.gastown.operations import insert_bead, log
from replaykit.systems.gastown.reading import Agent, GastownError, existing_bead, labels_of, maybe_agent
from replaykit.systems.gastown.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replaykit.rows import Row
    from replaykit.state import State

__all__ = ["agent_for", "hook", "hooked_to", "in_join_order", "town_of", "unhook"]

_NAMES = (
    "Toast Maple Birch Shadow Clover Ember Sage Dusk Flint Coral Slate Reed Thorn Pike Moss Wren Blaze Gale Drift Lark"
).split()
_UNHOOKABLE = frozenset(["escalation", "convoy", "agent", "message"])


def hooked_to(state: State, bead_id: str) -> list[Row]:
    """Return the ``agent_metadata`` rows of the agents on a bead."""
    return state["agent_metadata"].find(current_hook_bead_id=bead_id)


def hook(state: State, agent_id: str, bead_id: str) -> None:
    """Put an agent on a bead; whoever else was on it comes off."""
    agent = maybe_agent(state, agent_id)
    if agent is None:
        raise GastownError("not_found", f"agent {agent_id} not found")
    bead = existing_bead(state, bead_id)
    if bead["type"] in _UNHOOKABLE or "gt:triage-request" in labels_of(bead["labels"]):
        raise GastownError("hook_refused", f"bead {bead_id} is nothing an agent can be on")
    if agent.hook == bead_id:
        return
    if agent.hook:
        raise GastownError("hook_refused", f"agent {agent_id} is on bead {agent.hook} already")
    for other in hooked_to(state, bead_id):
        unhook(state, other["bead_id"])
    now = iso(state.now)
    state["agent_metadata"].update(
        agent_id,
        current_hook_bead_id=bead_id,
        status="idle",
        dispatch_attempts=0,
        last_activity_at=now,
        agent_status_message=None,
        agent_status_updated_at=None,
    )
    state["beads"].update(bead_id, assignee_agent_bead_id=agent_id, updated_at=now)
    log(state, bead_id, agent_id, "hooked", new=agent_id)


def unhook(state: State, agent_id: str) -> None:
    """Take an agent off its bead, if it is on one; the bead keeps its assignee."""
    agent = maybe_agent(state, agent_id)
    if agent is None or not agent.hook:
        return
    state["agent_metadata"].update(agent_id, current_hook_bead_id=None, status="idle")
    log(state, agent.hook, agent_id, "unhooked", old=agent_id)


def in_join_order(state: State, rig_id: str, agents: Iterable[Row]) -> list[Row]:
    """Return those agents whose bead is in a rig, by their bead's status, then in insertion order of the beads."""
    beads = state["beads"]
    found = {}
    for agent in agents:
        bead = beads.get(agent["bead_id"])
        if bead is not None and bead["rig_id"] == rig_id:
            found[agent["bead_id"]] = agent
    if len(found) < 2:
        return list(found.values())
    inserted = [row for row in beads.find(rig_id=rig_id) if row["bead_id"] in found]
    return [found[row["bead_id"]] for row in sorted(inserted, key=lambda row: row["status"])]


def town_of(state: State) -> str:
    """Return the town's id, or as much of it as the agents' identities hold where no parameter says it."""
    if state.params.town_id is not None:
        return str(state.params.town_id)
    known = (row["identity"].rpartition("@")[2] for row in state["agent_metadata"].find() if "@" in row["identity"])
    return next(known, "town")


def agent_for(state: State, role: str, rig_id: str) -> str:
    """Return the rig's refinery, or its first polecat with nothing to do; one is registered if there is none."""
    rows = state["agent_metadata"].find(role=role)
    if role == "polecat":
        rows = [row for row in rows if row["status"] == "idle" and row["current_hook_bead_id"] is None]
    found = in_join_order(state, rig_id, rows)
    if found:
        chosen: Agent | None = maybe_agent(state, found[0]["bead_id"])
        if chosen is not None:
            return chosen.id
    return _register(state, role, _polecat_name(state) if role == "polecat" else role, rig_id)


def _polecat_name(state: State) -> str:
    beads = (state["beads"].get(row["bead_id"]) for row in state["agent_metadata"].find(role="polecat"))
    used = {bead["title"] for bead in beads if bead is not None}
    return next((name for name in _NAMES if name not in used), f"Polecat-{len(used) + 1}")


def _register(state: State, role: str, name: str, rig_id: str) -> str:
    identity = f"{name}-{role}-{rig_id[:8]}@{town_of(state)[:8]}"
    agent_id = insert_bead(state, type="agent", title=name, rig_id=rig_id)
    if state["agent_metadata"].find(identity=identity):  # the bead stays behind
        raise GastownError("constraint", f"an agent with identity {identity!r} exists")
    state["agent_metadata"].insert(bead_id=agent_id, role=role, identity=identity, active_tools="[]")
    return agent_id
