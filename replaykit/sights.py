"""Sight: what one statement sees of one state table, kept while the table changes."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from replaykit.readings import differs, is_exact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replaykit.readings import Reading
    from replaykit.rows import Row
    from replaykit.state_table import Change, StateTable

__all__ = ["Sight"]

_MANY = 200  # rows up to which comparing all that a statement sees is worth more than asking it


class Sight:
    """The rows that one statement lets in, reduced to the columns it reads."""

    def __init__(self, reading: Reading, table: StateTable, types: Mapping[str, str]) -> None:
        columns = sorted(reading.columns)
        self.differs = differs(columns, types)
        self._sees = reading.sees
        self._table = table
        self._values: Callable[[Row], Any] = itemgetter(*columns) if columns else lambda _row: None
        self._comparable = is_exact(columns, types)
        # Key to insertion number and values. None if there are too many, or after `forget` until they are looked at.
        self._rows: dict[Any, tuple[int, Any]] | None = None
        self._looked = False

    def take(self, change: Change) -> bool:
        """Take note of a change; returns whether it was in sight."""
        _, _, key, new, old, born = change
        if old is not None and new is not None and not self.differs(old, new):
            return False
        seen = new if new is not None and self._sees(new) else None
        if seen is None and (old is None or not self._sees(old)):
            return False
        if self._rows is not None:
            if seen is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = (born, self._values(seen))
                self._rows = self._rows if len(self._rows) <= _MANY else None
        return True

    def forget(self) -> None:
        """Say that the table went back to what it was."""
        self._rows, self._looked = None, False

    def contents(self) -> tuple[Any, ...] | None:
        """Return what is in sight, in insertion order; None if it is too much, or can't be compared."""
        if not self._looked:
            self._looked = True
            self._rows = self._look() if self._comparable else None
        return None if self._rows is None else tuple([values for _, values in sorted(self._rows.values(), key=_born)])

    def _look(self) -> dict[Any, tuple[int, Any]] | None:
        found: dict[Any, tuple[int, Any]] = {}
        for key, row in self._table._rows.items():
            if self._sees(row):
                found[key] = (self._table._born[key], self._values(row))
                if len(found) > _MANY:
                    return None
        return found


_born = itemgetter(0)
