"""Changed rows: the rows of one state table that differ between a snapshot and the next, as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, excerpt
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replaykit.recording import Recording

__all__ = ["changed_sql", "state_columns", "tables_with_keys"]

# Names that no state table's own column will carry.
_PAIR = quote("replaykit: pair")
_SAME_KEY = quote("replaykit: nth row of this key")

_NEIGHBOURS = """
SELECT snapshot AS from_snapshot, lead(snapshot) OVER by_number AS to_snapshot,
       "at" AS from_at, lead("at") OVER by_number AS to_at
FROM main.snapshots WINDOW by_number AS (ORDER BY snapshot)
QUALIFY to_snapshot IS NOT NULL
"""


def state_columns(recording: Recording, table: str) -> dict[str, str]:
    """Return a state table's own columns with their DuckDB types, in stored order."""
    rows = recording._fetch(f"DESCRIBE {quote('state')}.{quote(table)}")
    return {str(row[0]): str(row[1]) for row in rows if row[0] not in ("snapshot", "row_no")}


def tables_with_keys(recording: Recording, tables: str | Sequence[str] | None) -> tuple[list[str], tuple[str, ...]]:
    """Return the state tables to look at, and those left out because they have no key.

    Raises
    ------
    QueryError
        A table that was asked for is not there, or has no key.
    """
    keyed = [table for table in recording.state_tables if recording.keys.get(table)]
    if tables is None:
        return keyed, tuple(table for table in recording.state_tables if table not in keyed)
    chosen = [tables] if isinstance(tables, str) else list(tables)
    for table in chosen:
        if table not in recording.state_tables:
            raise QueryError(
                f"No state table {excerpt(table)} in the recording; it has {list(recording.state_tables)}."
            )
        if table not in keyed:
            raise QueryError(f"State table {table!r} has no key; load it with keys={{{table!r}: 'its key column'}}.")
    return chosen, ()


def changed_sql(table: str, keys: Sequence[str], columns: Mapping[str, str], params: dict[str, Any]) -> str:
    """Return a WITH list whose ``changed`` has one row per row of `table` that differs between neighbouring snapshots.

    ``changed(change_no, key, from_snapshot, to_snapshot, from_at, to_at, change, columns, key_0, key_1, ...)``; keys
    are text, ``key`` a JSON list of them if there are several. Rows that share a key are paired in row order. `params`
    receives the named parameters.
    """
    names = [column for column in columns if column not in keys]
    differs = [f"older.{quote(name)} IS DISTINCT FROM newer.{quote(name)}" for name in names]
    params.update({f"column_{n}": name for n, name in enumerate(names)})
    changes = "".join(f", CASE WHEN {test} THEN $column_{n} END" for n, test in enumerate(differs))
    same = " AND ".join(f"older.{quote(key)} IS NOT DISTINCT FROM newer.{quote(key)}" for key in keys)
    values = ", ".join(f"coalesce(newer.{quote(key)}, older.{quote(key)}) AS sort_{n}" for n, key in enumerate(keys))
    order = ", ".join(f"sort_{n}" for n in range(len(keys)))
    texts = [f"CAST(sort_{n} AS VARCHAR)" for n in range(len(keys))]
    return f"""
neighbours AS MATERIALIZED ({_NEIGHBOURS}),
numbered AS (
    SELECT *, row_number() OVER (PARTITION BY snapshot, {", ".join(map(quote, keys))} ORDER BY row_no) AS {_SAME_KEY}
    FROM {quote("state")}.{quote(table)}
),
older AS (SELECT t.*, from_snapshot AS {_PAIR} FROM numbered AS t JOIN neighbours ON snapshot = from_snapshot),
newer AS (SELECT t.*, from_snapshot AS {_PAIR} FROM numbered AS t JOIN neighbours ON snapshot = to_snapshot),
differing AS (
    SELECT coalesce(newer.{_PAIR}, older.{_PAIR}) AS from_snapshot,
           coalesce(newer.{_SAME_KEY}, older.{_SAME_KEY}) AS nth,
           CASE WHEN older.row_no IS NULL THEN 'added' WHEN newer.row_no IS NULL THEN 'removed' ELSE 'changed' END
               AS change,
           CASE WHEN change = 'changed' THEN concat_ws(', ', NULL{changes}) ELSE '' END AS columns,
           {values}
    FROM older FULL JOIN newer ON older.{_PAIR} = newer.{_PAIR} AND older.{_SAME_KEY} = newer.{_SAME_KEY} AND {same}
    WHERE {" OR ".join(["older.row_no IS NULL", "newer.row_no IS NULL", *differs])}
),
changed AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY from_snapshot, {order}, nth) AS change_no,
           {texts[0] if len(keys) == 1 else f"CAST(to_json([{', '.join(texts)}]) AS VARCHAR)"} AS key,
           neighbours.*, change, columns, {", ".join(f"{text} AS key_{n}" for n, text in enumerate(texts))}
    FROM differing JOIN neighbours USING (from_snapshot)
)"""
