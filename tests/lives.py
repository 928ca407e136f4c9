"""Random lives of rows: a replay that makes them, and the same history as plain Python, to compare tables with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

import pandas as pd
from hypothesis import strategies as st

import replaykit as rk

T0 = datetime(2026, 3, 26, 6)
STEPS = 9
ODD = 'it\'s "odd"'
COLUMNS = {
    "jobs": {"id": "VARCHAR", "status": "VARCHAR", "n": "BIGINT", "seen": "TIMESTAMP"},
    # What the queries call things themselves, and names that only quotes can carry.
    ODD: {
        "p": "VARCHAR", "live": "BOOLEAN", "v": "JSON", "f": "DOUBLE", "ended": "TIMESTAMP", "Was": "VARCHAR",
        "was_": "BIGINT", "step": "BIGINT", "c0": "VARCHAR", "a 'b' \"c\".d": "VARCHAR",
    },
    "none": {"id": "VARCHAR"},
}  # fmt: skip
KEYS = {"jobs": ("id",), ODD: ("p", "live"), "none": ("id",)}
TEXTS = st.sampled_from([None, "", "a", "b", "A/b", "it's", "<b>", "∅", "back\\slash", "é\n"])
TIMES = st.sampled_from([None, T0, datetime(1969, 12, 31, 23, 59, 59, 500000), datetime(2026, 1, 1, 0, 0, 0, 123456)])
VALUES = {
    "VARCHAR": TEXTS,
    "BIGINT": st.sampled_from([None, 0, 1, -1, 2**63 - 1]),
    "TIMESTAMP": TIMES,
    "JSON": st.sampled_from([None, "null", '{"a":null}', '{"a":[1]}', '{"a": [1]}', '"text"', "1"]),
    "DOUBLE": st.sampled_from([None, 0.0, 0.5, -2.0, float("nan"), float("inf")]),
    "BOOLEAN": st.sampled_from([None, True, False]),
}


def _writes():
    """Return a strategy for one write: table, what to do, key and the values given."""
    options = []
    for name in ("jobs", ODD):
        keys = st.sampled_from(["a", "b'", "c/d"]).map(lambda one: (one,))
        if name == ODD:
            keys = st.tuples(st.sampled_from(["a", '"']), st.booleans())
        values = {c: VALUES[t] for c, t in COLUMNS[name].items() if c not in KEYS[name]}
        given = st.fixed_dictionaries({}, optional=values)
        options.append(st.tuples(st.just(name), st.sampled_from(["put", "put", "put", "drop"]), keys, given))
    return st.one_of(options)


WRITES = st.lists(st.lists(_writes(), max_size=7), min_size=STEPS, max_size=STEPS)
"""What each step writes."""


def same(old, new):
    """Return whether two cells are equal; NaN equals itself."""
    return old == new or repr(old) == repr(new) == "nan"


def text(value):
    """Return a cell's text as DuckDB casts it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return str(value).rstrip("0") if value.microsecond else str(value)
    return None if value is None else str(value)


@dataclass
class Lives:
    """The history in plain Python: every write, and after every step the rows by the number of their life."""

    log: list = field(default_factory=list)
    """``(step, table, number, what, life, row before, row after)``"""
    images: list = field(default_factory=list)
    """After each step, by table: life to row, in order of insertion."""
    rows: dict = field(default_factory=lambda: {name: {} for name in COLUMNS})
    lives: dict = field(default_factory=dict)
    born: int = 0

    def put(self, step, table, key, values):
        """Insert a row or update it; what changes nothing is no write."""
        life = self.lives.get((table, key))
        old = self.rows[table].get(life)
        if old is None:
            self.born += 1
            life = self.lives[table, key] = self.born
        blank = dict.fromkeys(COLUMNS[table])
        new = {**(blank if old is None else old), **dict(zip(KEYS[table], key, strict=True)), **values}
        if old is None or any(not same(old[name], new[name]) for name in new):
            self.rows[table][life] = new
            self._log(step, table, "insert" if old is None else "update", life, old, new)

    def drop(self, step, table, key, _values):
        """Delete a row if there is one."""
        life = self.lives.pop((table, key), None)
        if life is not None:
            self._log(step, table, "delete", life, self.rows[table].pop(life), None)

    def _log(self, step, table, what, life, old, new):
        self.log.append((step, table, len(self.log), what, life, old, new))

    @staticmethod
    def key(table, row):
        """Return a row's key."""
        return tuple(row[name] for name in KEYS[table])

    def end_step(self):
        """Keep the rows as they are."""
        self.images.append({table: dict(rows) for table, rows in self.rows.items()})


def lives_of(writes, base=()):
    """Return what a base and the writes of each step make."""
    found = Lives()
    for row in base:
        found.put(0, "jobs", (row["id"],), row)
    found.end_step()
    for step, several in enumerate(writes, 1):
        for table, what, key, values in several:
            getattr(found, what)(step, table, key, values)
        found.end_step()
    return found


@cache
def recording():
    """Return nine events, a second apart, without any content."""
    frame = pd.DataFrame(
        {
            "at": [T0 + timedelta(seconds=n) for n in range(1, STEPS + 1)],
            "kind": "go",
            "id": [f"e{n}" for n in range(1, STEPS + 1)],
        }
    )
    return rk.load(frame, time="at", kind="kind", id="id", payload=False)


def replayed(writes, window=None, base=()):
    """Return the replay that writes the same."""
    tables = {name: rk.Table(KEYS[name], columns) for name, columns in COLUMNS.items()}
    rules = rk.Reconciler("lives", tables)

    @rules.apply("go")
    def go(state, event):
        for table, what, key, values in writes[event["position"] - 1]:
            if what == "put":
                state[table].upsert({**dict(zip(KEYS[table], key, strict=True)), **values})
            else:
                state[table].delete(key if len(key) > 1 else key[0])

    start = {}
    if base:
        frame = pd.DataFrame(list(base), columns=list(COLUMNS["jobs"])).astype({"n": "Int64", "seen": "datetime64[us]"})
        start = {"base": rk.Snapshot({"jobs": frame}, at=T0)}
    return rk.replay(recording(), rules, window, **start)


BASES = st.sampled_from(
    [
        (),
        (
            {"id": "b'", "status": "old", "n": 7, "seen": T0},
            {"id": "a", "status": None, "n": None, "seen": None},
        ),
    ]
)


def cells(frame):
    """Return a frame's rows as tuples, with None for what is missing."""
    frame = frame.astype(object)
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in frame.itertuples(index=False, name=None)]
