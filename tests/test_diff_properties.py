"""Diffs against a reference in plain Python, over random tables with missing values, mixed types and repeated rows."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import some

from replaykit.diff import Diff, diff
from replaykit.display import is_empty

SETTINGS = settings(max_examples=some(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.one_of(st.none(), st.sampled_from(["", "a", "A", "é", "0", "null"]))
floats = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, 1.5, 1e300, float("nan"), float("inf")]))
whole = st.one_of(st.none(), st.integers(-2, 2), st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**63 - 1]))
times = st.one_of(st.none(), st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)))
mixed = st.one_of(texts, floats, whole, st.booleans(), st.binary(max_size=2), st.lists(st.integers(0, 1), max_size=2))
VALUES = {"text": texts, "float": floats, "whole": whole, "time": times, "mixed": mixed}
DTYPES: dict[str, Any] = {
    "text": ["str", "object", "category"],
    "float": ["float64", "Float64", "object"],
    "whole": ["Int64", "object"],
    "time": ["datetime64[us]", "datetime64[us, UTC]", "object"],
    "mixed": ["object"],
}
# A row of both sides, so that the mixed column is one: all True beside all 1 would be two types of the same values.
ANCHOR = {**dict.fromkeys(VALUES), "mixed": "mixed", "id": -1}
KEYS = st.one_of(st.integers(0, 6), st.sampled_from([2**53, 2**53 + 1]))


def frame_of(rows: list[dict[str, Any]], dtypes: dict[str, Any], *, keyed: bool) -> pd.DataFrame:
    """Return rows as a frame; every column starts as objects, so that pandas guesses nothing."""
    columns = {name: pd.Series([row[name] for row in rows], dtype=object) for name in VALUES}
    if keyed:
        columns = {"id": pd.Series([row["id"] for row in rows], dtype="int64"), **columns}
    frame = pd.DataFrame(columns)
    for name, dtype in dtypes.items():
        column = frame[name]
        frame[name] = column.astype(dtype)
    return frame


@st.composite
def tables(draw: st.DrawFn, *, keyed: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw two tables of one shape that share some rows, each column of any type that can hold its values."""
    row = st.fixed_dictionaries({"id": KEYS, **VALUES})
    unique = (lambda row: row["id"]) if keyed else None
    first = draw(st.lists(row, max_size=6, unique_by=unique))
    kept = draw(st.lists(st.sampled_from(first), max_size=6, unique_by=unique)) if first else []
    edited = [{**old, **draw(st.sampled_from([{}, {"text": "b"}, {"float": None, "mixed": 1}]))} for old in kept]
    taken = {row["id"] for row in edited}
    new = [row for row in draw(st.lists(row, max_size=3, unique_by=unique)) if not keyed or row["id"] not in taken]
    dtypes = [{name: draw(st.sampled_from(choice)) for name, choice in DTYPES.items()} for _ in range(2)]
    return frame_of([*first, ANCHOR], dtypes[0], keyed=keyed), frame_of([*edited, *new, ANCHOR], dtypes[1], keyed=keyed)


def plain(value: Any) -> Any:
    """Return a value that Python compares as the diff promises to: missing values equal, times naive UTC."""
    if is_empty(value):
        return None
    # numpy compares a whole number with a float after rounding it, Python exactly.
    if type(value).__module__ == "numpy":
        value = value.item()
    if isinstance(value, datetime):
        return ("time", pd.Timestamp(value).tz_localize(None).isoformat())
    if isinstance(value, list):
        return tuple(value)
    # In a column of mixed objects True is not 1; elsewhere there are no booleans here.
    return ("bool", value) if isinstance(value, bool) else value


def rows_of(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return the rows in plain values."""
    return [tuple(map(plain, row)) for row in zip(*(list(frame[name]) for name in frame.columns), strict=True)]


def by_key(frame: pd.DataFrame) -> dict[int, tuple[Any, ...]]:
    """Return the rows by id."""
    return {row[0]: row[1:] for row in rows_of(frame)}


def ids(frame: pd.DataFrame) -> list[int]:
    """Return the ids of a result."""
    return [int(value) for value in frame["id"]]


@SETTINGS
@given(tables(keyed=True))
def test_keyed_diffs_equal_a_reference(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """A dictionary by key is the definition."""
    before, after = map(by_key, pair)
    found = diff(*pair, key="id")
    names = list(VALUES)
    cells = [
        (key, names[place])
        for key in sorted(before.keys() & after.keys())
        for place in range(len(names))
        if before[key][place] != after[key][place]
    ]

    assert ids(found.added) == sorted(after.keys() - before.keys())
    assert ids(found.removed) == sorted(before.keys() - after.keys())
    assert list(zip(ids(found.changed_long), found.changed_long["column"], strict=True)) == cells
    assert len(found) == len(found.added) + len(found.removed) + len({key for key, _ in cells}) == len(found.to_frame())


@SETTINGS
@given(tables(keyed=False))
def test_diffs_without_a_key_equal_a_reference(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """A Counter of rows is the definition."""
    before, after = (Counter(rows_of(frame)) for frame in pair)
    found = diff(*pair)

    assert Counter(rows_of(found.added)) == after - before
    assert Counter(rows_of(found.removed)) == before - after
    assert not len(found.changed)


@SETTINGS
@given(tables(keyed=True), st.booleans())
def test_a_table_does_not_differ_from_itself(pair: tuple[pd.DataFrame, pd.DataFrame], keyed: bool) -> None:
    """Neither in the order of its rows."""
    frame = pair[0]
    shuffled = frame.iloc[::-1].reset_index(drop=True)

    found = diff(frame, shuffled, key="id" if keyed else None)

    assert len(found) == 0
    assert found.summary == "no row differs"


def mirrored(found: Diff) -> tuple[Any, ...]:
    """Return what the opposite diff should find."""
    long = found.changed_long.rename(columns={"before": "after", "after": "before"})
    return rows_of(found.removed), rows_of(found.added), rows_of(long[["id", "column", "before", "after"]])


@SETTINGS
@given(tables(keyed=True), st.sampled_from([None, 0.5, "50%"]))
def test_a_diff_mirrors_its_opposite(pair: tuple[pd.DataFrame, pd.DataFrame], tolerance: float | str | None) -> None:
    """What was added one way was removed the other way."""
    one = diff(pair[0], pair[1], key="id", tolerance=tolerance)
    other = diff(pair[1], pair[0], key="id", tolerance=tolerance)

    assert (rows_of(one.added), rows_of(one.removed), rows_of(one.changed_long)) == mirrored(other)


@SETTINGS
@given(tables(keyed=True))
def test_a_keyed_diff_applied_to_before_gives_after(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """Values and types, but for the order of rows."""
    before, after = pair
    result = diff(before, after, key="id").apply(before)

    assert by_key(result) == by_key(after)
    assert not diff(result, after, key="id").types


@SETTINGS
@given(tables(keyed=False))
def test_a_diff_without_a_key_applied_to_before_gives_after(pair: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """The same rows as often."""
    before, after = pair

    assert Counter(rows_of(diff(before, after).apply(before))) == Counter(rows_of(after))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-1, 1), st.sampled_from(["", "a"])),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["a", "b c"]), inner)),
    max_leaves=5,
)


def typed(value: Any) -> Any:
    """Return a JSON value in which True and 1 differ."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return list(map(typed, value)) if isinstance(value, list) else (type(value).__name__, value)


@SETTINGS
@given(JSON, JSON, st.booleans())
def test_json_differs_exactly_if_its_values_do(old: Any, new: Any, keyed: bool) -> None:
    """However deep, and with each path named once."""
    import json

    before, after = (pd.DataFrame({"id": [1], "x": pd.Series([json.dumps(v)], dtype=object)}) for v in (old, new))
    found = diff(before, after, key="id" if keyed else None, json="x")

    assert bool(found) == (typed(old) != typed(new))
    assert found.changed_long["column"].is_unique
