"""The benchmarks run, and all in them come to the same answer. How fast is not asserted: that is `make bench`."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import bench_load, bench_replay
from benchmarks.bench_diff import run as run_diff
from benchmarks.bench_replay import Sizes
from benchmarks.measuring import compare, measure
from benchmarks.table import Line, as_text, peak_line

TINY = Sizes(events=600, rows=40, updates=100)


@pytest.fixture(scope="module")
def replayed() -> list[Line]:
    """One round at a tiny size; it raises if a state or a history differs."""
    return bench_replay.run(TINY, repeats=1)


def test_handlers_projections_sqlite_and_duckdb_agree_cell_for_cell(replayed: list[Line]) -> None:
    """A ratio between programs that compute different things would mean nothing."""
    assert [line.name for line in replayed].count("replay, projections") == 2
    assert all(line.seconds and line.seconds > 0 for line in replayed)
    assert all(line.megabytes and line.megabytes > 50 for line in replayed)


def test_the_table_says_of_every_line_whether_its_aim_was_met(replayed: list[Line]) -> None:
    """A missed aim must be as easy to see as one that was met."""
    text = as_text([*replayed, peak_line(replayed)]).splitlines()
    assert all(" met" in line or " MISSED" in line for line in text[1:])
    assert text[0].split()[:3] == ["benchmark", "size", "ours"]


def test_load_and_create_table_as_hold_the_same_rows() -> None:
    """The load checks, orders and seals, and must still hold what the file holds, in its order."""
    (line,) = bench_load.run(rows=500, repeats=1)
    assert line.aim == "<= 1.5"
    assert line.ratio


def test_diff_and_the_full_join_by_hand_count_the_same() -> None:
    """`bench_diff` raises if they do not; datacompy joins in where it is installed."""
    lines = run_diff(rows=20_000, repeats=1)
    assert {Line.of_diff(line, "", 1.0).met for line in lines} <= {True, False, None}


def test_one_cell_that_differs_stops_the_benchmark(tmp_path: Path) -> None:
    """The comparison is only worth something if it can fail: on a value, and on a row too many."""
    columns = {"key": "VARCHAR", "value": "DOUBLE"}
    paths = [tmp_path / name for name in ("same", "value", "more")]
    for path, values in zip(paths, ([1.0, None], [1.0, 0.0], [1.0, None, 2.0]), strict=True):
        pq.write_table(pa.table({"key": list("abc")[: len(values)], "value": values}), path)
    assert compare(paths[0], paths[0], columns, "key") == 2
    for other in paths[1:]:
        with pytest.raises(AssertionError, match="differ in 1 rows"):
            compare(paths[0], other, columns, "key")


def test_a_case_that_fails_says_what_it_said() -> None:
    """A measurement runs in another process; its error must reach whoever reads the output."""
    with pytest.raises(RuntimeError, match="no recording"):
        measure("projections", recording="/nowhere.duckdb", out="/nowhere")
