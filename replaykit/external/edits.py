"""Edits: what a program reported to have changed, as writes to the working set, and what would undo them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.errors import StateError, excerpt
from replaykit.external.values import as_json, from_json, json_fields

if TYPE_CHECKING:
    from replaykit.rows import Row
    from replaykit.state import State
    from replaykit.state_table import StateTable

__all__ = ["Edit", "Readers", "key_list", "undoing", "write"]


class Edit(NamedTuple):
    """One change of one row."""

    op: str
    """``insert``, ``upsert``, ``update`` or ``delete``."""
    table: str
    key: Any
    """None with ``insert`` and ``upsert``."""
    row: Mapping[str, Any] | None


class Readers:
    """Makes edits of the changes in replies, by the columns' types."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._cells: dict[str, dict[str, Callable[[Any], Any]]] = {
            name: {column: from_json(kind) for column, kind in table.types.items()}
            for name, table in state.tables.items()
        }

    def edits(self, changes: Iterable[Mapping[str, Any]]) -> list[Edit]:
        """Return changes as edits; what names no table or column, or does not fit, is a StateError."""
        return [self._edit(one) for one in changes]

    def _edit(self, one: Mapping[str, Any]) -> Edit:
        name = one["table"]
        table = self._state[name]
        row = one.get("row")
        key = self.key(table, one["key"]) if "key" in one else None
        return Edit(one["op"], name, key, None if row is None else self._row(table, row))

    def _row(self, table: StateTable, row: Mapping[str, Any]) -> dict[str, Any]:
        cells = self._cells[table.name]
        unknown = next((name for name in row if name not in cells), None)
        if unknown is not None:
            raise StateError(f"Table {table.name!r} has no column {unknown!r}; its columns are {list(cells)}.")
        return {name: cells[name](value) for name, value in row.items()}

    def key(self, table: StateTable, parts: list[Any]) -> Any:
        """Return the key in a list of its parts."""
        if len(parts) != len(table.key):
            raise StateError(f"Table {table.name!r} has the key {list(table.key)}; {excerpt(parts)} is none.")
        cells = self._cells[table.name]
        made = tuple(cells[name](part) for name, part in zip(table.key, parts, strict=True))
        return made if len(made) > 1 else made[0]


def write(state: State, edits: Iterable[Edit]) -> None:
    """Write edits to the working set, in order; one that can't be (a row twice, none to update) is a StateError."""
    for op, name, key, row in edits:
        table = state[name]
        if op == "update":
            table.update(key, row)
        elif op == "delete":
            if not table.delete(key):
                raise StateError(f"Table {name!r} has no row {excerpt(key)} to delete.")
        else:
            (table.insert if op == "insert" else table.upsert)(row)


def key_list(key: Any) -> list[Any]:
    """Return a key as a list of its parts."""
    return list(key) if isinstance(key, tuple) else [key]


def undoing(state: State, edits: Iterable[Edit]) -> list[dict[str, Any]]:
    """Return the changes, as a program reports them, that would undo edits not written to the working set yet."""
    now: dict[tuple[str, Any], Row | dict[str, Any] | None] = {}
    found: list[dict[str, Any]] = []
    for op, name, key, row in edits:
        table = state[name]
        place = key if key is not None else table._key_of(row or {})
        before = now.get((name, place), table.get(place))
        listed = [as_json(part) for part in key_list(place)]
        if op == "delete":
            found.append({"op": "insert", "table": name, "row": json_fields(before or {})})
            now[name, place] = None
        elif before is None:
            found.append({"op": "delete", "table": name, "key": listed})
            now[name, place] = {**table._template, **(row or {})}
        else:
            found.append({"op": "update", "table": name, "key": listed, "row": json_fields(before)})
            now[name, place] = {**before, **(row or {})}
    return found[::-1]
