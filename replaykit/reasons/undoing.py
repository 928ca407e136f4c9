"""Undoing: what a rule would have said had one write not been made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from replaykit.blame import any_of, blames, same_value
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from replaykit.history import History
    from replaykit.reasons.scene import Scene
    from replaykit.reasons.values import Cell
    from replaykit.state import State

__all__ = ["Write", "blamed", "judged"]

Life: TypeAlias = "list[tuple[int, dict[str, Any]]]"
"""Step and cells of each version of a row."""


@dataclass(frozen=True)
class Write:
    """What one step wrote to one row, as far as it still stands: the columns with their values before."""

    table: str
    key: Any
    step: int
    before: Mapping[str, Any] | None
    """None if the step inserted the row."""

    def __call__(self, state: State) -> None:
        """Put the row back to what it was before the step; a row that was inserted goes."""
        table = state[self.table]
        if self.before is None:
            table.delete(self.key)
        else:
            table.update(self.key, self.before)


def blamed(scene: Scene, cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """Return cells with the steps that set them, in one query for each table; those that have it stay as they are."""
    moment, listed = scene.run.at(step=scene.step), list(cells)
    asked: dict[str, dict[tuple[Any, ...], list[str]]] = {}
    for cell in listed:
        if cell.blame is None:
            asked.setdefault(cell.table, {}).setdefault(cell.key, []).append(cell.column)
    # A row that only a rule's own code made up is not found.
    found = {table: blames(moment, table, rows) for table, rows in asked.items()}
    return tuple(
        cell if cell.blame is not None else replace(cell, blame=found[cell.table].get((cell.key, cell.column)))
        for cell in listed
    )


def _write(cell: Cell, lives: Mapping[tuple[str, tuple[Any, ...]], Life]) -> Write | None:
    """Return the write that set a cell to what it is; the base counts as one that inserted its rows.

    Parameters
    ----------
    lives
        The versions of rows, by table and key.
    """
    if cell.blame is None:
        return None
    key = cell.key if len(cell.key) > 1 else cell.key[0]
    if cell.blame.inserted:
        return Write(cell.table, key, cell.blame.step, None)
    versions = lives[cell.table, cell.key]
    last = max(number for number, (at, _) in enumerate(versions) if at == cell.blame.step)
    first = next(number for number, (at, _) in enumerate(versions) if at == cell.blame.step)
    before, after, now = versions[first - 1][1], versions[last][1], versions[-1][1]
    columns = [name for name in now if not same_value(before[name], after[name]) and same_value(after[name], now[name])]
    return Write(cell.table, key, cell.blame.step, {name: before[name] for name in columns})


def _lives(history: History, cells: Iterable[Cell], step: int) -> dict[tuple[str, tuple[Any, ...]], Life]:
    """Return the versions of the last lives up to a step of all rows that were written after they were inserted."""
    keys: dict[str, dict[tuple[Any, ...], None]] = {}
    for cell in cells:
        if cell.blame is not None and not cell.blame.inserted:
            keys.setdefault(cell.table, {})[cell.key] = None
    found: dict[tuple[str, tuple[Any, ...]], Life] = {}
    for table, asked in keys.items():
        names, own = list(history.columns(table)), history.keys[table]
        where, parameters = any_of(history, table, list(asked))
        rows = history.fetch(
            f"SELECT v.born, v.valid_from, {', '.join(f'v.{quote(name)}' for name in names)} "
            f"FROM history.{quote(table)} v {where} AND v.valid_from <= $step ORDER BY v.change",
            {**parameters, "step": step},
        )
        born_last: dict[Any, int] = {}
        for born, at, *values in rows:
            row = dict(zip(names, values, strict=True))
            place = (table, tuple(row[name] for name in own))
            if born_last.get(place) != born:
                born_last[place], found[place] = born, []
            found[place].append((at, row))
    return found


def judged(scene: Scene, cells: Iterable[Cell], stands: Callable[[Callable[[State], None]], bool]) -> tuple[Cell, ...]:
    """Return cells with whether the decision falls once the write behind each is undone.

    Parameters
    ----------
    stands
        Whether the decision is still made after a change of the state.
    """
    known: dict[tuple[str, Any, int], bool] = {}
    listed = list(cells)
    lives = _lives(scene.run.history, listed, scene.step)
    found = []
    for cell in listed:
        write = _write(cell, lives)
        if write is None:
            found.append(cell)
            continue
        place = (write.table, write.key, write.step)
        if place not in known:
            known[place] = not stands(write)
        found.append(replace(cell, decisive=known[place]))
    return tuple(found)
