"""Gross diffs: every change between two moments of a replay, and which of them a net diff of the two does not show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.churn import changes_of, lives_between
from replaykit.display import brief, count, note_html, table_html

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from replaykit.history import History
    from replaykit.lifelines import Lifelines

__all__ = ["GrossDiff", "gross_diff"]

CELL = "changed and came back"
WENT = "came and went"
AGAIN = "went and came back"
_COUNTS = ("changes", "cells", "inserted", "deleted", "cells_back", "rows_gone", "rows_back")


@dataclass(frozen=True, repr=False, eq=False)
class GrossDiff:
    """Every change between two moments of one replay. Made by ``rk.diff(before, after, gross=True)``.

    Its length is the number of changes: of cells, insertions and deletions.
    """

    first: int
    """The step after which it begins."""
    last: int
    """The last step in it."""
    changes: pd.DataFrame
    """One row for each change, in the order in which they were made, as `replaykit.churn.churn` gives them: ``kept``
    says whether it is still so after the last step."""
    churned: pd.DataFrame
    """What was undone again: ``table``, ``key``, ``column``, ``what``, ``changes`` (how many), ``value``.

    ``changed and came back``: a cell that is what it was, ``value``. ``came and went``: a row inserted and deleted
    again; ``went and came back``: one deleted and inserted again, whatever it holds now. Both have no column, and count
    all changes of their row. In the order of tables, of insertion, and of columns."""
    tables: pd.DataFrame
    """One row for each table that changed: ``table``, ``changes`` (of cells), ``cells`` (changed), ``inserted`` and
    ``deleted`` (times), ``cells_back``, ``rows_gone`` and ``rows_back``: how many are in `churned`, by ``what``."""

    @property
    def summary(self) -> str:
        """One line: how many changes of how many cells, and how many did not last."""
        if not len(self):
            return f"nothing changed between step {self.first:,} and step {self.last:,}"
        changes, cells, inserted, deleted, *undone = (int(self.tables[name].sum()) for name in _COUNTS)
        parts = [f"{count(changes, 'change')} of {count(cells, 'cell')}"] if changes else []
        parts += [count(n, noun) for n, noun in ((inserted, "insertion"), (deleted, "deletion")) if n]
        nouns = zip(undone, ("cell", "row", "row"), (CELL, WENT, AGAIN), strict=True)
        back = [f"{count(n, noun)} {what}" for n, noun, what in nouns if n]
        return f"{', '.join(parts)}; {', '.join(back) or 'no cell or row is back where it was'}"

    def __len__(self) -> int:
        return len(self.changes)

    def __repr__(self) -> str:
        return brief("GrossDiff", self.summary)

    def __str__(self) -> str:
        return self.summary

    def _repr_html_(self) -> str:
        parts = [
            note_html(f"Steps {self.first + 1:,} to {self.last:,}: {self.summary}." if len(self) else self.summary)
        ]
        if len(self):
            parts.append(table_html(self.tables, caption="Changes by table", limit=20, more=".tables"))
        if len(self.churned):
            parts.append(table_html(self.churned, caption="What a net diff hides", limit=50, more=".churned"))
        if len(self):
            parts.append(table_html(self.changes, caption="Every change", limit=50, more=".changes"))
        return "\n".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Return `changes`, as a frame of its own."""
        return self.changes.copy()


def gross_diff(history: History, first: int, last: int) -> GrossDiff:
    """Return every change after step `first` and up to step `last`."""
    import pandas as pd

    lives = lives_between(history, first, last)
    churned: list[dict[str, Any]] = []
    counts: list[dict[str, Any]] = []
    for name, one in lives.items():
        found = _Undone(name, list(history.columns(name)), one)
        churned += found.rows()
        counts.append(found.counts)
    columns = {"table": "str", "key": "str", "column": "object", "what": "str", "changes": "int64", "value": "object"}
    return GrossDiff(
        first,
        last,
        changes_of(history, lives),
        pd.DataFrame(churned, columns=list(columns)).astype(columns),
        pd.DataFrame(counts, columns=["table", *_COUNTS]).astype(dict.fromkeys(_COUNTS, "int64")),
    )


class _Undone:
    """What was undone again in one table, counted by life: a row from its insertion to its deletion."""

    def __init__(self, name: str, columns: list[str], lives: Lifelines) -> None:
        import numpy as np

        self._name, self._columns, self._lives = name, columns, lives
        self._starts, self._ends = np.flatnonzero(lives.opens), np.flatnonzero(lives.ends)
        self._before = ~lives.inserts[self._starts]
        self._after = ~lives.deleted[self._ends]
        self._row = lives.row[self._starts]
        self._rows = int(self._row.max()) + 1
        self._sets = [self._by_life(lives.sets(number)) for number in range(len(columns))]
        self.counts: dict[str, Any] = dict.fromkeys(_COUNTS, 0) | {
            "table": name,
            "changes": int(sum(map(np.sum, self._sets))),
            "cells": sum(len(np.unique(self._row[changes > 0])) for changes in self._sets),
            "inserted": int((~self._before).sum()),
            "deleted": int((~self._after).sum()),
        }

    def _by_life(self, flags: Any) -> Any:
        import numpy as np

        return np.add.reduceat(flags.astype(np.int64), self._starts)

    def _by_row(self, values: Any) -> Any:
        """Return the sum over the lives of each row."""
        import numpy as np

        return np.bincount(self._row, weights=values, minlength=self._rows).astype(np.int64)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of `GrossDiff.churned` for this table."""
        found = sorted([*self._whole_rows(), *self._cells()], key=lambda one: one[:2])
        names = ("key", "column", "what", "changes", "value")
        return [{"table": self._name, **dict(zip(names, one[2:], strict=True))} for one in found]

    def _whole_rows(self) -> Iterator[tuple[Any, ...]]:
        import numpy as np

        there, still = self._by_row(self._before) > 0, self._by_row(self._after) > 0
        lives = self._by_row(np.ones(len(self._row)))
        changes = self._by_row(np.sum([*self._sets, ~self._before, ~self._after], axis=0))
        first = np.full(self._rows, len(self._row))
        np.minimum.at(first, self._row, np.arange(len(self._row)))
        gone, back = ~there & ~still, there & still & (lives > 1)
        for name, flags, what in (("rows_gone", gone, WENT), ("rows_back", back, AGAIN)):
            places = np.flatnonzero(flags)
            self.counts[name] = len(places)
            for place in places.tolist():
                life = int(first[place])
                yield life, -1, self._key(life), None, what, int(changes[place]), None

    def _cells(self) -> Iterator[tuple[Any, ...]]:
        import numpy as np

        for number, changes in enumerate(self._sets):
            same = self._lives.same(number, self._starts, self._ends)
            places = np.flatnonzero(self._before & self._after & (changes > 0) & same)
            self.counts["cells_back"] += len(places)
            for life in places.tolist():
                value = self._lives.cells[number][int(self._ends[life])].as_py()
                yield life, number, self._key(life), self._columns[number], CELL, int(changes[life]), value

    def _key(self, life: int) -> str:
        return str(self._lives.key[int(self._starts[life])].as_py())
