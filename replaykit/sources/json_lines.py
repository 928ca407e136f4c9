"""JSON lines: top-level scalars become columns, nested values stay JSON, so that absent is never null."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replaykit.display import count
from replaykit.errors import LoadError
from replaykit.sources.table import Column, Intake, Part, SourceTable, Unreadable
from replaykit.sources.text import encoding_of, ends_with_newline, head_of, read_chunks
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

__all__ = ["read_json_lines", "read_rows"]

_MOST_KEYS = 20_000
_BATCH = 50_000
_INTEGERS = {"BIGINT", "UBIGINT"}
# An integer of 30 digits is a DOUBLE to the parser; as one it would be another number.
_KINDS = """
    SELECT n, kind, bool_or(kind = 'UBIGINT' AND TRY_CAST(x AS BIGINT) IS NULL),
        bool_or(kind IN ('UBIGINT', 'BIGINT', 'DOUBLE') AND regexp_full_match(x::VARCHAR, '-?[0-9]+')
            AND abs(TRY_CAST(x::VARCHAR AS DOUBLE)) > 9007199254740992)
    FROM (SELECT n, x, json_type(x) AS kind FROM (
        SELECT unnest(v) AS x, unnest(range(len(v))) AS n FROM (SELECT json_extract(line, $1) AS v FROM {})))
    WHERE kind <> 'NULL' GROUP BY n, kind"""


def read_json_lines(path: Path, intake: Intake) -> SourceTable:
    """Stage a file of one JSON object per line (or one JSON array of objects), plain or gzip."""
    if head_of(path).lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b"["):
        return _stage(intake, path.name, _array(path, intake), "element", str(path))
    return _stage(intake, path.name, _lines(path, intake), "line", str(path))


def read_rows(rows: Sequence[Mapping[str, Any]], label: str, intake: Intake) -> SourceTable:
    """Stage a list of dictionaries as if each had been a JSON line."""
    return _stage(intake, label, ((n, _dump(row)) for n, row in enumerate(rows, 1)), "row", None)


def _dump(row: object) -> str:
    return json.dumps(row, default=str, ensure_ascii=False)


def _array(path: Path, intake: Intake) -> Iterator[tuple[int, str]]:
    text = b"".join(read_chunks(path, intake)).decode(encoding_of(path, intake))
    valid = intake.rows("SELECT json_valid($1)", [text])[0][0]
    if not valid:
        raise LoadError(f"File {str(path)!r} starts as a JSON array but is not valid JSON; write one object per line.")
    elements = intake.rows("SELECT unnest(json_extract($1::JSON, '$[*]'))", [text])
    return ((n, element) for n, (element,) in enumerate(elements, 1))


def _lines(path: Path, intake: Intake) -> Iterator[tuple[int, str]]:
    decoder = codecs.getincrementaldecoder(encoding_of(path, intake))(errors="replace")
    number, rest, crlf = 0, "", False
    for chunk in read_chunks(path, intake):
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        for line in lines:
            number += 1
            crlf = crlf or line.endswith("\r")
            yield number, line.rstrip("\r")
    if rest := rest + decoder.decode(b"", final=True):
        yield number + 1, rest.rstrip("\r")
    if crlf:
        intake.note(f"{path.name} has Windows line ends (CRLF); they were left out.")


def _batches(lines: Iterable[tuple[int, str]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    numbers: list[int] = []
    texts: list[str] = []
    size = 0
    for number, line in lines:
        if not line or line.isspace():
            continue
        numbers.append(number)
        texts.append(line)
        size += len(line)
        if len(numbers) >= _BATCH or size > 1 << 25:
            yield pa.record_batch([pa.array(numbers), pa.array(texts)], schema=schema)
            numbers, texts, size = [], [], 0
    yield pa.record_batch([pa.array(numbers, pa.int64()), pa.array(texts, pa.string())], schema=schema)


def _stage(intake: Intake, label: str, lines: Iterable[tuple[int, str]], noun: str, path: str | None) -> SourceTable:
    import pyarrow as pa

    schema = pa.schema([("row", pa.int64()), ("line", pa.string())])
    staged = intake.name("lines")
    reader = pa.RecordBatchReader.from_batches(schema, _batches(lines, schema))
    intake.connection.register(staged, reader)
    try:
        raw = intake.stage("json", f"SELECT row, line, json_valid(line) AS valid FROM {quote(staged)}")
    finally:
        intake.connection.unregister(staged)
    read = int(intake.rows(f"SELECT count(*) FROM {raw}")[0][0])
    unreadable = _unreadable(intake, raw, label, noun, path)
    relation, columns = _columns(intake, raw, label)
    last = int(intake.rows(f"SELECT coalesce(max(row), 0) FROM {raw}")[0][0])
    intake.unstage(raw)
    return SourceTable(
        label, relation, columns, "row", read, (Part(label, last, path),), dense=False, unreadable=unreadable
    )


def _unreadable(intake: Intake, raw: str, label: str, noun: str, path: str | None) -> tuple[Unreadable, ...]:
    last = int(intake.rows(f"SELECT coalesce(max(row), 0) FROM {raw}")[0][0])
    cut = path is not None and noun == "line" and not ends_with_newline(Path(path), intake)
    bad = intake.rows(f"SELECT row, left(line, 200), valid FROM {raw} WHERE NOT valid OR json_type(line) <> 'OBJECT' "
                      "ORDER BY row")  # fmt: skip
    found = []
    for row, text, valid in bad:
        reason = f"{noun} is no JSON object" if valid else f"{noun} is no JSON"
        if not valid and row == last and cut:
            reason = "last line is cut off"
        found.append(Unreadable(label, int(row), reason, intake.quoted(text)))
    return tuple(found)


def _columns(intake: Intake, raw: str, label: str) -> tuple[str, tuple[Column, ...]]:
    good = f"(SELECT row, line FROM {raw} WHERE valid AND json_type(line) = 'OBJECT')"
    # Lines share few sets of keys, so the sets are counted and only then taken apart.
    sets = intake.stage(
        "keys", f"SELECT json_keys(line) AS keys, min(row) AS row, count(*) AS n FROM {good} GROUP BY keys"
    )
    ((twice,),) = intake.rows(
        f"SELECT coalesce(sum(n), 0)::BIGINT FROM {sets} WHERE len(keys) <> len(list_distinct(keys))"
    )
    keys = intake.rows(
        "SELECT key FROM (SELECT row, unnest(keys) AS key, unnest(range(len(keys))) AS place "
        f"FROM {sets}) GROUP BY key ORDER BY min({{'row': row, 'place': place}})"
    )
    intake.unstage(sets)
    if len(keys) > _MOST_KEYS:
        raise LoadError(
            f"The lines of {label!r} have {len(keys):,} different keys, more than {_MOST_KEYS:,} columns; "
            "keep what varies inside one nested object."
        )
    if twice:
        intake.note(f"{label}: {count(twice, 'line')} with a key written twice; the first value was taken.")
    return _typed(intake, good, [str(key) for (key,) in keys])


def _typed(intake: Intake, good: str, names: list[str]) -> tuple[str, tuple[Column, ...]]:
    paths = ["/" + name.replace("~", "~0").replace("/", "~1") for name in names]
    if not paths:
        return intake.stage("rows", f"SELECT row FROM {good}"), ()
    found: dict[int, tuple[set[str], bool, bool]] = {}
    for place, kind, long, inexact in intake.rows(_KINDS.format(good), [paths]):
        kinds, was_long, was_inexact = found.get(place, (set(), False, False))
        found[place] = (kinds | {kind}, was_long or long, was_inexact or inexact)
    types = [_type(*found.get(place, (set(), False, False))) for place in range(len(names))]
    reads = [f"{_read(f'v[{place}]', type)} AS c{place}" for place, type in enumerate(types, 1)]
    values = f"(SELECT row, json_extract(line, $1) AS v FROM {good})"
    relation = intake.stage("rows", f"SELECT row, {', '.join(reads)} FROM {values}", [paths])
    columns = zip(names, types, strict=True)
    return relation, tuple(Column(name, f"c{place}", type) for place, (name, type) in enumerate(columns, 1))


def _type(kinds: set[str], long: bool, inexact: bool) -> str:
    """Return the type of a column; JSON where values differ in kind or a number would lose digits."""
    if not kinds or kinds == {"VARCHAR"}:
        return "VARCHAR"
    if kinds == {"BOOLEAN"}:
        return "BOOLEAN"
    if kinds <= _INTEGERS:
        return "JSON" if long else "BIGINT"
    return "DOUBLE" if kinds <= _INTEGERS | {"DOUBLE"} and not inexact else "JSON"


def _read(value: str, type: str) -> str:
    if type == "JSON":
        return value
    text = f"({value} ->> '$')"
    return text if type == "VARCHAR" else f"CAST({text} AS {type})"
