"""The diff of one table, as a value."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from replaykit.diff import frames, show
from replaykit.diff.apply import applied
from replaykit.display import brief

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.diff.match import Comparison

__all__ = ["Diff"]


@dataclass(frozen=True, repr=False, eq=False)
class Diff:
    """What differs between two tables. Made by `diff`; holds only the rows that differ.

    Its length is the number of differing rows, and it is true if there are any. Columns that only one side has do not
    count as rows; `columns_added`, `columns_removed` and `summary` name them.
    """

    _found: Comparison

    @property
    def key(self) -> tuple[Hashable, ...] | None:
        """The columns that identify a row; None if whole rows were compared."""
        return self._found.key

    @property
    def columns_added(self) -> tuple[Hashable, ...]:
        """Columns that only after has."""
        return self._found.columns_added

    @property
    def columns_removed(self) -> tuple[Hashable, ...]:
        """Columns that only before has."""
        return self._found.columns_removed

    @property
    def types(self) -> Mapping[Hashable, tuple[str, str]]:
        """Types before and after of the columns whose types differ, equal values or not."""
        return MappingProxyType(self._found.types)

    @property
    def added(self) -> pd.DataFrame:
        """Rows of after whose key before does not have, sorted by the key, with every column of after."""
        return self._found.added.copy(deep=False)

    @property
    def removed(self) -> pd.DataFrame:
        """Rows of before whose key after does not have, sorted by the key, with every column of before."""
        return self._found.removed.copy(deep=False)

    @property
    def changed_columns(self) -> dict[Hashable, int]:
        """The columns that changed, each with its number of changed rows, in the order of before."""
        counts = self._found.mask.sum(axis=0).tolist()
        return {name: n for name, n in zip(self._found.compared, counts, strict=True) if n}

    @cached_property
    def _changed(self) -> pd.DataFrame:
        return frames.side_by_side(self._found, self.changed_columns)

    @property
    def changed(self) -> pd.DataFrame:
        """One row for each changed key: the key, then ``x_before`` and ``x_after`` of every column changed anywhere."""
        return self._changed.copy(deep=False)

    @cached_property
    def _changed_long(self) -> pd.DataFrame:
        return frames.long(self._found)

    @property
    def changed_long(self) -> pd.DataFrame:
        """One row for each changed cell: the key, ``column``, ``before``, ``after``.

        A JSON column has one row for each changed path, such as ``payload.status``; `ABSENT` stands where a path is
        not there. Missing values are None.
        """
        return self._changed_long.copy(deep=False)

    @property
    def summary(self) -> str:
        """One line: "3 added, 1 removed, 12 changed in 2 columns", and what differs about the columns."""
        return show.summary(self)

    def __len__(self) -> int:
        return len(self._found.added) + len(self._found.removed) + len(self._found.before)

    def __repr__(self) -> str:
        return brief("Diff", self.summary)

    def __str__(self) -> str:
        return self.summary

    def _repr_html_(self) -> str:
        return show.html(self)

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each differing row: ``change`` (added, removed, changed), the key, every column twice.

        ``x_before`` is empty in an added row, ``x_after`` in a removed one; changed columns come first. Without a key
        there are no pairs, and each row keeps the columns of its side.
        """
        return frames.flat(self._found, self.changed_columns)

    def to_json(self, *, indent: int | None = None) -> str:
        """Return the diff as JSON: summary, columns, added, removed, changed cells. Times are ISO 8601 with Z."""
        return show.json_text(show.json_object(self), indent)

    def apply(self, frame: object) -> pd.DataFrame:
        """Return `frame` with this diff made to it: applied to before, it gives after but for the order of rows.

        Rows stay in their place and added ones follow. Ignored columns keep what `frame` has, and cells that differed
        within a tolerance may.

        Raises
        ------
        QueryError
            `frame` lacks a row that was changed or removed, already has one that was added, or after has columns that
            before has not, whose values a diff does not hold.
        """
        return applied(self._found, frame)
