"""Retracing: production's own inputs and ticks, applied in the order in which production logged them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replaykit.errors import StateError
from replaykit.recorded import OtherStep, RecordedInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replaykit.engine import Engine
    from replaykit.inputs import Event
    from replaykit.recorded_ticks import RecordedTick

__all__ = ["Retracer", "has_order"]

_RULES, _CHECK = 0, 1


def has_order(recorded: list[RecordedInput], ticks: tuple[RecordedTick, ...]) -> bool:
    """Return whether recorded inputs and ticks all have a place in one global order."""
    return bool(ticks) and all(one.global_seq is not None for one in recorded) and all(t.seq is not None for t in ticks)


@dataclass
class Retracer:
    """The recorded inputs of one replay, and its recorded ticks where they have a place among them."""

    engine: Engine
    inputs: list[RecordedInput]
    ticks: tuple[RecordedTick, ...] = ()
    """Ticks to run by their place in the global order; empty where ticks are run by time."""
    last_seq: int | None = field(default=None, init=False)
    """The place of the last input applied."""

    def __post_init__(self) -> None:
        self._coming = iter(self.inputs)
        self.pending = next(self._coming, None)
        self._marks = self._marked()
        self._mark = next(self._marks, None)

    @property
    def drives(self) -> bool:
        """Whether the events come from a log of applications, not from the table of events."""
        return any(one.log == "applications" for one in self.inputs)

    def _marked(self) -> Iterator[tuple[int, int, RecordedTick]]:
        """Yield the halves of the ticks in the order of their places; a check behind the window's end is left out."""
        marks: list[tuple[int, int, RecordedTick]] = []
        for one in self.ticks:
            seq = one.seq or 0
            marks.append((seq, _RULES, one))
            checked = one.checked_at or one.at
            if checked < self.engine.window_end:
                marks.append((seq if one.check_seq is None else one.check_seq, _CHECK, one))
        return iter(sorted(marks, key=lambda mark: (*mark[:2], mark[2].tick)))

    def until(self, event: Event | None) -> None:
        """Apply recorded inputs that come before `event`; all that are left, and all ticks, if it is None."""
        while self.pending is not None and (event is None or self.pending.before(event)):
            found = self.pending
            self.pending = next(self._coming, None)
            self._take(found)
        if event is None:
            self._run_marks(None)

    def _take(self, found: RecordedInput) -> None:
        engine = self.engine
        self._run_marks(found.global_seq)
        engine.reach(found.occurred_at)
        self.last_seq = found.global_seq
        if found.action is not None:
            engine.act(found.action, found.occurred_at, found)
        elif found.log == "writes":
            self._write(found)
        elif found.event is not None:
            self._apply(found, found.event)
        else:
            engine.without_place("applied event is not recorded", found.kind, "the log of applications names it")

    def _run_marks(self, seq: int | None) -> None:
        """Run the halves of ticks whose place is before `seq`, all if it is None."""
        while self._mark is not None and (seq is None or self._mark[0] < seq):
            _, half, tick = self._mark
            self._mark = next(self._marks, None)
            self.engine.enter()
            if half == _RULES:
                self.engine.ticker.decide(tick.tick, tick.at)
            else:
                self.engine.ticker.check(tick.tick, tick.checked_at or tick.at)

    def _apply(self, found: RecordedInput, event: Event) -> None:
        engine = self.engine
        state = engine.state
        state.step += 1
        state.now = found.occurred_at
        engine.others.append(_step(engine, found, "event", event["position"], event.occurred_at, event.id))
        engine.pairs.append((state.step, event["position"], found.occurred_at))
        handler = engine.reconciler.handlers.get(event["kind"])
        if handler is None:
            engine.unhandled(event)
        else:
            engine.call(handler, event, event, found)

    def _write(self, found: RecordedInput) -> None:
        state = self.engine.state
        state.step += 1
        state.now = self.engine.clock
        self.engine.others.append(_step(self.engine, found, "recorded write", found.position, found.occurred_at))
        try:
            found.write_to(state)
        except StateError as exc:
            self.engine.without_place("write does not fit", found.kind, str(exc))


def _step(
    engine: Engine, found: RecordedInput, what: str, position: int, occurred_at: object, event_id: str | None = None
) -> OtherStep:
    applied = found.occurred_at if found.event is not None else engine.clock
    return OtherStep(
        engine.state.step, what, found.kind, position, occurred_at, applied, found.tick, event_id, found.global_seq,  # type: ignore[arg-type]
    )  # fmt: skip
