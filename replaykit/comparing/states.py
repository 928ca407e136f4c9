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
    """The tables that differ after that instant."""
    rows: int
    """How many of their rows do."""
    cells: pd.DataFrame
    """What differs after that instant: ``table``, ``change``, ``key`` and ``columns`` as JSON; at most 50 rows."""

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        tables = ", ".join(self.tables)
        found = f"{count(self.rows, 'row')} of {tables}" if self.rows else "what was changed on the way"
        return f"the states differ from {show_time(self.at)} on ({self.input}): {found}"


def first_fork(old: Replay, new: Replay) -> StateFork | None:
    """Return where the states of two replays part; None if every version of every row was valid at the same times.

    Times are compared and not steps: where inputs or applied actions differ, the same change is another step.
    """
    forks = [
        fork
        for table in sorted({*old.history.tables, *new.history.tables})
        if (fork := _fork_of(old.history, new.history, table)) is not None
    ]
    return _told(old, new, *min(forks)) if forks else None


Fork = tuple[datetime, int, int]
"""Clock, 0 for a step of the new replay and 1 for one of the old, and the step."""


def _fork_of(old: History, new: History, table: str) -> Fork | None:
    """Return the first change in which the histories of a table differ."""
    if table not in old.keys or table not in new.keys:
        return (datetime.min, 0, 0)  # noqa: DTZ901 - naive UTC
    mine, theirs = _versions(old, table), _versions(new, table)
    if mine.schema != theirs.schema:
        return (datetime.min, 0, 0)  # noqa: DTZ901 - naive UTC
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


def _versions(history: History, table: str) -> pa.Table:
    # As text a fraction is the same to the last bit, and one that is no number equals itself.
    listed = [
        f"CAST(v.{quote(name)} AS VARCHAR) AS c{number}" if type in _FRACTIONS else f"v.{quote(name)} AS c{number}"
        for number, (name, type) in enumerate(history.columns(table).items())
    ]
    return history.arrow(
        f"SELECT v.born, f.applied_at AS since, t.applied_at AS until, v.valid_from, v.valid_to, {', '.join(listed)} "
        f"FROM history.{quote(table)} v LEFT JOIN steps f ON f.step = v.valid_from "
        "LEFT JOIN steps t ON t.step = v.valid_to ORDER BY v.change"
    )


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


def _told(old: Replay, new: Replay, at: datetime, side: int, step: int) -> StateFork:
    import replaykit

    run = (new, old)[side]
    named = run.history.fetch("SELECT input, kind, event_id, action, tick FROM steps WHERE step = $at", {"at": step})
    moments = [one.at(step=one.history.step_at(at)) for one in (old, new)]
    found = replaykit.diff(*moments)
    return StateFork(
        at=at if named else None,
        step=step,
        input=cause_text(*named[0]) if named else "the base",
        tables=tuple(name for name in found if len(found[name])),
        rows=len(found),
        cells=found.to_frame().head(50).reset_index(drop=True),
    )
