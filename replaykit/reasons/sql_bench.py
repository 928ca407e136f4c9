"""Bench: the SQL side of one tick, set up for many small questions about one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.errors import GuardError, StateError
from replaykit.reasons.sql_stage import staged
from replaykit.rows import Row, plain
from replaykit.sql import check_query, quote
from replaykit.storage import storage_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replaykit.reasons.scene import Scene
    from replaykit.sql import Statement
    from replaykit.state import StateTable

__all__ = ["ROWID", "Bench", "CannotSplitError", "same"]

ROWID = "rowid"  # which every table has in SQL: its rows in the order in which they were inserted


class CannotSplitError(Exception):
    """The statement has a part that can't be looked into; the text says which."""


class Bench:
    """Asks on the state of one tick. Names of tables and columns are lower case here, as they are in read trees."""

    def __init__(self, scene: Scene, statement: Statement) -> None:
        self.scene = scene
        self._stage = staged(scene, statement)
        self.tables: dict[str, StateTable] = {name.lower(): table for name, table in self._stage.tables.items()}
        self.types = {name: _types(table) for name, table in self.tables.items()}
        self._rows: dict[str, dict[int, Row]] = {}
        self._bound: dict[str, Any] = {}
        if "events" in statement.words:
            self.types["events"] = {name.lower(): (name, "") for name in self._stage.described("events")}
        self.refused = sorted(name for name, columns in self.types.items() if ROWID in columns and name != "events")

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
            return self._stage.rows(statement, {**self._bound, **extra})
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
        if place not in self._rows.get(table, {}):
            self.expect(table, [place])
        return self._rows[table][place]

    def expect(self, table: str, places: Iterable[int]) -> None:
        """Fetch rows that will be looked at, all at once."""
        known = self._rows.setdefault(table, {})
        lacking = sorted(set(places) - set(known))
        if not lacking:
            return
        names = list(self.tables[table].types)
        listed = ", ".join(f"{quote(name)} AS c{number}" for number, name in enumerate(names))
        rows = self.ask(
            f"SELECT rowid AS place, {listed} FROM {quote(table)} WHERE rowid IN ({', '.join(map(str, lacking))})"
        )
        known.update((place, Row(zip(names, cells, strict=True))) for place, *cells in rows)

    def key(self, table: str, place: int) -> tuple[Any, ...]:
        """Return a row's key."""
        row = self.row(table, place)
        return tuple(row[name] for name in self.tables[table].key)

    def storage(self, table: str, column: str) -> str:
        """Return the type a column is stored as."""
        own = self.types[table].get(column)
        return storage_type(own[1]) if own is not None else "BIGINT"  # a rowid


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
