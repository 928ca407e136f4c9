"""Swim-lanes: each bar is what the history says, and the table says what the picture does."""

from __future__ import annotations

import re
from collections import Counter

import pandas as pd
import pytest

import replaykit as rk
from replaykit.plots import Swimlanes, swimlanes
from replaykit.systems import gastown

MINUTES = 30
LANES = 55


def recording_of(rows):
    """Return a recording of ``(minute, kind, payload)``."""
    data = [{"at": f"2026-01-01T00:{minute:02}:00Z", "kind": kind, "data": payload} for minute, kind, payload in rows]
    return rk.load(data, time="at", kind="kind", id=False, payload="data")


def jobs():
    """Return rules that set and delete rows with a key of two parts."""
    made = rk.Reconciler("jobs", {"jobs": rk.Table(key=("site", "id"), site="VARCHAR", id="BIGINT", status="VARCHAR",
                                                   note="VARCHAR")})  # fmt: skip

    @made.apply("set")
    def put(state, event):
        state["jobs"].upsert(**event.payload)

    @made.apply("twice")
    def twice(state, event):
        state["jobs"].upsert(**{**event.payload, "status": "flicker"})
        state["jobs"].upsert(**event.payload)

    @made.apply("drop")
    def drop(state, event):
        state["jobs"].delete((event.payload["site"], event.payload["id"]))

    return made


def row(site, number, status, note=""):
    """Return a payload."""
    return {"site": site, "id": number, "status": status, "note": note}


STORY = [
    (0, "set", row("a", 1, "new")),
    (1, "set", row("a", 2, None)),
    (2, "set", row("a", 1, "new", "only the note changed")),
    (3, "set", row("a", 1, "busy")),
    (4, "twice", row("a", 1, "busy")),
    (5, "drop", row("a", 1, "")),
    (7, "set", row("a", 1, "busy")),
    (8, "set", row("b", 1, "new")),
    (9, "set", row("a", 1, "done")),
]


@pytest.fixture(scope="module")
def story():
    """Give a replay of a short story with every kind of change."""
    with recording_of(STORY) as recording:
        yield rk.replay(recording, jobs())


@pytest.fixture(scope="module")
def town(sample_data):
    """Give ten retraced minutes of the sample town."""
    with gastown.load_trace(sample_data / "gastown-incident") as recording:
        window = rk.Window("2026-03-26T14:20Z", "2026-03-26T14:30Z")
        yield rk.replay(recording, gastown, window, ticks="recorded", actions="recorded")


def lines(frame):
    """Return a frame's rows as lists, with a dash for what is missing."""
    return [["-" if pd.isna(cell) else cell for cell in line] for line in frame.astype(object).values.tolist()]


def at(minute):
    """Return a time of the story."""
    return pd.Timestamp(f"2026-01-01T00:{minute:02}")


def test_a_bar_is_a_stretch_of_one_value(story):
    """Other columns do not cut it, nor what stood within one step only; a row that was gone for a while does."""
    found = swimlanes(story, "jobs")

    assert lines(found.table) == [
        ["a/1", "new", at(0), at(3), 1, "set"],
        ["a/1", "busy", at(3), at(5), 4, "set"],
        ["a/1", "busy", at(7), at(9), 7, "set"],
        ["a/1", "done", at(9), "-", 9, "set"],
        ["a/2", "-", at(1), "-", 2, "set"],
        ["b/1", "new", at(8), "-", 8, "set"],
    ]
    assert found.changes == (("a/1", 5), ("a/2", 1), ("b/1", 1))
    assert dict(found.table.dtypes.astype(str)) == {
        "entity": "str", "value": "string", "from": "datetime64[us]", "to": "datetime64[us]", "from_step": "int64",
        "caused_by": "str",
    }  # fmt: skip


def folded(run, table, column, start, end):
    """Return the stretches that touch a window, read version by version from the history."""
    times = dict(zip(run.steps["step"], run.steps["applied_at"], strict=True))
    found = []
    for key, versions in run.history(table).groupby(list(run.history.keys[table]), sort=True):
        spans: list = []
        for one in versions.to_dict("records"):
            first, last = one["valid_from"], one["valid_to"]
            if first == last:
                continue
            if spans and spans[-1][1] == one[column] and spans[-1][3] == first:
                spans[-1][3] = last
            else:
                spans.append(["/".join(map(str, key)), one[column], first, last, one["caused_by"]])
        for entity, value, first, last, cause in spans:
            since = run.plan.base.at if first == 0 else times[first]
            until = None if pd.isna(last) else times[last]
            if since <= end and (until is None or until > start or since >= start):
                found.append((entity, value, since, until, first, cause))
    return found


@pytest.mark.parametrize(("table", "lanes"), [("agent_metadata", 25), ("beads", 40), ("review_metadata", None)])
def test_the_table_is_what_the_history_says(town, table, lanes):
    """Nothing is lost, made up or cut, in tables that actions of ten minutes went through."""
    column = {"review_metadata": "pr_url"}.get(table, "status")
    if column not in town.history.columns(table):
        column = list(town.history.columns(table))[-1]
    found = swimlanes(town, table, column)
    expected = folded(town, table, column, *town.window.bounds())
    shown = {entity for entity, _ in found.changes}
    wanted = pd.DataFrame([one for one in expected if one[0] in shown], columns=found.table.columns)
    by = ["entity", "from_step"]

    assert lines(found.table.sort_values(by)) == lines(wanted.sort_values(by))
    assert len({one[0] for one in expected}) == len(shown) + found.left_out
    assert lanes in (None, len(shown))


def test_those_that_changed_most_have_lanes_and_the_rest_is_said():
    """Forty lanes can be read; who they are must not depend on chance."""
    rows = [(0, "set", row("s", number, "new")) for number in range(LANES)]
    rows += [
        (1 + turn, "set", row("s", number, f"v{turn}")) for number in range(50, LANES) for turn in range(number - 49)
    ]
    with recording_of(sorted(rows, key=lambda one: one[0])) as recording:
        found = swimlanes(rk.replay(recording, jobs()), "jobs")

    entities = [entity for entity, _ in found.changes]
    assert entities == ["s/54", "s/53", "s/52", "s/51", "s/50", *(f"s/{number}" for number in range(35))]
    assert list(dict.fromkeys(found.table["entity"])) == entities
    assert found.left_out == 15
    assert found.sentence == (
        "status of jobs, 2026-01-01T00:00:00Z to 2026-01-01T00:05:00.000001Z: 40 entities, 55 changes, most of s/54 "
        "(6). 15 more, which changed no more than these, are left out: .history('jobs')."
    )


def test_a_window_is_half_open_and_bars_keep_their_own_times(story):
    """A bar that began before the window is in it; one that begins at its end is not."""
    found = swimlanes(story, "jobs", window=rk.Window("00:03", "00:08"))

    assert lines(found.table[["entity", "value", "from"]]) == [
        ["a/1", "busy", at(3)],
        ["a/1", "busy", at(7)],
        ["a/2", "-", at(1)],
    ]
    assert found.changes == (("a/1", 3), ("a/2", 0))


def test_what_the_tick_at_the_end_did_is_in():
    """Actions are applied at the window's end, where ticks="end" puts the tick."""
    rules = jobs()
    rules.rule("finish", "SELECT site, id FROM jobs WHERE status <> 'done'", key=("site", "id"))

    @rules.act("finish")
    def finish(state, action):
        state["jobs"].upsert(site=action["site"], id=action["id"], status="done")

    with recording_of([(0, "set", row("a", 1, "new")), (9, "set", row("a", 1, "new"))]) as recording:
        run = rk.replay(recording, rules, rk.Window("00:00", "00:05"), actions="apply")
        table = swimlanes(run, "jobs").table

    assert table[["value", "from", "caused_by"]].values.tolist() == [
        ["new", at(0), "set"], ["done", at(5), "finish"]
    ]  # fmt: skip
    assert run.after["jobs"]["status"].tolist() == table["value"].tolist()[-1:]


def test_the_base_is_where_a_bar_begins_that_was_there_before():
    """Its cause is the base, at the base's time."""
    snapshot = rk.Snapshot({"jobs": [row("a", 1, "new")]}, at="2026-01-01T00:02:00Z")
    data = [{"at": f"2026-01-01T00:0{n}:00Z", "kind": "set", "data": row("a", 1, "new")} for n in (1, 6)]
    with rk.load(
        data, time="at", kind="kind", id=False, payload="data", snapshots=[snapshot], keys={"jobs": ["site", "id"]}
    ) as recording:
        table = swimlanes(rk.replay(recording, jobs(), rk.Window("00:04", "00:07")), "jobs").table

    assert lines(table) == [["a/1", "new", at(2), "-", 0, "base"]]


def test_names_that_are_not_there_are_told_with_those_that_are(story):
    """Before anything is drawn."""
    with pytest.raises(rk.QueryError, match=r"no state table 'job'; the tables are \['jobs'\]"):
        swimlanes(story, "job")
    with pytest.raises(
        rk.QueryError, match=r"'jobs' has no column 'state'; choose column= of \['site', 'id', 'status'"
    ):
        swimlanes(story, "jobs", "state")
    with pytest.raises(rk.WindowError, match="lies outside the replay, which covers 2026-01-01T00:02:00Z to"):
        swimlanes(
            rk.replay(story.recording, jobs(), rk.Window("00:02", "00:04")), "jobs", window=rk.Window("00:05", "00:06")
        )


def test_the_same_replay_gives_the_same_picture_of_the_same_size(story, town):
    """Bytes are compared, and a page must not jump; how many lanes there are changes neither width nor height."""
    pictures = [story.swimlanes("jobs").svg, swimlanes(story, "jobs").svg, swimlanes(town, "beads").svg]

    assert pictures[0] == pictures[1]
    assert len({re.search(r'width="[\d.]+pt" height="[\d.]+pt"', picture).group() for picture in pictures}) == 1
    assert isinstance(story.swimlanes("jobs"), Swimlanes)


def test_no_two_values_look_alike_and_the_rest_is_named(town):
    """Colour alone never tells: the first values differ in hatch as well, and bars carry their value."""
    found = swimlanes(town, "beads", "title")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", found.svg)
    bars = [bar for bar in found.figure.axes[0].patches if bar.get_width()]
    looks = Counter((bar.get_facecolor(), bar.get_hatch()) for bar in bars)

    assert len(looks) == 15
    assert "other values" in texts
    assert len(bars) == len(found.table) == 40
    first = [(bar.get_facecolor(), bar.get_hatch()) for bar in swimlanes(town, "beads").figure.axes[0].patches]
    assert len(set(first)) == len({colour for colour, _ in first}) == len({hatch for _, hatch in first}) == 5


def test_what_is_too_short_to_draw_is_marked():
    """A stretch of a microsecond would vanish between two others."""
    data = [("00:00:00", "new"), ("00:10:00", "busy"), ("00:10:00.000001", "new"), ("00:20:00", "new")]
    rows = [{"at": f"2026-01-01T{at}Z", "kind": "set", "data": row("a", 1, status)} for at, status in data]
    with rk.load(rows, time="at", kind="kind", id=False, payload="data") as recording:
        found = swimlanes(rk.replay(recording, jobs()), "jobs")

    assert len(found.table) == 3
    assert "too short to draw" in found.svg
    assert len(found.figure.axes[0].lines) == 1


def test_a_table_without_rows_is_drawn_and_said():
    """Nothing was there is an answer too."""
    with recording_of(
        [(0, "set", row("a", 1, "new")), (5, "drop", row("a", 1, "")), (9, "drop", row("a", 9, ""))]
    ) as one:
        found = swimlanes(rk.replay(one, jobs(), rk.Window("00:06", "00:08")), "jobs")

    assert found.sentence == "status of jobs, 2026-01-01T00:06:00Z to 2026-01-01T00:08:00Z: no row was there."
    assert (len(found.table), found.changes) == (0, ())
    assert found.svg.startswith("<svg")


def test_hostile_names_stay_text():
    """Keys and values are somebody else's."""
    with recording_of(
        [(0, "set", row("<script>$x$", 1, "<img onerror=1>")), (9, "set", row("b", 1, "x"))]
    ) as recording:
        found = swimlanes(rk.replay(recording, jobs()), "jobs")

    assert "<script" not in found.svg
    assert "<img" not in found.svg
    assert "&lt;script&gt;" in found.svg
