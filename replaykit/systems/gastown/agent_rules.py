"""Rules A1 and A2: agents whose heartbeat is lost, and idle agents on beads that are done or gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from replaykit.declarations import Action
from replaykit.systems.gastown.reading import TERMINAL
from replaykit.systems.gastown.reconciler import reconciler
from replaykit.systems.gastown.times import stale

if TYPE_CHECKING:
    from replaykit.state import State

__all__: list[str] = []


@reconciler.rule("A1", key="agent_id")
def lost_agents(state: State, now: datetime) -> Iterator[Action]:
    """Idle a working agent, mayors aside, that has no heartbeat, a stale one, or no hook."""
    limit = state.params.heartbeat_limit
    for agent in state["agent_metadata"].find(status="working"):
        if agent["role"] == "mayor":
            continue
        if not agent["last_activity_at"]:
            reason = "no heartbeat received since dispatch"
        elif stale(agent["last_activity_at"], limit, now):
            reason = "heartbeat lost (3 missed cycles)"
        elif not agent["current_hook_bead_id"]:
            reason = "working agent has no hook (gt_done already completed)"
        else:
            continue
        yield Action("transition_agent", agent_id=agent["bead_id"], **{"from": "working"}, to="idle", reason=reason)


@reconciler.rule("A2", key="agent_id")
def stale_hooks(state: State, now: datetime) -> Iterator[Action]:  # noqa: ARG001 - a rule is given the clock
    """Take an idle agent off a bead that is terminal or does not exist, and forget its checkpoint."""
    beads = state["beads"]
    for agent in state["agent_metadata"].find(status="idle"):
        if not agent["current_hook_bead_id"]:
            continue
        bead = beads.get(agent["current_hook_bead_id"])
        if bead is None:
            reason = "hooked bead does not exist"
        elif bead["status"] in TERMINAL:
            reason = "hooked bead is terminal"
        else:
            continue
        yield Action("unhook_agent", agent_id=agent["bead_id"], reason=reason)
        yield Action("clear_agent_checkpoint", agent_id=agent["bead_id"])
