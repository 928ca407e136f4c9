"""Small recordings for the tests of the core: through `load`, or written in one go where a property needs hundreds."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd

from replaykit.recording import open_recording
from replaykit.sources import load
from replaykit.sources.writing import FORMAT_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from replaykit.recording import Recording

T0 = datetime(2026, 3, 26, 6)


def after(seconds: float) -> datetime:
    """Return the instant `seconds` after the recordings begin."""
    return T0 + timedelta(seconds=seconds)


def events(*rows: Sequence[Any]) -> pd.DataFrame:
    """Return events from ``(second, kind)`` or ``(second, kind, payload)``; ids are ``e1``, ``e2``, ..."""
    return pd.DataFrame(
        [
            {"at": after(row[0]), "what": row[1], "id": f"e{n}", "body": json.dumps(row[2] if len(row) > 2 else {})}
            for n, row in enumerate(rows, 1)
        ],
        columns=["at", "what", "id", "body"],
    )


def loaded(*rows: Sequence[Any], **options: Any) -> Recording:
    """Return a recording of `events`, made the way a user makes one."""
    return load(events(*rows), time="at", kind="what", id="id", payload="body", **options)


_TABLES = """
CREATE TABLE meta (key VARCHAR PRIMARY KEY, value VARCHAR);
CREATE TABLE events (position BIGINT, occurred_at TIMESTAMP, kind VARCHAR, event_id VARCHAR, payload JSON);
CREATE TABLE rejects (reject BIGINT, source VARCHAR, place BIGINT, reason VARCHAR, excerpt VARCHAR);
CREATE TABLE snapshots (
    snapshot BIGINT, "at" TIMESTAMP, after_position BIGINT, after_event VARCHAR, name VARCHAR, after_seq BIGINT
);
"""


@contextmanager
def written(
    rows: Sequence[Sequence[Any]], snapshot: tuple[datetime, int, Mapping[str, pd.DataFrame]] | None = None
) -> Iterator[Recording]:
    """Give a recording of ``(second, kind, payload)`` rows, five times as fast as `loaded`.

    `snapshot` is its time, the position of the last event inside it, and its tables.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.duckdb"
        _write(path, rows, snapshot)
        with open_recording(path) as recording:
            yield recording


def _write(path: Path, rows: Sequence[Sequence[Any]], snapshot: Any) -> None:
    meta = {
        "format_version": FORMAT_VERSION, "order": "sequence", "sequence": [], "roles": {}, "columns": [], "keys": {},
        "report": {}, "tz": "UTC", "logs": [],
    }  # fmt: skip
    frame = pd.DataFrame(
        [(n, after(at), kind, f"e{n}", json.dumps(payload)) for n, (at, kind, payload) in enumerate(rows, 1)],
        columns=["position", "occurred_at", "kind", "event_id", "payload"],
    )
    with duckdb.connect(str(path)) as connection:
        connection.execute("BEGIN")
        connection.execute(_TABLES)
        connection.register("given", pd.DataFrame([(k, json.dumps(v)) for k, v in meta.items()]))
        connection.execute("INSERT INTO meta SELECT * FROM given")
        connection.register("given", frame)
        connection.execute("INSERT INTO events SELECT * FROM given ORDER BY position")
        connection.unregister("given")
        if snapshot is not None:
            at, position, tables = snapshot
            connection.execute("INSERT INTO snapshots VALUES (0, ?, ?, NULL, NULL, NULL)", [at, position])
            connection.execute("CREATE SCHEMA state")
            for name, table in tables.items():
                connection.register("given", table)
                connection.execute(
                    f'CREATE TABLE state."{name}" AS SELECT 0::BIGINT AS snapshot, row_number() OVER () AS row_no, * '
                    "FROM given"
                )
                connection.unregister("given")
        connection.execute("COMMIT")
