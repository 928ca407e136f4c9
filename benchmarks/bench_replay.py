"""Replaying: handlers and projections beside SQLite and beside one UPDATE per event in DuckDB; then one moment."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import Measured, best, compare, measure, measure_in_turns
from benchmarks.table import Line
from benchmarks.workload import COLUMNS

__all__ = ["Sizes", "run"]

_HISTORY = {"change": "BIGINT", "step": "BIGINT", "born": "BIGINT", **COLUMNS}


@dataclass(frozen=True)
class Sizes:
    """How much is replayed."""

    events: int = 1_000_000
    rows: int = 10_000
    updates: int = 20_000
    """Events applied by UPDATE statements, taken from the middle; slower than all others by far, so fewer."""


def run(sizes: Sizes = Sizes(), repeats: int = 3) -> list[Line]:
    """Measure, compare all final states and histories, and return the lines.

    Raises
    ------
    AssertionError
        A peer came to another state or another history.
    """
    with tempfile.TemporaryDirectory(prefix="replaykit-bench-") as folder:
        recording = str(Path(folder) / "recording.duckdb")
        measure("make_recording", path=recording, events=sizes.events, rows=sizes.rows)
        rounds = [_one_round(folder, recording, sizes) for _ in range(repeats)]
    return [*_against_sqlite(sizes, rounds), *_against_duckdb(sizes, rounds), *_moments(sizes, rounds)]


def _one_round(folder: str, recording: str, sizes: Sizes) -> dict[str, Measured]:
    first = max(sizes.rows, (sizes.events - sizes.updates) // 2)
    last = min(first + sizes.updates, sizes.events)
    shared = {"recording": recording, "out": folder}
    (found,) = measure_in_turns(
        {
            "handlers": {**shared, "steps": [first, last]},
            "sqlite_savepoint": shared,
            "projections": shared,
            "duckdb_updates": {
                **shared,
                "state": str(Path(folder) / f"handlers_state_{first}.parquet"),
                "first": first,
                "last": last,
            },
            "replay_to": {**shared, "step": last},
        },
        repeats=1,
    )
    _agree(Path(folder), last)
    return found


def _agree(folder: Path, last: int) -> None:
    for peer in ("sqlite", "projections"):
        compare(folder / "handlers_history.parquet", folder / f"{peer}_history.parquet", _HISTORY, "change")
        compare(folder / "handlers_state.parquet", folder / f"{peer}_state.parquet", COLUMNS, "job_id")
    for peer in ("duckdb", "replay_to"):
        compare(folder / f"handlers_state_{last}.parquet", folder / f"{peer}_state_{last}.parquet", COLUMNS, "job_id")


def _against_sqlite(sizes: Sizes, rounds: list[dict[str, Measured]]) -> list[Line]:
    peer = best(rounds, "sqlite_savepoint")
    return [
        Line.faster(f"replay, {name}", _size(sizes), best(rounds, name), "SQLite SAVEPOINT and triggers", peer, aim)
        for name, aim in (("handlers", 1.0), ("projections", 10.0))
    ]


def _against_duckdb(sizes: Sizes, rounds: list[dict[str, Measured]]) -> list[Line]:
    some = best(rounds, "duckdb_updates")
    scaled = some.seconds / some.found["events"] * sizes.events
    peer = Measured(some.case, scaled, some.megabytes)
    what = f"DuckDB UPDATE per event, no history ({some.found['events']:,} run, scaled)"
    return [
        Line.faster(f"replay, {name}", _size(sizes), best(rounds, name), what, peer, aim)
        for name, aim in (("handlers", 60.0), ("projections", 500.0))
    ]


def _moments(sizes: Sizes, rounds: list[dict[str, Measured]]) -> list[Line]:
    runs = [found["handlers"] for found in rounds]
    fastest = min(runs, key=lambda one: one.found["moment"])
    moment = Measured("moment", fastest.found["moment"], max(one.megabytes for one in runs))
    size = f"{sizes.events:,} changes, {fastest.found['rows']:,} rows x {len(COLUMNS)}"
    return [
        Line.within("state at a moment (median of 25)", size, moment, 0.020),
        Line.faster("state at a moment", size, moment, "replaying to the middle", best(rounds, "replay_to"), 200.0),
    ]


def _size(sizes: Sizes) -> str:
    return f"{sizes.events:,} events, {sizes.rows:,} rows x {len(COLUMNS)}"
