"""A kill at any write leaves each job untouched or wholly done with its one event, and the next run does the rest."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from clawcut_app import NOW, Told, audited, job, make_app, rows
from samples import everything

from replaykit.systems import clawcut
from replaykit.systems.clawcut import Answer
from replaykit.systems.clawcut import database as opening

TOLD = {"p2": Answer("running"), "p3": Answer("failed", error="no capacity")}
WRITES = ("BEGIN IMMEDIATE", "UPDATE", "INSERT", "COMMIT")
ENDS = {1: "completed", 2: "processing", 3: "failed"}
# The app's database is in WAL mode; SQLite's own is tried where everything is asked for, and in the last test.
MODES = [True, False] if everything() else [True]
Watch = Callable[[sqlite3.Connection], None]


def three_jobs(folder: Path, wal: bool) -> Path:
    """Return an app with a job that has ended at its provider, one that runs and one that failed."""
    return make_app(folder, [job(1, 60), job(2, 50), job(3, 40)], wal=wal)


@pytest.fixture(autouse=True, scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import here what each of a hundred children would import for itself."""
    batch(three_jobs(tmp_path_factory.mktemp("once"), True))


def batch(app: Path) -> None:
    """Check all three."""
    clawcut.check_batch(app, Told(TOLD), apply=True, now=NOW)


def automatic(app: Path) -> None:
    """Let the pass do it."""
    clawcut.run_pass(app, Told(TOLD), enabled=True, dry_run=False, now=NOW)


def in_a_child(work: Callable[[Path], None], app: Path, watch: Watch | None = None) -> bool:
    """Run in a process of its own, whose connections are watched, and return whether it came to its end."""
    child = os.fork()
    if child == 0:
        try:
            if watch is not None:
                connected = opening._connected

                def watched(way: Any) -> sqlite3.Connection:
                    connection = connected(way)
                    watch(connection)
                    return connection

                opening._connected = watched
            work(app)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child raised"
    return not os.WIFSIGNALED(status)


def killing_before(write: int) -> Watch:
    """Return what kills the process before the statement of that number that writes."""
    count = [0]

    def traced(statement: str) -> None:
        if statement.lstrip().upper().startswith(WRITES):
            count[0] += 1
            if count[0] == write:
                os.kill(os.getpid(), signal.SIGKILL)

    return lambda connection: connection.set_trace_callback(traced)


def killing_after(instructions: int) -> Watch:
    """Return what kills the process after so many instructions of SQLite, in the middle of a statement or not."""
    count = [0]

    def counted() -> None:
        count[0] += 1
        if count[0] == instructions:
            os.kill(os.getpid(), signal.SIGKILL)

    return lambda connection: connection.set_progress_handler(counted, 1)


def check_nothing_is_half(app: Path) -> None:
    """Fail if a job is half written, or has an event that does not say what its row says."""
    with closing(sqlite3.connect(app)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    said = audited(app, "reconcile_checked")
    for found in rows(app):
        events = [event for event in said if event["job_id"] == found["id"]]
        assert len(events) <= 1
        whole = (found["status"], found["updated_at"] == "2026-05-12T12:00:00.000Z")
        if not events or found["id"] == 2:
            assert whole == ("processing", False)
        else:
            assert whole == (ENDS[found["id"]], True)
            assert events[0]["now"] == found["status"]
        assert (found["result_url"] is not None) == (found["status"] == "completed")
        assert (found["error"] is not None) == (found["status"] == "failed")


def finish(app: Path, work: Callable[[Path], None]) -> None:
    """Run once more, and fail unless everything has ended as if nobody had been killed."""
    assert in_a_child(work, app)
    assert {found["id"]: found["status"] for found in rows(app)} == ENDS
    said = [event["job_id"] for event in audited(app, "reconcile_checked")]
    assert (said.count(1), said.count(3)) == (1, 1)
    assert 1 <= said.count(2) <= 2  # it still runs: a batch asks again, a pass waits
    with closing(sqlite3.connect(app)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("wal", MODES)
@pytest.mark.parametrize("work", [batch, automatic])
def test_a_kill_before_any_write_leaves_nothing_half_written(tmp_path: Path, work: Callable[[Path], None], wal: bool):
    """Begin, row, event, commit: wherever it ends, what is there is whole."""
    for write in range(1, 40):
        folder = tmp_path / str(write)
        folder.mkdir()
        app = three_jobs(folder, wal)
        if in_a_child(work, app, killing_before(write)):
            break  # it writes less often than that
        check_nothing_is_half(app)
        finish(app, work)

    assert 11 < write < 39, "three jobs have at least eleven writes: two have four, one three"


def writes_of(work: Callable[[Path], None], folder: Path) -> int:
    """Return how many statements that write a piece of work runs."""
    for write in range(8, 40):
        (folder / f"counted-{write}").mkdir()
        if in_a_child(work, three_jobs(folder / f"counted-{write}", True), killing_before(write)):
            return write - 1
    raise AssertionError("it never ends")


@pytest.mark.parametrize("wal", MODES)
def test_a_kill_in_the_middle_of_a_statement_leaves_nothing_half_written(tmp_path: Path, wal: bool):
    """Statements are many instructions; a few hundred are tried in steps."""
    killed = 0
    for instructions in range(200, 1400, 60):
        folder = tmp_path / str(instructions)
        folder.mkdir()
        app = three_jobs(folder, wal)
        killed += not in_a_child(batch, app, killing_after(instructions))
        check_nothing_is_half(app)
        finish(app, batch)

    assert killed >= 10


def test_a_killed_pass_leaves_the_events_of_its_jobs(tmp_path: Path):
    """The event of the pass itself is the last thing it writes."""
    app = three_jobs(tmp_path, True)

    assert not in_a_child(automatic, app, killing_before(writes_of(automatic, tmp_path)))

    assert [event["job_id"] for event in audited(app, "reconcile_checked")] == [1, 2, 3]
    assert audited(app, "pass_ran") == []


def test_a_second_run_begins_while_what_the_kill_left_is_still_there(tmp_path: Path):
    """Sidecars and a journal without an owner are what the next run finds; nobody repairs them first."""
    last = writes_of(batch, tmp_path)
    for wal in (True, False):
        folder = tmp_path / str(wal)
        folder.mkdir()
        app = three_jobs(folder, wal)
        assert not in_a_child(batch, app, killing_before(last))
        assert len(list(folder.iterdir())) == (3 if wal else 2)
        finish(app, batch)
