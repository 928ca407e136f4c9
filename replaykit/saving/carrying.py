"""Tables carried from one DuckDB instance into another, with their types, row by row as they were."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from replaykit.sql import quote
from replaykit.tables import quietly

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import duckdb
    import pyarrow as pa

__all__ = ["carry", "types_of"]

# Arrow has no exact word for the others: they go as DuckDB's text of them, which is exact.
_EXACT = re.compile(
    r"U?(TINY|SMALL|BIG)INT|U?INTEGER|DOUBLE|FLOAT|VARCHAR|JSON|BOOLEAN|TIMESTAMP( WITH TIME ZONE)?|DATE|BLOB"
    r"|DECIMAL\(.*\)|(STRUCT|MAP)\(.*|.*\[\d*\]"
)


def types_of(cursor: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, str]:
    """Return the columns of a table of the cursor's database, and their types as the catalog has them."""
    rows = cursor.execute(
        "SELECT column_name, data_type FROM system.main.duckdb_columns() WHERE schema_name = $schema "
        "AND table_name = $table AND database_name = current_database() ORDER BY column_index",
        {"schema": schema, "table": table},
    ).fetchall()
    return dict(rows)


def carry(
    read: Callable[[str], pa.Table],
    source: str,
    order: str,
    types: Mapping[str, str],
    into: duckdb.DuckDBPyConnection,
    target: str,
) -> None:
    """Create table `target` with these columns and types, and the rows of another instance in an order.

    Parameters
    ----------
    read
        Runs a query there.
    source
        What stands behind FROM.
    """
    columns = [(quote(name), kind, f"c{number}") for number, (name, kind) in enumerate(types.items())]
    reads = ", ".join(
        f"{name} AS {plain}" if _EXACT.fullmatch(kind) else f"CAST({name} AS VARCHAR) AS {plain}"
        for name, kind, plain in columns
    )
    rows = _quietly(read, f"SELECT {reads} FROM {source} ORDER BY {order}")
    into.execute(f"CREATE TABLE {target} ({', '.join(f'{name} {kind}' for name, kind, _ in columns)})")
    into.register("replaykit_rows", rows)
    try:
        casts = ", ".join(f"CAST({plain} AS {kind})" for _, kind, plain in columns)
        into.execute(f"INSERT INTO {target} SELECT {casts} FROM replaykit_rows")
    finally:
        into.unregister("replaykit_rows")


def _quietly(read: Callable[[str], Any], query: str) -> Any:
    with quietly("Arrow output"):
        return read(query)
