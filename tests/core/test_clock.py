"""The followed clock: it behaves like a datetime, and notes when each comparison made with it would turn."""

from __future__ import annotations

import copy
import functools
import math
import operator
import pickle
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from building import T0, after
from hypothesis import given
from hypothesis import strategies as st

from replaykit.catching import may_hide_errors
from replaykit.clock import Clock, Tracked

SEEN = after(-90)


@pytest.fixture
def clock():
    """A clock at the beginning."""
    return Clock(T0)


FOLLOWED = {
    "difference": (lambda now: now - SEEN > timedelta(minutes=10), 510),
    "reflected": (lambda now: timedelta(minutes=10) < now - SEEN, 510),
    "backwards": (lambda now: SEEN - now < timedelta(minutes=-10), 510),
    "deadline": (lambda now: now >= SEEN + timedelta(minutes=2), 30),
    "moved": (lambda now: now + timedelta(seconds=10) > SEEN + timedelta(minutes=2), 20),
    "seconds": (lambda now: (now - SEEN).total_seconds() > 100, 10),
    "minutes": (lambda now: (now - SEEN).total_seconds() / 60 > 2, 30),
    "twice": (lambda now: 2 * (now - SEEN) > timedelta(minutes=4), 30),
    "ratio": (lambda now: (now - SEEN) / timedelta(minutes=1) > 2, 30),
    "negative": (lambda now: -(now - SEEN) < timedelta(minutes=-2), 30),
    "equal": (lambda now: now == after(30), 30),
    "in list": (lambda now: now in [after(30), after(30)], 30),
    "maximum": (lambda now: max(now, after(30)) is now, 30),
    "pandas": (lambda now: now - pd.Timestamp(SEEN) > pd.Timedelta("2min"), 30),
    "numbers": (lambda now: 3 + (now - SEEN).total_seconds() * 0.5 - 1 > 62, 30),
}


@pytest.mark.parametrize(("ask", "seconds"), FOLLOWED.values(), ids=FOLLOWED)
def test_a_comparison_notes_the_instant_it_turns_at(clock, ask, seconds):
    """On both sides of it the answer stays; the clock is not spent."""
    ask(clock.now())

    assert not clock.opaque
    assert min(abs(turn - after(seconds)) for turn in clock.turns) <= timedelta(milliseconds=1)
    answers = [ask(after(s)) for s in (seconds - 5, seconds - 1, seconds + 1, seconds + 5)]
    assert answers[0] == answers[1]
    assert answers[2] == answers[3]


LEAVING = {
    "text": str, "repr": repr, "format": lambda now: f"{now:%H}", "hash": hash, "attribute": lambda now: now.hour,
    "method": lambda now: now.isoformat(), "replace": lambda now: now.replace(hour=0), "date": lambda now: now.date(),
    "truth": bool, "two clocks": lambda now: now - now, "floor": lambda now: (now - SEEN) // timedelta(minutes=1),
    "modulo": lambda now: (now - SEEN) % timedelta(minutes=1),
    "divmod": lambda now: divmod(now - SEEN, timedelta(minutes=1)),
    "int": lambda now: int((now - SEEN).total_seconds()), "float": lambda now: float((now - SEEN).total_seconds()),
    "round": lambda now: round((now - SEEN).total_seconds(), 1),
    "ceil": lambda now: math.ceil((now - SEEN).total_seconds()),
    "power": lambda now: (now - SEEN).total_seconds() ** 2, "root": lambda now: 2 ** (now - SEEN).total_seconds(),
    "inverse": lambda now: 1 / (now - SEEN).total_seconds(), "remainder": lambda now: 7 % (now - SEEN).total_seconds(),
    "product": lambda now: (now - SEEN).total_seconds() * (now - SEEN).total_seconds(),
    "absolute": lambda now: abs(now - SEEN),
    "positive": lambda now: +(now - SEEN), "percent": lambda now: "%.1f s" % (now - SEEN).total_seconds(),  # noqa: UP031
    "copy": copy.copy, "deep copy": copy.deepcopy, "pickle": lambda now: pickle.loads(pickle.dumps(now)),
    "times nothing": lambda now: (now - SEEN) * 0, "NumPy": np.datetime64,
    "set": lambda now: {now}, "math": lambda now: math.sqrt((now - SEEN).total_seconds()),
}  # fmt: skip


@pytest.mark.parametrize("use", LEAVING.values(), ids=LEAVING)
def test_what_can_not_be_followed_makes_the_clock_opaque_and_gives_the_real_value(clock, use):
    """The rule is then evaluated at every tick, as if nothing stood in for a datetime."""
    found = use(clock.now())

    assert clock.opaque
    assert found == use(T0)
    assert not isinstance(type(found), Tracked)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda now: now + 1, lambda now: now > 5, lambda now: now - date(2026, 1, 1),
        lambda now: now > datetime.now(UTC),
        lambda now: now - datetime.now(UTC), lambda now: (now - SEEN) + 5, lambda now: (now - SEEN) > 5,
        lambda now: now * 2, lambda now: now.nonsense, lambda now: (now - SEEN) / 0, lambda now: -now,
        lambda now: now < None, lambda now: (now - SEEN).total_seconds() < "5",
    ],
)  # fmt: skip
def test_what_a_datetime_refuses_is_refused_with_the_same_error(clock, wrong):
    """A rule that relies on the error gets it."""
    with pytest.raises(Exception) as real:
        wrong(T0)
    with pytest.raises(type(real.value)):
        wrong(clock.now())


def test_it_looks_like_what_it_stands_for(clock):
    """``isinstance`` is how programs tell times from text."""
    now = clock.now()

    assert isinstance(now, datetime)
    assert isinstance(now - SEEN, timedelta)
    assert isinstance((now - SEEN).total_seconds(), float)
    assert not clock.opaque


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), 10**400, 1e300, pd.NaT])
def test_a_limit_no_time_reaches_never_turns(clock, limit):
    """And is no error, as it is none for a number."""
    value = (clock.now() - SEEN) if limit is pd.NaT else (clock.now() - SEEN).total_seconds()

    real = (T0 - SEEN) if limit is pd.NaT else (T0 - SEEN).total_seconds()

    assert (value > limit) is (real > limit)
    assert not clock.turns


@given(
    factor=st.floats(1e-3, 1e3), shift=st.integers(-1000, 1000), limit=st.floats(-1e4, 1e4), at=st.integers(0, 10_000),
    apart=st.booleans(),
)  # fmt: skip
def test_between_turns_a_linear_comparison_never_changes(factor, shift, limit, at, apart):
    """The property skipping rests on, for sums and products, as seconds and as time spans."""

    def ask(now):
        age = now - SEEN + timedelta(seconds=shift)
        return age * factor > timedelta(seconds=limit) if apart else age.total_seconds() * factor > limit

    clock = Clock(T0)
    first = ask(clock.now())

    assert first == ask(T0)
    later = after(at)
    if not clock.opaque and ask(later) != first:
        assert any(T0 - timedelta(microseconds=2) <= turn <= later + timedelta(microseconds=2) for turn in clock.turns)


def catching(now):
    """Catch what C code may raise."""
    try:
        return datetime.combine(now, SEEN.time())
    except TypeError:
        return None


def suppressing(now):
    """The same in other words."""
    with suppress(TypeError):
        return datetime.combine(now, SEEN.time())
    return None


def calling(now):
    """Leave it to another."""
    return catching(now)


def looking_up(now):
    """Leave it to whom a registry names."""
    return REGISTRY["one"](now)


def plain(now):
    """Compare."""
    return [one for one in (now,) if now > one or str(one) == "try: except"]


def nested(now):
    """Define what catches."""

    def inner():
        return catching(now)

    return inner()


REGISTRY = {"one": catching}


class Policy:
    """A rule that is an object."""

    def check(self, now):
        """Catch."""
        return catching(now)


@pytest.mark.parametrize(
    "rule",
    [
        catching, suppressing, nested, calling, looking_up, Policy().check, functools.partial(catching),
        functools.wraps(plain)(calling),
    ],
)  # fmt: skip
def test_a_rule_that_may_hide_the_clocks_error_is_told(rule):
    """Itself, by a helper, through a registry: where nobody could see the refusal, nothing is skipped."""
    assert may_hide_errors(rule)


@pytest.mark.parametrize("rule", [plain, operator.lt, len, None, functools.partial(plain)])
def test_a_rule_that_hides_no_error_is_followed(rule):
    """Skipping is the point."""
    assert not may_hide_errors(rule)


def test_functions_that_call_each_other_are_looked_at_once():
    """Recursion must not hang the look."""

    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert not may_hide_errors(even)
