"""Diffs of frames, Arrow tables, relations and sets of tables, with the edges of every type."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType, SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from replaykit.diff import Diff, TablesDiff, diff
from replaykit.diff.json import ABSENT
from replaykit.errors import KeyDiffError, QueryError


@pytest.fixture
def before() -> pd.DataFrame:
    """Four jobs as they were."""
    return pd.DataFrame(
        {
            "job": ["a", "b", "c", "d"],
            "status": ["open", "open", None, "done"],
            "cost": [1.0, np.nan, 3.0, 4.0],
            "tries": [1, 2, 3, 4],
        }
    )


@pytest.fixture
def after() -> pd.DataFrame:
    """The jobs later: c is gone, e is new, a and b changed, in another order."""
    return pd.DataFrame(
        {
            "job": ["e", "d", "b", "a"],
            "status": ["open", "done", "closed", "open"],
            "cost": [0.5, 4.0, np.nan, 1.5],
            "tries": [0, 4, 2, 1],
        }
    )


def column(*values: Any, dtype: Any = None) -> pd.DataFrame:
    """Return a frame with a key and one column."""
    return pd.DataFrame({"id": range(len(values)), "x": pd.Series(list(values), dtype=dtype)})


def test_rows_are_added_removed_and_changed(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """The three words of the glossary, each a frame sorted by the key."""
    found = diff(before, after, key="job")

    assert (len(found), bool(found)) == (4, True)
    assert found.added.to_dict("records") == [{"job": "e", "status": "open", "cost": 0.5, "tries": 0}]
    assert found.removed["job"].tolist() == ["c"]
    assert found.changed["job"].tolist() == ["a", "b"]
    assert list(found.changed) == ["job", "status_before", "status_after", "cost_before", "cost_after"]


def test_changes_are_listed_cell_by_cell(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """The long form is what one joins to events."""
    found = diff(before, after, key="job").changed_long

    assert list(found.itertuples(index=False, name=None)) == [
        ("a", "cost", 1.0, 1.5),
        ("b", "status", "open", "closed"),
    ]
    assert list(found) == ["job", "column", "before", "after"]


def test_missing_values_in_the_long_form_are_none() -> None:
    """Cells of many types share a column, so one missing value serves them all; also where all others are text."""
    found = diff(column("a", None), column(None, "b"), key="id").changed_long

    assert found["before"].tolist() == ["a", None]
    assert found["after"].tolist() == [None, "b"]


def test_the_repr_is_the_summary(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """One line, from held numbers."""
    found = diff(before, after, key="job")

    assert repr(found) == "Diff(1 added, 1 removed, 2 changed in 2 columns)"
    assert str(found) == found.summary == "1 added, 1 removed, 2 changed in 2 columns"
    assert repr(diff(before, before, key="job")) == "Diff(no row differs)"


def test_a_diff_is_frozen_and_its_frames_are_copies(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """A finding must not change because somebody sorted or cleaned a table it gave out."""
    found = diff(before, after, key="job")
    added, changed = found.added, found.changed_long
    added.loc[0, "status"] = "spoiled"
    changed["column"] = "spoiled"
    before.loc[2, "status"] = "spoiled"

    assert found.added["status"].tolist() == ["open"]
    assert found.changed_long["column"].tolist() == ["cost", "status"]
    assert found.removed["status"].isna().all()
    with pytest.raises(dataclasses.FrozenInstanceError):
        found._found = None  # type: ignore[misc, assignment]


def test_the_inputs_are_left_as_they_were(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Evidence is never changed."""
    copies = before.copy(), after.copy()

    diff(before, after, key="job").apply(before)

    pd.testing.assert_frame_equal(before, copies[0])
    pd.testing.assert_frame_equal(after, copies[1])


def test_applied_to_before_it_gives_after(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """With the types of after, so that the two frames are equal."""
    found = diff(before, after, key="job").apply(before)

    assert found["job"].tolist() == ["a", "b", "d", "e"]
    pd.testing.assert_frame_equal(found, after.sort_values("job", ignore_index=True))


def test_applied_to_another_frame_it_refuses(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """A diff half made would be neither state."""
    found = diff(before, after, key="job")

    with pytest.raises(QueryError, match=r"lacks 2 rows .* already has 1 row"):
        found.apply(after.iloc[:3])
    with pytest.raises(QueryError, match="no column 'job'"):
        found.apply(before.drop(columns="job"))


# -- keys ---------------------------------------------------------------------------------------------------------


def test_several_columns_can_be_the_key() -> None:
    """Dependencies have no other identity than both ends."""
    old = pd.DataFrame({"a": [1, 1, 2], "b": ["x", "y", "x"], "n": [1, 2, 3]})
    new = old.assign(n=[1, 2, 4])

    assert diff(old, new, key=["a", "b"]).changed.to_dict("records") == [
        {"a": 2, "b": "x", "n_before": 3, "n_after": 4}
    ]


@pytest.mark.parametrize("name", [None, "job"])
def test_the_index_can_be_the_key(before: pd.DataFrame, after: pd.DataFrame, name: str | None) -> None:
    """A frame that is keyed by its index stays so in what is added and removed."""
    old, new = (frame.set_index("job").rename_axis(name) for frame in (before, after))

    found = diff(old, new, key="index")

    assert found.added.index.tolist() == ["e"]
    assert found.changed[name or "index"].tolist() == ["a", "b"]
    pd.testing.assert_frame_equal(found.apply(old).sort_index(), new.sort_index())


def test_an_index_of_several_levels_can_be_the_key() -> None:
    """Group-bys give such frames."""
    old = pd.DataFrame({"n": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]))
    new = old.assign(n=[1, 3])

    assert diff(old, new, key="index").changed.to_dict("records") == [
        {"level_0": "b", "level_1": 2, "n_before": 2, "n_after": 3}
    ]


def test_repeated_keys_are_listed_with_a_call_that_works() -> None:
    """With the message alone the next try succeeds."""
    old = pd.DataFrame({"id": [1, 1, 1, 2], "at": [1, 2, 3, 4], "note": list("aaaa")})

    with pytest.raises(KeyDiffError, match=r"before apart: 1 in 3 rows\. .*key=\['id', 'at'\]"):
        diff(old, old, key="id")
    with pytest.raises(KeyDiffError, match=r"'a' in 4 rows.*key=\['note', 'at'\]"):
        diff(old.drop(columns="id"), old.drop(columns="id"), key="note")
    assert not diff(old, old, key=["id", "at"])


def test_repeated_keys_that_nothing_tells_apart_lead_to_no_key() -> None:
    """Comparing whole rows always works."""
    old = pd.DataFrame({"id": [1, 1], "n": [2, 2]})

    with pytest.raises(KeyDiffError, match=r"key=None\), which compares whole rows"):
        diff(old.iloc[:1], old, key="id")


def test_a_constant_key_is_refused_before_it_is_joined() -> None:
    """A million rows of one key would be joined to 10^12."""
    old = pd.DataFrame({"kind": ["same"] * 200_000, "n": range(200_000)})

    with pytest.raises(KeyDiffError, match="'same' in 200,000 rows"):
        diff(old, old, key="kind")


@pytest.mark.parametrize("empty", [None, np.nan, pd.NA])
def test_empty_keys_are_listed(empty: object) -> None:
    """A row without identity can't be paired, and a join would count it twice without a word."""
    old = pd.DataFrame({"id": pd.Series(["a", empty, "c"], dtype=object), "n": [1, 2, 3]})

    with pytest.raises(KeyDiffError, match=r"\['id'\] is empty in rows of before, counted from 0: \[1\]\. .*key=None"):
        diff(old, old, key="id")


def test_a_key_that_is_not_there_is_named(before: pd.DataFrame) -> None:
    """A typo should cost one look."""
    with pytest.raises(KeyDiffError, match="'jb' is not in before; its columns are 'cost', 'job', 'status', 'tries'"):
        diff(before, before, key="jb")


def test_keys_of_two_families_are_refused() -> None:
    """Otherwise every row would be both added and removed."""
    with pytest.raises(KeyDiffError, match="'id' holds number before and text after"):
        diff(column(1), column(1).astype({"id": "str"}), key="id")


def test_keys_of_two_number_types_match() -> None:
    """One side read its ids from a file with gaps."""
    new = column(1, 2).astype({"id": "float64"})

    assert not diff(column(1, 2), new, key="id")
    assert not diff(column(1, 2).astype({"id": "Int64"}), new, key="id")


# -- no key -------------------------------------------------------------------------------------------------------


def test_without_a_key_rows_are_counted() -> None:
    """A multiset: the third copy of a row is one row added."""
    old = pd.DataFrame({"a": [1, 1, 2, None], "b": ["x", "x", None, None]})
    new = pd.DataFrame({"a": [None, 1, 1, 1], "b": [None, "x", "x", "x"]})

    found = diff(old, new)

    assert found.summary == "1 added, 1 removed"
    assert found.added.to_dict("list") == {"a": [1], "b": ["x"]}
    assert found.removed["a"].tolist() == [2]
    assert not diff(new, found.apply(old))


def test_without_a_key_there_is_no_tolerance(before: pd.DataFrame) -> None:
    """Near is a question about two rows, and nothing says which two."""
    with pytest.raises(QueryError, match="tolerance needs a key"):
        diff(before, before, tolerance=1)


# -- values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (column(1, 2), column(1, 2, dtype="Int64")),
        (column(1, 2, dtype="int8"), column(1.0, 2.0)),
        (column("a", None), column("a", None, dtype=object)),
        (column("a", np.nan, dtype=object), column("a", pd.NA, dtype="string")),
        (column("a", "b", dtype="category"), column("a", "b")),
        (column("a", "b", dtype="category"), column("a", "b", dtype=pd.CategoricalDtype(["b", "a"], ordered=True))),
        (column(True, False), column(True, None, dtype="boolean").fillna(False)),
        (column(None, None), column(np.nan, np.nan)),
        (column(None, None), column(None, None, dtype="str")),
        (column(1.5, np.nan), column(1.5, None, dtype="Float64")),
        (column(0.0), column(-0.0)),
        (column(np.inf, -np.inf), column(np.inf, -np.inf, dtype=object)),
        (column(Decimal("1.50")), column(Decimal("1.5"))),
        (column(Decimal(2)), column(2)),
        (column(datetime(2026, 3, 1)), column(pd.Timestamp("2026-03-01", tz="UTC"))),
        (column(pd.Timestamp("2026-03-01", tz="UTC")), column(pd.Timestamp("2026-03-01T01:00", tz="Europe/Berlin"))),
        (column(datetime(2026, 3, 1), dtype=object), column(pd.Timestamp("2026-03-01"))),
        (column(pd.Timestamp("2026-03-01")), column(pd.Timestamp("2026-03-01"), dtype="datetime64[ns]")),
        (column(date(2026, 3, 1)), column(pd.Timestamp("2026-03-01"))),
        (column(timedelta(days=31)), column(pd.Timedelta(days=31), dtype="timedelta64[ns]")),
        (column([1, {"a": 2}]), column([1, {"a": 2.0}])),
        (column({"a": 1, "b": 2}), column({"b": 2, "a": 1})),
        (column(np.array([1, 2])), column([1, 2])),
        (column({"y", "x"}), column({"x", "y"})),
        (column(b"\x00"), column(bytearray(b"\x00"))),
        (column("\ud800", dtype=object), column("\ud800", dtype=object)),
        (column(1 + 2j), column(1 + 2j)),
        (column(pd.Period("2026-01")), column(pd.Period("2026-01"))),
        (column(2**70, dtype=object), column(2**70, dtype=object)),
    ],
)
def test_equal_values_of_two_types_are_equal(old: pd.DataFrame, new: pd.DataFrame) -> None:
    """How a library stores a value is no change of the value; `types` says it."""
    assert not diff(old, new, key="id")
    assert not diff(new, old, key="id")
    assert not diff(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (column(1), column("1")),
        (column(1, dtype=object), column("1", dtype=object)),
        (column(1, "a", dtype=object), column("1", "a", dtype=object)),
        (column(True, "a", dtype=object), column(1, "a", dtype=object)),
        (column(2**53 + 1), column(float(2**53))),
        (column(2**63), column(-(2**63))),
        (column(None), column("")),
        (column("a"), column("a ")),
        (column("a"), column("A")),
        (column("e\u0301"), column("\u00e9")),
        (column(np.float32(0.1)), column(0.1)),
        (column(np.inf), column(-np.inf)),
        (column(np.nan), column(0.0)),
        (column(Decimal("1.50000000000000000001")), column(Decimal("1.5"))),
        (column(pd.Timestamp("2026-03-01")), column(pd.Timestamp("2026-03-01T00:00:00.000000001"))),
        (
            column(pd.Timestamp("2026-03-01", tz="UTC").as_unit("ns")),
            column(pd.Timestamp("2026-03-01T00:00:00.000000001", tz="UTC")),
        ),
        (column(date(2026, 3, 1), dtype=object), column(datetime(2026, 3, 1, 5), dtype=object)),
        (column(date(2026, 3, 1), datetime(2026, 3, 1, 5)), column(date(2026, 3, 1), datetime(2026, 3, 1, 6))),
        (column(timedelta(days=30)), column(timedelta(days=31))),
        (column([1, 2]), column([2, 1])),
        (column({"a": None}), column({})),
        (column([None]), column([])),
        (column({"a": 1}), column('{"a": 1}')),
        (column(pd.Period("2026-01")), column(pd.Period("2026-02"))),
        (column(2**70, dtype=object), column(2**70 + 1, dtype=object)),
        (column("\ud800", dtype=object), column("\ud801", dtype=object)),
        (column("a", dtype="category"), column("b", dtype="category")),
    ],
)
def test_different_values_are_never_taken_for_equal(old: pd.DataFrame, new: pd.DataFrame) -> None:
    """Each of these is lost by a cast, a hash or a comparison that somebody would write."""
    assert len(diff(old, new, key="id")) == 1
    assert len(diff(new, old, key="id")) == 1
    assert diff(old, new).summary.startswith("1 added, 1 removed")


def test_types_that_differ_are_said() -> None:
    """Text against number is a change in every row, and the summary says why."""
    found = diff(column(1, 2), column("1", "2"), key="id")

    assert found.types == {"x": ("int64", "str")}
    assert found.summary == "2 changed in 1 column; type of 'x' differs (int64 before, str after)"


def test_columns_on_one_side_are_said_and_not_counted(before: pd.DataFrame) -> None:
    """A column more is no changed row, and must not go unseen either."""
    found = diff(before, before.drop(columns="cost").assign(owner="me"), key="job")

    assert len(found) == 0
    assert (found.columns_removed, found.columns_added) == (("cost",), ("owner",))
    assert found.summary == "no row differs; column 'cost' only before; column 'owner' only after"
    with pytest.raises(QueryError, match="'owner'"):
        found.apply(before)


def test_ignored_columns_are_not_compared(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """An updated_at moves with every write and hides what else did."""
    found = diff(before, after, key="job", ignore=["cost"])

    assert found.changed["job"].tolist() == ["b"]
    assert found.apply(before)["cost"].tolist()[2:] == [4.0, 0.5]


@pytest.mark.parametrize(
    ("tolerance", "changed"),
    [
        (None, [0, 1, 2]),
        (0.5, [1, 2]),
        (0.4, [0, 1, 2]),
        ("50%", [1]),
        ({"x": 1}, [1]),
        ({"x": "0%"}, [0, 1, 2]),
    ],
)
def test_a_tolerance_is_inclusive_and_absolute_or_relative(tolerance: Any, changed: list[int]) -> None:
    """Distances of 0.5, 100 and 1 (to empty never near)."""
    old, new = column(1.0, 100.0, 2.0, np.inf, np.nan), column(1.5, 200.0, 1.0, np.inf, np.nan)
    changed = [row for row in changed if not (tolerance == "50%" and row == 1)]

    assert diff(old, new, key="id", tolerance=tolerance).changed["id"].tolist() == changed
    assert diff(new, old, key="id", tolerance=tolerance).changed["id"].tolist() == changed


def test_nothing_is_near_an_empty_cell() -> None:
    """A value that appeared is a change at any tolerance."""
    assert len(diff(column(1.0, np.nan, np.inf), column(np.nan, 1.0, 1.0), key="id", tolerance=1e300)) == 3


def test_times_and_whole_numbers_have_tolerances() -> None:
    """Whole numbers are subtracted without overflow, times in nanoseconds."""
    whole = column(-(2**63), 2**63 - 1), column(2**63 - 1, 2**63 - 2)
    times = column(pd.Timestamp("2026-03-01")), column(pd.Timestamp("2026-03-01T00:00:01"))

    assert diff(*whole, key="id", tolerance=1).changed["id"].tolist() == [0]
    assert not diff(*times, key="id", tolerance={"x": timedelta(seconds=1)})
    assert diff(*times, key="id", tolerance=timedelta(milliseconds=999))


@pytest.mark.parametrize("bad", [-1, "x", "x%", np.nan, np.inf, True, {"x": "a"}, []])
def test_a_tolerance_that_means_nothing_is_refused(bad: Any) -> None:
    """A negative tolerance would make equal values differ."""
    with pytest.raises(QueryError, match="Can't read tolerance="):
        diff(column(1), column(1), key="id", tolerance=bad)


def test_a_tolerance_that_does_not_fit_its_column_is_refused() -> None:
    """Text has no distance."""
    with pytest.raises(QueryError, match="does not fit column 'x', which holds text"):
        diff(column("a"), column("b"), key="id", tolerance={"x": 1})


@pytest.mark.parametrize("option", ["ignore", "json", "tolerance"])
def test_options_name_columns_that_exist(option: str) -> None:
    """A misspelt ignore would be a diff full of noise, a misspelt json one without paths."""
    value: Any = {"y": 1} if option == "tolerance" else "y"

    with pytest.raises(QueryError, match=f"{option}= names 'y', a column of neither side; the columns are 'id', 'x'"):
        diff(column(1), column(1), key="id", **{option: value})


# -- JSON ---------------------------------------------------------------------------------------------------------


def test_json_is_compared_by_path() -> None:
    """One changed key of a payload of fifty is one line, not two long texts."""
    old = column('{"status": "open", "n": {"a b": [1, 2]}, "gone": null}', dtype=object)
    new = column({"n": {"a b": [1, 3, 4]}, "status": "closed"}, dtype=object)

    found = diff(old, new, key="id", json="x").changed_long

    assert list(found.itertuples(index=False, name=None)) == [
        (0, "x.gone", None, ABSENT),
        (0, 'x.n["a b"][1]', 2, 3),
        (0, 'x.n["a b"][2]', ABSENT, 4),
        (0, "x.status", "open", "closed"),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"a": 1, "b": [1.0, true]}', '{"b":[1,true],"a":1e0}'),
        ('"\\u00e9"', '"é"'),
        (None, None),
        ("not json", "not json"),
    ],
)
def test_spelling_of_json_does_not_matter(old: Any, new: Any) -> None:
    """Writers order keys as they like."""
    assert not diff(column(old, dtype=object), column(new, dtype=object), key="id", json=["x"])
    assert not diff(column(old, dtype=object), column(new, dtype=object), json=["x"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"a": 1}', '{"a": true}'),
        ('{"a": 1}', '{"a": "1"}'),
        ('{"a": null}', "{}"),
        ("null", None),
        ('{"a": 0.1}', '{"a": 0.10000000000000000001}'),
        ('{"a": 9007199254740993}', '{"a": 9007199254740992}'),
        ('{"a": 1, "a": 2}', '{"a": 3, "a": 2}'),
        ("not json", "not  json"),
        ("[NaN]", "[1]"),
        ("[" * 100_000, "[" * 100_001),
    ],
)
def test_differences_in_json_are_seen(old: Any, new: Any) -> None:
    """Absent is not null, a repeated key is kept, digits beyond the 17th count."""
    found = diff(column(old, dtype=object), column(new, dtype=object), key="id", json=["x"])

    assert len(found) == len(found.changed_long) == 1
    assert len(diff(column(old, dtype=object), column(new, dtype=object), json=["x"])) == 2


# -- other sources ------------------------------------------------------------------------------------------------


def test_arrow_relations_and_frames_mix(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Evidence comes as it comes."""
    connection = duckdb.connect()
    arrow = pa.Table.from_pandas(before, preserve_index=False)
    relation = connection.from_df(before)
    expected = diff(before, after, key="job")

    for side in (arrow, relation):
        found = diff(side, after, key="job")
        assert isinstance(found, Diff)
        pd.testing.assert_frame_equal(found.changed_long, expected.changed_long)
        pd.testing.assert_frame_equal(found.apply(side), expected.apply(before))
    assert not diff(arrow, relation, key="job")
    connection.close()


def test_arrow_tells_nan_from_null() -> None:
    """Where the two can be told apart they are; NaN equals NaN and NULL equals NULL."""
    old = pa.table({"id": [0, 1, 2], "x": pa.array([float("nan"), None, float("nan")])})
    new = pa.table({"id": [0, 1, 2], "x": pa.array([float("nan"), None, None], pa.float64())})

    assert diff(old, new, key="id").changed["id"].tolist() == [2]
    assert not diff(old, new.to_pandas(), key="id")


def test_polars_frames_and_readers_are_tables(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Whatever speaks Arrow; polars writes string views and categories of them."""
    polars = pytest.importorskip("polars")
    old = polars.from_pandas(before).with_columns(polars.col("status").cast(polars.Categorical))
    reader = pa.Table.from_pandas(after, preserve_index=False).to_reader()

    assert diff(old, reader, key="job").summary == "1 added, 1 removed, 2 changed in 2 columns"


def test_threads_can_diff_at_once() -> None:
    """A panel replays and diffs in a worker thread, while the notebook may do the same."""
    old = pd.DataFrame({"id": range(5_000), "x": 0})
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: len(diff(old, old.assign(x=(old["id"] < n).astype(int)), key="id")), range(40)))

    assert found == list(range(40))


def test_types_of_the_engine_are_compared() -> None:
    """Structs, lists, intervals, HUGEINT, UUID, TIME and TIMESTAMPTZ, as DuckDB hands them out."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'Asia/Tokyo'")
    query = (
        "SELECT 1 AS id, {{'a': {n}}} AS s, [1, {n}] AS l, INTERVAL ({n}) MONTH AS i, {n}00000000000000000000 AS h, "
        "'00000000-0000-0000-0000-00000000000{n}'::UUID AS u, TIME '00:00:0{n}' AS t, "
        "'2026-03-0{n}T00:00Z'::TIMESTAMPTZ AS z"
    )
    one, two = (connection.sql(query.format(n=n)) for n in (1, 2))

    assert not diff(one, one, key="id")
    assert diff(one, two, key="id").summary == "1 changed in 7 columns"
    connection.close()


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"id": []}), column()])
def test_empty_frames_are_equal(frame: pd.DataFrame) -> None:
    """A table without rows is a table."""
    assert diff(frame, frame).summary == "no row differs"


def test_an_empty_side_makes_all_rows_added(before: pd.DataFrame) -> None:
    """The first snapshot is a diff against nothing."""
    found = diff(before.iloc[:0], before, key="job")

    assert found.summary == "4 added"
    pd.testing.assert_frame_equal(found.apply(before.iloc[:0]), before)


def test_odd_column_names_are_kept() -> None:
    """Columns come from other people's programs, and the engine knows no upper case."""
    names: list[Any] = ["id", "ID", 'a"b', "select", "", 3, ("t", 1), "x_before", "x"]
    old = pd.DataFrame([[1, *range(8)]], columns=pd.Index(names, tupleize_cols=False))
    new = old.copy()
    new.isetitem(8, [70])

    found = diff(old, new, key="id")

    assert found.changed_long.to_dict("records") == [{"id": 1, "column": "x", "before": 7, "after": 70}]
    assert not diff(new, found.apply(old), key="id")


def test_a_key_named_like_a_result_column_is_kept() -> None:
    """The result's own column steps aside."""
    old = pd.DataFrame({"column": [1], "before": [1]})

    assert list(diff(old, old.assign(before=2), key="column").changed_long) == ["column", "column_", "before", "after"]


def test_two_columns_of_one_name_are_an_error() -> None:
    """There is no telling which one is meant."""
    with pytest.raises(QueryError, match="Two columns of before are named 'a'"):
        diff(pd.DataFrame([[1, 2]], columns=["a", "a"]), pd.DataFrame({"a": [1]}))


def test_what_is_no_table_is_refused() -> None:
    """With the kinds that are."""
    with pytest.raises(QueryError, match=r"Can't diff before, a list\. Pass a DataFrame"):
        diff([1], [2])


def test_frames_without_a_common_column_are_refused() -> None:
    """Everything would be equal."""
    with pytest.raises(QueryError, match="No column is on both sides"):
        diff(pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}))


# -- several tables -----------------------------------------------------------------------------------------------


def tables(**frames: pd.DataFrame) -> SimpleNamespace:
    """Return what looks like a snapshot."""
    return SimpleNamespace(tables=MappingProxyType(frames), keys=MappingProxyType({"jobs": ("job",), "xs": ("id",)}))


def test_several_tables_are_diffed_at_once(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Two snapshots are one question; their declared keys are used."""
    found = diff(tables(jobs=before, xs=column(1)), tables(jobs=after, xs=column(1)))

    assert isinstance(found, TablesDiff)
    assert (len(found), list(found), found["jobs"].added["job"].tolist()) == (4, ["jobs", "xs"], ["e"])
    assert repr(found) == "TablesDiff(4 rows differ in 1 of 2 tables)"
    assert found.summary == "4 rows differ in 1 of 2 tables. jobs: 1 added, 1 removed, 2 changed in 2 columns"
    assert found.changed_long["key"].tolist() == ['{"job": "a"}', '{"job": "b"}']
    with pytest.raises(QueryError, match=r"no table 'job'; its tables are \['jobs', 'xs'\]"):
        found["job"]


def test_a_run_counts_as_the_state_it_ended_in(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """What did the other rules do differently?"""
    runs = [SimpleNamespace(after=tables(jobs=frame)) for frame in (before, after)]

    assert diff(*runs)["jobs"].summary == diff(before, after, key="job").summary


def test_a_table_on_one_side_counts_as_empty_on_the_other(before: pd.DataFrame) -> None:
    """Its rows are differences, and the summary says that the table is."""
    found = diff({"jobs": before}, {"xs": column(1)}, key={"jobs": "job"})

    assert (found.tables_added, found.tables_removed, len(found)) == (("xs",), ("jobs",), 5)
    assert found.summary.endswith("table 'jobs' only before. table 'xs' only after")
    assert list(found.apply({"jobs": before})) == ["xs"]


def test_a_diff_of_tables_applies(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Each table as its own diff does."""
    old, new = {"jobs": before, "xs": column(1)}, {"jobs": after, "xs": column(2)}

    assert not diff(diff(old, new, key={"jobs": "job", "xs": "id"}).apply(old), new)


def test_options_reach_the_tables_that_have_the_column(before: pd.DataFrame) -> None:
    """Every table has its updated_at; a name that no table has is a mistake."""
    old, new = {"jobs": before, "xs": column(1)}, {"jobs": before, "xs": column(2)}

    assert not diff(old, new, ignore="x")
    with pytest.raises(QueryError, match="ignore= names 'y'"):
        diff(old, new, ignore="y")
    with pytest.raises(QueryError, match="names the table 'job', which neither side has"):
        diff(old, new, key={"job": "job"})
    with pytest.raises(KeyDiffError, match=r"Table 'xs': Key column 'job' is not in before"):
        diff(old, new, key="job")


def test_one_table_against_several_is_refused(before: pd.DataFrame) -> None:
    """With the way out."""
    with pytest.raises(QueryError, match=r"before is one table and after holds several; pick one with after\[name\]"):
        diff(before, {"jobs": before})


# -- shown --------------------------------------------------------------------------------------------------------


def test_to_frame_has_one_row_for_each_differing_row(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Changed columns come first, and what is not there is empty."""
    found = diff(before, after, key="job")
    frame = found.to_frame()

    assert len(frame) == len(found)
    assert list(zip(frame["change"], frame["job"], strict=True)) == [
        ("changed", "a"),
        ("changed", "b"),
        ("added", "e"),
        ("removed", "c"),
    ]
    assert list(frame)[2:4] == ["status_before", "status_after"]
    assert frame.loc[3, "tries_after"] is None


def test_json_is_strict_and_complete(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Other programs read it, and NaN is no JSON."""
    content = json.loads(diff(before, after.assign(cost=np.inf), key="job").to_json(), parse_constant=pytest.fail)

    assert content["added"] == [{"job": "e", "status": "open", "cost": "inf", "tries": 0}]
    assert content["removed"] == [{"job": "c", "status": None, "cost": 3.0, "tries": 3}]
    assert content["changed"][0] == {"key": {"job": "a"}, "column": "cost", "before": 1.0, "after": "inf"}


def test_json_leaves_out_a_side_that_is_absent() -> None:
    """Null would be a value."""
    found = diff(column("{}", dtype=object), column('{"a": null}', dtype=object), key="id", json="x")

    assert json.loads(found.to_json())["changed"] == [{"key": {"id": 0}, "column": "x.a", "after": None}]


def test_the_table_says_everything_without_style(before: pd.DataFrame, after: pd.DataFrame) -> None:
    """GitHub drops styles: the glyph and the arrow carry the meaning, the counts come first."""
    html = diff(before, after, key="job")._repr_html_()

    assert html.startswith('<p class="tex2jax_ignore mathjax_ignore">1 added, 1 removed, 2 changed in 2 columns</p>')
    assert html.index(">~<") < html.index(">+<") < html.index(">−<")
    assert "open → closed" in html
    assert "1.0 → 1.5" in html


def test_the_table_is_bounded_and_shows_each_kind() -> None:
    """A thousand changes must not push the one removed row out of sight."""
    old = pd.DataFrame({"id": range(1_001), **{f"c{n}": 0 for n in range(100)}})
    new = old.iloc[:1_000].assign(c5=1)

    html = diff(old, new, key="id")._repr_html_()

    assert html.count("<tr>") == 201
    assert html.count(">−<") == 1
    assert "… 801 more changed (1,000 in all): .changed" in html
    assert "70 columns not shown" in html
    assert len(html) < 500_000


def test_hostile_text_is_escaped_everywhere() -> None:
    """Names, keys and values are other people's."""
    bad = "<script>\x1b\u202e"
    old = pd.DataFrame({bad: [bad], "x": ["a" * 500]})

    html = diff({bad: old}, {bad: old.assign(x=bad)}, key=bad)._repr_html_()

    assert "&lt;script&gt;\\x1b\\u202e" in html
    for character in ("<script", "\x1b", "\u202e"):
        assert character not in html


def test_long_texts_are_shown_where_they_differ() -> None:
    """The first sixty characters of two long texts are often the same."""
    html = diff(column("a" * 500 + "b"), column("a" * 500 + "c"), key="id")._repr_html_()

    assert "ab → …" in html
    assert "ac<" in html


def test_threads_do_not_change_what_is_shown() -> None:
    """The engine returns rows in any order; results are sorted."""
    n = 30_000
    old = pd.DataFrame({"id": np.random.default_rng(1).permutation(n), "x": 0})
    new = old.assign(x=old["id"] % 2)

    found = diff(old, new, key="id")

    assert found.changed["id"].tolist() == list(range(1, n, 2))
    assert found._repr_html_() == diff(old, new, key="id")._repr_html_()


def test_times_are_shown_in_utc() -> None:
    """A zone in a table is a wrong conclusion waiting."""
    old = column(datetime(2026, 3, 1, tzinfo=UTC))
    new = column(pd.Timestamp("2026-03-01T03:00", tz="Asia/Tokyo"))

    assert "2026-03-01T00:00:00Z → 2026-02-28T18:00:00Z" in diff(old, new, key="id")._repr_html_()
