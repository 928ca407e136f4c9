"""Why a rule in SQL gave a row: the rows it was made of, and the cells the statement read of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import some
from sql_scenes import JOBS, TABLES, after, asked, given_by, replayed, still, town

import replaykit as rk
from replaykit.reasons.sql_why import sql_cells, sql_grounds

HOSTILE = 'it\'s "odd". Table'
WORST = "a \"b\" 'c'; --"


def cells(rule, row, *, rows=JOBS, tables=None, invariant=False, **options):
    """Return name, value and where of the cells of an emitted row."""
    run = replayed(town(tables or TABLES, rule, key=list(row), invariant=invariant), rows, **options)
    return [(one.name, one.value, one.where) for one in sql_cells(*asked(run), row)]


def names(*given, **options):
    """Return the names of the cells."""
    return [name for name, _, _ in cells(*given, **options)]


def test_the_cells_of_a_row_come_as_the_conditions_read_them_and_then_the_output():
    """A condition is told in the words of the rule."""
    found = cells("SELECT ID AS job FROM jobs j WHERE j.Status = 'open' AND n > 1", {"job": "b"})

    assert found == [
        ("jobs[b].status", "open", "j.Status = 'open'"),
        ("jobs[b].n", 5, "n > 1"),
        ("jobs[b].id", "b", "SELECT ID"),
    ]


def test_a_join_has_the_cells_of_both_rows():
    """Those of the first source first."""
    assert names("SELECT j.id, w.alive FROM jobs j JOIN workers w ON w.id = j.worker", {"id": "a"}) == [
        "jobs[a].worker", "jobs[a].id", "workers[w].id", "workers[w].alive",
    ]  # fmt: skip
    assert names("SELECT id, alive FROM jobs JOIN (SELECT id AS w, alive FROM workers) ON w = worker", {"id": "a"}) == [
        "jobs[a].worker", "jobs[a].id", "workers[w].id", "workers[w].alive",
    ]  # fmt: skip


def test_what_was_not_there_has_no_cells():
    """Of an outer join without partner and of NOT EXISTS only the row that looked for one is left."""
    outer = "SELECT j.id FROM jobs j LEFT JOIN workers w ON w.id = j.worker WHERE w.id IS NULL"
    absent = "SELECT j.id FROM jobs j WHERE NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = j.worker)"

    assert names(outer, {"id": "b"}) == names(absent, {"id": "b"}) == ["jobs[b].worker", "jobs[b].id"]


@pytest.mark.parametrize(
    "condition",
    [
        "EXISTS (SELECT 1 FROM workers w WHERE w.id = j.worker AND w.alive)",
        "worker IN (SELECT id FROM workers w WHERE w.alive)",
        "(SELECT count(*) FROM workers w WHERE w.id = worker AND w.alive) = 1",
    ],
)
def test_a_subquery_has_the_cells_of_the_rows_it_found(condition):
    """Behind those of the row that asked."""
    assert names(f"SELECT id FROM jobs j WHERE {condition}", {"id": "a"}) == [
        "jobs[a].worker", "jobs[a].id", *(["workers[w].id", "workers[w].alive"] if "IN (" not in condition else
        ["workers[w].alive", "workers[w].id"]),
    ]  # fmt: skip


def test_a_group_has_the_cells_of_its_rows_and_says_how_many_there_are():
    """At most fifty rows are told."""
    rows = [(1, "jobs", {"id": f"j{n}", "status": "open", "n": n}) for n in range(60)]
    found = cells("SELECT status, max(n) AS m FROM jobs GROUP BY status HAVING count(*) > 5", {"m": 59}, rows=rows)

    assert len({name.split(".")[0] for name, _, _ in found}) == 50
    assert found[0] == ("jobs[j0].status", "open", "SELECT status (a group of 60, the first 50)")
    assert ("jobs[j7].n", 7, "SELECT MAX(n) (a group of 60, the first 50)") in found


def test_the_first_of_equal_rows_in_the_order_of_the_rule_is_told():
    """The action that came first is the one with the number."""
    rule = "SELECT 'x' AS x FROM jobs WHERE status = 'open' ORDER BY n"

    assert names(f"{rule} DESC", {"x": "x"})[0] == "jobs[b].status"
    assert names(rule, {"x": "x"})[0] == "jobs[a].status"


def test_unions_and_common_tables_are_looked_through():
    """A row of a group in WITH leads to the rows of that group."""
    union = "SELECT id FROM workers WHERE NOT alive UNION ALL SELECT id FROM jobs WHERE n > 1 ORDER BY id"
    common = (
        "WITH c AS (SELECT worker, max(n) AS m FROM jobs GROUP BY worker) "
        "SELECT w.id, c.m FROM workers w JOIN c ON c.worker = w.id"
    )

    assert names(union, {"id": "b"}) == ["jobs[b].n", "jobs[b].id"]
    assert names(common, {"id": "w", "m": 1}) == ["workers[w].id", "jobs[a].worker", "jobs[a].n"]


def test_a_breach_of_an_invariant_has_cells_too():
    """Its detail is the row."""
    assert names("SELECT id, n FROM jobs WHERE n > 4", {"id": "b", "n": 5}, invariant=True) == [
        "jobs[b].n",
        "jobs[b].id",
    ]


def test_events_are_no_cells():
    """What has happened was not set by anything."""
    found = cells("SELECT kind, n FROM events JOIN jobs ON jobs.n = events.step", {"n": 1})

    assert [name for name, _, _ in found] == ["jobs[a].n"]


def test_names_that_only_quotes_can_carry_are_followed():
    """Tables, columns and keys, in any case."""
    tables = {
        HOSTILE: rk.Table(key=["Select", WORST], columns={"Select": "VARCHAR", WORST: "BIGINT", "FROM": "DOUBLE"})
    }
    rows = [(1, HOSTILE, {"Select": "it's", WORST: 7, "FROM": 0.5})]
    rule = 'SELECT t."select" AS "a b", t."A ""B"" \'C\'; --" AS "Order" FROM "IT\'S ""odd"". table" t WHERE "from" < 1'

    assert cells(rule, {"a b": "it's", "Order": 7}, rows=rows, tables=tables) == [
        (f"{HOSTILE}[it's/7].FROM", 0.5, '"from" < 1'),
        (f"{HOSTILE}[it's/7].Select", "it's", 'SELECT t."select"'),
        (f"{HOSTILE}[it's/7].{WORST}", 7, 'SELECT t."A ""B"" \'C\'; --"'),
    ]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("SELECT id FROM jobs EXCEPT SELECT id FROM workers", "EXCEPT of whole results"),
        ("SELECT j.id FROM jobs j FULL JOIN workers w ON w.id = j.worker", "the join FULL JOIN"),
        ("SELECT id FROM jobs, unnest([1]) AS u(x)", "in FROM"),
    ],
)
def test_what_can_not_be_split_has_no_cells_and_says_why(rule, said):
    """Nothing is better than a guess."""
    run = replayed(town(TABLES, rule, key="id"), JOBS)
    found, beyond = sql_grounds(*asked(run), {"id": "a"})

    assert found == ()
    assert said in beyond


CONDITIONS = [
    "j.status = 'open'", "j.n > 1", "j.worker IS NOT NULL", "j.status IN ('open', 'lost')", "j.n BETWEEN 1 AND 3",
    "EXISTS (SELECT 1 FROM workers x WHERE x.id = j.worker AND x.alive)", "j.worker IN (SELECT id FROM workers)",
    "j.id IN (SELECT y.id FROM jobs y JOIN workers z ON z.id = y.worker WHERE z.alive)",
]  # fmt: skip
SOURCES = ["jobs j", "jobs j JOIN workers w ON w.id = j.worker", "workers w, jobs j", "jobs j JOIN jobs w ON w.n = j.n"]
STATES = st.tuples(
    st.lists(
        st.fixed_dictionaries(
            {
                "status": st.sampled_from(["open", "closed", "lost"]),
                "worker": st.sampled_from([None, "v", "w"]),
                "n": st.integers(0, 4),
            }
        ),
        max_size=4,
    ),
    st.lists(st.sampled_from([True, False, None]), max_size=3),
)


def rows_of(state):
    """Return the puts that make a state."""
    jobs, workers = state
    return [
        *((1, "jobs", {"id": f"j{n}", **job}) for n, job in enumerate(jobs)),
        *((1, "workers", {"id": "wvu"[n], "alive": alive}) for n, alive in enumerate(workers)),
    ]


@settings(max_examples=some(40))
@given(state=STATES, source=st.sampled_from(SOURCES), conditions=st.lists(st.sampled_from(CONDITIONS), max_size=3))
def test_the_rows_of_the_cells_are_enough_for_the_row(state, source, conditions):
    """The rule on a state of these rows alone gives it again."""
    other = "w.id" if " w" in source else "1"
    rule = f"SELECT j.id, {other} AS other FROM {source} WHERE {' AND '.join(conditions) or 'TRUE'}"
    for fields in given_by(rule, rows_of(state))[:3]:
        named = {(one.table, one.key) for one in sql_cells(*still(rule, rows_of(state)), fields)}
        left = [one for one in rows_of(state) if (one[1], (one[2]["id"],)) in named]

        assert fields in given_by(rule, left)


@settings(max_examples=some(25))
@given(
    state=STATES, at=st.sampled_from(["j.n", "j.status", "count(*)"]), having=st.sampled_from(["count(*) > 1", "TRUE"])
)
def test_a_group_is_told_whole(state, at, having):
    """Its rows are those that plain Python counts."""
    rule = f"SELECT j.status, {at} AS x FROM jobs j GROUP BY ALL HAVING {having}"
    for fields in given_by(rule, rows_of(state)):
        told = {one.key[0] for one in sql_cells(*still(rule, rows_of(state)), fields)}
        jobs = [row for _, table, row in rows_of(state) if table == "jobs" and row["status"] == fields["status"]]

        assert told == {row["id"] for row in jobs if at != "j.n" or row["n"] == fields["x"]}


def test_the_blame_of_a_cell_fits_its_value():
    """A cell's value is the one the history has at that step."""
    run = replayed(town(TABLES, "SELECT id FROM jobs WHERE n > 4", key="id"), [*JOBS, (9, "jobs", {"id": "b", "n": 6})])
    scene, rule = asked(run)

    for one in sql_cells(scene, rule, {"id": "b"}):
        assert run.at(step=scene.step).blame(one.table, one.key, one.column).value == one.value
    assert run.at(step=scene.step).blame("jobs", "b", "n").since == after(9)
