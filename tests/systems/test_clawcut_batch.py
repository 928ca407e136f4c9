"""A batch asks about the oldest jobs, goes on when one fails, and asks the same again only of what has not ended."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from clawcut_app import NOW, Told, audited, change, contents, event, job, make_app, row, rows

import replaykit as rk
from replaykit.systems import clawcut
from replaykit.systems.clawcut import Answer, ProviderError, checking
from replaykit.systems.clawcut import database as opening


def ids(batch: clawcut.Batch) -> list[Any]:
    """Return the jobs that had their turn, in order."""
    return [check.job_id for check in batch.checks]


def test_the_oldest_come_first_up_to_the_limit_and_the_young_not_at_all(tmp_path: Path):
    """What waits longest is most probably stranded."""
    minutes = {1: 30, 2: 9.99, 3: 90, 4: 10, 5: None, 6: -5, 7: 45}
    app, provider = make_app(tmp_path, [job(id, age) for id, age in minutes.items()]), Told()

    batch = clawcut.check_batch(app, provider, now=NOW)

    assert (ids(batch), provider.asked) == ([3, 7, 1, 4], ["p3", "p7", "p1", "p4"])
    assert (batch.scanned_count, batch.count, batch.min_age_minutes) == (7, 4, 10)
    assert dict(batch.results) == {"completed": 4}
    assert ids(clawcut.check_batch(app, Told(), limit=2, now=NOW)) == [3, 7]
    assert ids(clawcut.check_batch(app, Told(), limit=0, now=NOW)) == []
    assert ids(clawcut.check_batch(app, Told(), min_age_minutes=40, now=NOW)) == [3, 7]


def test_only_candidates_are_in_it(tmp_path: Path):
    """Short kinds are the app's own business, ended jobs have ended, and without an id nobody can be asked."""
    found = [
        job(1),
        job(2, kind="image"),
        job(3, status="completed"),
        job(4, provider_job_id=None),
        job(5, status="queued"),
        job(6, status="pending"),
    ]
    app = make_app(tmp_path, found)

    batch = clawcut.check_batch(app, Told(), now=NOW)
    images = clawcut.check_batch(app, Told(), now=NOW, policy=clawcut.Policy(kinds=("image",)))

    assert (ids(batch), batch.scanned_count) == ([1, 5, 6], 3)
    assert ids(images) == [2]


def test_one_that_fails_does_not_keep_the_others(tmp_path: Path):
    """A provider stumbles over one job, and nine wait behind it."""
    app = make_app(tmp_path, [job(id, 100 - id) for id in range(1, 7)])
    told = {
        "p1": ProviderError("server_error"),
        "p2": RuntimeError("boom"),
        "p3": Answer("running"),
        "p4": Answer("not_found"),
        "p5": Answer("failed", error="no"),
    }

    batch = clawcut.check_batch(app, Told(told), apply=True, now=NOW)

    assert dict(batch.results) == {
        "completed": 1,
        "failed": 1,
        "still_running": 1,
        "not_found": 1,
        "provider_error": 2,
    }
    assert list(batch.results) == ["completed", "failed", "still_running", "not_found", "provider_error"]
    assert [found["status"] for found in rows(app)] == ["processing"] * 4 + ["failed", "completed"]
    assert [said["job_id"] for said in audited(app, "reconcile_checked")] == [1, 2, 3, 4, 5, 6]
    assert "RuntimeError" in batch.checks[1].sentence


def test_it_is_idempotent(tmp_path: Path):
    """Somebody presses the button again: what has ended is not asked about, nor written, a second time."""
    app = make_app(tmp_path, [job(1), job(2), job(3)])
    told = {"p2": Answer("running")}

    clawcut.check_batch(app, Told(told), apply=True, now=NOW)
    after, again = rows(app), Told(told)
    second = clawcut.check_batch(app, again, apply=True, now=NOW)

    assert (again.asked, dict(second.results)) == (["p2"], {"still_running": 1})
    assert rows(app) == after
    assert [said["attempt"] for said in audited(app, "reconcile_checked") if said["job_id"] == 2] == [1, 2]


def test_an_operator_does_not_wait_for_the_pause_of_earlier_checks(tmp_path: Path):
    """It is asked on purpose."""
    checked = [event("reconcile_checked", 1, job_id=1, outcome="still_running")]
    app = make_app(tmp_path, [job(1)], checked)

    assert clawcut.check_batch(app, Told(), now=NOW).count == 1


@pytest.mark.parametrize("wal", [True, False])
def test_a_dry_run_changes_no_byte(tmp_path: Path, wal: bool):
    """Nor is a sidecar left."""
    app = make_app(tmp_path, [job(1), job(2)], wal=wal)
    before = contents(app)

    batch = clawcut.check_batch(app, Told(), now=NOW)

    assert batch.count == 2
    assert "dry run" in repr(batch)
    assert contents(app) == before


@pytest.mark.parametrize("lasts", [True, False])
def test_after_a_lock_that_lasts_nobody_else_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasts: bool):
    """An answer that can't be written is a request for nothing; where the lock is gone by then, the batch goes on."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.05)
    app = make_app(tmp_path, [job(1, 60), job(2, 50), job(3, 40), job(4, 30)])
    asked: list[str] = []
    with closing(sqlite3.connect(app, isolation_level=None)) as writer:

        def answer(id: str) -> Answer:
            asked.append(id)
            if id == "p2":
                writer.execute("BEGIN IMMEDIATE")
            return Answer("completed", "https://cdn.example/r")

        def progress(done: int, _total: int) -> None:
            if done == 2 and not lasts:
                writer.execute("COMMIT")

        batch = clawcut.check_batch(app, answer, apply=True, now=NOW, progress=progress)

    rest = "not_written" if lasts else "completed"
    assert [check.outcome for check in batch.checks] == ["completed", "not_written", rest, rest]
    assert "locked" in batch.checks[1].sentence
    assert [check.asked_at for check in batch.checks] == [NOW, NOW] + [None if lasts else NOW] * 2
    assert asked == (["p1", "p2"] if lasts else ["p1", "p2", "p3", "p4"])
    assert [said["job_id"] for said in audited(app, "reconcile_checked")] == ([1] if lasts else [1, 3, 4])


@pytest.mark.parametrize("how", ["locked", "refused"])
def test_nobody_is_asked_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str):
    """Else the provider is asked the same at every pass, in vain."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.05)
    app, provider = make_app(tmp_path, [job(1), job(2)]), Told()
    if how == "refused":
        change(app, "CREATE TRIGGER no BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'secret'); END")
    with closing(sqlite3.connect(app, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE" if how == "locked" else "BEGIN")
        with pytest.raises(rk.OperationError) as single:
            clawcut.check(app, 1, provider, apply=True, now=NOW)
        batch = clawcut.check_batch(app, provider, apply=True, now=NOW)
        for dry_run in (True, False):
            with pytest.raises(rk.OperationError) as ran:
                clawcut.run_pass(app, provider, enabled=True, dry_run=dry_run, now=NOW)

    assert provider.asked == []
    assert (dict(batch.results), ran.value.result) == ({"not_written": 2}, None)
    assert single.value.reason == ran.value.reason == ("locked" if how == "locked" else "unreadable")
    assert "secret" not in str(single.value) + batch.checks[0].sentence


def test_a_pass_that_cannot_be_written_down_is_not_lost(tmp_path: Path):
    """The jobs were asked about, and what came of it is known."""
    app = make_app(tmp_path, [job(1)])
    change(
        app,
        "CREATE TRIGGER no BEFORE INSERT ON audit_events WHEN new.kind = 'pass_ran' "
        "BEGIN SELECT RAISE(ABORT, 'no'); END",
    )

    with pytest.raises(rk.OperationError) as caught:
        clawcut.run_pass(app, Told(), enabled=True, dry_run=False, now=NOW)

    assert dict(caught.value.result.results) == {"completed": 1}
    assert row(app, 1)["status"] == "completed"


def test_ids_that_json_does_not_have_are_written_as_text(tmp_path: Path):
    """Some apps keep uuids as sixteen bytes."""
    app = make_app(tmp_path, [])
    change(app, "DROP TABLE ai_jobs")
    change(
        app,
        "CREATE TABLE ai_jobs (id PRIMARY KEY, kind, provider, status, provider_job_id, result_url, error, "
        "created_at, updated_at)",
    )
    for id in ("X'00ff'", "1.5"):
        change(
            app,
            f"INSERT INTO ai_jobs VALUES ({id}, 'video', 'veo', 'processing', 'p', NULL, NULL, "
            "'2026-05-12T11:00:00Z', '2026-05-12T11:00:00Z')",
        )

    running = clawcut.check_batch(app, Told(state="running"), apply=True, now=NOW)
    waiting = clawcut.run_pass(app, Told(), enabled=True, dry_run=False, now=NOW)
    ended = clawcut.check(app, b"\x00\xff", Told(), apply=True, now=NOW)

    assert dict(running.results) == {"still_running": 2}
    assert waiting.skip_reason == "all_waiting"
    assert ended.applied
    blob = "b'\\x00\\xff'"
    assert [said["job_id"] for said in audited(app, "reconcile_checked")] == ["1.5", blob, blob]


def test_a_batch_goes_on_whatever_becomes_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A mistake of ours in one job, or a table that was renamed meanwhile, is told in words of our own."""
    app = make_app(tmp_path, [job(1, 60), job(2, 50), job(3, 40)])
    settle = checking.settle

    def odd(database: Any, found: Any, *rest: Any) -> Any:
        if found.id == 1:
            raise TypeError("secret")
        return settle(database, found, *rest)

    def answer(id: str) -> Answer:
        if id == "p2":
            change(app, "ALTER TABLE ai_jobs RENAME TO moved")
        return Answer("completed", "https://cdn.example/r")

    monkeypatch.setattr(checking, "settle", odd)
    batch = clawcut.check_batch(app, answer, apply=True, now=NOW)

    assert [check.outcome for check in batch.checks] == ["not_written"] * 3
    assert [check.asked_at for check in batch.checks] == [NOW, NOW, None]
    assert "TypeError" in batch.checks[0].sentence
    assert "secret" not in batch.checks[0].sentence
    assert "no table 'ai_jobs'" in batch.checks[2].sentence


def test_a_trigger_of_the_app_that_refuses_costs_one_job(tmp_path: Path):
    """The app may have rules of its own; the event is not written without the row."""
    app = make_app(tmp_path, [job(1, 60), job(2, 50)])
    change(
        app,
        "CREATE TRIGGER no BEFORE UPDATE ON ai_jobs WHEN old.id = 1 BEGIN SELECT RAISE(ABORT, 'secret-rule'); END",
    )

    batch = clawcut.check_batch(app, Told(), apply=True, now=NOW)

    assert [check.outcome for check in batch.checks] == ["not_written", "completed"]
    assert "secret-rule" not in batch.checks[0].sentence
    assert [said["job_id"] for said in audited(app, "reconcile_checked")] == [2]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ai_jobs SET status = 'cancelled' WHERE id = 2",
        "UPDATE ai_jobs SET updated_at = '2026-05-12T11:59:00.000Z' WHERE id = 2",
        "DELETE FROM ai_jobs WHERE id = 2",
        "INSERT INTO audit_events (kind, created_at, metadata) VALUES ('reconcile_checked', '0', '{\"job_id\": 2}')",
    ],
)
def test_a_job_that_moved_before_its_turn_is_not_asked_about(tmp_path: Path, statement: str):
    """A batch takes minutes; what the app or a colleague settled meanwhile is settled."""
    app = make_app(tmp_path, [job(1, 60), job(2, 50)])
    asked: list[str] = []

    def provider(id: str) -> Answer:
        asked.append(id)
        change(app, statement)
        return Answer("completed", "https://cdn.example/r")

    batch = clawcut.check_batch(app, provider, apply=True, now=NOW)

    assert [check.outcome for check in batch.checks] == ["completed", "changed_meanwhile"]
    assert asked == ["p1"]
    assert [said["job_id"] for said in audited(app, "reconcile_checked") if "outcome" in said] == [1]


def test_each_provider_gets_its_own_jobs_and_a_missing_one_is_told(tmp_path: Path):
    """`ai_jobs.provider` names several."""
    app = make_app(tmp_path, [job(1, 60, provider="veo"), job(2, 50, provider="runway"), job(3, 40, provider="x")])
    veo, runway = Told(), Told(state="running")

    batch = clawcut.check_batch(app, {"veo": veo, "runway": runway}, apply=True, now=NOW)

    assert [check.outcome for check in batch.checks] == ["completed", "still_running"]
    assert (veo.asked, runway.asked) == (["p1"], ["p2"])
    assert (batch.scanned_count, batch.unnamed) == (3, 1)
    assert "1 other left out, whose provider nobody was named for" in batch.sentence


def test_jobs_nobody_was_named_for_take_no_places(tmp_path: Path):
    """And leave no trace of a check that was none: they would wait for nothing afterwards."""
    app = make_app(tmp_path, [job(id, 90, provider="runway") for id in range(1, 4)] + [job(4, provider="Two Words")])
    veo = Told(state="running")

    none = clawcut.run_pass(app, {"veo": veo}, enabled=True, dry_run=False, limit=1, now=NOW)
    change(app, "UPDATE ai_jobs SET provider = 'veo' WHERE id = 3")
    batch = clawcut.check_batch(app, {"veo": veo, "Two Words": veo}, apply=True, limit=2, now=NOW)
    ran = clawcut.run_pass(app, {"runway": Told()}, enabled=True, dry_run=False, limit=2, now=NOW)
    change(app, "UPDATE ai_jobs SET status = 'failed' WHERE provider <> 'runway'")
    left = clawcut.run_pass(app, {"veo": veo}, enabled=True, dry_run=False, now=NOW)

    assert (none.eligible, none.unnamed, dict(none.results)) == (1, 3, {"indeterminate": 1})
    assert (ids(batch), veo.asked) == ([3, 4], ["p3", "p4"])
    assert (ran.unnamed, dict(ran.results)) == (0, {"completed": 2})
    assert left.skip_reason == "no_candidates"
    assert [said["job_id"] for said in audited(app, "reconcile_checked")] == [4, 3, 4, 1, 2]


def test_a_pass_with_nobody_to_ask_says_so(tmp_path: Path):
    """A name was mistyped in the settings."""
    app = make_app(tmp_path, [job(1), job(2)])

    ran = clawcut.run_pass(app, {"voe": Told()}, enabled=True, dry_run=False, now=NOW)

    assert (ran.skip_reason, ran.unnamed, ran.eligible, ran.scanned) == ("nobody_named", 2, 0, 2)
    assert "nobody was named" in ran.sentence
    assert audited(app, "reconcile_checked") == []
    assert clawcut.summary(app, now=NOW).last_pass.details["skip_reason"] == "nobody_named"


def test_jobs_that_stay_unknown_to_the_provider_do_not_keep_the_others(tmp_path: Path):
    """A batch of 25 would ask about the same 25 for ever."""
    app = make_app(tmp_path, [job(id, 100 - id) for id in range(1, 6)])
    told = {f"p{id}": Answer("not_found") for id in (1, 2)}

    first = clawcut.check_batch(app, Told(told), apply=True, limit=2, now=NOW)
    second = clawcut.check_batch(app, Told(told), apply=True, limit=2, now=NOW)
    third = clawcut.check_batch(app, Told(told), apply=True, limit=3, now=NOW)

    assert [ids(batch) for batch in (first, second, third)] == [[1, 2], [3, 4], [5, 1, 2]]


def test_limit_and_age_gate_are_the_policys_unless_given(tmp_path: Path):
    """A policy that was given and passed over would be worse than none."""
    app = make_app(tmp_path, [job(id, 6) for id in range(1, 31)])
    policy = clawcut.Policy(min_age=timedelta(minutes=5), limit=28)

    batch = clawcut.check_batch(app, Told(), now=NOW, policy=policy)
    ran = clawcut.run_pass(app, Told(), enabled=True, now=NOW, policy=policy)
    given = clawcut.check_batch(app, Told(), now=NOW, policy=policy, limit=np.int64(3), min_age_minutes=np.float64(6))

    assert (batch.count, batch.min_age_minutes) == (28, 5)
    assert (len(ran.checks), ran.limit, ran.min_age_minutes) == (28, 28, 5)
    assert (given.count, given.min_age_minutes) == (3, 6)
    assert clawcut.check_batch(app, Told(), now=NOW).count == 0


def test_progress_is_told_before_the_first_and_after_each(tmp_path: Path):
    """A batch of 25 jobs takes minutes."""
    app, told = make_app(tmp_path, [job(1), job(2)]), []

    clawcut.check_batch(app, Told(), now=NOW, progress=lambda done, total: told.append((done, total)))

    assert told == [(0, 2), (1, 2), (2, 2)]


def test_an_interrupted_batch_has_written_what_was_done(tmp_path: Path):
    """Stop means stop, and what was settled stays settled."""
    app = make_app(tmp_path, [job(1, 60), job(2, 50), job(3, 40)])

    with pytest.raises(KeyboardInterrupt):
        clawcut.check_batch(app, Told({"p2": KeyboardInterrupt()}), apply=True, now=NOW)

    assert [found["status"] for found in rows(app)] == ["completed", "processing", "processing"]
    assert clawcut.check_batch(app, Told(), apply=True, now=NOW).count == 2


def test_its_table_has_a_row_for_each_check(tmp_path: Path):
    """For filtering, and for a file."""
    app = make_app(tmp_path, [job(1, 60), job(2, 50)])

    batch = clawcut.check_batch(app, Told(), now=NOW)
    nothing = clawcut.check_batch(app, Told(), now=NOW, limit=0)

    assert list(batch.table["job_id"]) == [1, 2]
    assert list(batch.table.columns) == list(nothing.table.columns)
    assert (len(nothing.table), batch.table["age"].iloc[0]) == (0, pd.Timedelta(minutes=60))
    assert batch._repr_html_().count("<tr>") == 3
    assert "0 of 2 candidates" in nothing._repr_html_()
    assert "\n" not in repr(batch)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": -1},
        {"limit": 1.5},
        {"limit": True},
        {"min_age_minutes": -1},
        {"min_age_minutes": float("nan")},
        {"min_age_minutes": "10"},
        {"jobs": 1},
        {"jobs": "1"},
        {"policy": "usual"},
        {"policy": None},
        {"seen": [1]},
    ],
)
def test_numbers_that_are_none_are_refused_before_anybody_is_asked(tmp_path: Path, wrong: dict[str, Any]):
    """A limit of -1 is all jobs in SQL."""
    app, provider = make_app(tmp_path, [job(1)]), Told()

    with pytest.raises(rk.OperationError, match=next(iter(wrong))):
        clawcut.check_batch(app, provider, now=NOW, **wrong)

    assert provider.asked == []


def test_a_log_of_the_provider_answers_as_of_its_moment(tmp_path: Path):
    """For a day that is over: what would the provider have said at noon?"""
    entries = [
        ("2026-05-12T11:00:00Z", "veo", "p1", "accepted", None, None),
        ("2026-05-12T11:01:00Z", "veo", "p1", "started", None, None),
        ("2026-05-12T11:30:00Z", "veo", "p1", "finished", "https://cdn.example/1", None),
        ("2026-05-12T11:00:00Z", "veo", "p2", "accepted", None, None),
        ("2026-05-12T12:30:00Z", "veo", "p2", "failed", None, "no capacity"),
        ("not a time", "veo", "p3", "finished", None, None),
    ]
    log = pd.DataFrame(entries, columns=["time", "provider", "provider_job_id", "event", "result_url", "error"])
    log.to_csv(tmp_path / "log.csv", index=False)
    log.to_parquet(tmp_path / "log.parquet")
    app = make_app(tmp_path, [job(1, 60), job(2, 50), job(3, 40)])

    for source in (log, tmp_path / "log.csv", str(tmp_path / "log.parquet")):
        noon, end = clawcut.LoggedProvider(source, at=NOW), clawcut.LoggedProvider(source)
        assert dict(clawcut.check_batch(app, noon, now=NOW).results) == {
            "completed": 1,
            "still_running": 1,
            "not_found": 1,
        }
        assert dict(clawcut.check_batch(app, end, now=NOW).results) == {"completed": 1, "failed": 1, "not_found": 1}
        assert (len(noon.asked), noon.asked) == (3, ["veo", "veo", ""])

    clawcut.check_batch(app, clawcut.LoggedProvider(log), apply=True, now=NOW)
    assert (row(app, 1)["result_url"], row(app, 2)["error"]) == ("https://cdn.example/1", "no capacity")
