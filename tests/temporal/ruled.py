"""A small plant for the tests of rules at every tick: jobs and their links, rules in SQL, and replays in each way."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from sys import path

path.append(str(Path(__file__).parent.parent / "core"))  # which is no package

from building import T0, after, loaded, written

import replaykit as rk
from replaykit.temporal import only

WAYS = ("tick by tick", "intervals", "lateral")
PARAMS = {"patience": timedelta(seconds=20), "limit": 1, "none": None}


def plant(*statements, rules=True, more=()):
    """Return a reconciler whose events set a job, drop it or link two, and which has each statement as its rules."""
    tables = {
        "jobs": rk.Table("id", status="VARCHAR", n="BIGINT", w="DOUBLE", seen="TIMESTAMP"),
        "links": rk.Table(["a", "b"], kind="VARCHAR"),
    }
    found = rk.Reconciler("plant", tables, PARAMS)

    @found.apply("open", "lost", "done")
    def moved(state, event):
        given = {"n": None, **event.payload}
        state["jobs"].upsert(id=given["id"], n=given["n"], w=given.get("w"), status=event.kind, seen=event.occurred_at)

    @found.apply("gone")
    def gone(state, event):
        state["jobs"].delete(event.payload["id"])
        for link in state["links"].find(a=event.payload["id"]):
            state["links"].delete((link["a"], link["b"]))

    @found.apply("linked")
    def linked(state, event):
        state["links"].upsert(a=event.payload["id"], b=event.payload["b"], kind=event.payload.get("kind"))

    for number, statement in enumerate(statements):
        if rules:
            found.rule(f"rule {number}", statement, key=[])
        found.invariant(f"invariant {number}", statement, key=[])
    for add in more:
        add(found)
    return found


def replayed(recording, reconciler, way, *given, **options):
    """Replay in one way only."""
    with only(way):
        return rk.replay(recording, reconciler, *given, **options)


def said(run):
    """Return all that a replay's rules and invariants said, as text that tells types apart."""
    interval = run.settings["ticks"].interval or timedelta()
    ticks = [
        (one["tick"] + n, str(one["at"] + n * interval), one["step"], one["actions"], one["violations"])
        for one in run.metrics.to_dict("records")
        for n in range(one["repeats"] + 1)
    ]
    emitted = [(tick, kind, repr(dict(fields)), rule) for tick, kind, fields, rule in run.emitted]
    return {
        "actions": run.actions.to_csv(),
        "emitted": emitted,
        "violations": run.violations.to_csv(),
        "changes": run.violations.changes().to_csv(),
        "problems": run.problems.to_csv(),
        "ticks": ticks,
    }


def how(run):
    """Return the way each rule and invariant was answered in, by name."""
    return dict(zip(run.evaluation["name"], run.evaluation["how"], strict=True))


def same_in_all(recording, reconciler, *given, ways=WAYS[1:], **options):
    """Replay tick by tick and in other ways; they say the same. Returns the runs by way."""
    runs = {way: replayed(recording, reconciler, way, *given, **options) for way in (WAYS[0], *ways)}
    expected = said(runs[WAYS[0]])
    for way in ways:
        found = said(runs[way])
        for what, value in expected.items():
            assert found[what] == value, f"{way}: {what} of {[one.statement.text for one in statements_of(reconciler)]}"
    return runs


def statements_of(reconciler):
    """Return what of a reconciler is written in SQL."""
    return [one for one in reconciler.declared() if one.statement is not None]


EVENTS = [
    (0, "lost", {"id": "a", "n": 1}), (0, "linked", {"id": "a", "b": "b"}), (10, "open", {"id": "b", "n": 2, "w": 0.5}),
    (12, "done", {"id": "b", "n": 2}), (25, "done", {"id": "b", "n": 3}), (26, "lost", {"id": "c", "n": 1}),
    (33, "linked", {"id": "c", "b": "a", "kind": "x"}), (40, "gone", {"id": "a"}), (41, "lost", {"id": "a", "n": 2}),
    (100, "done", {"id": "c", "n": None}), (101, "open", {"id": "c", "n": 7}), (102, "linked", {"id": "b", "b": "b"}),
]  # fmt: skip
__all__ = [
    "EVENTS", "PARAMS", "T0", "WAYS", "after", "how", "loaded", "only", "plant", "replayed", "said", "same_in_all",
    "statements_of", "written",
]  # fmt: skip
