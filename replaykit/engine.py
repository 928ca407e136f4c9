"""The engine: takes inputs one after another, folds them into state, ticks, and keeps account of everything."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.audit import guarded, unguarded
from replaykit.collector import collector_resting
from replaykit.errors import STOPPING
from replaykit.folding import FLUSH, fold
from replaykit.inputs import Event, Plan, read_events
from replaykit.interrupt import raise_if_interrupted
from replaykit.outcomes import Effect
from replaykit.problems import UNHANDLED, Problem, Problems
from replaykit.projections import merged_operations
from replaykit.reconciler import Action
from replaykit.recorded import OtherStep
from replaykit.retracing import retracer_of
from replaykit.ticks import Ticker

if TYPE_CHECKING:
    from replaykit.history import History
    from replaykit.outcomes import Emission
    from replaykit.progress import Progress
    from replaykit.projections import Projected
    from replaykit.reconciler import Reconciler
    from replaykit.recorded import RecordedInput
    from replaykit.recording import Recording
    from replaykit.schedule import Schedule
    from replaykit.state import State
    from replaykit.workspace import Workspace

__all__ = ["Engine"]

_FEW = 1_000  # changes worth a flush while they are still in the cache
_GAP = 3  # so many ticks without an event are worth following the clock


@dataclass
class Engine:
    """One replay while it runs."""

    recording: Recording
    reconciler: Reconciler
    plan: Plan
    schedule: Schedule
    state: State
    workspace: Workspace
    history: History
    closed_loop: bool
    on_error: str
    recorded: list[RecordedInput] | None
    """What production logged, to be applied where it did; None if that is not asked for."""
    projected: list[Projected]
    progress: Progress
    pairs: list[tuple[int, int, datetime]] = field(default_factory=list)
    """Step, position and clock of each event, kept only where steps are not simply consecutive positions."""
    others: list[OtherStep] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.problems = Problems(self.reconciler.name, self.on_error)
        self.ticker = Ticker(self.reconciler, self.state, self.workspace, self._rule_failed)
        self.clock = self.plan.base.at or datetime.min  # noqa: DTZ901
        self.before_step = 0
        self.numbered = self.closed_loop or self.recorded is not None
        self._start, self.window_end = self.plan.window.bounds()
        self._tick = 0
        if self.schedule.mode == "recorded" and "checks" in self.recording.logs:
            self.ticker.found = []
        self.retracer = retracer_of(self)
        self._next_tick = self._start if self.schedule.mode == "interval" else self.retracer.due_at
        self._operations = merged_operations(self.projected, self.workspace, self.state.params)
        self._operation = next(self._operations, None)
        self._inside = self.plan.warmup == 0 and not self.recorded
        self.ordinal = 0

    def run(self) -> None:
        """Apply every input and run every tick."""
        with collector_resting() as rest:
            for batch in () if self.retracer.drives else read_events(self.recording, self.plan):
                with guarded():
                    if self._plain():
                        fold(self, batch)
                    else:
                        for event in batch:
                            self.input(event)
                if len(self.state.changes) >= _FEW:
                    self.flush()
                self.progress.advance(self.ordinal, self.plan.events)
                raise_if_interrupted()
                rest()
            with guarded():
                self.retracer.until(None)
            self.finish()

    def finish(self) -> None:
        """Run the ticks that are left, and move the last changes into the history."""
        self.enter()
        with guarded():
            self._finish()
        self.flush()

    def skip_to_end(self) -> None:
        """Stand where `run` would stand after the last event, when projections did its work."""
        self.state.step = self.ordinal = self.plan.events
        self.before_step = self.plan.warmup
        self._inside = True
        unhandled = [
            kind for kind in self.plan.kinds if kind not in self._handled and kind not in self.reconciler.ignored
        ]
        for kind in unhandled:
            number, position, event_id = self.plan.kinds[kind]
            step = position - self.plan.first
            self.problems.add(Problem("unhandled kind", kind, None, step, position, event_id, UNHANDLED, number))

    def _plain(self) -> bool:
        """Return whether an event may meet nothing but its handler."""
        steady = not self.numbered and self.retracer.pending is None and self._operation is None
        return steady and self.schedule.mode != "event"

    def input(self, event: Event) -> None:
        """Take one input, with all that may come before and after it."""
        at = event["occurred_at"]
        if self.retracer.leads:
            self.retracer.until(event)
        self.reach(at)
        state = self.state
        state.step += 1
        state.now = at = self.clock
        self.take(event, at)
        if len(state.changes) >= FLUSH:
            self.flush()
        if self.schedule.mode == "event" and self._inside:
            self._run_tick(at)

    def take(self, event: Event, at: datetime, recorded: RecordedInput | None = None) -> None:
        """Hand an event to whatever takes it up, at the step it has been given."""
        self.ordinal += 1
        if self.numbered:
            self.pairs.append((self.state.step, event["position"], at))
        if self._operation is not None:
            self._project(self.ordinal)
        handler = self.reconciler.handlers.get(event["kind"])
        if handler is not None:
            self.call(handler, event, event, recorded)
        else:
            self.unhandled(event)

    def reach(self, at: datetime) -> None:
        """Go on to the time of an input: into the window, past the ticks before it."""
        if not self._inside and at >= self._start:
            self.enter()
        at = max(self.clock, at)
        if at > self._next_tick:
            self._ticks_until(at)  # actions applied there still see the clock of their tick
        self.clock = at

    def enter(self) -> None:
        """Be inside the window from here on; once is enough."""
        if not self._inside:
            self._inside = True
            self.before_step = self.state.step

    def unhandled(self, event: Event) -> None:
        """Count an event without a handler, unless it is ignored or a projection takes it up."""
        if event["kind"] not in self.reconciler.ignored and event["kind"] not in self._handled:
            self.problems.unhandled(event, self.state.step)

    def call(self, handler: Any, given: Any, shown: Event, recorded: RecordedInput | None = None) -> Any:
        """Call a handler with what it handles; an error that production had too is no problem, and keeps its writes."""
        mark = len(self.state.changes)
        try:
            returned = handler(self.state, given)
        except STOPPING:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever a handler raises is a finding
            if recorded is None or not recorded.failed:
                self.failed(handler, shown, exc, mark)
            return None
        if recorded is not None and recorded.failed:
            name = getattr(handler, "__qualname__", repr(handler))
            self.without_place("did not raise as recorded", shown.kind, f"{name} went through")
        return returned

    def failed(self, handler: Any, event: Event, exc: Exception, mark: int) -> None:
        """Raise a handler's error, or take its changes back or keep them and count it."""
        self.problems.handler_raised(handler, event, self.state.step, exc)
        if self.on_error == "undo" and len(self.state.changes) > mark:
            self.state.undo(mark)
            self.workspace.forget()

    def _rule_failed(self, what: str, name: str, at: datetime, exc: Exception) -> None:
        self.problems.rule_raised(what, name, self.state.step, at, exc)

    def without_place(self, problem: str, kind: str, detail: str) -> None:
        """Count a problem that no event leads to."""
        self.problems.add(Problem(problem, kind, None, self.state.step, None, None, detail))

    # Ticks

    def _time_of(self, tick: int) -> datetime:
        return self._start + tick * (self.schedule.interval or timedelta())

    def _ticks_until(self, at: datetime) -> None:
        """Run the ticks before `at`: events at a tick's own instant are applied first."""
        if self.schedule.mode == "recorded":
            self.retracer.until_time(min(at, self.window_end))
            self._next_tick = self.retracer.due_at
            return
        while self._next_tick < at and self._next_tick < self.window_end:
            if self.ticker.together or not self._stretch(min(at, self.window_end)):
                self._run_tick(self._next_tick)
                self._next_tick = self._time_of(self._tick)

    def _stretch(self, at: datetime) -> bool:
        """Give the ticks before `at` one answer as long as it stands; False if there are too few to be worth it."""
        interval = self.schedule.interval or timedelta(1)
        last = -((self._start - at) // interval) - 1  # the greatest n with start + n * interval < at
        if last - self._tick < _GAP:
            return False
        self._tick, emitted = self.ticker.stretch(self._tick, last, self._time_of, until_action=self.closed_loop)
        self.applied(emitted, self._time_of(self._tick - 1))
        self._next_tick = self._time_of(self._tick)
        return True

    def _run_tick(self, at: datetime) -> None:
        if len(self.state.changes) >= FLUSH:
            self.flush()
        emitted = self.ticker.tick(self._tick, at)
        self._tick += 1
        self.applied(emitted, at)

    def applied(self, emitted: list[Emission], at: datetime) -> None:
        """Apply what a tick emitted, if the loop is closed."""
        if self.closed_loop:
            self.clock = max(self.clock, at)
            for emission in emitted:
                self.act(emission.action, at, emission=emission)

    def act(
        self, action: Action, at: datetime, recorded: RecordedInput | None = None, *, emission: Emission | None = None
    ) -> None:
        """Apply an action, emitted at a tick or recorded, and keep the effects it says it would have had."""
        state = self.state
        state.step += 1
        what, position, seq, tick = "action", None, None, None if emission is None else emission.tick
        state.now = self.clock
        if recorded is not None:
            what, position, seq, tick = "recorded action", recorded.position, recorded.global_seq, recorded.tick
            state.now = at if seq is not None else self.clock
        taken = None if recorded is None else action
        self.others.append(
            OtherStep(state.step, what, action.kind, position, at, state.now, tick, None, seq, emission, taken)
        )
        applier = self.reconciler.appliers.get(action.kind)
        if applier is None:
            self.without_place("unapplied action", action.kind, "no act handler names this kind of action")
            return
        stand_in = Event(occurred_at=at, kind=action.kind, event_id=None, position=position, payload=None)
        returned = self.call(applier, action, stand_in, recorded)
        effects = returned if isinstance(returned, (list, tuple)) else (returned,)
        self.effects += [Effect(state.step, tick, at, action, one) for one in effects if isinstance(one, Action)]

    def _finish(self) -> None:
        if self.schedule.mode in ("interval", "recorded"):
            self._ticks_until(self.window_end)
        elif self.schedule.mode == "end":
            self._run_tick(self.window_end)

    # Projections that a working set must see

    _handled: frozenset[str] = frozenset()

    def mark_projected(self, kinds: frozenset[str]) -> None:
        """Say which kinds of events some projection takes up."""
        self._handled = kinds

    def _project(self, ordinal: int) -> None:
        with unguarded():
            while self._operation is not None and self._operation[0] <= ordinal:
                _, projected, part, row = self._operation
                table = self.state[projected.name]
                if projected.parts[part][0].delete:
                    table._remove(table._key_of(row))
                else:
                    table._set(row)
                self._operation = next(self._operations, None)

    def flush(self) -> None:
        """Move the log of changes into the history and let the old row versions go."""
        if self.state.changes:
            with unguarded():
                self.workspace.flushed()
                self.history.append(self.state.changes)
                self.state.changes.clear()
