"""What ``state.sql`` writes: the table and columns a statement names, and its rows carried over to the working set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replaykit.errors import GuardError, excerpt

if TYPE_CHECKING:
    from replaykit.rows import Row
    from replaykit.sql import Statement
    from replaykit.state_table import StateTable

__all__ = ["Write", "carried_over", "written_by"]


@dataclass(frozen=True)
class Write:
    """What an INSERT, UPDATE or DELETE does; names in lower case, as SQL compares them."""

    kind: str
    table: str
    assigned: frozenset[str]
    """Columns an UPDATE sets."""
    columns: frozenset[str]
    """Columns an INSERT lists; empty if it lists none."""


def written_by(statement: Statement) -> Write:
    """Return what a write names.

    Raises
    ------
    GuardError
        It has a RETURNING of its own, or its table is not one state table.
    """
    import sqlglot
    from sqlglot import errors, exp

    try:
        tree = sqlglot.parse_one(statement.text, dialect="duckdb")
    except errors.SqlglotError as exc:
        raise GuardError(f"state.sql {excerpt(statement.text)} can't be taken apart; write it more plainly.") from exc
    target = tree.this
    table = target.this if isinstance(target, exp.Schema) else target
    if tree.args.get("returning"):
        raise GuardError("state.sql adds RETURNING itself; leave it out, the changed rows are what it returns.")
    if not isinstance(table, exp.Table) or table.db or table.catalog:
        raise GuardError(f"state.sql {excerpt(statement.text)} must name one state table to write, without a schema.")
    set_here = (
        [part.this for part in tree.expressions if isinstance(part, exp.EQ)] if statement.kind == "UPDATE" else []
    )
    listed = target.expressions if isinstance(target, exp.Schema) else []
    return Write(
        statement.kind,
        table.name.lower(),
        frozenset(name.name.lower() for part in set_here for name in part.find_all(exp.Identifier)),
        frozenset(column.name.lower() for column in listed),
    )


def carried_over(write: Write, table: StateTable, row: Row) -> Row:
    """Do to the working set what a write did to one row of its temp table; returns the row.

    Raises
    ------
    StateError
        The working set does not take it: the key exists, a value does not fit, projections fill the table.
    """
    if write.kind == "DELETE":
        table.delete(table._key_of(row))
        return row
    if write.kind == "UPDATE":
        return table.update(table._key_of(row), row)
    return table.insert({c: v for c, v in row.items() if not write.columns or c.lower() in write.columns})
