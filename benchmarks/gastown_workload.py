"""The recordings the gastown benchmarks share: the traced town, and its events over and over on one of its states."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

import replaykit as rk
from replaykit.systems import gastown
from replaykit.systems.gastown.tables import KEYS

if TYPE_CHECKING:
    from replaykit.reconciler import Reconciler

__all__ = ["CHECKPOINT", "COLUMNS", "TRACE", "handlers_only", "write_events"]

TRACE = Path(__file__).parent.parent / "sample_data" / "gastown-incident"
CHECKPOINT = 11
"""The state events are applied to: the one on which most of them change something.

That is 96 of the 1,704 in the first turn and 44 in each later one; all but 16 find the rows they name.
"""
COLUMNS = {name: dict(table.columns) for name, table in gastown.reconciler.tables.items()}

# Twelve hours are the length of the trace, and behind its first turn lies the checkpoint: times stay in order.
_EVENTS = """
COPY (
    SELECT event_id || '-' || turn AS event_id, event_type, agent_id, bead_id, payload,
        CAST(created_at AS TIMESTAMP) + to_hours(12 * (turn + 1)) AS created_at
    FROM read_parquet('{trace}'), range({turns}) turns(turn) ORDER BY turn, inserted_seq LIMIT {events}
) TO '{path}' (FORMAT parquet)
"""


def write_events(path: Path, events: int) -> None:
    """Write a recording of the trace's own events in their order, as often as it takes, behind one checkpoint."""
    source = path.with_suffix(".parquet")
    with duckdb.connect() as connection:
        paths = {name: str(one).replace("'", "''") for name, one in _paths(source).items()}
        ((per_turn,),) = connection.sql(f"SELECT count(*) FROM read_parquet('{paths['trace']}')").fetchall()
        connection.execute(_EVENTS.format(**paths, turns=-(-events // per_turn), events=events))
        marks = f"SELECT taken_at FROM read_parquet('{paths['marks']}') WHERE checkpoint_no = {CHECKPOINT}"
        ((at,),) = connection.sql(marks).fetchall()
    states = {name: TRACE / "state" / f"{name}.parquet" for name in KEYS}
    snapshots = rk.Snapshot.split(states, by="checkpoint_no", order="row_no", at={CHECKPOINT: at})
    roles = {"time": "created_at", "kind": "event_type", "id": "event_id", "payload": "payload"}
    with rk.load(source, snapshots=snapshots, keys=KEYS, save=path, **roles):
        pass


def _paths(source: Path) -> dict[str, Path]:
    return {"trace": TRACE / "town_events.parquet", "marks": TRACE / "checkpoints.parquet", "path": source}


def handlers_only() -> Reconciler:
    """Return gastown's reconciler with nothing to do at a tick."""
    given = gastown.reconciler
    return given.without(*given.rules, *given.invariants)
