"""A program that crashes, hangs, prints or forks: a clear error that names the request, and nothing is left behind."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

import replaykit as rk

BAD = Path(__file__).parent / "programs" / "bad.py"


@pytest.fixture(scope="module")
def recording() -> rk.Recording:
    """Return one event, and a row to begin with."""
    events = pd.DataFrame(
        {"at": [pd.Timestamp("2026-03-26T06:00:05")], "kind": ["go"], "id": ["e1"], "payload": ["{}"]}
    )
    base = rk.Snapshot({"t": pd.DataFrame({"k": ["there"], "n": [1]})}, at="2026-03-26T06:00Z")
    return rk.load(events=events, time="at", kind="kind", id="id", payload="payload", snapshots=[base], keys={"t": "k"})


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what tells which processes a program started, and check at the end that none of them is left."""
    notes = tmp_path / "pids"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("TMPDIR", str(scratch))

    yield notes

    alive = [pid for pid in map(int, notes.read_text().split()) if _alive(pid)]
    assert alive == []
    assert list(scratch.iterdir()) == []


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def bad(notes: Path, how: str, where: str = "apply", **options: Any) -> rk.Reconciler:
    """Return the program that misbehaves in this way."""
    options = {"state": "json", "timeout": 10.0, **options}
    return rk.external([sys.executable, "-S", str(BAD), how, where], env={"NOTES": str(notes)}, **options)


def replayed(recording: rk.Recording, reconciler: rk.Reconciler, **options: Any) -> rk.Replay:
    """Replay five seconds before and after the event."""
    window = rk.Window("2026-03-26T06:00Z", "2026-03-26T06:00:10Z")
    return rk.replay(recording, reconciler, window, ticks="5s", **options)


BREAKS = {
    "crash": r"bad\.py crash a\S* ended with exit code 3, at request 5, apply of event 'e1' \(go\) at "
    r"2026-03-26T06:00:05Z.* Its stderr ended: before the end",
    "killed": "ended by signal 9, at request 5, apply of event 'e1'",
    "half": r"ended with exit code 0 in the middle of a line \('{\"id\":'\)",
    "garbage": "wrote 'Traceback: this is a log line', which is no JSON, at request 5, apply",
    "number": "wrote '42', which is no JSON object",
    "other_id": "answered with id 12; the request had id 5",
    "flood_and_crash": "exit code 4.*log line 19990 .*log line 19999",
    "shape": "does not fit the schema: reply.changes",
    "unknown table": "no state table 'u'",
    "unknown column": "no column 'm'",
    "unfit value": "Column 'n' is BIGINT and can't hold 'many'",
    "twice": "already has a row 'there'",
    "closes_stdin": "at request 6, reconcile at 2026-03-26T06:00:05Z",
}


@pytest.mark.parametrize("how", BREAKS)
def test_what_breaks_the_protocol_is_an_error_that_names_the_request(recording, left, how):
    """Someone who writes such a program sees this message, and nothing else of it."""
    with pytest.raises(rk.ExternalError, match=f"(?s)^Program .*{BREAKS[how]}") as caught:
        replayed(recording, bad(left, how, timeout=1.0 if how == "closes_stdin" else 10.0))

    assert caught.value.request is not None
    assert caught.value.step == 1


@pytest.mark.parametrize(
    ("how", "message"),
    {
        "open transaction": "still held a transaction or a lock on its file after its reply",
        "drop": "changed the schema of its file",
        "alter": "changed the schema of its file",
        "no triggers": "changed the schema of its file",
        "text for a number": "wrote what its tables can't hold: Column 'n' is BIGINT and can't hold 'many'",
    }.items(),
)
def test_what_a_program_may_not_do_to_its_file_is_an_error(recording, left, how, message):
    """A change that is not committed would be missing from the history, and nobody would know."""
    with pytest.raises(rk.ExternalError, match=f"{message}.*at request 5, apply of event 'e1'"):
        replayed(recording, bad(left, how, state="sqlite"))


def test_no_on_error_goes_on_without_the_program(recording, left):
    """There is nobody left to hand the next event to."""
    with pytest.raises(rk.ExternalError, match="exit code 3"):
        replayed(recording, bad(left, "crash"), on_error="keep")


@pytest.mark.parametrize("where", ["reconcile", "check"])
def test_a_rule_or_invariant_hello_does_not_declare_is_refused(recording, left, where):
    """Dropping its actions would hide them."""
    with pytest.raises(rk.ExternalError, match=r"named the .* 'nobody', which its hello does not declare"):
        replayed(recording, bad(left, "unknown_rule", where))


def test_a_program_that_hangs_is_ended_after_the_timeout(recording, left):
    """Without one a notebook would wait for ever."""
    began = time.monotonic()

    with pytest.raises(
        rk.ExternalError,
        match=r"said nothing for 0.5 s \(does it flush its output after every line\?\), at request 5, apply",
    ):
        replayed(recording, bad(left, "hang", timeout=0.5))

    assert time.monotonic() - began < 5


def test_a_line_without_end_is_not_read_for_ever(recording, left):
    """Memory is not the program's to fill."""
    reconciler = bad(left, "endless")
    object.__setattr__(reconciler.program, "longest", 1_000_000)

    with pytest.raises(rk.ExternalError, match="wrote a line of more than 1,000,000 bytes"):
        replayed(recording, reconciler)


def test_what_it_writes_without_being_asked_is_found_at_the_next_request(recording, left):
    """A stray print would otherwise be taken for the next reply."""
    with pytest.raises(rk.ExternalError, match=r"wrote 'one more thing\\n' .*without being asked"):
        replayed(recording, bad(left, "unasked"))


def test_a_flood_of_stderr_does_not_block_it(recording, left):
    """A program that logs much is not broken."""
    run = replayed(recording, bad(left, "flood"))

    assert run.plan.events == 1


@pytest.mark.skipif(sys.platform != "linux", reason="what leaves its process group is found on Linux only")
@pytest.mark.parametrize("how", ["forks", "forks_and_crashes"])
def test_children_of_the_program_end_with_it(recording, left, how):
    """Also one that made a session of its own."""
    if how == "forks":
        replayed(recording, bad(left, how))
    else:
        with pytest.raises(rk.ExternalError, match="exit code 5"):
            replayed(recording, bad(left, how))

    assert len(left.read_text().split()) >= 3


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("crash", "exit code 3"),
        ("other_protocol", "speaks protocol 2; this replaykit speaks 1"),
        ("garbage", "no JSON"),
    ],
)
def test_hello_fails_where_the_program_is_named(left, how, message):
    """Not later, in the middle of a replay."""
    with pytest.raises(rk.ExternalError, match=f"{message}.*at request 1, hello"):
        bad(left, how, "hello")


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        (["/no/such/program"], {}, "can't be started"),
        ("node town.mjs", {}, "expected a command and its arguments"),
        ([sys.executable, str(BAD), "crash"], {"state": "xml"}, "expected one of"),
        ([sys.executable, str(BAD), "crash"], {"timeout": 0}, "more than 0"),
    ],
)
def test_a_wrong_call_says_what_was_expected(command, options, message):
    """Nothing is started for it."""
    with pytest.raises(rk.ReconcilerError, match=message):
        rk.external(command, **options)


@pytest.fixture
def interrupts() -> Any:
    """Listen to interrupts also where the tests run in the background, which ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_ends_the_wait_and_the_program(recording, left):
    """Whoever waits for a program that hangs presses Ctrl-C."""
    reconciler = bad(left, "hang", timeout=30.0)
    timer = threading.Timer(0.7, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()

    with pytest.raises(KeyboardInterrupt):
        replayed(recording, reconciler)

    assert time.monotonic() - began < 4


def test_a_cancelled_task_ends_the_program(recording, left):
    """The explorer replays in a thread, and has a button to cancel it."""
    from replaykit.background import Cancelled, Task

    reconciler = bad(left, "hang", timeout=30.0)
    task = Task(lambda: replayed(recording, reconciler))
    time.sleep(0.7)
    task.cancel()

    with pytest.raises(Cancelled):
        task.result(5)


def test_what_it_writes_in_reconcile_is_taken_back_and_counted(recording, left):
    """A rule that writes would make every later tick another one."""
    run = replayed(recording, bad(left, "writes", "reconcile", state="sqlite"))

    assert list(run.after["t"]["k"]) == ["there"]
    assert run.problems[["problem", "count"]].values.tolist() == [["wrote in reconcile, undone", 2]]
    assert run.verdict.status == "approximate"


def test_it_is_a_value_that_can_be_sent_to_another_process(recording, left):
    """Comparing recordings in parallel sends reconcilers about."""
    reconciler = bad(left, "flood", "nothing")
    twin = pickle.loads(pickle.dumps(reconciler))

    assert twin.digest() == reconciler.digest()
    assert replayed(recording, twin).digest == replayed(recording, reconciler.copy()).digest
