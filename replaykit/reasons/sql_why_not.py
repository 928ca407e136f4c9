"""Why a rule in SQL gave no row of these fields: the condition that failed, the rows that blocked, what left it out."""

from __future__ import annotations

from itertools import islice, product
from typing import TYPE_CHECKING, Any

from replaykit.display import count
from replaykit.errors import QueryError, excerpt
from replaykit.reasons.sql_answers import Answer, as_obstacle
from replaykit.reasons.sql_bench import Bench, CannotSplitError, bench, same
from replaykit.reasons.sql_cells import shown
from replaykit.reasons.sql_clauses import left_out_by
from replaykit.reasons.sql_groups import group_conditions
from replaykit.reasons.sql_matches import grouped_by
from replaykit.reasons.sql_nearest import nearest
from replaykit.reasons.sql_past import was_there
from replaykit.reasons.sql_reading import branches_of, outer_columns, text_of, written
from replaykit.reasons.sql_selects import Select
from replaykit.reasons.sql_subqueries import inner_query
from replaykit.reasons.sql_why import read_statement, wanted_of
from replaykit.rows import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replaykit.declarations import Rule
    from replaykit.reasons.conditions import Condition
    from replaykit.reasons.scene import Scene
    from replaykit.reasons.sql_selects import Combo
    from replaykit.reasons.values import Obstacle

__all__ = ["sql_conditions", "sql_obstacle"]

_ANCHORS = 20
_DEPTH = 3
_WHOLE = frozenset(["TINYINT", "SMALLINT", "INTEGER", "INT", "BIGINT"])


def sql_obstacle(scene: Scene, rule: Rule, fields: Mapping[str, Any]) -> Obstacle:
    """Return what kept a rule in SQL from emitting an action with these fields at a tick.

    Parameters
    ----------
    fields
        Some or all of the action's fields: output columns of the rule's SELECT.
    """
    return as_obstacle(scene, rule, _answer(scene, rule, fields))


def sql_conditions(scene: Scene, rule: Rule, fields: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return every condition of a rule in SQL on the rows nearest to these fields, held or failed, in its order.

    Empty where the statement can't be split, or it has no such row.
    """
    return _answer(scene, rule, fields).conditions


def _answer(scene: Scene, rule: Rule, fields: Mapping[str, Any]) -> Answer:
    if rule.statement is None:
        return Answer("unknown", "it is no rule in SQL")
    fields = {name: _plain(name, value) for name, value in fields.items()}
    with bench(scene, rule.statement) as held:
        try:
            rows = held.named(rule.statement)
            if rows and _is_among(rows, fields):
                return Answer("emitted", "nothing stopped it")
            tree = read_statement(held, rule.statement, rows)
            return _of_tree(held, tree, fields)
        except CannotSplitError as exc:
            return Answer("unknown", "its SQL can't be split into conditions", beyond=str(exc))


def _plain(name: str, value: Any) -> Any:
    try:
        return plain(value)
    except TypeError as exc:
        raise QueryError(f"Field {name!r} = {excerpt(value)} can't be looked for: {exc}.") from exc


def _is_among(rows: Sequence[Mapping[str, Any]], fields: Mapping[str, Any]) -> bool:
    names = {name.lower(): name for name in rows[0]}
    if any(name.lower() not in names for name in fields):
        return False
    wanted = [(names[name.lower()], value) for name, value in fields.items()]
    return any(all(same(row[name], value) for name, value in wanted) for row in rows)


def _of_tree(held: Bench, tree: Any, fields: Mapping[str, Any]) -> Answer:
    branches = [Select(held, node) for node in branches_of(tree)]
    names = branches[0].names
    wanted = wanted_of(branches[0], names, fields)
    if wanted is None:
        missing = [name for name in fields if name.lower() not in map(str.lower, names)]
        return Answer("other fields", f"it gives {', '.join(names)}, and no {', '.join(missing)}")
    return _of_branches(branches, wanted, tree, 0)


def _of_branches(branches: list[Select], wanted: Mapping[int, Any], tree: Any, depth: int) -> Answer:
    found = [_of_select(one, wanted, depth) for one in branches]
    if any(one.stop == "let through" for one in found):
        clause = left_out_by(branches[0].bench, tree, wanted)
        return clause or next(one for one in found if one.stop == "let through").unknown()
    found.sort(key=lambda one: one.misses)
    return found[0].beside(found[1:])


def _of_select(select: Select, wanted: Mapping[int, Any], depth: int) -> Answer:
    """Return what one SELECT says, a ``let through`` if its conditions let such a row through."""
    sorted_out = _Fields(select, wanted)
    wrong = sorted_out.wrong_constant()
    if wrong is not None:
        return wrong
    anchors = sorted_out.anchors()
    strict = frozenset(anchors) & select.optional
    pins: list[Combo] = [{}]
    for alias, expected in anchors.items():
        rows = sorted_out.rows_of(alias, expected)
        if not rows:
            return _no_row(select, alias, expected, depth)
        pins = [{**pin, alias: row} for pin, row in islice(product(pins, rows), _ANCHORS)]
    if select.grouped and select.node.args.get("group") is None:
        return _of_group(select, {}, sorted_out)
    found = nearest(select, pins if anchors else [], strict)
    if found.failed:
        return Answer.of(found.conditions)
    if found.lacking:
        return _no_row(select, found.lacking[0], {}, depth)
    if select.grouped:
        return _of_group(select, found.combo, sorted_out, found.conditions)
    return sorted_out.others(found.combo, strict) or Answer("let through", "", conditions=found.conditions)


def _of_group(select: Select, combo: Combo, fields: _Fields, before: tuple[Condition, ...] = ()) -> Answer:
    conditions = group_conditions(select, combo)
    if any(one.held is not True for one in conditions):
        return Answer.of((*before, *conditions))
    return fields.of_group(combo) or Answer("let through", "", conditions=(*before, *conditions))


def _no_row(select: Select, alias: str, expected: Mapping[int, Any], depth: int) -> Answer:
    """Return that a source has no row of the entity, and when it had; of a subquery, what its own SELECT says."""
    source, bench_ = select.sources[alias], select.bench
    columns = {
        select.output(place).name: value for place, value in expected.items() if _is_column(select.output(place))
    }
    if not expected and source.table is not None:
        return Answer("no row", f"{bench_.tables[source.table].name} holds no row", where="FROM")
    if source.table is None:
        query = inner_query(select, alias) if depth < _DEPTH else None
        if query is not None:
            branches = [Select(bench_, node) for node in branches_of(query)]
            wanted = wanted_of(branches[0], branches[0].names, columns)
            if wanted is not None:
                return _of_branches(branches, wanted, query, depth + 1)
        return Answer(
            "no row", f"{text_of(source.node)} gives no row{' with ' * bool(columns)}{_pairs(columns)}", where="FROM"
        )
    name = bench_.tables[source.table].name
    if len(columns) < len(expected):
        told = ", ".join(f"{text_of(select.output(p))} = {shown(v)}" for p, v in expected.items())
        return Answer("no row", f"no row of {name} gives {told}", where="FROM")
    real = {bench_.types[source.table][column][0]: value for column, value in columns.items()}
    past, since = was_there(bench_.scene, name, real)
    return Answer("no row", f"no row of {name} has {_pairs(real)}{past}", where="FROM", since=since)


def _pairs(columns: Mapping[str, Any]) -> str:
    return " and ".join(f"{name} = {shown(value)}" for name, value in columns.items())


def _is_column(node: Any) -> bool:
    from sqlglot import exp

    return isinstance(node, exp.Column)


class _Fields:
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
        chosen = {p: v for p, v in alone.items() if _is_column(self._select.output(p))} or alone
        found: dict[str, dict[int, Any]] = {}
        for place, value in chosen.items():
            found.setdefault(next(iter(self._sources(place))), {})[place] = value
        return {alias: found[alias] for alias in self._select.sources if alias in found}

    def rows_of(self, alias: str, expected: Mapping[int, Any]) -> list[int]:
        """Return the rows of a source that give what is asked, in order, at most 20."""
        outputs = [written(self._select.output(place)) for place in expected]
        place = self._select.sources[alias].place
        rows = self._select.ask(
            [place, *outputs], where=self._plainly(alias, expected), strict=frozenset([alias]), among=[alias],
            end=f" ORDER BY {place}",
        )  # fmt: skip
        fitting = (row[0] for row in rows if all(map(same, row[1:], expected.values())))
        return list(islice(fitting, _ANCHORS))

    def _plainly(self, alias: str, expected: Mapping[int, Any]) -> list[str]:
        """Return conditions for those columns that can be compared with what is asked for as they are."""
        bench_, table = self._select.bench, self._select.sources[alias].table
        found = []
        for place, value in expected.items():
            output = self._select.output(place)
            if table is None or not _is_column(output):
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
        row = self._select.ask(outputs, [combo], strict=strict, among=list(combo))[0]
        return self._differing(dict(zip(places, row, strict=True)))

    def of_group(self, combo: Combo) -> Answer | None:
        """Return that the group of a combination gives other values than asked for."""
        select, groups = self._select, [written(one) for one in grouped_by(self._select)]
        values = select.ask(groups, [combo])[0] if groups else ()
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
