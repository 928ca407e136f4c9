"""The traced town: a replay does what the program did, at every tick and in every cell, or says where not."""

from __future__ import annotations

import pickle
import re
import shutil
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from samples import everything, some

import replaykit as rk
from replaykit.declarations import Action
from replaykit.errors import LoadError, QueryError
from replaykit.systems import gastown
from replaykit.systems.gastown.metrics import METRICS

FOLDER = Path(__file__).parents[2] / "sample_data" / "gastown-incident"
# Between which checkpoints all is verified, each from its own, and how many actions and reports there are in between.
VERIFIED = (range(13), 8_890, 4_850) if everything() else (range(5, 9), 1_587, 549)
STORM = rk.Window("2026-03-26T14:00Z", "2026-03-26T14:50Z")


@cache
def trace():
    """Return the traced town."""
    return gastown.load_trace(FOLDER)


@pytest.fixture(scope="module")
def morning(tmp_path_factory):
    """Return the traced town with the checkpoints of its first two hours only, for what need not be long."""
    with gastown.load_trace(some_of_it(tmp_path_factory, "morning", range(3))) as recording:
        yield recording


def some_of_it(tmp_path_factory, name, checkpoints):
    """Return a folder with the trace and only these of its checkpoints."""
    folder = tmp_path_factory.mktemp(name) / "trace"
    shutil.copytree(FOLDER, folder)
    with duckdb.connect() as connection:
        for path in [folder / "checkpoints.parquet", *(folder / "state").iterdir()]:
            rows = connection.sql(f"FROM '{path}' WHERE checkpoint_no IN {tuple(checkpoints)}").to_arrow_table()
            path.unlink()
            pq.write_table(rows, path)
    return folder


@cache
def retraced():
    """Return the whole trace, retraced."""
    return rk.replay(trace(), gastown, ticks="recorded", actions="recorded")


@cache
def storm():
    """Return fifty minutes of it, from the snapshot before."""
    return rk.replay(trace(), gastown, STORM, ticks="recorded", actions="recorded")


def rules(**exchanged):
    """Return gastown's rules with some registered functions exchanged: ``kind=function`` or ``rule_B3=function``."""
    twin = gastown.reconciler.copy()
    for name, function in exchanged.items():
        if name in twin.handlers:
            twin.handlers[name] = function
        elif name in twin.appliers:
            twin.appliers[name] = function
        else:
            twin.rules[name] = replace(twin.rules[name], function=function)
    return twin


def test_every_tick_check_and_checkpoint_equals_the_recording():
    """7,700 results of reconcile, 7,700 checks, 13 checkpoints of 9 tables, in their row order."""
    run = retraced()
    checks = run.verdict.checks
    states = checks[checks["against"].str.startswith("snapshot")]

    assert run.verdict.status == "verified"
    assert (len(states), states["against"].nunique(), int(states["rows"].sum())) == (117, 13, 23_353)
    assert list(checks.tail(2)["against"]) == ["recorded actions at 7,700 ticks", "recorded checks at 7,700 ticks"]
    assert list(checks.tail(2)["rows"]) == [8_890, 4_850]
    assert bool(checks["agrees"].all())
    assert len(run.divergence) == 0
    assert (run.divergence.ticks, run.divergence.actions) == (7_700, 8_890)
    assert run.verdict.sentence == (
        "It agrees with 13 snapshots (117 tables compared, 23,353 rows), recorded actions at 7,700 ticks (8,890 "
        "actions) and recorded checks at 7,700 ticks (4,850 violations)."
    )
    assert len(run.problems) == 0
    assert run.raise_for_verdict() is run


def test_every_input_is_a_step_with_its_own_clock():
    """Events are applied when the program drained them, not when they were put into its queue."""
    steps = retraced().steps
    late = steps[steps["input"] == "event"]

    assert steps["input"].value_counts().to_dict() == {
        "recorded write": 11_987,
        "recorded action": 8_890,
        "event": 1_704,
    }
    assert list(steps["step"]) == list(range(1, 22_582))
    assert steps["global_seq"].is_monotonic_increasing
    assert (late["applied_at"] >= late["occurred_at"]).all()
    assert (late["applied_at"] > late["occurred_at"]).sum() > 500


def test_the_nine_metrics_of_every_tick_equal_the_recorded_ones():
    """All but the wall clock, which a replay does not have."""
    metrics = retraced().metrics

    assert len(metrics) == 7_700
    for name in METRICS:
        mine, theirs = (metrics[one].astype(object) for one in (name, f"recorded_{name}"))
        if name == "wall_clock_ms":
            assert mine.isna().all()
            assert theirs.notna().all()
        else:
            assert list(mine) == list(theirs), name


def test_verify_compares_every_interval_between_two_checkpoints(tmp_path_factory):
    """Each from its own checkpoint, numbering new rows on from it: those around the storm, or all."""
    checkpoints, actions, reports = VERIFIED
    with gastown.load_trace(some_of_it(tmp_path_factory, "verified", checkpoints)) as recording:
        found = rk.verify(recording, gastown)

    assert found.ok
    assert len(found.cells) == 0
    assert found.table.groupby("table")["rows"].sum()[["actions", "violations"]].to_dict() == {
        "actions": actions,
        "violations": reports,
    }
    assert list(found.table["to"].unique()) == list(range(1, len(checkpoints)))
    assert len(found.table) == (len(checkpoints) - 1) * 11
    assert set(found.table.columns) >= {"from", "to", "table", "rows", "differing_cells", "first_step", "first_input"}


def test_a_window_in_the_middle_is_verified_from_the_checkpoint_before_it():
    """The storm, without the six hours before."""
    run = storm()

    assert run.verdict.status == "verified"
    assert run.plan.base.number == 6
    assert run.metrics["at"].between(*STORM.bounds()).all()
    assert len(run.divergence) == 0


def test_without_the_recorded_writes_the_replay_is_contradicted():
    """No heartbeat ever was an event: without them every agent is lost."""
    window = rk.Window("2026-03-26T08:00Z", "2026-03-26T09:00:01Z")
    with gastown.load_trace(FOLDER, drop=["writes.new_values"]) as recording:
        run = rk.replay(recording, gastown, window, ticks="recorded", actions="recorded", on_error="keep")

    assert run.verdict.status == "contradicted"
    assert run.divergence.first is not None
    assert "last_activity_at" in set(run.verdict.cells["column"])


def _done(state, event):
    if event["agent_id"] == "pre-bead-0004":
        gastown.reconciler.handlers["agent_done"](state, event)


def _hooked(state, action):
    found = gastown.reconciler.appliers["hook_agent"](state, action)
    state["agent_metadata"].update(action["agent_id"], checkpoint="{}")
    return found


def _moved(state, action):
    found = gastown.reconciler.appliers["transition_agent"](state, action)
    agent = state["agent_metadata"].get(action["agent_id"])
    if agent is not None:  # the same row, but at the end of its table
        state["agent_metadata"].delete(action["agent_id"])
        state["agent_metadata"].insert(agent)
    return found


def _early(state, now):
    for bead in state["beads"].find(type="issue", status="in_progress"):
        if bead["bead_id"] == "rpc-bead-0088":
            yield Action(
                "transition_bead", bead_id="rpc-bead-0088", **{"from": "in_progress", "to": "open"},
                reason="agent lost", actor="system",
            )  # fmt: skip


def forgotten():
    """Return the tick that drains the first event that is forgotten, as verify writes it."""
    query = (
        "SELECT a.tick FROM applications a JOIN events e USING (event_id) WHERE e.kind = 'agent_done' "
        "AND e.agent_id <> 'pre-bead-0004' ORDER BY a.position LIMIT 1"
    )
    return f"^tick {trace().sql(query)['tick'][0]}$"


def broken():
    """Return five small breakages: the rules, and what verify must name."""
    half = timedelta(seconds=60)
    lost = "SELECT bead_id, 'agent ' || bead_id || ' works' AS message FROM agent_metadata WHERE false"
    blind = gastown.reconciler.without("7")
    blind.invariant("7", lost, key=["bead_id"])
    return {
        "an event that is forgotten": (rules(agent_done=_done), "actions", forgotten()),
        "one cell too much": (rules(hook_agent=_hooked), "agent_metadata", r"^hook_agent seq \d+$"),
        "a row that moves": (rules(transition_agent=_moved), "agent_metadata", None),
        "a threshold": (gastown.reconciler.with_params(heartbeat_limit=half), "actions", r"^tick \d+$"),
        "an invariant": (blind, "violations", r"^tick \d+$"),
    }


BROKEN = ["an event that is forgotten", "one cell too much", "a row that moves", "a threshold", "an invariant"]


@pytest.mark.parametrize("name", BROKEN[: some(len(BROKEN), 0)])
def test_verify_names_the_step_at_which_a_broken_port_went_wrong(name, morning):
    """Five small breakages, each seen where it happens and not only at the end."""
    reconciler, table, expected = broken()[name]
    found = rk.verify(morning, reconciler)
    wrong = found.table[~found.table["agrees"].astype(bool)]
    first = wrong[wrong["table"] == table].iloc[0]

    assert not found.ok
    if expected is not None:
        assert re.search(expected, first["first_input"])
    else:
        assert (found.cells[found.cells["table"] == table]["column"] == "(order)").any()


def test_the_first_wrong_cell_is_blamed_on_the_input_that_set_it(morning):
    """An action that sets an attempt too much is found by its place in the global order."""
    found = rk.verify(morning, broken()["one cell too much"][0])
    cell = found.cells[found.cells["column"] == "checkpoint"].iloc[0]
    action = morning.sql("SELECT kind, payload FROM actions WHERE global_seq = $seq", seq=int(cell["global_seq"]))

    assert cell["replayed"] == "{}"
    assert cell["caused_by"] == "hook_agent"
    assert action["kind"].iloc[0] == "hook_agent"
    assert cell["key"] in action["payload"].iloc[0]


def test_divergence_shows_what_another_threshold_would_have_emitted():
    """Sixty seconds instead of ninety lose agents earlier; nothing else is touched."""
    window = rk.Window("2026-03-26T10:00Z", "2026-03-26T10:40Z")
    run = rk.replay(
        trace(),
        gastown,
        window,
        ticks="recorded",
        actions="recorded",
        params={"heartbeat_limit": timedelta(seconds=60)},
    )
    found = run.divergence

    assert len(found) > 0
    assert set(found.frame["difference"]) == {"extra"}
    assert set(found.frame["kind"]) == {"transition_agent"}
    assert set(found.frame["rule"]) == {"A1"}
    assert found.first["difference"] == "extra"
    assert "A1" not in found.sentence
    assert "first is tick" in found.sentence
    assert "<table" in found._repr_html_()
    assert run.verdict.status == "contradicted"


def test_divergence_needs_recorded_ticks():
    """And says so."""
    run = rk.replay(trace(), gastown, rk.Window("2026-03-26T10:00Z", "2026-03-26T10:01Z"), actions="recorded")
    with pytest.raises(QueryError, match="ticks='recorded'"):
        _ = run.divergence


def test_violations_are_episodes_and_few_messages():
    """4,850 reports per tick are 48 episodes; what one would be told is less than that."""
    run = retraced()
    found = run.violations
    muted = found.mute({"invariant": "7"}, reason="mayors work without a hook").mute(
        {"invariant": "3"}, reason="pull requests may be open side by side"
    )

    assert int(found["ticks"].sum()) == 4_850
    assert len(found) == 48
    assert found.groupby("invariant")["ticks"].sum().to_dict() == {"3": 4_315, "4": 3, "7": 532}
    assert list(muted["invariant"]) == ["4"] * 3
    assert list(muted["opened_at"]) == list(
        trace().sql("SELECT occurred_at FROM checks WHERE kind = '4' ORDER BY position")["occurred_at"]
    )
    assert list(muted.changes()["what"]).count("opened") == 3
    assert "mayors work without a hook" in muted._repr_html_()


def test_the_old_way_was_wrong_about_almost_everything():
    """The number nobody had: fifty minutes of storm replayed on the state five hours later."""
    found = gastown.live_replay_error(trace(), STORM)

    assert found.counts.set_index("what")["wrong"].to_dict() == {"agent": 21, "bead": 31, "action": 8}
    assert found.counts.set_index("what")["claims"].to_dict() == {"agent": 25, "bead": 35, "action": 8}
    assert found.sentence.startswith(
        "The window 2026-03-26T14:00:00Z to 2026-03-26T14:50:00Z replayed on the state of 2026-03-26T20:00:00Z is "
        "wrong about 21 of 25 agents, 31 of 35 beads and 8 of 8 actions at its end"
    )
    assert set(found.frame["what"]) == {"agent", "bead", "action"}
    assert len(pickle.dumps(found.frame)) > 0


def test_a_missing_file_is_named(tmp_path):
    """With what a traced town consists of."""
    with pytest.raises(LoadError, match=r"no traced town: it has no checkpoints\.parquet"):
        gastown.load_trace(tmp_path)


def test_folding_leaves_the_recording_consistent():
    """Folded events take their applications with them, and the report says how many."""
    with gastown.load_trace(FOLDER, fold=True) as recording:
        lost = recording.sql("SELECT count(*) AS n FROM applications ANTI JOIN events USING (event_id)")["n"][0]
        notes = str(recording.report)
        events = len(recording)

    assert lost == 0
    assert events < 1_704
    assert "1,052 container_status events" in notes
