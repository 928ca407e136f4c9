"""Why a rule in SQL gave no row: its conditions one by one, the rows that blocked, the clause that left it out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import some
from sql_scenes import JOBS, T0, TABLES, after, asked, given_by, replayed, still, town

import replaykit as rk
from replaykit.reasons.sql_why_not import sql_conditions, sql_obstacle

PATIENCE = {"patience": timedelta(seconds=55)}


def obstacle(rule, fields, *, rows=JOBS, tables=None, at=60, params=None, ticks="5s", end=100):
    """Return what stopped a rule a minute after the beginning."""
    run = replayed(
        town(tables or TABLES, rule, key=list(fields), params=params or PATIENCE), rows, ticks=ticks, end=end
    )
    return sql_obstacle(*asked(run, at=after(at)), fields)


def test_a_condition_is_told_with_the_value_it_failed_on_and_since_when():
    """The sentence of the issue."""
    found = obstacle("SELECT id AS job FROM jobs WHERE status = 'done'", {"job": "b"})

    assert (found.stop, found.where, found.source) == ("condition", "WHERE", "status = 'done'")
    assert found.reason == "condition status = 'done' failed: jobs[b].status is 'open'"
    assert [(one.name, one.blame.step) for one in found.cells if one.blame] == [("jobs[b].status", 3)]
    assert found.since == after(2)
    assert [one.sentence for one in found.needs] == ["jobs[b].status = done"]


def test_all_conditions_that_failed_are_told_and_the_first_of_them_is_what_to_mend():
    """In the order of the text."""
    found = obstacle("SELECT id FROM jobs WHERE n > 3 AND worker = 'w' AND status = 'done'", {"id": "a"})

    assert found.source == "n > 3"
    assert "and 1 more: status = 'done' (jobs[a].status is 'open')" in found.reason
    assert [one.sentence for one in found.needs] == ["jobs[a].n = 4"]


def test_every_condition_is_told_held_or_failed():
    """For those who want to see them all."""
    run = replayed(town(TABLES, "SELECT id FROM jobs WHERE n > 3 AND worker = 'w' AND done", key="id"), JOBS)
    found = sql_conditions(*asked(run), {"id": "a"})

    assert [(one.text, one.held) for one in found] == [("n > 3", False), ("worker = 'w'", True), ("done", False)]
    assert found[1].sentence == "condition worker = 'w' held: jobs[a].worker is 'w'"


def test_a_row_that_is_there_is_emitted():
    """Then nothing stopped it."""
    assert obstacle("SELECT id FROM jobs WHERE n > 3", {"ID": "b"}).stop == "emitted"


@pytest.mark.parametrize(
    ("ticks", "due", "tick"), [("5s", 70, 14), ("7s", 70, 10), ("event", 90, 6), ("end", None, None)]
)
def test_a_threshold_says_by_how_much_it_is_missed_and_when_it_is_due(ticks, due, tick):
    """A comparison that wants more than its bound turns at the tick behind that instant, not at it."""
    rule = "SELECT id FROM jobs WHERE $now - seen > $patience"
    rows = [*JOBS, (60, "workers", {"id": "u"}), (65, "workers", {"id": "u"}), (90, "workers", {"id": "u"})]
    at, end = (62, 100) if due is not None else (62, 62)
    found = obstacle(rule, {"id": "b"}, rows=rows, ticks=ticks, at=at, end=end)
    threshold = found.threshold

    assert threshold.needed == timedelta(seconds=55)
    assert threshold.actual == found.at - after(10)
    assert threshold.turns_at == after(65)
    assert (threshold.due_tick, threshold.due_at) == (tick, None if due is None else after(due))


@pytest.mark.parametrize(
    ("condition", "actual", "needed", "due"),
    [
        ("seen < $now - $patience", 50, 55, 70),
        ("$now >= seen + $patience", 50, 55, 65),
        ("NOT $now - seen <= $patience", 50, 55, 70),
        ("($now - INTERVAL 30 SECONDS) - seen > INTERVAL 27 SECONDS", 50, 57, 70),
        ("(n > 7 OR $now - seen > $patience)", 50, 55, 70),
        ("NOT EXISTS (SELECT 1 FROM jobs k WHERE k.id = jobs.id AND $now - k.seen < $patience)", 50, 55, 65),
    ],
)
def test_thresholds_are_read_in_any_form(condition, actual, needed, due):
    """However the sum is written, spans are compared."""
    threshold = obstacle(f"SELECT id FROM jobs WHERE {condition}", {"id": "b"}).threshold

    assert (threshold.actual, threshold.needed) == (timedelta(seconds=actual), timedelta(seconds=needed))
    assert threshold.due_at == after(due)


def test_numbers_of_seconds_are_a_threshold_too():
    """What can't be solved is found by asking the coming ticks."""
    threshold = obstacle("SELECT id FROM jobs WHERE date_diff('second', seen, $now) >= 58", {"id": "b"}).threshold

    assert (threshold.actual, threshold.needed, threshold.due_at) == (50, 58, after(70))


def test_time_does_not_mend_what_time_has_spoilt():
    """A deadline that has passed."""
    found = obstacle("SELECT id FROM jobs WHERE $now < seen + INTERVAL 10 SECONDS", {"id": "b"})

    assert found.threshold is None
    assert found.source == "$now < seen + INTERVAL '10' SECONDS"


def test_rows_block():
    """Those that NOT EXISTS, NOT IN and an anti join found."""
    for rule in (
        "SELECT id FROM jobs j WHERE NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = j.worker)",
        "SELECT id FROM jobs j WHERE worker NOT IN (SELECT id FROM workers)",
        "SELECT j.id FROM jobs j ANTI JOIN workers w ON w.id = j.worker",
    ):
        found = obstacle(rule, {"id": "a"})

        assert found.stop == "blocked"
        assert "it finds workers[w] (workers[w].id is 'w')" in found.reason
        assert found.cells[0].name == "workers[w].id"
        assert found.since == after(3)


def test_the_row_an_outer_join_found_is_told():
    """LEFT JOIN and IS NULL is another way to say NOT EXISTS."""
    found = obstacle("SELECT j.id FROM jobs j LEFT JOIN workers w ON w.id = j.worker WHERE w.id IS NULL", {"id": "a"})

    assert found.reason == "condition w.id IS NULL failed: workers[w].id is 'w'"


def test_what_exists_has_not_is_told():
    """With the row that came nearest."""
    found = obstacle(
        "SELECT id FROM jobs j WHERE EXISTS (SELECT 1 FROM workers w WHERE w.id = j.worker AND NOT w.alive)",
        {"id": "a"},
    )

    assert found.stop == "condition"
    assert "the nearest misses NOT w.alive (workers[w].alive is True)" in found.reason


def test_a_join_without_partner_is_told():
    """The condition that no row meets, and what it wanted."""
    found = obstacle("SELECT j.id FROM jobs j JOIN workers w ON w.id = j.worker WHERE w.alive", {"id": "b"})

    assert (found.where, found.source) == ("ON", "w.id = j.worker")
    assert found.reason == "condition w.id = j.worker failed: no row of workers meets it: jobs[b].worker is 'x'"


def test_a_join_whose_partner_misses_something_else_names_that():
    """The nearest of the rows to join."""
    found = obstacle("SELECT j.id FROM jobs j JOIN workers w ON w.id = j.worker AND NOT w.alive", {"id": "a"})

    assert found.reason == "condition NOT w.alive failed: workers[w].alive is True"
    assert [one.sentence for one in found.needs] == ["workers[w].alive = False"]


def test_a_group_is_told_with_what_it_adds_up_to():
    """HAVING comes behind the conditions on rows."""
    rule = "SELECT status, count(*) AS k FROM jobs WHERE n < 9 GROUP BY status HAVING count(*) > 2 AND max(n) > 3"
    found = obstacle(rule, {"status": "open"})

    assert (found.where, found.source) == ("HAVING", "COUNT(*) > 2")
    assert "COUNT(*) is 2; the group has 2 rows" in found.reason
    assert obstacle(rule.replace("> 2", "> 1"), {"status": "open", "k": 3}).reason.endswith("k = 2, not 3")
    assert obstacle(rule.replace("n < 9", "n > 9"), {"status": "open"}).source == "n > 9"


@pytest.mark.parametrize(
    ("tail", "where"),
    [
        ("ORDER BY id LIMIT 1", "LIMIT"),
        ("ORDER BY id DESC LIMIT 5 OFFSET 1", "LIMIT"),
        ("QUALIFY row_number() OVER (ORDER BY id) = 1", "QUALIFY"),
    ],
)
def test_a_clause_that_leaves_rows_out_is_named(tail, where):
    """When all conditions hold."""
    found = obstacle(f"SELECT id FROM jobs {tail}", {"id": "b"})

    assert (found.stop, found.where) == ("condition", where)


def test_the_row_kept_by_distinct_on_is_another():
    """It is the clause, not a condition."""
    assert obstacle("SELECT DISTINCT ON (status) id FROM jobs ORDER BY id", {"id": "b"}).where == "DISTINCT ON"


def test_a_row_that_is_not_there_says_when_it_was():
    """Or when it comes."""
    rows = [*JOBS, (20, "jobs", ["a"]), (90, "jobs", {"id": "z"})]
    gone, coming, never = (obstacle("SELECT id FROM jobs WHERE done", {"id": key}, rows=rows) for key in "azq")

    assert (gone.stop, gone.since) == ("no row", after(20))
    assert gone.reason.startswith("no row of jobs has id = 'a'; until step 5, 2026-03-26T06:00:20Z")
    assert "from step 6, 2026-03-26T06:01:30Z" in coming.reason
    assert never.reason == "no row of jobs has id = 'q'"


def test_fields_the_rule_does_not_give_are_told():
    """A name, a constant, a value that is worked out."""
    rule = "SELECT id, 5 AS k, CASE WHEN n > 3 THEN 'x' ELSE 'y' END AS l FROM jobs"

    assert obstacle(rule, {"name": "b"}).reason == "it gives id, k, l, and no name"
    assert obstacle(rule, {"id": "b", "k": 6}).reason == "it gives k = 5, not 6"
    assert obstacle(rule, {"id": "b", "l": "y"}).reason.endswith("l = 'x', not 'y'")
    assert obstacle(rule, {"id": "b", "l": "y"}).stop == "other fields"


def test_each_select_of_a_union_is_looked_at():
    """The one that came nearest is told, the others beside it."""
    found = obstacle("SELECT id FROM workers WHERE NOT alive UNION ALL SELECT id FROM jobs WHERE n > 3", {"id": "a"})

    assert found.source == "n > 3"
    assert "no row of workers has id = 'a'" in found.beyond


def test_common_tables_and_subqueries_are_looked_through():
    """Those that are merged, and those that group."""
    merged = "WITH c AS (SELECT id, n FROM jobs WHERE status = 'open') SELECT c.id FROM c WHERE c.n > 3"
    grouped = "SELECT worker FROM (SELECT worker, max(n) AS m FROM jobs WHERE n > 3 GROUP BY worker)"

    assert obstacle(merged, {"id": "a"}).reason == "condition c.n > 3 failed: jobs[a].n is 1"
    assert obstacle(grouped, {"worker": "w"}).reason == "condition n > 3 failed: jobs[a].n is 1"


@pytest.mark.parametrize(
    "rule",
    [
        "SELECT id FROM jobs EXCEPT SELECT id FROM jobs",
        "SELECT j.id FROM jobs j FULL JOIN workers w ON w.id = j.worker WHERE j.n > 9",
        "SELECT x AS id FROM unnest(['q']) AS u(x) WHERE x = 'r'",
        (
            "WITH RECURSIVE r(id, n) AS (SELECT 'q', 1 UNION ALL SELECT id, n + 1 FROM r WHERE n < 3) SELECT id FROM r "
            "WHERE n > 5"
        ),
    ],
)
def test_what_can_not_be_split_is_unknown_or_no_row_and_never_wrong(rule):
    """It says what it was."""
    found = obstacle(rule, {"id": "a"})

    assert found.stop in ("unknown", "no row")
    assert found.beyond or found.reason


def test_names_that_only_quotes_can_carry_are_followed():
    """And values with quotes are parameters."""
    tables = {'it\'s "odd"': rk.Table(key="Select", columns={"Select": "VARCHAR", "a.b": "BIGINT", "FROM": "DOUBLE"})}
    rows = [(1, 'it\'s "odd"', {"Select": "'; DROP TABLE x; --", "a.b": 7, "FROM": 0.5})]
    rule = 'SELECT "select" AS "a b" FROM "IT\'S ""odd""" WHERE "from" < 1 AND "A.B" > 7'
    found = obstacle(rule, {"a b": "'; DROP TABLE x; --"}, rows=rows, tables=tables)

    assert found.reason == 'condition "A.B" > 7 failed: it\'s "odd"[\'; DROP TABLE x; --].a.b is 7'
    assert obstacle(rule, {"a b": "' OR 1"}, rows=rows, tables=tables).stop == "no row"


def test_values_of_another_type_find_no_row():
    """Nothing is converted, and nothing fails."""
    rule = "SELECT n, seen FROM jobs WHERE done"

    assert obstacle(rule, {"n": "five"}).reason == "no row of jobs has n = 'five'"
    assert obstacle(rule, {"seen": True}).stop == "no row"
    assert obstacle(rule, {"seen": T0}).source == "done"
    with pytest.raises(rk.QueryError, match="can't be looked for"):
        obstacle(rule, {"n": {1}})


ATOMS = {
    "status = 'open'": lambda job: job["status"] == "open",
    "n > 2": lambda job: job["n"] is not None and job["n"] > 2,
    "n <= 1": lambda job: job["n"] is not None and job["n"] <= 1,
    "worker IS NULL": lambda job: job["worker"] is None,
    "worker IN ('v', 'w')": lambda job: job["worker"] in ("v", "w"),
    "n BETWEEN 1 AND 3": lambda job: job["n"] is not None and 1 <= job["n"] <= 3,
    "(n = 2 OR status = 'lost')": lambda job: job["n"] == 2 or job["status"] == "lost",
    "NOT (n < 3 AND status = 'open')": lambda job: (
        not (job["n"] is None and job["status"] == "open") and (job["status"] != "open" or (job["n"] or 0) >= 3)
    ),
    "done": lambda job: job["done"] is True,
    "NOT done": lambda job: job["done"] is False,
    "n <> 4": lambda job: job["n"] is not None and job["n"] != 4,
}
STATE = st.lists(
    st.fixed_dictionaries(
        {
            "status": st.sampled_from(["open", "closed", "lost"]),
            "worker": st.sampled_from([None, "v", "x"]),
            "n": st.sampled_from([None, 0, 1, 2, 3, 4]),
            "done": st.sampled_from([None, True, False]),
        }
    ),
    min_size=1,
    max_size=3,
)


def puts(state):
    """Return the rows that make a state."""
    return [(1, "jobs", {"id": f"j{n}", **job}) for n, job in enumerate(state)]


@settings(max_examples=some(40))
@given(state=STATE, atoms=st.lists(st.sampled_from(sorted(ATOMS)), min_size=1, max_size=4, unique=True))
def test_the_first_condition_that_fails_in_plain_python_is_the_one_that_is_told(state, atoms):
    """And what it needs takes the rule past it."""
    rule = f"SELECT id FROM jobs WHERE {' AND '.join(atoms)}"
    found = sql_obstacle(*still(rule, puts(state)), {"id": "j0"})
    failing = [one for one in atoms if not ATOMS[one](state[0])]

    assert found.stop == ("condition" if failing else "emitted")
    if failing:
        assert found.source == failing[0].strip("()") or found.source == failing[0]
    if found.needs:
        mended = [{**state[0], **{one.column: one.value for one in found.needs}}, *state[1:]]
        then = sql_obstacle(*still(rule, puts(mended)), {"id": "j0"})

        assert {one.key for one in found.needs} == {("j0",)}
        assert (then.stop == "emitted") == ({"id": "j0"} in given_by(rule, puts(mended)))
        assert then.stop == "emitted" or then.source != found.source


PARTNERS = [
    "w.id = j.worker", "w.alive", "j.n > 2", "w.id = 'v' OR j.n = 1", "j.status = 'open'",
    "NOT EXISTS (SELECT 1 FROM jobs k WHERE k.worker = j.worker AND k.id <> j.id)",
    "EXISTS (SELECT 1 FROM jobs k WHERE k.n = j.n AND k.status = 'lost')",
]  # fmt: skip


@settings(max_examples=some(40))
@given(
    state=STATE,
    alive=st.lists(st.sampled_from([True, False, None]), max_size=3),
    conditions=st.lists(st.sampled_from(PARTNERS), min_size=1, max_size=4, unique=True),
    left=st.booleans(),
)
def test_what_is_needed_of_joined_rows_takes_the_rule_further(state, alive, conditions, left):
    """Either the action is there then, or something else stands in its way; and nothing that holds is called failed."""
    rows = [*puts(state), *((1, "workers", {"id": "vxu"[n], "alive": one}) for n, one in enumerate(alive))]
    join = "LEFT JOIN workers w ON w.id = j.worker AND w.alive" if left else "CROSS JOIN workers w"
    rule = f"SELECT j.id FROM jobs j {join} WHERE {' AND '.join(f'({one})' for one in conditions)}"
    found = sql_obstacle(*still(rule, rows), {"id": "j0"})

    assert (found.stop == "emitted") == ({"id": "j0"} in given_by(rule, rows))
    if found.source and not left:
        met = len(given_by(f"SELECT j.id FROM jobs j {join} WHERE j.id = 'j0' AND ({found.source})", rows))
        assert met < max(1, len(alive)) if alive else not met
    if found.needs:
        values = {(one.table, one.key[0], one.column): one.value for one in found.needs}
        mended = [
            (at, table, {name: values.get((table, row["id"], name), value) for name, value in row.items()})
            for at, table, row in rows
        ]
        then = sql_obstacle(*still(rule, mended), {"id": "j0"})
        assert (then.stop == "emitted") == ({"id": "j0"} in given_by(rule, mended))
        assert then.stop == "emitted" or (then.source, then.cells) != (found.source, found.cells)


CLOCKS = [
    "$now - seen > $patience", "$now - seen >= $patience", "seen < $now - INTERVAL 17 SECONDS",
    "seen + $patience <= $now", "NOT ($now < seen + $patience)", "date_diff('second', seen, $now) > 12",
    "$now - seen BETWEEN INTERVAL 20 SECONDS AND INTERVAL 30 SECONDS", "$now > seen",
    "($now - seen > $patience OR n > 2)",
    "NOT EXISTS (SELECT 1 FROM jobs k WHERE k.n = jobs.n AND $now - k.seen < $patience)",
    "epoch($now) - epoch(seen) > 13.5",
]  # fmt: skip


@settings(max_examples=some(25))
@given(
    seen=st.lists(st.sampled_from([None, -30, 0, 7, 10, 20, 33, 58]), min_size=1, max_size=3),
    condition=st.sampled_from(CLOCKS),
    patience=st.sampled_from([5, 10, 23, 55]),
    at=st.sampled_from([5, 20, 45]),
    ticks=st.sampled_from(["5s", "7s"]),
)
def test_the_tick_that_is_due_is_the_first_at_which_a_replay_emits(seen, condition, patience, at, ticks):
    """The state stands still from the first second on."""
    rows = [
        (0, "jobs", {"id": f"j{n}", "n": n % 2, "seen": None if one is None else after(one).isoformat()})
        for n, one in enumerate(seen)
    ]
    params = {"patience": timedelta(seconds=patience)}
    run = replayed(town(TABLES, f"SELECT id FROM jobs WHERE {condition}", key="id", params=params), rows, ticks=ticks)
    scene, rule = asked(run, at=after(at))
    found = sql_obstacle(scene, rule, {"id": "j0"})
    interval = int(ticks[:-1])
    emitted = [
        tick
        for _, row in run.actions.iterrows()
        if row["entity"] == "j0" or row.get("id") == "j0"
        for tick in range(row["tick"], row["tick"] + row["repeats"] + 1)
    ]
    coming = min((tick for tick in emitted if tick > scene.tick), default=None)

    assert (found.stop == "emitted") == (scene.tick in emitted)
    if found.stop != "emitted":
        assert (found.threshold.due_tick if found.threshold is not None else None) == coming
        if found.threshold is not None:
            due = found.threshold.due_at
            assert due is None or (due == after(coming * interval) and found.threshold.turns_at <= due)


def test_of_several_rows_the_nearest_is_told():
    """Not the first that gives the field."""
    rows = [
        (1, "jobs", {"id": key, "status": "open", "n": n, "worker": "w"})
        for key, n in zip("abc", (1, 5, 2), strict=True)
    ]
    found = obstacle("SELECT status FROM jobs WHERE n > 3 AND worker = 'w' AND done", {"status": "open"}, rows=rows)

    assert found.reason == "condition done is neither true nor false: jobs[b].done is ∅"


def test_fields_of_several_tables_at_once_are_looked_for_in_their_combinations():
    """No single row gives them."""
    rule = "SELECT j.id || '/' || w.id AS both FROM jobs j, workers w WHERE w.alive AND j.n > 3"

    assert obstacle(rule, {"both": "b/v"}).reason == "condition w.alive failed: workers[v].alive is False"
    assert obstacle(rule, {"both": "b"}).reason == "no combination of rows gives both = 'b'"


def test_a_group_is_found_by_what_it_adds_up_to():
    """Where no column of a row is asked for."""
    rule = "SELECT count(*) FILTER (WHERE n > 3) AS k FROM jobs GROUP BY status HAVING k > 3"

    assert obstacle(rule, {"k": 1}).reason.startswith("condition k > 3 failed: COUNT(*) FILTER(WHERE ")
    assert obstacle(rule, {"k": 1}).reason.endswith(" is 1; the group has 2 rows")
    assert obstacle(rule, {"k": 9}).reason == "no group gives k = 9"


def test_an_empty_table_in_a_join_is_told():
    """There is nothing to join."""
    found = obstacle("SELECT j.id FROM jobs j, workers w WHERE j.n > 0", {"id": "a"}, rows=JOBS[:1])

    assert (found.stop, found.reason) == ("no row", "workers holds no row")


def test_a_threshold_of_a_group_is_due_when_its_latest_row_is_old_enough():
    """HAVING compares with the clock as well."""
    rule = "SELECT status FROM jobs GROUP BY status HAVING $now - max(seen) > $patience"
    threshold = obstacle(rule, {"status": "open"}).threshold

    assert (threshold.actual, threshold.needed) == (timedelta(seconds=50), timedelta(seconds=55))
    assert (threshold.due_tick, threshold.due_at) == (14, after(70))
    between = rule.replace("> $patience", "BETWEEN $patience AND INTERVAL 1 HOUR")
    assert obstacle(between, {"status": "open"}).threshold.due_at == after(65)
