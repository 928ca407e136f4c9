"""Why a Python rule yielded something: the cells it read on its way there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.reasons.chains import Chains
from replaykit.reasons.syntax import place_name, source_line
from replaykit.reasons.values import Cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from replaykit.reasons.notes import Find
    from replaykit.reasons.running import Run
    from replaykit.reasons.tracing import Place

__all__ = ["cells_behind", "rows_among", "shown_place"]


class _Touch(NamedTuple):
    """A cell that was read, or by which a row was found, and where."""

    table: str
    key: Any
    column: str
    value: Any
    place: Any
    filtering: bool = False


def cells_behind(run: Run, place: Place | None) -> tuple[Cell, ...]:
    """Return the cells that had a part in what was yielded at a place, in the order in which they were read.

    A read in another round of a loop had none. One in a loop that was over before (a comprehension that collects, for
    instance) had a part if the same row was read on the way as well. Without a place all reads are taken.
    """
    chains = Chains()
    here = chains.of(place)
    near, far = _sorted([_Touch(*one) for one in _reads(run)], chains, here)
    rows = {(one.table, one.key) for one in near} | _rows_at(place)
    for find in run.notes.finds:
        touches = list(_by_find(run, find))
        mine = [one for one in touches if (one.table, one.key) in rows]
        # Of rows that were found and never looked at, their number must have counted.
        near += mine or (_sorted(touches, chains, here)[0] if not find.found & {one[1] for one in rows} else [])
    found = _cells([*near, *(one for one in far if (one.table, one.key) in rows)])
    return _without_keys(run, found)


def _reads(run: Run) -> Iterator[tuple[Any, ...]]:
    for one in run.notes.reads:
        yield one.table, one.key, one.column, one.value, one.place, one.filtering


def _sorted(touches: Iterable[_Touch], chains: Chains, here: Mapping[Any, int]) -> tuple[list[_Touch], list[_Touch]]:
    """Return touches on the way, and those in loops that were over by then; others are left out."""
    near: list[_Touch] = []
    far: list[_Touch] = []
    for touch in touches:
        there = chains.of(touch.place)
        if all(here.get(loop, number) == number for loop, number in there.items()):
            (far if touch.filtering or (here and there and here.keys().isdisjoint(there)) else near).append(touch)
    return near, far


def _without_keys(run: Run, cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """Return cells without those of key columns, which never change, unless nothing else of the row was read."""
    tables = run.state.tables
    told = {(cell.table, cell.key) for cell in cells if cell.column not in tables[cell.table].key}
    return tuple(
        cell for cell in cells if (cell.table, cell.key) not in told or cell.column not in tables[cell.table].key
    )


def _by_find(run: Run, find: Find) -> Iterator[_Touch]:
    """Yield the columns that a find asked for, of each row it found; a key says nothing that the row does not."""
    table = run.state.tables[find.table]
    for column in find.equals:
        if column in table.key:
            continue
        for key in find.found:
            row = table._rows.get(key)
            if row is not None:
                yield _Touch(find.table, key, column, dict.__getitem__(row, column), find.place)


def _rows_at(place: Place | None) -> set[tuple[str, Any]]:
    """Return the rows among the variables of the function at a place, and in those that called it."""
    found: set[tuple[str, Any]] = set()
    while place is not None:
        log, index = place
        found |= set(rows_among(log.seen.get(index, log.last)))
        place = log.called_from(index)
    return found


def rows_among(variables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield table and key of the rows among variables."""
    for value in variables.values():
        if hasattr(value, "_rk_table"):
            yield value._rk_table, value._rk_key


def _cells(touches: Iterable[_Touch]) -> tuple[Cell, ...]:
    found: dict[tuple[str, Any, str], Cell] = {}
    for one in touches:
        key = one.key if isinstance(one.key, tuple) else (one.key,)
        cell = Cell(one.table, key, one.column, one.value, shown_place(one.place))
        found.setdefault((one.table, one.key, one.column), cell)
    return tuple(found.values())


def shown_place(place: Place | None) -> str:
    """Return how answers show a place: file, line and the source there; empty for none."""
    if place is None:
        return ""
    filename = place.log.code.co_filename
    return f"{place_name(filename, place.line)}: {source_line(filename, place.line)}".rstrip(": ")
