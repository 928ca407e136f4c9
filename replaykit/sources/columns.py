"""How source columns are stored: one name each, one of the types everybody can read, cast where asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from replaykit.errors import LoadError, excerpt
from replaykit.sources.table import Column, Intake, SourceTable
from replaykit.sources.times import TIME_TYPES, to_utc

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["Check", "cast_columns", "stored", "stored_names"]

_KEPT = {"VARCHAR", "JSON", "BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UBIGINT", "UINTEGER", "USMALLINT", "UTINYINT",
         "DOUBLE", "FLOAT", "BOOLEAN", "TIMESTAMP", "BLOB", "TIME", "INTERVAL", "HUGEINT"}  # fmt: skip


@dataclass(frozen=True)
class Check:
    """A condition that rejects a row, with its reason and the value to quote."""

    condition: str
    reason: str
    value: str
    private: bool = False


def stored(column: Column) -> Column:
    """Return the column as it is stored: times naive UTC, nested values JSON, everything odd as text."""
    type = column.type
    if type in _KEPT or type.startswith("DECIMAL"):
        return column
    if type == "DATE":
        return column
    if type in TIME_TYPES:
        return Column(column.name, to_utc(column.sql, type), "TIMESTAMP")
    if type.startswith(("STRUCT", "MAP", "UNION", "VARIANT")) or type.endswith("]"):
        return Column(column.name, f"CAST(to_json({column.sql}) AS JSON)", "JSON")
    return Column(column.name, f"CAST({column.sql} AS VARCHAR)", "VARCHAR")


def cast_columns(table: SourceTable, name: str, intake: Intake) -> tuple[SourceTable, list[Check]]:
    """Apply `types=` to a table; a value that is not of the declared type rejects its row."""
    columns, checks = [], []
    for column in table.columns:
        type = intake.types.get(f"{name}.{column.name}", intake.types.get(column.name))
        if type is None:
            columns.append(column)
            continue
        cast = _cast(column, type, intake)
        columns.append(cast)
        empty = f" AND ({column.sql}) <> ''" if column.type == "VARCHAR" else ""
        failed = f"({column.sql}) IS NOT NULL{empty} AND {cast.sql} IS NULL"
        checks.append(Check(failed, f"{column.name} is no {cast.type}", f"({column.sql})::VARCHAR"))
    return SourceTable(**{**table.__dict__, "columns": tuple(columns)}), checks


def _cast(column: Column, type: str, intake: Intake) -> Column:
    try:
        ((name,),) = intake.rows(f"SELECT typeof(CAST(NULL AS {_type_name(type)}))")
    except duckdb.Error:
        raise LoadError(
            f"types= gives column {column.name!r} the type {excerpt(type)}, which DuckDB does not know."
        ) from None
    if name in TIME_TYPES and column.type == "VARCHAR":
        return Column(column.name, f"timezone('UTC', TRY_CAST({column.sql} AS TIMESTAMPTZ))", "TIMESTAMP")
    if name == "JSON":
        return Column(column.name, f"TRY_CAST({column.sql} AS JSON)", "JSON")
    return stored(Column(column.name, f"TRY_CAST({column.sql} AS {name})", str(name)))


def _type_name(type: str) -> str:
    if not all(letter.isalnum() or letter in " _(),[]" for letter in type):
        raise LoadError(f"types= expects DuckDB type names such as 'BIGINT'; got {excerpt(type)}.")
    return type


def stored_names(columns: Iterable[Column], reserved: Collection[str], label: str, intake: Intake) -> list[str]:
    """Return the names columns are stored under: their own, with ``_`` added where the recording already has it.

    DuckDB does not tell ``User`` from ``user``, so the second of such a pair is renamed as well.
    """
    used = {name.lower() for name in reserved}
    names = []
    for column in columns:
        name = column.name or "column"
        while name.lower() in used:
            name += "_"
        if name != column.name:
            intake.note(f"{label}: column {column.name!r} is stored as {name!r}, because that name was taken.")
        used.add(name.lower())
        names.append(name)
    return names
