"""A replay equals a plain-Python model, and a SQLite peer whose triggers keep the same history."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass, field
from unittest import mock

import pandas as pd
import pytest
from building import after, written
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import some

from replaykit import folding
from replaykit.declarations import Table
from replaykit.errors import QueryError, StateError
from replaykit.reconciler import Reconciler
from replaykit.replay import replay
from replaykit.snapshot import Snapshot

COLUMNS = {"id": "VARCHAR", "part": "BIGINT", "status": "VARCHAR", "n": "BIGINT", "x": "DOUBLE"}
KEYS = [("a", 1), ("a", 2), ("b", 1), ("c", 1)]
OPS = ["insert", "update", "upsert", "delete", "sql", "raise", "catch"]

VALUES = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["lost", "done", "", None]),
        "n": st.none() | st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2),
        "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    },
)
OPERATION = st.tuples(st.sampled_from(OPS), st.sampled_from(KEYS), VALUES)
EVENT = st.tuples(st.integers(0, 30), st.sampled_from(["k", "l", "unknown"]), st.lists(OPERATION, max_size=6))
EVENTS = st.lists(EVENT, min_size=1, max_size=12)


class RefusedError(Exception):
    """What the peers raise where the table refuses."""


@dataclass
class Model:
    """The state as a list of dicts in insertion order, and the history as a list of versions."""

    rows: list[dict] = field(default_factory=list)
    log: list[tuple] = field(default_factory=list)
    step: int = 0

    def find(self, key):
        """Return the row with this key, or None."""
        return next((row for row in self.rows if (row["id"], row["part"]) == key), None)

    def insert(self, key, values):
        """Add a row at the end."""
        if self.find(key) is not None:
            raise RefusedError
        row = {**dict.fromkeys(COLUMNS), "id": key[0], "part": key[1], **values}
        self.rows.append(row)
        self.log.append((self.step, tuple(row.values())))

    def update(self, key, values):
        """Set columns where a value differs."""
        row = self.find(key)
        if row is None:
            raise RefusedError
        if any(row[name] != value for name, value in values.items()):
            row = {**row, **values}
            self.rows[[(r["id"], r["part"]) for r in self.rows].index(key)] = row
            self.log.append((self.step, tuple(row.values())))

    def upsert(self, key, values):
        """Update or insert."""
        (self.insert if self.find(key) is None else self.update)(key, values)

    def delete(self, key, _values=None):
        """Remove a row, if there is one."""
        row = self.find(key)
        if row is not None:
            self.rows.remove(row)
            self.log.append((self.step, (row["id"], row["part"])))

    def sql(self, key, values):
        """Set n of every row of one id."""
        for row in [row for row in self.rows if row["id"] == key[0]]:
            self.update((row["id"], row["part"]), {"n": values.get("n")})

    def mark(self):
        """Return what `undo` needs."""
        return list(self.rows), len(self.log)

    def undo(self, mark):
        """Go back to a mark."""
        self.rows, self.log[mark[1] :] = mark[0], []

    def image(self):
        """Return the rows as tuples."""
        return [tuple(row.values()) for row in self.rows]


_TRIGGERS = """
CREATE TABLE jobs (born INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, part INTEGER, status TEXT, n INTEGER, x REAL,
    UNIQUE (id, part));
CREATE TABLE log (step INTEGER, id TEXT, part INTEGER, status TEXT, n INTEGER, x REAL, gone INTEGER);
CREATE TABLE clock (step INTEGER);
INSERT INTO clock VALUES (0);
CREATE TRIGGER put AFTER INSERT ON jobs BEGIN
    INSERT INTO log SELECT step, new.id, new.part, new.status, new.n, new.x, 0 FROM clock; END;
CREATE TRIGGER moved AFTER UPDATE ON jobs
    WHEN old.status IS NOT new.status OR old.n IS NOT new.n OR old.x IS NOT new.x BEGIN
    INSERT INTO log SELECT step, new.id, new.part, new.status, new.n, new.x, 0 FROM clock; END;
CREATE TRIGGER gone AFTER DELETE ON jobs BEGIN
    INSERT INTO log SELECT step, old.id, old.part, NULL, NULL, NULL, 1 FROM clock; END;
"""


class Peer:
    """The way people replay today: a SQLite database, a SAVEPOINT for each event, history by triggers."""

    def __init__(self):
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.executescript(_TRIGGERS)

    def has(self, key):
        """Return whether there is a row."""
        return bool(self.db.execute("SELECT 1 FROM jobs WHERE id = ? AND part = ?", key).fetchall())

    def insert(self, key, values):
        """Add a row at the end."""
        row = {"id": key[0], "part": key[1], **values}
        try:
            self.db.execute(
                f"INSERT INTO jobs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())
            )
        except sqlite3.IntegrityError:
            raise RefusedError from None

    def update(self, key, values):
        """Set columns."""
        if not self.has(key):
            raise RefusedError
        if values:
            self.db.execute(
                f"UPDATE jobs SET {', '.join(f'{c} = ?' for c in values)} WHERE id = ? AND part = ?",
                [*values.values(), *key],
            )

    def upsert(self, key, values):
        """Update or insert."""
        (self.update if self.has(key) else self.insert)(key, values)

    def delete(self, key, _values=None):
        """Remove a row."""
        self.db.execute("DELETE FROM jobs WHERE id = ? AND part = ?", key)

    def sql(self, key, values):
        """Set n of every row of one id."""
        for (part,) in self.db.execute("SELECT part FROM jobs WHERE id = ? ORDER BY born", key[:1]).fetchall():
            self.db.execute("UPDATE jobs SET n = ? WHERE id = ? AND part = ?", (values.get("n"), key[0], part))

    def mark(self):
        """Open a savepoint."""
        self.db.execute("SAVEPOINT event")

    def undo(self, mark):
        """Go back to it."""
        self.db.execute("ROLLBACK TO event")

    def image(self):
        """Return the rows as tuples, in insertion order."""
        return self.db.execute("SELECT id, part, status, n, x FROM jobs ORDER BY born").fetchall()


class Handled:
    """The same operations through state."""

    def __init__(self, state):
        self.state = state
        self.table = state["jobs"]

    def insert(self, key, values):
        """Add a row at the end."""
        self.table.insert({"id": key[0], "part": key[1]}, **values)

    def update(self, key, values):
        """Set columns."""
        self.table.update(key, values)

    def upsert(self, key, values):
        """Update or insert."""
        self.table.upsert({"id": key[0], "part": key[1], **values})

    def delete(self, key, _values=None):
        """Remove a row."""
        self.table.delete(key)

    def sql(self, key, values):
        """Set n of every row of one id."""
        self.state.sql("UPDATE jobs SET n = $n::BIGINT WHERE id = $id", n=values.get("n"), id=key[0])


def carry_out(target, operations, refused):
    """Do what an event says; ``raise`` ends it with an error, ``catch`` goes on after a refusal."""
    for op, key, values in operations:
        if op == "raise":
            raise refused
        if op == "catch":
            try:
                target.insert(key, values)
            except refused:
                target.delete(key)
        else:
            getattr(target, op)(key, values)


def folded(target, events, on_error, stepped):
    """Fold the events into a peer; return its image after every step."""
    images = [target.image()]
    for step, (_, kind, operations) in enumerate(events, 1):
        stepped(step)
        mark = target.mark()
        if kind != "unknown":
            try:
                carry_out(target, operations, RefusedError)
            except RefusedError:
                if on_error == "undo":
                    target.undo(mark)
        images.append(target.image())
    return images


def reconciler():
    """Return a reconciler that does what its events say."""
    found = Reconciler("random", {"jobs": Table(["id", "part"], COLUMNS)})

    @found.apply("k", "l")
    def handle(state, event):
        operations = [(op, tuple(key), values) for op, key, values in event.payload["ops"]]
        carry_out(Handled(state), operations, StateError)

    found.rule("seen", "SELECT count(*) AS id FROM jobs", key="id")
    return found


def image(frame):
    """Return a frame's rows as tuples with None for missing values."""
    frame = frame.astype(object)
    return [tuple(row) for row in frame.where(frame.notna(), None).to_numpy().tolist()]


def in_order(events):
    """Return events by time, ties as they come: the order of a recording."""
    return sorted(events, key=lambda event: event[0])


@settings(max_examples=some(20))
@given(
    events=EVENTS.map(in_order), on_error=st.sampled_from(["undo", "keep"]),
    ticks=st.sampled_from(["end", "event", "3s"]), based=st.booleans(), flush=st.sampled_from([1, 5, 200_000]),
)  # fmt: skip
def test_state_and_history_equal_a_model_and_a_sqlite_peer(events, on_error, ticks, based, flush):
    """Re-inserts, several changes of a row in a step, errors undone or kept, SQL in between, a base or none."""
    rows = [("b", 1, "old", 1, 0.5), ("z", 9, None, None, None)] if based else []
    model, peer = Model(), Peer()
    for row in rows:
        values = dict(zip(COLUMNS, row, strict=True))
        for target in (model, peer):
            target.insert((values.pop("id"), values.pop("part")) if "id" in values else row[:2], values)
    expected = folded(model, events, on_error, lambda step: setattr(model, "step", step))
    peered = folded(peer, events, on_error, lambda step: peer.db.execute("UPDATE clock SET step = ?", [step]))

    base = Snapshot({"jobs": pd.DataFrame(rows, columns=list(COLUMNS))}, at=after(-1)) if based else "empty"
    with written([(at, kind, {"ops": operations}) for at, kind, operations in events]) as recording:
        with mock.patch.object(folding, "FLUSH", flush), mock.patch("replaykit.engine.FLUSH", flush):
            run = replay(recording, reconciler(), ticks=ticks, on_error=on_error, base=base)
        found = [image(run.at(step=step)["jobs"]) for step in range(run.after_step + 1)]
        versions = run.history.frame(
            "SELECT valid_from, * EXCLUDE (change, born, valid_from, valid_to) FROM history.jobs ORDER BY change"
        )

    logged = peer.db.execute("SELECT step, id, part, status, n, x FROM log WHERE NOT gone ORDER BY rowid").fetchall()
    peer.db.close()
    assert found == expected == peered
    assert image(versions) == [(step, *row) for step, row in model.log if len(row) > 2] == logged


@settings(max_examples=some(8))
@given(events=EVENTS.map(in_order), seed=st.integers(0, 2**32))
def test_every_way_of_naming_a_moment_gives_the_same_state(events, seed):
    """By step, by time, by event; and each version's interval says where it stands."""
    with written([(at, kind, {"ops": operations}) for at, kind, operations in events]) as recording:
        run = replay(recording, reconciler(), on_error="undo")
        again = run.again()

        draw = random.Random(seed)
        for step in {0, run.after_step, draw.randrange(run.after_step + 1)}:
            moment = run.at(step=step)
            table = moment["jobs"]
            assert table.equals(again.at(step=step)["jobs"])
            assert table.equals(moment.sql("SELECT * FROM jobs")[list(table.columns)].reset_index(drop=True)) or len(
                table
            )
            if step:
                assert run.at(event=f"e{step}").step == step
                last = max(n for n, event in enumerate(events, 1) if event[0] <= events[step - 1][0])
                assert run.at(after(events[step - 1][0])).step == last
        with pytest.raises(QueryError, match="before this replay's first moment"):
            run.at(after(-10))

    assert run.digest == again.digest
    for frame in ("actions", "violations", "problems", "metrics"):
        assert getattr(run, frame).equals(getattr(again, frame))
