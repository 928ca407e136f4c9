"""A town's SQLite file as the program would have left it, built from the last checkpoint of the incident."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

INCIDENT = Path(__file__).parents[2] / "sample_data" / "gastown-incident"

_BEAD = "TEXT PRIMARY KEY REFERENCES beads (bead_id)"
SCHEMA = f"""
CREATE TABLE rigs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, git_url TEXT NOT NULL DEFAULT '',
    default_branch TEXT NOT NULL DEFAULT 'main', config TEXT DEFAULT '{{}}', created_at TEXT NOT NULL);
CREATE TABLE beads (
    bead_id TEXT PRIMARY KEY, type TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'open', title TEXT NOT NULL, body TEXT,
    rig_id TEXT, parent_bead_id TEXT REFERENCES beads (bead_id), assignee_agent_bead_id TEXT,
    priority TEXT DEFAULT 'medium', labels TEXT DEFAULT '[]', metadata TEXT DEFAULT '{{}}', created_by TEXT,
    created_at TEXT NOT NULL, updated_at TEXT NOT NULL, closed_at TEXT);
CREATE INDEX beads_type_status ON beads (type, status);
CREATE INDEX beads_parent ON beads (parent_bead_id);
CREATE INDEX beads_rig_status ON beads (rig_id, status);
CREATE INDEX beads_assignee ON beads (assignee_agent_bead_id, type, status);
CREATE TABLE agent_metadata (
    bead_id {_BEAD}, role TEXT NOT NULL, identity TEXT NOT NULL UNIQUE, container_process_id TEXT,
    status TEXT NOT NULL DEFAULT 'idle', current_hook_bead_id TEXT REFERENCES beads (bead_id),
    dispatch_attempts INTEGER NOT NULL DEFAULT 0, checkpoint TEXT, last_activity_at TEXT, agent_status_message TEXT,
    agent_status_updated_at TEXT, last_event_type TEXT, last_event_at TEXT, active_tools TEXT DEFAULT '[]');
CREATE TABLE bead_dependencies (
    bead_id TEXT NOT NULL REFERENCES beads (bead_id), depends_on_bead_id TEXT NOT NULL REFERENCES beads (bead_id),
    dependency_type TEXT NOT NULL DEFAULT 'blocks');
CREATE UNIQUE INDEX bead_dependencies_pair ON bead_dependencies (bead_id, depends_on_bead_id);
CREATE TABLE review_metadata (
    bead_id {_BEAD}, branch TEXT NOT NULL, target_branch TEXT NOT NULL DEFAULT 'main', merge_commit TEXT, pr_url TEXT,
    retry_count INTEGER DEFAULT 0);
CREATE TABLE convoy_metadata (
    bead_id {_BEAD}, total_beads INTEGER DEFAULT 0, closed_beads INTEGER DEFAULT 0, landed_at TEXT,
    feature_branch TEXT, merge_mode TEXT, staged INTEGER DEFAULT 0);
CREATE TABLE escalation_metadata (
    bead_id {_BEAD}, severity TEXT NOT NULL, category TEXT, acknowledged INTEGER DEFAULT 0,
    re_escalation_count INTEGER DEFAULT 0, acknowledged_at TEXT);
CREATE TABLE agent_nudges (
    nudge_id TEXT PRIMARY KEY, agent_bead_id TEXT NOT NULL, message TEXT NOT NULL,
    mode TEXT NOT NULL DEFAULT 'wait-idle', priority TEXT NOT NULL DEFAULT 'normal',
    source TEXT NOT NULL DEFAULT 'system', created_at TEXT NOT NULL DEFAULT (datetime('now')), delivered_at TEXT,
    expires_at TEXT);
CREATE TABLE bead_events (
    bead_event_id TEXT PRIMARY KEY, bead_id TEXT NOT NULL, agent_id TEXT, event_type TEXT NOT NULL, old_value TEXT,
    new_value TEXT, metadata TEXT DEFAULT '{{}}', created_at TEXT NOT NULL);
CREATE TABLE town_events (
    event_id TEXT PRIMARY KEY, event_type TEXT NOT NULL, agent_id TEXT, bead_id TEXT,
    payload TEXT NOT NULL DEFAULT '{{}}', created_at TEXT NOT NULL, processed_at TEXT);
CREATE INDEX town_events_pending ON town_events (processed_at, created_at);
"""
TABLES = (
    "rigs beads agent_metadata bead_dependencies review_metadata convoy_metadata escalation_metadata agent_nudges "
    "bead_events"
).split()


@cache
def rows_of(table: str, checkpoint: int = 12) -> list[dict[str, Any]]:
    """Return the rows of a state table at a checkpoint, or those of ``town_events``, in order of insertion."""
    if table == "town_events":
        query = f"SELECT * EXCLUDE (inserted_seq, source) FROM '{INCIDENT}/town_events.parquet' ORDER BY inserted_seq"
    else:
        query = (
            f"SELECT * EXCLUDE (checkpoint_no, row_no) FROM '{INCIDENT}/state/{table}.parquet' "
            f"WHERE checkpoint_no = {checkpoint} ORDER BY row_no"
        )
    with duckdb.connect() as connection:
        found = connection.execute(query)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def insert(connection: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    """Insert rows, with the foreign keys of beads that point forward checked at the end."""
    for row in rows:
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))


def build(path: Path, *, wal: bool = False, only: tuple[str, ...] = (*TABLES, "town_events")) -> Path:
    """Write the town as a file; with foreign keys, which hold."""
    with closing(sqlite3.connect(path)) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript("".join(f"{one};" for one in SCHEMA.split(";") if _wanted(one, only)))
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA defer_foreign_keys = ON")
        connection.execute("BEGIN")
        connection.execute("PRAGMA defer_foreign_keys = ON")
        for table in only:
            insert(connection, table, rows_of(table))
        connection.commit()
    return path


def _wanted(statement: str, only: tuple[str, ...]) -> bool:
    words = statement.replace("(", " ").split()
    if not words:
        return False
    return (words[2] if words[1] == "TABLE" else words[words.index("ON") + 1]) in only
