"""Steps say which emitted action they applied: all in a closed loop, retraced those that rules emitted as well."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

import pandas as pd
import pytest
from building import T0, after, loaded, written
from hypothesis import given, settings
from hypothesis import strategies as st
from plant import Plant
from plant import reconciler as plant_rules
from samples import some

from replaykit import engine
from replaykit.declarations import Action, Table
from replaykit.reconciler import Reconciler
from replaykit.replay import replay
from replaykit.sources import Log, load
from replaykit.window import Window

EVENTS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=6).map(
    sorted
)


def rules():
    """Return rules: one asks for what has waited, one twice for what is large; each action leaves a mark."""
    found = Reconciler("marks", {"jobs": Table("id", n="BIGINT", seen="TIMESTAMP", mark="VARCHAR")})
    found.apply("put")(lambda state, event: state["jobs"].upsert(**event.payload, seen=event.occurred_at))
    marks = iter(range(10**6))

    @found.act("wait", "large")
    def applied(state, action):
        job = state["jobs"][action["id"]]
        mark = f"{next(marks)} {action.kind} {action['id']}"
        state["jobs"].update(action["id"], n=job["n"] - 1, seen=state.now, mark=mark)

    @found.rule("large", key="id")
    def large(state, now):
        for job in state["jobs"].find():
            if job["n"] > 6:
                yield Action("large", id=job["id"])
                yield Action("large", id=job["id"])

    @found.rule("wait", key="id")
    def wait(state, now):
        for job in state["jobs"].find():
            if now - job["seen"] >= timedelta(seconds=15) and job["n"] > 0:
                yield Action("wait", id=job["id"])

    return found


@settings(max_examples=some(20), deadline=None)
@given(EVENTS, st.booleans())
def test_in_a_closed_loop_each_action_is_applied_by_one_step_in_order(events, walked):
    """Whether stretches are skipped or walked: kind, tick and entity are those of the action named."""
    with written([(at, "put", {"id": job, "n": n}) for at, job, n in events]) as recording:
        window = Window(T0, after(100))
        with mock.patch.object(engine, "_GAP", 10**12 if walked else 3):
            run = replay(recording, rules(), window, ticks="5s", actions="apply")
    applied = run.steps[run.steps["input"] == "action"].merge(run.actions, on="action", suffixes=("", "_emitted"))

    assert run.steps.loc[run.steps["input"] == "event", "action"].isna().all()
    assert list(applied["action"]) == list(range(1, len(run.actions) + 1))
    assert list(applied["kind"]) == list(applied["kind_emitted"])
    assert list(applied["tick"]) == list(applied["tick_emitted"])
    made = run.history("jobs").set_index("valid_from")["mark"] if len(applied) else {}
    for number, one in enumerate(applied.to_dict("records")):
        assert made[one["step"]] == f"{number} {one['kind']} {one['entity']}"


def test_blame_names_the_action():
    """It leads on to the rule: ``run.actions`` has the row of that number."""
    with loaded((0, "put", {"id": "a", "n": 1})) as recording:
        run = replay(recording, rules(), Window(T0, after(60)), ticks="5s", actions="apply")
    found = run.after.blame("jobs", "a", "n")

    assert (found.action, found.tick, found.input, found.kind) == (1, 3, "action", "wait")
    assert "action 1 (wait) at tick 3; 1 before." in found.sentence
    assert run.at(step=1).blame("jobs", "a", "n").action is None


def retraced(*, numbered=True):
    """Return a day of production retraced, its logs with or without numbers of ticks."""
    plant = Plant()
    plant.event(1, "put", id="a", n=1)
    plant.event(1, "put", id="b", n=13)
    plant.tick(5, 6)
    plant.event(7, "put", id="b", n=14)
    plant.tick(10)
    plant.tick(15)
    for rows in plant.logs.values() if not numbered else ():
        rows[:] = [{name: value for name, value in row.items() if name != "tick"} for row in rows]
    with plant.recording(tick=numbered) as recording:
        return replay(recording, plant_rules(), ticks="recorded", actions="recorded")


def test_recorded_actions_that_rules_emitted_too_have_their_numbers():
    """Each once, in the order of the ticks."""
    run = retraced()
    applied = run.steps[run.steps["input"] == "recorded action"].merge(run.actions, on="action", suffixes=("", "_mine"))

    assert len(run.actions) > 2
    assert sorted(applied["action"]) == list(range(1, len(run.actions) + 1))
    assert list(applied["kind"]) == list(applied["kind_mine"])
    assert list(applied["tick"]) == list(applied["tick_mine"])


def test_recorded_actions_without_the_number_of_a_tick_have_none():
    """A guess would be worse."""
    run = retraced(numbered=False)

    assert len(run.actions) > 2
    assert run.steps["action"].isna().all()


@pytest.mark.parametrize(
    ("emitted", "numbers"),
    [
        ([("a", 1), ("b", 2)], [1, 2]),
        ([("b", 2), ("a", 1)], [2, 1]),
        ([("a", 5), ("a", 1)], [2, None]),
        ([("a", 5), ("c", 1)], [1, None]),
        ([("b", 1), ("b", 2)], [None, 2]),
        ([], [None, None]),
    ],
)
def test_the_same_fields_come_before_the_same_key(emitted, numbers):
    """No emitted action is taken twice."""
    log = pd.DataFrame(
        {"t": [after(5)] * 2, "k": "do", "id": ["a", "b"], "n": [1, 2], "tick": 0, "seq": [2, 3]},
    )
    ticks = pd.DataFrame({"t": [after(5)], "tick": [0], "seq": [1]})
    events = pd.DataFrame({"at": [T0], "kind": ["put"], "id": ["e1"], "seq": [1]})
    log["p"] = [f'{{"id": "{one.id}", "n": {one.n}}}' for one in log.itertuples()]
    found = Reconciler("r", {"jobs": Table("id", n="BIGINT")})
    found.ignore("put")
    found.act("do")(lambda state, action: None)
    found.rule("do", key="id")(lambda state, now: [Action("do", id=id, n=n) for id, n in emitted])
    logs = {
        "actions": Log(log, time="t", kind="k", payload="p", tick="tick", seq="seq"),
        "ticks": Log(ticks, time="t", kind=False, payload=False, tick="tick", seq="seq"),
    }
    with load(events, time="at", kind="kind", id="id", payload=False, seq="seq", **logs) as recording:
        run = replay(recording, found, Window(T0, after(20)), ticks="recorded", actions="recorded")
    assert [None if pd.isna(one) else one for one in run.steps.loc[run.steps["input"] != "event", "action"]] == numbers
