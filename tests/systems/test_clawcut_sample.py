"""The sample of clawcut is made by the generator beside it, and its world is consistent, whatever the seed."""

from __future__ import annotations

import ast
import csv
import importlib.util
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "sample_data" / "clawcut-restart"
DAYS = {"committed": None, "seed 1": (1, 150, 1), "seed 2": (2, 150, 1), "seed 3, twice the story": (3, 300, 2)}
DOWN = [
    ("2026-05-12T10:31:07.000Z", "2026-05-12T10:31:07.412Z"),
    ("2026-05-12T16:02:40.000Z", "2026-05-12T16:04:10.118Z"),
]
MIDNIGHT = "2026-05-13"
TERMINAL = {"completed", "failed", "cancelled"}


@dataclass
class Day:
    """What is in the three files of a day."""

    jobs: dict[int, dict]
    events: list[dict]
    log: list[dict]
    truth: dict[int, dict]

    def events_of(self, job, *kinds):
        """Return the events of a job, of some kinds if named."""
        return [e for e in self.events if e["metadata"].get("job_id") == job and (not kinds or e["kind"] in kinds)]

    def log_of(self, provider_job_id):
        """Return the provider's lines of a job by event, in order."""
        return {line["event"]: line for line in self.log if line["provider_job_id"] == provider_job_id}

    def stranded(self, restart=""):
        """Return what is true of the stranded jobs, or of those of one restart."""
        return [t for t in self.truth.values() if t["what"] == "stranded" and t["restart"].startswith(restart)]


def rows(database, table):
    """Return the rows of a table in order of their ids; the file is only read, and nothing appears beside it."""
    connection = sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)
    connection.row_factory = sqlite3.Row
    found = [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1")]
    connection.close()
    return found


def table(path):
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read(folder):
    """Return the day that is in a folder."""
    events = [{**e, "metadata": json.loads(e["metadata"])} for e in rows(folder / "app.sqlite", "audit_events")]
    jobs = {job["id"]: job for job in rows(folder / "app.sqlite", "ai_jobs")}
    truth = {int(t["job_id"]): t for t in table(folder / "truth.csv")}
    return Day(jobs, events, table(folder / "provider_log.csv"), truth)


def contents(folder):
    """Return all that two equal days have in common: the schema, the rows and the bytes of the CSV files."""
    names = ["sqlite_master", "ai_jobs", "audit_events"]
    tables = [rows(folder / "app.sqlite", name) for name in names]
    tables[0] = [{"name": row["name"], "sql": row["sql"]} for row in tables[0]]
    return tables, [(folder / name).read_bytes() for name in ("provider_log.csv", "truth.csv")]


def minutes(first, last):
    """Return the minutes between two times as the app writes them."""
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds() / 60


@pytest.fixture(scope="module")
def maker():
    """Return the generator, imported by its path and leaving no compiled file in the sample."""
    spec = importlib.util.spec_from_file_location("clawcut_restart_generate", FOLDER / "generate.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=DAYS)
def day(request, maker, tmp_path_factory):
    """Return the committed day and some others, one after the other."""
    if (options := DAYS[request.param]) is None:
        return read(FOLDER)
    folder = tmp_path_factory.mktemp("day")
    maker.generate(folder, *options)
    return read(folder)


def test_committed_files_are_what_the_generator_makes(maker, tmp_path):
    """Data that nobody can make again can't be corrected either. Pages of SQLite may differ between its versions."""
    maker.generate(tmp_path)

    assert contents(tmp_path) == contents(FOLDER)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.sqlite", "provider_log.csv", "truth.csv"]


def test_same_seed_gives_the_same_rows_in_another_process(maker, tmp_path):
    """The order of a set is another in each process; nothing may hang on it."""
    maker.generate(tmp_path / "here", 5, 120)
    for salt in ("1", "2"):
        command = [sys.executable, "-B", FOLDER / "generate.py", tmp_path / salt, "--seed", "5", "--jobs", "120"]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": salt}, check=True, capture_output=True)

        assert contents(tmp_path / salt) == contents(tmp_path / "here")


def test_writing_again_replaces_the_day_and_another_seed_is_another_day(maker, tmp_path):
    """A file that was appended to would hold two days."""
    maker.generate(tmp_path, 5, 120)
    first = contents(tmp_path)
    maker.generate(tmp_path, 6, 120)
    second = contents(tmp_path)
    maker.generate(tmp_path, 5, 120)

    assert contents(tmp_path) == first != second


def test_too_few_jobs_for_the_story_are_refused(maker, tmp_path):
    """A day without its story would make every test of it pass."""
    with pytest.raises(ValueError, match=r"jobs=20\. Ask for more jobs"):
        maker.generate(tmp_path, 1, 20)


def test_generator_needs_the_standard_library_only():
    """A truth that came from the policy under test would agree with it."""
    trees = [ast.parse((FOLDER / name).read_text()) for name in ("generate.py", "world.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}

    assert len(named) > 5
    assert {name.split(".")[0] for name in named} <= sys.stdlib_module_names


def test_committed_files_are_small_and_have_nothing_beside_them():
    """A database in WAL mode gets two files more as soon as somebody looks at it."""
    header = (FOLDER / "app.sqlite").read_bytes()[:20]
    names = {path.name for path in FOLDER.iterdir() if path.is_file()}

    assert (header[18], header[19]) == (1, 1)  # 2 would be WAL
    assert names == {"LICENSE", "README.md", "app.sqlite", "generate.py", "provider_log.csv", "truth.csv", "world.py"}
    assert (FOLDER / "app.sqlite").stat().st_size < 3_000_000
    assert sum(path.stat().st_size for path in FOLDER.glob("*.csv")) < 400_000


def test_committed_day_is_the_one_that_is_told():
    """The README gives these numbers."""
    day = read(FOLDER)
    kinds = Counter(job["kind"] == "video" for job in day.jobs.values())
    told = Counter(t["what"] for t in day.truth.values())

    assert (len(day.jobs), kinds[True], len(day.events), len(day.log)) == (2000, 894, 14605, 4880)
    assert told == {"stranded": 27, "running": 6, "finished_unpolled": 1, "lost_submission": 1, "never_submitted": 1}
    assert (len(day.stranded("2026-05-12T10:31:07")), len(day.stranded("2026-05-12T16:02:40"))) == (17, 10)


def folded(events):
    """Return what the events of one job leave in its row."""
    row = {"status": None, "provider_job_id": None, "error": None, "created_at": events[0]["created_at"]}
    for event in events:
        told = event["metadata"]
        row["status"] = {"job_created": "queued", "submitted": "pending"}.get(event["kind"], event["kind"])
        if event["kind"] == "status_polled":
            row["status"] = told["status"]
        row |= {name: told[name] for name in ("provider_job_id", "error") if name in told}
        row["updated_at"] = event["created_at"]
    return row


def test_each_job_is_the_fold_of_its_events(day):
    """The app writes both in one transaction, so that they can't disagree."""
    lives = {}
    for event in day.events:
        if event["kind"] != "app_restarted":
            lives.setdefault(event["metadata"]["job_id"], []).append(event)

    assert lives.keys() == day.jobs.keys()
    assert all(life[0]["kind"] == "job_created" for life in lives.values())
    for number, life in lives.items():
        row = folded(life)
        assert {name: day.jobs[number][name] for name in row} == row


def test_events_and_jobs_are_numbered_in_order_of_time_and_end_with_the_day(day):
    """Ids come from one counter of one process."""
    times = [event["created_at"] for event in day.events]
    created = [job["created_at"] for job in day.jobs.values()]

    assert [event["id"] for event in day.events] == list(range(1, len(times) + 1))
    assert times == sorted(times)
    assert created == sorted(created)
    assert max(times) < MIDNIGHT
    assert max(line["time"] for line in day.log) < MIDNIGHT
    assert {event["kind"] for event in day.events}.isdisjoint({"reconcile_checked", "pass_ran"})


def test_providers_finish_only_what_they_accepted_and_once(day):
    """Their log is the ground the truth stands on."""
    lives = {}
    for line in day.log:
        lives.setdefault((line["provider"], line["provider_job_id"]), []).append(line)

    for life in lives.values():
        assert [line["time"] for line in life] == sorted(line["time"] for line in life)
        assert re.fullmatch("accepted( started)?( finished| failed)?", " ".join(line["event"] for line in life))
    ends = [line for line in day.log if line["event"] in {"finished", "failed"}]
    assert all(bool(line["result_url"]) == (line["event"] == "finished") != bool(line["error"]) for line in ends)
    assert len({number for _, number in lives}) == len(lives)
    assert all(re.fullmatch("[0-9a-f]{14}", number) for _, number in lives)


def test_the_app_knows_only_what_a_provider_told_it(day):
    """A job that ended before its provider did would be a lie of the sample."""
    theirs = {}
    for line in day.log:
        theirs.setdefault((line["provider"], line["provider_job_id"]), {})[line["event"]] = line
    submitted = {e["metadata"]["job_id"]: e["created_at"] for e in day.events if e["kind"] == "submitted"}

    for number, job in day.jobs.items():
        life = theirs.get((job["provider"], job["provider_job_id"]))
        assert (number in submitted) == (job["provider_job_id"] is not None) == (life is not None)
        if life:
            assert life["accepted"]["time"] < submitted[number]
        if job["status"] in {"completed", "failed"}:
            end = life["finished" if job["status"] == "completed" else "failed"]
            assert end["time"] <= job["updated_at"]
            assert (job["result_url"] or "", job["error"] or "") == (end["result_url"], end["error"])
        else:
            assert (job["result_url"], job["response_json"], job["error"]) == (None, None, None)


def test_nothing_runs_while_the_app_is_down(day):
    """A poll of a process that had ended would hide what the restart did."""
    told = [event["created_at"] for event in day.events if event["kind"] == "app_restarted"]

    assert told == [began for _, began in DOWN]
    for ended, began in DOWN:
        inside = [event for event in day.events if ended <= event["created_at"] < began]
        assert inside == []
        assert any(ended <= line["time"] < began for line in day.log) or began == DOWN[0][1]  # providers go on


def test_polls_are_20_to_45_seconds_apart_but_for_the_crash(day):
    """The rhythm is what tells a job that is asked for from one that is not."""
    asked = {}
    for event in day.events:
        if event["kind"] in {"submitted", "status_polled"}:
            asked.setdefault(event["metadata"]["job_id"], []).append(event["created_at"])
    gaps = [(*pair, minutes(*pair) * 60) for times in asked.values() for pair in pairwise(times)]
    ended, began = DOWN[1]
    across = [gap for first, last, gap in gaps if first < ended and last >= began]

    assert all(20 <= gap <= 45 for first, last, gap in gaps if not (first < ended and last >= began))
    assert across
    assert all(90 < gap < 156 for gap in across)


def test_a_poll_says_what_the_provider_was_doing(day):
    """The app can't know of a start before there was one."""
    started = {line["provider_job_id"]: line["time"] for line in day.log if line["event"] == "started"}
    for event in day.events:
        if event["kind"] == "status_polled":
            start = started.get(day.jobs[event["metadata"]["job_id"]]["provider_job_id"], MIDNIGHT)
            assert event["metadata"]["status"] == ("processing" if start <= event["created_at"] else "pending")


def test_truth_holds_exactly_the_jobs_that_are_not_terminal(day):
    """A job that is missing would count as a false alarm, one too many as overlooked."""
    assert set(day.truth) == {number for number, job in day.jobs.items() if job["status"] not in TERMINAL}
    for number, true in day.truth.items():
        polls = [event["created_at"] for event in day.events_of(number, "status_polled")]
        assert true["last_poll_at"] == (polls[-1] if polls else "")


def test_truth_agrees_with_the_log_of_the_providers(day):
    """What is not in a provider's log has not happened there."""
    for true in day.truth.values():
        life = day.log_of(true["provider_job_id"])
        end = life.get("finished") or life.get("failed") or {"time": "", "event": ""}
        assert (true["provider_finished_at"], true["provider_outcome"]) == (end["time"], end["event"])
        assert bool(life) == (true["what"] != "never_submitted")
        assert bool(end["time"]) == (true["what"] in {"stranded", "finished_unpolled", "lost_submission"})
        assert bool(true["restart"]) == (true["what"] not in {"running", "finished_unpolled"})


def test_stranded_jobs_are_over_at_the_provider_and_were_not_asked_for_since_the_restart(day):
    """That is what the word means."""
    for true in day.stranded():
        job = day.jobs[int(true["job_id"])]
        assert job["provider_job_id"] == true["provider_job_id"]
        assert job["updated_at"] < true["restart"]
        assert max(job["updated_at"], true["last_poll_at"]) < true["provider_finished_at"] < MIDNIGHT
        assert true["restart"] in {ended for ended, _ in DOWN}


def test_jobs_that_run_at_midnight_were_asked_for_to_the_end(day):
    """They must not look stranded to whoever knows the rhythm."""
    alive = [t for t in day.truth.values() if t["what"] in {"running", "finished_unpolled"}]
    last = [day.jobs[int(t["job_id"])]["updated_at"] for t in alive]

    assert sum(t["what"] == "running" for t in alive) >= 3
    assert all(minutes(time, "2026-05-13T00:00:00Z") * 60 <= 45 for time in last)
    assert all(t["provider_finished_at"] > t["last_poll_at"] for t in alive if t["what"] == "finished_unpolled")


def test_both_restarts_strand_jobs_successes_and_failures(day):
    """A sample in which little goes wrong proves little."""
    deploy, crash = day.stranded("2026-05-12T10:31:07"), day.stranded("2026-05-12T16:02:40")

    assert len(deploy) >= 10
    assert len(crash) >= 4
    assert all({t["provider_outcome"] for t in of} == {"finished", "failed"} for of in (deploy, crash))
    assert {day.jobs[int(t["job_id"])]["status"] for t in crash} == {"pending"}
    assert "processing" in {day.jobs[int(t["job_id"])]["status"] for t in deploy}


def test_two_submissions_that_look_alike_are_two_things(day):
    """From the app's side nobody can tell them apart; the provider's log can."""
    queued = {t["what"]: t for t in day.truth.values() if day.jobs[int(t["job_id"])]["status"] == "queued"}
    unknown = {line["provider_job_id"] for line in day.log} - {job["provider_job_id"] for job in day.jobs.values()}

    assert queued.keys() == {"lost_submission", "never_submitted"}
    assert sum(job["status"] == "queued" for job in day.jobs.values()) == 2
    assert unknown == {queued["lost_submission"]["provider_job_id"]}
    assert queued["lost_submission"]["restart"].startswith("2026-05-12T10:31:07")


def test_slow_jobs_older_than_an_hour_were_not_stranded(day):
    """Whoever goes by age calls them stranded."""
    ended = [job for job in day.jobs.values() if job["status"] in {"completed", "failed"}]
    old = [job for job in ended if minutes(job["created_at"], job["updated_at"]) > 60]
    across = [job for job in old if job["created_at"] < DOWN[1][0] and job["updated_at"] > DOWN[1][1]]

    assert len(old) >= 5
    assert len(across) >= 3
    assert {job["provider"] for job in old} == {"veo"}


def test_users_cancelled_some_and_a_provider_worked_on(day):
    """A cancelled job is over for the app, whatever its provider does."""
    cancelled = [job for job in day.jobs.values() if job["status"] == "cancelled"]
    ends = [day.log_of(job["provider_job_id"]) for job in cancelled if job["provider_job_id"]]

    assert len(cancelled) == 5
    assert [end["finished"]["provider"] for end in ends if "finished" in end] == ["runway"]
    assert [end["failed"]["error"] for end in ends if "failed" in end] == ["canceled by client"] * 2


def test_some_rows_are_as_hard_to_read_as_real_ones(day):
    """Whoever shows a row to a person meets other alphabets, line breaks, and URLs that should not be shown."""
    asked = [json.loads(job["request_json"]) for job in day.jobs.values()]
    text = "\n".join(job["request_json"] for job in day.jobs.values())
    errors = {job["error"] for job in day.jobs.values() if job["error"]}

    assert all(word in text for word in ("雨", "بدون", "Straßenlärm", "🦊", "DROP TABLE"))
    assert sum(isinstance(request.get("options"), dict) for request in asked) == 1
    assert re.findall(r"token=([\w-]*)", text) == ["not-a-real-token"]
    assert any('"' in error and "'" in error and "\n" in error for error in errors)
