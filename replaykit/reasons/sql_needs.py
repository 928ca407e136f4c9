"""Which values would let a failing condition hold: proposed from its text, and kept only if it then does."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.reasons.sql_bench import CannotSplitError
from replaykit.reasons.sql_reading import outer_columns, written
from replaykit.reasons.values import Need

if TYPE_CHECKING:
    from replaykit.reasons.sql_selects import Combo, Select

__all__ = ["needs_of"]


def needs_of(select: Select, combo: Combo, node: Any, strict: frozenset[str]) -> tuple[Need, ...]:
    """Return the values that would let a condition hold, all of them together; none if they can't be told."""
    asked = _Asked(select, combo, strict)
    try:
        proposed = asked.proposed(node, wanted=True)
        if not proposed or not asked.holds(node, proposed):
            return ()
    except CannotSplitError:
        return ()
    return tuple(_need(select, place, value) for place, value in proposed.items())


def _need(select: Select, place: tuple[str, int, str], value: Any) -> Need:
    table, row, column = place
    bench = select.bench
    return Need(bench.tables[table].name, bench.key(table, row), bench.types[table][column][0], value)


class _Asked:
    """One combination of rows, and what might be put into its cells."""

    def __init__(self, select: Select, combo: Combo, strict: frozenset[str]) -> None:
        self._select = select
        self._combo = combo
        self._strict = strict

    def proposed(self, node: Any, *, wanted: bool) -> dict[tuple[str, int, str], Any]:
        """Return cells and values that may give a condition this outcome; none if that can't be told."""
        from sqlglot import exp

        if isinstance(node, exp.Paren):
            return self.proposed(node.this, wanted=wanted)
        if isinstance(node, exp.Not):
            return self.proposed(node.this, wanted=not wanted)
        if isinstance(node, (exp.And, exp.Or)):
            return self._of_parts(node, wanted=wanted)
        if isinstance(node, exp.Column):
            return self._put(node, wanted)
        if isinstance(node, exp.Is):
            return self._put(node.this, None) if wanted and isinstance(node.expression, exp.Null) else {}
        if isinstance(node, exp.In):
            return self._equal(node.this, node.expressions[0]) if wanted and node.expressions else {}
        if isinstance(node, exp.Between):
            return self._between(node) if wanted else {}
        return self._compared(node, wanted=wanted)

    def _of_parts(self, node: Any, *, wanted: bool) -> dict[tuple[str, int, str], Any]:
        from sqlglot import exp

        found: dict[tuple[str, int, str], Any] = {}
        both = isinstance(node, exp.And) == wanted
        for part in (node.this, node.expression):
            if both and self._outcome(written(part)) is wanted:
                continue
            one = self.proposed(part, wanted=wanted)
            if not both and one:
                return one
            found.update(one)
        return found if both else {}

    def _compared(self, node: Any, *, wanted: bool) -> dict[tuple[str, int, str], Any]:
        from sqlglot import exp

        left, right = node.args.get("this"), node.args.get("expression")
        if isinstance(node, (exp.EQ, exp.NullSafeEQ, exp.NEQ, exp.NullSafeNEQ)):
            if isinstance(node, (exp.EQ, exp.NullSafeEQ)) != wanted:
                return {}
            return self._equal(left, right) or self._equal(right, left)
        signs = {exp.LT: (-1, 1), exp.LTE: (-1, 0), exp.GT: (1, 1), exp.GTE: (1, 0)}
        if type(node) not in signs:
            return {}
        sign, step = signs[type(node)]
        sign, step = (sign, step) if wanted else (-sign, 1 - step)
        return self._beside(left, right, sign * step) or self._beside(right, left, -sign * step)

    def _equal(self, column: Any, constant: Any) -> dict[tuple[str, int, str], Any]:
        value = self._constant(column, constant)
        return self._put(column, value) if value is not None else {}

    def _beside(self, column: Any, constant: Any, step: int) -> dict[tuple[str, int, str], Any]:
        """Propose the value next to a constant."""
        value = self._constant(column, constant)
        moved = _moved(value, step) if step else value
        return self._put(column, moved) if moved is not None else {}

    def _between(self, node: Any) -> dict[tuple[str, int, str], Any]:
        low = self._outcome(f"{written(node.this)} < {written(node.args['low'])}")
        return self._equal(node.this, node.args["low" if low is not False else "high"])

    def _constant(self, column: Any, node: Any) -> Any:
        """Return the value of an expression without columns, as the column would hold it."""
        from sqlglot import exp

        place = self._place(column)
        if place is None or node.find(exp.Column, exp.Query) is not None:
            return None
        sql = self._select.bench.storage(place[0], place[2])
        return self._select.bench.ask(f"SELECT TRY_CAST({written(node)} AS {sql}) AS c0")[0][0]

    def _place(self, node: Any) -> tuple[str, int, str] | None:
        """Return the cell a node is, if it is one that can be set."""
        from sqlglot import exp

        if not isinstance(node, exp.Column):
            return None
        source, row = self._select.sources.get(node.table), self._combo.get(node.table)
        if source is None or source.table is None or row is None:
            return None
        name = self._select.bench.types[source.table].get(node.name, ("", ""))[0]
        keys = self._select.bench.tables[source.table].key
        return (source.table, row, node.name) if name and name not in keys else None

    def _put(self, node: Any, value: Any) -> dict[tuple[str, int, str], Any]:
        place = self._place(node)
        return {place: value} if place is not None else {}

    def _outcome(self, text: str) -> Any:
        return self._select.one([text], self._combo, self._strict)[0]

    def holds(self, node: Any, proposed: dict[tuple[str, int, str], Any]) -> bool:
        """Return whether a condition holds with these values put in."""
        from sqlglot import exp, parse_one

        holder = exp.paren(node.copy())
        for column in outer_columns(holder):
            place = self._place(column)
            if place in proposed:
                bench = self._select.bench
                text = f"CAST({bench.bind(proposed[place])} AS {bench.storage(place[0], place[2])})"
                column.replace(parse_one(text, dialect="duckdb"))
        return self._outcome(written(holder)) is True


def _moved(value: Any, step: int) -> Any:
    """Return the value next to another of its type, above or below; None if there is none or none can be told."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        if isinstance(value, int):
            return value + step
        if isinstance(value, float):
            return math.nextafter(value, math.inf * step)
        if isinstance(value, datetime):
            return value + timedelta(microseconds=step)
        return value + timedelta(days=step) if isinstance(value, date) else None
    except OverflowError:
        return None
