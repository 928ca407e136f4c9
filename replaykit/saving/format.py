"""The file of a saved run: its format, how it is opened, and the refusal of files that only look like one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit import connection as connections
from replaykit.errors import FormatError, excerpt
from replaykit.history import BOOKKEEPING
from replaykit.sources.format import refuse_foreign
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FORMAT_VERSION", "Tables", "attached", "check_tables", "is_run", "read_meta"]

FORMAT_VERSION = 1
Tables = dict[tuple[str, str], dict[str, str]]
"""Schema and name to columns and their types."""
_NOUN = "saved run"
_MOST = 2**26
"""Characters that the table meta may hold: the sources of the rules are the most of it."""
_STEPS = {
    "step": "BIGINT", "input": "VARCHAR", "kind": "VARCHAR", "event_id": "VARCHAR", "position": "BIGINT",
    "occurred_at": "TIMESTAMP", "applied_at": "TIMESTAMP", "tick": "BIGINT", "action": "BIGINT", "global_seq": "BIGINT",
}  # fmt: skip
_EVENTS = {"position": "BIGINT", "occurred_at": "TIMESTAMP", "kind": "VARCHAR", "event_id": "VARCHAR"}
_META: Mapping[str, type | tuple[type, ...]] = {
    "versions": dict, "recording": dict, "logs": list, "digest": str, "rules": dict, "plan": dict, "settings": dict,
    "steps": list, "last_seq": (int, type(None)), "verdict": dict, "looked": (dict, type(None)),
    "divergence": (list, type(None)), "stored": dict, "frames": dict,
}  # fmt: skip


def attached(path: Path) -> tuple[duckdb.DuckDBPyConnection, Tables]:
    """Return a sealed instance with the file attached read-only as ``recording``, known to be a run, and its tables.

    Raises
    ------
    FormatError
        The file is missing, damaged, no saved run, of another format version, being written, or holds what no saved
        run does: views, macros, foreign tables.
    """
    name = str(path)
    if not path.exists():
        raise FormatError(f"There is no saved run {name!r}; run.save(path) writes one.")
    if path.is_dir():
        raise FormatError(f"{name!r} is a directory; name the file that run.save(path) wrote.")
    try:
        connection = connections.sealed(path)
    except duckdb.Error as error:
        raise FormatError(_why_not(name, str(error).splitlines()[0])) from None
    try:
        return connection, _checked_tables(connection, name)
    except BaseException:
        connection.close()
        raise


def _why_not(name: str, reason: str) -> str:
    """Return why DuckDB can't open a file, and what to do."""
    low = reason.lower()
    if "lock" in low or "different configuration" in low or "already attached" in low:
        return f"{name!r} is open for writing elsewhere ({excerpt(reason)}); close it there, or open a copy."
    if "not a valid duckdb" in low:
        return f"{name!r} is no DuckDB file, so no saved run; run.save(path) writes one."
    if "version" in low:
        return (
            f"{name!r} was written by a newer DuckDB than this one, {duckdb.__version__} ({excerpt(reason)}); install "
            "a newer duckdb, or save the run again where it was made."
        )
    return f"{name!r} can't be read, it is cut off or damaged ({excerpt(reason)}); fetch it again, or save it again."


def _checked_tables(connection: duckdb.DuckDBPyConnection, name: str) -> Tables:
    tables = _tables(connection)
    if ("main", "meta") in tables and ("main", "snapshots") in tables:
        raise FormatError(f"{name!r} is a recording, no saved run; open it with rk.open(path).")
    if ("main", "meta") not in tables or ("main", "steps") not in tables:
        raise FormatError(f"{name!r} is a DuckDB file, but no saved run; run.save(path) writes one.")
    refuse_foreign(lambda query: connection.cursor().execute(query).fetchall(), ("main", "history", "results"), _NOUN)
    return tables


def _tables(connection: duckdb.DuckDBPyConnection) -> Tables:
    """Return schema and name of every table, with its columns and their types; only the catalog is read."""
    rows = connection.execute(
        "SELECT schema_name, table_name, column_name, data_type FROM system.main.duckdb_columns() "
        "WHERE database_name = 'recording' AND NOT internal ORDER BY schema_name, table_name, column_index"
    ).fetchall()
    found: Tables = {}
    for schema, table, column, kind in rows:
        found.setdefault((schema, table), {})[column] = kind
    return found


def is_run(path: Path) -> bool:
    """Return whether a file is a saved run, of whichever format version."""
    try:
        attached(path)[0].close()
    except FormatError:
        return False
    return True


def read_meta(connection: duckdb.DuckDBPyConnection, tables: Tables) -> dict[str, Any]:
    """Return what the file says of itself, checked to be of this format version and of the kinds it must be.

    Raises
    ------
    FormatError
        It is of another version, or its table meta is damaged.
    """
    meta = _values(connection, tables)
    version = meta.get("format_version")
    if type(version) is not int or version < 1:
        raise FormatError(f"The file says its format version is {excerpt(version)}; expected {FORMAT_VERSION}.")
    if version > FORMAT_VERSION:
        raise FormatError(
            f"The file has format version {version}, and this replaykit reads up to {FORMAT_VERSION}: it was saved by "
            f"replaykit {excerpt(_made(meta))}. Install that version or a later one."
        )
    wrong = [name for name, kind in _META.items() if not isinstance(meta.get(name, ...), kind)]
    if wrong:
        raise FormatError(f"The table meta lacks {wrong}, so the file is no saved run of this format.")
    return meta


def _made(meta: Mapping[str, Any]) -> Any:
    versions = meta.get("versions")
    return versions.get("replaykit") if isinstance(versions, dict) else None


def _values(connection: duckdb.DuckDBPyConnection, tables: Tables) -> dict[str, Any]:
    if tables["main", "meta"] != {"key": "VARCHAR", "value": "VARCHAR"}:
        raise FormatError("The table meta has other columns than key and value, so the file is no saved run.")
    try:
        ((size,),) = connection.execute("SELECT coalesce(sum(strlen(value)), 0) FROM recording.main.meta").fetchall()
        if size > _MOST:
            raise FormatError(f"The table meta holds {size:,} bytes, more than any saved run; it was not read.")
        rows = connection.execute("SELECT key, value FROM recording.main.meta").fetchall()
        return {key: json.loads(value) for key, value in rows}
    except (ValueError, TypeError, RecursionError, duckdb.Error) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"The table meta can't be read: {excerpt(str(error))}.") from None


def check_tables(connection: duckdb.DuckDBPyConnection, found: Tables, meta: Mapping[str, Any]) -> None:
    """Check that tables are there as the file says, no others, and read all of them once.

    Raises
    ------
    FormatError
        A table is missing, foreign or of another shape, or a part of it can't be read.
    """
    wanted = {("main", "steps"): _STEPS, ("main", "events"): {**found.get(("main", "events"), {}), **_EVENTS}}
    for name, types in meta["stored"]["history"].items():
        wanted["history", name] = {**dict.fromkeys(BOOKKEEPING, "BIGINT"), **types}
    known = {*wanted, ("main", "meta"), *(("results", name) for name in meta["frames"])}
    for place in {*wanted, *known} - set(found):
        raise FormatError(f"The file has no table {excerpt('.'.join(place))}; it is no whole saved run.")
    for place in sorted(set(found) - known):
        raise FormatError(
            f"The file holds a table {excerpt('.'.join(place))}, which is no part of a saved run; it was not read."
        )
    for place, types in wanted.items():
        if found[place] != types:
            raise FormatError(f"Table {excerpt('.'.join(place))} has other columns than a saved run has.")
    for schema, table in sorted(found):
        _read_once(connection, f"{quote(schema)}.{quote(table)}")


def _read_once(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Read every block of a table, whose checksums DuckDB then compares."""
    try:
        connection.execute(f"SELECT bit_xor(hash(t)) FROM recording.{table} AS t").fetchall()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise FormatError(
            f"Table {table} can't be read, the file is cut off or damaged ({excerpt(reason)}); fetch it again, or save "
            "the run again."
        ) from None
