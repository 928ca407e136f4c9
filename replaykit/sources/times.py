"""Times as they come, read as one: naive UTC in microseconds. What was assumed on the way is noted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replaykit.display import count
from replaykit.errors import LoadError, excerpt

if TYPE_CHECKING:
    from replaykit.sources.table import Column, Intake, SourceTable

__all__ = ["TIME_TYPES", "TimeColumn", "read_time", "to_utc"]

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
_UNITS = {
    "s": (10**6, 10**9, 4.2e9),
    "ms": (10**3, 10**12, 4.2e12),
    "us": (1, 10**15, 4.2e15),
    "ns": (0.001, 10**18, 4.2e18),
}
_ZONE = r"\d:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|z|UTC|GMT|[+-]\d{2}(:?\d{2})?|[A-Za-z_]+/[A-Za-z_/]+)$"
_NUMBER = r"[+-]?\d+(\.\d*)?"
_DAY = r"^\d{4}-\d{1,2}-\d{1,2}([T ]|$)"
_ZONED_FORMATS = ["%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%Y%m%dT%H%M%S%z", "%Y/%m/%d %H:%M:%S %z"]
_PLAIN_FORMATS = ["%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S", "%Y/%m/%d %H:%M:%S.%f", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d"]


@dataclass(frozen=True)
class TimeColumn:
    """How a time column is read: ``sql`` is NULL where it can't be, ``empty`` true where there is nothing to read."""

    sql: str
    empty: str
    raw: str


def read_time(table: SourceTable, column: Column, intake: Intake, tz: str | None, unit: str | None) -> TimeColumn:
    """Return how to read `column` as naive UTC microseconds; note the zone, unit and digits that were assumed or lost.

    Raises
    ------
    LoadError
        The column can't hold times, the zone is unknown, or the unit of epoch numbers is ambiguous.
    """
    if unit is not None and unit not in _UNITS:
        raise LoadError(f"unit={excerpt(unit)} is no epoch unit; expected one of {list(_UNITS)}.")
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
        return _from_text(table, column, intake, where, tz=tz, unit=unit)
    else:
        raise LoadError(f"{where} is {column.type}, which is no time; name another column with time=.")
    return TimeColumn(_bounded(sql), f"{column.sql} IS NULL", f"{column.sql}::VARCHAR")


def to_utc(column: str, type: str) -> str:
    """Return an expression that gives any timestamp type as naive UTC TIMESTAMP (microseconds)."""
    if "WITH TIME ZONE" in type:
        return f"timezone('UTC', {column}::TIMESTAMPTZ)"
    return column if type == "TIMESTAMP" else f"CAST({column} AS TIMESTAMP)"


def _bounded(sql: str) -> str:
    # Written twice, not as a subquery: a correlated subquery would become a join.
    return f"CASE WHEN {sql} BETWEEN TIMESTAMP '0001-01-02' AND TIMESTAMP '9999-12-31 12:00:00' THEN {sql} END"


def _local(sql: str, tz: str | None) -> str:
    return sql if tz in (None, "UTC") else f"timezone('UTC', timezone('{tz}', {sql}))"


def _from_timestamp(table: SourceTable, column: Column, intake: Intake, tz: str | None, where: str) -> str:
    sql = to_utc(column.sql, column.type)
    if column.type.startswith("TIMESTAMP_NS"):
        ((lost,),) = intake.rows(
            f"SELECT count(*) FROM {table.relation} WHERE isfinite({sql}) AND epoch_ns({column.sql}) % 1000 <> 0"
        )
        _note_lost(intake, where, lost)
    if "WITH TIME ZONE" in column.type:
        return sql
    _note_zone(intake, where, tz, None)
    _note_clock_change(table, sql, tz, intake, where)
    return _local(sql, tz)


def _note_zone(intake: Intake, where: str, tz: str | None, rows: int | None) -> None:
    many = "" if rows is None else f" in {count(rows, 'row')}"
    source = "as tz= says" if tz else "tz= reads another"
    intake.note(f"{where} has no zone{many}; read as {tz or 'UTC'} ({source}).")


def _note_clock_change(table: SourceTable, local: str, tz: str | None, intake: Intake, where: str) -> None:
    """Say how many local times did not exist, or existed twice, when the clocks changed."""
    if tz in (None, "UTC"):
        return
    utc = _local("t", tz)
    later, earlier = (f"timezone('{tz}', timezone('UTC', {utc} {sign} INTERVAL 1 HOUR))" for sign in "+-")
    ((skipped, twice),) = intake.rows(
        f"SELECT count(*) FILTER (timezone('{tz}', timezone('UTC', {utc})) <> t), "
        f"count(*) FILTER ({later} = t OR {earlier} = t) FROM (SELECT {local} AS t FROM {table.relation}) "
        "WHERE isfinite(t)"
    )
    if skipped or twice:
        intake.note(
            f"{where}: {count(skipped, 'local time')} skipped by a clock change, {count(twice, 'local time')} that "
            "came twice; "
            "DuckDB's choice was taken."
        )


def _note_lost(intake: Intake, where: str, lost: int) -> None:
    if lost:
        intake.counts["truncated_times"] = intake.counts.get("truncated_times", 0) + lost
        intake.note(f"{where} is finer than a microsecond in {count(lost, 'row')}; the digits after were cut.")


def _micros(value: str, unit: str) -> str:
    """Return whole epoch numbers as microseconds; nanoseconds are cut towards the past, never rounded."""
    if unit == "ns":
        return f"(({value})::HUGEINT - ((({value})::HUGEINT % 1000) + 1000) % 1000) // 1000"
    return f"({value})::HUGEINT * {int(_UNITS[unit][0])}"


def _instant(micros: str) -> str:
    within = f"{micros} BETWEEN -62135596800000000 AND 253402300799999999"
    return f"make_timestamp(CASE WHEN {within} THEN ({micros})::BIGINT END)"


def _from_number(table: SourceTable, column: Column, intake: Intake, unit: str | None, where: str) -> str:
    unit = unit or _guess_unit(table, f"{column.sql}", "true", intake, where)
    if column.type in _WHOLE:
        if unit == "ns":
            ((lost,),) = intake.rows(f"SELECT count(*) FROM {table.relation} WHERE {column.sql} % 1000 <> 0")
            _note_lost(intake, where, lost)
        return _instant(f"({_micros(column.sql, unit)})")
    scaled = f"({column.sql})::DOUBLE * {float(_UNITS[unit][0])}"
    return _instant(f"(CASE WHEN isfinite(({column.sql})::DOUBLE) THEN round({scaled}) END)")


def _guess_unit(table: SourceTable, value: str, condition: str, intake: Intake, where: str) -> str:
    ((low, high),) = intake.rows(
        f"SELECT min(v), max(v) FROM (SELECT TRY_CAST({value} AS DOUBLE) AS v FROM {table.relation} WHERE {condition}) "
        "WHERE isfinite(v)"
    )
    if low is None:
        return "s"
    fits = [unit for unit, (_, first, last) in _UNITS.items() if first <= low and high <= last]
    if len(fits) == 1:
        intake.note(f"{where} holds epoch numbers; their unit was guessed as {fits[0]!r} (unit= reads another).")
        return fits[0]
    raise LoadError(
        f"{where} holds numbers from {low:g} to {high:g}, which are not plainly times between 2001 and 2100 in one "
        "unit; "
        f"name it with unit=, one of {list(_UNITS)}."
    )


def _from_text(
    table: SourceTable, column: Column, intake: Intake, where: str, *, tz: str | None, unit: str | None
) -> TimeColumn:
    raw = f"({column.sql} ->> '$')" if column.type == "JSON" else f"({column.sql})::VARCHAR"
    text = f"trim({raw})"
    ((zoned, plain, numbers, fine),) = intake.rows(
        "SELECT count(*) FILTER (zoned), count(*) FILTER (day AND NOT zoned), count(*) FILTER (number), "
        f"count(*) FILTER (regexp_matches(t, '[.,]\\d{{6}}\\d*[1-9]') AND NOT number) "
        f"FROM (SELECT t, regexp_matches(t, '{_DAY}') AS day, regexp_matches(t, '{_ZONE}') OR regexp_full_match(t, "
        f"'\\d{{8}}T\\d{{6}}Z') AS zoned, "
        f"regexp_full_match(t, '{_NUMBER}') AS number FROM (SELECT {text} AS t FROM {table.relation}))"
    )
    _note_lost(intake, where, fine)
    if plain:
        _note_zone(intake, where, tz, plain)
        _note_clock_change(table, f"TRY_CAST({text} AS TIMESTAMP)", tz, intake, where)
    kinds = [
        f"{rows:,} {what}"
        for rows, what in ((zoned, "with a zone"), (plain, "without a zone"), (numbers, "epoch numbers"))
        if rows
    ]
    if len(kinds) > 1:
        intake.note(f"{where} is written in several ways: {', '.join(kinds)}; all were read.")
    number = "NULL"
    if numbers:
        unit = unit or _guess_unit(table, text, f"regexp_full_match({text}, '{_NUMBER}')", intake, where)
        number = _numeric_text(text, unit)
    sql = _parsed(text, tz, number)
    return TimeColumn(_bounded(sql), f"coalesce({text}, '') = ''", raw)


def _numeric_text(text: str, unit: str) -> str:
    whole = _micros(f"TRY_CAST({text} AS BIGINT)", unit)
    # Nine places after the point are kept exactly; a double would round 1679822400.123456 s.
    part = f"floor(TRY_CAST({text} AS DECIMAL(38, 9)) * {_UNITS[unit][0]})::HUGEINT"
    return _instant(f"(CASE WHEN contains({text}, '.') THEN {part} ELSE {whole} END)")


def _parsed(t: str, tz: str | None, number: str) -> str:
    tidy = f"replace(upper(regexp_replace({t}, '\\s+([+-]\\d)', '\\1')), ',', '.')"
    day = f"regexp_matches({t}, '{_DAY}')"
    plain = _local(f"coalesce(TRY_CAST({t} AS TIMESTAMP), TRY_CAST({tidy} AS TIMESTAMP))", tz)
    zoned = f"timezone('UTC', coalesce(TRY_CAST({t} AS TIMESTAMPTZ), TRY_CAST({tidy} AS TIMESTAMPTZ)))"
    others = [f"timezone('UTC', try_strptime({t}, '{format}'))" for format in _ZONED_FORMATS]
    others += [
        _local(f"try_strptime({t}, '{format}')", None if format.endswith("Z") else tz) for format in _PLAIN_FORMATS
    ]
    return (
        f"(CASE WHEN {day} AND regexp_matches({t}, '{_ZONE}') THEN {zoned} WHEN {day} THEN {plain} "
        f"WHEN regexp_full_match({t}, '{_NUMBER}') THEN {number} "
        f"WHEN regexp_matches({t}, '\\d') THEN coalesce({', '.join(others)}) END)"
    )
