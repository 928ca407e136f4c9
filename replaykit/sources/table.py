"""What every source becomes before it is named, checked and written: a staged table of columns and rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from replaykit.errors import LoadError, excerpt
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

__all__ = ["Column", "Intake", "Part", "SourceTable", "Unreadable", "one_of"]


@dataclass(frozen=True)
class Column:
    """One column of a source: its name there, and the SQL expression that reads it from the staged relation."""

    name: str
    sql: str
    type: str


@dataclass(frozen=True)
class Part:
    """One file (or frame) of a source, with the places of its staged rows.

    ``lines`` are physical lines of a text file if rows and lines differ; None where row n of the part is place n.
    """

    label: str
    rows: int
    path: str | None = None


@dataclass(frozen=True)
class Unreadable:
    """A row of a source that could not even be staged: a cut line, a line that is no JSON."""

    label: str
    place: int
    reason: str
    excerpt: str


@dataclass(frozen=True)
class SourceTable:
    """A source, staged: a relation to select from, whose ``row`` ascends in source order.

    ``read`` is counted without the relation (file metadata, lines, ``len(frame)``), so that
    ``loaded + rejected = read`` says something.
    """

    label: str
    relation: str
    columns: tuple[Column, ...]
    row: str
    read: int
    parts: tuple[Part, ...] = ()
    dense: bool = True
    lines: bool = False
    unreadable: tuple[Unreadable, ...] = ()
    keys: tuple[str, ...] = ()

    def column(self, name: str) -> Column | None:
        """Return the column called `name` in the source, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def without(self, names: Sequence[str]) -> SourceTable:
        """Return this table without the columns called `names`."""
        return replace(self, columns=tuple(column for column in self.columns if column.name not in names))

    def having(self, *columns: Column) -> SourceTable:
        """Return this table with further columns."""
        return replace(self, columns=(*self.columns, *columns))

    def locate(self, row: int) -> tuple[str, int]:
        """Return the file a staged row came from and its 1-based place in it."""
        for part in self.parts:
            if row <= part.rows:
                return part.label, row
            row -= part.rows
        return self.label, row


@dataclass
class Intake:
    """What the readers of one load share: the connection they stage in, the options, and the notes for the report."""

    connection: duckdb.DuckDBPyConnection
    types: Mapping[str, str] = field(default_factory=dict)
    tz: str | None = None
    unit: str | None = None
    withheld: bool = False
    """True if anything is masked, dropped or left out: raw lines are then never quoted."""
    notes: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    _staged: int = 0

    def note(self, text: str) -> None:
        """Add a sentence to the report, once."""
        if text not in self.notes:
            self.notes.append(text)

    def name(self, noun: str) -> str:
        """Return a fresh name for something staged."""
        self._staged += 1
        return f"replaykit_{noun}_{self._staged}"

    def stage(self, noun: str, query: str, parameters: Sequence[Any] = ()) -> str:
        """Keep the rows of `query` in a temporary table (memory and spill, never the recording); return its name."""
        name = self.name(noun)
        self.connection.execute(f"CREATE TEMP TABLE {quote(name)} AS {query}", list(parameters))
        return f"temp.{quote(name)}"

    def unstage(self, *relations: str) -> None:
        """Free staged tables that are read no more."""
        for relation in relations:
            if relation.startswith("temp."):
                self.connection.execute(f"DROP TABLE IF EXISTS {relation}")

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query on the loading connection."""
        return self.connection.execute(query, list(parameters)).fetchall()

    def quoted(self, text: str | None) -> str:
        """Return at most 80 characters of a raw line, or only its length if anything must stay out of the file."""
        if text is None:
            return ""
        if self.withheld:
            return f"(withheld, {len(text)} characters)"
        return text if len(text) <= 80 else text[:79] + "…"

    def describe(self, relation: str) -> list[tuple[str, str]]:
        """Return names and types of a relation's columns, in order."""
        return [(row[0], row[1]) for row in self.rows(f"DESCRIBE SELECT * FROM {relation}")]


def one_of(names: Sequence[object], limit: int = 30) -> str:
    """Return a list of names for an error message, bounded."""
    shown = ", ".join(excerpt(name) for name in names[:limit])
    return f"[{shown}{f', … {len(names) - limit} more' if len(names) > limit else ''}]"


def check_distinct(label: str, names: Sequence[str]) -> None:
    """Refuse a source in which two columns have the same name: neither could be asked for.

    Raises
    ------
    LoadError
        Names the columns that occur twice.
    """
    seen: set[str] = set()
    twice = [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    if twice:
        raise LoadError(
            f"Source {label!r} has more than one column called {one_of(sorted(set(twice)))}; "
            f"its columns are {one_of(names)}. Rename one of them."
        )
