"""What replaykit is measured against: the same events folded into the same table by other means, written to be fast."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import duckdb

from benchmarks.workload import COLUMNS, KEY

__all__ = ["apply_updates", "create_duckdb", "create_sqlite", "fold", "read_rows"]

_BATCH = 20_000
_SQLITE = {"VARCHAR": "TEXT", "BIGINT": "INTEGER", "DOUBLE": "REAL", "TIMESTAMP": "INTEGER"}
_Row = tuple[Any, ...]


def read_rows(recording: str, first: int = 0, last: int = 2**62) -> Iterator[list[_Row]]:
    """Yield position, time, kind, payload and job of the events in ``(first, last]``, straight from the recording.

    The time is in microseconds: SQLite has no type for it, and whole numbers are what it stores fastest.
    """
    with duckdb.connect(recording, read_only=True) as connection:
        cursor = connection.execute(
            "SELECT position, epoch_us(occurred_at), kind, payload, job_id FROM events "
            "WHERE position > $first AND position <= $last ORDER BY position",
            {"first": first, "last": last},
        )
        while rows := cursor.fetchmany(_BATCH):
            yield rows


def create_sqlite(connection: sqlite3.Connection) -> None:
    """Create the table, and triggers that keep the image of every version: its step, change and insertion number."""
    typed = [f"{name} {_SQLITE[sql]}" for name, sql in COLUMNS.items()]
    keyed = [f"{column} UNIQUE" if column.startswith(f"{KEY} ") else column for column in typed]
    names, new, old = (", ".join(f"{which}{name}" for name in COLUMNS) for which in ("", "new.", "old."))
    # The step travels in the row, the cheapest way for a trigger to know it.
    connection.executescript(f"""
        PRAGMA journal_mode = MEMORY;
        PRAGMA synchronous = OFF;
        CREATE TABLE jobs (born INTEGER PRIMARY KEY, step INTEGER, {", ".join(keyed)});
        CREATE TABLE log (change INTEGER PRIMARY KEY, step INTEGER, born INTEGER, deleted INTEGER, {", ".join(typed)});
        CREATE TRIGGER inserted AFTER INSERT ON jobs BEGIN
            INSERT INTO log (step, born, deleted, {names}) VALUES (new.step, new.born, 0, {new}); END;
        CREATE TRIGGER updated AFTER UPDATE ON jobs BEGIN
            INSERT INTO log (step, born, deleted, {names}) VALUES (new.step, new.born, 0, {new}); END;
        CREATE TRIGGER deleted AFTER DELETE ON jobs BEGIN
            INSERT INTO log (step, born, deleted, {names}) VALUES (old.step, old.born, 1, {old}); END;
    """)


def fold(connection: sqlite3.Connection, batches: Iterator[list[_Row]]) -> None:
    """Fold events into SQLite, the most frequent kind first."""
    run = connection.execute
    loads = json.loads
    for rows in batches:
        for step, at, kind, payload, job in rows:
            found = loads(payload)
            if kind == "progress":
                run(
                    "UPDATE jobs SET progress=?, updated_at=?, step=? WHERE job_id=?", (found["percent"], at, step, job)
                )
            elif kind == "started":
                run(
                    "UPDATE jobs SET status='running', worker=?, attempts=?, updated_at=?, step=? WHERE job_id=?",
                    (found["worker"], found["attempt"], at, step, job),
                )
            elif kind == "done":
                run(
                    "UPDATE jobs SET status='done', progress=?, message=?, updated_at=?, step=? WHERE job_id=?",
                    (found["percent"], found["message"], at, step, job),
                )
            elif kind == "failed":
                run(
                    "UPDATE jobs SET status='failed', message=?, updated_at=?, step=? WHERE job_id=?",
                    (found["message"], at, step, job),
                )
            elif kind == "submitted":
                run(
                    "INSERT INTO jobs (job_id, status, submitted_at, updated_at, step) VALUES (?, 'queued', ?, ?, ?)",
                    (job, at, at, step),
                )


def create_duckdb(state: str) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB instance whose table holds the rows of a Parquet file."""
    connection = duckdb.connect()
    listed = ", ".join(f"{name} {sql}{' PRIMARY KEY' if name == KEY else ''}" for name, sql in COLUMNS.items())
    connection.execute(f"CREATE TABLE jobs ({listed})")
    connection.execute("INSERT INTO jobs BY NAME SELECT * FROM read_parquet(?)", [state])
    return connection


def apply_updates(connection: duckdb.DuckDBPyConnection, batches: Iterator[list[_Row]]) -> None:
    """Run one UPDATE for each event; no history is kept."""
    run = connection.execute
    for rows in batches:
        for _, at, kind, payload, job in rows:
            found = json.loads(payload)
            if kind == "progress":
                sets, values = "progress=?", [found["percent"]]
            elif kind == "started":
                sets, values = "status='running', worker=?, attempts=?", [found["worker"], found["attempt"]]
            elif kind == "done":
                sets, values = "status='done', progress=?, message=?", [found["percent"], found["message"]]
            else:
                sets, values = "status='failed', message=?", [found["message"]]
            run(f"UPDATE jobs SET {sets}, updated_at=make_timestamp(?) WHERE job_id=?", [*values, at, job])
