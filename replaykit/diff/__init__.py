"""Diffs: which rows were added, removed and changed between two tables, or two sets of tables, exactly.

`diff` finds the rows in one pass and holds them; everything a `Diff` offers after that is arrangement of held rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

from replaykit.diff import frames, show
from replaykit.diff.apply import applied
from replaykit.diff.match import compare
from replaykit.diff.options import options_of
from replaykit.diff.rows import private_cursor
from replaykit.diff.sources import source_of, tables_of, with_index_names
from replaykit.diff.tables import TablesDiff
from replaykit.display import brief
from replaykit.errors import KeyDiffError, QueryError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from replaykit.diff.match import Comparison
    from replaykit.diff.options import Options, Tolerance
    from replaykit.diff.sources import HasTables, TablesAndKeys

__all__ = ["Diff", "TablesDiff", "diff"]


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


@overload
def diff(
    before: pd.DataFrame,
    after: object,
    *,
    key: Any = None,
    ignore: Iterable[Hashable] = (),
    tolerance: Tolerance | Mapping[Any, Tolerance] | None = None,
    json: Iterable[Hashable] = (),
) -> Diff: ...


@overload
def diff(
    before: Mapping[str, Any] | HasTables,
    after: Mapping[str, Any] | HasTables,
    *,
    key: Any = None,
    ignore: Iterable[Hashable] = (),
    tolerance: Tolerance | Mapping[Any, Tolerance] | None = None,
    json: Iterable[Hashable] = (),
) -> TablesDiff: ...


@overload
def diff(
    before: object,
    after: object,
    *,
    key: Any = None,
    ignore: Iterable[Hashable] = (),
    tolerance: Tolerance | Mapping[Any, Tolerance] | None = None,
    json: Iterable[Hashable] = (),
) -> Diff | TablesDiff: ...


def diff(
    before: object,
    after: object,
    *,
    key: Any = None,
    ignore: Iterable[Hashable] = (),
    tolerance: Tolerance | Mapping[Any, Tolerance] | None = None,
    json: Iterable[Hashable] = (),
) -> Diff | TablesDiff:
    """Return which rows were added, removed and changed between two tables or two sets of tables.

    The comparison is exact: no hash decides, no type is rounded. NULL equals NULL, NaN equals NaN, and in pandas, where
    either stands for a missing value, they equal each other. A naive time is UTC. 1 equals 1.0 and True, not "1".

    Parameters
    ----------
    before, after
        DataFrames, Arrow tables, DuckDB relations; or, for several tables at once, dicts of those, Snapshots, Moments
        or Replays. A relation is fetched once. Neither is changed or kept.
    key
        The column or columns that identify a row, or ``"index"``. None compares whole rows, counting repeated ones.
        For several tables a dict by table; without one the keys that `before` and `after` declare are used.
    ignore
        Columns not compared.
    tolerance
        How far apart two values may lie and count as equal: a number for all number columns, ``"0.1%"`` of the larger
        absolute value, a timedelta for all time columns, or a dict of those by column. The limit itself is within.
    json
        Columns of JSON text, or of dicts and lists, to compare by path; absent and null differ.

    Returns
    -------
    Diff or TablesDiff
        Rows are held in memory, sorted by the key.

    Raises
    ------
    KeyDiffError
        A key column is missing, empty in some row, or does not tell rows apart; the message lists them.
    QueryError
        An option names a column that is not there, or a side is no table.
    """
    options = options_of(ignore, tolerance, json)
    several = tables_of(before), tables_of(after)
    with private_cursor() as connection:
        if several[0] is None and several[1] is None:
            return _diff_one(connection, before, after, key, options)
        if several[0] is None or several[1] is None:
            one, many = ("before", "after") if several[0] is None else ("after", "before")
            raise QueryError(f"{one} is one table and {many} holds several; pick one with {many}[name].")
        return _diff_several(connection, several[0], several[1], key, options)


def _diff_one(connection: duckdb.DuckDBPyConnection, before: object, after: object, key: Any, options: Options) -> Diff:
    by_index = isinstance(key, str) and key == "index" and "index" not in getattr(before, "columns", ())
    left, right = source_of(before, "before", by_index=by_index), source_of(after, "after", by_index=by_index)
    if by_index:
        right = with_index_names(right, left.index_names)
    names = left.index_names if by_index else _key_names(key, left.names)
    return Diff(compare(connection, left, right, replace(options, key=names)))


def _key_names(key: Any, available: tuple[Hashable, ...]) -> tuple[Hashable, ...] | None:
    if key is None or (isinstance(key, (list, tuple)) and not key):
        return None
    # A tuple is one column where columns have several levels.
    if isinstance(key, str) or not isinstance(key, Iterable) or (isinstance(key, tuple) and key in available):
        return (key,)
    return tuple(key)


def _diff_several(
    connection: duckdb.DuckDBPyConnection, before: TablesAndKeys, after: TablesAndKeys, key: Any, options: Options
) -> TablesDiff:
    keys = _table_keys(before, after, key)
    pairs = {table: _both(before, after, table) for table in sorted({*before.tables, *after.tables})}
    columns = {table: {name for side in pair for name in source_of(side, table).names} for table, pair in pairs.items()}
    options.check_names(set().union(*columns.values()))
    found = {
        table: _diff_one(connection, *pair, keys.get(table), options.within(columns[table], table))
        for table, pair in pairs.items()
    }
    only = [tuple(sorted(one.tables.keys() - other.tables.keys())) for one, other in ((after, before), (before, after))]
    return TablesDiff(MappingProxyType(found), *only)


def _both(before: TablesAndKeys, after: TablesAndKeys, table: str) -> tuple[object, object]:
    """Return a table of both sides; where one lacks it, an empty one."""
    old, new = before.tables.get(table), after.tables.get(table)
    return _emptied(new) if old is None else old, _emptied(old) if new is None else new


def _emptied(table: object) -> pd.DataFrame:
    import numpy as np

    return source_of(table, "the table").take(np.zeros(0, dtype=np.int64))


def _table_keys(before: TablesAndKeys, after: TablesAndKeys, key: Any) -> dict[str, Any]:
    """Return each table's key: as the caller says, else as the two sides declare it."""
    tables = {*before.tables, *after.tables}
    if isinstance(key, Mapping):
        unknown = sorted(map(repr, set(key) - tables))
        if unknown:
            raise QueryError(f"key= names the table {unknown[0]}, which neither side has; there are {sorted(tables)}.")
        return dict(key)
    if key is not None:
        return dict.fromkeys(tables, key)
    for table in sorted(before.keys.keys() & after.keys.keys()):
        if before.keys[table] != after.keys[table]:
            raise KeyDiffError(
                f"Table {table!r} has the key {before.keys[table]} before and {after.keys[table]} after; "
                f"say which with key={{{table!r}: [...]}}."
            )
    return {**before.keys, **after.keys}
