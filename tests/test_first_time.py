"""run.first and run.when: the steps at which a query returns rows, as asking it after every single step gives them."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lives import BASES, COLUMNS, ODD, STEPS, T0, WRITES, lives_of, recording, replayed
from samples import some

import replaykit as rk
from replaykit import when_ways
from replaykit.sql import check_query

ALONG = {
    "SELECT * FROM jobs": lambda jobs, odd: bool(jobs),
    "SELECT id FROM jobs WHERE status = 'a' ORDER BY id": lambda jobs, odd: any(j["status"] == "a" for j in jobs),
    "SELECT 1 FROM jobs j WHERE j.n > $least AND j.status IS NOT NULL": lambda jobs, odd: any(
        j["n"] is not None and j["n"] > 0 and j["status"] is not None for j in jobs
    ),
    "SELECT a.id, b.id FROM jobs a, jobs b WHERE a.id < b.id AND a.status = b.status": lambda jobs, odd: any(
        a["id"] < b["id"] and a["status"] is not None and a["status"] == b["status"] for a in jobs for b in jobs
    ),
    f"""SELECT jobs.id FROM jobs JOIN "{ODD.replace('"', '""')}" o ON jobs.id = o.p WHERE o."live" OR jobs.n = 1""": (
        lambda jobs, odd: any(j["id"] == o["p"] and (o["live"] or j["n"] == 1) for j in jobs for o in odd)
    ),
    "SELECT * FROM jobs a JOIN JOBS b USING (id) WHERE a.seen > TIMESTAMP '2000-01-01'": lambda jobs, odd: any(
        j["seen"] is not None and j["seen"].year > 2000 for j in jobs
    ),
}
WALKED = {
    "SELECT count(*) FROM jobs HAVING count(*) > 1": lambda jobs, odd: len(jobs) > 1,
    "SELECT status FROM jobs GROUP BY status HAVING count(*) > 1": lambda jobs, odd: (
        len({j["status"] for j in jobs}) < len(jobs)
    ),
    "SELECT * FROM jobs LIMIT 1 OFFSET 1": lambda jobs, odd: len(jobs) > 1,
    "SELECT count(*) FROM jobs": lambda jobs, odd: True,
    f"""SELECT * FROM jobs WHERE NOT EXISTS (SELECT 1 FROM "{ODD.replace('"', '""')}" o WHERE o.p = jobs.id)""": (
        lambda jobs, odd: any(all(o["p"] != j["id"] for o in odd) for j in jobs)
    ),
    "SELECT j.id FROM jobs j LEFT JOIN jobs k ON k.id <> j.id WHERE k.id IS NULL": lambda jobs, odd: len(jobs) == 1,
    "WITH a AS (SELECT * FROM jobs) SELECT * FROM a WHERE n = 1": lambda jobs, odd: any(j["n"] == 1 for j in jobs),
    "SELECT unnest([1][2:]) FROM jobs": lambda jobs, odd: False,
    "SELECT id AS other FROM jobs WHERE other = 'a'": lambda jobs, odd: any(j["id"] == "a" for j in jobs),
}
QUERIES = ALONG | WALKED


def parameters(query):
    """Return the values a query needs."""
    return {"least": 0} if "$least" in query else {}


def expected(lives, query):
    """Return the intervals of steps at which a query returns rows, from the rows of every step."""
    holds = [bool(QUERIES[query](list(image["jobs"].values()), list(image[ODD].values()))) for image in lives.images]
    found = []
    for step, now in enumerate(holds):
        if now and (step == 0 or not holds[step - 1]):
            found.append([step, None])
        if not now and step and holds[step - 1]:
            found[-1][1] = step
    return [tuple(one) for one in found], sum(holds)


def intervals(found):
    """Return an answer's intervals as steps."""
    frame = found.intervals
    return [(a, None if pd.isna(b) else b) for a, b in zip(frame["from_step"], frame["to_step"], strict=True)]


@settings(max_examples=some(20))
@given(writes=WRITES, base=BASES, query=st.sampled_from(sorted(QUERIES)))
def test_first_and_when_are_what_asking_after_every_step_gives(writes, base, query):
    """Rows changed several times in a step, gone and back in one, joined with themselves and others; both ways."""
    run, lives = replayed(writes, base=base), lives_of(writes, base)
    found, first = run.when(query, parameters(query)), run.first(query, parameters(query))
    wanted, steps = expected(lives, query)

    assert (intervals(found), found.steps, len(found)) == (wanted, steps, len(wanted))
    assert first.step == (wanted[0][0] if wanted else None)
    assert bool(first) == bool(wanted) == bool(found)
    assert first.how == found.how == (when_ways.ALONG if query in ALONG else when_ways.WALKED)
    for row in found.intervals.itertuples():
        assert row.rows == len(run.at(step=row.from_step).sql(query, parameters(query)))
        assert (row.opened_by, row.opened_event) == (("go", f"e{row.from_step}") if row.from_step else ("base", None))
        assert (row.closed_by, row.closed_event) == (
            (None, None) if pd.isna(row.to_step) else ("go", f"e{row.to_step}")
        )
    if first:
        assert first.rows.equals(run.at(step=first.step).sql(query, parameters(query)))


@settings(max_examples=some(12))
@given(writes=WRITES, base=BASES, query=st.sampled_from(sorted(ALONG)))
@example(writes=[[]] * STEPS, base=(), query="SELECT * FROM jobs")
def test_both_ways_give_the_same(writes, base, query):
    """The fast one and the one that asks at every step."""
    run = replayed(writes, base=base)
    statement = check_query(query)
    walked = when_ways.spans_walked(run.history, statement, parameters(query), None, until_found=False)

    assert when_ways.spans_along(run.history, statement, parameters(query)) == walked
    with mock.patch.object(when_ways, "_FEW", 0):  # as in a long replay, what began early is looked at first
        first = when_ways.spans_along(run.history, statement, parameters(query), until_found=True)
    assert [one.first for one in first or ()] == [one.first for one in walked[:1]]


def story():
    """Return a run in which a job is put, runs twice, and is dropped."""
    put = lambda **values: ("jobs", "put", ("a",), values)  # noqa: E731
    return replayed(
        [
            [put(status="x", seen=T0)], [put(status="run")], [put(n=1)], [put(status="x"), put(status="run")],
            [put(status="x")], [put(status="run")], [("jobs", "drop", ("a",), {})], [], [],
        ]
    )  # fmt: skip


RUNS = "SELECT id, status FROM jobs WHERE status = 'run'"


def test_the_first_time_is_a_sentence_with_cause_and_rows():
    """It is read in a terminal as well."""
    found = story().first(RUNS)

    assert found.sentence == f"At step 2, 2026-03-26T06:00:02Z (event go e2), the first of 9, 1 row: {RUNS}"
    assert repr(found) == f"FirstTime({found.sentence})"
    assert str(found) == found.sentence
    assert (found.step, found.at, found.kind, found.event_id) == (2, T0 + timedelta(seconds=2), "go", "e2")
    assert found.rows.to_dict("records") == found.to_frame().to_dict("records") == [{"id": "a", "status": "run"}]
    assert "Found over the validity of row versions." in found._repr_html_()


def test_never_is_false_and_says_so():
    """So that `if run.first(...)` reads as it should."""
    found = story().first("SELECT * FROM jobs WHERE status = $wanted", wanted="lost")

    assert not found
    assert (
        found.sentence
        == "Never in 10 moments (the base, and after each step): SELECT * FROM jobs WHERE status = $wanted"
    )
    assert (found.step, len(found.rows), list(found.rows.columns)) == (None, 0, list(COLUMNS["jobs"]))
    assert not story().when("SELECT * FROM jobs WHERE status = 'lost'")


def test_all_times_are_intervals_with_what_began_and_ended_each():
    """A status that stood is one interval though the row changed; one that was gone within a step is as well."""
    found = story().when(RUNS)

    assert intervals(found) == [(2, 5), (6, 7)]
    assert found.sentence == (
        "At 4 of 10 moments (the base, and after each step), 2 intervals, first from step 2 (go), last until step 7: "
        f"{RUNS}"
    )
    assert list(found.intervals["closed_event"]) == ["e5", "e7"]
    assert repr(found).startswith("Times(At 4 of 10 moments")
    assert found.to_frame().equals(found.intervals)


def test_now_is_the_clock_at_each_step_and_not_in_between():
    """What time alone makes true is found at the next step."""
    run = story()
    found = run.when("SELECT * FROM jobs WHERE $now - seen >= INTERVAL 2500 MILLISECONDS")

    assert intervals(found) == [(3, 7)]
    assert found.how == when_ways.WALKED
    assert run.first("SELECT * FROM jobs WHERE seen < $now").step == 1
    assert run.first("SELECT * FROM jobs WHERE $now > seen", now=T0).step is None


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ("SELECT state FROM jobs", rk.QueryError, r"state.* not found.*; jobs has \['id', 'status', 'n', 'seen'\]"),
        ("SELECT * FROM job", rk.QueryError, r"job does not exist.*; the state tables are \['jobs',"),
        ("SELECT * FROM jobs WHERE n = $n", rk.QueryError, "does not run"),
        ("DELETE FROM jobs", rk.GuardError, "may only ask"),
        ("SELECT now() FROM jobs", rk.GuardError, "reads the clock"),
        ("SELECT * FROM read_csv('x')", rk.GuardError, "read_csv"),
    ],
)
def test_a_bad_question_says_what_there_is(query, error, message):
    """Columns, tables, and what a query may not do; never is a refused query run."""
    run = story()
    for ask in (run.first, run.when):
        with pytest.raises(error, match=message):
            ask(query)


def test_a_query_that_fails_at_one_step_names_it():
    """A cast that one value does not survive."""
    with pytest.raises(rk.QueryError, match=r"does not run at step 2: Conversion"):
        story().when("SELECT 1 FROM jobs HAVING max(CAST(replace(status, 'x', '1') AS INTEGER)) > 0")


def test_in_a_closed_loop_the_action_that_made_it_so_is_named():
    """Its number leads to run.actions."""
    rules = rk.Reconciler("loop", {"t": rk.Table("id", n="BIGINT")})
    rules.apply("go")(lambda state, event: state["t"].upsert(id="a", n=0))
    rules.act("raise")(lambda state, action: state["t"].update("a", n=state["t"]["a"]["n"] + 1))
    rules.rule("raise", "SELECT id FROM t WHERE n < 2", key="id")
    run = rk.replay(recording(), rules, rk.Window(T0, T0 + timedelta(seconds=2)), ticks="500ms", actions="apply")
    found = run.first("SELECT * FROM t WHERE n = 2")

    assert (found.input, found.action, found.kind) == ("action", 2, "raise")
    assert "(action 2 (raise) at tick 3)" in found.sentence
