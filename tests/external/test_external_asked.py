"""What is asked after a replay of a program: why, readers, blame, determinism, and what else is done with the run."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pandas as pd
import pytest
from jobs_cases import PROGRAMS, WINDOW, jobs_program

import replaykit as rk


def test_why_names_the_cells_a_program_says_it_read(run):
    """With the step behind each, and whether the action would fall without that write: the program is asked again."""
    found = run.why(run.actions[run.actions["kind"] == "requeue"].iloc[0])

    assert [(cell.name, cell.value, cell.blame.step, cell.decisive) for cell in found.cells] == [
        ("jobs[j1].status", "running", 2, True),
        ("jobs[j1].updated_at", pd.Timestamp("2026-03-26T06:00:10"), 2, True),
    ]
    assert "event started e1; queued before" in found.sentence


def test_why_of_a_breach_works_the_same_way(run):
    """An invariant is asked by check, a rule by reconcile."""
    found = run.why(run.violations.iloc[0])

    assert [(cell.name, cell.value, cell.blame.step) for cell in found.cells] == [("jobs[j1].runs", 3, 10)]


def test_why_says_where_the_program_does_not(run):
    """That it read nothing would be wrong."""
    found = run.why(run.actions[run.actions["kind"] == "greet"].iloc[0])

    assert found.cells == ()
    assert found.sentence.endswith("The program does not say what it read.")


def test_why_not_is_refused_with_the_reason(run):
    """Nobody sees where a process turned away."""
    with pytest.raises(rk.QueryError, match=r"rule 'requeue_lost': it belongs to Program .* a process of its own"):
        run.why_not("requeue", job_id="j2")


def test_readers_finds_what_rested_on_a_write_where_the_program_says_so(run):
    """Its reads are those of a rule in Python or SQL."""
    found = run.readers(event="e1")

    assert found.frame[["rule", "column"]].values.tolist() == [
        ["requeue_lost", "status"],
        ["requeue_lost", "updated_at"],
    ]


def test_readers_is_refused_where_the_program_names_no_reads(recording):
    """An empty answer would say that nothing rested on it."""
    silent = rk.external([sys.executable, "-S", str(PROGRAMS / "jobs.py"), "silent"])
    run = rk.replay(recording, silent, WINDOW, ticks="60s")

    with pytest.raises(rk.QueryError, match="does not say what its rules read"):
        run.readers(event="e1")


def test_a_history_of_a_program_answers_all_questions(run):
    """Blame, first, when and diffs are queries over the history, whoever wrote it."""
    assert run.at("06:12").blame("jobs", "j1", "status").event_id == "e7"
    assert run.first("SELECT * FROM jobs WHERE status = 'running'").step == 2
    assert len(run.when("SELECT * FROM jobs WHERE job_id = 'j1' AND status = 'running'")) == 2
    assert list(rk.diff(run.at("06:00:05"), run.at("06:00:15"))["jobs"].changed["job_id"]) == ["j1"]
    assert run.history.touched(event="e6").steps == (7,)


def test_determinism_is_checked_as_far_as_results_tell(run):
    """The same requests again must give the same replies; nobody listens inside of a process."""
    found = run.check_determinism()

    assert (found.ok, found.differing, found.functions) == (True, (), 0)
    assert found.unchecked["reason"].tolist() == ["an external program, where nobody listens"]


def test_a_saved_run_of_a_program_is_opened_with_it(run, program, tmp_path):
    """A file kept a year knows which program it was, by command, files and hello."""
    saved = run.save(tmp_path / "run.duckdb")

    assert "isolation not guaranteed" in repr(rk.open_run(saved))
    assert rk.open_run(saved, reconciler=program).digest == run.digest
    with pytest.raises(rk.ReconcilerError, match="patience"):
        rk.open_run(saved, reconciler=program.with_params(patience=1))


def test_two_parameters_of_a_program_are_compared_in_processes(recording):
    """It is a value without a process, so it can be sent to another one."""
    program = jobs_program("json")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = rk.compare(
            recording, program, program.with_params(patience=120), window=WINDOW, ticks="60s", executor=pool
        )

    assert str(found) == str(
        rk.compare(recording, program, program.with_params(patience=120), window=WINDOW, ticks="60s")
    )
    assert "first at 2026-03-26T06:03:00Z in rule requeue_lost" in str(found)


def test_what_a_program_says_in_another_way_than_at_first_is_refused(recording, tmp_path):
    """A program edited between call and replay would run under the other one's name."""
    path = tmp_path / "jobs.py"
    path.write_text((PROGRAMS / "jobs.py").read_text(encoding="utf-8"), encoding="utf-8")
    program = rk.external([sys.executable, "-S", str(path)])
    digest = program.digest()
    path.write_text(path.read_text(encoding="utf-8").replace('"patience": 600', '"patience": 60'), encoding="utf-8")

    assert program.digest() != digest
    with pytest.raises(rk.ExternalError, match=r"says hello in another way than when rk.external was called"):
        rk.replay(recording, program)
