"""The six panels: what they draw is what the metrics say, and what nobody knows is not drawn as zero."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pandas as pd
import pytest
from samples import everything

import replaykit as rk
from replaykit.systems import gastown
from replaykit.systems.gastown.buckets import EFFECTS, PANELS, panel_table
from replaykit.systems.gastown.plots import Panels, panels

STORM = rk.Window("2026-03-26T14:22Z", "2026-03-26T14:26Z")
RETRACED: dict[str, Any] = {"ticks": "recorded", "actions": "recorded"}


@pytest.fixture(scope="module")
def recording(sample_data) -> Iterator[rk.Recording]:
    """Give the traced town of the sample data."""
    with gastown.load_trace(sample_data / "gastown-incident") as loaded:
        yield loaded


@pytest.fixture(scope="module")
def retraced(recording) -> rk.Replay:
    """Return a retrace of four minutes in which the dispatch limit fails merge requests."""
    return rk.replay(recording, gastown, STORM, **RETRACED)


@pytest.fixture(scope="module")
def what_if(recording) -> rk.Replay:
    """Return the same with another limit: other actions than the recorded ones."""
    return rk.replay(recording, gastown, STORM, **RETRACED, params={"max_dispatch_attempts": 40})


@pytest.fixture(scope="module")
def every_second(recording) -> rk.Replay:
    """Return a replay that ticks each second."""
    return rk.replay(recording, gastown, rk.Window("2026-03-26T14:00:01Z", "2026-03-26T14:03Z"), ticks="1s")


@pytest.fixture(scope="module")
def empty(recording) -> rk.Replay:
    """Return a replay of a window without any tick."""
    return rk.replay(recording, gastown, rk.Window("2026-03-26T14:00:20Z", "2026-03-26T14:00:20.1Z"), **RETRACED)


def test_the_table_holds_every_tick_action_and_breach_once(retraced):
    """Means are taken back to sums: nothing falls between two bins."""
    table, metrics = panel_table(retraced), retraced.metrics

    assert int(table["ticks"].sum()) == len(metrics)
    assert int(table["invariant_violations"].sum()) == int(metrics["invariant_violations"].sum())
    for name in ("events_drained", *EFFECTS):
        assert float((table[name] * table["ticks"]).sum()) == pytest.approx(float(metrics[name].sum()))
    kinds = {name.removeprefix("actions_"): int(table[name].sum()) for name in table if name.startswith("actions_")}
    assert kinds == Counter(retraced.actions["kind"])
    assert list(kinds.values()) == sorted(kinds.values(), reverse=True)


@pytest.mark.parametrize("bins", [1, 7, 60])
def test_ticks_that_were_not_walked_stand_in_their_own_bins(every_second, bins):
    """A stretch in which nothing changes is one row of the metrics and may be many bins of the picture."""
    walked = every_second.metrics["tick"] % 10 == 0
    metrics = every_second.metrics[walked].assign(repeats=9)
    actions = every_second.actions[every_second.actions["tick"].isin(metrics["tick"])].assign(repeats=9)

    table = panel_table(replace(every_second, metrics=metrics, actions=actions), bins=bins)

    ends = [*table.index[1:], pd.Timestamp("2026-03-26T14:03:00.000001")]

    def counted(rows: pd.DataFrame, weights: pd.Series) -> list[int]:
        ticks = [(at + n * timedelta(seconds=1), weight) for at, weight in zip(rows["at"], weights, strict=True)
                 for n in range(10)]  # fmt: skip
        return [sum(w for at, w in ticks if start <= at < end) for start, end in zip(table.index, ends, strict=True)]

    assert table["ticks"].tolist() == counted(metrics, metrics["violations"] * 0 + 1)
    assert table["invariant_violations"].tolist() == counted(metrics, metrics["violations"])
    for kind, rows in actions.groupby("kind"):
        assert table[f"actions_{kind}"].tolist() == counted(rows, rows["tick"] * 0 + 1)


def test_a_retrace_that_agrees_shows_recorded_values_only_where_a_replay_has_none(retraced):
    """The wall clock is production's; all else would be drawn twice."""
    table = panel_table(retraced)

    assert [name for name in table if name.startswith("recorded_")] == ["recorded_wall_clock_ms"]
    assert table["wall_clock_ms"].isna().all()
    assert table["recorded_wall_clock_ms"].max() > 500


def test_recorded_actions_stand_beside_replayed_ones_where_they_differ(what_if):
    """With another limit, two merge requests are not failed but dispatched once more."""
    shown = panels(what_if)

    assert shown.table["actions_dispatch_agent"].sum() == shown.table["recorded_actions_dispatch_agent"].sum() + 2
    assert "recorded_actions_poll_pr" not in shown.table
    row = shown.summary.set_index("series").loc["transition_bead"]
    assert row["recorded"] == row["replayed"] + 2
    assert f"transition_bead {row['replayed']} ({row['recorded']})" in texts(shown)
    assert {"in all (recorded)", "all, recorded"} <= set(texts(shown))


def test_what_a_replay_does_not_know_is_not_zero(every_second):
    """Actions that are only collected have no effects, and a replay of its own ticks no queue and no clock."""
    shown = panels(every_second)

    unknown = [*EFFECTS, "wall_clock_ms", "pending_event_count"]
    assert shown.table[unknown].isna().all(axis=None)
    assert not [name for name in shown.table if name.startswith("recorded_")]
    told = shown.summary[shown.summary["panel"].isin([PANELS[2], PANELS[4], PANELS[5]])]
    assert told["replayed"].isna().all()
    assert set(told["state"]) == {""}
    assert shown.sentence.count("not known") == 6
    assert sum(text.startswith("not known") for text in texts(shown)) == 3


def test_a_window_without_ticks_is_drawn_and_says_so(empty):
    """Empty is an answer, and a green zero would be a claim."""
    shown = panels(empty)

    assert shown.sentence.startswith("0 ticks. Events Drained per Tick: mean not known")
    assert texts(shown).count("no ticks") == 6
    assert "✓ 0" not in texts(shown)


def test_one_tick_at_the_end_of_the_window_is_drawn(recording):
    """The end is no part of the window, and the tick there belongs to it all the same."""
    run = rk.replay(recording, gastown, rk.Window("2026-03-26T14:00:00.5Z", "2026-03-26T14:01Z"))

    table = panel_table(run)

    assert table["ticks"].tolist()[-1] == table["ticks"].sum() == 1
    assert table["events_drained"].iloc[-1] == len(run.events)


@pytest.mark.parametrize(
    ("waiting", "state", "told"),
    [(0, "ok", "✓ 0"), (24, "ok", "✓ 24"), (25, "yellow", "~ 25"), (50, "red", "! 50"), (1_000, "red", "! 1,000")],
)
def test_the_queue_passes_its_thresholds(retraced, waiting, state, told):
    """Said by a glyph and by a word as well as by colour, also beyond the end of the gauge."""
    last = retraced.metrics.index[-1]
    metrics = retraced.metrics.assign(
        pending_event_count=retraced.metrics["pending_event_count"].where(retraced.metrics.index != last, waiting),
        recorded_pending_event_count=pd.NA,
    )

    shown = panels(replace(retraced, metrics=metrics))

    assert shown.summary.iloc[-1][["replayed", "state"]].tolist() == [waiting, state]
    assert told in texts(shown)


@pytest.mark.parametrize(("found", "state", "told"), [(0, "ok", "✓ 0"), (1, "red", "! 1")])
def test_one_violation_is_red(retraced, found, state, told):
    """None is green, with another glyph."""
    numbers = [found] + [0] * (len(retraced.metrics) - 1)
    metrics = retraced.metrics.assign(invariant_violations=numbers, recorded_invariant_violations=numbers)

    shown = panels(replace(retraced, metrics=metrics))

    assert shown.summary.set_index("panel").loc[PANELS[3], "state"] == state
    assert told in texts(shown)


def test_slow_ticks_pass_the_line_at_500_ms(retraced):
    """Judged by what was recorded, since a replay has no wall clock."""
    quick = retraced.metrics.assign(recorded_wall_clock_ms=7)

    states = panels(replace(retraced, metrics=quick)).summary.set_index("panel").loc[PANELS[4], "state"]

    assert set(states) == {"ok"}
    assert set(panels(retraced).summary.set_index("panel").loc[PANELS[4], "state"]) == {"red"}
    assert "! red from 500 ms" in texts(panels(retraced))


def test_the_picture_shows_every_panel_and_carries_its_sentence_and_no_script(retraced):
    """The legends say what the summary says; who does not see the picture hears it."""
    shown = panels(retraced)
    bundle = shown._repr_mimebundle_()

    assert set(bundle) == {"text/plain", "image/svg+xml"}
    assert bundle["text/plain"] == f"Panels({shown.sentence})"
    assert f'aria-label="{shown.sentence}"' in unescape(shown.svg)
    assert "<script" not in shown.svg
    assert all(any(text.startswith(panel) for text in texts(shown)) for panel in PANELS)
    for row in shown.summary[shown.summary["panel"] == PANELS[1]].itertuples():
        assert f"{row.series} {row.replayed}" in texts(shown)


@pytest.mark.skipif(not everything(), reason="slow; run with --hypothesis-profile=thorough")
def test_the_same_replay_gives_the_same_bytes_in_another_process(retraced, repository):
    """Of the whole storm; test_standing_still.py holds it for ten minutes of it."""
    program = (
        "import replaykit as rk; from replaykit.systems import gastown; "
        "town = gastown.load_trace('sample_data/gastown-incident'); "
        f"run = rk.replay(town, gastown, {STORM!r}, ticks='recorded', actions='recorded'); "
        "import sys; sys.stdout.write(gastown.plots.panels(run).svg)"
    ).replace("Window(", "rk.Window(")
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=repository,
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(repository)},
        capture_output=True,
        check=True,
    )

    assert done.stdout.decode() == panels(retraced).svg


def test_gastown_comes_without_what_draws(repository):
    """Whoever draws nothing need not wait for matplotlib, nor for numpy before it."""
    program = (
        "from replaykit.systems import gastown; gastown.plots.panels; import sys; assert 'numpy' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", program], cwd=repository, check=True)


def texts(shown: Panels) -> list[str]:
    """Return all texts in the picture."""
    return [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", shown.svg)]
