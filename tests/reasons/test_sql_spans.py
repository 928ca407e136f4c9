"""What stopped a rule over a window, where nothing is written and time alone turns the answer: in SQL and in Python."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sql_scenes import TABLES, after, replayed, town

import replaykit as rk

ROWS = [(0, "jobs", {"id": "a", "n": 1, "seen": after(0).isoformat()})]
LOW, HIGH = timedelta(seconds=20), timedelta(seconds=30)


def in_sql(condition):
    """Return the rule in SQL."""
    return town(TABLES, f"SELECT id FROM jobs WHERE {condition}", key="id")


def in_python(test):
    """Return the rule in Python."""
    made = rk.Reconciler("town", TABLES)

    @made.rule("asked", key="id")
    def asked(state, now):
        for job in state["jobs"].find():
            if test(now - job["seen"]):
                yield rk.Action("asked", id=job["id"])

    return made


def told(made):
    """Return second and stop of each answer of the first minute, of ticks every five seconds."""
    run = replayed(made, ROWS, ticks="5s")
    return [
        (int((one.at - after(0)).total_seconds()), one.stop)
        for one in run.why_not("asked", id="a", window=(after(0), after(60))).obstacles
    ]


@pytest.mark.parametrize(
    "made",
    [
        in_sql("$now - seen BETWEEN INTERVAL 20 SECONDS AND INTERVAL 30 SECONDS"),
        in_python(lambda age: LOW <= age <= HIGH),
    ],
    ids=["sql", "python"],
)
def test_that_a_rule_begins_and_ends_to_emit_is_told_though_nothing_was_written(made):
    """At 20 seconds it begins, at 35 it is over, and both are told."""
    stops = told(made)

    assert [second for second, _ in stops] == [0, 20, 35]
    assert [stop == "emitted" for _, stop in stops] == [False, True, False]


@pytest.mark.parametrize(
    "made",
    [in_sql("seen > $now - INTERVAL 40 SECONDS"), in_python(lambda age: age < 2 * LOW)],
    ids=["sql", "python"],
)
def test_a_deadline_that_passes_is_told(made):
    """Until then it was emitted, which has no threshold."""
    stops = told(made)

    assert [second for second, _ in stops] == [0, 40]
    assert [stop == "emitted" for _, stop in stops] == [True, False]


def test_every_tick_at_which_the_rule_emits_lies_in_a_stretch_that_says_so():
    """Whatever the condition: the answers are those of asking at each tick."""
    for condition in ("date_part('second', $now)::INT % 3 = 0", "epoch($now)::BIGINT // 10 % 2 = 0", "n = 1"):
        run = replayed(in_sql(condition), ROWS, ticks="5s")
        found = run.why_not("asked", id="a", window=(after(0), after(60))).obstacles
        for at in map(after, range(0, 60, 5)):
            stretch = [one for one in found if one.at <= at][-1]
            assert (stretch.stop == "emitted") == (run.why_not("asked", id="a", at=at).best.stop == "emitted")


def test_no_thread_is_left_behind_an_answer():
    """What a scene had opened goes with it, at once."""
    run = replayed(in_sql("n = 1"), ROWS, ticks="5s")
    before = set(threading.enumerate())
    run.why(1)
    run.why_not("asked", id="b")

    assert set(threading.enumerate()) <= before


def test_a_rule_that_reads_events_is_asked_with_the_events_of_its_tick():
    """Those up to the step before it."""
    run = replayed(in_sql("n = (SELECT count(*) FROM events)"), [*ROWS, (9, "jobs", {"id": "a", "n": 2})], ticks="5s")
    stops = [one.stop == "emitted" for one in run.why_not("asked", id="a", window=(after(0), after(60))).obstacles]

    assert stops[0] == any(tick == 0 for tick, *_ in run.emitted)
    assert run.emitted
    assert [cell.name for cell in run.why(1).cells][:1] == ["jobs[a].n"]
    assert any(stops)
