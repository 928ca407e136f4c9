"""Episodes: the same thing again and again, told once with a beginning and an end."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from incident import incident

from replaykit.errors import QueryError
from replaykit.findings import build_episodes, episodes
from replaykit.sources import Log, load


def _seen(*rows, start="2026-01-01"):
    frame = pd.DataFrame(list(rows), columns=["tick", "k", "v"])
    return frame.assign(at=pd.Timestamp(start) + pd.to_timedelta(frame["tick"], unit="s"))


def test_7535_polls_are_44_episodes():
    """The same PR is polled at each tick until it is merged; hand-counted once."""
    found = incident().episodes()

    polls = found.frame[found.frame["kind"] == "poll_pr"]
    assert (len(polls), polls["ticks"].sum()) == (44, 7535)
    assert found.sentence == "8,890 actions are 1,393 episodes: same kind, payload, in neighbouring ticks."
    assert len(episodes(incident(), key=["kind", "bead_id"]).frame.query("kind == 'poll_pr'")) == 44


def test_a_log_without_ticks_takes_its_distinct_times():
    """The rows of one tick share a time, so the same 44 episodes are found without the column tick."""
    actions = incident().log("actions").drop(columns=["tick", "position"])
    with load(
        incident().events[["occurred_at", "kind"]],
        time="occurred_at",
        kind="kind",
        actions=Log(actions, time="occurred_at", kind="kind", payload="payload"),
    ) as recording:
        found = episodes(recording)
        by_time = episodes(recording, gap=timedelta(seconds=70))

    assert found.frame.query("kind == 'poll_pr'").shape[0] == 44
    assert by_time.frame.query("kind == 'poll_pr'").shape[0] == 44
    assert "0:01:10 apart" in by_time.sentence


def test_an_episode_has_a_beginning_an_end_and_its_first_values():
    """Closed is the first tick without it; what was still seen at the last tick is open."""
    found = build_episodes(_seen((1, "a", "x"), (2, "a", "y"), (4, "a", "z"), (4, "b", "w"), (2, "a", "twice")), ["k"])

    told = found[["k", "opened_tick", "last_tick", "ticks", "v"]].to_numpy().tolist()
    assert told == [["a", 1, 2, 2, "x"], ["a", 4, 4, 1, "z"], ["b", 4, 4, 1, "w"]]
    assert found["closed_tick"].tolist() == [3, pd.NA, pd.NA]
    assert found["closed_at"].tolist() == [pd.Timestamp("2026-01-01T00:00:04"), pd.NaT, pd.NaT]


def test_clean_ticks_let_an_episode_pause():
    """One that comes back within the allowed pause goes on, and is open until it was away long enough."""
    seen = _seen((1, "a", 0), (3, "a", 0), (7, "a", 0))

    assert build_episodes(seen, ["k"], clean_ticks=2)["opened_tick"].tolist() == [1, 7]
    assert build_episodes(seen, ["k"], end=9)["closed_tick"].tolist() == [2, 4, 8]
    assert build_episodes(seen, ["k"], clean_ticks=3, end=9)["closed_tick"].isna().tolist() == [False, True]


def test_ticks_looked_at_give_the_time_of_the_end():
    """The moments at which nothing was found are known to the caller only."""
    ticks = pd.DataFrame({"tick": [1, 2, 3], "at": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"])})
    found = build_episodes(ticks.iloc[:1].assign(k="a"), ["k"], ticks=ticks)

    assert found["closed_at"].tolist() == [pd.Timestamp("2026-01-02")]


def test_nothing_seen_is_no_episode_and_no_key_is_one_thing():
    """Both ends of the scale keep the columns."""
    empty = build_episodes(_seen()[:0], ["k"])
    single = build_episodes(_seen((1, "a", 0), (2, "b", 0)), [])

    assert list(empty.columns) == [
        "k", "opened_tick", "opened_at", "last_tick", "last_at", "closed_tick", "closed_at", "ticks", "v",
    ]  # fmt: skip
    assert single["ticks"].tolist() == [2]


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["a", "b", None])), max_size=30), st.integers(1, 3))
def test_episodes_equal_a_loop_over_the_ticks(rows, clean):
    """The set-based answer is the one a person would count, in whatever order the observations come."""
    found = build_episodes(
        _seen(*((tick, k, 0) for tick, k in rows)).astype({"tick": "int64"}), ["k"], clean_ticks=clean
    )

    expected = []
    for key in ("a", "b", None):
        ticks = sorted({tick for tick, k in rows if k == key})
        for place, tick in enumerate(ticks):
            if place and tick - ticks[place - 1] <= clean:
                expected[-1][2:] = [tick, expected[-1][3] + 1]
            else:
                expected.append([key, tick, tick, 1])
    told = [
        [None if pd.isna(row.k) else row.k, row.opened_tick, row.last_tick, row.ticks] for row in found.itertuples()
    ]
    assert sorted(told, key=str) == sorted(expected, key=str)
    assert found["opened_tick"].is_monotonic_increasing


def test_keys_that_are_not_there_are_errors():
    """A misspelt key would make one endless episode, so it is refused."""
    with pytest.raises(QueryError, match="payload key 'bed_id'"):
        episodes(incident(), key=["kind", "bed_id"])
    with pytest.raises(QueryError, match="No log 'action'"):
        episodes(incident(), "action")
    with pytest.raises(QueryError, match="'ticks' has the name of a column of the result"):
        build_episodes(_seen((1, "a", 0)).rename(columns={"k": "ticks"}), ["ticks"])


def test_the_display_is_bounded():
    """1,393 episodes are shown as a summary and the first fifty."""
    html = episodes(incident())._repr_html_()

    assert len(html) < 60_000
    assert "<script" not in html
