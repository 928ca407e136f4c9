"""Blame: which step set a cell to what it is, what was behind that step, and what the cell was before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.causes import cause_text
from replaykit.display import brief, count, is_empty, note_html, show_value, table_html
from replaykit.errors import QueryError, excerpt, show_time
from replaykit.known import like, listed, nearest_keys
from replaykit.rows import plain
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from replaykit.history import History
    from replaykit.moment import Moment

__all__ = ["Blame", "any_of", "blame", "blames", "same_value"]


@dataclass(frozen=True, repr=False, eq=False)
class Blame:
    """Why a cell is what it is."""

    table: str
    key: tuple[Any, ...]
    column: str
    value: Any
    """The cell at the moment asked about."""
    before: Any
    """What it was before; None where the row was inserted by that step, too."""
    inserted: bool
    """Whether the step inserted the row."""
    step: int
    """The step that set it; 0 is the base."""
    since: datetime | None
    """The clock at that step, naive UTC; None for the base."""
    input: str
    """What the step applied: ``event``, ``action``, ``write`` as ``steps`` says it, or ``base``."""
    kind: str | None
    """The kind of that event, action or write."""
    event_id: str | None
    """The event's id, where it was an event that has one."""
    tick: int | None
    """The tick that emitted it, where it was an action."""
    action: int | None
    """The number in ``run.actions`` of what was applied, where a tick of this replay emitted it."""
    _changed: tuple[_Version, ...] = ()

    @cached_property
    def values(self) -> pd.DataFrame:
        """Every value the cell had in this life of the row, in the order in which they were set; the last is `value`.

        Columns: ``step``, ``applied_at``, ``caused_by``, ``event_id``, ``value``.
        """
        return _values(self._changed)

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        name = f"{self.table}[{'/'.join(show_value(part, 60) for part in self.key)}].{self.column}"
        if self.step == 0:
            return f"{name} is {show_value(self.value, 60)} since the base."
        cause = cause_text(self.input, self.kind, self.event_id, self.action, self.tick)
        was = "inserted with the row" if self.inserted else f"{show_value(self.before, 60)} before"
        when = f"step {self.step:,}, {show_time(self.since)}" if self.since is not None else f"step {self.step:,}"
        return f"{name} is {show_value(self.value, 60)} since {when}: {cause}; {was}."

    def __repr__(self) -> str:
        return brief("Blame", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        caption = f"{count(len(self.values), 'value')} of this cell since the row was inserted"
        return f"{note_html(self.sentence)}\n{table_html(self.values, caption=caption, limit=50, more='.values')}"


def blame(moment: Moment, table: str, key: Any, column: str) -> Blame:
    """Return which step set a cell to what it is at a moment.

    A write of the value a cell already had is not a change. Several changes in one step count one by one: the last is
    the one to blame.

    Parameters
    ----------
    key
        The row's key; a tuple in key order for composite keys.

    Raises
    ------
    QueryError
        There is no such table or column, or the row was not there at that moment; the message says when it was.
    """
    history = moment.history
    if column not in history.columns(table):
        raise QueryError(
            f"Table {table!r} has no column {excerpt(column)}; it has {listed(history.columns(table))}."
            f"{like(column, history.columns(table))}"
        )
    parts = tuple(key) if isinstance(key, (tuple, list)) else (key,)
    versions = _versions(history, table, history.where(table, key), [column], moment.step)
    life = _life(versions, moment.step)
    if not life:
        raise QueryError(_missing(history, table, key, moment, versions))
    return _of_cell(life, table, parts, column, 0)


def blames(
    moment: Moment, table: str, asked: Mapping[tuple[Any, ...], Sequence[str]]
) -> dict[tuple[tuple[Any, ...], str], Blame]:
    """Return the same as `blame` for several cells of one table, in one query.

    Parameters
    ----------
    asked
        Keys, and the columns that are asked about of each.

    Returns
    -------
    dict
        By key and column. Rows that were not there at the moment are left out.
    """
    columns = list(dict.fromkeys(name for names in asked.values() for name in names))
    versions = _versions(moment.history, table, any_of(moment.history, table, list(asked)), columns, moment.step)
    by_key: dict[tuple[Any, ...], list[_Version]] = {}
    for one in versions:
        by_key.setdefault(one.key, []).append(one)
    found: dict[tuple[tuple[Any, ...], str], Blame] = {}
    for key, names in asked.items():
        life = _life(by_key.get(key, []), moment.step)
        found |= {(key, name): _of_cell(life, table, key, name, columns.index(name)) for name in names if life}
    return found


def any_of(history: History, table: str, keys: Sequence[tuple[Any, ...]]) -> tuple[str, dict[str, Any]]:
    """Return the condition on ``v`` that is true for the versions of several rows, and its parameters."""
    names = history.keys[table]
    marks = [", ".join(f"$k{row}_{n}" for n, _ in enumerate(names)) for row, _ in enumerate(keys)]
    listed = ", ".join(f"v.{quote(name)}" for name in names)
    if len(names) > 1:
        marks, listed = [f"({one})" for one in marks], f"({listed})"
    parameters = {f"k{row}_{n}": plain(part) for row, key in enumerate(keys) for n, part in enumerate(key)}
    return f"WHERE {listed} IN ({', '.join(marks)})", parameters


def _life(versions: list[_Version], step: int) -> list[_Version]:
    """Return the versions of the row that is there at a step; none if there is none."""
    live = [one for one in versions if one.end is None or one.end > step]
    return [one for one in versions if one.born == live[-1].born] if live else []


def _of_cell(life: list[_Version], table: str, key: tuple[Any, ...], column: str, place: int) -> Blame:
    changed = [life[0]]
    changed += [one for before, one in pairwise(life) if not same_value(before.cells[place], one.cells[place])]
    changed = [one._replace(cells=(one.cells[place],)) for one in changed]
    last, inserted = changed[-1], len(changed) == 1
    return Blame(
        table, key, column, last.cells[0], None if inserted else changed[-2].cells[0], inserted, last.step,
        last.applied_at, last.input, last.kind, last.event_id, last.tick, last.action, tuple(changed),
    )  # fmt: skip


class _Version(NamedTuple):
    """One version of a row, as far as some cells of it go, and the step that made it."""

    step: int
    end: int | None
    born: int
    input: str
    kind: str | None
    event_id: str | None
    applied_at: datetime | None
    tick: int | None
    action: int | None
    key: tuple[Any, ...]
    cells: tuple[Any, ...]


def _versions(
    history: History, table: str, where: tuple[str, dict[str, Any]], columns: Sequence[str], step: int
) -> list[_Version]:
    """Return every version of some rows up to a step, in the order of writing."""
    condition, parameters = where
    keys = history.keys[table]
    cells = ", ".join(f"v.{quote(column)}" for column in (*keys, *columns))
    rows = history.fetch(
        "SELECT v.valid_from, v.valid_to, v.born, coalesce(s.input, 'base'), s.kind, s.event_id, s.applied_at, "
        f"s.tick, s.action, {cells} FROM history.{quote(table)} v LEFT JOIN steps s ON s.step = v.valid_from "
        f"{condition} AND v.valid_from <= $step ORDER BY v.change",
        {**parameters, "step": step},
    )
    end = 9 + len(keys)
    return [_Version._make((*row[:9], row[9:end], row[end:])) for row in rows]


def same_value(one: Any, other: Any) -> bool:
    """Return whether two cells of a column are the same; nothing is like nothing, and NaN like NaN."""
    if is_empty(one) or is_empty(other):
        return is_empty(one) and is_empty(other) and (one is None) == (other is None)
    return bool(one == other)


def _missing(history: History, table: str, key: Any, moment: Moment, versions: list[_Version]) -> str:
    """Return the message for a row that is not there."""
    told = f"Table {table!r} has no row {excerpt(key)} at step {moment.step}"
    if versions:
        end = versions[-1].end
        found = history.fetch("SELECT input, kind FROM steps WHERE step = $step", {"step": end})
        return f"{told}: step {end} deleted it ({' '.join(map(str, found[0]))}); ask before that step."
    where, parameters = history.where(table, key)
    later = history.fetch(f"SELECT min(v.valid_from) FROM history.{quote(table)} v {where}", parameters)[0][0]
    if later is not None:
        return f"{told}: step {later} is the first that inserts it; ask from then on."
    return f"{told}, nor at any other; its key is {list(history.keys[table])}, {nearest_keys(history, table, key)}."


def _values(changed: Sequence[_Version]) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, list[Any]] = {
        "step": [one.step for one in changed],
        "applied_at": [one.applied_at for one in changed],
        "caused_by": [one.kind or one.input for one in changed],
        "event_id": [one.event_id for one in changed],
        "value": [one.cells[0] for one in changed],
    }
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    return frame.astype({"step": "int64", "applied_at": "datetime64[us]"})
