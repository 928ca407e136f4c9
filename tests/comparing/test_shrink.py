"""shrink(), fixtures and to_test(): the least that shows something, kept as a test that fails until it is mended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from shop import START, events, reconciler, recorded

import replaykit as rk
from replaykit.fingerprint import history_digest
from replaykit.fixtures import fixture, write_fixture
from replaykit.systems import gastown

ORDERS = [{"id": f"b{n}", "status": "placed", "since": START, "reminders": 0} for n in range(20)]
BASE = rk.Snapshot({"orders": ORDERS}, at=START - timedelta(seconds=1))


@pytest.fixture(scope="module")
def run():
    """Return a closed loop over a recording with a snapshot of twenty orders."""
    recording = recorded(snapshots=[BASE], keys={"orders": "id"})
    return rk.replay(recording, reconciler, ticks="20s", actions="apply")


@pytest.fixture(scope="module")
def small(run):
    """Return the least that shows that an order of the snapshot is reminded of."""
    return run.shrink(run.actions[run.actions["entity"] == "b7"].iloc[0])


def test_what_is_left_shows_it_and_none_of_it_can_go(run):
    """An order that is paid for and never shipped needs two events at most, of all there are."""
    wanted = run.violations[run.violations["entity"] == "o3"].iloc[0]
    found = run.shrink(wanted)

    assert found.minimal
    assert found.symptom(found.run)
    assert found.rows == {}
    assert list(found.inputs.query("input == 'event'")["event_id"]) == ["e10"]
    assert found.found.size == 14 + 20
    assert found.sentence.startswith("invariant waiting is violated for o3 from 2026-03-26T06:1")
    for position in found.found.groups["events"]:
        assert not found.symptom(found.run.what_if(skip=[position]).new)


def test_rows_of_the_base_are_left_out_too(run, small):
    """What is said of one order needs its row only."""
    kept = run.shrink(run.actions[run.actions["entity"] == "b7"].iloc[0], rows=False)

    assert {name: list(rows["id"]) for name, rows in small.rows.items()} == {"orders": ["b7"]}
    assert len(small.run.events) == 0
    assert len(kept.run.plan.base.tables["orders"]) == 20
    assert "approximate" in str(small.run.verdict)
    assert small.run.again().actions["entity"].unique().tolist() == ["b7"]


def test_a_function_says_what_to_look_for_and_a_budget_what_it_may_cost(run):
    """What is not finished says so."""
    found = run.shrink(lambda one: len(one.violations) >= 2, rows=False)
    hurried = run.shrink(lambda one: len(one.violations) >= 2, budget=3)

    assert len(found.run.violations) >= 2
    assert found.minimal
    assert not hurried.minimal
    assert hurried.found.tests == 3
    assert "not minimal (budget)" in hurried.sentence
    with pytest.raises(rk.QueryError, match="does not show what is looked for"):
        run.shrink(lambda one: False)
    with pytest.raises(rk.QueryError, match="is no symptom"):
        run.shrink({"rule": "ship"})


def test_the_refinery_failure_of_the_incident_shrinks_to_two_lines(sample_data):
    """One write and one row, of some thousand inputs and rows."""
    town = gastown.load_trace(sample_data / "gastown-incident")
    retraced = {"ticks": "recorded", "actions": "recorded"}
    before = rk.replay(town, gastown, rk.Window("2026-03-26T14:00Z", "2026-03-26T14:20:20Z"), **retraced)
    base = rk.Snapshot(before.after.tables, at="2026-03-26T14:20:20Z")
    window = rk.Window("2026-03-26T14:20:20Z", "2026-03-26T14:23:20Z")
    run = rk.replay(town, gastown, window, base=base, **retraced)
    failed = run.actions.query("rule == 'R6' and entity == 'new-bead-0079'").iloc[0]
    found = run.shrink(failed)

    assert (failed["kind"], failed["to"]) == ("transition_bead", "failed")
    assert found.minimal
    assert {name: len(left) for name, left in found.found.groups.items() if left} == {
        "writes": 1, "rows of agent_metadata": 1,
    }  # fmt: skip
    assert "dispatch_attempts" in found.inputs["values"].iloc[-1]
    assert list(found.rows["agent_metadata"]["bead_id"]) == ["pre-bead-0008"]


def test_a_fixture_is_the_part_of_the_recording_that_the_replay_took(run, tmp_path):
    """To the type of every cell; replayed alone it comes to the same."""
    frame = events().assign(amount=[1.5, None] * 7, note=["ü", None, '"', "a\nb"] * 3 + ["", "x"])
    shot = rk.Snapshot({"orders": [*ORDERS[:2], {"id": "ü", "since": None, "reminders": 2**60}]}, at=BASE.at)
    recording = rk.load(frame, time="at", kind="kind", id="id", payload="body", snapshots=[shot], keys={"orders": "id"})
    whole = rk.replay(recording, reconciler, rk.Window("06:02", "06:09"), ticks="20s", actions="apply", on_error="undo")
    write_fixture(whole, tmp_path / "part.json")
    with fixture(tmp_path / "part.json") as part:
        again = rk.replay(part, reconciler, whole.window, ticks="20s", actions="apply", on_error="undo")
        assert part.span == recording.span
        pd.testing.assert_frame_equal(part.events, recording.events[recording.events["position"] <= whole.plan.last])
        pd.testing.assert_frame_equal(part.snapshot(0).tables["orders"], recording.snapshot(0).tables["orders"])

    assert history_digest(again.history) == history_digest(whole.history)
    pd.testing.assert_frame_equal(again.actions, whole.actions)


def test_a_file_that_is_no_fixture_is_refused(tmp_path):
    """Missing, no JSON, another version, damaged."""
    for text, told in [
        (None, "There is no fixture"),
        ("{", "is no fixture: "),
        ('{"replaykit_fixture": 99}', "no fixture of version 1 "),
        ('{"replaykit_fixture": 1, "meta": {}, "tables": {"events": {"columns": [["a", "NOTYPE"]], "rows": []}}}',
         "damaged fixture"),
    ]:  # fmt: skip
        if text is not None:
            (tmp_path / "x.json").write_text(text)
        with pytest.raises(rk.FormatError, match=told):
            fixture(tmp_path / "x.json")


def test_the_test_that_is_written_fails_before_the_mend_and_passes_after(small, tmp_path):
    """As its user runs it, with pytest in another process."""
    (tmp_path / "rules.py").write_text((Path(__file__).parent / "shop.py").read_text())
    action = small.run.actions.iloc[0]
    test = small.run.to_test(tmp_path / "test_reminded.py", action, reconciler="shop:reconciler")
    test.write_text(test.read_text().replace("from shop import", "from rules import"))
    before = _pytest(tmp_path)
    rules = (tmp_path / "rules.py").read_text()
    (tmp_path / "rules.py").write_text(rules.replace("if now - order", 'if order["id"] != "b7" and now - order'))
    after = _pytest(tmp_path)

    assert (before.returncode, after.returncode) == (1, 0), before.stdout + after.stdout
    assert "remind emits remind b7" in before.stdout
    rows = json.loads((tmp_path / "test_reminded.json").read_text())["tables"]
    assert rows["events"]["rows"] == []
    assert len(rows["state.orders"]["rows"]) == 1


def _pytest(folder):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", str(folder)]
    path = os.pathsep.join([str(folder), str(Path(rk.__file__).parents[1])])
    quick = {"PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment = {**os.environ, "PYTHONPATH": path, **quick}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)


def test_a_test_that_could_not_fail_or_be_imported_is_not_written(run, tmp_path):
    """With the next step."""
    typed = reconciler.copy()

    @typed.rule("remind", key="id")
    def remind(state, now):
        for order in state["orders"].find(status="placed"):
            yield rk.Action("remind", id=order["id"])

    unknown = rk.replay(run.recording, typed, ticks="20s")
    with pytest.raises(rk.QueryError, match="no module holds 'shop' as it ran"):
        unknown.to_test(tmp_path / "test_x.py")
    with pytest.raises(rk.QueryError, match=r"files called test_<name>\.py"):
        run.to_test(tmp_path / "x.py")
    with pytest.raises(rk.QueryError, match="there is no folder"):
        run.to_test(tmp_path / "no" / "test_x.py")
    with pytest.raises(rk.QueryError, match="has to be a row"):
        run.to_test(tmp_path / "test_x.py", lambda one: True)
    assert list(tmp_path.iterdir()) == []


def test_a_written_test_parses_whatever_is_in_it_and_overwrites_nothing(tmp_path):
    """Backslashes and quotes in an entity; a file that is there."""
    odd = 'C:\\users\\x"""\\N{foo}'
    made = rk.Reconciler("odd", {"t": rk.Table("id", id="VARCHAR")})
    made.ignore("placed", "paid", "shipped")
    made.rule("act", key="id")(lambda state, now: iter([rk.Action("x", id=odd)]))
    module = type(sys)("odd_rules")
    module.odd = made
    sys.modules["odd_rules"] = module
    try:
        run = rk.replay(recorded(orders=2), made, ticks="event")
        small = run.shrink(run.actions.iloc[0])
        test = small.run.to_test(tmp_path / "test_odd.py", small.run.actions.iloc[0])
        compile(test.read_text(), str(test), "exec")
        with pytest.raises(rk.QueryError, match="exists and is not overwritten"):
            run.to_test(test, run.actions.iloc[0])
        assert len(small.inputs) == 1
        assert "approximate" in small._repr_html_() or small.sentence
        with pytest.raises(rk.QueryError, match="has 2 rows"):
            run.shrink(run.actions.head(2))
        with pytest.raises(rk.QueryError, match="budget="):
            run.shrink(run.actions.iloc[0], budget="5")
    finally:
        del sys.modules["odd_rules"]


def test_rules_that_only_look_the_same_are_not_imported(tmp_path):
    """What a function closes over is in no digest: the test would pass before the mend."""

    def made(limit):
        rules = rk.Reconciler("twins", {"t": rk.Table("id", id="VARCHAR")})
        rules.ignore("placed", "paid", "shipped")
        rules.rule("act", key="id")(lambda state, now: iter([rk.Action("x", id="a")] if limit else []))
        return rules

    module = type(sys)("twin_rules")
    module.alpha, module.beta = made(0), made(1)
    sys.modules["twin_rules"] = module
    try:
        run = rk.replay(recorded(orders=2), module.beta, ticks="event")
        test = run.to_test(tmp_path / "test_twins.py", run.actions.iloc[0])
        assert "from twin_rules import beta" in test.read_text()
        with pytest.raises(rk.QueryError, match="rules that the test would import do not show"):
            run.to_test(tmp_path / "test_other.py", run.actions.iloc[0], reconciler="twin_rules:alpha")
        with pytest.raises(rk.QueryError, match="expected 'module:name'"):
            run.to_test(tmp_path / "test_other.py", run.actions.iloc[0], reconciler="")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["test_twins.json", "test_twins.py"]
    finally:
        del sys.modules["twin_rules"]
