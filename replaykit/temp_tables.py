"""TempTable: what SQL sees of one state table. Rows in insertion order, brought up to the working set when asked."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from replaykit.asking import parsed
from replaykit.rows import Row
from replaykit.sql import quote
from replaykit.storage import arrow_column, load_arrow, storage_type

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import duckdb

    from replaykit.state_table import Change, StateTable

__all__ = ["TempTable"]

_FEW = 6  # rows up to which single statements beat one that goes through Arrow
_GONE = 1_000  # a transaction still scans the rows deleted in it: with more than these, and than are left, fill anew


class TempTable:
    """A temp table that follows one table of the working set.

    ``ORDER BY rowid`` is insertion order at all times: rows are updated where they are, and new ones come behind all
    others, oldest first. DuckDB keeps the rowid in an UPDATE of a table without keys and nested columns.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: StateTable) -> None:
        self._connection = connection
        self._table = table
        self._name = quote(table.name)
        self._key = [quote(name) for name in table.key]
        self._is_key = " AND ".join(f"{name} = ?" for name in self._key)
        self._numbers = [c for c, t in table.types.items() if t.sql.upper() in ("DOUBLE", "FLOAT", "REAL")]
        self._others = [name for name in table.types if name not in table.key]
        # Key to the first change since the row was written here: its row before is what stands here.
        self._behind: dict[Any, Change] = {}
        self._wanted: dict[Any, None] = {}
        self._gone = 0

    def fill(self) -> None:
        """Create the table, or create it anew, with the working set's rows."""
        columns = ", ".join(f"{quote(c)} {storage_type(t.sql)}" for c, t in self._table.types.items())
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {self._name} ({columns})")
        rows = self._table.find()
        if rows:
            self._load(rows)
        self._behind.clear()
        self._wanted.clear()
        self._gone = 0

    def note(self, change: Change, *, wanted: bool) -> None:
        """Take note of a change that the table lacks; `wanted` if a question that is asked often can see it."""
        key = change[2]
        self._behind.setdefault(key, change)
        if wanted:
            self._wanted[key] = None

    def written(self, change: Change, row: Row | None) -> None:
        """Take note of a change that the table had first, which left `row` there; None if it left none."""
        if row is None:
            self._gone += 1
        elif row != change[3]:
            self.note((*change[:4], row, change[5]), wanted=True)

    def follow(self, wanted: Collection[str] | None = None) -> None:
        """Bring the rows up to the working set.

        Parameters
        ----------
        wanted
            Leave rows be whose changes were not wanted, and all columns but these in the others.
        """
        behind = self._behind
        if wanted is None:
            self._behind = {}
        else:
            behind = {key: behind.pop(key) for key in self._wanted}
        self._wanted.clear()
        if not behind:
            return
        gone, changed, new = self._sorted(behind)
        self._gone += len(gone)
        if self._gone > max(_GONE, len(self._table)) or self._turns_zero(changed):
            self.fill()
            return
        if gone:
            self._delete(gone)
        if changed:
            self._update(changed, self._others if wanted is None else [c for c in self._others if c in wanted])
        if new:
            self._insert(new)

    def _sorted(self, behind: Mapping[Any, Change]) -> tuple[list[Any], list[Change], list[Row]]:
        """Return keys to delete, changes of rows to update, and rows to insert, oldest first."""
        rows, born = self._table._rows, self._table._born
        gone: list[Any] = []
        changed: list[Change] = []
        new: list[tuple[int, Row]] = []
        for key, change in behind.items():
            before, row = change[4], rows.get(key)
            if before is not None and row is not None and born[key] == change[5]:
                changed.append((*change[:3], row, *change[4:]))
                continue
            if before is not None:
                gone.append(key)
            if row is not None:
                new.append((born[key], row))
        new.sort(key=itemgetter(0))
        return gone, changed, [row for _, row in new]

    def _turns_zero(self, changed: list[Change]) -> bool:
        """Return whether some 0.0 becomes -0.0 or the reverse: an UPDATE passes over what it finds equal."""
        return any(
            new[name] == old[name] and repr(new[name]) != repr(old[name])
            for _, _, _, new, old, _ in (changed if self._numbers else ())
            if new is not None and old is not None
            for name in self._numbers
        )

    def _delete(self, keys: list[Any]) -> None:
        parts = [self._parts(key) for key in keys]
        if len(keys) <= _FEW and _bindable(parts):
            text = f"DELETE FROM {self._name} WHERE {' OR '.join([f'({self._is_key})'] * len(keys))}"
            self._connection.execute(parsed(text), [part for key in parts for part in key])
            return
        names = ", ".join(self._key)
        listed = ", ".join(f"c{number}" for number in range(len(self._key)))
        self._through_arrow(
            self._key_columns(parts),
            f"DELETE FROM {self._name} WHERE ({names}) IN (SELECT ({listed}) FROM replaykit_rows)",
        )

    def _update(self, changed: list[Change], columns: list[str]) -> None:
        """Set what differs in some columns; what differs in others stays behind."""
        rows = [(change, change[3] or Row(), change[4] or Row()) for change in changed]
        names = [name for name in columns if any(row[name] is not before[name] for _, row, before in rows)]
        if names:
            self._set([(change[2], row) for change, row, _ in rows], names)
        for change, row, before in rows:
            here = Row(before, **{name: row[name] for name in names})
            if any(row[name] is not here[name] for name in self._others):
                self._behind[change[2]] = (*change[:4], here, change[5])

    def _set(self, rows: list[tuple[Any, Row]], names: list[str]) -> None:
        parts = [self._parts(key) for key, _ in rows]
        values = [[row[name] for _, row in rows] for name in names]
        if len(rows) > _FEW or not _bindable(values) or not _bindable(parts):
            self._set_many(parts, names, values)
            return
        keys = " OR ".join([f"({self._is_key})"] * len(rows))
        sets, bound = [], []
        for name, given in zip(names, values, strict=True):
            new = f"CAST(? AS {storage_type(self._table.types[name].sql)})"
            sets.append(f"{quote(name)} = {self._chosen(new, len(rows))}")
            for key, value in zip(parts, given, strict=True):
                bound += [*key, value] if len(rows) > 1 else [value]
        text = f"UPDATE {self._name} SET {', '.join(sets)} WHERE {keys}"
        self._connection.execute(parsed(text), [*bound, *(part for key in parts for part in key)])

    def _chosen(self, new: str, number: int) -> str:
        """Return an expression that chooses the row's own of several new values: a join would cost as much as five."""
        return new if number == 1 else f"CASE {f'WHEN {self._is_key} THEN {new} ' * number}END"

    def _set_many(self, parts: list[tuple[Any, ...]], names: list[str], values: list[list[Any]]) -> None:
        keys = self._key_columns(parts)
        columns = [*keys, *(self._column(name, given) for name, given in zip(names, values, strict=True))]
        first = len(keys)
        listed = ", ".join(f"{quote(name)} = replaykit_rows.c{first + n}" for n, name in enumerate(names))
        same = " AND ".join(f"{self._name}.{name} = replaykit_rows.c{n}" for n, name in enumerate(self._key))
        self._through_arrow(columns, f"UPDATE {self._name} SET {listed} FROM replaykit_rows WHERE {same}")

    def _insert(self, rows: list[Row]) -> None:
        values = [list(row.values()) for row in rows]
        if len(rows) > _FEW or not _bindable(values):
            self._load(rows)
            return
        places = f"({', '.join('?' for _ in self._table.types)})"
        text = f"INSERT INTO {self._name} VALUES {', '.join([places] * len(rows))}"
        self._connection.execute(parsed(text), [value for one in values for value in one])

    def _load(self, rows: Sequence[Row]) -> None:
        columns = [self._column(name, [row[name] for row in rows]) for name in self._table.types]
        load_arrow(self._connection, self._name, _arrow(columns))

    def _through_arrow(self, columns: list[Any], text: str) -> None:
        self._connection.register("replaykit_rows", _arrow(columns))
        try:
            self._connection.execute(text)
        finally:
            self._connection.unregister("replaykit_rows")

    def _parts(self, key: Any) -> tuple[Any, ...]:
        return key if len(self._key) > 1 else (key,)

    def _key_columns(self, parts: list[tuple[Any, ...]]) -> list[Any]:
        return [self._column(name, [one[n] for one in parts]) for n, name in enumerate(self._table.key)]

    def _column(self, name: str, values: list[Any]) -> Any:
        return arrow_column(self._table.name, name, self._table.types[name].sql, values)


def _arrow(columns: list[Any]) -> Any:
    import pyarrow as pa

    return pa.table(columns, names=[f"c{number}" for number in range(len(columns))])


def _bindable(rows: Sequence[Sequence[Any]]) -> bool:
    """Return whether all values can be parameters: half a surrogate pair, which UTF-8 has no place for, can't."""
    return not any(isinstance(value, str) and not value.isascii() and broken(value) for row in rows for value in row)


def broken(text: str) -> bool:
    """Return whether text holds half a surrogate pair."""
    return any("\ud800" <= character <= "\udfff" for character in text)
