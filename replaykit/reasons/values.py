"""What a decision rested on, and what stopped one, as values: cells, obstacles, and how they are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.display import show_value
from replaykit.errors import show_time

if TYPE_CHECKING:
    from datetime import datetime

    from replaykit.blame import Blame

__all__ = ["ANY", "Cell", "Need", "Obstacle", "Threshold", "amount", "cell_name", "row_name"]

_CELL = 60


class _Any:
    """Stands for no value in particular."""

    def __repr__(self) -> str:
        return "ANY"


ANY = _Any()


def row_name(table: str, key: tuple[Any, ...]) -> str:
    """Return how sentences name a row: ``beads[b12]``."""
    return f"{table}[{'/'.join(show_value(part, _CELL) for part in key)}]"


def cell_name(table: str, key: tuple[Any, ...], column: str) -> str:
    """Return how sentences name a cell: ``beads[b12].status``."""
    return f"{row_name(table, key)}.{column}"


@dataclass(frozen=True)
class Cell:
    """One cell a rule read on its way to a decision."""

    table: str
    key: tuple[Any, ...]
    column: str
    value: Any
    where: str
    """Where it was read: ``bead_rules.py:41`` and the source line, or the condition of a SQL rule."""
    blame: Blame | None = None
    """Which step last set it, and what was behind that step."""
    decisive: bool | None = None
    """Whether the decision falls once what that step wrote to the row is undone: a row that it inserted, or that was in
    the base, goes. None if that was not tried."""

    @property
    def name(self) -> str:
        """``beads[b12].status``."""
        return cell_name(self.table, self.key, self.column)


@dataclass(frozen=True)
class Need:
    """A value that would let a rule pass the place at which it stopped."""

    table: str
    key: tuple[Any, ...]
    column: str
    value: Any
    instead_of: Any = ANY
    """Where only one value won't do: that one. `value` is then an example of what would."""

    @property
    def sentence(self) -> str:
        """What to set, in words."""
        name = cell_name(self.table, self.key, self.column)
        if self.instead_of is ANY:
            return f"{name} = {show_value(self.value, _CELL)}"
        return f"{name} other than {show_value(self.instead_of, _CELL)}, such as {show_value(self.value, _CELL)}"


@dataclass(frozen=True)
class Threshold:
    """A comparison with the clock that has not turned yet."""

    actual: Any
    """What was compared: a timedelta such as the age of a heartbeat, a datetime, or a number."""
    needed: Any
    """What it was compared with, of the same type."""
    turns_at: datetime
    """The instant at which the comparison turns, if nothing is written until then; naive UTC."""
    due_tick: int | None
    """The first tick at which it has turned; None if the ticks of this replay end before."""
    due_at: datetime | None
    """When that tick is."""

    @property
    def sentence(self) -> str:
        """By how much it is missed and when it is due."""
        told = f"{amount(self.actual)}, needs {amount(self.needed)}"
        when = self.due_at if self.due_at is not None else self.turns_at
        return f"{told}; due at {show_time(when)}" + ("" if self.due_at is not None else ", after the last tick")


def amount(value: Any) -> str:
    """Return a value as sentences show it: spans of time in seconds."""
    if hasattr(value, "total_seconds"):
        seconds = value.total_seconds()
        return f"{seconds:,.0f} s" if seconds == int(seconds) else f"{seconds:,.3f} s"
    return show_value(value, _CELL)


@dataclass(frozen=True)
class Obstacle:
    """What stopped one rule from emitting one action at one tick."""

    rule: str
    tick: int
    at: datetime
    """The clock of the tick, naive UTC."""
    step: int
    stop: str
    """``left out`` by a find, ``turned away`` at a line, ``condition`` of a SQL rule, ``blocked`` by rows, ``no row``
    of that key, ``not reached``, ``raised``, ``other fields``, ``emitted`` (nothing stopped it) or ``unknown``."""
    where: str
    """``bead_rules.py:41`` or the clause of a SQL rule; empty if there is no such place."""
    source: str
    """The source line or condition that stopped it."""
    reason: str
    """What it came upon, in words."""
    cells: tuple[Cell, ...] = ()
    """What it had read of the entity and on the way to the decision, the cells of the place that stopped it first."""
    needs: tuple[Need, ...] = ()
    """Values that would let it pass this place, if that can be told; all of them together."""
    threshold: Threshold | None = None
    since: datetime | None = None
    """Since when it has been so: when the last of the place's cells was set; None since the base."""
    beyond: str = ""
    """What could not be looked into, and why."""

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        where = f" ({self.where})" if self.where else ""
        parts = [f"{self.rule}: {self.reason}{where}"]
        if self.threshold is not None:
            parts.append(self.threshold.sentence)
        elif self.needs:
            parts.append("needs " + " and ".join(need.sentence for need in self.needs))
        if self.since is not None and self.threshold is None:
            parts.append(f"so since {show_time(self.since)}")
        return "; ".join([*parts, *([self.beyond] if self.beyond else [])]) + "."
