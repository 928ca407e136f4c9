"""Fixtures: the part of a recording that a replay needs, as one JSON file that can be read in a review."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.errors import FormatError, excerpt, show_time
from replaykit.recorded_ticks import log_of_ticks
from replaykit.recording import open_private
from replaykit.sources.format import checked_meta
from replaykit.sources.report import Report
from replaykit.sources.writing import drafted, write_meta
from replaykit.sql import quote

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from replaykit.recording import Recording
    from replaykit.replayed import Replay

__all__ = ["fixture", "write_fixture"]

_VERSION = 1
_PLAIN = {"BIGINT", "INTEGER", "SMALLINT", "TINYINT", "BOOLEAN"}


def write_fixture(run: Replay, path: str | os.PathLike[str]) -> Path:
    """Write what a replay was made of to a JSON file: its events, recorded inputs, ticks, and the rows of its base.

    What is masked in the recording is masked here. Every cell has the value and type that it has in the recording.
    """
    found = {"replaykit_fixture": _VERSION, "meta": _meta(run), "tables": _tables(run)}
    target = Path(path).expanduser()
    target.write_text(_text(found), encoding="utf-8")
    return target


def fixture(path: str | os.PathLike[str]) -> Recording:
    """Return the recording that a JSON file written by `write_fixture` holds; a private one, removed when closed.

    Raises
    ------
    FormatError
        The file is missing, or is no fixture of this version.
    """
    source = Path(path).expanduser()
    found = _read(source)
    with drafted(None) as draft:
        connection = draft.connection
        connection.execute("CREATE SCHEMA state")
        try:
            for name, table in found["tables"].items():
                _create(connection, name, table["columns"], table["rows"])
            write_meta(connection, {name: one for name, one in found["meta"].items() if name != "format_version"})
        except (duckdb.Error, KeyError, TypeError, ValueError) as exc:
            raise FormatError(
                f"File {str(source)!r} is a damaged fixture: {excerpt(str(exc).splitlines()[0])}. Write it again with "
                "run.to_test()."
            ) from exc
        place, folder = draft.publish()
    return open_private(place, folder)  # type: ignore[arg-type]


def _meta(run: Replay) -> dict[str, Any]:
    meta = checked_meta(run.recording)
    span = run.recording.span or run.window
    logs = [log for log in run.recording.logs if log in _logs(run)]
    kept = {name: meta[name] for name in ("order", "sequence", "roles", "columns", "keys", "tz")}
    ordered = [0] if run.plan.base.number in meta.get("ordered", ()) else []
    report = Report(notes=("a part of a recording, as far as one replay needs it",)).to_dict()
    bounds = [show_time(one) for one in span.bounds()]
    return {**kept, "logs": logs, "ordered": ordered, "span": bounds, "report": report}


def _tables(run: Replay) -> dict[str, Any]:
    recording, base = run.recording, run.plan.base
    positions = [row[0] for row in run.history.fetch("SELECT DISTINCT position FROM steps WHERE input = 'event'")]
    found = {"events": _rows(recording, "events", "list_contains($positions, position)", {"positions": positions})}
    found["rejects"] = _rows(recording, "rejects", "false", {})
    found["snapshots"] = {**_rows(recording, "snapshots", "false", {}), "rows": []}
    if base.at is not None or base.number is not None:
        names = [name for name, _ in found["snapshots"]["columns"]]
        shown = {"snapshot": 0, "at": None if base.at is None else base.at.isoformat(), "after_position": base.position,
                 "name": base.name, "after_seq": base.seq}  # fmt: skip
        found["snapshots"]["rows"] = [[shown.get(name) for name in names]]
        found |= {f"state.{name}": _state(run, name) for name in base.tables}
    return found | {log: _rows(recording, log, where, values) for log, (where, values) in _logs(run).items()}


def _state(run: Replay, table: str) -> dict[str, Any]:
    """Return the rows of a base table that were not left out."""
    kept = run.plan.base.tables[table]
    columns = {"snapshot": "BIGINT", "row_no": "BIGINT"}
    recorded = run.recording.columns(table) if table in run.recording.state_tables else {}
    columns |= {name: recorded.get(name) or _type(run, table, name) for name in kept.columns}
    import pyarrow as pa

    with duckdb.connect() as connection:
        connection.register("kept", pa.Table.from_pandas(kept, preserve_index=False))
        cells = ", ".join(_cell(name, columns[name]) for name in kept.columns)
        rows = connection.execute(f"SELECT {cells} FROM kept").fetchall() if len(kept) else []
    return {"columns": _listed(columns), "rows": [[0, number, *row] for number, row in enumerate(rows)]}


def _type(run: Replay, table: str, column: str) -> str:
    columns = run.history.columns(table) if table in run.history.keys else {}
    return columns.get(column, "VARCHAR")


def _logs(run: Replay) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the logs that the replay took something from, each with the condition on its entries."""
    logs = run.recording.logs
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    start, end = run.window.bounds()
    inside = ("occurred_at >= $start AND occurred_at < $end", {"start": start, "end": end})
    if run.settings["ticks"].mode == "recorded":
        found[str(log_of_ticks(run.recording))] = inside
    if run.settings["actions"] == "recorded":
        for log, name in (("actions", "recorded action"), ("writes", "recorded write")):
            if log in logs and log not in found:
                found[log] = ("list_contains($positions, position)", {"positions": _applied(run, name)})
        if "applications" in logs:
            kept = run.plan.logs.get("applications", "true")
            of = "SELECT event_id FROM events WHERE list_contains($positions, position)"
            where = f"occurred_at < $end AND {kept} AND event_id IN ({of})"
            found["applications"] = (where, {"end": end, "positions": _applied(run, "event")})
    return found


def _applied(run: Replay, input: str) -> list[int]:
    found = run.history.fetch("SELECT DISTINCT position FROM steps WHERE input = $input", {"input": input})
    return [row[0] for row in found]


def _rows(recording: Recording, table: str, where: str, values: Mapping[str, Any]) -> dict[str, Any]:
    columns = recording.columns(table)
    cells = ", ".join(_cell(name, type) for name, type in columns.items())
    order = "position" if "position" in columns else next(iter(columns))
    rows = recording._fetch(f"SELECT {cells} FROM {quote(table)} WHERE {where} ORDER BY {quote(order)}", values)
    return {"columns": _listed(columns), "rows": [list(row) for row in rows]}


def _cell(name: str, type: str) -> str:
    """Return how a cell is read: as JSON has it, or as DuckDB's text of it, which is exact."""
    return quote(name) if type in _PLAIN else f"CAST({quote(name)} AS VARCHAR)"


def _listed(columns: Mapping[str, str]) -> list[list[str]]:
    return [[name, type] for name, type in columns.items()]


def _text(found: Mapping[str, Any]) -> str:
    """Return JSON with one line for each row, so that a review shows rows."""
    tables = ",\n".join(
        f'  {json.dumps(name)}: {{\n   "columns": {json.dumps(table["columns"], ensure_ascii=False)},\n'
        f'   "rows": [{_lines(table["rows"])}]\n  }}'
        for name, table in found["tables"].items()
    )
    head = json.dumps({name: one for name, one in found.items() if name != "tables"}, ensure_ascii=False, indent=1)
    return f'{head[:-2]},\n "tables": {{\n{tables}\n }}\n}}\n'


def _lines(rows: Iterable[Any]) -> str:
    lines = [f"\n    {json.dumps(row, ensure_ascii=False)}" for row in rows]
    return ",".join(lines) + ("\n   " if lines else "")


def _read(source: Path) -> dict[str, Any]:
    try:
        found = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FormatError(
            f"There is no fixture {str(source)!r}; run.to_test() writes it beside the test that reads it."
        ) from None
    except ValueError as exc:
        raise FormatError(f"File {str(source)!r} is no fixture: {exc}.") from None
    version = found.get("replaykit_fixture") if isinstance(found, dict) else None
    if version != _VERSION or not isinstance(found.get("tables"), dict) or not isinstance(found.get("meta"), dict):
        raise FormatError(
            f"File {str(source)!r} is no fixture of version {_VERSION} (it says {excerpt(version)}); write it again "
            "with run.to_test()."
        )
    return dict(found)


def _create(
    connection: duckdb.DuckDBPyConnection, name: str, pairs: list[tuple[str, str]], rows: list[list[Any]]
) -> None:
    schema, _, table = name.partition(".") if name.startswith("state.") else ("", "", name)
    target = f"{quote(schema or 'main')}.{quote(table)}"
    connection.execute(f"CREATE TABLE {target} ({', '.join(f'{quote(one)} {type}' for one, type in pairs)})")
    casts = ", ".join(f"CAST(? AS {type})" for _, type in pairs)
    if rows:
        connection.executemany(f"INSERT INTO {target} VALUES ({casts})", rows)
