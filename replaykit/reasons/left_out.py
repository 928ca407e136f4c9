"""Left out: the finds that did not give an entity's rows, and when it has rows at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.display import show_value
from replaykit.errors import show_time
from replaykit.reasons.chains import Chains
from replaykit.reasons.explaining import Finding
from replaykit.reasons.past import around
from replaykit.reasons.python_why import shown_place
from replaykit.reasons.values import Cell, Need, row_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replaykit.reasons.entity import Entity
    from replaykit.reasons.notes import Find
    from replaykit.reasons.running import Run
    from replaykit.reasons.scene import Scene

__all__ = ["Candidate", "elsewhen", "left_out"]


@dataclass(frozen=True)
class Candidate:
    """One possible answer: where it stopped and what would get it further."""

    stop: str
    finding: Finding
    row: tuple[str, Any] | None = None


def left_out(run: Run, rows: set[tuple[str, Any]]) -> Iterator[Candidate]:
    """Yield the finds that did not give one of these rows, those of few differing columns first."""
    chains = Chains()
    found: list[tuple[tuple[Any, ...], Candidate]] = []
    for name, key in sorted(rows, key=repr):
        table = run.state.tables[name]
        for number, find in enumerate(run.notes.finds):
            if find.table != name or key in find.found or key in find.refused or set(find.equals) == set(table.key):
                continue
            one = _differing(run, find, key)
            if one is not None:
                found.append(((len(chains.of(find.place)), len(one.finding.needs), number, repr(key)), one))
    yield from (one for _, one in sorted(found, key=lambda pair: pair[0]))


def _differing(run: Run, find: Find, key: Any) -> Candidate | None:
    """Return what differs between a row and what a find asked for."""
    table = run.state.tables[find.table]
    row = table._rows[key]
    parts = key if isinstance(key, tuple) else (key,)
    cells, needs, told = [], [], []
    where = shown_place(find.place)
    for column, wanted in find.equals.items():
        several = isinstance(wanted, (list, tuple, set, frozenset))
        members = sorted(wanted, key=repr) if isinstance(wanted, (set, frozenset)) else wanted if several else [wanted]
        members = [table._sought(column, one) for one in members]
        value = dict.__getitem__(row, column)
        if value in members:
            continue
        cells.append(Cell(find.table, parts, column, value, where))
        if members and column not in table.key:
            needs.append(Need(find.table, parts, column, members[0]))
        asked = " or ".join(show_value(one, 40) for one in members) or "nothing at all"
        told.append(f"{column} is {show_value(value, 40)}, not {asked}")
    if not told:
        return None
    reason = f"left out by find on {row_name(find.table, parts)}: {', '.join(told)}"
    place, _, source = where.partition(": ")
    return Candidate("left out", Finding(place, source, reason, tuple(cells), tuple(needs)), (find.table, key))


def elsewhen(scene: Scene, tables: list[str], entity: Entity) -> str:
    """Return when rows of the entity were deleted before a tick, or are inserted after it."""
    keys = scene.run.history.keys
    for name in [one for one in tables if len(keys[one]) == 1]:
        for value in entity.values:
            ended, begins = around(scene, name, {keys[name][0]: value})
            if ended is not None:
                return f" any more: {_step(scene, ended)} deleted it from {name}"
            if begins is not None:
                return f" yet: {_step(scene, begins)} inserts it into {name}"
    return ""


def _step(scene: Scene, step: int) -> str:
    found = scene.run.history.fetch("SELECT kind, applied_at FROM steps WHERE step = $step", {"step": step})
    kind, at = found[0] if found else ("base", None)
    return f"step {step:,} ({kind}, {show_time(at)})" if at is not None else f"step {step:,}"
