"""Events and logs: roles resolved, rows checked, put in their declared order and written with a dense position."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from replaykit.display import count
from replaykit.errors import LoadError, excerpt
from replaykit.sources.columns import Check, stored, stored_names
from replaykit.sources.rejects import find_rejects
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replaykit.sources.table import Column, Intake, SourceTable, Unreadable
    from replaykit.sources.times import TimeColumn

__all__ = ["TYPES", "Ordered", "write_ordered"]

_WIDE = 1_000
RESERVED = ("position", "occurred_at", "kind", "event_id", "payload", "step", "applied_at", "global_seq",
            "table_name", "op", "row_key", "new_values")  # fmt: skip
"""Names a recording uses itself; a source column called so is stored with ``_`` added."""
TYPES = {"tick": "BIGINT", "ok": "BOOLEAN", "checked_at": "TIMESTAMP", "check_seq": "BIGINT"}
"""Types of the columns that play a part in a log; text if not named."""


@dataclass
class Ordered:
    """Everything needed to write one ordered table, and what came of it."""

    name: str
    table: SourceTable
    time: TimeColumn
    kind: Column | None
    payload: Column | None
    id: Column | None = None
    with_id: bool = False
    seq: Column | None = None
    extra: dict[str, Column] = field(default_factory=dict)
    order: tuple[Column, ...] = ()
    """Columns to order by; empty is the time. Ties stay in source order."""
    sequence: tuple[Column, ...] = ()
    """Columns whose order is compared with the one the table is in, whether it orders or not."""
    used: Sequence[str] = ()
    checks: list[Check] = field(default_factory=list)
    rejects: list[Unreadable] = field(default_factory=list)
    loaded: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    """Source names of the further columns and what they are stored as."""


def write_ordered(plan: Ordered, intake: Intake, private: bool) -> None:
    """Check, order and write one table; rows that fail a check become its rejects."""
    checks = [*([] if plan.time.sure else _time_checks(plan.time, private)), *plan.checks]
    payloads = _payload_checks(plan, private)
    noted = len(intake.notes)
    try:
        # Writing JSON validates it, so looking at it before would do that twice; where a wrong value must never reach
        # the file, not even a block of it that is freed again, it is looked at first all the same.
        _write_checked(plan, [*checks, *payloads] if private else checks, intake)
    except duckdb.ConversionException:
        del intake.notes[noted:]  # of an attempt that does not count
        intake.connection.execute(f"DROP TABLE IF EXISTS {quote(plan.name)}")
        _write_or_refuse(plan, [*checks, *payloads], intake)
    plan.loaded = int(intake.rows(f"SELECT count(*) FROM {quote(plan.name)}")[0][0])
    if plan.loaded + len(plan.rejects) != plan.table.read:
        raise LoadError(
            f"Loading {plan.name!r} lost count: {plan.table.read:,} rows read, {plan.loaded:,} loaded, "
            f"{len(plan.rejects):,} rejected. The source changed while it was read, or this is a bug of replaykit."
        )


def _write_or_refuse(plan: Ordered, checks: Sequence[Check], intake: Intake) -> None:
    try:
        _write_checked(plan, checks, intake)
    except duckdb.ConversionException as error:
        shown = intake.quoted(excerpt(str(error).splitlines()[0]))
        raise LoadError(f"Table {plan.name!r} can't be written: {shown}") from None


def _write_checked(plan: Ordered, checks: Sequence[Check], intake: Intake) -> None:
    found = find_rejects(plan.table, checks, intake)
    plan.rejects = sorted([*plan.table.unreadable, *found], key=lambda row: (row.label, row.place))
    keys = [column.sql for column in plan.order] or [plan.time.sql]
    condition = " AND ".join(f"NOT coalesce({check.condition}, false)" for check in checks) if found else ""
    back, empty = _disorder(plan.table, keys, condition or "true", intake)
    _note_disorder(plan, back, empty, intake)
    _write(plan, keys, condition, back + empty > 0, intake)


def _time_checks(time: TimeColumn, private: bool) -> list[Check]:
    unreadable = f"NOT ({time.empty}) AND ({time.sql}) IS NULL"
    return [
        Check(time.empty, "time is empty", "''"),
        Check(unreadable, "time is impossible or can't be read", time.raw, private),
    ]


def _payload_checks(plan: Ordered, private: bool) -> list[Check]:
    columns = (plan.payload, plan.extra.get("row_key"), plan.extra.get("new_values"))
    return [
        Check(
            f"({column.sql}) <> '' AND NOT json_valid({column.sql})", f"{column.name} is no JSON", column.sql, private
        )
        for column in columns
        if column is not None and column.type == "VARCHAR"
    ]


def _disorder(table: SourceTable, keys: Sequence[str], condition: str, intake: Intake) -> tuple[int, int]:
    """Count rows that lie before their predecessor in the source, and rows without a key to order by."""
    now = keys[0] if len(keys) == 1 else "{" + ", ".join(f"'k{n}': {key}" for n, key in enumerate(keys)) + "}"
    empty = " OR ".join(f"({key}) IS NULL" for key in keys)
    source = f"SELECT {now} AS k, lag({now}) OVER () AS p, {empty} AS e FROM {table.relation} WHERE {condition}"
    ((back, without),) = intake.rows(f"SELECT count(*) FILTER (k < p), count(*) FILTER (e) FROM ({source})")
    return int(back), int(without)


def _note_disorder(plan: Ordered, back: int, empty: int, intake: Intake) -> None:
    by = " and ".join(repr(column.name) for column in plan.order) or "time"
    intake.counts[f"{plan.name}_steps_back_in_source"] = back
    if back:
        intake.note(
            f"{plan.name}: {by} {'run' if len(plan.order) > 1 else 'runs'} backwards {count(back, 'time')} in the "
            "source; the rows were put in its order."
        )
    if empty:
        intake.note(f"{plan.name}: {count(empty, 'row')} without {by} to order by; they come last.")


def as_json(column: Column) -> str:
    """Return the expression that stores a column as JSON; an empty text or a bare ``null`` is no payload."""
    if column.type == "JSON":
        return f"nullif({column.sql}, 'null')"
    if column.type == "VARCHAR":
        return f"CAST(CASE WHEN {column.sql} NOT IN ('', 'null') THEN {column.sql} END AS JSON)"
    return f"CAST(to_json({column.sql}) AS JSON)"


def _selected(plan: Ordered, intake: Intake) -> list[tuple[str, str]]:
    kind = "'event'" if plan.kind is None else f"CAST({_plain(plan.kind)} AS VARCHAR)"
    columns = [("occurred_at", plan.time.sql), ("kind", kind)]
    if plan.with_id:
        columns.append(
            ("event_id", "CAST(NULL AS VARCHAR)" if plan.id is None else f"CAST({_plain(plan.id)} AS VARCHAR)")
        )
    columns.append(("payload", "CAST(NULL AS JSON)" if plan.payload is None else as_json(plan.payload)))
    if plan.seq is not None:
        columns.append(("global_seq", f"CAST({_plain(plan.seq)} AS BIGINT)"))
    for name, column in plan.extra.items():
        if name in ("row_key", "new_values"):
            columns.append((name, as_json(column)))
        else:
            columns.append((name, f"CAST({_plain(column)} AS {TYPES.get(name, 'VARCHAR')})"))
    others = [stored(column) for column in plan.table.columns if column.name not in plan.used]
    names = stored_names(others, (*RESERVED, *plan.extra), plan.table.label, intake)
    plan.columns = dict(zip((column.name for column in others), names, strict=True))
    return columns + [(name, column.sql) for name, column in zip(names, others, strict=True)]


def _plain(column: Column) -> str:
    return f"({column.sql} ->> '$')" if column.type == "JSON" else column.sql


def _write(plan: Ordered, keys: Sequence[str], condition: str, sort: bool, intake: Intake) -> None:
    columns = _selected(plan, intake)
    reads = ", ".join(f"{sql} AS {quote(name)}" for name, sql in columns)
    create = f"CREATE TABLE {quote(plan.name)} AS SELECT "
    source = f"FROM {plan.table.relation}{f' WHERE {condition}' if condition else ''}"
    if sort:
        names = ", ".join(quote(name) for name, _ in columns)
        order = ", ".join([f"{key} NULLS LAST" for key in keys] + [plan.table.row])
        query = f"{create}row_number() OVER () AS position, {names} FROM (SELECT {reads} {source} ORDER BY {order})"
    elif plan.table.dense and not condition:
        query = f"{create}CAST({plan.table.row} AS BIGINT) AS position, {reads} {source}"
    else:
        query = f"{create}row_number() OVER () AS position, {reads} {source}"
    if len(columns) > _WIDE:  # quadratic in the number of columns
        intake.connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    intake.connection.execute(query)
    intake.connection.execute("RESET disabled_optimizers")
