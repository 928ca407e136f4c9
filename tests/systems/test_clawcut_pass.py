"""The pass does nothing unless it was enabled, asks only about what is old enough, and writes down what it did."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from clawcut_app import NOW, Told, audited, contents, event, job, make_app, rows

import replaykit as rk
from replaykit.systems import clawcut
from replaykit.systems.clawcut import Answer
from replaykit.systems.clawcut.audit import read_entry
from replaykit.systems.clawcut.database import read
from replaykit.systems.clawcut.schema import entries


def passes(app: Path) -> list[dict[str, Any]]:
    """Return what the passes wrote down."""
    return audited(app, "pass_ran")


def test_a_pass_that_is_not_enabled_opens_nothing_and_asks_nobody(tmp_path: Path):
    """The switch is the first thing that is looked at, before the path."""
    provider = Told()
    nothing = clawcut.run_pass(tmp_path / "no" / "such.sqlite", provider, now=NOW)

    app = make_app(tmp_path, [job(1)])
    before = contents(app)
    off = clawcut.run_pass(app, provider, dry_run=False, now=NOW)

    assert (nothing.enabled, nothing.skip_reason, off.skip_reason) == (False, "disabled", "disabled")
    assert (off.scanned, off.eligible, off.reconciled, dict(off.results)) == (0, 0, 0, {})
    assert provider.asked == []
    assert contents(app) == before
    with pytest.raises(rk.OperationError):
        clawcut.run_pass(tmp_path / "no" / "such.sqlite", provider, enabled=True, now=NOW)


@pytest.mark.parametrize("switch", ["false", "0", "", 1, None])
def test_a_switch_that_is_neither_on_nor_off_is_refused(tmp_path: Path, switch: Any):
    """The text "false" of an environment variable is true in Python, and would be traffic that nobody wanted."""
    app, provider = make_app(tmp_path, [job(1)]), Told()
    before = contents(app)

    for call in (
        lambda: clawcut.run_pass(app, provider, enabled=switch, now=NOW),
        lambda: clawcut.run_pass(app, provider, enabled=True, dry_run=switch, now=NOW),
        lambda: clawcut.check_batch(app, provider, apply=switch, now=NOW),
        lambda: clawcut.check(app, 1, provider, apply=switch, now=NOW),
    ):
        with pytest.raises(rk.OperationError, match="expected True or False"):
            call()

    assert (provider.asked, contents(app)) == ([], before)


def test_a_dry_run_asks_and_writes_its_own_event_only(tmp_path: Path):
    """An operator sees what the pass would do before it may."""
    app, provider = make_app(tmp_path, [job(1), job(2, 5)]), Told()
    before = rows(app)

    ran = clawcut.run_pass(app, provider, enabled=True, now=NOW)

    assert (provider.asked, ran.dry_run, ran.reconciled) == (["p1"], True, 0)
    assert rows(app) == before
    assert [found["kind"] for found in rows(app, "audit_events")] == ["pass_ran"]
    assert passes(app) == [
        {
            "ran_at": "2026-05-12T12:00:00.000Z",
            "enabled": True,
            "dry_run": True,
            "limit": 25,
            "min_age_minutes": 10,
            "scanned": 2,
            "eligible": 1,
            "reconciled": 0,
            "skip_reason": None,
            "results": {"completed": 1},
        }
    ]


def test_an_applied_pass_ends_jobs_and_writes_both_kinds_of_events(tmp_path: Path):
    """The events of the jobs come first: they are what a killed pass leaves."""
    app = make_app(tmp_path, [job(1, 60), job(2, 50), job(3, 40), job(4, 3)])
    provider = Told({"p2": Answer("running")})

    ran = clawcut.run_pass(app, provider, enabled=True, dry_run=False, limit=2, now=NOW)

    assert provider.asked == ["p1", "p2"]
    assert [found["status"] for found in rows(app)] == ["completed", "processing", "processing", "processing"]
    assert (ran.scanned, ran.eligible, ran.reconciled, dict(ran.results)) == (
        4,
        3,
        1,
        {"completed": 1, "still_running": 1},
    )
    assert [found["kind"] for found in rows(app, "audit_events")] == ["reconcile_checked"] * 2 + ["pass_ran"]
    assert {found["actor"] for found in rows(app, "audit_events")} == {"pass"}
    assert [said["automatic"] for said in audited(app, "reconcile_checked")] == [True, True]
    assert passes(app)[0]["reconciled"] == 1


@pytest.mark.parametrize(
    ("jobs", "events", "reason"),
    [
        ([], [], "no_candidates"),
        ([job(1, kind="image"), job(2, provider_job_id=None)], [], "no_candidates"),
        ([job(1, 3), job(2, None)], [], "none_old_enough"),
        (
            [job(1, 3), job(2, 30)],
            [event("reconcile_checked", 5, job_id=2, outcome="still_running")],
            "all_waiting",
        ),
        (
            [job(1, 3)],
            [event("reconcile_checked", 1, job_id=1, outcome="still_running")],
            "none_old_enough",
        ),
    ],
)
def test_why_nobody_was_asked_is_written_down(tmp_path: Path, jobs: list[Any], events: list[Any], reason: str):
    """A silent pass and a broken one must not look the same."""
    app, provider = make_app(tmp_path, jobs, events), Told()

    ran = clawcut.run_pass(app, provider, enabled=True, dry_run=False, now=NOW)

    assert (ran.skip_reason, provider.asked) == (reason, [])
    assert passes(app)[0]["skip_reason"] == reason
    assert "nobody was asked" in repr(ran)


def test_the_pause_doubles_with_every_check_that_ended_nothing(tmp_path: Path):
    """A provider that is slow is not asked every minute for an hour."""
    app, asked_at = make_app(tmp_path, [job(1)]), []

    for minute in range(0, 200, 5):
        provider = Told(state="running")
        clawcut.run_pass(app, provider, enabled=True, dry_run=False, now=NOW + timedelta(minutes=minute))
        asked_at += [minute] * len(provider.asked)

    assert asked_at == [0, 10, 30, 70, 150]
    assert [said["attempt"] for said in audited(app, "reconcile_checked")] == [1, 2, 3, 4, 5]


def test_an_outage_of_the_provider_makes_no_pause_longer(tmp_path: Path):
    """When it is back, a stranded job is found within ten minutes."""
    app, asked_at = make_app(tmp_path, [job(1)]), []

    for minute in range(0, 75, 5):
        answer = Answer("running") if minute in (0, 10) else clawcut.ProviderError("unreachable")
        provider = Told({"p1": answer})
        clawcut.run_pass(app, provider, enabled=True, dry_run=False, now=NOW + timedelta(minutes=minute))
        asked_at += [minute] * len(provider.asked)

    assert asked_at == [0, 10, 30, 40, 50, 60, 70]
    assert [said["attempt"] for said in audited(app, "reconcile_checked")] == [1, 2, 3, 3, 3, 3, 3]


def test_a_gate_that_lets_fresh_jobs_through_is_told(tmp_path: Path):
    """Asking about a job that the app has just heard of is a violation in a replay."""
    app = make_app(tmp_path, [job(1)])

    low, usual = (clawcut.run_pass(app, Told(), enabled=True, min_age_minutes=minutes, now=NOW) for minutes in (0, 5))

    assert "fresh jobs too, from 0 min on" in low.sentence
    assert "fresh" not in usual.sentence


def test_a_dry_run_does_not_make_the_next_pass_wait(tmp_path: Path):
    """Looking is not checking."""
    app = make_app(tmp_path, [job(1)])
    clawcut.run_pass(app, Told(state="running"), enabled=True, now=NOW)
    provider = Told()

    clawcut.run_pass(app, provider, enabled=True, dry_run=False, now=NOW)

    assert provider.asked == ["p1"]


@pytest.mark.parametrize("minutes", [0, 5, 45])
def test_the_age_gate_is_the_one_that_was_given(tmp_path: Path, minutes: float):
    """Whatever the policy's own is."""
    app, provider = make_app(tmp_path, [job(id, id) for id in (1, 7, 30, 60)]), Told()

    clawcut.run_pass(app, provider, enabled=True, min_age_minutes=minutes, now=NOW)

    assert provider.asked == [f"p{id}" for id in (60, 30, 7, 1) if id >= minutes]


@pytest.mark.parametrize("dry_run", [True, False])
def test_two_passes_at_once_ask_once(tmp_path: Path, dry_run: bool):
    """Cron starts the next one while the last still waits for a slow provider."""
    app = make_app(tmp_path, [job(1, 60), job(2, 50)])
    asked: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def slow(id: str) -> Answer:
        asked.append(id)
        begun.set()
        assert go_on.wait(10)
        return Answer("running")

    found: list[clawcut.Pass] = []
    first = threading.Thread(
        target=lambda: found.append(clawcut.run_pass(app, slow, enabled=True, dry_run=dry_run, now=NOW))
    )
    first.start()
    assert begun.wait(10)
    second = clawcut.run_pass(app, slow, enabled=True, dry_run=dry_run, now=NOW)
    go_on.set()
    first.join()

    assert (second.skip_reason, found[0].skip_reason) == ("another_pass", None)
    assert asked == ["p1", "p2"]
    assert len(passes(app)) == 2


def test_a_pass_leaves_what_an_operator_asks_about_just_now(tmp_path: Path):
    """And the operator's answer counts."""
    app = make_app(tmp_path, [job(1)])
    ran: list[clawcut.Pass] = []

    def meanwhile(_id: str) -> Answer:
        ran.append(clawcut.run_pass(app, Told(state="failed"), enabled=True, dry_run=False, now=NOW))
        return Answer("completed", "https://cdn.example/r")

    check = clawcut.check(app, 1, meanwhile, apply=True, now=NOW)

    assert (dict(ran[0].results), check.outcome, rows(app)[0]["status"]) == (
        {"in_flight": 1},
        "completed",
        "completed",
    )


def test_its_event_can_be_read_back(tmp_path: Path):
    """The summary shows the last pass."""
    app = make_app(tmp_path, [job(1)], times="epoch", text_ids=True, text_event_ids=True)
    clawcut.run_pass(app, Told(), enabled=True, dry_run=False, now=NOW)

    said = read(app, lambda connection: [read_entry(entry) for entry in entries(connection)])

    assert [(told.kind, told.actor, told.at, told.metadata_unreadable) for told in said] == [
        ("reconcile_checked", "pass", NOW, False),
        ("pass_ran", "pass", NOW, False),
    ]
    assert said[1].details["results"] == {"completed": 1}
    assert said[1].details["ran_at"] == NOW


def test_unreadable_metadata_keeps_no_pass_from_running(tmp_path: Path):
    """Somebody's script wrote half a JSON; its check can't count for the pause, and the pass goes on."""
    broken = event("reconcile_checked", 5) | {"metadata": '{"job_id": 1, "outcome"'}
    app, provider = make_app(tmp_path, [job(1)], [broken]), Told()

    clawcut.run_pass(app, provider, enabled=True, dry_run=False, now=NOW)

    assert provider.asked == ["p1"]


def test_it_is_one_line_and_a_table(tmp_path: Path):
    """For a log of cron, and for a notebook."""
    app = make_app(tmp_path, [job(1)])

    ran = clawcut.run_pass(app, Told(), enabled=True, now=NOW)

    assert "\n" not in repr(ran)
    assert repr(ran).startswith("Pass(2026-05-12T12:00:00Z, 1 of 1 candidate eligible, 1 checked: 1 completed; dry run")
    assert ran._repr_html_().count("<tr>") == 2
    assert list(ran.table["job_id"]) == [1]
