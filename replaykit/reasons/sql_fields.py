"""What is asked of the output of a SELECT: which rows can give it, and what they give instead."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from replaykit.display import count
from replaykit.reasons.sql_answers import Answer
from replaykit.reasons.sql_bench import CannotSplitError, same
from replaykit.reasons.sql_cells import shown
from replaykit.reasons.sql_matches import group_of, grouped_by
from replaykit.reasons.sql_reading import outer_columns, written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replaykit.reasons.sql_selects import Combo, Select

__all__ = ["Fields", "is_column"]

_MOST = 200
_ASKED = 20_000  # combinations of rows
_WHOLE = frozenset(["TINYINT", "SMALLINT", "INTEGER", "INT", "BIGINT"])


def is_column(node: Any) -> bool:
    """Return whether an expression is a column as it is."""
    from sqlglot import exp

    return isinstance(node, exp.Column)


class Fields:
    """What is asked of the output of one SELECT, by where the output comes from."""

    def __init__(self, select: Select, wanted: Mapping[int, Any]) -> None:
        self._select = select
        self._wanted = wanted

    def _sources(self, place: int) -> set[str]:
        return {column.table for column in outer_columns(self._select.output(place))} & set(self._select.sources)

    def _plain(self, place: int) -> bool:
        from sqlglot import exp

        return self._select.output(place).find(exp.AggFunc, exp.Window, exp.Query) is None

    def _is_alone(self, place: int, value: Any) -> bool:
        """Return whether an output is of one source, and what is asked for can only come from a row of it."""
        sources = self._sources(place)
        there = value is not None or not sources & self._select.optional
        return self._plain(place) and len(sources) == 1 and there

    def wrong_constant(self) -> Answer | None:
        """Return that an output that is always the same is not what was asked for."""
        for place, value in self._wanted.items():
            output = self._select.output(place)
            if self._sources(place) or not self._plain(place):
                continue
            given = self._select.bench.ask(f"SELECT {written(output)} AS c0")[0][0]
            if not same(given, value):
                name = self._select.names[place]
                return Answer("other fields", f"it gives {name} = {shown(given)}, not {shown(value)}", misses=1 << 20)
        return None

    def anchors(self) -> dict[str, dict[int, Any]]:
        """Return what is asked of each source alone: of plain columns, of other expressions only if there are none."""
        alone = {place: value for place, value in self._wanted.items() if self._is_alone(place, value)}
        chosen = {p: v for p, v in alone.items() if is_column(self._select.output(p))} or alone
        found: dict[str, dict[int, Any]] = {}
        for place, value in chosen.items():
            found.setdefault(next(iter(self._sources(place))), {})[place] = value
        return {alias: found[alias] for alias in self._select.sources if alias in found}

    def nothing(self, what: str) -> Answer:
        """Return that nothing gives the values asked for."""
        told = [f"{self._select.names[place]} = {shown(value)}" for place, value in self._wanted.items()]
        return Answer("no row", f"{what} gives {' and '.join(told)}", where="FROM")

    def combinations(self) -> list[Combo]:
        """Return the combinations of rows, whatever the conditions say, that give what is asked, in order, at most 200.

        Raises
        ------
        CannotSplitError
            There are too many combinations, or what is asked for takes more than one of them to tell.
        """
        if not all(self._sources(place) for place in self._wanted):
            return [{}]  # constants, which are right
        outputs = [self._select.output(place) for place in self._wanted]
        if not all(map(self._plain, self._wanted)):
            raise CannotSplitError("the fields asked for are worked out over all rows")
        places = [source.place for source in self._select.sources.values()]
        rows = self._select.ask([*places, *map(written, outputs)], end=f" ORDER BY {', '.join(places)} LIMIT {_ASKED}")
        fitting = [row for row in rows if all(map(same, row[len(places) :], self._wanted.values()))]
        if not fitting and len(rows) == _ASKED:
            raise CannotSplitError(f"the fields asked for are looked for in {_ASKED:,} combinations of rows at most")
        return [dict(zip(self._select.sources, row, strict=False)) for row in fitting[:_MOST]]

    def group(self) -> Combo | None:
        """Return a combination of the first group, whatever HAVING says, that gives what is asked."""
        select, groups = self._select, [written(one) for one in grouped_by(self._select)]
        outputs = [written(select.output(place)) for place in self._wanted]
        where = [written(one.node) for one in select.conjuncts]
        rows = select.ask([*outputs, *groups], where=where, end=f" GROUP BY {', '.join(groups)}")
        fitting = (row[len(outputs) :] for row in rows if all(map(same, row, self._wanted.values())))
        found = next(fitting, None)
        return group_of(select, found).combos[0] if found is not None else None

    def rows_of(self, alias: str, expected: Mapping[int, Any]) -> list[int]:
        """Return the rows of a source that give what is asked, in order, at most 200."""
        outputs = [written(self._select.output(place)) for place in expected]
        place = self._select.sources[alias].place
        rows = self._select.ask(
            [place, *outputs], where=self._plainly(alias, expected), strict=frozenset([alias]), among=[alias],
            end=f" ORDER BY {place}",
        )  # fmt: skip
        fitting = (row[0] for row in rows if all(map(same, row[1:], expected.values())))
        return list(islice(fitting, _MOST))

    def _plainly(self, alias: str, expected: Mapping[int, Any]) -> list[str]:
        """Return conditions for those columns that can be compared with what is asked for as they are."""
        bench_, table = self._select.bench, self._select.sources[alias].table
        found = []
        for place, value in expected.items():
            output = self._select.output(place)
            if table is None or not is_column(output):
                continue
            stored = bench_.storage(table, output.name).upper()
            if (stored == "VARCHAR" and type(value) is str) or (stored in _WHOLE and type(value) is int):
                found.append(f"{written(output)} = {bench_.bind(value)}")
        return found

    def others(self, combo: Combo, strict: frozenset[str]) -> Answer | None:
        """Return that the combination that is let through gives other values than asked for."""
        from sqlglot import exp

        places = [place for place in self._wanted if self._select.output(place).find(exp.Window) is None]
        if not places:
            return None
        outputs = [written(self._select.output(place)) for place in places]
        row = self._select.one(outputs, combo, strict)
        return self._differing(dict(zip(places, row, strict=True)))

    def of_group(self, combo: Combo) -> Answer | None:
        """Return that the group of a combination gives other values than asked for."""
        select, groups = self._select, [written(one) for one in grouped_by(self._select)]
        values = select.one(groups, combo) if groups else ()
        outputs = [written(select.output(place)) for place in self._wanted]
        by = f" GROUP BY {', '.join(groups)}" if groups else ""
        rows = select.ask([*outputs, *groups], where=[written(one.node) for one in select.conjuncts], end=by)
        row = next((row for row in rows if repr(row[len(outputs) :]) == repr(values)), ())
        return self._differing(dict(zip(self._wanted, row, strict=False)))

    def _differing(self, given: Mapping[int, Any]) -> Answer | None:
        other = [place for place, value in given.items() if not same(value, self._wanted[place])]
        if not other:
            return None
        told = [f"{self._select.names[p]} = {shown(given[p])}, not {shown(self._wanted[p])}" for p in other]
        return Answer("other fields", f"it gives {count(len(other), 'other value')}: {'; '.join(told)}")
