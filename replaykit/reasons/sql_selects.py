"""Select: one SELECT as the rows it combines: what it reads from, which conditions it asks of them, and which hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from replaykit.reasons.sql_bench import CannotSplitError
from replaykit.reasons.sql_reading import outer_columns, place_of, text_of, written
from replaykit.sql_trees import conjuncts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replaykit.reasons.sql_bench import Bench

__all__ = ["Combo", "Conjunct", "Select", "Source"]

Combo: TypeAlias = "Mapping[str, int | None]"
"""A row of each source, by the source's alias and the row's place; None where an outer join found none."""

_NUMBER = "replaykit_row"
_JOINS = {("", ""), ("", "INNER"), ("", "CROSS"), ("LEFT", ""), ("LEFT", "OUTER"), ("", "ANTI"), ("", "SEMI")}


@dataclass(frozen=True)
class Source:
    """One entry of FROM."""

    alias: str
    node: Any
    table: str | None
    """The state table it is, in lower case; None for anything else."""
    optional: tuple[Any, ...] | None = None
    """The conditions of a LEFT JOIN; None if its rows can't be missing."""

    @property
    def name(self) -> str:
        """The alias in quotes."""
        return _quoted(self.alias)

    @property
    def place(self) -> str:
        """The expression that tells its rows apart."""
        return f"{self.name}.{'rowid' if self.table is not None else _NUMBER}"

    @property
    def sql(self) -> str:
        """The entry as it goes behind FROM."""
        from sqlglot import exp

        if self.table is not None:
            return f"{_quoted(self.table)} AS {self.name}"
        inner = self.node.copy()
        inner.set("alias", None)
        if isinstance(inner, exp.Subquery):
            return f"(SELECT *, row_number() OVER () AS {_NUMBER} FROM {written(inner)} AS q) AS {self.name}"
        return f"(SELECT *, row_number() OVER () AS {_NUMBER} FROM {written(inner)}) AS {self.name}"


@dataclass(frozen=True)
class Conjunct:
    """One condition among those that AND joins."""

    node: Any
    clause: str
    """``WHERE`` or ``ON``."""
    aliases: frozenset[str]
    """The sources whose columns it reads."""

    @property
    def text(self) -> str:
        """The condition as its author wrote it."""
        return text_of(self.node)

    @property
    def joins(self) -> bool:
        """Whether it ties sources together."""
        return len(self.aliases) > 1


class Select:
    """One SELECT without its grouping, its choice among rows and its order: the rows it combines."""

    def __init__(self, bench: Bench, node: Any) -> None:
        self.bench = bench
        self.node = node
        given = node.args.get("with_")
        self._with = f"{written(given)} " if given is not None else ""
        self._ctes = {cte.alias for cte in given.expressions} if given is not None else set()
        self.sources: dict[str, Source] = {}
        conjuncts: list[Conjunct] = []
        clause = node.args.get("from_")
        for entry in [clause, *(node.args.get("joins") or ())] if clause is not None else []:
            conjuncts += self._take(entry)
        where = node.args.get("where")
        conjuncts += self._read(where.this if where is not None else None, "WHERE")
        self.conjuncts = tuple(sorted(conjuncts, key=lambda one: place_of(one.node)))
        if node.args.get("laterals"):
            raise CannotSplitError("LATERAL in FROM")

    def _take(self, entry: Any) -> list[Conjunct]:
        """Add a source, and return what its join asks."""
        from sqlglot import exp

        join = entry if isinstance(entry, exp.Join) else None
        if join is None:
            self._add(entry.this)
            return []
        asks = list(conjuncts_of(join.args.get("on")))
        if (join.side, join.kind) not in _JOINS or join.args.get("method") or join.args.get("using"):
            raise CannotSplitError(f"the join {text_of(join)}")
        if join.kind in ("ANTI", "SEMI"):
            return [self._existence(join)]
        self._add(join.this, optional=tuple(asks) if join.side else None)
        return [] if join.side else self._read(join.args.get("on"), "ON")

    def _existence(self, join: Any) -> Conjunct:
        from sqlglot import exp

        inner = exp.Select(expressions=[exp.Literal.number(1)], from_=exp.From(this=join.this.copy()))
        if join.args.get("on") is not None:
            inner.set("where", exp.Where(this=join.args["on"].copy()))
        node: Any = exp.Exists(this=inner)
        node = exp.Not(this=node) if join.kind == "ANTI" else node
        node.meta.update(join.meta)
        return Conjunct(node, f"{join.kind} JOIN", frozenset(column.table for column in outer_columns(node)))

    def _add(self, node: Any, optional: tuple[Any, ...] | None = None) -> None:
        from sqlglot import exp

        alias = node.alias_or_name
        if not isinstance(node, (exp.Table, exp.Subquery)) or not alias or alias in self.sources:
            raise CannotSplitError(f"{text_of(node)} in FROM")
        named = isinstance(node, exp.Table)
        if named and (not isinstance(node.this, exp.Identifier) or set(_used(node)) - {"this", "alias"}):
            raise CannotSplitError(f"{written(node)} in FROM")
        table = node.name if named and node.name not in self._ctes and node.name in self.bench.tables else None
        if table in self.bench.refused:
            raise CannotSplitError(f"table {table!r} has a column named rowid")
        self.sources[alias] = Source(alias, node, table, optional)

    def _read(self, node: Any, clause: str) -> list[Conjunct]:
        return [
            Conjunct(one, clause, frozenset(column.table for column in outer_columns(one)) & set(self.sources))
            for one in conjuncts_of(node)
        ]

    @property
    def optional(self) -> frozenset[str]:
        """The sources of outer joins."""
        return frozenset(alias for alias, source in self.sources.items() if source.optional is not None)

    @property
    def names(self) -> list[str]:
        """Names of the output columns."""
        return [str(one.alias_or_name) for one in self.node.expressions]

    def output(self, place: int) -> Any:
        """Return the expression of an output column."""
        return self.node.expressions[place].unalias()

    @property
    def grouped(self) -> bool:
        """Whether its rows are groups of what it combines."""
        from sqlglot import exp

        if self.node.args.get("group") is not None or self.node.args.get("having") is not None:
            return True
        return any(_own_aggregate(one) for one in self.node.expressions) or any(
            _own_aggregate(one) for one in self.node.find_all(exp.Qualify)
        )

    # Asking

    def ask(
        self,
        wanted: Sequence[str],
        combos: Iterable[Combo] = (),
        *,
        where: Sequence[str] = (),
        end: str = "",
        strict: frozenset[str] = frozenset(),
        among: Sequence[str] | None = None,
        beside: str = "",
        **extra: Any,
    ) -> list[tuple[Any, ...]]:
        """Return expressions for combinations of rows.

        Parameters
        ----------
        combos
            Only those that contain one of these.
        strict
            Sources of outer joins that must have a row here.
        among
            Aliases of the sources to combine, in this order; all by default.
        beside
            What else to combine them with.
        """
        combos = list(combos)
        # An outer join's row that is given can as well be taken as it is.
        strict |= {alias for alias in self.optional if combos and all(combo.get(alias) is not None for combo in combos)}
        listed = ", ".join(f"{one} AS c{number}" for number, one in enumerate(wanted))
        pinned = [" AND ".join(self._pins(combo)) or "TRUE" for combo in combos]
        asked = [f"({one})" for one in where] + ([f"({' OR '.join(pinned)})"] if pinned else [])
        chosen = list(self.sources) if among is None else list(among)
        behind = f" WHERE {' AND '.join(asked)}" if asked else ""
        return self.bench.ask(f"{self._with}SELECT {listed}{self._from(chosen, strict, beside)}{behind}{end}", **extra)

    def one(self, wanted: Sequence[str], combo: Combo, strict: frozenset[str] = frozenset()) -> tuple[Any, ...]:
        """Return expressions for one combination of rows, of some sources or of none.

        Raises
        ------
        CannotSplitError
            They need more than these rows, or the rows don't go together.
        """
        rows = self.ask(wanted, [combo] if combo else (), strict=strict, among=list(combo))
        if not rows:
            raise CannotSplitError("rows that were found together are not")
        return rows[0]

    def _pins(self, combo: Combo) -> list[str]:
        return [
            f"{self.sources[alias].place} {'IS NULL' if place is None else f'= {int(place)}'}"
            for alias, place in combo.items()
        ]

    def _from(self, aliases: Sequence[str], strict: frozenset[str], beside: str) -> str:
        text = f" FROM {beside}" if beside else ""
        for alias in aliases:
            source = self.sources[alias]
            if not text:
                text = f" FROM {source.sql}"
            elif source.optional is None or alias in strict:
                text += f" CROSS JOIN {source.sql}"
            else:
                on = " AND ".join(f"({written(one)})" for one in source.optional) or "TRUE"
                text += f" LEFT JOIN {source.sql} ON {on}"
        return text

    def asked_of(self, strict: frozenset[str]) -> list[Conjunct]:
        """Return all conditions on a combination in which these outer joins have a row."""
        joined = [(one, alias) for alias in strict for one in self.sources[alias].optional or ()]
        more = [c for one, _ in joined for c in self._read(one, "ON")]
        return sorted([*self.conjuncts, *more], key=lambda one: place_of(one.node))


def _own_aggregate(node: Any) -> bool:
    """Return whether a node aggregates rows of its own SELECT."""
    from sqlglot import exp

    for one in node.find_all(exp.AggFunc):
        inside = one.find_ancestor(exp.Query)
        if inside is node.find_ancestor(exp.Query) and not isinstance(one.parent, exp.Window):
            return True
    return False


def _used(node: Any) -> list[str]:
    return [key for key, value in node.args.items() if value]


def _quoted(name: str) -> str:
    from sqlglot import exp

    return str(exp.to_identifier(name, quoted=True).sql("duckdb"))
