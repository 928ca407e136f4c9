"""Spans: actions of a replay as long as they stand, and what two replays did differently, tick by tick."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from replaykit.results import entity_of
from replaykit.sameness import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replaykit.comparing.axis import Axis
    from replaykit.replayed import Replay

__all__ = ["Difference", "Span", "Spans", "differences", "spans_of"]

Identity = tuple[str, str, str, int]
"""Rule, kind, the values of the rule's key, and the number among equals of one tick."""

Spans = dict[Identity, list["Span"]]


@dataclass(frozen=True)
class Span:
    """One action as long as it stands: emitted with the same fields at every tick from `first` to `last`."""

    rule: str
    kind: str
    entity: str
    fields: Mapping[str, Any]
    text: str
    """Its fields in one form."""
    first: int
    """Place of the first tick; see `Axis`."""
    last: int
    number: int
    """Its number in ``run.actions``, where it began."""


@dataclass(frozen=True)
class Difference:
    """What two replays did differently over some neighbouring ticks, about one entity."""

    difference: str
    """``missing``: only the old one emitted it; ``extra``: only the new one; ``changed``: with other fields;
    ``other rule``: by another rule; ``reordered``: in another order within its tick."""
    first: int
    last: int
    old: Span | None
    new: Span | None

    @property
    def shown(self) -> Span:
        """The span that tells what it is about."""
        return self.new or self.old  # type: ignore[return-value]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that differ, where both emitted it."""
        if self.old is None or self.new is None:
            return ()
        sides = [{name: canonical(_exact(value)) for name, value in one.fields.items()} for one in (self.old, self.new)]
        return tuple(n for n in dict.fromkeys([*sides[0], *sides[1]]) if sides[0].get(n) != sides[1].get(n))


def spans_of(run: Replay, axis: Axis, side: int) -> Spans:
    """Return the spans of a replay by identity, each list in order of ticks."""
    found: dict[Identity, list[Span]] = defaultdict(list)
    for identity, span in _emitted(run, axis, side):
        spans = found[identity]
        if spans and spans[-1].text == span.text and spans[-1].last + 1 >= span.first:
            spans[-1] = replace(spans[-1], last=max(spans[-1].last, span.last))
        else:
            spans.append(span)
    return dict(found)


def _emitted(run: Replay, axis: Axis, side: int) -> Iterator[tuple[Identity, Span]]:
    """Yield what was emitted, in order, with its identity."""
    seen: Counter[Any] = Counter()
    repeats = run.actions["repeats"].tolist()
    for number, (tick, kind, fields, rule) in enumerate(run.emitted, 1):
        key = [fields.get(name) for name in run.reconciler.rules[rule].key]
        same = (rule, kind, canonical(key))
        identity = (*same, seen[tick, same])
        seen[tick, same] += 1
        entity = entity_of(part for part in key if part not in (None, ""))
        first = axis.place(side, tick)
        last = axis.last(side, tick, repeats[number - 1])
        yield identity, Span(rule, kind, entity, fields, canonical(_exact(fields)), first, last, number)


def differences(old: Replay, new: Replay, axis: Axis, sides: tuple[Spans, Spans] | None = None) -> list[Difference]:
    """Return what differs between the actions of two replays, in order of ticks and of the actions in them.

    `sides` are their spans, if somebody has them already.
    """
    sides = sides or (spans_of(old, axis, 0), spans_of(new, axis, 1))
    found = [
        one
        for identity in dict.fromkeys([*sides[0], *sides[1]])
        for one in _of_identity(sides[0].get(identity, []), sides[1].get(identity, []))
    ]
    found = [*_other_rules(found), *_reordered(old, new, axis)]
    return sorted(found, key=lambda one: (one.first, one.shown.number, one.last, one.difference))


def _of_identity(old: Sequence[Span], new: Sequence[Span]) -> Iterator[Difference]:
    """Yield where two lists of spans of one identity differ."""
    if [(a.first, a.last, a.text) for a in old] == [(b.first, b.last, b.text) for b in new]:
        return
    edges = sorted({edge for span in (*old, *new) for edge in (span.first, span.last + 1)})
    pending: Difference | None = None
    for low, high in pairwise(edges):
        mine, theirs = _at(old, low), _at(new, low)
        if mine is not None and theirs is not None and mine.text == theirs.text:
            continue
        if mine is None and theirs is None:
            continue
        if pending is not None and pending.last + 1 == low and (pending.old, pending.new) == (mine, theirs):
            pending = Difference(pending.difference, pending.first, high - 1, mine, theirs)
            continue
        if pending is not None:
            yield pending
        kind = "extra" if mine is None else "missing" if theirs is None else "changed"
        pending = Difference(kind, low, high - 1, mine, theirs)
    if pending is not None:
        yield pending


def _at(spans: Sequence[Span], place: int) -> Span | None:
    """Return the span that holds a place; they are in order and don't overlap."""
    number = bisect_right(spans, place, key=lambda one: one.first) - 1
    return spans[number] if number >= 0 and place <= spans[number].last else None


def _other_rules(found: list[Difference]) -> list[Difference]:
    """Return the differences, with an action that another rule emitted instead as one, not as two."""
    waiting: dict[Any, list[int]] = defaultdict(list)
    for number, one in enumerate(found):
        if one.difference == "missing":
            waiting[one.first, one.last, one.shown.kind, one.shown.text].append(number)
    taken: set[int] = set()
    joined = list(found)
    for number, one in enumerate(found):
        twins = waiting.get((one.first, one.last, one.shown.kind, one.shown.text))
        if one.difference == "extra" and twins:
            taken.add(twin := twins.pop(0))
            joined[number] = Difference("other rule", one.first, one.last, found[twin].old, one.new)
            if found[twin].shown.rule == one.shown.rule:  # its key is another, which is no difference of what it does
                taken.add(number)
    return [one for number, one in enumerate(joined) if number not in taken]


def _reordered(old: Replay, new: Replay, axis: Axis) -> Iterator[Difference]:
    """Yield one difference for each tick at which both began to emit the same in another order."""
    sides = [_by_place(run, axis, side) for side, run in enumerate((old, new))]
    for place, mine in sides[0].items():
        theirs = sides[1].get(place, [])
        texts = [[(one.rule, one.kind, one.text) for one in spans] for spans in (mine, theirs)]
        if texts[0] != texts[1] and sorted(texts[0]) == sorted(texts[1]):
            where = next(n for n, pair in enumerate(zip(*texts, strict=True)) if pair[0] != pair[1])
            yield Difference("reordered", place, place, mine[where], theirs[where])


def _by_place(run: Replay, axis: Axis, side: int) -> dict[int, list[Span]]:
    """Return what began to be emitted at each place, in order."""
    found: dict[int, list[Span]] = defaultdict(list)
    for _, span in _emitted(run, axis, side):
        found[span.first].append(span)
    return found


def _exact(value: Any) -> Any:
    """Return a value in which a Decimal is text of all its digits; as JSON it would be a fraction."""
    if isinstance(value, Mapping):
        return {name: _exact(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(inner) for inner in value]
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else str(value.normalize())
    return value
