"""StateTable: one table of the working set. Rows by key in insertion order, indexed; every write becomes a Change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from replaykit.errors import StateError, excerpt
from replaykit.rows import ColumnType, Row, column_type

if TYPE_CHECKING:
    from replaykit.declarations import Table
    from replaykit.state import State

__all__ = ["Change", "StateTable"]

Change: TypeAlias = "tuple[int, StateTable, Any, Row | None, Row | None, int]"
"""One write: ``(step, table, key, row after or None, row before or None, insertion number)``."""

_SEVERAL = (list, tuple, set, frozenset)


class StateTable:
    """One table of the working set: rows by key, in insertion order, which an update does not change."""

    def __init__(self, name: str, declared: Table, state: State) -> None:
        self.name = name
        self.key = declared.key
        self.types: dict[str, ColumnType] = {
            column: column_type(name, column, sql) for column, sql in declared.columns.items()
        }
        self._quick = {column: kind.quick for column, kind in self.types.items()}
        self._accepts = {column: kind.accepts for column, kind in self.types.items()}
        self._keys = frozenset(declared.key)
        self._single = declared.key[0] if len(declared.key) == 1 else None
        defaults = {column: self.types[column](value) for column, value in declared.defaults.items()}
        self._template = {**dict.fromkeys(self.types), **defaults}
        self._state = state
        self._rows: dict[Any, Row] = {}
        self._born: dict[Any, int] = {}
        self._next = 1
        self._out_of_order = False
        # Column to value to rows by key, built by the first find on that column.
        self._index: dict[str, dict[Any, dict[Any, Row]]] = {}
        self._unsorted: set[tuple[str, Any]] = set()

    def __repr__(self) -> str:
        return f"StateTable({self.name!r}, {len(self._rows)} rows)"

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: Any) -> bool:
        return key in self._rows or self._stored(key) in self._rows

    def __iter__(self) -> Iterator[Row]:
        return iter(self.find())

    def get(self, key: Any) -> Row | None:
        """Return the row with this key (a tuple in key order for composite keys), or None."""
        row = self._rows.get(key)
        return self._rows.get(self._stored(key)) if row is None else row

    def __getitem__(self, key: Any) -> Row:
        """Return the row with this key; a missing one is a StateError."""
        row = self.get(key)
        if row is None:
            raise StateError(f"Table {self.name!r} has no row {excerpt(key)}; it holds {len(self._rows)} rows.")
        return row

    def find(self, where: Mapping[str, Any] | Callable[[Row], bool] | None = None, /, **equals: Any) -> list[Row]:
        """Return rows in insertion order whose columns equal the given values.

        A list, tuple or set as value means any of its members. Indexed: the first find on a column builds the index.
        `where` may be a mapping, for columns whose names are no identifiers, or a predicate.
        """
        if where is not None and isinstance(where, Mapping):
            equals, where = {**where, **equals}, None
        rows = self._matching(equals) if equals else self._all()
        return rows if where is None else [row for row in rows if where(row)]

    def insert(self, row: Mapping[str, Any] | None = None, /, **columns: Any) -> Row:
        """Add a row at the end; columns not given take their default. An existing key is a StateError."""
        return self._add({**(row or {}), **columns})

    def _add(self, given: dict[str, Any]) -> Row:
        return self._insert(self._checked(given))

    def _insert(self, values: dict[str, Any]) -> Row:
        new = Row(self._template)
        dict.update(new, values)
        key = self._key_of(new)
        if key in self._rows:
            raise StateError(f"Table {self.name!r} already has a row {excerpt(key)}; update it, or delete it first.")
        self._put(key, new)
        return new

    def update(self, key: Any, values: Mapping[str, Any] | None = None, /, **columns: Any) -> Row:
        """Set columns of an existing row. Returns the new row; logs nothing if no value differs."""
        key = key if key in self._rows else self._stored(key)
        old = self._rows.get(key)
        if old is None:
            raise StateError(f"Table {self.name!r} has no row {excerpt(key)} to update; insert or upsert it.")
        return self._change(key, old, self._checked({**values, **columns} if values else columns))

    def upsert(self, row: Mapping[str, Any] | None = None, /, **columns: Any) -> Row:
        """Insert the row, or update the one that has its key; columns not given are left."""
        return self._set({**(row or {}), **columns})

    def _set(self, given: dict[str, Any]) -> Row:
        given = self._checked(given)
        key = self._key_of(given)
        old = self._rows.get(key)
        return self._insert(given) if old is None else self._change(key, old, given)

    def delete(self, key: Any) -> bool:
        """Remove a row; returns whether there was one."""
        return self._remove(key)

    def _remove(self, key: Any) -> bool:
        key = key if key in self._rows else self._stored(key)
        old = self._rows.pop(key, None)
        if old is None:
            return False
        born = self._born.pop(key)
        for column, buckets in self._index.items():
            buckets[old[column]].pop(key, None)
        self._state._log((self._state.step, self, key, None, old, born))
        return True

    def numbered(self) -> list[tuple[Any, Row, int]]:
        """Return key, row and insertion number of every row, in insertion order."""
        self._all()
        return [(key, row, self._born[key]) for key, row in self._rows.items()]

    def _change(self, key: Any, old: Row, given: dict[str, Any]) -> Row:
        for name, value in given.items():
            before = old[name]
            if value != before and (value == value or before == before):  # noqa: PLR0124 - NaN equals NaN
                break
        else:
            return old
        if not self._keys.isdisjoint(given):
            self._check_key_kept(old, given)
        new = Row(old, **given)
        self._rows[key] = new
        if self._index:
            self._reindex(key, old, new)
        self._state._log((self._state.step, self, key, new, old, self._born[key]))
        return new

    def _check_key_kept(self, old: Row, given: dict[str, Any]) -> None:
        for name in self.key:
            if name in given and given[name] != old[name]:
                raise StateError(
                    f"Table {self.name!r}: key column {name!r} can't change from {excerpt(old[name])} to "
                    f"{excerpt(given[name])}; delete the row and insert another."
                )

    def _put(self, key: Any, new: Row) -> None:
        born = self._next
        self._next = born + 1
        self._rows[key] = new
        self._born[key] = born
        for column, buckets in self._index.items():
            buckets.setdefault(new[column], {})[key] = new
        self._state._log((self._state.step, self, key, new, None, born))

    def _checked(self, given: dict[str, Any]) -> dict[str, Any]:
        quick = self._quick
        for name, value in given.items():
            kind = type(value)
            try:
                fits = kind in quick[name]
            except KeyError:
                raise self._no_column(name) from None
            if not fits or (kind is datetime and value.tzinfo is not None):
                given[name] = self.types[name](value)
        return given

    def _key_of(self, row: Mapping[str, Any]) -> Any:
        try:
            key = row[self._single] if self._single else tuple([row[name] for name in self.key])
        except KeyError as exc:
            raise StateError(
                f"Table {self.name!r}: key column {exc.args[0]!r} is missing from {excerpt(dict(row))}."
            ) from exc
        if key is None or (self._single is None and None in key):
            raise StateError(f"Table {self.name!r}: a key column of {excerpt(dict(row))} is NULL; give it a value.")
        return key

    def _stored(self, key: Any) -> Any:
        """Return a key as rows hold it: a UUID as text, a time in UTC; one that fits no row comes back as it is."""
        if type(key) is str or type(key) is int:
            return key
        if self._single:
            return self._sought(self._single, key)
        if not isinstance(key, tuple) or len(key) != len(self.key):
            return key
        return tuple([self._sought(name, part) for name, part in zip(self.key, key, strict=True)])

    def _sought(self, column: str, value: Any) -> Any:
        """Return a value as this column would hold it, or as it is if it could not."""
        if column not in self.types:
            raise self._no_column(column)
        if type(value) in self.types[column].accepts:
            return value
        with suppress(StateError):
            return self.types[column](value)
        return value

    def _all(self) -> list[Row]:
        if self._out_of_order:
            self._rows = {key: self._rows[key] for key in sorted(self._rows, key=self._born.__getitem__)}
            self._out_of_order = False
        return list(self._rows.values())

    def _matching(self, equals: dict[str, Any]) -> list[Row]:
        columns = iter(equals.items())
        rows = self._indexed(*next(columns))
        for column, wanted in columns:
            rows = self._narrowed(rows, column, wanted)
        return rows

    def _narrowed(self, rows: list[Row], column: str, wanted: Any) -> list[Row]:
        if type(wanted) is str and str in self._accepts.get(column, ()):
            return [row for row in rows if row[column] == wanted]
        members = wanted if isinstance(wanted, _SEVERAL) else (wanted,)
        members = [self._sought(column, member) for member in members]
        return [row for row in rows if row[column] in members]

    def _indexed(self, column: str, wanted: Any) -> list[Row]:
        buckets = self._index.get(column)
        if buckets is None:
            buckets = self._build_index(column)
        if type(wanted) not in self._accepts[column]:
            if isinstance(wanted, _SEVERAL):
                members = dict.fromkeys(self._sought(column, member) for member in wanted)
                keys = [key for one in members for key in buckets.get(one, ())]
                return [self._rows[key] for key in sorted(keys, key=self._born.__getitem__)]
            wanted = self._sought(column, wanted)
        if self._unsorted and (column, wanted) in self._unsorted:
            bucket = buckets[wanted]
            buckets[wanted] = {key: bucket[key] for key in sorted(bucket, key=self._born.__getitem__)}
            self._unsorted.discard((column, wanted))
        found = buckets.get(wanted)
        return list(found.values()) if found else []

    def _build_index(self, column: str) -> dict[Any, dict[Any, Row]]:
        if column not in self.types:
            raise self._no_column(column)
        buckets: dict[Any, dict[Any, Row]] = {}
        self._all()
        for key, row in self._rows.items():
            buckets.setdefault(row[column], {})[key] = row
        self._index[column] = buckets
        return buckets

    def _reindex(self, key: Any, old: Row, new: Row) -> None:
        for column, buckets in self._index.items():
            value, before = new[column], old[column]
            if value == before:
                buckets[before][key] = new
            else:
                buckets[before].pop(key, None)
                buckets.setdefault(value, {})[key] = new
                self._unsorted.add((column, value))

    def _no_column(self, column: str) -> StateError:
        return StateError(f"Table {self.name!r} has no column {column!r}; its columns are {list(self.types)}.")

    def _restore(self, key: Any, new: Row | None, old: Row | None, born: int) -> None:
        """Take one change back: `old` returns to the place it had."""
        if new is not None:
            for column, buckets in self._index.items():
                buckets[new[column]].pop(key, None)
        if old is None:
            del self._rows[key], self._born[key]
            self._next = born
            return
        self._out_of_order = self._out_of_order or key not in self._rows
        self._rows[key] = old
        self._born[key] = born
        for column, buckets in self._index.items():
            buckets.setdefault(old[column], {})[key] = old
            self._unsorted.add((column, old[column]))

    def load(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over base rows in this order."""
        for row in rows:
            new = Row({**self._template, **self._checked(dict(row))})
            key = self._key_of(new)
            if key in self._rows:
                raise StateError(f"Base of table {self.name!r} holds two rows with key {excerpt(key)}; check its key.")
            self._rows[key] = new
            self._born[key] = self._next
            self._next += 1
