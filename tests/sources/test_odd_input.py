"""Files and frames nobody prepared: each is loaded, reported, or refused with a clear word."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import replaykit as rk

if TYPE_CHECKING:
    from conftest import Write

DAY = "2026-03-26T08:00:00Z"


@pytest.mark.parametrize(
    "name", ["user", "group", "end", "case:concept:name", 'a "quoted" name', "with space", "select", "ü"]
)
def test_any_column_name_is_usable_by_item_access(name: str) -> None:
    """Names are somebody else's; only `sql.quote` touches them."""
    recording = rk.load(pd.DataFrame({"time": [DAY], name: ["x"]}))

    assert recording.events[name].tolist() == ["x"]


def test_names_that_are_not_text_become_text() -> None:
    """A pivoted frame has numbers and tuples for names."""
    recording = rk.load(pd.DataFrame({"time": [DAY], 1: [7], ("a", "b"): ["x"]}))

    assert recording.events[["1", "a.b"]].values.tolist() == [[7, "x"]]


@pytest.mark.parametrize("kind", ["csv", "frame", "arrow", "parquet"])
def test_a_name_that_occurs_twice_is_an_error_naming_it(kind: str, write: Write, tmp_path: Path) -> None:
    """Neither column could be asked for."""
    table = pa.table([[DAY], ["x"], ["y"]], names=["time", "b", "b"])
    pq.write_table(table, tmp_path / "t.parquet")
    frame = pd.DataFrame([[DAY, "x", "y"]], columns=["time", "b", "b"])
    source = {
        "csv": write("t.csv", "time,b,b\n1,2,3\n"),
        "frame": frame,
        "arrow": table,
        "parquet": tmp_path / "t.parquet",
    }

    with pytest.raises(rk.LoadError, match=r"more than one column called \['b'\]"):
        rk.load(source[kind])


def test_names_that_differ_in_case_only_are_both_kept(write: Write) -> None:
    """DuckDB takes them for one column."""
    recording = rk.load(write("t.csv", f"time,User,user\n{DAY},a,b\n"))

    assert recording.events[["User", "user_"]].values.tolist() == [["a", "b"]]
    assert "column 'user' is stored as 'user_'" in str(recording.report)


def test_a_column_that_is_called_like_one_of_ours_is_renamed_and_said() -> None:
    """`position` and `step` mean something in a recording."""
    recording = rk.load(pd.DataFrame({"time": [DAY], "position": [9], "step": [8]}))

    assert recording.events[["position", "position_", "step_"]].values.tolist() == [[1, 9, 8]]


def test_ids_that_repeat_are_loaded_and_counted() -> None:
    """Ids restart per entity in real data; nothing may assume that they are unique."""
    recording = rk.load(pd.DataFrame({"time": [DAY] * 3, "id": [1, 2, 1]}))

    assert recording.events["event_id"].tolist() == ["1", "2", "1"]
    assert recording.report.counts["events_repeated_ids"] == 1


def test_a_table_without_ids_is_loaded_and_said() -> None:
    """The position tells events apart."""
    recording = rk.load(pd.DataFrame({"time": [DAY]}))

    assert recording.events["event_id"].isna().all()
    assert "no id column" in str(recording.report)


def test_numeric_text_sorts_as_numbers_unless_declared_as_text() -> None:
    """Text "10" comes before "9" as text, which is never what an event number means."""
    frame = pd.DataFrame({"time": [DAY] * 2, "n": ["10", "9"]})

    numbers = rk.load(frame, order="sequence", sequence="n")
    text = rk.load(frame, order="sequence", sequence="n", types={"n": "VARCHAR"})

    assert (numbers.events["n"].tolist(), text.events["n"].tolist()) == (["9", "10"], ["10", "9"])
    assert "ordered as numbers" in str(numbers.report)


def test_many_events_in_one_second_keep_the_declared_order_and_are_counted() -> None:
    """478 events within a second were seen in practice."""
    recording = rk.load(pd.DataFrame({"time": [DAY] * 478, "n": range(478)}))

    assert recording.events["n"].tolist() == list(range(478))
    assert recording.report.counts["events_ties"] == 477
    assert "478 rows within the second 2026-03-26T08:00:00Z" in str(recording.report)


def test_time_that_runs_backwards_in_the_file_is_put_in_order_and_counted() -> None:
    """Ties keep their order in the file."""
    recording = rk.load(
        pd.DataFrame({"time": ["2026-01-02", "2026-01-01", "2026-01-02", "2026-01-01"], "n": [1, 2, 3, 4]})
    )

    assert recording.events["n"].tolist() == [2, 4, 1, 3]
    assert recording.report.counts["events_steps_back_in_source"] == 2


def test_time_that_runs_backwards_in_the_declared_sequence_is_counted() -> None:
    """The sequence is what the caller trusts; that time disagrees must not go unsaid."""
    frame = pd.DataFrame({"time": ["2026-01-02", "2026-01-01"], "run": ["a", "a"], "n": [1, 2]})

    declared = rk.load(frame, order="sequence", sequence=["run", "n"])
    by_time = rk.load(frame, order="time", sequence=["run", "n"])

    assert declared.report.counts["events_steps_back_in_time"] == 1
    assert by_time.report.counts["events_sequence_steps_back"] == 1
    assert by_time.events["n"].tolist() == [2, 1]


def test_absent_and_null_stay_different_in_a_payload(write: Write) -> None:
    """A struct made from all rows would hold null for both."""
    path = write(
        "t.jsonl", f'{{"time":"{DAY}","payload":{{"a":null}}}}\n{{"time":"{DAY}","payload":{{"b":[1,{{"c":2}}]}}}}\n'
    )

    recording = rk.load(path)

    assert recording.events["payload"].tolist() == ['{"a":null}', '{"b":[1,{"c":2}]}']


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_makes_most_columns_of_the_header(delimiter: str, write: Write) -> None:
    """German Excel writes semicolons."""
    recording = rk.load(write("t.csv", f"time{delimiter}n{delimiter}m\n{DAY}{delimiter}1{delimiter}x\n"))

    assert recording.events[["n", "m"]].values.tolist() == [[1, "x"]]


def test_rejects_in_the_middle_of_a_long_csv_name_their_physical_lines(write: Write) -> None:
    """Values with line breaks, blank lines and bad rows before it all move a line."""
    good = f'{DAY},"two\nlines"\n'
    text = "time,n\n" + good * 3000 + "\n" + f"{DAY}\n" + good + "bad,1\n" + good + f"{DAY},1,2\n" + good

    recording = rk.load(write("t.csv", text))

    assert recording.rejects[["place", "reason"]].values.tolist() == [
        [6003, "too few values"],
        [6006, "time is impossible or can't be read"],
        [6009, "too many values"],
    ]


def test_a_payload_of_five_megabytes_is_loaded(write: Write) -> None:
    """The CSV reader of DuckDB stops at two unless told."""
    big = json.dumps({"data": "eA==" * 1_250_000})
    frame = pd.DataFrame({"time": [DAY], "payload": [big]})
    frame.to_csv(write("t.csv", ""), index=False)

    recording = rk.load(write("t.csv", frame.to_csv(index=False)))

    assert recording._fetch("SELECT length(payload) FROM events") == [(len(big),)]


@pytest.mark.parametrize("kind", ["csv", "frame"])
def test_a_payload_that_is_no_json_is_a_reject(kind: str, write: Write) -> None:
    """The other rows are loaded."""
    frame = pd.DataFrame({"time": [DAY] * 3, "payload": ['{"a":1}', "{'a': 1}", None]})
    source = frame if kind == "frame" else write("t.csv", frame.to_csv(index=False))

    recording = rk.load(source, payload="payload")

    assert len(recording) == 2
    assert recording.rejects[["reason", "excerpt"]].values.tolist() == [["payload is no JSON", "{'a': 1}"]]


def test_one_nested_object_per_kind_is_the_payload() -> None:
    """Temporal writes `timerStartedEventAttributes` and the like, one per event."""
    rows = [
        {"time": DAY, "kind": "a", "aAttributes": {"x": None}},
        {"time": DAY, "kind": "b", "bAttributes": {"y": 1}},
        {"time": DAY, "kind": "c"},
        {"time": DAY, "kind": "d", "aAttributes": {}, "bAttributes": {}},
    ]

    recording = rk.load(rows, payload=rk.per_kind("*Attributes"))

    assert recording.events["payload"].tolist()[:2] == ['{"x":null}', '{"y":1}']
    assert recording.events["payload"].isna().tolist() == [False, False, True]
    assert recording.rejects["reason"].tolist() == ["several payload objects"]
    assert "aAttributes" not in recording.events


def test_a_byte_order_mark_and_windows_line_ends_are_left_out_and_said(write: Write) -> None:
    """Excel writes both."""
    recording = rk.load(write("t.csv", b"\xef\xbb\xbftime,n\r\n2026-01-01T00:00:00Z,1\r\n"))

    assert recording.events["n"].tolist() == [1]
    assert "byte order mark" in str(recording.report)
    assert "CRLF" in str(recording.report)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_latin_1_is_read_and_said(name: str, write: Write) -> None:
    """A file that is not UTF-8 is Latin-1 more often than broken."""
    text = f"time,n\n{DAY},café\n" if name == "t.csv" else f'{{"time":"{DAY}","n":"café"}}\n'

    recording = rk.load(write(name, text.encode("latin-1")))

    assert recording.events["n"].tolist() == ["café"]
    assert "Latin-1" in str(recording.report)


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("t.csv", f"time,n,m\n{DAY},1,2\n{DAY},1", 3),
        ("t.csv", f'time,n,m\n{DAY},1,"two\nlines"\n{DAY},1,"cut', 4),
        ("t.jsonl", f'{{"time":"{DAY}"}}\n{{"time":"2026-0', 2),
    ],
)
def test_a_cut_last_line_is_a_reject_at_its_line(name: str, text: str, place: int, write: Write) -> None:
    """A recorder that was killed leaves half a line; the rest is good."""
    recording = rk.load(write(name, text))

    assert len(recording) == 1
    assert recording.rejects[["place", "reason"]].values.tolist() == [[place, "last line is cut off"]]


@pytest.mark.parametrize(
    ("name", "text"), [("t.csv", ""), ("t.csv", "time,kind\n"), ("t.jsonl", ""), ("t.jsonl", "\n\n")]
)
def test_an_empty_file_is_an_empty_recording(name: str, text: str, write: Write) -> None:
    """It says something, too: nothing happened, or nothing was recorded."""
    recording = rk.load(write(name, text))

    assert len(recording) == 0
    assert recording.span is None
    assert recording.kinds.empty


def test_words_for_nothing_stay_text_and_are_said(write: Write) -> None:
    """Whether NULL is nothing or a name is not ours to decide; an empty value is NULL, a quoted one empty text."""
    recording = rk.load(write("t.csv", f'time,a,b,c\n{DAY},NULL,NaN,""\n{DAY},1,inf,\n'))

    assert recording.events["a"].tolist() == ["NULL", "1"]
    assert recording.events["b"].tolist() == ["NaN", "inf"]
    assert recording._fetch("SELECT c FROM events ORDER BY position") == [("",), (None,)]
    assert "column 'a' holds words such as NULL" in str(recording.report)


def test_nan_in_a_frame_is_null_and_infinity_stays() -> None:
    """A frame holds NaN for a missing number."""
    recording = rk.load(pd.DataFrame({"time": [DAY] * 3, "x": [1.5, float("nan"), float("inf")]}))

    assert recording._fetch("SELECT x FROM events ORDER BY position") == [(1.5,), (None,), (float("inf"),)]
    assert "1 NaN, read as NULL" in str(recording.report)


def test_csv_values_are_typed_only_where_nothing_is_lost(write: Write) -> None:
    """Text "007" is a name, "1.50" is a price, 1.5 is a number."""
    text = f"time,code,price,n,x,yes\n{DAY},007,1.50,-7,1.5,true\n{DAY},8,2.00,,2.25,false\n"

    recording = rk.load(write("t.csv", text))

    types = recording.columns("events")
    assert [types[name] for name in ("code", "price", "n", "x", "yes")] == [
        "VARCHAR",
        "VARCHAR",
        "BIGINT",
        "DOUBLE",
        "BOOLEAN",
    ]
    assert recording.events["code"].tolist() == ["007", "8"]


def test_types_override_and_a_value_that_does_not_fit_is_a_reject(write: Write) -> None:
    """The caller knows better, and the row that disagrees is shown."""
    path = write("t.csv", f"time,n\n{DAY},007\n{DAY},x\n")

    recording = rk.load(path, types={"n": "BIGINT"})

    assert recording.events["n"].tolist() == [7]
    assert recording.rejects[["place", "reason", "excerpt"]].values.tolist() == [[3, "n is no BIGINT", "x"]]
    with pytest.raises(rk.LoadError, match="types= names \\['m'\\]"):
        rk.load(path, types={"m": "BIGINT"})


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_a_glob_with_different_columns_is_a_union_with_a_report(kind: str, write: Write, tmp_path: Path) -> None:
    """Files of another version have another column; place and file of a reject are still right."""
    one = pd.DataFrame({"time": ["2026-01-01", "2026-01-03"], "a": [1, 2]})
    two = pd.DataFrame({"time": ["2026-01-02", "bad"], "b": ["x", "y"]})
    for name, frame in (("g1", one), ("g2", two)):
        if kind == "parquet":
            frame.to_parquet(tmp_path / f"{name}.parquet")
        else:
            text = frame.to_csv(index=False) if kind == "csv" else frame.to_json(orient="records", lines=True)
            write(f"{name}.{kind}", text)

    recording = rk.load(str(tmp_path / f"g?.{kind}"))

    assert recording._fetch("SELECT a, b FROM events ORDER BY position") == [(1, None), (None, "x"), (2, None)]
    place = 3 if kind == "csv" else 2
    assert recording.rejects[["source", "place"]].values.tolist() == [[f"events: g2.{kind}", place]]
    assert "column 'b' is in 1 of 2 files only" in str(recording.report)


def test_files_whose_column_types_differ_are_widened_and_said(tmp_path: Path) -> None:
    """Text in one file and numbers in the other is text."""
    pd.DataFrame({"time": [DAY], "n": [1]}).to_parquet(tmp_path / "1.parquet")
    pd.DataFrame({"time": [DAY], "n": ["x"]}).to_parquet(tmp_path / "2.parquet")

    recording = rk.load(str(tmp_path / "*.parquet"))

    assert recording.events["n"].tolist() == ["1", "x"]
    assert "differs in type between files (BIGINT, VARCHAR)" in str(recording.report)


def test_a_missing_column_is_an_error_that_lists_what_is_there(write: Write) -> None:
    """The next thing one needs is the list."""
    path = write("t.csv", "ts,b\n1,2\n")

    with pytest.raises(rk.LoadError, match=r"no column 'when'.*time=.*\['ts', 'b'\]"):
        rk.load(path, time="when")


def test_a_missing_path_is_an_error_that_lists_its_folder(write: Write) -> None:
    """A typing error in a file name is seen at once."""
    path = write("town_events.csv", "time\n")

    with pytest.raises(rk.LoadError, match=r"no file .*town_event.csv.*\['town_events.csv'\]"):
        rk.load(path.with_name("town_event.csv"))


def test_a_directory_is_an_error_that_shows_a_glob(write: Write) -> None:
    """A reader might take all of it; which files was meant is not ours to say."""
    path = write("t.csv", "time\n")

    with pytest.raises(rk.LoadError, match=r"is a directory; it holds \['t.csv'\].*glob"):
        rk.load(path.parent)


@pytest.mark.parametrize("content", [bytes(range(200, 250)) + b"\0" * 50, b"PK\x03\x04\0\0rest", b"PAR1 but no more\0"])
def test_a_binary_file_is_a_clear_error(content: bytes, write: Write) -> None:
    """Not pages of mojibake, and not a traceback of the reader."""
    with pytest.raises(rk.LoadError, match=r"binary|can't be read"):
        rk.load(write("t.bin", content))


def test_a_format_we_read_otherwise_is_named(write: Write) -> None:
    """SQLite needs a table, a recording is opened."""
    with pytest.raises(rk.LoadError, match=r"rk\.sqlite"):
        rk.load(write("town.db", b"SQLite format 3\0" + bytes(100)))
    with pytest.raises(rk.LoadError, match=r"rk\.open"):
        rk.load(write("x.db", bytes(8) + b"DUCK" + bytes(100)))


def test_compressed_files_are_read_and_a_truncated_one_is_said(write: Write) -> None:
    """A copy that broke off in the middle still holds the beginning."""
    lines = "".join(f'{{"time":"{DAY}","n":{n},"x":"{os.urandom(20).hex()}"}}\n' for n in range(5000))
    whole = gzip.compress(lines.encode())

    assert len(rk.load(write("a.jsonl.gz", whole))) == 5000
    assert len(rk.load(write("a.csv.gz", gzip.compress(f"time,n\n{DAY},1\n".encode())))) == 1
    cut = rk.load(write("b.jsonl.gz", whole[: len(whole) // 2]))

    assert 0 < len(cut) < 5000
    assert "gzip file that ends early" in str(cut.report)


def test_containers_in_a_frame_stay_json() -> None:
    """DuckDB would make one struct of all dictionaries."""
    recording = rk.load(pd.DataFrame({"time": [DAY] * 2, "payload": [{"a": None}, {"b": [1]}], "tags": [["x"], None]}))

    assert recording.events["payload"].tolist() == ['{"a": null}', '{"b": [1]}']
    assert recording.columns("events")["tags"] == "JSON"


def test_categories_mixed_objects_and_the_index_are_read() -> None:
    """Any dtype somebody has."""
    frame = pd.DataFrame(
        {
            "time": [DAY] * 2,
            "c": pd.Categorical(["u", None]),
            "m": [1, "x"],
            "p": pd.period_range("2026", periods=2, freq="M"),
        }
    )
    frame.index = pd.Index(["i", "j"], name="who")

    recording = rk.load(frame)

    assert recording._fetch("SELECT who, c, m, p FROM events ORDER BY position") == [
        ("i", "u", "1", "2026-01"),
        ("j", None, "x", "2026-02"),
    ]


def test_nested_parquet_columns_become_json(tmp_path: Path) -> None:
    """Structs, lists and maps are JSON, so that every later part sees scalars."""
    table = pa.table({"time": [DAY], "payload": [{"a": 1, "b": None}], "tags": [["x", "y"]]})
    pq.write_table(table, tmp_path / "t.parquet")

    recording = rk.load(tmp_path / "t.parquet")

    assert recording.events[["payload", "tags"]].values.tolist() == [['{"a":1,"b":null}', '["x","y"]']]


def test_ten_thousand_columns_are_loaded(write: Write) -> None:
    """Wide exports exist."""
    names = [f"c{n}" for n in range(10_000)]
    recording = rk.load(
        write("t.csv", ",".join(["time", *names]) + "\n" + ",".join([DAY, *("1" for _ in names)]) + "\n")
    )

    assert len(recording.columns("events")) == 10_005


def test_numbers_too_long_for_their_type_keep_every_digit(write: Write) -> None:
    """A 64-bit id read as DOUBLE would be another id."""
    path = write("t.jsonl", f'{{"time":"{DAY}","n":12345678901234567890123}}\n{{"time":"{DAY}","n":1}}\n')

    assert rk.load(path).events["n"].tolist() == ["12345678901234567890123", "1"]


def test_a_key_with_odd_characters_is_a_column(write: Write) -> None:
    """JSON pointers escape `/` and `~`; dots and quotes are plain."""
    names = ["a/b", "c~d", "e.f", 'g"h', "", " "]
    path = write("t.jsonl", json.dumps({"time": DAY, **{name: n for n, name in enumerate(names)}}) + "\n")

    recording = rk.load(path)

    assert recording._fetch('SELECT "a/b", "c~d", "e.f", "g""h", "column", " " FROM events') == [(0, 1, 2, 3, 4, 5)]
