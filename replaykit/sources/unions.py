"""Several files as one source: joined by column name, with a note of what differs between them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replaykit.display import count
from replaykit.sources.table import Column, Intake, SourceTable
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["common_type", "united"]

_MOST_NOTES = 20
_WHOLE = ["TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT"]


def common_type(types: Sequence[str]) -> str:
    """Return a type that holds values of all `types` without loss: the same, a wider number, else text."""
    distinct = {type for type in types if type not in ("NULL", '"NULL"')}
    if len(distinct) <= 1:
        return next(iter(distinct), "VARCHAR")
    if distinct <= set(_WHOLE):
        return "BIGINT"
    if distinct == {"FLOAT", "DOUBLE"}:
        return "DOUBLE"
    return "JSON" if "JSON" in distinct and distinct <= {"JSON", *_WHOLE, "DOUBLE", "BOOLEAN"} else "VARCHAR"


def united(tables: Sequence[SourceTable], whole: SourceTable | None, label: str, intake: Intake) -> SourceTable:
    """Return one source of all rows of `tables`, in their order.

    `whole` is the same source already read as one (Parquet): it is used if the files' types agree.
    """
    if len(tables) == 1:
        return whole or tables[0]
    columns = _columns(tables, label, intake)
    if whole is not None and all(len(set(types)) <= 1 for types in columns.values()):
        return whole
    relation = intake.stage("union", _union(tables, columns))
    sums = [(part.label, part.rows) for table in tables for part in table.parts]
    return replace(
        tables[0],
        label=label,
        relation=relation,
        row="row",
        columns=tuple(
            Column(name, f"c{place}", common_type(types)) for place, (name, types) in enumerate(columns.items())
        ),
        read=sum(table.read for table in tables),
        parts=tuple(part for table in tables for part in table.parts),
        dense=all(table.dense for table in tables) and len(sums) > 0,
        unreadable=tuple(row for table in tables for row in table.unreadable),
    )


def _columns(tables: Sequence[SourceTable], label: str, intake: Intake) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    holders: dict[str, list[str]] = {}
    for table in tables:
        for column in table.columns:
            found.setdefault(column.name, []).append(column.type)
            holders.setdefault(column.name, []).append(table.label)
    partial = [name for name, files in holders.items() if len(files) < len(tables)]
    if len(partial) > _MOST_NOTES:
        intake.note(f"{label}: {count(len(partial), 'column')} that only some of the files have; NULL elsewhere.")
    for name, files in holders.items():
        if len(files) < len(tables) and len(partial) <= _MOST_NOTES:
            intake.note(f"{label}: column {name!r} is in {len(files)} of {len(tables)} files only; NULL elsewhere.")
        if len(set(found[name])) > 1:
            kinds = ", ".join(sorted(set(found[name])))
            intake.note(
                f"{label}: column {name!r} differs in type between files ({kinds}); read as {common_type(found[name])}."
            )
    return found


def _union(tables: Sequence[SourceTable], columns: dict[str, list[str]]) -> str:
    selects, offset = [], 0
    for table in tables:
        reads = [f"{table.row} + {offset} AS row"]
        for place, (name, types) in enumerate(columns.items()):
            column = table.column(name)
            type = common_type(types)
            reads.append(f"CAST({_text_of(column, type)} AS {type}) AS {quote(f'c{place}')}")
        selects.append(f"SELECT {', '.join(reads)} FROM {table.relation}")
        offset += sum(part.rows for part in table.parts)
    return " UNION ALL ".join(selects)


def _text_of(column: Column | None, type: str) -> str:
    if column is None:
        return "NULL"
    return f"to_json({column.sql})" if type == "JSON" and column.type != "JSON" else column.sql
