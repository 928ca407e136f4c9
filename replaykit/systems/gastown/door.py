"""open: a town as it lies, one SQLite database, becomes a recording; the database is read and never written."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from replaykit.display import count, show_text
from replaykit.errors import LoadError, show_time
from replaykit.snapshot import Snapshot
from replaykit.sources import load, sqlite
from replaykit.sources.sqlite import opened, tables_of
from replaykit.sources.table import one_of
from replaykit.sql import quote
from replaykit.systems.gastown.noise import FOLDED_COLUMNS, folded
from replaykit.systems.gastown.tables import KEYS
from replaykit.systems.gastown.times import parse

if TYPE_CHECKING:
    import os

    import pandas as pd

    from replaykit.recording import Recording

__all__ = ["open"]

_EVENTS = "town_events"
_NEEDED = (_EVENTS, "beads", "agent_metadata")
_EVENT_COLUMNS = ("event_id", "event_type", "agent_id", "payload", "created_at", "processed_at")

# Where the program writes its own clock. Not last_event_at, which is an agent's, nor expires_at, which lies ahead.
_CLOCKS = {
    _EVENTS: ("created_at", "processed_at"),
    "beads": ("created_at", "updated_at", "closed_at"),
    "agent_metadata": ("last_activity_at", "agent_status_updated_at"),
    "agent_nudges": ("created_at", "delivered_at"),
    "bead_events": ("created_at",),
    "convoy_metadata": ("landed_at",),
    "escalation_metadata": ("acknowledged_at",),
    "rigs": ("created_at",),
}


def open(
    path: str | os.PathLike[str],
    *,
    fold: bool = False,
    only: Iterable[str] | None = None,
    drop: Iterable[str] = (),
    mask: Iterable[str] = (),
    mask_key: str | bytes | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Recording:
    """Open a town's SQLite database as a recording, so that its questions can be asked without a replay.

    ``town_events`` are the events, in the program's order: by ``created_at``, then as inserted. The state tables become
    the last snapshot; ``bead_events``, the program's own audit trail, is one of them, for ``recording.rewind``.

    That snapshot lies behind the last event that was processed; events still pending are not in it. Its moment is the
    newest time the program wrote anywhere in the database: the town was in this state at that moment, and nothing
    proves a later one. That is usually later than the last event, since calls and actions write, too.

    Snapshot 0 is the town without a row, one millisecond before the oldest time in it, for ``unexplained`` to compare
    with and for replays to start from. What was deleted before the export is in neither; events are deleted seven days
    after they were created.

    Parameters
    ----------
    path
        The database. It is copied first, its write-ahead log included, and only the copy is read: all tables are of
        one moment, and neither the file nor its folder changes, even while the town runs.
    fold
        Fold container statuses that only repeat; see `replaykit.systems.gastown.noise.folded`.
    only, drop, mask, mask_key, save
        As in `replaykit.load`. ``event_id`` may be masked, not dropped.

    Returns
    -------
    Recording
        Its report says what was pending, folded and left out. Tables the program's rules do not know stay outside.

    Raises
    ------
    LoadError
        There is no such file, it is no SQLite database or no town, it is locked, or it is written too fast to be read.
    """
    dropped = tuple(drop)
    if {"event_id", "events.event_id"} & set(dropped):
        raise LoadError("drop= names 'event_id', by which the snapshot is placed among the events; mask it instead.")
    with _copied(Path(path).expanduser()) as copy:
        town = _town(copy)
        notes = [town.note]
        if fold:
            town.events, folding = folded(town.events)
            notes.append(folding.sentence)
            only = None if only is None else [*only, *FOLDED_COLUMNS]
        return load(
            town.events if fold else sqlite(copy, _EVENTS),
            time="created_at",
            kind="event_type",
            id="event_id",
            payload="payload",
            snapshots=town.snapshots(copy),
            keys={name: KEYS[name] for name in town.tables},
            only=only,
            drop=dropped,
            mask=mask,
            mask_key=mask_key,
            save=save,
            notes=notes,
        )


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    """Give a private copy of a database, of one moment and without a log beside it."""
    with tempfile.TemporaryDirectory(prefix="replaykit-") as folder:
        copy = Path(folder) / path.name
        try:
            with opened(path) as source, closing(sqlite3.connect(copy)) as target:
                source.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # a lock is an error here, not a wait
                source.backup(target)
                target.execute("PRAGMA journal_mode = DELETE")
        except LoadError as error:
            if "locked" not in str(error):
                raise
            raise LoadError(
                f"Town {str(path)!r} is locked by another program; close that, or open a copy of the file."
            ) from None
        yield copy


@dataclass
class _Town:
    """What has to be known of a town before it can be loaded."""

    name: str
    events: pd.DataFrame
    """``town_events`` in the program's order."""
    tables: Sequence[str]
    left_out: Sequence[str]
    oldest: datetime
    newest: datetime

    @property
    def note(self) -> str:
        """How the town was read, without anybody's ids."""
        done = int(self.events["processed_at"].notna().sum())
        told = (
            f"Town {self.name}: {done:,} of {count(len(self.events), 'event')} were processed and are in the last "
            f"snapshot, which stands at {show_time(self.newest)}, the newest time written; snapshot 0 is empty."
        )
        missing = [name for name in KEYS if name not in self.tables]
        told += f" It has no table {', '.join(missing)}." if missing else ""
        return told + (f" Left out: {', '.join(map(show_text, self.left_out))}." if self.left_out else "")

    def snapshots(self, copy: Path) -> list[Snapshot]:
        """Return the empty town, and the town as it lies."""
        born = Snapshot({}, at=self.oldest - timedelta(milliseconds=1), after=0, name="before the first row")
        live = {name: sqlite(copy, name) for name in self.tables}
        return [born, Snapshot(live, at=self.newest, after=self._last_done(), name=f"{self.name} as it lies")]

    def _last_done(self) -> str | int:
        """Return the id of the last processed event that a load accepts; 0 if there is none."""
        done = self.events[self.events["processed_at"].notna()][::-1]
        for event, payload, created in zip(done["event_id"], done["payload"], done["created_at"], strict=True):
            if _parsed(created) is not None and _is_json(payload):
                return str(event)
        return 0


def _town(copy: Path) -> _Town:
    names = tables_of(sqlite(copy))
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise LoadError(
            f"SQLite database {copy.name!r} is no town: it has no table {missing[0]!r}, only {one_of(names)}."
        )
    with opened(copy) as connection:
        columns = {name: _columns(connection, name) for name in _CLOCKS if name in names}
        lacking = [name for name in _EVENT_COLUMNS if name not in columns[_EVENTS]]
        if lacking:
            raise LoadError(
                f"Table 'town_events' of {copy.name!r} has no column {lacking[0]!r}; its columns are "
                f"{one_of(columns[_EVENTS])}."
            )
        times = [time for name, found in columns.items() for time in _times(connection, name, found)]
        if not times:
            raise LoadError(f"Town {copy.name!r} holds no row with a time: there is nothing to look at.")
        events = _events(connection, columns[_EVENTS])
    kept = [name for name in KEYS if name in names]
    left_out = [name for name in names if name not in (*kept, _EVENTS)]
    return _Town(copy.name, events, kept, left_out, min(times), max(times))


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [str(row[1]) for row in connection.execute(f"PRAGMA table_info({quote(table)})")]


def _times(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> list[datetime]:
    """Return the oldest and the newest time the program wrote into each column of a table."""
    found = []
    for name in (quote(name) for name in _CLOCKS[table] if name in columns):
        read = f"strftime('%Y-%m-%dT%H:%M:%f', {name})"
        query = f"SELECT min({read}), max({read}) FROM {quote(table)} WHERE {name} GLOB '[0-9][0-9][0-9][0-9]-*'"
        found += [datetime.fromisoformat(text) for text in connection.execute(query).fetchone() if text is not None]
    return found


def _events(connection: sqlite3.Connection, columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    names = ", ".join(map(quote, columns))
    rows = connection.execute(f"SELECT {names} FROM {quote(_EVENTS)} ORDER BY rowid").fetchall()
    at = columns.index("created_at")
    rows.sort(key=lambda row: _parsed(row[at]) or datetime.max)  # noqa: DTZ901 - what has no readable time comes last
    return pd.DataFrame(rows, columns=list(columns))


def _parsed(text: object) -> datetime | None:
    return parse(text) if isinstance(text, str) else None


def _is_json(payload: object) -> bool:
    if payload in (None, ""):
        return True
    try:
        json.loads(str(payload))
    except ValueError:
        return False
    return True
