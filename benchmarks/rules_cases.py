"""Cases of the benchmark of rules: ours for all ticks at once, and SQLite and DuckDB tick by tick."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

import duckdb
import pandas as pd

import replaykit as rk
from benchmarks.rules_workload import END, RULES, START, TABLES, base, events, in_dialect, reconciler
from replaykit import replaying
from replaykit.temporal import PutOff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.measuring import Clock

__all__ = ["make_rules", "rules_duckdb", "rules_ours", "rules_sqlite"]

_TICK = timedelta(seconds=5)
_EPOCH = datetime(1970, 1, 1)


def make_rules(clock: Clock, path: str, events: int, scale: int) -> None:
    """Write the recording: its events, and the state before them as a snapshot."""
    frame = pd.DataFrame([{**one, "payload": json.dumps(one["payload"])} for one in _events(events)])
    given = {
        name: pd.DataFrame(rows, columns=list(TABLES[name])).astype(
            {"seen": "datetime64[us]"} if name != "links" else {}
        )
        for name, rows in base(scale).items()
    }
    before = rk.Snapshot(given, at=START - timedelta(seconds=1))
    with clock, rk.load(frame, time="at", kind="kind", id="id", payload="payload", snapshots=[before], save=path):
        pass


_events = events


def rules_ours(clock: Clock, recording: str, ticks: int) -> dict[str, Any]:
    """Replay with the rules; what counts is all that is done for them until each tick has its emissions."""
    window = rk.Window(START, START + ticks * _TICK)
    with rk.open(recording) as opened, _timed(clock):
        started = time.perf_counter()
        run = rk.replay(opened, reconciler(), window, ticks=_TICK)
        whole = time.perf_counter() - started
    said = [
        (tick + n, int(rule), entity)
        for tick, rule, entity, repeats in run.actions[["tick", "rule", "entity", "repeats"]].itertuples(index=False)
        for n in range(repeats + 1)
    ]
    ways = run.evaluation["how"].value_counts().to_dict()
    return {**_told(sorted(said, key=lambda one: one[:2])), "ways": ways, "whole": whole}


@contextmanager
def _timed(clock: Clock) -> Iterator[None]:
    """Let the clock run while a replay reads its rules, asks them, and puts what they said where it belongs."""
    parts = ((PutOff, "of"), (PutOff, "answers"), (replaying, "fill"))
    with ExitStack() as stack:
        for owner, name in parts:
            stack.enter_context(mock.patch.object(owner, name, _clocked(clock, getattr(owner, name))))
        yield


def _clocked(clock: Clock, function: Callable[..., Any]) -> Callable[..., Any]:
    bound = getattr(function, "__self__", None) is not None

    def clocked(*given: Any) -> Any:
        with clock:
            return function(*given)

    return staticmethod(clocked) if bound else clocked


def rules_sqlite(clock: Clock, recording: str, scale: int, ticks: int) -> dict[str, Any]:
    """Ask every rule at every tick in SQLite, with the indexes its conditions want; only the asking counts."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for name, columns in TABLES.items():
        typed = [f"{c} {'INTEGER' if t == 'TIMESTAMP' else 'TEXT'}" for c, t in columns.items()]
        connection.execute(f"CREATE TABLE {name} ({', '.join(typed)}, PRIMARY KEY (id)) WITHOUT ROWID")
        rows = [[_micros(value) for value in row.values()] for row in base(scale)[name]]
        connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' for _ in columns)})", rows)
    for on in ("beads (status, agent, seen)", "beads (type, status, rig)", "agents (status, seen)", "agents (hook)",
               "links (a, b)"):  # fmt: skip
        connection.execute(f"CREATE INDEX {on.translate(str.maketrans(' (,)', '____'))} ON {on}")
    queries = [in_dialect(text, sqlite=True) for text in RULES]

    def ask(at: datetime) -> Iterable[list[Any]]:
        now = {"now": _micros(at)}
        return [connection.execute(query, now).fetchall() for query in queries]

    def apply(text: str, values: list[Any]) -> object:
        return connection.execute(text, [_micros(value) for value in values])

    return _ticked(clock, recording, ticks, apply, ask)


def rules_duckdb(clock: Clock, recording: str, scale: int, ticks: int) -> dict[str, Any]:
    """Ask every rule at the first ticks in DuckDB; only the asking counts."""
    connection = duckdb.connect(config={"threads": 1})
    for name, columns in TABLES.items():
        connection.execute(f"CREATE TEMP TABLE {name} ({', '.join(f'{c} {t}' for c, t in columns.items())})")
        frame = pd.DataFrame(base(scale)[name], columns=list(columns))
        connection.register("given", frame)
        connection.execute(f"INSERT INTO {name} SELECT * FROM given")
    queries = [duckdb.extract_statements(in_dialect(text))[0] for text in RULES]

    def ask(at: datetime) -> Iterable[list[Any]]:
        return [
            connection.execute(query, {"now": at} if query.named_parameters else None).fetchall() for query in queries
        ]

    return _ticked(clock, recording, ticks, connection.execute, ask)


def _ticked(
    clock: Clock, recording: str, ticks: int, apply: Callable[[str, list[Any]], object],
    ask: Callable[[datetime], Iterable[list[Any]]],
) -> dict[str, Any]:  # fmt: skip
    said: list[tuple[int, int, str]] = []
    coming = _recorded(recording)
    event = next(coming, None)
    for tick in range(ticks):
        at = START + tick * _TICK
        while event is not None and event[0] <= at:
            apply(*_update(*event))
            event = next(coming, None)
        with clock:
            answers = ask(at)
        said += [(tick, rule, row[0]) for rule, rows in enumerate(answers) for row in rows]
    return _told(said)


def _recorded(recording: str) -> Iterator[tuple[datetime, dict[str, Any]]]:
    with duckdb.connect(recording, read_only=True) as connection:
        rows = connection.execute("SELECT occurred_at, payload FROM events ORDER BY position").fetchall()
    yield from ((at, json.loads(payload)) for at, payload in rows if at < END)


def _update(at: datetime, given: dict[str, Any]) -> tuple[str, list[Any]]:
    table, row = given.pop("table"), given.pop("id")
    return f"UPDATE {table} SET {', '.join(f'{c} = ?' for c in given)}, seen = ? WHERE id = ?", [
        *given.values(),
        at,
        row,
    ]


def _micros(value: Any) -> Any:
    return (value - _EPOCH) // timedelta(microseconds=1) if isinstance(value, datetime) else value


def _told(said: list[tuple[int, int, str]]) -> dict[str, Any]:
    """Return how many rows were said, and a digest of them in their order."""
    return {"rows": len(said), "digest": hashlib.sha256(json.dumps(said).encode()).hexdigest()}
