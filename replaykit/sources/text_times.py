"""Times written as text: many spellings, with and without zones, and epoch numbers between them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replaykit.sources.times import (
    UNITS,
    TimeColumn,
    bounded,
    guess_unit,
    instant,
    local,
    micros,
    note_clock_change,
    note_lost,
    note_zone,
)
from replaykit.sql import quote

if TYPE_CHECKING:
    from replaykit.sources.table import Column, Intake, SourceTable

__all__ = ["from_text"]

_ZONE = r"\d:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|z|UTC|GMT|[+-]\d{2}(:?\d{2})?|[A-Za-z_]+/[A-Za-z_/]+)$"
_NUMBER = r"[+-]?\d+(\.\d*)?"
_DAY = r"^\d{4}-\d{1,2}-\d{1,2}([T ]|$)"
_COMPACT = r"\d{8}T\d{6}Z"
_FINE = r"[.,]\d{6}\d*[1-9]"
_ZONED_FORMATS = ["%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%Y%m%dT%H%M%S%z", "%Y/%m/%d %H:%M:%S %z"]
_PLAIN_FORMATS = ["%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S", "%Y/%m/%d %H:%M:%S.%f", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d"]


def from_text(
    table: SourceTable, column: Column, intake: Intake, where: str, *, tz: str | None, unit: str | None
) -> TimeColumn:
    """Return how to read a column of text; one plain cast if all of it is in one ISO form, else parsed once, staged."""
    raw = f"({column.sql} ->> '$')" if column.type == "JSON" else f"({column.sql})::VARCHAR"
    text = f"trim({raw})"
    empty = f"coalesce({text}, '') = ''"
    cast_zoned, cast_plain = f"TRY_CAST({text} AS TIMESTAMPTZ)", f"TRY_CAST({text} AS TIMESTAMP)"
    ((rows, filled, iso_zoned, iso_plain, zoned, plain, numbers, fine),) = intake.rows(
        "SELECT count(*), count(*) FILTER (t <> ''), count(*) FILTER (day AND zone AND z), "
        "count(*) FILTER (day AND NOT zone AND p), count(*) FILTER (zone OR compact), count(*) FILTER (day AND NOT "
        "zone), "
        f"count(*) FILTER (number), count(*) FILTER (fine AND NOT number) FROM ({_looked_at(text, table.relation)})"
    )
    note_lost(intake, where, fine)
    if plain:
        note_zone(intake, where, tz, plain)
        note_clock_change(table, cast_plain, tz, intake, where)
    _note_ways(intake, where, zoned, plain, numbers)
    if filled == iso_zoned:
        return TimeColumn(table, f"timezone('UTC', {cast_zoned})", empty, raw, sure=filled == rows)
    if filled == iso_plain:
        return TimeColumn(table, local(cast_plain, tz), empty, raw, sure=filled == rows)
    number = "NULL"
    if numbers:
        unit = unit or guess_unit(table, text, f"regexp_full_match({text}, '{_NUMBER}')", intake, where)
        number = _numeric_text(text, unit)
    return _staged(table, column, intake, bounded(_parsed(text, tz, number)))


def _looked_at(text: str, relation: str) -> str:
    # The bounds keep to the years a Python date holds; ISO text sorts as its times do.
    return (
        f"SELECT t, regexp_matches(t, '{_DAY}') AND t > '0001-01-02' AND t < '9999-12-31' AS day, "
        f"regexp_matches(t, '{_ZONE}') AS zone, regexp_full_match(t, '{_COMPACT}') AS compact, "
        f"regexp_full_match(t, '{_NUMBER}') AS number, regexp_matches(t, '{_FINE}') AS fine, "
        "TRY_CAST(t AS TIMESTAMPTZ) IS NOT NULL AS z, TRY_CAST(t AS TIMESTAMP) IS NOT NULL AS p "
        f"FROM (SELECT {text} AS t FROM {relation})"
    )


def _note_ways(intake: Intake, where: str, zoned: int, plain: int, numbers: int) -> None:
    ways = ((zoned, "with a zone"), (plain, "without a zone"), (numbers, "epoch numbers"))
    used = [f"{rows:,} {what}" for rows, what in ways if rows]
    if len(used) > 1:
        intake.note(f"{where} is written in several ways: {', '.join(used)}; all were read.")


def _staged(table: SourceTable, column: Column, intake: Intake, sql: str) -> TimeColumn:
    """Parse once and keep the result beside the other columns: the parsing costs more than the copy."""
    reads = ", ".join(f"{column.sql} AS {quote(f'c{place}')}" for place, column in enumerate(table.columns))
    relation = intake.stage("timed", f"SELECT {table.row} AS row, {sql} AS t, {reads} FROM {table.relation}")
    intake.unstage(table.relation)
    columns = tuple(replace(old, sql=quote(f"c{place}")) for place, old in enumerate(table.columns))
    timed = replace(table, relation=relation, row="row", columns=columns)
    now = timed.column(column.name) or column
    raw = f"({now.sql} ->> '$')" if now.type == "JSON" else f"({now.sql})::VARCHAR"
    return TimeColumn(timed, "t", f"coalesce(trim({raw}), '') = ''", raw)


def _numeric_text(text: str, unit: str) -> str:
    whole = micros(f"TRY_CAST({text} AS BIGINT)", unit)
    # Nine places after the point are kept exactly; a double would round 1679822400.123456 s.
    part = f"floor(TRY_CAST({text} AS DECIMAL(38, 9)) * {UNITS[unit][0]})::HUGEINT"
    return instant(f"(CASE WHEN contains({text}, '.') THEN {part} ELSE {whole} END)")


def _parsed(t: str, tz: str | None, number: str) -> str:
    tidy = f"replace(upper(regexp_replace({t}, '\\s+([+-]\\d)', '\\1')), ',', '.')"
    day = f"regexp_matches({t}, '{_DAY}')"
    plain = local(f"coalesce(TRY_CAST({t} AS TIMESTAMP), TRY_CAST({tidy} AS TIMESTAMP))", tz)
    zoned = f"timezone('UTC', coalesce(TRY_CAST({t} AS TIMESTAMPTZ), TRY_CAST({tidy} AS TIMESTAMPTZ)))"
    others = [f"timezone('UTC', try_strptime({t}, '{format}'))" for format in _ZONED_FORMATS]
    others += [
        local(f"try_strptime({t}, '{format}')", None if format.endswith("Z") else tz) for format in _PLAIN_FORMATS
    ]
    return (
        f"(CASE WHEN {day} AND regexp_matches({t}, '{_ZONE}') THEN {zoned} WHEN {day} THEN {plain} "
        f"WHEN regexp_full_match({t}, '{_NUMBER}') THEN {number} "
        f"WHEN regexp_matches({t}, '\\d') THEN coalesce({', '.join(others)}) END)"
    )
