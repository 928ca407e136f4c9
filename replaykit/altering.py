"""Altering: a private copy of a recording in which some events are edited, and others added."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.errors import QueryError, excerpt
from replaykit.inputs import source_names
from replaykit.narrowing import ranges
from replaykit.recording import open_private
from replaykit.rows import plain
from replaykit.sources.writing import drafted
from replaykit.sql import quote
from replaykit.window import parse_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replaykit.recording import Recording

__all__ = ["OtherInputs", "altered", "placed"]

_ANCHOR = "SELECT coalesce(max(position), 0) FROM events WHERE occurred_at <= t AND replaykit_place = 0"


@dataclass(frozen=True)
class OtherInputs:
    """Events that are skipped, edited or added."""

    skipped: frozenset[int] = frozenset()
    """Positions of events left out."""
    edits: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """Position to columns of the event table and their new values."""
    adds: Sequence[Mapping[str, Any]] = ()
    """Columns of each new event; ``occurred_at`` and ``kind`` at least."""

    def __bool__(self) -> bool:
        return bool(self.skipped or self.edits or self.adds)


def altered(recording: Recording, inputs: OtherInputs, mark: int = 0) -> tuple[Recording, int]:
    """Return a private recording like another, with other events, and the position in it that `mark` has there.

    An event that is added, or whose time is edited, comes behind the last one that is not later; in a recording that is
    ordered by a sequence an edit moves nothing. Positions are given anew where an event is added or moved, and are as
    they were otherwise. What is masked stays so.
    """
    with drafted(None) as draft:
        connection = draft.connection
        connection.execute(f"ATTACH '{str(recording.path).replace(chr(39), chr(39) * 2)}' AS source (READ_ONLY)")
        _copy(connection, recording)
        for position, values in inputs.edits.items():
            _update(connection, position, values)
        connection.execute(f"DELETE FROM events WHERE {ranges('position', inputs.skipped)}")
        moved = _moved(connection) if recording._meta["order"] == "time" else []
        if moved or inputs.adds:
            mark = _order_anew(connection, moved, inputs.adds, mark)
        connection.execute("DETACH source")
        path, folder = draft.publish()
    return open_private(path, folder), mark  # type: ignore[arg-type]


def _moved(connection: duckdb.DuckDBPyConnection) -> list[int]:
    """Return the positions of events whose time is another than it was."""
    found = connection.execute(
        "SELECT position FROM events JOIN source.events AS before USING (position) "
        "WHERE events.occurred_at <> before.occurred_at ORDER BY position"
    ).fetchall()
    return [position for (position,) in found]


def placed(recording: Recording, values: Mapping[str, Any], *, what: str) -> dict[str, Any]:
    """Return an event's values by the event table's own columns, checked and in the form they are stored in.

    Columns may have the names they had at the source. A payload is a dict.

    Raises
    ------
    QueryError
        A column is unknown, or the position is given.
    WindowError
        The time can't be read.
    """
    names, columns = source_names(recording), recording.columns("events")
    found: dict[str, Any] = {}
    for given, value in values.items():
        name = names.get(given, given)
        if name not in columns or name == "position":
            raise QueryError(
                f"{what} has {excerpt(given)}; the columns of an event are "
                f"{[one for one in columns if one != 'position']}."
            )
        found[name] = _stored(recording, name, value, what)
    return found


def _stored(recording: Recording, name: str, value: Any, what: str) -> Any:
    if name == "occurred_at" and value is not None:
        return parse_time(value, what=what, span=recording.span)
    try:
        return plain(_text(value))
    except TypeError as exc:
        raise QueryError(f"{what} gives {name!r} the value {excerpt(value)}: {exc}.") from exc


def _text(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False, default=_nested) if isinstance(value, (Mapping, list)) else value


def _nested(value: Any) -> Any:
    """Return what JSON has no form for as results show it."""
    shown = plain(value)
    return shown if isinstance(shown, (str, int, float, bool, type(None))) else str(shown)


def _copy(connection: duckdb.DuckDBPyConnection, recording: Recording) -> None:
    tables = recording._fetch(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'recording' ORDER BY 1, 2"
    )
    connection.execute("CREATE SCHEMA IF NOT EXISTS state")
    for schema, table in tables:
        name = f"{quote(schema)}.{quote(table)}"
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM source.{name}")


def _update(connection: duckdb.DuckDBPyConnection, position: int, values: Mapping[str, Any]) -> None:
    sets = ", ".join(f"{quote(name)} = $v{number}" for number, name in enumerate(values))
    given = {f"v{number}": value for number, value in enumerate(values.values())}
    try:
        connection.execute(f"UPDATE events SET {sets} WHERE position = $position", {**given, "position": position})
    except duckdb.Error as exc:
        raise QueryError(f"edit of the event at position {position}: {str(exc).splitlines()[0]}") from exc


def _order_anew(
    connection: duckdb.DuckDBPyConnection, moved: Sequence[int], adds: Sequence[Mapping[str, Any]], mark: int
) -> int:
    """Give events new positions: what is added or moved comes behind the last event that is not later."""
    connection.execute("ALTER TABLE events ADD COLUMN replaykit_anchor BIGINT")
    connection.execute("ALTER TABLE events ADD COLUMN replaykit_place BIGINT DEFAULT 0")
    connection.execute("UPDATE events SET replaykit_anchor = position, replaykit_place = 0")
    for number, position in enumerate(moved, 1):  # before any is moved: none of them is what another comes behind
        connection.execute(f"UPDATE events SET replaykit_place = {number} WHERE position = {int(position)}")
    for position in moved:
        _move(connection, position)
    for number, values in enumerate(adds, len(moved) + 1):
        _insert(connection, number, values)
    behind = (
        "(SELECT count(*) FROM events WHERE replaykit_anchor < {0} OR (replaykit_anchor = {0} AND replaykit_place = 0))"
    )
    connection.execute(f"UPDATE snapshots SET after_position = {behind.format('after_position')}")
    ((mark,),) = connection.execute(f"SELECT {behind.format(int(mark))}").fetchall()
    order = "row_number() OVER (ORDER BY replaykit_anchor, replaykit_place <> 0, occurred_at, replaykit_place)"
    connection.execute(
        f"CREATE OR REPLACE TABLE events AS SELECT {order} AS position, * EXCLUDE (position, replaykit_anchor, "
        "replaykit_place) FROM events ORDER BY position"
    )
    return int(mark)


def _move(connection: duckdb.DuckDBPyConnection, position: int) -> None:
    connection.execute(
        f"UPDATE events SET replaykit_anchor = ({_ANCHOR}) "
        "FROM (SELECT occurred_at AS t FROM events WHERE position = $position) AS moved WHERE position = $position",
        {"position": position},
    )


def _insert(connection: duckdb.DuckDBPyConnection, number: int, values: Mapping[str, Any]) -> None:
    listed = ", ".join(map(quote, values))
    given = {f"v{place}": value for place, value in enumerate(values.values())}
    try:
        ((anchor,),) = connection.execute(
            f"SELECT ({_ANCHOR}) FROM (SELECT CAST($t AS TIMESTAMP) AS t)", {"t": values["occurred_at"]}
        ).fetchall()
        connection.execute(
            f"INSERT INTO events (position, replaykit_anchor, replaykit_place, {listed}) VALUES "
            f"({-number}, $anchor, $number, {', '.join('$' + name for name in given)})",
            {"anchor": anchor, "number": number, **given},
        )
    except duckdb.Error as exc:
        raise QueryError(f"add of {excerpt(dict(values))}: {str(exc).splitlines()[0]}") from exc
