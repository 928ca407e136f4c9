"""The explorer in a real JupyterLab, on an incident: every hand gets where it wants, and what is seen is what is so."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from explorer_hand import DARK, TRIED, VIEWS
from explorer_walk import CANCEL, FROM, SETUP, SHOW, TO, look
from lab import NEEDED, pictures, seen_in_two_tries

pytestmark = NEEDED


@pytest.fixture(scope="module")
def seen(repository, tmp_path_factory, numbers):
    """Return what was seen in one session."""
    room, folder = tmp_path_factory.mktemp("explorer"), pictures(tmp_path_factory)
    found = seen_in_two_tries(repository, room, folder, (SETUP, SHOW, "", "town.report", ""), look)
    numbers += [f"explorer, {name}: {found['seconds'][name]:.2f} s" for name in found["seconds"]]
    return found


def test_mouse_keyboard_and_typing_choose_the_same_window_everywhere(seen):
    """Brush, fields and Python say one thing, whichever was moved."""
    for how in ("mouse", "keyboard", "typing"):
        assert len(set(seen[how])) == 1, how
    assert seen["mouse"][0][0] == FROM
    assert "2026-03-26T14:2" < seen["mouse"][0][1] < seen["keyboard"][0][1] < TO
    assert seen["typing"][0] == ("2026-03-26T14:21:00Z", "2026-03-26T14:29:30.500000Z")


def test_a_replay_shows_its_progress_and_ends_in_a_verdict(seen):
    """One that agrees with what was recorded; the tabs say how much was found."""
    assert [state.split(" ", 1)[1] for state in seen["states"]] == ["nothing yet", "running", "verified"]
    assert any(re.fullmatch(r"[\d,]+ of 1,006 inputs, .* s left", told) for told, _ in seen["progress"])
    assert len({width for _, width in seen["progress"]}) > 1
    assert "agrees with 1 snapshot" in seen["verdict"]
    assert {"Actions (130)", "Violations (3)", "Verdict (verified)", "Differing cells (0)"} <= set(seen["tabs"])


def test_a_result_under_another_window_is_marked_stale(seen):
    """And no longer when the window is what it was."""
    assert "press Replay. Below is still Replay(104 events" in seen["stale"]
    assert seen["fresh"] == seen["verdict"]


def test_a_chosen_action_moves_the_focus_and_every_view_to_it(seen):
    """Time and entity come from the row, which stays the chosen one; elsewhere its row is chosen and in sight."""
    clicked = seen["clicked"]
    assert seen["focus"] == {"Time": clicked["opened_at"], "Entity": clicked["entity"], "Event": ""}
    assert seen["still chosen"] == 9
    for view, table in seen["followed"].items():
        assert table["chosen"] >= 0, view
        assert table["seen"], view
        row = table["rows"][table["chosen"]]
        assert (clicked["entity"] if view.startswith("State") else clicked["opened_at"]) in row, view


def test_a_cell_that_names_something_else_makes_that_the_entity(seen):
    """An agent named in an action on a pair."""
    assert seen["id clicked"] == "new-bead-0002"
    assert seen["entity"] == seen["id clicked"]


def test_a_mark_on_the_brush_moves_the_focus(seen):
    """To the exact time of an action."""
    assert (seen["mark"], seen["focus line"]) == ("True", True)


def test_the_scrubber_moves_the_step_by_keyboard_and_mouse(seen):
    """And says the time, not only a number."""
    said = [seen[name] for name in ("step", "step by key", "changing step", "button", "step by mouse", "last step")]
    assert all(re.match(r"step [\d,]+ of 1,006 · 2026-03-26T14:\d\d:\d\d\.\d+Z · ", one) for one in said)
    step, after, changing, before, middle, last = (int(one.split()[1].replace(",", "")) for one in said)
    assert (after, before, last) == (step + 1, changing - 1, 1006)
    assert middle == pytest.approx(503, abs=5)


def test_the_row_a_step_changed_is_marked_and_in_sight(seen):
    """With the cells that changed, and what they were."""
    assert len(seen["changed"]) == 2
    assert '~ update\t{"status":"in_progress"' in seen["changed row"]
    assert seen["changed in sight"]


def test_why_leads_with_a_click_to_what_caused_an_action(seen):
    """Or a cell: what had set each cell the rule decided on, and one of them that set it off."""
    said, rows = seen["why"]
    action = seen["asked why"]
    assert f"{action['rule']} emitted {action['kind']}(bead_id={action['entity']}" in said
    decided = [row for row in rows if row["decisive"] == "True" and row["caused_by"] != "base"]
    assert any(f"{row['column']} is {row['value']} since step {int(row['step']):,}," in said for row in decided)
    said, rows = seen["why a cell"]
    assert f"beads[{seen['cell']}].title is {rows[-1]['value']} since" in said


def test_why_not_says_what_stopped_the_rules_at_the_time_in_focus(seen):
    """Of the same action, seconds before: which rules, and when it is due."""
    said, table = seen["why not"]
    rows = {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["rows"]}
    assert f"transition_bead(bead_id={seen['asked why']['entity']}) was not emitted" in said
    assert rows["B3"]["stop"] == "turned away"
    assert rows["B3"]["due_at"] == seen["asked why"]["opened_at"]


@pytest.mark.parametrize("view", TRIED)
def test_the_code_copied_gives_the_table_shown(seen, view):
    """Pasted into a cell and run; what the cell gives has the texts that were on the screen, cell by cell."""
    caption, shown, told, _ = seen["copied"][view]
    if shown is None:
        assert caption.startswith(f"∅ {view}: 0 rows")
        assert told["rows"] == []
        return
    first = int(found[1].replace(",", "")) - 1 if (found := re.search(r"rows ([\d,]+) to", caption)) else 0
    rows = [dict(zip(told["columns"], row, strict=True)) for row in told["rows"]]
    assert sorted(shown["columns"]) == sorted(told["columns"])
    assert len(shown["rows"]) == min(200, len(rows) - first) > 0
    for place, cells in enumerate(shown["rows"], first):
        glyphs = zip(cells, shown["glyphs"], strict=True)
        plain = [("∅" if cell == "·" else cell[2:]) if glyph else cell for cell, glyph in glyphs]
        assert dict(zip(shown["columns"], plain, strict=True)) == rows[place]


def test_an_error_is_seen_and_can_be_copied(seen):
    """An exception in a callback is invisible in JupyterLab otherwise."""
    assert "'half past two' can't be read as a time" in seen["error"]
    assert "'half past two' can't be read" in seen["details"]
    assert "Traceback (most recent call last)" in seen["details"]
    assert "rk.replay(" in seen["details"]


def test_an_empty_window_is_widened_to_events(seen):
    """It says where the nearest are."""
    assert "the nearest events are at 2026-03-26T14:21:55.269000Z" in seen["empty"]
    assert "12 events inside" in seen["events of it"]


def test_filters_change_the_counts_of_the_brush_and_the_events(seen):
    """By kind, chosen by mouse and by keyboard, and by text."""
    says, table, caption = seen["one kind"]
    assert "103 events inside" in says
    assert caption == "Events: 103 rows"
    assert {row[table["columns"].index("kind")] for row in table["rows"]} == {"container_status"}
    assert "0 events inside" in seen["next kind"][0]
    assert "104 events inside" in seen["all kinds"][0]
    says, table, caption = seen["one text"]
    assert f"{len(table['rows'])} events inside" in says
    assert all("not_found" in row[table["columns"].index("payload")] for row in table["rows"])
    assert "passes the filter" in seen["filtered out"]


def test_a_long_replay_is_cancelled_within_half_a_second(seen):
    """The result before stays, and the next replay, begun with Enter, runs."""
    assert seen["seconds"][CANCEL] < 0.5
    assert "left nothing behind. Below is still Replay(104 events" in seen["cancelled"]
    assert "Replaying" in seen["Enter"]


@pytest.mark.parametrize(("theme", "views"), [("Light", VIEWS), ("Dark", DARK)], ids=["Light", "Dark"])
def test_axe_finds_nothing_serious(seen, theme, views):
    """Names, roles and contrast of every view, in the dark of some."""
    assert seen[theme] == {view: [] for view in views}
    assert seen["open code"] == []


@pytest.mark.parametrize("view", ["Actions", "State at"])
def test_everything_is_reached_by_tab_with_a_name_and_a_ring(seen, view):
    """Also the handles of the brush, the rows of the table, and the code."""
    stops = seen["stops"][view]
    assert not stops.pop()["inside"]  # Tab leaves in the end
    assert [one for one in stops if not (one["name"] and one["ring"])] == []
    names = [one["name"] for one in stops]
    own = {
        "Actions": {"Action kinds", "Target", "In actions", "Sort", "every action"},
        "State at": {"Table", "Step", "Next step"},
    }
    around = {"window start", "window end", "whole window", "From", "To", "Ticks", "Time", "Entity", "Event"}
    assert around | own[view] | {"show the code"} <= set(names)
    assert "TR" in {one["tag"] for one in stops}
    assert seen["code by key"].startswith("import replaykit as rk")


@pytest.mark.parametrize("view", TRIED)
def test_nothing_is_cut_off_in_a_narrow_window(seen, view):
    """Of 600 pixels; a table has a scroller of its own."""
    assert seen["cut"][view] == []


def test_plain_results_stay_when_the_kernel_is_gone(seen):
    """The page opens as it was saved."""
    assert seen["back"].startswith("36,835 rows read = 36,835 loaded")


def test_nobody_else_is_asked_and_nothing_goes_wrong_unseen(seen):
    """No request to another host, no error in the console or in a cell."""
    assert {url.split("/")[2].split(":")[0] for url in seen["asked"] if "://" in url} == {"127.0.0.1"}
    assert (seen["shouts"], seen["errors"]) == ([], [])
