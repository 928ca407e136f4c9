"""CSV and its relatives: every value is text first, and typed only where nothing of it is lost."""

from __future__ import annotations

import csv
import io
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.errors import LoadError
from replaykit.sources.table import Column, Intake, Part, SourceTable, Unreadable, check_distinct
from replaykit.sources.text import encoding_of, ends_with_newline, head_of, is_gzip, open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["read_delimited", "typed"]

_DELIMITERS = ",;\t|"
_LINE_LIMIT = 256 << 20
_WORDS = "('NULL', 'null', 'None', 'NaN', 'nan', 'NA', 'N/A', 'inf', '-inf', 'Infinity', '-Infinity', '\\N')"


def read_delimited(path: Path, intake: Intake) -> SourceTable:
    """Stage a delimited text file with a header line; all columns are text, empty unquoted values NULL."""
    encoding = encoding_of(path, intake)
    if b"\r\n" in head_of(path):
        intake.note(f"{path.name} has Windows line ends (CRLF); they were left out.")
    names, delimiter = _header(path, encoding)
    check_distinct(path.name, names)
    if not names:
        intake.note(f"{path.name} is empty.")
        relation = intake.stage("empty", "SELECT 1::BIGINT AS row WHERE false")
        return SourceTable(path.name, relation, (), "row", 0, (Part(path.name, 0, str(path)),))
    relation = _stage(path, names, delimiter, encoding, intake)
    rows = int(intake.rows(f"SELECT count(*) FROM {relation}")[0][0])
    if not rows:
        intake.note(f"{path.name} has a header and no rows.")
    unreadable = _unreadable(path, encoding, delimiter, intake)
    columns = tuple(Column(name, f"c{place}", "VARCHAR") for place, name in enumerate(names, 1))
    part = Part(path.name, rows, str(path))
    table = SourceTable(path.name, relation, columns, "row", rows + len(unreadable), (part,), lines=True)
    return replace(table, unreadable=unreadable)


def _stage(path: Path, names: list[str], delimiter: str, encoding: str, intake: Intake) -> str:
    columns = "{" + ", ".join(f"'c{place}': 'VARCHAR'" for place in range(1, len(names) + 1)) + "}"
    intake.rows("DROP TABLE IF EXISTS reject_errors; DROP TABLE IF EXISTS reject_scans")
    longest = min(max(2 << 20, path.stat().st_size * (20 if is_gzip(path) else 1)), _LINE_LIMIT)
    query = (
        "SELECT row_number() OVER () AS row, * FROM read_csv($1, header = true, auto_detect = false, "
        f"columns = {columns}, max_line_size = {longest}, "
        """delim = $2, quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false, """
        "store_rejects = true, rejects_limit = 0, null_padding = false, encoding = $3, compression = $4)"
    )
    code = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    parameters = [str(path), delimiter, code, "gzip" if is_gzip(path) else "none"]
    try:
        return intake.stage("csv", query, parameters)
    except duckdb.Error as error:
        shown = intake.quoted(str(error).splitlines()[0])
        raise LoadError(f"File {str(path)!r} can't be read as delimited text: {shown}") from None


@contextmanager
def _records(path: Path, encoding: str, delimiter: str) -> Iterator[Iterator[list[str]]]:
    """Yield csv records of any length; the field limit is process-wide, so it is put back."""
    before = csv.field_size_limit(sys.maxsize)
    raw = open_bytes(path)
    try:
        with raw, io.TextIOWrapper(raw, encoding=encoding, errors="replace", newline="") as text:
            yield csv.reader(text, delimiter=delimiter)
    finally:
        csv.field_size_limit(before)


def _header(path: Path, encoding: str) -> tuple[list[str], str]:
    best: list[str] = []
    delimiter = ","
    for candidate in _DELIMITERS:
        with _records(path, encoding, candidate) as records:
            names = next(iter(records), [])
        if len(names) > len(best):
            best, delimiter = names, candidate
    return best, delimiter


def _unreadable(path: Path, encoding: str, delimiter: str, intake: Intake) -> tuple[Unreadable, ...]:
    errors = intake.rows(
        "SELECT line, min(error_type::VARCHAR), max(left(csv_line, 200)), max(column_idx) FROM reject_errors "
        "GROUP BY line ORDER BY line"
    )
    if not errors:
        return ()
    records = {int(line): (str(kind), str(text or "").strip()) for line, kind, text, _ in errors}
    places, last = physical_lines(path, encoding, delimiter, set(records))
    if ends_with_newline(path, intake):
        last = 0
    return tuple(
        Unreadable(path.name, places.get(record, record), _reason(kind, record == last), intake.quoted(text))
        for record, (kind, text) in sorted(records.items())
    )


def _reason(kind: str, last: bool) -> str:
    if kind == "MISSING COLUMNS":
        return "last line is cut off" if last else "too few values"
    if kind == "TOO MANY COLUMNS":
        return "too many values"
    if kind == "UNQUOTED VALUE":
        return "last line is cut off" if last else "a quote is not closed"
    return kind.lower()


def physical_lines(path: Path, encoding: str, delimiter: str, wanted: set[int]) -> tuple[dict[int, int], int]:
    """Return the first physical line of each wanted record (1 = header), and the number of the last record."""
    found: dict[int, int] = {}
    number = 0
    with _records(path, encoding, delimiter) as records:
        start = 1
        for number, _ in enumerate(records, 1):
            if number in wanted:
                found[number] = start
            start = records.line_num + 1  # type: ignore[attr-defined]
    return found, number


def typed(table: SourceTable, intake: Intake) -> SourceTable:
    """Give text columns the type in which every non-empty value round-trips; "007" and "1.50" stay text."""
    if not table.read or not table.columns:
        return table
    # One row per value, because the planner takes seconds over thousands of aggregates of single columns.
    values = ", ".join(column.sql for column in table.columns)
    query = (
        f"SELECT n, count(v), bool_and(TRY_CAST(v AS BIGINT)::VARCHAR IS NOT DISTINCT FROM v), "
        "bool_and(TRY_CAST(v AS DOUBLE)::VARCHAR IS NOT DISTINCT FROM v AND isfinite(coalesce(TRY_CAST(v AS "
        "DOUBLE), 0))), "
        f"bool_and(v IN ('true', 'false')), count(*) FILTER (v IN {_WORDS}) "
        f"FROM (SELECT nullif(unnest([{values}]), '') AS v, unnest(range({len(table.columns)})) AS n "
        f"FROM {table.relation}) WHERE v IS NOT NULL GROUP BY n"
    )
    answers = {number: answer for number, *answer in intake.rows(query)}
    columns = [
        _typed(column, answers[place], table.label, intake) if place in answers else column
        for place, column in enumerate(table.columns)
    ]
    return replace(table, columns=tuple(columns))


def _typed(column: Column, answer: list[Any], label: str, intake: Intake) -> Column:
    _, whole, real, boolean, words = answer
    if any(declared == column.name or declared.endswith(f".{column.name}") for declared in intake.types):
        return column
    fits = [("BIGINT", whole), ("DOUBLE", real), ("BOOLEAN", boolean)]
    type = next((name for name, fit in fits if fit), None)
    if type is not None:
        return Column(column.name, f"TRY_CAST({column.sql} AS {type})", type)  # '' is no number, so NULL
    if words:
        intake.note(f"{label}: column {column.name!r} holds words such as NULL or NaN ({words:,}); kept as text.")
    return column


def physical_lines_of(table: SourceTable, rows: Sequence[int]) -> dict[int, tuple[str, int]]:
    """Return file and first physical line of staged rows; files are read again, only because rows were rejected."""
    wanted = sorted(rows)
    found: dict[int, tuple[str, int]] = {}
    offset = 0
    for part in table.parts:
        here = {row - offset for row in wanted if offset < row <= offset + part.rows}
        if here and part.path is not None:
            path = Path(part.path)
            bad = {row.place for row in table.unreadable if row.label == part.label}
            for row, line in _lines_of_rows(path, bad, here).items():
                found[row + offset] = (part.label, line)
        offset += part.rows
    return {row: found.get(row) or table.locate(row) for row in wanted}


def _lines_of_rows(path: Path, bad: set[int], wanted: set[int]) -> dict[int, int]:
    encoding = encoding_of(path, Intake(duckdb.connect(":memory:")))
    names, delimiter = _header(path, encoding)
    found: dict[int, int] = {}
    row = 0
    with _records(path, encoding, delimiter) as records:
        start = 1
        for number, record in enumerate(records):
            if number and start not in bad and (record or len(names) == 1):
                row += 1
                if row in wanted:
                    found[row] = start
            start = records.line_num + 1  # type: ignore[attr-defined]
    return found
