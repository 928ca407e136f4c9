"""Recorded inputs: production's actions and writes applied at their recorded place, and its ticks."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from building import T0, after, events, loaded

from replaykit.declarations import Action, Table
from replaykit.errors import ReconcilerError
from replaykit.reconciler import Reconciler
from replaykit.replay import replay
from replaykit.snapshot import Snapshot
from replaykit.sources import Log, load
from replaykit.window import Window

EVENTS = [(0, "put", {"id": "a", "n": 0}), (10, "put", {"id": "b", "n": 0}), (20, "put", {"id": "a", "n": 5})]


def acts(*rows):
    """Return a log of actions from ``(second, kind, fields)``."""
    frame = pd.DataFrame([{"t": after(at), "k": kind, "p": json.dumps(fields)} for at, kind, fields in rows])
    return Log(frame, time="t", kind="k", payload="p")


def writes(*rows):
    """Return a log of writes from ``(second, op, key, values)``."""
    frame = pd.DataFrame(
        [
            {
                "t": after(at),
                "k": "program",
                "table": "jobs",
                "op": op,
                "key": json.dumps(key),
                "new": json.dumps(values),
            }
            for at, op, key, values in rows
        ]
    )
    return Log(frame, time="t", kind="k", payload=False, table="table", op="op", key="key", values="new")


def jobs():
    """Return a reconciler whose puts upsert a job and whose bump adds ten."""
    found = Reconciler("jobs", {"jobs": Table("id", n="BIGINT", at="TIMESTAMP")})
    found.apply("put")(lambda state, event: state["jobs"].upsert(event.payload, at=state.now))
    found.act("bump")(lambda s, act: s["jobs"].update(act["id"], n=s["jobs"][act["id"]]["n"] + 10, at=s.now))
    return found


def numbers(run, step=None):
    """Return id and n of the jobs after the run, or after a step."""
    table = (run.after if step is None else run.at(step=step))["jobs"]
    return dict(zip(table["id"], table["n"], strict=True))


def test_actions_are_applied_at_their_place_in_time_behind_events_of_the_same_instant():
    """The action of 10 s was decided by a program that had seen the event of 10 s."""
    log = acts((5, "bump", {"id": "a"}), (10, "bump", {"id": "b"}), (30, "bump", {"id": "a"}))
    with loaded(*EVENTS, actions=log) as recording:
        run = replay(recording, jobs(), actions="recorded")
        steps = run.steps

    assert list(steps["input"]) == ["event", "recorded action", "event", "recorded action", "event", "recorded action"]
    assert [numbers(run, n) for n in range(7)] == [
        {},
        {"a": 0},
        {"a": 10},
        {"a": 10, "b": 0},
        {"a": 10, "b": 10},
        {"a": 5, "b": 10},
        {"a": 15, "b": 10},
    ]
    assert list(steps["applied_at"]) == [after(s) for s in (0, 5, 10, 10, 20, 30)]
    assert list(run.history("jobs", "b")["caused_by"]) == ["put", "bump"]


def test_the_windows_end_is_excluded_for_recorded_inputs_too():
    """[start, end) has one meaning."""
    with loaded(*EVENTS, actions=acts((30, "bump", {"id": "a"}), (31, "bump", {"id": "a"}))) as recording:
        run = replay(recording, jobs(), Window(T0, after(31)), actions="recorded")

    assert numbers(run)["a"] == 15


def test_inputs_before_the_window_are_warm_up():
    """``run.before`` is the state at the window's start, whoever made it."""
    log = writes((1, "insert", {"id": "z"}, {"n": 1}), (15, "update", {"id": "z"}, {"n": 2}))
    with loaded((5, "other"), (10, "other"), actions=acts((2, "bump", {"id": "z"})), writes=log) as recording:
        first = replay(recording, jobs(), Window(after(4), after(11)), actions="recorded")
        quiet = replay(recording, jobs(), Window(after(6), after(9)), actions="recorded")

    assert (first.before_step, numbers(first, first.before_step)) == (2, {"z": 11})
    assert (quiet.before_step, quiet.after_step, numbers(quiet)) == (3, 3, {"z": 11})


def test_writes_insert_update_upsert_and_delete_in_whatever_spelling():
    """Programs log INSERT and insert; a bare key value is one too."""
    log = writes(
        (1, "INSERT", {"id": "z"}, {"n": 1}), (2, "Update", "z", {"n": 2}), (3, "upsert", {"id": "y"}, {"n": 3}),
        (4, "replace", {"id": "z"}, {"n": 4}), (5, "DELETE", {"id": "a"}, None),
        (6, "insert", None, {"id": "x", "n": 6}),
    )  # fmt: skip
    with loaded(*EVENTS, writes=log) as recording:
        run = replay(recording, jobs(), Window(T0, after(9)), actions="recorded")

    assert numbers(run) == {"z": 4, "y": 3, "x": 6}
    assert not len(run.problems)


@pytest.mark.parametrize(
    ("op", "key", "values", "reason"),
    [
        ("insert", {"id": "a"}, {"n": 1}, "already has a row"),
        ("update", {"id": "q"}, {"n": 1}, "no row 'q' to update"),
        ("delete", {"id": "q"}, {}, "no row 'q' to delete"),
        ("merge", {"id": "a"}, {"n": 1}, "op 'merge'; expected insert, update, upsert or delete"),
        ("truncate", {"id": "a"}, {}, "op 'truncate'"),
        ("update", {"key": "a"}, {"n": 1}, "names no 'id'"),
        ("update", None, {"n": 1}, "names no 'id'"),
        ("update", {"id": "a"}, [1], "expected an object of columns"),
        ("update", {"id": "a"}, {"n": "many"}, "can't hold 'many'"),
        ("update", {"id": "a"}, {"m": 1}, "no column 'm'"),
    ],
)
def test_a_write_that_does_not_fit_is_counted_and_changes_nothing(op, key, values, reason):
    """It may be what went wrong: an unknown word must not be taken for delete."""
    with loaded(*EVENTS, writes=writes((5, op, key, values), (6, op, key, values))) as recording:
        run = replay(recording, jobs(), Window(T0, after(9)), actions="recorded")

    assert numbers(run) == {"a": 0}
    problem = run.problems.iloc[0]
    assert (problem["problem"], problem["kind"], problem["count"]) == ("write does not fit", "program", 2)
    assert reason in problem["detail"]


def test_a_base_snapshot_holds_the_inputs_up_to_its_time():
    """What it includes is not applied again."""
    snapshot = Snapshot({"jobs": pd.DataFrame({"id": ["a"], "n": [100]})}, at=after(12))
    log = acts((5, "bump", {"id": "a"}), (12, "bump", {"id": "a"}), (13, "bump", {"id": "a"}))
    with loaded(*EVENTS[:2], (15, "other"), actions=log, snapshots=[snapshot], keys={"jobs": "id"}) as recording:
        run = replay(recording, jobs(), Window(after(14), after(16)), actions="recorded")

    assert numbers(run) == {"a": 110}


def test_a_global_order_decides_where_times_can_not():
    """All in one second, in the order of their numbers; and a snapshot says up to which number it goes."""
    frame = events((0, "put", {"id": "a", "n": 0}), (0, "put", {"id": "a", "n": 1}), (0, "put", {"id": "a", "n": 2}))
    frame["no"] = [1, 3, 6]
    log = pd.DataFrame({"t": [after(0)] * 3, "k": "bump", "p": '{"id": "a"}', "no": [2, 4, 5]})
    snapshot = Snapshot({"jobs": pd.DataFrame({"id": ["a"], "n": [50]})}, at=after(0), after_seq=4)
    with load(
        frame, time="at", kind="what", id="id", payload="body", seq="no", snapshots=[snapshot], keys={"jobs": "id"},
        actions=Log(log, time="t", kind="k", payload="p", seq="no"),
    ) as recording:  # fmt: skip
        run = replay(recording, jobs(), actions="recorded", base="empty")
        based = replay(recording, jobs(), Window(T0, after(1)), actions="recorded", base=recording.snapshot(0))

    assert [numbers(run, n)["a"] for n in range(1, 7)] == [0, 10, 1, 11, 21, 2]
    assert numbers(based)["a"] == 2
    assert list(based.history("jobs", "a")["n"])[:2] == [50, 60]


def test_recorded_actions_need_a_log():
    """And the message says what to load."""
    with (
        loaded(*EVENTS) as recording,
        pytest.raises(ReconcilerError, match=r"no actions, writes or applications; load them as rk\.Log"),
    ):
        replay(recording, jobs(), actions="recorded")


def test_ticks_recorded_are_the_checks_or_else_the_actions():
    """A program that ticks when it likes is asked at the same instants."""
    checks = Log(
        pd.DataFrame({"t": [after(3), after(10), after(10), after(99)], "k": "check"}),
        time="t",
        kind="k",
        payload=False,
    )
    reconciler = jobs()
    reconciler.rule("count", key=[])(lambda state, now: [Action("count", n=len(state["jobs"]), at=now)])

    with loaded(*EVENTS, actions=acts((5, "bump", {"id": "a"})), checks=checks) as recording:
        checked = replay(recording, reconciler, Window(T0, after(50)), ticks="recorded")
    with loaded(*EVENTS, actions=acts((5, "bump", {"id": "a"}), (25, "bump", {"id": "a"}))) as recording:
        acted = replay(recording, reconciler, ticks="recorded")
        both = replay(recording, reconciler, Window(T0, after(30)), ticks="recorded", actions="recorded")

    assert list(zip(checked.actions["at"], checked.actions["n"], strict=True)) == [(after(3), 1), (after(10), 2)]
    assert list(acted.metrics["at"]) == [after(5), after(25)]
    assert list(both.metrics["at"]) == [after(5), after(25)]
    assert list(both.metrics["step"]) == [1, 4]  # the rules saw the state before their own action


def test_what_is_no_choice_is_refused():
    """With the choices."""
    with loaded(*EVENTS) as recording:
        for wrong in ({"actions": "recorde"}, {"on_error": "ignore"}, {"base": "newest"}, {"params": {"x": 1}}):
            with pytest.raises(ReconcilerError, match=r"expected|no parameter"):
                replay(recording, jobs(), **wrong)
        with pytest.raises(ReconcilerError, match=r"expected an rk\.Reconciler"):
            replay(recording, lambda state, event: None)
