"""Interrupts: answered within half a second, at any moment, and nothing is different afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest
from samples import some

from replaykit.interrupt import interruptible

HERE = Path(__file__).parent

# Runs in a process of its own: a hundred KeyboardInterrupts are no guest for a test runner.
SCRIPT = """
import _thread, gc, hashlib, json, os, random, signal, sys, threading, time
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, {here!r})
from building import after, loaded

from replaykit.declarations import Action, Table
from replaykit.reconciler import Reconciler
from replaykit.replay import replay
from replaykit.rollback import rolled_back
from replaykit.errors import ReplayKitError

WORK = {work!r}
draw = random.Random(7)
rows = [(n, "put", {{"id": f"j{{n % 50}}", "n": n}}) for n in range({events})]
recording = loaded(*rows, save={path!r})
ENDLESS = "range(300000) a, range(300000) b WHERE (a.range * b.range) % 7 = 3"
LONG = "SELECT count(*) AS id FROM " + ENDLESS + " AND $now IS NOT NULL"
LATE = "SELECT id FROM jobs WHERE $now - seen > INTERVAL 40 SECOND ORDER BY id"

def reconciler():
    found = Reconciler("r", {{"jobs": Table("id", n="BIGINT", seen="TIMESTAMP")}})
    if WORK == "projection":
        found.project("jobs", "SELECT step, 'a' AS id, (SELECT count(*) FROM " + ENDLESS + ") AS n FROM events")
        return found
    @found.apply("put")
    def put(state, event):
        state["jobs"].upsert(event.payload, seen=event.occurred_at)
        if WORK == "mixed" and event.payload["n"] % 7 == 0:
            try:
                state.sql("UPDATE jobs SET n = n + 1 WHERE id = $id", id=event.payload["id"])
            except Exception:
                raise ValueError("a handler that turns one error into another")
    @found.rule("python", key="id")
    def python(state, now):
        for job in state["jobs"].find():
            if now - job["seen"] > timedelta(seconds=30):
                yield Action("late", id=job["id"])
    found.rule("sql", LONG if WORK == "long" else LATE, key="id")
    return found

def standing():
    return {{
        "file": hashlib.sha256(Path({path!r}).read_bytes()).hexdigest(),
        "files": sorted(os.listdir({folder!r})),
        "threads": sorted(thread.name for thread in threading.enumerate() if "Timer" not in thread.name),
        "collector": (gc.isenabled(), gc.get_freeze_count(), gc.get_threshold()),
        "trace": (repr(sys.gettrace()), repr(sys.getprofile())),
        "signals": [repr(signal.getsignal(one)) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)],
        "tables": recording._fetch("SELECT count(*), sum(position) FROM events"),
        "temporary": recording._fetch("SELECT count(*) FROM duckdb_tables() WHERE temporary"),
    }}

def write_a_file():
    probe = Path({folder!r}) / "probe"
    probe.write_text("x"); probe.unlink()

replayed = reconciler()
options = {{"on_error": "undo", "ticks": "end" if WORK in ("long", "projection") else "2s"}}
started = time.perf_counter()
if WORK == "mixed":
    reference = replay(recording, replayed, **options)
full = time.perf_counter() - started if WORK == "mixed" else 0.6
before = standing()
latencies, interrupted, wrong = [], 0, []
for number in range({times}):
    delay = draw.uniform(0, full)
    sent = []
    def send():
        sent.append(time.perf_counter())
        _thread.interrupt_main() if number % 2 else signal.raise_signal(signal.SIGINT)
    timer = threading.Timer(delay, send)
    timer.start()
    try:
        run = replay(recording, replayed, **options)
        done = time.perf_counter()
        while timer.is_alive():
            time.sleep(0.01)
        time.sleep(0.01)
    except KeyboardInterrupt:
        interrupted += 1
        if sent:
            latencies.append(time.perf_counter() - sent[0])
    except BaseException as error:
        wrong.append(repr(error))
    timer.join()
    write_a_file()
    for _ in range(50):  # an interrupt between two lines of the standard library may leave a thread a moment longer
        now = standing()
        if now["threads"] == before["threads"]:
            break
        time.sleep(0.02)
    if now != before:
        wrong.append([number, {{k: (before[k], now[k]) for k in now if now[k] != before[k]}}])
        before = now
if WORK == "mixed":
    run = replay(recording, replayed, **options)
    if not run.actions.equals(reference.actions) or not run.after["jobs"].equals(reference.after["jobs"]):
        wrong.append("another result")
print(json.dumps({{"interrupted": interrupted, "slowest": max(latencies, default=0), "wrong": wrong[:5]}}))
"""


@pytest.mark.parametrize(("work", "times"), [("mixed", some(100)), ("long", 4), ("projection", 3)])
def test_everything_is_as_before_after_interrupts_at_random_moments(work, times, tmp_path):
    """Handlers, state.sql, rules in Python and SQL, a join of many minutes: same file, tables, threads, collector."""
    path = tmp_path / "recording.duckdb"
    script = SCRIPT.format(here=str(HERE), work=work, path=str(path), folder=str(tmp_path), times=times, events=60)

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == []
    assert found["interrupted"] >= times * 0.6
    assert found["slowest"] < 0.5


def test_an_interrupt_while_the_worker_starts_leaves_no_query_behind(monkeypatch):
    """The pool does not know the thread yet, which would ask on, and keep the process from ending."""
    started = []
    start = threading.Thread.start

    def interrupted(thread):
        start(thread)
        if thread.name.startswith("replaykit-sql"):
            started.append(thread)
            raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with duckdb.connect() as connection:
        query = "SELECT count(*) FROM range(300000) a, range(300000) b WHERE (a.range * b.range) % 7 = 3"
        with pytest.raises(KeyboardInterrupt):
            interruptible(connection, lambda: connection.execute(query).fetchall())

        assert [thread.is_alive() for thread in started] == [False]
