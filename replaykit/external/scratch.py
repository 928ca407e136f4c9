"""Scratch: the SQLite file a program works on, filled with a state, and what its triggers say of every request."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replaykit.errors import StateError, excerpt
from replaykit.external.edits import key_list
from replaykit.external.entries import Decoder, Entry
from replaykit.external.protocol import Misbehaved
from replaykit.external.triggers import LOG, install, layout_of
from replaykit.external.values import sqlite_type, to_sqlite
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replaykit.external.edits import Edit
    from replaykit.external.triggers import Layout
    from replaykit.state import State
    from replaykit.state_table import StateTable

__all__ = ["Scratch"]

_PATIENCE = 0.25  # seconds a program that has answered may take to let go of its lock
_MEMORY = "/dev/shm"  # noqa: S108 - the folder made in it is this user's alone
_ROOM = 1 << 30  # bytes free there to be used
_PRUNED = 50_000  # entries after which the log is emptied


class Scratch:
    """The file a program works on; the folder is this user's alone, and goes with `close`."""

    def __init__(self, state: State, schema: Sequence[str]) -> None:
        self._state = state
        self._folder = tempfile.mkdtemp(prefix="replaykit-program-", dir=_where())
        self.path = str(Path(self._folder, "state.sqlite"))
        self._last = 0
        self._entries: list[Entry] = []
        try:
            self._database = sqlite3.connect(self.path, isolation_level=None, timeout=_PATIENCE)
            self._decoder = Decoder(state, self._database)
            with _told("preparing it"):
                self._prepare(schema)
        except BaseException:
            self.close()
            raise

    def _prepare(self, schema: Sequence[str]) -> None:
        database = self._database
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=OFF")
        database.execute("BEGIN IMMEDIATE")
        for text in schema or map(_create, self._state.tables.values()):
            database.execute(text)
        self._layouts = [
            layout_of(database, number, name, table.key, list(table.types))
            for number, (name, table) in enumerate(self._state.tables.items())
        ]
        self._own = {one[0] for one in database.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")}
        for name, table in self._state.tables.items():
            self._fill(name, table)
        install(database, self._layouts)
        database.execute("COMMIT")
        self._version = self._schema_version()
        self._made = self._schema()

    def _fill(self, name: str, table: StateTable) -> None:
        listed, marks = ", ".join(map(quote, table.types)), ", ".join("?" * len(table.types))
        rows = ([to_sqlite(value) for value in row.values()] for _, row, _ in table.numbered())
        self._database.executemany(f"INSERT INTO {quote(name)} ({listed}) VALUES ({marks})", rows)

    def _schema_version(self) -> int:
        return int(self._database.execute("PRAGMA schema_version").fetchone()[0])

    def _schema(self) -> set[tuple[Any, ...]]:
        return set(self._database.execute("SELECT type, name, sql FROM sqlite_schema WHERE tbl_name IS NOT NULL"))

    def loaded(self) -> None:
        """Take note of what the program made of the file at load: it may add tables and indexes of its own.

        Raises
        ------
        Misbehaved
            It changed a state table, a row of one or a trigger.
        """
        with self._looking():
            now = self._schema()
            if not self._made <= now:
                changed = sorted(str(one[1]) for one in self._made - now)
                raise Misbehaved(f"changed {changed[0]!r} in its file; state tables stay as hello says")
            self._version = self._schema_version()
            if self._read():
                raise Misbehaved("wrote to a state table; what it is given is the state to start from")
            self._own = {one[1] for one in now if one[0] == "trigger" and not one[1].startswith("_replaykit_")}

    def taken(self) -> list[Edit]:
        """Return what the program changed since the last look, in order.

        Raises
        ------
        Misbehaved
            It still holds a transaction or a lock, changed the schema, or wrote what a column can't hold.
        """
        with self._looking():
            if self._schema_version() != self._version:
                raise Misbehaved("changed the schema of its file, which it may do at load only")
            self._entries = self._read()
            return self._decoder.edits(self._entries) if self._entries else []

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Hold the write lock for a look: a program that has not committed is found out."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as exc:
            raise Misbehaved(
                f"still held a transaction or a lock on its file after its reply ({exc}); commit before replying, and "
                "open the file without exclusive locking"
            ) from exc
        try:
            with _told("reading what changed"):
                yield
        finally:
            with suppress(sqlite3.Error):
                self._database.execute("COMMIT")

    def _read(self) -> list[Entry]:
        rows = self._database.execute(f"SELECT * FROM {LOG} WHERE n > ? ORDER BY n", (self._last,)).fetchall()
        found = []
        for n, table, op, rowid, _, *cells in rows:
            layout = self._layouts[table]
            width = 2 * len(layout.columns)
            found.append(Entry(layout, op, rowid, tuple(cells[:width:2]), tuple(cells[1:width:2])))
            self._last = n
        if self._last > _PRUNED:
            self._prune()
        return found

    def _prune(self) -> None:
        self._database.execute(f"DELETE FROM {LOG}")
        self._last = 0

    # Back, and after others

    def undo(self) -> None:
        """Take back what the last look found: rows, their values and their order.

        Raises
        ------
        Misbehaved
            The program has triggers of its own, which would answer to that.
        """
        if not self._entries:
            return
        if self._own:
            raise Misbehaved(f"wrote what can't be taken back, because its own trigger {min(self._own)!r} would fire")
        first: dict[tuple[int, tuple[Any, ...]], tuple[Any, ...] | None] = {}
        for entry in self._entries:
            for cells, original in ((entry.old, (entry.rowid, *entry.old)), (entry.new, None)):
                if any(one is not None for one in cells):
                    first.setdefault((entry.layout.number, self._raw_key(entry.layout, cells)), original)
        with self._looking():
            for number, key in first:
                self._forget(self._layouts[number], key)
            for (number, _), original in first.items():
                if original is not None:
                    self._put(self._layouts[number], original)
            self._skip()
        self._entries = []

    def _raw_key(self, layout: Layout, cells: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(cells[layout.columns.index(name)] for name in layout.key)

    def _forget(self, layout: Layout, key: Iterable[Any]) -> None:
        where = " AND ".join(f"{quote(name)} IS ?" for name in layout.key)
        self._database.execute(f"DELETE FROM {quote(layout.name)} WHERE {where}", tuple(key))

    def _put(self, layout: Layout, row: tuple[Any, ...]) -> None:
        names = ["_rowid_", *layout.columns] if layout.rowid else list(layout.columns)
        cells = row if layout.rowid else row[1:]
        listed = ", ".join(map(quote, names))
        marks = ", ".join("?" * len(names))
        self._database.execute(f"INSERT INTO {quote(layout.name)} ({listed}) VALUES ({marks})", cells)

    def _skip(self) -> None:
        self._last = int(self._database.execute(f"SELECT coalesce(max(n), 0) FROM {LOG}").fetchone()[0])

    def follow(self, keys: Iterable[tuple[str, Any]]) -> None:
        """Put rows that somebody else wrote to the working set into the file."""
        with self._looking():
            for name, key in keys:
                row = self._state[name].get(key)
                where = " AND ".join(f"{quote(one)} IS ?" for one in self._state[name].key)
                parts = [to_sqlite(part) for part in key_list(key)]
                if row is None:
                    self._database.execute(f"DELETE FROM {quote(name)} WHERE {where}", parts)
                    continue
                cells = [to_sqlite(value) for value in row.values()]
                assigned = ", ".join(f"{quote(one)} = ?" for one in row)
                query = f"UPDATE {quote(name)} SET {assigned} WHERE {where}"
                if not self._database.execute(query, [*cells, *parts]).rowcount:
                    listed, marks = ", ".join(map(quote, row)), ", ".join("?" * len(row))
                    self._database.execute(f"INSERT INTO {quote(name)} ({listed}) VALUES ({marks})", cells)
            self._skip()

    def differs(self) -> str:
        """Return where the file differs from the working set, in words; nothing if it does not."""
        with self._looking():
            for layout in self._layouts:
                listed = ", ".join(map(quote, layout.columns))
                rows = self._database.execute(f"SELECT {listed} FROM {quote(layout.name)}")
                held = {self._decoder.key(layout, cells): self._decoder.row(layout, cells) for cells in rows}
                known = {key: dict(row) for key, row, _ in self._state[layout.name].numbered()}
                if held != known:
                    keys = [*held, *known]
                    key = next(one for one in keys if held.get(one) != known.get(one))
                    return f"{layout.name}[{excerpt(key)}]"
        return ""

    def close(self) -> None:
        """Close the file and remove its folder."""
        with suppress(AttributeError, sqlite3.Error):
            self._database.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _where() -> str | None:
    """Return a folder in memory if there is one with room, so that no commit of the program waits for a disk."""
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK):
        return None
    return _MEMORY if shutil.disk_usage(_MEMORY).free >= _ROOM else None


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise Misbehaved(f"left a file that can't be worked with ({what}: {exc})") from exc
    except StateError as exc:
        raise Misbehaved(f"wrote what its tables can't hold: {exc}") from exc


def _create(table: StateTable) -> str:
    columns = [
        f"{quote(name)} {sqlite_type(kind)}{' NOT NULL' if name in table.key else ''}"
        for name, kind in table.types.items()
    ]
    return f"CREATE TABLE {quote(table.name)} ({', '.join(columns)}, PRIMARY KEY ({', '.join(map(quote, table.key))}))"
