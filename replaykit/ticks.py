"""Ticks: when rules and invariants are evaluated, what they gave, and how long each breach lasted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.catching import may_hide_errors
from replaykit.clock import Clock, next_due, released
from replaykit.errors import STOPPING, ReconcilerError, StateError, show_time
from replaykit.outcomes import Emission, Episode, TickRecord
from replaykit.reconciler import Invariant, Reconciler, Rule
from replaykit.temporal.reading import in_order
from replaykit.yielded import as_action, as_row, what_of

if TYPE_CHECKING:
    from replaykit.sql import Statement
    from replaykit.state import State
    from replaykit.temporal.ticks_table import Noted
    from replaykit.workspace import Workspace

__all__ = ["Ticker"]


@dataclass
class _Last:
    """The standing answer of one rule or invariant in a stretch without events."""

    emissions: list[Emission] = field(default_factory=list)
    found: list[Episode] = field(default_factory=list)
    tick: int = 0
    due: int | None = None


class Ticker:
    """Evaluates a reconciler's rules and invariants, and keeps what they gave."""

    def __init__(
        self,
        reconciler: Reconciler,
        state: State,
        workspace: Workspace,
        failed: Callable[[str, str, datetime, Exception], None],
    ) -> None:
        self.emissions: list[Emission] = []
        self.episodes: list[Episode] = []
        self.records: list[TickRecord] = []
        self.found: list[tuple[int, str, Mapping[str, Any]]] | None = None
        """Every breach at every tick, in order, if somebody wants to compare them one by one."""
        self.checked: list[int] = []
        """Ticks whose invariants were evaluated one by one."""
        self.blind: list[tuple[str, int]] = []
        """Invariants that raised, and at which tick: nothing is known of them there."""
        self.noted: list[Noted] = []
        """Every tick, or stretch of ticks, that was taken."""
        self.failed_at: set[int] = set()
        """Ticks at which some rule raised."""
        tables = (*state.tables, "events")
        self.declared = [in_order(one, tables) for one in reconciler.declared()]
        self.groups = _groups_of(self.declared)
        self.put_off(frozenset())
        self.together = reconciler.rules_fail_together
        self._state = state
        self._workspace = workspace
        self._failed = failed
        self._items: tuple[Any, list[Any]] = (None, [])  # what rules that take turns at one tick go over
        self._open: dict[tuple[str, tuple[Any, ...]], Episode] = {}
        self._every_tick: set[str] = set()

    def put_off(self, numbers: frozenset[int]) -> None:
        """Leave out the rules and invariants of these numbers: somebody else will answer for them."""
        left = [(number, one) for number, one in enumerate(self.declared) if number not in numbers]
        self._left = [number for number, _ in left]
        self._rules = [(number, one) for number, one in left if isinstance(one, Rule)]
        self._invariants = [one for _, one in left if isinstance(one, Invariant)]

    def tick(self, tick: int, at: datetime) -> list[Emission]:
        """Evaluate everything once."""
        self.noted.append((tick, tick, self._state.step, at))
        emitted = self.decide(tick, at)
        self.check(tick, at)
        return emitted

    def decide(self, tick: int, at: datetime) -> list[Emission]:
        """Evaluate the rules once, and begin the tick's record."""
        emitted: list[Emission] = []
        failed = False
        for number, declared in self._rules:
            rows = self._evaluate(declared, at, tick, at)
            failed = failed or rows is None
            if rows:
                emitted += self._emission(number, declared, rows, tick, at)
        if failed and self.together:
            emitted = []
            self.failed_at.add(tick)
        emitted.sort(key=lambda one: one.order)
        self.emissions += emitted
        self._record(tick, at, len(emitted))
        return emitted

    def check(self, tick: int, at: datetime) -> None:
        """Evaluate the invariants once; what they find is counted in the tick's record."""
        for declared in self._invariants:
            rows = self._evaluate(declared, at, tick, at)
            if rows is None:
                self.blind.append((declared.name, tick))
            elif rows or self._open:
                self._observe(declared, rows, tick, at)
        self.checked.append(tick)
        record = next((one for one in reversed(self.records) if one.tick == tick), None)
        if record is not None:
            record.violations, record.checked_at = len(self._open), at

    def stretch(
        self, first: int, last: int, time_of: Callable[[int], datetime], *, until_action: bool = False
    ) -> tuple[int, list[Emission]]:
        """Give the answers of ticks `first` to `last`, over which the state does not change.

        Each rule is evaluated at `first`, and again only where a comparison it made with the clock turns.

        Returns
        -------
        int, list
            The tick that comes next. With `until_action` that is the one after the first at which rules emitted, and
            what they emitted there: it is to be applied before any other tick.
        """
        standing = [_Last(due=first if number in self._left else None) for number, _ in enumerate(self.declared)]
        self.noted.append((first, last, self._state.step, time_of(first)))
        tick: int | None = first
        while tick is not None and tick <= last:
            at = time_of(tick)
            for number, answer in enumerate(standing):
                if answer.due == tick:
                    self._settle(answer, tick, time_of)
                    self._renew(number, answer, tick, at, time_of)
            emitted = [emission for answer in standing for emission in answer.emissions]
            emitted.sort(key=lambda one: one.order)
            self._record(tick, at, len(emitted))
            self.records[-1].checked_at = at
            if until_action and emitted:
                for answer in standing:
                    self._settle(answer, tick + 1, time_of)
                return tick + 1, emitted
            coming = [answer.due for answer in standing if answer.due is not None]
            following = min(coming, default=None)
            self.records[-1].repeats = min(following or last + 1, last + 1) - tick - 1
            tick = following
        for answer in standing:
            self._settle(answer, last + 1, time_of)
        return last + 1, []

    def _settle(self, answer: _Last, tick: int, time_of: Callable[[int], datetime]) -> None:
        """Count how long an answer stood before `tick`."""
        repeats = tick - answer.tick - 1
        for emission in answer.emissions:
            emission.repeats = tick - emission.tick - 1
        if repeats <= 0:
            return
        for episode in answer.found:
            episode.ticks += repeats
            episode.last = (tick - 1, time_of(tick - 1))
        answer.tick = tick - 1

    def _renew(self, number: int, answer: _Last, tick: int, at: datetime, time_of: Callable[[int], datetime]) -> None:
        declared = self.declared[number]
        rows, due = self._followed(declared, tick, at, time_of)
        answer.tick, answer.due = tick, due
        if isinstance(declared, Rule):
            emitted = self._emission(number, declared, rows or (), tick, at)
            if not _same(emitted, answer.emissions):
                answer.emissions = emitted
                self.emissions += emitted
        elif rows is None:
            answer.found = []
            self.blind.append((declared.name, tick))
        else:
            answer.found = self._observe(declared, rows, tick, at)

    def _followed(
        self, declared: Rule | Invariant, tick: int, at: datetime, time_of: Callable[[int], datetime]
    ) -> tuple[list[Any] | None, int | None]:
        """Evaluate with a followed clock; return the rows (None: it raised) and the next tick they may differ at."""
        if declared.statement is not None:
            return self._evaluate(declared, at, tick, at), self._due(declared.statement, tick, at, time_of)
        if declared.name in self._every_tick:
            return self._evaluate(declared, at, tick, at), tick + 1
        clock, drawn, before = Clock(at), self._state.drawn(), len(self._state.changes)
        clock.opaque = may_hide_errors(declared.function) or may_hide_errors(getattr(declared, "each", None))
        try:
            called = [] if clock.opaque else self._call(declared, clock.now())
            rows = [(item, released(row, clock)) for item, row in called]
        except Exception:  # noqa: BLE001 - what stands in for a datetime may not do where C code wants a real one
            clock.opaque = True
        self._check_unwritten(declared, before, tick, at)
        if clock.opaque or self._state.drawn() != drawn:
            self._state.put_back(drawn)
            self._every_tick.add(declared.name)
            return self._evaluate(declared, at, tick, at), tick + 1
        return rows, next_due(clock.turns, at, tick, time_of)

    def _due(self, statement: Statement, tick: int, at: datetime, time_of: Callable[[int], datetime]) -> int | None:
        if "now" not in statement.parameters:
            return None
        turns = self._workspace.turns(statement)
        return tick + 1 if turns is None else next_due(turns, at, tick, time_of)

    def _evaluate(self, declared: Rule | Invariant, now: Any, tick: int, at: datetime) -> list[Any] | None:
        """Return the rows with the item each belongs to, or None if the function raised and that is a problem only."""
        before = len(self._state.changes)
        self._state.now = now
        try:
            rows = self._call(declared, now)
        except STOPPING:
            raise
        except Exception as exc:
            self._check_unwritten(declared, before, tick, at)
            what = what_of(declared)
            if isinstance(exc, StateError) and declared.statement is not None:
                raise ReconcilerError(
                    f"{what} failed at tick {tick} ({show_time(at)}): {exc}",
                    step=self._state.step,
                    handler=declared.name,
                ) from exc
            self._failed(what, declared.name, at, exc)
            return None
        if len(self._state.changes) != before:
            self._check_unwritten(declared, before, tick, at)
        return rows

    def _check_unwritten(self, declared: Rule | Invariant, before: int, tick: int, at: datetime) -> None:
        if len(self._state.changes) != before:
            raise ReconcilerError(
                f"{what_of(declared)} wrote to state at tick {tick} ({show_time(at)}); rules read, appliers write.",
                step=self._state.step,
                handler=declared.name,
            )

    def _call(self, declared: Rule | Invariant, now: Any) -> list[Any]:
        if declared.statement is not None:
            return [(0, row) for row in self._workspace.rows(declared.statement)]
        self._state.now = now
        function: Any = declared.function
        if isinstance(declared, Rule) and declared.each is not None:
            asked = (declared.each, now, self._state.step) if type(now) is datetime else None
            if asked is None or self._items[0] != asked:
                self._items = asked, list(declared.each(self._state, now))
            return [(n, row) for n, one in enumerate(self._items[1]) for row in function(self._state, now, one) or ()]
        return [(0, row) for row in function(self._state, now) or ()]

    def _emission(self, number: int, rule: Rule, rows: Iterable[Any], tick: int, at: datetime) -> list[Emission]:
        step, group = self._state.step, self.groups[number]
        return [
            Emission(tick, at, step, rule, (group, item, number, n), as_action(rule, row))
            for n, (item, row) in enumerate(rows)
        ]

    def _observe(self, invariant: Invariant, rows: Iterable[Any], tick: int, at: datetime) -> list[Episode]:
        found: dict[tuple[str, tuple[Any, ...]], Episode] = {}
        for _, row in rows:
            detail = as_row(invariant, row)
            if self.found is not None:
                self.found.append((tick, invariant.name, detail))
            identity = (invariant.name, tuple(detail[name] for name in invariant.key))
            if identity in found:
                continue
            episode = self._open.pop(identity, None)
            if episode is None:
                episode = Episode(invariant, identity[1], (tick, at, self._state.step), (tick, at), detail, ticks=0)
                self.episodes.append(episode)
            episode.ticks += 1
            episode.last = (tick, at)
            found[identity] = episode
        self._close(invariant.name, tick, at)
        self._open.update(found)
        return list(found.values())

    def _close(self, name: str, tick: int, at: datetime) -> None:
        for identity in [identity for identity in self._open if identity[0] == name]:
            self._open.pop(identity).closed = (tick, at)

    def _record(self, tick: int, at: datetime, actions: int) -> None:
        self.records.append(TickRecord(tick, at, self._state.step, actions, len(self._open)))


def _same(emitted: list[Emission], before: list[Emission]) -> bool:
    """Return whether a rule said again what it said before, to the types: 1 is not True here."""
    actions, said = [one.action for one in emitted], [one.action for one in before]
    return bool(actions) and actions == said and list(map(repr, actions)) == list(map(repr, said))


def _groups_of(declared: list[Rule | Invariant]) -> list[int]:
    """Return for each rule the number of the first of those it takes turns with: itself, if it goes over no items."""
    groups: list[int] = []
    for number, one in enumerate(declared):
        before = declared[number - 1] if number else None
        shared = isinstance(one, Rule) and one.each is not None and isinstance(before, Rule) and before.each is one.each
        groups.append(groups[-1] if shared else number)
    return groups
