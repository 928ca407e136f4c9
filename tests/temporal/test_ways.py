"""Which statements each way answers, and that it says what asking at every tick says; by example."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from ruled import EVENTS, T0, WAYS, after, how, loaded, only, plant, replayed, same_in_all

import replaykit as rk
from replaykit.errors import ReconcilerError
from replaykit.temporal import evaluation

WINDOW = rk.Window(T0, after(150))
QUERY_THAT_FAILS = "SELECT CAST(status AS BIGINT) AS x FROM jobs WHERE id = 'c'"

BY_INTERVALS = """
SELECT id FROM jobs WHERE status = 'lost'
SELECT * FROM jobs
SELECT id, n FROM jobs ORDER BY n DESC NULLS FIRST
SELECT Id, N + 1, status || '!' FROM JOBS WHERE status LIKE 'l%'
SELECT id FROM jobs WHERE $now - seen > $patience
SELECT id FROM jobs WHERE seen + $patience <= $now AND n > $limit
SELECT id FROM jobs WHERE $now BETWEEN seen AND seen + $patience
SELECT id FROM jobs WHERE NOT ($now - seen < INTERVAL 40 SECOND) AND status = 'lost'
SELECT id FROM jobs WHERE $now = seen + INTERVAL 20 SECOND
SELECT id, $now - seen > $patience AS late FROM jobs
SELECT id, CASE WHEN $now > seen + INTERVAL '50 seconds' THEN 'late' ELSE 'new' END AS age FROM jobs
SELECT id, epoch($now - seen)::BIGINT // 30 AS age, $now AS at FROM jobs
SELECT a.id, b.id AS b FROM jobs AS a JOIN jobs AS b USING (n) WHERE $now > a.seen + $patience
SELECT a.id, b.id AS b FROM jobs AS a LEFT JOIN jobs AS b ON a.n = b.n + 1
SELECT a.id, b.id AS b FROM jobs AS a RIGHT JOIN jobs AS b ON a.n = b.n + 1 AND $now - a.seen > $patience
SELECT a.id, b.id AS b FROM jobs AS a FULL JOIN jobs AS b ON a.n = b.n + 1 WHERE a.id IS NULL OR b.id > 'a'
SELECT j.id, l.b, k.status FROM jobs j LEFT JOIN links l ON l.a = j.id LEFT JOIN jobs k ON k.id = l.b ORDER BY j.n
SELECT id FROM jobs a WHERE NOT EXISTS (SELECT 1 FROM jobs b WHERE b.n = a.n AND b.id <> a.id)
SELECT id FROM jobs a WHERE EXISTS (SELECT 1 FROM links l JOIN jobs k ON k.id = l.b WHERE l.a = a.id AND k.n > 1)
SELECT id FROM jobs a WHERE NOT EXISTS (SELECT 1 FROM jobs b WHERE b.n > a.n AND $now - b.seen > $patience)
SELECT id FROM jobs a WHERE NOT EXISTS (FROM links l WHERE l.a = a.id AND NOT EXISTS (FROM jobs k WHERE k.id = l.b))
SELECT id FROM jobs WHERE n NOT IN (SELECT n + 1 FROM jobs)
SELECT id FROM jobs WHERE n + 1 NOT IN (SELECT n FROM jobs WHERE status = 'nothing')
SELECT id FROM jobs a WHERE n NOT IN (SELECT b.n FROM jobs b WHERE b.status <> a.status)
SELECT id FROM jobs WHERE n IN (SELECT n + 1 FROM jobs) ORDER BY n DESC
SELECT id FROM jobs WHERE n IN (SELECT max(n) FROM jobs GROUP BY status)
SELECT status, count(*) AS c, sum(n) AS s, avg(n) AS a, max(seen) AS m FROM jobs GROUP BY status ORDER BY c DESC
SELECT status AS id, count(*) AS c FROM jobs GROUP BY status HAVING $now - max(seen) > $patience
SELECT n % 2 AS odd, count(DISTINCT status) AS c, count(*) FILTER (id > 'a') AS f FROM jobs GROUP BY 1 HAVING c > 0
SELECT status, count(*) AS c, min(w) AS m FROM jobs GROUP BY ALL HAVING count(*) > 1
SELECT id, rank() OVER (PARTITION BY status ORDER BY n) AS r, count(*) OVER () AS c FROM jobs
SELECT id, row_number() OVER (ORDER BY n, id) AS r FROM jobs QUALIFY r < 3
SELECT id, lag(id) OVER (PARTITION BY status ORDER BY id) AS before FROM jobs
SELECT DISTINCT status, n > 1 AS big FROM jobs ORDER BY 1 DESC
SELECT id FROM jobs ORDER BY n DESC, id LIMIT 1
SELECT id FROM jobs ORDER BY n LIMIT 2 OFFSET 1
SELECT DISTINCT status FROM jobs LIMIT 1
SELECT id FROM jobs UNION SELECT status FROM jobs
SELECT id AS x FROM jobs UNION ALL SELECT status FROM jobs ORDER BY x DESC LIMIT 3
WITH x AS (SELECT id, n FROM jobs WHERE status = 'lost') SELECT x.id, y.n FROM x JOIN x AS y ON x.n >= y.n
WITH x AS (SELECT status, count(*) AS c FROM jobs GROUP BY 1), y AS (SELECT * FROM x) SELECT * FROM y WHERE c > 1
WITH jobs AS (SELECT id, n FROM jobs WHERE n > 1) SELECT * FROM jobs
SELECT t.status, t.c FROM (SELECT status, count(*) AS c FROM jobs WHERE $now - seen > $patience GROUP BY status) AS t
SELECT kind, count(*) AS c FROM events GROUP BY kind
SELECT e.event_id, j.id FROM events e JOIN jobs j ON j.seen = e.occurred_at
SELECT payload->>'id' AS id FROM events WHERE payload->>'n' = '2' AND $now - occurred_at > INTERVAL 1 MINUTE
SELECT id FROM jobs WHERE seen < $now - $patience ORDER BY seen DESC, rowid DESC
SELECT a.id FROM jobs a, jobs b WHERE a.n < b.n ORDER BY b.n
SELECT id FROM jobs WHERE n > $none
"""
BY_LATERAL = """
SELECT count(*) AS c, max(n) AS m FROM jobs WHERE status = 'lost'
SELECT count(*) AS c FROM jobs HAVING count(*) > 1
SELECT count(*) AS c FROM jobs WHERE $now - seen > $patience
SELECT id, (SELECT max(n) FROM jobs b WHERE b.status = a.status) AS m FROM jobs a
SELECT j.* FROM jobs j, (SELECT max(n) AS m FROM jobs) t WHERE j.n = t.m
SELECT id FROM jobs WHERE n = (SELECT max(n) FROM jobs) ORDER BY n + 1 DESC
SELECT id FROM jobs WHERE n > ALL (SELECT n FROM jobs WHERE status = 'lost')
SELECT id FROM jobs EXCEPT SELECT id FROM jobs WHERE status = 'lost'
SELECT id FROM jobs INTERSECT SELECT a FROM links
SELECT 1 AS one
SELECT $now AS one WHERE $now > TIMESTAMP '2026-03-26 06:01:00'
SELECT a.id FROM jobs a SEMI JOIN jobs b ON a.n = b.n + 1
SELECT id FROM jobs a WHERE a.n = 1 OR EXISTS (SELECT 1 FROM jobs b WHERE b.n > a.n)
SELECT id, a.n NOT IN (SELECT n FROM jobs b WHERE b.id < a.id) AS x FROM jobs a WHERE $now - seen > $patience LIMIT 2
WITH t AS (SELECT max(n) AS m FROM jobs) SELECT id FROM jobs, t WHERE n = m
SELECT status, count(*) AS c, rank() OVER (ORDER BY count(*)) AS r FROM jobs GROUP BY status
"""
TICK_BY_TICK = {
    "SELECT status, string_agg(id, ',') AS s FROM jobs GROUP BY status": "may depend on the order of rows",
    "SELECT status, list(id ORDER BY id) AS s FROM jobs GROUP BY status": "may depend on the order of rows",
    "SELECT status, product(n) AS s FROM jobs GROUP BY status": "product() may depend on the order of rows",
    "SELECT DISTINCT ON (status) id FROM jobs ORDER BY status, n, id": "DISTINCT ON takes whichever row comes first",
    "SELECT status, sum(w) AS s FROM jobs GROUP BY status": "sum() of fractions depends on the order of rows",
    "SELECT id, row_number() OVER (ORDER BY status, id) FROM jobs, range(2)": "a window over equal rows",
    "SELECT id, lag(n) OVER (ORDER BY n) AS l FROM jobs": "a window over equal rows",
    "SELECT rowid AS r, id FROM jobs": "it reads rowid other than to order by it",
    "SELECT id, x FROM jobs, range(2) AS r(x)": "",
}  # fmt: skip


def lines(text):
    """Return the lines that hold something."""
    return [line for line in text.splitlines() if line]


@pytest.fixture(scope="module")
def recording():
    """A dozen events in two minutes."""
    with loaded(*EVENTS) as found:
        yield found


@pytest.mark.parametrize("ticks", ["5s", "event", "777ms"])
def test_intervals_and_lateral_say_what_asking_at_every_tick_says(recording, ticks):
    """Actions with their order, violations, messages and counts; also where a tick comes with every event."""
    statements = lines(BY_INTERVALS)
    runs = same_in_all(recording, plant(*statements), WINDOW, ticks=ticks)

    assert not [
        one for one in zip(runs["intervals"].evaluation["how"], statements * 2, strict=True) if one[0] != "intervals"
    ]
    assert "lateral" in set(how(runs["lateral"]).values())
    silent = {f"rule {n}" for n, _ in enumerate(statements)} - set(runs["intervals"].actions["rule"])
    assert len(silent) <= 6, "a statement that says nothing tests nothing"


@pytest.mark.parametrize("ticks", ["5s", "event"])
def test_what_intervals_have_no_answer_to_is_asked_by_one_lateral_query(recording, ticks):
    """Also an aggregate over no rows, which is a row at every tick."""
    reconciler = plant(*lines(BY_LATERAL))
    runs = same_in_all(recording, reconciler, WINDOW, ticks=ticks)

    assert set(how(runs["lateral"]).values()) == {"lateral"}
    assert set(how(runs["intervals"]).values()) == {"tick by tick"}
    with only(*WAYS[1:]):
        run = rk.replay(recording, reconciler, WINDOW, ticks=ticks)
    assert set(how(run).values()) == {"lateral"}
    assert run.evaluation["why"].str.startswith("intervals: ").all()


def test_what_may_depend_on_the_order_of_rows_is_asked_tick_by_tick(recording):
    """And the result says why."""
    runs = same_in_all(recording, plant(*TICK_BY_TICK), WINDOW, ticks="5s")

    for run in runs.values():
        assert set(how(run).values()) == {"tick by tick"}
    for why, expected in zip(runs["intervals"].evaluation["why"], [*TICK_BY_TICK.values()] * 2, strict=True):
        assert expected in why


def test_evaluation_has_a_row_for_each_rule_and_invariant_in_declared_order(recording):
    """Those in Python too."""
    reconciler = plant("SELECT id FROM jobs", "SELECT count(*) AS c FROM jobs")

    @reconciler.rule("in python", key=[])
    def rule(state, now):
        return ()

    run = rk.replay(recording, reconciler, WINDOW, ticks="5s")

    assert run.evaluation.drop(columns="why").to_numpy().tolist() == [
        ["rule 0", "rule", "sql", "intervals"],
        ["rule 1", "rule", "sql", "lateral"],
        ["in python", "rule", "python", "tick by tick"],
        ["invariant 0", "invariant", "sql", "intervals"],
        ["invariant 1", "invariant", "sql", "lateral"],
    ]
    assert list(run.evaluation.columns) == ["name", "declared", "language", "how", "why"]


@pytest.mark.parametrize("options", [{"ticks": "end"}, {"ticks": "5s", "actions": "apply"}])
def test_a_single_tick_and_a_closed_loop_are_asked_as_they_come(recording, options):
    """What an action does to the state depends on what the rule said."""
    run = rk.replay(recording, plant("SELECT id FROM jobs"), WINDOW, **options)

    assert set(how(run).values()) == {"tick by tick"}


def test_rules_in_python_and_in_sql_keep_their_order_inside_a_tick(recording):
    """Emissions, and the episodes of invariants."""

    def more(reconciler):
        @reconciler.rule("in python", key="id")
        def rule(state, now):
            for job in state["jobs"].find(status="lost"):
                yield rk.Action("python", id=job["id"], late=now - job["seen"] > timedelta(seconds=15))

        @reconciler.invariant("in python", key="id")
        def invariant(state, now):
            yield from ({"id": job["id"]} for job in state["jobs"].find() if now - job["seen"] > timedelta(seconds=7))

        reconciler.rule("last", "SELECT id, n FROM jobs WHERE $now - seen > $patience", key="id")
        reconciler.invariant("last", "SELECT id, n FROM jobs WHERE $now - seen > $patience", key="id")

    reconciler = plant("SELECT status, id FROM jobs ORDER BY id DESC", more=[more])
    for ticks in ("5s", "1s", "event"):
        runs = same_in_all(recording, reconciler, WINDOW, ticks=ticks)

    assert [one["language"] for one in runs["intervals"].evaluation.to_dict("records")] == ["sql", "python", "sql"] * 2


def test_where_rules_fail_together_a_failed_tick_has_no_actions_of_any(recording):
    """Of those in SQL neither."""
    reconciler = plant("SELECT id FROM jobs")
    reconciler.rules_fail_together = True

    @reconciler.rule("raises", key=[])
    def raises(state, now):
        if state["jobs"].get("b") is not None and state["jobs"]["b"]["n"] == 3:
            raise ValueError("three")
        return ()

    runs = same_in_all(recording, reconciler, WINDOW, ticks="5s", on_error="keep")

    assert set(runs["intervals"].actions["tick"]) == {0, 1, 2, 3, 4}
    assert how(runs["intervals"])["rule 0"] == "intervals"


def test_a_base_with_rows_and_a_warm_up_are_there_at_the_first_tick(recording):
    """And the steps behind them count from the base."""
    frame = pd.DataFrame({"id": ["z", "a"], "status": "lost", "n": [5, 6], "w": None, "seen": [T0, None]})
    base = rk.Snapshot({"jobs": frame.astype({"seen": "datetime64[us]"})}, at=T0, after="e1")
    reconciler = plant("SELECT id, status, n FROM jobs WHERE seen IS NULL OR $now - seen > $patience")

    runs = same_in_all(recording, reconciler, rk.Window(after(11), after(150)), ticks="5s", base=base)

    assert list(runs["intervals"].actions["id"])[:1] == ["a"]


def test_without_any_event_rules_are_asked_of_nothing():
    """And an aggregate over nothing is said at every tick."""
    reconciler = plant("SELECT id FROM jobs", "SELECT count(*) AS c FROM jobs")
    with loaded((0, "nothing", {"id": "a"}), (400, "nothing", {})) as recording:
        runs = same_in_all(recording, reconciler, rk.Window(after(5), after(305)), ticks="5s", base="empty")

    assert list(runs["lateral"].actions["repeats"]) == [59]


def test_a_cast_that_fails_at_some_tick_is_the_error_it_is_tick_by_tick(recording):
    """Its tick and its time, although the question was put off."""
    errors = []
    for way in WAYS:
        with pytest.raises(ReconcilerError, match=r"failed at tick 6 \(2026-03-26T06:00:30Z\)") as caught:
            replayed(recording, plant(QUERY_THAT_FAILS), way, WINDOW, ticks="5s")
        errors.append(str(caught.value))

    assert len(set(errors)) == 1


def test_a_rule_that_would_raise_before_a_handler_does_raises_first(recording):
    """Whoever stops a replay is whoever came first, put off or not."""
    reconciler = plant(QUERY_THAT_FAILS)

    @reconciler.rule("later", key=[])
    def later(state, now):
        if now > after(60):
            raise ValueError

    for way in WAYS:
        with pytest.raises(ReconcilerError, match="Rule 'rule 0' failed at tick 6"):
            replayed(recording, reconciler, way, WINDOW, ticks="5s")


def test_a_scalar_query_with_two_rows_fails_as_it_does_tick_by_tick(recording):
    """At the first tick at which it has two."""
    for way in WAYS:
        with pytest.raises(ReconcilerError, match=r"failed at tick 2 .*More than one row"):
            replayed(recording, plant("SELECT (SELECT id FROM jobs) AS x"), way, WINDOW, ticks="5s")


def test_projections_are_tables_like_others(recording):
    """An invariant over what a projection keeps."""
    reconciler = rk.Reconciler("starts")
    query = "SELECT step, payload->>'id' AS id, occurred_at AS seen, kind FROM events WHERE kind IN ('lost', 'done')"
    reconciler.tables["starts"] = rk.Table("id", seen="TIMESTAMP", kind="VARCHAR")
    reconciler.project("starts", query)
    reconciler.ignore("open", "gone", "linked")
    reconciler.invariant("stale", "SELECT id, kind FROM starts WHERE $now - seen > INTERVAL 30 SECOND", key="id")

    runs = same_in_all(recording, reconciler, WINDOW, ticks="5s")

    assert how(runs["intervals"]) == {"stale": "intervals"}
    assert len(runs["intervals"].violations)


def test_millions_of_ticks_are_not_walked(recording):
    """Only those at which something changes, or a comparison with the clock turns."""
    reconciler = plant(
        "SELECT id FROM jobs WHERE $now - seen > $patience",
        "SELECT status, count(*) AS c FROM jobs GROUP BY status HAVING $now - max(seen) > $patience",
        "SELECT count(*) AS c FROM jobs WHERE $now - seen > $patience",
    )
    run = rk.replay(recording, reconciler, rk.Window(T0, after(40_000)), ticks="1ms")

    assert list(how(run).values()) == ["intervals", "intervals", "lateral"] * 2
    assert (run.metrics["repeats"] + 1).sum() == 40_000_000
    assert len(run.metrics) < 500


def test_a_clock_that_cannot_be_followed_over_very_many_ticks_is_left_to_the_ticker(recording, monkeypatch):
    """Which looks at each tick, as it always did."""
    monkeypatch.setattr(evaluation, "_WALKABLE", 20)
    query = "SELECT id FROM jobs WHERE epoch($now) - epoch(seen) > 20"
    run = rk.replay(recording, plant(query), WINDOW, ticks="5s")

    assert set(how(run).values()) == {"tick by tick"}
    assert "can't be followed" in run.evaluation["why"][0]


def test_only_is_over_when_its_block_is(recording):
    """Also when that raises."""
    with pytest.raises(ZeroDivisionError), only("tick by tick"):
        _ = 1 / 0
    run = rk.replay(recording, plant("SELECT id FROM jobs"), WINDOW, ticks="5s")

    assert set(how(run).values()) == {"intervals"}
