"""The format of a recording file, and the refusal of files that only look like one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from replaykit.errors import FormatError, ReplayKitError, excerpt
from replaykit.sources.writing import FORMAT_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["checked_meta", "read_columns", "refuse_foreign"]

_NEEDED: Mapping[str, Mapping[str, str]] = {
    "meta": {"key": "VARCHAR", "value": "VARCHAR"},
    "events": {"position": "BIGINT", "occurred_at": "TIMESTAMP", "kind": "VARCHAR", "event_id": "VARCHAR",
               "payload": "JSON"},
    "rejects": {"reject": "BIGINT", "source": "VARCHAR", "place": "BIGINT", "reason": "VARCHAR", "excerpt": "VARCHAR"},
    "snapshots": {"snapshot": "BIGINT", "at": "TIMESTAMP", "after_position": "BIGINT", "after_event": "VARCHAR",
                  "name": "VARCHAR", "after_seq": "BIGINT"},
}  # fmt: skip
_LOG = {"position": "BIGINT", "occurred_at": "TIMESTAMP", "kind": "VARCHAR", "payload": "JSON"}
_LOGS = ("actions", "writes", "checks", "applications", "ticks")
_STATE = {"snapshot": "BIGINT", "row_no": "BIGINT"}
_META = {
    "order": str,
    "sequence": list,
    "roles": dict,
    "columns": list,
    "keys": dict,
    "report": dict,
    "tz": str,
    "logs": list,
}
Columns = dict[tuple[str, str], dict[str, str]]


class _Fetches(Protocol):
    def _fetch(self, query: str, params: Sequence[Any] | None = None) -> list[tuple[Any, ...]]: ...


def read_columns(recording: _Fetches) -> Columns:
    """Return schema and name of every table with its columns and types, after refusing everything foreign.

    Only the catalog is read here: a hostile view or macro is never bound, let alone run.

    Raises
    ------
    FormatError
        The file holds views, macros, other schemas, generated columns, or tables that do not look as they must.
    """
    if "results" in _schemas(recording):
        raise FormatError("The file is a saved run, no recording; open it with rk.open_run(path).")
    refuse_foreign(recording._fetch, ("main", "state"), "recording")
    rows = recording._fetch(
        "SELECT schema_name, table_name, column_name, data_type FROM system.main.duckdb_columns() "
        "WHERE database_name = 'recording' AND NOT internal ORDER BY schema_name, table_name, column_index"
    )
    columns: Columns = {}
    for schema, table, name, type in rows:
        columns.setdefault((schema, table), {})[name] = type
    for table, needed in _NEEDED.items():
        _check(columns.get(("main", table)), needed, table)
    for (schema, table), found in columns.items():
        if schema == "state":
            _check(found, _STATE, f"state.{table}")
        elif table in _LOGS:
            _check(found, _LOG, table)
        elif table not in _NEEDED:
            raise FormatError(
                f"The file holds a table {excerpt(table)}, which is no part of a recording; it was not read."
            )
    return columns


def _schemas(recording: _Fetches) -> set[str]:
    rows = recording._fetch("SELECT schema_name FROM system.main.duckdb_schemas() WHERE database_name = 'recording'")
    return {name for (name,) in rows}


def refuse_foreign(fetch: Callable[[str], list[tuple[Any, ...]]], schemas: Sequence[str], noun: str) -> None:
    """Refuse a file, attached as ``recording``, whose catalog holds what no file of this library does.

    Raises
    ------
    FormatError
        It holds a view, macro, sequence, type, other schema than these, or a column that is computed.
    """
    ours = "database_name = 'recording' AND NOT internal"
    known = ", ".join(f"'{name}'" for name in schemas)
    foreign = fetch(
        f"SELECT 'view ' || view_name FROM system.main.duckdb_views() WHERE {ours} "
        f"UNION ALL SELECT 'macro ' || function_name FROM system.main.duckdb_functions() WHERE {ours} "
        "UNION ALL SELECT 'sequence ' || sequence_name FROM system.main.duckdb_sequences() "
        "WHERE database_name = 'recording' "
        f"UNION ALL SELECT 'type ' || type_name FROM system.main.duckdb_types() WHERE {ours} "
        f"UNION ALL SELECT 'schema ' || schema_name FROM system.main.duckdb_schemas() WHERE {ours} "
        f"AND schema_name NOT IN ({known}) ORDER BY 1"
    )
    if foreign:
        raise FormatError(f"The file holds a {excerpt(foreign[0][0])}, which no {noun} has; it was not read.")
    generated = fetch(
        "SELECT table_name FROM system.main.duckdb_tables() WHERE database_name = 'recording' "
        "AND contains(upper(sql), 'GENERATED ALWAYS') ORDER BY 1"
    )
    if generated:
        raise FormatError(f"Table {excerpt(generated[0][0])} computes a column, which no {noun} does; it was not read.")


def _check(found: Mapping[str, str] | None, needed: Mapping[str, str], table: str) -> None:
    if found is None:
        raise FormatError(f"The file has no table {table!r}, so it is no recording; make one with rk.load(..., save=).")
    wrong = [f"{name} {type}" for name, type in needed.items() if found.get(name) != type]
    if wrong:
        raise FormatError(f"Table {excerpt(table)} lacks {wrong}, so the file is no recording of this format.")


def checked_meta(recording: _Fetches) -> dict[str, Any]:
    """Return the meta values, checked to be of this format version and of the kinds they must be."""
    try:
        meta = {key: json.loads(value) for key, value in recording._fetch("SELECT key, value FROM recording.main.meta")}
    except (ValueError, TypeError, ReplayKitError) as error:
        raise FormatError(f"The table meta can't be read: {excerpt(str(error))}.") from None
    version = meta.get("format_version")
    if version != FORMAT_VERSION:
        raise FormatError(
            f"The file has format version {excerpt(version)}; this replaykit reads version {FORMAT_VERSION}. "
            "Load the sources again with this version."
        )
    wrong = [key for key, kind in _META.items() if not isinstance(meta.get(key), kind)]
    if wrong:
        raise FormatError(f"The table meta lacks {wrong}, so the file is no recording of this format.")
    return meta
