"""Beside an app that comes and goes: what is read is of one moment, and nothing is called damaged that is not."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from clawcut_app import NOW, Told, change, job, make_app

import replaykit as rk
from replaykit.systems import clawcut
from replaykit.systems.clawcut import database as opening
from replaykit.systems.clawcut import files

CRASH = """
import os, sqlite3, sys
app = sqlite3.connect(sys.argv[1], isolation_level=None)
app.execute("PRAGMA wal_autocheckpoint = 0")
for statement in sys.argv[2:]:
    app.execute(statement)
os._exit(9)
"""
FILLED = "UPDATE ai_jobs SET error = 'first', request_json = hex(zeroblob(2000)) WHERE id <= 10"
BACK = (
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "UPDATE ai_jobs SET error = 'second' WHERE id > 100",
    "PRAGMA wal_checkpoint(PASSIVE)",
    "UPDATE ai_jobs SET error = 'second', request_json = hex(zeroblob(2000)) WHERE id <= 100",
)


def crash(app: Path, *statements: str) -> None:
    """Do something to the database in a process that then dies, its write-ahead log left behind."""
    subprocess.run([sys.executable, "-c", CRASH, str(app), *statements], check=False)


def errors(connection: sqlite3.Connection) -> dict[Any, int]:
    """Return how many jobs have which error text."""
    return dict(connection.execute("SELECT error, count(*) FROM ai_jobs GROUP BY error").fetchall())


def test_an_app_that_comes_back_while_a_crash_is_copied_is_read_as_of_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The database of one moment with the log of another would be counts that never were, or "damaged"."""
    app = make_app(tmp_path, [job(id) for id in range(1, 201)])
    crash(app, FILLED)
    copy, back = shutil.copyfile, list(BACK)

    def copyfile(source: Path, target: Path) -> None:
        copy(source, target)
        if Path(source) == app and back:
            crash(app, *back)
            back.clear()

    monkeypatch.setattr(files.shutil, "copyfile", copyfile)

    assert opening.read(app, errors) == {"second": 200}
    assert back == []


def test_a_look_that_an_app_disturbs_is_repeated(tmp_path: Path):
    """An app that opens its database for every request is there and gone within a look."""
    app = make_app(tmp_path, [job(1), job(2)])
    looks: list[int] = []

    def look(connection: sqlite3.Connection) -> list[Any]:
        found = connection.execute("SELECT DISTINCT error FROM ai_jobs").fetchall()
        looks.append(len(looks))
        if len(looks) < 3:
            change(app, f"UPDATE ai_jobs SET error = 'request {len(looks)}'")
        if len(looks) == 2:
            raise TypeError("of a page of another moment")
        return found

    assert opening.read(app, look) == [("request 2",)]
    assert looks == [0, 1, 2]


def test_a_log_that_vanishes_before_it_is_copied_is_no_error_of_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The app came back, and went in good order."""
    app = make_app(tmp_path, [job(1)])
    crash(app, "UPDATE ai_jobs SET error = 'first'")
    copy, gone = shutil.copyfile, []

    def copyfile(source: Path, target: Path) -> None:
        if Path(source) != app and not gone:
            gone.append(source)
            change(app, "UPDATE ai_jobs SET error = 'second'")
        copy(source, target)

    monkeypatch.setattr(files.shutil, "copyfile", copyfile)

    assert opening.read(app, errors) == {"second": 1}
    assert not app.with_name(app.name + "-wal").exists()


def test_a_database_that_changes_all_the_time_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """And not as damaged, whatever the last look came to."""
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.2)
    app = make_app(tmp_path, [job(1)])

    def look(_connection: sqlite3.Connection) -> None:
        change(app, "UPDATE ai_jobs SET error = coalesce(error, '') || 'x'")
        raise sqlite3.DatabaseError("malformed")

    with pytest.raises(rk.OperationError, match="changed while it was read") as caught:
        opening.read(app, look)

    assert caught.value.reason == "changed"
    assert caught.value.__context__ is None


def test_a_mistake_in_a_look_is_not_repeated(tmp_path: Path):
    """Nobody else touched the database: the error is what it is, at once."""
    app, looks = make_app(tmp_path, [job(1)]), []

    def look(_connection: sqlite3.Connection) -> None:
        looks.append(1)
        raise KeyError("mine")

    with pytest.raises(KeyError):
        opening.read(app, look)

    assert looks == [1]


def test_a_damaged_database_is_still_told_as_damaged(tmp_path: Path):
    """For whoever has to mend it."""
    app = make_app(tmp_path, [job(id) for id in range(1, 400)])
    with app.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_000)

    with pytest.raises(rk.OperationError, match="damaged"):
        clawcut.summary(app, now=NOW)


def test_checks_beside_an_app_that_opens_and_closes_all_the_time_come_through(tmp_path: Path):
    """One of ten reads failed so."""
    app = make_app(tmp_path, [job(id) for id in range(1, 13)])
    code = (
        "import sqlite3, sys\n"
        "while True:\n"
        "    app = sqlite3.connect(sys.argv[1], timeout=10)\n"
        "    app.execute(\"INSERT INTO audit_events (kind, created_at) VALUES ('x', '2026-05-12T11:00:00.000Z')\")\n"
        "    app.commit()\n"
        "    app.close()\n"
        "    print('.', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(app)], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            found = [clawcut.check(app, id, Told(), apply=True, now=NOW).outcome for id in range(1, 13)]
        finally:
            writer.kill()

    assert found == ["completed"] * 12
    with closing(sqlite3.connect(app)) as after:
        assert after.execute("PRAGMA integrity_check").fetchone() == ("ok",)
