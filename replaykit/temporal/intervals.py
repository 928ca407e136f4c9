"""Intervals: joins, outer joins, EXISTS and groups over rows that each stand from one tick to another.

A relation here is the name of a table expression in one long WITH; its rows have columns ``t0`` and ``t1``, the ticks
``[t0, t1)`` at which they are there. What holds for all ticks of an interval is computed once. Columns carry the name
of their source in front, so that an expression means the same wherever it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.sql import quote
from replaykit.temporal.reading import Refused
from replaykit.temporal.spans import TICKS
from replaykit.temporal.turns import clocks, is_now, turns_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Dial", "Intervals", "at_time", "both"]


@dataclass(frozen=True)
class Dial:
    """How tick numbers and times go together."""

    start: datetime
    step: int | None
    """Microseconds from one tick to the next; None where only a table tells."""
    walkable: bool
    """Whether there are few enough ticks to look at each."""

    def behind(self, turn: str) -> str:
        """Return the expression for the first tick at or behind an instant."""
        since = f"greatest(epoch_us(CAST({turn} AS TIMESTAMP)) - {self._origin()}, 0)"
        return f"({since} + {(self.step or 1) - 1}) // {self.step}"

    def timed(self, rows: str, name: str, tick: str = "t0") -> str:
        """Return the query that adds the time of a tick, as a column of this name."""
        if self.step is None:
            return f"SELECT r.*, k.moment AS {quote(name)} FROM ({rows}) AS r JOIN {TICKS} AS k ON k.tick = r.{tick}"
        at = f"make_timestamp({self._origin()} + {tick} * {self.step})"
        return f"SELECT *, {at} AS {quote(name)} FROM ({rows})"

    def cuts(self, turns: Sequence[str] | None, *, end: bool = False) -> str:
        """Return the list of ticks in ``[t0, t1)`` at which something may change; with `end`, ``t1`` too."""
        if turns is None or self.step is None:
            return f"range(t0, t1{' + 1' if end else ''})"
        ticks = [one for turn in turns for one in (self.behind(turn), f"{self.behind(turn)} + 1")]
        inner = f"list_filter([{', '.join(ticks)}], lambda x: x > t0 AND x < t1)" if ticks else "[]::BIGINT[]"
        return f"list_sort(list_distinct(list_concat([t0{', t1' if end else ''}], {inner})))"

    def _origin(self) -> int:
        return (self.start - datetime(1970, 1, 1)) // _MICROSECOND


_MICROSECOND = datetime(1970, 1, 1, microsecond=1) - datetime(1970, 1, 1)


class Intervals:
    """The table expressions of one rewritten statement, in order."""

    def __init__(self, dial: Dial) -> None:
        self.dial = dial
        self._expressions: list[str] = []

    def text(self) -> str:
        """Return the WITH that defines them all."""
        return f"WITH {', '.join(self._expressions)}"

    def add(self, query: str, *, kept: bool = False) -> str:
        """Add a table expression and return its name; `kept` if several read it."""
        name = f"r{len(self._expressions)}"
        self._expressions.append(f"{name} AS {'MATERIALIZED ' if kept else ''}({query})")
        return name

    def filtered(self, rows: str, conditions: Sequence[Any]) -> str:
        """Return the rows that meet conditions without ``$now`` at once, and those with it as long as they do."""
        plain = [one for one in conditions if not clocks(one)]
        if plain:
            rows = self.add(f"SELECT * FROM {rows} WHERE {both(plain)}")
        timed = [one for one in conditions if clocks(one)]
        if not timed:
            return rows
        cut, at = self.cut(rows, timed)
        return self.add(f"SELECT * EXCLUDE ({quote(at)}) FROM {cut} WHERE {both([at_time(one, at) for one in timed])}")

    def cut(self, rows: str, nodes: Sequence[Any]) -> tuple[str, str]:
        """Cut rows where a comparison with ``$now`` in some expressions turns; also return what their time is called.

        Raises
        ------
        Refused
            The clock can't be followed, and there are too many ticks to look at each.
        """
        cuts = self.dial.cuts(self._turns(nodes))
        inner = f"SELECT *, {cuts} AS cuts FROM {rows}"
        ends = "unnest(list_append(cuts[2:], t1)) AS t1"
        at = f"at{len(self._expressions)}"
        pieces = f"SELECT * EXCLUDE (t0, t1, cuts), unnest(cuts) AS t0, {ends} FROM ({inner})"
        return self.add(self.dial.timed(pieces, at)), at

    def _turns(self, nodes: Sequence[Any]) -> list[str] | None:
        turns = turns_of(nodes)
        if (turns is None or self.dial.step is None) and not self.dial.walkable:
            raise Refused("it uses $now in a way that can't be followed, over more ticks than are looked at one by one")
        return None if turns is None else [turn.sql("duckdb") for turn in turns]

    def joined(self, left: str, right: str, conditions: Sequence[Any]) -> str:
        """Return pairs of rows that are there at the same time, as long as both are and the conditions hold."""
        on = [f"{left}.t0 < {right}.t1", f"{right}.t0 < {left}.t1"]
        plain = [one for one in conditions if not clocks(one)]
        on += [f"({one.sql('duckdb')})" for one in plain]
        bounds = f"greatest({left}.t0, {right}.t0) AS t0, least({left}.t1, {right}.t1) AS t1"
        rows = self.add(
            f"SELECT {left}.* EXCLUDE (t0, t1), {right}.* EXCLUDE (t0, t1), {bounds} FROM {left} "
            f"JOIN {right} ON {' AND '.join(on)}"
        )
        return self.filtered(rows, [one for one in conditions if clocks(one)])

    def numbered(self, rows: str) -> tuple[str, str]:
        """Return the rows with a number each, and what it is called."""
        name = f"n{len(self._expressions)}"
        return self.add(f"SELECT *, row_number() OVER () AS {name} FROM {rows}", kept=True), name

    def left_out(self, rows: str, number: str, pairs: str) -> str:
        """Return rows as long as no pair has them: what is between, before and behind these."""
        ends = self.add(
            f"SELECT {number} AS n, t0 AS s, t1 AS e FROM {pairs} UNION ALL SELECT {number}, t0, t0 FROM {rows}"
        )
        order = "OVER (PARTITION BY n ORDER BY s, e ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
        gaps = self.add(f"SELECT n, max(e) {order} AS a, lead(s) OVER (PARTITION BY n ORDER BY s, e) AS b FROM {ends}")
        return self.add(
            f"SELECT l.* EXCLUDE (t0, t1), g.a AS t0, coalesce(g.b, l.t1) AS t1 FROM {gaps} AS g "
            f"JOIN {rows} AS l ON l.{number} = g.n WHERE g.a < coalesce(g.b, l.t1)"
        )

    def merged(self, rows: str, columns: Sequence[str]) -> str:
        """Return each combination of values in some columns once, for as long as any row has it."""
        listed = ", ".join(columns)
        before = (
            f"max(t1) OVER (PARTITION BY {listed} ORDER BY t0, t1 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
        )
        marked = self.add(f"SELECT {listed}, t0, t1, coalesce(t0 > {before}, true) AS begins FROM {rows}")
        counted = f"count(*) FILTER (begins) OVER (PARTITION BY {listed} ORDER BY t0, t1 ROWS UNBOUNDED PRECEDING)"
        islands = self.add(f"SELECT *, {counted} AS island FROM {marked}")
        return self.add(f"SELECT {listed}, min(t0) AS t0, max(t1) AS t1 FROM {islands} GROUP BY {listed}, island")

    def kept_where(self, rows: str, number: str, pairs: str) -> str:
        """Return rows as long as some pair has them."""
        found = self.merged(pairs, [number])
        return self.add(
            f"SELECT l.* EXCLUDE (t0, t1), m.t0, m.t1 FROM {found} AS m JOIN {rows} AS l ON l.{number} = m.{number}"
        )

    def at_changes(self, rows: str, groups: Sequence[str], nodes: Sequence[Any]) -> tuple[str, str]:
        """Return rows once for every span in which nothing of their group changes, and what their time is called.

        Parameters
        ----------
        groups
            Expressions that name a group; none if all rows are one.
        nodes
            What may compare with ``$now``.
        """
        timed = [one for one in nodes if clocks(one)]
        named = [f"g{len(self._expressions)}_{n}" for n, _ in enumerate(groups)]
        given = "".join(f", {group} AS {name}" for group, name in zip(groups, named, strict=True))
        cuts = self.dial.cuts(self._turns(timed), end=True) if timed else "[t0, t1]"
        kept = self.add(f"SELECT *{given}, {cuts} AS cuts FROM {rows}", kept=True)
        listed = "".join(f"{name}, " for name in named)
        ticks = self.add(f"SELECT DISTINCT {listed}unnest(cuts) AS tick FROM {kept}")
        by = f"PARTITION BY {', '.join(named)} " if named else ""
        spans = self.add(f"SELECT *, lead(tick) OVER ({by}ORDER BY tick) AS until FROM {ticks}")
        same = "".join(f"r.{name} IS NOT DISTINCT FROM s.{name} AND " for name in named)
        at = f"at{len(self._expressions)}"
        pieces = (
            f"SELECT r.* EXCLUDE (t0, t1, cuts{''.join(f', {name}' for name in named)}), s.tick AS t0, s.until AS t1 "
            f"FROM {kept} AS r JOIN {spans} AS s ON {same}r.t0 <= s.tick AND s.tick < r.t1"
        )
        return self.add(self.dial.timed(pieces, at)), at


def both(conditions: Sequence[Any]) -> str:
    """Return the conjunction of conditions as text."""
    return " AND ".join(f"({one.sql('duckdb')})" for one in conditions) or "true"


def at_time(node: Any, name: str) -> Any:
    """Return a copy of an expression in which ``$now`` is a column."""
    from sqlglot import exp

    if not name:
        return node
    column = exp.column(exp.to_identifier(name, quoted=True))
    if is_now(node):
        return column
    found = node.copy()
    for now in clocks(found):
        now.replace(column.copy())
    return found
