"""Measured: what a reconciler measures at each tick, and what production did, beside the metrics of a replay."""

from __future__ import annotations

import pandas as pd
import pytest
from plant import Plant, reconciler

from replaykit.errors import ReconcilerError
from replaykit.replay import replay
from replaykit.sources import Log

RETRACED = {"ticks": "recorded", "actions": "recorded"}


@pytest.fixture(scope="module")
def recording():
    """Return a recording of three ticks."""
    plant = Plant()
    plant.event(1, "put", id="a", n=1)
    plant.tick(5)
    plant.tick(10)
    plant.event(12, "put", id="b", n=1)
    plant.tick(15)
    with plant.recording() as found:
        yield found


def measured(recording, function, **options):
    """Return the metrics of a replay with one measure."""
    rules = reconciler()
    rules.measure(function)
    return replay(recording, rules, **{**RETRACED, **options}).metrics


def test_what_production_recorded_stands_beside_it(recording):
    """Under ``recorded_``; columns that play a part of their own do not."""
    metrics = measured(recording, lambda run: run.metrics[["tick"]].assign(twice=run.metrics["tick"] * 2))

    assert list(metrics["recorded_jobs"]) == [1, 1, 2]
    assert list(metrics["twice"]) == [2, 4, 6]
    assert list(metrics.filter(like="recorded_").columns) == ["recorded_jobs"]


def test_recorded_columns_come_only_where_ticks_are_the_recorded_ones(recording):
    """At other ticks they would be those of another moment."""
    metrics = measured(recording, lambda run: run.metrics[["tick"]], ticks="5s")

    assert not metrics.filter(like="recorded_").columns.size


def test_ticks_nobody_asked_for_are_left_out_and_others_are_empty(recording):
    """A measure may know more, or less."""
    metrics = measured(recording, lambda _: pd.DataFrame({"tick": [2, 99, -1], "x": [7, 8, 9]}))

    assert list(metrics["tick"]) == [1, 2, 3]
    assert list(metrics["x"].fillna(0)) == [0, 7, 0]


def test_a_measure_of_nothing_adds_its_columns_empty(recording):
    """The frame keeps one row for each tick."""
    metrics = measured(recording, lambda _: pd.DataFrame({"tick": [], "x": []}))

    assert len(metrics) == 3
    assert metrics["x"].isna().all()


def test_a_measure_can_not_change_the_metrics_it_is_given(recording):
    """Only what it returns counts."""

    def meddling(run):
        run.metrics["actions"] = -1
        return run.metrics[["tick"]]

    assert (measured(recording, meddling)["actions"] >= 0).all()


WRONG = {
    "nothing": (lambda _: None, "measured a NoneType; expected a DataFrame with one column 'tick'"),
    "a list": (lambda _: [1], "measured a list; expected a DataFrame"),
    "no tick": (lambda _: pd.DataFrame({"x": [1]}), "expected a DataFrame with one column 'tick'"),
    "two ticks": (lambda _: pd.DataFrame([[1, 1]], columns=["tick", "tick"]), "with one column 'tick'"),
    "an index": (lambda run: run.metrics.set_index("tick"), "with one column 'tick'"),
    "text": (lambda _: pd.DataFrame({"tick": ["1"], "x": [1]}), "whose tick is a whole number; it is str"),
    "twice": (lambda _: pd.DataFrame({"tick": [1, 1], "x": [1, 2]}), "it has several for tick 1"),
    "clash": (lambda run: run.metrics[["tick", "actions"]], "measured 'actions', a column that is there already"),
    "clash with itself": (lambda _: pd.DataFrame([[1, 2, 3]], columns=["tick", "x", "x"]), "measured 'x'"),
    "clash with production": (
        lambda _: pd.DataFrame({"tick": [1], "recorded_jobs": [1]}),
        "The log of ticks measured 'recorded_jobs'",
    ),
    "an error": (lambda _: 1 / 0, r"raised ZeroDivisionError\('division by zero'\)"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_garbage_is_refused_by_name(recording, case):
    """The message says which function, what it gave, and what was expected."""
    function, message = case
    with pytest.raises(ReconcilerError, match=message):
        measured(recording, function)


def test_columns_of_any_name_are_quoted():
    """Whatever production called them."""
    plant = Plant()
    plant.event(1, "put", id="a", n=1)
    plant.tick(5)
    ticks = pd.DataFrame(plant.logs["ticks"]).assign(**{'a "quoted" one': 3, "select": 4})
    log = Log(ticks, time="at", kind=False, payload=False, seq="seq", tick="tick")
    with plant.recording(ticks=log) as recording:
        metrics = replay(recording, reconciler(), **RETRACED).metrics

    assert list(metrics['recorded_a "quoted" one']) == [3]
    assert list(metrics["recorded_select"]) == [4]
