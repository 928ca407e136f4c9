"""gastown in a closed loop, a tick every five seconds of the trace: ours, and the same rules on bare dictionaries.

The program's own rules and appliers run on both; invariants, which are SQL, on neither. Errors of handlers are kept.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import replaykit as rk
from benchmarks.gastown_bare import BareState
from benchmarks.gastown_workload import COLUMNS
from replaykit.inputs import base_rows, make_plan, read_events
from replaykit.replaying import planned
from replaykit.schedule import schedule_of
from replaykit.systems import gastown
from replaykit.systems.gastown.endpoints import reconcile
from replaykit.systems.gastown.reading import GastownError

if TYPE_CHECKING:
    from datetime import datetime

    from benchmarks.measuring import Clock
    from replaykit.reconciler import Reconciler

__all__ = ["gastown_loop", "gastown_loop_bare"]

_EVERY = timedelta(seconds=5)


def _rules() -> Reconciler:
    rules = gastown.reconciler.without(*gastown.reconciler.invariants)
    rules.measures = []
    return rules


def gastown_loop(clock: Clock, recording: str, out: str, end: str | None) -> dict[str, Any]:
    """Replay in a closed loop: history, actions, metrics; but no verdict, as the peer compares nothing."""
    with rk.open(recording) as opened:
        with clock:
            plan = make_plan(opened, _window(opened, end), "nearest")
            run = planned(opened, _rules(), plan, schedule_of("5s", opened, plan), "apply", "keep")
        told = [(tick, kind, dict(fields)) for tick, kind, fields, _ in run.emitted]
        tables = {name: _cells(run.after[name]) for name in COLUMNS}
    _write(out, "gastown_loop", actions=told, tables=tables)
    ticks = int(run.metrics["repeats"].sum() + len(run.metrics))
    return {"events": plan.events, "ticks": ticks, "actions": len(told)}


def gastown_loop_bare(clock: Clock, recording: str, out: str, end: str | None) -> None:
    """Do the same by hand."""
    told: list[Any] = []
    with rk.open(recording) as opened, clock:
        rules = _rules()
        plan = make_plan(opened, _window(opened, end), "nearest")
        state = BareState(rules.tables, rules.params)
        for name, table in state.tables.items():
            for row in base_rows(plan.base.tables, name, list(COLUMNS[name])):
                table.insert(row)
        start, until = plan.window.bounds()
        tick, now = 0, plan.base.at or start
        for batch in read_events(opened, plan):
            for event in batch:
                while (due := start + tick * _EVERY) < max(now, event["occurred_at"]):
                    now = max(now, due)
                    _tick(state, rules, tick, due, now, told)
                    tick += 1
                now = max(now, event["occurred_at"])
                _handled(rules.handlers.get(event["kind"]), state, event, now)
        while (due := start + tick * _EVERY) < until:
            now = max(now, due)
            _tick(state, rules, tick, due, now, told)
            tick += 1
    tables = {name: [list(row.values()) for row in table.find()] for name, table in state.tables.items()}
    _write(out, "gastown_loop_bare", actions=told, tables=tables)


def _tick(state: BareState, rules: Reconciler, tick: int, due: datetime, now: datetime, told: list[Any]) -> None:
    state.now = due
    for action in reconcile(state, rules, due):  # type: ignore[arg-type]
        told.append((tick, action.kind, dict(action.fields)))
        _handled(rules.appliers.get(action.kind), state, action, now)


def _handled(handler: Any, state: BareState, given: Any, now: datetime) -> None:
    state.now = now
    if handler is not None:
        try:
            handler(state, given)
        except GastownError:
            return


def _window(recording: rk.Recording, end: str | None) -> rk.Window | None:
    assert recording.span is not None
    return None if end is None else rk.Window(recording.span.start, end)


def _cells(frame: Any) -> list[list[Any]]:
    found: list[list[Any]] = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    return found


def _write(out: str, name: str, **found: Any) -> None:
    (Path(out) / f"{name}.json").write_text(json.dumps(found), encoding="utf-8")
