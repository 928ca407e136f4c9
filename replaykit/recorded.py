"""Recorded inputs: actions, writes and applications of events that production logged, each at its recorded place."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.errors import ReconcilerError, StateError, excerpt
from replaykit.global_order import INPUTS, reach_of
from replaykit.inputs import read_events
from replaykit.reconciler import Action

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replaykit.inputs import Event, Plan
    from replaykit.outcomes import Emission
    from replaykit.recording import Recording
    from replaykit.state import State

__all__ = ["OtherStep", "RecordedInput", "action_of", "recorded_inputs"]


@dataclass(frozen=True)
class OtherStep:
    """A step with a place of its own: an applied or recorded action, a recorded write, an event applied as recorded."""

    step: int
    input: str
    kind: str
    position: int | None
    occurred_at: datetime
    applied_at: datetime
    tick: int | None
    event_id: str | None = None
    global_seq: int | None = None
    emission: Emission | None = None
    """What a tick emitted, where it was applied here."""
    action: Action | None = None
    """What was recorded, where it was applied here."""


@dataclass(frozen=True)
class RecordedInput:
    """One recorded action, write or application of an event, and its place among the others."""

    log: str
    occurred_at: datetime
    global_seq: int | None
    position: int
    kind: str
    tick: int | None = None
    failed: bool = False
    """It raised in production too."""
    action: Action | None = None
    event: Event | None = None
    table: str | None = None
    op: str | None = None
    key: str | None = None
    values: str | None = None

    def before(self, event: Event) -> bool:
        """Return whether this comes before `event`: by the recording's global order, else by time, events first."""
        seq = event.get("global_seq")
        if seq is not None and self.global_seq is not None:
            return self.global_seq < int(seq)
        return self.occurred_at < event.occurred_at

    def write_to(self, state: State) -> None:
        """Carry out a recorded write.

        Raises
        ------
        StateError
            The table is not declared, or the row is not as the write found it.
        """
        table = state[str(self.table)]
        given = self._key_of(table.key)
        key = tuple(given[name] for name in table.key) if len(table.key) > 1 else given[table.key[0]]
        values = _loaded(self.values)
        op = str(self.op).strip().lower()
        if op == "insert":
            table.insert({**given, **values})
        elif op == "update":
            table.update(key, values)
        elif op in ("upsert", "replace"):
            table.upsert({**given, **values})
        elif op != "delete":
            raise StateError(f"A write has op {excerpt(self.op)}; expected insert, update, upsert or delete.")
        elif not table.delete(key):
            raise StateError(f"Table {self.table!r} has no row {excerpt(key)} to delete.")

    def _key_of(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the key by column; a log of a table with one key column may hold the bare value."""
        found = json.loads(self.key) if self.key else None
        if len(names) == 1 and not isinstance(found, (dict, type(None))):
            found = {names[0]: found}
        given = {**_loaded(self.values), **(found if isinstance(found, dict) else {})}
        missing = [name for name in names if given.get(name) is None]
        if missing:
            raise StateError(f"A write to {self.table!r} names no {missing[0]!r}; its key is {excerpt(self.key)}.")
        return {name: given[name] for name in names}


def _loaded(text: str | None) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    if not isinstance(found, dict):
        raise StateError(f"A write has values {excerpt(text)}; expected an object of columns.")
    return found


def recorded_inputs(recording: Recording, plan: Plan) -> list[RecordedInput]:
    """Return the recorded inputs between a plan's base and its window's end, in order.

    With a log of applications events are among them, each as often and where it was applied.

    Raises
    ------
    ReconcilerError
        The recording holds none, or logs and events have no order in common although there are applications.
    """
    logs = [name for name in INPUTS if name in recording.logs]
    if not logs:
        raise ReconcilerError(
            "actions='recorded', but the recording holds no actions, writes or applications; load them as rk.Log."
        )
    found = [one for name in logs for one in _READERS[name](recording, plan)]
    ordered = all(one.global_seq is not None for one in found)
    if "applications" in logs and not ordered:
        raise ReconcilerError(
            "The recording says when events were applied, but not every log has the global order; name it with "
            "rk.Log(..., seq=)."
        )
    if ordered:
        end = reach_of(recording, plan).end
        return sorted(
            (one for one in found if end is None or int(one.global_seq or 0) < end), key=lambda one: one.global_seq or 0
        )
    # Some without a place leave time as the only order that all have.
    order = {"actions": 0, "writes": 1}
    found.sort(key=lambda one: (one.occurred_at, order[one.log], one.position))
    return [replace(one, global_seq=None) for one in found]


def _rows(recording: Recording, plan: Plan, log: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the entries of a log in reach of a plan; columns it does not have are None."""
    known = recording.columns(log)
    # A snapshot that says up to which number of the global order it goes says so more exactly than by its time.
    last = plan.base.seq if "global_seq" in known else None
    after = "occurred_at > $after" if last is None else f"coalesce(global_seq > {int(last)}, occurred_at > $after)"
    limits = {"after": plan.base.at or datetime.min, "end": plan.window.bounds()[1]}  # noqa: DTZ901 - naive UTC
    names = ["occurred_at", "position", "kind", "global_seq", *columns]
    reads = ", ".join(name if name in known else f"NULL AS {name}" for name in names)
    kept = plan.logs.get(log, "true")
    rows = recording._fetch(
        f"SELECT {reads} FROM {log} WHERE {after} AND $after IS NOT NULL AND occurred_at < $end AND {kept} "
        "ORDER BY position",
        limits,
    )
    for row in rows:
        yield {"log": log, **dict(zip(names, row, strict=True))}


def _actions(recording: Recording, plan: Plan) -> Iterator[RecordedInput]:
    for row in _rows(recording, plan, "actions", ["payload", "tick", "ok"]):
        action = action_of(row["kind"], row.pop("payload"))
        yield RecordedInput(failed=row.pop("ok") is False, action=action, **row)


def _writes(recording: Recording, plan: Plan) -> Iterator[RecordedInput]:
    for row in _rows(recording, plan, "writes", ["table_name", "op", "row_key", "new_values"]):
        names = {"table_name": "table", "row_key": "key", "new_values": "values"}
        yield RecordedInput(**{names.get(name, name): value for name, value in row.items()})


def _applications(recording: Recording, plan: Plan) -> Iterator[RecordedInput]:
    rows = list(_rows(recording, plan, "applications", ["event_id", "tick", "ok"]))
    events = _events(recording, plan)
    for row in rows:
        event_id, failed = row.pop("event_id"), row.pop("ok") is False
        event = events.get(event_id)
        kind = event.kind if event is not None else str(event_id)
        yield RecordedInput(**{**row, "kind": kind, "failed": failed, "event": event})


_READERS = {"applications": _applications, "actions": _actions, "writes": _writes}


def _events(recording: Recording, plan: Plan) -> dict[str | None, Event]:
    """Return the events that were applied, by id.

    Raises
    ------
    ReconcilerError
        Several events have the id of an application.
    """
    where = "event_id IN (SELECT event_id FROM applications) AND $first = 0 AND $start IS NOT NULL AND $end IS NOT NULL"
    last = recording._fetch("SELECT coalesce(max(position), 0) FROM events")[0][0]
    found: dict[str | None, Event] = {}
    for batch in read_events(recording, replace(plan, first=0, last=last, where=where)):
        for event in batch:
            if event.id in found:
                raise ReconcilerError(
                    f"The log of applications names event {excerpt(event.id)}, but several events have that id; load "
                    "events with a unique id=."
                )
            found[event.id] = event
    return found


def action_of(kind: str, payload: str | None) -> Action:
    """Return a recorded action from kind and JSON fields; a field ``type`` that repeats the kind is left out."""
    fields: dict[str, Any] = json.loads(payload) if payload else {}
    return Action(kind, **{name: value for name, value in fields.items() if not (name == "type" and value == kind)})
