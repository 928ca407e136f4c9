"""A program as reconciler: its events, rules and invariants are replayed as those of a reconciler in Python are."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import replaykit as rk

PROGRAMS = Path(__file__).parent / "programs"
WINDOW = rk.Window("2026-03-26T06:00Z", "2026-03-26T06:30Z")
HAPPENED = [
    (0, "submitted", "j1"),
    (10, "started", "j1"),
    (20, "submitted", "j2"),
    (30, "started", "j2"),
    (31, "heartbeat", "j2"),
    (40, "done", "j2"),
    (700, "submitted", "j1"),
    (710, "started", "j1"),
    (720, "started", "j1"),
    (730, "started", "j1"),
]
PATIENCE = pd.Timedelta(seconds=600)


def jobs_program(state: str, **options: Any) -> rk.Reconciler:
    """Return the program as reconciler."""
    return rk.external([sys.executable, "-S", str(PROGRAMS / "jobs.py")], state=state, **options)


@pytest.fixture(scope="module")
def recording() -> rk.Recording:
    """Return some jobs' lives."""
    rows = [
        {
            "at": pd.Timestamp("2026-03-26T06:00:00") + pd.Timedelta(seconds=seconds),
            "kind": kind,
            "id": f"e{number}",
            "payload": f'{{"job":"{job}"}}',
        }
        for number, (seconds, kind, job) in enumerate(HAPPENED)
    ]
    return rk.load(events=pd.DataFrame(rows), time="at", kind="kind", id="id", payload="payload")


@pytest.fixture(scope="module", params=["sqlite", "json"])
def program(request: pytest.FixtureRequest) -> rk.Reconciler:
    """Return the program, with its state in a file or in memory."""
    return jobs_program(request.param)


def in_python() -> rk.Reconciler:  # noqa: C901 - one function for each thing jobs do
    """Return the same rules in Python."""
    columns = {"status": "VARCHAR", "updated_at": "TIMESTAMP", "runs": "BIGINT"}
    jobs = rk.Reconciler("jobs", {"jobs": rk.Table("job_id", columns)}, {"patience": 600})
    jobs.ignore("heartbeat")

    @jobs.apply("submitted")
    def submitted(state, event):
        state["jobs"].delete(event.payload["job"])
        state["jobs"].insert(job_id=event.payload["job"], status="queued", updated_at=event.occurred_at, runs=0)

    @jobs.apply("started")
    def started(state, event):
        job = event.payload["job"]
        state["jobs"].update(job, status="running", updated_at=event.occurred_at)
        state["jobs"].update(job, runs=state["jobs"][job]["runs"] + 1)

    @jobs.apply("done")
    def done(state, event):
        state["jobs"].delete(event.payload["job"])

    @jobs.act("requeue")
    def requeue(state, action):
        state["jobs"].update(action["job_id"], status="queued", updated_at=state.now)
        return rk.Action("send mail", job_id=action["job_id"])

    def rows(state, now):
        return state["jobs"].find()

    @jobs.rule("requeue_lost", key="job_id", each=rows)
    def requeue_lost(state, now, job):
        if job["status"] == "running" and now - job["updated_at"] > PATIENCE:
            yield rk.Action("requeue", job_id=job["job_id"])

    @jobs.rule("greet", key="job_id", each=rows)
    def greet(state, now, job):
        if job["status"] == "queued":
            yield rk.Action("greet", job_id=job["job_id"], at=now.isoformat(timespec="milliseconds") + "Z")

    @jobs.invariant("at most two runs", key="job_id")
    def two_runs(state, now):
        return [{"job_id": job["job_id"], "runs": job["runs"]} for job in state["jobs"] if job["runs"] > 2]

    return jobs


def history_of(run: rk.Replay) -> pd.DataFrame:
    """Return every version of every job."""
    return run.history.frame("SELECT * FROM history.jobs ORDER BY change")


@pytest.mark.parametrize("actions", ["collect", "apply"])
def test_a_program_gives_the_same_history_and_actions_as_python(recording, program, actions):
    """Everything after a replay works on these, so all of it works on programs."""
    ours = rk.replay(recording, in_python(), WINDOW, ticks="60s", actions=actions)
    theirs = rk.replay(recording, program, WINDOW, ticks="60s", actions=actions)

    assert_frame_equal(history_of(theirs), history_of(ours))
    assert theirs.emitted == ours.emitted
    assert_frame_equal(theirs.actions, ours.actions)
    assert_frame_equal(pd.DataFrame(theirs.violations), pd.DataFrame(ours.violations))
    assert_frame_equal(theirs.effects, ours.effects)
    assert_frame_equal(theirs.steps, ours.steps)
    assert len(theirs.actions) > 2
    assert len(theirs.violations) == 1


def test_the_verdict_says_that_isolation_is_not_guaranteed(recording, program):
    """Nobody watches what a process does, and no result may hide that."""
    run = rk.replay(recording, program, WINDOW, ticks="60s")

    assert run.verdict.status == "unverified"
    assert "Isolation is not guaranteed" in str(run.verdict)
    assert "Isolation is not guaranteed" in run._repr_html_()
    assert "isolation not guaranteed" in repr(run)


@pytest.fixture(scope="module")
def run(recording, program) -> rk.Replay:
    """Return a replay to ask."""
    return rk.replay(recording, program, WINDOW, ticks="60s")


def test_why_names_the_cells_a_program_says_it_read(run):
    """With the step behind each, and whether the action would fall without that write: the program is asked again."""
    found = run.why(run.actions[run.actions["kind"] == "requeue"].iloc[0])

    assert [(cell.name, cell.value, cell.blame.step, cell.decisive) for cell in found.cells] == [
        ("jobs[j1].status", "running", 2, True),
        ("jobs[j1].updated_at", pd.Timestamp("2026-03-26T06:00:10"), 2, True),
    ]
    assert "event started e1; queued before" in found.sentence


def test_why_of_a_breach_works_the_same_way(run):
    """An invariant is asked by check, a rule by reconcile."""
    found = run.why(run.violations.iloc[0])

    assert [(cell.name, cell.value, cell.blame.step) for cell in found.cells] == [("jobs[j1].runs", 3, 10)]


def test_why_says_where_the_program_does_not(run):
    """That it read nothing would be wrong."""
    found = run.why(run.actions[run.actions["kind"] == "greet"].iloc[0])

    assert found.cells == ()
    assert found.sentence.endswith("The program does not say what it read.")


def test_why_not_is_refused_with_the_reason(run):
    """Nobody sees where a process turned away."""
    with pytest.raises(rk.QueryError, match=r"rule 'requeue_lost': it belongs to Program .* a process of its own"):
        run.why_not("requeue", job_id="j2")


def test_readers_finds_what_rested_on_a_write_where_the_program_says_so(run):
    """Its reads are those of a rule in Python or SQL."""
    found = run.readers(event="e1")

    assert found.frame[["rule", "column"]].values.tolist() == [
        ["requeue_lost", "status"],
        ["requeue_lost", "updated_at"],
    ]


def test_readers_is_refused_where_the_program_names_no_reads(recording):
    """An empty answer would say that nothing rested on it."""
    silent = rk.external([sys.executable, "-S", str(PROGRAMS / "jobs.py"), "silent"])
    run = rk.replay(recording, silent, WINDOW, ticks="60s")

    with pytest.raises(rk.QueryError, match="does not say what its rules read"):
        run.readers(event="e1")


def test_a_history_of_a_program_answers_all_questions(run):
    """Blame, first, when and diffs are queries over the history, whoever wrote it."""
    assert run.at("06:12").blame("jobs", "j1", "status").event_id == "e7"
    assert run.first("SELECT * FROM jobs WHERE status = 'running'").step == 2
    assert len(run.when("SELECT * FROM jobs WHERE job_id = 'j1' AND status = 'running'")) == 2
    assert list(rk.diff(run.at("06:00:05"), run.at("06:00:15"))["jobs"].changed["job_id"]) == ["j1"]
    assert run.history.touched(event="e6").steps == (7,)


def test_rules_in_python_and_sql_may_be_added(recording, program):
    """What the program does not check can still be asked, over its own state."""
    program = program.copy()
    program.invariant("nobody waits", "SELECT job_id FROM jobs WHERE status = 'queued'", key="job_id")

    @program.rule("praise", key="job_id")
    def praise(state, now):
        return [rk.Action("praise", job_id=job["job_id"]) for job in state["jobs"].find(runs=1)]

    run = rk.replay(recording, program, WINDOW, ticks="60s")

    assert {"nobody waits", "at most two runs"} == set(run.violations["invariant"])
    assert {"praise", "requeue_lost", "greet"} == set(run.actions["rule"])


def test_parameters_reach_the_program(recording, program):
    """A changed threshold is asked for as with any other reconciler."""
    ticks = [
        rk.replay(recording, program, WINDOW, ticks="60s", params={"patience": patience})
        .actions.query("kind == 'requeue'")["tick"]
        .iloc[0]
        for patience in (120, 600)
    ]

    assert ticks == [3, 11]


def test_a_rule_can_be_left_out(recording, program):
    """Its actions are dropped, those of the others stay."""
    run = rk.replay(recording, program.without("greet"), WINDOW, ticks="60s")

    assert set(run.actions["rule"]) == {"requeue_lost"}


def test_determinism_is_checked_as_far_as_results_tell(run):
    """The same requests again must give the same replies; nobody listens inside of a process."""
    found = run.check_determinism()

    assert (found.ok, found.differing, found.functions) == (True, (), 0)
    assert found.unchecked["reason"].tolist() == ["an external program, where nobody listens"]


@pytest.mark.parametrize("state", ["sqlite", "json"])
@pytest.mark.parametrize(("on_error", "left"), [("undo", "running"), ("keep", "half written")])
def test_a_refused_event_is_undone_or_kept_in_both_states(state, on_error, left):
    """The program must go on from the same state as the history."""
    at = pd.date_range("2026-03-26T06:00", periods=5, freq="10s")
    payloads = ['{"job":"j1"}', '{"job":"j1"}', '{"job":"j1","bad":true}', '{"job":"j2"}', '{"job":"j1"}']
    kinds = ["submitted", "started", "done", "submitted", "started"]
    events = pd.DataFrame({"at": at, "kind": kinds, "id": list("abcde"), "payload": payloads})
    recording = rk.load(events=events, time="at", kind="kind", id="id", payload="payload")

    run = rk.replay(recording, jobs_program(state), on_error=on_error)

    assert run.at(event="c")["jobs"]["status"].tolist() == [left]
    assert run.after["jobs"][["job_id", "status", "runs"]].values.tolist() == [
        ["j1", "running", 2],
        ["j2", "queued", 0],
    ]
    assert run.problems["detail"].str.contains("ValueError: done badly").all()
    with pytest.raises(
        rk.ReconcilerError, match=r"raised .*ValueError: done badly.* at step 3, event 'c' of kind 'done'"
    ):
        rk.replay(recording, jobs_program(state))


def test_verify_and_a_snapshot_as_base_work(recording, program):
    """The program starts from the rows of a snapshot, and is held against the next one."""
    at = [pd.Timestamp("2026-03-26T06:01"), pd.Timestamp("2026-03-26T06:20")]
    rows = rk.replay(recording, in_python(), WINDOW)
    snapshots = [rk.Snapshot({"jobs": rows.at(one)["jobs"]}, at=one) for one in at]
    events = recording.sql("SELECT occurred_at AS at, kind, event_id AS id, payload FROM events ORDER BY position")
    held = rk.load(
        events=events, time="at", kind="kind", id="id", payload="payload", snapshots=snapshots, keys={"jobs": "job_id"}
    )

    found = rk.verify(held, program)

    assert found.ok
    assert "Isolation is not guaranteed" in found.sentence


def test_production_is_retraced_with_writes_that_somebody_else_made(program):
    """Recorded actions go through its act, recorded writes reach its state, and it is held to both."""
    at = "2026-03-26T06:{}".format
    events = pd.DataFrame(
        [(at("00:00"), "submitted"), (at("00:10"), "started"), (at("14:00"), "started")], columns=["at", "kind"]
    ).assign(id=["e0", "e1", "e2"], payload='{"job":"j1"}')
    actions = pd.DataFrame(
        [(at("11:00"), "requeue", '{"job_id":"j1"}'), (at("12:00"), "greet", '{"job_id":"j9"}')],
        columns=["at", "kind", "fields"],
    )
    changed = [(at("13:30"), "update", '"j1"', '{"runs":2}'), (at("13:40"), "insert", '"j2"', '{"status":"queued"}')]
    writes = pd.DataFrame(changed, columns=["at", "op", "key", "values"]).assign(table="jobs", by="program")
    held = rk.load(
        events=events, time="at", kind="kind", id="id", payload="payload",
        actions=rk.Log(actions, time="at", kind="kind", payload="fields"),
        writes=rk.Log(writes, time="at", kind="by", payload=False, table="table", op="op", key="key", values="values"),
    )  # fmt: skip

    found = {
        name: rk.replay(held, one, WINDOW, ticks="recorded", actions="recorded")
        for name, one in {"theirs": program, "ours": in_python()}.items()
    }

    assert_frame_equal(history_of(found["theirs"]), history_of(found["ours"]))
    assert_frame_equal(found["theirs"].divergence.frame, found["ours"].divergence.frame)
    assert found["theirs"].after["jobs"][["job_id", "runs"]].fillna(-1).values.tolist() == [["j1", 3], ["j2", -1]]
    assert found["theirs"].verdict.status == "contradicted"


def test_a_saved_run_of_a_program_is_opened_with_it(run, program, tmp_path):
    """A file kept a year knows which program it was, by command, files and hello."""
    saved = run.save(tmp_path / "run.duckdb")

    assert "isolation not guaranteed" in repr(rk.open_run(saved))
    assert rk.open_run(saved, reconciler=program).digest == run.digest
    with pytest.raises(rk.ReconcilerError, match="patience"):
        rk.open_run(saved, reconciler=program.with_params(patience=1))


def test_two_parameters_of_a_program_are_compared_in_processes(recording, program):
    """It is a value without a process, so it can be sent to another one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = rk.compare(
            recording, program, program.with_params(patience=120), window=WINDOW, ticks="60s", executor=pool
        )

    assert str(found) == str(
        rk.compare(recording, program, program.with_params(patience=120), window=WINDOW, ticks="60s")
    )
    assert "first at 2026-03-26T06:03:00Z in rule requeue_lost" in str(found)


def test_what_a_program_says_in_another_way_than_at_first_is_refused(recording, tmp_path):
    """A program edited between call and replay would run under the other one's name."""
    path = tmp_path / "jobs.py"
    path.write_text((PROGRAMS / "jobs.py").read_text(encoding="utf-8"), encoding="utf-8")
    program = rk.external([sys.executable, "-S", str(path)])
    digest = program.digest()
    path.write_text(path.read_text(encoding="utf-8").replace('"patience": 600', '"patience": 60'), encoding="utf-8")

    assert program.digest() != digest
    with pytest.raises(rk.ExternalError, match=r"says hello in another way than when rk.external was called"):
        rk.replay(recording, program)
