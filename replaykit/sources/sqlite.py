"""SQLite databases, read with Python's sqlite3 and never written: types, keys and live tables from the schema."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replaykit.errors import LoadError, excerpt
from replaykit.sources.table import Column, Intake, Part, SourceTable, check_distinct, one_of
from replaykit.sql import quote

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

__all__ = ["SQLiteSource", "read_sqlite", "sqlite", "tables_of"]

_BATCH = 20_000
_HELD = {"integer": "BIGINT", "real": "DOUBLE", "text": "VARCHAR", "blob": "BLOB"}


@dataclass(frozen=True)
class SQLiteSource:
    """A table of a SQLite database, or the whole database: what `sqlite` returns."""

    path: Path
    """The database file. Its `-wal` file, if there is one, is read with it."""
    table: str | None = None
    """The table or view; None is every table, which a `Snapshot` takes as live state."""


def sqlite(path: str | os.PathLike[str], table: str | None = None) -> SQLiteSource:
    """Name a table of a SQLite database as a source, or the whole database as the tables of a `Snapshot`.

    Nothing is opened before the load. The database is read in a read-only connection; rows still in its
    write-ahead log are included.
    """
    return SQLiteSource(Path(path).expanduser(), table)


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database so that neither it nor its folder changes."""
    if not path.is_file():
        raise LoadError(f"There is no SQLite database {str(path)!r}.")
    with path.open("rb") as handle:
        if handle.read(16) not in (b"SQLite format 3\0", b""):
            raise LoadError(
                f"File {str(path)!r} is no SQLite database; load it by its path if it is CSV, JSON or Parquet."
            )
    sidecars = [side for ending in ("-wal", "-journal") if (side := path.with_name(path.name + ending)).exists()]
    if _in_wal_mode(path) or sidecars:
        # Even a read-only connection creates -shm and -wal files beside a database in WAL mode, and a hot journal
        # can't be rolled back read-only: read a private copy of the database with its sidecars.
        with tempfile.TemporaryDirectory(prefix="replaykit-") as folder:
            yield from _connected(_copied(path, sidecars, Path(folder)), "rw")
    else:
        yield from _connected(path, "ro")


def _copied(path: Path, sidecars: list[Path], folder: Path) -> Path:
    for _ in range(3):
        before = [(file.stat().st_size, file.stat().st_mtime_ns) for file in (path, *sidecars)]
        for file in (path, *sidecars):
            shutil.copyfile(file, folder / ("copy.sqlite" + file.name[len(path.name) :]))
        if before == [(file.stat().st_size, file.stat().st_mtime_ns) for file in (path, *sidecars)]:
            return folder / "copy.sqlite"
    raise LoadError(f"SQLite database {str(path)!r} is being written; stop its writer, or load a copy of it.")


def _in_wal_mode(path: Path) -> bool:
    with path.open("rb") as handle:
        header = handle.read(20)
    return header[18:20] == b"\x02\x02"


def _connected(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, check_same_thread=False)
    connection.text_factory = _decode
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        yield connection
    except sqlite3.DatabaseError as error:
        raise LoadError(f"SQLite database {path.name!r} can't be read: {excerpt(str(error))}.") from None
    finally:
        connection.close()


def _decode(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def tables_of(source: SQLiteSource, without: Sequence[str] = ()) -> list[str]:
    """Return the tables of a database, sorted by name, without SQLite's own and those in `without`."""
    with opened(source.path) as connection:
        rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    return [name for (name,) in rows if not name.startswith("sqlite_") and name not in without]


def read_sqlite(source: SQLiteSource, intake: Intake) -> SourceTable:
    """Stage one table; the type of a column is what its values are, the declared one if it is JSON."""
    if source.table is None:
        raise LoadError(
            f"rk.sqlite({str(source.path)!r}) names no table; the database has {one_of(tables_of(source))}. "
            f"Name one: rk.sqlite({str(source.path)!r}, 'table')."
        )
    label = f"{source.path.name}:{source.table}"
    with opened(source.path) as connection:
        _check_table(connection, source)
        schema = connection.execute(f"PRAGMA table_xinfo({quote(source.table)})").fetchall()
        names = [row[1] for row in schema if row[6] != 1]
        check_distinct(label, names)
        declared = {row[1]: str(row[2]).upper() for row in schema}
        read = connection.execute(f"SELECT count(*) FROM {quote(source.table)}").fetchone()[0]
        types = {name: _type(connection, source.table, name, declared[name], intake) for name in names}
        relation = _copy(connection, source.table, types, intake)
    types |= dict.fromkeys(_json_columns(types, declared, relation, intake), "JSON")
    keys = [row[1] for row in sorted((row for row in schema if row[5]), key=lambda row: row[5])]
    columns = tuple(
        Column(name, f"CAST(c{place} AS JSON)" if type == "JSON" else f"c{place}", type)
        for place, (name, type) in enumerate(types.items())
    )
    return SourceTable(label, relation, columns, "row", read, (Part(label, read, str(source.path)),), keys=tuple(keys))


def _check_table(connection: sqlite3.Connection, source: SQLiteSource) -> None:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name").fetchall()
    names = [name for (name,) in rows]
    if source.table not in names:
        raise LoadError(f"SQLite database {str(source.path)!r} has no table {source.table!r}; it has {one_of(names)}.")


def _type(connection: sqlite3.Connection, table: str, name: str, declared: str, intake: Intake) -> str:
    found = connection.execute(
        f"SELECT typeof({quote(name)}), count(*) FROM {quote(table)} WHERE {quote(name)} IS NOT NULL GROUP BY 1 "
        "ORDER BY 1"
    ).fetchall()
    kinds = {kind for kind, _ in found}
    if not kinds:
        return _affinity(declared)
    if kinds == {"integer"}:
        return "BIGINT"
    if kinds <= {"integer", "real"} and not _loses_digits(connection, table, name):
        return "DOUBLE"
    if len(kinds) > 1:
        shown = ", ".join(f"{count:,} {kind}" for kind, count in found)
        intake.note(
            f"SQLite table {table}: column {name!r} declared {declared or 'without a type'} holds {shown}; kept as "
            "text."
        )
        return "VARCHAR"
    return _HELD[next(iter(kinds))]


def _affinity(declared: str) -> str:
    if "INT" in declared:
        return "BIGINT"
    if any(word in declared for word in ("REAL", "FLOA", "DOUB")):
        return "DOUBLE"
    return "BLOB" if declared == "BLOB" else "VARCHAR"


def _loses_digits(connection: sqlite3.Connection, table: str, name: str) -> bool:
    column = quote(name)
    query = (
        f"SELECT 1 FROM {quote(table)} WHERE typeof({column}) = 'integer' AND abs({column}) > 9007199254740992 LIMIT 1"
    )
    return connection.execute(query).fetchone() is not None


def _copy(connection: sqlite3.Connection, table: str, types: dict[str, str], intake: Intake) -> str:
    import pyarrow as pa

    arrow = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "BLOB": pa.binary()}
    fields = [pa.field(f"c{place}", arrow.get(type, pa.string())) for place, type in enumerate(types.values())]
    schema = pa.schema([pa.field("row", pa.int64()), *fields])
    names = ", ".join(quote(name) for name in types)
    cursor = connection.execute(f"SELECT {names} FROM {quote(table)}{_order(connection, table)}")
    staged = intake.name("sqlite")
    intake.connection.register(staged, pa.RecordBatchReader.from_batches(schema, _batches(cursor, schema)))
    try:
        return intake.stage("sqlite", f"SELECT * FROM {quote(staged)}")
    finally:
        intake.connection.unregister(staged)


def _json_columns(types: dict[str, str], declared: dict[str, str], relation: str, intake: Intake) -> list[str]:
    found = []
    for place, (name, type) in enumerate(types.items()):
        if type == "VARCHAR" and declared[name].startswith("JSON"):
            ((valid,),) = intake.rows(f"SELECT coalesce(bool_and(json_valid(c{place})), true) FROM {relation}")
            found += [name] if valid else []
    return found


def _order(connection: sqlite3.Connection, table: str) -> str:
    try:
        connection.execute(f"SELECT rowid FROM {quote(table)} LIMIT 1")
    except sqlite3.OperationalError:  # a view, or WITHOUT ROWID, which is stored in the order of its key
        return ""
    return " ORDER BY rowid"


def _batches(cursor: sqlite3.Cursor, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    row = 0
    while rows := cursor.fetchmany(_BATCH):
        columns: list[Any] = [list(range(row + 1, row + len(rows) + 1))]
        columns += [list(values) for values in zip(*rows, strict=True)]
        row += len(rows)
        arrays = [
            pa.array([_as_text(value) for value in values] if field.type == pa.string() else values, field.type)
            for values, field in zip(columns, schema, strict=True)
        ]
        yield pa.record_batch(arrays, schema=schema)


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)
