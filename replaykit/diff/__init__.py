"""Diffs: which rows were added, removed and changed between two tables, or two sets of tables, exactly.

`diff` finds the rows in one pass and holds them; everything a `Diff` offers after that is arrangement of held rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, overload

from replaykit.diff.match import compare
from replaykit.diff.moments import enclosed, narrowed
from replaykit.diff.one import Diff
from replaykit.diff.options import options_of
from replaykit.diff.rows import private_cursor
from replaykit.diff.sources import source_of, tables_of, with_index_names
from replaykit.diff.tables import TablesDiff
from replaykit.errors import KeyDiffError, QueryError
from replaykit.gross import GrossDiff, gross_diff

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from replaykit.diff.options import Options, Tolerance
    from replaykit.diff.sources import HasTables, TablesAndKeys

__all__ = ["Diff", "GrossDiff", "TablesDiff", "diff"]


@overload
def diff(before: object, after: object, *, gross: Literal[True]) -> GrossDiff: ...


@overload
def diff(
    before: pd.DataFrame,
    after: object,
    *,
    key: Any = None,
    ignore: Iterable[Hashable] = (),
    tolerance: Tolerance | Mapping[Any, Tolerance] | None = None,
    json: Iterable[Hashable] = (),
    gross: Literal[False] = False,
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
    gross: Literal[False] = False,
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
    gross: Literal[False] = False,
) -> Diff | TablesDiff: ...


def diff(
    before: object,
    after: object,
    *,
    key: Any = None,
    ignore: Iterable[Hashable] = (),
    tolerance: Tolerance | Mapping[Any, Tolerance] | None = None,
    json: Iterable[Hashable] = (),
    gross: bool = False,
) -> Diff | TablesDiff | GrossDiff:
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
    gross
        Every change between two moments of one replay, also what was undone again; no other option goes with it.

    Returns
    -------
    Diff, TablesDiff or GrossDiff
        Rows are held in memory, sorted by the key; those of a gross diff in the order in which they were made.

    Raises
    ------
    KeyDiffError
        A key column is missing, empty in some row, or does not tell rows apart; the message lists them.
    QueryError
        An option names a column that is not there, or a side is no table; or a gross diff of what is not two moments
        of one replay, the earlier one first.
    """
    if gross:
        return gross_diff(*enclosed(before, after, key=key, ignore=ignore, tolerance=tolerance, json=json))
    options = options_of(ignore, tolerance, json)
    # With another key rows pair otherwise, and a tolerance has to fit what a column holds in all rows.
    narrow = narrowed(before, after) if key is None and tolerance is None else None
    several = narrow or (tables_of(before), tables_of(after))
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
