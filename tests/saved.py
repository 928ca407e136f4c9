"""A replay with a column of every type, values at their edges and every kind of result, to be saved and opened again.

Run as a script, it writes the saved run the tests keep: ``python tests/saved.py tests/data/saved_run_1.duckdb``.
"""

from __future__ import annotations

import math
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache

import pandas as pd

import replaykit as rk

FRAMES = ("actions", "violations", "problems", "metrics", "effects", "evaluation", "events", "steps")
HUGE = 10**37 + 1
ROWS = [
    {
        "big": HUGE, "money": Decimal("12345.67"), "raw": b"\x00\xff", "number": float("nan"), "single": 0.5,
        "whole": 2**62, "small": -7, "flag": True, "day": date(2026, 2, 28), "clock": time(23, 59, 59, 999_999),
        "lasted": timedelta(days=1, microseconds=1), "at": datetime(1969, 12, 31, 23, 59, 59, 999_999),
        "data": {"a": [1, None, "ü"]}, "who": "12345678-1234-5678-1234-567812345678",
    },
    {"number": float("inf"), "money": Decimal("-0.01"), "text": "", "flag": False, "data": [], "whole": 0},
    {"number": -0.0, "text": "a\nb\t'\" \U0001f600", "raw": b"", "big": -HUGE},
]  # fmt: skip


def rules(patience=timedelta(minutes=1)):
    """Return rules whose table has a column of every type, and which emit fields of every type."""
    made = rk.Reconciler(
        "wide",
        {
            "Things": rk.Table(
                key=["part", "id"],
                part="VARCHAR",
                id="BIGINT",
                big="HUGEINT",
                money="DECIMAL(10,2)",
                raw="BLOB",
                number="DOUBLE",
                single="FLOAT",
                whole="BIGINT",
                small="TINYINT",
                flag="BOOLEAN",
                day="DATE",
                clock="TIME",
                lasted="INTERVAL",
                at="TIMESTAMP",
                data="JSON",
                who="UUID",
                text="TEXT",
                defaults={"small": 1},
            ),
            "never": rk.Table(key="id", id="BIGINT"),
        },
        params={"patience": patience, "limits": (1, 2.5, None), "sets": frozenset({"b", "a"})},
    )

    @made.apply("set")
    def put(state, event):
        number = int(event.payload)
        state["Things"].upsert(part="p/q", id=number % 4, **ROWS[number % len(ROWS)])

    @made.apply("gone")
    def gone(state, event):
        state["Things"].delete(("p/q", int(event.payload) % 4))

    @made.rule("look", key=["part", "id"])
    def look(state, now):
        for row in state["Things"].find():
            mixed = row["flag"] if row["id"] else 1
            yield rk.Action("seen", part=row["part"], id=row["id"], mixed=mixed, of=row["data"])
            if row["id"] == 2:
                fields = {name: row[name] for name in ("money", "raw", "number", "day", "clock", "lasted", "at", "big")}
                yield rk.Action("all", part=row["part"], id=row["id"], step=None, listed=(1, [2]), **fields)

    made.rule("late", "SELECT part, id, $now - $patience AS since, 1.5 AS x FROM Things WHERE flag", key=("part", "id"))

    @made.invariant("few", key="id")
    def few(state, now):
        for row in state["Things"].find(id=3):
            yield {"id": row["id"], "message": "three", "number": row["number"], "raw": row["raw"]}

    @made.measure
    def measured(run):
        ticks = run.metrics["tick"]
        return pd.DataFrame(
            {
                "tick": ticks,
                "share": ticks / 3,
                "span": pd.to_timedelta(ticks, "s"),
                "Share": [{"a": (n,)} for n in ticks],
            }
        )

    made.ignore("noise")
    return made


@cache
def wide():
    """Return a recording and a replay of it, some minutes long, with a given base."""
    rows = [
        {
            "when": f"2026-01-01T00:0{n // 6}:{n % 6}0Z",
            "what": kind,
            "id": f"e{n}",
            "data": str(n),
            "Extra": n / 4 or None,
        }
        for n, kind in enumerate(["set"] * 9 + ["gone", "noise", "unheard of"] + ["set"] * 12)
    ]
    recording = rk.load(rows, time="when", kind="what", id="id", payload="data")
    before = pd.DataFrame(
        {
            "part": ["p/q", "z"], "id": [0, 9], "text": ["from before", None], "big": [5, None],
            "whole": pd.array([2**53 + 1, None], "Int64"), "lasted": [None, timedelta(hours=1)],
            "raw": [b"\xff", None],
        }
    )  # fmt: skip
    base = rk.Snapshot({"Things": before}, at="2026-01-01T00:00:05Z", after="e0")
    run = rk.replay(recording, rules(), rk.Window("2026-01-01T00:00:30Z", "2026-01-01T00:03Z"), ticks="5s", base=base)
    return recording, run


def equal(left, right):
    """Assert that two frames are equal, and their cells of the same types."""
    left, right = pd.DataFrame(left), pd.DataFrame(right)
    pd.testing.assert_frame_equal(left, right, check_exact=True)
    for place in range(left.shape[1]):
        assert [*map(type, left.iloc[:, place])] == [*map(type, right.iloc[:, place])], left.columns[place]


def typed(value):
    """Return a value so that two are equal only if their types are, down to what they hold; NaN equals itself."""
    if isinstance(value, float) and math.isnan(value):
        return (type(value), "nan")
    if isinstance(value, float):
        return (type(value), value.hex())
    if hasattr(value, "items"):
        return (type(value), [(typed(name), typed(one)) for name, one in value.items()])
    if isinstance(value, (list, tuple)):
        return (type(value), [typed(one) for one in value])
    if isinstance(value, (set, frozenset)):
        return (type(value), sorted((typed(one) for one in value), key=repr))
    return (type(value), value)


if __name__ == "__main__":
    print(wide()[1].save(sys.argv[1]))
