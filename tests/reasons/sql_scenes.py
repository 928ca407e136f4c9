"""Small states for rules in SQL: rows are put by events, and the rule is asked at the ticks behind them."""

from __future__ import annotations

from datetime import datetime, timedelta

import replaykit as rk
from replaykit.reasons.scene import scene_at

T0 = datetime(2026, 3, 26, 6)


def after(seconds):
    """Return an instant by its distance from the beginning."""
    return T0 + timedelta(seconds=seconds)


def town(tables, rule, *, key, params=None, invariant=False):
    """Return a reconciler with one SQL rule; each event puts the row it carries, or drops it."""
    made = rk.Reconciler("town", tables, params=params or {})

    @made.apply("put", "drop")
    def put(state, event):
        table = state[event.payload["table"]]
        row = event.payload["row"]
        if event.kind == "drop":
            table.delete(tuple(row) if len(row) > 1 else row[0])
        else:
            table.upsert(row)

    (made.invariant if invariant else made.rule)("asked", rule, key=key)
    return made


def replayed(reconciler, rows, *, ticks="end", end=60, snapshot=None):
    """Return a run over ``(second, table, row)`` puts, in order."""
    events = [
        {"at": after(at), "kind": "drop" if isinstance(row, list) else "put", "data": {"table": table, "row": row}}
        for at, table, row in rows
    ] + [{"at": after(end + 1), "kind": "end", "data": {}}]
    recording = rk.load(
        events, time="at", kind="kind", id=False, payload="data",
        snapshots=[rk.Snapshot(snapshot, at=T0 - timedelta(seconds=1))] if snapshot else [],
        keys={name: list(table.key) for name, table in reconciler.tables.items()} if snapshot else {},
    )  # fmt: skip
    reconciler.ignore("end")
    return rk.replay(recording, reconciler, rk.Window(T0, after(end)), ticks=ticks)


def asked(run, **when):
    """Return the scene and what is asked about."""
    found = {**run.reconciler.rules, **run.reconciler.invariants}
    return scene_at(run, **when), found["asked"]
