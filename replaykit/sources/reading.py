"""Which reader reads what: paths by their content, frames by their kind, and several files as one source."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from replaykit.errors import LoadError, excerpt
from replaykit.sources.delimited import read_delimited, typed
from replaykit.sources.frames import read_arrow, read_frame
from replaykit.sources.json_lines import read_json_lines, read_rows
from replaykit.sources.parquet import read_parquet
from replaykit.sources.sqlite import SQLiteSource, read_sqlite
from replaykit.sources.table import Intake, SourceTable, one_of
from replaykit.sources.text import head_of
from replaykit.sources.unions import united

__all__ = ["read"]

_JSON_NAMES = (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".ndjson.gz", ".json.gz")


def read(source: Any, label: str, intake: Intake) -> SourceTable:
    """Stage any source: a path or glob, a list of paths, a DataFrame, Arrow, dictionaries or `sqlite(...)`.

    Raises
    ------
    LoadError
        The source is missing, not readable, or nothing replaykit knows.
    """
    if isinstance(source, SQLiteSource):
        return read_sqlite(source, intake)
    if isinstance(source, str | os.PathLike):
        return _read_paths(_found(os.fspath(source)), str(source), intake)
    if type(source).__module__.partition(".")[0] == "pandas" and hasattr(source, "iloc") and hasattr(source, "columns"):
        return read_frame(source, label, intake)
    if hasattr(source, "__arrow_c_stream__"):
        return read_arrow(source, label, intake)
    if isinstance(source, Sequence) and not isinstance(source, bytes):
        if source and all(isinstance(item, str | os.PathLike) for item in source):
            return _read_paths([path for item in source for path in _found(os.fspath(item))], label, intake)
        if all(isinstance(item, Mapping) for item in source):
            return read_rows(source, label, intake)
    raise LoadError(
        f"{label} can't be loaded from {excerpt(source)} ({type(source).__name__}); expected a path, a glob, "
        "a list of paths, a DataFrame, an Arrow table, a list of dictionaries or rk.sqlite(path, table)."
    )


def _found(text: str) -> list[Path]:
    path = Path(text).expanduser()
    if path.is_dir():
        files = sorted(item.name for item in path.iterdir() if item.is_file())
        raise LoadError(
            f"{text!r} is a directory; it holds {one_of(files)}. Name a file or a glob, for example "
            f"{text.rstrip('/') + '/*.parquet'!r}."
        )
    if path.exists():
        return [path]
    # Path.glob can't take a pattern that starts at the root.
    found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207
    matches = [Path(match) for match in found if Path(match).is_file()]
    if matches:
        return matches
    raise LoadError(f"There is no file {text!r}{_beside(path)}.")


def _beside(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"; the folder {str(folder)!r} does not exist either"
    names = sorted(item.name for item in folder.iterdir())
    return f"; the folder {str(folder)!r} holds {one_of(names, 20)}"


def _read_paths(paths: list[Path], label: str, intake: Intake) -> SourceTable:
    kinds = [_kind(path) for path in paths]
    if set(kinds) == {"parquet"}:
        table = read_parquet(paths, label, intake)
        return united([read_parquet([path], path.name, intake) for path in paths], table, label, intake)
    if "parquet" in kinds:
        raise LoadError(
            f"{label!r} mixes Parquet with other files: {one_of([path.name for path in paths])}; load them apart."
        )
    tables = [
        read_json_lines(path, intake) if kind == "json" else read_delimited(path, intake)
        for path, kind in zip(paths, kinds, strict=True)
    ]
    table = united(tables, None, label, intake)
    return typed(table, intake) if set(kinds) == {"csv"} else table


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            raw = handle.read(16)
        head = head_of(path)
    except OSError as error:
        raise LoadError(f"File {str(path)!r} can't be opened: {error.strerror}.") from None
    if raw.startswith(b"PAR1"):
        return "parquet"
    if raw.startswith(b"SQLite format 3\0"):
        raise LoadError(f"File {str(path)!r} is a SQLite database; name its table: rk.sqlite({str(path)!r}, 'table').")
    if raw[8:12] == b"DUCK":
        raise LoadError(
            f"File {str(path)!r} is a DuckDB database; if it is a recording, open it with rk.open({str(path)!r})."
        )
    if path.name.lower().endswith(_JSON_NAMES):
        return "json"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return "json" if start.startswith(b"{") else "csv"
