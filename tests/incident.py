"""The twelve hour incident of sample_data, loaded once for all tests that ask it questions."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from replaykit.snapshot import Snapshot
from replaykit.sources import Log, load

if TYPE_CHECKING:
    from replaykit.recording import Recording

FOLDER = Path(__file__).parent.parent / "sample_data" / "gastown-incident"

KEYS = {
    "agent_metadata": "bead_id",
    "agent_nudges": "nudge_id",
    "bead_dependencies": ["bead_id", "depends_on_bead_id"],
    "bead_events": "bead_event_id",
    "beads": "bead_id",
    "convoy_metadata": "bead_id",
    "escalation_metadata": "bead_id",
    "review_metadata": "bead_id",
    "rigs": "id",
}


@cache
def incident() -> Recording:
    """Return the whole incident: events, thirteen snapshots, actions, writes and checks."""
    query = "SELECT checkpoint_no, taken_at, after_seq FROM read_parquet(?) ORDER BY 1"
    with duckdb.connect() as connection:
        marks = connection.execute(query, [str(FOLDER / "checkpoints.parquet")]).fetchall()
    return load(
        FOLDER / "town_events.parquet",
        time="created_at",
        kind="event_type",
        id="event_id",
        payload="payload",
        seq="inserted_seq",
        snapshots=Snapshot.split(
            {table: FOLDER / "state" / f"{table}.parquet" for table in KEYS},
            by="checkpoint_no",
            order="row_no",
            at={number: at for number, at, _ in marks},
            after_seq={number: seq for number, _, seq in marks},
        ),
        keys=KEYS,
        actions=Log(FOLDER / "actions.parquet", time="clock", kind="type", payload="action", seq="seq"),
        writes=Log(
            FOLDER / "rpc_writes.parquet",
            time="written_at",
            kind="source",
            payload=False,
            seq="seq",
            table="table_name",
            op="op",
            key="row_key",
            values="new_values",
        ),
        checks=Log(FOLDER / "violations.parquet", time="checked_at", kind="invariant", payload=False, seq="seq"),
    )
