"""Inputs: which events a replay applies, from which base, and how they are read and shown to handlers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

from replaykit.arrow_rows import read_rows
from replaykit.errors import ReconcilerError, WindowError, excerpt, show_time
from replaykit.snapshot import RecordedSnapshot, Snapshot
from replaykit.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from replaykit.recording import Recording

__all__ = ["Base", "Event", "Plan", "counted", "make_plan", "read_events"]

_BATCH = 50_000
_ALWAYS = Window("0001-01-01", "9999-01-01")


def _column(name: str, doc: str) -> Any:
    # Handlers read these a million times, and this costs half of a method.
    return property(itemgetter(name), doc=doc)


_scan = json.JSONDecoder().raw_decode


def _decoded(text: str) -> Any:
    """Return what `json.loads` does, which spends most of its time on looking for spaces around the value."""
    try:
        value, end = _scan(text)
    except ValueError:
        return json.loads(text)
    return value if end == len(text) else json.loads(text)


class _Payload:
    """The payload, decoded from JSON; an empty dict if there is none. A copy for this event alone."""

    def __get__(self, event: Any, _: type) -> Any:
        if event is None:
            return self
        text = event["payload"]
        # Kept under the same name beside the items, where Python looks before it asks here again.
        event.payload = found = {} if text is None else _decoded(text)
        return found


class Event(dict[str, Any]):
    """One recorded event. ``event["x"]`` is a column, ``event.payload["x"]`` a payload key.

    ``occurred_at``, ``kind``, ``id`` and ``payload`` are attributes; the payload is decoded when first asked for.
    The names the columns had at the source work as items too.
    """

    _names: Mapping[str, str] = {}
    occurred_at: datetime = _column("occurred_at", "When it happened, naive UTC.")
    kind: str = _column("kind", "Its kind.")
    id: str | None = _column("event_id", "Its id at the source, which need not be unique.")
    payload: Any = _Payload()

    def __missing__(self, name: str) -> Any:
        if name in self._names:
            return dict.__getitem__(self, self._names[name])
        raise KeyError(f"the event table has no column {name!r}; its columns are {list(self)}")

    def __repr__(self) -> str:
        return f"Event({self.kind!r}, id={self.id!r}, position {self['position']}, {show_time(self.occurred_at)})"

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise ReconcilerError("An event can't be changed; write what follows from it into state.")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse


@dataclass(frozen=True)
class Base:
    """The state a replay starts from."""

    name: str
    """``snapshot 3 (2026-…)``, ``the given snapshot`` or ``empty``."""
    tables: Any
    """Mapping of table name to DataFrame; empty for an empty base."""
    position: int
    """Position of the last event it includes; 0 if none."""
    at: datetime | None
    number: int | None = None
    """Number of the recorded snapshot, if it is one."""
    seq: int | None = None
    """Place in the global order of the last input it includes, if it says so."""


@dataclass(frozen=True)
class Plan:
    """Which events are applied: those in ``(base, window.end)``, in the recording's order."""

    window: Window
    base: Base
    first: int
    """Position after which events are read."""
    where: str
    """Condition on the event table, with ``$first``, ``$start`` and ``$end``."""
    events: int
    warmup: int
    """How many of them come before the first event inside the window."""
    late: bool
    """The base includes events from inside the window: it is later than the window's start."""
    last: int
    """Position of the last event applied, or of the base if there is none."""
    kinds: Mapping[str, tuple[int, int, str | None]]
    """Kind to how many events, position and id of the first."""
    span: Window | None
    """The recording's, from which a time without a day takes its day."""
    logs: Mapping[str, str] = field(default_factory=dict)
    """Condition on the entries of a log that are applied, where some are left out."""
    altered: str = ""
    """What is not as it was recorded, in words; nothing if everything is."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Values of the condition's parameters."""
        start, end = self.window.bounds()
        return {"first": self.first, "start": start, "end": end}


def make_plan(recording: Recording, window: Window | None, base: Any, *, anywhere: bool = False) -> Plan:
    """Decide base, warm-up and window.

    Parameters
    ----------
    anywhere
        Let the window lie outside the recording: two snapshots may be compared with no event between or around them.

    Raises
    ------
    WindowError
        The window does not touch the recording.
    ReconcilerError
        ``base`` is neither ``"nearest"``, ``"empty"`` nor a snapshot.
    """
    span = recording.span
    if not isinstance(window, (Window, type(None))):
        raise WindowError(
            f"window is {excerpt(window)}; expected rk.Window(start, end) or None for the whole recording."
        )
    if window is not None and anywhere:
        within = window
    else:
        within = span if window is None and span is not None else (window or _ALWAYS).within(span)
    start, _ = within.bounds()
    opening = _opening(recording, within)
    chosen = _choose_base(recording, base, start, opening)
    # A base taken at the very start may include events of that instant; only a later one holds the window's own.
    late = opening is not None and chosen.position >= opening and chosen.at is not None and chosen.at > start
    where = "position > $first AND occurred_at < $end"
    where += " AND occurred_at >= $start" if late else " AND $start IS NOT NULL"
    first = 0 if late else chosen.position
    return counted(recording, Plan(within, chosen, first, where, 0, 0, late, chosen.position, {}, span))


def counted(recording: Recording, plan: Plan) -> Plan:
    """Return a plan with the numbers of the events that its condition picks, their last position and their kinds.

    If it picks none, the last position stays as it is.
    """
    opening = _opening(recording, plan.window)
    total, last, warm = recording._fetch(
        f"SELECT count(*), max(position), count(*) FILTER (WHERE position < $opening) FROM events WHERE {plan.where}",
        {**plan.parameters, "opening": opening if opening is not None else 2**62},
    )[0]
    kinds = recording._fetch(
        f"SELECT kind, count(*), min(position), arg_min(event_id, position) FROM events WHERE {plan.where} "
        "GROUP BY kind ORDER BY min(position)",
        plan.parameters,
    )
    named = {kind: (number, position, event_id) for kind, number, position, event_id in kinds}
    return replace(plan, events=total, warmup=warm, last=plan.last if last is None else last, kinds=named)


def _opening(recording: Recording, window: Window) -> int | None:
    """Return the position of the first event inside a window; None if there is none."""
    start, end = window.bounds()
    found: int | None = recording._fetch(
        "SELECT min(position) FROM events WHERE occurred_at >= $start AND occurred_at < $end",
        {"start": start, "end": end},
    )[0][0]
    return found


def _choose_base(recording: Recording, base: Any, start: datetime, opening: int | None) -> Base:
    if isinstance(base, Base):
        return base
    if base == "empty":
        return Base("empty", {}, 0, None)
    if base == "nearest":
        reach = [s for s in recording.snapshots if s.at <= start and (opening is None or s.after_position < opening)]
        return _recorded(recording, max(reach, key=lambda s: s.number)) if reach else Base("empty", {}, 0, None)
    if isinstance(base, RecordedSnapshot):
        return _recorded(recording, base)
    if isinstance(base, Snapshot):
        return _given(recording, base)
    raise ReconcilerError(f"base={excerpt(base)}: expected 'nearest', 'empty' or a Snapshot.")


def _recorded(recording: Recording, snapshot: RecordedSnapshot) -> Base:
    name = f"snapshot {snapshot.number} ({show_time(snapshot.at)})"
    return Base(
        name,
        recording.snapshot(snapshot.number).tables,
        snapshot.after_position,
        snapshot.at,
        snapshot.number,
        snapshot.after_seq,
    )


def _given(recording: Recording, snapshot: Snapshot) -> Base:
    from replaykit.sources import place_snapshot, snapshot_frames

    at, position = place_snapshot(recording, snapshot)
    name = f"the given snapshot ({show_time(at)})"
    return Base(name, snapshot_frames(snapshot), position, at, seq=snapshot.after_seq)


def read_events(recording: Recording, plan: Plan) -> Iterator[Iterator[Event]]:
    """Yield the events of a plan in the recording's order, some thousands at a time, in bounded memory.

    An event is made when it is taken; the memory of the last one serves for the next.
    """
    types = recording.columns("events")
    names = source_names(recording)
    made = type("Event", (Event,), {"_names": names}) if names else Event
    low = plan.first
    query = f"SELECT * FROM events WHERE {plan.where} AND position > $low AND position <= $high ORDER BY position"
    while low < plan.last:
        parameters = {**plan.parameters, "low": low, "high": low + _BATCH}
        for rows in read_rows(recording, query, parameters, types.values()):
            yield map(made, map(zip, repeat(tuple(types)), rows))
        low += _BATCH


def source_names(recording: Recording) -> dict[str, str]:
    """Return the names the role columns had at the source, by canonical name reversed."""
    canonical = {"time": "occurred_at", "kind": "kind", "id": "event_id", "payload": "payload"}
    found = recording._fetch("SELECT value FROM meta WHERE key = 'roles'")
    roles: dict[str, Any] = json.loads(found[0][0]) if found else {}
    return {
        source: canonical[role]
        for role, source in roles.items()
        if role in canonical and isinstance(source, str) and source != canonical[role]
    }


def base_rows(tables: Mapping[str, Any], name: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return a base table's rows as dicts with None for missing values, in order.

    A reconciler may declare fewer columns than a snapshot has: the others are left out.
    """
    import pyarrow as pa

    if name not in tables:
        return []
    frame = tables[name]
    shared = [column for column in columns if column in frame.columns]
    rows: list[dict[str, Any]] = pa.Table.from_pandas(frame[shared], preserve_index=False).to_pylist()
    return rows
