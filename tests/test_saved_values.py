"""Values and frames in a saved run keep their types, and the digest of a recording is that of its content."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import some
from saved import typed

import replaykit as rk
from replaykit.errors import FormatError
from replaykit.saving.frames import read_frame, write_frame
from replaykit.saving.values import Kept, from_text, to_text

naive = st.datetimes().map(lambda at: at.replace(fold=0))
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.dates(), naive, st.timedeltas(),
    st.times().map(lambda at: at.replace(fold=0)), naive.map(lambda at: at.replace(tzinfo=UTC)), st.decimals(),
    st.uuids(),
)  # fmt: skip
hashable = st.none() | st.booleans() | st.integers() | st.text() | st.dates()


def nested(inner):
    """Return containers of values."""
    lists = st.lists(inner, max_size=3)
    return lists | lists.map(tuple) | st.dictionaries(hashable, inner, max_size=3) | st.frozensets(hashable, max_size=3)


values = st.recursive(scalars, nested, max_leaves=8)


@given(values)
def test_any_value_comes_back_with_its_type(value):
    """True is not 1, a tuple no list, and half a character no question mark."""
    assert repr(typed(from_text(to_text(value)))) == repr(typed(value))


WHOLE = st.integers(-(2**63), 2**63 - 1)
TEXT = st.none() | st.text().map(lambda text: text.encode("utf-8", "replace").decode())
MOMENT = st.none() | st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))
CELLS = {
    "object": values, "Int64": st.none() | WHOLE, "Float64": st.none() | st.floats(allow_nan=False), "int64": WHOLE,
    "boolean": st.none() | st.booleans(), "str": TEXT, "string": TEXT, "float64": st.floats(), "bool": st.booleans(),
    "uint8": st.integers(0, 255), "datetime64[us]": MOMENT, "datetime64[ns]": MOMENT, "datetime64[us, UTC]": MOMENT,
    "timedelta64[us]": st.none() | st.timedeltas(timedelta(-9_999), timedelta(9_999)),
}  # fmt: skip


@st.composite
def frames(draw):
    """Draw a frame of columns of any known types, whatever their names, twice the same included."""
    rows, kinds = draw(st.integers(0, 4)), draw(st.lists(st.sampled_from(sorted(CELLS)), max_size=4))
    frame = pd.DataFrame(index=pd.RangeIndex(rows))
    for place, kind in enumerate(kinds):
        cells = pd.Series(draw(st.lists(CELLS[kind], min_size=rows, max_size=rows)), dtype=kind.replace(", UTC", ""))
        frame[place] = cells.dt.tz_localize("UTC") if "UTC" in kind else cells
    names = st.lists(st.text(max_size=3) | st.integers(0, 9), min_size=len(kinds), max_size=len(kinds))
    frame.columns = pd.Index(draw(names), dtype=object)
    return frame


@settings(max_examples=some(40))
@given(frames())
def test_any_frame_comes_back_with_its_types(frame):
    """Whatever a column is called and holds."""
    with duckdb.connect() as connection:
        back = read_frame(connection, "t", write_frame(connection, "t", frame))

    assert [*map(str, back.dtypes)] == [*map(str, frame.dtypes)]
    assert repr(typed(back.columns.tolist())) == repr(typed(frame.columns.tolist()))
    for place in range(frame.shape[1]):
        left, right = frame.iloc[:, place].tolist(), back.iloc[:, place].tolist()
        assert repr([*map(typed, left)]) == repr([*map(typed, right)])


STAMP = pd.Timestamp("2026-01-01T00:00:00.000000001")


@pytest.mark.parametrize(
    "value",
    [np.int8(3), np.float64("nan"), np.bool_(True), pd.NA, pd.NaT, STAMP, pd.Timedelta(5, "ns")],
    ids=repr,
)
def test_scalars_of_pandas_and_numpy_come_back_as_such(value):
    """They stand in the columns that measures add."""
    assert repr(from_text(to_text(value))) == repr(value)
    assert type(from_text(to_text(value))) is type(value)


def test_arrays_come_back_as_such():
    """Nested columns of events are arrays in a frame."""
    for array in (np.array([1, 2], "int16"), np.array(["a", None, [1]], dtype=object)):
        back = from_text(to_text(array))

        assert back.dtype == array.dtype
        assert back.tolist() == array.tolist()


class Mine:
    """A class that no file knows."""

    def __repr__(self):
        return "Mine(1)"


def test_a_value_of_a_users_own_class_is_kept_as_its_text():
    """Its class can't be in a file that runs no code."""
    back = from_text(to_text({"a": Mine()}))["a"]

    assert isinstance(back, Kept)
    assert repr(back) == "Mine(1)"


@pytest.mark.parametrize(
    "text",
    [
        '{"object": 1}', '{"__class__": "os.system"}', '{"datetime": "x"}', '{"array": ["V8", []]}', '{"dict": 5}',
        "{}",
        '{"array": ["complex128", [1]]}', '{"int": "1", "float": "1"}', '{"uuid": "x"}', "[" * 100_000, '{"set": [[]]}',
        '{"datetime": ["2026-01-01T00:00:00+00:00", "../../etc/passwd"]}', "1" * 5_000, "", '{"timedelta": 1e300}',
    ],
)  # fmt: skip
def test_a_text_that_is_no_value_is_refused(text):
    """A file may come from anybody."""
    with pytest.raises(FormatError, match="no value"):
        from_text(text)


# The digest of a recording.


def recording(tmp_path, name="a", **changed):
    """Return a recording of two events, and a state, loaded from a file of some name."""
    first = {"at": "2026-01-01T00:00:00Z", "kind": "set", "x": 1.5}
    second = {"at": "2026-01-01T00:00:01Z", "kind": "set", **changed}
    pd.DataFrame([first, second]).to_csv(tmp_path / f"{name}.csv", index=False)
    shots = [rk.Snapshot({"t": [{"id": 1}]}, at="2026-01-01T00:00:02Z")]
    return rk.load(tmp_path / f"{name}.csv", time="at", kind="kind", snapshots=shots, keys={"t": "id"})


def test_a_digest_is_that_of_the_content(tmp_path):
    """Where the file lies and what the source was called says nothing of what was recorded."""
    first, second = recording(tmp_path), recording(tmp_path, "b")

    assert first.digest == second.digest
    assert len(first.digest) == 64


@pytest.mark.parametrize("changed", [{"kind": "sets"}, {"x": 0}, {"at": "2026-01-01T00:00:02Z"}, {"y": 1}])
def test_a_digest_tells_any_cell_apart(tmp_path, changed):
    """Also whether a value is missing or 0."""
    assert recording(tmp_path).digest != recording(tmp_path, "b", **changed).digest


def test_a_digest_does_not_depend_on_the_layout_of_the_file(tmp_path):
    """Another block size, storage version and order of writing: the same rows."""
    rows = [{"at": f"2026-01-01T00:00:{n:02}Z", "kind": "k", "x": "y" * n or None} for n in range(60)]
    kept = rk.load(rows, time="at", kind="kind", save=tmp_path / "a.duckdb")
    with duckdb.connect() as other:
        other.execute(f"ATTACH '{tmp_path / 'a.duckdb'}' AS a (READ_ONLY)")
        other.execute(f"ATTACH '{tmp_path / 'b.duckdb'}' AS b (BLOCK_SIZE 16384, STORAGE_VERSION 'v1.2.0')")
        other.execute("COPY FROM DATABASE a TO b")
        other.execute("CREATE OR REPLACE TABLE b.events AS SELECT * FROM a.events ORDER BY position DESC")

    assert rk.open(tmp_path / "b.duckdb").digest == kept.digest
