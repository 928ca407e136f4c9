"""The app's tables as they are read: which columns are needed, and which leave the database at all.

Request and response JSON, provider ids, URLs and error texts are never selected: they can't be shown by mistake.
"""

from __future__ import annotations

import re
import sqlite3
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.errors import LoadError
from replaykit.systems.clawcut.policy import LIVE, TERMINAL
from replaykit.systems.clawcut.times import read_time

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ONLY_LIVE",
    "Entry",
    "Job",
    "check_app",
    "columns_of",
    "entries",
    "has_rowid",
    "jobs",
    "newest_first",
    "status_word",
    "word",
]

_JOBS = ("id", "kind", "provider", "status", "provider_job_id", "created_at", "updated_at")
_AUDIT = ("id", "kind", "actor", "created_at", "metadata")
NEEDED = {"ai_jobs": _JOBS, "audit_events": _AUDIT}
ONLY_LIVE = (f"WHERE status IN ({', '.join('?' * len(LIVE))})", LIVE)
"""What `jobs` takes to yield those that are not terminal."""
_KEY = re.compile(r"(?i:(?:sk|pk|rk|gh[opsu]|glpat|xox[abeprs])[-_])|AKIA|ASIA|AIza|eyJ")
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
        yield Job(id, word(kind), word(provider), status_word(status), bool(has), created, updated)


def entries(connection: sqlite3.Connection, kinds: tuple[str, ...] = (), *, newest: int | None = None) -> list[Entry]:
    """Return audit events by time, then as inserted; those without a readable time come where they were inserted.

    With `newest` only so many, those inserted last.
    """
    where = f"WHERE kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
    query = f"SELECT id, kind, actor, created_at, metadata FROM audit_events {where} {newest_first(connection)} LIMIT ?"
    rows = connection.execute(query, (*kinds, -1 if newest is None else newest)).fetchall()[::-1]
    times, latest = [], datetime.min  # noqa: DTZ901 - before any other
    for row in rows:
        latest = read_time(row[3]) or latest
        times.append(latest)
    ordered = sorted(range(len(rows)), key=lambda place: (times[place], place))
    return [Entry(rows[place][0], word(rows[place][1]), *rows[place][2:]) for place in ordered]


def has_rowid(connection: sqlite3.Connection) -> bool:
    """Return whether audit events are numbered as they were inserted: a table WITHOUT ROWID and a view are not."""
    query = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND lower(name) = 'audit_events'"
    if not connection.execute(query).fetchone()[0]:
        return False
    try:
        connection.execute("SELECT rowid FROM audit_events LIMIT 0")
    except sqlite3.OperationalError as error:
        if "no such column" not in str(error):
            raise
        return False
    return True


def newest_first(connection: sqlite3.Connection) -> str:
    """Return how to order audit events, the newest first: as inserted where that can be told, else by time and id."""
    return "ORDER BY rowid DESC" if has_rowid(connection) else "ORDER BY created_at DESC, id DESC"


def word(value: Any) -> str:
    """Return a kind or provider as it is if it is a plain word, else what says that it is none.

    These columns are shown; a URL, a sentence or what begins as keys do in one of them is not.
    """
    plain = isinstance(value, str) and _WORD.fullmatch(value) and not _KEY.match(value)
    return str(value) if plain else "(no plain word)"


def status_word(value: Any) -> str:
    """Return a job's status as it is if it is one that is known, else what says that it is none."""
    return str(value) if value in (*LIVE, *TERMINAL) else "(unknown status)"
