"""Projections: all steps at once or one by one, they give what the same folds written as handlers give."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from unittest import mock

import pandas as pd
import pytest
from building import T0, after, loaded, written
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import some

from replaykit import projections
from replaykit.declarations import Table
from replaykit.errors import GuardError, ReconcilerError, StateError
from replaykit.reconciler import Reconciler
from replaykit.replay import replay
from replaykit.snapshot import Snapshot
from replaykit.window import Window

JOBS = Table("id", status="VARCHAR", n="BIGINT", note="VARCHAR", defaults={"status": "new", "n": 7})
ID = "payload->>'$.id' AS id"

# Each fold twice: as a projection, and as what a handler does with the same event.
FOLDS = {
    "status": (
        f"SELECT step, {ID}, payload->>'$.s' AS status FROM events WHERE kind = 'status'",
        lambda table, p: table.upsert(id=p["id"], status=p["s"]),
    ),
    "count": (
        f"SELECT step, {ID}, (payload->>'$.n')::BIGINT AS n, payload->>'$.s' AS note FROM events WHERE kind = 'count'",
        lambda table, p: table.upsert(id=p["id"], n=p["n"], note=p["s"]),
    ),
    "touch": (
        f"SELECT step, {ID} FROM events WHERE kind = 'touch'",
        lambda table, p: table.upsert(id=p["id"]),
    ),
    "both": (
        f"SELECT step, {ID}, unnest(['one', 'two']) AS note FROM events WHERE kind = 'both'",
        lambda table, p: (table.upsert(id=p["id"], note="one"), table.upsert(id=p["id"], note="two")),
    ),
    "several": (
        "SELECT step, unnest(['a', 'b', 'c']) AS id, (payload->>'$.n')::BIGINT AS n FROM events WHERE kind = 'several'",
        lambda table, p: [table.upsert(id=key, n=p["n"]) for key in "abc"],
    ),
    "delete": (
        f"SELECT step, {ID} FROM events WHERE kind = 'delete'",
        lambda table, p: table.delete(p["id"]),
    ),
}
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 50),
        st.sampled_from(sorted(FOLDS)),
        st.fixed_dictionaries(
            {"id": st.sampled_from("abc"), "s": st.sampled_from(["x", "y", None]), "n": st.integers(0, 1) | st.none()}
        ),
    ),
    min_size=1,
    max_size=25,
).map(lambda events: sorted(events, key=lambda event: event[0]))


def projecting(names):
    """Return a reconciler with the chosen folds as projections."""
    found = Reconciler("projected", {"jobs": JOBS})
    for name in names:
        found.project("jobs", FOLDS[name][0], delete=name == "delete")
    found.ignore(*FOLDS)
    return found


def handling(names):
    """Return a reconciler with the same folds as handlers."""
    found = Reconciler("handled", {"jobs": JOBS})
    for name in names:
        found.apply(name)(lambda state, event, fold=FOLDS[name][1]: fold(state["jobs"], event.payload))
    found.ignore(*FOLDS)
    return found


def versions(run):
    """Return the history of the jobs as tuples, numbers of change and birth aside."""
    frame = run.history.frame("SELECT * FROM history.jobs ORDER BY change").astype(object)
    return frame.drop(columns=["change", "born"]).where(frame.notna(), None).to_numpy().tolist()


def moments(run):
    """Return the jobs in insertion order after every step."""
    return [run.at(step=step)["jobs"].to_csv() for step in range(run.after_step + 1)]


@settings(max_examples=some(12))
@given(events=EVENTS, names=st.permutations(sorted(FOLDS)), left=st.integers(1, 6), based=st.booleans())
def test_projections_equal_handlers_in_both_paths(events, names, left, based):
    """Partial columns, NULLs set, defaults, deletes and re-inserts, several rows of a step, a base that holds rows."""
    base = Snapshot(
        {"jobs": pd.DataFrame({"id": ["b", "z"], "status": ["old", None], "n": [1, 2], "note": [None, "k"]})},
        at=after(-1),
    )
    options = {"base": base if based else "empty"}
    with written(events) as recording:
        bulk = replay(recording, projecting(names[:left]), **options)
        steps = replay(recording, projecting(names[:left]), ticks="event", **options)
        handled = replay(recording, handling(names[:left]), **options)

        assert versions(bulk) == versions(steps)
        assert moments(bulk) == moments(steps) == moments(handled)
        assert bulk.problems.equals(steps.problems)


def both(recording, reconciler, **options):
    """Replay in the set-based path and in the one by one path, and return both."""
    return replay(recording, reconciler, **options), replay(recording, reconciler, ticks="event", **options)


@pytest.fixture(scope="module")
def recording():
    """Three starts of two jobs and one of none."""
    rows = [(0, "start", {"id": "a", "n": 1}), (5, "start", {"id": "b", "n": "x"}), (9, "start", {"id": "a", "n": 3})]
    with loaded(*rows, (12, "start", {"id": None})) as found:
        yield found


def one(table, query, **options):
    """Return a reconciler of one projected table."""
    found = Reconciler("one", {"t": table})
    found.project("t", query, **options)
    return found


def test_values_are_stored_alike_in_both_paths(recording):
    """Each path has its own way into the history: what is cast in one must be cast in the other."""
    query = """SELECT step, payload->>'$.id' AS id, 5.0::DECIMAL(4, 1) AS i, '7' AS big, {'a': [1, NULL]} AS j,
        [1, 2] AS v, TIMESTAMPTZ '2026-03-26 08:00+02' AS ts, DATE '2026-03-26' AS d, 0.1 AS f,
        1 AS dec, INTERVAL 90 MINUTE AS iv,
        'ab'::BLOB AS b, sum(1) OVER (ORDER BY step) AS h, TIME '06:10' AS t
        FROM events WHERE payload->>'$.id' IS NOT NULL"""
    table = Table(
        "id", i="INTEGER", big="BIGINT", j="JSON", v="VARCHAR", ts="TIMESTAMP", d="DATE", f="FLOAT", dec="DECIMAL(9,2)",
        iv="INTERVAL", b="BLOB", h="HUGEINT", t="TIME",
    )  # fmt: skip

    bulk, steps = both(recording, one(table, query))

    row = bulk.history.frame(
        "SELECT i, big, j, v, ts, dec, h::BIGINT AS h FROM history.t ORDER BY change LIMIT 1"
    ).iloc[0]
    assert row.tolist() == [5, 7, '{"a":[1,null]}', "[1,2]", T0, Decimal("1.00"), 1]
    for text in ("SELECT * FROM history.t ORDER BY change", "SELECT * FROM t ORDER BY id"):
        pd.testing.assert_frame_equal(bulk.sql(text), steps.sql(text))


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT step, payload->>'$.id' AS id FROM events", r"step 4, whose key \['id'\] is NULL; leave such rows out"),
        ("SELECT step + 1 AS step, payload->>'$.id' AS id FROM events", "NULL|step 5"),
        ("SELECT 5 AS step, 'a' AS id", "at step 5, and there are steps 1 to 4"),
        ("SELECT 0 AS step, 'a' AS id", "at step 0, and there are steps 1 to 4"),
        ("SELECT NULL::BIGINT AS step, 'a' AS id", "at step None"),
        ("SELECT step, 'a' AS id, payload->>'$.n' AS n FROM events", "Could not convert string 'x'"),
        ("SELECT step, 'a' AS id, error FROM events", "error"),
        ("SELECT step FROM events", r"lacks \['id'\]; it must select step and the key"),
        ("SELECT kind AS id FROM events", r"lacks \['step'\]"),
        ("SELECT step, 'a' AS id, 1 AS m FROM events", r"selects \['m'\], which are no columns of the table"),
        ("SELECT step, 'a' AS id, 'b' AS id FROM events", "id_1|each column once"),
    ],
)
def test_a_projection_that_does_not_fit_says_so_alike_in_both_paths(recording, query, reason):
    """A row of no step, of no key or of another type is found before it is in a result."""
    for ticks in ("end", "event"):
        with pytest.raises(ReconcilerError, match=reason):
            replay(recording, one(Table("id", n="BIGINT"), query), ticks=ticks)


@pytest.mark.parametrize("query", ["SELECT now() AS step, 1 AS id", "DELETE FROM events", "SELECT 1; SELECT 2"])
def test_a_projection_is_one_harmless_select(query):
    """Refused where it is declared."""
    with pytest.raises(GuardError):
        one(Table("id"), query)


def test_a_projection_has_no_clock(recording):
    """It is computed for all steps at once, so there is no now."""
    reconciler = one(Table("id", at="TIMESTAMP"), "SELECT step, 'a' AS id, $now AS at FROM events")

    with pytest.raises(ReconcilerError, match=r"uses \$now, which is not declared"):
        replay(recording, reconciler)


def test_a_projection_of_an_undeclared_table_lists_the_tables():
    """A typo ends where it was written."""
    with pytest.raises(ReconcilerError, match=r"no such table; the tables are \['t'\]"):
        one(Table("id"), "SELECT 1").project("u", "SELECT 1")


def test_parameters_and_trailing_comments_are_taken(recording):
    """The query stands inside another one, where a comment would swallow what follows."""
    query = "SELECT step, payload->>'$.id' AS id FROM events WHERE payload->>'$.id' = $who -- only theirs\n;"
    reconciler = one(Table("id", id="VARCHAR"), query)
    reconciler.params["who"] = "b"

    for run in both(recording, reconciler):
        assert list(run.after["t"]["id"]) == ["b"]


def test_of_several_rows_of_a_key_and_step_the_last_in_the_querys_order_counts(recording):
    """And each of them is a version, so that nothing is lost quietly."""
    query = "SELECT step, 'a' AS id, x AS n FROM events, (VALUES (1), (3), (2)) AS v(x) WHERE step = 1 ORDER BY x"

    for run in both(recording, one(Table("id", n="BIGINT"), query)):
        assert list(run.after["t"]["n"]) == [3]
        assert list(run.history("t")["n"]) == [1, 2, 3]
        assert list(run.history("t")["valid_to"].astype(object).where(lambda s: s.notna(), None)) == [1, 1, None]


def test_what_one_event_does_follows_the_order_of_the_projections(recording):
    """Delete then insert is a new row; insert then delete is none."""
    delete = "SELECT step, 'a' AS id FROM events WHERE step = 2"
    put = "SELECT step, 'a' AS id, step AS n FROM events WHERE step <= 2"
    first, last = one(Table("id", n="BIGINT", m="BIGINT"), delete, delete=True), one(Table("id", n="BIGINT"), put)
    first.project("t", put)
    last.project("t", delete, delete=True)

    for run in both(recording, first):
        assert run.after["t"]["n"].tolist() == [2]
    for run in both(recording, last):
        assert run.after["t"].empty


def test_handlers_see_projected_tables_at_their_own_step(recording):
    """Projections of an event come before its handler, those of later events don't exist yet."""
    reconciler, seen = one(Table("id", n="BIGINT"), "SELECT step, 'a' AS id, step AS n FROM events"), []

    @reconciler.apply("start")
    def start(state, event):
        seen.append((state["t"]["a"]["n"], state.sql("SELECT n FROM t")[0]["n"]))

    replay(recording, reconciler)

    assert seen == [(n, n) for n in range(1, 5)]


def test_a_failed_statement_in_a_handler_does_not_lose_later_projections(recording):
    """It takes every temp table with it, the one that lists the projected rows too."""
    reconciler = one(Table("id", n="BIGINT"), "SELECT step, 'a' AS id, step AS n FROM events")

    @reconciler.apply("start")
    def start(state, event):
        state.sql("SELECT * FROM t")
        with pytest.raises(StateError):
            state.sql("SELECT nonsense")

    with mock.patch.object(projections, "_BATCH", 1):
        run = replay(recording, reconciler)

    assert list(run.history("t")["n"]) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "names", [["part", "place", "generation", "absent", "deleted"], ["v", "operations", "kind", "position", "at"]]
)
def test_columns_may_have_any_name_that_rows_need(recording, names):
    """``deleted`` is a column of half of all tables."""
    listed = ", ".join(f'step AS "{name}"' for name in names)
    table = Table("id", dict.fromkeys(names, "BIGINT"))
    reconciler = one(table, f"SELECT step, 'a' AS id, {listed} FROM events")
    reconciler.project("t", "SELECT step, 'a' AS id FROM events WHERE step = 2", delete=True)

    bulk, steps = both(recording, reconciler)

    pd.testing.assert_frame_equal(bulk.after["t"], steps.after["t"])
    assert bulk.after["t"].iloc[0].tolist() == ["a", 4, 4, 4, 4, 4]


def test_tables_may_have_any_name_that_is_not_the_replays(recording):
    """``operations`` is one; what the replay needs itself is refused by name."""
    reconciler = Reconciler("r", {name: Table("id", id="VARCHAR") for name in ("operations", "select", "a b")})
    for name in reconciler.tables:
        reconciler.project(name, f"SELECT step, '{name}' AS id FROM events")
    reconciler.rule("seen", 'SELECT o.id FROM operations AS o, "select", "a b"', key="id")

    for run in both(recording, reconciler):
        assert [run.after[name]["id"][0] for name in reconciler.tables] == list(reconciler.tables)
        assert run.actions["id"].iloc[-1] == "operations"
    with pytest.raises(ReconcilerError, match="can't be named 'Events'"):
        replay(recording, Reconciler("r", {"Events": Table("id", id="VARCHAR")}))


def test_projections_start_from_a_snapshot_and_skip_its_events(recording):
    """Steps are counted from the base; a row of the base that nothing touches stays."""
    base = Snapshot({"t": pd.DataFrame({"id": ["z", "a"], "n": [1, 2]})}, at=after(6), after=2)
    query = "SELECT step, coalesce(payload->>'$.id', 'none') AS id, step AS n FROM events"

    for run in both(recording, one(Table("id", n="BIGINT"), query), window=Window(after(8), after(20)), base=base):
        assert run.after["t"].to_numpy().tolist() == [["z", 1], ["a", 1], ["none", 2]]
        assert run.before["t"].to_numpy().tolist() == [["z", 1], ["a", 2]]
        assert run.at(datetime(2026, 3, 26, 6, 0, 9))["t"].to_numpy().tolist() == [["z", 1], ["a", 1]]
