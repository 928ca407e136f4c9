"""Digests of histories and results: equal where the values are, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd

import replaykit as rk
from replaykit.fingerprint import (
    actions_digest,
    frame_digest,
    history_digest,
    state_digest,
    steps_digest,
    table_digest,
    violations_digest,
)
from replaykit.state import State

VALUES = {
    "n": ("BIGINT", 1, 2),
    "w": ("DOUBLE", 0.5, 0.25),
    "f": ("FLOAT", 0.5, 0.25),
    "ok": ("BOOLEAN", True, False),
    "text": ("VARCHAR", "a", "b"),
    "at": ("TIMESTAMP", datetime(2026, 1, 1), datetime(2026, 1, 2)),
    "day": ("DATE", date(2026, 1, 1), date(2026, 1, 2)),
    "money": ("DECIMAL(10,2)", Decimal("1.10"), Decimal("1.20")),
    "wide": ("HUGEINT", 2**80, 2**80 + 1),
    "span": ("INTERVAL", timedelta(seconds=1), timedelta(seconds=2)),
    "blob": ("BLOB", b"\x00\x01", b"\x00\x02"),
    "small": ("TINYINT", 1, 2),
}
TYPES = {name: kind for name, (kind, _, _) in VALUES.items()}
FIRST = {name: value for name, (_, value, _) in VALUES.items()}


def kept(*rows, types=None):
    """Return a history of these rows, one step each, without a replay."""
    state = State({"rows": rk.Table("id", types or TYPES)}, {})
    for state.step, row in enumerate(rows, 1):
        state["rows"].upsert(row)
    history = rk.History({"rows": (("id",), {name: kind.sql for name, kind in state["rows"].types.items()})})
    history.append(state.changes)
    history.close_log()
    return history


def run_of(*writes, rule="SELECT id FROM rows WHERE id <> 'z'", ticks="event"):
    """Replay one event for each write: a row to upsert, or the key of one to delete."""
    system = rk.Reconciler("digests", {"rows": rk.Table("id", TYPES)})

    @system.apply("written")
    def written(state, event):
        write = writes[int(event.payload["n"])]
        if isinstance(write, str):
            state["rows"].delete(write)
        else:
            state["rows"].upsert(write)

    system.rule("see", rule, key="id")
    system.invariant("one", "SELECT id FROM rows WHERE id = 'b'", key="id")
    frame = pd.DataFrame(
        {"at": [f"2026-01-01T00:00:{n:02}Z" for n in range(len(writes))], "kind": "written",
         "payload": [f'{{"n": {n}}}' for n in range(len(writes))]}
    )  # fmt: skip
    return rk.replay(rk.load(frame, time="at", kind="kind", payload="payload"), system, ticks=ticks)


def test_a_value_of_each_type_counts_and_so_does_its_absence():
    """No type may be read in a form that loses something."""
    base = kept({"id": "a", **FIRST})
    assert history_digest(base) == history_digest(kept({"id": "a", **FIRST}))
    for column, (_, _, other) in VALUES.items():
        for value in (other, None):
            changed = kept({"id": "a", **FIRST, column: value})
            assert history_digest(base) != history_digest(changed), column
            assert state_digest(base, "rows", 1) != state_digest(changed, "rows", 1), column


def test_zero_has_no_sign_and_texts_have_borders():
    """Values that SQL calls equal are equal here, and no two that it tells apart."""
    nan = float("nan")
    pairs = [({"w": 0.0}, {"w": -0.0}), ({"w": nan}, {"w": -nan}), ({"text": ""}, {"text": None})]
    equal = [len({history_digest(kept({"id": "a", **one})) for one in pair}) == 1 for pair in pairs]
    assert equal == [True, True, False]
    split = [kept({"id": "a", "text": x}, {"id": "b", "text": y}) for x, y in (("ab", "c"), ("a", "bc"))]
    assert state_digest(split[0], "rows", 2) != state_digest(split[1], "rows", 2)


def test_a_prefix_is_equal_up_to_the_step_at_which_two_runs_part():
    """What ends later is still open at the step that is asked about."""
    start = [{"id": "a", "n": 1}, {"id": "b", "n": 1}, {"id": "a", "n": 2}]
    long, short = run_of(*start, "b", {"id": "c"}), run_of(*start, {"id": "c"}, "b")
    for step in range(4):
        assert history_digest(long.history, step) == history_digest(short.history, step), step
        assert steps_digest(long.history, step) == steps_digest(short.history, step), step
    for step in (4, 5):
        assert history_digest(long.history, step) != history_digest(short.history, step), step
    assert history_digest(long.history, 5) == history_digest(long.history)
    assert table_digest(long.history, "rows", 3) != table_digest(long.history, "rows", 2)


def test_a_column_of_another_name_or_type_is_another_history():
    """The same values under another name are not the same history."""
    shapes = ({"n": "BIGINT"}, {"m": "BIGINT"}, {"n": "INTEGER"}, {"n": "BIGINT", "m": "BIGINT"})
    digests = {history_digest(kept({"id": "a"}, types=types)) for types in shapes}
    assert len(digests) == 4


def test_actions_and_violations_are_told_apart_by_rule_tick_and_field():
    """Each part of an action counts, and rules can be asked about one by one."""
    runs = [run_of({"id": "a"}, {"id": "b"}, rule=f"SELECT id{more} FROM rows WHERE id <> 'z'") for more in ("", ", n")]
    assert actions_digest(runs[0]) == actions_digest(runs[1]), "an empty field is none"
    assert actions_digest(runs[0]) != actions_digest(run_of({"id": "a"}, {"id": "c"}))
    assert actions_digest(runs[0]) != actions_digest(run_of({"id": "a"}, {"id": "b"}, ticks="end"))
    assert actions_digest(runs[0], "see") == actions_digest(runs[0]) != actions_digest(runs[0], "none")
    assert violations_digest(runs[0]) == violations_digest(runs[1], "one") != violations_digest(run_of({"id": "a"}))


def test_a_cell_counts_the_same_whatever_the_rest_of_its_column_made_of_it():
    """Pandas gives a column the type that its other cells need."""
    whole, broken = pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [1.0, 2.0], "y": [None, None]})
    assert frame_digest(whole) == frame_digest(broken) == frame_digest(whole.convert_dtypes())
    assert frame_digest(whole) != frame_digest(whole[::-1])
    assert frame_digest(whole) != frame_digest(whole.astype(str))


def test_another_process_with_another_hash_seed_and_number_of_threads_gives_the_same():
    """Golden files are written on one machine and read on another."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_fingerprint import *\n"
        "run = run_of({'id': 'a', **FIRST}, {'id': 'b'}, 'a')\n"
        "print(history_digest(run.history), actions_digest(run), violations_digest(run), steps_digest(run.history))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    run = run_of({"id": "a", **FIRST}, {"id": "b"}, "a")
    mine = history_digest(run.history), actions_digest(run), violations_digest(run), steps_digest(run.history)
    assert said == " ".join(mine) + "\n"
