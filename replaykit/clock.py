"""The clock a rule reads in a stretch without events: it notes when each comparison made with it would turn.

A rule that compares ``now - job["updated_at"]`` with ten minutes gives the same answer at every tick until one
instant, and that instant follows from the comparison. So a stretch of a million ticks needs one evaluation, and one
more wherever a comparison turns. Anything that can't be followed (formatting, ``now.hour``, a value that leaves the
rule) makes the clock *opaque*: the rule is then evaluated at every tick, as if this module did not exist.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from math import ceil, floor, trunc, ulp
from typing import Any

from replaykit.declarations import Action

__all__ = ["Clock", "Tracked", "next_due", "released"]

_SLACK = timedelta(microseconds=2)  # a followed comparison may have gone through floating point seconds

_EXACT = 2e-6  # seconds: what the ticks allow for anyway
_BLUR = 1e-3

_FOLLOWED = (datetime, timedelta, int, float)


class Clock:
    """What was learnt of one evaluation: the instants at which comparisons turn, and whether all were followed."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment
        self.turns: list[datetime] = []
        self.opaque = False

    def now(self) -> Any:
        """Return the value to hand to the rule in place of a datetime."""
        return Tracked(self.moment, 1.0, self)

    def turn(self, value: Any, slope: float, limit: Any, *, at_once: bool = False) -> None:  # noqa: ARG002
        """Note that ``value``, which moves by `slope` a second, was compared with `limit`.

        `at_once` says that the answer is another one at the instant at which both are equal, not only behind it.
        """
        # Never, as far as a datetime reaches or types compare; NaT and NaN compare the same for ever.
        with suppress(ArithmeticError, TypeError, ValueError):
            gap = limit - value
            apart = isinstance(gap, timedelta)
            blur = (2e-6 if apart else 8 * ulp(max(abs(value), abs(limit)))) / abs(slope)
            turn = self.moment + timedelta(seconds=(gap.total_seconds() if apart else gap) / slope)
            self._note(turn, blur)

    def _note(self, turn: datetime, blur: float) -> None:
        """Note an instant that is known to within `blur` seconds: values were rounded on the way to the comparison."""
        if blur > _BLUR:
            self.opaque = True
        elif blur > _EXACT:
            self.turns += [turn - timedelta(seconds=blur), turn, turn + timedelta(seconds=blur)]
        else:
            self.turns.append(turn)

    def release(self, value: Any) -> Any:
        """Return a plain value for one that leaves the rule; it may differ at every tick."""
        if type(value) is Tracked:
            return value._leave()
        if isinstance(value, Mapping):
            return {key: self.release(one) for key, one in value.items()}
        return type(value)(self.release(one) for one in value) if type(value) in (list, tuple, set) else value


class Tracked:
    """A datetime, timedelta or number that depends on the clock linearly. Looks like what it stands for."""

    __slots__ = ("_clock", "_slope", "_value")

    def __init__(self, value: Any, slope: float, clock: Clock) -> None:
        self._value = value
        self._slope = slope
        self._clock = clock

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._value)

    def _shift(self, value: Any, slope: float) -> Tracked:
        return Tracked(value, slope, self._clock)

    def __add__(self, other: Any) -> Any:
        if type(other) is Tracked:
            return self._leave() + other._leave()
        return self._shift(self._value + other, self._slope) if isinstance(other, _FOLLOWED) else self._leave() + other

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if type(other) is Tracked:
            return self._leave() - other._leave()
        return self._shift(self._value - other, self._slope) if isinstance(other, _FOLLOWED) else self._leave() - other

    def __rsub__(self, other: Any) -> Any:
        return self._shift(other - self._value, -self._slope) if isinstance(other, _FOLLOWED) else other - self._leave()

    def __mul__(self, other: Any) -> Any:
        if type(other) in (int, float) and other:
            return self._shift(self._value * other, self._slope * other)
        return self._leave() * other

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if type(other) in (int, float) and other:
            return self._shift(self._value / other, self._slope / other)
        if type(other) is timedelta and other and type(self._value) is timedelta:
            return self._shift(self._value / other, self._slope / other.total_seconds())
        return self._leave() / other

    def __neg__(self) -> Any:
        return self._shift(-self._value, -self._slope)

    def total_seconds(self) -> Any:
        """As on timedelta, still followed."""
        return self._shift(self._value.total_seconds(), self._slope)

    def _compared(self, other: Any, compare: Callable[[Any, Any], bool]) -> bool:
        if type(other) is not Tracked and isinstance(other, _FOLLOWED) and not _aware(other):
            outcome = compare(self._value, other)
            self._clock.turn(self._value, self._slope, other, at_once=compare(other, other) is not outcome)
            return outcome
        other = other._leave() if type(other) is Tracked else other
        return compare(self._leave(), other)

    def __lt__(self, other: Any) -> bool:
        return self._compared(other, lambda a, b: a < b)

    def __le__(self, other: Any) -> bool:
        return self._compared(other, lambda a, b: a <= b)

    def __gt__(self, other: Any) -> bool:
        return self._compared(other, lambda a, b: a > b)

    def __ge__(self, other: Any) -> bool:
        return self._compared(other, lambda a, b: a >= b)

    def __eq__(self, other: object) -> bool:
        return self._compared(other, lambda a, b: a == b)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._leave())

    def __bool__(self) -> bool:
        return bool(self._leave())

    def __str__(self) -> str:
        return str(self._leave())

    def __repr__(self) -> str:
        return repr(self._leave())

    def __format__(self, spec: str) -> str:
        return format(self._leave(), spec)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._leave(), name)

    def __float__(self) -> float:
        return float(self._leave())

    def __int__(self) -> int:
        return int(self._leave())

    def __index__(self) -> int:
        return operator.index(self._leave())

    def __copy__(self) -> Any:
        return self._leave()

    def __deepcopy__(self, memo: object) -> Any:
        return self._leave()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._leave().__reduce_ex__(protocol)

    def _leave(self) -> Any:
        self._clock.opaque = True
        return self._value


def _leaving(operation: Any) -> Callable[..., Any]:
    def left(self: Tracked, *others: Any) -> Any:
        return operation(self._leave(), *others)

    return left


def _reflected(operation: Any) -> Callable[[Any, Any], Any]:
    def left(self: Tracked, other: Any) -> Any:
        return operation(other, self._leave())

    return left


for _name, _operation in {"floordiv": operator.floordiv, "mod": operator.mod, "pow": pow, "divmod": divmod}.items():
    setattr(Tracked, f"__{_name}__", _leaving(_operation))
    setattr(Tracked, f"__r{_name}__", _reflected(_operation))
for _name, _operation in {
    "abs": abs,
    "pos": operator.pos,
    "round": round,
    "trunc": trunc,
    "floor": floor,
    "ceil": ceil,
}.items():
    setattr(Tracked, f"__{_name}__", _leaving(_operation))
Tracked.__rtruediv__ = _reflected(operator.truediv)  # type: ignore[attr-defined]


def _aware(value: Any) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def next_due(turns: Iterable[datetime], now: datetime, tick: int, time_of: Callable[[int], datetime]) -> int | None:
    """Return the first tick after `tick` at or behind the nearest instant at which a comparison turns."""
    coming = [turn for turn in turns if turn >= now - _SLACK]
    if not coming:
        return None
    turn = min(coming)
    origin, interval = time_of(0), time_of(1) - time_of(0)
    return max(tick + 1, -((origin - turn + _SLACK) // interval))


def released(row: Any, clock: Clock) -> Any:
    """Return what a rule yielded with plain values in it."""
    if isinstance(row, Action):
        return Action(row.kind, **{name: clock.release(value) for name, value in row.fields.items()})
    if isinstance(row, Mapping):
        return {name: clock.release(value) for name, value in row.items()}
    return row
