"""Rules over items, rules that fail together, and invariants that raise: the order and the extent of one tick."""

from __future__ import annotations

import json
from datetime import timedelta
from unittest import mock

import pytest
from building import T0, after, written
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import some

from replaykit import engine
from replaykit.declarations import Action, Table
from replaykit.errors import ReconcilerError
from replaykit.reconciler import Reconciler
from replaykit.replay import replay
from replaykit.window import Window

EVENTS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from("abc"), st.integers(0, 12)), min_size=1, max_size=6
).map(sorted)
RULES = st.lists(st.tuples(st.sampled_from(["plain", "jobs", "due"]), st.integers(0, 9)), min_size=1, max_size=5)


def rows_of(events):
    """Return events as `written` takes them."""
    return [(at, "put", {"id": job, "n": n}) for at, job, n in events]


def items_of(name, jobs, now):
    """Return the jobs a rule of this kind goes over: all of them, or those seen five seconds ago, newest first."""
    if name == "due":
        return [job for job in reversed(jobs) if now - job["seen"] >= timedelta(seconds=5)]
    return jobs


def reconciler(rules):
    """Return a reconciler with a rule of each kind and threshold; its actions raise a job's n."""
    found = Reconciler("items", {"jobs": Table("id", n="BIGINT", seen="TIMESTAMP")})
    found.apply("put")(lambda s, event: s["jobs"].upsert(**event.payload, seen=event.occurred_at))
    found.act("do")(lambda state, action: state["jobs"].update(action["id"], n=state["jobs"][action["id"]]["n"] + 1))
    each = {
        "jobs": lambda state, now: state["jobs"].find(),
        "due": lambda state, now: items_of("due", state["jobs"].find(), now),
    }
    for number, (kind, limit) in enumerate(rules):

        def one(state, now, job, number=number, limit=limit):
            if job["n"] >= limit:
                yield Action("do", id=job["id"], by=number)
                yield Action("do", id=job["id"], by=number + 100)

        def all_of(state, now, one=one):
            for job in state["jobs"].find():
                yield from one(state, now, job)

        if kind == "plain":
            found.rule(f"r{number}", key="id")(all_of)
        else:
            found.rule(f"r{number}", key="id", each=each[kind])(one)
    return found


def groups_of(rules):
    """Return the kinds of rules declared one after another, each with its members."""
    groups = []
    for number, (kind, limit) in enumerate(rules):
        if groups and kind != "plain" and groups[-1][0] == kind:
            groups[-1][1].append((number, limit))
        else:
            groups.append((kind, [(number, limit)]))
    return groups


def reference(events, rules, ticks, *, closed):
    """Return the actions of every tick in order, decided and applied in plain Python."""
    jobs, coming, found = {}, list(events), []
    groups = groups_of(rules)
    for tick in range(ticks):
        now = after(5 * tick)
        while coming and after(coming[0][0]) <= now:
            at, job, n = coming.pop(0)
            jobs[job] = {"id": job, "n": n, "seen": after(at)}
        emitted = []
        for kind, members in groups:
            for job in items_of(kind, list(jobs.values()), now):
                for number, limit in members:
                    if job["n"] >= limit:
                        emitted += [(tick, job["id"], number), (tick, job["id"], number + 100)]
        found += emitted
        if closed:
            for _, job, _ in emitted:
                jobs[job]["n"] += 1
    return found


@settings(max_examples=some(20), deadline=None)
@given(EVENTS, RULES, st.booleans())
def test_actions_come_item_by_item_as_in_a_plain_loop(events, rules, closed):
    """Rules with the same items take turns, others run one after another; also where ticks are skipped over."""
    events = [*events, (50, "z", -1)]
    with written(rows_of(events)) as recording:
        window = Window(T0, after(50))
        options = {"ticks": "5s", "actions": "apply" if closed else "collect"}
        run = replay(recording, reconciler(rules), window, **options)
        with mock.patch.object(engine, "_GAP", 10**12):
            walked = replay(recording, reconciler(rules), window, **options)
    expected = reference(events, rules, 10, closed=closed)

    assert [(one["tick"], one["id"], one["by"]) for one in walked.actions.to_dict("records")] == expected
    unfolded = [
        (one["tick"] + n, one["id"], one["by"])
        for one in run.actions.to_dict("records")
        for n in range(one["repeats"] + 1)
    ]
    assert sorted(unfolded) == sorted(expected)
    if closed:
        applied = run.steps[run.steps["input"] == "action"]
        assert len(applied) == len(expected)
        assert run.after["jobs"].equals(walked.after["jobs"])


def failing(*, together):
    """Return a reconciler of three rules, the second of which raises for a job of 3 or more."""
    found = Reconciler("failing", {"jobs": Table("id", n="BIGINT")}, rules_fail_together=together)
    found.apply("put")(lambda state, event: state["jobs"].upsert(event.payload))

    def all_jobs(state, now):
        return state["jobs"].find()

    found.rule("first", key="id", each=all_jobs)(lambda state, now, job: [Action("first", id=job["id"])])

    @found.rule("second", key="id", each=all_jobs)
    def second(state, now, job):
        if job["n"] >= 3:
            raise ValueError("three")
        return [Action("second", id=job["id"])]

    found.rule("third", "SELECT id FROM jobs ORDER BY id", key="id")
    found.invariant("low", "SELECT id FROM jobs WHERE n > 0", key="id")
    return found


PUTS = [(0, "put", {"id": "a", "n": 1}), (11, "put", {"id": "b", "n": 3}), (31, "put", {"id": "b", "n": 0}),
        (51, "put", {"id": "c", "n": 0})]  # fmt: skip


@pytest.mark.parametrize("on_error", ["keep", "undo"])
@pytest.mark.parametrize("ticks", ["1s", "10s", "event"])
def test_rules_that_fail_together_leave_a_tick_without_actions(on_error, ticks):
    """As one function would; invariants are checked all the same."""
    with written(PUTS) as recording:
        run = replay(recording, failing(together=True), Window(T0, after(50)), ticks=ticks, on_error=on_error)

    def bad(at):
        return after(11) <= at < after(31)

    quiet = run.metrics[run.metrics["actions"] == 0]
    assert all(bad(at) for at in quiet["at"])
    assert not any(bad(at) for at in run.actions["at"])
    assert set(run.actions["kind"]) == {"first", "second", "third"}
    assert run.problems["problem"].iloc[0] == "rule raised"
    assert run.problems["count"].sum() == len(quiet) > 0
    assert list(run.violations["entity"]) == ["a", "b"]


@pytest.mark.parametrize("ticks", ["1s", "10s", "event"])
def test_rules_that_fail_alone_leave_the_others(ticks):
    """The second gives nothing at that tick, also not for the jobs before the one it raised at."""
    with written(PUTS) as recording:
        run = replay(recording, failing(together=False), Window(T0, after(50)), ticks=ticks, on_error="keep")

    during = run.actions[(run.actions["at"] >= after(11)) & (run.actions["at"] < after(31))]
    assert set(during["kind"]) == {"first", "third"}


@pytest.mark.parametrize("together", [True, False])
def test_a_rule_that_raises_ends_the_replay_if_asked_to(together):
    """The default."""
    with written(PUTS) as recording, pytest.raises(ReconcilerError, match=r"'second' raised ValueError\('three'\)"):
        replay(recording, failing(together=together), Window(T0, after(50)), ticks="5s")


@pytest.mark.parametrize("ticks", ["1s", "10s", "event"])
def test_an_invariant_that_raises_leaves_its_episodes_open(ticks):
    """Nothing is known of them at that tick: neither that they lasted, nor that they ended."""
    rules = Reconciler("blind", {"jobs": Table("id", n="BIGINT")})
    rules.apply("put")(lambda state, event: state["jobs"].upsert(event.payload))

    @rules.invariant("low", key="id")
    def low(state, now):
        if any(row["n"] == 3 for row in state["jobs"].find()):
            raise ValueError("three")
        return [row for row in state["jobs"].find() if row["n"] == 1]

    with written(PUTS) as recording:
        run = replay(recording, rules, Window(T0, after(50)), ticks=ticks, on_error="keep")

    (one,) = run.violations.to_dict("records")
    assert one["entity"] == "a"
    assert one["closed_at"] is None or one["closed_at"] != one["closed_at"]
    assert one["ticks"] < run.metrics["repeats"].sum() + len(run.metrics)
    assert (run.metrics["violations"] == 1).all()
    assert json.loads(one["detail"]) == {"id": "a", "n": 1}


def test_items_that_hide_errors_are_asked_at_every_tick():
    """The clock can't be followed through them: what stands in for it would go another way."""
    found = Reconciler("hiding", {"jobs": Table("id", n="BIGINT")})
    found.apply("put")(lambda state, event: state["jobs"].upsert(event.payload))

    def hiding(state, now):
        try:
            return [row for row in state["jobs"].find() if timedelta.__mul__(now - T0, 1) > timedelta(seconds=20)]
        except TypeError:
            return []

    found.rule("late", key="id", each=hiding)(lambda state, now, job: [Action("late", id=job["id"])])
    with written([(0, "put", {"id": "a", "n": 1}), (60, "put", {"id": "b", "n": 1})]) as recording:
        run = replay(recording, found, Window(T0, after(60)), ticks="5s")

    assert run.actions["at"].min() == after(25)
