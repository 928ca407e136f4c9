"""Retracing: production's inputs and ticks in its own order, against a small production written in plain Python."""

from __future__ import annotations

import itertools

import pytest
from building import T0, after
from plant import Plant, reconciler

from replaykit.errors import ReconcilerError
from replaykit.replay import replay
from replaykit.snapshot import Snapshot
from replaykit.verification import verify
from replaykit.window import Window


def day(**options: bool) -> Plant:
    """Return a day of production: late, repeated and lost events, writes between rules and check, equal clocks."""
    plant = Plant(**options)
    plant.mark(0)
    plant.event(1, "put", id="a", n=1)
    plant.event(1, "put", id="b", n=13)
    plant.tick(5, 6)
    plant.event(7, "move", id="c", to="held")  # there is no c yet: raises until there is
    plant.event(8, "poison", id="a", tags=[1, 2])
    plant.tick(10, 10.5, between=lambda: plant.write(10.2, "update", "b", n=4))
    plant.mark(11)
    plant.tick(15)
    plant.write(16, "insert", "c", n=0, status="new")
    plant.event(17, "put", id="a", n=0)
    plant.tick(20, between=lambda: plant.event(20, "put", id="d", n=2))
    plant.mark(20)
    plant.write(20, "delete", "b")
    plant.tick(20)
    plant.tick(20)
    plant.event(24, "drop", id="a")
    plant.queue = [one for one in plant.queue if one["kind"] == "drop"]  # a restart that lost the rest
    plant.tick(25, 26)
    plant.event(27, "put", id="never", n=1)
    plant.mark(28)
    return plant


STARTS = [0, 5, 5.5, 8, 10.1, 10.3, 11, 12, 20, 21]
ENDS = [5.5, 10, 10.2, 10.3, 11, 20, 20.5, 25.5, 26.5, 28]
RETRACED = {"ticks": "recorded", "actions": "recorded"}


@pytest.fixture(scope="module")
def recording():
    """Return the recording of `day`."""
    with day().recording() as found:
        yield found


class TestFaithful:
    """Rules that are production's come out verified, whatever window, base and logs there are."""

    def test_the_whole_day(self, recording):
        """Every snapshot, every action and every breach agrees."""
        run = replay(recording, reconciler(), **RETRACED)

        assert run.verdict.status == "verified", run.verdict.sentence
        assert set(run.verdict.checks["table"]) == {"jobs", "notes", "actions", "violations"}
        assert run.divergence.ticks == len(run.metrics) == 7
        assert len(run.problems) == 0

    def test_queries_see_each_application(self):
        """In SQL rules and invariants ``events`` has an event as often as it was applied, and when."""
        with day(counting=True).recording() as recording:
            run = replay(recording, reconciler(counting=True), **RETRACED)
            again = run.again()

        assert run.verdict.status == "verified", run.verdict.sentence
        assert (run.actions["rule"] == "odd").any()
        assert (run.violations["invariant"] == "many").any()
        assert again.actions.equals(run.actions)

    def test_pair_by_pair(self, recording):
        """Each snapshot leads to the next."""
        found = verify(recording, reconciler())

        assert found.ok, found.sentence

    @pytest.mark.parametrize(("start", "end"), [pair for pair in itertools.product(STARTS, ENDS) if pair[0] < pair[1]])
    def test_any_window(self, recording, start, end):
        """Cut between rules and check, between snapshots, inside an instant: nothing comes out wrong."""
        for base in ("nearest", "empty"):
            run = replay(recording, reconciler(), Window(after(start), after(end)), base=base, **RETRACED)
            assert run.verdict.status in ("verified", "unverified"), run.verdict.sentence
            assert len(run.problems) == 0

    @pytest.mark.parametrize("on_error", ["raise", "undo", "keep"])
    def test_errors_that_production_had_too(self, recording, on_error):
        """They are no problem, and keep what they wrote, whatever is done about others."""
        run = replay(recording, reconciler(), on_error=on_error, **RETRACED)

        assert run.verdict.status == "verified"
        assert list(run.history("jobs", "b")["status"])[:3] == ["queued", "running", "running"]

    @pytest.mark.parametrize("tick", [True, False])
    def test_logs_without_tick_numbers(self, tick):
        """Then the place tells which tick an entry belongs to."""
        with day().recording(tick=tick) as recording:
            assert replay(recording, reconciler(), **RETRACED).verdict.status == "verified"
            assert verify(recording, reconciler()).ok

    def test_a_tick_without_its_number(self):
        """One NULL must not be taken for another tick."""
        plant = day()
        for name in ("ticks", "actions", "checks"):
            for one in plant.logs[name]:
                one["tick"] = None if one["tick"] in (2, 5) else one["tick"]
        with plant.recording() as recording:
            run = replay(recording, reconciler(), **RETRACED)

        assert run.verdict.status == "verified", run.verdict.sentence
        assert run.metrics["tick"].is_unique
        assert list(run.metrics["recorded_jobs"]) == list(run.metrics.sort_values("at")["recorded_jobs"])

    def test_numbers_given_twice_are_refused(self):
        """After a restart that counts from one again nothing says which tick an action is of."""
        plant = day()
        plant.logs["ticks"][4]["tick"] = 1
        with plant.recording() as recording, pytest.raises(ReconcilerError, match="several ticks of the number 1"):
            replay(recording, reconciler(), **RETRACED)

    def test_a_clock_that_steps_back(self):
        """The order is that of the numbers; a window ends at the first input behind it."""
        plant = Plant()
        plant.mark(0)
        plant.event(1, "put", id="a", n=1)
        plant.tick(10)
        plant.mark(10)
        plant.event(11, "put", id="b", n=1)
        plant.write(12, "update", "a", n=7)
        plant.tick(8, 9)
        plant.mark(9.5)
        plant.tick(13)
        plant.mark(14)
        with plant.recording() as recording:
            assert verify(recording, reconciler()).ok
            for end in (9, 10, 10.5, 11.5, 12, 13, 14):
                run = replay(recording, reconciler(), Window(T0, after(end)), **RETRACED)
                assert run.verdict.status in ("verified", "unverified"), (end, run.verdict.sentence)
            whole = replay(recording, reconciler(), **RETRACED)
        assert whole.verdict.status == "verified"
        assert list(whole.metrics["tick"]) == [1, 2, 3]

    def test_bases_of_every_kind(self, recording):
        """An empty one, a recorded one, one given by hand."""
        plant = day()
        at, seq, jobs, notes = plant.marks[1]
        given = Snapshot({"jobs": jobs, "notes": notes}, at=after(at), after_seq=seq)
        window = Window(after(12), after(28))
        for base in ("empty", recording.snapshot(1), recording.snapshot(0), given):
            run = replay(recording, reconciler(), window, base=base, **RETRACED)
            assert run.verdict.status == "verified", (base, run.verdict.sentence)
        counted = replay(recording, reconciler(), window, base=given, **RETRACED)
        assert list(counted.after["notes"]["note"]) == ["note-0001", "note-0002", "note-0003", "note-0004"]

    def test_a_base_of_its_own_instant_has_no_ticks_of_before(self):
        """Ticks of that clock ran on less than the snapshot holds."""
        plant = Plant()
        plant.event(1, "put", id="a", n=1)
        plant.tick(5)
        plant.mark(5)
        plant.tick(5)
        plant.mark(6)
        with plant.recording() as recording:
            run = replay(recording, reconciler(), Window(after(5), after(7)), **RETRACED)

        assert run.verdict.status == "verified", run.verdict.sentence
        assert list(run.metrics["tick"]) == [2]

    def test_a_base_later_than_the_start_is_never_verified(self, recording):
        """What happened before it inside the window was not replayed."""
        run = replay(recording, reconciler(), Window(after(8), after(28)), base=recording.snapshot(1), **RETRACED)

        assert run.verdict.status == "approximate", run.verdict.sentence
        assert "later than the window's start" in run.verdict.sentence

    def test_a_window_without_anything(self):
        """Agreement about nothing is no agreement."""
        plant = Plant()
        plant.event(1, "put", id="a", n=1)
        plant.tick(5)
        plant.event(99, "put", id="b", n=1)
        with plant.recording() as recording:
            run = replay(recording, reconciler(), Window(after(50), after(60)), **RETRACED)

        assert (run.verdict.status, len(run.metrics)) == ("unverified", 0)
        assert run.before_step == run.after_step == 2

    def test_events_nobody_applied_stay_out(self, recording):
        """Also in a window in which no event was applied at all."""
        run = replay(recording, reconciler(), Window(after(26.5), after(28)), **RETRACED)
        quiet = replay(recording, reconciler(), Window(after(0), after(1.5)), base="empty", **RETRACED)

        assert "never" not in set(run.after["jobs"]["id"])
        assert len(quiet.after["jobs"]) == 0

    def test_the_whole_recording_reaches_beyond_the_events(self):
        """Entries of logs before the first and behind the last event count, and so do checks."""
        plant = Plant()
        plant.write(1, "insert", "z", n=9, status="held")
        plant.event(2, "put", id="a", n=1)
        plant.tick(30, 31)
        plant.write(33, "update", "z", n=1)
        plant.tick(40, 41)
        plant.mark(42)
        with plant.recording() as recording:
            run = replay(recording, reconciler(), **RETRACED)

        assert run.verdict.status == "verified", run.verdict.sentence
        assert run.checked == {1, 2}
        assert run.verdict.checks["rows"].sum() > 5
