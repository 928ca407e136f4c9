"""Workspace: the SQL side of a running replay. Temp tables that follow the working set, inside the transaction."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.answers import Answers
from replaykit.asking import Asker
from replaykit.errors import GuardError, StateError, excerpt
from replaykit.events_view import EventsView
from replaykit.interrupt import told_apart
from replaykit.rollback import restarted
from replaykit.sql import Statement, check_statement
from replaykit.sql_trees import turn_queries
from replaykit.temp_tables import TempTable
from replaykit.writes import carried_over, written_by

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from replaykit.inputs import Plan
    from replaykit.rows import Row
    from replaykit.state import State, StateTable

__all__ = ["RESERVED", "Workspace"]

RESERVED = frozenset({"events", "steps", "history", "log", "recording", "replaykit_rows", "replaykit_inputs"})
"""Names a state table may not have."""


class Workspace:
    """Temp tables named like the state tables, brought up to the working set when SQL needs to see them.

    Without a `plan` there is no recording behind it, and no table ``events``.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        state: State,
        plan: Plan | None = None,
        *,
        numbered: bool = False,
    ) -> None:
        self.connection = connection
        self._state = state
        self._events = EventsView(connection, plan, numbered=numbered) if plan is not None else None
        self.losses = 0  # of the transaction, and with it of every temp table
        self.planned_events = plan.events if plan is not None else 0
        self._ready = False
        self._seen = 0
        self._temps = {table: TempTable(connection, table) for table in state.tables.values()}
        self._answers = Answers(self._temps)
        self._asker = Asker(connection)

    def follow(self, pairs: list[tuple[int, int, Any]]) -> None:
        """Take the engine's growing list of ``(step, position, clock)``, where steps are not consecutive positions."""
        if self._events is not None:
            self._events.take(pairs)

    def close(self) -> None:
        """Stop the worker thread."""
        self._asker.close()

    def rows(self, statement: Statement, extra: Mapping[str, Any] | None = None) -> list[Row]:
        """Run a checked SELECT on the replayed state as it is now and return its rows in the query's order.

        The same question about the same rows has the same answer, so it is asked again only when something that the
        statement reads has changed, or it reads the clock or the events.
        """
        self._collect()
        known = None if extra else self._answers.fresh(statement.text)
        return self._asked(statement, extra) if known is None else known

    @told_apart
    def _asked(self, statement: Statement, extra: Mapping[str, Any] | None) -> list[Row]:
        steady = not extra and "now" not in statement.parameters and "events" not in statement.words
        known = self._answers.recalled(statement.text) if steady and self._ready else None
        if known is not None:
            return known
        self._bring_up(statement.words, self._answers.columns(statement.text) if steady else None)
        rows = self._run(statement, extra)
        if steady:
            self._answers.keep(statement, rows)
        return rows

    def turns(self, statement: Statement) -> list[datetime] | None:
        """Return when the answer of a SELECT that reads ``$now`` may next change; None if that can't be told."""
        shape = tuple((name, tuple(table.types)) for name, table in self._state.tables.items())
        queries = turn_queries(statement.text, shape)
        if queries is None:
            return None
        found = [self._run(check_statement(query), None) for query in queries]
        values = [value for rows in found for row in rows for value in row.values() if value is not None]
        return values if all(isinstance(value, datetime) for value in values) else None

    @told_apart
    def sql(self, query: str, extra: Mapping[str, Any] | None) -> list[Row]:
        """Run what a handler passed to ``state.sql``."""
        statement = check_statement(query, what="state.sql")
        return self.rows(statement, extra) if statement.kind == "SELECT" else self._write(statement, extra)

    def refresh(self, words: frozenset[str] | None = None) -> None:
        """Bring the temp tables up to the working set: those that `words` can name, all if it is None."""
        self._collect()
        self._bring_up(words)

    def show_all_events(self) -> None:
        """Make ``events`` the whole input of the replay, as projections read it: steps count events only."""
        if self._events is not None:
            self._events.show_all()

    def forget(self) -> None:
        """Say that the working set went back (an undo) or the transaction was lost: fill anew when next asked."""
        if self._ready:
            restarted(self.connection)
            self.losses += 1
        self._ready = False
        if self._events is not None:
            self._events.forget()
        self._seen = len(self._state.changes)
        self._answers.forget()

    def flushed(self) -> None:
        """Say that the working set's log is about to be emptied."""
        self._collect()
        self._seen = 0

    def _collect(self) -> None:
        changes = self._state.changes
        if self._ready and len(changes) > self._seen:
            self._answers.note(changes[self._seen :])
        self._seen = len(changes)

    def _bring_up(
        self, words: frozenset[str] | None, columns: Mapping[StateTable, Collection[str]] | None = None
    ) -> None:
        """Let tables and ``events`` show what is the case now, as far as `words` name them and `columns` are read."""
        try:
            if not self._ready:
                self._create()
            for table, temp in self._temps.items():
                if words is None or table.name.lower() in words:
                    temp.follow(columns[table] if columns is not None else None)
        except (duckdb.Error, StateError):
            self.forget()
            raise
        if self._events is not None and (words is None or "events" in words):
            self._events.show(self._state.step)

    def _create(self) -> None:
        for temp in self._temps.values():
            temp.fill()
        if self._events is not None:
            self._events.forget()
        self._ready = True
        self._seen = len(self._state.changes)

    def _bound(self, statement: Statement, extra: Mapping[str, Any] | None) -> dict[str, Any]:
        known = {**self._state.params, "now": self._state.now, **(extra or {})}
        missing = sorted(name for name in statement.parameters if name not in known)
        if missing:
            raise GuardError(f"SQL uses ${missing[0]}, which has no value; there are {sorted(known)}.")
        return {name: _plain(known[name]) for name in statement.parameters}

    def _run(self, statement: Statement, extra: Mapping[str, Any] | None, more: str = "") -> list[Row]:
        text = statement.text + more
        known = not extra and "events" not in statement.words
        size = sum(map(len, self._temps)) if known else None
        try:
            return self._asker.ask(text, self._bound(statement, extra), size)
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
        rows = self._run(statement, extra, " RETURNING *")
        if statement.kind != "INSERT":  # whose rows come in the order of its own query
            rows.sort(key=lambda row: table._born.get(table._key_of(row), 0))
        mark = len(self._state.changes)
        try:
            written = [carried_over(write, table, row) for row in rows]
        except StateError:
            self._state.undo(mark)
            self.forget()
            raise
        here = {} if statement.kind == "DELETE" else {table._key_of(row): row for row in rows}
        for change in self._state.changes[mark:]:
            self._answers.written(change, here.get(change[2]))
        self._seen = len(self._state.changes)
        return written


def _plain(now: Any) -> Any:
    return now._leave() if hasattr(now, "_leave") else now
