"""Retracing: production's own inputs and ticks, applied in the order in which production logged them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.errors import ReconcilerError, StateError
from replaykit.folding import FLUSH
from replaykit.global_order import has_order
from replaykit.recorded import OtherStep, RecordedInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replaykit.engine import Engine
    from replaykit.inputs import Event
    from replaykit.recorded_ticks import RecordedTick

__all__ = ["Retracer", "retracer_of"]

_RULES, _CHECK = 0, 1
_TOLD = 64  # inputs between two looks at whether somebody waits
_NEVER = datetime.max  # noqa: DTZ901 - times are naive UTC throughout


@dataclass(frozen=True)
class _Half:
    """The rules or the check of a tick, and its place: in the global order, or in time."""

    place: Any
    half: int
    tick: RecordedTick

    @property
    def at(self) -> datetime:
        return self.tick.checked_at or self.tick.at if self.half == _CHECK else self.tick.at


@dataclass
class Retracer:
    """The recorded inputs and the recorded ticks of one replay."""

    engine: Engine
    inputs: Sequence[RecordedInput]
    ticks: Sequence[RecordedTick]
    placed: bool
    """Whether inputs and ticks all have a place in the global order; otherwise they meet by time."""
    drives: bool
    """Whether the events come from a log of applications, not from the table of events."""

    def __post_init__(self) -> None:
        self._coming = iter(self.inputs)
        self.pending = next(self._coming, None)
        self._halves = self._in_order()
        self._next = self._done = 0
        logs = self.engine.recording.logs
        self.numbered = "ticks" in logs and "tick" in self.engine.recording.columns("ticks")

    @property
    def due_at(self) -> datetime:
        """When the next half of a tick is due, where they are run by time."""
        return _NEVER if self.placed or self._next == len(self._halves) else self._halves[self._next].place

    def _in_order(self) -> list[_Half]:
        """Return the halves of the ticks in order; a check behind the window's end is left out."""
        found: list[tuple[Any, int, _Half]] = []
        for number, one in enumerate(self.ticks):
            place: Any = one.seq if self.placed else one.at
            found.append((place, number, _Half(place, _RULES, one)))
            checked = one.checked_at or one.at
            if checked < self.engine.window_end and not self._at_once(one):
                place = (one.seq if one.check_seq is None else one.check_seq) if self.placed else checked
                found.append((place, number, _Half(place, _CHECK, one)))
        found.sort(key=lambda one: (*one[:2], one[2].half))
        return [half for *_, half in found]

    def _at_once(self, tick: RecordedTick) -> bool:
        """Return whether a tick's invariants are checked before the actions it emitted are applied."""
        return self.engine.closed_loop and tick.checked_at is None

    @property
    def leads(self) -> bool:
        """Whether something may have to happen before an event."""
        return self.placed or self.pending is not None

    def until(self, event: Event | None) -> None:
        """Apply recorded inputs that come before `event`, and ticks placed before it; all that are left if None."""
        while self.pending is not None and (event is None or self.pending.before(event)):
            found = self.pending
            self.pending = next(self._coming, None)
            self._take(found)
            self._done += 1
            if self.drives and self._done % _TOLD == 0:
                self.engine.progress.advance(self._done, len(self.inputs))
        if self.placed:
            self._run_before(None if event is None else event["global_seq"])

    def until_time(self, at: datetime) -> None:
        """Run what is due before a time."""
        while self.due_at < at:
            self._run_next()

    def _take(self, found: RecordedInput) -> None:
        engine = self.engine
        if self.placed:
            self._run_before(found.global_seq)
        engine.reach(found.occurred_at)
        if found.action is not None:
            if not self.placed:
                self._run_rules_behind(found)
            engine.act(found.action, found.occurred_at, found)
        elif found.log == "writes":
            self._write(found)
        elif found.event is not None:
            self._apply(found, found.event)
        else:
            engine.without_place("applied event is not recorded", found.kind, "the log of applications names it")
        if len(engine.state.changes) >= FLUSH:
            engine.flush()

    def _run_before(self, seq: int | None) -> None:
        """Run the halves of ticks whose place in the global order is before `seq`, all if it is None."""
        while self._next < len(self._halves) and (seq is None or self._halves[self._next].place < seq):
            self._run_next()

    def _run_rules_behind(self, found: RecordedInput) -> None:
        """Run the ticks up to the one an action comes from: of its number, or up to its time if it has none."""
        coming, last = self._next, -1
        while coming < len(self._halves) and self._halves[coming].place <= found.occurred_at:
            one = self._halves[coming]
            if one.half == _RULES and (found.tick is None or not self.numbered or one.tick.tick == found.tick):
                last = coming
            coming += 1
        while self._next <= last:
            self._run_next()

    def _run_next(self) -> None:
        one = self._halves[self._next]
        self._next += 1
        engine, tick = self.engine, one.tick
        engine.enter()
        if len(engine.state.changes) >= FLUSH:
            engine.flush()
        if one.half == _CHECK:
            engine.ticker.check(tick.tick, one.at)
            return
        emitted = engine.ticker.decide(tick.tick, one.at)
        if self._at_once(tick):
            engine.ticker.check(tick.tick, one.at)
        engine.applied(emitted, one.at)

    def _apply(self, found: RecordedInput, event: Event) -> None:
        engine = self.engine
        state = engine.state
        state.step += 1
        state.now = found.occurred_at
        engine.others.append(_step(engine, found, "event", event["position"], event.occurred_at, event.id))
        engine.take(type(event)(event), found.occurred_at, found)  # applied again, its payload is as at first

    def _write(self, found: RecordedInput) -> None:
        state = self.engine.state
        state.step += 1
        state.now = self.engine.clock
        self.engine.others.append(_step(self.engine, found, "recorded write", found.position, found.occurred_at))
        try:
            found.write_to(state)
        except StateError as exc:
            self.engine.without_place("write does not fit", found.kind, str(exc))


def retracer_of(engine: Engine) -> Retracer:
    """Return the retracer of an engine: of what production logged, if that is asked for, and of recorded ticks.

    Raises
    ------
    ReconcilerError
        Events are to be applied as a log of applications says, but the reconciler projects them.
    """
    ticks, recorded = engine.schedule.recorded, engine.recorded
    if recorded is None:
        return Retracer(engine, (), ticks, placed=False, drives=False)
    drives = "applications" in engine.recording.logs
    if drives and engine.projected:
        raise ReconcilerError(
            f"Table {engine.projected[0].name!r} is projected from the table of events, which knows nothing of events "
            "applied late, again or never, as the log of applications says. Fold it with apply() handlers, replay with "
            "actions='collect', or load the recording without applications=."
        )
    return Retracer(engine, recorded, ticks, has_order(engine.recording, recorded, ticks), drives)


def _step(
    engine: Engine, found: RecordedInput, what: str, position: int, occurred_at: datetime, event_id: str | None = None
) -> OtherStep:
    applied = found.occurred_at if found.event is not None else engine.clock
    return OtherStep(
        engine.state.step, what, found.kind, position, occurred_at, applied, found.tick, event_id, found.global_seq
    )
