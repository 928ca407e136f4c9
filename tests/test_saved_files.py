"""Files that are no saved run, or no whole one, say why; saving never leaves half a one."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import saved
from saved import FRAMES, equal

import replaykit as rk
from replaykit.errors import FormatError, LoadError, QueryError
from replaykit.saving.conditions import check_condition


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Return a live run with values of every type, and the file it was saved in."""
    _, run = saved.wide()
    return run, run.save(tmp_path_factory.mktemp("wide") / "wide.duckdb")


@pytest.fixture
def copied(wide, tmp_path):
    """Return a copy of a saved run, to be damaged."""
    return Path(shutil.copy(wide[1], tmp_path / "copy.duckdb"))


def test_a_file_that_is_not_there():
    """The first thing to go wrong."""
    with pytest.raises(FormatError, match=r"no saved run '/no/such\.duckdb'; run\.save"):
        rk.open_run("/no/such.duckdb")


def test_a_directory(tmp_path):
    """The second."""
    with pytest.raises(FormatError, match="is a directory"):
        rk.open_run(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello" * 3_000, b"PK\x03\x04" + bytes(5_000)])
def test_a_file_that_is_no_database(tmp_path, content):
    """A wrong name, most likely."""
    path = tmp_path / "x.duckdb"
    path.write_bytes(content)

    with pytest.raises(FormatError, match="no DuckDB file"):
        rk.open_run(path)


def test_a_database_of_somebody_else(tmp_path):
    """DuckDB files hold anything."""
    with duckdb.connect(tmp_path / "x.duckdb") as other:
        other.execute("CREATE TABLE meta (a INT)")

    with pytest.raises(FormatError, match="a DuckDB file, but no saved run"):
        rk.open_run(tmp_path / "x.duckdb")


def test_a_recording_and_a_run_name_the_call_that_opens_them(wide, tmp_path):
    """Both are DuckDB files with a table meta."""
    events = [{"at": "2026-01-01T00:00:00Z", "kind": "set"}]
    rk.load(events, time="at", kind="kind", save=tmp_path / "recording.duckdb").close()

    with pytest.raises(FormatError, match=r"rk\.open\(path\)"):
        rk.open_run(tmp_path / "recording.duckdb")
    with pytest.raises(FormatError, match=r"rk\.open_run\(path\)"):
        rk.open(wide[1])


@pytest.mark.parametrize("part", [0.001, 0.2, 0.5, 0.9, 0.999999])
def test_a_file_that_is_cut_off(copied, part):
    """A copy that broke off, or a full disk: found when it is opened, not by the first question."""
    content = copied.read_bytes()
    copied.write_bytes(content[: int(len(content) * part)])

    with pytest.raises(FormatError, match=r"cut off or damaged|no DuckDB file"):
        rk.open_run(copied)


def test_a_file_with_a_turned_bit_opens_not_at_all_or_as_it_was(copied, wide):
    """Blocks carry checksums; what no block uses does not count."""
    content = bytearray(copied.read_bytes())
    refused = 0
    for place in range(20_000, len(content), len(content) // 8):
        turned = bytearray(content)
        turned[place] ^= 0x10
        copied.write_bytes(turned)
        try:
            equal(rk.open_run(copied).actions, wide[0].actions)
        except FormatError:
            refused += 1

    assert refused > 3


def test_a_file_of_a_newer_duckdb(copied):
    """DuckDB's storage version lies in the first block, below a checksum."""
    content = bytearray(copied.read_bytes())
    content[12:20] = struct.pack("<Q", 1_000_000)
    words = struct.unpack("<511Q", content[8:4096])
    checksum = 5381
    for word in words:
        checksum ^= (word * 0xBF58476D1CE4E5B9) % 2**64
    content[:8] = struct.pack("<Q", checksum)
    copied.write_bytes(content)

    with pytest.raises(FormatError, match="newer DuckDB"):
        rk.open_run(copied)


def test_a_file_that_another_process_writes(copied):
    """It could change while it is read."""
    code = f"import duckdb; c = duckdb.connect({str(copied)!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        with pytest.raises(FormatError, match="open for writing elsewhere"):
            rk.open_run(copied)
        writer.communicate(b"\n")

    rk.open_run(copied)


def test_a_file_that_this_process_writes(copied):
    """DuckDB says that in other words."""
    with duckdb.connect(copied), pytest.raises(FormatError, match="open for writing elsewhere"):
        rk.open_run(copied)


def damaged(path, *statements):
    """Run statements on a file."""
    with duckdb.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    return path


def meta(key, value):
    """Return the statement that sets a value of the table meta."""
    return f"UPDATE meta SET value = '{value}' WHERE key = '{key}'"


def turned(key, old, new):
    """Return the statement that replaces a text in a value of the table meta."""
    return f"UPDATE meta SET value = replace(value, '{old}', '{new}') WHERE key = '{key}'"


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        (meta("format_version", "2"), r"format version 2, and this replaykit reads up to 1.*'0\.1\.0'"),
        (meta("format_version", "0"), "format version is 0"),
        (meta("format_version", '"1"'), "format version is '1'"),
        (meta("format_version", "true"), "format version is True"),
        ("DELETE FROM meta", "format version is None"),
        ("UPDATE meta SET value = NULL", "meta can.t be read"),
        ("UPDATE meta SET value = 'garbage'", "meta can.t be read"),
        (f"UPDATE meta SET value = '{'[' * 100_000}'", "meta can.t be read"),
        ("DELETE FROM meta WHERE key = 'plan'", r"meta lacks \['plan'\]"),
        (meta("steps", '{"a": 1}'), r"meta lacks \['steps'\]"),
        (meta("steps", "[1]"), "damaged"),
        (meta("steps", '["a", "b"]'), "damaged"),
        (meta("plan", "{}"), "damaged"),
        (meta("rules", '{"name": 1}'), "damaged"),
        (meta("verdict", "{}"), "damaged"),
        (meta("settings", "{}"), "damaged"),
        (meta("stored", "{}"), "damaged"),
        (meta("frames", "{}"), "no part of a saved run"),
        (meta("looked", '{"count": 1}'), "damaged"),
        ("UPDATE meta SET value = repeat('x', 70000000) WHERE key = 'digest'", "more than any saved run"),
        (turned("settings", "timedelta", "__import__"), "damaged"),
        (turned("settings", "collect", "drop"), "'drop' is none of"),
        (turned("verdict", "approximate", "perfect"), "'perfect' is none of"),
        (turned("plan", "2026-01-01T00:00:30", "9999-12-31T23:59:59"), "is after end"),
        (meta("steps", "[-5, 99]"), "no such steps"),
        (meta("digest", '"<script>"'), "no such steps or digest"),
        (turned("plan", "position > $first", "EXISTS (FROM meta)"), "no replay does"),
        (turned("rules", "FROM Things WHERE flag", "FROM read_text(''/etc/passwd'')"), "may not run"),
        (turned("rules", "DECIMAL(10,2)", "INT); DROP TABLE x; --"), "is no type"),
        (turned("frames", '"Int64"', '"os.system"'), "is no 'os.system'"),
        ("CREATE VIEW v AS SELECT 1", "holds a 'view v'"),
        ("CREATE MACRO now() AS 1", "holds a 'macro now'"),
        ("CREATE SCHEMA more", "holds a 'schema more'"),
        ("CREATE SEQUENCE s", "holds a 'sequence s'"),
        ("CREATE TYPE t AS ENUM ('a')", "holds a 'type t'"),
        ("CREATE TABLE more (a INT)", "'main.more', which is no part"),
        ("CREATE TABLE history.more (a INT)", "'history.more', which is no part"),
        ("DROP TABLE history.Things", "no table 'history.Things'"),
        ("DROP TABLE results.actions", "no table 'results.actions'"),
        ("ALTER TABLE history.Things ALTER big TYPE VARCHAR", "'history.Things' has other columns"),
        ("ALTER TABLE history.Things DROP text", "'history.Things' has other columns"),
        ("ALTER TABLE steps ADD COLUMN more INT", "'main.steps' has other columns"),
        ("ALTER TABLE events DROP kind", "'main.events' has other columns"),
        ("ALTER TABLE results.actions DROP kind", "other rows or columns"),
        ("DELETE FROM results.actions WHERE action = 1", "other rows or columns"),
        ("ALTER TABLE results.actions ALTER tick TYPE VARCHAR USING 'x'", "holds a column that is no 'int64'"),
        ("UPDATE results.actions SET tick = NULL", "holds a column that is no 'int64'"),
        ("UPDATE results.emitted SET fields = 'x'", "no value"),
        ("CREATE OR REPLACE TABLE meta AS SELECT key, value, 1 AS more FROM meta", "other columns than key and value"),
    ],
)  # fmt: skip
def test_a_damaged_or_tampered_file_is_refused(copied, statement, match):
    """It may come from anybody: nothing in it is run, and what is wrong is named."""
    with pytest.raises(FormatError, match=match) as told:
        rk.open_run(damaged(copied, statement))

    assert len(str(told.value)) < 700


def test_a_column_that_computes_is_refused(copied):
    """It would run when it is read."""
    with pytest.raises(FormatError, match="computes a column"):
        rk.open_run(
            damaged(copied, "DROP TABLE events", "CREATE TABLE events (a INT, b INT GENERATED ALWAYS AS (a + 1))")
        )


# Saving.


def test_a_save_that_is_killed_leaves_nothing_at_the_name(tmp_path):
    """A half-written file would look like evidence."""
    code = (
        "import os, saved, replaykit.sources.writing as w\n"
        "w.Draft.publish = lambda draft: (draft.connection.execute('CHECKPOINT'), os._exit(9))\n"
        f"saved.wide()[1].save({str(tmp_path / 'run.duckdb')!r})"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, env=_environment(), check=False)

    assert done.returncode == 9
    assert not (tmp_path / "run.duckdb").exists()


def _environment():
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


def test_a_saved_run_is_replaced_whole_and_nothing_else_is(wide, tmp_path):
    """Neither a recording nor anything else of that name is lost, nor a run by loading a recording."""
    run, _ = wide
    events = [{"at": "2026-01-01T00:00:00Z", "kind": "set"}]
    rk.load(events, time="at", kind="kind", save=tmp_path / "recording.duckdb").close()
    (tmp_path / "notes.txt").write_text("mine")
    path = run.save(tmp_path / "run.duckdb")
    back = rk.open_run(path)

    assert run.save(path) == path
    for name in ("recording.duckdb", "notes.txt", "no/run.duckdb", "."):
        with pytest.raises(LoadError, match="path="):
            run.save(tmp_path / name)
    with pytest.raises(LoadError, match="is no recording"):
        rk.load(events, time="at", kind="kind", save=path)
    assert back._repr_html_() == rk.open_run(path)._repr_html_()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["notes.txt", "recording.duckdb", "run.duckdb"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_closed_recording_is_named_before_anything_is_written(tmp_path):
    """Its digest is part of the file."""
    with rk.load([{"at": "2026-01-01T00:00:00Z", "kind": "noise"}], time="at", kind="kind") as recording:
        run = rk.replay(recording, saved.rules())

    with pytest.raises(QueryError, match="recording is closed"):
        run.save(tmp_path / "run.duckdb")
    assert not list(tmp_path.iterdir())


def test_a_run_without_anything_is_saved(tmp_path):
    """No rule, no table, no action."""
    recording = rk.load([{"at": "2026-01-01T00:00:00Z", "kind": "noise"}], time="at", kind="kind")
    run = rk.replay(recording, rk.Reconciler("none"))

    back = rk.open_run(run.save(tmp_path / "run.duckdb"))

    assert back._repr_html_() == run._repr_html_()
    for name in FRAMES:
        equal(getattr(run, name), getattr(back, name))


def test_a_measure_of_a_type_no_file_keeps_is_named(tmp_path):
    """Better than to keep it as something else."""
    recording = rk.load([{"at": "2026-01-01T00:00:00Z", "kind": "noise"}], time="at", kind="kind")
    rules = rk.Reconciler("none")
    rules.measure(lambda run: pd.DataFrame({"tick": run.metrics["tick"], "x": pd.Categorical(["a"])}))

    with pytest.raises(LoadError, match="Column 'x' is of type 'category'"):
        rk.replay(recording, rules).save(tmp_path / "run.duckdb")
    assert not list(tmp_path.iterdir())


CHOSEN = "position > $first AND occurred_at < $end AND $start IS NOT NULL"
LESS = f"({CHOSEN}) AND NOT (position BETWEEN 1 AND 1)"


@pytest.mark.parametrize(
    "text",
    [
        CHOSEN,
        "position > $first AND occurred_at < $end AND occurred_at >= $start",
        f"({LESS}) AND NOT (position BETWEEN 3 AND 3 OR position BETWEEN 7 AND 8)",
        "NOT (position BETWEEN 1 AND 2)",
        "NOT (false)",
        "event_id NOT IN (SELECT event_id FROM events WHERE (position BETWEEN 1 AND 2))",
    ],
)
def test_a_condition_that_a_plan_has_is_taken(text):
    """Runs that leave out events are saved as well."""
    assert check_condition(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "true", None, 1, "(position > $first) AND NOT (false)", "NOT position BETWEEN 1 AND 2",
        "NOT (position BETWEEN 1 AND 2) OR (true)", "NOT (position BETWEEN 1 AND (SELECT 1))",
        "NOT (position BETWEEN 1 AND 2 OR true)", "event_id NOT IN (SELECT event_id FROM events WHERE (true))",
        "event_id NOT IN (SELECT event_id FROM events WHERE (false)) OR (false)",
        f"(({CHOSEN}) OR (true)) AND NOT (false)", f"{CHOSEN}) AND NOT (false)", f"{LESS} OR (true)",
    ],
)  # fmt: skip
def test_any_other_condition_is_refused(text):
    """It would be run on the recording that is given to the run."""
    with pytest.raises(FormatError, match="no replay does"):
        check_condition(text)
