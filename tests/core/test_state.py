"""State: the working set handlers read and write, held to a model that does everything the slow way."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replaykit.declarations import Table
from replaykit.errors import ReconcilerError, StateError
from replaykit.state import State

JOBS = Table("id", status="VARCHAR", n="BIGINT", defaults={"status": "new"})
DEPS = Table(["a", "b"], a="VARCHAR", b="BIGINT", kind="VARCHAR")


@pytest.fixture
def state():
    """An empty state of two tables."""
    return State({"jobs": JOBS, "deps": DEPS}, {"patience": 5})


def ids(rows):
    """Return the keys of some rows, in their order."""
    return [row["id"] for row in rows]


def test_an_inserted_row_has_every_column_and_its_defaults(state):
    """A rule may read any declared column of any row."""
    assert state["jobs"].insert(id="a") == {"id": "a", "status": "new", "n": None}
    assert state["jobs"].get("a") == state["jobs"]["a"] == state.jobs["a"]
    assert "a" in state["jobs"]


def test_an_existing_key_is_not_inserted_twice(state):
    """Two rows of one key would make every later read a guess."""
    state["jobs"].insert(id="a")

    with pytest.raises(StateError, match="already has a row 'a'; update it"):
        state["jobs"].insert({"id": "a"})
    assert len(state.changes) == 1


def test_a_missing_row_is_named(state):
    """``get`` asks, everything else means it."""
    assert state["jobs"].get("x") is None
    assert state["jobs"].delete("x") is False
    with pytest.raises(StateError, match="has no row 'x'; it holds 0 rows"):
        _ = state["jobs"]["x"]
    with pytest.raises(StateError, match="has no row 'x' to update"):
        state["jobs"].update("x", n=1)


def test_an_update_that_changes_nothing_is_not_logged(state):
    """History holds versions, and a version that equals the one before is none; NaN equals NaN."""
    table = State({"t": Table("id", x="DOUBLE")}, {})["t"]
    table.insert(id="a", x=float("nan"))
    state["jobs"].insert(id="a", n=1)

    state["jobs"].update("a", n=1, status="new")
    table.update("a", x=float("nan"))

    assert len(state.changes) == len(table._state.changes) == 1


def test_upsert_leaves_the_columns_it_is_not_given(state):
    """It is an update of the row that is there."""
    state["jobs"].insert(id="a", n=1)

    assert state["jobs"].upsert(id="a", status="lost") == {"id": "a", "status": "lost", "n": 1}
    assert state["jobs"].upsert({"id": "b"}, n=2) == {"id": "b", "status": "new", "n": 2}


@pytest.mark.parametrize("write", ["update", "upsert"])
def test_a_key_never_changes(state, write):
    """A new key is a delete and an insert; otherwise its history would be torn."""
    state["deps"].insert(a="x", b=1)

    with pytest.raises(StateError, match="key column 'b' can't change from 1 to 2; delete the row and insert another"):
        state["deps"].update(("x", 1), b=2)
    assert len(state["deps"]) == 1


@pytest.mark.parametrize("row", [{}, {"n": 1}, {"id": None}, {"id": pd.NA}])
def test_a_row_needs_its_key(state, row):
    """NULL identifies nothing."""
    for write in (state["jobs"].insert, state["jobs"].upsert):
        with pytest.raises(StateError, match=r"NULL|missing"):
            write(row)
    assert not state.changes


def test_an_unknown_column_or_table_lists_what_there_is(state):
    """Typos are the commonest error of all."""
    state["jobs"].insert(id="a")

    for wrong in (
        lambda: state["jobs"].insert(id="b", stauts="x"), lambda: state["jobs"].update("a", stauts="x"),
        lambda: state["jobs"].find(stauts="x"), lambda: state["jobs"].find(id="a", stauts="x"),
    ):  # fmt: skip
        with pytest.raises(StateError, match=r"no column 'stauts'; its columns are \['id', 'status', 'n'\]"):
            wrong()
    with pytest.raises(StateError, match="no state table 'job'; the tables are"):
        _ = state["job"]


def test_a_refused_write_leaves_no_trace(state):
    """A handler may catch the error and go on."""
    state["jobs"].insert(id="a", n=1)

    for wrong in (lambda: state["jobs"].update("a", status="x", n="1"), lambda: state["jobs"].upsert(id="a", n=2**70)):
        with pytest.raises(StateError):
            wrong()

    assert state["jobs"]["a"] == {"id": "a", "status": "new", "n": 1}
    assert len(state.changes) == 1


def test_an_update_does_not_move_a_row_and_a_reinsert_does(state):
    """Programs depend on the order of their rows."""
    for key in "abc":
        state["jobs"].insert(id=key)
    state["jobs"].update("a", n=1)
    state["jobs"].delete("b")
    state["jobs"].insert(id="b")

    assert ids(state["jobs"]) == ids(state["jobs"].find(status="new")) == ["a", "c", "b"]


def test_find_takes_values_members_mappings_and_predicates(state):
    """Every way of asking gives rows in insertion order."""
    for number, key in enumerate("dcba"):
        state["jobs"].insert(id=key, n=number % 2)
    jobs = state["jobs"]

    assert ids(jobs.find(n=1)) == ["c", "a"]
    assert ids(jobs.find({"n": 1}, id=["a", "d"])) == ["a"]
    assert ids(jobs.find(id=("a", "d", "a"))) == ids(jobs.find(id={"a", "d"})) == ["d", "a"]
    assert ids(jobs.find(lambda row: row["n"] == 0)) == ["d", "b"]
    assert jobs.find(n=7) == jobs.find(n=[]) == []


def test_a_key_is_found_in_whatever_form_it_comes():
    """A UUID, a numpy number or a zoned time names the row that was written with it."""
    uid, at = UUID(int=7), datetime(2026, 3, 26, 6, tzinfo=UTC)
    state = State({"t": Table(["u", "n", "at"], u="UUID", n="BIGINT", at="TIMESTAMP"), "one": Table("u", u="UUID")}, {})
    state["t"].insert(u=uid, n=np.int64(3), at=at)
    state["one"].upsert(u=uid)

    key = (uid, np.int64(3), pd.Timestamp(at))

    assert key in state["t"]
    assert state["t"][key]["at"] == datetime(2026, 3, 26, 6)
    assert state["t"].find(at=at) == state["t"].find(u=[uid], n=3) == [state["t"].get(key)]
    assert state["t"].find(n=3, at="2026-03-26T06:00", u=uid) == [state["t"].get(key)]
    assert state["one"].upsert(u=uid) == {"u": str(uid)}
    assert state["one"].delete(uid)
    assert state["t"].delete(key)


def test_a_value_that_fits_no_row_finds_none(state):
    """A question about another type is a question, not a write."""
    state["jobs"].insert(id="a", n=1)

    assert state["jobs"].find(n="1") == state["jobs"].find(status=5) == []
    assert state["jobs"].get(("a", "b")) is None
    assert state["jobs"].find(n=pd.NA) == []


def test_an_undone_delete_returns_to_its_place(state):
    """``on_error="undo"`` must leave the order as if the event had never come."""
    for key in "abc":
        state["jobs"].insert(id=key)
    mark = len(state.changes)
    state["jobs"].find(status="new")
    state["jobs"].delete("a")
    state["jobs"].insert(id="d")
    state["jobs"].insert(id="a", n=9)
    state["jobs"].update("b", status="lost")

    state.undo(mark)

    assert ids(state["jobs"]) == ids(state["jobs"].find(status="new")) == ["a", "b", "c"]
    assert state["jobs"]["a"]["n"] is None
    state["jobs"].insert(id="e")
    assert ids(state["jobs"]) == ids(state["jobs"].find(status="new")) == ["a", "b", "c", "e"]


def test_new_ids_and_draws_are_the_same_in_every_state():
    """What a program calls uuid4 and random for."""
    one, two = (State({}, {}) for _ in range(2))

    assert [one.new_id("job"), one.new_id("job"), one.new_id("bead")] == ["job-0001", "job-0002", "bead-0001"]
    assert [one.random.random() for _ in range(3)] == [two.random.random() for _ in range(3)]


def test_parameters_are_read_only(state):
    """A rule that turned its own threshold would answer differently at every tick."""
    assert state.params["patience"] == state.params.patience == 5
    with pytest.raises(TypeError):
        state.params["patience"] = 6
    with pytest.raises(AttributeError, match=r"no parameter 'pateince'; there are \['patience'\]"):
        _ = state.params.pateince


def test_a_default_is_checked_like_any_value():
    """Otherwise the first insert without that column would store what no column holds."""
    with pytest.raises(StateError, match="Column 'n' is BIGINT"):
        State({"t": Table("id", n="BIGINT", defaults={"n": "x"})}, {})
    assert State({"t": Table("id", j="JSON", defaults={"j": {"a": 1}})}, {})["t"].insert(id="a")["j"] == '{"a":1}'


def test_a_table_is_declared_with_a_key_it_has():
    """Mistakes in a declaration end before anything is replayed."""
    with pytest.raises(ReconcilerError, match="needs a key"):
        Table([])
    with pytest.raises(ReconcilerError, match=r"defaults name \['m'\]"):
        Table("id", n="BIGINT", defaults={"m": 1})


class Model:
    """The same table as a list of dicts: every question is a scan."""

    def __init__(self):
        self.rows = []

    def at(self, key):
        """Return the place of a key, or None."""
        return next((n for n, row in enumerate(self.rows) if row["id"] == key), None)

    def do(self, op, key, values):
        """Carry out one operation; returns whether the table should accept it."""
        place = self.at(key)
        if op == "insert" and place is None:
            self.rows.append({"id": key, "status": "new", "n": None, **values})
        elif op == "upsert":
            if place is None:
                return self.do("insert", key, values)
            self.rows[place] = {**self.rows[place], **values}
        elif op == "update" and place is not None:
            self.rows[place] = {**self.rows[place], **values}
        elif op == "delete" and place is not None:
            del self.rows[place]
        elif op in ("insert", "update"):
            return False
        return True


KEYS = st.sampled_from("abcde")
VALUES = st.fixed_dictionaries(
    {}, optional={"status": st.sampled_from(["new", "lost", None]), "n": st.integers(0, 2) | st.none()}
)
OPS = st.tuples(
    st.sampled_from(["insert", "update", "upsert", "delete", "find", "find both", "mark", "undo"]), KEYS, VALUES
)


def carry_out(table, op, key, values):
    """Do to the table what the model does; returns whether it accepted."""
    try:
        if op == "delete":
            table.delete(key)
        elif op == "update":
            table.update(key, values)
        else:
            getattr(table, op)({"id": key, **values})
    except StateError:
        return False
    return True


@settings(max_examples=150)
@given(st.lists(OPS, max_size=40))
def test_rows_order_indexes_and_undo_equal_a_naive_model(operations):
    """Every index is asked in the middle of the writes it must follow."""
    state, model, marks = State({"jobs": JOBS}, {}), Model(), []
    table = state["jobs"]
    for op, key, values in operations:
        if op == "mark":
            marks.append((len(state.changes), list(model.rows)))
        elif op == "undo" and marks:
            mark, model.rows = marks.pop()
            state.undo(mark)
        elif op.startswith("find"):
            asked = values if op == "find both" else dict(list(values.items())[:1])
            assert table.find(**asked) == [r for r in model.rows if all(r[c] == v for c, v in asked.items())]
        elif op != "undo":
            assert carry_out(table, op, key, values) == model.do(op, key, values)
        assert (table.get(key) or None) == (model.rows[model.at(key)] if model.at(key) is not None else None)

    assert table.find() == list(table) == model.rows
    for status in ("new", "lost", None):
        assert table.find(status=status) == [row for row in model.rows if row["status"] == status]
