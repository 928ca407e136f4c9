"""The guard around Python handlers: every way out is tried, old ones too, beside something that works."""

# ruff: noqa: PTH101, PTH102, PTH103, PTH104, PTH105, PTH106, PTH107, PTH123, PTH208, PTH211, SIM115
from __future__ import annotations

import importlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from replaykit.audit import guarded, unguarded
from replaykit.errors import IsolationError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of its own with a file in it."""
    monkeypatch.chdir(tmp_path)
    Path("kept.txt").write_text("evidence")
    return tmp_path


REACHES = {
    "open for writing": lambda: open("new.txt", "w"),
    "open for appending": lambda: open("kept.txt", "a"),
    "open for update": lambda: open("kept.txt", "r+b"),
    "open exclusively": lambda: open("new.txt", "x"),
    "os.open": lambda: os.open("new.txt", os.O_CREAT | os.O_WRONLY),
    "Path.write_text": lambda: Path("new.txt").write_text("x"),
    "Path.touch": lambda: Path("new.txt").touch(),
    "os.remove": lambda: os.remove("kept.txt"),
    "Path.unlink": lambda: Path("kept.txt").unlink(),
    "os.rename": lambda: os.rename("kept.txt", "moved.txt"),
    "os.replace": lambda: os.replace("kept.txt", "moved.txt"),
    "os.truncate": lambda: os.truncate("kept.txt", 0),
    "os.chmod": lambda: os.chmod("kept.txt", 0),
    "os.utime": lambda: os.utime("kept.txt"),
    "os.mkdir": lambda: os.mkdir("folder"),
    "os.makedirs": lambda: os.makedirs("a/b"),
    "os.rmdir": lambda: os.rmdir("folder"),
    "os.link": lambda: os.link("kept.txt", "hard.txt"),
    "os.symlink": lambda: os.symlink("kept.txt", "soft.txt"),
    "os.chdir": lambda: os.chdir("/"),
    "os.environ": lambda: os.environ.__setitem__("REPLAYKIT_TEST", "1"),
    "shutil.copy": lambda: shutil.copy("kept.txt", "copy.txt"),
    "shutil.move": lambda: shutil.move("kept.txt", "moved.txt"),
    "shutil.rmtree": lambda: shutil.rmtree("."),
    "tempfile": tempfile.mkstemp,
    "frame to CSV": lambda: pd.DataFrame({"a": [1]}).to_csv("frame.csv"),
    "frame to pickle": lambda: pd.DataFrame({"a": [1]}).to_pickle("frame.pkl"),
    "SQLite": lambda: sqlite3.connect("new.db"),
    "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "name lookup": lambda: socket.getaddrinfo("localhost", 80),
    "subprocess": lambda: subprocess.run(["true"], check=False),
    "os.system": lambda: os.system("true"),
    "os.popen": lambda: os.popen("true"),
    "os.fork": os.fork,
    "os.posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "os.kill": lambda: os.kill(os.getpid(), signal.SIGCONT),
    "thread": lambda: threading.Thread(target=Path("new.txt").touch).start(),
    "thread pool": lambda: ThreadPoolExecutor(1).submit(Path("new.txt").touch),
    "timer": lambda: threading.Timer(0, Path("new.txt").touch).start(),
}


@pytest.mark.parametrize("reach", REACHES.values(), ids=REACHES)
def test_reaching_outside_is_refused_and_leaves_nothing(reach, here):
    """A replay must leave nothing behind, and say what to do instead."""
    with guarded(), pytest.raises(IsolationError, match=r"tried to reach outside .* yield an rk\.Action"):
        reach()

    assert [path.name for path in here.iterdir()] == ["kept.txt"]
    assert (here / "kept.txt").read_text() == "evidence"


CONTROLS = {
    "read a file": lambda: Path("kept.txt").read_text(),
    "read bytes": lambda: Path("kept.txt").read_bytes(),
    "list a folder": lambda: os.listdir("."),
    "os.devnull": lambda: open(os.devnull, "w").close(),
    "print": lambda: print("seen", end=""),
    "SQLite in memory": lambda: sqlite3.connect(":memory:").close(),
    "frame": lambda: pd.DataFrame({"a": [1]}).to_csv(),
    "environment": lambda: os.environ.get("HOME"),
}


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_reading_and_computing_go_on_as_usual(control, here):
    """A guard that refused these would be switched off."""
    with guarded():
        control()


def test_everything_works_again_behind_the_block(here):
    """The hook stays for the life of the process and only looks at a flag."""
    with guarded(), pytest.raises(IsolationError):
        Path("new.txt").touch()

    Path("new.txt").touch()
    threading.Thread(target=Path("other.txt").touch).start()
    assert subprocess.run(["true"], check=False).returncode == 0


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_guard_ends_with_its_block_also_when_that_raises(here, error):
    """Otherwise a kernel could not save its notebook after an interrupted replay."""
    with pytest.raises(error), guarded(), guarded():
        raise error

    Path("new.txt").touch()


def test_replaykits_own_work_inside_passes(here):
    """The engine's spill files and worker are not the handler's."""
    with guarded():
        with unguarded():
            Path("new.txt").touch()
        with pytest.raises(IsolationError):
            Path("newer.txt").touch()


def test_other_threads_are_not_watched(here):
    """A kernel saves its history from a thread of its own, in the middle of a replay."""
    go, done = threading.Event(), threading.Event()

    def save():
        go.wait(5)
        Path("history.txt").write_text("saved")
        done.set()

    threading.Thread(target=save).start()
    with guarded():
        go.set()
        assert done.wait(5)

    assert Path("history.txt").read_text() == "saved"


def test_an_import_inside_a_handler_may_write_its_bytecode(here, monkeypatch):
    """The first import of a module creates a folder, a file and a rename, none of them the handler's doing."""
    Path("fresh_module.py").write_text("VALUE = 7")
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)

    with guarded():
        assert importlib.import_module("fresh_module").VALUE == 7

    assert list(here.glob("__pycache__/*.pyc"))
    del sys.modules["fresh_module"]
