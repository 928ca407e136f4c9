"""Retracing: production's inputs and ticks in its own order, against a small production written in plain Python."""

from __future__ import annotations

import itertools

import pytest
from building import T0, after
from plant import Plant, reconciler

from replaykit.declarations import Action, Table
from replaykit.errors import ReconcilerError
from replaykit.reconciler import Reconciler
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


@pytest.fixture(scope="module")
def run(recording):
    """Return the retraced day."""
    return replay(recording, reconciler(), **RETRACED)


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


class TestBroken:
    """Rules that are not production's are contradicted, at the right tick and cell."""

    def broken(self, broken):
        """Return the retraced day with one thing wrong, errors kept."""
        with day(counting=True).recording() as recording:
            return replay(recording, reconciler(broken, counting=True), on_error="keep", **RETRACED)

    @pytest.mark.parametrize(
        ("broken", "column", "input_", "event"),
        [
            ("poison", "n", "poison", "e4"),
            ("start", "status", "start", None),
        ],
    )
    def test_a_wrong_cell_is_named_with_the_input_that_set_it(self, broken, column, input_, event):
        """Its column, and the event or action that was applied wrong."""
        verdict = self.broken(broken).verdict

        assert verdict.status == "contradicted"
        causes = set(zip(verdict.cells["column"], verdict.cells["caused_by"], strict=True))
        assert (column, input_) in causes
        if event is not None:
            assert event in set(verdict.cells["event_id"])

    def test_a_wrong_number_shows_in_the_action_made_from_it(self):
        """At the first tick: the same action of the same job, with another number."""
        first = self.broken("put").divergence.first

        assert (first["tick"], first["difference"], first["kind"], first["entity"]) == (1, "changed", "start", "a")
        assert first["fields"] == "n"

    def test_a_wrong_handler_of_a_late_event(self):
        """It was applied at the tick after the job came, and that step is named."""
        run = self.broken("move")

        cells = run.verdict.cells
        moved = cells[cells["replayed"] == "lost"]
        assert len(moved)
        assert set(moved["key"]) == {"c"}
        assert set(moved["event_id"]) == {"e3"}
        applied = run.steps[run.steps["event_id"] == "e3"]
        assert list(applied["tick"]) == [2, 3, 4, 5, 6][: len(applied)]
        assert set(moved["step"]) == {applied["step"].iloc[-1]}

    @pytest.mark.parametrize(
        ("broken", "difference", "kind", "tick"),
        [("rule", "missing", "warn", 4), ("order", "reordered", "start", 1), ("query", "missing", "odd", None)],
    )
    def test_a_wrong_rule_is_named_with_its_tick(self, broken, difference, kind, tick):
        """Missing, and out of order among the actions of other rules."""
        run = self.broken(broken)

        assert run.verdict.status == "contradicted"
        found = run.divergence.frame
        mine = found[found["kind"] == kind]
        assert len(mine)
        if tick is not None:
            assert run.divergence.first["difference"] == difference
        assert set(run.verdict.checks.loc[~run.verdict.checks["agrees"], "table"]) <= {"actions"}

    def test_a_wrong_invariant_is_named_with_its_tick(self):
        """One that lets five pass."""
        plant = Plant()
        plant.event(1, "put", id="a", n=1)
        plant.tick(5)
        plant.event(6, "put", id="a", n=4)
        plant.tick(10)
        with plant.recording() as recording:
            run = replay(recording, reconciler("invariant"), **RETRACED)

        wrong = run.verdict.checks[~run.verdict.checks["agrees"]].iloc[0]
        assert (run.verdict.status, wrong["table"], wrong["first_input"]) == ("contradicted", "violations", "tick 2")

    def test_rows_in_another_order(self):
        """Where the order of rows was declared it is compared as well."""
        plant = Plant()
        plant.event(1, "put", id="a", n=1)
        plant.event(1, "put", id="b", n=1)
        plant.tick(5)
        plant.jobs = dict(reversed(plant.jobs.items()))
        plant.mark(6)
        with plant.recording() as recording:
            declared = replay(recording, reconciler(), **RETRACED).verdict
        at, seq, jobs, notes = plant.marks[0]
        plain = [Snapshot({"jobs": jobs, "notes": notes}, at=after(at), after_seq=seq)]
        with plant.recording(snapshots=plain) as recording:
            undeclared = replay(recording, reconciler(), **RETRACED).verdict

        assert (declared.status, set(declared.cells["column"])) == ("contradicted", {"(order)"})
        assert undeclared.status == "verified"

    def test_a_row_deleted_by_mistake_names_the_step_that_deleted_it(self):
        """Not the one that last changed it."""
        rules = reconciler()
        rules.apply("drop")(lambda state, event: [state["jobs"].delete(job) for job in ("a", "b")])
        plant = Plant()
        for job in "ab":
            plant.event(1, "put", id=job, n=1)
        plant.tick(5)
        dropped = plant.event(6, "drop", id="a")
        plant.tick(10)
        plant.mark(11)
        with plant.recording() as recording:
            cells = replay(recording, rules, **RETRACED).verdict.cells

        (cell,) = cells.to_dict("records")
        assert (cell["key"], cell["recorded"], cell["replayed"]) == ("b", "row", "no row")
        assert (cell["caused_by"], cell["event_id"]) == ("drop", dropped)

    def test_a_row_left_over_from_the_base_is_laid_to_the_base(self):
        """Nothing that was replayed made it."""
        rules = reconciler()
        rules.apply("drop")(lambda state, event: None)
        plant = Plant()
        plant.event(1, "put", id="a", n=1)
        plant.tick(5)
        plant.mark(6)
        plant.event(7, "drop", id="a")
        plant.tick(10)
        plant.mark(11)
        with plant.recording() as recording:
            found = verify(recording, rules)

        (cell,) = found.cells.to_dict("records")
        assert (cell["key"], cell["recorded"], cell["replayed"], cell["caused_by"]) == ("a", "no row", "row", "base")


class TestErrors:
    """What raised in production and what raises in the replay are compared."""

    @staticmethod
    def plant(kind: str = "poison") -> Plant:
        """Return a production in which one event raises."""
        plant = Plant()
        plant.event(1, "put", id="a", n=1)
        plant.event(2, kind, id="a" if kind == "poison" else "none", tags=[1], to="held")
        plant.tick(5)
        plant.mark(6)
        return plant

    @pytest.mark.parametrize("on_error", ["raise", "undo", "keep"])
    def test_what_did_not_raise_though_it_did_in_production(self, on_error):
        """Nothing to raise; it is a problem, and the verdict doubts."""
        rules = reconciler()
        rules.apply("move")(lambda state, event: None)
        with self.plant("move").recording() as recording:
            run = replay(recording, rules, on_error=on_error, **RETRACED)

        assert run.verdict.status == "approximate"
        (problem,) = run.problems.to_dict("records")
        assert (problem["problem"], problem["kind"]) == ("did not raise as recorded", "move")

    @pytest.mark.parametrize(("on_error", "n"), [("raise", None), ("undo", 2), ("keep", 3)])
    def test_what_raised_though_it_did_not_in_production(self, on_error, n):
        """It is treated as every error is: raised, undone or kept."""
        plant = self.plant()
        for one in plant.logs["applications"]:
            one["ok"] = True
        with plant.recording() as recording:
            if on_error == "raise":
                with pytest.raises(ReconcilerError, match=r"poison raised RaisedError.*event 'e2'"):
                    replay(recording, reconciler(), on_error=on_error, **RETRACED)
                return
            run = replay(recording, reconciler(), on_error=on_error, **RETRACED)
        assert run.problems["problem"].iloc[0].startswith("raised, changes")
        assert run.after["jobs"]["n"].iloc[0] == n
        assert run.verdict.status == ("contradicted" if on_error == "undo" else "approximate")

    def test_an_action_that_raised_in_production(self):
        """Its partial write stays, as it did."""
        plant = Plant()
        plant.event(1, "put", id="a", n=13)
        plant.tick(5)
        plant.mark(6)
        with plant.recording() as recording:
            good = replay(recording, reconciler(), **RETRACED)
            plant.logs["actions"][0]["ok"] = True
        with plant.recording() as recording, pytest.raises(ReconcilerError, match="RaisedError"):
            replay(recording, reconciler(), **RETRACED)

        assert good.verdict.status == "verified"
        assert list(good.after["jobs"]["status"]) == ["running"]

    def test_an_application_of_an_event_that_is_not_there(self):
        """It is counted, not passed over."""
        plant = self.plant()
        plant.logs["events"].pop(1)
        with plant.recording() as recording:
            run = replay(recording, reconciler(), **RETRACED)

        assert "applied event is not recorded" in set(run.problems["problem"])
        assert run.verdict.status == "contradicted"

    def test_events_of_one_id(self):
        """Which one was applied can't be told."""
        plant = self.plant()
        plant.logs["events"][1]["id"] = "e1"
        with plant.recording() as recording, pytest.raises(ReconcilerError, match="several events have that id"):
            replay(recording, reconciler(), **RETRACED)

    def test_a_projection_can_not_follow_applications(self):
        """It reads the table of events, which does not know them; refused, not answered wrong."""
        rules = Reconciler("plant", {"jobs": Table("id", n="BIGINT")})
        rules.project("jobs", "SELECT step, payload ->> 'id' AS id FROM events WHERE kind = 'put'")
        plant = self.plant()
        with plant.recording() as recording, pytest.raises(ReconcilerError, match="Fold it with apply"):
            replay(recording, rules, **RETRACED)

    def test_applications_need_the_global_order(self):
        """Without it events and actions of one instant could go either way."""
        with day().recording(seq=False) as recording, pytest.raises(ReconcilerError, match=r"rk\.Log\(\.\.\., seq=\)"):
            replay(recording, reconciler(), **RETRACED)


class TestWithoutApplications:
    """Production that applies an event when it comes, with and without a global order."""

    @staticmethod
    def plant() -> Plant:
        """Return a production whose events are applied at once; ticks lie between events with no other input there."""
        plant = Plant()
        plant.mark(0)
        for at, job in ((1, "a"), (3, "b"), (7, "c")):
            plant.event(at, "put", id=job, n=2)
            plant.queue.clear()
            plant._fold("put", {"id": job, "n": 2})
            plant.tick(at + 1, at + 1.5)
            plant.tick(at + 1.5 if at < 7 else 20)
        plant.mark(30)
        return plant

    def test_in_the_global_order(self):
        """A tick between two events sees the first only, also if no action or write is near."""
        plant = self.plant()
        with plant.recording(without=("applications",)) as recording:
            run = replay(recording, reconciler(), **RETRACED)
            assert verify(recording, reconciler(), actions="recorded").ok

        assert run.verdict.status == "verified", run.verdict.sentence

    @pytest.mark.parametrize("tick", [True, False])
    def test_by_time(self, tick):
        """Rules run before the actions of their own instant, checks at theirs."""
        plant = self.plant()
        with plant.recording(without=("applications",), seq=False, tick=tick) as recording:
            run = replay(recording, reconciler(), **RETRACED)

        assert run.verdict.status == "verified", run.verdict.sentence
        assert run.checked == frozenset(range(1, 7))

    def test_actions_alone_make_ticks(self):
        """Each time of an action is a tick, whose rules saw the state before it."""
        plant = Plant()
        for at, job in ((1, "a"), (3, "b")):
            plant.event(at, "put", id=job, n=0)
            plant.queue.clear()
            plant._fold("put", {"id": job, "n": 0})
            plant.tick(at + 1)
        with plant.recording(without=("applications", "ticks", "checks"), seq=False) as recording:
            run = replay(recording, reconciler(), **RETRACED)

        assert run.verdict.status == "verified", run.verdict.sentence
        assert run.divergence.actions == 2

    def test_a_projection_goes_with_recorded_actions(self):
        """It makes the rows, an action changes another table, and both are verified."""
        rules = Reconciler("plant", {"notes": Table("note", job="VARCHAR"), "jobs": Table("id", n="BIGINT")})
        query = "SELECT step, 'note-000' || step AS note, payload ->> 'id' AS job FROM events"
        rules.project("notes", query)
        rules.act("start")(lambda state, action: state["jobs"].upsert(id=action["id"], n=len(state["notes"])))
        rules.act("warn")(lambda state, action: None)
        with self.plant().recording(without=("applications", "checks", "ticks")) as recording:
            run = replay(recording, rules, actions="recorded")

        assert list(run.after["notes"]["job"]) == ["a", "b", "c"]
        assert list(run.after["jobs"]["n"]) == [1, 2, 3]


class TestLooking:
    """What a retraced run tells about itself."""

    def test_steps_are_in_the_order_of_the_numbers(self, run):
        """One for each input, with its tick and place."""
        steps = run.steps

        assert list(steps["step"]) == list(range(1, len(steps) + 1))
        assert steps["global_seq"].is_monotonic_increasing
        assert set(steps["input"]) == {"event", "recorded action", "recorded write"}
        assert list(steps.loc[steps["event_id"] == "e4", "tick"]) == [2, 3, 4, 5, 6]

    def test_the_state_at_an_event_is_that_of_its_last_application(self, run):
        """A poison event was applied at five ticks."""
        last = run.steps.loc[run.steps["event_id"] == "e4", "step"].max()

        assert run.at(event="e4").step == last
        assert run.at(time=after(5)).step == run.steps.loc[run.steps["applied_at"] <= after(5), "step"].max()

    def test_a_history_names_its_causes(self, run):
        """The event applied late, with the clock of its application."""
        moved = run.history("jobs", "c")

        assert list(moved["caused_by"])[:2] == ["rpc", "move"]
        assert list(moved["applied_at"])[:2] == [after(16), after(20)]

    def test_events_are_those_applied(self, run):
        """As often as they were; what nobody applied is not there."""
        applied = run.steps[run.steps["input"] == "event"]

        assert list(run.events["step"]) == list(applied["step"])
        assert "never" not in set(run.events["event_id"])

    def test_events_of_a_window_are_those_applied_in_it(self, recording):
        """Whenever they came in: a late one belongs to the window in which it changed something."""
        run = replay(recording, reconciler(), Window(after(12), after(19)), **RETRACED)

        assert list(run.events["event_id"]) == ["e3", "e4"]
        assert list(run.events["applied_at"]) == [after(15), after(15)]

    def test_effects_carry_their_tick(self, recording):
        """What an applier returns is listed with the recorded tick."""
        rules = reconciler()
        rules.act("warn")(lambda state, action: Action("mail", to=action["id"]))
        run = replay(recording, rules, **RETRACED)

        warned = run.steps[run.steps["kind"] == "warn"]
        assert list(run.effects["step"]) == list(warned["step"])
        assert list(run.effects["tick"]) == list(warned["tick"])

    def test_two_runs_are_equal_and_the_rules_deterministic(self, run):
        """Also where rules take turns over items."""
        again = run.again()
        found = run.check_determinism()

        assert all(getattr(run, n).equals(getattr(again, n)) for n in ("actions", "violations", "problems", "metrics"))
        assert all(run.history(name).equals(again.history(name)) for name in run.history.tables)
        assert found.ok, found.sentence
        assert list(found.unchecked["reason"]) == ["it never ran: no action odd in this replay"]

    def test_metrics_hold_what_each_tick_found(self):
        """Also where the next tick's rules saw nothing more than this one's check."""
        plant = Plant()
        plant.event(1, "put", id="a", n=9)
        plant.tick(5, 6)
        plant.tick(7, 8)
        plant.write(9, "update", "a", n=1)
        plant.tick(10, 11)
        with plant.recording() as recording:
            run = replay(recording, reconciler(), **RETRACED)

        assert list(run.metrics["violations"]) == [1, 1, 0]
        assert list(run.violations["closed_at"]) == [after(11)]

    def test_a_clock_in_the_items_is_found_by_the_determinism_check(self, recording):
        """Items are the reconciler's code as well."""
        import time

        def timed(state, now):
            return [row for row in state["jobs"].find() if time.time() > 0]

        rules = reconciler().without("warn")
        rules.rule("start", key="id", each=timed)(lambda state, now, job: [])
        found = replay(recording, rules, **RETRACED).check_determinism()

        assert not found.ok
        assert "time.time" in found.findings["source"].iloc[0]
