"""One scenario of the vectors, run on the port: a State, the handlers, the rules, the appliers, the invariants."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from replaykit import connection
from replaykit.declarations import Action
from replaykit.state import State
from replaykit.systems.gastown import actions, endpoints, reconciler
from replaykit.systems.gastown.reading import GastownError
from replaykit.systems.gastown.times import parse
from replaykit.workspace import Workspace

VECTORS = Path(__file__).parent / "data" / "gastown-vectors.jsonl.gz"
_JSON = {"labels", "metadata", "config", "checkpoint", "active_tools", "payload"}
_CONNECTION = connection.memory()


def read_vectors(path: str | Path) -> list[dict[str, Any]]:
    """Return the scenarios of a vectors file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Town:
    """A state at a clock, under gastown's rules."""

    def __init__(self, tables: Mapping[str, list[dict[str, Any]]], now: str, town_id: str = "town") -> None:
        self.rules = reconciler.with_params(town_id=town_id)
        self.state = State(self.rules.tables, self.rules.params)
        for name, rows in tables.items():
            self.state[name].load(rows)
        self.now: datetime = parse(now)
        self.state.now = self.now

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return every table's rows in order, JSON parsed."""
        return {name: [comparable(row) for row in rows] for name, rows in self.state.image().items()}

    def event(self, row: Mapping[str, Any]) -> str | None:
        """Apply an event; return the reason if it raised."""
        text = {**row, "payload": json.dumps(row["payload"])}
        return reason_of(lambda: endpoints.apply_event(self.state, self.rules, text))

    def reconcile(self) -> list[Action]:
        """Return what the rules emit, having written nothing."""
        before = len(self.state.changes)
        emitted = endpoints.reconcile(self.state, self.rules, self.now)
        assert len(self.state.changes) == before
        return emitted

    def act(self, action: Action) -> Any:
        """Apply an action; return the effect it would start."""
        return self.rules.appliers[action.kind](self.state, action)

    def violations(self) -> list[dict[str, Any]]:
        """Return what the invariants find, in order."""
        workspace = Workspace(_CONNECTION, self.state, SimpleNamespace(events=0), numbered=False)
        try:
            return [
                {"invariant": int(name), "message": row["message"]}
                for name, invariant in self.rules.invariants.items()
                for row in workspace.rows(invariant.statement)
            ]
        finally:
            workspace.close()

    def call(self, method: str, args: list[Any], rows: list[dict[str, Any]]) -> Any:
        """Return what a debug call answers, as the vectors write it."""
        return getattr(self, f"_{method}")(rows, *args)

    def _debug_dry_run(self, rows: list[dict[str, Any]]) -> Any:
        answer = endpoints.dry_run(self.state, self.rules, rows, self.now)
        return {**answer, "actions": [plain(action) for action in answer["actions"]]}

    def _debug_replay_events(self, rows: list[dict[str, Any]], start: str, end: str) -> Any:
        answer = endpoints.replay_events(self.state, self.rules, rows, start, end, self.now)
        del answer["caveat"]
        return {**answer, "actions": [plain(action) for action in answer["actions"]]}

    def _pending_event_count(self, rows: list[dict[str, Any]]) -> Any:
        return endpoints.pending(rows)

    def _drain_order(self, rows: list[dict[str, Any]]) -> Any:
        return [row["event_id"] for row in endpoints.drain(rows)]

    def _prune_old_events(self, rows: list[dict[str, Any]], retention: int) -> Any:
        kept = endpoints.prune(rows, timedelta(milliseconds=retention), self.now)
        return {"deleted": len(rows) - len(kept), "remaining": [row["event_id"] for row in kept]}

    def _upsert_container_status_sequence(self, rows: list[dict[str, Any]], *seen: Any) -> Any:
        for now, agent_id, payload in seen:
            rows = endpoints.observe_container(rows, agent_id, payload, parse(now), self.state.new_id)
        return rows


def analytics(town: Town, action: Action) -> dict[str, Any] | None:
    """Return the analytics event an action emits."""
    return actions.analytics(town.state, action)


def plain(action: Action) -> dict[str, Any]:
    """Return an action as the vectors write it."""
    return {"type": action.kind, **action.fields}


def made(action: Mapping[str, Any]) -> Action:
    """Return the action in what the vectors wrote."""
    fields = {name: value for name, value in action.items() if name != "type"}
    return Action(action["type"], **fields)


def comparable(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with its JSON columns parsed; what is no JSON stays text."""
    return {name: _parsed(value) if name in _JSON else value for name, value in row.items()}


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def reason_of(call: Callable[[], object]) -> str | None:
    """Call, and return the reason if the program would have raised."""
    try:
        call()
    except GastownError as error:
        return error.reason
    return None
