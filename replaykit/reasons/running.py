"""Running a rule once more on the state of one tick: plainly, or traced and with notes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from replaykit.audit import guarded, unguarded
from replaykit.catching import may_hide_errors
from replaykit.clock import Clock
from replaykit.declarations import Rule
from replaykit.errors import IsolationError
from replaykit.reasons.notes import NotedState, Notes
from replaykit.reasons.tracing import Place, Tracer, tracing
from replaykit.reasons.undoing import Write

if TYPE_CHECKING:
    from datetime import datetime

    from replaykit.declarations import Invariant
    from replaykit.reasons.scene import Scene
    from replaykit.state import State


__all__ = ["Run", "Trial", "Turn", "traced"]


@dataclass(frozen=True)
class Turn:
    """A comparison with the clock: what was compared with what, and when it turns."""

    actual: Any
    needed: Any
    turns_at: datetime
    at_once: bool
    """Whether it has turned at that instant, and not only behind it."""


class _NotingClock(Clock):
    """A clock that notes what was compared, beside when it turns."""

    def __init__(self, moment: datetime) -> None:
        super().__init__(moment)
        self.compared: list[Turn] = []

    def turn(self, value: Any, slope: float, limit: Any, *, at_once: bool = False) -> None:
        before = len(self.turns)
        super().turn(value, slope, limit, at_once=at_once)
        if len(self.turns) > before:
            middle = self.turns[before + (len(self.turns) - before) // 2]
            self.compared.append(Turn(value, limit, middle, at_once))


@dataclass
class Run:
    """What one traced run of a rule did."""

    state: NotedState
    notes: Notes
    tracer: Tracer
    code: Any
    """The code of the rule's own function."""
    clock: _NotingClock | None
    """The clock that was followed; None if the rule was given a plain one."""
    rows: list[tuple[int, Any, Place | None]] = field(default_factory=list)
    """Item, what was yielded, and where."""
    items: list[Any] = field(default_factory=list)
    error: Exception | None = None
    used_sql: bool = False

    @property
    def first(self) -> Any:
        """The log of the rule's own function; None if it is not followed."""
        return next((log for log in self.tracer.logs if log.code is self.code), None)


def traced(scene: Scene, rule: Rule | Invariant, watched: Callable[[Mapping[str, Any]], bool] | None) -> Run:
    """Run a Python rule on a scene, with a clock that is followed where nothing in the rule stands against that.

    Parameters
    ----------
    watched
        Says of a function's variables whether they are to be kept. None follows no lines at all, only what is read.
    """
    quiet = not may_hide_errors(rule.function) and not may_hide_errors(getattr(rule, "each", None))
    run = _traced(scene, rule, watched, followed=True) if quiet else None
    if run is None or isinstance(run.error, TypeError):
        run = _traced(scene, rule, watched, followed=False)
    return run


def _traced(
    scene: Scene, rule: Rule | Invariant, watched: Callable[[Mapping[str, Any]], bool] | None, *, followed: bool
) -> Run:
    function: Any = rule.function
    clock = _NotingClock(scene.at) if followed else None
    with _connected(scene, NotedState) as state:
        tracer = Tracer(watched or (lambda _: False), getattr(getattr(function, "__code__", None), "co_filename", ""))
        run = Run(state, state.notes, tracer, getattr(inspect.unwrap(function), "__code__", None), clock)
        state.notes.place = tracer.place
        state.now = now = scene.at if clock is None else clock.now()
        with guarded(), nullcontext() if watched is None else tracing(tracer):
            try:
                for item, row in _called(rule, state, now, run.items, tracer):
                    run.rows.append((item, row, _made_at(tracer, row)))
            except IsolationError:
                raise
            except Exception as exc:  # noqa: BLE001 - an error of the rule is an answer
                run.error = exc
        run.used_sql = bool(state.__dict__.get("_asked"))
    return run


def _called(
    rule: Rule | Invariant, state: State, now: Any, items: list[Any], tracer: Tracer | None = None
) -> Iterator[tuple[int, Any]]:
    """Yield what a rule yields, with the number of the item it belongs to."""
    function: Any = rule.function
    if isinstance(rule, Rule) and rule.each is not None:
        items += list(rule.each(state, now))
        for number, item in enumerate(items):
            if tracer is not None:
                tracer.item = number
            for row in function(state, now, item) or ():
                yield number, row
        return
    for row in function(state, now) or ():
        yield 0, row


def _made_at(tracer: Tracer, row: Any) -> Place | None:
    """Return where an action was made, or else where the generator that gave a row stood."""
    made = next((place for action, place in reversed(tracer.actions) if action is row), None)
    if made is not None:
        return made
    for log in reversed(tracer.logs):
        if log.yielded and log.yielded[-1][1] is row:
            return Place(log, log.yielded[-1][0])
    return None


@contextmanager
def _connected(scene: Scene, build: type[Any]) -> Iterator[Any]:
    """Give a state of the scene whose ``state.sql`` opens a database when it is first used."""
    with ExitStack() as stack:
        state = scene.state(build)
        opened: list[Any] = []

        def ask(query: str, extra: Mapping[str, Any] | None) -> Any:
            with unguarded():
                if not opened:
                    twin = scene.state()
                    opened.append(stack.enter_context(scene.workspace(twin)))
                state.__dict__["_asked"] = True
                return opened[0].sql(query, extra)

        state._sql = ask
        yield state


class Trial:
    """A rule on the state of a scene, to be run again and again with something changed each time."""

    def __init__(self, scene: Scene, rule: Rule | Invariant, *, uses_sql: bool = False) -> None:
        self._scene = scene
        self._rule = rule
        self._uses_sql = uses_sql
        self._state = scene.state()

    def rows(self, change: Callable[[State], None] | None = None, *, at: datetime | None = None) -> list[Any]:
        """Return what the rule yields after a change of the state, which is taken back; errors are raised."""
        state, scene = self._state, self._scene
        if self._rule.statement is not None and (change is None or isinstance(change, Write)):
            from replaykit.reasons.sql_stage import staged

            stage = staged(scene, self._rule.statement)
            return list(stage.rows(self._rule.statement, at=at, without=change))
        mark = len(state.changes)
        try:
            if change is not None:
                change(state)
            state.now = at or scene.at
            if self._rule.statement is None and not self._uses_sql:
                with guarded():
                    return [row for _, row in _called(self._rule, state, state.now, [])]
            return self._through_sql(state)
        finally:
            state.undo(mark)

    def _through_sql(self, state: State) -> list[Any]:
        with self._scene.workspace(state) as workspace:
            if self._rule.statement is not None:
                return list(workspace.rows(self._rule.statement))
            with guarded():
                return [row for _, row in _called(self._rule, state, state.now, [])]
