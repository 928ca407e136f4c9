"""compare() on gastown's incident: another threshold, a refactoring and a condition turned round are told apart."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

import replaykit as rk
from replaykit.systems import gastown

STORM = rk.Window("2026-03-26T14:00Z", "2026-03-26T14:04Z")


@pytest.fixture(scope="module")
def town(sample_data):
    """Return the recording of the incident."""
    return gastown.load_trace(sample_data / "gastown-incident")


def test_another_heartbeat_limit_is_told_tick_by_tick(town):
    """At each tick exactly the agents whose silence lies between the two limits."""
    limits = [timedelta(seconds=90), timedelta(seconds=60)]
    old, new = (gastown.reconciler.with_params(heartbeat_limit=limit) for limit in limits)
    case = rk.compare(town, old, new, STORM)[0]
    run = rk.replay(town, old, STORM, ticks="recorded", actions="recorded")
    wanted = set()
    for tick, at in zip(run.metrics["tick"], run.metrics["at"], strict=True):
        agents = run.at(step=int(run.metrics.set_index("tick").loc[tick, "step"]))["agent_metadata"]
        for agent in agents[(agents["status"] == "working") & (agents["role"] != "mayor")].itertuples():
            seen = datetime.fromisoformat(agent.last_activity_at).replace(tzinfo=None)
            if limits[1] < at - seen <= limits[0]:
                wanted.add((tick, agent.bead_id))
    found = {
        (row.tick + further, row.entity)
        for row in case.actions[case.actions["rule"] == "A1"].itertuples()
        for further in range(row.ticks)
    }

    assert wanted
    assert found == wanted
    assert case.first.rule == "A1"
    assert rk.compare(town, old, new, STORM).changed == ("parameter heartbeat_limit 00:01:30 → 00:01:00",)


def test_a_rule_written_otherwise_is_identical_and_one_turned_round_is_named(town):
    """The same rule of the same incident."""
    refactored, inverted = gastown.reconciler.copy(), gastown.reconciler.copy()
    order = list(gastown.reconciler.rules)

    @refactored.rule("A2", key="agent_id")
    def stale_hooks(state, now):
        for agent in (one for one in state["agent_metadata"].find() if one["status"] == "idle"):
            if bead_id := agent["current_hook_bead_id"]:
                bead = state["beads"].get(bead_id)
                if bead is None or bead["status"] in {"failed", "closed"}:
                    reason = "hooked bead is terminal" if bead is not None else "hooked bead does not exist"
                    yield rk.Action("unhook_agent", agent_id=agent["bead_id"], reason=reason)
                    yield rk.Action("clear_agent_checkpoint", agent_id=agent["bead_id"])

    @inverted.rule("A2", key="agent_id")
    def fresh_hooks(state, now):
        for agent in state["agent_metadata"].find(status="idle"):
            bead = state["beads"].get(agent["current_hook_bead_id"])
            if bead is not None and bead["status"] not in {"failed", "closed"}:
                yield rk.Action("unhook_agent", agent_id=agent["bead_id"], reason="hooked bead is terminal")

    same = rk.compare(town, gastown, refactored, STORM)
    other = rk.compare(town, gastown, inverted, STORM)

    assert list(refactored.rules) == order
    assert same.identical
    assert same.changed == ("rule A2 rewritten",)
    assert other[0].first.rule == "A2"
    assert set(other[0].actions["rule"]) == {"A2"}
