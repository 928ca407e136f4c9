"""The app's tables as they are read: which columns are needed, and which leave the database at all.

Request and response JSON, provider ids, URLs and error texts are never selected: they can't be shown by mistake.
"""

from __future__ import annotations

import re
import sqlite3
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.errors import LoadError
from replaykit.systems.clawcut.times import read_time

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Entry", "Job", "check_app", "columns_of", "entries", "jobs", "word"]

_JOBS = ("id", "kind", "provider", "status", "provider_job_id", "created_at", "updated_at")
_AUDIT = ("id", "kind", "actor", "created_at", "metadata")
NEEDED = {"ai_jobs": _JOBS, "audit_events": _AUDIT}
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")


class Job(NamedTuple):
    """A job without anything secret; times are as the app wrote them."""

    id: Any
    kind: str
    provider: str
    status: str
    has_provider_id: bool
    created_at: Any
    updated_at: Any


class Entry(NamedTuple):
    """A row of ``audit_events``; its metadata is text that has not been looked at."""

    id: Any
    kind: str
    actor: Any
    created_at: Any
    metadata: Any


def check_app(connection: sqlite3.Connection) -> None:
    """Raise LoadError if a database is not the app's; the message names tables and columns, no path."""
    names = [
        str(name) for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")
    ]
    for table, columns in NEEDED.items():
        if table not in names:
            raise LoadError(f"The database has no table {table!r}; expected the app's, with {' and '.join(NEEDED)}.")
        missing = [name for name in columns if name not in columns_of(connection, table)]
        if missing:
            raise LoadError(f"Table {table!r} has no column {missing[0]!r}; expected at least {', '.join(columns)}.")


def columns_of(connection: sqlite3.Connection, table: str) -> dict[str, str]:
    """Return the declared type of each column of one of the app's tables, in capitals."""
    query = "SELECT name, upper(type) FROM pragma_table_info(?)"
    return {str(name): str(declared) for name, declared in connection.execute(query, (table,))}


def jobs(connection: sqlite3.Connection, where: str = "", bound: tuple[Any, ...] = ()) -> Iterator[Job]:
    """Yield jobs by id, without their secrets; an id that is missing or empty counts as none."""
    query = (
        "SELECT id, kind, provider, status, coalesce(provider_job_id, '') <> '', created_at, updated_at "
        f"FROM ai_jobs {where} ORDER BY id"
    )
    for id, kind, provider, status, has, created, updated in connection.execute(query, bound):
        yield Job(id, word(kind), word(provider), word(status), bool(has), created, updated)


def entries(connection: sqlite3.Connection, kinds: tuple[str, ...] = (), *, newest: int | None = None) -> list[Entry]:
    """Return audit events by time, then as inserted; those without a readable time come where they were inserted.

    With `newest` only so many, those inserted last.
    """
    where = f"WHERE kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
    query = f"SELECT id, kind, actor, created_at, metadata FROM audit_events {where} ORDER BY rowid DESC LIMIT ?"
    rows = connection.execute(query, (*kinds, -1 if newest is None else newest)).fetchall()[::-1]
    times, latest = [], datetime.min  # noqa: DTZ901 - before any other
    for row in rows:
        latest = read_time(row[3]) or latest
        times.append(latest)
    ordered = sorted(range(len(rows)), key=lambda place: (times[place], place))
    return [Entry(rows[place][0], word(rows[place][1]), *rows[place][2:]) for place in ordered]


def word(value: Any) -> str:
    """Return a kind, provider or status as it is if it is a plain word, else what says that it is none.

    These columns are shown; a URL or a sentence in one of them is not.
    """
    return value if isinstance(value, str) and _WORD.fullmatch(value) else "(no plain word)"
