"""The engine: what SQL sees inside the transaction, what handlers may write through it, and what becomes of errors."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from building import T0, after, loaded, written

from replaykit.declarations import Table
from replaykit.errors import GuardError, ReconcilerError, ReplayKitError, StateError
from replaykit.reconciler import Reconciler
from replaykit.replay import replay
from replaykit.window import Window

ROWS = [(n, "put", {"id": key, "n": n}) for n, key in enumerate("abcd")]


@pytest.fixture(scope="module")
def recording():
    """Four events of kind put, for the jobs a to d, and one of kind go."""
    with loaded(*ROWS, (10, "go", {})) as found:
        yield found


def jobs(**params):
    """Return a reconciler that inserts a job for each put."""
    found = Reconciler("jobs", {"jobs": Table("id", status="VARCHAR", n="BIGINT", defaults={"status": "new"})}, params)

    @found.apply("put")
    def put(state, event):
        state["jobs"].insert(event.payload)

    return found


def at_go(recording, work, **options):
    """Replay with `work` as the handler of the last event; return what it returned and the run."""
    reconciler, seen = jobs(limit=2), []

    @reconciler.apply("go")
    def go(state, event):
        seen.append(work(state))

    return (replay(recording, reconciler, **options), *seen)


def rows(run):
    """Return the jobs after the last step as tuples."""
    frame = run.after["jobs"].astype(object)
    return [tuple(row) for row in frame.where(frame.notna(), None).to_numpy().tolist()]


START = [("a", "new", 0), ("b", "new", 1), ("c", "new", 2), ("d", "new", 3)]


# What SQL sees


def test_sql_in_a_handler_sees_what_handlers_wrote_so_far(recording):
    """The temp tables follow the working set, inside the transaction."""

    def work(state):
        state["jobs"].update("a", n=9)
        state["jobs"].delete("b")
        return state.sql("SELECT id, n FROM jobs WHERE n >= $limit ORDER BY id")

    _, seen = at_go(recording, work)

    assert seen == [{"id": "a", "n": 9}, {"id": "c", "n": 2}, {"id": "d", "n": 3}]
    assert seen[0].id == "a"


def test_sql_sees_the_events_up_to_now_with_their_steps(recording):
    """Not those still to come."""
    reconciler, seen = jobs(), []
    reconciler.handlers.clear()

    @reconciler.apply("put")
    def put(state, event):
        seen.append([row["step"] for row in state.sql("SELECT step, kind FROM events ORDER BY step")])

    replay(recording, reconciler)

    assert seen == [[1], [1, 2], [1, 2, 3], [1, 2, 3, 4]]


@pytest.mark.parametrize("actions", ["collect", "apply"])
def test_a_rule_in_sql_sees_handlers_projections_and_events_at_its_tick(recording, actions):
    """One transaction holds all three, at every tick, also where actions make steps of their own."""
    reconciler = jobs()
    reconciler.tables["starts"] = Table("id", at="TIMESTAMP")
    reconciler.project(
        "starts", "SELECT step, payload->>'$.id' AS id, occurred_at AS at FROM events WHERE kind = 'put'"
    )
    query = """SELECT (SELECT count(*) FROM jobs) AS id, (SELECT count(*) FROM starts) AS starts,
        (SELECT count(*) FROM events) AS events, (SELECT max(step) FROM events) AS step_, $now AS clock"""
    reconciler.rule("seen", query, key="id")

    @reconciler.act("seen")
    def acted(state, action):
        state["jobs"].update("a", n=action["id"])

    run = replay(recording, reconciler, ticks="event", actions=actions)

    seen = run.actions[["id", "starts", "events", "clock"]].astype(object).values.tolist()
    assert seen == [[min(n, 4), min(n, 4), n, pd.Timestamp(run.events["occurred_at"][n - 1])] for n in range(1, 6)]
    assert list(run.actions["step_"]) == list(run.events["step"])


def test_now_and_the_parameters_are_bound(recording):
    """``$now`` is the clock of the replay; what the caller names wins."""
    _, seen = at_go(recording, lambda s: s.sql("SELECT $now AS at, $limit AS l, $mine AS m", mine=timedelta(minutes=1)))

    assert seen == [{"at": after(10), "l": 2, "m": timedelta(minutes=1)}]


def test_a_parameter_without_a_value_lists_those_there_are(recording):
    """Positional parameters have no name to be found by."""
    for query in ("SELECT $limti", "SELECT ?", "SELECT $1"):
        with pytest.raises(ReconcilerError) as caught:
            at_go(recording, lambda state, query=query: state.sql(query))

        assert isinstance(caught.value.__cause__, GuardError)
        assert "there are ['limit', 'now']" in str(caught.value.__cause__)


def test_an_answer_is_the_callers_own_list(recording):
    """The same question is answered from memory; emptying the answer must not empty the memory."""

    def work(state):
        query = "SELECT id FROM jobs ORDER BY id"
        state.sql(query).clear()
        return len(state.sql(query))

    _, seen = at_go(recording, work)

    assert seen == 4


def test_two_columns_of_one_name_are_refused(recording):
    """A row is a mapping: one of them would be lost without a word."""
    with pytest.raises(ReconcilerError) as caught:
        at_go(recording, lambda state: state.sql("SELECT a.id, b.id FROM jobs AS a JOIN jobs AS b USING (n)"))

    assert "gives two columns named 'id'; rename one with AS" in str(caught.value.__cause__)


# What SQL writes


@pytest.mark.parametrize(
    ("write", "returned", "expected"),
    [
        ("INSERT INTO jobs VALUES ('x', 'old', 7)", ["x"], [*START, ("x", "old", 7)]),
        ("INSERT INTO jobs (n, ID) VALUES (7, 'x')", ["x"], [*START, ("x", "new", 7)]),
        ("INSERT INTO jobs SELECT id || 2, status, n FROM jobs WHERE n < 2 ORDER BY n DESC", ["b2", "a2"],
         [*START, ("b2", "new", 1), ("a2", "new", 0)]),
        ("UPDATE jobs SET n = n + 10, Status = 'late' WHERE n >= $limit", ["c", "d"],
         [*START[:2], ("c", "late", 12), ("d", "late", 13)]),
        ("UPDATE Jobs AS j SET n = o.n FROM jobs AS o WHERE j.id = 'a' AND o.id = 'd'", ["a"],
         [("a", "new", 3), *START[1:]]),
        ("DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE n % 2 = 0) -- the even ones ;", ["a", "c"],
         [START[1], START[3]]),
        ('DELETE FROM "JOBS"', ["a", "b", "c", "d"], []),
        ("UPDATE jobs SET n = n", ["a", "b", "c", "d"], START),
        ("DELETE FROM jobs WHERE false", [], START),
    ],
)  # fmt: skip
def test_a_write_in_sql_reaches_the_working_set_the_history_and_later_sql(recording, write, returned, expected):
    """Insertion order is kept, defaults are filled in, and each changed row comes back."""

    def work(state):
        state["jobs"].update("a", n=0)
        count = "SELECT count(*) AS c, coalesce(sum(n), 0)::BIGINT AS s, count(status) AS t FROM jobs"
        state.sql(count)
        changed = state.sql(write)
        return [row["id"] for row in changed], state.sql(count), [tuple(row.values()) for row in state["jobs"]]

    run, (ids, counted, found) = at_go(recording, work)

    assert ids == returned
    assert counted == [{"c": len(expected), "s": sum(row[2] for row in expected), "t": len(expected)}]
    assert found == rows(run) == expected


@pytest.mark.parametrize(
    "write",
    ["UPDATE jobs SET id = 'b' WHERE id = 'a'", "UPDATE jobs SET ID = 'b'", "UPDATE jobs SET (n, \"id\") = (1, 'b')"],
)
def test_a_key_column_is_not_assigned_in_whatever_spelling(recording, write):
    """SQL compares names without case; the row under the new key would be overwritten."""
    with pytest.raises(ReconcilerError) as caught:
        at_go(recording, lambda state: state.sql(write))

    assert "may not assign key column 'id' of 'jobs'; delete the row and insert another" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT nonsense FROM jobs", "nonsense"),
        ("SELECT CAST(id AS BIGINT) FROM jobs", "Could not convert"),
        ("INSERT INTO jobs VALUES ('x', 'y', 1), ('a', 'z', 2)", "already has a row 'a'"),
        ("INSERT INTO jobs (n) VALUES (1)", "key column of .* is NULL"),
        ("INSERT INTO jobs (id, n) VALUES ('x', 99999999999999999999)", "out of range"),
        ("DELETE FROM starts", "no state table 'starts'"),
        ("DELETE FROM main.jobs", "without a schema"),
        ("DELETE FROM recording.main.events", "without a schema"),
        ("DELETE FROM events", "no state table 'events'"),
        ("UPDATE jobs SET n = 1 RETURNING id", "adds RETURNING itself"),
        ("COMMIT", "kind TRANSACTION"),
        ("SELECT now()", r"use \$now"),
        ("SELECT * FROM 'x.csv'", "file system operations are disabled"),
    ],
)
def test_a_failing_statement_changes_nothing_and_the_state_goes_on(recording, query, reason):
    """Any error aborts the transaction; the working set is the truth and SQL sees it again at once."""

    def work(state):
        state["jobs"].update("a", n=42)
        state.sql("UPDATE jobs SET n = 43 WHERE id = 'b'")
        with pytest.raises((StateError, GuardError), match=reason):
            state.sql(query)
        state["jobs"].update("c", n=44)
        return [row["n"] for row in state.sql("SELECT n FROM jobs ORDER BY id")], len(state.sql("FROM events"))

    run, seen = at_go(recording, work)

    assert seen == ([42, 43, 44, 3], 5)
    assert [row[2] for row in rows(run)] == [42, 43, 44, 3]


def test_a_table_filled_by_projections_is_written_by_nobody_else(recording):
    """A table has projections or handlers, never both: their orders would contradict each other."""
    reconciler = jobs()
    reconciler.project("jobs", "SELECT step, payload->>'$.id' AS id FROM events WHERE kind = 'put'")
    reconciler.handlers.clear()
    tries = []

    @reconciler.apply("go")
    def go(state, event):
        table = state["jobs"]
        for write in (
            lambda: table.insert(id="x"), lambda: table.update("a", n=1), lambda: table.upsert(id="a"),
            lambda: table.delete("a"), lambda: state.sql("DELETE FROM jobs"),
            lambda: state.sql("INSERT INTO jobs (id) VALUES ('x')"),
        ):  # fmt: skip
            with pytest.raises(StateError, match="filled by projections"):
                write()
            tries.append(len(table))

    run = replay(recording, reconciler)

    assert tries == [4] * 6
    assert list(run.after["jobs"]["id"]) == list("abcd")


@pytest.mark.parametrize("text", ["\ud800 half", "plain é", "a'b\"c;--", "x" * 70_000, "\0"])
def test_any_text_reaches_sql_and_history(text):
    """A payload may hold half a surrogate pair, which JSON allows and UTF-8 does not: it is shown escaped."""
    reconciler, deleting = jobs(), jobs()
    reconciler.rule("count", "SELECT count(*) AS id, max(length(id)) AS l FROM jobs", key="id")
    deleting.rule("count", "SELECT count(*) AS id FROM jobs", key="id")

    @reconciler.apply("put")
    def inserting(state, event):
        state["jobs"].insert(id=text if event.payload["n"] == 0 else "b")
        assert len(state.sql("FROM jobs")) == len(state["jobs"])

    @deleting.apply("put")
    def toggling(state, event):
        if not state["jobs"].delete(text):
            state["jobs"].insert(id=text)

    with written(ROWS[:2]) as recording:
        run, other = replay(recording, reconciler, ticks="event"), replay(recording, deleting, ticks="event")

    assert list(run.actions[run.actions["kind"] == "count"]["id"]) == [1, 2]
    assert run.after["jobs"]["id"][0] == text.encode("utf-8", "backslashreplace").decode()
    assert list(other.actions["id"]) == [1, 0]


# Errors


def test_a_handlers_error_names_event_step_and_handler(recording):
    """And keeps its cause, so that a debugger can go there."""
    reconciler = jobs()

    @reconciler.apply("go")
    def go(state, event):
        raise LookupError("sku")

    with pytest.raises(
        ReconcilerError, match=r"go raised LookupError\('sku'\) at step 5, event 'e5' of kind 'go'"
    ) as caught:
        replay(recording, reconciler)

    error = caught.value
    assert isinstance(error.__cause__, LookupError)
    assert (error.step, error.event.id, error.event["position"]) == (5, "e5", 5)
    assert error.handler.endswith("go")
    assert "2026-03-26T06:00:10Z" in str(error)


def test_an_error_quotes_eighty_characters_of_what_was_raised(recording):
    """The message of an exception often holds the payload."""
    with pytest.raises(ReconcilerError) as caught:
        at_go(recording, lambda state: state["jobs"]["secret" * 10_000])

    assert len(str(caught.value)) < 500


def failing(change=True):
    """Return a reconciler whose put handler writes and then fails for b and c, differently."""
    reconciler = jobs()

    @reconciler.apply("put")
    def put(state, event):
        if change:
            state["jobs"].insert(event.payload)
            state.sql("UPDATE jobs SET n = n + 10")
        if event.payload["id"] in "bc":
            raise ValueError(event.payload["id"]) if event.payload["id"] == "b" else KeyError("c")

    return reconciler


def test_undo_takes_the_failing_events_changes_back(recording):
    """Its own, and no other's; SQL sees the state as if it had not come."""
    reconciler = failing()
    reconciler.rule("count", "SELECT count(*) AS id, sum(n)::BIGINT AS n FROM jobs", key="id")

    run = replay(recording, reconciler, ticks="event", on_error="undo")

    assert rows(run) == [("a", "new", 20), ("d", "new", 13)]
    assert list(run.actions["n"]) == [10, 10, 10, 33, 33]
    assert list(run.history("jobs")["valid_from"]) == [1, 1, 4, 4, 4]


def test_keep_leaves_what_was_written_before_the_error(recording):
    """Some programs commit as they go."""
    run = replay(recording, failing(), on_error="keep")

    assert rows(run) == [("a", "new", 40), ("b", "new", 31), ("c", "new", 22), ("d", "new", 13)]


@pytest.mark.parametrize(
    ("on_error", "problem"), [("undo", "raised, changes undone"), ("keep", "raised, changes kept")]
)
def test_every_problem_is_counted_with_its_first_place(recording, on_error, problem):
    """One row for each problem, kind and handler; nothing is lost quietly."""
    run = replay(recording, failing(), on_error=on_error)

    raised, unhandled = run.problems.to_dict("records")
    assert (raised["problem"], raised["kind"], raised["count"], raised["step"]) == (problem, "put", 2, 2)
    assert (raised["event_id"], raised["position"], raised["detail"]) == ("e2", 2, "ValueError: 'b'")
    assert (unhandled["problem"], unhandled["kind"], unhandled["count"]) == ("unhandled kind", "go", 1)


def test_a_kind_nobody_handles_is_counted_unless_ignored(recording):
    """Declared harmless is not overlooked."""
    reconciler = jobs()

    counted = replay(recording, reconciler)
    reconciler.ignore("go", "never seen")
    ignored = replay(recording, reconciler)

    assert counted.problems[["problem", "kind", "count", "event_id"]].values.tolist() == [
        ["unhandled kind", "go", 1, "e5"]
    ]
    assert len(ignored.problems) == 0


@pytest.mark.parametrize("ticks", ["end", "event"])
def test_kinds_that_no_projection_takes_up_are_counted_alike_in_both_paths(recording, ticks):
    """The set-based path never sees an event one by one."""
    reconciler = jobs()
    reconciler.handlers.clear()
    reconciler.project("jobs", "SELECT step, payload->>'$.id' AS id FROM events WHERE kind = 'put'")

    run = replay(recording, reconciler, ticks=ticks)

    assert run.problems[["problem", "kind", "count", "step", "position", "event_id"]].values.tolist() == [
        ["unhandled kind", "go", 1, 5, 5, "e5"]
    ]


def test_an_error_in_a_sql_rule_names_the_rule_and_the_tick(recording):
    """A typo in a rule is not data."""
    reconciler = jobs()
    reconciler.rule("typo", "SELECT idd FROM jobs", key="id")

    for on_error in ("raise", "keep"):
        with pytest.raises(ReconcilerError, match=r"Rule 'typo' failed at tick 0 .*idd") as caught:
            replay(recording, reconciler, on_error=on_error)
        assert caught.value.handler == "typo"


def test_an_action_nobody_applies_is_counted(recording):
    """In a closed loop a missing act handler would look like patience."""
    reconciler = jobs()
    reconciler.rule("late", "SELECT id FROM jobs ORDER BY id", key="id")

    run = replay(recording, reconciler, ticks="event", actions="apply")

    counted = run.problems[run.problems["problem"] == "unapplied action"]
    assert counted[["kind", "count"]].values.tolist() == [["late", 1 + 2 + 3 + 4 + 4]]


def test_an_applier_that_raises_is_undone_like_any_handler(recording):
    """Its step is the action's."""
    reconciler = jobs()
    reconciler.rule("late", "SELECT id FROM jobs WHERE n < 5 ORDER BY id", key="id")

    @reconciler.act("late")
    def late(state, action):
        state["jobs"].update(action["id"], n=9)
        if action["id"] == "b":
            raise ValueError

    run = replay(recording, reconciler, ticks="event", actions="apply", on_error="undo")

    assert [row[2] for row in rows(run)] == [9, 1, 9, 9]
    assert run.problems.iloc[0][["problem", "kind"]].tolist() == ["raised, changes undone", "late"]
    with pytest.raises(ReconcilerError, match="late raised ValueError"):
        replay(recording, reconciler, ticks="event", actions="apply")


def test_an_event_can_not_be_changed(recording):
    """The next rule reads the same event; its payload is a copy that belongs to the handler."""
    reconciler, seen = jobs(), []

    @reconciler.apply("put")
    def put(state, event):
        event.payload["n"] = 99
        seen.append((event["payload"], event.payload["n"], event.kind, event.id, event.occurred_at))
        with pytest.raises(ReplayKitError, match="event can't be changed"):
            event["kind"] = "x"

    replay(recording, reconciler)

    assert seen[0] == ('{"id": "a", "n": 0}', 99, "put", "e1", T0)


def test_source_names_of_the_role_columns_work_as_items(recording):
    """The handler is copied from a program that knew them."""
    reconciler, seen = jobs(), []

    @reconciler.apply("go")
    def go(state, event):
        seen.append((event["what"], event["at"], event["id"]))
        with pytest.raises(KeyError, match="no column 'nope'; its columns are"):
            event["nope"]

    replay(recording, reconciler)

    assert seen == [("go", after(10), "e5")]


def test_a_window_replays_its_warm_up_first(recording):
    """Events before the start make the state the window begins in."""
    run = replay(recording, jobs(), Window(after(2), after(5)))

    assert (run.before_step, run.after_step) == (2, 4)
    assert list(run.before["jobs"]["id"]) == ["a", "b"]
    assert list(run.events["step"]) == [3, 4]
