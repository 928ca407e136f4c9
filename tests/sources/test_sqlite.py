"""SQLite databases: read-only, with their log, their types and their keys."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

import replaykit as rk

SCHEMA = """
CREATE TABLE town_events (event_id TEXT PRIMARY KEY, event_type TEXT, created_at TEXT, payload JSON, n INTEGER);
CREATE TABLE beads (bead_id TEXT PRIMARY KEY, status TEXT, weight REAL, raw BLOB, mixed);
CREATE TABLE deps (bead_id TEXT, on_id TEXT, note TEXT, PRIMARY KEY (bead_id, on_id)) WITHOUT ROWID;
INSERT INTO town_events VALUES ('e1', 'made', '2026-03-26T08:00:00Z', '{"a":null}', 1),
    ('e2', 'done', '2026-03-26T08:00:01Z', NULL, 2);
INSERT INTO beads VALUES ('b2', 'open', 1.5, x'00ff', 1), ('b1', 'closed', NULL, NULL, 'one');
INSERT INTO deps VALUES ('b1', 'b2', NULL);
"""


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """Return a small database."""
    path = tmp_path / "town.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA)
    connection.close()
    return path


def test_a_table_is_a_source_of_events_with_the_types_of_its_values(town: Path) -> None:
    """SQLite checks no types, so what is there decides."""
    recording = rk.load(rk.sqlite(town, "town_events"))

    assert recording.events["event_id"].tolist() == ["e1", "e2"]
    assert recording.events["payload"][0] == '{"a":null}'
    assert recording.columns("events")["n"] == "BIGINT"


def test_live_tables_become_a_snapshot_at_the_end_with_keys_from_the_schema(town: Path) -> None:
    """The usual export of a small orchestrator is its database file as it lies."""
    recording = rk.load(rk.sqlite(town, "town_events"), snapshots=[rk.Snapshot(rk.sqlite(town))])

    assert recording.state_tables == ("beads", "deps")
    assert recording.keys == {"beads": ("bead_id",), "deps": ("bead_id", "on_id")}
    assert recording.snapshot(0)["beads"]["bead_id"].tolist() == ["b2", "b1"]
    assert recording.snapshot(0).after_position == 2


def test_columns_of_several_types_are_text_and_said(town: Path) -> None:
    """A column without a type may hold anything."""
    recording = rk.load(
        rk.sqlite(town, "town_events"), snapshots=[rk.Snapshot(rk.sqlite(town), at="2026-03-26T09:00Z")]
    )

    assert recording.snapshot(0)["beads"]["mixed"].tolist() == ["1", "one"]
    assert recording.columns("beads") | {"raw": "BLOB", "weight": "DOUBLE"} == recording.columns("beads")
    assert "column 'mixed' declared without a type holds 1 integer, 1 text" in str(recording.report)


def test_rows_in_the_write_ahead_log_are_read_and_nothing_is_left_beside(tmp_path: Path) -> None:
    """A copy of a running system has its newest rows only in the -wal file."""
    path = tmp_path / "live.db"
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE e (time TEXT, n INTEGER)")
    writer.execute("INSERT INTO e VALUES ('2026-03-26T08:00:00Z', 7)")
    writer.commit()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    recording = rk.load(rk.sqlite(path, "e"))

    assert recording.events["n"].tolist() == [7]
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    writer.close()


def test_a_database_in_a_folder_nobody_may_write_is_read(town: Path) -> None:
    """Evidence is often mounted read-only; SQLite itself would want to make files beside a WAL database."""
    connection = sqlite3.connect(town)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    town.parent.chmod(0o500)
    try:
        assert len(rk.load(rk.sqlite(town, "town_events"))) == 2
    finally:
        town.parent.chmod(0o700)


def test_the_database_is_never_changed(town: Path) -> None:
    """Evidence is evidence."""
    before = town.read_bytes()

    rk.load(rk.sqlite(town, "town_events"), snapshots=[rk.Snapshot(rk.sqlite(town))])

    assert town.read_bytes() == before


def test_a_missing_table_is_an_error_that_lists_those_there(town: Path) -> None:
    """And so is a database without a table named, where one is needed."""
    with pytest.raises(rk.LoadError, match=r"no table 'events'; it has \['beads', 'deps', 'town_events'\]"):
        rk.load(rk.sqlite(town, "events"))
    with pytest.raises(rk.LoadError, match="names no table"):
        rk.load(rk.sqlite(town))


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    """Also one that only starts like one."""
    (tmp_path / "a.db").write_bytes(b"hello")
    (tmp_path / "b.db").write_bytes(b"SQLite format 3\0" + os.urandom(2000))

    for name in ("a.db", "b.db", "missing.db"):
        with pytest.raises(rk.LoadError, match=name):
            rk.load(rk.sqlite(tmp_path / name, "t"))


def test_text_that_is_not_utf_8_is_read(tmp_path: Path) -> None:
    """sqlite3 would raise in the middle of the table."""
    connection = sqlite3.connect(tmp_path / "l.db")
    connection.execute("CREATE TABLE e (time TEXT, name TEXT)")
    connection.execute("INSERT INTO e VALUES ('2026-03-26T08:00:00Z', CAST(x'636166e9' AS TEXT))")
    connection.commit()
    connection.close()

    assert rk.load(rk.sqlite(tmp_path / "l.db", "e")).events["name"].tolist() == ["café"]
