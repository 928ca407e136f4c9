"""Small states for rules in SQL: rows are put by events, and the rule is asked at the ticks behind them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

import duckdb

import replaykit as rk
from replaykit.reasons.scene import scene_at
from replaykit.state import State

T0 = datetime(2026, 3, 26, 6)


def after(seconds):
    """Return an instant by its distance from the beginning."""
    return T0 + timedelta(seconds=seconds)


TABLES = {
    "jobs": rk.Table(key="id", status="VARCHAR", worker="VARCHAR", n="BIGINT", seen="TIMESTAMP", done="BOOLEAN"),
    "workers": rk.Table(key="id", alive="BOOLEAN"),
}
JOBS = [
    (1, "jobs", {"id": "a", "status": "open", "worker": "w", "n": 1, "seen": after(0).isoformat(), "done": False}),
    (2, "jobs", {"id": "b", "status": "open", "worker": "x", "n": 5, "seen": after(10).isoformat()}),
    (3, "workers", {"id": "w", "alive": True}),
    (3, "workers", {"id": "v", "alive": False}),
]


def town(tables, rule, *, key, params=None, invariant=False):
    """Return a reconciler with one SQL rule, or an invariant."""
    made = rk.Reconciler("town", tables, params=params or {})
    (made.invariant if invariant else made.rule)("asked", rule, key=key)
    return made


@cache
def seconds(*moments):
    """Return a recording of one event at each of some moments."""
    events = [{"at": after(moment), "kind": "second", "data": {"at": moment}} for moment in moments]
    return rk.load(events, time="at", kind="kind", id=False, payload="data")


def replayed(reconciler, rows, *, ticks="end", end=60, **options):
    """Return a run in which each second puts its rows ``(second, table, row)``; a key in a list is dropped."""
    made = reconciler.copy()

    @made.apply("second")
    def put(state, event):
        for at, table, row in rows:
            if at == event.payload["at"]:
                state[table].delete(row[0]) if isinstance(row, list) else state[table].upsert(row)

    recording = seconds(*sorted({0, end + 1, *(at for at, _, _ in rows)}))
    return rk.replay(recording, made, rk.Window(T0, after(end)), ticks=ticks, **options)


def asked(run, **when):
    """Return the scene and what is asked about."""
    found = {**run.reconciler.rules, **run.reconciler.invariants}
    return scene_at(run, **when), found["asked"]


def still(rule, rows):
    """Return the scene of a state of these rows, in a replay in which nothing happens, and a rule in SQL to ask."""
    state = State(TABLES, {})
    for _, table, row in rows:
        state[table].upsert(row)
    known = {name: (dict(table._rows), dict(table._born)) for name, table in state.tables.items()}
    made = town(TABLES, rule, key="id")
    return replace(scene_at(_empty()), _known=known), made.rules["asked"]


@cache
def _empty():
    return replayed(town(TABLES, "SELECT id FROM jobs", key="id"), [])


def given_by(rule, rows):
    """Return what a SELECT gives of these rows, asked in DuckDB without replaykit."""
    with _plain().cursor() as cursor:
        for name, table in TABLES.items():
            listed = ", ".join(f"{column} {kind}" for column, kind in table.columns.items())
            cursor.execute(f"CREATE OR REPLACE TEMP TABLE {name} ({listed})")
            for _, put, row in rows:
                if put == name:
                    marks = ", ".join("?" * len(row))
                    cursor.execute(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", [*row.values()])
        found = cursor.execute(rule)
        names = [column[0] for column in found.description]
        return [dict(zip(names, values, strict=True)) for values in found.fetchall()]


@cache
def _plain():
    return duckdb.connect()
