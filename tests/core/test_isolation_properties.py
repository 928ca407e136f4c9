"""A replay leaves the file's bytes and every table as they were, and the process too, also for hostile reconcilers."""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from building import events
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replaykit.declarations import Action, Table
from replaykit.errors import GuardError, IsolationError, ReconcilerError, StateError
from replaykit.reconciler import Reconciler
from replaykit.replay import replay
from replaykit.snapshot import Snapshot
from replaykit.sources import load

ROWS = [(n, kind, {"id": key, "n": n}) for n, (kind, key) in enumerate(zip("ppphp", "abcaz", strict=True))]


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A saved recording with a snapshot, in a folder of its own."""
    path = tmp_path_factory.mktemp("evidence") / "recording.duckdb"
    snapshot = Snapshot({"jobs": pd.DataFrame({"id": ["s"], "n": [7]})}, at="2026-03-26T05:00Z")
    found = load(
        events(*ROWS),
        time="at",
        kind="what",
        id="id",
        payload="body",
        snapshots=[snapshot],
        keys={"jobs": "id"},
        save=path,
    )
    with found:
        yield found


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def standing(recording):
    """Return everything a replay must leave as it was."""
    tables = recording._fetch(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'recording' ORDER BY ALL"
    )
    return {
        "bytes": hashlib.sha256(recording.path.read_bytes()).hexdigest(),
        "beside": sorted(path.name for path in recording.path.parent.iterdir()),
        "tables": {
            name: recording._fetch(f'SELECT * FROM recording."{s}"."{name}" ORDER BY ALL') for s, name in tables
        },
        "temporary": recording._fetch("SELECT count(*) FROM duckdb_tables() WHERE temporary"),
        "here": sorted(path.name for path in Path().iterdir()),
        "where": Path.cwd(),
        "environment": dict(os.environ),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "collector": (gc.isenabled(), gc.get_freeze_count(), gc.get_threshold()),
        "hooks": (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()),
        "signals": {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)},
        "recursion": sys.getrecursionlimit(),
    }


def reconciler(hostile=None, **options):
    """Return a reconciler that writes in every way it may, and calls `hostile` at the event of kind h."""
    found = Reconciler("hostile", {"jobs": Table("id", n="BIGINT"), "seen": Table("id", id="VARCHAR")})
    found.project("seen", "SELECT step, payload->>'$.id' AS id FROM events")
    found.rule("all", "SELECT id FROM jobs ORDER BY id", key="id")
    found.invariant("none", "SELECT id FROM seen", key="id")

    @found.apply("p", "h")
    def put(state, event):
        state["jobs"].upsert(event.payload)
        state.sql("UPDATE jobs SET n = n + 1")
        if event.kind == "h" and hostile is not None:
            hostile(state)

    @found.act("all")
    def acted(state, action):
        state["jobs"].update(action["id"], n=0)

    return found


@pytest.mark.parametrize("ticks", ["end", "event", "1s"])
@pytest.mark.parametrize("actions", ["collect", "apply"])
def test_a_replay_leaves_everything_as_it_was(recording, here, ticks, actions):
    """File, tables, folder, threads, collector, hooks and signals."""
    before = standing(recording)

    run = replay(recording, reconciler(), ticks=ticks, actions=actions)

    assert len(run.after["jobs"]) == 5
    assert standing(recording) == before


SQL = [
    "COMMIT", "ROLLBACK", "BEGIN", "DETACH recording", "DETACH DATABASE IF EXISTS recording", "ATTACH 'x.duckdb' AS x",
    "COPY jobs TO 'x.csv'", "EXPORT DATABASE 'x'", "CREATE TABLE x (a INT)", "CREATE SEQUENCE s", "DROP TABLE jobs",
    "SET threads = 4", "SET VARIABLE x = 1", "SET TimeZone = 'Asia/Tokyo'", "USE recording", "LOAD icu",
    "INSTALL httpfs",
    "PRAGMA enable_profiling", "CALL pragma_version()", "CHECKPOINT", "VACUUM", "DELETE FROM recording.main.events",
    "INSERT INTO recording.main.events SELECT * FROM recording.main.events", "UPDATE events SET kind = 'x'",
    "WITH x AS (DELETE FROM jobs RETURNING *) SELECT * FROM x", "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'", "SELECT * FROM query('DROP TABLE jobs')", "SELECT nextval('s')", "SELECT now()",
    "SELECT getenv('HOME')", "EXPLAIN ANALYZE DELETE FROM jobs", "PREPARE p AS DELETE FROM jobs", "SELECT 1; COMMIT",
]  # fmt: skip


@pytest.mark.parametrize("statement", SQL)
def test_hostile_sql_is_refused_beside_a_control(recording, here, statement):
    """The statement before and the one behind it work, and the replay goes on where the handler catches the refusal."""
    before, seen = standing(recording), []

    def hostile(state):
        seen.append(len(state.sql("SELECT * FROM jobs")))
        with pytest.raises((GuardError, StateError)):
            state.sql(statement)
        seen.append(len(state.sql("SELECT * FROM jobs")))

    run = replay(recording, reconciler(hostile))

    assert seen == [4, 4]
    assert len(run.after["jobs"]) == 5
    assert standing(recording) == before


PYTHON = {
    "write a file": lambda recording: Path("x").write_text("x"),
    "truncate the recording": lambda recording: open(recording.path, "wb"),  # noqa: SIM115, PTH123
    "append to the recording": lambda recording: open(recording.path, "ab"),  # noqa: SIM115, PTH123
    "remove the recording": lambda recording: os.remove(recording.path),  # noqa: PTH107
    "rename the recording": lambda recording: recording.path.rename("x"),
    "make it read-only": lambda recording: recording.path.chmod(0o400),
    "copy it": lambda recording: shutil.copy(recording.path, "x"),
    "remove the folder": lambda recording: shutil.rmtree(recording.path.parent),
    "change folder": lambda recording: os.chdir("/"),
    "environment": lambda recording: os.environ.update(X="1"),
    "socket": lambda recording: socket.create_connection(("localhost", 9), timeout=1),
    "process": lambda recording: subprocess.Popen(["true"]),
    "shell": lambda recording: os.system("true"),
    "fork": lambda recording: os.fork(),
    "thread": lambda recording: threading.Thread(target=Path("x").touch).start(),
    "SQLite": lambda recording: sqlite3.connect("x.db"),
    "DuckDB on the recording": lambda recording: duckdb.connect(str(recording.path)),
    "DuckDB beside it": lambda recording: duckdb.connect().execute(f"ATTACH '{recording.path}' AS x"),
}


@pytest.mark.parametrize("reach", PYTHON.values(), ids=PYTHON)
@pytest.mark.parametrize("on_error", ["raise", "undo"])
def test_hostile_python_is_refused_and_leaves_nothing(recording, here, reach, on_error):
    """The guard's refusal ends the replay whatever on_error says: it is no error of the data."""
    before = standing(recording)

    with pytest.raises((IsolationError, ReconcilerError)) as caught:
        replay(recording, reconciler(lambda state: reach(recording)))
    if on_error == "undo" and isinstance(caught.value, IsolationError):
        with pytest.raises(IsolationError):
            replay(recording, reconciler(lambda state: reach(recording)), on_error="undo")

    assert standing(recording) == before
    assert len(replay(recording, reconciler()).after["jobs"]) == 5


@pytest.mark.parametrize("place", ["rule", "invariant", "act", "predicate"])
def test_every_place_where_code_runs_is_watched(recording, here, place):
    """Not only handlers."""
    found = reconciler()
    if place == "rule":
        found.rule("r", key=[])(lambda state, now: [Path("x").touch()])
    elif place == "invariant":
        found.invariant("i", key=[])(lambda state, now: [Path("x").touch()])
    elif place == "act":
        found.act("all")(lambda state, action: Path("x").touch())
    else:
        found.rule("r", key=[])(
            lambda state, now: [Action("x") for _ in state["jobs"].find(lambda row: Path("x").touch())]
        )

    for ticks in ("end", "event", "0.2s"):
        with pytest.raises(IsolationError):
            replay(recording, found, ticks=ticks, actions="apply", on_error="keep")

    assert not list(here.iterdir())


STEPS = st.lists(
    st.sampled_from([*[("sql", text) for text in SQL], *[("python", name) for name in PYTHON]]), max_size=6
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=STEPS, second=STEPS, ticks=st.sampled_from(["end", "event", "1s"]), raising=st.booleans())
def test_whatever_a_handler_tries_and_swallows_nothing_is_different(recording, here, first, second, ticks, raising):
    """Hostile steps in any order, each error swallowed, at the end perhaps one that is not."""
    before, swallowed = standing(recording), []

    def hostile(state):
        for kind, step in [*first, *second]:
            try:
                state.sql(step) if kind == "sql" else PYTHON[step](recording)
            except Exception as error:  # noqa: BLE001 - as careless programs do
                swallowed.append(error)
        if raising:
            raise ValueError

    run = replay(recording, reconciler(hostile), ticks=ticks, on_error="undo")

    assert len(swallowed) == len(first) + len(second)
    assert [row["n"] for row in run.after["jobs"].to_dict("records") if row["id"] == "a"] == [4 if raising else 5]
    del swallowed[:], run
    assert standing(recording) == before


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, RecursionError])
def test_a_replay_ended_by_any_exception_leaves_everything_as_it_was(recording, here, error):
    """Also by those that are no errors."""
    before = standing(recording)

    def hostile(state):
        raise error

    with pytest.raises((error, ReconcilerError)):
        replay(recording, reconciler(hostile), ticks="event")

    assert standing(recording) == before


def test_a_replay_inside_a_handler_has_an_instance_of_its_own(recording, here):
    """Transactions don't nest in DuckDB; replays that do must not share one."""
    before, inner = standing(recording), []

    def hostile(state):
        inner.append(replay(recording, reconciler()).after["jobs"])

    run = replay(recording, reconciler(hostile))

    assert run.after["jobs"].equals(inner[0])
    assert standing(recording) == before


def test_results_outlive_the_recording(tmp_path):
    """Rows are held: nothing in a result runs again after the rollback."""
    with load(events(*ROWS), time="at", kind="what", id="id", payload="body", save=tmp_path / "r.duckdb") as recording:
        run = replay(recording, reconciler(), ticks="event")
        before = run.after["jobs"], run.actions.copy(), run.at(step=2)["jobs"], repr(run)

    assert run.after["jobs"].equals(before[0])
    assert run.actions.equals(before[1])
    assert run.at(step=2)["jobs"].equals(before[2])
    assert repr(run) == before[3]
    assert list(run.sql("SELECT count(*) AS c FROM history.jobs")["c"]) > [0]


def test_a_result_can_be_asked_but_not_written(recording):
    """``run.sql`` is a question."""
    run = replay(recording, reconciler())

    for statement in (
        "DELETE FROM jobs",
        "DROP TABLE history.jobs",
        "COPY jobs TO 'x'",
        "SELECT now()",
        "DETACH memory",
    ):
        with pytest.raises(GuardError):
            run.sql(statement)
    assert len(run.sql("SELECT * FROM jobs")) == 5
