"""One contract for every kind of source: the same events give the same recording."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import replaykit as rk

ROWS: list[dict[str, Any]] = [
    {"time": "2026-03-26T08:00:01Z", "kind": "made", "id": "e1", "payload": '{"a":null,"b":[1,2]}', "n": 1, "x": 1.5},
    {"time": "2026-03-26T08:00:00Z", "kind": 'done, "so"', "id": "e2", "payload": None, "n": None, "x": 2.25},
    {"time": "nonsense", "kind": "lost", "id": "e3", "payload": None, "n": 3, "x": None},
    {"time": "2026-03-26T08:00:01Z", "kind": "ünï\ncode", "id": "e1", "payload": "{}", "n": 4, "x": -0.5},
]
EXPECTED = [
    (1, "2026-03-26 08:00:00", 'done, "so"', "e2", None, None, 2.25),
    (2, "2026-03-26 08:00:01", "made", "e1", '{"a":null,"b":[1,2]}', 1, 1.5),
    (3, "2026-03-26 08:00:01", "ünï\ncode", "e1", "{}", 4, -0.5),
]


def frame() -> pd.DataFrame:
    """Return the events as a frame."""
    return pd.DataFrame(ROWS).astype({"n": "Int64"})


def as_json_lines(folder: Path) -> Path:
    """Write the events with nested payloads."""
    rows = [row | {"payload": row["payload"] and json.loads(row["payload"])} for row in ROWS]
    path = folder / "e.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return path


def as_csv(folder: Path) -> Path:
    """Write the events with quotes, commas and a line break inside."""
    frame().to_csv(folder / "e [1].csv", index=False)
    return folder / "e [1].csv"


def as_parquet(folder: Path) -> Path:
    """Write the events under a name that would be a glob, were it not a file."""
    frame().to_parquet(folder / "e[1]*'.parquet")
    return folder / "e[1]*'.parquet"


def as_sqlite(folder: Path) -> Any:
    """Write the events into a database."""
    with sqlite3.connect(folder / "e.db") as connection:
        connection.execute("CREATE TABLE e (time TEXT, kind TEXT, id TEXT, payload JSON, n INTEGER, x REAL)")
        connection.executemany("INSERT INTO e VALUES (:time, :kind, :id, :payload, :n, :x)", ROWS)
    connection.close()
    return rk.sqlite(folder / "e.db", "e")


SOURCES: dict[str, Callable[[Path], Any]] = {
    "frame": lambda _: frame(),
    "arrow": lambda _: pa.Table.from_pylist(ROWS),
    "reader": lambda _: pa.Table.from_pylist(ROWS).to_reader(),
    "dictionaries": lambda _: ROWS,
    "json lines": as_json_lines,
    "csv": as_csv,
    "parquet": as_parquet,
    "list of paths": lambda folder: [as_parquet(folder)],
    "sqlite": as_sqlite,
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_same_events_give_the_same_recording(name: str, tmp_path: Path) -> None:
    """Who changes the format of an export must not get another answer."""
    recording = rk.load(SOURCES[name](tmp_path), payload="payload")

    found = recording._fetch(
        "SELECT position, occurred_at::VARCHAR, kind, event_id, payload::VARCHAR, n, x FROM events ORDER BY position"
    )
    assert found == EXPECTED
    assert recording.report.rejected == 1
    assert recording.rejects[["reason", "excerpt"]].values.tolist() == [
        ["time is impossible or can't be read", "nonsense"]
    ]


def test_polars_and_duckdb_relations_are_read_as_arrow() -> None:
    """Anything that offers an Arrow stream is a source."""
    polars = pytest.importorskip("polars")

    assert len(rk.load(polars.DataFrame(ROWS[:2]))) == 2


@pytest.mark.parametrize(
    "source", [pd.DataFrame(columns=["time", "kind"]), pa.table({"time": pa.nulls(0)}), [], pd.DataFrame()]
)
def test_a_source_without_rows_is_an_empty_recording(source: object) -> None:
    """Nothing happened is an answer."""
    recording = rk.load(source)

    assert len(recording) == 0
    assert recording.span is None


def test_a_column_without_values_is_text_and_null() -> None:
    """Arrow has a type for it that no table can hold; a payload of nothing is no payload."""
    recording = rk.load(
        pd.DataFrame({"time": ["2026-03-26T08:00:00Z"], "payload": [None], "x": [None]}), payload="payload"
    )

    assert recording._fetch("SELECT payload, x FROM events") == [(None, None)]
    assert recording.columns("events")["x"] == "VARCHAR"


@pytest.mark.parametrize("source", [7, None, b"x", {"a": 1}, object()])
def test_what_is_no_source_is_an_error_that_lists_what_is(source: object) -> None:
    """Not an AttributeError from the depths."""
    with pytest.raises(rk.LoadError, match="expected a path, a glob"):
        rk.load(source)


def test_a_snapshot_that_is_not_loaded_can_be_placed_and_read() -> None:
    """A replay may start from one that somebody just took."""
    from replaykit.sources import place_snapshot, snapshot_frames

    recording = rk.load(ROWS[:2])
    snapshot = rk.Snapshot({"t": pd.DataFrame({"a": [2, 1]})}, at="2026-03-26T08:00:00Z", after="e2")

    assert place_snapshot(recording, snapshot)[1] == 1
    assert snapshot_frames(snapshot)["t"]["a"].tolist() == [2, 1]
