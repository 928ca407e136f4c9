"""Recorded inputs: actions and writes that production logged, applied at their recorded place when retracing it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.errors import ReconcilerError, StateError, excerpt
from replaykit.reconciler import Action

if TYPE_CHECKING:
    from replaykit.inputs import Event, Plan
    from replaykit.recording import Recording
    from replaykit.state import State

__all__ = ["OtherStep", "RecordedInput", "recorded_actions", "recorded_inputs", "recorded_instants"]


@dataclass(frozen=True)
class OtherStep:
    """A step that is no event: an applied or recorded action, or a recorded write."""

    step: int
    input: str
    kind: str
    position: int | None
    occurred_at: datetime
    applied_at: datetime
    tick: int | None


@dataclass(frozen=True)
class RecordedInput:
    """One recorded action or write, and its place among the events."""

    occurred_at: datetime
    global_seq: int | None
    position: int
    kind: str
    action: Action | None = None
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
    """Return the recorded actions and writes between a plan's base and its window's end, in order.

    Raises
    ------
    ReconcilerError
        The recording holds neither.
    """
    names = [name for name in ("actions", "writes") if name in recording.logs]
    if not names:
        raise ReconcilerError(
            "actions='recorded', but the recording holds no actions and no writes; load them as rk.Log."
        )
    found: list[RecordedInput] = []
    for name in names:
        found += _read(recording, name, plan)
    order = {"action": 0, "write": 1}
    seq = all(one.global_seq is not None for one in found)
    return sorted(
        found,
        key=lambda one: (
            (one.global_seq, 0, 0)
            if seq
            else (one.occurred_at, order["action" if one.action else "write"], one.position)
        ),
    )


def _read(recording: Recording, name: str, plan: Plan) -> list[RecordedInput]:
    seq = "global_seq" if "global_seq" in recording.columns(name) else "NULL"
    last = recording.snapshot(plan.base.number).after_seq if plan.base.number is not None else None
    # A snapshot that says up to which number of the global order it goes says so more exactly than by its time.
    after = "occurred_at > $after" if last is None or seq == "NULL" else f"global_seq > {int(last)}"
    limits = {"after": plan.base.at or datetime.min, "end": plan.window.bounds()[1]}  # noqa: DTZ901 - naive UTC
    extra = "payload, NULL, NULL, NULL, NULL" if name == "actions" else "NULL, table_name, op, row_key, new_values"
    rows = recording._fetch(
        f"SELECT occurred_at, {seq}, position, kind, {extra} FROM {name} "
        f"WHERE {after} AND $after IS NOT NULL AND occurred_at < $end ORDER BY position",
        limits,
    )
    return [
        RecordedInput(at, number, position, kind, _action(kind, payload) if name == "actions" else None, *rest)
        for at, number, position, kind, payload, *rest in rows
    ]


def _action(kind: str, payload: str | None) -> Action:
    fields: dict[str, Any] = json.loads(payload) if payload else {}
    return Action(kind, **{name: value for name, value in fields.items() if not (name == "type" and value == kind)})


def recorded_instants(recording: Recording, plan: Plan) -> tuple[datetime, ...]:
    """Return when ticks were recorded inside the window: the checks' times, or the actions' where there are no checks.

    Raises
    ------
    ReconcilerError
        The recording holds neither.
    """
    name = next((log for log in ("checks", "actions") if log in recording.logs), None)
    if name is None:
        raise ReconcilerError(
            "ticks='recorded', but the recording holds no checks and no actions; load them as rk.Log."
        )
    start, end = plan.window.bounds()
    rows = recording._fetch(
        f"SELECT DISTINCT occurred_at FROM {name} WHERE occurred_at >= $start AND occurred_at < $end ORDER BY 1",
        {"start": start, "end": end},
    )
    return tuple(row[0] for row in rows)


def recorded_actions(recording: Recording, start: datetime, end: datetime) -> list[tuple[datetime, Action]]:
    """Return the recorded actions of a window in order, each with its time."""
    rows = recording._fetch(
        "SELECT occurred_at, kind, payload FROM actions WHERE occurred_at >= $start AND occurred_at < $end "
        "ORDER BY position",
        {"start": start, "end": end},
    )
    return [(at, _action(kind, payload)) for at, kind, payload in rows]
