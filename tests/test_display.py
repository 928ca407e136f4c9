"""What a reader sees: hostile text is defused, everything is bounded, and the same value reads the same twice."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from replaykit.display import EMPTY, count, show_value, table_html, table_text
from replaykit.errors import QueryError

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</td></tr></table><iframe src=javascript:alert(1)>",
    "&lt;b&gt; &amp; &#60;",
    "\x1b[31mred\x1b[0m\x07",
    "abc\u202egnp.exe",
    "\u2066hidden\u2069\u200b\ufeff",
    "line\nbreak\r\ttab\u2028sep\x00nul\x85",
    "\ud800 lone surrogate",
    "\U000e0041 tag",
    "$\\href{javascript:alert(1)}{x}$",
    "x" * 5_000_000,
]


class _Tags(HTMLParser):
    """Collects the tags and attributes a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_never_becomes_markup(text: str) -> None:
    """Event text comes from the system under investigation, and JupyterLab runs what an output contains."""
    html = table_html(pd.DataFrame([[text]], columns=pd.Index([text], dtype=object), dtype=object), caption=text)
    tags = _Tags()

    tags.feed(html)

    assert tags.seen <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}
    assert tags.attributes <= {"class", "style", "scope"}
    assert len(html) < 5_000
    html.encode()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_control_or_direction_character_survives(text: str) -> None:
    """An ANSI escape rewrites a terminal, a direction override makes exe read as png."""
    for shown in (show_value(text), table_text(pd.DataFrame({"a": [text]}, dtype=object)).replace("\n", "")):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]", shown)
        assert len(shown) <= 130


def test_escapes_are_readable() -> None:
    """The reader should see which character was there."""
    assert show_value("a\nb\x1b\u202e") == "a\\nb\\x1b\\u202e"


@pytest.mark.parametrize("nothing", [None, float("nan"), np.nan, np.float32("nan"), pd.NaT, pd.NA, np.datetime64("NaT"),
                                     Decimal("NaN"), Decimal("sNaN")])  # fmt: skip
def test_every_form_of_nothing_is_one_marker(nothing: object) -> None:
    """Which of the many forms arrives depends on the dtype, which is no finding."""
    assert show_value(nothing) == EMPTY


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", '""'),
        (0, "0"),
        (1.5, "1.5"),
        (np.float64(0.1), "0.1"),
        (np.int64(7), "7"),
        (True, "True"),
        (np.bool_(False), "False"),
        (Decimal("1.50"), "1.50"),
        (b"\x00\xff", "0x00ff"),
        (datetime(2026, 3, 1, 10, 2, 11), "2026-03-01T10:02:11Z"),
        (datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2026-03-01T10:00:00Z"),
        (pd.Timestamp("2026-03-01T10:02:11.123456789"), "2026-03-01T10:02:11.123456789Z"),
        (pd.Timestamp("2026-03-01T10:00", tz="Europe/Berlin"), "2026-03-01T09:00:00Z"),
        (np.datetime64("2026-03-01T10:00:00"), "2026-03-01T10:00:00Z"),
        (date(2026, 3, 1), "2026-03-01"),
        (time(10, 2), "10:02:00"),
        (timedelta(minutes=3, seconds=20), "00:03:20"),
        (timedelta(days=-2, microseconds=-5), "-2d 00:00:00.000005"),
        ({"b": 1, "a": [None, datetime(2026, 3, 1)]}, '{"b": 1, "a": [null, "2026-03-01T00:00:00Z"]}'),
        ({"x", "b", "a"}, '["a", "b", "x"]'),
        (np.array([1, 2]), "[1, 2]"),
    ],
)
def test_values_read_as_stated(value: object, shown: str) -> None:
    """Times are UTC with a zone mark, containers are JSON, sets have no order and get one."""
    assert show_value(value) == shown


def test_an_object_shows_no_memory_address() -> None:
    """An address differs in every process, and a committed notebook would differ with it."""

    class Thing:
        pass

    assert "0x" not in show_value(Thing())


def test_an_object_that_cannot_be_shown_is_still_shown() -> None:
    """A display must not raise because one value's __str__ does."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    assert show_value(Broken()) == "<Broken that can't be shown>"


def test_a_table_is_bounded_and_says_how_to_get_the_rest() -> None:
    """Ten thousand rows in a cell take seconds to draw."""
    html = table_html(pd.DataFrame(np.zeros((1_000, 60))), limit=3, more="run.actions")

    assert html.count("<tr>") == 4
    assert html.count("<th ") == 40
    assert "… 997 more rows (1,000 in all): run.actions" in html
    assert "… 20 more columns (60 in all)" in html


def test_columns_are_chosen_in_the_order_given() -> None:
    """Who asks for columns means this order."""
    frame = pd.DataFrame({"a": [1], "b": [2], "c": [3]})

    assert table_text(frame, columns=["c", "a"]) == "c  a\n3  1"
    with pytest.raises(QueryError, match=r"no column 'd'.*'a', 'b', 'c'"):
        table_html(frame, columns=["d"])


def test_frames_of_any_shape_are_shown() -> None:
    """Duplicate names, several header levels, no rows and no columns all happen in a notebook."""
    double = pd.DataFrame([[1, 2]], columns=["a", "a"])
    levels = pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")]), index=pd.Index(["x"], name="k"))

    assert table_text(double) == "a  a\n1  2"
    assert table_text(levels) == 'k  ["a", "b"]\nx  1'
    assert "no rows" in table_html(pd.DataFrame({"a": []}))
    assert "no rows" in table_text(pd.DataFrame())


def test_a_long_text_table_says_what_it_left_out() -> None:
    """A cut without a word reads as all there is."""
    assert table_text(pd.DataFrame({"a": range(12)}), limit=10).endswith(
        "… 2 more rows (12 in all): table_text(frame, limit=...) or the frame itself"
    )


@pytest.mark.parametrize(
    ("n", "noun", "text"),
    [(1, "event", "1 event"), (0, "event", "0 events"), (4345, "event", "4,345 events"), (2, "entity", "2 entities"),
     (2, "key", "2 keys"), (2, "match", "2 matches")],
)  # fmt: skip
def test_counts_agree_with_their_noun(n: int, noun: str, text: str) -> None:
    """Reading "1 events" makes one doubt the number too."""
    assert count(n, noun) == text
