"""History: every version of every row, with the step that made it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit import connection
from replaykit.display import brief
from replaykit.errors import QueryError, excerpt
from replaykit.interrupt import interruptible
from replaykit.rollback import read_only
from replaykit.rows import Row, plain
from replaykit.sql import check_query, quote
from replaykit.storage import arrow_column, arrow_type, in_batches, load_table, storage_type
from replaykit.tables import frame_of, quietly
from replaykit.versions import closings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import pandas as pd
    import pyarrow as pa

    from replaykit.state import Change, StateTable
    from replaykit.touched import Touched

__all__ = ["BOOKKEEPING", "History"]

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
        self._connection.execute("CREATE SCHEMA history")
        self._log: dict[str, list[pa.Table]] = {name: [] for name in self._columns}

    def __repr__(self) -> str:
        names = ", ".join(self.keys)
        return f"History({names})" if len(names) < 180 else brief("History", f"{len(self.keys):,} tables: {names}")

    def _repr_html_(self) -> str:
        from replaykit.replay_html import history_html

        return history_html(self)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the state tables."""
        return tuple(self.keys)

    def append(self, changes: Sequence[Change]) -> None:
        """Add changes in their order; called while the replay runs."""
        first, self._next = self._next, self._next + len(changes)
        tables = {change[1] for change in changes}
        for table in tables:
            if len(tables) == 1:
                self._append_to(table, range(first, self._next), changes)
            else:
                numbered = [pair for pair in enumerate(changes, first) if pair[1][1] is table]
                self._append_to(table, *zip(*numbered, strict=True))

    def _append_to(self, table: StateTable, numbers: Sequence[int], changes: Sequence[Change]) -> None:
        import numpy as np
        import pyarrow as pa

        steps, _, _, news, olds, borns = zip(*changes, strict=True)
        deleted = [new is None for new in news]
        images = [new or old for new, old in zip(news, olds, strict=True)] if any(deleted) else news
        types = self._columns[table.name].items()
        # Rows hold their columns in the table's order, so all cells in one list are its columns, interleaved.
        cells = list(chain.from_iterable(map(dict.values, images)))
        columns = [arrow_column(table.name, c, t, cells[n :: len(types)]) for n, (c, t) in enumerate(types)]
        arrays = [*map(np.array, (numbers, steps, borns, deleted)), *columns]
        self._log[table.name].append(pa.table(arrays, names=_log_names(len(types))))

    def take(self, name: str, rows: pa.Table) -> None:
        """Add versions a projection computed: step, born, deleted and the table's columns, in order of change."""
        import numpy as np

        numbers = np.arange(self._next, self._next + len(rows))
        self._next += len(rows)
        self._log[name].append(rows.add_column(0, "change", [numbers]))

    def latest_rows(self, name: str) -> list[Row]:
        """Return a table's live rows after the last change logged so far, in insertion order."""
        query = f"SELECT {self._stored(name)} FROM replaykit_rows WHERE valid_to IS NULL AND NOT deleted ORDER BY born"
        self._connection.register("replaykit_rows", self._versions(name))
        rows = self._connection.execute(query).fetchall()
        self._connection.unregister("replaykit_rows")
        return [Row(zip(self._columns[name], row, strict=True)) for row in rows]

    def load_steps(self, steps: pa.Table) -> None:
        """Add the table of steps; may run beside everything else."""
        with self._connection.cursor() as cursor:
            load_table(cursor, "steps", in_batches(steps))

    def close_log(self) -> None:
        """Turn the log into versions and make everything read-only."""
        for name in self._columns:
            self._connection.register("replaykit_rows", in_batches(self._versions(name)))
            self._log[name].clear()
            self._connection.execute(
                f"CREATE TABLE history.{quote(name)} AS SELECT change, born, step AS valid_from, valid_to, "
                f"{self._stored(name)} FROM replaykit_rows WHERE NOT deleted"
            )
            self._connection.unregister("replaykit_rows")
        connection.seal(self._connection)

    def _versions(self, name: str) -> pa.Table:
        """Return the log of a table with the step at which each version ends."""
        import pyarrow as pa

        types = [pa.int64(), pa.int64(), pa.int64(), pa.bool_(), *map(arrow_type, self._columns[name].values())]
        empty = pa.schema(zip(_log_names(len(self._columns[name])), types, strict=True)).empty_table()
        rows = pa.concat_tables(self._log[name]) if self._log[name] else empty
        return rows.append_column("valid_to", closings(rows))

    def _stored(self, name: str) -> str:
        """Return the list that selects a table's columns from its log, in their own types and names."""
        columns = self._columns[name].items()
        return ", ".join(f"CAST(c{n} AS {storage_type(t)}) AS {quote(c)}" for n, (c, t) in enumerate(columns))

    def frame(self, query: str, parameters: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Run one query of our own and return its rows."""
        with self._lock:
            return frame_of(self._connection.cursor().execute(query, dict(parameters or {})))

    def fetch(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run one query of our own and return its rows as tuples."""
        with self._lock:
            return self._connection.cursor().execute(query, dict(parameters or {})).fetchall()

    def arrow(self, query: str) -> pa.Table:
        """Run one query of our own and return its rows as Arrow."""
        # A relation would not copy the rows once more, as the warning says, but plan its query twice.
        with self._lock, quietly("Arrow output"):
            return self._connection.cursor().execute(query).to_arrow_table()

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor of its own for several queries, closed afterwards."""
        with self._lock, self._connection.cursor() as cursor:
            yield cursor

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
                from replaykit.known import tables_told

                told = str(exc).splitlines()[0].rstrip(".!")
                raise QueryError(
                    f"The query {excerpt(query)} does not run: {told}; {tables_told(self, statement)}"
                ) from exc
            finally:
                cursor.close()

    def _show(self, cursor: duckdb.DuckDBPyConnection, step: int) -> None:
        for name in self.keys:
            cursor.execute(f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS {self.at_query(name, step)}")

    def at_query(self, name: str, step: int, also: str = "true") -> str:
        """Return the query for a table as of a step, in insertion order; of versions for which `also` holds."""
        listed = ", ".join(quote(column) for column in self._columns[name])
        return (
            f"SELECT {listed} FROM history.{quote(name)} WHERE valid_from <= {int(step)} "
            f"AND (valid_to IS NULL OR valid_to > {int(step)}) AND ({also}) ORDER BY born"
        )

    def step_at(self, moment: datetime) -> int:
        """Return the last step applied at or before a moment, naive UTC; 0 if there is none."""
        found = self.fetch("SELECT coalesce(max(step), 0) FROM steps WHERE applied_at <= $at", {"at": moment})
        return int(found[0][0])

    def step_of(self, event: str) -> int:
        """Return the step of an event's last application; a QueryError if it was not applied."""
        found = self.fetch("SELECT max(step) FROM steps WHERE event_id = $id", {"id": str(event)})
        if found[0][0] is None:
            from replaykit.known import nearest_events

            raise QueryError(
                f"This replay applied no event {excerpt(event)}; {nearest_events(self, event)}. See run.steps for all."
            )
        return int(found[0][0])

    def check_table(self, name: str) -> str:
        """Return `name` if it is a state table; otherwise raise a QueryError that lists them."""
        if name not in self.keys:
            from replaykit.known import like, listed

            raise QueryError(
                f"There is no state table {excerpt(name)}; the tables are {listed(self.keys)}.{like(name, self.keys)}"
            )
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
        where, parameters = ("", {}) if key is None else self.where(table, key)
        rows = self.frame(
            f"SELECT v.change, v.valid_from, v.valid_to, coalesce(s.kind, 'base') AS caused_by, s.applied_at, "
            f"s.event_id, {listed} FROM history.{quote(table)} v LEFT JOIN steps s ON s.step = v.valid_from "
            f"{where} ORDER BY v.change",
            parameters,
        )
        if key is not None and rows.empty:
            from replaykit.known import nearest_keys

            raise QueryError(
                f"Table {table!r} never held a row {excerpt(key)}; its key is {list(self.keys[table])}, "
                f"{nearest_keys(self, table, key)}."
            )
        return rows

    def touched(self, *, event: str | None = None, step: int | None = None, action: int | None = None) -> Touched:
        """Return everything one event, step or applied action changed; see `replaykit.touched`."""
        from replaykit.touched import touched

        return touched(self, event=event, step=step, action=action)

    def where(self, table: str, key: Any) -> tuple[str, dict[str, Any]]:
        """Return the condition on ``v`` that is true for one row's versions, and its parameters."""
        self.check_table(table)
        names = self.keys[table]
        values = tuple(key) if isinstance(key, (tuple, list)) else (key,)
        if len(values) != len(names):
            raise QueryError(f"Key {excerpt(key)} has {len(values)} parts; the key of {table!r} is {list(names)}.")
        if any(isinstance(value, str) and not _is_text(value) for value in values):
            raise QueryError(f"Key {excerpt(key)} holds half a character, which no row can; check where it is from.")
        conditions = [f"v.{quote(name)} = $k{number}" for number, name in enumerate(names)]
        return f"WHERE {' AND '.join(conditions)}", {f"k{number}": plain(value) for number, value in enumerate(values)}


def _is_text(value: str) -> bool:
    """Return whether a text can be written as UTF-8: it holds no lone surrogate."""
    return not any("\ud800" <= one <= "\udfff" for one in value)


def _log_names(columns: int) -> list[str]:
    """Return the names of a log's columns; the table's own are numbered, as one of them may be called ``step``."""
    return ["change", "step", "born", "deleted", *(f"c{number}" for number in range(columns))]
