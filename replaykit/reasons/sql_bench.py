"""Bench: the SQL side of one tick, set up for many small questions about one statement."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from replaykit.errors import GuardError, StateError
from replaykit.reasons.scene import put_rows, rows_at
from replaykit.rows import plain
from replaykit.sql import check_query, quote
from replaykit.state import State
from replaykit.storage import storage_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replaykit.reasons.scene import Scene
    from replaykit.rows import Row
    from replaykit.sql import Statement
    from replaykit.state import StateTable
    from replaykit.workspace import Workspace

__all__ = ["ROWID", "Bench", "CannotSplitError", "bench", "same"]

ROWID = "rowid"  # which every table has in SQL: its rows in the order in which they were inserted


class CannotSplitError(Exception):
    """The statement has a part that can't be looked into; the text says which."""


class Bench:
    """Asks on the state of one tick. Names of tables and columns are lower case here, as they are in read trees."""

    def __init__(self, scene: Scene, state: State, workspace: Workspace, words: frozenset[str]) -> None:
        self.scene = scene
        self.tables: dict[str, StateTable] = {name.lower(): table for name, table in state.tables.items()}
        self.types = {name: _types(table) for name, table in self.tables.items()}
        self._workspace = workspace
        self._rows: dict[str, dict[int, Row]] = {}
        self._bound: dict[str, Any] = {"replaykit_": None}  # never empty, so that no answer is kept for later
        workspace.refresh(words)
        if "events" in words:
            self.types["events"] = self._columns_of("events")
        self.refused = sorted(name for name, table in self.tables.items() if ROWID in _types(table) and name in words)

    def _columns_of(self, name: str) -> dict[str, tuple[str, str]]:
        found = self._workspace.connection.execute(f"SELECT * FROM {quote(name)} LIMIT 0").description or []
        return {str(column[0]).lower(): (str(column[0]), "") for column in found}

    def ask(self, text: str, **extra: Any) -> list[tuple[Any, ...]]:
        """Run one SELECT whose columns all have names, and return its rows.

        Raises
        ------
        CannotSplitError
            The guard or the engine refuses it.
        """
        try:
            statement = check_query(text)
        except GuardError as exc:
            raise CannotSplitError(str(exc)) from exc
        return [tuple(row.values()) for row in self.named(statement, **extra)]

    def named(self, statement: Statement, **extra: Any) -> list[Row]:
        """Run a checked SELECT and return its rows with the names of its columns; errors as `ask`."""
        try:
            return self._workspace.rows(statement, {**self._bound, **extra})
        except (GuardError, StateError, UnicodeEncodeError) as exc:
            raise CannotSplitError(str(exc)) from exc

    def bind(self, value: Any) -> str:
        """Return the parameter that stands for a value in every question from now on."""
        name = f"replaykit_{len(self._bound)}"
        self._bound[name] = value
        return f"${name}"

    def value_of(self, name: str) -> Any:
        """Return what a parameter stands for."""
        run = self.scene.run
        return self.scene.at if name == "now" else run.reconciler.params.get(name, self._bound.get(name))

    def row(self, table: str, place: int) -> Row:
        """Return a row by its rowid."""
        if table not in self._rows:  # rowids of what this transaction wrote begin at some high number
            places = self.ask(f"SELECT rowid FROM {quote(table)} ORDER BY rowid")
            self._rows[table] = {one: row for (one,), row in zip(places, self.tables[table].find(), strict=True)}
        return self._rows[table][place]

    def key(self, table: str, place: int) -> tuple[Any, ...]:
        """Return a row's key."""
        row = self.row(table, place)
        return tuple(row[name] for name in self.tables[table].key)

    def storage(self, table: str, column: str) -> str:
        """Return the type a column is stored as."""
        own = self.types[table].get(column)
        return storage_type(own[1]) if own is not None else "BIGINT"  # a rowid


@contextmanager
def bench(scene: Scene, statement: Statement) -> Iterator[Bench]:
    """Open a bench over the state tables a statement names, for the length of the block."""
    reconciler = scene.run.reconciler
    state = State(reconciler.tables, reconciler.params)
    for name in state.tables:
        if name.lower() in statement.words:
            put_rows(state, name, rows_at(scene.run, name, scene.step))
    state.step, state.now = scene.step, scene.at
    with scene.workspace(state) as workspace:
        yield Bench(scene, state, workspace, statement.words)


def _types(table: StateTable) -> Mapping[str, tuple[str, str]]:
    return {name.lower(): (name, type_.sql) for name, type_ in table.types.items()}


def same(one: Any, other: Any) -> bool:
    """Return whether two values are the same in a result: NaN is like NaN, and True is not 1."""
    if type(one) is type(other) and type(one) in (str, int):
        return bool(one == other)
    one, other = plain(one), plain(other)
    if isinstance(one, bool) != isinstance(other, bool):
        return False
    return bool(one == other) or (one != one and other != other)  # noqa: PLR0124
