"""check_determinism(): replay twice more and look for clocks, randomness and orders of sets in the user's Python code.

The first time a profile function listens while handlers, rules and appliers run. The second time the user's functions
that ran are recompiled so that sets are iterated in another order, and everything that lets an order out is noted. It
sees what happens in this window: a branch that was not taken was not checked.
"""

from __future__ import annotations

import dataclasses
import linecache
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.determinism.compared import differing, parting
from replaykit.determinism.exchanged import Unchecked, exchanged
from replaykit.determinism.listener import Listener
from replaykit.determinism.unordered import SET_ORDER, Orders
from replaykit.determinism.watched import Place, Seen, UserCode, Watched, definition, functions_of
from replaykit.errors import ReconcilerError, VerdictError, excerpt

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.replayed import Replay

__all__ = ["Determinism", "check_determinism"]

UNKNOWN = "something that changes from replay to replay"
_FINDING = {
    "source": "str",
    "handler": "str",
    "on": "str",
    "function": "str",
    "file": "str",
    "line": "int64",
    "code": "str",
    "count": "int64",
    "step": "int64",
}
_UNCHECKED = {"function": "str", "file": "str", "line": "int64", "reason": "str"}


@dataclass(frozen=True, repr=False, eq=False)
class Determinism:
    """Whether a replay depends on anything but its recording and its rules."""

    findings: pd.DataFrame
    """One row per source, handler, what it handled (``on``: ``event submitted``, ``rule requeue``) and line.

    ``handler`` is the registered function, ``function`` the one that holds the line: a helper, perhaps. ``count`` is
    how often, ``step`` where first. A set of which this window never saw two members is no finding.
    """
    unchecked: pd.DataFrame
    """What could not be looked into, and why: no finding, and no proof either."""
    differing: tuple[str, ...]
    """What differed when the same replay ran again: ``actions``, ``history of jobs``, ...; nothing if it all agreed."""
    reordered: tuple[str, ...]
    """What differed when sets were iterated in another order; empty also if `differing` is not, which would hide it."""
    functions: int
    """How many handlers, rules, invariants and appliers in Python ran."""

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return self.findings.empty

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        parts = [self._found(), self._compared()]
        if len(self.unchecked):
            first = self.unchecked.iloc[0]
            more = f" and {len(self.unchecked) - 1} more" if len(self.unchecked) > 1 else ""
            parts.append(f"Not checked: {first['function'] or 'the rest'}{more} ({first['reason']}).")
        return " ".join(parts)

    def _found(self) -> str:
        from replaykit.display import count

        ran = f"{count(self.functions, 'Python function')} that ran"
        if self.ok:
            return f"No clock, randomness or order of a set in {ran}." if self.functions else "No Python function ran."
        first = self.findings.iloc[0]
        more = f" and {count(len(self.findings) - 1, 'more finding')}" if len(self.findings) > 1 else ""
        where = f"{first['file']}:{first['line']}"
        return f"{first['source']} in {first['handler']} ({first['on']}) at {where}{more}, in {ran}."

    def _compared(self) -> str:
        if self.differing:
            return f"The same replay once more gave other results: {', '.join(self.differing)}."
        if self.reordered:
            return f"Sets in another order gave other results: {', '.join(self.reordered)}."
        return "The same replay gave the same results twice more, once with sets in another order."

    def __repr__(self) -> str:
        from replaykit.display import count

        found = "ok" if self.ok else count(len(self.findings), "finding")
        parts = [found, f"results {'differ' if self.differing or self.reordered else 'agree'}"]
        parts += [f"{len(self.unchecked)} unchecked"] if len(self.unchecked) else []
        return f"Determinism({', '.join(parts)})"

    def _repr_html_(self) -> str:
        from replaykit.display import note_html, table_html

        parts = [("Findings", self.findings, ".findings"), ("Unchecked", self.unchecked, ".unchecked")]
        shown = [table_html(frame, caption=name, limit=20, more=more) for name, frame, more in parts if len(frame)]
        return "\n".join([note_html(self.sentence), *shown])

    def raise_for_determinism(self) -> Determinism:
        """Return this if nothing was found; otherwise raise a VerdictError that names the first finding."""
        if not self.ok:
            raise VerdictError(f"Not deterministic: {self.sentence} See .findings.")
        return self


def check_determinism(run: Replay) -> Determinism:
    """Replay `run` twice more and report every clock, random number and set order that its Python code used.

    Parameters
    ----------
    run
        A replay; its recording must still be open.

    Returns
    -------
    Determinism
        ``ok`` if nothing was found. ``findings`` names handler and line; ``unchecked`` what could not be looked into.

    Notes
    -----
    ``state.now``, ``state.random``, ``state.new_id``, ``event.occurred_at`` and generators that a handler seeds itself
    are fine. A set is a finding where its order gets out, also if this window's results happen not to depend on it. Not
    seen: iteration inside installed packages, sets that become text inside other containers, what was read before (at
    import, or kept in a global), ``id()``, object addresses, the order of files in a folder.
    """
    check = _Check(run)
    check.listen()
    check.reorder()
    check.settle()
    return check.result()


class _Check:
    """One check while it runs."""

    def __init__(self, run: Replay) -> None:
        self.run = run
        self.functions = functions_of(run.reconciler)
        self.user = UserCode(list(self.functions.values()))
        self.seen = Seen()
        self.listener = Listener(self.user, self.seen)
        self.orders = Orders(self.user, self.seen)
        self.unchecked: list[Unchecked] = []
        self.differing: tuple[str, ...] = ()
        self.reordered: tuple[str, ...] = ()
        self.parting = (0, "")

    def listen(self) -> None:
        """Replay once more, listening for clocks and draws."""
        self.listener.watched = Watched(self.run.reconciler, self.listener.listen, lambda rows: rows)
        self.differing = self._replayed(self.listener.watched)

    def reorder(self) -> None:
        """Replay with sets in another order."""
        self.orders.watched = Watched(self.run.reconciler, nullcontext, self.orders.drained)
        self.orders.watch_numpy = bool(self.listener.drew_numpy)
        ran, known = self.listener.ran.values(), self.functions.values()
        with exchanged(ran, known, self.orders, self.orders.sites) as unchecked, _deeper():
            differing = self._replayed(self.orders.watched)
        self.unchecked += [*unchecked, *self.orders.handed]
        self.reordered = () if self.differing else differing

    def _replayed(self, watched: Watched) -> tuple[str, ...]:
        """Run the watched reconciler; return what differs from the first replay."""
        before = self.parting
        try:
            second = dataclasses.replace(self.run, reconciler=watched.reconciler).again()
        except ReconcilerError as exc:
            cause = exc.__cause__ or exc
            return (f"it raised {type(cause).__name__}: {excerpt(str(cause))}",)
        names = differing(self.run, second)
        self.parting = parting(self.run, second, names) if names and before == (0, "") else before
        return names

    def settle(self) -> None:
        """Name what was found twice once, and what differs without a known source."""
        counts = self.seen.counts
        numpy = {(key[1], key[2], key[3].line) for key in counts if key[0].startswith("numpy.random")}
        for key in [key for key in counts if key[0].startswith("random.SystemRandom")]:
            if (key[1], key[2], key[3].line) in numpy:  # default_rng() draws its seed there
                del counts[key]
        if not self.orders.numpy_is_seeded:
            for handler, on in sorted(self.listener.drew_numpy - {key[:2] for key in numpy}):
                self._add("numpy.random", handler, on)
        explained = any(source != SET_ORDER for source, *_ in counts)
        unordered = any(source == SET_ORDER for source, *_ in counts)
        if (self.differing and not explained) or (self.reordered and not unordered):
            self._unknown()

    def _unknown(self) -> None:
        if self.reordered and self.reordered[0].startswith("it raised"):
            place = Place("", 0, "")
            self.unchecked.append(Unchecked(place, f"in the replay with sets in another order {self.reordered[0]}"))
            self.reordered = ()
            return
        on = self.parting[1]
        self._add(UNKNOWN, getattr(self.functions.get(on), "__qualname__", ""), on)

    def _add(self, source: str, handler: str, on: str) -> None:
        place = definition(self.functions[on]) if on in self.functions else Place("", 0, "")
        self.seen.counts.setdefault((source, handler, on, place), (1, self.parting[0]))

    def result(self) -> Determinism:
        """Return what was found as a value."""
        ran = self.listener.watched.called
        idle = [(on, f) for on, f in self.functions.items() if on not in ran]
        self.unchecked += [Unchecked(definition(f), f"it never ran: no {on} in this replay") for on, f in idle]
        if self.run.reconciler.caveat:
            place = Place("", 0, self.run.reconciler.name)
            self.unchecked.append(Unchecked(place, "an external program, where nobody listens"))
        number = len({id(function) for function in ran.values()})
        return Determinism(_findings(self.seen), _unchecked(self.unchecked), self.differing, self.reordered, number)


@contextmanager
def _deeper() -> Iterator[None]:
    """Allow for the hooks' frames between the user's, so that what recurses still can."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before * 3)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _findings(seen: Seen) -> pd.DataFrame:
    found = sorted(seen.counts.items(), key=lambda one: (one[1][1], one[0][3].file, one[0][3].line, *one[0][:3]))
    rows = [
        (source, handler, on, place.function, place.file, place.line, _code(place), number, step)
        for (source, handler, on, place), (number, step) in found
    ]
    return _frame(rows, _FINDING)


def _unchecked(found: list[Unchecked]) -> pd.DataFrame:
    rows = [(one.place.function, one.place.file, one.place.line, one.reason) for one in dict.fromkeys(found)]
    return _frame(rows, _UNCHECKED)


def _code(place: Place) -> str:
    return linecache.getline(place.file, place.line).strip()


def _frame(rows: list[tuple[Any, ...]], types: dict[str, str]) -> pd.DataFrame:
    import pandas as pd

    columns = zip(*rows, strict=True) if rows else ([] for _ in types)
    return pd.DataFrame(
        {name: pd.Series(list(values), dtype=kind) for (name, kind), values in zip(types.items(), columns, strict=True)}
    )
