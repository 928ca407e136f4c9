"""Which column is the time, the kind, the id and the payload: named by the caller, or the only candidate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from replaykit.errors import LoadError, excerpt
from replaykit.sources.columns import Check
from replaykit.sources.table import Column, Intake, SourceTable, one_of
from replaykit.sources.times import TIME_TYPES

__all__ = ["PerKind", "Roles", "named", "per_kind", "resolve"]

_KINDS = set(
    "kind type event event_type event_kind event_name activity concept:name message_type action_type op".split()
)
_IDS = set("id event_id event_uuid uuid message_id record_id".split())
_PAYLOADS = set("payload data body details attributes properties event_data event_payload content args".split())
_TIME_WORDS = set("time timestamp ts datetime date at when".split())
_TIME_LIKE = {"VARCHAR", "BIGINT", "INTEGER", "DOUBLE", "JSON", "UBIGINT"}


@dataclass(frozen=True)
class PerKind:
    """A payload kept in another column for each kind; see `per_kind`."""

    pattern: str


def per_kind(pattern: str) -> PerKind:
    """Name the payload of a source whose rows hold one nested object each, in a column named after their kind.

    ``payload=rk.per_kind("*Attributes")`` makes the one object a row has in a column ending in ``Attributes`` its
    payload; those columns are not kept apart. A row with two of them is rejected, one with none has no payload.
    """
    return PerKind(pattern)


@dataclass(frozen=True)
class Roles:
    """The columns that play a part; None where the source has none."""

    time: Column
    kind: Column | None
    id: Column | None
    payload: Column | None
    several: Column | None = None
    """True in rows with more than one payload object, which `per_kind` can't choose between."""

    def names(self) -> list[str]:
        """Return the names of all source columns that play a part."""
        columns = (self.time, self.kind, self.id, self.payload, self.several)
        return [column.name for column in columns if column is not None]

    def within(self, table: SourceTable) -> Roles:
        """Return the roles over the table after masking and casting, where its columns read differently."""

        def now(column: Column | None) -> Column | None:
            return None if column is None else table.column(column.name)

        time = table.column(self.time.name)
        if time is None:
            raise LoadError(f"The time column {self.time.name!r} can't be dropped; every event needs a time.")
        return Roles(time, now(self.kind), now(self.id), now(self.payload), now(self.several))

    def checks(self) -> list[Check]:
        """Return the checks that the roles themselves need."""
        if self.several is None:
            return []
        return [Check(self.several.sql, "several payload objects", "''")]


def named(table: SourceTable, name: object, option: str) -> Column:
    """Return the column called `name`.

    Raises
    ------
    LoadError
        There is none; the message lists those there are.
    """
    column = table.column(str(name))
    if column is None:
        names = [column.name for column in table.columns]
        raise LoadError(
            f"{table.label!r} has no column {excerpt(name)} (asked for by {option}=); its columns are {one_of(names)}."
        )
    return column


def resolve(
    table: SourceTable,
    intake: Intake,
    *,
    time: str | None,
    kind: str | bool | None,
    id: str | bool | None,
    payload: str | PerKind | bool | None,
    prefix: str = "",
) -> tuple[SourceTable, Roles]:
    """Return the table and its columns that play a part; those not named are guessed if there is one candidate.

    Under `per_kind` the table gets a column that holds the one object, in place of those it may be in.
    """
    taken = {name for name in (time, kind, id, payload) if isinstance(name, str)}
    at = named(table, time, f"{prefix}time") if time is not None else _guess(table, intake, "time", taken)
    if at is None:
        names = [column.name for column in table.columns]
        raise LoadError(
            f"{table.label!r} has no column that looks like a time; its columns are {one_of(names)}. Name it with "
            f"{prefix}time=."
        )
    taken.add(at.name)
    kind_column = _optional(table, intake, "kind", kind, taken)
    id_column = _optional(table, intake, "id", id, taken)
    if isinstance(payload, PerKind):
        table, several = _merged(table, payload, intake)
        return table, Roles(at, kind_column, id_column, table.column(payload.pattern), several)
    return table, Roles(at, kind_column, id_column, _optional(table, intake, "payload", payload, taken))


def _optional(
    table: SourceTable, intake: Intake, role: str, asked: str | bool | None, taken: set[str]
) -> Column | None:
    if asked is None:
        found = _guess(table, intake, role, taken)
        if found:
            taken.add(found.name)
        return found
    return None if asked is False else named(table, asked, role)


def _merged(table: SourceTable, payload: PerKind, intake: Intake) -> tuple[SourceTable, Column]:
    found = [column for column in table.columns if fnmatchcase(column.name, payload.pattern)]
    if not found:
        names = [column.name for column in table.columns]
        raise LoadError(
            f"{table.label!r} has no column like {excerpt(payload.pattern)} for its payload; its columns are "
            f"{one_of(names)}."
        )
    objects = [
        f"nullif({column.sql if column.type == 'JSON' else f'to_json({column.sql})'}, 'null')" for column in found
    ]
    merged = Column(payload.pattern, f"CAST(coalesce({', '.join(objects)}) AS JSON)", "JSON")
    several = Column(
        f"{payload.pattern} several", f"({' + '.join(f'({sql} IS NOT NULL)::INT' for sql in objects)}) > 1", "BOOLEAN"
    )
    intake.note(f"{table.label}: the payload is the one object among {len(found):,} columns like {payload.pattern!r}.")
    return table.without([column.name for column in found]).having(merged, several), several


def _guess(table: SourceTable, intake: Intake, role: str, taken: set[str]) -> Column | None:
    found = [column for column in table.columns if column.name not in taken and _may_be(role, column, table, intake)]
    if len(found) > 1:
        names = [column.name for column in found]
        none = "" if role == "time" else f", or say {role}=False if none is meant"
        raise LoadError(
            f"{table.label!r} has {len(found)} columns that may be the {role}: {one_of(names)}. Name one with "
            f"{role}={none}."
        )
    if found:
        intake.note(f"{table.label}: {role} was guessed to be column {found[0].name!r}, the only candidate.")
    return found[0] if found else None


def _may_be(role: str, column: Column, table: SourceTable, intake: Intake) -> bool:
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.name).lower()
    if role == "time":
        words = re.split(r"[^a-z0-9]+", name)
        return column.type in TIME_TYPES or (column.type in _TIME_LIKE and words[-1] in _TIME_WORDS)
    if role == "kind":
        return name in _KINDS and column.type in ("VARCHAR", "JSON")
    if role == "id":
        return name in _IDS
    return name in _PAYLOADS and _holds_json(column, table, intake)


def _holds_json(column: Column, table: SourceTable, intake: Intake) -> bool:
    if column.type != "VARCHAR":
        return column.type == "JSON" or column.type.startswith(("STRUCT", "MAP")) or column.type.endswith("]")
    ((valid,),) = intake.rows(
        f"SELECT bool_and(json_valid(v)) FROM (SELECT {column.sql} AS v FROM {table.relation} WHERE {column.sql} IS "
        "NOT NULL LIMIT 100)"
    )
    return bool(valid)
