"""summary(): how jobs stand, read-only, and whatever is in the tables."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from clawcut_app import NOW, event, job, make_app

import replaykit as rk
from replaykit.systems import clawcut
from replaykit.systems.clawcut import database as opening

summarizing = import_module("replaykit.systems.clawcut.summary")  # the package's name for it is the function
SAMPLE = Path(__file__).parents[2] / "sample_data" / "clawcut-restart"


@pytest.fixture(scope="module")
def midnight() -> clawcut.Summary:
    """Return the sample's day as an operator sees it at midnight."""
    return clawcut.summary(SAMPLE / "app.sqlite", now="2026-05-13T00:00:00Z")


def test_the_day_at_midnight_is_told_in_one_line(midnight):
    """A repr that fits a log line, and says who waits for whom."""
    assert repr(midnight) == (
        "Summary(2026-05-13T00:00:00Z: 5 cancelled, 1,873 completed, 86 failed, 11 pending, 23 processing, 2 queued; "
        "7 heal by themselves, 26 will be checked, 3 need a person.)"
    )


def test_jobs_come_oldest_update_first_with_their_hints(midnight):
    """Who has waited longest is looked at first."""
    table = midnight.table

    assert list(table["updated_at"]) == sorted(table["updated_at"])
    assert len(table) == 36
    assert set(table.loc[table["eligible"], "outlook"]) == {"will be checked"}
    assert {one.job_id for one in midnight.indeterminate} == {484, 1237}
    assert all(one.has_provider_id and one.kind == "video" for one in midnight.candidates)


def test_no_job_is_no_error(tmp_path):
    """The first day of an app, and the best day of an operator."""
    found = clawcut.summary(make_app(tmp_path), now=NOW)

    assert repr(found).endswith("no job; nothing waits.)")
    assert found.table.empty
    assert found.last_pass is None
    assert "No pass has run." in found._repr_html_()


def test_one_job_is_spoken_of_as_one(tmp_path):
    """The sentence is read by people."""
    found = clawcut.summary(make_app(tmp_path, [job(1, 1), job(2, provider_job_id=None)]), now=NOW)

    assert found.sentence == "2 processing; 1 heals by itself, 1 needs a person."


def test_a_row_that_says_nothing_sensible_is_shown_and_hides_no_other(tmp_path):
    """A broken row is what an incident is made of."""
    odd = "<img src=x onerror=alert(1)>"
    rows = [
        job(1),
        job(2, None),
        job(3, updated_at="soon"),
        job(4, -5),
        job(5, kind=odd, provider=odd),
        job(6, status=odd),
    ]
    events = [event("moon_rose", 1), {"kind": odd, "actor": odd, "created_at": "never", "metadata": "{" + odd}]
    found = clawcut.summary(make_app(tmp_path, rows, events), now=NOW)

    buckets = {one.job_id: one.hints.bucket for one in found.jobs}
    assert buckets == {1: "stale", 2: "unknown", 3: "unknown", 4: "unknown", 5: "stale"}
    assert {one.job_id for one in found.jobs if one.outlook == "needs a person"} == {2, 3, 4, 5}
    assert found.counts == {"(unknown status)": 1, "processing": 5}
    assert found.recent[0].metadata_unreadable or found.recent[1].metadata_unreadable
    assert "<img" not in found._repr_html_()
    assert "metadata_unreadable" in found._repr_html_()


@pytest.mark.parametrize(
    "metadata", ["", None, "null", "[]", "{", '{"scanned": "many", "results": 3}', "\ud800"[:0] + "NaN"]
)
def test_a_last_pass_whose_words_can_not_be_read_is_still_the_last_pass(tmp_path, metadata):
    """Somebody else's row must not break the page on which it would be noticed."""
    row = {"kind": "pass_ran", "actor": "pass", "created_at": NOW, "metadata": metadata}
    found = clawcut.summary(make_app(tmp_path, [job(1)], [row]), now=NOW)

    assert found.last_pass.at == NOW
    assert found.last_pass.metadata_unreadable is (metadata in ("null", "[]", "{", "NaN"))
    assert "The last pass ran at 2026-05-12T12:00:00Z" in found._repr_html_()


def test_checks_that_settled_nothing_are_counted_for_the_next_one(tmp_path):
    """The card says what the pass will do; an update of the app since then begins anew."""
    checks = [event("reconcile_checked", minutes, "pass", job_id="1", outcome="still_running") for minutes in (25, 14)]
    checks += [event("reconcile_checked", 40, "pass", job_id=2, outcome="still_running")]
    checks += [event("reconcile_checked", 12, "pass", job_id=3, outcome="not_found")]
    found = clawcut.summary(make_app(tmp_path, [job(1), job(2), job(3)], checks), now=NOW)

    jobs = {one.job_id: one for one in found.jobs}
    assert (jobs[1].hints.attempts, jobs[1].hints.eligible_at) == (2, NOW + timedelta(minutes=6))
    assert "Checked 2 times" in jobs[1].hints.advice
    assert (jobs[2].hints.attempts, jobs[2].hints.eligible) == (0, True)
    assert (jobs[3].outlook, jobs[3].reason) == ("needs a person", "The provider does not know it.")


def test_neither_the_file_nor_its_folder_changes(tmp_path):
    """A page that is looked at every minute must leave no trace beside the app."""
    path = make_app(tmp_path, [job(1)])
    before = path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir())

    clawcut.summary(path, now=NOW)

    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.iterdir())) == before


def test_what_the_app_has_just_written_is_seen_while_it_goes_on(tmp_path):
    """The rows of the last minutes are in the write-ahead log, not in the file."""
    path = make_app(tmp_path, [job(1)])
    stop = threading.Event()
    with closing(sqlite3.connect(path)) as app:
        app.execute(
            "INSERT INTO ai_jobs (id, kind, provider, status, created_at) VALUES (2, 'video', 'veo', 'queued', '')"
        )
        app.commit()
        writer = threading.Thread(target=_touch, args=(path, stop))
        writer.start()
        try:
            seen = {len(clawcut.summary(path, now=NOW).jobs) for _ in range(20)}
        finally:
            stop.set()
            writer.join()

    assert seen == {2}


def _touch(path, stop):
    with closing(sqlite3.connect(path, timeout=10)) as app:
        while not stop.wait(0.002):
            app.execute("UPDATE ai_jobs SET updated_at = '2026-05-12T11:59:59Z' WHERE id = 2")
            app.commit()


def test_what_is_not_the_app_is_refused_without_its_path(tmp_path):
    """A path may hold a customer's name; the message says what was expected instead."""
    other = tmp_path / "s3cret.sqlite"
    with closing(sqlite3.connect(other)) as made:
        made.execute("CREATE TABLE ai_jobs (id)")
        made.commit()
    (tmp_path / "s3cret.txt").write_text("no database, and long enough to be looked at")
    for path, what in [
        (other, "no column|no table"),
        (tmp_path / "s3cret.txt", "no SQLite"),
        (tmp_path / "s3cret", "no data"),
    ]:
        with pytest.raises(rk.ReplayKitError, match=what) as caught:
            clawcut.summary(path)
        assert "s3cret" not in str(caught.value)


def test_a_summary_can_be_kept_and_not_changed(midnight):
    """It is a value: the card compares it with the next one."""
    with pytest.raises(AttributeError):
        midnight.at = NOW
    with pytest.raises(TypeError):
        midnight.counts["failed"] = 0
    assert midnight == clawcut.summary(SAMPLE / "app.sqlite", now="2026-05-13T00:00:00Z")


def test_a_job_written_while_the_summary_begins_is_not_ahead_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The clock is read once the database stands still for it, not before."""
    app = make_app(tmp_path, [job(1)])
    check_app, clock = opening.check_app, [datetime(2026, 5, 12, 12)]

    def late(connection: sqlite3.Connection) -> None:
        clock[0] = datetime(2026, 5, 12, 13)  # the lock was waited for
        check_app(connection)

    monkeypatch.setattr(opening, "check_app", late)
    monkeypatch.setattr(summarizing, "moment", lambda _now: clock[0])

    assert clawcut.summary(app).at == datetime(2026, 5, 12, 13)


def test_words_that_look_like_keys_are_not_shown(tmp_path: Path):
    """Somebody's script wrote into the wrong column."""
    app = make_app(
        tmp_path,
        [job(1, kind="sk-live-SECRET123"), job(2, status="ghp_SECRET"), job(3, provider="AKIASECRETKEY")],
        [event("sk-live-SECRETkind", 3)],
    )

    found = clawcut.summary(app, now=NOW)
    shown = repr(found) + found._repr_html_() + repr(found.jobs) + repr(found.recent) + repr(dict(found.counts))

    assert "SECRET" not in shown
    assert dict(found.counts) == {"(unknown status)": 1, "processing": 2}


@pytest.mark.parametrize("wrong", [{"recent": "x"}, {"recent": -1}, {"recent": True}, {"policy": "x"}])
def test_arguments_that_can_not_be_meant_are_refused(tmp_path: Path, wrong: dict[str, Any]):
    """In a sentence, not in a traceback of somebody else's code."""
    with pytest.raises(rk.OperationError, match=next(iter(wrong))):
        clawcut.summary(make_app(tmp_path), now=NOW, **wrong)
