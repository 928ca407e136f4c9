"""Partners: the rows of other sources that fit some rows best, source by source, as far as conditions tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.reasons.sql_bench import CannotSplitError
from replaykit.reasons.sql_reading import written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replaykit.reasons.sql_selects import Combo, Conjunct, Select

__all__ = ["partners"]

_KEPT = 8  # partial joins that are followed up


def partners(
    select: Select, pins: Sequence[Combo], conjuncts: Sequence[Conjunct], strict: frozenset[str]
) -> list[Combo]:
    """Return the combinations around some rows that miss the fewest conditions, those that join counting most.

    A source without any row ends it: then the combinations lack it and those behind it.
    """
    bound = list(pins[0]) if pins else []
    combos = list(pins)
    if len(bound) == len(select.sources) > 0:
        return _closest(select, bound, combos, conjuncts, strict)
    for alias in [one for one in select.sources if one not in bound]:
        bound.append(alias)
        known = [one for one in conjuncts if one.aliases <= set(bound)]
        found = _closest(select, bound, combos, known, strict)
        if not found:
            return combos
        combos = found
    return combos


def _closest(
    select: Select, bound: list[str], combos: Sequence[Combo], known: Sequence[Conjunct], strict: frozenset[str]
) -> list[Combo]:
    order = ", ".join(select.sources[alias].place for alias in bound)
    places = [select.sources[alias].place for alias in bound]
    for asked in (known, [one for one in known if not _has_query(one.node)], []):
        misses = " + ".join(_miss(one) for one in asked)
        try:
            rows = select.ask(
                places,
                combos,
                strict=strict,
                among=bound,
                end=f" ORDER BY {f'{misses}, ' if misses else ''}{order} LIMIT {_KEPT}",
            )
        except CannotSplitError:
            if not asked:
                raise
        else:
            return [dict(zip(bound, row, strict=True)) for row in rows]
    return []


def _miss(conjunct: Conjunct) -> str:
    return f"CASE WHEN {written(conjunct.node)} THEN 0 ELSE {1000 if conjunct.joins else 1} END"


def _has_query(node: Any) -> bool:
    from sqlglot import exp

    return node.find(exp.Query) is not None
