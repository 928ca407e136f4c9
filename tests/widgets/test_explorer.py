"""The explorer as its user's code sees it: window, focus, run and code agree, and nothing old passes for new."""

from __future__ import annotations

import ast
from datetime import timedelta
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

import replaykit as rk
from replaykit import views
from replaykit.background import Cancelled
from replaykit.focus import Focus
from replaykit.looks import ASKED, RECORDED, REPLAYED, evaluated, expression
from replaykit.systems import gastown
from replaykit.views.standing import touched_by
from replaykit.widgets.explorer import Explorer

FOLDER = Path(__file__).parents[2] / "sample_data" / "gastown-incident"
WINDOW = rk.Window("2026-03-26T14:20Z", "2026-03-26T14:30Z")


@cache
def town():
    """Return the traced town."""
    return gastown.load_trace(FOLDER)


def opened(**options):
    """Return an explorer of ten minutes."""
    given = {"window": WINDOW, "names": ("town", "gastown"), "ticks": "recorded", "actions": "recorded"}
    return rk.explore(town(), gastown, **{**given, **options})


@pytest.fixture(scope="module")
def explorer():
    """Return an explorer that has replayed ten minutes."""
    found = opened()
    assert found.run is None
    found.replay()
    return found


@pytest.fixture(autouse=True)
def unfocused(request):
    """Let no test begin with what another looked at."""
    yield
    if "explorer" in request.fixturenames:
        found = request.getfixturevalue("explorer")
        found.window, found.focus, found.view = WINDOW, Focus(), "Actions"


@pytest.fixture(scope="module")
def small():
    """Thirty events, a minute apart."""
    frame = pd.DataFrame({"at": pd.date_range("2026-01-01", periods=30, freq="1min"), "n": range(30)})
    frame["kind"] = ["tick", "tock"] * 15
    with rk.load(frame, time="at", kind="kind", id=False, payload=False) as made:
        yield made


@pytest.fixture
def counting():
    """A reconciler that counts, and acts on every second number."""
    made = rk.Reconciler("counting", {"seen": rk.Table(key="n", n="BIGINT", kind="VARCHAR")}, {"least": 0})

    @made.apply("tick", "tock")
    def seen(state, event):
        state["seen"].insert(n=event["n"], kind=event.kind)

    @made.rule("odd", key=["n"])
    def odd(state, now):
        yield from (rk.Action("odd", n=row["n"]) for row in state["seen"].find(kind="tock"))

    return made


def pasted(code, **names):
    """Run code as a cell does and return what its last line gives."""
    tree = ast.parse(code)
    last = ast.Expression(tree.body.pop().value)
    names = {"town": town(), "gastown": gastown, **names}
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(last, "cell", "eval"), names)


def grid(explorer):
    """Return the grid of the open view."""
    return explorer.pages.tables[explorer.view].grid


# ---- code


@pytest.mark.parametrize("view", [name for name in REPLAYED if name not in ("Story", *ASKED)])
def test_the_code_of_every_view_gives_the_rows_its_table_shows(explorer, view):
    """Pasted into a cell, without the widget."""
    explorer.view = view
    found = pasted(explorer.code)

    assert explorer.error is None
    assert explorer.code == explorer.frame.code_area.value == explorer.frame.copier.text
    assert explorer.pages.tables[view].total == len(found)
    shown = grid(explorer)._frame
    if len(found):
        pd.testing.assert_frame_equal(shown.reset_index(drop=True), found[shown.columns].head(len(shown)))


@pytest.mark.parametrize("view", [name for name in RECORDED if name != "Story"])
def test_without_rules_the_code_gives_what_was_recorded(view):
    """Most people have no reconciler at first."""
    found = rk.explore(town(), window=WINDOW, names=("town", ""))
    found.view = view

    assert found.pages.views == RECORDED
    table = pasted(found.code)
    assert len(table) == found.pages.tables[view].total > 0
    assert "recorded" in found.frame.banner.value


def test_the_code_of_filters_sorting_tables_and_steps_gives_the_same(explorer):
    """Whatever is chosen stands in the call."""
    explorer.view = "Actions"
    bound = explorer.pages.bound["Actions"]
    for name, value in (("action_kinds", ("dispatch_agent",)), ("action_text", "BEAD"), ("action_sort", "-ticks")):
        bound[name].value = value
    shown = pasted(explorer.code)
    expected = views.actions(explorer.run, kinds=["dispatch_agent"], text="BEAD", sort="-ticks")
    for name in ("action_kinds", "action_text", "action_sort"):
        setattr(explorer.choice, name, type(bound[name].value)())
    explorer.view = "State diff"
    explorer.pages.bound["State diff"]["gross"].value = True
    explorer.pages.bound["State diff"]["changed"].value = "beads"
    gross = pasted(explorer.code)
    explorer.pages.bound["State diff"]["gross"].value = False

    pd.testing.assert_frame_equal(shown, expected)
    assert len(shown) > 0
    assert set(gross["table"]) == {"beads"}
    assert len(gross) > len(pasted(explorer.code))


def test_an_empty_filter_field_is_no_filter_and_a_quote_is_a_quote():
    """Kinds and text, quoted."""
    found = rk.explore(town(), window=WINDOW, names=("town", ""))
    found.frame.filters["kinds"].value = ("container_status",)
    found.frame.filters["text"].value = "exit'ed\""
    assert len(pasted(found.code)) == 0
    assert "passes the filter" in found.frame.banner.value
    found.frame.filters["text"].value = '"status"'

    shown = pasted(found.code)
    assert set(shown["kind"]) == {"container_status"}
    assert shown["payload"].str.contains('"status"').all()
    assert found.frame.brush.counted == found.pages.tables["Events"].total


def test_a_filter_without_events_is_cleared_by_its_button():
    """Empty says what mends it."""
    found = rk.explore(town(), window=WINDOW)
    found.frame.filters["text"].value = "nowhere at all"
    assert found.frame.mend.description == "Clear the filter"
    found.frame.mend.click()

    assert found.frame.filters["text"].value == ""
    assert found.pages.tables["Events"].total == found.frame.brush.counted == 104


def test_a_window_without_events_is_widened_by_its_button():
    """To the nearest events, and no further."""
    found = rk.explore(town(), window=rk.Window("2026-03-26T14:20:00Z", "2026-03-26T14:20:01Z"))
    assert "the nearest events are at" in found.frame.banner.value
    found.frame.mend.click()

    assert found.frame.brush.counted > 0
    assert found.window.start < WINDOW.start
    assert "empty" not in found.frame.banner.value


def test_pages_of_events_come_from_the_code_shown():
    """A page that was turned is in the call, and reads no more than itself."""
    found = rk.explore(town(), names=("town", ""))
    found.pages.tables["Events"].buttons["next"].click()

    assert "offset=200" in found.code
    shown = pasted(found.code)
    assert shown["position"].tolist() == list(range(201, 401))
    assert grid(found)._frame["position"].tolist() == shown["position"].tolist()


# ---- focus


def test_the_story_is_that_of_the_entity_in_focus(explorer):
    """And nothing is asked while there is none."""
    explorer.view = "Story"
    assert "Choose a row" in grid(explorer).caption.value
    explorer.focus = Focus(entity="pre-bead-0004")

    assert explorer.frame.entity.value == "pre-bead-0004"
    pd.testing.assert_frame_equal(pasted(explorer.code), town().story("pre-bead-0004").frame)


def test_an_entity_nobody_knows_is_said_in_the_view(explorer):
    """The other views go on."""
    explorer.view = "Story"
    explorer.frame.entity.value = "nobody"

    assert "names" in grid(explorer).caption.value
    assert "nobody" in grid(explorer).caption.value
    explorer.view = "Events"
    assert explorer.pages.tables["Events"].total == 104


def test_a_chosen_row_moves_the_focus_and_every_view_follows(explorer):
    """Time, event and entity come from the row."""
    explorer.view = "Events"
    row = town().sql("SELECT * FROM events WHERE event_id = 'rpc-tevt-0926'").iloc[0].to_dict()
    explorer._hands.picked(row, None)
    selected = {}
    for view in ("Events", "Metrics", "State at", "Actions"):
        explorer.view = view
        selected[view] = grid(explorer).selected

    assert explorer.focus == Focus(
        row["occurred_at"].to_pydatetime(), row["bead_id"] or row["agent_id"], row["event_id"]
    )
    assert explorer.frame.brush.focus == explorer.focus.time
    assert explorer.choice.step == explorer.pages.scrubber.value == explorer.run.at(event=row["event_id"]).step
    assert selected["Events"]["event_id"] == "rpc-tevt-0926"
    assert selected["Metrics"]["at"] <= explorer.focus.time
    assert explorer.focus.entity in map(str, selected["State at"].values())


def test_a_cell_that_names_something_makes_it_the_entity(explorer):
    """An action names an agent and a bead."""
    explorer.view = "Actions"
    frame = grid(explorer)._frame
    place = int(frame.index[(frame["agent_id"].fillna("") != "") & (frame["agent_id"] != frame["entity"])][0])
    explorer.frame.brush._received(
        None, {"do": "cell", "grid": "Actions", "row": place, "column": _at(frame, "agent_id")}, None
    )

    assert explorer.focus.entity == frame["agent_id"].iloc[place]
    assert frame["entity"].iloc[place] in explorer.frame.entity.options


def _at(frame, name):
    return list(frame.columns).index(name)


def test_a_click_on_the_brush_moves_the_focus_to_the_event_there(explorer):
    """A mark or an event, whichever is nearer."""
    at = town().sql("SELECT epoch_us(occurred_at) AS at FROM events WHERE event_id = 'rpc-tevt-0926'")["at"][0]
    explorer.frame.brush._received(None, {"do": "focus", "at": str(at), "reach": "0"}, None)

    assert explorer.focus.time == explorer.frame.brush.focus
    assert (
        town().sql("SELECT occurred_at FROM events WHERE event_id = $e", e=explorer.focus.event).iloc[0, 0]
        == explorer.focus.time
    )


def test_the_scrubber_shows_the_state_after_each_step_and_says_the_step(explorer):
    """And what the step changed."""
    explorer.view = "State at"
    step = next(n for n in range(800, 1000) if touched_by(explorer.run, n).get("beads") == 1)
    explorer.pages.scrubber.value = step
    explorer.pages.bound["State at"]["table"].value = "beads"

    shown = pasted(explorer.code)
    assert f"step {step:,} of" in explorer.pages.scrubber.said
    assert "changed beads 1" in explorer.pages.scrubber.said
    assert shown["change"].notna().sum() == 1
    options = grid(explorer).table._dt_args
    assert options["replaykitMarks"]
    pd.testing.assert_frame_equal(
        shown[shown["change"] != "delete"].drop(columns=["change", "was"]).reset_index(drop=True),
        explorer.run.at(step=step)["beads"],
    )


def test_typed_focus_and_clear(explorer):
    """A time, an event and an entity can be typed, and taken away."""
    explorer.frame.time.value = "14:25"
    explorer.frame.event.value = "rpc-tevt-0926"
    typed = explorer.focus
    explorer.frame.clear.click()

    assert typed == Focus(pd.Timestamp("2026-03-26T14:25").to_pydatetime(), None, "rpc-tevt-0926")
    assert explorer.focus == Focus()
    assert explorer.frame.time.value == explorer.frame.event.value == ""


def test_a_table_that_is_there_is_not_sent_again_when_the_focus_moves(explorer):
    """A row just chosen by keyboard would lose the keyboard."""
    explorer.view = "Actions"
    sent = []
    grid(explorer).table.observe(lambda change: sent.append(change["name"]), "_dt_args")
    explorer._hands.picked(grid(explorer)._row(3), None)

    assert explorer.focus.entity is not None
    assert sent == []


# ---- window, run, states


def test_typing_a_window_and_setting_it_are_the_same_and_make_the_result_stale():
    """The brush, the fields and the property always agree."""
    found = opened()
    found.replay()
    assert not found.stale
    code = found.code
    found.frame.start.value = "2026-03-26T14:25:00Z"
    typed = (found.window, found.frame.brush.window, found.stale, found.frame.banner.value)

    assert found.code == code  # still that of the result shown
    found.window = WINDOW
    assert typed[0] == typed[1] == rk.Window("2026-03-26T14:25:00Z", "2026-03-26T14:30:00Z")
    assert typed[2]
    assert "stale" in typed[3]
    assert not found.stale


@pytest.mark.parametrize(
    ("end", "message"),
    [("", "is empty"), ("soon", "can&#x27;t be read"), ("2025-01-01", "is after end"), ("00:00", "equals end")],
)
def test_an_unusable_time_is_said_in_the_explorer_with_details_to_copy(small, counting, end, message):
    """An exception in a callback is invisible in JupyterLab."""
    found = rk.explore(small, counting)
    before = found.window
    found.frame.end.value = end

    assert message in found.frame.banner.value
    assert isinstance(found.error, rk.WindowError)
    assert "Traceback" in found.frame.details.text
    assert (found.window, found.run) == (before, None)
    found.frame.end.value = "00:05"
    assert found.error is None
    assert found.frame.details.text == ""


def test_setting_a_value_from_a_cell_leaves_an_error_behind(small):
    """What was mistyped is over once somebody sets what he means."""
    found = rk.explore(small)
    found.frame.end.value = "soon"
    assert "error" in found.frame.banner.value
    found.window = rk.Window("00:00", "00:10")

    assert found.error is None
    assert "recorded" in found.frame.banner.value
    assert found.frame.end.value == "2026-01-01T00:10:00Z"


def test_a_table_of_one_result_never_passes_for_that_of_a_later_one(small, counting, monkeypatch):
    """An old result is freed, and a new one may lie where it lay; here all do."""
    for module in ("explorer", "pages", "tables"):
        monkeypatch.setattr(f"replaykit.widgets.{module}.id", lambda _: 1, raising=False)
    found = rk.explore(small, counting, window=rk.Window("00:00", "00:10"))
    found.replay()
    before = found.pages.tables["Actions"].total
    found.reconciler.rule("none", key=["n"])(lambda state, now: [rk.Action("none", n=-1)])
    found.replay()

    assert found.pages.tables["Actions"].total == before + 1
    assert len(grid(found)._frame) == before + 1


def test_a_click_replays_the_window_with_the_ticks_chosen(small, counting):
    """What the explorer holds afterwards is the ordinary result of the ordinary call."""
    found = rk.explore(small, counting, params={"least": 1}, on_error="undo")
    found.frame.start.value = "2026-01-01T00:10:00.000001Z"
    found.frame.ticks.value = "event"
    found.frame.running.button.click()

    again = pasted(found.code, small=small, counting=counting)
    assert "00:10:00.000001Z" in found.code
    pd.testing.assert_frame_equal(again, views.actions(found.run))
    assert found.run.reconciler.params == {"least": 1}
    assert found.run.settings["ticks"].mode == "event"
    assert found.pages.widget.titles[:2] == (f"Actions ({len(found.run.actions)})", "State diff (19)")


def test_changed_ticks_make_a_result_stale_until_it_is_replayed(small, counting):
    """Not only the window is a control."""
    found = rk.explore(small, counting, ticks=timedelta(seconds=30))
    found.replay()
    found.frame.ticks.value = "event"
    assert found.stale
    found.frame.running.button.click()
    assert not found.stale


def test_a_handler_that_raises_is_one_sentence_and_the_old_result_stays_stale(small, counting):
    """The person sees which handler and event; `error` holds the rest."""
    found = rk.explore(small, counting, window=rk.Window("00:00", "00:10"))
    found.replay()

    @found.reconciler.apply("tock")
    def broken(state, event):
        raise KeyError("<b>sku</b>")

    found.window = small.span
    found.frame.running.button.click()

    assert "broken raised KeyError" in found.frame.banner.value
    assert "<b>sku" not in found.frame.banner.value
    assert "KeyError" in found.frame.details.text
    assert isinstance(found.error.__cause__, KeyError)
    assert found.stale
    assert not found.frame.running.button.disabled
    with pytest.raises(rk.ReconcilerError, match="broken"):
        found.replay()


def test_unreadable_ticks_are_said_in_the_explorer(small, counting):
    """A free text field takes anything."""
    found = rk.explore(small, counting)
    found.frame.ticks.value = "now and then"

    assert "expected &#x27;end&#x27;" in found.frame.banner.value
    found.frame.ticks.value = "5s"
    assert found.error is None


def test_an_interrupt_is_said_and_leaves_the_explorer_usable(small, counting):
    """Ctrl-C reaches the callback of a widget like any other cell."""
    found = rk.explore(small, counting)

    @found.reconciler.apply("tick")
    def stopped(state, event):
        raise KeyboardInterrupt

    found.frame.running.button.click()

    assert "KeyboardInterrupt" in found.frame.banner.value
    assert not found.frame.running.button.disabled


def test_a_cancelled_replay_leaves_the_result_that_was_there(explorer):
    """And says so."""
    before = explorer.run
    explorer._fail(Cancelled())

    assert explorer.run is before
    assert "cancelled" in explorer.frame.banner.value
    assert repr(before) in explorer.frame.banner.value


def test_the_cost_is_said_before_it_is_paid(explorer):
    """Inputs and ticks of the window."""
    assert "ticks" in explorer.frame.running._estimate.sentence()
    assert explorer.frame.running._estimate.ticks == len(explorer.run.settings["ticks"].recorded)


def test_a_run_made_elsewhere_can_be_looked_at_and_its_code_repeats_it():
    """`run` is a plain value, to be set as well."""
    run = rk.replay(town(), gastown, WINDOW, ticks="recorded", actions="recorded", base=town().snapshot(3))
    found = opened(window=None)
    found.run = run

    assert found.window == WINDOW
    assert not found.stale
    assert "base=town.snapshot(3)" in found.code
    pd.testing.assert_frame_equal(pasted(found.code), views.actions(run))


def test_a_run_of_another_recording_is_refused(small, counting):
    """Events and marks would be of two worlds."""
    found = rk.explore(small, counting)
    with pytest.raises(rk.QueryError, match="another recording"):
        found.run = rk.replay(town(), gastown, WINDOW, ticks="recorded", actions="recorded")
    with pytest.raises(rk.QueryError, match="no rules"):
        rk.explore(small).replay()


def test_setting_a_window_outside_the_recording_raises(small):
    """From Python an error is an exception."""
    with pytest.raises(rk.WindowError, match="outside the recording"):
        rk.explore(small).window = rk.Window("2027-01-01", "2027-01-02")


def test_an_empty_recording_gives_an_explorer_that_says_so():
    """Not a traceback."""
    with rk.load(pd.DataFrame({"at": pd.Series([], dtype="str"), "kind": []}), time="at", kind="kind") as recording:
        found = rk.explore(recording)

        assert "no events" in found.frame.banner.value
        assert repr(found) == "Explorer(no events)"
        assert found.code == "recording.report\n"
        assert "no events" in found._repr_mimebundle_()["text/html"]
        with pytest.raises(rk.WindowError, match="no events"):
            _ = found.window


def test_one_single_event_is_a_window_too():
    """A recording of one microsecond has one bar."""
    frame = pd.DataFrame({"at": ["2026-01-01T00:00Z"], "kind": ["a"]})
    with rk.load(frame, time="at", kind="kind", id=False, payload=False) as recording:
        assert rk.explore(recording).pages.tables["Events"].total == 1


def test_text_and_html_are_fixed_and_say_what_is_shown(small, counting):
    """A notebook without a kernel shows them, and nbval compares them."""
    bundles = []
    for _ in range(2):
        found = rk.explore(small, counting, window=rk.Window("00:00", "00:10"), ticks=timedelta(seconds=30))
        found.replay()
        bundles.append(found._repr_mimebundle_())

    assert bundles[0]["text/html"] == bundles[1]["text/html"]
    window = "Window('2026-01-01T00:00:00Z', '2026-01-01T00:10:00Z')"
    told = "Replay(10 events, 50 actions, 0 violations, unverified)"
    assert bundles[0]["text/plain"] == f"Explorer({window}, 'Actions', {told})"
    assert "application/vnd.jupyter.widget-view+json" in bundles[0]
    assert "timedelta(seconds=30)" in bundles[0]["text/html"]
    assert pasted(found.code, small=small, counting=counting) is not None


def test_the_code_uses_the_callers_names_and_general_words_for_what_has_none(small, counting):
    """Pasted code must run where the explorer was made."""
    assert "views.events(small" in rk.explore(small).code
    assert "    small,\n    counting,\n" in rk.explore(small, counting).code
    unnamed = [small]
    assert "views.events(recording" in _explored(unnamed)
    run = unnamed[0]
    assert "views.events(run" not in _of_its_own_name(run)
    assert "views.events(mine" in rk.explore(small, names=("mine", "")).code


def _of_its_own_name(run):
    return rk.explore(run).code


def _explored(recordings):
    return rk.explore(recordings[0]).code


def test_every_control_says_what_it_is(explorer):
    """To who hovers, and to a screen reader."""
    waiting, silent = [explorer.widget], []
    while waiting:
        one = waiting.pop()
        waiting += getattr(one, "children", ())
        boxes = {"HBox", "VBox", "HTML", "Tab", "Accordion", "ITable"}
        if "tooltip" in one.trait_names() and "part" not in one.trait_names() and type(one).__name__ not in boxes:
            silent += [] if one.tooltip else [one]

    assert silent == []


def test_expressions_call_nothing_but_what_they_name(explorer):
    """They are evaluated, so a name in them must not reach further."""
    text = expression("Events", explorer.choice, "town")
    with pytest.raises(NameError):
        evaluated(f"[{text}, open]", town(), None, "town")


def test_no_sql_inside_widgets(repository):
    """A widget is a way to make a value: questions belong to functions one can call without it."""
    words = ("SELECT ", "FROM ", "sql(", "_fetch(", "_frame(", "_arrow(")
    for path in (repository / "replaykit" / "widgets").glob("*.py"):
        text = path.read_text()
        strings = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
        assert not [word for word in words if word in text and word[-1] == "("], path
        assert not [text for text in strings if isinstance(text, str) and any(word in text for word in words[:2])], path


def test_the_explorer_is_not_needed_to_import_the_rest():
    """Ipywidgets is an extra."""
    assert Explorer is type(rk.explore(town(), window=WINDOW))
