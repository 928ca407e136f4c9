"""Rules G and GC: agents whose session shows no activity, and agents nobody has needed for a day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.declarations import Action
from replaykit.systems.gastown.reading import GastownError, json_or
from replaykit.systems.gastown.reconciler import reconciler
from replaykit.systems.gastown.times import parse, stale

if TYPE_CHECKING:
    from replaykit.rows import Row
    from replaykit.state import State

__all__: list[str] = []

_ESCALATION = "Working for over an hour: finish or report."
_WARNING = "Idle for 15 minutes: check progress."


@reconciler.rule("G", key="agent_id")
def silent_agents(state: State, now: datetime) -> Iterator[Action]:
    """Warn an agent without session activity, then escalate, then stop it; all of that again at later ticks."""
    stop, escalate, warn = (state.params[name] for name in ("gupp_stop", "gupp_escalate", "gupp_warn"))
    for agent in state["agent_metadata"].find(status=("working", "stalled")):
        text = agent["last_event_at"] if agent["last_event_at"] is not None else agent["last_activity_at"]
        moment = parse(text) if text and agent["role"] != "mayor" else None
        if moment is None:
            continue
        silence = now - moment
        if silence < timedelta(0):
            continue
        if silence > stop:
            yield from _stop(agent)
        elif silence > escalate:
            yield from _escalate(state, agent, now)
        elif silence > warn and not _uses_tools(agent) and not _nudged(state, agent, "warn", now):
            yield _nudge(agent, _WARNING, "warn")


def _stop(agent: Row) -> Iterator[Action]:
    yield Action(
        "transition_agent",
        agent_id=agent["bead_id"],
        **{"from": agent["status"]},
        to="stalled",
        reason="GUPP force stop — no SDK activity for 2h",
    )
    yield Action("stop_agent", agent_id=agent["bead_id"], reason="exceeded 2h GUPP limit")
    yield _triage(agent, "GUPP force stop")


def _escalate(state: State, agent: Row, now: datetime) -> Iterator[Action]:
    if not _nudged(state, agent, "escalate", now):
        yield _nudge(agent, _ESCALATION, "escalate")
        yield _triage(agent, "GUPP escalation")


def _nudge(agent: Row, message: str, tier: str) -> Action:
    return Action("send_nudge", agent_id=agent["bead_id"], message=message, tier=tier)


def _triage(agent: Row, reason: str) -> Action:
    return Action("create_triage_request", agent_id=agent["bead_id"], triage_type="stuck_agent", reason=reason)


def _uses_tools(agent: Row) -> bool:
    text = agent["active_tools"]
    tools: Any = json_or(text, []) if text is not None else []
    if tools is None:
        raise GastownError("other", f"active_tools of agent {agent['bead_id']} is null")
    return len(tools) > 0 if isinstance(tools, (list, str)) else True  # what has no length is not empty


def _nudged(state: State, agent: Row, tier: str, now: datetime) -> bool:
    """Return whether the agent got such a nudge within the window; both ends are cut to whole seconds."""
    since = now - state.params.nudge_window
    for nudge in state["agent_nudges"].find(agent_bead_id=agent["bead_id"]):
        moment = parse(nudge["created_at"]) if nudge["source"] == f"reconciler:{tier}" else None
        # Cutting the other end too would not change which whole seconds lie behind it.
        if moment is not None and since < moment.replace(microsecond=0):
            return True
    return False


@reconciler.rule("GC", key="agent_id")
def unused_agents(state: State, now: datetime) -> Iterator[Action]:
    """Delete an idle or dead polecat or refinery without a hook that was last active long ago, or never."""
    retention = state.params.agent_retention
    for agent in state["agent_metadata"].find(status=("idle", "dead")):
        if agent["role"] not in ("polecat", "refinery") or agent["current_hook_bead_id"] is not None:
            continue
        if stale(agent["last_activity_at"], retention, now):
            yield Action("delete_agent", agent_id=agent["bead_id"], reason="GC: idle > 24h")
