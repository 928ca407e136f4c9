"""Triggers: what is installed in a scratch SQLite file so that every change of a state table is logged, in order.

``INSERT OR REPLACE`` and ``UPDATE OR REPLACE`` delete rows without a delete trigger, unless the program sets ``PRAGMA
recursive_triggers``. So rows that may be about to go this way are logged before (``c``, candidates), with their values;
whether they went is seen in the file after the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replaykit.external.protocol import Misbehaved
from replaykit.sql import quote

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

__all__ = ["LOG", "Layout", "install", "layout_of"]

LOG = "_replaykit_log"
"""The table that triggers write to."""


@dataclass(frozen=True)
class Layout:
    """A state table as it is in the file."""

    number: int
    name: str
    columns: tuple[str, ...]
    """All its columns, also those that hello does not name."""
    key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    """Sets of columns that the file keeps unique."""
    rowid: bool

    def same(self, left: str, right: str, columns: Sequence[str], *, compare: str = "=") -> str:
        """Return the condition that columns of two rows are the same."""
        return " AND ".join(f"{left}{quote(one)} {compare} {right}{quote(one)}" for one in columns)


def layout_of(database: sqlite3.Connection, number: int, name: str, key: tuple[str, ...], wanted: list[str]) -> Layout:
    """Return how a state table lies in the file.

    Raises
    ------
    Misbehaved
        It is not there, lacks a column, does not keep the key unique, or has an index on an expression.
    """
    columns = database.execute(f"PRAGMA table_info({quote(name)})").fetchall()
    if not columns:
        raise Misbehaved(f"has a schema without the table {name!r}, which its hello names")
    names = tuple(one[1] for one in columns)
    missing = [one for one in wanted if one not in names]
    if missing:
        raise Misbehaved(
            f"has a schema with a table {name!r} without {missing[0]!r}, which its hello names; it has {list(names)}"
        )
    ordered = sorted(one for one in columns if one[5])
    primary = tuple(one[1] for one in sorted(ordered, key=lambda one: one[5]))
    unique = [primary] if primary else []
    unique += [one for one in _indexes(database, name) if one not in unique]
    if not any(set(one) == set(key) for one in unique):
        raise Misbehaved(f"has a schema that does not keep the key {list(key)} of {name!r} unique")
    return Layout(number, name, names, key, tuple(unique), _has_rowid(database, name))


def _indexes(database: sqlite3.Connection, name: str) -> Iterator[tuple[str, ...]]:
    for index in database.execute(f"PRAGMA index_list({quote(name)})").fetchall():
        if not index[2]:
            continue
        columns = database.execute(f"PRAGMA index_info({quote(index[1])})").fetchall()
        if any(one[2] is None for one in columns):
            raise Misbehaved(f"has a unique index on an expression ({index[1]!r}), which can't be followed")
        yield tuple(one[2] for one in columns)


def _has_rowid(database: sqlite3.Connection, name: str) -> bool:
    import sqlite3

    try:
        database.execute(f"SELECT _rowid_ FROM {quote(name)} LIMIT 0")
    except sqlite3.OperationalError:
        return False
    return True


def install(database: sqlite3.Connection, layouts: Sequence[Layout]) -> None:
    """Create the log, and the triggers on every state table."""
    most = max((len(one.columns) for one in layouts), default=0)
    cells = "".join(f", o{n}, n{n}" for n in range(most))  # without a type, so that values stay exactly as they are
    database.execute(f"CREATE TABLE {LOG} (n INTEGER PRIMARY KEY, t, op, r, s{cells})")
    for one in layouts:
        for text in _triggers(one):
            database.execute(text)


def _triggers(one: Layout) -> Iterator[str]:
    old = [f"o{n}" for n in range(len(one.columns))]
    new = [f"n{n}" for n in range(len(one.columns))]
    before = [f"OLD.{quote(name)}" for name in one.columns]
    after = [f"NEW.{quote(name)}" for name in one.columns]
    r, s = ("OLD._rowid_", "NEW._rowid_") if one.rowid else ("NULL", "NULL")
    values = f"{one.number}, '{{}}', {r}, {s}"
    yield _trigger(one, "AFTER INSERT", "i", new, f"VALUES ({one.number}, 'i', NULL, {s}, {', '.join(after)})")
    yield _trigger(one, "AFTER UPDATE", "u", old + new, f"VALUES ({values.format('u')}, {', '.join(before + after)})")
    yield _trigger(one, "AFTER DELETE", "d", old, f"VALUES ({one.number}, 'd', {r}, NULL, {', '.join(before)})")
    yield from _candidates(one, old)


def _candidates(one: Layout, old: list[str]) -> Iterator[str]:
    r = "_rowid_" if one.rowid else "NULL"
    conflict = " OR ".join(f"({one.same('', 'NEW.', unique)})" for unique in one.unique)
    listed = ", ".join(map(quote, one.columns))
    found = f"SELECT {one.number}, 'c', {r}, NULL, {listed} FROM {quote(one.name)} WHERE ({conflict})"
    yield _trigger(one, "BEFORE INSERT", "c", old, found)
    assigned = ", ".join(quote(name) for name in dict.fromkeys(name for unique in one.unique for name in unique))
    other = f"{found} AND NOT ({one.same('', 'OLD.', one.key, compare='IS')})"
    yield _trigger(one, f"BEFORE UPDATE OF {assigned}", "b", old, other)


def _trigger(one: Layout, when: str, op: str, columns: list[str], rows: str) -> str:
    listed = ", ".join(["t", "op", "r", "s", *columns])
    name = quote(f"_replaykit_{op}{one.number}")
    return f"CREATE TRIGGER {name} {when} ON {quote(one.name)} BEGIN INSERT INTO {LOG} ({listed}) {rows}; END"
