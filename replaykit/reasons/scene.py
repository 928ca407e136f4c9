"""Scene: the state, the clock and the SQL side of a replay as they were when one tick was evaluated."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from replaykit import connection
from replaykit.errors import QueryError, StateError, excerpt, show_time
from replaykit.reasons.late import make_late
from replaykit.rollback import rolled_back
from replaykit.rows import Row
from replaykit.sql import quote
from replaykit.state import State
from replaykit.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from replaykit.replayed import Replay

__all__ = ["Scene", "pairs_at", "rows_at", "scene_at"]


Rows: TypeAlias = "tuple[dict[Any, Row], dict[Any, int]]"
"""Rows and their insertion numbers, by key."""


@dataclass(frozen=True)
class Scene:
    """One tick of a replay: what its rules saw."""

    run: Replay
    tick: int
    at: datetime
    """The clock of the tick, naive UTC."""
    step: int
    """The last step before it."""
    _known: dict[str, Rows] = field(default_factory=dict, repr=False, compare=False)
    _stages: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """See `replaykit.reasons.sql_stage`."""

    def state(self, build: type[State] = State) -> Any:
        """Return the state as it was; its tables are read when first looked into. `state.sql` works in `workspace`."""
        reconciler = self.run.reconciler
        state = build(reconciler.tables, reconciler.params)
        for name, table in state.tables.items():
            # Not a method: a state, which holds itself in a circle, would keep the scene and its database open.
            make_late(table, partial(_known_rows, self.run, self.step, self._known, name))
        state.step, state.now = self.step, self.at
        return state

    def with_cells(self, cells: Iterable[tuple[str, tuple[Any, ...], str, Any]]) -> Scene:
        """Return this scene with some cells set: table, key, column and value of each.

        Raises
        ------
        StateError
            A value does not fit its column, or there is no such row.
        """
        known = dict(self._known)
        types = self.state().tables
        for table, parts, column, value in cells:
            rows, born = _known_rows(self.run, self.step, known, table)
            key = parts if len(parts) > 1 else parts[0]
            if key not in rows:
                raise StateError(f"Table {table!r} has no row {excerpt(key)} at step {self.step}.")
            changed = Row(rows[key], **{column: types[table].types[column](value)})
            known[table] = {**rows, key: changed}, born
        return replace(self, _known=known)

    @contextmanager
    def workspace(self, state: State) -> Iterator[Workspace]:
        """Open the SQL side over a state for the length of the block, in a transaction that is rolled back."""
        run = self.run
        numbered = run.settings["actions"] != "collect" or run.plan.last - run.plan.first != run.plan.events
        instance = connection.sealed(run.recording.path, threads=1)
        try:
            with rolled_back(instance):
                workspace = Workspace(instance, state, run.plan, numbered=numbered)
                try:
                    if numbered:
                        workspace.follow(pairs_at(run, self.step))
                    state._sql = workspace.sql
                    yield workspace
                finally:
                    workspace.close()
        finally:
            instance.close()


def _known_rows(run: Replay, step: int, known: dict[str, Rows], name: str) -> Rows:
    """Return a table's rows and their insertion numbers, by key; they are read once."""
    if name not in known:
        found, names = rows_at(run, name, step), run.history.keys[name]
        single = names[0] if len(names) == 1 else None
        keys = [row[single] if single else tuple(row[one] for one in names) for _, row in found]
        rows = dict(zip(keys, (row for _, row in found), strict=True))
        known[name] = rows, dict(zip(keys, (born for born, _ in found), strict=True))
    return known[name]


def pairs_at(run: Replay, step: int) -> list[tuple[int, int, Any]]:
    """Return step, position and clock of the events up to a step."""
    return [
        (number, position, applied)
        for number, position, applied in run.history.fetch(
            "SELECT step, position, applied_at FROM steps WHERE input = 'event' AND step <= $step ORDER BY step",
            {"step": step},
        )
    ]


def rows_at(run: Replay, table: str, step: int) -> list[tuple[int, Row]]:
    """Return insertion number and row of a table's rows as of a step, in insertion order."""
    names = list(run.history.columns(table))
    listed = ", ".join(map(quote, names))
    found = run.history.fetch(
        f"SELECT born, {listed} FROM history.{quote(table)} WHERE valid_from <= $step "
        "AND (valid_to IS NULL OR valid_to > $step) ORDER BY born",
        {"step": step},
    )
    return [(born, Row(zip(names, cells, strict=True))) for born, *cells in found]


def scene_at(run: Replay, at: datetime | None = None, *, tick: int | None = None) -> Scene:
    """Return the scene of the last tick at or before a moment, or of a tick by its number; the last of all by default.

    Raises
    ------
    QueryError
        The replay has no such tick.
    """
    ticks = run.metrics
    if ticks.empty:
        raise QueryError("This replay evaluated no tick; replay with ticks='5s' or 'event' and ask again.")
    if tick is not None:
        chosen = ticks[(ticks["tick"] <= tick) & (ticks["tick"] + ticks["repeats"] >= tick)]
    else:
        chosen = ticks if at is None else ticks[ticks["at"] <= at]
    if chosen.empty:
        first, last = ticks["at"].iloc[0], ticks["at"].iloc[-1]
        asked = f"before {show_time(at)}" if at is not None else f"numbered {tick}"
        raise QueryError(
            f"There is no tick {asked}; this replay has ticks from {show_time(first)} to {show_time(last)}, numbered "
            f"{ticks['tick'].iloc[0]} to {ticks['tick'].iloc[-1] + ticks['repeats'].iloc[-1]}."
        )
    return _scene(run, chosen.iloc[-1], at, tick)


def _scene(run: Replay, row: Any, at: datetime | None, tick: int | None) -> Scene:
    """Return the scene of a record of ticks, or of one of those that repeat it."""
    first, when, repeats = int(row["tick"]), row["at"].to_pydatetime(), int(row["repeats"])
    interval = run.settings["ticks"].interval
    if not repeats or interval is None:
        return Scene(run, first, when, int(row["step"]))
    behind = repeats if at is None else min(repeats, (at - when) // interval)
    further = behind if tick is None else tick - first
    return Scene(run, first + further, when + further * interval, int(row["step"]))
