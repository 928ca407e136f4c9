"""Why a rule in SQL gave no row of these fields: the condition that failed, the rows that blocked, what left it out."""

from __future__ import annotations

from itertools import islice, product
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, excerpt
from replaykit.reasons.past import was_there
from replaykit.reasons.sql_answers import Answer, as_obstacle
from replaykit.reasons.sql_bench import Bench, CannotSplitError, same
from replaykit.reasons.sql_cells import shown
from replaykit.reasons.sql_clauses import left_out_by
from replaykit.reasons.sql_fields import Fields, is_column
from replaykit.reasons.sql_groups import group_conditions
from replaykit.reasons.sql_nearest import nearest
from replaykit.reasons.sql_reading import branches_of, text_of
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

_ANCHORS = 200
_DEPTH = 3


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
    held = Bench(scene, rule.statement)
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
    asked = Fields(select, wanted)
    wrong = asked.wrong_constant()
    if wrong is not None:
        return wrong
    anchors = asked.anchors()
    pins: list[Combo] = [{}]
    for alias, expected in anchors.items():
        rows = asked.rows_of(alias, expected)
        if not rows:
            return _no_row(select, alias, expected, depth)
        pins = [{**pin, alias: row} for pin, row in islice(product(pins, rows), _ANCHORS)]
    if select.grouped and select.node.args.get("group") is None:
        return _of_group(select, {}, asked)
    if anchors or not wanted:
        return _of_rows(select, pins, asked, depth)
    if select.grouped:
        group = asked.group()
        return _of_group(select, group, asked) if group is not None else asked.nothing("no group")
    pins = asked.combinations()
    return _of_rows(select, pins, asked, depth) if pins else asked.nothing("no combination of rows")


def _of_rows(select: Select, pins: list[Combo], asked: Fields, depth: int) -> Answer:
    """Return what the conditions say of the combinations around some rows."""
    strict = frozenset(pins[0]) & select.optional if pins[0] else frozenset()
    strict = frozenset(alias for alias in strict if pins[0][alias] is not None)
    found = nearest(select, pins if pins[0] else [], strict)
    if found.failed:
        return Answer.of(found.conditions)
    if found.lacking:
        return _no_row(select, found.lacking[0], {}, depth)
    if select.grouped:
        return _of_group(select, found.combo, asked, found.conditions)
    return asked.others(found.combo, strict) or Answer("let through", "", conditions=found.conditions)


def _of_group(select: Select, combo: Combo, fields: Fields, before: tuple[Condition, ...] = ()) -> Answer:
    conditions = group_conditions(select, combo)
    if any(one.held is not True for one in conditions):
        return Answer.of((*before, *conditions))
    return fields.of_group(combo) or Answer("let through", "", conditions=(*before, *conditions))


def _no_row(select: Select, alias: str, expected: Mapping[int, Any], depth: int) -> Answer:
    """Return that a source has no row of the entity, and when it had; of a subquery, what its own SELECT says."""
    source, bench_ = select.sources[alias], select.bench
    columns = {select.output(place).name: value for place, value in expected.items() if is_column(select.output(place))}
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
            "no row",
            f"{source.node.name or alias} gives no row{' with ' * bool(columns)}{_pairs(columns)}",
            where="FROM",
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
