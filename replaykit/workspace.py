"""Workspace: the SQL side of a running replay. Temp tables that follow the working set, inside the transaction."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.errors import GuardError, StateError, excerpt
from replaykit.interrupt import Worker, interruptible, stopped, told_apart
from replaykit.rollback import restarted
from replaykit.rows import Row
from replaykit.sql import Statement, check_statement, quote
from replaykit.sql_trees import turn_queries
from replaykit.storage import arrow_column, load_arrow, storage_type
from replaykit.writes import carried_over, written_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replaykit.inputs import Plan
    from replaykit.state import Change, State, StateTable

__all__ = ["RESERVED", "Workspace"]

RESERVED = frozenset({"events", "steps", "history", "log", "recording", "replaykit_rows", "replaykit_inputs"})
"""Names a state table may not have."""

_FEW = 50  # rows up to which single statements beat a bulk load


class Workspace:
    """Temp tables named like the state tables, filled in bulk from the working set when SQL needs to see them."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, state: State, plan: Plan, *, numbered: bool) -> None:
        self.connection = connection
        self._state = state
        self._plan = plan
        self._numbered = numbered
        self.losses = 0  # of the transaction, and with it of every temp table
        self.planned_events = plan.events
        self._ready = False
        self._seen = 0
        self._dirty: dict[StateTable, dict[Any, None]] = {}
        self._shown = -1
        self._names = frozenset(name.lower() for name in state.tables)
        self._revisions: dict[str, int] = {}
        self._answers: dict[str, tuple[tuple[int, ...], list[Row]]] = {}
        self._pairs: list[tuple[int, int, Any]] = []
        self._paired = 0
        self._pool = Worker()

    def follow(self, pairs: list[tuple[int, int, Any]]) -> None:
        """Take the engine's growing list of ``(step, position, clock)``, where steps are not consecutive positions."""
        self._pairs = pairs

    def close(self) -> None:
        """Stop the worker thread."""
        stopped(self._pool, self.connection)

    @told_apart
    def rows(self, statement: Statement, extra: Mapping[str, Any] | None = None) -> list[Row]:
        """Run a checked SELECT on the replayed state as it is now and return its rows in the query's order.

        The same question about the same rows has the same answer, so it is asked again only when a table that the
        statement can name has changed, or it reads the clock or the events.
        """
        if not self._ready:
            self._create()
        self._collect()
        steady = not extra and "now" not in statement.parameters and "events" not in statement.words
        revisions = tuple(self._revisions.get(name, 0) for name in sorted(statement.words & self._names))
        known = self._answers.get(statement.text) if steady else None
        if known is not None and known[0] == revisions:
            return list(known[1])
        self.refresh(statement.words)
        rows = self._run(statement.text, self._bound(statement, extra))
        if steady:
            self._answers[statement.text] = (revisions, list(rows))
        return rows

    def turns(self, statement: Statement) -> list[datetime] | None:
        """Return when the answer of a SELECT that reads ``$now`` may next change; None if that can't be told."""
        shape = tuple((name, tuple(table.types)) for name, table in self._state.tables.items())
        queries = turn_queries(statement.text, shape)
        if queries is None:
            return None
        found = [self._run(query, self._bound(check_statement(query), None)) for query in queries]
        values = [value for rows in found for row in rows for value in row.values() if value is not None]
        return values if all(isinstance(value, datetime) for value in values) else None

    @told_apart
    def sql(self, query: str, extra: Mapping[str, Any] | None) -> list[Row]:
        """Run what a handler passed to ``state.sql``."""
        statement = check_statement(query, what="state.sql")
        return self.rows(statement, extra) if statement.kind == "SELECT" else self._write(statement, extra)

    def refresh(self, words: frozenset[str] | None = None) -> None:
        """Bring the temp tables up to the working set: those that `words` can name, all if it is None."""
        if not self._ready:
            self._create()
        self._collect()
        for table in [table for table in self._dirty if words is None or table.name.lower() in words]:
            self._follow(table, list(self._dirty.pop(table)))
        if words is None or "events" in words:
            self._show_events(self._state.step)

    def forget(self) -> None:
        """Say that the working set went back (an undo) or the transaction was lost: fill anew when next asked."""
        if self._ready:
            restarted(self.connection)
            self.losses += 1
        self._ready = False
        self._paired = 0
        self._shown = -1
        self._seen = len(self._state.changes)
        self._dirty.clear()
        self._answers.clear()

    def flushed(self) -> None:
        """Say that the working set's log is about to be emptied."""
        self._collect()
        self._seen = 0

    def _collect(self) -> None:
        if self._ready:
            for change in self._state.changes[self._seen :]:
                self._note(change)
        self._seen = len(self._state.changes)

    def _note(self, change: Change) -> None:
        self._dirty.setdefault(change[1], {})[change[2]] = None
        self._revise(change[1])

    def _revise(self, table: StateTable) -> None:
        name = table.name.lower()
        self._revisions[name] = self._revisions.get(name, 0) + 1

    def _create(self) -> None:
        for table in self._state.tables.values():
            columns = ", ".join(f"{quote(c)} {storage_type(t.sql)}" for c, t in table.types.items())
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {quote(table.name)} ({columns})")
            if len(table):
                self._load(table, table.find())
        self._ready = True
        self._shown = -1
        self._seen = len(self._state.changes)
        self._dirty.clear()

    def _load(self, table: StateTable, rows: Sequence[Row]) -> None:
        load_arrow(self.connection, quote(table.name), _arrow(table, rows, list(table.types)))

    def _follow(self, table: StateTable, keys: list[Any]) -> None:
        if len(keys) > _FEW or not self._follow_few(table, keys):
            self._follow_many(table, keys)

    def _follow_few(self, table: StateTable, keys: list[Any]) -> bool:
        """Replace some rows one by one, a third of the cost of going through Arrow; False if a value needs Arrow."""
        where = " AND ".join(f"{quote(name)} = ?" for name in table.key)
        places = ", ".join("?" for _ in table.types)
        rows = [(list(_parts(table, key)), table.get(key)) for key in keys]
        values = [value for key, row in rows for value in (*key, *(row or {}).values())]
        if any(isinstance(value, str) and not value.isascii() and _broken(value) for value in values):
            return False
        for key, row in rows:
            self.connection.execute(f"DELETE FROM {quote(table.name)} WHERE {where}", key)
            if row is not None:
                self.connection.execute(f"INSERT INTO {quote(table.name)} VALUES ({places})", list(row.values()))
        return True

    def _follow_many(self, table: StateTable, keys: list[Any]) -> None:
        rows = [row for row in (table.get(key) for key in keys) if row is not None]
        names = [quote(name) for name in table.key]
        gone = _arrow(table, [dict(zip(table.key, _parts(table, key), strict=True)) for key in keys], list(table.key))
        gone = gone.rename_columns(list(table.key))
        self.connection.register("replaykit_rows", gone)
        self.connection.execute(
            f"DELETE FROM {quote(table.name)} WHERE ({', '.join(names)}) IN "
            f"(SELECT ({', '.join(names)}) FROM replaykit_rows)"
        )
        self.connection.unregister("replaykit_rows")
        if rows:
            self._load(table, rows)

    def _show_events(self, step: int) -> None:
        if self._numbered:
            self._load_pairs()
        if step != self._shown:
            self.connection.execute(f"CREATE OR REPLACE TEMP VIEW events AS {self.events_query(step)}")
            self._shown = step

    def _load_pairs(self) -> None:
        import pyarrow as pa

        self.connection.execute("CREATE TEMP TABLE IF NOT EXISTS replaykit_inputs (step BIGINT, position BIGINT)")
        fresh = self._pairs[self._paired :]
        if fresh:
            steps, positions = pa.array([one[0] for one in fresh]), pa.array([one[1] for one in fresh])
            load_arrow(self.connection, "replaykit_inputs", pa.table([steps, positions], names=["step", "position"]))
        self._paired = len(self._pairs)

    def show_all_events(self) -> None:
        """Make ``events`` the whole input of the replay, as projections read it: steps count events only."""
        start, end = self._plan.window.bounds()
        where = self._plan.where.replace("$first", str(int(self._plan.first)))
        where = where.replace("$start", f"TIMESTAMP '{start}'").replace("$end", f"TIMESTAMP '{end}'")
        step = "row_number() OVER (ORDER BY position)" if self._numbered else f"position - {int(self._plan.first)}"
        self.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW events AS SELECT {step} AS step, * FROM recording.main.events WHERE {where}"
        )
        self._shown = -1

    def events_query(self, step: int) -> str:
        """Return the query behind ``events``: the inputs up to a step, with their ``step`` in front."""
        if self._numbered:
            return (
                "SELECT i.step, e.* FROM recording.main.events e JOIN replaykit_inputs i USING (position) "
                f"WHERE i.step <= {int(step)} ORDER BY i.step"
            )
        first = int(self._plan.first)
        last = min(first + int(step), int(self._plan.last))
        return (
            f"SELECT position - {first} AS step, * FROM recording.main.events "
            f"WHERE position > {first} AND position <= {last}"
        )

    def _bound(self, statement: Statement, extra: Mapping[str, Any] | None) -> dict[str, Any]:
        known = {**self._state.params, "now": self._state.now, **(extra or {})}
        missing = sorted(name for name in statement.parameters if name not in known)
        if missing:
            raise GuardError(f"SQL uses ${missing[0]}, which has no value; there are {sorted(known)}.")
        return {name: _plain(known[name]) for name in statement.parameters}

    def _run(self, text: str, parameters: Mapping[str, Any]) -> list[Row]:
        def ask() -> list[Row]:
            cursor = self.connection.execute(text, dict(parameters))
            names = [column[0] for column in cursor.description or ()]
            _check_names(names, text)
            return [Row(zip(names, values, strict=True)) for values in cursor.fetchall()]

        try:
            return interruptible(self.connection, ask, self._pool)
        except duckdb.Error as exc:
            # Any failing statement aborts the transaction; the working set is the truth, so begin again from it.
            self.forget()
            raise StateError(f"SQL {excerpt(text)} failed: {str(exc).splitlines()[0]}") from exc

    def _write(self, statement: Statement, extra: Mapping[str, Any] | None) -> list[Row]:
        write = written_by(statement)
        table = self._state[next((name for name in self._state.tables if name.lower() == write.table), write.table)]
        keys = sorted(name for name in table.key if name.lower() in write.assigned)
        if keys:
            raise GuardError(
                f"state.sql may not assign key column {keys[0]!r} of {table.name!r}; delete the row and insert another."
            )
        self.refresh(statement.words)
        rows = self._run(f"{statement.text} RETURNING *", self._bound(statement, extra))
        if statement.kind != "INSERT":  # whose rows come in the order of its own query
            rows.sort(key=lambda row: table._born.get(table._key_of(row), 0))
        mark = len(self._state.changes)
        try:
            written = [carried_over(write, table, row) for row in rows]
        except StateError:
            self._state.undo(mark)
            self.forget()
            raise
        if not write.columns:  # otherwise defaults may have been filled in that the temp table lacks
            self._seen = len(self._state.changes)
        self._revise(table)
        return written


def _check_names(names: list[str], text: str) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise StateError(f"SQL {excerpt(text)} gives two columns named {twice[0]!r}; rename one with AS.")


def _broken(text: str) -> bool:
    """Return whether text holds half a surrogate pair, which UTF-8 has no place for."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _parts(table: StateTable, key: Any) -> tuple[Any, ...]:
    return key if len(table.key) > 1 else (key,)


def _plain(now: Any) -> Any:
    return now._leave() if hasattr(now, "_leave") else now


def _arrow(table: StateTable, rows: Sequence[Mapping[str, Any]], columns: list[str]) -> Any:
    import pyarrow as pa

    return pa.table(
        [arrow_column(table.name, name, table.types[name].sql, [row[name] for row in rows]) for name in columns],
        names=[f"c{number}" for number in range(len(columns))],
    )
