"""Parquet files: read where they lie, never copied, numbered by the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from replaykit.errors import LoadError, excerpt
from replaykit.sources.table import Column, Intake, Part, SourceTable, check_distinct
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["read_parquet"]


def read_parquet(paths: Sequence[Path], label: str, intake: Intake) -> SourceTable:
    """Describe one or several Parquet files as one source; nothing is copied until the recording is written."""
    files = [str(path) for path in paths]
    names = [_column_names(file) for file in files]
    for file, found in zip(files, names, strict=True):
        check_distinct(Path(file).name, found)
    literal = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    options = "file_row_number = true" + (", union_by_name = true" if len(files) > 1 else "")
    relation = f"read_parquet([{literal}], {options})"
    try:
        described = [(name, type) for name, type in intake.describe(relation) if name != "file_row_number"]
    except duckdb.Error as error:
        raise LoadError(f"Parquet source {label!r} can't be read: {excerpt(str(error).splitlines()[0])}") from None
    # DuckDB renames a column that differs from another only in case; the file's own name is at the same place.
    originals = names[0] if len(files) == 1 else [name for name, _ in described]
    columns = tuple(
        Column(own, quote(name), type) for own, (name, type) in zip(originals, described, strict=True)
    )  # fmt: skip
    parts = tuple(Part(Path(file).name, rows) for file, rows in _row_counts(files, intake))
    return SourceTable(label, relation, columns, _row(parts), sum(part.rows for part in parts), parts)


def _column_names(file: str) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return [str(name) for name in pq.read_schema(file).names]
    except (pa.ArrowInvalid, OSError) as error:
        raise LoadError(f"File {file!r} starts like Parquet but can't be read: {excerpt(str(error))}") from None


def _row_counts(files: Sequence[str], intake: Intake) -> list[tuple[str, int]]:
    rows = intake.rows("SELECT file_name, num_rows FROM parquet_file_metadata($1)", [list(files)])
    counts = {str(name): int(count) for name, count in rows}
    return [(file, counts[file]) for file in files]


def _row(parts: Sequence[Part]) -> str:
    """Return the expression of the 1-based row over all files; `row_number()` would cost twice the load."""
    if len(parts) == 1:
        return "(file_row_number + 1)"
    offsets, total = [], 1
    for part in parts:
        offsets.append(str(total))
        total += part.rows
    return f"(file_row_number + ([{', '.join(offsets)}])[(file_index + 1)::BIGINT])"
