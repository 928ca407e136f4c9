"""What is measured of gastown: events on one state, and the whole trace; each beside what one would write instead.

As in `benchmarks.cases`, each function runs once in a process of its own, and what is inside ``with clock:`` counts.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

# Loaded before any clock runs, as a notebook has them by the time it replays.
import pandas as pd  # noqa: TC002 - loaded on purpose
import pyarrow as pa  # noqa: F401 - loaded on purpose
import pyarrow.compute  # noqa: F401 - loaded on purpose

import replaykit as rk
from benchmarks.gastown_bare import BareState, retrace
from benchmarks.gastown_sql_events import fold
from benchmarks.gastown_sqlite import SQLiteState
from benchmarks.gastown_workload import COLUMNS, TRACE, handlers_only, write_events
from replaykit.engine import Engine
from replaykit.inputs import base_rows, make_plan
from replaykit.recorded import recorded_inputs
from replaykit.replaying import planned
from replaykit.schedule import schedule_of
from replaykit.sql import quote
from replaykit.systems import gastown

if TYPE_CHECKING:
    from benchmarks.measuring import Clock

__all__ = [
    "gastown_bare",
    "gastown_events",
    "gastown_sqlite",
    "gastown_trace",
    "make_gastown_events",
    "make_gastown_trace",
]

_BATCH = 20_000


def make_gastown_events(clock: Clock, path: str, events: int) -> None:
    """Write the recording of line 1."""
    with clock:
        write_events(Path(path), events)


def make_gastown_trace(clock: Clock, path: str) -> None:
    """Write the recording of line 2."""
    with clock, gastown.load_trace(TRACE, save=path):
        pass


def gastown_events(clock: Clock, recording: str, out: str) -> dict[str, Any]:
    """Replay the events as an engineer would; the clock runs from the first event read to the last change kept."""
    whole = clock.__class__()
    with rk.open(recording) as opened:
        with _timed_loop(clock), whole:
            run = rk.replay(opened, handlers_only(), on_error="keep")
        tables = {name: _cells(run.after[name]) for name in COLUMNS}
        versions = {name: _cells(run.sql(_HISTORY.format(name, _listed(name)))) for name in COLUMNS}
        raised = _raised(opened)
    _write(out, "gastown_events", tables=tables, versions=versions, raised=raised)
    changed = {version[1] for rows in versions.values() for version in rows}
    return {"events": run.plan.events, "changed": len(changed), "whole": whole.seconds}


@contextmanager
def _timed_loop(clock: Clock) -> Iterator[None]:
    """Let a clock run while the engine of a replay does, and at no other time."""
    untimed = Engine.run

    def timed(engine: Engine) -> None:
        with clock:
            untimed(engine)

    Engine.run = timed  # type: ignore[method-assign]
    try:
        yield
    finally:
        Engine.run = untimed  # type: ignore[method-assign]


_HISTORY = "SELECT change, valid_from, born, {1} FROM history.{0} WHERE valid_from > 0 ORDER BY change"


def _raised(recording: rk.Recording) -> list[int]:
    """Return the steps whose handlers raise; `run.problems` has the first of each kind and their number."""
    raised: list[int] = []
    twin = handlers_only()
    for kind, handler in twin.handlers.items():

        def watched(state: Any, event: Any, handler: Any = handler) -> None:
            try:
                handler(state, event)
            except Exception:
                raised.append(state.step)
                raise

        twin.handlers[kind] = watched
    rk.replay(recording, twin, on_error="keep")
    return raised


def gastown_sqlite(clock: Clock, recording: str, out: str) -> dict[str, Any]:
    """Apply the same events by SQL inside a savepoint, triggers keeping every version; then roll back."""
    whole = clock.__class__()
    with whole:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        state = SQLiteState(connection)
        state.load(_base(recording))
        with clock:
            connection.execute("SAVEPOINT replay")
            raised = fold(state, _events(recording))
    tables, versions = {}, {}
    for name in COLUMNS:
        listed = _listed(name)
        tables[name] = connection.execute(f"SELECT {listed} FROM {name} ORDER BY born").fetchall()
        log = f"SELECT change, step, born, {listed} FROM log_{name} ORDER BY change"
        versions[name] = connection.execute(log).fetchall()
    _write(out, "gastown_sqlite", tables=tables, versions=versions, raised=raised)
    with whole, clock:
        connection.execute("ROLLBACK TO replay")
    connection.close()
    return {"whole": whole.seconds}


def _base(recording: str) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect(recording, read_only=True) as connection:
        query = "SELECT {1} FROM state.{0} ORDER BY row_no"
        return {name: connection.execute(query.format(name, _listed(name))).fetchall() for name in COLUMNS}


def _events(recording: str) -> Iterator[list[tuple[Any, ...]]]:
    with duckdb.connect(recording, read_only=True) as connection:
        cursor = connection.execute(
            "SELECT position, occurred_at, kind, payload, agent_id, bead_id FROM events ORDER BY position"
        )
        while rows := cursor.fetchmany(_BATCH):
            yield rows


def gastown_trace(clock: Clock, recording: str, out: str, end: str | None) -> dict[str, Any]:
    """Retrace the trace: history, actions, violations, metrics; but no verdict, as the peer compares nothing."""
    with rk.open(recording) as opened:
        with clock:
            plan = make_plan(opened, _window(opened, end), "nearest")
            schedule = schedule_of("recorded", opened, plan)
            run = planned(opened, gastown.reconciler.copy(), plan, schedule, "recorded", "raise")
        with_verdict = clock.__class__()
        with with_verdict:
            verdict = run.verdict
        tables = {name: _cells(run.after[name]) for name in COLUMNS}
        actions = [(tick, kind, dict(fields)) for tick, kind, fields, _ in run.emitted]
        found = [(tick, name, dict(row)) for tick, name, row in run.found]
    _write(out, "gastown_trace", tables=tables, actions=actions, found=found)
    return {
        "inputs": run.after_step,
        "ticks": len(run.metrics),
        "verdict": verdict.status,
        "verdict_seconds": with_verdict.seconds,
    }


def gastown_bare(clock: Clock, recording: str, out: str, end: str | None) -> None:
    """Apply the same inputs by the same rules to a working set that keeps no history and checks nothing."""
    with rk.open(recording) as opened, clock:
        rules = gastown.reconciler
        plan = make_plan(opened, _window(opened, end), "nearest")
        state = BareState(rules.tables, rules.params)
        for name, table in state.tables.items():
            for row in base_rows(plan.base.tables, name, list(COLUMNS[name])):
                table.insert(row)
        ticks = schedule_of("recorded", opened, plan).recorded
        decided, found = retrace(state, rules, recorded_inputs(opened, plan), ticks, plan.window.bounds()[1])
    tables = {name: [list(row.values()) for row in table.find()] for name, table in state.tables.items()}
    actions = [(tick, one.kind, dict(one.fields)) for tick, emitted in decided for one in emitted]
    _write(out, "gastown_bare", tables=tables, actions=actions, found=found)


def _window(recording: rk.Recording, end: str | None) -> rk.Window | None:
    assert recording.span is not None
    return None if end is None else rk.Window(recording.span.start, end)


def _listed(table: str) -> str:
    return ", ".join(map(quote, COLUMNS[table]))


def _cells(frame: pd.DataFrame) -> list[list[Any]]:
    return frame.astype(object).where(frame.notna(), None).to_numpy().tolist()


def _write(out: str, name: str, **found: Any) -> None:
    (Path(out) / f"{name}.json").write_text(json.dumps(found), encoding="utf-8")
