"""What must not enter the file does not, in any form."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pandas as pd
import pytest

import replaykit as rk

SECRET = "s3cr3t-token-of-alice"
DAY = "2026-03-26T08:00:00Z"


def rows() -> list[dict[str, object]]:
    """Return events in which the secret is everywhere one may forget it."""
    return [
        {"time": DAY, "kind": "login", "user": "alice", "token": SECRET,
         "payload": {"token": SECRET, "deep": {"token": SECRET, "n": 1.5}, "list": [{"token": SECRET}, {"token": "x"}],
                     "ok": None}},
        {"time": DAY, "kind": "login", "user": "bob", "token": None, "payload": {"n": 12345678901234567890123}},
    ]  # fmt: skip


def saved(path: Path, **options: object) -> tuple[rk.Recording, bytes]:
    """Load, and return the recording and the bytes of its file."""
    recording = rk.load(rows(), save=path, **options)  # type: ignore[arg-type]
    return recording, path.read_bytes()


EVERYWHERE = ["token", "payload.token", "payload.deep.token", "payload.list.token"]


@pytest.mark.parametrize("option", ["drop", "mask"])
def test_a_secret_that_is_dropped_or_masked_is_nowhere_in_the_file(option: str, tmp_path: Path) -> None:
    """Columns, nested keys and elements of lists; freed blocks of the file hold nothing either."""
    recording, content = saved(tmp_path / "a.duckdb", **{option: EVERYWHERE})

    assert SECRET.encode() not in content
    assert "alice" in recording.events["user"].tolist()
    assert '"ok":' in recording.events["payload"][0]


def test_only_keeps_nothing_but_what_is_listed_and_the_parts(tmp_path: Path) -> None:
    """An allow-list is the only list one can trust for columns that come later."""
    recording, content = saved(tmp_path / "a.duckdb", only=["user", "payload.deep.n"])

    assert list(recording.columns("events")) == ["position", "occurred_at", "kind", "event_id", "payload", "user"]
    assert recording.events["payload"].tolist() == ['{"deep": {"n": 1.5}}', "{}"]
    assert SECRET.encode() not in content


def test_a_mask_is_a_keyed_hash_that_joins_columns_and_paths() -> None:
    """The same value has the same hash in a column, in a payload, in a snapshot and in a log."""
    users = pd.DataFrame({"token": [SECRET], "name": ["alice"]})
    log = rk.Log(pd.DataFrame({"time": [DAY], "token": [SECRET]}))

    recording = rk.load(
        rows(), mask=["token", "payload.token"], mask_key="k", drop=["payload.deep", "payload.list"],
        snapshots=[rk.Snapshot({"users": users}, at=DAY)], actions=log,
    )  # fmt: skip

    expected = "masked-" + hmac.new(b"k", SECRET.encode(), hashlib.sha256).hexdigest()[:24]
    joined = recording.sql(
        "SELECT e.token FROM events e JOIN state.users u USING (token) JOIN actions a USING (token) "
        "WHERE e.payload ->> 'token' = e.token"
    )
    assert joined["token"].tolist() == [expected]
    assert recording.events["token"].isna().tolist() == [False, True]


def test_numbers_mask_like_their_text() -> None:
    """A number in a column and in JSON must still join."""
    recording = rk.load([{"time": DAY, "n": 7, "payload": {"n": 7}}], mask=["n", "payload.n"])

    assert recording._fetch("SELECT n = payload ->> 'n' FROM events") == [(True,)]


def test_without_a_key_two_loads_hash_differently() -> None:
    """A hash anybody can repeat is no mask for an e-mail address."""
    first, second = (rk.load(rows(), mask=["user"]).events["user"][0] for _ in range(2))

    assert first != second


@pytest.mark.parametrize(
    "text",
    [
        f"time,token,payload\n{DAY},x,1,{SECRET}\n",
        f'time,token,payload\n{DAY},x,"{{broken {SECRET}"\n',
        f'time,token,payload\n{DAY},x,"{SECRET}',
        f"time,token,payload\n{SECRET},x,1\n",
    ],
)
def test_rejects_never_quote_a_line_that_may_hold_a_secret(text: str, tmp_path: Path) -> None:
    """A reject is data as well."""
    source = tmp_path / "t.csv"
    source.write_text(text)

    recording = rk.load(source, payload="payload", mask=["token", "payload.token"], save=tmp_path / "a.duckdb")

    assert len(recording.rejects) == 1
    assert SECRET.encode() not in (tmp_path / "a.duckdb").read_bytes()
    assert SECRET not in recording.rejects.to_string()


def test_errors_do_not_quote_what_is_masked(tmp_path: Path) -> None:
    """strict=True raises with the reject, and that is printed in a notebook."""
    source = tmp_path / "t.jsonl"
    source.write_text(f'{{"time": "{DAY}"}}\n{{"time": "{DAY}", "token": "{SECRET}\n')

    with pytest.raises(rk.LoadError) as caught:
        rk.load(source, drop=["payload.token"], strict=True, payload=False)

    assert SECRET not in str(caught.value)


def test_a_mask_that_matches_nothing_is_an_error() -> None:
    """A misspelt name must not let the secret through."""
    with pytest.raises(rk.LoadError, match=r"names \['tokn'\], which no source has; the columns are"):
        rk.load(rows(), mask=["tokn"])


def test_what_places_events_can_not_be_masked() -> None:
    """Every row would be a reject."""
    with pytest.raises(rk.LoadError, match="has to stay"):
        rk.load(rows(), mask=["time"])


def test_a_rule_may_name_one_table_only() -> None:
    """`beads.title` leaves the title of an event alone."""
    beads = pd.DataFrame({"id": ["b"], "title": ["x"]})
    recording = rk.load(
        [{"time": DAY, "title": "y"}], drop=["beads.title"], snapshots=[rk.Snapshot({"beads": beads}, at=DAY)]
    )

    assert list(recording.snapshot(0)["beads"]) == ["id"]
    assert recording.events["title"].tolist() == ["y"]


def test_a_snapshot_after_a_masked_event_is_still_placed() -> None:
    """The caller knows the event by its real id."""
    frame = pd.DataFrame({"time": [DAY] * 2, "id": ["ev-1", "ev-2"]})
    recording = rk.load(
        frame, mask=["id"], snapshots=[rk.Snapshot({"t": pd.DataFrame({"a": [1]})}, at=DAY, after="ev-1")]
    )

    assert recording.snapshot(0).after_position == 1
    assert "ev-1" not in recording._fetch("SELECT after_event FROM snapshots")[0][0]


def test_payloads_of_many_rows_are_masked_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded however long the table is; order stays."""
    monkeypatch.setattr("replaykit.sources.masking._SLICE", 10)
    frame = pd.DataFrame({"time": [DAY] * 95, "n": range(95), "payload": [f'{{"t":{n}}}' for n in range(95)]})

    recording = rk.load(frame, drop=["payload.t"])

    assert recording.events["n"].tolist() == list(range(95))
    assert set(recording.events["payload"]) == {"{}"}
