"""What surprises in gastown's reconciler, as the program has it: a port must do the same, a debugger show it."""

from __future__ import annotations

import pytest
from scene import HOUR, NOW, Scene, ago, event, kinds, status, tick
from town import plain

from replaykit.systems.gastown import endpoints
from replaykit.systems.gastown.reading import GastownError


def test_deleting_an_agent_reopens_work_that_was_finished() -> None:
    """Surprise 1: against the terminal guard, and the work is dispatched again at the next tick."""
    town = (
        Scene()
        .agent("a", last_activity_at=ago(25 * HOUR))
        .bead("done", status="closed", closed_at=ago(HOUR), assignee_agent_bead_id="a")
        .town()
    )

    assert [action["type"] for action in tick(town)] == ["delete_agent"]

    assert status(town, "done") == "open"
    assert town.state["beads"]["done"]["closed_at"] == ago(HOUR)
    assert kinds(town) == ["dispatch_agent"]


def test_an_event_for_a_deleted_agent_raises_for_ever_and_breaks_both_debug_calls() -> None:
    """Surprise 2: no retry counter, no poison limit, no catch around single events of a debug call."""
    town = Scene().town()
    poison = {**event("agent_done", "gone"), "payload": "{}"}

    assert [town.event(event("agent_done", "gone")) for _ in range(3)] == ["not_found"] * 3

    with pytest.raises(GastownError, match="gone"):
        endpoints.dry_run(town.state, town.rules, [poison], town.now)
    with pytest.raises(GastownError, match="gone"):
        endpoints.replay_events(town.state, town.rules, [poison], ago(1), NOW, town.now)


def test_merging_for_a_missing_source_logs_the_review_at_every_retry() -> None:
    """Surprise 3: the raise comes after the log, which stays written."""
    town = Scene().review("mr", "gone", status="in_progress").town()

    results = [town.event(event("pr_status_changed", bead_id="mr", pr_state="merged")) for _ in range(2)]

    assert results == ["not_found", "not_found"]
    assert [row["event_type"] for row in town.state["bead_events"]] == ["review_completed", "review_completed"]


def test_a_reused_agent_is_stopped_before_its_first_heartbeat() -> None:
    """Surprise 4: ``last_event_at`` of its last session survives the new hook."""
    town = Scene().agent("a", last_event_at=ago(3 * HOUR)).bead("b").town()

    tick(town)

    assert town.state["agent_metadata"]["a"]["current_hook_bead_id"] == "b"
    assert kinds(town) == ["transition_agent", "stop_agent", "create_triage_request"]


def test_a_stalled_agent_is_stopped_again_at_every_tick() -> None:
    """Surprise 5: only the request for triage is not repeated."""
    town = Scene().bead("b", status="in_progress").agent("a", "b", status="stalled", last_event_at=ago(3 * HOUR)).town()

    first, second = tick(town), tick(town)

    assert [action["type"] for action in first] == ["transition_agent", "stop_agent", "create_triage_request"]
    assert second == first
    assert sum(row["title"].startswith("Triage") for row in town.state["beads"]) == 1


def test_the_dispatch_breaker_of_a_polecat_is_reset_by_every_new_hook() -> None:
    """Surprise 6, the part without a container: attempts are counted when applied, and hooking forgets them."""
    town = Scene().agent("a", dispatch_attempts=19).bead("b").town()

    tick(town)

    assert town.state["agent_metadata"]["a"]["dispatch_attempts"] == 1


def test_a_refinery_waiting_for_rework_is_dispatched_until_its_breaker_opens() -> None:
    """Surprise 7: R6 does not look at blockers."""
    scene = Scene().bead("b", status="in_review").review("mr", "b", status="in_progress")
    scene.bead("rework", labels='["gt:rework"]', assignee_agent_bead_id="x").link("mr", "rework", "blocks")
    scene.agent("r", "mr", role="refinery", last_activity_at=ago(3))
    town = scene.town()

    assert kinds(town) == ["dispatch_agent"]

    town.state["agent_metadata"].update("r", dispatch_attempts=20)
    assert [action["type"] for action in tick(town)] == ["transition_bead", "unhook_agent"]
    assert status(town, "mr") == "failed"


def test_the_source_of_a_failed_review_waits_five_minutes_and_breaks_invariant_4() -> None:
    """Surprise 8: a breaker fails the merge request alone."""
    town = Scene().bead("b", status="in_review", updated_at=ago(4)).review("mr", "b", status="failed").town()

    assert kinds(town) == []
    assert town.violations() == [{"invariant": 4, "message": "issue b in review without a live MR"}]

    town.state["beads"].update("b", updated_at=ago(6))
    assert kinds(town) == ["transition_bead", "clear_bead_assignee"]


def test_a_mayor_at_work_breaks_invariant_7_and_two_pull_requests_invariant_3() -> None:
    """Surprise 9: both are allowed by design, so both are standing noise."""
    scene = Scene().agent("m", role="mayor", status="working").bead("b", status="in_review")
    scene.review("mr1", "b", "https://g/1", status="in_progress").review(
        "mr2", "b", "https://g/2", status="in_progress"
    )
    town = scene.town()

    assert [found["invariant"] for found in town.violations()] == [7, 3]
    assert kinds(town) == ["poll_pr", "poll_pr"]


def test_two_rules_reopen_the_same_unhooked_review() -> None:
    """Surprise 10: R2 and R3 both fire; applying the second does nothing."""
    town = Scene().bead("b", status="in_review").review("mr", "b", status="in_progress", updated_at=ago(31)).town()

    reasons = [action["reason"] for action in tick(town) if action["type"] == "transition_bead"]

    assert reasons == ["stuck review, no working agent", "abandoned, no agent hooked"]
    assert [row["event_type"] for row in town.state["bead_events"]] == ["status_changed"]


def test_a_pull_request_not_polled_for_half_an_hour_fails_in_the_tick_that_polls_it() -> None:
    """Surprise 11: every poll renews the merge request, so R4 needs the alarm to have been down."""
    scene = Scene().bead("b", status="in_review")
    town = scene.review("mr", "b", "https://g/1", status="in_progress", updated_at=ago(31)).town()

    assert [action["type"] for action in tick(town)] == ["poll_pr", "transition_bead"]
    assert status(town, "mr") == "failed"


@pytest.mark.parametrize("role", ["polecat", "refinery"])
def test_an_agent_that_was_never_active_is_collected_at_the_next_tick(role: str) -> None:
    """Surprise 12: null activity counts as older than 24 hours."""
    town = Scene().agent("a", role=role, last_activity_at=None).town()

    assert kinds(town) == ["delete_agent"]


def test_two_counts_of_a_convoy_disagree_so_that_it_flips() -> None:
    """Surprise 13: one leaves out beads whose review is live, the other does not look at reviews."""
    scene = Scene().convoy("c", total_beads=2, feature_branch="f")
    scene.bead("one", status="closed").link("one", "c").bead("two", status="in_progress").link("two", "c")
    town = scene.review("mr", "one", assignee_agent_bead_id="x").agent("a", "two", status="working").town()

    town.event(event("bead_cancelled", bead_id="two", cancel_status="closed"))
    counted = town.state["convoy_metadata"]["c"]["closed_beads"]

    assert counted == 1
    assert {"type": "update_convoy_progress", "convoy_id": "c", "closed_beads": 2} in tick(town)


def test_a_convoy_without_merge_mode_is_made_ready_by_one_path_and_closed_by_the_other() -> None:
    """Surprise 13: null means ``review-then-land`` to the recount, and not to rule C."""
    scene = Scene().convoy("c", total_beads=1, feature_branch="f").bead("b", status="in_progress").link("b", "c")
    town = scene.town()

    town.event(event("bead_cancelled", bead_id="b", cancel_status="closed"))

    assert "ready_to_land" in town.state["beads"]["c"]["metadata"]
    assert status(town, "c") == "open"
    assert kinds(town) == ["close_convoy"]


@pytest.mark.parametrize(("convoy_status", "emitted"), [("open", ["close_convoy"]), ("in_progress", [])])
def test_a_convoy_that_is_not_open_is_invisible(convoy_status: str, emitted: list[str]) -> None:
    """Surprise 14."""
    scene = Scene().convoy("c", convoy_status, total_beads=1, closed_beads=1)

    assert kinds(scene.bead("b", status="closed").link("b", "c").town()) == emitted


def test_a_failed_landing_is_replaced_at_once_and_without_limit() -> None:
    """Surprise 14."""
    scene = Scene().row("rigs", id="rig", name="rig", default_branch="trunk", created_at=NOW)
    scene.convoy("c", metadata='{"ready_to_land":1}', total_beads=1, closed_beads=1, feature_branch="f",
                 merge_mode="review-then-land").bead("b", status="closed").link("b", "c")  # fmt: skip
    town = scene.review("mr1", "c", status="failed").review("mr2", "c", status="failed").town()

    assert [plain(action) for action in town.reconcile()] == [
        {
            "type": "create_landing_mr",
            "convoy_id": "c",
            "rig_id": "rig",
            "feature_branch": "f",
            "target_branch": "trunk",
        }
    ]


def test_cancelling_writes_the_status_twice_and_unhooks_only_with_the_event() -> None:
    """Surprise 15: the RPC has failed the bead already when its event comes."""
    town = Scene().bead("b", status="failed").agent("a", "b", status="working").town()

    town.event(event("bead_cancelled", bead_id="b"))

    assert [row["event_type"] for row in town.state["bead_events"]] == ["unhooked"]
    assert town.state["agent_metadata"]["a"]["status"] == "idle"


def test_a_late_close_reopens_a_merged_source_under_a_working_agent() -> None:
    """Surprise 16."""
    scene = Scene().bead("b", status="in_progress", assignee_agent_bead_id="a").agent("a", "b", status="working")
    town = scene.review("mr", "b", "https://g/1", status="closed").town()

    town.event(event("pr_status_changed", bead_id="mr", pr_state="closed"))

    assert (status(town, "mr"), status(town, "b")) == ("closed", "open")
    assert town.state["agent_metadata"]["a"]["current_hook_bead_id"] == "b"


def test_a_late_merge_closes_failed_siblings() -> None:
    """Surprise 16."""
    scene = Scene().bead("b", status="in_review").review("mr", "b", status="in_progress")
    town = scene.review("sibling", "b", status="failed").town()

    town.event(event("pr_status_changed", bead_id="mr", pr_state="merged"))

    assert status(town, "sibling") == "closed"


def test_a_merged_pull_request_closes_a_bead_without_review_metadata_silently() -> None:
    """Surprise 17: nothing in the audit trail, no convoy counted anew."""
    town = Scene().convoy("c", total_beads=1).bead("b").link("b", "c").town()

    town.event(event("pr_status_changed", bead_id="b", pr_state="merged"))

    assert status(town, "b") == "closed"
    assert len(town.state["bead_events"]) == town.state["convoy_metadata"]["c"]["closed_beads"] == 0


def test_a_dependent_starts_while_the_review_of_its_blocker_is_live() -> None:
    """Surprise 18: a blocker counts as done as soon as it is terminal."""
    scene = (
        Scene().bead("b", assignee_agent_bead_id=None).bead("blocker", status="closed").link("b", "blocker", "blocks")
    )
    town = scene.review("mr", "blocker", status="in_progress").town()

    assert {"type": "dispatch_agent", "agent_id": "", "bead_id": "b", "rig_id": "rig"} in tick(town)


def test_a_container_not_found_is_forgiven_for_three_minutes_but_its_agent_idled_after_90_seconds() -> None:
    """Surprise 19."""
    scene = Scene().bead("b", status="in_progress")
    town = scene.agent("a", "b", status="working", last_activity_at=ago(2)).town()

    town.event(event("container_status", "a", status="not_found"))

    assert town.state["agent_metadata"]["a"]["status"] == "working"
    assert [action["reason"] for action in tick(town)] == ["heartbeat lost (3 missed cycles)"]


def test_a_triage_request_offers_an_option_that_its_resolver_does_not_know() -> None:
    """Surprise 20: it understands ``CLOSE_BEAD``."""
    town = Scene().bead("b", status="in_progress").agent("a", "b", status="stalled", last_event_at=ago(3 * HOUR)).town()

    tick(town)

    request = next(row for row in town.tables()["beads"] if row["title"].startswith("Triage"))
    assert request["metadata"]["options"] == ["RESTART", "CLOSE", "ESCALATE"]


def test_a_nudge_is_noted_undelivered_and_queued_a_second_time() -> None:
    """Surprise 21: the effect inserts a row of its own and delivers that."""
    town = Scene().bead("b", status="in_progress").agent("a", "b", status="working", last_event_at=ago(20)).town()

    effects = [town.act(action) for action in town.reconcile()]

    assert [effect.kind for effect in effects] == ["deliver_nudge"]
    assert [row["delivered_at"] for row in town.state["agent_nudges"]] == [None]


def test_a_late_heartbeat_breaks_invariant_7_for_one_tick() -> None:
    """Surprise 22: the heartbeat, an RPC, has set an unhooked agent to working."""
    town = Scene().agent("a", status="working").town()

    assert [found["invariant"] for found in town.violations()] == [7]
    assert [action["reason"] for action in tick(town)] == ["working agent has no hook (gt_done already completed)"]
    assert town.violations() == []


def test_one_corrupt_label_stops_the_reconciliation_of_the_whole_town() -> None:
    """Surprise 23: without it, the other bead would be dispatched."""
    town = Scene().bead("fine").bead("corrupt", status="in_review", labels="oops").town()

    with pytest.raises(GastownError, match="oops"):
        town.reconcile()

    town.state["beads"].update("corrupt", labels="[]")
    assert kinds(town) == ["dispatch_agent"]


def test_dispatching_for_a_terminal_bead_leaves_its_agent_working() -> None:
    """Surprise 24: the stale hook is cleaned up only once the agent is idle."""
    town = Scene().bead("b", status="closed").agent("a", "b", status="working").town()

    assert kinds(town) == []

    town.state["agent_metadata"].update("a", status="idle")
    assert kinds(town) == ["unhook_agent", "clear_agent_checkpoint"]
