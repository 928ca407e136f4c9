"""Roles, order, logs, snapshots and the sum that must come out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import some

import replaykit as rk

DAY = "2026-03-26T08:00:00Z"


def events(number: int = 3) -> pd.DataFrame:
    """Return a small event table, one event a second."""
    at = [f"2026-03-26T08:00:{n:02}Z" for n in range(number)]
    return pd.DataFrame({"time": at, "kind": "k", "id": [f"ev-{n}" for n in range(1, number + 1)], "n": range(number)})


def test_the_only_candidate_is_guessed_and_the_guess_is_shown() -> None:
    """A guess nobody sees is a trap."""
    recording = rk.load(
        pd.DataFrame({"created_at": [DAY], "event_type": ["k"], "event_id": ["e"], "data": ['{"a":1}']})
    )

    assert recording.report.roles == {"time": "created_at", "kind": "event_type", "id": "event_id", "payload": "data"}
    assert "time was guessed to be column 'created_at', the only candidate" in str(recording.report)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"created_at": DAY, "processed_at": DAY}, r"time: \['created_at', 'processed_at'\]. Name one with time="),
        ({"time": DAY, "type": "a", "event": "b"}, r"kind: \['type', 'event'\]. Name one with kind=.*kind=False"),
        ({"time": DAY, "id": "a", "event_id": "b"}, r"id: \['id', 'event_id'\]"),
        ({"time": DAY, "payload": "{}", "data": "{}"}, r"payload: \['payload', 'data'\]"),
    ],
)
def test_two_candidates_are_an_error_that_lists_them(columns: dict[str, str], message: str) -> None:
    """Half of the times a wrong one would be taken."""
    with pytest.raises(rk.LoadError, match=message):
        rk.load(pd.DataFrame([columns]))


def test_a_part_can_be_declared_absent() -> None:
    """`False` is not `None`."""
    recording = rk.load(pd.DataFrame({"time": [DAY], "type": ["a"], "event": ["b"]}), kind=False)

    assert recording.events[["kind", "type", "event"]].values.tolist() == [["event", "a", "b"]]


def test_a_composite_sequence_orders_events_and_its_ties_are_counted() -> None:
    """Ids restart in each run; the pair says where an event belongs."""
    frame = pd.DataFrame({"time": [DAY] * 4, "run": ["b", "a", "a", "a"], "no": [1, 2, 1, 1], "n": [1, 2, 3, 4]})

    recording = rk.load(frame, order="sequence", sequence=["run", "no"])

    assert recording.events["n"].tolist() == [3, 4, 2, 1]
    assert recording.report.counts["events_sequence_ties"] == 1


def test_rows_without_a_sequence_come_last_and_are_said() -> None:
    """NULL has no place, but the row has."""
    frame = pd.DataFrame({"time": [DAY] * 3, "no": [None, 2, 1], "n": [1, 2, 3]})

    recording = rk.load(frame, order="sequence", sequence="no")

    assert recording.events["n"].tolist() == [3, 2, 1]
    assert "1 row without 'no' to order by" in str(recording.report)


@pytest.mark.parametrize(
    "options", [{"order": "sequence"}, {"order": "file"}, {"order": "sequence", "sequence": "nope"}]
)
def test_an_order_that_can_not_be_is_an_error(options: dict[str, str]) -> None:
    """Before anything is read twice."""
    with pytest.raises(rk.LoadError, match=r"order=|nope"):
        rk.load(events(), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "position"),
    [
        ({"at": "2026-03-26T08:00:01Z"}, 2),
        ({"at": "2026-03-26T08:00:01Z", "after": False}, 1),
        ({"at": "2026-03-26T08:00:01Z", "after": "ev-3"}, 3),
        ({"at": "2026-03-26T08:00:01Z", "after": 0}, 0),
        ({"at": "2026-03-26T07:00:00+00:00"}, 0),
        ({}, 3),
    ],
)
def test_after_says_whether_events_at_the_moment_are_inside(options: dict[str, object], position: int) -> None:
    """The moment alone can't: an event may lie exactly on it."""
    snapshot = rk.Snapshot({"t": pd.DataFrame({"a": [1]})}, **options)  # type: ignore[arg-type]

    assert rk.load(events(), snapshots=[snapshot]).snapshot(0).after_position == position


def test_a_snapshot_after_an_id_that_repeats_or_is_not_there_is_an_error() -> None:
    """Ids are not unique; the message says which positions there are."""
    frame = events().assign(id=["a", "b", "a"])

    for after, message in (("a", r"2 events have that id, at positions \[1, 3\]"), ("z", "no event has that id")):
        with pytest.raises(rk.LoadError, match=message):
            rk.load(frame, snapshots=[rk.Snapshot({"t": frame}, at=DAY, after=after)])


def test_snapshots_are_numbered_in_time_order_and_keep_row_order() -> None:
    """Programs depend on insertion order, and nobody hands snapshots in order."""
    late = rk.Snapshot({"t": pd.DataFrame({"a": [3, 1, 2]})}, at="2026-03-26T08:00:02Z", name="late")
    early = rk.Snapshot({"t": pd.DataFrame({"a": [9]}), "u": pd.DataFrame({"x": ["y"]})}, at="2026-03-26T08:00:00Z")

    recording = rk.load(events(), snapshots=[late, early], keys={"t": "a"})

    assert [snapshot.name for snapshot in recording.snapshots] == [None, "late"]
    assert recording.snapshot(-1)["t"]["a"].tolist() == [3, 1, 2]
    assert recording.snapshot(1)["u"].empty
    assert recording.keys == {"t": ("a",)}


def test_state_tables_that_change_between_snapshots_are_widened() -> None:
    """A migration in the middle of an incident adds a column and changes a type."""
    first = rk.Snapshot({"t": pd.DataFrame({"id": [1], "n": [1]})}, at="2026-03-26T08:00:00Z")
    second = rk.Snapshot({"t": pd.DataFrame({"id": [1], "n": ["x"], "new": [1.5]})}, at="2026-03-26T08:00:01Z")

    recording = rk.load(events(), snapshots=[first, second])

    assert recording._fetch("SELECT snapshot, id, n, new FROM state.t ORDER BY snapshot") == [
        (0, 1, "1", None),
        (1, 1, "x", 1.5),
    ]
    assert "column 'n' differs in type between snapshots" in str(recording.report)


def test_one_source_of_several_snapshots_is_split() -> None:
    """Exports often number the snapshots in a column."""
    beads = pd.DataFrame({"no": [0, 1, 1], "row": [0, 1, 0], "bead": ["a", "b", "a"]})
    at = {0: "2026-03-26T08:00:00Z", 1: "2026-03-26T08:00:02Z"}

    recording = rk.load(events(), snapshots=rk.Snapshot.split({"beads": beads}, by="no", order="row", at=at))

    assert [recording.snapshot(n)["beads"]["bead"].tolist() for n in (0, 1)] == [["a"], ["a", "b"]]
    assert list(recording.snapshot(0)["beads"]) == ["bead"]


@pytest.mark.parametrize(
    ("keys", "message"), [({"t": "b"}, r"'t' names \['b'\]; its columns are \['a'\]"), ({"x": "a"}, "no snapshot has")]
)
def test_keys_that_are_not_there_are_an_error(keys: dict[str, str], message: str) -> None:
    """A diff by a key nobody has would come much later."""
    with pytest.raises(rk.LoadError, match=message):
        rk.load(events(), snapshots=[rk.Snapshot({"t": pd.DataFrame({"a": [1]})}, at=DAY)], keys=keys)


def test_a_key_that_repeats_in_a_snapshot_is_said() -> None:
    """Uniqueness is never assumed, but whoever declared the key wants to know."""
    snapshot = rk.Snapshot({"t": pd.DataFrame({"a": [1, 1, 2]})}, at=DAY)

    assert "key a repeats in 1 row" in str(rk.load(events(), snapshots=[snapshot], keys={"t": "a"}).report)


def test_logs_are_kept_in_their_global_order_with_their_parts() -> None:
    """Actions and writes are what the system really did."""
    actions = pd.DataFrame(
        {"clock": [DAY, DAY], "type": ["b", "a"], "action": ['{"x":1}', None], "seq": [5, 4], "ok": [True, False]}
    )
    writes = pd.DataFrame(
        {
            "at": [DAY],
            "source": ["rpc"],
            "t": ["beads"],
            "op": ["update"],
            "k": ['{"id":1}'],
            "v": ['{"s":"x"}'],
            "seq": [3],
        }
    )

    recording = rk.load(
        events().assign(g=[1, 2, 9]), seq="g",
        actions=rk.Log(actions, kind="type", payload="action", seq="seq", time="clock"),
        writes=rk.Log(writes, kind="source", table="t", op="op", key="k", values="v", seq="seq"),
    )  # fmt: skip

    assert recording.logs == ("actions", "writes")
    assert recording.log("actions")[["position", "kind", "global_seq", "ok"]].values.tolist() == [
        [1, "a", 4, False],
        [2, "b", 5, True],
    ]
    assert recording.log("writes").loc[0, ["table_name", "op", "row_key", "new_values"]].tolist() == [
        "beads",
        "update",
        '{"id":1}',
        '{"s":"x"}',
    ]
    assert recording.events["global_seq"].tolist() == [1, 2, 9]


def test_rejects_of_a_log_are_kept_and_counted_with_its_name() -> None:
    """The sum has to come out for each source."""
    recording = rk.load(events(), actions=rk.Log(pd.DataFrame({"time": [DAY, "x"]})))

    assert recording.report.sources["actions"] == {"read": 2, "loaded": 1, "rejected": 1}
    assert recording.rejects[["source", "place"]].values.tolist() == [["actions: actions log", 2]]


def test_strict_raises_instead_of_rejecting(tmp_path: Path) -> None:
    """In a test one would rather know."""
    source = tmp_path / "t.csv"
    source.write_text(f"time\n{DAY}\nx\n")

    with pytest.raises(
        rk.LoadError, match=r"1 row can't be loaded, the first at t.csv, place 3: time is impossible.*'x'"
    ):
        rk.load(source, strict=True, save=tmp_path / "a.duckdb")

    assert sorted(file.name for file in tmp_path.iterdir()) == ["t.csv"]


CELLS = st.sampled_from([DAY, "x", "", "2026-03-26 08:00:01", '{"a":1}', "1,2", '"', "\n", "\r\n", "é", "NULL", '""'])


@settings(max_examples=some(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=8), kind=st.sampled_from(["csv", "raw", "jsonl", "frame"]))
def test_every_row_is_loaded_or_rejected(rows: list[tuple[str, str]], kind: str, tmp_path: Path) -> None:
    """Nothing is lost quietly, whatever the rows hold; raw text is not even well-formed CSV."""
    frame = pd.DataFrame({"time": [DAY, *(time for time, _ in rows)], "b": ["x", *(b for _, b in rows)]})
    source = tmp_path / f"t.{kind}"
    if kind == "csv":
        frame.to_csv(source, index=False)
    elif kind == "jsonl":
        frame.to_json(source, orient="records", lines=True)
    elif kind == "raw":
        text = "".join(f"{time},{b}\n" for time, b in rows)
        source.write_text(f"time,b\n{DAY},x\n{text}", newline="")

    with rk.load(frame if kind == "frame" else source, time="time") as recording:
        report, events, rejects = recording.report, len(recording), len(recording.rejects)

    assert report.read == report.loaded + report.rejected
    assert (report.loaded, report.rejected) == (events, rejects)
    assert kind == "raw" or report.read == len(frame)


def test_errors_quote_at_most_eighty_characters_of_data(tmp_path: Path) -> None:
    """A payload of five megabytes has no place in a traceback."""
    source = tmp_path / "t.csv"
    source.write_text("time\n" + "x" * 500 + "\n")

    recording = rk.load(source)
    with pytest.raises(rk.LoadError) as caught:
        rk.load(source, strict=True)

    assert len(recording.rejects["excerpt"][0]) == 80
    assert "x" * 81 not in str(caught.value)


def test_the_report_survives_saving_and_is_bounded_html(tmp_path: Path) -> None:
    """What was assumed belongs to the evidence; hostile names are shown, not run."""
    rk.load(
        pd.DataFrame({"time": ["<script>", DAY], "<img src=x>": [1, 2], "m": [1, "x"]}), save=tmp_path / "a.duckdb"
    ).close()

    with rk.open(tmp_path / "a.duckdb") as recording:
        html = recording._repr_html_()

    assert recording.report.rejected == 1
    assert "<img" not in html
    assert "<script" not in html


def test_a_million_rows_of_one_kind_and_a_million_ids_load_in_bounded_memory(tmp_path: Path) -> None:
    """The file is read where it lies; nothing of its size is held in Python."""
    script = f"""
        import resource, duckdb, replaykit as rk
        duckdb.sql("COPY (SELECT 'id-' || i AS id, TIMESTAMP '2026-01-01' + to_microseconds(i) AS ts, 'k' AS kind, "
                   "'{{\\"n\\":' || i || '}}' AS payload FROM range(1000000) t(i)) TO '{tmp_path}/e.parquet'")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        recording = rk.load("{tmp_path}/e.parquet")
        print(len(recording), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    number, megabytes = done.stdout.split()

    assert number == "1000000"
    assert int(megabytes) < 500


def test_a_killed_load_leaves_no_file_at_the_target(tmp_path: Path) -> None:
    """Half a recording that opens would be worse than none."""
    target = tmp_path / "a.duckdb"
    script = f"""
        import duckdb, sys, time
        import replaykit as rk
        from replaykit.sources import loading
        def stop(*args):
            print("writing", flush=True)
            time.sleep(60)
        loading.write_rejects = stop
        rk.load([{{"time": "{DAY}"}}], save="{target}")
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    (folder,) = tmp_path.iterdir()
    modes = oct(folder.stat().st_mode & 0o777)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    assert not target.exists()
    assert modes == "0o700"
    process.stdout.close()


def test_a_private_recording_is_removed_at_close_and_at_exit() -> None:
    """Evidence does not pile up in the temporary folder."""
    recording = rk.load(events())
    mode = recording.path.stat().st_mode & 0o777
    recording.close()
    recording.close()
    script = f"import replaykit as rk; r = rk.load([{{'time': '{DAY}'}}]); print(r.path)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)

    assert mode == 0o600
    assert not recording.path.parent.exists()
    assert not Path(done.stdout.strip()).parent.exists()
    assert done.stderr == ""


def test_a_failed_load_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither beside the target nor at its name; what was there stays."""
    rk.load(events(), save=tmp_path / "a.duckdb").close()
    before = (tmp_path / "a.duckdb").read_bytes()

    with pytest.raises(rk.LoadError):
        rk.load(events(), time="nope", save=tmp_path / "a.duckdb")

    assert [file.name for file in tmp_path.iterdir()] == ["a.duckdb"]
    assert (tmp_path / "a.duckdb").read_bytes() == before


def test_saving_over_a_recording_replaces_it_and_over_anything_else_does_not(tmp_path: Path) -> None:
    """A notebook is run again; somebody's notes are not a recording."""
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    first = rk.load(events(2), save=tmp_path / "a.duckdb")
    second = rk.load(events(3), save=tmp_path / "a.duckdb")

    assert (len(first.events), len(second.events)) == (2, 3)
    for path in (notes, tmp_path, tmp_path / "nowhere" / "a.duckdb"):
        with pytest.raises(rk.LoadError, match="save="):
            rk.load(events(), save=path)


def test_loading_is_deterministic(tmp_path: Path) -> None:
    """The same sources give the same rows in the same places, with any number of threads."""
    frame = pd.DataFrame({"time": [f"2026-03-26T08:00:{n * 7 % 60:02}Z" for n in range(5000)], "n": range(5000)})
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=500)

    first, second = (rk.load(tmp_path / "t.parquet").events for _ in range(2))

    pd.testing.assert_frame_equal(first, second)
    assert first["n"].tolist() == frame.sort_values(["time", "n"])["n"].tolist()


def test_an_interrupted_load_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle is an ordinary way to end a load."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("replaykit.sources.loading.write_rejects", interrupt)

    with pytest.raises(KeyboardInterrupt):
        rk.load(events(), save=tmp_path / "a.duckdb")

    assert list(tmp_path.iterdir()) == []
