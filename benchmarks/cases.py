"""What is measured: each function runs once in a process of its own; only what is inside ``with clock:`` counts."""

from __future__ import annotations

import sqlite3
import statistics
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import duckdb

# Loaded before any clock runs, as a notebook has them by the time it replays.
import numpy as np  # noqa: F401 - loaded on purpose
import pandas as pd  # noqa: TC002 - loaded on purpose
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import sqlglot  # noqa: F401 - loaded on purpose

import replaykit as rk
from benchmarks.ask_cases import ask  # noqa: F401 - found by its name
from benchmarks.explorer_cases import explorer  # noqa: F401 - found by its name
from benchmarks.external_cases import external_bare, external_ours, make_external  # noqa: F401 - found by their names
from benchmarks.gastown_cases import (
    gastown_bare,
    gastown_events,
    gastown_sqlite,
    gastown_trace,
    make_gastown_events,
    make_gastown_trace,
)
from benchmarks.gastown_loop import gastown_loop, gastown_loop_bare  # noqa: F401 - found by their names
from benchmarks.loop_cases import loop_bare, loop_ours, make_loop  # noqa: F401 - found by their names
from benchmarks.peers import apply_updates, create_duckdb, create_sqlite, fold, read_rows
from benchmarks.rules_cases import make_rules, rules_duckdb, rules_ours, rules_sqlite
from benchmarks.workload import COLUMNS, ROLES, by_handlers, by_projections, write_events

if TYPE_CHECKING:
    from benchmarks.measuring import Clock

__all__ = [
    "diff",
    "duckdb_updates",
    "gastown_bare",
    "gastown_events",
    "gastown_sqlite",
    "gastown_trace",
    "handlers",
    "load",
    "load_by_hand",
    "make_gastown_events",
    "make_gastown_trace",
    "make_recording",
    "make_rules",
    "projections",
    "replay_to",
    "rules_duckdb",
    "rules_ours",
    "rules_sqlite",
    "sqlite_savepoint",
]

_MOMENTS = 25
_HISTORY = (
    "SELECT change, valid_from AS step, born, * EXCLUDE (change, valid_from, valid_to, born) "
    "FROM history.jobs ORDER BY change"
)
_RULES = {"handlers": by_handlers, "projections": by_projections}


def make_recording(clock: Clock, path: str, events: int, rows: int) -> None:
    """Write the shared recording."""
    source = Path(path).with_suffix(".parquet")
    write_events(source, events, rows)
    with clock, rk.load(events=source, **ROLES, save=path):
        pass


def handlers(clock: Clock, recording: str, out: str, steps: list[int]) -> dict[str, Any]:
    """Replay through Python handlers; then read random moments of what came of it."""
    return _replay(clock, "handlers", recording, out, steps)


def projections(clock: Clock, recording: str, out: str) -> dict[str, Any]:
    """Replay through projections."""
    return _replay(clock, "projections", recording, out, [])


def _replay(clock: Clock, rules: str, recording: str, out: str, steps: list[int]) -> dict[str, Any]:
    with rk.open(recording) as opened:
        with clock:
            run = rk.replay(opened, _RULES[rules]())
        _write(run.sql(_HISTORY), out, rules, "history")
        _write(run.after["jobs"], out, rules, "state")
        for step in steps:
            _write(run.at(step=step)["jobs"], out, rules, f"state_{step}")
        return _moments(run)


def _moments(run: rk.Replay) -> dict[str, Any]:
    """Return the median seconds of the state at random moments, and how many rows it had at most."""
    draw = Random(7)
    seconds, rows = [], []
    for _ in range(_MOMENTS):
        step = draw.randint(1, run.after_step)
        start = time.perf_counter()
        frame = run.at(step=step)["jobs"]
        seconds.append(time.perf_counter() - start)
        rows.append(len(frame))
    return {"moment": statistics.median(seconds), "rows": max(rows)}


def replay_to(clock: Clock, recording: str, out: str, step: int) -> None:
    """Replay up to one step: what the state at that moment costs without a history."""
    with rk.open(recording) as opened:
        span = opened.span
        assert span is not None
        after = opened.sql("SELECT occurred_at FROM events WHERE position = $place", {"place": step + 1})
        end = after.iloc[0, 0] if len(after) else span.end
        window = rk.Window(span.start, end)
        with clock:
            run = rk.replay(opened, by_handlers(), window)
            frame = run.after["jobs"]
        _write(frame, out, "replay_to", f"state_{step}")


def sqlite_savepoint(clock: Clock, recording: str, out: str) -> None:
    """Fold the events into SQLite inside a savepoint, triggers keeping every version; then roll back."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with clock:
        create_sqlite(connection)
        connection.execute("SAVEPOINT replay")
        fold(connection, read_rows(recording))
    times = [name for name, sql in COLUMNS.items() if sql == "TIMESTAMP"]
    for name, table, columns in (
        ("history", "log", ["change", "step", "born", *COLUMNS]),
        ("state", "jobs", list(COLUMNS)),
    ):
        order = "change" if table == "log" else "born"
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}").fetchall()
        table_ = pa.table([pa.array(values) for values in zip(*rows, strict=True)], names=columns)
        for time_ in times:
            place = columns.index(time_)
            table_ = table_.set_column(place, time_, table_[time_].cast(pa.int64()).cast(pa.timestamp("us")))
        pq.write_table(table_, Path(out) / f"sqlite_{name}.parquet")
    with clock:
        connection.execute("ROLLBACK TO replay")
        connection.close()


def duckdb_updates(clock: Clock, recording: str, out: str, state: str, first: int, last: int) -> dict[str, Any]:
    """Run one UPDATE per event from one state to a later one, in a transaction that is rolled back."""
    connection = create_duckdb(state)
    with clock:
        connection.execute("BEGIN TRANSACTION")
        apply_updates(connection, read_rows(recording, first, last))
    rows = connection.sql("SELECT * FROM jobs").to_arrow_table()
    pq.write_table(rows, Path(out) / f"duckdb_state_{last}.parquet")
    with clock:
        connection.execute("ROLLBACK")
        connection.close()
    return {"events": last - first}


def load(clock: Clock, source: str, path: str) -> None:
    """Load a Parquet file into a recording."""
    with clock:
        recording = rk.load(events=source, **ROLES, save=path)
        recording.close()


def load_by_hand(clock: Clock, source: str, path: str) -> None:
    """Copy the same file into a table of a DuckDB file."""
    with clock:
        connection = duckdb.connect(path)
        connection.execute("CREATE TABLE events AS SELECT * FROM read_parquet(?)", [source])
        connection.close()


def diff(clock: Clock, rows: int, repeats: int) -> dict[str, Any]:
    """Run the lines of `benchmarks.bench_diff`; the peak is that of this process with both frames and all peers."""
    from benchmarks import bench_diff

    with clock:
        lines = bench_diff.run(rows, repeats)
    return {"lines": lines}


def _write(frame: pd.DataFrame, out: str, rules: str, name: str) -> None:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), Path(out) / f"{rules}_{name}.parquet")
