"""Undoing: what a rule would have said had one write not been made."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from replaykit.blame import blames, same_value
from replaykit.errors import QueryError
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from replaykit.blame import Blame
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
    """Return cells with the steps that set them."""
    moment, listed = scene.run.at(step=scene.step), list(cells)
    rows: dict[tuple[str, tuple[Any, ...]], list[str]] = {}
    for cell in listed:
        rows.setdefault((cell.table, cell.key), []).append(cell.column)
    found: dict[tuple[str, tuple[Any, ...], str], Blame] = {}
    for (table, key), columns in rows.items():
        with suppress(QueryError):  # a row that only a rule's own code made up
            found |= {(table, key, one.column): one for one in blames(moment, table, key, columns)}
    return tuple(replace(cell, blame=found.get((cell.table, cell.key, cell.column))) for cell in listed)


def _write(history: History, cell: Cell, step: int, lives: dict[tuple[str, tuple[Any, ...]], Life]) -> Write | None:
    """Return the write that set a cell to what it is after a step; the base counts as one that inserted its rows.

    Parameters
    ----------
    lives
        The versions of rows that were looked up before.
    """
    if cell.blame is None:
        return None
    key = cell.key if len(cell.key) > 1 else cell.key[0]
    if cell.blame.inserted:
        return Write(cell.table, key, cell.blame.step, None)
    versions = lives.get((cell.table, cell.key)) or _versions(history, cell.table, cell.key, step)
    lives[cell.table, cell.key] = versions
    last = max(number for number, (at, _) in enumerate(versions) if at == cell.blame.step)
    first = next(number for number, (at, _) in enumerate(versions) if at == cell.blame.step)
    before, after, now = versions[first - 1][1], versions[last][1], versions[-1][1]
    columns = [name for name in now if not same_value(before[name], after[name]) and same_value(after[name], now[name])]
    return Write(cell.table, key, cell.blame.step, {name: before[name] for name in columns})


def _versions(history: History, table: str, key: tuple[Any, ...], step: int) -> Life:
    """Return step and cells of the versions of a row's last life up to a step."""
    names = list(history.columns(table))
    where, parameters = history.where(table, key)
    rows = history.fetch(
        f"SELECT v.born, v.valid_from, {', '.join(f'v.{quote(name)}' for name in names)} "
        f"FROM history.{quote(table)} v {where} AND v.valid_from <= $step ORDER BY v.change",
        {**parameters, "step": step},
    )
    return [(at, dict(zip(names, cells, strict=True))) for born, at, *cells in rows if born == rows[-1][0]]


def judged(scene: Scene, cells: Iterable[Cell], stands: Callable[[Callable[[State], None]], bool]) -> tuple[Cell, ...]:
    """Return cells with whether the decision falls once the write behind each is undone.

    Parameters
    ----------
    stands
        Whether the decision is still made after a change of the state.
    """
    known: dict[tuple[str, Any, int], bool] = {}
    lives: dict[tuple[str, tuple[Any, ...]], Life] = {}
    found = []
    for cell in cells:
        write = _write(scene.run.history, cell, scene.step, lives)
        if write is None:
            found.append(cell)
            continue
        place = (write.table, write.key, write.step)
        if place not in known:
            known[place] = not stands(write)
        found.append(replace(cell, decisive=known[place]))
    return tuple(found)
