"""story: everything recorded about one entity, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.display import count, note_html, show_text, table_html
from replaykit.errors import QueryError, excerpt, show_time
from replaykit.findings.changed_rows import state_columns
from replaykit.findings.mentions import Names, log_columns, mentions_sql, names_for
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from replaykit.recording import Recording

__all__ = ["Story", "story"]

_DETAIL = 300
_COLUMNS = ["at", "order", "source", "kind", "what", "detail"]


@dataclass(frozen=True, eq=False, repr=False)
class Story:
    """Everything that was recorded about one entity. ``len()`` counts what happened."""

    entity: str
    """The key's text."""
    frame: pd.DataFrame
    """One row per happening, in order: ``at`` (naive UTC), ``order`` (1..n), ``source`` (events, a log, or
    ``snapshot``), ``kind``, ``what`` (where the entity is named, or what a snapshot shows changed) and ``detail``
    (the entry's JSON, cut at 300 characters)."""

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"Story({excerpt(self.entity)}, {count(len(self.frame), 'entry')})"

    @property
    def folded(self) -> pd.DataFrame:
        """The story with neighbouring entries that say the same told once: ``times``, and ``until`` for the last."""
        said = self.frame[["source", "kind", "what", "detail"]].fillna("")
        run = (said != said.shift()).any(axis=1).cumsum()
        grouped = self.frame.groupby(run.to_numpy(), sort=True)
        first = self.frame[~run.duplicated()].reset_index(drop=True)
        first.insert(1, "until", grouped["at"].max().to_numpy())
        first.insert(2, "times", grouped.size().to_numpy())
        return first

    @property
    def sentence(self) -> str:
        """The story's extent in one sentence."""
        counts = self.frame["source"].value_counts().sort_index()
        parts = ", ".join(f"{number:,} from {source}" for source, number in counts.items())
        first, last = (self.frame["at"].iloc[place].to_pydatetime() for place in (0, -1))
        entries = f"{count(len(self.frame), 'entry')}, {parts}"
        return f"{show_text(self.entity)}: {entries}; {show_time(first)} to {show_time(last)}."

    def _repr_html_(self) -> str:
        told = table_html(self.folded, caption="In order", limit=100, more=".folded; all in .frame")
        return "\n".join([note_html(self.sentence), told])


def story(recording: Recording, entity: object, *, names: Names = None) -> Story:
    """Tell everything recorded about one entity: entries that name it, and how its rows differ between snapshots.

    Parameters
    ----------
    entity
        A key's value; it is looked for as text, as a scalar in columns and JSON of every log, and as a
        word in the messages of recorded checks.
    names
        Columns and dotted payload paths that may name it, for all logs or for each; None is every place.

    Returns
    -------
    Story
        Ordered by time; at the same time by the global order if every log has it, else log by log; snapshots last.
        A snapshot's difference happened
        at some time since the snapshot before, and stands at the later one.

    Raises
    ------
    QueryError
        Nothing in the recording names the entity.
    """
    import pandas as pd

    text = str(entity)
    logs = ("events", *recording.logs)
    frames = [_entries(recording, log, text, names_for(names, log, logs)) for log in logs]
    frames += [_row_changes(recording, table, text) for table in recording.state_tables if recording.keys.get(table)]
    found = [frame for frame in frames if len(frame)]
    if not found:
        raise QueryError(
            f"Nothing in the recording names {excerpt(text)}: not as a scalar in {list(logs)}, nor as a key of "
            f"{list(recording.state_tables)}. An entity is named by its key's whole text."
        )
    ordered = all("global_seq" in log_columns(recording, log) for log in logs)
    by = ["at", "seq"] if ordered else ["at"]
    frame = pd.concat(found, ignore_index=True).sort_values(by, kind="stable", ignore_index=True)
    return Story(text, frame.assign(order=range(1, len(frame) + 1))[_COLUMNS])


def _entries(recording: Recording, log: str, text: str, places: Sequence[str] | None) -> pd.DataFrame:
    """Return the entries of one log that name the entity."""
    columns = log_columns(recording, log)
    params: dict[str, Any] = {"entity": text, "log": log}
    mentions = mentions_sql(log, columns, "wanted", places=places, params=params)
    detail = "payload" if log != "writes" or "new_values" not in columns else "coalesce(payload, new_values)"
    if "table_name" in columns and "op" in columns:
        what = "concat_ws(' ', op, table_name, 'at', places)"
    else:
        what = "concat('as ', places)"
    query = f"""
        WITH wanted AS (SELECT $entity AS text),
        mentions AS ({mentions}{_words(log, columns)}),
        named AS (
            SELECT position, string_agg(DISTINCT place, ', ' ORDER BY place) AS places FROM mentions GROUP BY position
        )
        SELECT occurred_at AS "at", $log AS source, kind, {what} AS what, {_cut(detail)} AS detail,
               {"global_seq" if "global_seq" in columns else "position"} AS seq
        FROM {quote("main")}.{quote(log)} JOIN named USING (position) ORDER BY position"""
    frame: pd.DataFrame = recording._frame(query, params)
    return frame


def _words(log: str, columns: Mapping[str, str]) -> str:
    """Return what adds the checks whose message holds the entity as a whole word; messages are made to be read."""
    if log != "checks":
        return ""
    pattern = r"'(^|[^\w-])' || regexp_escape($entity) || '($|[^\w-])'"
    parts = [
        f"SELECT position, 'message' AS place, $entity AS text FROM main.checks "
        f"WHERE regexp_matches({quote(name)}, {pattern})"
        for name, kind in columns.items()
        if kind == "VARCHAR" and name != "kind"
    ]
    return "".join(f" UNION ALL {part}" for part in parts)


def _cut(expression: str) -> str:
    whole = f"CAST({expression} AS VARCHAR)"
    return f"CASE WHEN length({whole}) > {_DETAIL} THEN {whole}[:{_DETAIL}] || '…' ELSE {whole} END"


def _row_changes(recording: Recording, table: str, text: str) -> pd.DataFrame:
    """Return how the entity's rows of one state table differ from each snapshot to the next."""
    keys, columns = recording.keys[table], state_columns(recording, table)
    named = " OR ".join(f"CAST({quote(key)} AS VARCHAR) = $entity" for key in keys)
    listed = ", ".join(f"CAST({quote(name)} AS VARCHAR) AS {quote(name)}" for name in columns)
    rows = recording._fetch(
        f"SELECT snapshot, {listed} FROM {quote('state')}.{quote(table)} WHERE {named} ORDER BY snapshot, row_no",
        {"entity": text},
    )
    return _told(table, list(columns), list(keys), rows, recording)


def _told(
    table: str, columns: list[str], keys: list[str], rows: list[tuple[Any, ...]], recording: Recording
) -> pd.DataFrame:
    import pandas as pd

    places = [columns.index(key) for key in keys]
    images: dict[int, dict[tuple[Any, ...], dict[str, Any]]] = {}
    for number, *row in rows:
        images.setdefault(number, {})[tuple(row[place] for place in places)] = dict(zip(columns, row, strict=True))
    told: list[tuple[Any, ...]] = []
    before: dict[tuple[Any, ...], dict[str, Any]] | None = None
    for snapshot in recording.snapshots if rows else ():
        now = images.get(snapshot.number, {})
        for key in sorted({*now, *(before or {})}, key=str):
            kind, detail = _difference((before or {}).get(key), now.get(key), keys)
            if kind == "added" and before is None:
                kind = "first snapshot"
            if kind:
                told.append((snapshot.at, "snapshot", kind, f"{table} in snapshot {snapshot.number}", detail))
        before = now
    frame = pd.DataFrame(told, columns=["at", "source", "kind", "what", "detail"])
    return frame.astype({"at": "datetime64[us]"})


def _difference(old: dict[str, Any] | None, new: dict[str, Any] | None, keys: list[str]) -> tuple[str, str]:
    """Return the kind of change, empty if there is none, and its cells in words."""
    if old is None or new is None:
        row = new or old or {}
        cells = [f"{name}={value}" for name, value in row.items() if name not in keys and value is not None]
        return ("removed" if new is None else "added"), _shorten(cells)
    cells = [f"{name}: {old[name]} → {new[name]}" for name in new if old[name] != new[name]]
    return ("changed" if cells else ""), _shorten(cells)


def _shorten(cells: list[str]) -> str:
    text = "; ".join(cells)
    return text if len(text) <= _DETAIL else text[:_DETAIL] + "…"
