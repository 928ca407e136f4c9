"""Which rows differ: one exact pass over both sides, which returns row positions and the columns that differ in each.

No hash decides anything: columns are compared with IS DISTINCT FROM, under which NULL equals NULL and NaN equals NaN.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from replaykit.connection import memory
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb
    import numpy as np

    from replaykit.diff.columns import ColumnPair

__all__ = ["RowMatch", "key_problems", "match_bags", "match_keys", "places_of", "private_cursor"]

_LISTED = 5


@lru_cache(maxsize=1)
def _instance(process: int) -> duckdb.DuckDBPyConnection:  # noqa: ARG001  a fork has none of the engine's threads
    return memory()


@contextmanager
def private_cursor() -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection of its own to an empty instance that all diffs of the process share.

    Opening an instance takes as long as a small diff. What a diff registers is seen by its own connection alone and
    goes with it.
    """
    cursor = _instance(os.getpid()).cursor()
    try:
        cursor.execute("SET enable_progress_bar = false")
        yield cursor
    finally:
        cursor.close()


@dataclass(frozen=True)
class RowMatch:
    """Row positions of what differs, each sorted by the key."""

    added: np.ndarray[Any, Any]
    """Positions in after of rows whose key before does not have."""
    removed: np.ndarray[Any, Any]
    """Positions in before of rows whose key after does not have."""
    before: np.ndarray[Any, Any]
    after: np.ndarray[Any, Any]
    """Positions of the two rows of each key on both sides whose cells differ."""
    mask: np.ndarray[Any, Any]
    """One row for each of these pairs, one column for each compared column: whether the cell differs."""


def _register(connection: duckdb.DuckDBPyConnection, pairs: Sequence[ColumnPair], rows: tuple[int, int]) -> None:
    """Make both sides visible as `before` and `after`, with columns c0, c1, ... and the row position i.

    Own names keep names that differ only in case apart, which the engine would take for one.
    """
    import numpy as np
    import pyarrow as pa

    for side, length in zip(("before", "after"), rows, strict=True):
        columns = {f"c{number}": getattr(pair, side) for number, pair in enumerate(pairs)}
        connection.register(side, pa.table({"i": np.arange(length), **columns}))


def match_keys(
    connection: duckdb.DuckDBPyConnection,
    pairs: Sequence[ColumnPair],
    keys: int,
    rows: tuple[int, int],
    tolerances: Mapping[int, tuple[str, float]],
) -> RowMatch:
    """Return what differs between two sides whose first `keys` columns identify a row.

    `tolerances` holds, by column number, the condition under which two different cells count as equal, and the
    value bound to its parameter, which is named ``$t`` and that number.
    """
    import numpy as np

    if rows == (0, 0):
        none = np.zeros(0, dtype=np.int64)
        return RowMatch(none, none, none, none, np.zeros((0, len(pairs) - keys), dtype=bool))
    _register(connection, pairs, rows)
    limits = {f"t{number}": limit for number, (_, limit) in tolerances.items()}
    differs = [_differs(number, tolerances.get(number)) for number in range(keys, len(pairs))]
    flags = "".join(f", {condition} AS d{number}" for number, condition in enumerate(differs))
    order = ", ".join(f"coalesce(b.c{number}, a.c{number})" for number in range(keys))

    def run(joined: str, unmatched: str) -> list[np.ndarray[Any, Any]]:
        where = " OR ".join([unmatched, *differs])
        query = (
            f"SELECT coalesce(b.i, -1) AS b, coalesce(a.i, -1) AS a{flags} FROM {joined} WHERE {where} ORDER BY {order}"
        )
        return [np.asarray(column) for column in connection.execute(query, limits).fetchnumpy().values()]

    found = None
    if _aligned(pairs[:keys]):
        found = run("before AS b POSITIONAL JOIN after AS a", "b.i IS DISTINCT FROM a.i")
    # The second test holds even if the engine should ever scan the two sides in different orders.
    if found is None or (found[0] != found[1]).any():
        on = " AND ".join(f"b.c{number} = a.c{number}" for number in range(keys))
        found = run(f"before AS b FULL JOIN after AS a ON {on}", "b.i IS NULL OR a.i IS NULL")
    return _row_match(found)


def _row_match(found: list[np.ndarray[Any, Any]]) -> RowMatch:
    import numpy as np

    left, right, *cells = found
    both = (left >= 0) & (right >= 0)
    mask = np.column_stack([cell[both] for cell in cells]) if cells else np.zeros((int(both.sum()), 0), dtype=bool)
    return RowMatch(right[left < 0], left[right < 0], left[both], right[both], mask.astype(bool))


def _aligned(keys: Sequence[ColumnPair]) -> bool:
    """Return whether both sides have the same keys in the same order: then rows pair by place, three times as fast."""
    import pyarrow as pa

    def whole(array: Any) -> Any:
        return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])

    return all(len(pair.before) == len(pair.after) and whole(pair.before).equals(whole(pair.after)) for pair in keys)


def _differs(number: int, unless: tuple[str, float] | None) -> str:
    distinct = f"b.c{number} IS DISTINCT FROM a.c{number}"
    return distinct if unless is None else f"({distinct} AND NOT coalesce({unless[0]}, false))"


def match_bags(
    connection: duckdb.DuckDBPyConnection, pairs: Sequence[ColumnPair], rows: tuple[int, int], compared: int
) -> RowMatch:
    """Return which rows one side has more often than the other, comparing whole rows."""
    import numpy as np

    _register(connection, pairs, rows)
    names = ", ".join(f"c{number}" for number in range(len(pairs)))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE surplus AS SELECT {names}, sum(n)::BIGINT AS n FROM (SELECT {names}, 1 AS n "
        f"FROM before UNION ALL SELECT {names}, -1 FROM after) GROUP BY {names} HAVING sum(n) <> 0"
    )
    removed, added = (_surplus_rows(connection, side, len(pairs)) for side in ("before", "after"))
    nothing = np.zeros(0, dtype=np.int64)
    return RowMatch(added, removed, nothing, nothing, np.zeros((0, compared), dtype=bool))


def _surplus_rows(connection: duckdb.DuckDBPyConnection, side: str, columns: int) -> np.ndarray[Any, Any]:
    """Return the positions of rows that `side` has more often; of equal rows the last ones."""
    import numpy as np

    same = " AND ".join(f"t.c{number} IS NOT DISTINCT FROM g.c{number}" for number in range(columns))
    order = ", ".join(f"c{number}" for number in range(columns))
    sign = "" if side == "before" else "-"
    found = connection.execute(
        f"SELECT i FROM (SELECT t.*, {sign}g.n AS extra, row_number() OVER (PARTITION BY g.rowid ORDER BY t.i DESC) "
        f"AS place FROM {quote(side)} AS t JOIN surplus AS g ON {same}) WHERE place <= extra ORDER BY {order}, i"
    ).fetchnumpy()
    return np.asarray(found["i"])


def key_problems(
    connection: duckdb.DuckDBPyConnection, columns: Sequence[Any], rows: int
) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the positions of rows with an empty key, and (first position, rows) of repeated keys; at most 5 each."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not rows:
        return [], []
    empty: set[int] = set()
    for column in columns:
        if column.null_count:
            empty |= set(np.flatnonzero(np.asarray(pc.is_null(column)))[:_LISTED].tolist())
    if is_unique(connection, columns, rows):
        return sorted(empty)[:_LISTED], []
    names = ", ".join(f"c{number}" for number in range(len(columns)))
    filled = " AND ".join(f"c{number} IS NOT NULL" for number in range(len(columns)))
    connection.register("keyed", pa.table({"i": np.arange(rows), **_named(columns)}))
    repeated = connection.execute(
        f"SELECT min(i), count(*) FROM keyed WHERE {filled} GROUP BY {names} HAVING count(*) > 1 "
        f"ORDER BY count(*) DESC, min(i) LIMIT {_LISTED}"
    ).fetchall()
    return sorted(empty)[:_LISTED], repeated


def _named(columns: Sequence[Any]) -> dict[str, Any]:
    return {f"c{number}": column for number, column in enumerate(columns)}


def is_unique(connection: duckdb.DuckDBPyConnection, columns: Sequence[Any], rows: int) -> bool:
    """Return whether no two rows agree in all of these columns."""
    import pandas as pd
    import pyarrow as pa

    if len(columns) == 1 and pa.types.is_integer(columns[0].type) and not columns[0].null_count:
        return bool(pd.Index(columns[0].to_numpy()).is_unique)
    connection.register("keyed", pa.table(_named(columns)))
    names = ", ".join(f"c{number}" for number in range(len(columns)))
    found = connection.execute(f"SELECT count(*) FROM (SELECT DISTINCT {names} FROM keyed)").fetchall()
    return bool(found[0][0] == rows)


def places_of(
    connection: duckdb.DuckDBPyConnection, pairs: Sequence[ColumnPair], rows: tuple[int, int]
) -> np.ndarray[Any, Any]:
    """Return for each row of before its position in after by all of `pairs`, -1 where there is none."""
    import numpy as np

    _register(connection, pairs, rows)
    on = " AND ".join(f"b.c{number} = a.c{number}" for number in range(len(pairs)))
    found = connection.execute(
        f"SELECT coalesce(a.i, -1) AS place FROM before AS b LEFT JOIN after AS a ON {on} ORDER BY b.i"
    ).fetchnumpy()
    return np.asarray(found["place"])
