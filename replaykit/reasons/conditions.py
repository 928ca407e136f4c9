"""Condition: one condition of a rule in SQL on the rows it was asked of, held or failed, with what it came upon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replaykit.reasons.values import Cell, Need, Threshold

__all__ = ["Condition"]


@dataclass(frozen=True)
class Condition:
    """One of the conditions that AND joins in a rule, asked of the rows that come nearest to what was looked for."""

    text: str
    """The condition as the rule has it."""
    clause: str
    """``WHERE``, ``ON``, ``HAVING``, ``EXISTS``, ``NOT IN`` and so on."""
    held: bool | None
    """None where SQL says NULL, which lets no row through either, or where it can't be asked alone."""
    said: str
    """The actual values, in words."""
    cells: tuple[Cell, ...] = ()
    """The cells it read."""
    blockers: tuple[Cell, ...] = ()
    """For NOT EXISTS and NOT IN: the cells of the rows that were there, at most five rows."""
    threshold: Threshold | None = None
    """For a comparison with the clock that time alone will turn."""
    needs: tuple[Need, ...] = ()
    """Values that would let it hold, all of them together."""

    @property
    def sentence(self) -> str:
        """The condition and what it came upon."""
        verdict = {True: "held", False: "failed", None: "is neither true nor false"}[self.held]
        return f"condition {self.text} {verdict}" + (f": {self.said}" if self.said else "")
