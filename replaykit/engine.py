"""The engine: takes inputs one after another, folds them into state, ticks, and keeps account of everything."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.audit import guarded, unguarded
from replaykit.collector import collector_resting
from replaykit.errors import IsolationError, StateError
from replaykit.folding import FLUSH, fold
from replaykit.inputs import Event, Plan, read_events
from replaykit.interrupt import raise_if_interrupted
from replaykit.problems import UNHANDLED, Problem, Problems
from replaykit.projections import merged_operations
from replaykit.recorded import OtherStep
from replaykit.ticks import Emission, Ticker

if TYPE_CHECKING:
    from replaykit.declarations import Action
    from replaykit.history import History
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
_NEVER = datetime.max  # noqa: DTZ901 - times are naive UTC throughout


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
    recorded: list[RecordedInput]
    projected: list[Projected]
    progress: Progress
    pairs: list[tuple[int, int, datetime]] = field(default_factory=list)
    """Step, position and clock of each event, kept only where steps are not simply consecutive positions."""
    others: list[OtherStep] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.problems = Problems(self.reconciler.name, self.on_error)
        self.ticker = Ticker(self.reconciler, self.state, self.workspace, self._rule_failed)
        self.clock = self.plan.base.at or datetime.min  # noqa: DTZ901
        self.before_step = 0
        self.numbered = self.closed_loop or bool(self.recorded)
        self._start, self._end = self.plan.window.bounds()
        self._tick = 0
        self._next_tick = self._time_of(0) if self.schedule.mode in ("interval", "recorded") else _NEVER
        self._recorded = iter(self.recorded)
        self._pending = next(self._recorded, None)
        self._operations = merged_operations(self.projected, self.workspace, self.state.params)
        self._operation = next(self._operations, None)
        self._inside = self.plan.warmup == 0 and not self.recorded
        self.ordinal = 0

    def run(self) -> None:
        """Apply every input and run every tick."""
        with collector_resting() as rest:
            for batch in read_events(self.recording, self.plan):
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
                self._recorded_until(None)
            self.finish()

    def finish(self) -> None:
        """Run the ticks that are left, and move the last changes into the history."""
        if not self._inside:
            self._enter()
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
        steady = not self.numbered and self._pending is None and self._operation is None
        return steady and self.schedule.mode != "event"

    def input(self, event: Event) -> None:
        """Take one input, with all that may come before and after it."""
        at = event["occurred_at"]
        if self._pending is not None:
            self._recorded_until(event)
        if not self._inside and at >= self._start:
            self._enter()
        at = max(self.clock, at)
        if at > self._next_tick:
            self._ticks_until(at)  # actions applied there still see the clock of their tick
        self.clock = at
        state = self.state
        state.step = step = state.step + 1
        self.ordinal += 1
        state.now = at
        if self.numbered:
            self.pairs.append((step, event["position"], at))
        if self._operation is not None:
            self._project(self.ordinal)
        handler = self.reconciler.handlers.get(event["kind"])
        if handler is not None:
            self._handle(handler, event)
        else:
            self.unhandled(event)
        if len(state.changes) >= FLUSH:
            self.flush()
        if self.schedule.mode == "event" and self._inside:
            self._run_tick(at)

    def unhandled(self, event: Event) -> None:
        """Count an event without a handler, unless it is ignored or a projection takes it up."""
        if event["kind"] not in self.reconciler.ignored and event["kind"] not in self._handled:
            self.problems.unhandled(event, self.state.step)

    def _handle(self, handler: Any, event: Event) -> None:
        mark = len(self.state.changes)
        try:
            handler(self.state, event)
        except IsolationError:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever a handler raises is a finding
            self.failed(handler, event, exc, mark)

    def failed(self, handler: Any, event: Event, exc: Exception, mark: int) -> None:
        """Raise a handler's error, or take its changes back or keep them and count it."""
        self.problems.handler_raised(handler, event, self.state.step, exc)
        if self.on_error == "undo" and len(self.state.changes) > mark:
            self.state.undo(mark)
            self.workspace.forget()

    def _rule_failed(self, what: str, name: str, at: datetime, exc: Exception) -> None:
        self.problems.rule_raised(what, name, self.state.step, at, exc)

    def _without_place(self, problem: str, kind: str, detail: str) -> None:
        self.problems.add(Problem(problem, kind, None, self.state.step, None, None, detail))

    # Ticks

    def _time_of(self, tick: int) -> datetime:
        if self.schedule.mode == "interval":
            return self._start + tick * (self.schedule.interval or timedelta())
        return self.schedule.instants[tick] if tick < len(self.schedule.instants) else _NEVER

    def _ticks_until(self, at: datetime) -> None:
        """Run the ticks before `at`: events at a tick's own instant are applied first."""
        while self._next_tick < at and self._next_tick < self._end:
            if not (self.schedule.mode == "interval" and self._stretch(min(at, self._end))):
                self._run_tick(self._next_tick)
                self._next_tick = self._time_of(self._tick)

    def _stretch(self, at: datetime) -> bool:
        """Give the ticks before `at` one answer as long as it stands; False if there are too few to be worth it."""
        interval = self.schedule.interval or timedelta(1)
        last = -((self._start - at) // interval) - 1  # the greatest n with start + n * interval < at
        if last - self._tick < _GAP:
            return False
        self._tick, emitted = self.ticker.stretch(self._tick, last, self._time_of, until_action=self.closed_loop)
        self._applied(emitted, self._time_of(self._tick - 1))
        self._next_tick = self._time_of(self._tick)
        return True

    def _run_tick(self, at: datetime) -> None:
        if len(self.state.changes) >= FLUSH:
            self.flush()
        emitted = self.ticker.tick(self._tick, at)
        self._tick += 1
        self._applied(emitted, at)

    def _applied(self, emitted: list[Emission], at: datetime) -> None:
        if self.closed_loop:
            self.clock = max(self.clock, at)
            for emission in emitted:
                self._act(emission.action, at, "action", None, emission.tick)

    def _act(self, action: Action, at: datetime, what: str, position: int | None, tick: int | None) -> None:
        state = self.state
        state.step += 1
        state.now = self.clock
        self.others.append(OtherStep(state.step, what, action.kind, position, at, self.clock, tick))
        applier = self.reconciler.appliers.get(action.kind)
        if applier is None:
            self._without_place("unapplied action", action.kind, "no act handler names this kind of action")
            return
        mark = len(state.changes)
        try:
            applier(state, action)
        except IsolationError:
            raise
        except Exception as exc:  # noqa: BLE001 - whatever a handler raises is a finding
            stand_in = Event(occurred_at=at, kind=action.kind, event_id=None, position=position, payload=None)
            self.failed(applier, stand_in, exc, mark)

    def _finish(self) -> None:
        if self.schedule.mode in ("interval", "recorded"):
            self._ticks_until(self._end)
        elif self.schedule.mode == "end":
            self._run_tick(self._end)

    def _enter(self) -> None:
        self._inside = True
        self.before_step = self.state.step

    # Recorded actions and writes

    def _recorded_until(self, event: Event | None) -> None:
        """Apply recorded inputs that come before `event`; all that are left if it is None."""
        while self._pending is not None and (event is None or self._pending.before(event)):
            found = self._pending
            self._pending = next(self._recorded, None)
            if not self._inside and found.occurred_at >= self._start:
                self._enter()
            at = max(self.clock, found.occurred_at)
            if at > self._next_tick:
                self._ticks_until(at)
            self.clock = at
            if found.action is not None:
                self._act(found.action, found.occurred_at, "recorded action", found.position, None)
            else:
                self._write(found)

    def _write(self, found: RecordedInput) -> None:
        state = self.state
        state.step += 1
        state.now = self.clock
        self.others.append(
            OtherStep(state.step, "recorded write", found.kind, found.position, found.occurred_at, self.clock, None)
        )
        try:
            found.write_to(state)
        except StateError as exc:
            self._without_place("write does not fit", found.kind, str(exc))

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
