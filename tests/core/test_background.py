"""Background tasks: replays that run aside, tell how far they are, and stop soon when told to."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from building import loaded

from replaykit.background import Cancelled, Task, watching
from replaykit.declarations import Action, Table
from replaykit.reconciler import Reconciler
from replaykit.replay import replay
from replaykit.systems import gastown
from replaykit.window import Window

FOLDER = Path(__file__).parents[2] / "sample_data" / "gastown-incident"


def counting(pause=0.0):
    """Return a reconciler that counts, as slowly as asked for."""
    found = Reconciler("slow", {"jobs": Table("id", n="BIGINT")})

    @found.apply("put")
    def put(state, event):
        until = time.perf_counter() + pause
        while time.perf_counter() < until:
            pass
        state["jobs"].upsert(id=event.payload["id"], n=event.payload["n"])

    return found


def rows(number):
    """Return that many events."""
    return [(n, "put", {"id": f"j{n % 7}", "n": n}) for n in range(number)]


def test_a_task_gives_what_the_work_gave_and_counts_inputs():
    """The result of a replay aside is that of a replay."""
    with loaded(*rows(200)) as recording:
        task = Task(lambda: replay(recording, counting()))
        aside = task.result(30)
        straight = replay(recording, counting())

    assert task.done
    assert not task.cancelled
    assert (task.done_inputs, task.total_inputs) == (200, 200)
    assert aside.after["jobs"].equals(straight.after["jobs"])
    assert watching() is None
    assert "done" in repr(task)


def test_an_error_comes_to_whoever_asks_for_the_result():
    """As it was raised."""
    task = Task(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        task.result(10)


def test_waiting_too_long_says_so():
    """And the task goes on."""
    event = threading.Event()
    task = Task(lambda: event.wait(10))
    with pytest.raises(TimeoutError):
        task.result(0.01)
    event.set()
    assert task.result(10) is True


@pytest.mark.parametrize("pause", [0.0, 0.001, 0.3])
def test_a_cancelled_replay_is_over_soon_and_leaves_the_recording_usable(pause):
    """Between inputs, or in the middle of a handler that takes long."""
    with loaded(*rows(3_000)) as recording:
        took = []
        for wait in (0.02, 0.2, 0.35):
            task = Task(lambda: replay(recording, counting(pause)))
            time.sleep(wait)
            began = time.monotonic()
            task.cancel()
            took.append(time.monotonic() - began)
            if pause:
                with pytest.raises(Cancelled):
                    task.result(0)
        after = replay(recording, counting())

    assert max(took) < 5  # measured at 0.2 s; a slow machine may take longer
    assert len(after.after["jobs"]) == 7


def test_a_rule_that_hangs_is_cancelled():
    """At the next line of Python."""
    hung = counting()

    @hung.rule("forever", key="id")
    def forever(state, now):
        while True:
            for job in state["jobs"].find():
                if job["n"] < 0:
                    yield Action("x", id=job["id"])

    with loaded(*rows(5)) as recording:
        task = Task(lambda: replay(recording, hung))
        time.sleep(0.3)
        task.cancel()
        with pytest.raises(Cancelled):
            task.result(0)


def test_a_handler_that_catches_everything_cannot_swallow_a_cancel():
    """A cancel is no Exception."""
    deaf = Reconciler("deaf", {"jobs": Table("id", n="BIGINT")})

    @deaf.apply("put")
    def put(state, event):
        for _ in range(100):
            with suppress(Exception):
                time.sleep(0.01)

    with loaded(*rows(50)) as recording:
        task = Task(lambda: replay(recording, deaf, on_error="undo"))
        time.sleep(0.2)
        task.cancel()
        with pytest.raises(Cancelled):
            task.result(0)


def test_a_long_query_is_interrupted():
    """DuckDB stops in the middle of a join."""
    slow = counting()
    slow.invariant(
        "slow", "SELECT count(*) AS n FROM range(10000000) a, range(100000) b WHERE a.range + b.range < 0", key="n"
    )
    with loaded(*rows(5)) as recording:
        task = Task(lambda: replay(recording, slow))
        time.sleep(0.5)
        began = time.monotonic()
        task.cancel()
        assert time.monotonic() - began < 10
        with pytest.raises(Cancelled):
            task.result(0)


def test_a_retraced_replay_tells_how_far_it_is():
    """Recorded inputs count, not only events."""
    window = Window("2026-03-26T14:00Z", "2026-03-26T14:50Z")
    with gastown.load_trace(FOLDER) as recording:
        rules = gastown.reconciler.without(*gastown.reconciler.invariants)
        task = Task(lambda: replay(recording, rules, window, ticks="recorded", actions="recorded"))
        seen = set()
        while not task.done:
            seen.add(task.done_inputs)
            time.sleep(0.05)
        assert task.total_inputs == 1_517  # of which 714 are events
        assert len(seen) > 2
        assert task.elapsed > timedelta(0).total_seconds()
