"""history.touched: everything one event, step or action changed and what became of it, as a walk over the writes."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import BASES, COLUMNS, STEPS, T0, WRITES, Lives, cells, lives_of, replayed, same, text
from samples import some

import replaykit as rk
from replaykit.churn import churn
from replaykit.results import entity_of
from replaykit.sources import Log

CAUSE = ["step", "table", "key", "change", "column"]


def following(lives, number, name):
    """Return the step that wrote a cell next, how, and what; for an insertion the row, for a deletion the key."""
    _, table, _, what, life, old, _ = lives.log[number]
    for step, where, _, how, other, before, after in lives.log[number + 1 :]:
        if where != table:
            continue
        if what == "delete":
            if how == "insert" and Lives.key(table, after) == Lives.key(table, old):
                return step, "insert", None
        elif other == life and how == "delete":
            return step, "delete", None
        elif other == life and (name is None or not same(before[name], after[name])):
            return step, "update", None if name is None else text(after[name])
    return None, None, None


def walked(lives, asked):
    """Return what came next after each change of a step, one write at a time."""
    found, places = [], {}
    for number, (step, table, _, what, life, old, new) in enumerate(lives.log):
        place = places.get(life) if what == "delete" else number
        places[life] = number
        if step != asked:
            continue
        key = entity_of(Lives.key(table, old if new is None else new))
        changed = [name for name in COLUMNS[table] if what == "update" and not same(old[name], new[name])]
        for part, name in enumerate(COLUMNS[table], 1) if what == "update" else [(99 * (what == "delete"), None)]:
            if name is None or name in changed:
                at = (list(COLUMNS).index(table), place, part)
                found.append((at, (step, table, key, what, name, *following(lives, number, name))))
    return [row for _, row in sorted(found, key=lambda one: one[0])]


@settings(max_examples=some(25))
@given(writes=WRITES, base=BASES, step=st.integers(1, STEPS))
def test_touched_is_a_walk_over_every_write(writes, base, step):
    """Rows changed several times in a step, gone and back, under any name; and the next write of each cell."""
    run, lives = replayed(writes, base=base), lives_of(writes, base)
    found = run.history.touched(step=step)
    whole = churn(run.history, 0, STEPS)
    mine = whole[whole["step"] == step].reset_index(drop=True)

    assert cells(found.changes) == cells(mine)
    assert cells(found.later[[*CAUSE, "until", "wrote", "then"]]) == walked(lives, step)
    assert cells(found.later[CAUSE]) == cells(found.changes[CAUSE])
    gone = found.later["until"].notna()
    assert list(found.later.loc[gone, "until_at"]) == [
        T0 + timedelta(seconds=int(n)) for n in found.later.loc[gone, "until"]
    ]
    assert list(found.later.loc[gone, "event_id"]) == [f"e{n}" for n in found.later.loc[gone, "until"]]
    assert run.history.touched(event=f"e{step}").changes.equals(found.changes)
    assert set(zip(found.rows["table"], found.rows["key"], strict=True)) == set(
        zip(mine["table"], mine["key"], strict=True)
    )
    assert int(found.rows["kept"].sum()) == int(mine["kept"].sum())


def story():
    """Return a run in which one row is put, changed, changed again and dropped, and another put."""
    put = lambda key, **values: ("jobs", "put", (key,), values)  # noqa: E731
    return replayed(
        [
            [put("a", status="x"), put("b'", status="x")], [put("a", status="y", n=1)], [],
            [put("a", status="z")], [("jobs", "drop", ("a",), {})], [], [], [], [],
        ]
    )  # fmt: skip


def test_the_answer_is_a_sentence_and_three_tables():
    """What changed, in which rows, and how long it stood."""
    found = story().history.touched(event="e2")

    assert found.sentence == (
        "Event go e2 changed 2 cells in jobs (step 2, 2026-03-26T06:00:02Z); 0 of 2 changes are still so at the end."
    )
    assert repr(found) == f"Touched({found.sentence})"
    assert str(found) == found.sentence
    assert (len(found), found.steps, found.at) == (2, (2,), (T0 + timedelta(seconds=2),))
    assert cells(found.rows) == [("jobs", "a", "update status, n", 0)]
    assert cells(found.later[["column", "until", "lasted", "caused_by", "wrote", "then"]]) == [
        ("status", 4, timedelta(seconds=2), "go", "update", "z"),
        ("n", 5, timedelta(seconds=3), "go", "delete", None),
    ]
    html = found._repr_html_()
    assert all(name in html for name in ("Rows touched", "Changes", "What became of them"))
    assert found.to_frame().equals(found.changes)
    assert str(story().history.touched(step=3)) == "Event go e3 changed nothing (step 3, 2026-03-26T06:00:03Z)."
    assert "inserted 2 rows in jobs" in str(story().history.touched(step=1))


def test_an_event_applied_several_times_is_all_of_its_applications():
    """A log of applications says when production applied it, and how often."""
    events = pd.DataFrame({"at": [T0, T0 + timedelta(seconds=1)], "k": "put", "id": ["e1", "e2"], "no": [1, 2]})
    times = [T0 + timedelta(seconds=n) for n in (2, 3, 4)]
    log = pd.DataFrame({"at": times, "event": ["e1", "e2", "e1"], "no": [3, 4, 5]})
    rules = rk.Reconciler("r", {"t": rk.Table("id", n="BIGINT")})
    rules.apply("put")(lambda state, event: state["t"].upsert(id=event.id, n=len(state["t"].find())))
    applications = Log(log, time="at", kind=False, payload=False, event="event", seq="no")
    with rk.load(events, time="at", kind="k", id="id", payload=False, seq="no", applications=applications) as recording:
        run = rk.replay(recording, rules, rk.Window(T0, T0 + timedelta(seconds=9)), actions="recorded")
    found = run.history.touched(event="e1")

    assert found.steps == (1, 3)
    assert cells(found.changes[["step", "change", "column", "after", "kept"]]) == [
        (1, "insert", None, None, True), (3, "update", "n", "2", True),
    ]  # fmt: skip
    assert cells(found.later[["change", "until", "wrote"]]) == [("insert", 3, "update"), ("update", None, None)]
    assert "(2 steps, 1 to 3)" in found.sentence


def test_an_action_leads_to_what_it_changed():
    """In a closed loop; the number is the one in run.actions."""
    rules = rk.Reconciler("loop", {"t": rk.Table("id", n="BIGINT")})
    rules.apply("go")(lambda state, event: state["t"].upsert(id="a", n=0))
    rules.act("raise")(lambda state, action: state["t"].update(action["id"], n=state["t"]["a"]["n"] + 1))

    @rules.rule("raise", key="id")
    def low(state, now):
        yield from (rk.Action("raise", id=row["id"]) for row in state["t"].find() if row["n"] < 2)

    frame = pd.DataFrame({"at": [T0], "kind": ["go"], "id": ["e1"]})
    with rk.load(frame, time="at", kind="kind", id="id", payload=False) as recording:
        run = rk.replay(recording, rules, rk.Window(T0, T0 + timedelta(seconds=30)), ticks="5s", actions="apply")
        still = rk.replay(recording, rules, rk.Window(T0, T0 + timedelta(seconds=30)), ticks="5s")
    found = run.history.touched(action=1)

    assert found.sentence.startswith("Action 1 (raise) at tick 0 changed 1 cell in t (step 2, ")
    assert cells(found.later[["until", "input", "action", "then"]]) == [(3, "action", 2, "2")]
    with pytest.raises(rk.QueryError, match="2 of the actions of this replay were applied, with numbers from 1 to 2"):
        run.history.touched(action=3)
    with pytest.raises(rk.QueryError, match="Replay with actions='apply'"):
        still.history.touched(action=1)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"event": "e20"}, "applied no event 'e20'; nearest of its 9 are 'e2', 'e1', 'e3'"),
        ({"step": 0}, "no step 0 that changed anything; this replay has steps 1 to 9"),
        ({"step": 10}, "no step 10"),
        ({}, "exactly one of event=, step= and action="),
        ({"event": "e1", "step": 1}, "exactly one"),
    ],
)
def test_a_question_without_an_answer_says_what_there_is(asked, message):
    """A guess at an id is mended by the message alone."""
    with pytest.raises(rk.QueryError, match=message):
        story().history.touched(**asked)
