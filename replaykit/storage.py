"""How state columns are stored in DuckDB and carried to it in bulk, through Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.errors import StateError
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    import pyarrow as pa

__all__ = ["arrow_column", "arrow_type", "in_batches", "load_arrow", "load_table", "storage_type"]


_PIECE = 122_880  # a row group of DuckDB


def storage_type(sql: str) -> str:
    """Return the type a state column is stored as; JSON is kept as text, so that bad JSON can be kept too."""
    return "VARCHAR" if sql.upper() in ("JSON", "UUID", "TEXT", "STRING") else sql


def arrow_column(table: str, column: str, sql: str, values: Sequence[Any]) -> Any:
    """Return values as an Arrow array of the type a state column is stored as.

    Raises
    ------
    StateError
        A value does not fit, for example an integer beyond 64 bits.
    """
    import pyarrow as pa

    try:
        return pa.array(values, arrow_type(sql))
    except UnicodeEncodeError:
        # Half a surrogate pair is valid in JSON and in Python, and not in UTF-8: show it as \\udXXX.
        return pa.array(
            [v if v is None else v.encode("utf-8", "backslashreplace").decode() for v in values], pa.string()
        )
    except (pa.ArrowException, OverflowError, TypeError) as exc:
        raise StateError(
            f"Column {column!r} of table {table!r} ({sql}) can't hold a value written to it: {exc}."
        ) from exc


def arrow_type(sql: str) -> Any:
    """Return the Arrow type that carries a DuckDB type without loss."""
    import pyarrow as pa

    family, _, arguments = sql.upper().partition("(")
    if family == "DECIMAL":
        precision, _, scale = (arguments.rstrip(")") or "18,3").partition(",")
        return pa.decimal128(int(precision), int(scale or 0))
    simple = {
        "BOOLEAN": pa.bool_(),
        "DOUBLE": pa.float64(),
        "FLOAT": pa.float32(),
        "REAL": pa.float32(),
        "DATE": pa.date32(),
        "TIME": pa.time64("us"),
        "INTERVAL": pa.duration("us"),
        "BLOB": pa.binary(),
        "HUGEINT": pa.decimal128(38, 0),
        "UBIGINT": pa.uint64(),
    }
    if family in simple:
        return simple[family]
    if "INT" in family:
        return pa.int64()
    return pa.timestamp("us") if family.startswith("TIMESTAMP") else pa.string()


def in_batches(rows: pa.Table) -> pa.Table:
    """Return the same rows in pieces that DuckDB's threads read side by side; nothing is copied."""
    import pyarrow as pa

    return pa.Table.from_batches(rows.to_batches(max_chunksize=_PIECE), rows.schema)


def load_arrow(cursor: duckdb.DuckDBPyConnection, target: str, rows: Any) -> None:
    """Insert an Arrow table into `target`, column by column in its order."""
    cursor.register("replaykit_rows", rows)
    try:
        cursor.execute(f"INSERT INTO {target} SELECT * FROM replaykit_rows")
    finally:
        cursor.unregister("replaykit_rows")


def load_table(cursor: duckdb.DuckDBPyConnection, name: str, rows: Any, *, temporary: bool = False) -> None:
    """Create table `name` from an Arrow table."""
    kind = "TEMP TABLE" if temporary else "TABLE"
    cursor.register("replaykit_rows", rows)
    try:
        cursor.execute(f"CREATE {kind} {quote(name)} AS SELECT * FROM replaykit_rows")
    finally:
        cursor.unregister("replaykit_rows")
