"""The rows that come nearest to what a SELECT asks for, and each of its conditions on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from replaykit.display import count
from replaykit.reasons.conditions import Condition
from replaykit.reasons.sql_bench import CannotSplitError
from replaykit.reasons.sql_cells import cells_in, once, shown
from replaykit.reasons.sql_due import Compared, compared, comparison_in, turning
from replaykit.reasons.sql_matches import let_through, origin_of
from replaykit.reasons.sql_needs import needs_of
from replaykit.reasons.sql_partners import partners
from replaykit.reasons.sql_reading import outer_columns, text_of, written
from replaykit.reasons.sql_subqueries import Existence, bound, existence_in
from replaykit.reasons.values import row_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replaykit.reasons.sql_selects import Combo, Conjunct, Select
    from replaykit.reasons.values import Cell

__all__ = ["Nearest", "nearest"]

_FOUND = 5
_DEPTH = 3


@dataclass(frozen=True)
class Nearest:
    """A combination of rows, and what each condition says of it."""

    combo: Combo
    lacking: tuple[str, ...]
    """Sources that gave no row to combine."""
    conditions: tuple[Condition, ...]
    """In the order of the text; those that lack a row, and those on a row that only stands in, are left out."""

    @property
    def failed(self) -> list[Condition]:
        """Those that did not hold."""
        return [one for one in self.conditions if one.held is not True]


def nearest(select: Select, pins: Sequence[Combo], strict: frozenset[str], depth: int = 0) -> Nearest:
    """Return the combination around some rows that misses the fewest conditions."""
    conjuncts = select.asked_of(strict)
    combos = partners(select, pins, conjuncts, strict)
    combo = combos[0] if combos else {}
    anchors = frozenset(pins[0]) if pins else frozenset(list(combo)[:1])
    judge = _Judge(select, combo, strict, anchors, depth)
    known = [one for one in conjuncts if one.aliases <= set(combo)]
    lacking = tuple(alias for alias in select.sources if alias not in combo)
    return Nearest(combo, lacking, tuple(judge.conditions(known)))


class _Judge:
    """Asks conditions of one combination of rows."""

    def __init__(
        self, select: Select, combo: Combo, strict: frozenset[str], anchors: frozenset[str], depth: int
    ) -> None:
        self._select = select
        self._combo = combo
        self._strict = strict
        self._anchors = anchors
        self._depth = depth

    def conditions(self, conjuncts: Sequence[Conjunct]) -> list[Condition]:
        """Return what each condition says."""
        standing_in: set[str] = set()  # sources none of whose rows meets what joins them
        found: list[tuple[frozenset[str], Condition]] = []
        for one, held in zip(conjuncts, self._outcomes(conjuncts), strict=True):
            joined = [alias for alias in one.aliases if alias not in self._anchors and one.joins]
            if held is not True and joined and not self._met(one):
                standing_in.update(joined)
                found.append((frozenset(), self._without_partner(one, held, joined)))
            else:
                found.append((one.aliases, self._condition(one, held)))
        return [condition for aliases, condition in found if not aliases & standing_in]

    def _outcomes(self, conjuncts: Sequence[Conjunct]) -> list[bool | None]:
        asked = [written(one.node) for one in conjuncts]
        if not asked:
            return []
        try:
            return list(self._ask(asked))
        except CannotSplitError:
            return [self._outcome(one) for one in asked]

    def _outcome(self, text: str) -> bool | None:
        try:
            held: bool | None = self._ask([text])[0]
        except CannotSplitError:
            return None
        return held

    def _ask(self, wanted: list[str]) -> tuple[Any, ...]:
        return self._select.one(wanted, self._combo, self._strict)

    def _met(self, conjunct: Conjunct) -> bool:
        """Return whether any row meets what joins it to the rows looked for."""
        pins = {alias: place for alias, place in self._combo.items() if alias in self._anchors}
        among = [alias for alias in self._combo if alias in self._anchors or alias in conjunct.aliases]
        among += [alias for alias in self._combo if alias not in among and self._needed(alias, among)]
        where = [written(conjunct.node)]
        try:
            return bool(self._select.ask(["1"], [pins], where=where, strict=self._strict, among=among, end=" LIMIT 1"))
        except CannotSplitError:
            return True

    def _needed(self, alias: str, among: list[str]) -> bool:
        return any(self._select.sources[one].optional for one in among) and alias not in among

    def _without_partner(self, conjunct: Conjunct, held: bool | None, joined: list[str]) -> Condition:
        tables = [self._table(alias) for alias in joined]
        there = [alias for alias in self._combo if alias not in joined]
        cells = [cell for alias in there for cell in self._cells(conjunct.node, conjunct.text, alias)]
        said = f"no row of {' and '.join(tables)} meets it"
        values = [*([_values(cells)] if cells else []), *self._of_others(conjunct.node, joined)]
        told = f"{said}: {', '.join(values)}" if values else said
        return Condition(conjunct.text, conjunct.clause, held, told, tuple(cells))

    def _table(self, alias: str) -> str:
        source = self._select.sources[alias]
        return self._select.bench.tables[source.table].name if source.table is not None else alias

    def _cells(self, node: Any, text: str, alias: str | None = None) -> list[Cell]:
        return cells_in(self._select, self._combo, node, text, alias)

    def _condition(self, conjunct: Conjunct, held: bool | None) -> Condition:
        node, text = conjunct.node, conjunct.text
        cells = self._cells(node, text)
        plain = Condition(text, conjunct.clause, held, self._said(node, cells), tuple(cells))
        if held is True:
            return plain
        existence = existence_in(node)
        if existence is not None and self._depth < _DEPTH:
            try:
                return self._of_existence(plain, conjunct, existence)
            except CannotSplitError as exc:
                return replace(plain, clause=existence.clause, said=f"{plain.said}; its subquery can't be split: {exc}")
        return replace(
            plain,
            threshold=turning(self._select, self._combo, node, self._strict),
            needs=needs_of(self._select, self._combo, node, self._strict),
        )

    def _said(self, node: Any, cells: Sequence[Cell]) -> str:
        """Return the actual values of a condition, in words: cells, missing rows, parameters, subqueries."""
        from sqlglot import exp

        told = [_values(cells)] if cells else []
        told += self._of_others(node)
        names = dict.fromkeys(one.name for one in node.find_all(exp.Placeholder, exp.Parameter))
        told += [
            f"${name} is {shown(self._select.bench.value_of(name))}"
            for name in names if name != "now" and not name.startswith("replaykit_")
        ]  # fmt: skip
        return ", ".join(told + self._of_queries(node))

    def _of_others(self, node: Any, without: Sequence[str] = ()) -> list[str]:
        """Return what is read of rows that are missing or that no state table holds."""
        told: dict[str, None] = {}
        for column in outer_columns(node):
            source = self._select.sources.get(column.table)
            if source is None or column.table not in self._combo or column.table in without:
                continue
            if self._combo[column.table] is None:
                told[f"no row of {self._table(column.table)} is joined"] = None
            elif source.table is None:
                told[f"{text_of(column)} is {shown(self._ask([written(column)])[0])}"] = None
        return list(told)

    def _of_queries(self, node: Any) -> list[str]:
        from sqlglot import exp

        several = (exp.In, exp.Exists, exp.Any, exp.All)
        own = node.find_ancestor(exp.Query)
        queries = [one for one in node.find_all(exp.Subquery) if not isinstance(one.parent, several)]
        found = [one for one in queries if one.find_ancestor(exp.Query) is own]
        told = []
        for one in found:
            try:
                told.append(f"{text_of(one)} is {shown(self._ask([written(one)])[0])}")
            except CannotSplitError:
                continue
        return told

    # Subqueries

    def _of_existence(self, plain: Condition, conjunct: Conjunct, existence: Existence) -> Condition:
        inner = bound(self._select, self._combo, existence)
        if existence.negated:
            return self._blocked(plain, conjunct, existence, inner)
        if inner.grouped:
            return replace(plain, clause=existence.clause, said=_both("it finds no group", plain.said))
        found = nearest(inner, [], frozenset(), self._depth + 1)
        failed = found.failed
        if found.lacking:
            tables = [inner.bench.tables[s.table].name if (s := inner.sources[a]).table else a for a in found.lacking]
            said, more = f"{' and '.join(tables)} holds no row", []
        else:
            said = f"no row is found; the nearest misses {'; '.join(f'{one.text} ({one.said})' for one in failed)}"
            more = [cell for one in failed for cell in one.cells]
        cells = tuple(once([*plain.cells, *more]))
        threshold = turning(self._select, self._combo, conjunct.node, self._strict, _sides(failed))
        return replace(plain, clause=existence.clause, said=_both(said, plain.said), cells=cells, threshold=threshold)

    def _blocked(self, plain: Condition, conjunct: Conjunct, existence: Existence, inner: Select) -> Condition:
        if inner.grouped:
            origin = origin_of(inner, {})
            combos, size = (list(origin.combos[:_FOUND]), origin.size) if origin is not None else ([], 0)
        else:
            every = let_through(inner, {})
            combos, size = every[:_FOUND], len(every)
        blockers = once(
            cell for combo in combos for one in inner.conjuncts for cell in cells_in(inner, combo, one.node, one.text)
        )
        names = list(dict.fromkeys(row_name(cell.table, cell.key) for cell in blockers))
        said = f"it finds {', '.join(names)}" if names else f"it finds {count(size, 'row')}"
        said += f" and {size - len(combos):,} more" if names and size > len(combos) else ""
        said += f" ({_values(blockers)})" if blockers else ""
        sides = _latest(inner, combos)
        threshold = turning(self._select, self._combo, conjunct.node, self._strict, sides)
        return replace(
            plain, clause=existence.clause, said=_both(said, plain.said), blockers=tuple(blockers), threshold=threshold
        )


def _values(cells: Sequence[Cell]) -> str:
    most = 6
    told = ", ".join(f"{cell.name} is {shown(cell.value)}" for cell in cells[:most])
    return told + (f", and {len(cells) - most} more cells" if len(cells) > most else "")


def _both(first: str, second: str) -> str:
    return f"{first}; {second}" if second else first


def _sides(failed: Sequence[Condition]) -> Compared | None:
    thresholds = [one.threshold for one in failed if one.threshold is not None]
    return Compared(thresholds[0].actual, thresholds[0].needed, thresholds[0].turns_at) if thresholds else None


def _latest(inner: Select, combos: Sequence[Combo]) -> Compared | None:
    """Return the comparison with the clock that holds a row in a subquery longest."""
    found = []
    for one in inner.conjuncts:
        node = comparison_in(one.node)
        found += [compared(inner, combo, node, frozenset()) for combo in combos if node is not None]
    solved = [one for one in found if one is not None]
    known = [one for one in solved if one.turns_at is not None]
    return max(known, key=lambda one: str(one.turns_at)) if known else (solved[0] if solved else None)
