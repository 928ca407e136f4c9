"""The grid and its pages without a browser: what is sent, what is said, and who is called back."""

from __future__ import annotations

import json

import duckdb
import itables.options
import numpy as np
import pandas as pd
import pytest

from replaykit.display import show_value
from replaykit.errors import QueryError
from replaykit.widgets.grid import GLYPHS, Grid
from replaykit.widgets.paging import Paging


def rows_sent(grid):
    """Return the cells a browser gets, as lists of texts."""
    return json.loads(grid.table._dt_args["data_json"])


def chosen_by_a_person(grid, position):
    """Do what the browser does when a person chooses a row."""
    grid.table.set_state({"selected_rows": [position]})


@pytest.fixture
def frame():
    """Rows with the values other tables get wrong."""
    return pd.DataFrame(
        {
            "n": [2**53 + 1, 2**63 - 1, -1],
            "at": [pd.Timestamp("2026-01-01T00:00:00.000001"), pd.NaT, pd.Timestamp("2026-01-02", tz="UTC")],
            "payload": [{"a": [1, None]}, None, "<b>&amp;</b>"],
            "x": [1.5, np.nan, 1e300],
        }
    )


def test_values_are_sent_as_the_texts_every_other_view_shows(frame):
    """A browser would round integers beyond 2**53, and each table has its own idea of a time."""
    grid = Grid("Rows")
    grid.show(frame)

    def escaped(text):
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    expected = [[escaped(show_value(frame.iloc[row, place])) for place in range(4)] for row in range(3)]
    assert rows_sent(grid) == expected
    assert expected[0][:2] == ["9007199254740993", "2026-01-01T00:00:00.000001Z"]


def test_markup_is_escaped_whatever_the_notebook_allows(frame, monkeypatch):
    """A notebook may have switched HTML on for its own tables."""
    monkeypatch.setattr(itables.options, "allow_html", True)
    monkeypatch.setattr(itables.options, "maxRows", 1)
    grid = Grid("<i>Rows</i>")
    grid.show(frame.rename(columns={"x": "<img src=q>"}))

    assert "<b>" not in grid.table._dt_args["data_json"]
    assert "<img" not in grid.table._dt_args["table_html"]
    assert "<i>" not in grid.caption.value
    assert len(rows_sent(grid)) == 3


def test_only_the_fixed_text_is_run_in_the_browser(frame):
    """Whatever comes from an event is data: itables evaluates what is listed here, and nothing else."""
    grid = Grid("function () { alert(1) }", glyphs={"payload": GLYPHS})
    grid.show(frame.assign(payload="function () { alert(1) }"))

    assert grid.table._dt_args["keys_to_be_evaluated"] == [["drawCallback"]]
    assert "alert" not in grid.table._dt_args["drawCallback"]


def test_a_chosen_row_comes_as_its_own_values(frame):
    """A view needs the value, not its text cut after 120 characters."""
    grid, seen = Grid("Rows", first=("payload",)), []
    grid.on_select(lambda row, column: seen.append((row, column)))
    grid.show(frame.assign(payload=["x" * 1000] * 3))
    chosen_by_a_person(grid, 0)

    ((row, column),) = seen
    assert list(row) == ["payload", "n", "at", "x"]
    assert (row["n"], type(row["n"]), row["payload"], column) == (2**53 + 1, int, "x" * 1000, None)
    assert grid.selected == row


def test_choosing_from_python_calls_nobody_back(frame):
    """Views that follow a focus would call each other for ever."""
    grid, seen = Grid("Rows"), []
    grid.on_select(lambda row, column: seen.append(row))
    grid.show(frame)
    grid.select(1)
    assert grid.table.selected_rows == [1]
    assert grid.selected["n"] == 2**63 - 1
    grid.select(99)
    assert grid.selected is None
    grid.select(2)
    grid.show(frame.head(1))

    assert (grid.table.selected_rows, grid.selected, seen) == ([], None, [])


def test_a_row_that_is_gone_calls_nobody_back(frame):
    """The browser may answer for rows that were replaced a moment ago."""
    grid, seen = Grid("Rows"), []
    grid.on_select(lambda row, column: seen.append(row))
    grid.show(frame.head(1))
    chosen_by_a_person(grid, 2)

    assert seen == []


@pytest.mark.parametrize(
    ("shown", "total", "start", "expected"),
    [
        (3, None, 0, "Rows: 3 rows"),
        (1, 1, 0, "Rows: 1 row"),
        (3, 7535, 0, "Rows: rows 1 to 3 of 7,535; all: recording.events"),
        (3, 7535, 200, "Rows: rows 201 to 203 of 7,535; all: recording.events"),
        (0, None, 0, "∅ Rows: 0 rows: no such kind; rk.kinds lists them"),
    ],
)
def test_the_caption_says_how_much_is_shown_and_what_mends_an_empty_table(frame, shown, total, start, expected):
    """A part is never shown as whole."""
    grid = Grid("Rows")
    grid.show(frame.head(shown), total, start=start, more="recording.events", empty="no such kind; rk.kinds lists them")

    assert f">{expected}<" in grid.caption.value
    assert (grid.table is None) == (shown == 0)
    if grid.table is not None:
        assert grid.table._dt_args["ordering"] == (total in {None, 1})
        assert grid.table._dt_args["replaykitName"] == expected


def test_at_most_500_rows_and_40_columns_are_sent():
    """More would make the page slow; the caption says what is missing."""
    grid = Grid("Rows")
    grid.show(pd.DataFrame({f"c{number}": ["x"] * 600 for number in range(50)}), more="frame")

    assert (len(rows_sent(grid)), len(rows_sent(grid)[0])) == (500, 40)
    assert "rows 1 to 500 of 600; all: frame" in grid.caption.value


def test_an_empty_table_hides_the_rows_before():
    """Old rows under a new caption would be a lie."""
    grid = Grid("Rows")
    grid.show(pd.DataFrame({"n": [1]}))
    grid.select(0)
    grid.show(pd.DataFrame({"n": []}))
    assert (grid.table.layout.display, grid.selected) == ("none", None)
    grid.show(pd.DataFrame({"other": [1]}))

    assert grid.table.layout.display is None
    assert "other" in grid.table._dt_args["table_html"]


def test_first_columns_lead_and_meanings_have_a_glyph():
    """No meaning hangs on a colour."""
    grid = Grid("Changes", first=("change", "gone"), glyphs={"change": GLYPHS})
    grid.show(pd.DataFrame({"n": [1, 2, 3], "change": ["added", "removed", "other"]}))

    assert [row[0] for row in rows_sent(grid)] == ["+ added", "− removed", "· other"]


def test_equal_tables_are_sent_equally_and_equal_names_are_kept():
    """A query may give two columns of one name."""
    frame = pd.DataFrame([[1, 2]], columns=["n", "n"])
    grids = [Grid("Rows") for _ in range(2)]
    for grid in grids:
        grid.show(frame)

    assert rows_sent(grids[0]) == [["1", "2"]]
    assert grids[0].table._dt_args == grids[1].table._dt_args


@pytest.fixture
def paging():
    """Four hundred and one numbers in DuckDB, and what was asked of it."""
    asked = []
    with duckdb.connect() as connection:
        connection.sql("CREATE TABLE numbers AS SELECT range AS n, range % 7 AS m FROM range(401)")

        def fetch(limit, offset):
            asked.append((limit, offset))
            return connection.execute("SELECT * FROM numbers ORDER BY m, n LIMIT ? OFFSET ?", [limit, offset]).df()

        made = Paging(fetch, lambda: connection.execute("SELECT count(*) FROM numbers").fetchone()[0], label="Numbers")
        made.asked = asked
        yield made


def test_nothing_is_read_before_it_is_asked_for(paging):
    """A view that nobody opens costs nothing."""
    assert paging.asked == []
    assert all(button.disabled for button in paging.buttons.values())


def test_pages_hold_every_row_once(paging):
    """Nothing is shown twice or left out at a border."""
    paging.refresh()
    seen = [paging.grid._frame["n"].tolist()]
    while not paging.buttons["next"].disabled:
        paging.buttons["next"].click()
        seen.append(paging.grid._frame["n"].tolist())

    assert [len(page) for page in seen] == [200, 200, 1]
    assert sorted(n for page in seen for n in page) == list(range(401))
    assert paging.asked == [(200, 0), (200, 200), (200, 400)]
    assert "rows 401 to 401 of 401" in paging.grid.caption.value


def test_buttons_field_and_python_agree(paging):
    """Three ways to the same page."""
    paging.refresh()
    paging.typed.value = 2
    assert (paging.page, paging.typed.value) == (2, 2)
    assert "rows 201 to 400 of 401" in paging.grid.caption.value
    paging.page = 99
    assert (paging.page, paging.typed.value, paging.buttons["last"].disabled) == (3, 3, True)
    paging.buttons["first"].click()
    assert (paging.page, paging.typed.value, paging.buttons["previous"].disabled) == (1, 1, True)
    assert repr(paging) == "Paging(page 1 of 3, 401 rows)"


def test_a_row_is_revealed_by_its_number(paging):
    """The focus of another view may lie on another page."""
    paging.reveal(250)
    assert (paging.page, paging.grid.table.selected_rows) == (2, [50])
    paging.reveal(399)
    assert (paging.asked, paging.grid.table.selected_rows) == ([(200, 200)], [199])


def test_an_error_is_said_where_a_person_is_and_raised_where_python_is(paging):
    """An exception in a callback is invisible in JupyterLab."""
    paging.refresh()

    def broken(limit, offset):
        raise QueryError("The recording is <closed>.")

    with pytest.raises(QueryError, match="closed"):
        paging.refresh(broken)
    paging._page_rows = broken
    paging.buttons["next"].click()

    assert "The recording is &lt;closed&gt;." in paging.trouble.value
    assert (paging.page, paging.typed.value) == (1, 1)


def test_an_empty_table_has_one_page_that_says_what_mends_it():
    """Zero rows are an answer."""
    paging = Paging(lambda limit, offset: pd.DataFrame({"n": []}), lambda: 0, empty="widen the window")
    paging.refresh()

    assert (paging.page, paging.pages) == (1, 1)
    assert "0 rows: widen the window" in paging.grid.caption.value


def test_a_table_that_shrinks_shows_its_last_page(paging):
    """The page asked for may be gone."""
    paging.refresh()
    paging.page = 3
    paging.refresh(count=lambda: 150)

    assert (paging.page, paging.typed.max) == (1, 1)


@pytest.mark.parametrize("size", [0, 501])
def test_a_page_that_cannot_be_shown_is_refused(size):
    """The grid would cut it."""
    with pytest.raises(QueryError, match="from 1 to 500 rows"):
        Paging(lambda limit, offset: pd.DataFrame(), lambda: 0, size)


def test_every_control_says_what_it_is(paging):
    """A tooltip is its name for a screen reader."""
    assert all(one.tooltip for one in [*paging.buttons.values(), paging.typed])
