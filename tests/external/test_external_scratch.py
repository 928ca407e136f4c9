"""A program's SQLite file: every change is read in order with its values, whatever statement made it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest

import replaykit as rk
from replaykit.state import State

SQL = [sys.executable, "-S", str(Path(__file__).parent / "programs" / "sql.py")]


def recorded(*texts: list[str], base: dict[str, Any] | None = None) -> rk.Recording:
    """Return one event for each list of statements."""
    at = pd.date_range("2026-03-26T06:00:01", periods=len(texts), freq="1s")
    payloads = [json.dumps({"sql": one}) for one in texts]
    ids = [f"e{n}" for n in range(len(texts))]
    events = pd.DataFrame({"at": at, "kind": "sql", "id": ids, "payload": payloads})
    snapshots = [rk.Snapshot(base, at="2026-03-26T06:00Z")] if base else []
    keys = {"boxes": "box", "labels": ["box", "label"]} if base else {}
    return rk.load(events=events, time="at", kind="kind", id="id", payload="payload", snapshots=snapshots, keys=keys)


def changes(run: rk.Replay, table: str = "boxes") -> list[tuple[Any, ...]]:
    """Return step, key, name and end of each version, in order of change."""
    return run.history.fetch(
        f"SELECT valid_from, box, {'name' if table == 'boxes' else 'label'}, valid_to "
        f"FROM history.{table} ORDER BY change"
    )


REPLACED = [(1, 1, "a", 2), (2, 1, "b", None)]


@pytest.mark.parametrize("schema", ["ours", "own"])
@pytest.mark.parametrize("triggers", ["plain", "recursive"])
class TestReplace:
    """SQLite deletes what REPLACE replaces without a delete trigger, unless recursive triggers are on."""

    def test_insert_or_replace_is_a_delete_and_an_insert(self, schema, triggers):
        """Columns that are not given fall back to NULL."""
        recording = recorded(
            ["INSERT INTO boxes (box, name, size) VALUES (1, 'a', 2.5)"],
            ["INSERT OR REPLACE INTO boxes (box, name) VALUES (1, 'b')"],
        )

        run = rk.replay(recording, rk.external([*SQL, schema, triggers]))

        assert changes(run) == REPLACED
        assert run.history.fetch("SELECT size FROM history.boxes ORDER BY change") == [(2.5,), (None,)]

    def test_an_update_that_moves_a_key_onto_another_replaces_it(self, schema, triggers):
        """A new key is a delete and an insert."""
        recording = recorded(
            ["INSERT INTO boxes (box, name) VALUES (1, 'a'), (2, 'b')"],
            ["UPDATE OR REPLACE boxes SET box = 2 WHERE box = 1"],
        )

        run = rk.replay(recording, rk.external([*SQL, schema, triggers]))

        assert run.after["boxes"][["box", "name"]].values.tolist() == [[2, "a"]]
        assert len(changes(run)) == 3

    def test_an_upsert_is_an_update(self, schema, triggers):
        """It keeps the row's place and its other columns."""
        recording = recorded(
            ["INSERT INTO boxes (box, name, size) VALUES (1, 'a', 2.5)"],
            ["INSERT INTO boxes (box, name) VALUES (1, 'x') ON CONFLICT (box) DO UPDATE SET name = 'b'"],
            ["INSERT OR IGNORE INTO boxes (box, name) VALUES (1, 'c')"],
        )

        run = rk.replay(recording, rk.external([*SQL, schema, triggers]))

        assert changes(run) == REPLACED
        assert run.after["boxes"]["size"].tolist() == [2.5]


@pytest.mark.parametrize("triggers", ["plain", "recursive"])
def test_a_row_that_another_unique_column_replaces_is_gone(triggers):
    """The program's own schema keeps names unique, too."""
    recording = recorded(
        ["INSERT INTO boxes (box, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')"],
        ["INSERT OR REPLACE INTO boxes (box, name) VALUES (4, 'b')"],
        ["UPDATE OR REPLACE boxes SET name = 'c' WHERE box = 1"],
        ["INSERT OR IGNORE INTO boxes (box, name) VALUES (5, 'c')"],
    )

    run = rk.replay(recording, rk.external([*SQL, "own", triggers]))

    assert run.at(event="e1")["boxes"]["box"].tolist() == [1, 3, 4]
    assert run.after["boxes"][["box", "name"]].values.tolist() == [[1, "c"], [4, "b"]]


def test_rows_that_a_foreign_key_takes_along_are_logged():
    """A cascade fires triggers whatever the program sets; the table has no rowid."""
    recording = recorded(
        ["INSERT INTO boxes (box, name) VALUES (1, 'a')", "INSERT INTO labels VALUES (1, 'x'), (1, 'y')"],
        ["DELETE FROM boxes"],
    )

    run = rk.replay(recording, rk.external([*SQL, "own"]))

    assert [version[3] for version in changes(run, "labels")] == [2, 2]
    assert len(run.after["labels"]) == 0


def test_changes_of_one_event_keep_their_order_across_tables():
    """Also those that are undone again in the same event."""
    recording = recorded(
        [
            "INSERT INTO boxes (box, name) VALUES (1, 'a')",
            "INSERT INTO labels VALUES (1, 'x')",
            "UPDATE boxes SET name = 'b'",
            "DELETE FROM labels",
            "BEGIN",
            "UPDATE boxes SET name = 'never'",
            "ROLLBACK",
            "UPDATE boxes SET name = 'c'",
        ]
    )

    run = rk.replay(recording, rk.external(SQL))

    assert [version[2] for version in changes(run)] == ["a", "b", "c"]
    assert [version[2] for version in changes(run, "labels")] == ["x"]


BASE = pd.DataFrame(
    {
        "box": [2**53 + 1, -(2**63), 3],
        "name": ["ünïcødé ☃ 'q' \"d\" \x00 end", "", None],
        "size": [1e308, float("inf"), None],
        "open": pd.array([True, False, None], dtype="boolean"),
        "data": [b"\x00\xff", b"", None],
        "made": pd.to_datetime(["2026-03-26T06:00:00.123456", "2026-03-26", None], format="ISO8601"),
        "more": ['{"a": [1, 2]}', "[]", None],
    }
)


def test_values_of_every_type_go_there_and_back():
    """A base that came back changed would be a change nobody made."""
    copied = "INSERT INTO boxes SELECT box + 10, name || '2', size, open, data, made, more FROM boxes WHERE box > 0"
    base = {"boxes": BASE, "labels": pd.DataFrame({"box": [3], "label": ["x"]})}
    recording = recorded(["UPDATE boxes SET size = size"], [copied], base=base)

    run = rk.replay(recording, rk.external(SQL), rk.Window("2026-03-26T06:00Z", "2026-03-26T06:01Z"))

    before, after = run.before["boxes"], run.after["boxes"]
    assert after["box"].tolist() == [*BASE["box"], 13, 2**53 + 11]
    assert after.iloc[:3].drop(columns="box").reset_index(drop=True).equals(before.drop(columns="box"))
    for column in ("size", "open", "data", "made", "more"):
        assert after[column].iloc[4] == before[column].iloc[0]


def test_nan_is_refused_since_sqlite_would_make_it_null():
    """It would come back as a missing value."""
    program = rk.external(SQL)
    state = State(program.tables, {})
    state["boxes"].insert(box=1, size=float("nan"))

    with pytest.raises(rk.ExternalError, match="SQLite stores NaN as NULL"), program.session(state):
        pass


@pytest.mark.parametrize("schema", ["ours", "own"])
def test_what_reconcile_wrote_is_taken_back_to_the_row_and_its_place(schema):
    """Rows, values and rowids: a program that reads without ORDER BY sees the same at the next tick."""
    recording = recorded(
        ["INSERT INTO boxes (box, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')"], ["SELECT 1"], ["SELECT 1"]
    )
    wild = [
        "DELETE FROM boxes WHERE box = 1",
        "INSERT OR REPLACE INTO boxes (box, name) VALUES (2, 'z')",
        "INSERT INTO boxes (box, name) VALUES (9, 'new')",
        "UPDATE boxes SET name = 'y' WHERE box = 3",
        "UPDATE boxes SET box = 1 WHERE box = 9",
    ]

    run = rk.replay(recording, rk.external([*SQL, schema, "--", *wild]), ticks="event")

    told = [fields for _, _, fields, _ in run.emitted]
    assert len(told) == 9
    assert told[:3] == told[3:6] == told[6:]
    assert [one["name"] for one in told[:3]] == ["a", "b", "c"]
    assert run.problems["count"].tolist() == [3]
    assert run.after["boxes"]["name"].tolist() == ["a", "b", "c"]


def test_a_schema_that_does_not_hold_what_hello_says_is_refused():
    """Found when the file is made, and not at the first event."""
    for schema, message in {
        "CREATE TABLE boxes (box INTEGER, name, size, open, data, made, more)": "does not keep the key",
        "CREATE TABLE other (box INTEGER)": "without the table 'boxes'",
        "CREATE TABLE boxes (box INTEGER PRIMARY KEY)": "without 'name'",
        "CREATE TABLE boxes (": "left a file that can't be worked with",
    }.items():
        with pytest.raises(rk.ExternalError, match=message):
            rk.replay(recorded(["SELECT 1"]), rk.external([*SQL, f"schema={schema}"]))


def test_somebody_elses_writes_reach_the_file():
    """A handler in Python beside the program writes to the same state."""
    program = rk.external(SQL).copy()

    @program.apply("extra")
    def extra(state, event):
        state["boxes"].insert(box=7, name="extra")
        state["boxes"].update(1, name="other")
        state["boxes"].delete(2)

    recording = rk.load(
        events=pd.DataFrame(
            {
                "at": pd.date_range("2026-03-26T06:00", periods=3, freq="1s"),
                "kind": ["sql", "extra", "sql"],
                "id": ["a", "b", "c"],
                "payload": [
                    '{"sql": ["INSERT INTO boxes (box, name) VALUES (1, \'a\'), (2, \'b\')"]}',
                    "{}",
                    '{"sql": ["UPDATE boxes SET name = name || \'!\'"]}',
                ],
            }
        ),
        time="at", kind="kind", id="id", payload="payload",
    )  # fmt: skip

    run = rk.replay(recording, program)

    assert run.after["boxes"][["box", "name"]].values.tolist() == [[1, "other!"], [7, "extra!"]]


def statement(random: Random) -> str:
    """Return some statement on boxes whose keys and names often collide."""
    box, other, name = random.randint(1, 6), random.randint(1, 6), random.choice(["'a'", "'b'", "'c'", "'d'", "NULL"])
    return random.choice(
        [
            f"INSERT OR REPLACE INTO boxes (box, name) VALUES ({box}, {name}), ({other}, 'e{other}')",
            f"INSERT OR IGNORE INTO boxes (box, name) VALUES ({box}, {name}), ({other}, {name})",
            f"INSERT INTO boxes (box, name) VALUES ({box}, {name}) ON CONFLICT DO UPDATE SET size = box",
            f"UPDATE OR REPLACE boxes SET box = {other} WHERE box = {box}",
            f"UPDATE OR REPLACE boxes SET name = {name} WHERE box IN ({box}, {other})",
            f"UPDATE OR IGNORE boxes SET box = box + 1, size = {box}.5",
            f"DELETE FROM boxes WHERE box = {box}",
            f"INSERT OR REPLACE INTO labels SELECT box, 'x' FROM boxes WHERE box < {box}",
            f"UPDATE labels SET label = 'y' WHERE box = {box}",
        ]
    )


@pytest.mark.parametrize("schema", ["ours", "own"])
@pytest.mark.parametrize("triggers", ["plain", "recursive"])
def test_whatever_statements_do_the_history_ends_where_the_file_does(schema, triggers):
    """The session compares both at the end, and a program that wrote in between finds its rows as they were."""
    random = Random(f"{schema} {triggers}")
    recording = recorded(*([statement(random) for _ in range(random.randint(1, 4))] for _ in range(60)))
    wild = [statement(random) for _ in range(6)]

    run = rk.replay(recording, rk.external([*SQL, schema, triggers, "--", *wild]), ticks="event", on_error="keep")
    calm = rk.replay(recording, rk.external([*SQL, schema, triggers]), ticks="event", on_error="keep")

    assert run.emitted == calm.emitted
    assert changes(run) == changes(calm)
    assert len(changes(run)) > 40
