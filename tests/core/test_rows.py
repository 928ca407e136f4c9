"""Row values: what a state column takes, converts and refuses, decided where it is written."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replaykit.errors import StateError
from replaykit.rows import Row, column_type, plain

UID = UUID("12345678123456781234567812345678")


class Status(str, Enum):  # noqa: UP042 - the older form is the one whose str() is its name
    """As many programs spell their states."""

    LOST = "lost"


class Level(IntEnum):
    """A number with a name."""

    HIGH = 3


def stored(sql, value):
    """Return `value` as a column of this type holds it."""
    return column_type("t", "c", sql)(value)


@pytest.mark.parametrize(
    ("sql", "value", "expected"),
    [
        ("VARCHAR", "text", "text"),
        ("VARCHAR", np.str_("text"), "text"),
        ("VARCHAR", Status.LOST, "lost"),
        ("VARCHAR", UID, str(UID)),
        ("VARCHAR", {"b": 1, "a": [1, "ü"]}, '{"b":1,"a":[1,"ü"]}'),
        ("VARCHAR", "\ud800", "\ud800"),
        ("UUID", UID, str(UID)),
        ("JSON", {"a": None}, '{"a":null}'),
        ("JSON", [1, {"a": (2, 3)}], '[1,{"a":[2,3]}]'),
        ("JSON", MappingProxyType({"a": np.int64(1)}), '{"a":1}'),
        ("JSON", "not json {", "not json {"),
        ("BOOLEAN", True, True),
        ("BOOLEAN", np.bool_(False), False),
        ("BIGINT", 2**63 - 1, 2**63 - 1),
        ("BIGINT", np.int32(7), 7),
        ("BIGINT", 3.0, 3),
        ("BIGINT", Level.HIGH, 3),
        ("UBIGINT", 2**64 - 1, 2**64 - 1),
        ("HUGEINT", -(10**38) + 1, -(10**38) + 1),
        ("DOUBLE", 1, 1.0),
        ("DOUBLE", np.float32(0.5), 0.5),
        ("DOUBLE", Decimal("0.25"), 0.25),
        ("FLOAT", 0.1, float(np.float32(0.1))),
        ("DECIMAL(10,2)", Decimal("1.5"), Decimal("1.50")),
        ("DECIMAL(10,2)", 7, Decimal(7)),
        ("DECIMAL", "1.125", Decimal("1.125")),
        ("TIMESTAMP", datetime(2026, 3, 26, 8, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 3, 26, 6)),
        ("TIMESTAMP", "2026-03-26T06:00Z", datetime(2026, 3, 26, 6)),
        ("TIMESTAMP", pd.Timestamp("2026-03-26T07:00", tz="Europe/Berlin"), datetime(2026, 3, 26, 6)),
        ("TIMESTAMP", np.datetime64("2026-03-26T06:00", "ns"), datetime(2026, 3, 26, 6)),
        ("DATE", date(2026, 3, 26), date(2026, 3, 26)),
        ("DATE", "2026-03-26", date(2026, 3, 26)),
        ("TIME", time(6, 10), time(6, 10)),
        ("INTERVAL", timedelta(minutes=5), timedelta(minutes=5)),
        ("INTERVAL", pd.Timedelta("5min"), timedelta(minutes=5)),
        ("INTERVAL", np.timedelta64(5, "m"), timedelta(minutes=5)),
        ("BLOB", bytearray(b"ab"), b"ab"),
    ],
)
def test_a_value_is_stored_in_one_form(sql, value, expected):
    """The same value written from numpy, pandas or plain Python must compare equal ever after."""
    found = stored(sql, value)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "sql",
    [
        "VARCHAR",
        "JSON",
        "BIGINT",
        "DOUBLE",
        "DECIMAL(4,1)",
        "TIMESTAMP",
        "DATE",
        "BLOB",
        "BOOLEAN",
        "INTERVAL",
        "FLOAT",
    ],
)
@pytest.mark.parametrize("missing", [None, pd.NaT, pd.NA, np.datetime64("NaT"), Decimal("NaN")])
def test_every_word_for_missing_is_null(sql, missing):
    """A handler that reads a frame meets four of them."""
    assert stored(sql, missing) is None


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("VARCHAR", 5), ("VARCHAR", 1.5), ("VARCHAR", datetime(2026, 1, 1)), ("VARCHAR", b"x"), ("VARCHAR", {1, 2}),
        ("VARCHAR", float("nan")), ("VARCHAR", np.array([1, 2])), ("VARCHAR", object()),
        ("BIGINT", "5"), ("BIGINT", True), ("BIGINT", 1.5), ("BIGINT", 2**63), ("BIGINT", -(2**63) - 1),
        ("BIGINT", float("nan")), ("BIGINT", float("inf")), ("BIGINT", 1e30), ("BIGINT", np.uint64(2**64 - 1)),
        ("TINYINT", 128), ("UTINYINT", -1), ("INTEGER", 2**31), ("UBIGINT", -1), ("HUGEINT", 10**38),
        ("DOUBLE", "1.5"), ("DOUBLE", True), ("FLOAT", 1e300),
        ("DECIMAL(10,2)", 1.5), ("DECIMAL(10,2)", Decimal("1.234")), ("DECIMAL(4,2)", Decimal(100)),
        ("DECIMAL(4,2)", "x"),
        ("BOOLEAN", 1), ("BOOLEAN", "true"),
        ("TIMESTAMP", 1774504800), ("TIMESTAMP", "soon"), ("TIMESTAMP", date(2026, 1, 1)),
        ("DATE", datetime(2026, 1, 1)), ("DATE", pd.Timestamp("2026-01-01")), ("TIME", "06:10"), ("INTERVAL", 5),
        ("BLOB", 5), ("BLOB", "x"), ("BLOB", [1, 2]),
        ("JSON", {"a": {1, 2}}), ("JSON", {"ab", "cd"}), ("JSON", {"a": object()}), ("JSON", datetime(2026, 1, 1)),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_where_it_is_written(sql, value):
    """Found later, in bulk, nobody could say which handler wrote it; converted quietly, it would be another value."""
    with pytest.raises(StateError, match=f"Column 'c' is {sql.partition('(')[0]}.* and can't hold"):
        stored(sql, value)


def test_a_refusal_quotes_eighty_characters():
    """The value may be somebody's data."""
    with pytest.raises(StateError) as caught:
        stored("BIGINT", "secret" * 1_000)

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "sql", ["INTEGER[]", "STRUCT(a INTEGER)", "MAP(VARCHAR, INTEGER)", "TIMESTAMPTZ", "NONSENSE", ""]
)
def test_a_type_rows_can_not_hold_is_named_with_what_they_can(sql):
    """Nested values go into JSON, zoned times into UTC."""
    with pytest.raises(StateError, match="Use JSON for nested values, and TIMESTAMP"):
        column_type("jobs", "c", sql)


def test_a_row_refuses_every_change():
    """A row changed in place would be missing from the history."""
    row = Row(a=1)

    for change in (
        lambda: row.__setitem__("a", 2), lambda: row.__delitem__("a"), lambda: row.update(a=2), lambda: row.pop("a"),
        row.popitem, row.clear, lambda: row.setdefault("b", 2), lambda: row.__ior__({"a": 2}),
    ):  # fmt: skip
        with pytest.raises(StateError, match="can't be changed in place"):
            change()
    with pytest.raises(AttributeError):
        row.a = 2
    assert row == {"a": 1}


def test_copies_of_a_row_are_free():
    """Code that takes a row apart needs a plain dict."""
    row = Row(a=1)

    for twin in (copy.copy(row), copy.deepcopy(row), dict(row), row | {}):
        twin["a"] = 2
    assert row == {"a": 1}
    assert pickle.loads(pickle.dumps(row)) == row


def test_a_row_reads_by_item_and_by_attribute_where_no_name_collides():
    """``row.items`` stays the method; ``row["items"]`` is the column."""
    row = Row(status="lost", items=3)

    assert row.status == "lost"
    assert row["items"] == 3
    assert callable(row.items)
    with pytest.raises(KeyError, match=r"no column 'state'; the columns are \['status', 'items'\]"):
        row["state"]
    with pytest.raises(AttributeError, match="no column 'state'"):
        _ = row.state


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Status.LOST, "lost"), (UID, str(UID)), (np.float64(0.5), 0.5), (np.bool_(True), True),
        (pd.NaT, None), (pd.NA, None),
        (pd.Timestamp("2026-03-26T06:00Z"), datetime(2026, 3, 26, 6)), ({"a": (1, 2)}, '{"a":[1,2]}'),
        (datetime(2026, 3, 26, 6, tzinfo=UTC), datetime(2026, 3, 26, 6)), (Decimal("1.50"), Decimal("1.50")),
    ],
)  # fmt: skip
def test_results_show_scalars_and_json(value, expected):
    """What a rule yields must compare equal from run to run."""
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)


@pytest.mark.parametrize("value", [{1, 2}, frozenset("a"), object(), lambda: 1])
def test_results_refuse_what_has_no_order_or_an_address(value):
    """Its text differs from process to process."""
    with pytest.raises(TypeError):
        plain(value)


_LEAF = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.recursive(_LEAF, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20))
def test_containers_are_frozen_at_write_and_read_back_equal(value):
    """The log must not change when the handler goes on using its dict."""
    text = stored("JSON", [value])

    assert json.loads(text) == [value]


@given(value=st.integers(), bits=st.sampled_from([8, 16, 32, 64]), unsigned=st.booleans())
def test_integers_fit_exactly_when_the_engine_could_store_them(value, bits, unsigned):
    """The bounds of all eight widths, from both sides."""
    name = {8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}[bits]
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    kind = column_type("t", "c", ("U" if unsigned else "") + name)

    for number in (value, low, high, low - 1, high + 1):
        if low <= number <= high:
            assert kind(number) == number
        else:
            with pytest.raises(StateError):
                kind(number)
