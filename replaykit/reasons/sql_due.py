"""When time alone turns a failing condition: by how much it is missed, the instant, and the first tick behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.reasons.sql_bench import CannotSplitError
from replaykit.reasons.sql_reading import written
from replaykit.reasons.values import Threshold
from replaykit.sql_trees import terms_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from replaykit.reasons.scene import Scene
    from replaykit.reasons.sql_selects import Combo, Select

__all__ = ["Compared", "compared", "comparison_in", "reads_clock", "ticks_behind", "turning", "turning_group"]

_MOST = 100_000  # ticks looked at
_SOON = timedelta(microseconds=2)
_TICK = '"replaykit_ticks"."t"'
_TICKS = '(SELECT unnest($replaykit_times) AS "t") AS "replaykit_ticks"'


@dataclass(frozen=True)
class Compared:
    """The two sides of a comparison with the clock."""

    actual: Any
    needed: Any
    turns_at: datetime | None
    """When they are equal, if that can be solved."""


def reads_clock(node: Any) -> bool:
    """Return whether ``$now`` stands in a node."""
    return bool(_clocks(node))


def _clocks(node: Any) -> list[Any]:
    from sqlglot import exp

    return [one for one in node.find_all(exp.Placeholder, exp.Parameter) if one.name.lower() == "now"]


def ticks_behind(scene: Scene) -> Iterator[tuple[int, datetime]]:
    """Yield number and clock of the ticks of the replay after the scene's, in order, at most 100,000."""
    metrics, interval = scene.run.metrics, scene.run.settings["ticks"].interval
    if interval is None:
        behind = metrics[metrics["tick"] > scene.tick].head(_MOST)
        yield from zip(map(int, behind["tick"]), (at.to_pydatetime() for at in behind["at"]), strict=True)
        return
    last = int((metrics["tick"] + metrics["repeats"]).max())
    for tick in range(scene.tick + 1, min(last, scene.tick + _MOST) + 1):
        yield tick, scene.at + (tick - scene.tick) * interval


def turning(
    select: Select, combo: Combo, node: Any, strict: frozenset[str], sides: Compared | None = None
) -> Threshold | None:
    """Return when time alone will turn a condition that fails for a combination of rows; None if it won't.

    Parameters
    ----------
    sides
        What the sentence compares; by default the comparison with the clock in the condition itself.
    """
    if not reads_clock(node) or any(map(_is_clocked, select.sources.values())):
        return None
    own = comparison_in(node)
    try:
        sides = sides or (compared(select, combo, own, strict) if own is not None else None)
        if sides is None:
            return None
        alone = own is not None and own is _bare(node)
        turns = sides.turns_at
        first = turns - _SOON if alone and turns is not None else datetime.min  # noqa: DTZ901
        times = {at: tick for tick, at in ticks_behind(select.bench.scene) if at >= first}
        due = _first(select, combo, node, strict, list(times)) if times else None
        if due is None and (turns is None or not _first(select, combo, node, strict, [turns + _SOON])):
            return None
    except CannotSplitError:
        return None
    if due is None:
        return Threshold(sides.actual, sides.needed, turns, None, None) if turns is not None else None
    timely = turns is not None and select.bench.scene.at - _SOON <= turns <= due
    return Threshold(sides.actual, sides.needed, turns if timely and turns is not None else due, times[due], due)


def _is_clocked(source: Any) -> bool:
    """Return whether what a source holds depends on the clock."""
    parts = [*(source.optional or ()), *([source.node] if source.table is None else [])]
    return any(map(reads_clock, parts))


def _bare(node: Any) -> Any:
    from sqlglot import exp

    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _first(select: Select, combo: Combo, node: Any, strict: frozenset[str], times: list[datetime]) -> datetime | None:
    """Return the first of some times at which a condition holds."""
    rows = select.ask(
        [_TICK], [combo], where=[_at_ticks(node)], strict=strict, among=list(combo), beside=_TICKS,
        end=" ORDER BY 1 LIMIT 1", replaykit_times=times,
    )  # fmt: skip
    return rows[0][0] if rows else None


def _at_ticks(node: Any) -> str:
    """Return a condition on the clocks of several ticks at once."""
    from sqlglot import exp, parse_one

    holder = exp.paren(node.copy())
    for clock in _clocks(holder):
        clock.replace(parse_one(_TICK, dialect="duckdb"))
    return written(holder)


def turning_group(select: Select, combos: Sequence[Combo], node: Any) -> Threshold | None:
    """Return when time alone will turn a condition of HAVING that fails for the group of these rows."""
    own = comparison_in(node)
    clocked = any(reads_clock(one.node) for one in select.conjuncts) or any(map(_is_clocked, select.sources.values()))
    if own is None or clocked or not combos:
        return None
    times = {at: tick for tick, at in ticks_behind(select.bench.scene)}
    end = f" GROUP BY {_TICK} HAVING {_at_ticks(node)} ORDER BY 1 LIMIT 1"
    try:
        rows = select.ask([_TICK], combos, beside=_TICKS, end=end, replaykit_times=list(times)) if times else []
        left, right = select.ask(list(map(written, _sides(own))), combos)[0]
    except CannotSplitError:
        return None
    if not rows or left is None or right is None:
        return None
    actual, needed = (left, right) if reads_clock(own.this) else (right, left)
    return Threshold(actual, needed, rows[0][0], times[rows[0][0]], rows[0][0])


def comparison_in(node: Any) -> Any:
    """Return the first comparison with the clock in a condition, outside its subqueries; None if there is none."""
    from sqlglot import exp

    found = node.find_all(exp.LT, exp.LTE, exp.GT, exp.GTE, exp.EQ, exp.Between)
    own = (one for one in found if one.find_ancestor(exp.Query) is node.find_ancestor(exp.Query))
    return next((one for one in own if reads_clock(one)), None)


def compared(select: Select, combo: Combo, node: Any, strict: frozenset[str]) -> Compared | None:
    """Return the two sides of a comparison with the clock for a combination of rows.

    Sums are put so that spans stand on one side: ``updated_at < $now - $patience`` compares ``$now - updated_at`` with
    ``$patience``.
    """
    from sqlglot import exp

    left_side, right_side = _sides(node)
    terms = [*terms_of(left_side, 1), *terms_of(right_side, -1)]
    clocks = [
        (sign, term) for sign, term in terms if _clocks(term) and isinstance(term, (exp.Placeholder, exp.Parameter))
    ]
    others = [(sign, term) for sign, term in terms if not reads_clock(term)]
    ask = [written(term) for _, term in others]
    if len(clocks) == 1 and len(others) == len(terms) - 1:
        values = select.one(ask, combo, strict) if ask else ()
        solved = _solved(clocks[0][0], [(sign, v) for (sign, _), v in zip(others, values, strict=True)], select)
        if solved is not None:
            return solved
    left, right = select.one([written(left_side), written(right_side)], combo, strict)
    if left is None or right is None:
        return None
    return Compared(left, right, None) if reads_clock(left_side) else Compared(right, left, None)


def _sides(node: Any) -> tuple[Any, Any]:
    """Return what a comparison compares; of BETWEEN the lower bound."""
    from sqlglot import exp

    return node.this, node.args["low"] if isinstance(node, exp.Between) else node.expression


def _solved(sign: int, others: list[tuple[int, Any]], select: Select) -> Compared | None:
    """Return the comparison of ``sign * now + others`` with nothing, spans on one side."""
    now = select.bench.scene.at
    instants = [(sign * one, value) for one, value in others if isinstance(value, datetime)]
    spans = [(sign * one, value) for one, value in others if isinstance(value, timedelta)]
    if len(instants) != 1 or len(instants) + len(spans) != len(others) or instants[0][0] != -1:
        return None
    instant = instants[0][1]
    needed = -sum((one * value for one, value in spans), timedelta())
    try:
        turns = instant + needed
    except OverflowError:
        return None
    if not spans:
        return Compared(now, instant, turns)
    if needed < timedelta():  # counted from the other side: how long until then
        return Compared(instant - now, -needed, turns)
    return Compared(now - instant, needed, turns)
