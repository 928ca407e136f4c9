"""Unexplained: rows that changed between neighbouring snapshots, and which recorded entries name them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from replaykit.display import count, note_html, table_html
from replaykit.errors import QueryError
from replaykit.findings.changed_rows import changed_sql, state_columns, tables_with_keys
from replaykit.findings.mentions import Names, is_number, log_columns, mentions_sql, names_for, order_of
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from replaykit.recording import Recording

__all__ = ["Unexplained", "unexplained"]

_SOURCES = ("events", "actions", "writes")

_NUMBER_IS_AT_HOME = """
NOT numeric OR place = key_column OR ends_with(place, '_' || key_column) OR ends_with(place, '.' || key_column)
"""


@dataclass(frozen=True, eq=False, repr=False)
class Unexplained:
    """Changed rows of state tables, with the entries that name them. ``len()`` counts those that nothing names.

    That an entry names a row is no proof that it changed it; that nothing names it is a proof of silence.
    """

    frame: pd.DataFrame
    """One row per changed row, ordered by table, snapshots and key: ``table``, ``key`` (a JSON list if composite),
    ``from_snapshot``, ``to_snapshot``, ``from_at``, ``to_at``, ``change`` (added, removed, changed), ``columns``
    (the changed ones), ``by_events``, ``by_actions``, ``by_writes`` (numbers of entries) and ``first_event``."""
    snapshots: int
    """How many snapshots were compared, each with its neighbour."""
    logs: tuple[str, ...]
    """Which of events, actions and writes the recording has; only they can name anything."""
    skipped: tuple[str, ...]
    """State tables left out because no key was declared for them."""

    def __len__(self) -> int:
        return len(self.unnamed)

    def __repr__(self) -> str:
        return f"Unexplained({count(len(self.frame), 'changed row')}, {len(self):,} named by nothing)"

    @cached_property
    def unnamed(self) -> pd.DataFrame:
        """The changed rows that no event, action or write names, in the order of ``frame``."""
        named = self.frame[["by_events", "by_actions", "by_writes"]].sum(axis=1)
        return self.frame[named == 0].reset_index(drop=True)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per state table that changed: how many rows, and how many of them the logs name, cumulated."""
        import pandas as pd

        rows = [_summarise(str(name), part) for name, part in self.frame.groupby("table", sort=True)]
        return pd.DataFrame(rows, columns=list(_summarise("", self.frame)))

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        total = _summarise("", self.frame)
        tables = sorted(set(self.frame["table"]))
        what = f"of {tables[0]} " if len(tables) == 1 else f"of {len(tables)} state tables " if tables else ""
        text = f"{count(len(self.frame), 'row')} {what}changed between {self.snapshots:,} snapshots"
        if not len(self.frame):
            return text + "."
        named = [f"{total['events']:,} are named by events"]
        if "actions" in self.logs:
            named.append(f"{total['events_or_actions']:,} by events or actions")
        if "writes" in self.logs:
            named.append(f"{total['events_actions_or_writes']:,} by events, actions or writes")
        skipped = f" Left out, having no key: {', '.join(self.skipped)}." if self.skipped else ""
        return f"{text}: {', '.join(named)}, {len(self):,} by nothing that was recorded.{skipped}"

    def _repr_html_(self) -> str:
        parts = [note_html(self.sentence, 2_000), table_html(self.summary, caption="By state table", more=".summary")]
        if len(self):
            parts.append(table_html(self.unnamed, caption="Named by nothing", limit=50, more=".unnamed, all in .frame"))
        return "\n".join(parts)


def unexplained(recording: Recording, tables: str | Sequence[str] | None = None, names: Names = None) -> Unexplained:
    """Compare neighbouring snapshots and join each changed row to the recorded entries that name it.

    An event, action or write names a row if each of the row's key values stands as a scalar in one of the entry's
    columns or anywhere in its JSON, and it lies between the two snapshots: events by position, logs by the global
    order if they and the snapshots have one, else by time (after the older, up to and including the newer). A write
    log with ``table_name`` and ``row_key`` names just that row of just that table. A numeric key is only found in a
    column or payload key called like the key column, or ending in ``_`` and it, since numbers stand for many things.
    Nothing is said about what an entry does.

    Parameters
    ----------
    tables
        State tables to look at; None is all that have a key.
    names
        Columns and dotted payload paths that may name an entity, for all logs or for each
        (``{"events": ["agent_id", "bead_id"], "actions": ["bead_id"]}``); None is every place.

    Returns
    -------
    Unexplained
        ``frame``: one row per changed row. Rows are held in memory.

    Raises
    ------
    QueryError
        A state table is not there or has no key, or the recording has fewer than two snapshots.
    """
    import pandas as pd

    chosen, skipped = tables_with_keys(recording, tables)
    if len(recording.snapshots) < 2 or not chosen:
        raise QueryError(
            f"Nothing to compare: the recording has {len(recording.snapshots)} snapshots and {len(chosen)} state "
            "tables with a key; load at least two snapshots, with keys={table: columns}."
        )
    logs = tuple(name for name in _SOURCES if name == "events" or name in recording.logs)
    places = {log: names_for(names, log, logs) for log in logs}
    frames = [_table_frame(recording, table, logs, places) for table in chosen]
    return Unexplained(pd.concat(frames, ignore_index=True), len(recording.snapshots), logs, skipped)


def _table_frame(
    recording: Recording, table: str, logs: Sequence[str], places: Mapping[str, Sequence[str] | None]
) -> pd.DataFrame:
    """Return the changed rows of one state table with the numbers of entries that name each."""
    keys, columns = recording.keys[table], state_columns(recording, table)
    params: dict[str, Any] = {"table": table}
    parts = [changed_sql(table, keys, columns, params), _wanted_sql(keys, columns, params)]
    parts += [_named_sql(recording, log, places[log], len(keys), params) for log in logs]
    counts = [f"coalesce(named_{log}.entries, 0) AS by_{log}" if log in logs else f"0 AS by_{log}" for log in _SOURCES]
    joins = " ".join(f"LEFT JOIN named_{log} USING (change_no)" for log in logs)
    query = f"""WITH {", ".join(parts)}
        SELECT $table AS "table", key, from_snapshot, to_snapshot, from_at, to_at, change, columns,
               {", ".join(counts)}, coalesce(first.event_id, CAST(first.position AS VARCHAR)) AS first_event
        FROM changed {joins} LEFT JOIN main.events AS first ON first.position = named_events.first_position
        ORDER BY change_no"""
    frame: pd.DataFrame = recording._frame(query, params)
    return frame


def _wanted_sql(keys: Sequence[str], columns: Mapping[str, str], params: dict[str, Any]) -> str:
    """Return ``parts(change_no, part, text, column, numeric)``, a row per key value, and ``wanted(text)``."""
    rows = []
    for number, key in enumerate(keys):
        params[f"key_{number}"] = key
        rows.append(
            f"SELECT change_no, from_snapshot, to_snapshot, {number} AS part, key_{number} AS text, "
            f"$key_{number} AS key_column, {'true' if is_number(columns[key]) else 'false'} AS numeric FROM changed"
        )
    return f"parts AS MATERIALIZED ({' UNION ALL '.join(rows)}), wanted AS (SELECT DISTINCT text FROM parts)"


def _named_sql(recording: Recording, log: str, places: Sequence[str] | None, keys: int, params: dict[str, Any]) -> str:
    """Return ``named_<log>(change_no, entries, first_position)``: the entries between the snapshots that name a row."""
    columns = log_columns(recording, log)
    if log == "writes" and {"table_name", "row_key"} <= set(columns) and places is None:
        mentions = _written_sql(keys, params)
    else:
        mentions = mentions_sql(log, columns, "wanted", places=places, params=params)
    entry, bound = order_of(recording, log)
    anywhere = "true" if places is not None else _NUMBER_IS_AT_HOME
    # Each mention gets its pair of snapshots first: then it meets the changed rows by equality alone, not by a range.
    named = "SELECT DISTINCT change_no, position FROM placed"
    if keys > 1:
        named = f"SELECT change_no, position FROM placed GROUP BY ALL HAVING count(DISTINCT part) = {keys}"
    return f"""
named_{log} AS (
    WITH pairs AS (
        SELECT from_snapshot, older.{quote(bound)} AS later_than, newer.{quote(bound)} AS until
        FROM neighbours
        JOIN main.snapshots AS older ON older.snapshot = from_snapshot
        JOIN main.snapshots AS newer ON newer.snapshot = to_snapshot
    ),
    mentions AS MATERIALIZED (
        SELECT mention.*, from_snapshot
        FROM ({mentions}) AS mention
        JOIN main.{quote(log)} AS entry USING (position)
        JOIN pairs ON entry.{quote(entry)} > later_than AND entry.{quote(entry)} <= until
    ),
    placed AS (SELECT change_no, position, part FROM mentions JOIN parts USING (from_snapshot, text) WHERE {anywhere})
    SELECT change_no, count(*) AS entries, min(position) AS first_position FROM ({named}) GROUP BY change_no
)"""


def _written_sql(keys: int, params: dict[str, Any]) -> str:
    """Return mentions of a write log that says table and row: the key values, each at the place of its column."""
    for number in range(keys):  # as JSON pointers, in which any name can be written
        params[f"path_{number}"] = "/" + params[f"key_{number}"].replace("~", "~0").replace("/", "~1")
    rows = [
        f"""SELECT position, $key_{number} AS place,
               coalesce(row_key ->> $path_{number}, new_values ->> $path_{number}) AS text
            FROM main.writes WHERE table_name = $table"""
        for number in range(keys)
    ]
    return " UNION ALL ".join(rows)


def _summarise(table: str, part: pd.DataFrame) -> dict[str, Any]:
    events, actions = part["by_events"] > 0, part["by_actions"] > 0
    written = part["by_writes"] > 0
    changes = {kind: int((part["change"] == kind).sum()) for kind in ("added", "removed", "changed")}
    return {
        "table": table,
        "rows": len(part),
        **changes,
        "events": int(events.sum()),
        "events_or_actions": int((events | actions).sum()),
        "events_actions_or_writes": int((events | actions | written).sum()),
        "nothing": int((~(events | actions | written)).sum()),
    }
