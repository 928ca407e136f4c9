"""Assertions for users' tests, and golden files: what they say when they fail, and that only an approval writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

import replaykit as rk
from replaykit import golden, pytest_plugin, testing

SECRET = "hunter2-payload"
PERSON = "alice-the-entity"
EVENTS = [
    {
        "at": f"2026-01-01T00:00:{second:02}Z",
        "kind": kind,
        "id": f"ev-{SECRET}-{second}",
        "payload": json.dumps(payload),
    }
    for second, kind, payload in [
        (0, "opened", {"who": PERSON, "token": SECRET}),
        (10, "opened", {"who": "bob", "token": "t"}),
        (20, "closed", {"who": "bob", "token": "t"}),
        (30, "opened", {"who": "carol", "token": "u"}),
    ]
]


def system(patience=5, **more):
    """Return rules that nudge whoever has been open for too long, and that forbid two at once."""
    made = rk.Reconciler(
        "desk",
        {"people": rk.Table("who", status="VARCHAR", since="TIMESTAMP", token="VARCHAR")},
        {"patience": timedelta(seconds=patience), **more},
    )

    @made.apply("opened", "closed")
    def moved(state, event):
        token = event.payload["token"]
        state["people"].upsert(who=event.payload["who"], status=event.kind, since=event.occurred_at, token=token)

    late = "SELECT who, token FROM people WHERE status = 'opened' AND $now - since > $patience ORDER BY who"
    made.rule("nudge", late, key="who")
    made.invariant("one_open", "SELECT who, token FROM people WHERE status = 'opened' AND who <> 'bob'", key="who")
    made.invariant("no_nameless", "SELECT who FROM people WHERE who = ''", key="who")
    return made


@pytest.fixture(scope="module")
def recording():
    """Return four events."""
    return rk.load(EVENTS, time="at", kind="kind", id="id", payload="payload")


@pytest.fixture(scope="module")
def run(recording):
    """Return a replay of them."""
    return rk.replay(recording, system(), ticks="5s")


@pytest.fixture
def approving(monkeypatch):
    """Let golden files be written, and return the list of those that were."""
    monkeypatch.setattr(pytest_plugin, "approved", [])
    return pytest_plugin.approved


@pytest.fixture
def strict(monkeypatch):
    """Let nothing be written, as without the option."""
    monkeypatch.setattr(pytest_plugin, "approved", None)


def test_rules_that_do_the_same_pass_and_the_comparison_is_handed_back(recording):
    """A pure refactoring: another text, the same rows."""
    twin = system().without("nudge")
    twin.rule(
        "nudge",
        "SELECT who, token FROM people WHERE NOT ($now - since <= $patience OR status <> 'opened') ORDER BY who",
        key="who",
    )
    found = testing.assert_same_actions(system(), twin, recording, ticks="5s")
    assert found.identical


def test_rules_that_differ_fail_with_the_sentence_the_first_divergence_and_a_table(recording):
    """An AssertionError, so that a test runner counts it as a failure."""
    with pytest.raises(AssertionError) as caught:
        rk.testing.assert_same_actions(system(), system(patience=12), recording, ticks="5s")
    sentence, first, table = str(caught.value).split("\n\n", 2)
    assert "nudge" in sentence
    assert "00:00:10" in sentence + first
    assert PERSON in first
    assert table.startswith("difference")
    assert len(table.splitlines()) < 15


def test_a_recording_that_cannot_be_compared_fails_with_its_error(recording):
    """A replay that raises has no actions, and would be the same as none."""
    broken = system().without("nudge")

    @broken.rule("nudge", key="who")
    def nudge(state, now):
        raise ValueError("broken on purpose")

    with pytest.raises(AssertionError, match="broken on purpose"):
        testing.assert_same_actions(broken, broken, recording, ticks="5s")


def test_violations_fail_with_the_first_and_may_be_spared_by_name(recording, run):
    """Of a replay, and of a recording that is replayed for it."""
    for given in ((run,), (recording, system())):
        with pytest.raises(
            AssertionError, match=rf"2 violations; the first: one_open for {PERSON}, opened 2026-01-01T00:"
        ):
            testing.assert_no_violations(*given)
    assert testing.assert_no_violations(run, except_=["one_open"]) is run
    assert len(testing.assert_no_violations(recording, system(), ticks="5s", except_="one_open").metrics)
    with pytest.raises(rk.QueryError, match="'one_opn', which is no invariant"):
        testing.assert_no_violations(run, except_=["one_opn"])


def test_invariants_that_were_never_asked_are_no_proof(recording, run):
    """No invariant, no tick, or one that raised: none of them says that all is well."""
    with pytest.raises(AssertionError, match="no other invariant"):
        testing.assert_no_violations(run, except_=["one_open", "no_nameless"])
    blind = system().without("one_open", "no_nameless")

    @blind.invariant("blind", key="who")
    def broken(state, now):
        raise ValueError("broken on purpose")

    with pytest.raises(AssertionError, match=r"Invariant 'blind' raised 4 times: ValueError: 'broken on purpose'"):
        testing.assert_no_violations(recording, blind, on_error="keep")
    with pytest.raises(rk.ReconcilerError, match="has its own"):
        testing.assert_no_violations(run, system())
    with pytest.raises(rk.ReconcilerError, match="expected a replay"):
        testing.assert_no_violations(recording)


def test_a_golden_file_holds_digests_and_counts_and_nothing_of_the_recording(run, tmp_path, approving):
    """It goes into a repository: no payload, no id, no entity, and nothing of a rule's text."""
    path = tmp_path / "deep" / "desk.json"
    testing.assert_golden(run, path)
    text = path.read_text()
    assert approving == [str(path)]
    for secret in (SECRET, PERSON, "alice", "bob", "carol", "ev-", "token", "opened", "SELECT"):
        assert secret not in text.lower(), secret
    held = json.loads(text)
    assert held["tables"]["people"].items() >= {("rows", 3), ("versions", 4)}
    assert held["rules"]["nudge"]["actions"] == int(run.actions["repeats"].sum()) + len(run.actions)
    assert held["invariants"]["one_open"]["episodes"] == 2
    assert (held["reconciler"], held["ticks"], held["window"][0]) == ("desk", "0:00:05", "2026-01-01T00:00:00Z")
    assert text == json.dumps(held, indent=2, sort_keys=True) + "\n"


def test_a_missing_golden_file_fails_with_the_way_to_approve_it(run, tmp_path, strict):
    """A test that writes what it then believes proves nothing."""
    path = tmp_path / "new.json"
    with pytest.raises(AssertionError, match=r"no such file yet\n.*pytest --rk-approve"):
        testing.assert_golden(run, path)
    assert not path.exists()


@pytest.fixture
def known(run, tmp_path):
    """Return a golden file of the replay."""
    path = tmp_path / "known.json"
    golden.write_golden(path, golden.golden_of(run))
    return path


def test_the_same_replay_passes_also_when_it_was_saved_and_opened(run, known, tmp_path, strict):
    """A file's digests must not depend on where the rows are."""
    testing.assert_golden(run, known)
    testing.assert_golden(rk.open_run(run.save(tmp_path / "run.duckdb")), known)


def test_a_mismatch_says_which_part_differs_and_from_what_count_to_what(recording, known, strict):
    """A message of digests would send everybody to a debugger."""
    before = known.read_text()
    with pytest.raises(AssertionError) as caught:
        testing.assert_golden(rk.replay(recording, system(patience=12), ticks="5s"), known)
    told = str(caught.value).splitlines()
    assert len([line for line in told if line.startswith("  ")]) == 1
    assert told[1].startswith("  rule 'nudge': ")
    assert " -> " in told[1]
    assert told[1].endswith("actions") or told[1].endswith("action")
    assert "pytest --rk-approve" in told[-1]
    assert known.read_text() == before


def test_other_values_in_equal_numbers_are_told_as_such(known, strict):
    """The count alone would call two histories the same."""
    rows = [{**row, "payload": row["payload"].replace(SECRET, "other")} for row in EVENTS]
    other = rk.replay(rk.load(rows, time="at", kind="kind", id="id", payload="payload"), system(), ticks="5s")
    with pytest.raises(AssertionError) as caught:
        testing.assert_golden(other, known)
    assert "table 'people': as many as before (3 rows, 4 versions), but others" in str(caught.value)
    assert "invariant 'one_open': as many as before (2 episodes," in str(caught.value)


def test_settings_tables_and_rules_that_come_or_go_are_named(recording, known, strict):
    """Also what is not counted is part of what was approved."""
    changed = system().without("nudge", "no_nameless")
    changed.rule("ping", "SELECT who FROM people", key="who")
    with pytest.raises(AssertionError) as caught:
        testing.assert_golden(rk.replay(recording, changed, ticks="event"), known)
    for part in ("ticks: 0:00:05 -> event", "rule 'nudge': no longer there", "rule 'ping': not there before"):
        assert part in str(caught.value)


def test_only_files_that_differ_are_written_when_approving(recording, run, known, approving):
    """An approval of everything must leave alone what was right."""
    known.write_text(known.read_text().replace("\n", " \n"))
    testing.assert_golden(run, known)
    assert approving == []
    testing.assert_golden(rk.replay(recording, system(patience=12), ticks="5s"), known)
    assert approving == [str(known)]


def test_a_version_of_duckdb_is_told_where_something_else_differs_and_alone_is_no_failure(run, known, strict):
    """It may be why; it is not what."""
    old = json.loads(known.read_text())
    old["versions"]["duckdb"] = "1.9"
    known.write_text(json.dumps(old))
    testing.assert_golden(run, known)
    old["steps"] = 99
    known.write_text(json.dumps(old))
    with pytest.raises(AssertionError, match=r"steps: 99 -> 4\n  written with duckdb 1.9, golden 1, this is duckdb"):
        testing.assert_golden(run, known)


def test_what_is_no_golden_file_says_so_until_it_is_approved(run, tmp_path, monkeypatch):
    """A merge conflict inside one is the usual way to get there."""
    path = tmp_path / "conflict.json"
    for text, told in (("<<<<<<< ours\n{}", "is no golden file"), ('{"versions": {"golden": 99}}', "of version 99")):
        path.write_text(text)
        monkeypatch.setattr(pytest_plugin, "approved", None)
        with pytest.raises(rk.FormatError, match=told):
            testing.assert_golden(run, path)
        monkeypatch.setattr(pytest_plugin, "approved", [])
        testing.assert_golden(run, path)
        assert json.loads(path.read_text())["reconciler"] == "desk"


PROJECT = """
from pathlib import Path
import sys
sys.path.insert(0, {tests!r})
import pytest
import test_testing as desk
import replaykit as rk

@pytest.mark.parametrize("patience", [5, 12])
def test_desk(patience):
    recording = rk.load(desk.EVENTS, time="at", kind="kind", id="id", payload="payload")
    run = rk.replay(recording, desk.system(patience), ticks="5s")
    rk.testing.assert_golden(run, Path(__file__).with_name(f"desk_{{patience}}.json"))
"""


def pytest_in(folder, *options):
    """Run pytest in a folder, in a process of its own, as in CI; return its exit code and what it said."""
    plugins = ["-p", "no:cacheprovider", "-p", "xdist.plugin", "-p", "replaykit.pytest_plugin"]
    # Other plugins of a developer's environment take ten times as long to load as all of this.
    environment = {**os.environ, "CI": "true", "PYTHONHASHSEED": "3", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", *plugins, *options]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_option_reaches_a_worker_and_what_it_wrote_is_listed(tmp_path):
    """Approve in a worker of pytest-xdist, as a user with many cores does."""
    (tmp_path / "test_desk.py").write_text(PROJECT.format(tests=str(Path(__file__).parent)))
    code, told = pytest_in(tmp_path, "-n", "1", "--rk-approve")
    assert code == 0, told
    assert "golden files approved" in told
    files = [str(tmp_path / "desk_12.json"), str(tmp_path / "desk_5.json")]
    assert [line for line in told.splitlines() if line.endswith(".json")] == files
    assert all(json.loads(Path(file).read_text())["reconciler"] == "desk" for file in files)


def test_pytest_finds_the_plugin_by_itself(repository):
    """An installed package needs no line in anybody's conftest.py."""
    declared = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert declared == {"replaykit.pytest_plugin": "replaykit.pytest_plugin"}
    assert set(pytest_plugin.__all__) >= {"pytest_addoption", "pytest_configure", "pytest_testnodedown"}
