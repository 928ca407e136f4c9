"""Small app databases of clawcut, as the app itself would have left them, in whatever form apps keep ids and times."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from replaykit.systems.clawcut.provider import Answer
from replaykit.systems.clawcut.times import written_like

NOW = datetime(2026, 5, 12, 12, 0)
"""The moment that `job` counts its minutes from; naive UTC."""

TIMES: dict[str, Any] = {"iso": "2026-01-01T00:00:00.000Z", "epoch": 1_700_000_000, "epoch_ms": 1_700_000_000_000}
"""The forms of time that `make_app` can write, each with a sample."""

_JOB_COLUMNS = (
    "id",
    "kind",
    "provider",
    "status",
    "provider_job_id",
    "request_json",
    "response_json",
    "result_url",
    "error",
    "created_at",
    "updated_at",
)


def ago(minutes: float) -> datetime:
    """Return a moment so many minutes before NOW."""
    return NOW - timedelta(minutes=minutes)


def job(id: Any, minutes: float | None = 30, **columns: Any) -> dict[str, Any]:
    """Return a row of ai_jobs: a video that is processing, last updated so many minutes before NOW (None: unknown)."""
    usual = {
        "id": id,
        "kind": "video",
        "provider": "veo",
        "status": "processing",
        "provider_job_id": f"p{id}",
        "request_json": "{}",
        "created_at": ago(300),
        "updated_at": None if minutes is None else ago(minutes),
    }
    return dict.fromkeys(_JOB_COLUMNS) | usual | columns


def event(kind: str, minutes: float, actor: str = "app", **metadata: Any) -> dict[str, Any]:
    """Return a row of audit_events, so many minutes before NOW."""
    return {"kind": kind, "actor": actor, "created_at": ago(minutes), "metadata": json.dumps(metadata)}


class Told:
    """A provider that says what it was told to, and keeps whom it was asked about; an error is raised."""

    def __init__(self, answers: Mapping[str, Answer | BaseException] | None = None, **usual: Any) -> None:
        self.answers = dict(answers or {})
        self.usual = Answer(**({"state": "completed", "result_url": "https://cdn.example/r"} | usual))
        self.asked: list[str] = []

    def look_up(self, provider_job_id: str) -> Answer:
        """Return or raise what it was told for that job."""
        self.asked.append(provider_job_id)
        answer = self.answers.get(provider_job_id, self.usual)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def make_app(
    folder: Path,
    jobs: Iterable[dict[str, Any]] = (),
    events: Iterable[dict[str, Any]] = (),
    *,
    text_ids: bool = False,
    times: str = "iso",
    text_event_ids: bool = False,
    wal: bool = True,
    name: str = "app.sqlite",
) -> Path:
    """Write an app's database and return its path; nobody has it open afterwards.

    Parameters
    ----------
    text_ids
        Whether ids of jobs are text; those given are written as text then.
    times
        How times are written: ``iso``, ``epoch`` (seconds) or ``epoch_ms``. Text in a time column stays as it is.
    text_event_ids
        Whether audit_events has a TEXT primary key, whose ids are made up by the app.
    wal
        Whether the database is in WAL mode, as the app's is, or in SQLite's own (DELETE).
    """
    path = folder / name
    with closing(sqlite3.connect(path, isolation_level=None)) as app:
        app.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
        for statement in _schema(text_ids, times, text_event_ids):
            app.execute(statement)
        app.execute("BEGIN")
        for row in jobs:
            insert(app, "ai_jobs", row | {"id": str(row["id"]) if text_ids else row["id"]}, times)
        for place, row in enumerate(events, 1):
            insert(app, "audit_events", {"id": f"event-{place}"} | row if text_event_ids else row, times)
        app.execute("COMMIT")
    return path


def _schema(text_ids: bool, times: str, text_event_ids: bool) -> list[str]:
    key = "TEXT PRIMARY KEY NOT NULL" if text_ids else "INTEGER PRIMARY KEY"
    event_key = "TEXT PRIMARY KEY NOT NULL" if text_event_ids else "INTEGER PRIMARY KEY"
    time = "TEXT" if times == "iso" else "INTEGER"
    jobs = (
        f"id {key}, kind TEXT NOT NULL, provider TEXT NOT NULL, status TEXT NOT NULL, provider_job_id TEXT, "
        f"request_json TEXT, response_json TEXT, result_url TEXT, error TEXT, created_at {time} NOT NULL, "
        f"updated_at {time}"
    )
    events = f"id {event_key}, kind TEXT NOT NULL, actor TEXT, created_at {time} NOT NULL, metadata TEXT"
    return [f"CREATE TABLE ai_jobs ({jobs})", f"CREATE TABLE audit_events ({events})"]


def insert(app: sqlite3.Connection, table: str, row: dict[str, Any], times: str = "iso") -> None:
    """Insert one row; datetimes are written in the form named."""
    values = [written_like(value, TIMES[times]) if isinstance(value, datetime) else value for value in row.values()]
    app.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", values)


def rows(path: Path, table: str = "ai_jobs") -> list[dict[str, Any]]:
    """Return the rows of a table by rowid, read with a connection of its own."""
    with closing(sqlite3.connect(path)) as app:
        app.row_factory = sqlite3.Row
        app.text_factory = lambda text: text.decode("utf-8", "replace")
        return [dict(row) for row in app.execute(f"SELECT * FROM {table} ORDER BY rowid")]


def row(path: Path, id: Any) -> dict[str, Any]:
    """Return one job."""
    return next(found for found in rows(path) if found["id"] == id)


def audited(path: Path, kind: str) -> list[dict[str, Any]]:
    """Return the metadata of audit events of a kind, as inserted."""
    return [json.loads(found["metadata"]) for found in rows(path, "audit_events") if found["kind"] == kind]


def change(path: Path, statement: str, *bound: Any) -> None:
    """Do something to the database as the app would: a connection of its own, committed at once."""
    with closing(sqlite3.connect(path, isolation_level=None)) as app:
        app.execute(statement, bound)


def contents(path: Path) -> dict[str, bytes]:
    """Return every file of the database's folder with its bytes, to tell whether anything was changed.

    Only where this process has the database not open: closing a file drops the locks that SQLite holds on it.
    """
    return {file.name: file.read_bytes() for file in sorted(path.parent.iterdir()) if file.is_file()}
