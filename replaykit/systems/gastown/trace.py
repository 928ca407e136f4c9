"""A traced town: a folder in which everything that happened was logged, loaded as one recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from replaykit import connection
from replaykit.errors import LoadError
from replaykit.snapshot import Snapshot
from replaykit.sources import Log, load
from replaykit.systems.gastown.noise import folded
from replaykit.systems.gastown.tables import KEYS

if TYPE_CHECKING:
    import os

    from replaykit.recording import Recording

__all__ = ["load_trace"]

_FILES = ("checkpoints", "town_events", "event_applications", "actions", "rpc_writes", "ticks", "violations")
_METRICS = (
    "events_drained, actions_emitted, actions_by_type, side_effects_attempted, side_effects_succeeded, "
    "side_effects_failed, invariant_violations, wall_clock_ms, pending_event_count"
)
# The rules ran before the tick's first action; without any, behind the last input of the phase.
_TICKS = f"""
SELECT tick, 'tick' AS kind, reconcile_at, finished_at, check_seq, {_METRICS},
       least(reconcile_seq, coalesce(first_action - 1, reconcile_seq)) AS seq
FROM read_parquet($ticks)
LEFT JOIN (SELECT tick, min(seq) AS first_action FROM read_parquet($actions) GROUP BY tick) USING (tick)
ORDER BY tick
"""
_CHECKS = (
    "SELECT seq, tick, checked_at, ordinal, CAST(invariant AS VARCHAR) AS invariant, "
    "json_object('message', message) AS detail FROM read_parquet($violations) ORDER BY seq, ordinal"
)
_APPLICATIONS = "SELECT * FROM read_parquet($event_applications) ORDER BY seq"
_MARKS = "SELECT checkpoint_no, taken_at, after_seq FROM read_parquet($checkpoints) ORDER BY checkpoint_no"


def load_trace(
    folder: str | os.PathLike[str], *, fold: bool = False, save: str | os.PathLike[str] | None = None, **options: Any
) -> Recording:
    """Load a traced town, with everything it logged in one order (``seq``), each entry with its clock.

    Replay it with ``ticks="recorded", actions="recorded"`` to retrace what the program did.

    Parameters
    ----------
    folder
        Holds ``town_events``, ``event_applications``, ``actions``, ``rpc_writes``, ``ticks``, ``violations``,
        ``checkpoints`` and ``state/<table>``, each ``.parquet``.
    fold
        Leave out container statuses that only repeat the one before, and their applications; good for reading, while
        a retrace without them is no longer that of the program. The report says how many.
    save
        Where to keep the recording; else it is private and temporary.
    options
        Passed on to `replaykit.load`, for example ``mask=``.

    Raises
    ------
    LoadError
        A file is missing.
    """
    place = Path(folder).expanduser()
    paths = {name: place / f"{name}.parquet" for name in _FILES}
    states = {table: place / "state" / f"{table}.parquet" for table in KEYS}
    missing = [str(path.relative_to(place)) for path in (*paths.values(), *states.values()) if not path.exists()]
    if missing:
        raise LoadError(
            f"{str(place)!r} is no traced town: it has no {missing[0]}. It needs {list(_FILES)} and state/."
        )
    read = _read({name: str(path) for name, path in paths.items()})
    events, notes = _events(paths["town_events"], read, fold=fold)
    return load(
        events,
        time="created_at",
        kind="event_type",
        id="event_id",
        payload="payload",
        seq="inserted_seq",
        snapshots=_snapshots(states, read["marks"]),
        keys=KEYS,
        actions=Log(paths["actions"], time="clock", kind="type", payload="action", seq="seq", tick="tick", ok="ok"),
        writes=Log(
            paths["rpc_writes"], time="written_at", kind="source", payload=False, seq="seq", table="table_name",
            op="op", key="row_key", values="new_values",
        ),
        checks=Log(read["checks"], time="checked_at", kind="invariant", payload="detail", seq="seq", tick="tick"),
        applications=Log(
            read["applications"], time="clock", kind=False, payload=False, seq="seq", event="event_id", ok="ok",
            tick="tick",
        ),
        ticks=Log(
            read["ticks"], time="reconcile_at", kind="kind", payload=False, seq="seq", tick="tick",
            checked_at="finished_at", check_seq="check_seq",
        ),
        save=save,
        notes=notes,
        **options,
    )  # fmt: skip


def _read(paths: dict[str, str]) -> dict[str, Any]:
    """Return the logs that are not loaded as their files are, and the marks of the snapshots."""
    queries = {"ticks": _TICKS, "checks": _CHECKS, "applications": _APPLICATIONS}
    with connection.memory() as memory:
        found: dict[str, Any] = {
            name: memory.sql(query, params={key: path for key, path in paths.items() if f"${key}" in query})
            .to_arrow_table()
            for name, query in queries.items()
        }  # fmt: skip
        found["marks"] = memory.execute(_MARKS, {"checkpoints": paths["checkpoints"]}).fetchall()
    return found


def _events(path: Path, read: dict[str, Any], *, fold: bool) -> tuple[Any, list[str]]:
    """Return the events, and what to note: folded, and their applications with them, if asked for."""
    if not fold:
        return path, []
    import pandas as pd
    import pyarrow.compute as pc

    events, folding = folded(pd.read_parquet(path).sort_values("inserted_seq", ignore_index=True))
    applied = read["applications"]
    read["applications"] = applied.filter(pc.is_in(applied["event_id"], value_set=_arrow(events["event_id"])))
    return events, [folding.sentence]


def _arrow(values: Any) -> Any:
    import pyarrow as pa

    return pa.array(values, pa.string())


def _snapshots(states: dict[str, Path], marks: list[tuple[int, str, int]]) -> list[Snapshot]:
    return Snapshot.split(
        states,
        by="checkpoint_no",
        order="row_no",
        at={number: at for number, at, _ in marks},
        after_seq={number: seq for number, _, seq in marks},
    )
