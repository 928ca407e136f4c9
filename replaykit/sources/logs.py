"""Recorded logs: what the system did (actions), wrote (writes) and found (checks) while it ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.errors import LoadError, excerpt
from replaykit.sources.columns import cast_columns
from replaykit.sources.ordered import Ordered, write_ordered
from replaykit.sources.reading import read
from replaykit.sources.roles import PerKind, Roles, named, resolve
from replaykit.sources.times import read_time

if TYPE_CHECKING:
    from replaykit.sources.masking import Masking
    from replaykit.sources.table import Column, Intake, SourceTable

__all__ = ["Log", "write_log"]

_WRITES = {"table": "table_name", "op": "op", "key": "row_key", "values": "new_values"}


@dataclass(frozen=True)
class Log:
    """A recorded log for `load`, and which of its columns plays which part.

    Parts not named are guessed where exactly one column fits, as for events. ``table``, ``op``, ``key`` and
    ``values`` describe a log of writes: ``key`` and ``values`` are JSON objects (a primary key; the columns written).
    """

    source: Any
    """A path, glob, DataFrame, Arrow table or `sqlite(...)`."""
    time: str | None = None
    kind: str | bool | None = None
    payload: str | PerKind | bool | None = None
    seq: str | None = None
    """A whole number that orders all logs and events together; the log is kept in its order."""
    table: str | None = None
    op: str | None = None
    key: str | None = None
    values: str | None = None
    tz: str | None = None
    """The zone of times without one; None takes what `load` was given."""
    unit: str | None = None


def write_log(name: str, log: Log, intake: Intake, masking: Masking) -> Ordered:
    """Read one log and write it; return its plan with counts and rejects."""
    table = read(log.source, f"{name} log", intake)
    extra_names = {part: getattr(log, part) for part in _WRITES if getattr(log, part) is not None}
    if extra_names and name != "writes":
        raise LoadError(f"{name}=Log(...) names {excerpt(next(iter(extra_names)))}=, which only a log of writes has.")
    table, roles = _roles(table, log, name, intake, set(extra_names.values()))
    seq = named(table, log.seq, f"{name} seq").name if log.seq else None
    used = [*roles.names(), *extra_names.values(), *([seq] if seq else [])]
    payload = roles.payload.name if roles.payload else None
    keep = [column for column in used if column not in (payload, log.values)]
    masking.protect([roles.time.name, *([seq] if seq else [])], name)
    table = masking.apply(table, intake, name=name, keep=keep, payload=payload)
    time = read_time(table, roles.within(table).time, intake, log.tz or intake.tz, log.unit or intake.unit)
    table, checks = cast_columns(time.table, name, intake)
    roles = roles.within(table)
    plan = Ordered(name, table, time, roles.kind, roles.payload, checks=[*checks, *roles.checks()], used=used)
    plan.seq = table.column(seq) if seq else None
    plan.order = (plan.seq,) if plan.seq else ()
    for part, column in extra_names.items():
        if (found := named_or_none(table, column, part, masking)) is not None:
            plan.extra[_WRITES[part]] = found
    write_ordered(plan, intake, masking.active)
    return plan


def named_or_none(table: SourceTable, name: str, option: str, masking: Masking) -> Column | None:
    """Return the column, or None if a rule left it out."""
    found = table.column(name)
    return found if found is not None or masking.active else named(table, name, option)


def _roles(table: SourceTable, log: Log, name: str, intake: Intake, taken: set[str]) -> tuple[SourceTable, Roles]:
    parts = [named(table, part, f"{name} log") for part in taken]
    unnamed = table.without([part for part in taken if part not in (log.kind, log.payload, log.time)])
    seen, roles = resolve(
        unnamed, intake, time=log.time, kind=log.kind, id=False, payload=log.payload, prefix=f"{name} log: "
    )
    return seen.having(*(part for part in parts if seen.column(part.name) is None)), roles
