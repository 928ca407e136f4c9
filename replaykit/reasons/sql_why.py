"""Why a rule or an invariant in SQL gave a row: the rows it was made of, and the cells the statement read of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.display import show_text
from replaykit.reasons.sql_bench import Bench, CannotSplitError
from replaykit.reasons.sql_cells import cells_in, once
from replaykit.reasons.sql_matches import Origin, let_through, origin_of
from replaykit.reasons.sql_reading import branches_of, qualified, text_of, written
from replaykit.reasons.sql_selects import Select
from replaykit.reasons.sql_subqueries import Existence, bound, existence_in, inner_query, queries_in
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from replaykit.declarations import Invariant, Rule
    from replaykit.reasons.scene import Scene
    from replaykit.reasons.sql_selects import Combo, Conjunct
    from replaykit.reasons.values import Cell
    from replaykit.rows import Row
    from replaykit.sql import Statement

__all__ = ["read_statement", "sql_cells", "sql_grounds", "wanted_of"]

_FOUND = 5  # rows of a subquery that are told
_DEPTH = 3  # queries in queries
_LONG = 200


def sql_cells(scene: Scene, rule: Rule | Invariant, row: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Return the cells that made a SQL rule emit an action, or an invariant find a breach.

    Parameters
    ----------
    row
        What it gave: the action's fields, or the breach's detail; any of its columns.

    Returns
    -------
    tuple of Cell
        By source row in the order of FROM: what the conditions read first, then what the output reads. Of a group at
        most 50 rows; of a subquery the first five rows that it found. What was not there has no cells, nor have events.
        Empty also where the statement can't be looked into.
    """
    return sql_grounds(scene, rule, row)[0]


def sql_grounds(scene: Scene, rule: Rule | Invariant, row: Mapping[str, Any]) -> tuple[tuple[Cell, ...], str]:
    """Return the same as `sql_cells`, and what no cell stands for: what can't be looked into, what was not there."""
    if rule.statement is None:
        return (), "it is not written in SQL"
    held = Bench(scene, rule.statement)
    try:
        tree = read_statement(held, rule.statement, held.named(rule.statement))
        found = _found(held, tree, row)
        if found is None:
            return (), "at this tick it gives no such row"
        return tuple(_of_origin(*found)), _absent(*found)
    except CannotSplitError as exc:
        return (), f"its SQL can't be split: {exc}"


def read_statement(held: Bench, statement: Statement, rows: Sequence[Row]) -> Any:
    """Return the tree of a statement that gives these rows.

    Raises
    ------
    CannotSplitError
        It can't be read, or as read it gives other rows.
    """
    tree = qualified(held, statement.text)
    if sorted(map(repr, held.ask(written(tree)))) != sorted(repr(tuple(row.values())) for row in rows):
        raise CannotSplitError("it reads in more than one way")
    return tree


def wanted_of(select: Select, names: list[str], row: Mapping[str, Any]) -> dict[int, Any] | None:
    """Return values by the output column's place; None if there is no column of some name."""
    places = {name.lower(): place for place, name in enumerate(names)}
    if any(name.lower() not in places or places[name.lower()] >= len(select.names) for name in row):
        return None
    return {places[name.lower()]: value for name, value in row.items()}


def _found(held: Bench, tree: Any, row: Mapping[str, Any]) -> tuple[Select, Origin] | None:
    """Return which SELECT of a statement gave a row, and from what."""
    branches = [Select(held, node) for node in branches_of(tree)]
    for select in branches:
        wanted = wanted_of(select, branches[0].names, row)
        origin = origin_of(select, wanted) if wanted is not None else None
        if origin is not None:
            return select, origin
    return None


def _absent(select: Select, origin: Origin) -> str:
    """Return in words what a row also rests on: that some rows were not there."""
    existences = [(one, existence_in(one.node)) for one in select.conjuncts]
    told = [show_text(one.text, _LONG) for one, existence in existences if existence is not None and existence.negated]
    alone = [one for one in select.sources if any(combo[one] is None for combo in origin.combos)]
    told += [f"no row of {select.sources[one].table or one} was joined" for one in alone]
    return f"It also rests on what was not there, which has no cells: {'; '.join(told)}" if told else ""


def _of_origin(select: Select, origin: Origin, depth: int = 0) -> list[Cell]:
    note = ""
    if origin.grouped:
        cut = f", the first {len(origin.combos)}" if origin.size > len(origin.combos) else ""
        note = f" (a group of {origin.size:,}{cut})"
    for alias, source in select.sources.items():
        if source.table is not None:
            select.bench.expect(source.table, [place for one in origin.combos if (place := one[alias]) is not None])
    own = [cell for combo in origin.combos for cell in _of_combo(select, combo, note)]
    if depth < _DEPTH:
        conditions = [(combo, one) for combo in origin.combos for one in select.conjuncts]
        own += [cell for combo, one in conditions for cell in _found_by(select, combo, one, depth)]
        own += [cell for combo in origin.combos for cell in _inside(select, combo, depth)]
    return once(own)


def _of_combo(select: Select, combo: Combo, note: str) -> Iterator[Cell]:
    """Yield the cells of one combination's own rows."""
    parts = [(one.node, one.text) for one in select.asked_of(select.optional)]
    parts += _output(select)
    for alias in combo:
        for node, where in parts:
            yield from cells_in(select, combo, node, where + note, alias)


def _output(select: Select) -> Iterator[tuple[Any, str]]:
    for key in ("having", "qualify"):
        if select.node.args.get(key) is not None:
            yield select.node.args[key], text_of(select.node.args[key].this)
    for one in select.node.expressions:
        yield one, f"SELECT {text_of(one.unalias())}"


def _found_by(select: Select, combo: Combo, conjunct: Conjunct, depth: int) -> Iterator[Cell]:
    """Yield the cells of the rows that a condition's subqueries found."""
    existence = existence_in(conjunct.node)
    if existence is not None and existence.negated:
        return
    asked = (
        [existence] if existence is not None else [Existence(one, negated=False) for one in queries_in(conjunct.node)]
    )
    for one in asked:
        try:
            inner = bound(select, combo, one)
            found = tuple(let_through(inner, {}, _FOUND))
            yield from _of_origin(inner, Origin(found, len(found), grouped=False), depth + 1)
        except CannotSplitError:
            continue


def _inside(select: Select, combo: Combo, depth: int) -> Iterator[Cell]:
    """Yield the cells behind the rows of subqueries in FROM and of WITH."""
    for alias, source in select.sources.items():
        query = inner_query(select, alias) if source.table is None and combo[alias] is not None else None
        if query is None:
            continue
        try:
            inners = [Select(select.bench, node) for node in branches_of(query)]
            values = select.one([f"{source.name}.{quote(name)}" for name in inners[0].names], combo)
            for inner in inners:
                origin = origin_of(inner, dict(enumerate(values)))
                if origin is not None:
                    yield from _of_origin(inner, origin, depth + 1)
                    break
        except CannotSplitError:
            continue
