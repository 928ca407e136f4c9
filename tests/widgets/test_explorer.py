"""The explorer as its user's code sees it: window, focus, run and code agree, and nothing old passes for new."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

import replaykit as rk
from replaykit.background import Cancelled
from replaykit.focus import Focus
from replaykit.looks import VIEWS, evaluated, expression
from replaykit.systems import gastown
from replaykit.widgets.explorer import Explorer

FOLDER = Path(__file__).parents[2] / "sample_data" / "gastown-incident"
WINDOW = rk.Window("2026-03-26T14:20Z", "2026-03-26T14:30Z")


@cache
def town():
    """Return the traced town."""
    return gastown.load_trace(FOLDER)


@pytest.fixture(scope="module")
def explorer():
    """Return an explorer that has replayed ten minutes."""
    found = Explorer(town(), gastown, window=WINDOW, names=("town", "gastown"), ticks="recorded", actions="recorded")
    assert found.run is None
    found.replay()
    return found


def pasted(code):
    """Run code as a cell does and return what its last line gives."""
    tree = ast.parse(code)
    last = ast.Expression(tree.body.pop().value)
    names = {"town": town(), "gastown": gastown}
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(last, "cell", "eval"), names)


@pytest.mark.parametrize("view", [name for name in VIEWS if name != "Story"])
def test_the_code_of_every_view_gives_its_table(explorer, view):
    """Pasted into a cell, without the widget."""
    explorer.view = view
    shown = evaluated(expression(view, town(), explorer._choice, "town"), town(), explorer.run, "town")

    assert explorer.error is None
    assert explorer.code == explorer.code_area.value
    pd.testing.assert_frame_equal(pasted(explorer.code), shown)


def test_the_story_is_that_of_the_entity_in_focus(explorer):
    """And nothing is asked while there is none."""
    explorer.focus = Focus()
    explorer.view = "Story"
    assert "Choose a row" in explorer.pages.grids["Story"].caption.value
    explorer.focus = Focus(entity="pre-bead-0004")

    assert explorer.pages.entity.value == "pre-bead-0004"
    pd.testing.assert_frame_equal(pasted(explorer.code), town().story("pre-bead-0004").frame)


def test_a_chosen_row_moves_the_focus_and_every_view_follows(explorer):
    """Time, event and entity come from the row."""
    explorer.view = "Events"
    query = "SELECT * FROM events WHERE kind = 'container_status' AND occurred_at >= $at ORDER BY position LIMIT 1"
    row = town().sql(query, at=WINDOW.bounds()[0]).iloc[0].to_dict()
    explorer._picked(row, None)

    assert explorer.focus == Focus(row["occurred_at"].to_pydatetime(), row["agent_id"], row["event_id"])
    assert explorer.brush.focus == explorer.focus.time
    assert explorer._choice.step == explorer.run.at(event=row["event_id"]).step


def test_typing_a_window_and_setting_it_are_the_same_and_make_the_result_stale():
    """The brush, the fields and the property always agree."""
    found = Explorer(town(), gastown, window=WINDOW, ticks="recorded", actions="recorded")
    found.replay()
    assert not found.stale
    found.start.value = "2026-03-26T14:25:00Z"
    typed = (found.window, found.brush.window, found.stale, found.banner.value)
    found.window = WINDOW

    assert typed[0] == typed[1] == rk.Window("2026-03-26T14:25:00Z", "2026-03-26T14:30:00Z")
    assert typed[2]
    assert "stale" in typed[3]
    assert not found.stale


def test_a_window_that_can_not_be_is_said_in_the_panel():
    """Nobody sees an exception in a callback."""
    found = Explorer(town(), gastown, window=WINDOW)
    found.start.value = "when it broke"

    assert "when it broke" in found.banner.value
    assert found.error is not None
    assert found.window == WINDOW


def test_without_rules_it_shows_what_was_recorded():
    """Events and stories need no reconciler."""
    found = Explorer(town(), window=WINDOW, names=("town", ""))
    found.view = "Events"

    assert found.pages.views == ("Events", "Story")
    events = town().events
    inside = events[(events["occurred_at"] >= WINDOW.bounds()[0]) & (events["occurred_at"] < WINDOW.bounds()[1])]
    pd.testing.assert_frame_equal(pasted(found.code), inside.head(200).reset_index(drop=True))


def test_filters_are_in_the_code_too():
    """Kinds and text, quoted."""
    found = Explorer(town(), window=WINDOW, names=("town", ""))
    found.pages.kinds.value = ("container_status",)
    found.pages.text.value = "exit'ed\""
    assert len(pasted(found.code)) == 0
    found.pages.text.value = '"status"'

    shown = pasted(found.code)
    assert set(shown["kind"]) == {"container_status"}
    assert shown["payload"].str.contains('"status"').all()


def test_a_cancelled_replay_leaves_the_result_that_was_there(explorer):
    """And says so."""
    before = explorer.run
    explorer._fail(Cancelled())

    assert explorer.run is before
    assert "cancelled" in explorer.banner.value


def test_the_cost_is_said_before_it_is_paid(explorer):
    """Inputs and ticks of the window."""
    explorer.window = WINDOW
    assert "ticks" in explorer.running._estimate.sentence()
    assert explorer.running._estimate.ticks == len(explorer.run.settings["ticks"].recorded)
