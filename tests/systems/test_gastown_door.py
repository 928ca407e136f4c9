"""A town's SQLite file opened as a recording: what is in it, what answers at once, and that nothing is written."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from town_file import TABLES, build, insert, rows_of

import replaykit as rk
from replaykit.recording import Recording
from replaykit.systems.gastown import door, reconciler

AUDIT = {"kind": "event_type", "column": {"status_changed": "status"}, "created": "created_at"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the town of the incident as a file; nobody may change it."""
    return build(tmp_path_factory.mktemp("town") / "town.sqlite")


@pytest.fixture(scope="module")
def town(file: Path) -> Iterator[Recording]:
    """Give that town opened."""
    with door.open(file) as recording:
        yield recording


def changed(file: Path, into: Path, *statements: str) -> Path:
    """Return a copy of a town after some statements."""
    path = into / "town.sqlite"
    path.write_bytes(file.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(";".join(statements))
    return path


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file of a folder with its time and bytes."""
    return {one.name: (one.stat().st_mtime_ns, one.read_bytes()) for one in folder.iterdir()}


@contextmanager
def writing(path: Path, *statements: str) -> Iterator[None]:
    """Run statements in another process, which then keeps its connection and whatever it began."""
    script = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for statement in sys.argv[2:]: connection.execute(statement).fetchall()\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(path), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        try:
            assert held.stdout.readline() == "held\n"
            yield
        finally:
            held.stdin.close()
            held.wait()


def event(number: int, **columns: Any) -> str:
    """Return the statement that inserts an event."""
    row = {"event_id": f"late-{number}", "event_type": "bead_created", "created_at": f"2026-03-26T20:00:0{number}.000Z"}
    row |= columns
    return f"INSERT INTO town_events ({', '.join(row)}) VALUES ({', '.join(map(repr, row.values()))})"


class TestWhatIsInIt:
    """The recording holds the database as it lies."""

    def test_all_events_are_there_in_the_programs_order(self, town: Recording) -> None:
        """By created_at, then as inserted; the order of insertion alone is another."""
        expected = sorted(rows_of("town_events"), key=lambda row: row["created_at"])

        events = town.events

        assert events["event_id"].tolist() == [row["event_id"] for row in expected]
        assert events["kind"].value_counts()["container_status"] == 1052
        assert [json.loads(one) for one in events["payload"]] == [json.loads(row["payload"]) for row in expected]
        assert (town.report.loaded, town.report.rejected) == (1704, 0)

    @pytest.mark.parametrize("table", TABLES)
    def test_every_state_table_is_in_the_last_snapshot_in_its_own_order(self, town: Recording, table: str) -> None:
        """Rules pick rows by order, so that it is state as well."""
        live = town.snapshot(-1)[table].astype(object)

        assert live.where(live.notna(), None).to_dict("records") == rows_of(table)

    def test_the_recording_knows_what_names_a_row(self, town: Recording) -> None:
        """One table has no primary key but a unique index of two columns."""
        assert town.keys["bead_dependencies"] == ("bead_id", "depends_on_bead_id")
        assert town.keys["agent_metadata"] == ("bead_id",)
        assert set(town.state_tables) == set(TABLES)

    def test_the_last_snapshot_stands_at_the_newest_time_written(self, town: Recording) -> None:
        """Heartbeats wrote two minutes after the last event; an earlier moment would be wrong."""
        newest = max(row["last_activity_at"] or "" for row in rows_of("agent_metadata"))

        live = town.snapshot(-1)

        assert live.at.isoformat(timespec="milliseconds") + "Z" == newest == "2026-03-26T19:59:50.078Z"
        assert live.after_position == 1704
        assert live.name == "town.sqlite as it lies"

    def test_the_first_snapshot_is_the_town_before_its_first_row(self, town: Recording) -> None:
        """Something to compare with; the oldest rows are twenty days older than the events."""
        oldest = min(row["created_at"] for table in ("rigs", "beads", "bead_events") for row in rows_of(table))

        born = town.snapshot(0)

        assert born.at == datetime.fromisoformat(oldest[:-1]) - timedelta(milliseconds=1)
        assert born.after_position == 0
        assert [len(born[table]) for table in TABLES] == [0] * 9

    def test_pending_events_are_outside_the_snapshot(self, file: Path, tmp_path: Path) -> None:
        """The last processed event bounds it; a poison event that waits since noon is counted, not hidden."""
        poison = "UPDATE town_events SET processed_at = NULL WHERE event_id = 'rpc-tevt-0700'"
        late = event(2, processed_at="2026-03-26T20:00:03.000Z"), event(1), event(3), event(4)

        with door.open(changed(file, tmp_path, poison, *late)) as town:
            live = town.snapshot(-1)

            assert town.events["event_id"][live.after_position - 1] == "late-2"
            assert len(town) - live.after_position == 2
            assert live.at == datetime(2026, 3, 26, 20, 0, 4)
            assert "1,704 of 1,708 events were processed" in str(town.report)

    def test_events_that_can_not_be_read_are_put_aside_and_bound_nothing(self, file: Path, tmp_path: Path) -> None:
        """The last processed event may be the broken one."""
        broken = event(1, payload="{", processed_at="x"), event(2, created_at="soon", processed_at="x")

        with door.open(changed(file, tmp_path, *broken)) as town:
            assert (len(town), len(town.rejects)) == (1704, 2)
            assert town.snapshot(-1).after_position == 1704

    def test_tables_the_rules_do_not_know_stay_outside(self, file: Path, tmp_path: Path) -> None:
        """A town's file holds settings and tokens, too."""
        path = changed(file, tmp_path, "CREATE TABLE secrets (token TEXT)", "INSERT INTO secrets VALUES ('hunter2xyz')")

        with door.open(path, save=tmp_path / "town.duckdb") as town:
            assert "secrets" not in town.state_tables
            assert "Left out: secrets." in str(town.report)
        assert b"hunter2xyz" not in (tmp_path / "town.duckdb").read_bytes()

    def test_a_town_without_some_state_tables_is_still_a_town(self, tmp_path: Path) -> None:
        """An older version had fewer."""
        path = build(tmp_path / "old.sqlite", only=("rigs", "beads", "agent_metadata", "town_events"))

        with door.open(path) as town:
            assert town.state_tables == ("agent_metadata", "beads", "rigs")
            assert "It has no table bead_dependencies, review_metadata," in str(town.report)

    def test_a_town_without_events_answers_what_state_can(self, tmp_path: Path) -> None:
        """They are deleted after seven days."""
        path = build(tmp_path / "quiet.sqlite", only=TABLES)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TABLE town_events (event_id, event_type, agent_id, bead_id, payload, created_at, processed_at)"
            )

        for fold in (False, True):
            with door.open(path, fold=fold) as town:
                assert (len(town), len(town.snapshots)) == (0, 2)
                assert len(town.rewind("beads", "bead_events", at="2026-03-26T14:00:00Z", **AUDIT)) == 197


class TestWhatAnswersAtOnce:
    """Questions that need no reconciler, each with an answer found another way."""

    def test_unexplained_says_which_rows_no_event_names(self, town: Recording) -> None:
        """An event names a bead that stands in one of its columns or as a value in its payload."""
        named = set()
        for row in rows_of("town_events"):
            named |= {row["event_id"], row["agent_id"], row["bead_id"], *map(str, json.loads(row["payload"]).values())}
        beads = [row["bead_id"] for row in rows_of("beads")]

        found = town.unexplained("beads")

        assert len(found.frame) == len(beads) == 307
        assert set(found.unnamed["key"]) == set(beads) - named
        assert len(found) == 129

    def test_rewind_undoes_the_audit_trail(self, town: Recording) -> None:
        """At two in the afternoon; undone by hand, and held against the checkpoint of that moment."""
        at = "2026-03-26T14:00:00.000Z"
        status = {row["bead_id"]: row["status"] for row in rows_of("beads") if row["created_at"] <= at}
        for entry in sorted(rows_of("bead_events"), key=lambda row: row["created_at"])[::-1]:
            if entry["event_type"] == "status_changed" and entry["created_at"] > at and entry["bead_id"] in status:
                status[entry["bead_id"]] = entry["old_value"]
        recorded = {row["bead_id"]: row["status"] for row in rows_of("beads", checkpoint=6)}

        found = town.rewind("beads", "bead_events", at=at, **AUDIT)

        rewound = dict(zip(found.frame["bead_id"], found.frame["status"], strict=True))
        assert rewound == status
        assert recorded.keys() - rewound.keys() == {"prerpc-bead-0005"}, "an agent deleted since"
        wrong = {one for one in rewound if recorded[one] != rewound[one]}
        assert wrong <= set(found.misses["entity"])

    def test_sql_invariants_are_asked_of_the_live_tables(self, town: Recording) -> None:
        """Invariant 7, and who has not been heard of for 90 s at the moment of the snapshot."""
        agents = rows_of("agent_metadata")
        hookless = [row["bead_id"] for row in agents if row["status"] == "working" and not row["current_hook_bead_id"]]
        silent = [row["bead_id"] for row in agents if (row["last_activity_at"] or "") < "2026-03-26T19:58:20.078Z"]

        idle = town.check(
            "7", "SELECT bead_id FROM agent_metadata WHERE status = 'working' AND current_hook_bead_id IS NULL"
        )
        lost = town.check(
            "lost", "SELECT bead_id FROM agent_metadata WHERE NOT coalesce(last_activity_at::TIMESTAMP, '-infinity') "
            ">= $now::TIMESTAMP - INTERVAL 90 SECONDS",
        )  # fmt: skip

        assert sorted(idle.frame["bead_id"]) == sorted(hookless) == ["prerpc-bead-0001"]
        assert sorted(lost.frame["bead_id"]) == sorted(silent)
        assert lost.frame["opened_at"].unique().tolist() == [pd.Timestamp("2026-03-26T19:59:50.078")]

    def test_episodes_tell_repeated_statuses_once(self, town: Recording) -> None:
        """Statuses of one agent never more than 90 s apart."""
        last: dict[tuple[str, str], datetime] = {}
        count = 0
        for row in sorted(rows_of("town_events"), key=lambda row: row["created_at"]):
            if row["event_type"] == "container_status":
                key, at = (row["agent_id"], row["payload"]), datetime.fromisoformat(row["created_at"])
                count += key not in last or at - last[key] > timedelta(seconds=90)
                last[key] = at

        found = town.episodes("events", key=["kind", "agent_id", "payload"], gap=timedelta(seconds=90))

        assert (found.frame["kind"] == "container_status").sum() == count

    def test_a_story_has_every_event_that_names_the_agent(self, town: Recording) -> None:
        """And where it stands in the live tables."""
        named = [row for row in rows_of("town_events") if "new-bead-0006" in (row["agent_id"], row["bead_id"])]

        frame = town.story("new-bead-0006").frame

        assert (frame["source"] == "events").sum() == len(named) == 33
        assert frame[frame["source"] == "snapshot"]["what"].tolist() == [
            "agent_metadata in snapshot 1",
            "beads in snapshot 1",
        ]

    def test_a_replay_of_events_alone_is_contradicted(self, town: Recording) -> None:
        """Calls and actions wrote most of the state, and the file does not hold them: the verdict says so."""
        run = rk.replay(town, reconciler, on_error="keep")

        assert run.verdict.status == "contradicted"
        assert "against snapshot 1" in run.verdict.sentence


class TestFolding:
    """fold=True takes repeated container statuses out, and says so."""

    def test_the_report_counts_what_was_folded(self, file: Path) -> None:
        """Nobody may take the folded recording for the whole one."""
        with door.open(file, fold=True) as town:
            assert len(town) == 1704 - 448
            assert "448 that repeated the one before were folded into it, from 18 agents" in str(town.report)
            assert town.events["folded"].sum() == 448
            assert town.snapshot(-1).after_position == 1256

    def test_the_snapshot_stays_behind_what_was_folded_last(self, file: Path, tmp_path: Path) -> None:
        """The last processed event may be one that was folded away."""
        agent = {"agent_id": "pre-bead-0004", "event_type": "container_status", "payload": '{"status":"unknown"}'}
        done = {"processed_at": "2026-03-26T20:00:09.000Z"}
        late = event(1, **agent, **done), event(2, **agent, **done), event(3)

        with door.open(changed(file, tmp_path, *late), fold=True) as town:
            assert town.events["event_id"].tolist()[-2:] == ["late-1", "late-3"]
            assert town.events["folded"].tolist()[-2:] == [1, 0]
            assert town.snapshot(-1).after_position == len(town) - 1

    def test_the_counts_stay_when_only_some_columns_do(self, file: Path) -> None:
        """They are no column of the source that somebody could have listed."""
        with door.open(file, fold=True, only=["agent_id"]) as town:
            assert set(town.columns("events")) >= {"agent_id", "folded", "folded_until"}
            assert "bead_id" not in town.columns("events")


class TestMasking:
    """What must stay out stays out, in events and in state."""

    def test_masked_names_agree_everywhere_and_place_the_snapshot(self, file: Path, tmp_path: Path) -> None:
        """Even the id of the event it is after."""
        names = ["event_id", "agent_id", "bead_id", "payload.branch"]
        both = {row["agent_id"] for row in rows_of("town_events")} & {
            row["bead_id"] for row in rows_of("agent_metadata")
        }
        with door.open(file, mask=names, drop=["title", "body"], mask_key="k", save=tmp_path / "t.duckdb") as town:
            agents = set(town.snapshot(-1)["agent_metadata"]["bead_id"])
            heard = set(town.events["agent_id"].dropna())

            assert town.snapshot(-1).after_position == 1704
            assert all(name.startswith("masked-") for name in agents | heard)
            assert len(agents & heard) == len(both) == 24
            assert "title" not in town.columns("beads")
            assert "rpc-tevt" not in str(town.report)
        assert b"rpc-tevt-0001" not in (tmp_path / "t.duckdb").read_bytes()

    def test_the_id_of_events_can_not_be_dropped(self, file: Path) -> None:
        """The snapshot would have no place."""
        with pytest.raises(rk.LoadError, match=r"'event_id', by which the snapshot is placed.*mask it instead"):
            door.open(file, drop=["event_id"])


class TestNothingIsWritten:
    """Evidence stays as it was found, also beside a running town."""

    @pytest.mark.parametrize("wal", [False, True])
    def test_neither_the_file_nor_its_folder_changes(self, tmp_path: Path, wal: bool) -> None:
        """SQLite would put -wal and -shm files beside a database in WAL mode even for a reader."""
        path = build(tmp_path / "town.sqlite", wal=wal)
        before = contents(tmp_path)

        with door.open(path) as town:
            assert len(town) == 1704

        assert contents(tmp_path) == before
        assert list(before) == ["town.sqlite"]

    def test_a_running_town_is_read_as_of_its_last_commit(self, tmp_path: Path) -> None:
        """Its newest rows are only in the log; what another program has not committed is not there."""
        path = build(tmp_path / "town.sqlite", wal=True)
        statements = ["PRAGMA wal_autocheckpoint = 0", event(1), "BEGIN IMMEDIATE", event(2)]

        with writing(path, *statements):
            before = contents(tmp_path)
            with door.open(path) as town:
                ids = town.events["event_id"].tolist()
            after = contents(tmp_path)

        assert ids[-1] == "late-1"
        assert len(ids) == 1705
        assert (before.keys(), before["town.sqlite-wal"]) == (after.keys(), after["town.sqlite-wal"])
        assert before["town.sqlite"] == after["town.sqlite"]

    def test_a_transaction_under_way_is_not_seen(self, tmp_path: Path) -> None:
        """The same without WAL: a journal lies beside the file."""
        path = build(tmp_path / "town.sqlite")

        with writing(path, "BEGIN IMMEDIATE", event(1)):
            before = contents(tmp_path)
            with door.open(path) as town:
                assert len(town) == 1704
            assert contents(tmp_path) == before

    def test_a_locked_town_is_an_error_that_says_so(self, tmp_path: Path) -> None:
        """While pages are written in place there is no state to read."""
        path = build(tmp_path / "town.sqlite", only=("beads", "agent_metadata", "town_events"))

        with (
            writing(path, "BEGIN EXCLUSIVE"),
            pytest.raises(rk.LoadError, match=r"town.sqlite' is locked by another program; close that, or open a copy"),
        ):
            door.open(path)


class TestWhatIsNoTown:
    """Errors that say what is there instead."""

    def test_no_file(self, tmp_path: Path) -> None:
        """Nor is one made, as SQLite would."""
        with pytest.raises(rk.LoadError, match=r"There is no SQLite database .*missing.sqlite"):
            door.open(tmp_path / "missing.sqlite")

        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("content", [b"position,kind\n1,x\n", b"SQLite format 3\0" + bytes(range(256)) * 40])
    def test_no_database(self, tmp_path: Path, content: bytes) -> None:
        """Another file, or one cut off."""
        (tmp_path / "odd.sqlite").write_bytes(content)

        with pytest.raises(rk.LoadError, match=r"odd.sqlite"):
            door.open(tmp_path / "odd.sqlite")

    @pytest.mark.parametrize("missing", ["town_events", "beads", "agent_metadata"])
    def test_no_town(self, tmp_path: Path, missing: str) -> None:
        """A database without what makes a town."""
        names = tuple(name for name in ("beads", "agent_metadata", "town_events") if name != missing)
        path = build(tmp_path / "other.sqlite", only=names) if missing != "beads" else tmp_path / "other.sqlite"
        if missing == "beads":
            with closing(sqlite3.connect(path)) as connection:
                connection.executescript("CREATE TABLE town_events (a); CREATE TABLE agent_metadata (a)")

        with pytest.raises(rk.LoadError, match=f"'other.sqlite' is no town: it has no table '{missing}', only "):
            door.open(path)

    def test_an_empty_file_is_no_town(self, tmp_path: Path) -> None:
        """SQLite takes it for an empty database."""
        (tmp_path / "empty.sqlite").write_bytes(b"")

        with pytest.raises(rk.LoadError, match="no table 'town_events', only"):
            door.open(tmp_path / "empty.sqlite")

    def test_events_of_another_shape(self, file: Path, tmp_path: Path) -> None:
        """The column that is missing is named."""
        path = changed(file, tmp_path, "ALTER TABLE town_events RENAME COLUMN event_type TO kind")

        with pytest.raises(rk.LoadError, match=r"has no column 'event_type'; its columns are \['event_id', 'kind'"):
            door.open(path)

    def test_a_town_nobody_used(self, tmp_path: Path) -> None:
        """No row, no time, nothing to look at."""
        path = build(tmp_path / "new.sqlite", only=())
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(
                "CREATE TABLE beads (bead_id, created_at); CREATE TABLE agent_metadata (bead_id);"
                "CREATE TABLE town_events (event_id, event_type, agent_id, payload, created_at, processed_at)"
            )

        with pytest.raises(rk.LoadError, match="holds no row with a time"):
            door.open(path)


def test_the_file_of_these_tests_is_a_town_whose_references_hold(file: Path) -> None:
    """Otherwise the tests above would show little."""
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with pytest.raises(sqlite3.IntegrityError):
            insert(connection, "beads", rows_of("beads")[:1])
