"""Saved runs: what is opened equals what was saved, to the type, and what is no saved run says why."""

from __future__ import annotations

import shutil
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import saved
from saved import FRAMES, equal, typed

import replaykit as rk
from replaykit.errors import LoadError, QueryError, ReconcilerError
from replaykit.fingerprint import actions_digest, history_digest, steps_digest, violations_digest
from replaykit.systems import gastown

KEPT = Path(__file__).parent / "data" / "saved_run_1.duckdb"
WINDOW = rk.Window("2026-03-26T14:22Z", "2026-03-26T14:26Z")


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Return a live run with values of every type, and the file it was saved in."""
    _, run = saved.wide()
    return run, run.save(tmp_path_factory.mktemp("wide") / "wide.duckdb")


@pytest.fixture(scope="module")
def town(tmp_path_factory, sample_data):
    """Return four minutes of a town retraced, and the file they were saved in."""
    recording = gastown.load_trace(sample_data / "gastown-incident")
    run = rk.replay(recording, gastown, WINDOW, ticks="recorded", actions="recorded")
    return run, run.save(tmp_path_factory.mktemp("town") / "town.duckdb")


@pytest.fixture(scope="module", params=["wide", "town"])
def both(request):
    """Return a live run and the same read from its file, without recording and rules."""
    run, path = request.getfixturevalue(request.param)
    return run, rk.open_run(path)


@pytest.fixture
def copied(wide, tmp_path):
    """Return a copy of a saved run, to be damaged."""
    return Path(shutil.copy(wide[1], tmp_path / "copy.duckdb"))


# What is opened equals what was saved.


def test_every_frame_is_equal_to_the_type_of_each_cell(both):
    """Nothing turns into another type on the way: not NULL into NaN, not True into 1."""
    run, back = both

    for name in FRAMES:
        equal(getattr(run, name), getattr(back, name))
    equal(run.verdict.checks, back.verdict.checks)
    equal(run.verdict.cells, back.verdict.cells)


def test_every_version_of_every_row_is_equal(both):
    """The history is what all questions about state are answered from."""
    run, back = both

    for name in run.history.tables:
        equal(run.history(name), back.history(name))
        equal(run.after[name], back.after[name])
        everything = f"SELECT * FROM history.{name} ORDER BY change"
        assert [*map(typed, run.history.fetch(everything))] == [*map(typed, back.history.fetch(everything))]
    assert run.history.keys == back.history.keys
    assert [run.history.columns(name) for name in run.history.tables] == [
        back.history.columns(name) for name in back.history.tables
    ]


def test_what_is_no_frame_is_equal_too(both):
    """What rules emitted is kept as they gave it; plan and settings as they were."""
    run, back = both

    for name in ("emitted", "found", "checked", "last_seq", "digest", "window", "before_step", "after_step"):
        assert typed(getattr(run, name)) == typed(getattr(back, name)), name
    assert run.settings == back.settings
    for name in ("window", "first", "where", "events", "warmup", "late", "last", "kinds", "span", "parameters"):
        assert getattr(run.plan, name) == getattr(back.plan, name), name
    assert typed(dict(run.reconciler.params)) == typed(dict(back.reconciler.params))
    assert (run.verdict.status, run.verdict.sentence, run.verdict.reasons) == (
        back.verdict.status,
        back.verdict.sentence,
        back.verdict.reasons,
    )


def test_it_reads_the_same_in_a_notebook(both):
    """Sentence, tables and pictures are the same, byte by byte."""
    run, back = both

    assert repr(run) == repr(back)
    assert run._repr_html_() == back._repr_html_()
    assert run.history._repr_html_() == back.history._repr_html_()
    assert run.after._repr_html_() == back.after._repr_html_()
    equal(run.plot().table, back.plot().table)


def test_messages_about_violations_are_the_same(both):
    """Violations know the ticks they were found at."""
    run, back = both

    equal(run.violations.changes(), back.violations.changes())
    equal(run.violations.changes(clean=1), back.violations.changes(clean=1))


def test_questions_about_state_have_the_same_answers(town):
    """Moments, diffs, blame, what was touched, first and when are queries: no rule and no recording."""
    run, back = town[0], rk.open_run(town[1])
    query = "SELECT * FROM beads WHERE status = 'closed' AND updated_at > $since"
    event = run.events["event_id"].iloc[0]
    bead = run.after["beads"]["bead_id"].iloc[0]

    for moment in ({"step": run.before_step}, {"event": event}, {"time": "2026-03-26T14:25Z"}):
        assert run.at(**moment).step == back.at(**moment).step
    assert str(run.diff) == str(back.diff)
    assert not len(rk.diff(run, back))
    assert str(run.after.blame("beads", bead, "status")) == str(back.after.blame("beads", bead, "status"))
    assert run.history.touched(event=event)._repr_html_() == back.history.touched(event=event)._repr_html_()
    assert str(run.first(query, since="2026-03-26T14")) == str(back.first(query, since="2026-03-26T14"))
    assert str(run.when(query, since="2026-03-26T14")) == str(back.when(query, since="2026-03-26T14"))
    equal(
        run.sql("SELECT status, count(*) AS n FROM beads GROUP BY 1 ORDER BY 1"),
        back.sql("SELECT status, count(*) AS n FROM beads GROUP BY 1 ORDER BY 1"),
    )
    assert run.plot()._repr_mimebundle_() == back.plot()._repr_mimebundle_()
    equal(run.swimlanes("beads").table, back.swimlanes("beads").table)
    equal(run.divergence.frame, back.divergence.frame)
    assert str(run.divergence) == str(back.divergence)


def test_a_run_saved_again_is_the_same_run(both, tmp_path):
    """An opened run is a run: it can be saved elsewhere, and still says what it was made on."""
    run, back = both

    twice = rk.open_run(back.save(tmp_path / "again.duckdb"))

    assert twice._repr_html_() == run._repr_html_()
    assert (twice.origin.versions, twice.origin.recording) == (back.origin.versions, back.origin.recording)
    equal(run.events, twice.events)


def test_digests_of_what_was_found_are_the_same(both):
    """So a comparison tells a run read from its file from no other."""
    run, back = both

    assert history_digest(run.history) == history_digest(back.history)
    assert steps_digest(run.history) == steps_digest(back.history)
    assert actions_digest(run) == actions_digest(back)
    assert violations_digest(run) == violations_digest(back)


def test_a_run_that_leaves_out_events_is_saved_with_what_it_left_out(town, tmp_path):
    """What comes of other inputs is as much worth keeping."""
    run, _ = town
    other = run.what_if(skip=run.events["event_id"].iloc[:3].tolist()).new
    path = other.save(tmp_path / "other.duckdb")

    back = rk.open_run(path, reconciler=gastown, recording=run.recording)

    assert back._repr_html_() == other._repr_html_()
    assert (back.plan.where, back.plan.logs, back.plan.altered) == (
        other.plan.where,
        other.plan.logs,
        other.plan.altered,
    )
    assert history_digest(back.again().history) == history_digest(other.history)


def test_with_its_rules_it_explains(town):
    """Why runs a rule on the state of its tick, which the file has."""
    run, path = town
    back = rk.open_run(path, reconciler=gastown)
    action = run.emitted[0]

    assert run.why(1)._repr_html_() == back.why(1)._repr_html_()
    asked = {"agent_id": action[2]["agent_id"]}
    assert run.why_not(action[1], **asked)._repr_html_() == back.why_not(action[1], **asked)._repr_html_()


def test_with_rules_and_recording_it_runs_again(wide):
    """The base that was given is in the file: it is nowhere else."""
    recording, run = saved.wide()
    back = rk.open_run(wide[1], reconciler=saved.rules(), recording=recording)

    again = back.again()

    assert again._repr_html_() == run._repr_html_()
    for name in run.history.tables:
        equal(run.history(name), again.history(name))
    assert str(back.check_determinism()) == str(run.check_determinism())


@pytest.mark.parametrize(
    "ask",
    [
        lambda run: run.why(1),
        lambda run: run.why_not("seen", id=1),
        lambda run: run.readers(step=1),
        lambda run: run.again(),
        lambda run: run.check_determinism(),
    ],
)
def test_what_runs_rules_asks_for_them(wide, ask):
    """A file holds texts, no code."""
    with pytest.raises(QueryError, match=r"reconciler=\.\.\."):
        ask(rk.open_run(wide[1]))


def test_what_reads_the_recording_asks_for_it(wide):
    """The window's events are in the file, the rest of the recording is not."""
    back = rk.open_run(wide[1], reconciler=saved.rules())

    for ask in (back.again, back.check_determinism, lambda: back.recording.snapshots, lambda: back.recording.path):
        with pytest.raises(QueryError, match=r"recording=rk\.open"):
            ask()
    with pytest.raises(QueryError, match=r"recording=rk\.open"):
        back.recording._fetch("SELECT * FROM rejects")


def test_the_saved_rules_do_not_run(wide):
    """They would find nothing, quietly."""
    recording, _ = saved.wide()

    with pytest.raises(ReconcilerError, match="no code that runs"):
        rk.replay(recording, rk.open_run(wide[1]).reconciler)


def other_rules():
    """Return the same rules with one more kind ignored, a rule gone, one new and one that reads otherwise."""
    made = saved.rules().without("few")
    made.rule("late", "SELECT part, id FROM Things", key=("part", "id"))
    made.rule("new", "SELECT part, id FROM Things", key=("part", "id"))
    made.ignore("unheard of")
    return made


def test_other_rules_are_refused_with_what_differs(wide):
    """A digest alone would leave one searching."""
    with pytest.raises(ReconcilerError) as told:
        rk.open_run(wide[1], reconciler=other_rules())

    text = str(told.value)
    assert wide[0].digest in text
    for part in ("rule 'late' differs", "rule 'new' is new", "invariant 'few' is gone", "ignored kinds differ"):
        assert part in text
    assert "'look'" not in text


def test_other_parameters_are_named_with_both_values(wide):
    """They are what differs most often."""
    with pytest.raises(ReconcilerError, match=r"'patience': .*seconds=60.* is now .*seconds=120"):
        rk.open_run(wide[1], reconciler=saved.rules(timedelta(minutes=2)))


def test_another_recording_is_refused_with_what_differs(wide):
    """Rules on other evidence would explain another run."""
    other = rk.load([{"at": "2026-01-01T00:00:00Z", "kind": "set"}], time="at", kind="kind")

    with pytest.raises(LoadError, match=r"differ in .*events.*24 events then, 1 here"):
        rk.open_run(wide[1], recording=other)
    with pytest.raises(LoadError, match="expected an open recording"):
        rk.open_run(wide[1], recording="incident.duckdb")


def test_asking_leaves_every_byte(copied):
    """A file is opened read-only."""
    before = copied.read_bytes()

    back = rk.open_run(copied)
    back._repr_html_(), back.sql("SELECT * FROM Things"), back.history("Things"), back.first("SELECT * FROM Things")

    assert copied.read_bytes() == before
    assert [one.name for one in copied.parent.iterdir()] == [copied.name]


def test_a_query_cannot_write_or_reach_other_files(wide):
    """A saved run is sealed like a recording."""
    back = rk.open_run(wide[1])

    for query in ("DELETE FROM steps", "SELECT * FROM read_text('/etc/hostname')", "COPY steps TO 'x.csv'"):
        with pytest.raises(rk.GuardError):
            back.sql(query)
    with pytest.raises(duckdb.Error):
        back.history._connection.cursor().execute("DELETE FROM steps")
    with pytest.raises(duckdb.Error, match="disabled"):
        back.history._connection.cursor().execute("SELECT * FROM read_text('/etc/hostname')")


# The file that another version of this library wrote.


def test_a_run_saved_by_format_version_1_still_opens():
    """A change of the format has to come with a way to read what was saved before."""
    back = rk.open_run(KEPT)

    assert repr(back) == "Replay(15 events, 218 actions, 1 violation, approximate)"
    assert back.origin.versions["replaykit"] == "0.1.0"
    assert back.digest == back.reconciler.digest() == "b687f166058b55c4"
    assert back.verdict.reasons == ("1 event of kinds nobody handles (unheard of)",)
    assert len(back.history("Things")) == 16
    (row,) = back.history.fetch("SELECT * FROM history.Things WHERE id = 1 ORDER BY change LIMIT 1")
    cells = ["p/q", 1, None, Decimal("-0.01"), None, float("inf"), None, 0, 1, False, *[None] * 4, "[]", None, ""]
    assert typed(list(row)) == typed([3, 3, 1, 5, *cells])
    assert back.actions["kind"].value_counts().to_dict() == {"seen": 142, "late": 46, "all": 30}
    assert typed(dict(back.emitted[0][2])) == typed({"part": "p/q", "id": 0, "mixed": 1, "of": None})
    assert typed(dict(back.emitted[2][2])) == typed({"part": "p/q", "id": 1, "mixed": False, "of": "[]"})
    assert back.events["Extra"].tolist() == [number / 4 for number in range(3, 18)]
    assert back.violations["entity"].tolist() == ["3"]


def test_the_file_of_version_1_equals_what_this_version_saves(wide):
    """Frame by frame, so that not even a type changed unnoticed."""
    back = rk.open_run(KEPT)

    assert back.origin.recording["digest"] == wide[0].recording.digest
    for name in set(FRAMES) - {"evaluation"}:  # which says how this version went about it
        equal(getattr(wide[0], name), getattr(back, name))
    for name in back.history.tables:
        equal(wide[0].history(name), back.history(name))
