"""Hostile event texts in everything a person may look at: nothing acts, nothing is endless, nothing hides."""

from __future__ import annotations

import unicodedata

import hostile
import pandas as pd
import pytest

import replaykit as rk
from replaykit.display import show_text, show_value, table_html, table_text
from replaykit.divergence import divergence_of
from replaykit.focus import Focus
from replaykit.glance import glance
from replaykit.widgets.grid import Grid

TEXTS = [name for name in hostile.CORPUS if name != "surrogate"]
MARKUP = hostile.CORPUS["handler"]
HUGE = hostile.CORPUS["huge"]
AT = "2026-01-01T00:00:30Z"


def counting():
    """Return a reconciler that writes every text into its state, acts on it, and calls it a breach."""
    texts = hostile.frame(TEXTS)
    made = rk.Reconciler("<b>counting</b>", {"things": rk.Table(key="id", id="VARCHAR", note="VARCHAR")})

    @made.apply(*sorted(set(texts["kind"])))
    def seen(state, event):
        if event["note"] == "%s":
            raise KeyError(event["note"])
        state["things"].upsert(id=event.id, note=event["note"])

    @made.rule("act", key=["target"])
    def act(state, now):
        yield from (rk.Action(row["note"][:200] or "none", target=row["id"]) for row in state["things"].find())

    made.invariant("bad", "SELECT id, note FROM things", key="id")
    return made


@pytest.fixture(scope="module")
def world():
    """A recording with every text everywhere, its replay, and all that can be shown of them, by name."""
    texts = hostile.frame(TEXTS)
    things = pd.DataFrame({"id": texts["id"], "note": texts["note"]})
    actions = pd.DataFrame({"at": AT, "kind": texts["kind"], "target": texts["id"], "tick": 1})
    snapshots = [
        rk.Snapshot({"things": things.head(10)}, at="2026-01-01T00:00:10Z"),
        rk.Snapshot({"things": things.assign(note=things["note"] + MARKUP)}, at="2026-01-01T00:00:50Z"),
    ]
    with hostile.recording(
        TEXTS,
        snapshots=snapshots,
        keys={"things": "id"},
        actions=rk.Log(actions, time="at", kind="kind", payload=False),
    ) as recording:
        yield recording, dict(everything(recording))


def everything(recording):
    """Give each thing a person may look at."""
    run = rk.replay(recording, counting(), recording.span, base="empty", on_error="keep")
    yield "recording", recording
    yield "report", recording.report
    yield "replay", run
    yield "diff", run.diff
    yield "diff of snapshots", rk.diff(recording.snapshot(0), recording.snapshot(1))
    yield "verdict", run.verdict
    yield "violations", run.violations
    yield "muted violations", run.violations.mute(lambda row: MARKUP in str(row["entity"]), HUGE)
    yield "story", recording.story(hostile.frame(["handler"])["id"][0].replace("0 ", f"{TEXTS.index('handler')} ", 1))
    yield "story of a huge name", recording.story(f"{TEXTS.index('huge')} {HUGE}")
    yield "episodes", recording.episodes("actions", key="kind")
    yield "episodes of columns", recording.episodes("events", key=[MARKUP])
    yield "glance", glance(recording)
    yield "unexplained", recording.unexplained()
    yield "check", recording.check(MARKUP, "SELECT id, note FROM things", key="id")
    yield "history", run.history("things", f"{TEXTS.index('handler')} {MARKUP}")
    yield "moment", run.after
    yield "verification", rk.verify(recording, counting(), actions="collect")
    traced = rk.replay(recording, counting(), recording.span, base="empty", ticks="recorded", on_error="keep")
    yield "divergence", divergence_of(traced)


NAMES = [
    *"recording report replay diff verdict violations story episodes glance unexplained check history moment".split(),
    *"verification divergence".split(),
    *("diff of snapshots", "muted violations", "story of a huge name", "episodes of columns"),
]


@pytest.mark.parametrize("name", NAMES)
def test_html_holds_no_markup_of_the_corpus_and_is_bounded(world, name):
    """A notebook is opened by people who did not run it, on hosts that trust its outputs."""
    html = world[1][name]._repr_html_()

    assert hostile.Found(html).marked == []
    assert 0 < len(html) < 300_000


@pytest.mark.parametrize("name", NAMES)
def test_plain_text_is_bounded_and_hides_nothing(world, name):
    """A terminal obeys escapes, and direction marks turn what a log says."""
    shown = world[1][name]
    for text in (repr(shown), str(shown)):
        assert 0 < len(text) < 20_000
        if name not in {"violations", "muted violations"}:  # pandas' own
            assert hidden(text) == []


def hidden(text):
    """Return the characters that are not shown as what they are."""
    return [ascii(one) for one in text if one != "\n" and unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


def test_frames_are_shown_whole_by_our_tables_and_escaped_by_pandas(world):
    """The last line of a cell is often `recording.events`."""
    recording, _ = world
    for frame in (recording.events, recording.kinds, recording.log("actions"), recording.rejects):
        html, text = table_html(frame), table_text(frame)
        assert hostile.Found(html).marked == hostile.Found(frame._repr_html_()).marked == []
        assert hidden(text) == []
        assert len(html) < 300_000
        assert len(text) < 100_000


def test_an_explorer_and_its_views_hold_no_markup_of_the_corpus(world):
    """An HTML widget runs what it is given, and DataTables writes cells as HTML."""
    recording, _ = world
    for reconciler in (None, counting()):
        given = {"base": "empty", "on_error": "keep"} if reconciler else {}
        explorer = rk.explore(recording, reconciler, names=("recording", "reconciler"), **given)
        if reconciler is not None:
            explorer.replay()
        explorer.focus = Focus(entity=f"{TEXTS.index('handler')} {MARKUP}", event=f"{TEXTS.index('huge')} {HUGE}")
        explorer.frame.filters["text"].value = ""
        for view in explorer.pages.views:
            explorer.view = view
            assert explorer.error is None
            table = explorer.pages.tables[view].grid.table
            bundle = explorer._repr_mimebundle_()
            sent = [] if table is None else [table._dt_args["data_json"], table._dt_args["table_html"]]
            for html in [bundle["text/html"], *sent, *hostile.shown_by(explorer.widget)]:
                assert hostile.Found(html).marked == []
                assert len(html) < 300_000
            assert hidden(bundle["text/plain"]) == []


def test_a_grid_sends_no_markup_of_the_corpus(world):
    """DataTables writes cells as HTML."""
    grid = Grid(MARKUP, first=[MARKUP])
    grid.show(world[0].events, more=MARKUP)
    sent = [grid.caption.value, grid.table._dt_args["data_json"], grid.table._dt_args["table_html"]]

    assert [hostile.Found(html).marked for html in sent] == [[], [], []]
    assert sum(map(len, sent)) < 300_000


def test_errors_hold_what_was_wrong_within_bounds(world):
    """A message with a megabyte in it hides what it says; one with an escape obeys it."""
    recording, shown = world
    asked = [
        lambda: recording.story(HUGE + "\x1b[31m"),
        lambda: recording.columns(HUGE + "\x1b[31m"),
        lambda: recording.log(HUGE + "\x1b[31m"),
        lambda: recording.episodes(HUGE + "\x1b[31m"),
        lambda: recording.episodes("events", key=HUGE + "\x1b[31m"),
        lambda: rk.diff(recording.snapshot(0), recording.snapshot(1))[HUGE],
        lambda: recording.unexplained(HUGE),
        lambda: recording.check("x", "SELECT 1 AS id", key=HUGE, over="snapshots"),
        lambda: rk.Window(HUGE, HUGE),
        lambda: shown["replay"].history("things", HUGE),
        lambda: shown["replay"].history(HUGE, "x"),
        lambda: shown["replay"].violations.mute(HUGE),
        lambda: table_html(recording.events, columns=[HUGE]),
    ]
    for number, ask in enumerate(asked):
        with pytest.raises(rk.ReplayKitError) as raised:
            ask()
        assert len(str(raised.value)) < 3000, number
        assert hidden(str(raised.value)) == [], number


@pytest.mark.parametrize("name", hostile.CORPUS)
def test_a_value_is_short_text_on_one_line(name):
    """Every table goes through these two."""
    text = hostile.CORPUS[name]
    for shown in (show_text(text), show_value(text), show_value([text]), show_value({text: text})):
        assert len(shown) <= 120
        assert hidden(shown) == []
        shown.encode()


@pytest.mark.parametrize("name", [name for name, text in hostile.CORPUS.items() if "<" in text and "&lt" not in text])
def test_the_parser_would_notice_a_text_that_is_not_escaped(name):
    """Otherwise all of this could be green for nothing."""
    assert hostile.Found(f"<table><tr><td>{hostile.CORPUS[name][:1000]}</td></tr></table>").marked


def test_the_parser_would_notice_an_attribute_that_is_not_escaped():
    """A quote is enough to leave an attribute."""
    text = hostile.CORPUS["handler that leaves an attribute"]

    assert hostile.Found(f'<td title="{text}">').marked
    assert hostile.Found(f'<a href="{hostile.CORPUS["address"]}">').marked
    assert hostile.Found('<td style="color:red">text</td>').marked == []
    assert hostile.Found("<td>text</td></table>").marked == ["</table>"]


def test_half_a_surrogate_pair_is_rejected_and_the_rest_is_loaded(tmp_path):
    """JSON can spell what no text can hold."""
    path = tmp_path / "events.ndjson"
    path.write_text(
        '{"at": "2026-01-01T00:00:00Z", "kind": "ok"}\n{"at": "2026-01-01T00:00:01Z", "kind": "high \\ud800"}\n'
    )
    with rk.load(path, time="at", kind="kind", id=False, payload=False) as recording:
        assert recording.events["kind"].tolist() == ["ok"]
        assert recording.rejects["place"].tolist() == [2]
