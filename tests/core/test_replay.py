"""replay(): where it starts, what it takes, and what its results look like."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from building import T0, after, events, loaded

from replaykit.declarations import Action, Table
from replaykit.errors import ReconcilerError, StateError, VerdictError, WindowError
from replaykit.reconciler import Reconciler
from replaykit.replay import replay
from replaykit.snapshot import Snapshot
from replaykit.sources import load
from replaykit.window import Window

ROWS = [(n * 10, "put", {"id": "abcd"[n % 4], "n": n}) for n in range(8)]


def jobs():
    """Return a reconciler that upserts a job for each put."""
    found = Reconciler("jobs", {"jobs": Table("id", n="BIGINT")})
    found.apply("put")(lambda state, event: state["jobs"].upsert(event.payload))
    return found


def state(moment):
    """Return the jobs of a moment."""
    return dict(zip(moment["jobs"]["id"], moment["jobs"]["n"], strict=True))


def snapshot(at, n, **options):
    """Return a snapshot that holds one job."""
    return Snapshot({"jobs": pd.DataFrame({"id": ["s"], "n": [n]})}, at=at, **options)


@pytest.fixture(scope="module")
def recording():
    """Eight puts, with snapshots at 15 s and 45 s."""
    with loaded(*ROWS, snapshots=[snapshot(after(15), 100), snapshot(after(45), 200)], keys={"jobs": "id"}) as found:
        yield found


# Where it starts


@pytest.mark.parametrize(
    ("start", "base", "first"),
    [
        (0, "nearest", {}), (14, "nearest", {"a": 0, "b": 1}), (15, "nearest", {"s": 100}),
        (44, "nearest", {"s": 100, "c": 2, "d": 3, "a": 4}), (45, "nearest", {"s": 200}),
        (60, "nearest", {"s": 200, "b": 5}), (60, "empty", {"a": 4, "b": 5, "c": 2, "d": 3}),
    ],
)  # fmt: skip
def test_a_replay_starts_from_the_nearest_snapshot_at_or_before_its_window(recording, start, base, first):
    """And applies what lies between, before the window begins."""
    run = replay(recording, jobs(), Window(after(start), after(71)), base=base)

    assert state(run.before) == first
    assert state(run.after)["d"] == 7


def test_a_recorded_snapshot_may_be_chosen(recording):
    """By the object the recording gives."""
    run = replay(recording, jobs(), Window(after(60), after(71)), base=recording.snapshot(0))

    assert state(run.at(step=0)) == {"s": 100}
    assert run.plan.warmup == 4


def test_a_snapshot_can_be_given(recording):
    """``after`` says which event is the last one inside: at 30 s the fourth, or not."""
    inside = replay(recording, jobs(), Window(after(60), after(71)), base=snapshot(after(30), 1))
    left_out = replay(recording, jobs(), Window(after(60), after(71)), base=snapshot(after(30), 1, after="e3"))

    assert state(inside.before) == {"s": 1, "a": 4, "b": 5}
    assert state(left_out.before) == {"s": 1, "d": 3, "a": 4, "b": 5}


def test_a_base_later_than_the_start_replays_the_window_on_it(recording):
    """As a live debug endpoint would; the verdict calls it approximate."""
    run = replay(recording, jobs(), Window(after(20), after(41)), base=recording.snapshot(1))

    assert state(run.before) == {"s": 200}
    assert state(run.after) == {"s": 200, "c": 2, "d": 3, "a": 4}
    assert run.verdict.status == "approximate"


def test_columns_may_come_from_the_snapshot(recording):
    """A table that declares only its key has the snapshot's columns and types."""
    found = Reconciler("jobs", {"jobs": Table("id")})
    found.apply("put")(lambda state, event: state["jobs"].upsert(event.payload))

    run = replay(recording, found)

    assert run.history.columns("jobs") == {"id": "VARCHAR", "n": "BIGINT"}
    with pytest.raises(
        ReconcilerError, match=r"'beads' declares no columns, and no snapshot .* \(they hold \['jobs'\]\)"
    ):
        replay(recording, Reconciler("r", {"beads": Table("id")}))


def test_a_base_that_does_not_fit_its_table_says_so(recording):
    """Two rows of a key, a missing key, another type."""
    for rows, reason in [
        ({"id": ["s", "s"], "n": [1, 2]}, "two rows with key 's'"),
        ({"id": ["s", None], "n": [1, 2]}, "NULL"),
        ({"id": ["s"], "n": ["many"]}, "can't hold 'many'"),
    ]:
        with pytest.raises(StateError, match=reason):
            replay(recording, jobs(), base=Snapshot({"jobs": pd.DataFrame(rows)}, at=after(-1)))


def test_an_empty_recording_has_nothing_to_replay():
    """And says so, rather than nothing."""
    with (
        load(events(), time="at", kind="what", id="id", payload="body") as empty,
        pytest.raises(WindowError, match="no events"),
    ):
        replay(empty, jobs())


def test_one_order_of_application_though_times_disagree():
    """A program that drains its queue late sees its own clock, which never goes back."""
    frame = events((0, "put", {"id": "a", "n": 0}), (30, "put", {"id": "b", "n": 1}), (10, "put", {"id": "c", "n": 2}))
    frame["no"] = [1, 2, 3]
    found, seen = jobs(), []
    found.apply("put")(lambda state, event: seen.append((event.payload["id"], event.occurred_at, state.now)))

    with load(frame, time="at", kind="what", id="id", payload="body", order="sequence", sequence="no") as recording:
        run = replay(recording, found, ticks="5s")
        early = replay(recording, jobs(), Window(after(5), after(20)))

    assert seen == [("a", T0, T0), ("b", after(30), after(30)), ("c", after(10), after(30))]
    assert list(run.steps["applied_at"]) == [T0, after(30), after(30)]
    assert run.at(after(20)).step == 1
    assert (early.before_step, early.after_step, list(early.events["event_id"])) == (1, 2, ["e3"])


# What it takes


def test_a_replay_takes_a_copy_of_the_reconciler(recording):
    """What is registered later is not in a run, and the run says which rules were."""
    found = jobs()
    run = replay(recording, found)
    found.rule("late", "SELECT 1 AS id", key="id")

    assert not run.reconciler.rules
    assert run.digest == jobs().digest() != found.digest()
    assert len(run.again().actions) == 0


def test_params_differ_for_one_run(recording):
    """A what-if leaves the reconciler as it was; a misspelt one is an error."""
    found = Reconciler("jobs", {"jobs": Table("id", n="BIGINT")}, {"least": 5})
    found.apply("put")(lambda state, event: state["jobs"].upsert(event.payload))
    found.rule("big", "SELECT id FROM jobs WHERE n >= $least ORDER BY id", key="id")

    assert list(replay(recording, found).actions["id"]) == ["b", "c", "d"]
    assert list(replay(recording, found, params={"least": 7}).actions["id"]) == ["d"]
    assert found.params == {"least": 5}
    with pytest.raises(ReconcilerError, match=r"no parameter \['leest'\]; there are \['least'\]"):
        replay(recording, found, params={"leest": 7})


# Results


def test_an_actions_fields_keep_their_names_beside_the_results_own(recording):
    """A field named like a column of the result gets an underscore, as often as needed."""
    found = jobs()
    fields = {
        "kind": "k",
        "kind_": "l",
        "tick": 1,
        "repeats": 2,
        "entity": "e",
        "rule": None,
        "at": T0,
        "id": "a",
        "a b": 3,
    }
    found.rule("r", key="id")(lambda state, now: [Action("do", **fields)])

    row = replay(recording, found).actions.iloc[0].to_dict()

    assert (row["kind"], row["kind_"], row["kind__"]) == ("do", "k", "l")
    assert (row["tick"], row["tick_"], row["repeats"], row["repeats_"]) == (0, 1, 0, 2)
    assert (row["entity"], row["entity_"], row["a b"]) == ("a", "e", 3)


@pytest.mark.parametrize(
    "values",
    [
        [1, None, 3], [1, 2**70, -1], [1, "two", 3.5], [True, None, False], [0.5, float("nan"), None],
        [b"x", b"", None],
        [Decimal("1.50"), None, 1], [T0, None, T0], [timedelta(1), None, timedelta(2)], [None] * 3,
        [{"a": [1]}, [2], "x"],
    ],
)  # fmt: skip
def test_any_value_an_action_may_have_is_held(recording, values):
    """Whatever its neighbours are."""
    found = jobs()
    found.rule("r", key=[])(lambda state, now: [Action("do", value=value) for value in values])

    held = replay(recording, found).actions["value"].astype(object)

    expected = [json.dumps(v, separators=(",", ":")) if isinstance(v, (dict, list)) else v for v in values]
    assert [None if pd.isna(v) else v for v in held] == [None if pd.isna(v) else v for v in expected]


def test_a_wide_action_is_one_row(recording):
    """Two hundred fields, and no warning of pandas."""
    found = jobs()
    found.rule("r", key=[])(lambda state, now: [Action("do", **{f"f{n}": n for n in range(200)})])

    assert replay(recording, found).actions.shape == (1, 7 + 200 + 1)


def test_without_anything_to_show_results_are_empty_tables_of_the_same_columns(recording):
    """A notebook cell that filters them must not fail on a quiet day."""
    quiet = replay(recording, jobs())
    found = jobs()
    found.rule("r", "SELECT id FROM jobs", key="id")
    found.invariant("i", "SELECT id FROM jobs", key="id")
    found.handlers.clear()
    loud = replay(recording, found)

    for name in ("actions", "violations", "problems", "metrics"):
        empty, full = getattr(quiet, name), getattr(loud, name)
        assert list(empty.columns) == [c for c in full.columns if c in empty.columns]
        assert all(empty[c].dtype == full[c].dtype for c in empty.columns if len(full))


def test_findings_are_data_and_failing_is_a_choice(recording):
    """``raise_for_violations`` is for tests."""
    found = jobs()
    found.invariant("none", "SELECT id FROM jobs ORDER BY id", key="id")

    assert replay(recording, jobs()).raise_for_violations()
    with pytest.raises(VerdictError, match="4 violations; the first: none for a, opened 2026-03-26T06:01:10"):
        replay(recording, found).raise_for_violations()


def test_a_repr_is_one_line_and_html_is_bounded_and_escaped(recording):
    """Somebody's markup must not run in the notebook."""
    found = jobs()
    found.rule("<script>", key="id")(lambda state, now: [Action("<b>", id=f"<img src=x>{n}") for n in range(1_000)])

    run = replay(recording, found)

    assert repr(run).startswith("Replay(8 events, 1,000 actions, 0 violations, ")
    assert "<script>" not in run._repr_html_()
    assert "<img" not in run._repr_html_()
    assert len(run._repr_html_()) < 20_000


SCRIPT = """
import sys
sys.path.insert(0, {here!r})
from building import loaded
from replaykit.declarations import Action, Table
from replaykit.reconciler import Reconciler
from replaykit.replay import replay

found = Reconciler("r", {{"jobs": Table("id", n="BIGINT", x="DOUBLE")}})

@found.apply("put")
def put(state, event):
    for key in sorted({{"a", "b", "c", event.payload["id"]}}):
        state["jobs"].upsert(id=key, n=event.payload["n"], x=state.random.random())
    state["jobs"].insert(id=state.new_id("job"), x=0.1)

found.rule("sql", "SELECT n AS id, count(*) AS c, fsum(x) AS x FROM jobs GROUP BY n", key="id")
found.invariant("sum", "SELECT sum(x) AS x, list(id) AS ids FROM jobs HAVING sum(x) > 1", key="x")
with loaded(*[(n, "put", {{"id": f"j{{n % 7}}", "n": n % 3}}) for n in range(60)]) as recording:
    run = replay(recording, found, ticks="event")
    for name in ("actions", "violations", "problems", "metrics", "events"):
        print(getattr(run, name).to_csv())
    print(run.history("jobs").to_csv(), run.after["jobs"].to_csv(), run.digest)
"""


def test_the_same_replay_prints_the_same_in_any_process(tmp_path):
    """Whatever PYTHONHASHSEED says."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent)))

    printed = {
        subprocess.run(
            [sys.executable, str(script)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1")
    }

    assert len(printed) == 1
    assert len(printed.pop()) > 5_000


@pytest.mark.parametrize("id", [7, "seven"])
def test_a_column_may_have_the_type_that_another_has_in_the_recording(id):
    """Ids are numbers in one app and text in the next; what refers to them follows."""
    tables = {"notes": Table("job_id", {"job_id": "jobs.id", "n": "BIGINT"}), "jobs": Table("id")}
    noted = Reconciler("noted", tables)
    noted.apply("put")(lambda state, event: state["notes"].upsert({"job_id": id, "n": event.payload["n"]}))
    known = Snapshot({"jobs": pd.DataFrame({"id": [id]})}, at=T0, after=0)
    recording = loaded(*ROWS, keys={"jobs": "id"}, snapshots=[known])

    assert list(replay(recording, noted).after["notes"]["job_id"]) == [id]

    noted.tables["notes"] = Table("job_id", {"job_id": "jobs.ids"})
    with pytest.raises(ReconcilerError, match=r"'job_id' of table 'notes' has the type of 'jobs.ids'"):
        replay(recording, noted)


def test_a_window_of_a_time_of_day_is_what_people_type(recording):
    """Copied from a chat."""
    run = replay(recording, jobs(), Window("06:00:20", "06:00:40"))

    assert run.window.bounds() == (datetime(2026, 3, 26, 6, 0, 20), datetime(2026, 3, 26, 6, 0, 40))
    assert list(run.events["event_id"]) == ["e3", "e4"]
