"""Delta debugging: the fewest items that still show something, found by leaving out others and looking again.

The algorithm is ddmin of A. Zeller and R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE
Transactions on Software Engineering 28(2), 2002, for items in order of time and tests that take a second each: what
comes after, then what comes before, is cut off by halving; then shorter and shorter stretches are left out, the latest
first, so that what builds on something goes before that; then single items, until none can go. What was tried once is
not tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Generic, TypeVar

from replaykit.display import brief, count
from replaykit.errors import QueryError, excerpt

if TYPE_CHECKING:
    from replaykit.progress import Progress

__all__ = ["Minimized", "MinimizedGroups", "minimize", "minimize_groups"]

_T = TypeVar("_T")


@dataclass(frozen=True, repr=False)
class _Outcome:
    size: int
    """How many items there were."""
    tests: int
    """How many subsets were tried."""
    minimal: bool
    """Whether it was tried that none of the items left can go alone (Zeller's 1-minimal). Two together may."""
    stopped: str
    """Why it ended early: ``budget`` or ``interrupted``; empty if it did not."""

    @property
    def left(self) -> int:
        """How many items are left."""
        raise NotImplementedError

    @property
    def sentence(self) -> str:
        """What was found, and whether more might go."""
        head = f"{self.left:,} of {count(self.size, 'item')} left after {count(self.tests, 'test')}"
        if self.minimal:
            return f"{head}; {'none of them can be left out alone' if self.left else 'it shows without any'}."
        why = "the budget ran out" if self.stopped == "budget" else "interrupted"
        return f"{head}; not minimal, {why}: fewer may do."

    def __repr__(self) -> str:
        return brief(type(self).__name__, self.sentence)


@dataclass(frozen=True, repr=False)
class Minimized(_Outcome, Generic[_T]):
    """The items that are left, in their order."""

    items: tuple[_T, ...]
    places: tuple[int, ...]
    """Where they stood, from 0."""

    @property
    def left(self) -> int:
        """How many items are left."""
        return len(self.items)


@dataclass(frozen=True, repr=False)
class MinimizedGroups(_Outcome, Generic[_T]):
    """The items that are left of each group, in their order."""

    groups: Mapping[str, tuple[_T, ...]]
    places: Mapping[str, tuple[int, ...]]
    """Where they stood in their group, from 0."""

    @property
    def left(self) -> int:
        """How many items are left, of all groups."""
        return sum(map(len, self.groups.values()))


def minimize(
    items: Sequence[_T],
    test: Callable[[Sequence[_T]], bool],
    *,
    budget: int | None = None,
    progress: Progress | None = None,
) -> Minimized[_T]:
    """Return few items for which a test still holds, none of which can be left out alone.

    Parameters
    ----------
    items
        In order of time, if they have one: later ones are tried first.
    test
        Returns whether what is looked for shows with these items, given in their order. It has to answer the same for
        the same ones, need not hold for more items only because it holds for fewer, and is asked about all of them
        first.
    budget
        How many tests may be run. None is as many as it takes: about ``2 k log n`` to find `k` items scattered among
        `n`, ``n * n`` at worst.
    progress
        Told how many tests were run and how many items are left.

    Returns
    -------
    Minimized
        The best so far if the budget runs out or somebody interrupts; `minimal` says that there may be fewer.

    Raises
    ------
    QueryError
        The test does not hold for all items, or the budget allows no test.
    KeyboardInterrupt
        Somebody interrupted before it was known to hold for all.
    """
    search = _Search([len(items)], lambda places: test([items[place] for place in places]), budget, progress)
    search.run()
    kept = tuple(search.best)
    return Minimized(*search.outcome(), tuple(items[place] for place in kept), kept)


def minimize_groups(
    groups: Mapping[str, Sequence[_T]],
    test: Callable[[Mapping[str, Sequence[_T]]], bool],
    *,
    budget: int | None = None,
    progress: Progress | None = None,
) -> MinimizedGroups[_T]:
    """Return few items of several groups for which a test still holds; as `minimize`, one group after the other.

    Groups are gone through in their order, the ones most worth shrinking first. At the end no item of any group can be
    left out alone.
    """
    names, sizes = list(groups), [len(group) for group in groups.values()]

    def apart(places: Sequence[int]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {name: [] for name in names}
        for name, (low, high) in zip(names, _spans(sizes), strict=True):
            found[name] = [place - low for place in places if low <= place < high]
        return found

    def taken(places: Sequence[int]) -> dict[str, list[_T]]:
        return {name: [groups[name][place] for place in mine] for name, mine in apart(places).items()}

    search = _Search(sizes, lambda places: test(taken(places)), budget, progress)
    search.run()
    kept = {name: tuple(mine) for name, mine in taken(search.best).items()}
    return MinimizedGroups(*search.outcome(), kept, {name: tuple(one) for name, one in apart(search.best).items()})


def _spans(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return the places of each group's items, where all stand in one row: from, and to excluded."""
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    return [(end - size, end) for end, size in zip(ends, sizes, strict=True)]


class _Spent(Exception):  # noqa: N818 - no error
    """The budget is used up."""


class _Search:
    """One search: the best places so far, and what is known of others."""

    def __init__(
        self, sizes: Sequence[int], test: Callable[[Sequence[int]], bool], budget: int | None, progress: Progress | None
    ) -> None:
        given: object = budget
        if given is not None and (not isinstance(given, int) or given < 1):
            raise QueryError(f"budget={excerpt(budget)}: expected a number of tests from 1, or None.")
        self.spans, self.size = _spans(sizes), sum(sizes)
        self.best = list(range(self.size))
        self.tests, self.minimal, self.stopped = 0, False, ""
        self._test, self._budget, self._progress = test, budget, progress
        self._known: dict[bytes, bool] = {}

    def outcome(self) -> tuple[int, int, bool, str]:
        """Return what an `_Outcome` is made of."""
        return self.size, self.tests, self.minimal, self.stopped

    def run(self) -> None:
        """Search until nothing more can go, the budget is used up, or somebody interrupts."""
        if not self._holds(self.best):
            raise QueryError(
                f"What is looked for does not show with all {count(self.size, 'item')}, so there is nothing to shrink; "
                "check the predicate on the whole."
            )
        try:
            for low, high in self.spans:
                self._cut_off(low, high)
                self._thin_out(low, high)
            self._settle()
            self.minimal = True
        except _Spent:
            self.stopped = "budget"
        except KeyboardInterrupt:
            self.stopped = "interrupted"

    def _holds(self, places: Sequence[int]) -> bool:
        """Return whether the test holds for these places; each set is tried once."""
        chosen = bytearray(self.size)
        for place in places:
            chosen[place] = 1
        key = blake2b(chosen, digest_size=16).digest()
        if key not in self._known:
            if self._budget is not None and self.tests >= self._budget:
                raise _Spent
            self._known[key] = bool(self._test(places))
            self.tests += 1
            if self._progress is not None:
                self._progress.tell(self.tests, f"{count(len(self.best), 'item')} left")
        return self._known[key]

    def _goes(self, gone: Sequence[int]) -> bool:
        """Leave these places out if the test holds without them; return whether it does."""
        without = set(gone)
        rest = [place for place in self.best if place not in without]
        if not self._holds(rest):
            return False
        self.best = rest
        return True

    def _mine(self, low: int, high: int) -> list[int]:
        return [place for place in self.best if low <= place < high]

    def _cut_off(self, low: int, high: int) -> None:
        """Leave out all of a group, or as much of its end, then of its beginning, as halving finds."""
        mine = self._mine(low, high)
        if not mine or self._goes(mine):
            return
        few, many = 0, len(mine)  # so many from the beginning are too few, so many are enough
        while many - few > 1:
            middle = (few + many) // 2
            if self._goes(mine[middle:many]):
                many = middle
            else:
                few = middle
        off, much = 0, many  # so many of the beginning can go, so many are too much
        while much - off > 1:
            middle = (off + much) // 2
            if self._goes(mine[off:middle]):
                off = middle
            else:
                much = middle

    def _thin_out(self, low: int, high: int) -> None:
        """Leave out stretches of a group, each time half as long, the latest first."""
        mine = self._mine(low, high)
        middle = len(mine) // 2
        stretches = [mine[middle:], mine[:middle]]  # they hold its ends, without which nothing goes
        while stretches:
            parts = [part for stretch in stretches for part in self._halved(stretch)]
            stretches = [part for part in parts if len(part) > 1]

    def _halved(self, stretch: list[int]) -> list[list[int]]:
        """Return the halves that stay of a stretch that could not go as a whole: if one goes, it is for the other."""
        middle = len(stretch) // 2
        early, late = stretch[:middle], stretch[middle:]
        if not early or self._goes(late):
            return [early]
        return [late] if self._goes(early) else [late, early]

    def _settle(self) -> None:
        """Leave out single items, in turns, until each was tried since the last one went."""
        place, stay = len(self.best), 0
        while stay < len(self.best):
            place = (place or len(self.best)) - 1
            stay = 0 if self._goes([self.best[place]]) else stay + 1
