"""The panel without a browser: set a trait, click, read the value."""

from __future__ import annotations

import ast
from datetime import timedelta

import pandas as pd
import pytest

import replaykit as rk
from replaykit.glance import glance
from replaykit.widgets.panel import Panel


def _recording(rows=30, **options):
    times = pd.date_range("2026-01-01T00:00", periods=rows, freq="1min")
    frame = pd.DataFrame(
        {"at": times, "kind": ["tick", "tock"] * (rows // 2) + ["tick"] * (rows % 2), "n": range(rows)}
    )
    return rk.load(frame, time="at", kind="kind", id=False, payload=False, **options)


@pytest.fixture(scope="module")
def recording():
    """Thirty events, a minute apart."""
    with _recording() as made:
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


def test_a_click_replays_the_window_the_controls_show(recording, counting):
    """What the panel holds afterwards is the ordinary result of the ordinary call."""
    panel = rk.panel(recording, counting)
    panel.window = rk.Window("00:10", "00:20")
    panel.controls.button.click()

    expected = rk.replay(recording, counting, rk.Window("00:10", "00:20"))
    pd.testing.assert_frame_equal(panel.run.actions, expected.actions)
    assert panel.controls.tabs.titles[:3] == ("Actions (10)", "Diff (10)", "Violations (0)")
    assert "unverified" in panel.controls.banner.value


def test_the_code_gives_the_same_result(recording, counting):
    """A choice made by hand must be repeatable without the hand, microseconds included."""
    panel = Panel(recording, counting, params={"least": 1}, on_error="undo")
    panel.controls.start.value = "2026-01-01T00:10:00.000001Z"
    panel.controls.ticks.value = "event"
    panel.controls.button.click()

    names = {"recording": recording, "reconciler": counting}
    exec(panel.code, names)
    assert names["run"].window == panel.window
    assert "00:10:00.000001Z" in panel.code
    pd.testing.assert_frame_equal(names["run"].actions, panel.run.actions)
    assert names["run"].reconciler.params == {"least": 1}


def test_the_slider_moves_in_whole_bars_at_round_times(recording, counting):
    """What is read off the slider is easy to write down."""
    panel = Panel(recording, counting)
    panel.controls.slider.value = (panel.controls.slider.max // 2, panel.controls.slider.max)

    assert panel.window.start.second % 15 == 0
    assert panel.window.end == recording.span.end
    assert panel.controls.start.value == panel.window.start.isoformat() + "Z"


def test_two_ends_on_one_place_choose_one_bar(recording):
    """A window is never empty, so the smallest choice is one bar."""
    panel = Panel(recording)
    for place in (0, panel.controls.slider.max):
        panel.controls.slider.value = (place, place)
        assert panel.window.end > panel.window.start


def test_a_typed_window_keeps_its_microseconds_and_moves_the_slider(recording):
    """The slider shows the bars a window touches, and must not round what was typed."""
    panel = Panel(recording)
    panel.controls.end.value = "00:02:00.000001"

    assert panel.window == rk.Window("2026-01-01T00:00", "2026-01-01T00:02:00.000001")
    assert panel.controls.slider.value[0] == 0
    assert panel.controls.slider.value[1] < panel.controls.slider.max


@pytest.mark.parametrize(
    ("end", "message"),
    [("", "is empty"), ("soon", "can&#x27;t be read"), ("2025-01-01", "is after end"), ("00:00", "equals end")],
)
def test_an_unusable_time_is_said_in_the_panel_and_nothing_runs(recording, counting, end, message):
    """An exception in a callback is invisible in JupyterLab."""
    panel = Panel(recording, counting)
    before = panel.window
    panel.controls.end.value = end
    panel.controls.button.click()

    assert message in panel.controls.banner.value
    assert isinstance(panel.error, rk.WindowError)
    assert (panel.window, panel.run, panel.controls.button.disabled) == (before, None, True)


def test_a_mended_time_works_again(recording, counting):
    """An error is left as easily as it was entered."""
    panel = Panel(recording, counting)
    panel.controls.start.value = "soon"
    panel.controls.start.value = "00:05"

    assert panel.error is None
    assert not panel.controls.button.disabled


def test_an_old_result_under_new_controls_is_marked_stale(recording, counting):
    """And no longer, once the controls are back or the window is replayed."""
    panel = Panel(recording, counting)
    panel.controls.button.click()
    window = panel.window
    panel.controls.slider.value = (1, 2)
    assert panel.stale
    assert "stale" in panel.controls.banner.value
    panel.window = window
    assert not panel.stale
    panel.controls.ticks.value = "event"
    assert panel.stale
    panel.controls.button.click()
    assert not panel.stale


def test_a_handler_that_raises_is_one_sentence_and_the_old_result_stays_stale(recording, counting):
    """The person sees which handler and event; panel.error holds the rest."""
    panel = Panel(recording, counting, window=rk.Window("00:00", "00:10"))
    panel.controls.button.click()

    @panel.reconciler.apply("tock")
    def broken(state, event):
        raise KeyError("<b>sku</b>")

    panel.controls.slider.value = (0, panel.controls.slider.max)
    panel.controls.button.click()

    assert "broken raised KeyError" in panel.controls.banner.value
    assert "<b>sku" not in panel.controls.banner.value
    assert isinstance(panel.error.__cause__, KeyError)
    assert panel.stale
    assert not panel.controls.button.disabled


def test_unreadable_ticks_are_said_in_the_panel(recording, counting):
    """A free text field takes anything."""
    panel = Panel(recording, counting)
    panel.controls.ticks.value = "now and then"
    panel.controls.button.click()

    assert "expected &#x27;end&#x27;" in panel.controls.banner.value


def test_an_interrupt_is_said_and_leaves_the_panel_usable(recording, counting):
    """Ctrl-C reaches the callback of a widget like any other cell."""
    panel = Panel(recording, counting)

    @panel.reconciler.apply("tick")
    def stopped(state, event):
        raise KeyboardInterrupt

    panel.controls.button.click()

    assert "KeyboardInterrupt" in panel.controls.banner.value
    assert not panel.controls.button.disabled


def test_without_a_reconciler_it_shows_events_kinds_and_what_is_unexplained(recording):
    """Most people have no reconciler at first."""
    panel = Panel(recording, window=rk.Window("00:00", "00:10"))
    panel.controls.button.click()

    assert panel.controls.button.description == "Look"
    assert panel.run is None
    assert panel.controls.tabs.titles == ("Events (10)", "Kinds (2)", "Unexplained", "Copy as code")
    assert "at least two snapshots" in panel.controls.tabs.children[2].value
    assert len(eval(panel.code.splitlines()[-1], {"recording": recording, "glance": glance, "rk": rk})) == 10


def test_hostile_text_is_escaped_everywhere(tmp_path):
    """An event may hold markup; an HTML widget would run it."""
    frame = pd.DataFrame({"at": ["2026-01-01T00:00Z", "2026-01-01T00:01Z"], "kind": ["<img src=x onerror=a()>", "b"]})
    with rk.load(frame, time="at", kind="kind", id=False, payload=False) as recording:
        panel = Panel(recording)
        panel.controls.button.click()

        shown = [child.value for child in panel.controls.tabs.children[:3]]
        assert not any("<img" in text for text in [*shown, panel._repr_mimebundle_()["text/html"]])
        assert "&lt;img" in shown[0]


def test_zoom_spreads_the_window_over_the_slider_and_back(recording):
    """A slider has some hundred places; a window of a second in a day needs all of them."""
    panel = Panel(recording, window=rk.Window("00:10", "00:11"))
    coarse = panel.controls.slider.value
    panel.controls.zoom_in.click()
    fine = panel.controls.slider.value
    panel.controls.zoom_out.click()

    assert fine == (0, 120)
    assert (panel.controls.slider.value, panel.window) == (coarse, rk.Window("2026-01-01T00:10", "2026-01-01T00:11"))


def test_a_window_outside_the_slider_zooms_out(recording):
    """Controls and window never contradict each other."""
    panel = Panel(recording, window=rk.Window("00:10", "00:11"))
    panel.controls.zoom_in.click()
    panel.window = rk.Window("00:20", "00:21")

    assert panel.controls.slider.value[1] < 120


def test_setting_a_window_outside_the_recording_raises(recording):
    """From Python an error is an exception."""
    with pytest.raises(rk.WindowError, match="outside the recording"):
        Panel(recording).window = rk.Window("2027-01-01", "2027-01-02")


def test_an_empty_recording_gives_a_panel_that_says_so():
    """Not a traceback from a slider without a range."""
    with rk.load(pd.DataFrame({"at": pd.Series([], dtype="str"), "kind": []}), time="at", kind="kind") as recording:
        panel = Panel(recording)
        panel.controls.button.click()

        assert "no events" in panel.controls.banner.value
        assert panel.controls.slider.disabled
        assert repr(panel) == "Panel(no events)"
        assert "no events" in panel._repr_mimebundle_()["text/html"]


def test_one_single_event_is_a_window_too():
    """A recording of one microsecond has one bar."""
    with _recording(rows=1) as recording:
        panel = Panel(recording)

        assert (panel.controls.slider.max, panel.controls.slider.value) == (1, (0, 1))


def test_text_and_html_are_fixed_and_say_what_is_shown(recording, counting):
    """A notebook without a kernel shows them, and nbval compares them."""
    bundles = []
    for _ in range(2):
        panel = Panel(recording, counting, window=rk.Window("00:00", "00:10"), ticks=timedelta(seconds=30))
        panel.controls.button.click()
        bundles.append(panel._repr_mimebundle_())

    assert bundles[0]["text/html"] == bundles[1]["text/html"]
    window = "Window('2026-01-01T00:00:00Z', '2026-01-01T00:10:00Z')"
    assert bundles[0]["text/plain"] == f"Panel({window}, Replay(10 events, 50 actions, 0 violations, unverified))"
    assert "application/vnd.jupyter.widget-view+json" in bundles[0]
    assert "ticks=&#x27;30s&#x27;" in bundles[0]["text/html"]


def test_every_control_says_what_it_is(recording, counting):
    """Slider handles have no name for a screen reader; a tooltip and the typed twins do."""
    controls = vars(Panel(recording, counting).controls)
    silent = [
        name for name, one in controls.items() if hasattr(one, "tooltip") and name not in ("banner", "strip", "about")
    ]

    assert [name for name in silent if not controls[name].tooltip and name != "tabs"] == []


def test_no_sql_inside_widgets(repository):
    """A widget is a way to make a value: questions belong to functions one can call without it."""
    words = ("SELECT ", "FROM ", "sql(", "_fetch(", "_frame(", "_arrow(")
    for path in (repository / "replaykit" / "widgets").glob("*.py"):
        strings = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        assert not [word for word in words if word in path.read_text() and word[-1] == "("], path
        assert not [text for text in strings if isinstance(text, str) and any(word in text for word in words[:2])], path
