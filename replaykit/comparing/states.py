"""States: the first change in which two histories differ, and what differs when they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.causes import cause_text
from replaykit.display import count
from replaykit.errors import show_time
from replaykit.sql import quote

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    import pyarrow as pa

    from replaykit.history import History
    from replaykit.replayed import Replay

__all__ = ["StateFork", "first_fork"]

_FRACTIONS = ("DOUBLE", "FLOAT", "REAL", "FLOAT4", "FLOAT8")


@dataclass(frozen=True)
class StateFork:
    """The first step after which two replays' states differ."""

    step: int
    at: datetime | None
    """The clock at that step, naive UTC."""
    input: str
    """What the step applied in the new replay, in words."""
    tables: tuple[str, ...]
    rows: int
    """How many rows differ after that step."""
    cells: pd.DataFrame
    """What differs after that step: ``table``, ``change``, ``key`` and ``columns`` as JSON; at most 50 rows."""

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        tables = ", ".join(self.tables)
        return f"the state differs from step {self.step:,} on ({show_time(self.at)}, {self.input}): " + (
            f"{count(self.rows, 'row')} of {tables}" if self.rows else "rows of one step are in another order"
        )


def first_fork(old: Replay, new: Replay) -> StateFork | None:
    """Return where the states of two replays part; None if every table was the same after every step."""
    steps = [
        step
        for table in sorted({*old.history.tables, *new.history.tables})
        if (step := _fork_of(old.history, new.history, table)) is not None
    ]
    return _told(old, new, min(steps)) if steps else None


def _fork_of(old: History, new: History, table: str) -> int | None:
    """Return the first step after which a table differs."""
    if table not in old.keys or table not in new.keys:
        return 0
    mine, theirs = _versions(old, table), _versions(new, table)
    if mine.schema != theirs.schema:
        return 0
    if mine.equals(theirs):
        return None
    rows = min(len(mine), len(theirs))
    ends = [one.slice(0, rows)["valid_to"].combine_chunks() for one in (mine, theirs)]
    cells = [one.drop_columns(["valid_to"]) for one in (mine, theirs)]
    first = _first_unequal(*cells)
    steps = [one["valid_from"][first].as_py() for one in cells if first < len(one)]
    steps += _ends_before(ends[0].slice(0, first), ends[1].slice(0, first))
    return min(steps, default=None)


def _versions(history: History, table: str) -> pa.Table:
    # As text a fraction is the same to the last bit, and one that is no number equals itself.
    listed = [
        f"CAST({quote(name)} AS VARCHAR) AS {quote(name)}" if type in _FRACTIONS else quote(name)
        for name, type in history.columns(table).items()
    ]
    listed = ["born", "valid_from", "valid_to", *listed]
    return history.arrow(f"SELECT {', '.join(listed)} FROM history.{quote(table)} ORDER BY change")


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


def _ends_before(one: pa.Array, other: pa.Array) -> list[int]:
    """Return the steps at which a version ended in one of two histories and not, or later, in the other."""
    if one.equals(other):
        return []
    pairs = zip(one.to_pylist(), other.to_pylist(), strict=True)
    return [min(end for end in pair if end is not None) for pair in pairs if pair[0] != pair[1]]


def _told(old: Replay, new: Replay, step: int) -> StateFork:
    import replaykit

    moments = [run.at(step=min(step, run.after_step)) for run in (old, new)]
    found = replaykit.diff(*moments)
    run = new if step <= new.after_step else old
    named = run.history.fetch(
        "SELECT input, kind, event_id, action, tick, applied_at FROM steps WHERE step = $step", {"step": step}
    )
    words = cause_text(*named[0][:5]) if named else "the base"
    at: Any = named[0][5] if named else run.plan.base.at
    tables = tuple(name for name in found if len(found[name]))
    return StateFork(step, at, words, tables, len(found), found.to_frame().head(50).reset_index(drop=True))
