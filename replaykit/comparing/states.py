"""States: the first change in which two histories differ, and what differs when they end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from replaykit.causes import cause_text
from replaykit.display import count
from replaykit.errors import show_time
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import pyarrow as pa

    from replaykit.history import History
    from replaykit.replayed import Replay

__all__ = ["StateFork", "first_fork"]

_FRACTIONS = ("DOUBLE", "FLOAT", "REAL", "FLOAT4", "FLOAT8")


@dataclass(frozen=True)
class StateFork:
    """The first instant after which two replays' states differ."""

    at: datetime | None
    """The clock of the step that made it so, naive UTC; None: the bases differ."""
    step: int
    """That step, in the new replay if it is one of its own; 0 is the base."""
    input: str
    """What the step applied, in words."""
    tables: tuple[str, ...]
    """The tables that differ after that instant; if none of their rows does, those that changed otherwise."""
    rows: int
    """How many of their rows do."""
    cells: pd.DataFrame
    """What differs after that instant: ``table``, ``change``, ``key`` and ``columns`` as JSON; at most 50 rows."""

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        tables = ", ".join(self.tables)
        found = f"{count(self.rows, 'row')} of {tables}" if self.rows else f"columns or changes of {tables}"
        since = "the base on" if self.at is None else f"{show_time(self.at)} on ({self.input})"
        return f"the states differ from {since}: {found}"


def first_fork(old: Replay, new: Replay) -> StateFork | None:
    """Return where the states of two replays part; None if every version of every row was valid at the same times.

    Times are compared and not steps: where inputs or applied actions differ, the same change is another step.
    """
    forks = [
        (*fork, table)
        for table in sorted({*old.history.tables, *new.history.tables})
        if (fork := _fork_of(old.history, new.history, table)) is not None
    ]
    return _told(old, new, *min(forks)) if forks else None


Fork = tuple[datetime, int, int]
"""Clock, 0 for a step of the new replay and 1 for one of the old, and the step."""


def _fork_of(old: History, new: History, table: str) -> Fork | None:
    """Return the first change in which the histories of a table differ; one that lacks it has it empty."""
    columns = {
        name: type for one in (old, new) if table in one.keys for name, type in sorted(one.columns(table).items())
    }
    mine, theirs = (_versions(one, table, columns, _alike(old, new, table)) for one in (old, new))
    bare = [one.drop_columns(["valid_from", "valid_to"]) for one in (mine, theirs)]
    if bare[0].equals(bare[1]):
        return None
    first = _first_unequal(*(one.drop_columns(["until"]) for one in bare))
    forks = []
    for side, one in enumerate((theirs, mine)):
        if first < len(one):
            since, step = (one[name][first].as_py() for name in ("since", "valid_from"))
            forks.append((since or datetime.min, side, step))  # noqa: DTZ901 - naive UTC
    return min([*forks, *_ends_before(theirs.slice(0, first), mine.slice(0, first))], default=None)


def _alike(old: History, new: History, table: str) -> bool:
    """Return whether both hold the same columns of the same types."""
    return table in old.keys and table in new.keys and dict(old.columns(table)) == dict(new.columns(table))


def _versions(history: History, table: str, columns: Mapping[str, str], alike: bool) -> pa.Table:
    """Return the versions that some moment shows, in order of change, with the times between which they stood."""
    if table not in history.keys:
        nothing = ", ".join(f"NULL::VARCHAR AS {quote('c ' + name)}" for name in columns)
        return history.arrow(
            "SELECT NULL::TIMESTAMP AS since, NULL::TIMESTAMP AS until, NULL::BIGINT AS valid_from, "
            f"NULL::BIGINT AS valid_to, {nothing} LIMIT 0"
        )
    own = history.columns(table)
    listed = ", ".join(
        f"{_read(name, type, alike) if name in own else 'NULL::VARCHAR'} AS {quote('c ' + name)}"
        for name, type in columns.items()
    )
    return history.arrow(
        f"SELECT f.applied_at AS since, t.applied_at AS until, v.valid_from, v.valid_to, {listed} "
        f"FROM history.{quote(table)} v LEFT JOIN steps f ON f.step = v.valid_from LEFT JOIN steps t ON "
        "t.step = v.valid_to WHERE v.valid_to IS NULL OR v.valid_to > v.valid_from ORDER BY v.change"
    )


def _read(name: str, type: str, alike: bool) -> str:
    """Return how a column is read; a fraction as text is the same to the last bit, and no number equals itself."""
    column = f"v.{quote(name)}"
    if type.upper() in _FRACTIONS:
        return f"CAST({column} + 0 AS VARCHAR)"  # -0.0 + 0 is 0.0
    return column if alike else f"CAST({column} AS VARCHAR)"


def _first_unequal(one: pa.Table, other: pa.Table) -> int:
    """Return the first row in which two tables differ; their common length if none does."""
    rows = min(len(one), len(other))
    first = rows
    for name in one.column_names:
        differs = _unequal(one[name].slice(0, first).combine_chunks(), other[name].slice(0, first).combine_chunks())
        first = min(first, differs)
    return first


def _unequal(one: pa.Array, other: pa.Array) -> int:
    """Return the first place at which two arrays of one length differ; nulls are equal, and so are NaNs."""
    if one.equals(other):
        return len(one)
    low, high = 0, len(one)  # the first low are equal, the first high are not
    while high - low > 1:
        middle = (low + high) // 2
        if one.slice(low, middle - low).equals(other.slice(low, middle - low)):
            low = middle
        else:
            high = middle
    return low


def _ends_before(new: pa.Table, old: pa.Table) -> list[Fork]:
    """Return when versions ended in one of two histories that did not end then in the other."""
    if new["until"].equals(old["until"]):
        return []
    ends = [zip(one["until"].to_pylist(), one["valid_to"].to_pylist(), strict=True) for one in (new, old)]
    pairs = [pair for pair in zip(*ends, strict=True) if pair[0][0] != pair[1][0]]
    return [min((until, side, step) for side, (until, step) in enumerate(pair) if until is not None) for pair in pairs]


def _told(old: Replay, new: Replay, at: datetime, side: int, step: int, table: str) -> StateFork:
    import replaykit

    run = (new, old)[side]
    named = run.history.fetch("SELECT input, kind, event_id, action, tick FROM steps WHERE step = $at", {"at": step})
    moments = [one.at(step=one.history.step_at(at)) for one in (old, new)]
    found = replaykit.diff(*moments)
    return StateFork(
        at=at if named else None,
        step=step,
        input=cause_text(*named[0]) if named else "the base",
        tables=tuple(name for name in found if len(found[name])) or (table,),
        rows=len(found),
        cells=found.to_frame().head(50).reset_index(drop=True),
    )
