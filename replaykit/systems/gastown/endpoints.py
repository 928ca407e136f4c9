"""The event queue and the two debug calls, as functions over a State and rows of ``town_events``.

Rows are dicts with the columns of ``town_events``, in insertion order; they are never changed, new lists are returned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from replaykit.inputs import Event
from replaykit.systems.gastown.reading import TERMINAL, GastownError, dumps, json_or
from replaykit.systems.gastown.times import iso, parse

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.declarations import Action
    from replaykit.reconciler import Reconciler
    from replaykit.rows import Row
    from replaykit.state import State

__all__ = [
    "CAVEAT",
    "KINDS",
    "agents_now",
    "apply_event",
    "as_event",
    "beads_now",
    "drain",
    "dry_run",
    "observe_container",
    "pending",
    "prune",
    "reconcile",
    "replay_events",
    "unreadable",
    "what_is_wrong",
]

_AGENT = ("bead_id", "role", "status", "current_hook_bead_id", "dispatch_attempts", "last_activity_at")
_BEAD = ("bead_id", "type", "status", "title", "assignee_agent_bead_id", "updated_at")
TownEvent = Mapping[str, Any]
_T = TypeVar("_T")

KINDS = frozenset(
    "agent_done agent_completed pr_status_changed bead_created bead_cancelled convoy_started container_status "
    "nudge_timeout".split()
)
CAVEAT = (
    "Events are applied on top of the live state, not on a snapshot from before the window, so handlers that are not "
    "idempotent may act differently. For debugging the flow of events, not for faithful reconstruction."
)


def pending(rows: Iterable[TownEvent]) -> int:
    """Return how many events were never applied with success."""
    return sum(row["processed_at"] is None for row in rows)


def drain(rows: Iterable[TownEvent]) -> list[TownEvent]:
    """Return the pending events in the order they are applied: by ``created_at`` as text, ties as inserted.

    Raises
    ------
    GastownError
        Any of them has an unknown type or a payload that is no JSON object: then none is applied.
    """
    found = sorted((row for row in rows if row["processed_at"] is None), key=lambda row: row["created_at"])
    _check(found)
    return found


def _check(rows: Iterable[TownEvent]) -> None:
    for row in rows:
        wrong = unreadable(row)
        if wrong is not None:
            raise GastownError("parse", f"event {row['event_id']} has {wrong}")


def unreadable(row: TownEvent) -> str | None:
    """Return why the drain would refuse a row, None if it would not."""
    if row["event_type"] not in KINDS:
        return "an unknown type"
    return None if isinstance(json_or(row["payload"], None), dict) else "an invalid payload"


def prune(rows: Iterable[TownEvent], retention: timedelta, now: datetime) -> list[TownEvent]:
    """Return the rows without the processed ones created more than `retention` ago, compared as text."""
    cutoff = iso(now - retention)
    return [row for row in rows if row["processed_at"] is None or row["created_at"] >= cutoff]


def observe_container(
    rows: Sequence[TownEvent], agent_id: str, payload: Mapping[str, Any], now: datetime, new_id: Callable[[str], str]
) -> list[TownEvent]:
    """Return the rows with a container's status noted: its newest pending event is renewed if it says the same."""
    known = [
        row
        for row in rows
        if (row["event_type"], row["agent_id"], row["processed_at"]) == ("container_status", agent_id, None)
    ]
    newest = max(reversed(known), key=lambda row: row["created_at"], default=None)
    told = json_or(newest["payload"], {}) if newest is not None else {}
    if newest is not None and isinstance(told, dict) and told.get("status") == payload["status"]:
        return [{**row, "created_at": iso(now)} if row is newest else row for row in rows]
    noted = {"status": payload["status"]}
    if payload.get("exit_reason"):
        noted["exit_reason"] = payload["exit_reason"]
    fresh = {
        "event_id": new_id("new-tevt"),
        "event_type": "container_status",
        "agent_id": agent_id,
        "bead_id": None,
        "payload": dumps(noted),
        "created_at": iso(now),
        "processed_at": None,
    }
    return [*rows, fresh]


def as_event(row: TownEvent, position: int = 0) -> Event:
    """Return a row of ``town_events`` as the event that handlers are given."""
    return Event(
        occurred_at=parse(row["created_at"]),
        kind=row["event_type"],
        event_id=row["event_id"],
        payload=row["payload"],
        agent_id=row["agent_id"],
        bead_id=row["bead_id"],
        position=position,
    )


def apply_event(state: State, reconciler: Reconciler, row: TownEvent) -> None:
    """Fold one row of ``town_events`` into state, at ``state.now``; kinds without a handler change nothing."""
    handler = reconciler.handlers.get(row["event_type"])
    if handler is not None:
        handler(state, as_event(row))


def reconcile(state: State, reconciler: Reconciler, now: datetime) -> list[Action]:
    """Return what one reconciliation emits, in order; it only reads, and one rule that raises takes the rest along."""
    emitted: list[Action] = []
    for each, rules in groupby(reconciler.rules.values(), key=lambda rule: rule.each):
        functions = [rule.function for rule in rules if rule.function is not None]
        calls: Iterable[tuple[Any, ...]] = [()] if each is None else ((item,) for item in each(state, now))
        for item in calls:
            for function in functions:
                emitted += function(state, now, *item) or ()
    return emitted


def dry_run(state: State, reconciler: Reconciler, rows: Sequence[TownEvent], now: datetime) -> dict[str, Any]:
    """Apply all pending events and reconcile, then take everything back.

    Returns
    -------
    dict
        ``actions`` and ``metrics``, as ``POST reconcile-dry-run`` answers. ``pendingEventCount`` is 0: it is counted
        after the events were marked.

    Raises
    ------
    GastownError
        Any event raised, or could not be read.
    """

    def run() -> dict[str, Any]:
        drained = drain(rows)
        for row in drained:
            apply_event(state, reconciler, row)
        actions = reconcile(state, reconciler, now)
        metrics = {
            "actionsEmitted": len(actions),
            "actionsByType": dict(Counter(action.kind for action in actions)),
            "pendingEventCount": pending(rows) - len(drained),
            "eventsDrained": len(drained),
        }
        return {"actions": actions, "metrics": metrics}

    return _taken_back(state, now, run)


def what_is_wrong(start: str | None, end: str | None) -> str | None:
    """Return why ``POST replay-events`` would refuse a window, None if it would not."""
    if not start or not end:
        return "from and to are required"
    first, last = parse(start), parse(end)
    if first is None or last is None:
        return "from and to must be dates"
    return "from must not be after to" if first > last else None


def replay_events(
    state: State, reconciler: Reconciler, rows: Iterable[TownEvent], start: str, end: str, now: datetime
) -> dict[str, Any]:
    """Apply all events of a window, processed or not, on the present state and reconcile, then take everything back.

    Bounds are inclusive and compared as text, so that ``…:00Z`` sorts behind ``…:00.000Z``.

    Returns
    -------
    dict
        ``caveat``, ``eventsReplayed``, ``actions`` and ``stateSnapshot``, as ``POST replay-events`` answers.

    Raises
    ------
    GastownError
        Any event raised, or could not be read.
    """

    def run() -> dict[str, Any]:
        chosen = sorted((row for row in rows if start <= row["created_at"] <= end), key=lambda row: row["created_at"])
        _check(chosen)
        for row in chosen:
            apply_event(state, reconciler, row)
        actions = reconcile(state, reconciler, now)
        return {
            "caveat": CAVEAT,
            "eventsReplayed": len(chosen),
            "actions": actions,
            "stateSnapshot": {"agents": list(_agents(state)), "nonTerminalBeads": list(_beads(state))},
        }

    return _taken_back(state, now, run)


def _taken_back(state: State, now: datetime, run: Callable[[], _T]) -> _T:
    mark, drawn, before = len(state.changes), state.drawn(), state.now
    state.now = now
    try:
        return run()
    finally:
        state.undo(mark)
        state.put_back(drawn)
        state.now = before


def agents_now(agents: pd.DataFrame) -> pd.DataFrame:
    """Return the table of agents as the call shows it."""
    return agents[list(_AGENT)].reset_index(drop=True)


def beads_now(beads: pd.DataFrame) -> pd.DataFrame:
    """Return the beads that are neither terminal nor agents as the call shows them, by type and status."""
    shown = beads[(beads["type"] != "agent") & ~beads["status"].isin(TERMINAL)]
    return shown[list(_BEAD)].sort_values(["type", "status"], kind="stable", ignore_index=True)


def _agents(state: State) -> Iterator[dict[str, Any]]:
    return (_columns(row, _AGENT) for row in state["agent_metadata"].find())


def _beads(state: State) -> Iterator[dict[str, Any]]:
    found = [row for row in state["beads"].find() if row["type"] != "agent" and row["status"] not in TERMINAL]
    return (_columns(row, _BEAD) for row in sorted(found, key=lambda row: (row["type"], row["status"])))


def _columns(row: Row, columns: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in columns}
