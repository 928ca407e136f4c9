"""Trust is checked, not assumed: what a verdict compares, and what it says where there is nothing to compare with."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import replaykit as rk

DAY = "2026-03-26"


def events(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Return an event table of ``(clock, kind, job)``."""
    return pd.DataFrame(
        [(f"{DAY}T{clock}Z", kind, f"ev-{number}", job) for number, (clock, kind, job) in enumerate(rows, 1)],
        columns=["at", "kind", "id", "job"],
    )


def jobs_frame(**status: str) -> pd.DataFrame:
    """Return a state table of jobs."""
    return pd.DataFrame({"job": list(status), "status": list(status.values())}, dtype="str")


LIFE = events(
    ("06:00", "submitted", "a"), ("06:01", "submitted", "b"), ("06:05", "started", "a"), ("06:10", "done", "a"),
)  # fmt: skip


def recorded(*snapshots: rk.Snapshot, frame: pd.DataFrame = LIFE, **options: Any) -> rk.Recording:
    """Return a recording of jobs."""
    return rk.load(frame, time="at", kind="kind", id="id", keys={"jobs": "job"}, snapshots=list(snapshots), **options)


def jobs(*, wrong: str | None = None) -> rk.Reconciler:
    """Return a reconciler of jobs; it misreads events of the kind `wrong`."""
    made = rk.Reconciler("jobs", tables={"jobs": rk.Table("job", status="VARCHAR")})

    @made.apply("submitted", "started", "done")
    def moved(state: Any, event: Any) -> None:
        status = "lost" if event.kind == wrong else event.kind
        state["jobs"].upsert(job=event["job"], status=status)

    return made


def snapshot(clock: str, after: str | None = None, **status: str) -> rk.Snapshot:
    """Return a snapshot of jobs."""
    return rk.Snapshot({"jobs": jobs_frame(**status)}, at=f"{DAY}T{clock}Z", after=after)


class TestStatus:
    """The four words, each with its reason."""

    def test_verified_names_what_agreed(self) -> None:
        """Trust without a named witness is only a feeling."""
        recording = recorded(snapshot("06:06", a="started", b="submitted"), snapshot("06:11", a="done", b="submitted"))

        verdict = rk.replay(recording, jobs(), base="empty").verdict

        assert verdict.status == "verified"
        assert "2 snapshots" in verdict.sentence
        assert list(verdict.checks["agrees"]) == [True, True]

    def test_contradicted_names_cell_and_first_step(self) -> None:
        """The step that went wrong is where the investigation goes on."""
        recording = recorded(snapshot("06:11", a="done", b="submitted"))

        verdict = rk.replay(recording, jobs(wrong="done"), base="empty").verdict

        assert verdict.status == "contradicted"
        (cell,) = verdict.cells.to_dict("records")
        assert (cell["key"], cell["column"], cell["recorded"], cell["replayed"]) == ("a", "status", "done", "lost")
        assert (cell["step"], cell["event_id"]) == (4, "ev-4")

    def test_missing_and_extra_rows_contradict(self) -> None:
        """A row that should not be there is as wrong as a cell."""
        recording = recorded(snapshot("06:11", a="done", c="submitted"))

        verdict = rk.replay(recording, jobs(), base="empty").verdict

        assert verdict.status == "contradicted"
        assert set(zip(verdict.cells["key"], verdict.cells["replayed"], strict=True)) == {("b", "row"), ("c", "no row")}

    def test_unverified_where_nothing_is_in_reach(self) -> None:
        """No witness is not a good witness."""
        assert rk.replay(recorded(), jobs()).verdict.status == "unverified"

    def test_snapshot_behind_the_window_is_no_witness(self) -> None:
        """What happened after the window says nothing about it."""
        recording = recorded(snapshot("06:11", a="done", b="submitted"))

        run = rk.replay(recording, jobs(), rk.Window("06:00", "06:06"), base="empty")

        assert run.verdict.status == "unverified"

    def test_after_says_whether_an_event_at_the_same_instant_is_inside(self) -> None:
        """Two things at one time: only the recording knows which came first."""
        early = recorded(snapshot("06:05", after="ev-2", a="submitted", b="submitted"))
        late = recorded(snapshot("06:05", after="ev-3", a="started", b="submitted"))

        assert rk.replay(early, jobs(), base="empty").verdict.status == "verified"
        assert rk.replay(late, jobs(), base="empty").verdict.status == "verified"


class TestReasons:
    """What makes a replay approximate."""

    def test_base_after_the_start(self) -> None:
        """What a live-state debug endpoint does, and never says."""
        recording = recorded(snapshot("06:11", a="done", b="submitted"))

        run = rk.replay(recording, jobs(), rk.Window("06:00", "06:06"), base=recording.snapshots[0])

        assert run.verdict.status == "approximate"
        assert "later than the window's start" in run.verdict.reasons[0]

    def test_unhandled_kinds(self) -> None:
        """An event nobody handles may have mattered."""
        frame = events(("06:00", "submitted", "a"), ("06:01", "exploded", "a"))

        verdict = rk.replay(recorded(frame=frame), jobs()).verdict

        assert verdict.status == "approximate"
        assert "exploded" in verdict.sentence

    def test_rejects(self) -> None:
        """A row that could not be read may have been the one."""
        frame = events(("06:00", "submitted", "a"))
        frame.loc[1] = ["no time", "done", "ev-2", "a"]

        assert rk.replay(recorded(frame=frame), jobs()).verdict.status == "approximate"

    def test_skipped_errors(self) -> None:
        """A handler that raised left something out."""
        reconciler = jobs()

        @reconciler.apply("done")
        def broken(state: Any, event: Any) -> None:
            raise ValueError("no such job")

        run = rk.replay(recorded(), reconciler, on_error="keep")

        assert run.verdict.status == "approximate"
        assert "1 error passed over" in run.verdict.sentence

    def test_contradiction_outweighs_reasons(self) -> None:
        """An excuse does not make a wrong answer right."""
        frame = events(("06:00", "submitted", "a"), ("06:01", "exploded", "a"))
        recording = recorded(snapshot("06:02", a="lost"), frame=frame)

        verdict = rk.replay(recording, jobs(), base="empty").verdict

        assert verdict.status == "contradicted"
        assert verdict.reasons


class TestRaising:
    """Failing on request, for tests and CI."""

    def test_raise_for_verdict_returns_a_verified_run(self) -> None:
        """So that a test can go on with it in one line."""
        run = rk.replay(recorded(snapshot("06:11", a="done", b="submitted")), jobs(), base="empty")

        assert run.raise_for_verdict() is run

    def test_raise_for_verdict_says_why(self) -> None:
        """CI shows the message and nothing else."""
        with pytest.raises(rk.VerdictError, match="unverified: There was nothing to compare with"):
            rk.replay(recorded(), jobs()).raise_for_verdict()

    def test_raise_for_violations(self) -> None:
        """Findings are data; failing is a choice."""
        reconciler = jobs()
        reconciler.invariant("none done", "SELECT job FROM jobs WHERE status = 'done'", key="job")

        with pytest.raises(rk.VerdictError, match="none done for a"):
            rk.replay(recorded(), reconciler).raise_for_violations()


class TestRecordedActions:
    """Recorded actions as witnesses."""

    ACTIONS = pd.DataFrame(
        {
            "at": [f"{DAY}T06:02Z", f"{DAY}T06:06Z"],
            "kind": ["start", "start"],
            "payload": ['{"job":"a"}', '{"job":"b"}'],
        }
    )

    def run(self, *, wanted: str) -> rk.Replay:
        """Return a replay of a rule that asks to start submitted jobs, one at a tick."""
        reconciler = jobs()

        @reconciler.rule("start", key="job")
        def start(state: Any, now: Any) -> Any:
            for job in state["jobs"].find(status=wanted)[:1]:
                yield rk.Action("start", job=job["job"])

        recording = recorded(actions=rk.Log(self.ACTIONS, time="at", kind="kind", payload="payload"))
        return rk.replay(recording, reconciler, ticks="recorded")

    def test_equal_actions_verify(self) -> None:
        """The actions production took are a witness too."""
        assert self.run(wanted="submitted").verdict.status == "verified"

    def test_other_actions_contradict(self) -> None:
        """A rule that asks for something else did not run in production."""
        verdict = self.run(wanted="started").verdict

        assert verdict.status == "contradicted"
        assert verdict.checks["first_step"].iloc[0] == 2


class TestVerify:
    """Snapshots folded to the next, one after another."""

    def test_folds_each_snapshot_to_the_next(self) -> None:
        """One row for each pair and table, all agreeing where the handlers are right."""
        recording = recorded(
            snapshot("06:02", a="submitted", b="submitted"),
            snapshot("06:06", a="started", b="submitted"),
            snapshot("06:11", a="done", b="submitted"),
        )

        found = rk.verify(recording, jobs())

        assert found.ok
        assert list(zip(found.table["from"], found.table["to"], strict=True)) == [(0, 1), (1, 2)]
        assert found.raise_for_verdict() is found

    def test_a_write_nobody_logged_shows_where_it_happened(self) -> None:
        """Only the pair around it differs, because the next one starts from the recorded state again."""
        recording = recorded(
            snapshot("06:02", a="submitted", b="submitted"),
            snapshot("06:06", a="started", b="cancelled"),
            snapshot("06:11", a="done", b="cancelled"),
        )

        found = rk.verify(recording, jobs())

        assert list(found.table["agrees"]) == [False, True]
        assert list(found.cells["key"]) == ["b"]
        with pytest.raises(rk.VerdictError, match="1 of 2 comparisons differ in 1 cell"):
            found.raise_for_verdict()

    def test_needs_two_snapshots(self) -> None:
        """Verifying nothing must not look like agreement."""
        with pytest.raises(rk.QueryError, match="two snapshots or more; the recording holds 1"):
            rk.verify(recorded(snapshot("06:02", a="submitted")), jobs())


def test_displays_are_escaped() -> None:
    """Cells hold what the system wrote, and a notebook would run it."""
    frame = events(("06:00", "submitted", "<script>alert(1)</script>"))
    recording = recorded(rk.Snapshot({"jobs": jobs_frame(x="<b>")}, at=f"{DAY}T06:01Z"), frame=frame)
    run = rk.replay(recording, jobs(), base="empty")

    html = run._repr_html_() + run.verdict._repr_html_() + run.diff._repr_html_() + run.after._repr_html_()

    assert "&lt;script&gt;" in html
    assert "<script" not in html
