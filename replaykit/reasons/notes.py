"""Notes: a state whose tables and rows write down what a rule reads of them, and whom a find left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from replaykit.rows import Row
from replaykit.state import State
from replaykit.state_table import StateTable

if TYPE_CHECKING:
    from replaykit.declarations import Table

__all__ = ["Find", "NotedRow", "NotedState", "Notes", "Read"]


@dataclass(frozen=True)
class Read:
    """One read of a cell."""

    table: str
    key: Any
    column: str
    value: Any
    place: Any
    """Where it happened, as whoever listens tells places."""
    filtering: bool = False
    """Whether a function did it that had been given to a find."""


@dataclass(frozen=True)
class Find:
    """One question for rows: a find, a get of one key, or a walk over a table."""

    table: str
    equals: Mapping[str, Any]
    """Columns and the values asked for; of a get, the key columns."""
    found: frozenset[Any]
    """Keys of the rows that came out."""
    refused: frozenset[Any]
    """Keys that only the predicate given to `find` left out."""
    place: Any


@dataclass
class Notes:
    """What one run of a rule read, in order."""

    place: Callable[[], Any] = lambda: None
    """Tells where the run is now."""
    reads: list[Read] = field(default_factory=list)
    finds: list[Find] = field(default_factory=list)
    muted: int = 0
    """Nothing is written down while this is not 0."""
    filtering: bool = False
    """Whether a function given to a find is running."""

    def read(self, row: NotedRow, column: str, value: Any) -> None:
        """Write down that a cell was read."""
        if not self.muted:
            self.reads.append(Read(row._rk_table, row._rk_key, column, value, self.place(), self.filtering))

    def found(self, table: str, equals: Mapping[str, Any], rows: Iterable[Any], refused: Iterable[Any] = ()) -> None:
        """Write down a question for rows, and its answer."""
        if not self.muted:
            self.finds.append(Find(table, dict(equals), frozenset(rows), frozenset(refused), self.place()))


class NotedRow(Row):
    """A row that writes down which of its columns are read, also by ``dict(row)``, ``{**row}`` and ``==``."""

    _rk_table: str
    _rk_key: Any
    _rk_notes: Notes
    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, name: str) -> Any:
        value = dict.__getitem__(self, name) if dict.__contains__(self, name) else self.__missing__(name)
        self._rk_notes.read(self, name, value)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """Return a column, or `default` if the row has none of that name."""
        return self[name] if dict.__contains__(self, name) else default

    def __iter__(self) -> Iterator[str]:  # its being here makes dict(row) and {**row} come through __getitem__
        return dict.__iter__(self)

    def keys(self) -> Any:
        """Return the columns."""
        return dict.keys(self)

    def values(self) -> Any:
        """Return all cells."""
        return [self[name] for name in dict.keys(self)]

    def items(self) -> Any:
        """Return all columns with their cells."""
        return [(name, self[name]) for name in dict.keys(self)]

    def copy(self) -> dict[str, Any]:
        """Return a plain dictionary of all cells."""
        return dict(self.items())

    __copy__ = copy

    def __deepcopy__(self, memo: object) -> dict[str, Any]:
        return self.copy()

    def __eq__(self, other: object) -> bool:
        return bool(self.copy() == (other.copy() if isinstance(other, NotedRow) else other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return dict(other) | self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return (Row, (self.copy(),))


class _NotedTable(StateTable):
    """A table whose rows come out noted; inside, they are plain."""

    _notes: Notes

    def take_over(self, notes: Notes) -> None:
        """Begin to write down."""
        self._notes = notes
        self._out: dict[Any, NotedRow] = {}

    def _noted(self, key: Any, row: Row) -> NotedRow:
        found = self._out.get(key)
        if found is None:
            found = self._out[key] = NotedRow(row)
            found._rk_table, found._rk_key, found._rk_notes = self.name, key, self._notes
        return found

    def _all_noted(self, rows: Iterable[Row]) -> list[NotedRow]:
        return [self._noted(self._key_of(row), row) for row in rows]

    def get(self, key: Any) -> Row | None:
        row = super().get(key)
        found = None if row is None else self._noted(self._key_of(row), row)
        stored = self._stored(key) if found is None else found._rk_key
        parts = stored if isinstance(stored, tuple) else (stored,)
        asked = dict(zip(self.key, parts, strict=False))
        self._notes.found(self.name, asked, () if found is None else (stored,))
        return found

    def __contains__(self, key: Any) -> bool:
        return self.get(key) is not None

    def find(self, where: Mapping[str, Any] | Callable[[Row], bool] | None = None, /, **equals: Any) -> list[Row]:
        if where is not None and isinstance(where, Mapping):
            equals, where = {**where, **equals}, None
        rows = self._all_noted(super().find(**equals))
        kept = rows if where is None else self._filtered(where, rows)
        keys = {row._rk_key for row in kept}
        refused = () if where is None else {row._rk_key for row in rows} - keys
        self._notes.found(self.name, equals, keys, refused)
        return list(kept)

    def _filtered(self, where: Callable[[Row], bool], rows: list[NotedRow]) -> list[NotedRow]:
        before, self._notes.filtering = self._notes.filtering, True
        try:
            return [row for row in rows if where(row)]
        finally:
            self._notes.filtering = before


class NotedState(State):
    """A state that writes down what is read of it; it is not for writing."""

    def __init__(self, tables: Mapping[str, Table], params: Mapping[str, Any]) -> None:
        super().__init__(tables, params)
        self.notes = Notes()
        self._tables = {name: _NotedTable(name, table, self) for name, table in tables.items()}
        for table in self._tables.values():
            table.take_over(self.notes)  # type: ignore[attr-defined]
