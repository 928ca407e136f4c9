"""Rewriting: a rule's SELECT as one query over intervals of ticks; each row comes with the ticks it is said at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.row_filters import is_plain, sources_of
from replaykit.sql import quote
from replaykit.temporal.intervals import Dial, Intervals, at_time, both
from replaykit.temporal.reading import Refused, by_rows
from replaykit.temporal.selects import (
    Conditions,
    Membership,
    check_select,
    conjuncts,
    flat,
    group_of,
    has_window,
    is_grouped,
    is_inside,
    is_simple,
    may_be_missing,
    membership,
    number_of,
    of_output,
    ordered_by,
    ordering,
    outputs_of,
    per_tick,
    reaches,
    with_of,
)
from replaykit.temporal.spans import BORN, spans_name
from replaykit.temporal.turns import clocks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["by_intervals"]


def by_intervals(tree: Any, names: Mapping[str, str], dial: Dial) -> str:
    """Return a query for ``t0``, ``t1`` and the columns of a qualified statement, in the order of its rows.

    Parameters
    ----------
    names
        State tables, and ``events``, by their names in lower case.

    Raises
    ------
    Refused
        The statement holds something that intervals have no answer to.
    """
    return _Rewriter(tree, names, dial).query()


class _Rewriter:
    def __init__(self, tree: Any, names: Mapping[str, str], dial: Dial) -> None:
        from sqlglot import exp

        self._tree = tree
        self._names = names
        self._do = Intervals(dial)
        self._with: dict[str, Any] = {}
        self._read: dict[str, set[str]] = {}
        for column in tree.find_all(exp.Column):
            self._read.setdefault(column.table.lower(), set()).add(column.name)

    def query(self) -> str:
        listed = outputs_of(self._tree)
        names = [f"o{n}" for n in range(len(listed))]
        keys: list[str] = []
        rows = self._compiled(self._tree, names, keys)
        order = ", ".join([*keys, "t0"])
        return f"{self._do.text()} SELECT t0, t1, {', '.join(names)} FROM {rows} ORDER BY {order}"

    def _compiled(self, tree: Any, names: Sequence[str], keys: list[str] | None = None) -> str:
        """Return the relation of a query, its columns called `names`.

        Parameters
        ----------
        keys
            Filled with what to order by, for the statement itself: columns named ``k...`` come with its rows.
        """
        from sqlglot import exp

        outside = self._with
        for name, query in with_of(tree).items():
            self._with = {**self._with, name: (query, self._with)}
        try:
            if isinstance(tree, exp.Union):
                return self._union(tree, names, keys)
            if not isinstance(tree, exp.Select):
                raise Refused(f"it uses {tree.key.upper()}")
            return self._select(tree, names, keys)
        finally:
            self._with = outside

    def _union(self, tree: Any, names: Sequence[str], keys: list[str] | None) -> str:
        if tree.args.get("by_name"):
            raise Refused("it uses UNION BY NAME")
        sides = [self._compiled(side.unnest(), names) for side in (tree.this, tree.expression)]
        listed = ", ".join([*map(quote, names), "t0", "t1"])
        rows = self._do.add(" UNION ALL ".join(f"SELECT {listed} FROM {side}" for side in sides))
        if tree.args.get("distinct"):
            rows = self._do.merged(rows, [quote(name) for name in names])
        order = [of_output(one, outputs_of(tree), names) for one in ordering(tree)]
        if None in order:
            raise Refused("it orders a UNION by more than its columns")
        return self._limited(tree, rows, [*map(str, order), *map(quote, names)], keys)

    def _select(self, tree: Any, names: Sequence[str], keys: list[str] | None) -> str:
        check_select(tree)
        order = ordering(tree) if keys is not None or tree.args.get("limit") else []
        known = [of_output(one, outputs_of(tree), names) for one in order]
        given = {
            "values": [flat(one.unalias()) for one in tree.expressions],
            "keys": [flat(one) for one, text in zip(order, known, strict=True) if text is None],
            "having": [flat(one) for one in conjuncts(tree.args.get("having"))],
            "qualify": [flat(one) for one in conjuncts(tree.args.get("qualify"))],
        }
        if given["keys"] and tree.args.get("distinct"):
            raise Refused("it orders DISTINCT rows by more than their columns")
        rows, group, at = self._apart_in_time(tree, [node for nodes in given.values() for node in nodes])
        given = {what: [per_tick(at_time(one, at)) for one in nodes] for what, nodes in given.items()}
        columns = [f"{one.sql('duckdb')} AS {quote(n)}" for one, n in zip(given["values"], names, strict=True)]
        columns += [f"{one.this.sql('duckdb')} AS k{number}" for number, one in enumerate(given["keys"])]
        own = iter([ordered_by(one, f"k{number}") for number, one in enumerate(given["keys"])])
        ends = [text or next(own) for text in known]
        ends += self._breaks(tree, columns, names)
        text = f"SELECT {', '.join(columns)}, t0, t1 FROM {rows}{group}"
        text += f" HAVING {both(given['having'])}" if given["having"] else ""
        text += f" QUALIFY {both(given['qualify'])}" if given["qualify"] else ""
        rows = self._do.add(text)
        if tree.args.get("distinct"):
            rows = self._do.merged(rows, [quote(name) for name in names])
        return self._limited(tree, rows, ends, keys)

    def _apart_in_time(self, tree: Any, nodes: list[Any]) -> tuple[str, str, str]:
        """Return the rows cut so that what the SELECT says of them stands; its GROUP BY; what their time is called."""
        rows = self._from(tree)
        if is_grouped(tree):
            groups = [one.sql("duckdb") for one in group_of(tree)]
            rows, at = self._do.at_changes(rows, groups, nodes)
            return rows, f" GROUP BY {', '.join(['t0', 't1', quote(at), *groups])}", at
        if has_window(tree):
            rows, at = self._do.at_changes(rows, [], nodes)
            return rows, "", at
        if any(clocks(one) for one in nodes):
            rows, at = self._do.cut(rows, nodes)
            return rows, "", at
        return rows, "", ""

    def _breaks(self, tree: Any, columns: list[str], names: Sequence[str]) -> list[str]:
        """Return what breaks ties in the order; adds the columns it takes."""
        born = by_rows(tree, self._names)
        if born is None:
            return [quote(name) for name in names]
        found = []
        for number, (alias, _) in enumerate(born):
            born_of = quote(f"{alias.lower()}.{BORN}")
            columns.append(f"{born_of} AS b{number}")
            found.append(f"b{number}")
        return found

    def _limited(self, tree: Any, rows: str, order: Sequence[str], keys: list[str] | None) -> str:
        limit, offset = (number_of(tree.args.get(name)) for name in ("limit", "offset"))
        if keys is not None:
            keys += order
        if limit is None and offset is None:
            return rows
        apart, _ = self._do.at_changes(rows, [], [])
        place = f"row_number() OVER (PARTITION BY t0 ORDER BY {', '.join(order)})"
        first = offset or 0
        upto = "" if limit is None else f" AND {place} <= {first + limit}"
        return self._do.add(f"SELECT * FROM {apart} QUALIFY {place} > {first}{upto}")

    # FROM and WHERE

    def _from(self, tree: Any, outer: list[Any] | None = None) -> str:
        """Return the rows of FROM that WHERE lets through.

        Parameters
        ----------
        outer
            Takes the conditions that reach for columns of a query around this one.
        """
        wanted = conjuncts(tree.args.get("where"))
        sources = list(sources_of(tree))
        if not sources:
            raise Refused("it reads no table")
        mine = {source.alias_or_name.lower() for source, _ in sources}
        missing = may_be_missing(sources)
        if not missing:
            wanted += [one for _, join in sources if join is not None for one in conjuncts(join.args.get("on"))]
        if outer is not None:
            outer += [flat(one) for one in wanted if reaches(one, mine)]
            wanted = [one for one in wanted if not reaches(one, mine)]
        tests = [test for one in wanted if (test := membership(one)) is not None]
        left = Conditions([one for one in wanted if membership(one) is None], missing)
        rows, seen = "", set[str]()
        for source, join in sources:
            alias = source.alias_or_name.lower()
            seen.add(alias)
            right = self._do.filtered(self._source(source), left.take({alias}))
            here = left.take(seen)
            if missing and join is not None:
                here = [flat(one) for one in conjuncts(join.args.get("on"))]
            rows = self._joined(rows, right, join, here) if rows else self._do.filtered(right, here)
        rows = self._do.filtered(rows, left.rest())
        for test in tests:
            rows = self._tested(rows, test)
        return rows

    def _source(self, source: Any) -> str:
        """Return the relation of a table or a query in FROM; a table's comes with its rows' insertion order."""
        from sqlglot import exp

        alias = source.alias_or_name.lower()
        query, scope = (source.this.unnest() if isinstance(source, exp.Subquery) else None), self._with
        if is_plain(source):
            query, scope = self._with.get(source.name.lower(), (None, self._with))
            if query is None and source.name.lower() in self._names:
                read = sorted({*self._read.get(alias, ()), BORN})
                listed = ", ".join(f"{quote(name)} AS {quote(f'{alias}.{name}')}" for name in read)
                return self._do.add(f"SELECT {listed}, t0, t1 FROM {quote(spans_name(source.name))}")
        if not isinstance(query, exp.Query) or not is_inside(query):
            raise Refused(f"it reads {source.sql('duckdb')[:40]}, which is no table of its own")
        names = [f"{alias}.{name.lower()}" for name in outputs_of(query)]
        outside, self._with = self._with, scope
        rows = self._compiled(query, names)
        self._with = outside
        return self._do.add(f"SELECT {', '.join(map(quote, names))}, t0, t1 FROM {rows}")

    def _joined(self, left: str, right: str, join: Any, conditions: list[Any]) -> str:
        used = {key for key, value in (join.args if join is not None else {"lateral": True}).items() if value}
        if not used <= {"this", "on", "side", "kind"} or join.kind not in {"", "INNER", "CROSS", "OUTER"}:
            raise Refused("it joins in another way than by ON")
        if not join.side:
            return self._do.joined(left, right, conditions)
        numbered = [self._do.numbered(one) for one in (left, right)]
        pairs = self._do.joined(numbered[0][0], numbered[1][0], conditions)
        parts = [pairs]
        if join.side in {"LEFT", "FULL"}:
            parts.append(self._do.left_out(*numbered[0], pairs))
        if join.side in {"RIGHT", "FULL"}:
            parts.append(self._do.left_out(*numbered[1], pairs))
        return self._do.add(" UNION ALL BY NAME ".join(f"SELECT * FROM {one}" for one in parts))

    def _tested(self, rows: str, test: Membership) -> str:
        """Return the rows for as long as a query has rows, or has none."""
        from sqlglot import exp

        rows, number = self._do.numbered(rows)
        outer: list[Any] = []
        if is_simple(test.query):
            right = self._from(test.query, outer)
            given = [flat(one.unalias()) for one in test.query.expressions]
        else:
            right, given = self._apart(test.query)
        if test.operand is None:
            return self._paired(rows, number, right, outer, negated=test.negated)
        if len(given) != 1 or any(clocks(one) for one in given):
            raise Refused("it looks for more than a column in another query")
        value, operand = given[0], flat(test.operand)
        found = self._paired(rows, number, right, [*outer, value.eq(operand)], negated=test.negated)
        for unknown in (value, operand) if test.negated else ():  # NOT IN is true of no row where one is NULL
            found = self._paired(
                *self._do.numbered(found),
                right,
                [*outer, exp.Is(this=unknown.copy(), expression=exp.Null())],
                negated=True,
            )
        return found

    def _apart(self, query: Any) -> tuple[str, list[Any]]:
        from sqlglot import exp

        if not is_inside(query):
            raise Refused("a query inside it reaches for its columns")
        names = [f"q{number}.{name}" for number, name in enumerate(outputs_of(query))]
        rows = self._do.add(f"SELECT {', '.join(map(quote, names))}, t0, t1 FROM {self._compiled(query, names)}")
        return rows, [exp.column(exp.to_identifier(name, quoted=True)) for name in names]

    def _paired(self, rows: str, number: str, right: str, conditions: list[Any], *, negated: bool) -> str:
        pairs = self._do.joined(rows, right, conditions)
        return (self._do.left_out if negated else self._do.kept_where)(rows, number, pairs)
