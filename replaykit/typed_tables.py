"""State tables with the columns and types that a reconciler leaves to the recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from replaykit.declarations import Table
from replaykit.errors import ReconcilerError
from replaykit.history import BOOKKEEPING
from replaykit.workspace import RESERVED

if TYPE_CHECKING:
    from replaykit.recording import Recording

__all__ = ["typed_tables"]


def typed_tables(recording: Recording, tables: Mapping[str, Table]) -> dict[str, Table]:
    """Return tables with all their columns and types.

    Raises
    ------
    ReconcilerError
        A name is taken, a table without columns is in no snapshot, or a type refers to a column there is not.
    """
    typed = {name: _typed(recording, name, table) for name, table in tables.items()}
    return {name: _referring(name, table, typed) for name, table in typed.items()}


def _typed(recording: Recording, name: str, table: Table) -> Table:
    """Return the table with its columns, taken from the recording's snapshot if it declares none."""
    if name.lower() in RESERVED:
        raise ReconcilerError(f"A state table can't be named {name!r}; that is a table of the replay itself.")
    if table.columns:
        return _distinct(name, table)
    if name not in recording.state_tables:
        raise ReconcilerError(
            f"Table {name!r} declares no columns, and no snapshot of the recording holds it (they hold "
            f"{list(recording.state_tables)}). Declare them: rk.Table(key=..., column='TYPE')."
        )
    columns = {c: _row_type(t) for c, t in recording.columns(name).items() if c not in ("snapshot", "row_no")}
    return _distinct(name, Table(table.key, columns, defaults=table.defaults))


def _referring(name: str, table: Table, typed: Mapping[str, Table]) -> Table:
    """Return the table with the type of another table's column where its own says ``table.column``."""
    columns = dict(table.columns)
    for column, declared in columns.items():
        other, dot, referred = declared.partition(".")
        if not dot:
            continue
        if other not in typed or referred not in typed[other].columns:
            raise ReconcilerError(
                f"Column {column!r} of table {name!r} has the type of {declared!r}, and there is no such column; the "
                f"tables are {list(typed)}."
            )
        columns[column] = typed[other].columns[referred]
    return Table(table.key, columns, defaults=table.defaults) if columns != table.columns else table


def _distinct(name: str, table: Table) -> Table:
    """Return the table if SQL can tell its columns apart from each other and from those of its history."""
    names = [column.lower() for column in (*table.columns, *BOOKKEEPING)]
    twice = next((column for column in table.columns if names.count(column.lower()) > 1), None)
    if twice is not None:
        raise ReconcilerError(
            f"Table {name!r} can't have a column {twice!r}: its history has {list(BOOKKEEPING)}, and SQL does not tell "
            "upper from lower case. Give the column another name."
        )
    return table


def _row_type(sql: str) -> str:
    nested = sql.endswith("]") or sql.startswith(("STRUCT", "MAP", "UNION"))
    return "JSON" if nested else "TIMESTAMP" if sql.startswith("TIMESTAMP") else sql
