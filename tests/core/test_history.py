"""History and moments: every version of every row, read back without replaying."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta

import pandas as pd
import pytest
from building import after, loaded

from replaykit.declarations import Table
from replaykit.errors import GuardError, QueryError, ReconcilerError
from replaykit.reconciler import Reconciler
from replaykit.replay import replay
from replaykit.snapshot import Snapshot
from replaykit.window import Window

ROWS = [
    (0, "put", {"a": "x", "b": 1}), (10, "put", {"a": "x", "b": 2}), (10, "twice", {"a": "x", "b": 1}),
    (20, "drop", {"a": "x", "b": 1}), (30, "put", {"a": "x", "b": 1}),
]  # fmt: skip


@pytest.fixture(scope="module")
def run():
    """A row that is put, changed twice in one step, dropped and put again, beside another."""
    found = Reconciler("r", {"t": Table(["a", "b"], a="VARCHAR", b="BIGINT", n="BIGINT")})
    found.apply("put")(lambda state, event: state["t"].insert(event.payload, n=event["position"]))
    found.apply("drop")(lambda state, event: state["t"].delete((event.payload["a"], event.payload["b"])))

    @found.apply("twice")
    def twice(state, event):
        key = (event.payload["a"], event.payload["b"])
        state["t"].update(key, n=100)
        state["t"].update(key, n=200)

    with loaded(*ROWS) as recording:
        yield replay(recording, found)


def test_a_rows_history_is_its_versions_with_what_caused_them(run):
    """Two changes of one step are two versions; the first of them is seen by no moment."""
    rows = run.history("t", ("x", 1))

    assert list(rows["n"]) == [1, 100, 200, 5]
    assert list(rows["valid_from"]) == [1, 3, 3, 5]
    assert [None if pd.isna(v) else v for v in rows["valid_to"]] == [3, 3, 4, None]
    assert list(rows["caused_by"]) == ["put", "twice", "twice", "put"]
    assert list(rows["event_id"]) == ["e1", "e3", "e3", "e5"]
    assert list(rows["applied_at"]) == [after(s) for s in (0, 10, 10, 30)]


def test_changes_are_numbered_densely_in_their_real_order(run):
    """Over all rows, deletes included."""
    assert list(run.history("t")["change"]) == [1, 2, 3, 4, 6]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"step": 0}, []), ({"step": 2}, [1, 2]), ({"step": 3}, [200, 2]), ({"step": 4}, [2]), ({"step": 5}, [2, 5]),
        ({"time": after(9.999999)}, [1]), ({"time": after(10)}, [200, 2]),
        ({"time": "2026-03-26T06:00:25Z"}, [2]), ({"time": "06:00:25"}, [2]), ({"time": after(30)}, [2, 5]),
        ({"event": "e2"}, [1, 2]), ({"event": "e4"}, [2]),
    ],
)  # fmt: skip
def test_a_moment_shows_the_state_after_its_step_in_insertion_order(run, asked, expected):
    """By step, by time (all steps applied by then), by event; a reinserted row comes last."""
    assert list(run.at(**asked)["t"]["n"]) == expected


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"step": 6}, "no step 6; this replay has steps 0 .* to 5"), ({"step": -1}, "no step -1"),
        ({"event": "e9"}, "applied no event 'e9'; nearest of its 5 are 'e1', 'e2', 'e3'"),
        ({"time": after(-5)}, "before this replay's first moment: it goes from 2026-03-26T06:00:00Z to 2026-"),
        ({"time": after(10**6)}, "behind this replay's last moment"),
        ({}, "one"), ({"step": 1, "event": "e1"}, "one"),
    ],
)  # fmt: skip
def test_a_moment_that_does_not_exist_is_explained(run, asked, reason):
    """With what does exist."""
    with pytest.raises(QueryError, match=reason):
        run.at(**asked)


def test_a_table_or_key_that_does_not_exist_is_explained(run):
    """In history, moment and tables."""
    for wrong in (lambda: run.history("u"), lambda: run.after["u"]):
        with pytest.raises(QueryError, match=r"no state table 'u'; the tables are \['t'\]"):
            wrong()
    with pytest.raises(QueryError, match=r"no state table 'T'; the tables are \['t'\]"):
        run.history("T")
    with pytest.raises(KeyError):
        _ = run.after.tables["u"]
    with pytest.raises(
        QueryError, match=r"never held a row \('x', 9\); its key is \['a', 'b'\], nearest are \('x', 1\)"
    ):
        run.history("t", ("x", 9))
    with pytest.raises(QueryError, match=r"has 1 parts; the key of 't' is \['a', 'b'\]"):
        run.history("t", "x")


def test_sql_asks_a_moment_and_the_whole_history(run):
    """State tables are there as of the step; history and steps are there in full."""
    moment = run.at(step=2)

    assert moment.sql("SELECT n FROM t WHERE b = $b", b=2)["n"].tolist() == [2]
    assert moment.sql("SELECT count(*) AS c FROM history.t")["c"].tolist() == [5]
    assert run.sql("SELECT max(step) AS s FROM steps")["s"].tolist() == [5]
    assert run.after.sql("SELECT n FROM t ORDER BY n")["n"].tolist() == [2, 5]
    with pytest.raises(GuardError):
        moment.sql("DELETE FROM t")
    assert len(moment["t"]) == 2


def test_before_and_after_are_the_windows_ends():
    """The end is excluded, so ``after`` may differ from ``at(end)``."""
    found = Reconciler("r", {"t": Table("a", b="BIGINT")})
    found.apply("put")(lambda state, event: state["t"].upsert(event.payload))
    found.ignore("twice", "drop")
    with loaded(*ROWS) as recording:
        run = replay(recording, found, Window(after(5), after(30)))

    assert run.before["t"]["b"].tolist() == [1]
    assert run.after["t"]["b"].tolist() == [2]
    assert list(run.events["event_id"]) == ["e2", "e3", "e4"]


def test_every_type_comes_back_as_it_was_written():
    """Through the log, a snapshot base and SQL alike."""
    values = {
        "i": 2**63 - 1, "h": -(10**37), "u": 2**64 - 1, "s": -5, "d": 0.1, "f": 0.5, "b": True, "t": "é\n\0",
        "j": '{"a":[1,null]}',
        "at": datetime(1, 1, 1), "on": date(9999, 12, 31), "iv": timedelta(days=3, microseconds=1), "blob": b"\x00\xff",
    }  # fmt: skip
    types = {
        "i": "BIGINT", "h": "HUGEINT", "u": "UBIGINT", "s": "TINYINT", "d": "DOUBLE", "f": "FLOAT", "b": "BOOLEAN",
        "t": "VARCHAR", "j": "JSON", "at": "TIMESTAMP", "on": "DATE", "iv": "INTERVAL", "blob": "BLOB",
    }  # fmt: skip
    found = Reconciler("r", {"t": Table("id", {"id": "BIGINT", **types})})
    seen = []

    @found.apply("put")
    def put(state, event):
        state["t"].insert(id=1, **values)
        state["t"].insert(id=2)
        seen.extend(state.sql("SELECT * FROM t ORDER BY id"))

    with loaded((0, "put")) as recording:
        run = replay(recording, found)

    assert {**seen[0]} == {"id": 1, **values}
    assert {**seen[1]} == {"id": 2, **dict.fromkeys(values)}
    stored = (
        run.history._connection.cursor()
        .execute("SELECT * EXCLUDE (change, born, valid_from, valid_to) FROM history.t")
        .fetchall()
    )
    assert stored == [(1, *values.values()), (2, *[None] * len(values))]


def test_numbers_that_equal_nothing_are_kept():
    """NaN and infinity are values of a DOUBLE; a row that stays NaN gets no new version."""
    found = Reconciler("r", {"t": Table("id", x="DOUBLE")})
    found.apply("put")(
        lambda state, event: state["t"].upsert(id="a", x=[math.nan, math.nan, math.inf][event["position"] - 1])
    )
    with loaded((0, "put"), (1, "put"), (2, "put")) as recording:
        run = replay(recording, found)

    assert run.history("t")["valid_from"].tolist() == [1, 3]
    assert run.sql("SELECT count(*) AS c FROM history.t WHERE isnan(x)")["c"].tolist() == [1]


def test_a_base_is_step_zero_and_what_it_lacks_is_null():
    """Rows of the base are versions too, caused by the base."""
    base = Snapshot({"t": pd.DataFrame({"a": ["x", None], "b": [1, 2]}).dropna()}, at=after(-1))
    found = Reconciler("r", {"t": Table("a", b="BIGINT", c="VARCHAR")})
    found.apply("put")(lambda state, event: state["t"].upsert(event.payload))
    found.ignore("twice", "drop")
    with loaded(*ROWS) as recording:
        run = replay(recording, found, base=base)

    assert run.history("t", "x")[["valid_from", "caused_by", "b"]].values.tolist() == [
        [0, "base", 1],
        [2, "put", 2],
        [5, "put", 1],
    ]
    assert run.at(step=0)["t"]["c"].isna().all()


@pytest.mark.parametrize("column", ["change", "born", "valid_from", "VALID_TO"])
def test_a_column_of_the_history_itself_is_refused_by_name(column):
    """SQL could not tell it from the history's own."""
    with loaded((0, "x")) as recording, pytest.raises(ReconcilerError, match=f"can't have a column '{column}'"):
        replay(recording, Reconciler("r", {"t": Table("id", {column: "BIGINT"})}))


def test_columns_that_differ_by_case_alone_are_refused():
    """SQL does not tell upper from lower case."""
    with loaded((0, "x")) as recording, pytest.raises(ReconcilerError, match="does not tell upper from lower case"):
        replay(recording, Reconciler("r", {"t": Table("id", {"Status": "BIGINT", "status": "BIGINT"})}))
