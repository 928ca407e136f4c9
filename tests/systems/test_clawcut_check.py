"""A check asks the provider of one job, and writes its ending only where nobody changed the job meanwhile."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from clawcut_app import NOW, Told, ago, audited, change, contents, event, job, make_app, row, rows

import replaykit as rk
from replaykit.systems import clawcut
from replaykit.systems.clawcut import Answer, ProviderError
from replaykit.systems.clawcut import database as opening
from replaykit.systems.clawcut.claims import claimed
from replaykit.systems.clawcut.times import read_time

ENDED = "https://cdn.example/r"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a lock for a moment only."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.05)


@pytest.mark.parametrize("wal", [True, False])
def test_a_dry_run_asks_and_changes_no_byte(tmp_path: Path, wal: bool):
    """What a check would do must be known before it does it."""
    app = make_app(tmp_path, [job(1)], wal=wal)
    before, provider = contents(app), Told()

    check = clawcut.check(app, 1, provider, now=NOW)

    assert (check.outcome, check.applied, check.status_after) == ("completed", False, "processing")
    assert "dry run" in check.sentence
    assert provider.asked == ["p1"]
    assert contents(app) == before


def test_an_ending_is_written_with_one_audit_event(tmp_path: Path):
    """The row and the event that explains it are one transaction."""
    app = make_app(tmp_path, [job(1, error="old"), job(2)])

    check = clawcut.check(app, 1, Told(response={"a": 1}), apply=True, now=NOW)

    assert (check.outcome, check.applied, check.status_before, check.status_after) == (
        "completed",
        True,
        "processing",
        "completed",
    )
    ended = row(app, 1)
    assert (ended["status"], ended["result_url"], json.loads(ended["response_json"])) == ("completed", ENDED, {"a": 1})
    assert (ended["error"], ended["updated_at"]) == ("old", "2026-05-12T12:00:00.000Z")
    assert row(app, 2)["status"] == "processing"
    assert audited(app, "reconcile_checked") == [
        {
            "job_id": 1,
            "outcome": "completed",
            "was": "processing",
            "now": "completed",
            "applied": True,
            "asked_at": "2026-05-12T12:00:00.000Z",
            "age_minutes": 30.0,
            "attempt": 1,
            "automatic": False,
        }
    ]
    assert rows(app, "audit_events")[0]["actor"] == "operator"


def test_what_the_app_knows_already_stays(tmp_path: Path):
    """A response that the app stored is worth more than the one that was seen later."""
    app = make_app(tmp_path, [job(1, response_json='{"mine":1}', result_url="https://mine.example")])

    clawcut.check(app, 1, Told(result_url=None, response={"a": 1}), apply=True, now=NOW)

    assert (row(app, 1)["response_json"], row(app, 1)["result_url"]) == ('{"mine":1}', "https://mine.example")


def test_a_failure_is_written_with_its_reason(tmp_path: Path):
    """The app shows the error to the user whose video it was, whatever characters it has."""
    app = make_app(tmp_path, [job(1), job(2)])
    provider = Told(
        {"p1": Answer("failed", error='he said "no"\n\ud800\'); DROP TABLE ai_jobs'), "p2": Answer("failed")}
    )

    clawcut.check(app, 1, provider, apply=True, now=NOW)
    clawcut.check(app, 2, provider, apply=True, now=NOW)

    assert row(app, 1)["status"] == row(app, 2)["status"] == "failed"
    assert row(app, 1)["error"] == 'he said "no"\n\\ud800\'); DROP TABLE ai_jobs'
    assert "not why" in row(app, 2)["error"]
    assert row(app, 1)["result_url"] is None


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer("running"), "still_running"),
        (Answer("not_found"), "not_found"),
        (ProviderError("timeout"), "provider_error"),
        (ProviderError("rate_limited", 90), "provider_error"),
        (KeyError("p1"), "provider_error"),
        (Answer("exploded"), "provider_error"),
    ],
)
def test_what_ends_nothing_changes_no_job(tmp_path: Path, answer: Answer | Exception, outcome: str):
    """Only an ending that the provider named may end a job."""
    app = make_app(tmp_path, [job(1)])
    before = rows(app)

    check = clawcut.check(app, 1, Told({"p1": answer}), apply=True, now=NOW)

    assert (check.outcome, check.applied, check.status_after) == (outcome, False, "processing")
    assert rows(app) == before
    assert [said["outcome"] for said in audited(app, "reconcile_checked")] == [outcome]


def test_a_provider_that_returns_anything_else_is_an_error_of_its_own(tmp_path: Path):
    """A function that forgot to make an Answer ends no job."""
    app = make_app(tmp_path, [job(1)])

    for wrong in (None, "completed", {"status": "completed"}, object()):
        assert clawcut.check(app, 1, lambda _id, wrong=wrong: wrong, now=NOW).outcome == "provider_error"


def test_an_interrupt_goes_through(tmp_path: Path):
    """Whoever presses stop means it."""
    app = make_app(tmp_path, [job(1)])

    with pytest.raises(KeyboardInterrupt):
        clawcut.check(app, 1, Told({"p1": KeyboardInterrupt()}), apply=True, now=NOW)

    assert clawcut.check(app, 1, Told(), now=NOW).outcome == "completed"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_nobody_is_asked_about_a_job_that_has_ended(tmp_path: Path, status: str):
    """A terminal job never goes back."""
    app = make_app(tmp_path, [job(1, status=status)])
    before, provider = contents(app), Told()

    check = clawcut.check(app, 1, provider, apply=True, now=NOW)

    assert (check.outcome, provider.asked) == ("terminal", [])
    assert contents(app) == before


@pytest.mark.parametrize("id", [None, ""])
def test_a_job_without_a_provider_id_is_indeterminate(tmp_path: Path, id: str | None):
    """Nobody can know whether the provider has it; that somebody looked is written."""
    app, provider = make_app(tmp_path, [job(1, provider_job_id=id, status="queued")]), Told()

    check = clawcut.check(app, 1, provider, apply=True, now=NOW)

    assert (check.outcome, provider.asked, check.asked_at) == ("indeterminate", [], None)
    assert "needs a person" in check.sentence
    assert [(said["outcome"], said["asked_at"]) for said in audited(app, "reconcile_checked")] == [
        ("indeterminate", None)
    ]


def test_each_provider_is_asked_about_its_own_jobs(tmp_path: Path):
    """A wrong provider would say that it does not know the job."""
    app = make_app(tmp_path, [job(1, provider="veo"), job(2, provider="runway"), job(3, provider="other")])
    veo, asked = Told(), []

    def runway(id: str) -> Answer:
        asked.append(id)
        return Answer("running")

    outcomes = [clawcut.check(app, id, {"veo": veo, "runway": runway}, now=NOW).outcome for id in (1, 2, 3)]

    assert outcomes == ["completed", "still_running", "indeterminate"]
    assert (veo.asked, asked) == (["p1"], ["p2"])


def test_a_status_that_is_not_known_is_left_to_a_person(tmp_path: Path):
    """An app may have words of its own by now."""
    app, provider = make_app(tmp_path, [job(1, status="archived")]), Told()

    assert clawcut.check(app, 1, provider, apply=True, now=NOW).outcome == "indeterminate"
    assert (provider.asked, row(app, 1)["status"]) == ([], "archived")


@pytest.mark.parametrize("minutes", [1, None, -60])
def test_an_operator_may_ask_whatever_the_age_and_the_kind(tmp_path: Path, minutes: float | None):
    """Asking on purpose is what the button is for."""
    app = make_app(tmp_path, [job(1, minutes, kind="image")])

    check = clawcut.check(app, 1, Told(), apply=True, now=NOW)

    assert (check.outcome, row(app, 1)["status"]) == ("completed", "completed")
    assert check.age == (timedelta(minutes=1) if minutes == 1 else None)


@pytest.mark.parametrize("job_id", [99, "no-such", None, 2**80, [1], b"x", "\ud800"])
def test_an_unknown_job_is_an_error_without_its_id(tmp_path: Path, job_id: object):
    """Somebody may have pasted a provider's id by mistake."""
    app = make_app(tmp_path, [job(1)])

    with pytest.raises(rk.OperationError, match="no job with that id") as caught:
        clawcut.check(app, job_id, Told(), now=NOW)

    assert caught.value.reason == "unknown_job"


@pytest.mark.parametrize(
    ("form", "written"),
    [("iso", "2026-05-12T12:00:00.000Z"), ("epoch", 1778587200), ("epoch_ms", 1778587200000)],
)
def test_times_are_written_as_the_app_writes_them(tmp_path: Path, form: str, written: object):
    """The app must be able to read its own columns afterwards."""
    app = make_app(tmp_path, [job("a", None), job("b")], [event("submitted", 3)], text_ids=True, times=form)

    clawcut.check(app, "a", Told(), apply=True, now=NOW)
    clawcut.check(app, "b", Told(), apply=True, now=NOW)

    assert [found["updated_at"] for found in rows(app)] == [written, written]
    assert [found["created_at"] for found in rows(app, "audit_events")][1:] == [written, written]
    assert [said["job_id"] for said in audited(app, "reconcile_checked")] == ["a", "b"]


def test_ids_of_events_are_made_as_their_column_asks(tmp_path: Path):
    """Text keys get a new text; whole numbers that SQLite does not make up itself go on behind the highest."""
    texts = make_app(tmp_path, [job(1)], [event("submitted", 3)], text_event_ids=True, name="texts.sqlite")
    numbers = make_app(tmp_path, [job(1)], name="numbers.sqlite")
    change(numbers, "DROP TABLE audit_events")
    change(
        numbers,
        "CREATE TABLE audit_events (id BIGINT PRIMARY KEY, kind TEXT, actor TEXT, created_at TEXT, metadata TEXT)",
    )
    change(numbers, "INSERT INTO audit_events VALUES (41, 'submitted', 'app', '2026-05-12 11:00:00', '{}')")

    for app in (texts, numbers):
        clawcut.check(app, 1, Told(state="running"), apply=True, now=NOW)
        clawcut.check(app, 1, Told(state="running"), apply=True, now=NOW)

    ids = [found["id"] for found in rows(texts, "audit_events")]
    assert len(set(ids)) == 3
    assert all(isinstance(id, str) and len(id) == 36 for id in ids[1:])
    assert [found["id"] for found in rows(numbers, "audit_events")] == [41, 42, 43]
    assert rows(numbers, "audit_events")[-1]["created_at"] == "2026-05-12 12:00:00"


@pytest.mark.parametrize("key", ["INTEGER", "TEXT"])
def test_audit_events_without_rowids_are_read_and_written_too(tmp_path: Path, key: str):
    """Such a table has no order of its own: time and id tell it."""
    app = make_app(tmp_path, [job(1, 60), job(2, 50), job(3, 40)])
    change(app, "DROP TABLE audit_events")
    change(
        app,
        f"CREATE TABLE audit_events (id {key} PRIMARY KEY, kind, actor, created_at, metadata) WITHOUT ROWID",
    )

    first = clawcut.check_batch(app, Told(state="running"), apply=True, now=NOW, limit=2)
    again = clawcut.check_batch(app, Told(state="running"), apply=True, now=NOW + timedelta(minutes=1))
    ran = clawcut.run_pass(app, Told(), enabled=True, dry_run=False, now=NOW + timedelta(minutes=12))
    last = clawcut.check(app, 2, Told(), apply=True, now=NOW + timedelta(minutes=13))

    assert [dict(batch.results) for batch in (first, again)] == [{"still_running": 2}, {"still_running": 3}]
    assert (ran.eligible, [check.job_id for check in ran.checks], last.applied) == (1, [3], True)
    with closing(sqlite3.connect(app)) as read:
        ids = [id for (id,) in read.execute("SELECT id FROM audit_events")]
    assert len(set(ids)) == 8
    assert all(isinstance(id, int if key == "INTEGER" else str) for id in ids)
    assert clawcut.summary(app, now=NOW + timedelta(minutes=14)).recent[0].job_id == 2


@pytest.mark.parametrize("key", ["", " WITHOUT ROWID"])
def test_a_job_somebody_checked_since_is_not_asked_about_again(tmp_path: Path, key: str):
    """With rowids and without."""
    app = make_app(tmp_path, [job(1, 60), job(2, 50)])
    change(app, "DROP TABLE audit_events")
    change(app, f"CREATE TABLE audit_events (id TEXT PRIMARY KEY, kind, actor, created_at, metadata){key}")
    clawcut.check(app, 2, Told(state="running"), apply=True, now=NOW)
    asked: list[str] = []

    def provider(id: str) -> Answer:
        asked.append(id)
        if id == "p1":
            clawcut.check(app, 2, Told(state="running"), apply=True, now=NOW)
        return Answer("running")

    batch = clawcut.check_batch(app, provider, apply=True, now=NOW)

    assert ([check.outcome for check in batch.checks], asked) == (["still_running", "changed_meanwhile"], ["p1"])


@pytest.mark.parametrize("job_id", [True, False])
def test_a_switch_is_no_job(tmp_path: Path, job_id: bool):
    """SQLite takes True for 1: somebody left out the id before ``apply``."""
    app, provider = make_app(tmp_path, [job(1)]), Told()

    with pytest.raises(rk.OperationError, match="job_id"):
        clawcut.check(app, job_id, provider, now=NOW)

    assert provider.asked == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ai_jobs SET updated_at = '2026-05-12T11:59:59.000Z'",
        "UPDATE ai_jobs SET status = 'completed', result_url = 'theirs'",
        "UPDATE ai_jobs SET provider_job_id = 'another'",
        "UPDATE ai_jobs SET result_url = 'theirs'",
        "UPDATE ai_jobs SET error = 'retry 3 of 5'",
        "UPDATE ai_jobs SET request_json = '{\"attempt\": 2}'",
        "UPDATE ai_jobs SET response_json = CAST(X'ff' AS TEXT)",
        "UPDATE ai_jobs SET provider = 'runway'",
        "UPDATE ai_jobs SET kind = 'image'",
        "DELETE FROM ai_jobs",
    ],
)
def test_a_job_that_changed_while_the_provider_was_asked_is_left_alone(tmp_path: Path, statement: str):
    """The app goes on writing; its own word about a job is newer than the answer."""
    app = make_app(tmp_path, [job(1)])

    def slow(_id: str) -> Answer:
        change(app, statement)
        return Answer("completed", ENDED)

    check = clawcut.check(app, 1, slow, apply=True, now=NOW)

    assert (check.outcome, check.applied) == ("changed_meanwhile", False)
    assert ENDED not in [found["result_url"] for found in rows(app)]
    said = audited(app, "reconcile_checked")[0]
    assert (said["outcome"], said["applied"], said["now"]) == ("changed_meanwhile", False, check.status_after)
    assert check.sentence.startswith("It was left alone: the app changed it while the provider was asked, and it is ")
    assert check.sentence.endswith(".")


@pytest.mark.parametrize("state", ["running", "not_found"])
def test_a_job_that_ended_while_the_provider_was_asked_is_not_called_at_work(tmp_path: Path, state: str):
    """The provider was a moment behind the app."""
    app = make_app(tmp_path, [job(1)])

    def slow(_id: str) -> Answer:
        change(app, "UPDATE ai_jobs SET status = 'completed', updated_at = '2026-05-12T11:59:59.000Z'")
        return Answer(state)

    check = clawcut.check(app, 1, slow, apply=True, now=NOW)

    assert (check.outcome, check.status_after) == ("changed_meanwhile", "completed")
    assert check.sentence.endswith("it is completed now.")


def test_a_row_with_text_that_is_no_utf8_is_ended_too(tmp_path: Path):
    """It is compared by its bytes, so that it is the same as itself."""
    app = make_app(tmp_path, [job(1)])
    change(app, "UPDATE ai_jobs SET provider_job_id = CAST(X'70ff' AS TEXT), request_json = CAST(X'ff' AS TEXT)")

    assert clawcut.check(app, 1, Told(), apply=True, now=NOW).applied


def test_no_transaction_is_open_while_the_provider_is_asked(tmp_path: Path):
    """A provider may take half a minute; the app must not wait for it."""
    app = make_app(tmp_path, [job(1), job(2)], wal=False)

    def slow(_id: str) -> Answer:
        with closing(sqlite3.connect(app, timeout=0, isolation_level=None)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            writer.execute("UPDATE ai_jobs SET status = 'pending' WHERE id = 2")
            writer.execute("COMMIT")
        return Answer("completed", ENDED)

    assert clawcut.check(app, 1, slow, apply=True, now=NOW).outcome == "completed"
    assert [found["status"] for found in rows(app)] == ["completed", "pending"]


def test_a_lock_that_lasts_is_an_error_and_nothing_is_written(tmp_path: Path, impatient: None):
    """Half a minute of waiting in a notebook looks like a hang."""
    app = make_app(tmp_path, [job(1)])

    with closing(sqlite3.connect(app, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(rk.OperationError, match="locked by somebody else") as caught:
            clawcut.check(app, 1, Told(), apply=True, now=NOW)
        writer.execute("COMMIT")

    assert caught.value.reason == "locked"
    assert (row(app, 1)["status"], rows(app, "audit_events")) == ("processing", [])


def test_a_short_lock_is_waited_for(tmp_path: Path):
    """The app's own transactions last milliseconds."""
    app = make_app(tmp_path, [job(1)])
    writer = sqlite3.connect(app, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO audit_events (kind, created_at) VALUES ('submitted', '2026-05-12T11:00:00.000Z')")
    timer = threading.Timer(0.2, lambda: writer.execute("COMMIT"))
    timer.start()

    check = clawcut.check(app, 1, Told(), apply=True, now=NOW)
    timer.join()
    writer.close()

    assert check.applied
    assert [found["kind"] for found in rows(app, "audit_events")] == ["submitted", "reconcile_checked"]


def test_an_app_in_another_process_goes_on_writing_meanwhile(tmp_path: Path):
    """Its updates are all there afterwards, and ours too: nothing is lost between the two."""
    app = make_app(tmp_path, [job(id) for id in range(1, 21)] + [job(100, status="queued", error="0")])
    code = (
        "import sqlite3, sys\n"
        "app = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)\n"
        "print('begun', flush=True)\n"
        "for _ in range(300):\n"
        "    app.execute('BEGIN IMMEDIATE')\n"
        "    app.execute('UPDATE ai_jobs SET error = CAST(error AS INTEGER) + 1 WHERE id = 100')\n"
        "    app.execute('COMMIT')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(app)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        checks = [clawcut.check(app, id, Told(), apply=True, now=NOW) for id in range(1, 21)]
        assert writer.wait(30) == 0

    assert [check.outcome for check in checks] == ["completed"] * 20
    assert (row(app, 100)["error"], len(audited(app, "reconcile_checked"))) == ("300", 20)


def test_only_one_asks_about_a_job_at_a_time(tmp_path: Path):
    """Two people at two notebooks press the same button: the provider hears of it once."""
    app = make_app(tmp_path, [job(1), job(2)])
    asked, go_on = threading.Event(), threading.Event()

    def slow(id: str) -> Answer:
        asked.set()
        assert go_on.wait(10)
        return Answer("completed", ENDED)

    found: list[clawcut.Check] = []
    first = threading.Thread(target=lambda: found.append(clawcut.check(app, 1, slow, apply=True, now=NOW)))
    first.start()
    assert asked.wait(10)
    other = Told()
    second = clawcut.check(app, 1, other, apply=True, now=NOW)
    beside = clawcut.check(app, 2, other, now=NOW)
    go_on.set()
    first.join()

    assert (second.outcome, beside.outcome, found[0].outcome) == ("in_flight", "completed", "completed")
    assert other.asked == ["p2"]
    assert len(audited(app, "reconcile_checked")) == 1


def test_a_claim_is_free_when_its_process_was_killed(tmp_path: Path):
    """Nobody must clear anything up after a crash."""
    app = make_app(tmp_path, [job(1)])
    code = (
        "import sys, time\n"
        "from replaykit.systems import clawcut\n"
        "def hang(_id):\n"
        "    print('asked', flush=True)\n"
        "    time.sleep(60)\n"
        "clawcut.check(sys.argv[1], 1, hang, apply=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(app)], stdout=subprocess.PIPE) as hanging:
        assert hanging.stdout is not None
        assert hanging.stdout.readline() == b"asked\n"
        while_it_hangs = clawcut.check(app, 1, Told(), apply=True, now=NOW)
        os.kill(hanging.pid, signal.SIGKILL)
        hanging.wait()

    assert while_it_hangs.outcome == "in_flight"
    assert clawcut.check(app, 1, Told(), apply=True, now=NOW).outcome == "completed"


def test_no_file_of_a_claim_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file for every job that was ever asked about fills the temporary folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    app = make_app(tmp_path, [job(1), job(2)])

    clawcut.check_batch(app, Told({"p2": KeyError()}), apply=True, now=NOW)
    clawcut.run_pass(app, Told(), enabled=True, now=NOW)
    with pytest.raises(KeyboardInterrupt):
        clawcut.check(app, 2, Told({"p2": KeyboardInterrupt()}), now=NOW)

    assert {file.name for file in (tmp_path / f"replaykit-claims-{os.getuid()}").iterdir()} <= {"guard.lock"}


def test_a_claim_that_is_removed_and_made_again_is_never_held_twice(tmp_path: Path):
    """Whoever opened the file that another removes would lock a file that nobody sees."""
    app, at_work, held, wrong = make_app(tmp_path, [job(1)]), threading.Lock(), [], []

    def work() -> None:
        for _ in range(60):
            with claimed(app, "job", 1) as free:
                if free and at_work.acquire(blocking=False):
                    held.append(1)
                    time.sleep(0.001)
                    at_work.release()
                elif free:
                    wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert held
    assert wrong == []


def test_claims_that_others_could_take_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Anybody who may write the folder could hold every job for ever."""
    app = make_app(tmp_path, [job(1)])
    open_folder = tmp_path / f"replaykit-claims-{os.getuid()}"
    open_folder.mkdir()
    open_folder.chmod(0o777)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with pytest.raises(rk.OperationError, match="claims"):
        clawcut.check(app, 1, Told(), now=NOW)


def test_a_missing_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The core of the library works without."""
    app = make_app(tmp_path, [job(1)])
    monkeypatch.setitem(sys.modules, "filelock", None)
    monkeypatch.setitem(sys.modules, "urllib3", None)

    with pytest.raises(ImportError, match=r"pip install 'replaykit\[clawcut\]'"):
        clawcut.check(app, 1, Told(), now=NOW)
    with pytest.raises(ImportError, match=r"pip install 'replaykit\[clawcut\]'"):
        clawcut.HTTPProvider("https://veo.example")


@pytest.mark.parametrize(
    "now",
    [
        NOW,
        NOW.replace(tzinfo=UTC),
        NOW.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=2))),
        "2026-05-12T12:00:00Z",
        "2026-05-12 14:00:00+02:00",
    ],
)
def test_any_form_of_time_will_do(tmp_path: Path, now: datetime | str):
    """A naive time is UTC."""
    app = make_app(tmp_path, [job(1)])

    check = clawcut.check(app, 1, Told(), now=now)

    assert (check.age, check.asked_at) == (timedelta(minutes=30), NOW)


def test_without_a_time_it_is_the_clock_of_the_machine(tmp_path: Path):
    """An operator does not say what time it is."""
    app = make_app(tmp_path, [job(1)])
    before = datetime.now(UTC).replace(tzinfo=None)

    clawcut.check(app, 1, Told(), apply=True)

    written = read_time(row(app, 1)["updated_at"])
    assert written is not None
    assert before - timedelta(seconds=1) < written < before + timedelta(minutes=1)


def test_a_check_tells_what_earlier_ones_came_to(tmp_path: Path):
    """The audit trail counts attempts since the job last moved."""
    checks = [event("reconcile_checked", minutes, job_id="1", outcome="still_running") for minutes in (50, 20, 10)]
    app = make_app(tmp_path, [job(1, 30)], checks)

    clawcut.check(app, 1, Told(), apply=True, now=NOW)

    assert audited(app, "reconcile_checked")[-1]["attempt"] == 3


@pytest.mark.parametrize("now", ["yesterday", "", 3])
def test_a_time_that_is_none_is_refused_before_anybody_is_asked(tmp_path: Path, now: object):
    """The same for an actor without a name."""
    app, provider = make_app(tmp_path, [job(1)]), Told()

    with pytest.raises(rk.ReplayKitError):
        clawcut.check(app, 1, provider, now=now)
    with pytest.raises(rk.OperationError, match="actor"):
        clawcut.check(app, 1, provider, actor="", now=NOW)

    assert provider.asked == []


@pytest.mark.parametrize("what", ["missing", "folder", "text", "damaged", "other"])
def test_what_is_no_app_is_an_error_without_a_path(tmp_path: Path, what: str):
    """A path may name a customer; nothing is made where nothing was."""
    place = tmp_path / "secret-customer"
    if what == "folder":
        place.mkdir()
    elif what == "text":
        place.write_text("no database at all, but long enough to be taken for one" * 20)
    elif what == "damaged":
        make_app(tmp_path, [job(1)], name="secret-customer", wal=False)
        place.write_bytes(place.read_bytes()[:100] + b"\xff" * 8000)
    elif what == "other":
        with closing(sqlite3.connect(place)) as other:
            other.execute("CREATE TABLE ai_jobs (id INTEGER PRIMARY KEY)")
    before = sorted(tmp_path.iterdir())
    with pytest.raises((rk.OperationError, rk.LoadError)) as caught:
        clawcut.check(place, 1, Told(), apply=True, now=NOW)

    assert "secret-customer" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["a b?mode=memory.sqlite", "50%20#1.sqlite", "ä 'x' 🦊.db"])
def test_any_name_of_a_file_will_do(tmp_path: Path, name: str):
    """SQLite takes a URI, in which some characters mean something; a link leads to the same claims and sidecars."""
    app = make_app(tmp_path, [job(1)], name=name)
    (tmp_path / "link").symlink_to(app)

    assert clawcut.check(tmp_path / "link", 1, Told(), apply=True, now=NOW).applied
    assert row(app, 1)["status"] == "completed"
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([name, "link"])


def test_rows_in_the_log_of_a_live_app_are_seen_and_its_files_stay(tmp_path: Path):
    """Most of what happened last is not in the database file yet."""
    app = make_app(tmp_path, [job(1)])
    with closing(sqlite3.connect(app, isolation_level=None)) as live:
        live.execute("PRAGMA wal_autocheckpoint = 0")
        live.execute("UPDATE ai_jobs SET status = 'pending', updated_at = ?", (ago(12).isoformat() + "Z",))
        names = sorted(file.name for file in tmp_path.iterdir())
        check = clawcut.check(app, 1, Told(), now=NOW)
        assert sorted(file.name for file in tmp_path.iterdir()) == names

    assert (check.status_before, check.age) == ("pending", timedelta(minutes=12))


@pytest.mark.parametrize(("wal", "shm"), [(True, True), (True, False), (False, False)])
def test_what_a_crash_left_is_read_and_stays_as_it_is(tmp_path: Path, wal: bool, shm: bool):
    """A look at a database after a crash must not be the one that repairs it."""
    app = make_app(tmp_path, [job(1)], wal=wal)
    code = (
        "import os, signal, sqlite3, sys\n"
        "app = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "app.execute('PRAGMA cache_size = 1')\n"
        "app.execute(\"UPDATE ai_jobs SET updated_at = '2026-05-12T11:48:00.000Z'\")\n"
        "app.execute('BEGIN IMMEDIATE')\n"
        "app.execute(\"UPDATE ai_jobs SET updated_at = '2026-05-12T11:59:00.000Z'\")\n"
        "app.execute('CREATE TABLE filler (text)')\n"
        "app.executemany('INSERT INTO filler VALUES (?)', [('x' * 400,)] * 2000)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(app)], check=False)
    if wal and not shm:
        app.with_name(app.name + "-shm").unlink()
    before = contents(app)

    check = clawcut.check(app, 1, Told(), now=NOW)

    assert len(before) == (3 if shm else 2)
    assert check.age == timedelta(minutes=12)
    assert contents(app) == before
    assert clawcut.check(app, 1, Told(), apply=True, now=NOW).applied


def test_a_check_is_one_line_and_a_table_without_markup_of_others(tmp_path: Path):
    """Ids and names come out of somebody's database."""
    app = make_app(tmp_path, [job("<script>alert(1)</script>", kind="<b>video</b>")], text_ids=True)

    check = clawcut.check(app, "<script>alert(1)</script>", Told(), now=NOW)

    assert "\n" not in repr(check)
    assert len(repr(check)) < 200
    shown = check._repr_html_()
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "&lt;script&gt;" in shown
    with pytest.raises(AttributeError):
        check.outcome = "failed"  # type: ignore[misc]


def test_importing_it_loads_nothing_heavy():
    """A cron job that is switched off must cost milliseconds."""
    code = "import sys; from replaykit.systems import clawcut; clawcut.run_pass('none', None); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert {"pandas", "numpy", "pyarrow", "urllib3", "filelock", "ipywidgets"} & set(loaded) == set()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ai_jobs SET provider = 'runway' WHERE id = 1",
        "UPDATE ai_jobs SET status = 'pending' WHERE id = 1",
        "UPDATE ai_jobs SET updated_at = '2026-05-12T11:30:00.001Z' WHERE id = 1",
    ],
)
def test_a_job_that_is_not_as_it_was_told_is_not_asked_about(tmp_path: Path, statement: str):
    """Whoever confirmed a question confirmed that provider and that job."""
    app, provider = make_app(tmp_path, [job(1), job(2, 20)]), Told()
    told = {one.job_id: (one.provider, one.status, one.updated_at) for one in clawcut.summary(app, now=NOW).jobs}
    change(app, statement)

    one = clawcut.check(app, 1, provider, apply=True, now=NOW, seen=told)
    batch = clawcut.check_batch(app, provider, apply=True, now=NOW, seen=told)

    assert (one.outcome, one.asked_at, one.applied) == ("changed_meanwhile", None, False)
    assert [check.outcome for check in batch.checks] == ["changed_meanwhile", "completed"]
    assert provider.asked == ["p2"]
    assert clawcut.check(app, 1, provider, now=NOW, seen={}).outcome == "changed_meanwhile"
    with pytest.raises(rk.OperationError, match="seen"):
        clawcut.check(app, 1, provider, now=NOW, seen={1: "veo"})  # type: ignore[dict-item]
