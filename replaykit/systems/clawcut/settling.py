"""Settling: what a provider said is written in one transaction, with one audit event, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.systems.clawcut.audit import CHECKED, SETTLED
from replaykit.systems.clawcut.database import writing
from replaykit.systems.clawcut.policy import TERMINAL
from replaykit.systems.clawcut.schema import columns_of, has_rowid, newest_first, status_word
from replaykit.systems.clawcut.times import written_like

if TYPE_CHECKING:
    from replaykit.systems.clawcut.provider import Reply

__all__ = ["Row", "Settled", "add_event", "prove_writable", "read_row", "settle"]

_ROW = "SELECT id, provider, status, updated_at, created_at, provider_job_id FROM ai_jobs WHERE id = ?"
_UNTOLD = "The provider says that it failed, and not why."


@dataclass(frozen=True)
class Row:
    """A job's row as it was read before its provider was asked; it never leaves this package."""

    id: Any
    provider: Any
    status: Any
    updated_at: Any
    created_at: Any
    provider_job_id: Any = field(repr=False)
    whole: str = field(repr=False)
    """A digest of every column, by which any change is seen."""


@dataclass(frozen=True)
class Settled:
    """What became of the row."""

    outcome: str
    status: str | None
    """The job's status now; None if the job is gone."""
    applied: bool
    """Whether the job was changed."""


def read_row(connection: sqlite3.Connection, job_id: Any) -> Row | None:
    """Return a job's row; None if it is gone."""
    found = connection.execute(_ROW, (job_id,)).fetchone()
    return None if found is None else Row(*(*found, _digest(connection, found[0])))


def _digest(connection: sqlite3.Connection, job_id: Any) -> str:
    """Return a digest of whatever stands in a job's row; text counts by its bytes, some of which may be no UTF-8."""
    decoded, connection.text_factory = connection.text_factory, bytes
    try:
        found = connection.execute("SELECT * FROM ai_jobs WHERE id IS ?", (job_id,)).fetchall()
    finally:
        connection.text_factory = decoded
    return hashlib.sha256(repr(found).encode()).hexdigest()


def prove_writable(database: str | os.PathLike[str], now: datetime, actor: str) -> None:
    """Write an audit event and take it back: whoever is asked in vain is asked again, each time.

    Raises
    ------
    OperationError
        The database can't be written, or is locked for too long.
    """
    with writing(database, keep=False) as connection:
        add_event(connection, CHECKED, actor, now, {})


def settle(
    database: str | os.PathLike[str],
    row: Row,
    reply: Reply,
    now: datetime,
    actor: str,
    details: Mapping[str, Any],
) -> Settled:
    """Write a reply into the job's row, if it is an ending and the row is as it was read, and an audit event of it.

    A row in which any column has changed since is left alone, and so is one that has ended.

    Raises
    ------
    OperationError
        The database can't be written, or was locked for too long; nothing was written.
    """
    with writing(database) as connection:
        same = _digest(connection, row.id) == row.whole
        applied = same and reply.outcome in SETTLED and _end(connection, row, reply, now)
        found = connection.execute("SELECT status FROM ai_jobs WHERE id IS ?", (row.id,)).fetchone()
        status = None if found is None else status_word(found[0])
        over = reply.outcome in SETTLED or status is None or status in TERMINAL
        outcome = "changed_meanwhile" if over and not applied else reply.outcome
        id = row.id if isinstance(row.id, (int, str)) else str(row.id)  # JSON has no bytes
        told = {"job_id": id, "outcome": outcome, "was": status_word(row.status), "now": status, "applied": applied}
        add_event(connection, CHECKED, actor, now, {**told, **details}, row.updated_at or row.created_at)
    return Settled(outcome, status, applied)


def _end(connection: sqlite3.Connection, row: Row, reply: Reply, now: datetime) -> bool:
    """End the job and return whether that was done."""
    there = columns_of(connection, "ai_jobs")
    ending = {"status": ("?", reply.outcome), "updated_at": ("?", written_like(now, row.updated_at or row.created_at))}
    if reply.outcome == "failed":
        ending["error"] = ("?", reply.error or _UNTOLD)
    else:
        ending["result_url"] = ("coalesce(?, result_url)", reply.result_url)
        ending["response_json"] = ("coalesce(nullif(response_json, ''), ?)", reply.response_json)
    ending = {name: value for name, value in ending.items() if name in there}
    changes = ", ".join(f"{name} = {value}" for name, (value, _) in ending.items())
    done = connection.execute(
        f"UPDATE ai_jobs SET {changes} WHERE id IS ?", (*(bound for _, bound in ending.values()), row.id)
    )
    return done.rowcount == 1


def add_event(
    connection: sqlite3.Connection,
    kind: str,
    actor: str,
    now: datetime,
    metadata: Mapping[str, Any],
    sample: Any = None,
) -> None:
    """Add an audit event, with its id and its time in the forms that the newest one has.

    `sample` is a time as the app writes it, for where there is no event yet.
    """
    query = f"SELECT id, created_at FROM audit_events {newest_first(connection)} LIMIT 1"
    newest = connection.execute(query).fetchone()
    values = {
        "kind": kind,
        "actor": actor,
        "created_at": written_like(now, newest[1] if newest is not None else sample),
        "metadata": json.dumps(metadata, separators=(",", ":")),
    }
    if not _numbers_itself(connection):
        values["id"] = _new_id(connection, None if newest is None else newest[0])
    places = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO audit_events ({', '.join(values)}) VALUES ({places})", tuple(values.values()))


def _numbers_itself(connection: sqlite3.Connection) -> bool:
    """Return whether SQLite makes ids up: only a column declared INTEGER PRIMARY KEY is the rowid, if there is one."""
    key = connection.execute("SELECT name, upper(type) FROM pragma_table_info('audit_events') WHERE pk > 0").fetchall()
    return key == [("id", "INTEGER")] and has_rowid(connection)


def _new_id(connection: sqlite3.Connection, newest: Any) -> Any:
    """Return an id that is free; other writers wait for the end of the transaction."""
    declared = columns_of(connection, "audit_events").get("id", "")
    if isinstance(newest, int) or (newest is None and "INT" in declared):
        query = "SELECT coalesce(max(id), 0) + 1 FROM audit_events WHERE typeof(id) = 'integer'"
        return connection.execute(query).fetchone()[0]
    return str(uuid.uuid4())
