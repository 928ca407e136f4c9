"""Why and why not of rules in Python, in every shape a rule may have: what counts is named, and nothing else."""

from __future__ import annotations

import bdb
import sys
from datetime import timedelta

import pytest
from sql_scenes import TABLES, after, replayed

import replaykit as rk
from replaykit.errors import QueryError

PATIENCE = timedelta(seconds=30)
ROWS = [
    (1, "jobs", {"id": "a", "status": "open", "worker": "w", "n": 1, "seen": after(15).isoformat()}),
    (2, "jobs", {"id": "b", "status": "closed", "worker": "x", "n": 5, "seen": after(10).isoformat()}),
    (3, "workers", {"id": "w", "alive": True}),
    (4, "workers", {"id": "x", "alive": False}),
    (20, "jobs", {"id": "a", "status": "running"}),
    (40, "jobs", {"id": "a", "seen": after(35).isoformat()}),
]


def alive(state, job):
    """Return whether a job's worker lives."""
    worker = state["workers"].get(job["worker"])
    return worker is not None and worker["alive"]


def straight(state, now):
    """The plain shape: a loop, a test, an action."""
    for job in state["jobs"].find(status="running"):
        if now - job["seen"] > PATIENCE:
            yield rk.Action("requeue", id=job["id"])


def with_continue(state, now):
    """Early ends of a round."""
    for job in state["jobs"]:
        if job["status"] != "running":
            continue
        if not now - job["seen"] > PATIENCE:
            continue
        yield rk.Action("requeue", id=job["id"])


def as_list(state, now):
    """A comprehension."""
    return [rk.Action("requeue", id=job["id"]) for job in state["jobs"] if job["status"] == "running" if late(job, now)]


def late(job, now):
    """Return whether nobody has seen a job for long."""
    return now - job["seen"] > PATIENCE


def appended(state, now):
    """A list that is filled, from rows collected before."""
    running = [job for job in state["jobs"] if job["status"] == "running"]
    found = []
    for job in running:
        age = now - job["seen"]
        if age > PATIENCE:
            found.append(made(job))
    return found


def made(job):
    """A helper makes the action."""
    return rk.Action("requeue", id=job["id"])


def handed_on(state, now):
    """A generator hands on to another."""
    for job in state["jobs"]:
        yield from one_job(job, now)


def one_job(job, now):
    """Look at one job."""
    if job["status"] != "running":
        return
    if late(job, now):
        yield made(job)


def nested(state, now):
    """A loop in a loop."""
    for worker in state["workers"]:
        for job in state["jobs"].find(worker=worker["id"]):
            if job["status"] == "running" and late(job, now):
                yield made(job)


def by_predicate(state, now):
    """A find that is given a function."""
    for job in state["jobs"].find(lambda row: row["status"] == "running"):
        if late(job, now):
            yield made(job)


def caught(state, now):
    """An error that is caught; its clock can't be followed."""
    for job in state["jobs"]:
        try:
            age = (now - job["seen"]).total_seconds()
        except TypeError:
            continue
        if job["status"] == "running" and age > PATIENCE.total_seconds():
            yield made(job)


def while_loop(state, now):
    """A loop by number."""
    jobs, place = list(state["jobs"]), 0
    while place < len(jobs):
        job = jobs[place]
        place += 1
        if job["status"] == "running" and late(job, now):
            yield made(job)


def matched(state, now):
    """All jobs by number and by their copy."""
    for _, job in enumerate(state["jobs"]):
        row = dict(job)
        if row["status"] == "running" and now - row["seen"] > PATIENCE:
            yield rk.Action("requeue", id=row["id"])


SHAPES = {
    one.__name__: one
    for one in (
        straight, with_continue, as_list, appended, handed_on, nested, by_predicate, caught, while_loop, matched,
    )
}  # fmt: skip


def town(function, **options):
    """Return a reconciler of one rule."""
    reconciler = rk.Reconciler("town", TABLES)
    reconciler.rule("asked", key="id", **options)(function)
    return reconciler


def run_of(function, *, ticks="5s", end=100, **options):
    """Return the replay of the rows with one rule."""
    return replayed(town(function, **options), ROWS, ticks=ticks, end=end)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_why_names_the_cells_of_the_entity_and_the_events_behind_them(name):
    """In any shape: when a was seen, that it runs, and nothing of the other job."""
    run = run_of(SHAPES[name])
    why = run.why(1)
    told = {cell.name: cell for cell in why.cells}
    assert {"jobs[a].status", "jobs[a].seen"} <= set(told)
    assert not [cell for cell in told if cell.startswith("jobs[b]")]
    assert told["jobs[a].seen"].value == after(35)
    assert (
        told["jobs[a].seen"].blame.event_id == run.steps.loc[run.steps["applied_at"] == after(40), "event_id"].iloc[0]
    )
    assert told["jobs[a].status"].blame.since == after(20)
    assert told["jobs[a].status"].decisive
    assert why.cause.name in ("jobs[a].status", "jobs[a].seen")
    assert "test_python_why.py:" in why.where


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_why_not_names_the_status_and_then_the_time(name):
    """Before 20 it was not running; from then on it is a matter of waiting, until it was seen at 35."""
    run = run_of(SHAPES[name])
    first = run.why_not("requeue", id="a", at=after(10)).best
    assert first.stop in ("left out", "turned away"), first
    assert ("a",) in {need.key for need in first.needs}
    assert [(need.column, need.value) for need in first.needs] == [("status", "running")], first.sentence
    then = run.why_not("requeue", id="a", at=after(45)).best
    assert then.stop == "turned away"
    assert "test_python_why.py:" in then.where
    if name != "caught":
        assert then.threshold.actual == timedelta(seconds=10)
        assert then.threshold.needed == PATIENCE
        assert then.threshold.turns_at == after(65)
        assert then.threshold.due_at == after(70)
        assert run.actions["at"].min() == after(70)


def too_young(state, now):
    """Turn away strictly below the limit."""
    for job in state["jobs"].find(status="running"):
        if now - job["seen"] < PATIENCE:
            continue
        yield rk.Action("requeue", id=job["id"])


def young(state, now):
    """Turn away up to the limit."""
    for job in state["jobs"].find(status="running"):
        if now - job["seen"] <= PATIENCE:
            continue
        yield rk.Action("requeue", id=job["id"])


def reached(state, now):
    """Go on from the limit on, compared as seconds."""
    for job in state["jobs"].find(status="running"):
        if (now - job["seen"]).total_seconds() >= 30:
            yield rk.Action("requeue", id=job["id"])


@pytest.mark.parametrize(("rule", "due"), [(too_young, 65), (young, 70), (reached, 65)])
def test_due_is_the_tick_at_which_the_limit_is_reached_if_that_is_enough(rule, due):
    """A tick falls on the limit itself: `<` turns there, `<=` one tick later."""
    run = run_of(rule)

    assert run.why_not("requeue", id="a", at=after(45)).best.threshold.due_at == after(due)
    assert run.actions["at"].min() == after(due)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_with_the_need_met_the_action_comes(name):
    """What is told for b is tried: status first, and it is late already."""
    run = run_of(SHAPES[name])
    obstacle = run.why_not("requeue", id="b", at=after(90)).best
    (need,) = obstacle.needs
    rows = [*ROWS, (80, "jobs", {"id": "b", need.column: need.value})]
    other = replayed(town(SHAPES[name]), rows, ticks="5s", end=100)
    assert "b" in set(other.actions["id"])


def test_a_helper_is_gone_into():
    """The rule's own line, and the deeper reason."""

    def waits(state, now):
        for job in state["jobs"].find(status="open"):
            if alive(state, job):
                continue
            yield made(job)

    run = run_of(waits)
    obstacle = run.why_not("requeue", id="a", at=after(10)).best
    assert obstacle.source == "alive(state, job)"
    assert "worker['alive'] was True" in obstacle.reason
    assert {cell.name for cell in obstacle.cells} == {"workers[w].alive"}
    assert [(need.table, need.column) for need in obstacle.needs] == [("workers", "alive")]
    assert obstacle.since == after(3)


def test_a_row_that_comes_later_or_went_is_said_to():
    """No row: when it is inserted, and when it was deleted."""
    rows = [*ROWS, (50, "jobs", ["b"])]
    run = replayed(town(straight), rows, ticks="5s", end=100)
    assert "yet: step" in run.why_not("requeue", id="a", at=after(0)).best.reason
    gone = run.why_not("requeue", id="b", at=after(60)).best
    assert gone.stop == "no row"
    assert "any more: step" in gone.reason
    assert run.why_not("requeue", id="never").best.reason.endswith("names never")


def test_a_value_that_no_key_can_be_is_just_not_there():
    """A text where the key is a number, and half a character."""
    tables = {"tasks": rk.Table(key="id", id="BIGINT", status="VARCHAR")}
    reconciler = rk.Reconciler("town", tables)

    @reconciler.rule("asked", key="id")
    def again(state, now):
        yield from (rk.Action("again", id=task["id"]) for task in state["tasks"].find(status="lost"))

    run = replayed(reconciler, [(1, "tasks", {"id": 7, "status": "lost"})], ticks="5s", end=20)
    for value in ("seven", "\ud800"):
        assert run.why_not("again", id=value, at=after(10)).best.stop == "no row"


def test_what_was_emitted_is_said_to_be_and_so_are_other_fields():
    """No obstacle is made up."""

    def full(state, now):
        for job in state["jobs"].find(status="running"):
            yield rk.Action("requeue", id=job["id"], n=job["n"])

    run = run_of(full)
    assert run.why_not("requeue", id="a", at=after(30)).best.stop == "emitted"
    assert "was emitted at" in str(run.why_not("requeue", id="a", at=after(30)))
    other = run.why_not("requeue", id="a", n=7, at=after(30)).best
    assert other.stop == "other fields"
    assert "with n=1, not n=7" in other.reason


def test_a_rule_that_raises_says_where():
    """The rule came to nothing at all."""

    def breaks(state, now):
        for job in state["jobs"]:
            if job["id"] == "b":
                raise ValueError("no b")
        yield rk.Action("requeue", id="a")

    reconciler = town(breaks)
    run = replayed(reconciler, ROWS, ticks="5s", end=100, on_error="keep")
    obstacle = run.why_not("requeue", id="a", at=after(30)).best
    assert obstacle.stop == "raised"
    assert obstacle.reason.startswith("it raised ValueError")
    assert "test_python_why.py:" in obstacle.where


def test_what_fell_with_another_rule_names_that_rule():
    """Rules that fail together: one raised, and what the others emitted was dropped."""
    reconciler = rk.Reconciler("town", TABLES, rules_fail_together=True)
    reconciler.rule("asked", key="id")(straight)

    @reconciler.rule("other", key="id")
    def other(state, now):
        raise KeyError("status")
        yield rk.Action("never", id="a")

    run = replayed(reconciler, ROWS, ticks="5s", end=100, on_error="keep")
    assert run.actions.empty
    obstacle = run.why_not("requeue", id="a", at=after(75)).best
    assert obstacle.stop == "raised"
    assert "rule other raised KeyError" in obstacle.reason


def test_a_rule_that_ends_early_says_at_which_test():
    """It never came to the job."""

    def paused(state, now):
        switch = state["workers"].get("w")
        if switch is not None and switch["alive"]:
            return
        for job in state["jobs"].find(status="running"):
            yield made(job)

    obstacle = run_of(paused).why_not("requeue", id="a", at=after(30)).best
    assert obstacle.stop == "not reached"
    assert {cell.name for cell in obstacle.cells} == {"workers[w].alive"}


def test_a_window_tells_each_time_the_answer_changes():
    """First the status, then the waiting, then it was emitted."""
    answer = run_of(straight).why_not("requeue", id="a", window=(after(5), after(100)))
    assert [one.stop for one in answer.obstacles] == ["left out", "turned away", "turned away", "emitted"]
    assert list(answer.to_frame()["at"]) == [after(5), after(20), after(40), after(70)]


@pytest.mark.parametrize("error", [False, True])
def test_whoever_owned_the_trace_function_gets_it_back(error):
    """A debugger or a coverage tool, also where the rule raises."""

    def breaks(state, now):
        yield rk.Action("requeue", id="a")
        if error and state["jobs"].get("zz") is None and len(state["jobs"]) > 99:
            raise ValueError

    run = run_of(breaks)
    before, debugger = sys.gettrace(), bdb.Bdb()
    debugger.reset()
    try:
        sys.settrace(debugger.trace_dispatch)
        run.why(1)
        kept = [sys.gettrace()]
        run.why_not("requeue", id="zz")
        kept.append(sys.gettrace())
        with pytest.raises(QueryError):
            run.why(10_000)
        kept.append(sys.gettrace())
    finally:
        sys.settrace(before)
    assert kept == [debugger.trace_dispatch] * 3


def test_items_of_each_are_told_apart():
    """A rule that is called for each item."""

    def jobs_of(state, now):
        return [job for job in state["jobs"] if job["status"] == "running"]

    def each_job(state, now, job):
        if late(job, now):
            yield made(job)

    run = run_of(each_job, each=jobs_of)
    assert {cell.name for cell in run.why(1).cells} == {"jobs[a].status", "jobs[a].seen"}
    left = run.why_not("requeue", id="b", at=after(90)).best
    assert [(need.column, need.value) for need in left.needs] == [("status", "running")]


def test_an_action_that_depends_on_something_outside_is_said_to():
    """A rule whose answer changes from call to call."""
    calls = []

    def moody(state, now):
        calls.append(1)
        if len(calls) == 3:
            yield rk.Action("requeue", id="a")

    run = run_of(moody, ticks="event")
    assert "more than state and clock" in run.why(1).beyond


def loop():
    """Return a reconciler whose second rule follows from what the first one's action wrote."""
    reconciler = rk.Reconciler("town", TABLES)

    @reconciler.rule("open", key="id")
    def opens(state, now):
        late_ones = [job for job in state["jobs"].find(status="running") if late(job, now)]
        yield from (rk.Action("reopen", id=job["id"]) for job in late_ones)

    @reconciler.rule("start", key="id")
    def starts(state, now):
        yield from (rk.Action("start", id=job["id"]) for job in state["jobs"].find(status="reopened"))

    @reconciler.act("reopen")
    def reopen(state, action):
        state["jobs"].update(action["id"], status="reopened")

    @reconciler.act("start")
    def start(state, action):
        state["jobs"].update(action["id"], status="started")

    return reconciler


def test_the_closed_loop_is_blamed_on_its_own_actions():
    """What an action wrote is the cause of the next."""
    run = replayed(loop(), ROWS, ticks="5s", end=100, actions="apply")
    started = run.actions[run.actions["kind"] == "start"].iloc[0]
    cause = run.why(started).cause.blame
    assert (cause.input, cause.kind) == ("action", "reopen")
    assert cause.action == int(run.actions.loc[run.actions["kind"] == "reopen", "action"].iloc[0])
    assert "action 1 (reopen)" in cause.sentence


def test_the_forward_slice_names_the_decisions_that_read_a_write():
    """Event, cell, rule, action, and the step that applied it; nobody reads what nobody decided on."""
    run = replayed(loop(), ROWS, ticks="5s", end=100, actions="apply")
    found = run.readers(step=int(run.steps.loc[run.steps["applied_at"] == after(20), "step"].iloc[0]))
    assert found.frame[["rule", "kind", "key", "column"]].values.tolist() == [["open", "reopen", "a", "status"]]
    applied = int(found.frame["applied"].iloc[0])
    assert run.steps.set_index("step").loc[applied, "kind"] == "reopen"
    then = run.readers(step=applied)
    assert then.frame[["rule", "kind", "column"]].values.tolist() == [["start", "start", "status"]]
    assert len(run.readers(step=int(run.steps.loc[run.steps["applied_at"] == after(2), "step"].iloc[0]))) == 0
    assert "\n" not in repr(found)


def test_questions_that_make_no_sense_say_what_there_is():
    """Unknown kinds, fields, actions and times."""
    run = run_of(straight)
    with pytest.raises(QueryError, match=r"did you mean requeue\?"):
        run.why_not("reque", id="a")
    with pytest.raises(QueryError, match=r"have no field 'job'; theirs are \['id'\]"):
        run.why_not("requeue", job="a")
    with pytest.raises(QueryError, match="needs at least one field"):
        run.why_not("requeue")
    with pytest.raises(QueryError, match=r"There is no action 9999; this replay has 1"):
        run.why(9999)
    with pytest.raises(QueryError, match="not both"):
        run.why_not("requeue", id="a", at=after(1), window=(after(1), after(2)))


def test_what_is_shown_is_escaped_bounded_and_one_line():
    """Results are values: a line, a table, a picture."""
    rows = [(1, "jobs", {"id": "<script>alert(1)</script>", "status": "running", "seen": after(0).isoformat()})]
    run = replayed(town(straight), rows, ticks="5s", end=100)
    why, why_not = run.why(1), run.why_not("requeue", id="<script>alert(1)</script>", at=after(10))
    for one in (why, why_not, why.plot()):
        assert "\n" not in repr(one)
        assert len(repr(one)) < 200 or one is not why
    assert "<script" not in why._repr_html_() + why_not._repr_html_() + why.plot().svg
    assert why.plot().svg == run.why(1).plot().svg


def test_why_an_invariant_was_broken_is_answered_too():
    """In Python and in SQL, where the violation was opened."""
    reconciler = rk.Reconciler("town", TABLES)

    @reconciler.invariant("dead", key="id")
    def dead(state, now):
        for job in state["jobs"].find(status="running"):
            if not alive(state, job):
                yield {"id": job["id"]}

    reconciler.invariant(
        "dead in SQL",
        "SELECT j.id FROM jobs j JOIN workers w ON w.id = j.worker WHERE j.status = 'running' AND NOT w.alive",
        key="id",
    )
    run = replayed(reconciler, [*ROWS, (50, "workers", {"id": "w", "alive": False})], ticks="5s", end=100)
    for place, name in enumerate(["dead", "dead in SQL"]):
        why = run.why(run.violations.iloc[place])
        assert (why.rule, why.kind, why.cause.name) == (name, "violation", "workers[w].alive")
        assert why.cause.blame.since == after(50)
        assert str(why).startswith(f"Invariant {name} was broken by (id=a) at 2026-03-26T06:00:50Z: workers[w].alive")
