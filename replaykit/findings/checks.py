"""check: a SQL invariant asked at every snapshot, or of a log, with its breaches told as episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.display import count, note_html, table_html
from replaykit.errors import QueryError, VerdictError, excerpt, show_time
from replaykit.findings.episodes import build_episodes, log_moments
from replaykit.findings.mentions import order_of
from replaykit.sql import Statement, check_query, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from replaykit.recording import Recording

__all__ = ["Check", "check"]

_MOMENT = f"temp.{quote('replaykit: moment')}"


@dataclass(frozen=True, eq=False, repr=False)
class Check:
    """What one invariant found. ``len()`` counts the episodes of breach, so an empty one is good news."""

    name: str
    """The invariant's name."""
    sql: str
    """The query whose rows are breaches."""
    over: str
    """``snapshots``, ``events`` or the log it was asked of."""
    looked: int
    """At how many snapshots, or of how many entries, it was asked."""
    frame: pd.DataFrame
    """One row per episode, ordered by opening and key: the key, ``opened_tick``, ``opened_at``, ``last_tick``,
    ``last_at``, ``closed_tick``, ``closed_at`` (missing while open), ``ticks``, then the first values of the other
    columns. A tick is a snapshot's number, or the log's tick. A breach that came and went between is not seen."""

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"Check({excerpt(self.name)}, {count(len(self.frame), 'episode')} over {self._looked})"

    @property
    def _looked(self) -> str:
        return count(self.looked, self.over.removesuffix("s"))

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        if not len(self.frame):
            return f"{self.name}: holds over {self._looked}."
        still = int(self.frame["closed_at"].isna().sum())
        first = self.frame["opened_at"].iloc[0].to_pydatetime()
        return (
            f"{self.name}: {count(len(self.frame), 'episode')} of breach over {self._looked}, "
            f"the first from {show_time(first)}, {still:,} still open at the end."
        )

    def raise_for_violations(self) -> None:
        """Raise VerdictError if the invariant was breached; for tests and continuous integration."""
        if len(self.frame):
            raise VerdictError(self.sentence)

    def _repr_html_(self) -> str:
        return "\n".join(
            [note_html(self.sentence), table_html(self.frame, caption="Episodes", limit=50, more=".frame")]
        )


def check(
    recording: Recording,
    name: str,
    sql: str,
    key: str | Sequence[str] | None = None,
    over: str = "snapshots",
    *,
    gap: int = 1,
    params: Mapping[str, Any] | None = None,
) -> Check:
    """Ask an invariant, a SELECT whose rows are breaches, at every snapshot or of a log.

    Parameters
    ----------
    sql
        Over snapshots, it sees each state table under its own name as it was then, and ``events`` and the logs up to
        then; ``$now`` is the snapshot's time. Over a log, it is asked once and must select ``position``.
    key
        The columns that make two breaches the same one; None is all it selects (but ``position``).
    over
        ``snapshots``, ``events`` or the name of a recorded log.
    gap
        How many ticks apart two breaches of one episode may be. Ticks are snapshots, or for a log its column ``tick``,
        else its distinct times.
    params
        Values of further ``$name`` parameters.

    Raises
    ------
    GuardError
        The SQL is not one harmless SELECT.
    QueryError
        The SQL fails, a column or parameter is missing, or there is nothing to ask it of.
    """
    statement = check_query(sql, what=f"Invariant {name!r}")
    values = _values(statement, name, params)
    if over == "snapshots":
        seen, ticks = _at_snapshots(recording, name, statement, values)
    elif over == "events" or over in recording.logs:
        seen, ticks = _of_log(recording, name, statement, values, over)
    else:
        raise QueryError(f"Invariant {name!r}: no {over!r} to ask; choose {['snapshots', 'events', *recording.logs]}.")
    others = [column for column in seen.columns if column not in ("tick", "at", "position")]
    keys = others if key is None else [key] if isinstance(key, str) else list(key)
    frame = build_episodes(seen, keys, clean_ticks=gap, ticks=ticks)
    return Check(name, statement.text, over, len(ticks), frame)


def _values(statement: Statement, name: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
    given = dict(params or {})
    missing = sorted(statement.parameters - {"now"} - given.keys())
    if missing:
        first = missing[0]
        raise QueryError(f"Invariant {name!r} uses ${first}, which has no value; give params={{{first!r}: ...}}.")
    return {parameter: given.get(parameter) for parameter in sorted(statement.parameters)}


def _at_snapshots(
    recording: Recording, name: str, statement: Statement, values: dict[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the breaches with ``tick`` and ``at``, and the snapshots looked at."""
    import pandas as pd

    snapshots = recording.snapshots
    if not snapshots:
        raise QueryError(f"Invariant {name!r}: the recording has no snapshot to ask it of; use over='events'.")
    ticks = pd.DataFrame({"tick": [s.number for s in snapshots], "at": [s.at for s in snapshots]})
    ticks = ticks.astype({"tick": "int64", "at": "datetime64[us]"})
    found = []
    cursor = recording._cursor()
    try:
        _show_moment(cursor, recording)
        for number, snapshot in enumerate(snapshots):
            cursor.execute(f"DELETE FROM {_MOMENT}")
            moment = [snapshot.number, snapshot.at, snapshot.after_position, snapshot.after_seq]
            cursor.execute(f"INSERT INTO {_MOMENT} VALUES (?, ?, ?, ?)", moment)
            rows = _ask(cursor, name, statement, values | ({"now": snapshot.at} if "now" in values else {}))
            rows = rows.rename(columns={"tick": "tick_", "at": "at_"})
            found.append(rows.assign(tick=ticks["tick"].iloc[number], at=ticks["at"].iloc[number]))
    finally:
        cursor.close()
    # Empty frames would have a say in the types of the whole.
    return pd.concat([rows for rows in found if len(rows)] or found[:1], ignore_index=True), ticks


def _show_moment(cursor: duckdb.DuckDBPyConnection, recording: Recording) -> None:
    """Create views, private to the cursor, of the state tables and logs as of the moment in a one-row table."""
    columns = 'snapshot BIGINT, "at" TIMESTAMP, after_position BIGINT, after_seq BIGINT'
    cursor.execute(f"CREATE TEMP TABLE {_MOMENT} ({columns})")
    for log in ("events", *recording.logs):
        entry, bound = order_of(recording, log)
        until = f"(SELECT {quote(bound)} FROM {_MOMENT})"
        _view(cursor, log, f"SELECT * FROM recording.main.{quote(log)} WHERE {quote(entry)} <= {until}")
    for table in recording.state_tables:
        rows = f"SELECT * EXCLUDE (snapshot, row_no) FROM recording.state.{quote(table)}"
        _view(cursor, table, f"{rows} WHERE snapshot = (SELECT snapshot FROM {_MOMENT})")


def _view(cursor: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    cursor.execute(f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS {query}")


def _ask(cursor: duckdb.DuckDBPyConnection, name: str, statement: Statement, values: dict[str, Any]) -> pd.DataFrame:
    # Ordered, so that of several breaches of one key at one tick always the same one comes first.
    query = f"SELECT * FROM (\n{statement.text}\n) AS breaches ORDER BY ALL"
    cursor.execute("BEGIN TRANSACTION READ ONLY")
    try:
        relation = cursor.sql(query, params=values) if values else cursor.sql(query)
        rows: pd.DataFrame = relation.df()
        return rows
    except duckdb.Error as exc:
        raise QueryError(f"Invariant {name!r} can't be asked: {str(exc).splitlines()[0]}") from exc
    finally:
        cursor.execute("ROLLBACK")


def _of_log(
    recording: Recording, name: str, statement: Statement, values: dict[str, Any], log: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the breaches of a log with ``tick`` and ``at``, and the log's ticks."""
    moments = log_moments(recording, log)
    if "now" in values:
        values = values | {"now": moments["at"].max().to_pydatetime() if len(moments) else None}
    cursor = recording._cursor()
    try:
        rows = _ask(cursor, name, statement, values)
    finally:
        cursor.close()
    if "position" not in rows.columns:
        raise QueryError(
            f"Invariant {name!r} over {log} selects {excerpt(list(rows.columns))}, without position; add it, for a "
            "grouped query as max(position) AS position, so that a breach has a place."
        )
    rows = rows.rename(columns={"tick": "tick_", "at": "at_"})
    placed = rows.merge(moments, on="position", how="inner").sort_values("position", kind="stable")
    return placed.reset_index(drop=True), moments[["tick", "at"]]
