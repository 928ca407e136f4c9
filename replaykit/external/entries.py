"""Entries: what the triggers in a scratch SQLite file logged, as edits of the working set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.external.edits import Edit
from replaykit.external.values import from_sqlite
from replaykit.sql import quote

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from replaykit.external.triggers import Layout
    from replaykit.state import State

__all__ = ["Decoder", "Entry"]


class Entry(NamedTuple):
    """One entry of the log, its values as SQLite holds them."""

    layout: Layout
    op: str
    rowid: int | None
    old: tuple[Any, ...]
    new: tuple[Any, ...]


class Decoder:
    """Makes edits of entries: by the columns' types, the rows of the working set, and what the file still holds."""

    def __init__(self, state: State, database: sqlite3.Connection) -> None:
        self._state = state
        self._database = database
        self._cells = {
            name: {column: from_sqlite(kind) for column, kind in table.types.items()}
            for name, table in state.tables.items()
        }

    def edits(self, entries: list[Entry]) -> list[Edit]:
        """Return entries as edits, in order; what a column can't hold is a StateError."""
        lost = self._lost(entries)
        found: list[Edit] = []
        there: dict[tuple[str, Any], bool] = {}
        for number, entry in enumerate(entries):
            name = entry.layout.name
            if entry.op == "u" and self.key(entry.layout, entry.old) == self.key(entry.layout, entry.new):
                found.append(self._update(entry))
                continue
            for op, cells in self._as_written(entry, number in lost):
                key = self.key(entry.layout, cells)
                present = there.get((name, key), key in self._state[name])
                if op == "delete" or present:
                    found += [Edit("delete", name, key, None)] if present else []
                if op == "insert":
                    found.append(Edit("insert", name, None, self.row(entry.layout, cells)))
                there[name, key] = op == "insert"
        return found

    def _as_written(self, entry: Entry, lost: bool) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Yield an entry as deletes and inserts; an insert of a key that is there has replaced its row."""
        if entry.op in "du" or lost:
            yield "delete", entry.old
        if entry.op in "iu":
            yield "insert", entry.new

    def _lost(self, entries: list[Entry]) -> set[int]:
        """Return the numbers of the candidates that were replaced and are gone from the file."""
        last: dict[tuple[str, Any], tuple[int, Entry]] = {}
        for number, entry in enumerate(entries):
            for cells in (entry.old, entry.new):
                if any(one is not None for one in cells):
                    last[entry.layout.name, self.key(entry.layout, cells)] = number, entry
        gone = (one for one in last.values() if one[1].op == "c" and not self._in_file(one[1]))
        return {number for number, _ in gone}

    def _in_file(self, entry: Entry) -> bool:
        layout = entry.layout
        where = " AND ".join(f"{quote(name)} IS ?" for name in layout.key)
        raw = dict(zip(layout.columns, entry.old, strict=True))
        query = f"SELECT 1 FROM {quote(layout.name)} WHERE {where}"
        return self._database.execute(query, [raw[name] for name in layout.key]).fetchone() is not None

    def key(self, layout: Layout, cells: tuple[Any, ...]) -> Any:
        """Return the key in a row of the file."""
        raw = dict(zip(layout.columns, cells, strict=True))
        readers = self._cells[layout.name]
        made = tuple(readers[name](raw[name]) for name in layout.key)
        return made if len(made) > 1 else made[0]

    def row(self, layout: Layout, cells: tuple[Any, ...]) -> dict[str, Any]:
        """Return the columns that hello names of a row of the file."""
        raw = dict(zip(layout.columns, cells, strict=True))
        return {name: read(raw[name]) for name, read in self._cells[layout.name].items()}

    def _update(self, entry: Entry) -> Edit:
        readers, row = self._cells[entry.layout.name], {}
        for name, old, new in zip(entry.layout.columns, entry.old, entry.new, strict=True):
            if name in readers and (old != new or type(old) is not type(new)):
                row[name] = readers[name](new)
        return Edit("update", entry.layout.name, self.key(entry.layout, entry.new), row)
