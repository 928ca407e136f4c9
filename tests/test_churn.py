"""churn(): every change of every cell between two steps, as a walk over the writes gives it, in plain Python."""

from __future__ import annotations

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import BASES, COLUMNS, ODD, STEPS, T0, WRITES, Lives, cells, lives_of, recording, replayed, same, text
from samples import some

import replaykit as rk
from replaykit import connection
from replaykit.churn import churn
from replaykit.errors import QueryError
from replaykit.results import entity_of

ORDER = ["step", "applied_at", "event_id", "caused_by", "table", "change", "key", "column", "before", "after", "kept"]


def walked(lives, first, last, tables):
    """Return what `churn` should give, one write at a time."""
    ends, places, found = lives.images[last], {}, []
    keys = {table: {Lives.key(table, row) for row in rows.values()} for table, rows in ends.items()}
    for step, table, number, what, life, old, new in lives.log:
        place = places.get(life) if what == "delete" else places.setdefault(life, number) * 0 + number
        places[life] = number
        if not first < step <= last or table not in tables:
            continue
        key = Lives.key(table, old if new is None else new)
        at = (step, list(COLUMNS).index(table), place)
        start = (step, T0 + pd.Timedelta(seconds=step), f"e{step}", "go", table, what, entity_of(key))
        row = ends[table].get(life)
        if what == "update":
            for part, name in enumerate(COLUMNS[table], 1):
                if not same(old[name], new[name]):
                    kept = row is not None and same(row[name], new[name])
                    found.append(((*at, part), (*start, name, text(old[name]), text(new[name]), kept)))
        elif what == "insert":
            found.append(((*at, 0), (*start, None, None, None, row is not None)))
        else:
            gone = key not in keys[table]
            found.append(((*at, 99), (*start, None, None, None, gone)))
    return [row for _, row in sorted(found, key=lambda one: one[0])]


@settings(max_examples=some(12))
@given(
    writes=WRITES, base=BASES, steps=st.tuples(st.integers(0, STEPS), st.integers(0, STEPS)).map(sorted),
    tables=st.sampled_from([None, ["jobs"], [ODD], [ODD, "jobs"], ["none"], []]),
)  # fmt: skip
def test_churn_is_a_walk_over_every_write(writes, base, steps, tables):
    """Rows changed several times in a step, there and back, gone and back, under any name and with any value."""
    run = replayed(writes, base=base)
    found = churn(run.history, *steps, tables)

    assert list(found.columns) == ORDER
    assert cells(found) == walked(lives_of(writes, base), *steps, COLUMNS if tables is None else tables)


def story():
    """Return a run in which one row is put, changed there and back, dropped and put again, all in a few steps."""
    put = lambda **values: ("jobs", "put", ("a",), values)  # noqa: E731
    drop = ("jobs", "drop", ("a",), {})
    return replayed(
        [
            [put(status="x")], [put(status="y"), put(status="x")], [drop, put(status="z")], [put(n=1), drop],
            [drop], [put(status="x", n=2), drop, put(status="q")], [put(n=3)], [put(n=None)], [],
        ]
    )  # fmt: skip


def test_what_was_undone_again_is_shown_and_said_not_to_be_kept():
    """A diff of the ends shows one changed cell; this is what happened."""
    found = churn(story().history, 1, 9)

    assert cells(found[["step", "change", "column", "before", "after", "kept"]]) == [
        (2, "update", "status", "x", "y", False),
        (2, "update", "status", "y", "x", False),
        (3, "delete", None, None, None, False),
        (3, "insert", None, None, None, False),
        (4, "update", "n", None, "1", False),
        (4, "delete", None, None, None, False),
        (6, "insert", None, None, None, False),
        (6, "delete", None, None, None, False),
        (6, "insert", None, None, None, True),
        (7, "update", "n", None, "3", False),
        (8, "update", "n", "3", None, True),
    ]


def test_a_deletion_is_kept_where_the_row_stays_away():
    """Also the first of two."""
    run = story()

    assert cells(churn(run.history, 2, 5)[["step", "change", "kept"]]) == [
        (3, "delete", True), (3, "insert", False), (4, "update", False), (4, "delete", True),
    ]  # fmt: skip


def test_no_tables_no_steps_and_no_changes_are_empty_with_the_same_columns():
    """An explorer that shows nothing still shows the header."""
    history = story().history

    for frame in (churn(history, 0, 9, []), churn(history, 9, 9), churn(history, 5, 2), churn(history, 0, 9, ["none"])):
        assert list(frame.columns) == ORDER
        assert frame.empty


def test_tables_come_in_the_order_declared_and_once():
    """However they are asked for."""
    writes = [[(ODD, "put", ("a", True), {}), ("jobs", "put", ("a",), {})]] + [[]] * 8
    history = replayed(writes).history

    assert list(churn(history, 0, 9, [ODD, "jobs", ODD])["table"]) == ["jobs", ODD]
    with pytest.raises(QueryError, match="no state table 'job'"):
        churn(history, 0, 9, ["job"])


def test_a_step_read_off_a_frame_is_understood():
    """It is a numpy number there."""
    run = story()
    first, last = run.steps["step"].iloc[1], run.steps["step"].iloc[5]

    assert churn(run.history, first, last).equals(churn(run.history, 2, 6))


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_result_does_not_depend_on_the_number_of_threads(threads, monkeypatch):
    """Thousands of changes, so that there is something to share out."""

    def memory():
        found = duckdb.connect(":memory:", config={"threads": threads})
        assert found.sql("SELECT current_setting('threads')").fetchall() == [(threads,)]
        return found

    monkeypatch.setattr(connection, "memory", memory)
    writes = [
        [("jobs", what, (f"{n * step % 997}",), {"n": n % step} if what == "put" else {})
         for n in range(700) for what in ("put", *["drop"] * (n % 3 == 0))]
        for step in range(1, 10)
    ]  # fmt: skip
    found = churn(replayed(writes).history, 0, 9)

    assert len(found) > 7_000
    assert cells(found) == walked(lives_of(writes), 0, 9, ["jobs"])


def test_keys_read_as_in_actions_and_focus():
    """Truth values and times as Python writes them: 'True', six digits of a second."""
    rules = rk.Reconciler("r", {"t": rk.Table(["up", "at"], up="BOOLEAN", at="TIMESTAMP")})
    at = pd.Timestamp("2026-03-26 06:00:00.500")
    rules.apply("go")(
        lambda state, event: state["t"].upsert(up=event["position"] == 1, at=at if event["position"] < 3 else T0)
    )
    run = rk.replay(recording(), rules)
    shown = [entity_of(row) for row in run.after["t"].itertuples(index=False)]

    assert list(churn(run.history, 0, 3)["key"]) == shown
    assert shown == ["True/2026-03-26 06:00:00.500000", "False/2026-03-26 06:00:00.500000", "False/2026-03-26 06:00:00"]
