"""Recorded logs: what the system decided, wrote, found and applied while it ran, and when it ticked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.errors import LoadError, excerpt
from replaykit.sources.columns import cast_columns
from replaykit.sources.ordered import Ordered, write_ordered
from replaykit.sources.reading import read
from replaykit.sources.roles import PerKind, Roles, named, resolve
from replaykit.sources.table import Column
from replaykit.sources.times import read_time

if TYPE_CHECKING:
    from replaykit.sources.masking import Masking
    from replaykit.sources.table import Intake, SourceTable

__all__ = ["LOGS", "Log", "write_log"]

_STORED = {"table": "table_name", "key": "row_key", "values": "new_values", "event": "event_id"}
_PARTS = {
    "actions": ("tick", "ok"),
    "writes": ("table", "op", "key", "values"),
    "checks": ("tick",),
    "applications": ("event", "ok", "tick"),
    "ticks": ("tick", "checked_at", "check_seq"),
}
"""Log to the parts only it has, beside time, kind, payload and seq."""
LOGS = tuple(_PARTS)


@dataclass(frozen=True)
class Log:
    """A recorded log for `load`, and which of its columns plays which part.

    Time, kind and payload are guessed where exactly one column fits, as for events. ``table``, ``op``, ``key`` and
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
    event: str | None = None
    """In a log of applications: the id of the event that was applied."""
    ok: str | None = None
    """In logs of applications and actions: false where applying it raised, and what it had written stayed."""
    tick: str | None = None
    """The number of the tick it belongs to; in a log of ticks, its own."""
    checked_at: str | None = None
    """In a log of ticks: when the invariants were checked; with the rules if not named."""
    check_seq: str | None = None
    """In a log of ticks: the last input the check saw, as ``seq`` is the last one the rules saw."""
    tz: str | None = None
    """The zone of times without one; None takes what `load` was given."""
    unit: str | None = None


def write_log(name: str, log: Log, intake: Intake, masking: Masking) -> Ordered:
    """Read one log and write it; return its plan with counts and rejects."""
    table = read(log.source, f"{name} log", intake)
    extra_names = _extra_names(name, log)
    table, roles = _roles(table, log, name, intake, set(extra_names.values()))
    seq = named(table, log.seq, f"{name} seq").name if log.seq else None
    used = [*roles.names(), *extra_names.values(), *([seq] if seq else [])]
    payload = roles.payload.name if roles.payload else None
    keep = [column for column in used if column not in (payload, log.values)]
    masking.protect([roles.time.name, *([seq] if seq else []), *_placing(log)], name)
    table = masking.apply(table, intake, name=name, keep=keep, payload=payload)
    time = read_time(table, roles.within(table).time, intake, log.tz or intake.tz, log.unit or intake.unit)
    table, checks = cast_columns(time.table, name, intake)
    roles = roles.within(table)
    plan = Ordered(name, table, time, roles.kind, roles.payload, checks=[*checks, *roles.checks()], used=used)
    plan.seq = table.column(seq) if seq else None
    plan.order = (plan.seq,) if plan.seq else ()
    for part, column in extra_names.items():
        if (found := named_or_none(table, column, part, masking)) is not None:
            plan.extra[_STORED.get(part, part)] = found
    if log.checked_at is not None and (checked := plan.extra.get("checked_at")) is not None:
        second = read_time(table, checked, intake, log.tz or intake.tz, log.unit or intake.unit)
        plan.extra["checked_at"] = Column(checked.name, second.sql, "TIMESTAMP")
        plan.table = second.table
    write_ordered(plan, intake, masking.active)
    return plan


def _extra_names(name: str, log: Log) -> dict[str, str]:
    """Return the parts that only some logs have and this one names, refusing those of other logs."""
    parts = dict.fromkeys(part for own in _PARTS.values() for part in own)
    given = {part: getattr(log, part) for part in parts if getattr(log, part) is not None}
    wrong = next((part for part in given if part not in _PARTS[name]), None)
    if wrong is not None:
        owners = " or ".join(own for own, names in _PARTS.items() if wrong in names)
        raise LoadError(f"{name}=Log(...) names {excerpt(wrong)}=, which only a log of {owners} has.")
    return given


def _placing(log: Log) -> list[str]:
    """Return the columns that say where an entry belongs, which no mask may change."""
    return [name for name in (log.tick, log.checked_at, log.check_seq) if name is not None]


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
