"""The time brush without a browser: what a hand asks for, what Python answers, and where each key leads."""

from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from samples import some

import replaykit as rk
from replaykit.histogram import Histograms
from replaykit.instants import ends_of, micros, moment
from replaykit.widgets.bars import looks
from replaykit.widgets.brush import TimeBrush
from replaykit.widgets.moves import KEYS, Ground, clipped, moved

BASE = micros(datetime(2026, 1, 1))
MINUTE = 60_000_000
HOSTILE = ["<script>alert(1)</script>", "\x1b[31mred", "\u202eright to left", "$x$", "a\nb", "x" * 10_000, ""]


def load(times, kinds=("a", "b"), **options):
    """Return a recording of events at these microseconds, their kinds in turn."""
    names = [kinds[number % len(kinds)] for number in range(len(times))]
    frame = pd.DataFrame({"at": [moment(at).isoformat() for at in times], "kind": names})
    return rk.load(frame, time="at", kind="kind", **options)


@pytest.fixture(scope="module")
def recording():
    """Thirty events, a minute apart."""
    with load([BASE + number * MINUTE for number in range(30)]) as made:
        yield made


@pytest.fixture
def brush(recording):
    """A brush on minutes 10 to 20."""
    made = TimeBrush(recording)
    made.window = rk.Window("00:10", "00:20")
    return made


def ask(brush, do, **content):
    """Do what the browser does."""
    brush._received(brush, {"do": do, "seq": "1-1", **content}, [])
    return brush.window


def drag(brush, start, end, part="new", *, done=True):
    """Drag to a window of these microseconds."""
    return ask(brush, "window", start=str(start), end=str(end), part=part, done=done)


def press(brush, key, part="both", **content):
    """Press a key."""
    return ask(brush, "key", key=key, part=part, **content)


def at(brush):
    """Return the window as minutes since the start."""
    return tuple((one - BASE) / MINUTE for one in ends_of(brush.window))


def test_it_begins_with_the_whole_recording(recording):
    """Seen at once: every event, at round times."""
    brush = TimeBrush(recording)

    assert brush.window == recording.span
    assert brush.counted == sum(kind["events"] for kind in brush.bins["kinds"]) == 30
    assert all(edge % brush.bins["width"] == 0 for edge in ends_of(brush.view))
    assert repr(brush) == "TimeBrush(Window('2026-01-01T00:00:00Z', '2026-01-01T00:29:00.000001Z'))"


def test_the_browser_gets_texts_that_are_exact(brush):
    """Its numbers hold whole microseconds only until the year 2255."""
    state = brush.get_state(["window", "span", "view", "limits", "focus"])
    assert state["window"] == [str(BASE + 10 * MINUTE), str(BASE + 20 * MINUTE)]
    with load([micros(datetime(9999, 12, 31)) + 1, micros(datetime(9999, 12, 31)) + 3]) as late:
        far = TimeBrush(late)
        assert far.get_state(["window"])["window"] == ["253402214400000001", "253402214400000004"]
        press(far, "Home", "end")
        assert far.counted == 1


def test_a_window_set_in_python_is_kept_to_the_microsecond(brush):
    """Even beyond the recording, since ticks are counted from a window's start."""
    brush.window = rk.Window("2025-12-31T23:59:59.999999", "2026-01-01T00:05")
    assert brush.window.start == datetime(2025, 12, 31, 23, 59, 59, 999_999)
    assert (brush.counted, brush.limits.start <= brush.window.start) == (5, True)
    assert ends_of(brush.view)[0] <= ends_of(brush.window)[0]


def test_a_window_that_cannot_be_is_an_error_in_python(brush):
    """And the old one stays; None is the whole recording, as everywhere."""
    with pytest.raises(rk.WindowError, match="outside the recording"):
        brush.window = rk.Window("2027-01-01", "2027-01-02")
    assert at(brush) == (10, 20)
    brush.window = None
    assert brush.window == brush.span


def test_drags_are_clamped_and_never_empty(brush):
    """Whatever the browser sends."""
    assert ends_of(drag(brush, BASE - 10**15, BASE + MINUTE)) == (ends_of(brush.limits)[0], BASE + MINUTE)
    assert ends_of(drag(brush, BASE + 9, BASE + 5, "start")) == (BASE + 4, BASE + 5)
    assert ends_of(drag(brush, BASE + 9, BASE + 5, "end")) == (BASE + 9, BASE + 10)
    assert ends_of(drag(brush, BASE + 5, BASE + 5)) == (BASE + 5, BASE + 6)


@pytest.mark.parametrize(
    ("key", "part", "expected"),
    [
        ("ArrowRight", "start", (11, 20)),
        ("ArrowLeft", "start", (9, 20)),
        ("ArrowUp", "end", (10, 21)),
        ("ArrowDown", "end", (10, 19)),
        ("ArrowRight", "both", (11, 21)),
        ("PageUp", "start", (19.000000016666668, 29.000000016666668)),
        ("PageDown", "both", (0, 10)),
        ("Home", "both", (0, 10)),
        ("Home", "start", (0, 20)),
        ("End", "start", (19, 20)),
        ("Home", "end", (10, 11)),
        ("End", "end", (10, 29 + 1 / MINUTE)),
    ],
)
def test_each_key_has_its_move(brush, key, part, expected):
    """As for any slider, with events as steps."""
    if key == "PageUp":
        brush.window = rk.Window("00:09:00.000001", "00:19:00.000001")
        expected = (19 + 1 / MINUTE, 29 + 1 / MINUTE)
    press(brush, key, part)
    assert at(brush) == pytest.approx(expected, abs=1e-9)
    assert brush.counted == sum(expected[0] <= number < expected[1] for number in range(30))
    assert (brush.problem, brush.seen) == ("", "1-1")


def test_shift_moves_to_the_next_edge_of_a_bin(brush):
    """What is seen as a bar is a step."""
    width = brush.bins["width"]
    brush.window = rk.Window("00:10:00.5", "00:20")
    assert ends_of(press(brush, "ArrowRight", "start", shift=True))[0] == BASE + 10 * MINUTE + width
    assert ends_of(press(brush, "ArrowLeft", "start", shift=True))[0] == BASE + 10 * MINUTE


def test_keys_that_came_while_python_was_busy_are_all_obeyed(brush):
    """The browser sends them together."""
    assert press(brush, "ArrowRight", "end", times=5).end.minute == 25


@settings(max_examples=some(8), phases=[Phase.generate])  # a recording for each: shrinking would take minutes
@given(
    gaps=st.lists(st.sampled_from([0, 0, 1, 2, 999_999, MINUTE, 10**13]), min_size=2, max_size=30),
    data=st.data(),
)
def test_an_arrow_changes_the_window_by_exactly_the_events_of_one_instant(gaps, data):
    """In bursts, at ties and over years; and the opposite arrow undoes it."""
    times = [BASE + sum(gaps[: number + 1]) for number in range(len(gaps))]
    first, last = times[0], times[-1] + 1
    with load(times) as recording:
        ground = Ground(Histograms(recording), (first, last), (first - 1_000, last + 1_000), 1_000)

        for _ in range(20):
            places = sorted({data.draw(st.sampled_from(times)) + data.draw(st.integers(-2, 2)) for _ in range(2)})
            start, end = clipped(places[0], places[-1], ground.limits, "end")
            part, key = data.draw(st.sampled_from(["start", "end"])), data.draw(st.sampled_from(KEYS[:2]))
            new = moved((start, end), part, key, ground)
            before, after = ({one for one in times if a <= one < b} for a, b in ((start, end), new))
            assert ground.limits[0] <= new[0] < new[1] <= ground.limits[1]
            assert len(before ^ after) <= 1
            shrinks = (part == "start") == (key == "ArrowRight")
            beyond = [one for one in times if (one < start if part == "start" else one >= end)]
            if len(before) > 1 if shrinks else beyond:
                assert len(before ^ after) == 1
            back = moved(new, part, KEYS[1 - KEYS.index(key)], ground)
            if start in times[1:-1] and end in times[1:-1] and new[0] != end - 1 and new[1] != start + 1:
                assert back == (start, end)


@settings(max_examples=200)
@given(
    ends=st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)),
    key=st.sampled_from([key for key in KEYS if key.startswith("Page")]),
)
def test_a_window_moved_as_a_whole_keeps_its_length(ends, key):
    """At the edge it stops and does not shrink."""
    start, end = clipped(*ends, (0, 1_000), "end")
    new = moved((start, end), "both", key, Ground(None, (0, 1_000), (0, 1_000), 10))
    assert new[1] - new[0] == end - start
    assert 0 <= new[0] < new[1] <= 1_000


def test_followers_hear_of_every_move_and_of_the_end_of_a_drag(brush):
    """So that what is costly can wait for it."""
    heard = []
    brush.observe_window(lambda window: heard.append((window.end.minute, brush.moving)))
    drag(brush, BASE, BASE + 5 * MINUTE, done=False)
    drag(brush, BASE, BASE + 5 * MINUTE, done=True)
    brush.window = rk.Window("00:01", "00:02")
    assert heard == [(5, True), (5, False), (2, False)]


def test_what_a_follower_or_a_request_raises_is_shown_until_the_next_request(brush):
    """And the window has moved all the same, and the browser has its answer."""

    def fail(window):
        raise ValueError("no\x1b such thing")

    brush.observe_window(fail)
    assert press(brush, "ArrowRight", "end").end.minute == 21
    assert brush.problem == "ValueError: no\\x1b such thing"
    assert isinstance(brush.error, ValueError)
    brush._followers.clear()
    press(brush, "x")
    assert "takes the keys" in brush.problem
    brush._received(brush, {"do": "nothing"}, [])
    assert brush.problem.startswith("KeyError")
    press(brush, "ArrowRight")
    assert (brush.problem, brush.error) == ("", None)


def test_zoom_shows_the_window_and_the_view_follows_the_keys(brush):
    """Nobody moves a handle that cannot be seen."""
    ask(brush, "zoom", how="window")
    left, right = ends_of(brush.view)
    assert left < BASE + 10 * MINUTE < BASE + 20 * MINUTE < right < BASE + 22 * MINUTE
    press(brush, "ArrowRight", "end", times=4)
    assert ends_of(brush.view)[1] > ends_of(brush.window)[1] == BASE + 24 * MINUTE
    before = ends_of(brush.view)
    ask(brush, "zoom", how="earlier")
    assert ends_of(brush.view)[0] < before[0]
    ask(brush, "zoom", how="out")
    ask(brush, "zoom", how="all")
    assert brush.view == brush.limits
    brush.zoom(rk.Window("00:00:00.000001", "00:00:00.000002"))
    assert brush.bins["width"] == 1
    assert ends_of(brush.view)[0] <= BASE < ends_of(brush.view)[1]


def test_marks_are_binned_and_a_click_goes_to_the_nearest(brush):
    """Ten thousand are as cheap as ten."""
    brush.set_marks("violation", [moment(BASE + number * 100_000) for number in range(10_000)])
    brush.set_marks("mine", np.array(["2026-01-01T00:18:30", "NaT"], dtype="datetime64[us]"))
    (violations, mine) = brush.marks
    assert sum(number for _, number in violations["bins"]) == 10_000
    assert len(json.dumps(brush.marks)) < 5_000
    assert (mine["glyph"], mine["all"]) == ("◆", 1)
    ask(brush, "focus", at=str(BASE + 18 * MINUTE + 20_000_000), reach=str(MINUTE))
    assert brush.focus == datetime(2026, 1, 1, 0, 18, 30)
    ask(brush, "focus", at=str(BASE + 20 * MINUTE + 20_000_000), reach="1000")
    assert brush.focus == datetime(2026, 1, 1, 0, 20)
    brush.set_marks("mine", ())
    assert [mark["name"] for mark in brush.marks] == ["violation"]
    brush.focus = pd.Timestamp("2026-01-01T01:03+01:00")
    assert brush.get_state(["focus"])["focus"] == str(BASE + 3 * MINUTE)


def test_snapshots_logs_and_a_replay_are_marked(recording):
    """What the recording knows of itself, and what came of a replay."""
    snapshot = rk.Snapshot({"things": [{"id": 1}]}, at="2026-01-01T00:10")
    log = rk.Log([{"at": "2026-01-01T00:12", "kind": "close"}], time="at", kind="kind")
    times = [BASE + number * MINUTE for number in range(30)]
    rules = rk.Reconciler("rules", {"seen": rk.Table(key="n", n="BIGINT")})

    @rules.apply("a", "b")
    def seen(state, event):
        state["seen"].insert(n=event["position"])

    @rules.rule("one", key=["n"])
    def one(state, now):
        yield from (rk.Action("one", n=row["n"]) for row in state["seen"].find())

    with load(times, snapshots=[snapshot], actions=log) as made:
        brush = TimeBrush(made)
        assert [(mark["name"], mark["all"]) for mark in brush.marks] == [("snapshot", 1), ("recorded action", 1)]
        brush.run = rk.replay(recording, rules, rk.Window("00:00", "00:05"))
        assert brush.marks[-1]["name"] == "action"
        brush.run = None
        assert len(brush.marks) == 2


def test_names_of_kinds_cannot_harm(recording):
    """Escapes and directions are shown as such, and long names are cut; the browser makes text of the rest."""
    with load([BASE + number for number in range(len(HOSTILE))], HOSTILE) as made:
        names = [kind["name"] for kind in TimeBrush(made).bins["kinds"]]
    assert max(map(len, names)) <= 60
    assert not [name for name in names if not name.isprintable()]
    assert {"<script>alert(1)</script>", "\\x1b[31mred", "\\u202eright to left", "(no kind)"} <= set(names)


def test_a_script_makes_text_only(repository):
    """Nothing in it could turn a name into markup, and nothing is loaded from elsewhere."""
    script = (repository / "replaykit" / "widgets" / "explorer.js").read_text()
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "import ", "fetch(", "Escape"):
        assert word not in script, word
    assert script.count("http") == script.count("http://www.w3.org/2000/svg") == 1


def test_a_filter_leaves_colours_and_moves_arrows(recording):
    """An arrow stops at what is shown, and a kind keeps its colour."""
    brush = TimeBrush(recording)
    brush.filter(kinds=["b"])
    assert [(kind["name"], kind["look"], kind["events"]) for kind in brush.bins["kinds"]] == [("b", 1, 15)]
    assert press(brush, "ArrowRight", "start").start.minute == 3
    assert brush.counted == 14
    assert looks(["c", "h", "i"], list("abcdefghi")) == [2, 0, 1]


def test_an_empty_recording_says_so():
    """Not a traceback."""
    with rk.load(pd.DataFrame({"at": pd.Series([], dtype="str"), "kind": []}), time="at", kind="kind") as recording:
        brush = TimeBrush(recording)
        assert "no events" in brush.problem
        assert repr(brush) == "TimeBrush(no events)"
        brush.filter(text="x")
        brush.set_marks("x", ())
        press(brush, "Home")
        assert brush.problem
