"""The benchmarks run, and all in them come to the same answer. How fast is not asserted: that is `make bench`."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import everything

from benchmarks import (
    bench_ask,
    bench_explorer,
    bench_external,
    bench_gastown,
    bench_load,
    bench_loop,
    bench_replay,
    bench_rules,
)
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


def test_the_explorer_draws_and_counts_what_a_query_counts() -> None:
    """`bench_explorer` raises where a picture or a count in a drag differs."""
    lines = bench_explorer.run(rows=3_000, repeats=1)
    assert [line.aim for line in lines] == ["< 1000 ms", "< 100 ms"]


@pytest.mark.skipif(not everything(), reason="slow; run with --hypothesis-profile=thorough")
def test_an_external_program_counts_what_the_bare_pipe_counts() -> None:
    """`bench_external` raises where it does not."""
    lines = bench_external.run(events=200, repeats=1)
    assert [line.name for line in lines] == ["external program, json", "external program, sqlite"]


@pytest.mark.skipif(not everything(), reason="slow; run with --hypothesis-profile=thorough")
def test_answers_are_what_the_bare_history_says() -> None:
    """`bench_ask` raises where an answer to any of its questions differs."""
    lines = bench_ask.run(events=4_000, rows=50, repeats=1)
    assert [line.aim for line in lines] == ["< 50 ms"] * 8 + ["< 200 ms"] * 4
    assert all(line.ratio for line in lines)


@pytest.mark.skipif(not everything(), reason="slow; run with --hypothesis-profile=thorough")
def test_gastown_comes_to_the_same_in_sqlite_and_on_bare_dicts() -> None:
    """`bench_gastown` raises where a cell, a version, an action, a violation or what raised differs."""
    tiny = bench_gastown.Sizes(events=1_704, end="2026-03-26T08:12:00Z")
    events, trace = bench_gastown.run(tiny, repeats=1)
    assert events.size.startswith("1,704 events (96 change something)")
    assert trace.size.startswith("167 inputs, 139 ticks")
    assert (events.aim, trace.aim) == (">= 1", "<= 1.6")


def test_what_gastown_comes_to_is_compared_down_to_the_cell(tmp_path: Path) -> None:
    """A value, a type, a row too many and a table too few: each stops the benchmark and is named."""
    given = {"tables": {"beads": [["b1", 1], ["b2", None]]}, "raised": [3]}
    others = {
        r"tables\.beads\[1\]\[1\] is None and 0": {"tables": {"beads": [["b1", 1], ["b2", 0]]}, "raised": [3]},
        r"tables\.beads has 2 and 1 entries": {"tables": {"beads": [["b1", 1]]}, "raised": [3]},
        r"tables\.beads\[0\]\[1\] is 1 and True": {"tables": {"beads": [["b1", True], ["b2", None]]}, "raised": [3]},
        r"holds \['tables', 'raised'\] and \['tables'\]": {"tables": given["tables"]},
    }
    ours, peer = tmp_path / "ours.json", tmp_path / "peer.json"
    ours.write_text(json.dumps(given))
    bench_gastown.agree(ours, ours)
    for message, other in others.items():
        peer.write_text(json.dumps(other))
        with pytest.raises(AssertionError, match=message):
            bench_gastown.agree(ours, peer)


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


@pytest.mark.skipif(not everything(), reason="slow; run with --hypothesis-profile=thorough")
def test_the_closed_loop_comes_to_the_same_on_bare_dictionaries() -> None:
    """`bench_loop` raises where an action or a final row differs."""
    lines = bench_loop.run(hours=0.1, end="2026-03-26T08:06:00Z", repeats=1)
    assert [line.aim for line in lines] == ["<= 2"] * 2


@pytest.mark.skipif(not everything(), reason="slow; run with --hypothesis-profile=thorough")
def test_rules_in_sql_come_to_the_same_in_sqlite_and_duckdb() -> None:
    """`bench_rules` raises where a row of any rule at any tick differs."""
    lines = bench_rules.run(bench_rules.Sizes(60, 30, 4_000, 2), repeats=1)
    assert len(lines) == 3
