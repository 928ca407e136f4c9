"""Delta debugging: what is left still shows it, nothing of it can go alone, and few tests find it."""

from __future__ import annotations

import math
from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replaykit.errors import QueryError
from replaykit.progress import Progress
from replaykit.shrinking import minimize, minimize_groups

sizes = st.integers(0, 24)


class Asked:
    """A test that notes what it was asked."""

    def __init__(self, holds):
        self.holds = holds
        self.asked = []

    def __call__(self, items):
        """Note it, and answer."""
        self.asked.append(tuple(items))
        return self.holds(items)


def needing(*wanted):
    """Return a test that holds for whatever has all of these."""
    return Asked(lambda items: set(wanted) <= set(items))


@st.composite
def holding(draw, size):
    """Draw a test that holds for ``range(size)``: monotone, of several causes, or without any rhyme."""
    some = st.frozensets(st.sampled_from(range(size)), max_size=5) if size else st.just(frozenset())
    how = draw(st.sampled_from(["all of", "any of", "odd", "chance"]))
    if how in ("all of", "any of"):
        causes = draw(st.lists(some, min_size=1, max_size=1 if how == "all of" else 3))
        return lambda items: any(cause <= set(items) for cause in causes)
    if how == "odd":
        return lambda items: len(items) % 2 == size % 2
    salt, often = draw(st.binary(max_size=4)), draw(st.integers(1, 250))
    return lambda items: len(items) == size or blake2b(bytes(items), key=salt or b"0").digest()[0] < often


searched = sizes.flatmap(lambda size: st.tuples(st.just(size), holding(size)))


@given(searched)
def test_what_is_left_holds_and_nothing_of_it_can_go_alone(drawn):
    """For any test, also one that holds for less and not for more."""
    size, holds = drawn

    found = minimize(range(size), holds)

    assert holds(found.items)
    assert not any(holds([one for one in found.items if one != gone]) for gone in found.items)
    assert found.minimal
    assert not found.stopped
    assert found.items == found.places == tuple(sorted(set(found.items)))


@given(searched)
def test_it_finds_the_same_in_the_same_order_every_time(drawn):
    """No randomness, no order of a set."""
    size, holds = drawn
    first, second = Asked(holds), Asked(holds)

    assert minimize(range(size), first) == minimize(range(size), second)
    assert first.asked == second.asked


@given(searched)
def test_nothing_is_tried_twice_and_the_count_is_that_of_the_tests_run(drawn):
    """A test may take a second."""
    size, holds = drawn
    asked = Asked(holds)

    found = minimize(range(size), asked)

    assert len(set(asked.asked)) == len(asked.asked) == found.tests <= size * size + 4 * size + 2


@given(searched, st.integers(1, 40))
def test_a_budget_is_never_exceeded_and_its_end_leaves_the_best_so_far(drawn, budget):
    """With fewer tests there may be more left, and it says so."""
    size, holds = drawn
    asked, whole = Asked(holds), minimize(range(size), holds)

    found = minimize(range(size), asked, budget=budget)

    assert len(asked.asked) == found.tests <= budget
    assert holds(found.items)
    assert found.minimal == (whole.tests <= budget)
    assert found.stopped == ("" if found.minimal else "budget")
    assert ("not minimal, the budget ran out" in found.sentence) == (not found.minimal)


@settings(max_examples=30)
@given(st.sets(st.sampled_from(range(2_000)), min_size=1, max_size=8))
def test_few_needed_items_among_many_take_few_tests(wanted):
    """About 2 k log n, not n."""
    found = minimize(range(2_000), needing(*wanted))

    assert found.items == tuple(sorted(wanted))
    assert found.tests <= (2 * len(wanted) + 2) * (math.log2(2_000) + 2)


def test_neighbours_in_time_take_two_logarithms():
    """What came after and what came before is cut off by halving."""
    found = minimize(range(100_000), needing(71_000, 71_001))

    assert found.items == (71_000, 71_001)
    assert found.tests <= 2 * math.ceil(math.log2(100_000)) + 4


def test_where_all_are_needed_each_is_tried_about_twice():
    """There is no way to know without."""
    found = minimize(range(100), needing(*range(100)))

    assert len(found.items) == 100
    assert found.tests <= 250


def test_later_items_go_before_what_they_build_on():
    """An event that changes a row can go, the one that made the row only then."""

    def holds(items):
        made = {one for one in items if one < 10}
        return 5 in items and all(one - 10 in made for one in items if one >= 10)

    assert minimize(range(20), holds).items == (5,)


def test_it_may_show_without_anything():
    """Then it is no use to look at events: two tests say so."""
    found = minimize("abc", lambda items: True)

    assert found.items == ()
    assert found.tests == 2
    assert found.sentence == "0 of 3 items left after 2 tests; it shows without any."


def test_what_the_whole_does_not_show_is_an_error():
    """Anything found then would be found by chance."""
    with pytest.raises(QueryError, match="does not show with all 3 items"):
        minimize("abc", lambda items: False)


@pytest.mark.parametrize("budget", [0, -1])
def test_a_budget_that_allows_nothing_is_an_error(budget):
    """Not even the whole could be looked at."""
    with pytest.raises(QueryError, match="expected a number of tests from 1"):
        minimize("abc", lambda items: True, budget=budget)


def interrupted_after(tests, holds):
    """Return a test at which somebody interrupts."""

    def test(items):
        nonlocal tests
        tests -= 1
        if tests < 0:
            raise KeyboardInterrupt
        return holds(items)

    return test


def test_an_interrupt_leaves_the_best_so_far():
    """Minutes of tests are not thrown away."""
    found = minimize(range(64), interrupted_after(6, needing(3)))

    assert 3 in found.items
    assert 1 < len(found.items) <= 8
    assert (found.minimal, found.stopped, found.tests) == (False, "interrupted", 6)
    assert "not minimal, interrupted" in found.sentence


def test_an_interrupt_before_anything_is_known_is_an_interrupt():
    """There is no best yet."""
    with pytest.raises(KeyboardInterrupt):
        minimize(range(64), interrupted_after(0, needing(3)))


def test_an_error_of_the_test_is_its_own():
    """Whether a replay that raises shows it, only the caller knows."""

    def holds(items):
        if len(items) < 3:
            raise ZeroDivisionError
        return True

    with pytest.raises(ZeroDivisionError):
        minimize(range(3), holds)


class Line(Progress):
    """A line of progress that keeps what it was told."""

    def __init__(self):
        super().__init__("Shrinking", noun="test")
        self.told = []

    def tell(self, done, said):
        """Keep it."""
        self.told.append((done, said))


def test_progress_is_told_after_each_test():
    """How many tests there will be, nobody knows; how many items are left, everybody."""
    line = Line()

    found = minimize(range(64), needing(3, 40), progress=line)

    assert [done for done, _ in line.told] == list(range(1, found.tests + 1))
    assert line.told[0] == (1, "64 items left")
    assert line.told[-1] == (found.tests, "2 items left")


def test_progress_is_shown_where_a_person_looks(monkeypatch):
    """A line that says how many, without an end."""
    from replaykit import progress

    clock = iter(range(0, 1_000, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    line = Progress("Shrinking", noun="test")
    shown = []
    monkeypatch.setattr(line, "_live", True)
    monkeypatch.setattr(line, "_show", shown.append)

    line.tell(7, "12 items left")

    assert shown == ["Shrinking: 7 tests, 12 items left"]


# Several groups.


def test_groups_are_shrunk_in_their_order_each_to_what_it_needs():
    """Events first, as there are most of them; then rows, then writes."""
    groups = {"events": "abcdefgh", "rows": "ijklmnop", "writes": "qr", "none": ""}
    asked = []

    def holds(taken):
        asked.append({name: "".join(one) for name, one in taken.items()})
        return "c" in taken["events"] and {"j", "o"} <= set(taken["rows"])

    found = minimize_groups(groups, holds)

    assert found.groups == {"events": ("c",), "rows": ("j", "o"), "writes": (), "none": ()}
    assert found.places == {"events": (2,), "rows": (1, 6), "writes": (), "none": ()}
    assert found.sentence == f"3 of 18 items left after {len(asked)} tests; none of them can be left out alone."
    assert [one["rows"] for one in asked[:5]] == ["ijklmnop"] * 5


@given(st.lists(st.integers(0, 7), min_size=1, max_size=4), st.data())
def test_no_item_of_any_group_can_go_alone(lengths, data):
    """Also where a row can only go after a write went, and the other way round."""
    groups = {f"g{number}": range(length) for number, length in enumerate(lengths)}
    flat = {
        (name, one): place for place, (name, one) in enumerate((n, o) for n, group in groups.items() for o in group)
    }
    holds_flat = data.draw(holding(len(flat)))

    def holds(taken):
        return holds_flat([flat[name, one] for name, group in taken.items() for one in group])

    found = minimize_groups(groups, holds)

    assert holds(found.groups)
    assert found.minimal
    for name, group in found.groups.items():
        for gone in group:
            assert not holds({**found.groups, name: [one for one in group if one != gone]})


def test_one_group_is_the_same_as_none():
    """Item by item and test by test."""
    alone, grouped = needing(3, 9), needing(3, 9)

    single = minimize(range(40), alone)
    found = minimize_groups({"all": range(40)}, lambda taken: grouped(taken["all"]))

    assert found.groups["all"] == single.items
    assert alone.asked == grouped.asked
    assert repr(found) == repr(single).replace("Minimized", "MinimizedGroups")
