"""clawcut's policy as a reconciler: what a replay finds is what the providers' own log says, on any day."""

from __future__ import annotations

import csv
import importlib.util
import json
import random
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

import replaykit as rk
from replaykit.systems import clawcut
from replaykit.systems.clawcut.provider_log import logged_jobs

SAMPLE = Path(__file__).parents[2] / "sample_data" / "clawcut-restart"
DAY = rk.Window("2026-05-12T00:00Z", "2026-05-13T00:00Z")
MORNING = rk.Window("2026-05-12T10:00Z", "2026-05-12T12:00Z")
DEPLOY = "2026-05-12T10:31:07.412Z"


@pytest.fixture(scope="module")
def recording() -> rk.Recording:
    """Return the committed day with the providers' log."""
    return clawcut.open(SAMPLE / "app.sqlite", provider_log=SAMPLE / "provider_log.csv")


@pytest.fixture(scope="module")
def run(recording) -> rk.Replay:
    """Return the morning, with a pass every minute that only says what it would do."""
    return rk.replay(recording, clawcut, MORNING, ticks="1m")


def truth_of(folder: Path, what: str) -> set[int]:
    """Return the jobs of which this is true."""
    with (folder / "truth.csv").open(encoding="utf-8") as file:
        return {int(row["job_id"]) for row in csv.DictReader(file) if row["what"] == what}


@cache
def generator():
    """Return the module that makes days."""
    spec = importlib.util.spec_from_file_location("clawcut_restart_generate", SAMPLE / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def app(folder: Path, jobs=(), events=(), id_type="INTEGER") -> Path:
    """Write a small app: jobs and events as dictionaries."""
    path = folder / "app.sqlite"
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute(
        f"CREATE TABLE ai_jobs (id {id_type} PRIMARY KEY, kind, provider, status, provider_job_id, request_json, "
        "response_json, result_url, error, created_at, updated_at)"
    )
    connection.execute("CREATE TABLE audit_events (id INTEGER PRIMARY KEY, kind, actor, created_at, metadata)")
    for job in jobs:
        row = {"kind": "video", "provider": "veo", "status": "processing", "provider_job_id": "p", **job}
        row = {"created_at": "2026-05-12T10:00:00Z", "updated_at": "2026-05-12T10:00:00Z", **row}
        connection.execute(
            f"INSERT INTO ai_jobs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
        )
    for at, kind, metadata in events:
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        connection.execute("INSERT INTO audit_events VALUES (NULL, ?, 'worker', ?, ?)", (kind, at, text))
    connection.commit()
    connection.close()
    return path


def at(minute: int) -> str:
    """Return a minute of the small apps' hour."""
    return f"2026-05-12T10:{minute:02d}:00Z"


def replayed(path: Path, **options) -> rk.Replay:
    """Return that hour, replayed."""
    window = rk.Window("2026-05-12T10:00Z", "2026-05-12T11:00Z")
    return rk.replay(clawcut.open(path), clawcut, window, **{"ticks": "1m", **options})


def test_the_replayed_day_is_the_app_as_it_lies(recording):
    """Every row of 2,000 jobs follows from the events, or the replay would be of something else."""
    run = rk.replay(recording, clawcut, DAY, ticks="1h")

    assert run.verdict.status == "verified", run.verdict
    assert len(run.problems) == 0


def test_every_stranded_job_is_found_and_none_that_was_not(recording):
    """The point of it all; truth is made from the providers' log and knows no threshold."""
    found = clawcut.stranded(rk.replay(recording, clawcut, DAY, ticks="1h"))

    assert set(found["job_id"]) == truth_of(SAMPLE, "stranded")
    assert set(found["what"]) == {"stranded"}
    assert found["job_id"].is_unique


def test_each_stranded_job_is_stranded_since_both_poller_and_provider_were_gone(recording):
    """Since when is what an incident report needs."""
    found = clawcut.stranded(rk.replay(recording, clawcut, DAY, ticks="1h")).set_index("job_id")
    truth = pd.read_csv(SAMPLE / "truth.csv", index_col="job_id", parse_dates=["provider_finished_at", "restart"])
    for job_id, row in found.iterrows():
        finished = truth.loc[job_id, "provider_finished_at"].tz_localize(None)
        assert row["provider_finished_at"] == finished
        assert row["since"] == max(finished, row["lost_at"])
        assert row["last_sign_at"] < truth.loc[job_id, "restart"].tz_localize(None) <= row["lost_at"]


@pytest.mark.parametrize("seed", [3, 11, 2027])
def test_other_days_are_told_as_truly(tmp_path, seed):
    """A threshold that fits one day by chance would not fit these."""
    generator().generate(tmp_path, seed=seed, jobs=300)

    recording = clawcut.open(tmp_path / "app.sqlite", provider_log=tmp_path / "provider_log.csv")
    run = rk.replay(recording, clawcut, DAY, ticks="1h")

    assert run.verdict.status == "verified"
    assert set(clawcut.stranded(run)["job_id"]) == truth_of(tmp_path, "stranded")


def test_without_the_providers_log_a_silent_job_is_only_suspected(tmp_path):
    """The database alone can't know what the provider did, and must not say so."""
    path = app(tmp_path, [{"id": 1}], [(at(0), "job_created", {"job_id": 1}), (at(1), "submitted", {"job_id": 1})])

    found = clawcut.stranded(replayed(path))

    assert list(found["what"]) == ["suspected"]
    assert found["provider_outcome"].isna().all()


def test_a_closed_loop_heals_exactly_the_stranded_videos(recording):
    """What the pass would have done had it been enabled: one request for each, and no other."""
    run = rk.replay(recording, clawcut, DAY, ticks="5m", actions="apply")

    videos = truth_of(SAMPLE, "stranded") - {1236}  # an image, which the policy leaves to a person
    assert sorted(run.actions["job_id"]) == sorted(videos)
    assert list(clawcut.stranded(run)["job_id"]) == [1236]
    healed = run.after["ai_jobs"].set_index("id").loc[sorted(videos), "status"]
    assert set(healed) == {"completed", "failed"}


def test_a_shorter_age_gate_would_have_helped_sooner_and_one_too_short_asks_about_fresh_jobs(recording):
    """The question an operator asks before changing the threshold."""
    gates = {minutes: clawcut.reconciler.with_params(min_age=timedelta(minutes=minutes)) for minutes in (3, 5, 10)}
    runs = {m: rk.replay(recording, one, MORNING, ticks="5m", actions="apply") for m, one in gates.items()}

    assert clawcut.waited_minutes(runs[5]) < clawcut.waited_minutes(runs[10])
    assert [len(runs[minutes].violations) for minutes in (5, 10)] == [0, 0]
    assert set(runs[3].violations["invariant"]) == {"no_automatic_check_of_a_fresh_job"}


def test_compare_says_where_two_age_gates_part(recording):
    """Side by side, with the first divergence."""
    mended = clawcut.reconciler.with_params(min_age=timedelta(minutes=5))
    outcomes = {"waited": clawcut.waited_minutes}

    found = rk.compare(recording, clawcut, mended, MORNING, ticks="5m", actions="apply", outcomes=outcomes)

    assert found.cases[0].at == datetime(2026, 5, 12, 10, 40)
    assert "check_job" in found.cases[0].sentence
    assert found.cases[0].outcomes.set_index("outcome").loc["waited", "difference"] < -60


def test_the_picture_of_waits_counts_what_plain_python_counts(recording):
    """A line that is off by a job would be believed."""
    nobody = clawcut.reconciler.without("check_stale_jobs")
    window = rk.Window("2026-05-12T10:25Z", "2026-05-12T10:55Z")
    runs = {n: rk.replay(recording, r, window, ticks="5m", actions="apply") for n, r in (("a", nobody), ("b", clawcut))}

    found = clawcut.waits(runs, longer_than=timedelta(0))

    for name, run in runs.items():
        ends = dict(zip(run.after["endings"]["job_id"], run.after["endings"]["ended_at"], strict=True))
        finished = dict(
            zip(run.after["provider_jobs"]["job_id"], run.after["provider_jobs"]["finished_at"], strict=True)
        )
        line = found.table[found.table["replay"] == name]
        for moment, jobs in line[["at", "jobs"]].itertuples(index=False):
            waiting = [j for j, at in finished.items() if at <= moment and not (j in ends and ends[j] <= moment)]
            assert jobs == len(waiting), (name, moment)
        assert found.summary.set_index("replay").loc[name, "minutes"] == pytest.approx(clawcut.waited_minutes(run))
    assert found.svg == clawcut.waits(runs, longer_than=timedelta(0)).svg
    assert "a: 0 checks" in found.sentence
    with pytest.raises(rk.QueryError, match="needs replays of clawcut"):
        clawcut.waits({})


def test_why_not_says_how_long_ago_and_from_when_on(run):
    """In the words of the policy, and by the rule's own line; both name the same tick."""
    told = clawcut.why_not_checked(run, 463, "2026-05-12T10:36:00Z")
    found = run.why_not("check_job", job_id=463, at="2026-05-12T10:36:00Z")

    assert told == "Job 463 was not checked: updated 4 min ago, eligible at 10:41:02 UTC."
    assert found.obstacles[0].threshold.due_at == datetime(2026, 5, 12, 10, 42)
    assert run.actions[run.actions["job_id"] == 463]["at"].min() == datetime(2026, 5, 12, 10, 42)


def test_outlooks_tell_who_heals_who_is_checked_and_who_needs_a_person(run):
    """Three kinds of waiting that call for three kinds of doing."""
    jobs = {job.job_id: job for job in clawcut.jobs_at(run, "2026-05-12T11:00:00Z")}

    assert jobs[463].outlook == "will be checked"
    assert jobs[484].outlook == "needs a person"
    assert jobs[484].indeterminate
    assert "can't be known" in jobs[484].reason
    assert clawcut.jobs_at(run, "2026-05-12T10:31:00Z")[0].outlook == "heals itself"


def test_text_ids_epochs_and_a_kind_nobody_knows_are_read(tmp_path):
    """Another app of the same shape has other habits."""
    start = 1_778_580_000_000
    job = {"id": "job-a", "status": "pending", "created_at": start, "updated_at": start + 60_000}
    events = [
        (start, "job_created", {"jobId": "job-a"}),
        (start + 60_000, "submitted", {"jobId": "job-a"}),
        (start + 70_000, "moon_rose", {}),
        ("never", "status_polled", {"jobId": "job-a"}),
        (start + 80_000, "status_polled", "{no json"),
    ]
    recording = clawcut.open(app(tmp_path, [job], events, id_type="TEXT"))

    run = rk.replay(recording, clawcut, ticks="1m")

    assert run.verdict.sentence.startswith("What could be compared agrees: 1 snapshot"), run.verdict
    assert list(run.after["ai_jobs"]["id"]) == ["job-a"]
    assert recording.report.rejected == 1
    assert recording.sql("SELECT count(*) AS n FROM events WHERE metadata_unreadable")["n"][0] == 1
    assert "moon_rose" in str(run.problems.to_dict("records"))


def test_an_app_that_reads_its_clock_twice_is_still_verified(tmp_path):
    """Row and audit event are some milliseconds apart, and submitting sets processing: both are habits, no findings."""
    jobs = [
        {"id": 1, "created_at": "2026-05-12T10:00:00.004Z", "updated_at": "2026-05-12T10:01:00.013Z"},
        {"id": 2, "status": "completed", "created_at": at(0), "updated_at": "2026-05-12T10:01:59.991Z"},
        {"id": 3, "status": "queued", "provider_job_id": None, "updated_at": at(30)},
    ]
    events = [(at(0), "job_created", {"job_id": job}) for job in (1, 2, 3)]
    events += [(at(1), "submitted", {"job_id": 1}), (at(2), "completed", {"job_id": 2})]

    run = replayed(app(tmp_path, jobs, events))

    assert run.verdict.status == "verified", run.verdict
    assert list(run.after["ai_jobs"]["status"]) == ["processing", "completed", "queued"]


def test_jobs_no_event_tells_of_are_there_all_the_same(tmp_path):
    """An audit trail may be younger than the jobs."""
    jobs = [
        {"id": 1, "updated_at": at(20)},
        {"id": 2, "status": "completed", "updated_at": at(30)},
        {"id": 3, "status": "queued", "provider_job_id": None, "updated_at": at(0)},
        {"id": 4, "provider_job_id": "", "status": "queued", "updated_at": None, "created_at": "?"},
    ]
    recording = clawcut.open(app(tmp_path, jobs, [(at(40), "app_restarted", {})]))

    run = rk.replay(recording, clawcut, ticks="1m")

    after = run.after["ai_jobs"].set_index("id")
    assert list(after["status"]) == ["processing", "completed", "queued", "queued"]
    assert list(after["has_provider_id"]) == [True, True, False, False]
    assert list(after["updated_at"].dt.minute[:3]) == [20, 30, 0]
    assert recording.sql("SELECT count(*) AS n FROM events WHERE derived")["n"][0] > 4


def checked(job_id: int, outcome: str, asked: int, **more) -> dict:
    """Return the metadata of an automatic check."""
    return {"job_id": job_id, "outcome": outcome, "asked_at": at(asked), "applied": False, "automatic": True, **more}


BEGIN = [(at(0), "job_created", {"job_id": 1}), (at(1), "submitted", {"job_id": 1})]
BREACHES = {
    "terminal_stays": [
        (at(5), "completed", {"job_id": 1}),
        (at(6), "status_polled", {"job_id": 1, "status": "processing"}),
    ],
    "not_live_too_long": [],
    "no_automatic_check_of_a_fresh_job": [(at(4), "reconcile_checked", checked(1, "still_running", 3))],
    "one_check_in_flight": [
        (at(22), "reconcile_checked", checked(1, "still_running", 20)),
        (at(23), "reconcile_checked", checked(1, "still_running", 20)),
    ],
}


@pytest.mark.parametrize("invariant", BREACHES)
def test_each_invariant_is_broken_by_what_it_forbids_and_by_nothing_else(tmp_path, invariant):
    """An invariant that can't fail proves nothing."""
    last = max(int(moment[14:16]) for moment, kind, _ in [*BEGIN, *BREACHES[invariant]] if kind != "reconcile_checked")
    path = app(tmp_path, [{"id": 1, "updated_at": at(last)}], [*BEGIN, *BREACHES[invariant]])
    params = {"bound": timedelta(minutes=30)} if invariant == "not_live_too_long" else {}

    run = replayed(path, params=params)

    assert set(run.violations["invariant"]) == {invariant}


def test_checks_that_settle_nothing_put_the_next_one_off(tmp_path):
    """The rule waits as long as the pass would: ten minutes, then twenty."""
    path = app(
        tmp_path,
        [{"id": 1}],
        [
            *BEGIN,
            (at(12), "reconcile_checked", checked(1, "still_running", 12)),
            (at(24), "reconcile_checked", checked(1, "still_running", 24)),
        ],
    )
    run = replayed(path)

    ticks = [moment.minute for moment in run.metrics["at"]]
    assert ticks
    spans = [(row.at.minute, row.at.minute + row.repeats) for row in run.actions.itertuples()]
    asked = {minute for first, last in spans for minute in range(first, last + 1)}
    assert asked == {11, 22, 23, *range(44, 60)}


def test_what_checks_and_passes_wrote_is_explained_by_their_own_audit_trail(tmp_path):
    """An operator's work must not look like an unexplained change the next day."""
    database = shutil.copy(SAMPLE / "app.sqlite", tmp_path / "app.sqlite")
    provider = clawcut.LoggedProvider(SAMPLE / "provider_log.csv")
    clawcut.check_batch(database, provider, limit=5, now="2026-05-13T00:00:00Z", apply=True)
    clawcut.run_pass(database, provider, enabled=True, dry_run=False, now="2026-05-13T00:15:00Z")

    run = rk.replay(clawcut.open(database), clawcut, ticks="1h")

    assert run.verdict.status == "verified", run.verdict
    assert list(run.after["passes"]["reconciled"]) == [26 - 5 + 1], "one more had ended at its provider by then"
    assert set(run.violations["invariant"]) == {"not_live_too_long"}
    assert len(clawcut.stranded(run)) == 7, "the image, and six of which the log knows no end and nobody hears"


def test_a_question_about_a_quiet_hour_is_answered_by_its_own_clock(tmp_path):
    """Nothing happened for two hours; the job is two hours old all the same."""
    events = [(at(0), "job_created", {"job_id": 1}), (at(1), "submitted", {"job_id": 1})]
    path = app(tmp_path, [{"id": 1, "updated_at": at(1)}], events)
    run = rk.replay(clawcut.open(path), clawcut, rk.Window("2026-05-12", "2026-05-13"), ticks="5m")

    noon = "2026-05-12T12:00:00Z"
    assert clawcut.jobs_at(run, noon)[0].hints.age == timedelta(minutes=119)
    assert clawcut.stranded(run, noon)["silent_for"][0] == timedelta(minutes=119)
    assert (
        clawcut.why_not_checked(run, 1, noon)
        == "Job 1 may be checked: updated 1 h 59 min ago, eligible since 10:11:00 UTC."
    )
    assert clawcut.stranded(run, at(9)).empty
    assert len(clawcut.stranded(run, at(9), patience=timedelta(minutes=5))) == 1


SPARSE = {
    "only endings": {"completed", "failed", "app_restarted"},
    "only creation": {"job_created", "app_restarted"},
    "only restarts": {"app_restarted"},
    "no polls": {"job_created", "submitted", "completed", "failed", "cancelled", "app_restarted"},
    "no cancels": {"job_created", "submitted", "status_polled", "completed", "failed", "app_restarted"},
    "nothing": set(),
}


@pytest.mark.parametrize("logged", SPARSE)
def test_an_audit_trail_with_gaps_accuses_nobody_wrongly(tmp_path, logged):
    """Few apps log every transition; what their rows say is true all the same."""
    generator().generate(tmp_path, seed=5, jobs=200)
    kept = SPARSE[logged]
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as connection:
        connection.execute(f"DELETE FROM audit_events WHERE kind NOT IN ({', '.join('?' * len(kept))})", tuple(kept))
        connection.commit()

    recording = clawcut.open(tmp_path / "app.sqlite", provider_log=tmp_path / "provider_log.csv")
    run = rk.replay(recording, clawcut, DAY, ticks="1h")

    assert set(clawcut.stranded(run)["job_id"]) == truth_of(tmp_path, "stranded")
    assert run.verdict.status == "verified", run.verdict
    assert "terminal_stays" not in set(run.violations["invariant"])
    assert "made out of rows" in str(recording.report)


def test_polls_that_do_not_write_are_signs_of_life_but_no_updates(tmp_path):
    """The policy of such an app goes by updated_at, and so must its replay."""
    polls = [(at(minute), "status_polled", {"job_id": 1, "status": "processing"}) for minute in range(2, 50)]
    path = app(tmp_path, [{"id": 1, "status": "pending", "updated_at": at(1)}], [*BEGIN, *polls])

    run = replayed(path)

    assert run.verdict.status == "verified", run.verdict
    assert run.after["ai_jobs"]["updated_at"][0].minute == 1
    assert run.actions["at"].min().minute == 11
    assert clawcut.stranded(run, at(55)).empty
    assert "polls do not write" in str(clawcut.open(path).report)


def test_ids_of_two_providers_are_told_apart(tmp_path):
    """Each provider counts for itself."""
    jobs = [
        {"id": 1, "provider": "veo", "provider_job_id": "7"},
        {"id": 2, "provider": "runway", "provider_job_id": "7"},
    ]
    log = [("2026-05-12T10:02:00Z", "veo", "7", "accepted"), ("2026-05-12T10:03:00Z", "runway", "7", "accepted")]
    log += [("2026-05-12T10:05:00Z", "veo", "7", "Succeeded")]
    frame = pd.DataFrame(log, columns=["time", "provider", "provider_job_id", "event"])
    events = [*BEGIN, (at(0), "job_created", {"job_id": 2}), (at(30), "app_restarted", {})]

    recording = clawcut.open(app(tmp_path, jobs, events), provider_log=frame)
    found = clawcut.stranded(rk.replay(recording, clawcut, ticks="1m")).set_index("job_id")["what"]

    assert found.to_dict() == {1: "stranded", 2: "orphaned"}
    nameless = clawcut.open(app(tmp_path, jobs, events), provider_log=frame.drop(columns="provider"))
    assert set(clawcut.stranded(rk.replay(nameless, clawcut, ticks="1m"))["what"]) == {"suspected"}
    assert "that only the provider knows" in str(nameless.report)


@pytest.mark.parametrize(
    ("event", "state"),
    [("finished", "completed"), ("Succeeded", "completed"), ("expired", "failed"), ("queued", "running")],
)
def test_a_log_is_read_alike_for_replays_and_for_checks(event, state):
    """What a closed loop is answered, a check of the same log is answered too; a gap makes no other ids of numbers."""
    lines = {
        "time": ["2026-05-12T10:05:00Z", "2026-05-12T10:01:00Z", "?"],
        "provider_job_id": [7, 7, None],
        "event": [event, "accepted", event],
    }

    (logged,) = logged_jobs(pd.DataFrame(lines))

    assert clawcut.LoggedProvider(pd.DataFrame(lines)).look_up("7").state == state
    assert (logged.provider_job_id, logged.outcome or "running") == ("7", state)
    assert clawcut.LoggedProvider(pd.DataFrame(lines), at=at(2)).look_up("7").state == "running"


def test_events_that_say_nothing_sensible_do_not_stop_a_replay(tmp_path):
    """One bad row in an audit trail of thousands."""
    odd = ["[1]", '"x"', "{", "null", '{"job_id": null}', '{"job_id": 99}', '{"job_id": [1]}', '{"scanned": 1e300}']
    odd += ['{"scanned": 10000000000000000000000, "asked_at": "never"}', '{"job_id": true}']
    kinds = ("job_created", "submitted", "status_polled", "completed", "reconcile_checked", "pass_ran", "app_restarted")
    events = [(at(2 + place % 40), kind, text) for place, text in enumerate(odd) for kind in kinds]
    jobs = [{"id": 1, "updated_at": at(1)}, {"id": None}, {"id": 1.5}]

    recording = clawcut.open(app(tmp_path, jobs, [*BEGIN, *events], id_type="REAL"))
    run = rk.replay(recording, clawcut, ticks="5m")

    assert len(run.after["ai_jobs"]) == 2
    assert "1 x row without an id" in str(recording.report)


def test_without_the_providers_log_nobody_knows_how_long_jobs_waited(run, tmp_path):
    """Zero minutes would be an answer."""
    bare = replayed(app(tmp_path, [{"id": 1}], BEGIN))

    with pytest.raises(rk.QueryError, match="only known by its log"):
        clawcut.waited_minutes(bare)
    with pytest.raises(rk.QueryError, match="only known by its log"):
        clawcut.waits({"bare": bare})


def test_a_job_that_is_old_enough_may_still_have_to_wait_for_its_turn(tmp_path):
    """The limit and a check in flight keep it back, and why not must say so."""
    jobs = [{"id": number, "updated_at": at(1)} for number in range(30)]
    told = [
        (at(minute), kind, {"job_id": job["id"]})
        for job in jobs
        for minute, kind in ((0, "job_created"), (1, "submitted"))
    ]
    asked = (at(41), "reconcile_checked", checked(0, "still_running", 40))
    run = replayed(app(tmp_path, jobs, [*told, asked]))

    assert (
        clawcut.why_not_checked(run, 29, at(30))
        == "Job 29 was not checked: 29 older jobs come first, and a pass takes 25."
    )
    assert "may be checked" in clawcut.why_not_checked(run, 24, at(30))
    assert "waits for its answer" in clawcut.why_not_checked(run, 0, "2026-05-12T10:40:30Z")


OUTCOMES = (
    "still_running",
    "not_found",
    "provider_error",
    "changed_meanwhile",
    "indeterminate",
    "not_written",
    "other",
)


@pytest.mark.parametrize("seed", range(5))
def test_rule_summary_and_pass_agree_on_who_is_eligible(tmp_path, seed):
    """Three ways to the same policy: of a replay, of the card and of cron."""
    drawn = random.Random(seed)
    jobs, events = [], []
    for number in range(12):
        minute = drawn.randrange(5, 40)
        jobs.append({"id": number, "status": "pending", "updated_at": at(minute)})
        events += [(at(1), "job_created", {"job_id": number}), (at(minute), "submitted", {"job_id": number})]
        for minute in sorted(drawn.sample(range(2, 60), drawn.randrange(5))):
            events.append((at(minute), "reconcile_checked", checked(number, drawn.choice(OUTCOMES), minute)))
    path = app(tmp_path, jobs, events)
    recording = clawcut.open(path)
    for now in ("2026-05-12T11:00:30Z", "2026-05-12T11:07:00Z", "2026-05-12T11:21:00Z", "2026-05-12T12:40:00Z"):
        run = rk.replay(recording, clawcut, rk.Window("2026-05-12T10:00Z", now), ticks="end")
        card = {job.job_id for job in clawcut.summary(path, now=now).jobs if job.hints.eligible}
        cron = clawcut.run_pass(path, lambda _: clawcut.Answer("running"), enabled=True, now=now)
        assert {job.job_id for job in clawcut.jobs_at(run, now) if job.hints.eligible} == card
        assert set(run.actions["job_id"]) == card
        assert {check.job_id for check in cron.checks} == card


def test_nothing_secret_enters_a_recording(tmp_path):
    """Request and response, provider ids, URLs, errors and free text stay in the database."""
    names = ("provider_job_id", "request_json", "response_json", "result_url", "error")
    secrets = {name: f"s3cret-{name}" for name in names}
    metadata = {"job_id": 1, "provider_job_id": "s3cret-a", "status": "s3cret-b", "note": {"x": "s3cret-c"}}
    path = app(tmp_path, [{"id": 1, **secrets}], [*BEGIN, (at(2), "status_polled", metadata)])

    clawcut.open(path, save=tmp_path / "saved.duckdb").close()

    assert b"s3cret-error" in path.read_bytes()
    recording = rk.open(tmp_path / "saved.duckdb")
    texts = [
        recording.sql("SELECT * FROM events ORDER BY position").to_csv(),
        str(recording.report),
        recording._repr_html_(),
    ]
    texts += [snapshot["ai_jobs"].to_csv() for snapshot in recording.snapshots]
    assert "s3cret" not in "".join(texts)
    assert b"s3cret" not in (tmp_path / "saved.duckdb").read_bytes()
