"""Standing: what the rows of a rule's answer, each with the ticks it stands at, make of every span of ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.outcomes import Emission, Episode
from replaykit.rows import Row
from replaykit.yielded import as_action, as_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replaykit.declarations import Invariant, Rule
    from replaykit.temporal.ticks_table import Ticks

__all__ = ["Said", "emissions_of", "episodes_of"]

Said = tuple[int, int, Row]
"""A row of an answer and the ticks ``[t0, t1)`` at which it is said; rows come in the order inside a tick."""


def emissions_of(rule: Rule, order: tuple[int, int], said: Sequence[Said], ticks: Ticks) -> list[Emission]:
    """Return what a rule emitted.

    Ticks without an event between at which it said the same are one emission with repeats.

    Parameters
    ----------
    order
        Its group of rules, and its number.
    """
    actions = [as_action(rule, row) for _, _, row in said]
    looks = [repr(action) for action in actions]
    found: list[Emission] = []
    last: tuple[int, int, list[str], list[Emission]] = (-1, -1, [], [])
    for start, end, rows in _constant(said):
        here = [looks[n] for n in rows]
        for span in _spans(start, end, ticks):
            first, until = max(start, int(ticks.first[span])), min(end, int(ticks.last[span]) + 1)
            if last[:2] == (span, first) and last[2] == here and _same(last[3], [actions[n] for n in rows]):
                for one in last[3]:
                    one.repeats += until - first
                last = (span, until, here, last[3])
                continue
            at, step = ticks.at(first), int(ticks.steps[span])
            made = [
                Emission(first, at, step, rule, (order[0], 0, order[1], place), actions[n], until - first - 1)
                for place, n in enumerate(rows)
            ]
            found += made
            last = (span, until, here, made)
    return found


def _same(before: list[Emission], actions: list[Any]) -> bool:
    return [one.action for one in before] == actions


def _spans(start: int, end: int, ticks: Ticks) -> range:
    return range(ticks.span_of(start), ticks.span_of(end - 1) + 1)


def _constant(said: Sequence[Said]) -> Iterator[tuple[int, int, list[int]]]:
    """Yield spans of ticks over which the same rows are said, with their places, in order."""
    begins: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for place, (start, end, _) in enumerate(said):
        begins.setdefault(start, []).append(place)
        ends.setdefault(end, []).append(place)
    marks = sorted({*begins, *ends})
    here: set[int] = set()
    for mark, following in zip(marks, [*marks[1:], None], strict=False):
        here.difference_update(ends.get(mark, ()))
        here.update(begins.get(mark, ()))
        if here and following is not None:
            yield mark, following, sorted(here)


def episodes_of(invariant: Invariant, said: Sequence[Said], ticks: Ticks) -> list[tuple[int, int, Episode]]:
    """Return the episodes of an invariant, each with the tick and the place inside it at which it opened, in order."""
    seen: dict[tuple[Any, ...], list[tuple[int, int, int]]] = {}
    details = [as_row(invariant, row) for _, _, row in said]
    for place, (start, end, _) in enumerate(said):
        identity = tuple(details[place][name] for name in invariant.key)
        seen.setdefault(identity, []).append((start, place, end))
    found = []
    for key, spans in seen.items():
        spans.sort()
        opened, first, until = spans[0]
        for start, place, end in [*spans[1:], (ticks.count + 1, 0, 0)]:
            if start <= until:
                until = max(until, end)
                continue
            found.append((opened, first, _episode(invariant, key, opened, until, details[first], ticks)))
            opened, first, until = start, place, end
    found.sort(key=lambda one: one[:2])
    return found


def _episode(invariant: Invariant, key: tuple[Any, ...], start: int, end: int, detail: Any, ticks: Ticks) -> Episode:
    step = int(ticks.steps[ticks.span_of(start)])
    closed = (end, ticks.at(end)) if end < ticks.count else None
    return Episode(
        invariant, key, (start, ticks.at(start), step), (end - 1, ticks.at(end - 1)), detail, end - start, closed
    )
