"""Diffs of several tables at once, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.diff import frames, show
from replaykit.diff.sources import HasTables, tables_of
from replaykit.errors import QueryError, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from replaykit.diff import Diff

__all__ = ["TablesDiff"]


@dataclass(frozen=True, repr=False, eq=False)
class TablesDiff:
    """What differs between two sets of tables: ``found["beads"]`` is the `Diff` of one. Made by `diff`.

    Its length is the number of differing rows in all tables. A table that one side lacks counts as empty there.
    """

    tables: Mapping[str, Diff]
    """Every table of either side, by name in sorted order."""
    tables_added: tuple[str, ...]
    tables_removed: tuple[str, ...]

    def __getitem__(self, table: str) -> Diff:
        if table not in self.tables:
            raise QueryError(f"The diff has no table {excerpt(table)}; its tables are {list(self.tables)}.")
        return self.tables[table]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __contains__(self, table: object) -> bool:
        return table in self.tables

    def __len__(self) -> int:
        return sum(map(len, self.tables.values()))

    @property
    def added(self) -> dict[str, pd.DataFrame]:
        """Added rows of each table that has any."""
        return {name: found.added for name, found in self.tables.items() if len(found.added)}

    @property
    def removed(self) -> dict[str, pd.DataFrame]:
        """Removed rows of each table that has any."""
        return {name: found.removed for name, found in self.tables.items() if len(found.removed)}

    @property
    def changed(self) -> dict[str, pd.DataFrame]:
        """Changed rows of each table that has any, side by side."""
        return {name: found.changed for name, found in self.tables.items() if len(found.changed)}

    @property
    def changed_long(self) -> pd.DataFrame:
        """One row for each changed cell of all tables: ``table``, ``key`` (JSON), ``column``, ``before``, ``after``."""
        return frames.joined(
            {name: show.with_json_key(found) for name, found in self.tables.items()},
            ("table", "key", "column", "before", "after"),
        )

    @property
    def count(self) -> str:
        """How many rows differ in how many tables, in words."""
        return show.tables_count(self.tables)

    @property
    def summary(self) -> str:
        """One line: how many rows differ in which tables."""
        return show.tables_summary(self.tables, self.tables_added, self.tables_removed)

    def __repr__(self) -> str:
        return f"TablesDiff({self.count})"

    def __str__(self) -> str:
        return self.summary

    def _repr_html_(self) -> str:
        return show.tables_html(self.tables, self.summary)

    def to_frame(self) -> pd.DataFrame:
        """Return one row for each differing row: ``table``, ``change``, and as JSON ``key`` and ``columns``.

        ``columns`` holds the changed cells, or the whole row if it was added or removed.
        """
        return frames.joined(
            {name: show.row_texts(found) for name, found in self.tables.items()},
            ("table", "change", "key", "columns"),
        )

    def to_json(self, *, indent: int | None = None) -> str:
        """Return every table's diff as one JSON object, by table."""
        found = {name: show.json_object(found) for name, found in self.tables.items()}
        return show.json_text({"summary": self.summary, "tables": found}, indent)

    def apply(self, tables: Mapping[str, Any] | HasTables) -> dict[str, pd.DataFrame]:
        """Return the tables with this diff made to them, each as `Diff.apply` does."""
        several = tables_of(tables)
        if several is None:
            raise QueryError(f"A diff of several tables applies to a dict of them, not to a {type(tables).__name__}.")
        kept = [name for name in self.tables if name not in self.tables_removed]
        given = several.tables
        return {name: self.tables[name].apply(given.get(name, self.tables[name].added.iloc[:0])) for name in kept}
