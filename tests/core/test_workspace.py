"""Workspace: SQL sees the working set, in its order, at all times, and is asked no more often than it has to be."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from unittest import mock

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import some

from replaykit import answers, connection, temp_tables
from replaykit.asking import Asker
from replaykit.declarations import Table
from replaykit.errors import StateError
from replaykit.readings import readings
from replaykit.sql import check_query
from replaykit.state import State
from replaykit.storage import storage_type
from replaykit.workspace import Workspace

T0 = datetime(2026, 3, 26, 6)
JOBS = {
    "status": "VARCHAR", "n": "BIGINT", "score": "DOUBLE", "body": "JSON", "owner": "VARCHAR", "flag": "BOOLEAN",
    "seen": "TIMESTAMP", "cost": "DECIMAL(9,2)", "took": "INTERVAL", "raw": "BLOB",
}  # fmt: skip
TABLES = {
    "jobs": Table("id", JOBS),
    "links": Table(("id", "other"), kind="VARCHAR", n="BIGINT"),
    "people": Table("name", status="VARCHAR", boss="VARCHAR"),
}


@contextlib.contextmanager
def opened(tables=None, params=None):
    """Give a State and its Workspace, without a recording, in a transaction of their own."""
    instance = connection.memory()
    instance.execute("SET threads = 1")
    instance.execute("BEGIN TRANSACTION")
    state = State(tables or TABLES, params or {})
    workspace = Workspace(instance, state)
    state._sql = workspace.sql
    try:
        yield state, workspace
    finally:
        workspace.close()
        instance.close()


def asked(workspace, text):
    """Return the rows of a query as plain dicts."""
    return [dict(row) for row in workspace.rows(check_query(text))]


def counted():
    """Return a patch that counts the questions that reach DuckDB."""
    return mock.patch.object(Asker, "ask", autospec=True, side_effect=Asker.ask)


# What happens to a working set

TEXTS = st.sampled_from([None, "open", "done", "held", "", "zürich", "x" * 40, "half \ud800"])
NUMBERS = st.sampled_from([None, 0, 1, 2, -3, 10**15])
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from([None, "open", "done", "held"]),
        "n": NUMBERS,
        "score": st.sampled_from([None, 0.0, -0.0, 1.5, float("inf")]),
        "body": st.sampled_from([None, "{}", '{"a":1}', "no json"]),
        "owner": TEXTS,
        "flag": st.sampled_from([None, True, False]),
        "seen": st.integers(0, 3).map(lambda n: T0 + timedelta(seconds=n)),
        "cost": st.sampled_from([None, 0, 1]),
        "took": st.sampled_from([None, timedelta(seconds=5)]),
        "raw": st.sampled_from([None, b"", b"\x00\xff"]),
    },
)
KEYS = st.integers(0, 7).map("j{}".format)
OTHERS = st.integers(0, 3).map("p{}".format)
WRITES = st.one_of(
    st.tuples(st.just("put"), KEYS, VALUES),
    st.tuples(st.just("put"), KEYS, VALUES),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("anew"), KEYS, VALUES),
    st.tuples(st.just("link"), KEYS, KEYS, st.sampled_from(["tracks", "blocks", None]), NUMBERS),
    st.tuples(st.just("unlink"), KEYS, KEYS),
    st.tuples(st.just("person"), OTHERS, st.sampled_from([None, "open", "held"]), st.one_of(st.none(), OTHERS)),
)
ALL = st.one_of(
    WRITES,
    WRITES,
    WRITES,
    st.tuples(st.just("many"), st.integers(5, 70), VALUES),
    st.tuples(st.just("sql"), st.sampled_from([
        "UPDATE jobs SET n = coalesce(n, 0) + 1 WHERE status = 'open'",
        "UPDATE jobs SET owner = 'sql', flag = NOT flag",
        "DELETE FROM jobs WHERE n > 1 OR id = 'j3'",
        "INSERT INTO jobs (id, n) SELECT 's' || id, n FROM jobs WHERE length(id) < 4 ORDER BY id DESC",
        "INSERT INTO links SELECT id, id || 'x', 'sql', n FROM jobs WHERE id NOT IN (SELECT id FROM links) ORDER BY id",
        "DELETE FROM links WHERE kind = 'sql'",
    ])),
    st.tuples(st.just("flush")),
)  # fmt: skip


def do(state, workspace, write):  # noqa: C901
    """Do one write to the working set."""
    jobs, links = state["jobs"], state["links"]
    match write:
        case "put", key, values:
            jobs.upsert({"id": key, **values})
        case "delete", key:
            jobs.delete(key)
        case "anew", key, values:
            jobs.delete(key)
            jobs.insert({"id": key, **values})
        case "link", key, other, kind, n:
            links.upsert(id=key, other=other, kind=kind, n=n)
        case "unlink", *key:
            links.delete(tuple(key))
        case "person", name, status, boss:
            state["people"].upsert(name=name, status=status, boss=boss)
        case "many", number, values:
            for n in range(number):
                jobs.upsert({"id": f"m{n * 7 % number}", **values})
        case "sql", text:
            with contextlib.suppress(StateError):  # there is such a row already
                state.sql(text)
        case ("flush",):
            workspace.flushed()
            state.changes.clear()


def in_order(state, workspace):
    """Return what SQL sees in the order of rowid, and what it should see, each table."""
    seen = {name: asked(workspace, f"SELECT * FROM {name} ORDER BY {name}.rowid") for name in state.tables}
    # Half a surrogate pair has no place in UTF-8.
    held = {
        name: [{c: _shown(v) for c, v in row.items()} for row in table.find()] for name, table in state.tables.items()
    }
    return seen, held


def _shown(value):
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


@settings(max_examples=some(60))
@given(batches=st.lists(st.tuples(st.lists(ALL, max_size=6), st.booleans()), min_size=2, max_size=8))
def test_rowid_order_is_insertion_order_after_any_writes(batches):
    """Updates in place, deleted and inserted again at the end, in small and large batches, undone, through SQL."""
    with opened() as (state, workspace), mock.patch.object(temp_tables, "_GONE", 20):
        for writes, undone in batches:
            mark = len(state.changes)
            for write in writes:
                do(state, workspace, write)
                mark = 0 if write[0] == "flush" else mark
            if undone:
                in_order(state, workspace)
                state.undo(mark)
                workspace.forget()
            seen, held = in_order(state, workspace)

            assert seen == held


@pytest.mark.parametrize("number", [1, 6, 7, 51, 3000])
def test_an_update_moves_no_row_however_many_are_updated_at_once(number):
    """DuckDB keeps the rowid in an UPDATE, row by row and through Arrow, of every type; over and over."""
    with opened() as (state, workspace):
        for n in range(number):
            state["jobs"].insert(id=f"j{n}", n=n)
        before = asked(workspace, "SELECT rowid AS place, id FROM jobs ORDER BY jobs.rowid")
        for turn in range(5):
            for n in reversed(range(turn % 2, number)):
                state["jobs"].update(
                    f"j{n}", status="open" * turn, n=turn, score=turn / 3, body={"turn": turn}, flag=turn % 2 == 0,
                    seen=T0 + timedelta(turn), cost=turn, took=timedelta(turn), raw=b"\x00" * turn,
                )  # fmt: skip
            seen, held = in_order(state, workspace)

            assert seen == held
        assert asked(workspace, "SELECT rowid AS place, id FROM jobs ORDER BY jobs.rowid") == before


def test_a_row_deleted_and_inserted_again_stands_at_the_end_and_one_undone_where_it_was():
    """As in the working set."""
    query = "SELECT id FROM jobs ORDER BY jobs.rowid"
    with opened() as (state, workspace):
        for key in "abcd":
            state["jobs"].insert(id=key)
        assert [row["id"] for row in asked(workspace, query)] == ["a", "b", "c", "d"]
        mark = len(state.changes)

        state["jobs"].delete("b")
        state["jobs"].update("c", n=1)
        state["jobs"].insert(id="b")
        assert [row["id"] for row in asked(workspace, query)] == ["a", "c", "d", "b"]

        state.undo(mark)
        workspace.forget()
        assert [row["id"] for row in asked(workspace, query)] == ["a", "b", "c", "d"]


def test_a_table_that_is_emptied_over_and_over_does_not_get_slower():
    """A transaction scans the rows deleted in it, so that the table is filled anew now and then."""
    with opened() as (state, workspace), mock.patch.object(temp_tables, "_GONE", 10):
        for n in range(100):
            state["jobs"].insert(id=f"j{n}", n=n)
            if n >= 3:
                state["jobs"].delete(f"j{n - 3}")
            assert [row["id"] for row in asked(workspace, "SELECT id FROM jobs ORDER BY jobs.rowid")] == [
                f"j{k}" for k in range(max(0, n - 2), n + 1)
            ]
        scanned = workspace.connection.execute("SELECT max(rowid) - min(rowid) FROM jobs").fetchone()[0]
        last = workspace.connection.execute("SELECT min(rowid) FROM jobs").fetchone()[0]
        workspace.connection.execute("CREATE TEMP TABLE new (x INTEGER)")
        workspace.connection.execute("INSERT INTO new VALUES (1)")
        first = workspace.connection.execute("SELECT min(rowid) FROM new").fetchone()[0]

    assert scanned == 2
    assert last - first < 20


# Asked no more often than needed

CONDITIONS = [
    "{0}.status = 'open'", "{0}.status IN ('open', 'held')", "{0}.status IS NULL", "{0}.status IS NOT NULL",
    "{0}.status <> 'done'", "NOT ({0}.status = 'open')", "'held' = {0}.status", "{0}.status NOT IN ('done')",
    "({0}.status = 'open' OR {0}.status IS NULL)", "NOT ({0}.status = 'open' AND {0}.status IS NOT NULL)",
    "{0}.status LIKE 'o%'", "upper({0}.status) = 'OPEN'", "({0}.status = 'open' OR length({0}.status) > 4)",
    "TRUE", "{0}.status = {0}.status", "{0}.status = NULL", "{0}.status IN (SELECT p.status FROM people AS p)",
]  # fmt: skip
OF_JOBS = [
    "{0}.n = 1", "{0}.n IN (0, 2)", "{0}.n <> 0", "{0}.n > 0", "{0}.n = 1.0", "{0}.n = '1'", "{0}.flag",
    "{0}.flag = TRUE", "NOT {0}.flag", "{0}.flag <> FALSE", "{0}.owner = 'zürich'", "{0}.owner = ''", "{0}.score = 0",
    "1 / {0}.score > 0", "{0}.seen > TIMESTAMP '2026-03-26 06:00:01'", "{0}.body = '{{}}'", "{0}.cost = 1",
    "{0}.owner = E'zürich'",
]  # fmt: skip
QUERIES = [
    "SELECT j.id FROM jobs AS j WHERE {j} AND {J} ORDER BY j.rowid",
    "SELECT id, status AS state FROM jobs WHERE {bare} ORDER BY jobs.rowid",
    "SELECT owner AS status FROM jobs AS j WHERE status = 'open' AND {J} ORDER BY ALL",
    "SELECT j.status, count(*) AS c, sum(j.n) AS s FROM jobs j WHERE {J} GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL",
    "SELECT count(*) AS c FROM jobs WHERE {bare}",
    "SELECT count(*) AS c, max(id) AS last FROM jobs AS j WHERE {j}",
    "SELECT * FROM jobs AS j WHERE {j} AND {J} ORDER BY j.rowid",
    "FROM jobs AS j WHERE {J} ORDER BY j.rowid",
    "SELECT j.* EXCLUDE (body), 1 AS one FROM jobs AS j WHERE {j} ORDER BY ALL",
    "SELECT j.id, COLUMNS('s.*') FROM jobs AS j ORDER BY ALL",
    "SELECT j FROM jobs AS j WHERE {j} ORDER BY j.rowid",
    "SELECT to_json(jobs) AS j FROM jobs ORDER BY jobs.rowid",
    "SELECT j.id, l.other FROM jobs j JOIN links l ON l.id = j.id AND {j} WHERE l.kind = 'tracks' AND {J} ORDER BY ALL",
    "SELECT j.id, l.kind FROM jobs j LEFT JOIN links l ON l.id = j.id AND l.kind = 'tracks' WHERE {j} ORDER BY ALL",
    "SELECT j.id FROM jobs j LEFT JOIN links l ON l.id = j.id AND {j} WHERE l.kind IS NULL OR l.n = 1 ORDER BY ALL",
    "SELECT j.id FROM jobs j LEFT JOIN links l ON l.id = j.id WHERE l.kind IS NULL ORDER BY ALL",
    "SELECT j.id, l.id AS l FROM jobs j FULL JOIN links l ON l.id = j.id AND {J} WHERE l.kind = 'tracks' ORDER BY ALL",
    "SELECT j.id, l.id AS l FROM jobs j RIGHT JOIN links l ON l.id = j.id WHERE {j} ORDER BY ALL",
    "SELECT j.id FROM jobs j SEMI JOIN links l ON l.id = j.id AND {J} WHERE {j} ORDER BY ALL",
    "SELECT j.id FROM jobs j ANTI JOIN links l ON l.id = j.id AND l.kind = 'tracks' ORDER BY ALL",
    "SELECT id, n, kind FROM jobs JOIN links USING (id, n) ORDER BY ALL",
    "SELECT id, other FROM jobs NATURAL JOIN links ORDER BY ALL",
    "SELECT j.id, p.name FROM jobs j, people p WHERE {j} AND p.status = j.status ORDER BY ALL",
    (
        "SELECT a.id, b.id AS twin FROM jobs a JOIN jobs b ON a.n = b.n AND a.id < b.id "
        "WHERE a.flag AND b.status = 'open' ORDER BY ALL"
    ),
    (
        "SELECT j.id FROM jobs j WHERE {j} AND EXISTS (SELECT 1 FROM links l WHERE l.id = j.id AND l.kind = 'tracks') "
        "ORDER BY ALL"
    ),
    (
        "SELECT j.id FROM jobs j WHERE {J} AND NOT EXISTS (SELECT 1 FROM links l JOIN jobs o ON o.id = l.other "
        "WHERE l.id = j.id AND o.status IN ('open', 'held')) ORDER BY j.rowid"
    ),
    (
        "SELECT name FROM people WHERE status = 'open' AND NOT EXISTS (SELECT 1 FROM links "
        "WHERE other = name OR n = 1) ORDER BY ALL"
    ),
    "SELECT j.id FROM jobs j WHERE j.id NOT IN (SELECT id FROM links WHERE kind <> 'blocks') ORDER BY ALL",
    "SELECT j.id, (SELECT count(*) FROM links WHERE links.id = j.id AND n = 1) AS c FROM jobs j WHERE {j} ORDER BY ALL",
    "SELECT name, (SELECT max(n) FROM jobs WHERE status = people.status AND {bare}) AS m FROM people ORDER BY ALL",
    (
        "WITH open AS (SELECT id, n FROM jobs AS j WHERE {j}) SELECT o.id, l.other FROM open o LEFT JOIN links l "
        "ON l.n = o.n ORDER BY ALL"
    ),
    (
        "WITH jobs AS (SELECT id, owner AS status FROM jobs WHERE n = 1) SELECT id, status "
        "FROM jobs WHERE status = 'open' ORDER BY ALL"
    ),
    "WITH people AS (SELECT id AS name, status FROM jobs) SELECT name FROM people WHERE status = 'open' ORDER BY ALL",
    "SELECT x.id FROM (SELECT * FROM jobs AS j WHERE {J}) AS x WHERE x.status = 'open' ORDER BY ALL",
    "SELECT s FROM (SELECT status AS s, n FROM jobs) AS status WHERE n = 1 ORDER BY ALL",
    "SELECT id FROM jobs WHERE status = 'open' UNION SELECT name FROM people WHERE status = 'open' ORDER BY id",
    "SELECT id FROM jobs EXCEPT SELECT id FROM links WHERE kind = 'tracks' ORDER BY ALL",
    "SELECT id, row_number() OVER (PARTITION BY status ORDER BY jobs.rowid) AS r FROM jobs WHERE {bare} ORDER BY ALL",
    "SELECT id, sum(n) OVER w AS s FROM jobs AS j WHERE {j} WINDOW w AS (PARTITION BY owner) ORDER BY ALL",
    "SELECT id FROM jobs QUALIFY row_number() OVER (PARTITION BY status ORDER BY n, id) = 1 ORDER BY ALL",
    "SELECT count(*) FILTER (WHERE flag) AS f, list(id ORDER BY id) AS ids FROM jobs AS j WHERE {j}",
    "SELECT list(status) AS inside FROM jobs WHERE {bare}",
    "SELECT a.x FROM jobs AS a(x, y) WHERE a.y = 'open' ORDER BY ALL",
    "SELECT x.status, x.id FROM 'jobs' AS x ORDER BY ALL",
    (
        "SELECT j.id, l.kind FROM 'jobs' AS x JOIN jobs AS j ON j.id = x.owner OR j.n = x.n LEFT JOIN links l "
        "ON l.id = x.id WHERE j.status = 'open' ORDER BY ALL"
    ),
    "SELECT j.id, t.s FROM jobs j, LATERAL (SELECT j.status || coalesce(j.owner, '') AS s) AS t WHERE {j} ORDER BY ALL",
    "SELECT j.id FROM (jobs j JOIN links l ON l.id = j.id) WHERE {j} ORDER BY ALL",
    "SELECT j.id FROM jobs j WHERE {j} AND (SELECT count(*) FROM jobs WHERE status = 'done') > 1 ORDER BY ALL",
    "SELECT status.upper() AS u FROM jobs WHERE {bare} ORDER BY ALL",
    "SELECT id FROM jobs WHERE status = $wanted AND n = $n ORDER BY ALL",
    "SELECT id FROM jobs ORDER BY status DESC NULLS LAST, jobs.rowid LIMIT 2",
    "SELECT DISTINCT ON (status) status, id FROM jobs ORDER BY status, id",
    "SELECT [x FOR x IN [status, owner] IF x = 'open'] AS l FROM jobs ORDER BY ALL",
    "SELECT jobs.id FROM main.jobs WHERE jobs.status = 'open' ORDER BY ALL",
    "SELECT 1 AS one",
]  # fmt: skip
PARAMS = {"wanted": "open", "n": 1}


@st.composite
def queries(draw):
    """Return a small query over the tables, with conditions put in."""
    condition = st.sampled_from([*CONDITIONS, *OF_JOBS])
    j = draw(st.sampled_from(CONDITIONS)).format("j")
    both = " AND ".join(one.format("j") for one in draw(st.lists(condition, min_size=1, max_size=2)))
    bare = draw(condition).replace("{0}.", "").replace("{{}}", "{}")
    return draw(st.sampled_from(QUERIES)).format(j=j, J=both, bare=bare)


class Oracle:
    """The working set in tables that are made anew for each question."""

    def __init__(self):
        self.connection = duckdb.connect(":memory:")
        self.connection.execute("SET threads = 1")
        self.connection.execute("SET TimeZone = 'UTC'")

    def take(self, state):
        """Hold what a working set holds."""
        for name, table in state.tables.items():
            columns = ", ".join(f'"{c}" {storage_type(t.sql)}' for c, t in table.types.items())
            self.connection.execute(f"CREATE OR REPLACE TABLE {name} ({columns})")
            rows = [[_shown(value) for value in row.values()] for row in table.find()]
            if rows:
                self.connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(table.types))})", rows)

    def answer(self, query):
        """Return the rows a query gives."""
        used = {name: value for name, value in PARAMS.items() if f"${name}" in query}
        cursor = self.connection.execute(query, used)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


@settings(max_examples=some(60))
@given(
    chosen=st.lists(queries(), min_size=3, max_size=6, unique=True),
    batches=st.lists(st.tuples(st.lists(ALL, max_size=3), st.booleans()), min_size=3, max_size=8),
    often=st.sampled_from([1, 1, 2, 20]),
)
def test_answers_that_are_kept_are_the_answers_that_would_be_given(chosen, batches, often):
    """Filters, joins, groups, EXISTS, common table expressions, windows, stars; after changes of any columns."""
    oracle = Oracle()
    with opened(params=PARAMS) as (state, workspace), mock.patch.object(answers, "_OFTEN", often):
        for writes, undone in batches:
            mark = len(state.changes)
            for write in writes:
                do(state, workspace, write)
                mark = 0 if write[0] == "flush" else mark
            if undone:
                asked(workspace, chosen[0])
                state.undo(mark)
                workspace.forget()
            oracle.take(state)
            for query in chosen:
                assert repr(asked(workspace, query)) == repr(oracle.answer(query)), query


NARROW = {
    "SELECT id FROM jobs WHERE status = 'open' ORDER BY jobs.rowid": {"jobs": {"id", "status"}},
    "SELECT j.id FROM jobs j JOIN people p ON p.name = j.owner WHERE p.status = 'open' ORDER BY j.rowid": {
        "jobs": {"id", "owner"},
        "people": {"name", "status"},
    },
    "SELECT boss, count(*) AS n FROM people GROUP BY boss HAVING count(*) > 1 ORDER BY boss": {"people": {"boss"}},
    "SELECT name FROM people WHERE EXISTS (SELECT 1 FROM jobs WHERE owner = name AND status = 'open')": {
        "jobs": {"owner", "status"},
        "people": {"name"},
    },
    "SELECT count(*) AS c FROM jobs": {"jobs": set()},
    "WITH late AS (SELECT id FROM jobs WHERE flag) SELECT l.kind FROM links l JOIN late ON late.id = l.id": {
        "jobs": {"id", "flag"},
        "links": {"kind", "id"},
    },
    "SELECT id FROM jobs WHERE 'status' = owner": {"jobs": {"id", "owner", "status"}},
    "SELECT id FROM jobs JOIN links USING (id) WHERE kind IS NULL": {"jobs": {"id"}, "links": {"id", "kind"}},
    "SELECT p.* FROM people p, jobs j WHERE j.n = 1": {"people": {"name", "status", "boss"}, "jobs": {"n"}},
    "SELECT x.n FROM (SELECT n FROM jobs) AS x": {"jobs": {"n"}},
    "SELECT status FROM 'people'": {"people": {"status"}},
}


@pytest.mark.parametrize("query", NARROW)
def test_only_the_columns_that_are_read_count(query):
    """As far as that is certain: a name that could be of another table counts for both."""
    shape = tuple((name, tuple(table.columns.items())) for name, table in TABLES.items())
    found = {name: set(one.columns) for name, one in readings(check_query(query), shape).items()}

    assert found == NARROW[query]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM people",
        "FROM people",
        "SELECT p FROM people AS p",
        "SELECT count(p) AS c FROM people AS p",
        "SELECT COLUMNS('n.*') FROM people",
        "SELECT p.status FROM people AS p NATURAL JOIN people AS o",
        "SELECT a.x FROM people AS a(x, y)",
        "SELECT x.name FROM (SELECT * FROM people) AS x",
        "SUMMARIZE people",
    ],
)
def test_what_may_read_any_column_counts_as_all_of_them(query):
    """Stars, whole rows, columns by pattern or under another name."""
    shape = (("people", tuple(TABLES["people"].columns.items())),)

    assert readings(check_query(query), shape)["people"].columns == {"name", "status", "boss"}


def test_a_question_is_asked_again_only_when_something_it_reads_has_changed():
    """Neither for a column that it does not read, nor for a row that its WHERE never lets in."""
    query = "SELECT j.id FROM jobs AS j WHERE j.status = 'open' AND j.n > 0 ORDER BY j.rowid"
    with opened() as (state, workspace), counted() as ask, mock.patch.object(answers, "_OFTEN", 1):
        for n in range(10):
            state["jobs"].insert(id=f"j{n}", status="open" if n < 5 else "done", n=n)
        asked(workspace, query)

        def questions(*writes, **values):
            before = ask.call_count
            for key in writes:
                state["jobs"].upsert(id=key, **values)
            asked(workspace, query)
            return ask.call_count - before

        assert questions() == 0
        assert questions("j1", "j7", seen=T0, owner="a", score=0.5) == 0
        assert questions("j1", n=7) == 1
        assert questions("j8", n=7) == 0
        assert questions("j8", status="held") == 0
        assert questions("j8", status="open") == 1
        assert questions("j8", status="done") == 0  # it sees what it saw before
        assert questions("new", status="done", n=4) == 0
        assert questions("new", status="open") == 1
        state["jobs"].delete("j9")
        assert questions() == 0
        state["jobs"].delete("j2")
        assert questions() == 1


def test_half_a_surrogate_pair_is_compared_as_sql_sees_it():
    """It is shown as an escape, and a condition may name just that."""
    query = "SELECT id FROM jobs WHERE owner = 'x' OR owner = '\\udc00' ORDER BY jobs.rowid"
    with opened() as (state, workspace), mock.patch.object(answers, "_OFTEN", 1):
        state["jobs"].insert(id="a", owner="x")
        assert asked(workspace, query) == [{"id": "a"}]
        state["jobs"].insert(id="b", owner="\udc00")

        assert asked(workspace, query) == [{"id": "a"}, {"id": "b"}]


def test_zero_and_minus_zero_are_two_values():
    """For Python they are equal."""
    query = "SELECT id, score::VARCHAR AS text FROM jobs"
    with opened() as (state, workspace), mock.patch.object(answers, "_OFTEN", 1):
        state["jobs"].insert(id="a", score=0.0)
        assert asked(workspace, query) == [{"id": "a", "text": "0.0"}]
        state["jobs"].update("a", score=-0.0, n=1)

        assert asked(workspace, query) == [{"id": "a", "text": "-0.0"}]


def test_a_table_named_in_a_string_is_a_table_that_is_read():
    """``FROM 'jobs'`` is one of DuckDB's ways to name a table."""
    with opened() as (state, workspace):
        for n in range(3):
            state["jobs"].insert(id=f"j{n}")

            assert asked(workspace, "SELECT count(*) AS c FROM 'jobs'") == [{"c": n + 1}]


def test_more_statements_than_are_kept_are_answered_all_the_same():
    """A handler may write a new one for each event."""
    with opened() as (state, workspace), mock.patch.multiple(answers, _MANY=5, _OFTEN=2):
        for turn in range(4):
            state["jobs"].upsert(id="a", n=turn)
            for n in range(12):
                assert asked(workspace, f"SELECT n + {n} AS s FROM jobs") == [{"s": turn + n}]


def test_a_failed_question_costs_no_answer():
    """The transaction is lost and begun again; what was kept before it is forgotten."""
    with opened() as (state, workspace), mock.patch.object(answers, "_OFTEN", 1):
        state["jobs"].insert(id="a", owner="1")
        for n in range(5):
            state["jobs"].update("a", n=n)
            with pytest.raises(StateError, match="Conversion Error"):
                asked(workspace, "SELECT owner::DATE AS d FROM jobs")
            assert asked(workspace, "SELECT n FROM jobs") == [{"n": n}]
            assert asked(workspace, "SELECT count(*) AS c FROM jobs WHERE n = 3") == [{"c": int(n == 3)}]


def test_without_a_recording_there_is_no_table_of_events():
    """And an error that says so, not a table of nothing."""
    with opened() as (state, workspace):
        state["jobs"].insert(id="a")
        with pytest.raises(StateError, match="events"):
            asked(workspace, "SELECT count(*) AS c FROM events")

        assert asked(workspace, "SELECT id FROM jobs") == [{"id": "a"}]
