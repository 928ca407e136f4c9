"""Times as they come."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import pytest

import replaykit as rk


def times(values: list[object], **options: object) -> tuple[list[str], rk.Recording]:
    """Load one column of times and return them as text."""
    recording = rk.load(pd.DataFrame({"time": values}), time="time", **options)  # type: ignore[arg-type]
    rows = recording._fetch("SELECT occurred_at::VARCHAR FROM events ORDER BY position")
    return [row[0] for row in rows], recording


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-26T08:00:00Z",
        "2026-03-26T08:00:00.000Z",
        "2026-03-26 08:00:00+00:00",
        "2026-03-26T10:00:00+02:00",
        "2026-03-26T10:00:00+0200",
        "2026-03-26 10:00:00 +02",
        "2026-03-26T08:00:00z",
        "2026-03-26 08:00:00 UTC",
        "2026-03-26 09:00:00 Europe/Berlin",
        "2026-03-26T08:00",
        "20260326T080000Z",
        "2026/03/26 08:00:00",
        "26/Mar/2026:10:00:00 +0200",
        "Thu, 26 Mar 2026 10:00:00 +0200",
        " 2026-03-26T08:00:00,000Z ",
    ],
)
def test_every_common_spelling_is_the_same_utc_instant(text: str) -> None:
    """An offset that is dropped in silence would be the worst kind of wrong."""
    found, _ = times([text])

    assert found == ["2026-03-26 08:00:00"]


def test_several_formats_in_one_column_are_one_time_and_said() -> None:
    """Exports joined by hand hold several formats."""
    found, recording = times(["2026-03-26T08:00:00Z", "2026-03-26 08:00:01", "1774512002"])

    assert found == ["2026-03-26 08:00:00", "2026-03-26 08:00:01", "2026-03-26 08:00:02"]
    assert "1 with a zone, 1 without a zone, 1 epoch numbers" in str(recording.report)


def test_digits_after_microseconds_are_cut_and_counted() -> None:
    """Rounding would move an event past its cause; trailing zeros lose nothing."""
    found, recording = times(
        ["2026-03-26T08:00:00.123Z", "2026-03-26T08:00:00.123456999Z", "2026-03-26T08:00:01.123456000Z"]
    )

    assert found == ["2026-03-26 08:00:00.123", "2026-03-26 08:00:00.123456", "2026-03-26 08:00:01.123456"]
    assert recording.report.counts["truncated_times"] == 1


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1774512000, "2026-03-26 08:00:00"),
        (1774512000123, "2026-03-26 08:00:00.123"),
        (1774512000123456, "2026-03-26 08:00:00.123456"),
        (1774512000123456999, "2026-03-26 08:00:00.123456"),
        (1774512000.123456, "2026-03-26 08:00:00.123456"),
        ("1774512000.123456", "2026-03-26 08:00:00.123456"),
        ("1774512000123", "2026-03-26 08:00:00.123"),
    ],
)
def test_the_unit_of_epoch_numbers_is_guessed_where_only_one_fits(number: object, expected: str) -> None:
    """The ranges of the four units between 2001 and 2100 do not overlap."""
    found, recording = times([number])

    assert found == [expected]
    assert "unit was guessed" in str(recording.report)


def test_an_ambiguous_unit_is_an_error_that_asks_for_it() -> None:
    """Seconds since 1970 near zero look like anything."""
    with pytest.raises(rk.LoadError, match="unit="):
        times([0, 1774512000])

    found, _ = times([0, 1774512000], unit="s")

    assert found == ["1970-01-01 00:00:00", "2026-03-26 08:00:00"]


def test_negative_nanoseconds_are_cut_towards_the_past() -> None:
    """Integer division in SQL rounds towards zero, which is the future before 1970."""
    found, _ = times([-1], unit="ns")

    assert found == ["1969-12-31 23:59:59.999999"]


def test_times_without_a_zone_are_utc_or_tz_and_the_report_says_which() -> None:
    """Nobody should have to guess what was assumed."""
    utc, plain = times(["2026-07-01 08:00:00"])
    berlin, named = times(["2026-07-01 08:00:00"], tz="Europe/Berlin")

    assert (utc, berlin) == (["2026-07-01 08:00:00"], ["2026-07-01 06:00:00"])
    assert "has no zone in 1 row; read as UTC" in str(plain.report)
    assert "read as Europe/Berlin" in str(named.report)


def test_local_times_a_clock_change_skipped_or_repeated_are_counted() -> None:
    """02:30 did not exist on 29 March 2026 in Berlin, and came twice on 25 October."""
    _, recording = times(["2026-03-29 02:30:00", "2026-10-25 02:30:00", "2026-07-01 08:00:00"], tz="Europe/Berlin")

    assert "1 local time skipped by a clock change, 1 local time that came twice" in str(recording.report)


def test_an_unknown_zone_is_an_error() -> None:
    """The name goes into SQL text, so only names DuckDB knows are let through."""
    with pytest.raises(rk.LoadError, match="no known time zone"):
        times(["2026-07-01"], tz="Europe/Nowhere'")


@pytest.mark.parametrize("text", ["", "  ", None])
def test_an_empty_time_is_a_reject(text: str | None) -> None:
    """An event without a time has no place in a window."""
    found, recording = times(["2026-03-26T08:00:00Z", text])

    assert len(found) == 1
    assert recording.rejects["reason"].tolist() == ["time is empty"]


@pytest.mark.parametrize(
    "text", ["2026-02-30", "2026-03-26T08:00:61Z", "infinity", "epoch", "yesterday", "08:00", "0000-01-01"]
)
def test_an_impossible_time_is_a_reject_with_its_text(text: str) -> None:
    """The row is kept where one can see why it was left out."""
    _, recording = times(["2026-03-26T08:00:00Z", text])

    assert recording.rejects[["place", "reason", "excerpt"]].values.tolist() == [
        [2, "time is impossible or can't be read", text]
    ]


def test_nan_and_infinite_epoch_numbers_are_rejects() -> None:
    """They would be casts that abort the load."""
    found, recording = times([1774512000.0, float("inf"), float("nan")])

    assert len(found) == 1
    assert recording.rejects["reason"].tolist() == ["time is impossible or can't be read", "time is empty"]


@pytest.mark.parametrize("text", ["1970-01-01T00:00:00Z", "2262-04-11T23:47:16Z"])
def test_a_suspicious_time_is_loaded_and_reported(text: str) -> None:
    """The first is a zero that was formatted, the last the end of 64-bit nanoseconds; both are possible."""
    found, recording = times([text, "2026-03-26T08:00:00Z"])

    assert len(found) == 2
    assert "1 suspicious time (before 1990 or after 2100)" in str(recording.report)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_every_pandas_unit_are_read_alike(unit: str) -> None:
    """DuckDB keeps a type per unit; all become TIMESTAMP."""
    found, recording = times(list(pd.to_datetime(["2026-03-26 08:00:00"]).astype(f"datetime64[{unit}]")))

    assert found == ["2026-03-26 08:00:00"]
    assert recording.columns("events")["occurred_at"] == "TIMESTAMP"


def test_a_zoned_timestamp_column_is_read_as_utc() -> None:
    """TIMESTAMPTZ would come back in the machine's zone, and needs pytz in fetchall."""
    stamps = pd.Series(pd.to_datetime(["2026-03-26 10:00:00"])).dt.tz_localize("Europe/Berlin")
    recording = rk.load(pd.DataFrame({"time": stamps, "other": stamps}), time="time")

    assert recording.events["occurred_at"][0] == datetime(2026, 3, 26, 9)
    assert recording.columns("events")["other"] == "TIMESTAMP"
