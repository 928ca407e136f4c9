"""Times as they come, read as one: naive UTC in microseconds. What was assumed on the way is noted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replaykit.display import count
from replaykit.errors import LoadError, excerpt

if TYPE_CHECKING:
    from replaykit.sources.table import Column, Intake, SourceTable

__all__ = [
    "TIME_TYPES",
    "UNITS",
    "TimeColumn",
    "bounded",
    "guess_unit",
    "instant",
    "local",
    "micros",
    "note_clock_change",
    "note_lost",
    "note_zone",
    "read_time",
    "to_utc",
]

TIME_TYPES = (
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMP_NS",
    "TIMESTAMP_MS",
    "TIMESTAMP_S",
    "TIMESTAMP_NS WITH TIME ZONE",
    "DATE",
)
_WHOLE = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "UHUGEINT",
}
# Microseconds of one unit, and the numbers that mean a moment between 2001 and 2100 in it; the ranges do not overlap.
UNITS = {
    "s": (10**6, 10**9, 4.2e9),
    "ms": (10**3, 10**12, 4.2e12),
    "us": (1, 10**15, 4.2e15),
    "ns": (0.001, 10**18, 4.2e18),
}


@dataclass(frozen=True)
class TimeColumn:
    """How a time column is read: ``sql`` is NULL where it can't be, ``empty`` true where there is nothing to read."""

    table: SourceTable
    """The table, staged anew if its times were too odd to be parsed more than once."""
    sql: str
    empty: str
    raw: str
    sure: bool = False
    """True if every row is known to have a readable time."""


def read_time(table: SourceTable, column: Column, intake: Intake, tz: str | None, unit: str | None) -> TimeColumn:
    """Return how to read `column` as naive UTC microseconds; note the zone, unit and digits that were assumed or lost.

    Raises
    ------
    LoadError
        The column can't hold times, the zone is unknown, or the unit of epoch numbers is ambiguous.
    """
    if unit is not None and unit not in UNITS:
        raise LoadError(f"unit={excerpt(unit)} is no epoch unit; expected one of {list(UNITS)}.")
    if tz is not None and not intake.rows("SELECT 1 FROM pg_timezone_names() WHERE name = $1 LIMIT 1", [tz]):
        raise LoadError(
            f"tz={excerpt(tz)} is no known time zone; expected an IANA name such as 'Europe/Berlin' or 'UTC'."
        )
    where = f"{table.label}: time {column.name!r}"
    if column.type in TIME_TYPES:
        sql = _from_timestamp(table, column, intake, tz, where)
    elif column.type in _WHOLE or column.type in ("FLOAT", "DOUBLE") or column.type.startswith("DECIMAL"):
        sql = _from_number(table, column, intake, unit, where)
    elif column.type in ("VARCHAR", "JSON") or column.type.startswith("ENUM"):
        from replaykit.sources.text_times import from_text

        return from_text(table, column, intake, where, tz=tz, unit=unit)
    else:
        raise LoadError(f"{where} is {column.type}, which is no time; name another column with time=.")
    return TimeColumn(table, bounded(sql), f"{column.sql} IS NULL", f"{column.sql}::VARCHAR")


def to_utc(column: str, type: str) -> str:
    """Return an expression that gives any timestamp type as naive UTC TIMESTAMP (microseconds)."""
    if "WITH TIME ZONE" in type:
        return f"timezone('UTC', {column}::TIMESTAMPTZ)"
    return column if type == "TIMESTAMP" else f"CAST({column} AS TIMESTAMP)"


def bounded(sql: str) -> str:
    """Return NULL for times no calendar of Python holds."""
    # Written twice, not as a subquery: a correlated subquery would become a join.
    return f"CASE WHEN {sql} BETWEEN TIMESTAMP '0001-01-02' AND TIMESTAMP '9999-12-31 12:00:00' THEN {sql} END"


def local(sql: str, tz: str | None) -> str:
    """Return a time without a zone as UTC."""
    return sql if tz in (None, "UTC") else f"timezone('UTC', timezone('{tz}', {sql}))"


def _from_timestamp(table: SourceTable, column: Column, intake: Intake, tz: str | None, where: str) -> str:
    sql = to_utc(column.sql, column.type)
    if column.type.startswith("TIMESTAMP_NS"):
        ((lost,),) = intake.rows(
            f"SELECT count(*) FROM {table.relation} WHERE isfinite({sql}) AND epoch_ns({column.sql}) % 1000 <> 0"
        )
        note_lost(intake, where, lost)
    if "WITH TIME ZONE" in column.type:
        return sql
    note_zone(intake, where, tz, None)
    note_clock_change(table, sql, tz, intake, where)
    return local(sql, tz)


def note_zone(intake: Intake, where: str, tz: str | None, rows: int | None) -> None:
    """Say that times have no zone and which was taken."""
    many = "" if rows is None else f" in {count(rows, 'row')}"
    source = "as tz= says" if tz else "tz= reads another"
    intake.note(f"{where} has no zone{many}; read as {tz or 'UTC'} ({source}).")


def note_clock_change(table: SourceTable, clock: str, tz: str | None, intake: Intake, where: str) -> None:
    """Say how many local times did not exist, or existed twice, when the clocks changed."""
    if tz in (None, "UTC"):
        return
    utc = local("t", tz)
    later, earlier = (f"timezone('{tz}', timezone('UTC', {utc} {sign} INTERVAL 1 HOUR))" for sign in "+-")
    ((skipped, twice),) = intake.rows(
        f"SELECT count(*) FILTER (timezone('{tz}', timezone('UTC', {utc})) <> t), "
        f"count(*) FILTER ({later} = t OR {earlier} = t) FROM (SELECT {clock} AS t FROM {table.relation}) "
        "WHERE isfinite(t)"
    )
    if skipped or twice:
        intake.note(
            f"{where}: {count(skipped, 'local time')} skipped by a clock change, {count(twice, 'local time')} that "
            "came twice; "
            "DuckDB's choice was taken."
        )


def note_lost(intake: Intake, where: str, lost: int) -> None:
    """Count and say that digits after the microsecond were cut."""
    if lost:
        intake.counts["truncated_times"] = intake.counts.get("truncated_times", 0) + lost
        intake.note(f"{where} is finer than a microsecond in {count(lost, 'row')}; the digits after were cut.")


def micros(value: str, unit: str) -> str:
    """Return whole epoch numbers as microseconds; nanoseconds are cut towards the past, never rounded."""
    if unit == "ns":
        return f"(({value})::HUGEINT - ((({value})::HUGEINT % 1000) + 1000) % 1000) // 1000"
    return f"({value})::HUGEINT * {int(UNITS[unit][0])}"


def instant(micros: str) -> str:
    """Return microseconds since 1970 as a timestamp, NULL outside the years 1 to 9999."""
    within = f"{micros} BETWEEN -62135596800000000 AND 253402300799999999"
    return f"make_timestamp(CASE WHEN {within} THEN ({micros})::BIGINT END)"


def _from_number(table: SourceTable, column: Column, intake: Intake, unit: str | None, where: str) -> str:
    unit = unit or guess_unit(table, f"{column.sql}", "true", intake, where)
    if column.type in _WHOLE:
        if unit == "ns":
            ((lost,),) = intake.rows(f"SELECT count(*) FROM {table.relation} WHERE {column.sql} % 1000 <> 0")
            note_lost(intake, where, lost)
        return instant(f"({micros(column.sql, unit)})")
    scaled = f"({column.sql})::DOUBLE * {float(UNITS[unit][0])}"
    return instant(f"(CASE WHEN isfinite(({column.sql})::DOUBLE) THEN round({scaled}) END)")


def guess_unit(table: SourceTable, value: str, condition: str, intake: Intake, where: str) -> str:
    """Return the only unit in which all numbers are plainly times; otherwise raise."""
    ((low, high),) = intake.rows(
        f"SELECT min(v), max(v) FROM (SELECT TRY_CAST({value} AS DOUBLE) AS v FROM {table.relation} WHERE {condition}) "
        "WHERE isfinite(v)"
    )
    if low is None:
        return "s"
    fits = [unit for unit, (_, first, last) in UNITS.items() if first <= low and high <= last]
    if len(fits) == 1:
        intake.note(f"{where} holds epoch numbers; their unit was guessed as {fits[0]!r} (unit= reads another).")
        return fits[0]
    raise LoadError(
        f"{where} holds numbers from {low:g} to {high:g}, which are not plainly times between 2001 and 2100 in one "
        "unit; "
        f"name it with unit=, one of {list(UNITS)}."
    )
