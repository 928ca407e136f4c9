"""Where a snapshot lies among the events: its moment, and the last event it includes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from replaykit.errors import LoadError, WindowError, excerpt, show_time
from replaykit.sources.table import Intake, one_of
from replaykit.window import parse_time

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from replaykit.recording import Recording
    from replaykit.snapshot import Snapshot

__all__ = ["place", "place_snapshot", "snapshot_frames"]

Ask = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]


def place_snapshot(recording: Recording, snapshot: Snapshot) -> tuple[datetime, int]:
    """Return the moment of a snapshot that is not loaded, and the position of the last event it includes.

    Raises
    ------
    LoadError
        Its moment can't be read, or the event it is after is not in the recording, or there several times.
    """
    at, position, _ = place(snapshot, recording._fetch, lambda _: None, lambda text: text)
    return at, position


def snapshot_frames(snapshot: Snapshot) -> dict[str, pd.DataFrame]:
    """Return the tables of a snapshot that is not loaded, as a recording would give them."""
    from replaykit import connection
    from replaykit.sources.columns import stored
    from replaykit.sources.snapshots import snapshot_tables
    from replaykit.sql import quote

    with connection.memory() as memory:
        frames = {}
        for name, table in snapshot_tables(snapshot, Intake(memory)).items():
            reads = ", ".join(f"{column.sql} AS {quote(column.name)}" for column in map(stored, table.columns))
            frames[name] = memory.execute(f"SELECT {reads} FROM {table.relation} ORDER BY {table.row}").df()
    return frames


def place(
    snapshot: Snapshot, ask: Ask, note: Callable[[str], None], digest: Callable[[str], str | None]
) -> tuple[datetime, int, str | None]:
    """Return moment, position of the last event included, and that event's id if the snapshot named it."""
    at = _moment(snapshot, ask, note)
    after = snapshot.after
    if snapshot.after_seq is not None:
        return at, _after_seq(snapshot.after_seq, ask), None
    if isinstance(after, str):
        return at, *_after_event(after, ask, digest)
    if after is None or isinstance(after, bool):
        inside = "<" if after is False else "<="
        return at, _last(f"occurred_at {inside} $1", at, ask), None
    ((events,),) = ask("SELECT count(*) FROM events", [])
    if not 0 <= after <= events:
        raise LoadError(
            f"Snapshot at {show_time(at)} is after={after!r}, but the events have positions 1 to {events:,}."
        )
    return at, after, None


def _moment(snapshot: Snapshot, ask: Ask, note: Callable[[str], None]) -> datetime:
    if snapshot.at is None:
        ((last,),) = ask("SELECT max(occurred_at) FROM events", [])
        if last is None:
            raise LoadError(
                "A snapshot without at= is taken at the last event, but there are no events; name its moment."
            )
        note(f"A snapshot without at= was placed at the end of the recording, {show_time(last)}.")
        moment: datetime = last
        return moment
    try:
        return parse_time(snapshot.at, what="at")
    except WindowError as error:
        raise LoadError(f"A snapshot's moment can't be read. {error}") from None


def _last(condition: str, value: Any, ask: Ask) -> int:
    ((position,),) = ask(f"SELECT coalesce(max(position), 0) FROM events WHERE {condition}", [value])
    return int(position)


def _after_seq(seq: int, ask: Ask) -> int:
    columns = ask("SELECT column_name FROM (DESCRIBE events) WHERE column_name = $1", ["global_seq"])
    if not columns:
        raise LoadError("A snapshot names after_seq=, but the events have no global order; name it with load(seq=).")
    return _last("global_seq <= $1", seq, ask)


def _after_event(after: str, ask: Ask, digest: Callable[[str], str | None]) -> tuple[int, str]:
    query = "SELECT position, event_id FROM events WHERE event_id IN ($1, $2) ORDER BY position"
    found = ask(query, [after, digest(after)])
    if len(found) == 1:
        return int(found[0][0]), str(found[0][1])
    if not found:
        raise LoadError(f"A snapshot is after event {excerpt(after)}, but no event has that id.")
    raise LoadError(
        f"A snapshot is after event {excerpt(after)}, but {len(found):,} events have that id, at positions "
        f"{one_of([row[0] for row in found], 5)}; give the position: after={found[-1][0]}."
    )
