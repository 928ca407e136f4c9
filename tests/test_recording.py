"""A recording: what it answers, that it can't be changed, and what it refuses to open."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import pytest

import replaykit as rk

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = "2026-03-26T08:00:0{}Z"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Return the file of a small recording."""
    frame = pd.DataFrame({"time": [DAY.format(n) for n in range(3)], "kind": ["a", "b", "a"], "n": [1, 2, 3]})
    snapshot = rk.Snapshot({"beads": pd.DataFrame({"id": ["x"], "n": [1]})}, at=DAY.format(1))
    rk.load(frame, snapshots=[snapshot], keys={"beads": "id"}, save=tmp_path / "a.duckdb").close()
    return tmp_path / "a.duckdb"


@pytest.fixture
def recording(saved: Path) -> Iterator[rk.Recording]:
    """Return the small recording, open."""
    with rk.open(saved) as opened:
        yield opened


def test_it_describes_itself_in_one_line(recording: rk.Recording) -> None:
    """The repr runs no query."""
    assert repr(recording) == "Recording(3 events, 1 snapshot)"
    assert repr(recording.snapshot(0)) == "RecordedSnapshot(0, 2026-03-26T08:00:01Z, after event 2)"


def test_it_answers_in_frames_ordered_by_a_unique_key(recording: rk.Recording) -> None:
    """Position for events, count and name for kinds."""
    assert recording.events["position"].tolist() == [1, 2, 3]
    assert recording.kinds[["kind", "events"]].values.tolist() == [["a", 2], ["b", 1]]
    assert recording.columns("beads") == {"snapshot": "BIGINT", "row_no": "BIGINT", "id": "VARCHAR", "n": "BIGINT"}


def test_its_span_ends_just_after_the_last_event(recording: rk.Recording) -> None:
    """A window is half open, so the last event must lie inside."""
    assert recording.span == rk.Window("2026-03-26T08:00:00Z", "2026-03-26T08:00:02.000001Z")


def test_sums_of_whole_numbers_stay_whole(recording: rk.Recording) -> None:
    """DuckDB gives HUGEINT, pandas would show 6.171231e+09."""
    frame = recording.sql(
        "SELECT kind, sum(n) AS total FROM events WHERE n > $low GROUP BY kind ORDER BY kind", {"low": 0}
    )

    assert frame["total"].tolist() == [4, 2]
    assert str(frame["total"].dtype) == "Int64"


def test_zoned_times_in_a_query_raise_no_warning(recording: rk.Recording) -> None:
    """The driver calls pandas in a deprecated way for them."""
    frame = recording.sql("SELECT timezone('UTC', occurred_at) AS t FROM events ORDER BY position")

    assert str(frame["t"].dt.tz) in {"UTC", "Etc/UTC"}


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM events", "CREATE TABLE x (a INT)", "SELECT 1; DELETE FROM events", "COPY events TO '/tmp/x.csv'",
        "ATTACH 'x.db'", "DETACH recording", "SELECT * FROM read_csv('/etc/passwd')", "SET memory_limit = '1GB'",
    ],
)  # fmt: skip
def test_queries_that_do_more_than_ask_are_refused(query: str, recording: rk.Recording, saved: Path) -> None:
    """Beside a positive control: the same recording still answers."""
    before = saved.read_bytes()

    with pytest.raises(rk.ReplayKitError):
        recording.sql(query)

    assert len(recording.sql("SELECT * FROM events")) == 3
    assert saved.read_bytes() == before


@pytest.mark.parametrize(
    "query",
    ["DELETE FROM events", "CREATE TABLE recording.main.x (a INT)", "INSERT INTO rejects SELECT * FROM rejects"],
)
def test_even_without_the_guard_the_file_can_not_be_written(query: str, recording: rk.Recording) -> None:
    """The engine enforces it: attached READ_ONLY, configuration locked."""
    with pytest.raises(rk.QueryError, match="read-only"):
        recording._fetch(query)


def test_a_query_that_does_not_run_is_a_query_error(recording: rk.Recording) -> None:
    """With DuckDB's words, which name the candidates."""
    with pytest.raises(rk.QueryError, match="occurred_at"):
        recording.sql("SELECT occured_at FROM events")


@pytest.mark.parametrize("ask", ["columns", "log", "snapshot", "table"])
def test_what_is_not_there_is_an_error_that_lists_what_is(ask: str, recording: rk.Recording) -> None:
    """The next question is always: what is there?"""
    questions = {
        "columns": lambda: recording.columns("bead"),
        "log": lambda: recording.log("actions"),
        "snapshot": lambda: recording.snapshot(7),
        "table": lambda: recording.snapshot(0)["bead"],
    }

    with pytest.raises(rk.QueryError, match=r"beads|logs are \[\]|has 1, numbered from 0"):
        questions[ask]()


def test_several_processes_open_the_same_file(recording: rk.Recording, saved: Path) -> None:
    """A colleague's notebook, a test, and the panel."""
    script = f"import replaykit as rk; print(len(rk.open({str(saved)!r})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    again = rk.open(saved)

    assert done.stdout == "3\n"
    assert len(again.events) == len(recording.events) == 3


def test_a_forgotten_recording_closes_and_removes_its_private_file() -> None:
    """A snapshot of it keeps it alive as long as it is held."""
    held = rk.load([{"time": DAY.format(0)}], snapshots=[rk.Snapshot({"t": [{"a": 1}]}, at=DAY.format(0))]).snapshot(0)
    path = held._recording.path if held._recording else Path()
    gc.collect()
    alive = path.exists()
    values = held["t"]["a"].tolist()
    del held
    gc.collect()

    assert (alive, values, path.exists()) == (True, [1], False)


def test_a_closed_recording_says_so(saved: Path) -> None:
    """Not a traceback of the driver."""
    recording = rk.open(saved)
    recording.close()

    with pytest.raises(rk.QueryError, match="closed"):
        _ = recording.events


def change(path: Path, *statements: str) -> None:
    """Write into the file of a recording, as somebody else might."""
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE VIEW evil AS SELECT * FROM read_csv('/etc/passwd')"],
        ["ALTER TABLE events RENAME TO hidden", "CREATE VIEW events AS SELECT * FROM hidden"],
        ["CREATE MACRO lower(x) AS 'gotcha'"],
        ["CREATE MACRO duckdb_views() AS TABLE SELECT 1"],
        ["CREATE TABLE other (a INT)"],
        ["CREATE SCHEMA private"],
        ["CREATE SEQUENCE s"],
        ["CREATE TYPE mood AS ENUM ('a')"],
        ["ALTER TABLE rejects ADD COLUMN x INT", "DROP TABLE meta"],
        ["ALTER TABLE events DROP COLUMN kind"],
        ["UPDATE meta SET value = '99' WHERE key = 'format_version'"],
        ["UPDATE meta SET value = 'not json' WHERE key = 'report'"],
        ["UPDATE meta SET value = '[]' WHERE key = 'report'"],
        ["DELETE FROM meta"],
        ["CREATE TABLE state.x (snapshot BIGINT, row_no BIGINT, v INT GENERATED ALWAYS AS (row_no + 1))"],
    ],
)  # fmt: skip
def test_a_file_with_anything_foreign_in_it_is_refused(statements: list[str], saved: Path) -> None:
    """Only the catalog is read before it is known to be a recording."""
    change(saved, *statements)

    with pytest.raises(rk.FormatError):
        rk.open(saved)


@pytest.mark.parametrize("content", [None, b"", b"hello", bytes(8) + b"DUCK" + bytes(5000)])
def test_a_file_that_is_no_database_is_a_format_error(content: bytes | None, tmp_path: Path) -> None:
    """Missing, empty, text, or cut."""
    path = tmp_path / "x.duckdb"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(rk.FormatError, match=r"x\.duckdb"):
        rk.open(path)


def test_a_foreign_database_is_a_format_error(tmp_path: Path) -> None:
    """Also an empty one."""
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute("CREATE TABLE t (a INT)")

    with pytest.raises(rk.FormatError):
        rk.open(tmp_path / "x.duckdb")


def test_values_spill_to_a_folder_of_this_user_alone() -> None:
    """What a load masks may spill before it is masked."""
    from replaykit import connection

    with connection.memory() as opened:
        folder = opened.execute("SELECT current_setting('temp_directory')").fetchall()[0][0]

    assert Path(folder).stat().st_mode & 0o777 == 0o700
