"""History: every version of every row, with the step that made it; Moment: the state after one of the steps."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit import connection
from replaykit.errors import QueryError, excerpt, show_time
from replaykit.interrupt import interruptible
from replaykit.rollback import read_only
from replaykit.rows import Row, plain
from replaykit.sql import check_query, quote
from replaykit.storage import arrow_column, load_arrow, load_table, storage_type
from replaykit.tables import LazyTables, frame_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pandas as pd

    from replaykit.state import Change, StateTable

__all__ = ["BOOKKEEPING", "History", "Moment"]

BOOKKEEPING = ("change", "born", "valid_from", "valid_to")
"""Columns of ``history.<table>`` that no state table may have."""


class History:
    """Every version of every row of a replay, held in a private in-memory database.

    Each state table has ``history.<table>``: ``change`` (dense number, the real order), ``born`` (insertion
    position), ``valid_from`` and ``valid_to`` (steps, ``[from, to)``, NULL while open) and the table's columns.
    A version replaced within its own step has ``valid_from = valid_to``: no moment shows it.
    """

    def __init__(self, tables: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]]) -> None:
        self.keys = {name: key for name, (key, _) in tables.items()}
        self._columns = {name: dict(columns) for name, (_, columns) in tables.items()}
        self._connection = connection.memory()
        self._lock = threading.RLock()
        self._next = 1
        self._connection.execute("CREATE SCHEMA log; CREATE SCHEMA history")
        for name, columns in self._columns.items():
            listed = ", ".join(f"{quote(c)} {storage_type(t)}" for c, t in columns.items())
            self._connection.execute(
                f"CREATE TABLE log.{quote(name)} (replaykit_change BIGINT, replaykit_step BIGINT, replaykit_born BIGINT, "
                f"replaykit_deleted BOOLEAN, {listed})"
            )

    def __repr__(self) -> str:
        return f"History({', '.join(self.keys)})"

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the state tables."""
        return tuple(self.keys)

    def append(self, changes: Sequence[Change]) -> None:
        """Add changes in their order; called while the replay runs."""
        first = self._next
        self._next += len(changes)
        tables = [change[1] for change in changes]
        distinct = dict.fromkeys(tables)
        for table in distinct:
            if len(distinct) == 1:
                self._insert(table, range(first, self._next), changes)
                continue
            places = [place for place, one in enumerate(tables) if one is table]
            self._insert(table, [first + place for place in places], [changes[place] for place in places])

    def _insert(self, table: StateTable, numbers: Sequence[int], changes: Sequence[Change]) -> None:
        import pyarrow as pa

        images: list[Any] = [change[3] or change[4] for change in changes]
        arrays = {
            "change": pa.array(numbers, pa.int64()),
            "step": pa.array([change[0] for change in changes], pa.int64()),
            "born": pa.array([change[5] for change in changes], pa.int64()),
            "deleted": pa.array([change[3] is None for change in changes], pa.bool_()),
        }
        for column, sql in self._columns[table.name].items():
            arrays[f"c_{column}"] = arrow_column(table.name, column, sql, [image[column] for image in images])
        load_arrow(self._connection, f"log.{quote(table.name)}", pa.table(arrays))

    def take(self, name: str, source: duckdb.DuckDBPyConnection, query: str) -> None:
        """Add what a projection computed: a query giving step, born, deleted and the columns, in order of change."""
        rows = interruptible(source, lambda: source.sql(query).to_arrow_table())
        self._connection.register("replaykit_rows", rows)
        self._connection.execute(
            f"INSERT INTO log.{quote(name)} SELECT {self._next - 1} + row_number() OVER (), * FROM replaykit_rows"
        )
        self._connection.unregister("replaykit_rows")
        self._next += len(rows)

    def latest_rows(self, name: str) -> list[Row]:
        """Return a table's live rows after the last change logged so far, in insertion order."""
        key = ", ".join(quote(column) for column in self.keys[name])
        names = list(self._columns[name])
        rows = self._connection.execute(
            f"SELECT {', '.join(map(quote, names))} FROM log.{quote(name)} "
            f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY replaykit_change DESC) = 1 "
            "AND NOT replaykit_deleted ORDER BY replaykit_born"
        ).fetchall()
        return [Row(zip(names, row, strict=True)) for row in rows]

    def close_log(self, steps: Any) -> None:
        """Turn the log into versions, add the table of steps, and make everything read-only."""
        load_table(self._connection, "steps", steps)
        for name, columns in self._columns.items():
            key = ", ".join(quote(column) for column in self.keys[name])
            listed = ", ".join(quote(column) for column in columns)
            self._connection.execute(
                f"CREATE TABLE history.{quote(name)} AS SELECT replaykit_change AS change, replaykit_born AS born, "
                f"replaykit_step AS valid_from, valid_to, {listed} FROM (SELECT *, lead(replaykit_step) OVER "
                f"(PARTITION BY {key} ORDER BY replaykit_change) AS valid_to FROM log.{quote(name)}) "
                f"WHERE NOT replaykit_deleted ORDER BY replaykit_change"
            )
            self._connection.execute(f"DROP TABLE log.{quote(name)}")
        connection.seal(self._connection)

    def frame(self, query: str, parameters: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Run one query of our own and return its rows."""
        with self._lock:
            return frame_of(self._connection.cursor().execute(query, dict(parameters or {})))

    def fetch(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run one query of our own and return its rows as tuples."""
        with self._lock:
            return self._connection.cursor().execute(query, dict(parameters or {})).fetchall()

    def ask(self, query: str, parameters: Mapping[str, Any], *, step: int | None = None) -> pd.DataFrame:
        """Run one guarded SELECT; with `step`, state tables appear under their names as of that step."""
        statement = check_query(query, what="The query")
        with self._lock:
            cursor = self._connection.cursor()
            try:
                if step is not None:
                    self._show(cursor, step)
                with read_only(cursor):
                    return interruptible(cursor, lambda: frame_of(cursor.execute(statement.text, dict(parameters))))
            except duckdb.Error as exc:
                raise QueryError(f"The query {excerpt(query)} does not run: {str(exc).splitlines()[0]}") from exc
            finally:
                cursor.close()

    def _show(self, cursor: duckdb.DuckDBPyConnection, step: int) -> None:
        for name in self.keys:
            cursor.execute(f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS {self.at_query(name, step)}")

    def at_query(self, name: str, step: int) -> str:
        """Return the query for a table as of a step, in insertion order."""
        listed = ", ".join(quote(column) for column in self._columns[name])
        return (
            f"SELECT {listed} FROM history.{quote(name)} WHERE valid_from <= {int(step)} "
            f"AND (valid_to IS NULL OR valid_to > {int(step)}) ORDER BY born"
        )

    def check_table(self, name: str) -> str:
        """Return `name` if it is a state table; otherwise raise a QueryError that lists them."""
        if name not in self.keys:
            raise QueryError(f"There is no state table {name!r}; the tables are {list(self.keys)}.")
        return name

    def columns(self, name: str) -> Mapping[str, str]:
        """Return a table's columns and their DuckDB types."""
        return self._columns[self.check_table(name)]

    def __call__(self, table: str, key: Any = None) -> pd.DataFrame:
        """Return all versions of one row, or of a whole table, with the input that caused each.

        Parameters
        ----------
        key
            The row's key; a tuple in key order for composite keys. None is the whole table.

        Returns
        -------
        DataFrame
            ``change``, ``valid_from``, ``valid_to``, ``caused_by``, ``applied_at``, ``event_id``, then the columns, in
            order of ``change``. ``caused_by`` is the kind of event or action, or ``base``.
        """
        self.check_table(table)
        listed = ", ".join(f"v.{quote(column)}" for column in self._columns[table])
        where, parameters = ("", {}) if key is None else self._where(table, key)
        rows = self.frame(
            f"SELECT v.change, v.valid_from, v.valid_to, coalesce(s.kind, 'base') AS caused_by, s.applied_at, "
            f"s.event_id, {listed} FROM history.{quote(table)} v LEFT JOIN steps s ON s.step = v.valid_from "
            f"{where} ORDER BY v.change",
            parameters,
        )
        if key is not None and rows.empty:
            raise QueryError(f"Table {table!r} never held a row {excerpt(key)}; its key is {list(self.keys[table])}.")
        return rows

    def _where(self, table: str, key: Any) -> tuple[str, dict[str, Any]]:
        names = self.keys[table]
        values = tuple(key) if isinstance(key, (tuple, list)) else (key,)
        if len(values) != len(names):
            raise QueryError(f"Key {excerpt(key)} has {len(values)} parts; the key of {table!r} is {list(names)}.")
        conditions = [f"v.{quote(name)} = $k{number}" for number, name in enumerate(names)]
        return f"WHERE {' AND '.join(conditions)}", {f"k{number}": plain(value) for number, value in enumerate(values)}


@dataclass(frozen=True, repr=False, eq=False)
class Moment:
    """The state after one step. Its tables are read from the history when asked for; nothing is replayed."""

    history: History
    step: int
    """The last step included; 0 is the base."""
    at: datetime | None
    """The clock at that step, naive UTC."""

    def __repr__(self) -> str:
        return f"Moment(step {self.step}, {show_time(self.at)}, {len(self.history.keys)} tables)"

    def __getitem__(self, table: str) -> pd.DataFrame:
        """Return a table as of this moment, in insertion order."""
        return self.history.frame(self.history.at_query(self.history.check_table(table), self.step))

    def _repr_html_(self) -> str:
        from replaykit.display import table_html

        return "".join(table_html(self[name], caption=f"{name} after step {self.step}", limit=20) for name in self.keys)

    @property
    def keys(self) -> Mapping[str, tuple[str, ...]]:
        """Key columns by table."""
        return self.history.keys

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Every table as of this moment, read when taken out."""
        return LazyTables(self.keys, self.__getitem__)

    def sql(self, query: str, params: Mapping[str, Any] | None = None, /, **named: Any) -> pd.DataFrame:
        """Run one SELECT over the state tables as of this moment; ``history.<table>`` and ``steps`` are there too."""
        return self.history.ask(query, {**(params or {}), **named}, step=self.step)
