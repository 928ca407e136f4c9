"""The guard: what may not run is refused beside a statement that works, and the engine's own limits hold behind it."""

from __future__ import annotations

import duckdb
import pytest

from replaykit import connection
from replaykit.errors import GuardError
from replaykit.rollback import restarted, rolled_back
from replaykit.sql import check_query, check_statement, quote


@pytest.fixture(scope="module")
def sealed():
    """A sealed instance with one table, as a replay's statements see it."""
    memory = connection.memory()
    memory.execute("CREATE TABLE jobs (id INTEGER, status VARCHAR, seen TIMESTAMP)")
    memory.execute("INSERT INTO jobs VALUES (1, 'lost', TIMESTAMP '2026-03-26'), (2, 'done', NULL)")
    connection.seal(memory)
    yield memory
    memory.close()


@pytest.fixture
def engine(sealed):
    """The instance inside a transaction that is rolled back."""
    with rolled_back(sealed):
        yield sealed


# Each refused statement beside one that says what its author may do, and that runs.
STATEMENTS = [
    ("SELECT 1; SELECT 2", "holds 2 statements", "SELECT 1"),
    ("", "holds 0 statements", "SELECT 1"),
    ("-- nothing", "holds 0 statements", "SELECT 1 -- one"),
    ("SELEC 1", "can't be read", "SELECT 1"),
    ("BEGIN", "kind TRANSACTION", "SELECT 1"),
    ("COMMIT", "kind TRANSACTION", "SELECT 1"),
    ("ROLLBACK", "kind TRANSACTION", "SELECT 1"),
    ("DETACH recording", "kind DETACH", "SELECT 1"),
    ("ATTACH 'x.duckdb'", "kind ATTACH", "SELECT 1"),
    ("USE memory", "kind SET", "SELECT 1"),
    ("LOAD json", "kind LOAD", "SELECT json_valid('1')"),
    ("INSTALL json", "kind LOAD", "SELECT json_valid('1')"),
    ("CREATE TABLE x (a INT)", "kind CREATE", "WITH x AS (SELECT 1) SELECT * FROM x"),
    ("CREATE MACRO now2() AS now()", "kind CREATE", "SELECT 1"),
    ("CREATE SEQUENCE s", "kind CREATE", "SELECT row_number() OVER (ORDER BY id) FROM jobs"),
    ("DROP TABLE jobs", "kind DROP", "DELETE FROM jobs"),
    ("ALTER TABLE jobs ADD COLUMN x INT", "kind ALTER", "SELECT *, 1 AS x FROM jobs"),
    ("TRUNCATE jobs", "may not use TRUNCATE", "DELETE FROM jobs"),
    ("SET TimeZone = 'Asia/Tokyo'", "kind SET", "SELECT timezone('Asia/Tokyo', seen)::VARCHAR FROM jobs"),
    ("SET VARIABLE x = 1", "kind SET", "SELECT 1"),
    ("RESET TimeZone", "kind SET", "SELECT 1"),
    ("PRAGMA version", "kind PRAGMA", "SELECT 1"),
    ("CALL pragma_version()", "kind CALL", "SELECT 1"),
    ("CHECKPOINT", "kind CALL", "SELECT 1"),
    ("EXPLAIN ANALYZE SELECT 1", "kind EXPLAIN", "SELECT 1"),
    ("EXPLAIN ANALYZE DELETE FROM jobs", "kind EXPLAIN", "DELETE FROM jobs"),
    ("COPY jobs TO 'jobs.csv'", "kind COPY", "SELECT * FROM jobs"),
    ("COPY (SELECT 1) TO 'one.csv'", "kind COPY", "SELECT 1"),
    ("EXPORT DATABASE 'x'", "kind EXPORT", "SELECT 1"),
    ("IMPORT DATABASE 'x'", "kind PRAGMA", "SELECT 1"),
    ("PREPARE p AS SELECT 1", "kind PREPARE", "SELECT 1"),
    ("EXECUTE p", "kind EXECUTE", "SELECT 1"),
    ("VACUUM", "kind VACUUM", "SELECT 1"),
    ("MERGE INTO jobs USING jobs j ON (true) WHEN MATCHED THEN DELETE", "kind MERGE_INTO", "DELETE FROM jobs"),
    ("PIVOT jobs ON status USING count(*)", "kind MULTI", "SELECT count(*) FILTER (WHERE status = 'lost') FROM jobs"),
    ("WITH x AS (UPDATE jobs SET id = 3 RETURNING *) SELECT * FROM x", "may not use UPDATE", "UPDATE jobs SET id = 3"),
    ("WITH x AS (INSERT INTO jobs VALUES (3) RETURNING *) SELECT * FROM x", "may not use I", "SELECT 'INSERT INTO x'"),
    ("WITH x AS (DELETE FROM jobs RETURNING *) FROM x", "may not use DELETE", 'SELECT 1 AS "delete"'),
    (
        "INSERT INTO jobs SELECT 3, 'x', NULL ON CONFLICT DO UPDATE SET id = 3",
        "UPDATE",
        "INSERT INTO jobs (id) VALUES (3)",
    ),
    ("SELECT * FROM jobs TABLESAMPLE 1 ROWS", "may not use TABLESAMPLE", "SELECT * FROM jobs ORDER BY id LIMIT 1"),
    ("SELECT * FROM jobs USING SAMPLE 1", "may not use SAMPLE", 'SELECT id AS "sample" FROM jobs'),
]


@pytest.mark.parametrize(("refused", "reason", "works"), STATEMENTS)
def test_a_statement_that_reaches_further_is_refused_beside_one_that_works(refused, reason, works, engine):
    """A guard that refuses everything would pass the first half."""
    with pytest.raises(GuardError, match=reason):
        check_statement(refused)

    assert engine.execute(check_statement(works).text).fetchall()


CLOCKS = """
now() | get_current_timestamp() | transaction_timestamp() | today() | current_localtime() | current_localtimestamp()
current_timestamp | current_date | current_time | localtime | localtimestamp | "now"() | NOW ( ) | now/**/()
main.now() | age(TIMESTAMP '2026-01-01') | now() AS materialized | list_transform([1], lambda x: now())
""".replace("\n", "|").split("|")


@pytest.mark.parametrize("clock", [clock.strip() for clock in CLOCKS if clock.strip()])
def test_a_clock_in_sql_is_refused_with_the_way_out(clock):
    """What reads the clock answers differently tomorrow; ``$now`` is the clock of the replay."""
    with pytest.raises(GuardError, match=r"use \$now"):
        check_query(f"SELECT {clock}")

    assert check_query("SELECT $now - INTERVAL 5 MINUTE").parameters == {"now"}


@pytest.mark.parametrize(
    "draw",
    ["random()", "uuid()", "gen_random_uuid()", "uuidv4()", "uuidv7()", "setseed(0.5)", "reservoir_quantile(1, 0.5)"],
)
def test_randomness_in_sql_is_refused_with_the_way_out(draw):
    """A handler has a generator that is seeded the same way in every replay."""
    with pytest.raises(GuardError, match=r"draws with .* use state\.random or state\.new_id"):
        check_query(f"SELECT {draw}")

    assert check_query("SELECT hash(1), md5('a')").kind == "SELECT"


@pytest.mark.parametrize(
    "call",
    [
        "nextval('s')", "currval('s')", "getvariable('x')", "current_setting('threads')", "getenv('HOME')", "version()",
        "current_query()", "txid_current()", "write_log('x')", "sleep_ms(1)", "error('x')",
        "json_serialize_sql('SELECT 1')",
        "current_database()",
    ],
)  # fmt: skip
def test_a_function_with_side_effects_or_of_the_session_is_refused(call):
    """An allow-list: what a later DuckDB adds is refused until somebody looked at it."""
    with pytest.raises(GuardError, match="not among the functions a replay may call"):
        check_query(f"SELECT {call}")


@pytest.mark.parametrize(
    "source",
    [
        "query('SELECT now()')", "query_table('jobs')", "json_execute_serialized_sql('{}')", "read_csv('x.csv')",
        "read_parquet('x')", "parquet_scan('x')", "read_json('x')", "read_text('/etc/passwd')", "read_blob('x')",
        "glob('*')", "sniff_csv('x')", "duckdb_settings()", "duckdb_secrets()", "pragma_database_size()",
        "which_secret('a', 'b')",
    ],
)  # fmt: skip
def test_a_table_function_that_reads_files_or_runs_text_is_refused(source):
    """Text run as SQL would pass by every other check."""
    with pytest.raises(GuardError, match="no files, no side effects, no text run as SQL"):
        check_query(f"SELECT * FROM {source}")

    assert check_query("SELECT * FROM range(3)").kind == "SELECT"


@pytest.mark.parametrize(
    "hidden",
    [
        "SELECT 1 /* /* */ */ , epoch(now())",
        r"SELECT '\', epoch(now()), '\'",
        'SELECT U&"\\006eow"()',
        "SELECT now -- a comment\n()",
        "SELECT now\u00a0()",
        "SELECT (SELECT epoch(now()))",
        "SELECT 1 ORDER BY random()",
        "SELECT [x FOR x IN [1] IF random() < 1]",
        "VALUES (random())",
        "FROM (FROM query('SELECT 1'))",
    ],
)
def test_a_call_can_not_hide(hidden):
    """The guard reads the engine's own tokens, so comments, quotes and escapes mean to it what they mean there."""
    with pytest.raises(GuardError):
        check_query(hidden)


ORDINARY = [
    'SELECT \'now()\', $$ random() $$, "now" FROM (SELECT 1 AS "now")',
    r"SELECT E'\' , now(), \''",
    "SELECT count(*) FILTER (WHERE id > 1) OVER (PARTITION BY status) FROM jobs",
    "SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM jobs",
    "SELECT sum(id) OVER w FROM jobs WINDOW w AS (PARTITION BY status)",
    "WITH a(x) AS (SELECT 1), b AS MATERIALIZED (SELECT 2), c(x) AS NOT MATERIALIZED (SELECT 3) SELECT * FROM a, b, c",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t",
    "SELECT extract(year FROM seen), date_part('month', seen), seen::DATE, CAST(id AS DECIMAL(10, 2)) FROM jobs",
    "SELECT id IN (1, 2), id BETWEEN (1) AND (2), status LIKE ('l%'), EXISTS (SELECT 1) FROM jobs",
    "SELECT CASE WHEN (id > 1) THEN (1) ELSE (2) END FROM jobs",
    "SELECT status, count(*) FROM jobs GROUP BY ROLLUP (status)",
    "SELECT status, count(*) FROM jobs GROUP BY GROUPING SETS ((status), ())",
    "SELECT * EXCLUDE (seen), COLUMNS('i.*') FROM jobs",
    "SELECT j.id, u.x FROM jobs AS j, unnest([1, 2]) AS u(x)",
    "SELECT arg_max(id, seen), any_value(status ORDER BY id), list_transform([1], lambda x: x + 1) FROM jobs",
    "SELECT * FROM jobs ASOF JOIN (SELECT TIMESTAMP '2026-01-01' AS since) AS o ON jobs.seen >= o.since",
    "SELECT payload->>'$.a', json_extract_string(payload, '$.b') FROM (SELECT '{\"a\": 1}'::JSON AS payload)",
    "FROM jobs",
    "TABLE jobs",
    "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_sql_passes_and_runs(text, engine):
    """Rules are SQL that people write; a guard in their way would be taken out."""
    assert engine.execute(check_query(text).text).description


def test_a_query_that_writes_is_refused_where_only_questions_may_stand(engine):
    """Rules, invariants and ``run.sql`` ask."""
    with pytest.raises(GuardError, match=r"may only ask, and .* is of kind DELETE"):
        check_query("DELETE FROM jobs")

    assert check_statement("DELETE FROM jobs").kind == "DELETE"


def test_a_trailing_comment_swallows_nothing_put_behind_it(engine):
    """``RETURNING *`` behind ``DELETE FROM jobs -- all`` would be comment, and the log miss the rows."""
    statement = check_statement("DELETE FROM jobs -- all of them ; \n ;")

    assert statement.text == "DELETE FROM jobs"


def test_the_words_of_a_statement_cover_every_table_it_reads():
    """What a statement doesn't name need not be brought up to date for it."""
    statement = check_query('SELECT "Jobs".id FROM "Jobs" JOIN deps d USING (id) WHERE EXISTS (FROM events)')

    assert {"jobs", "deps", "events"} <= statement.words


@pytest.mark.parametrize("text", [None, 3, b"SELECT 1"])
def test_what_is_no_text_is_no_statement(text):
    """A forgotten argument is named by its type."""
    with pytest.raises(GuardError, match="expected the text"):
        check_query(text)


def test_half_a_surrogate_pair_is_no_statement():
    """Such text can come out of a payload and fits into no UTF-8."""
    with pytest.raises(GuardError, match="characters that are no text"):
        check_query("SELECT '\ud800'")


def test_an_error_quotes_eighty_characters_of_a_statement():
    """A statement may hold somebody's data."""
    with pytest.raises(GuardError) as caught:
        check_query(f"DELETE FROM jobs WHERE status = '{'s' * 5_000}'")

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ['a"b', "a;b", "ORDER", "é ü", "a\nb"])
def test_a_quoted_name_is_one_identifier(name, engine):
    """`quote` is the only way a name gets into a statement."""
    assert engine.execute(f"SELECT 1 AS {quote(name)}").description[0][0] == name


@pytest.mark.parametrize(
    "reach",
    [
        "SELECT * FROM 'x.csv'",
        'SELECT * FROM "/etc/passwd"',
        "SELECT * FROM read_csv('x.csv')",
        "COPY (SELECT 1) TO 'x.csv'",
        "ATTACH 'x.duckdb'",
        "SET threads = 3",
        "SET enable_external_access = true",
    ],
)
def test_behind_the_guard_the_sealed_engine_refuses_as_well(reach, engine):
    """Two locks: the guard reads text, the engine acts."""
    with pytest.raises(duckdb.Error):
        engine.execute(reach)

    restarted(engine)
    assert engine.execute("SELECT count(*) FROM jobs").fetchone() == (2,)


def test_a_frame_in_a_variable_is_no_table_of_a_sealed_engine(engine):
    """A replacement scan would read the caller's live variables into a replay."""
    frame = pytest.importorskip("pandas").DataFrame({"a": [1]})

    with pytest.raises(duckdb.CatalogException, match="frame"):
        engine.execute("SELECT * FROM frame")
    assert len(frame) == 1
