"""Mentions: which entries of a log name which entities, by holding a key's text as a scalar."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError
from replaykit.sql import quote

if TYPE_CHECKING:
    from replaykit.recording import Recording

__all__ = ["Names", "is_number", "log_columns", "mentions_sql", "names_for", "order_of"]

Names = Sequence[str] | Mapping[str, Sequence[str]] | None
"""Where an entity may be named: columns and payload paths, for all logs or for each; None is everywhere."""

_BOOKKEEPING = {"position", "occurred_at", "kind", "payload", "global_seq", "table_name", "op", "tick", "ok",
                "checked_at", "check_seq"}  # fmt: skip
_SCALARS = ("VARCHAR", "UUID", "ENUM", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "DECIMAL", "U")
_NUMBERS = re.compile(r"^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL.*|DOUBLE|FLOAT)$")


def log_columns(recording: Recording, log: str) -> dict[str, str]:
    """Return a log's columns with their DuckDB types, in stored order."""
    return {str(row[0]): str(row[1]) for row in recording._fetch(f"DESCRIBE {quote('main')}.{quote(log)}")}


def order_of(recording: Recording, log: str) -> tuple[str, str]:
    """Return the column of a log that places its entries against snapshots, and its counterpart in ``snapshots``.

    Events have positions; other logs the global order if they and every snapshot know it, else only the time.
    """
    if log == "events":
        return "position", "after_position"
    if "global_seq" in log_columns(recording, log) and "after_seq" in log_columns(recording, "snapshots"):
        unknown = recording._fetch("SELECT count(*) FROM main.snapshots WHERE after_seq IS NULL")[0][0]
        if unknown == 0:
            return "global_seq", "after_seq"
    return "occurred_at", "at"


def is_number(duckdb_type: str) -> bool:
    """Return whether a column of this type holds numbers, whose text is found in many unrelated places."""
    return _NUMBERS.match(duckdb_type) is not None


def names_for(names: Names, log: str, logs: Sequence[str]) -> list[str] | None:
    """Return the places of `names` that count in `log`; None is every place, an empty list none.

    Raises
    ------
    QueryError
        `names` is one text, or a mapping that names a log the recording does not have.
    """
    if names is None:
        return None
    if isinstance(names, str):
        raise QueryError(f"names={names!r} is one text; write names=[{names!r}], or a mapping of log to places.")
    if not isinstance(names, Mapping):
        return list(names)
    strange = [name for name in names if name not in logs]
    if strange:
        raise QueryError(f"names= speaks of log {strange[0]!r}; the recording has {list(logs)}.")
    return list(names[log]) if log in names else None


def mentions_sql(
    log: str, columns: Mapping[str, str], wanted: str, *, places: Sequence[str] | None, params: dict[str, Any]
) -> str:
    """Return a SELECT of ``position, place, text``: one row for each place of `log` that holds a text.

    Parameters
    ----------
    columns
        The log's columns and types, of `log_columns`.
    wanted
        Name of a relation with a column ``text``: the texts looked for. It is quoted here.
    places
        Columns and dotted payload paths (array indices left out) that may name; None is all of them.
    params
        Named parameters of the query, filled in by this call.
    """
    parts = [_scalar_part(log, name, params) for name, kind in columns.items() if _is_scalar(name, kind)]
    parts += [_json_part(log, name, kind, params) for name, kind in columns.items() if _is_nested(name, kind)]
    condition = ""
    if places is not None:
        params[f"{log}_places"] = list(places)
        condition = f"WHERE list_contains(${log}_places, place)"
    return f"SELECT DISTINCT * FROM ({' UNION ALL '.join(parts)}) SEMI JOIN {quote(wanted)} USING (text) {condition}"


def _is_scalar(name: str, kind: str) -> bool:
    return name not in _BOOKKEEPING and kind.startswith(_SCALARS) and not kind.endswith("]")


def _is_nested(name: str, kind: str) -> bool:
    if name == "payload":
        return True
    return name not in _BOOKKEEPING and (kind == "JSON" or kind.endswith("]") or kind.startswith(("STRUCT", "MAP")))


def _bind(params: dict[str, Any], log: str, value: object) -> str:
    name = f"{log}_{len(params)}"
    params[name] = value
    return f"${name}"


def _scalar_part(log: str, name: str, params: dict[str, Any]) -> str:
    place = _bind(params, log, name)
    return (
        f"SELECT position, {place} AS place, CAST({quote(name)} AS VARCHAR) AS text FROM {quote('main')}.{quote(log)}"
    )


def _json_part(log: str, name: str, kind: str, params: dict[str, Any]) -> str:
    # The payload's paths go by themselves ("bead_id"), those of further JSON columns behind the column's name.
    before = _bind(params, log, "" if name == "payload" else name + ".")
    document = quote(name) if kind == "JSON" else f"to_json({quote(name)})"
    path = r"replace(regexp_replace(substr(fullkey, 3), '\[[0-9]+\]', '', 'g'), '" + '"' + "', '')"
    return (
        f"SELECT position, {before} || {path} AS place, value ->> '$' AS text "
        f"FROM {quote('main')}.{quote(log)} AS entry, json_tree(entry.{document}) AS leaf WHERE leaf.atom IS NOT NULL"
    )
