"""The conditions of HAVING on one group, with what its rows add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.display import count
from replaykit.reasons.conditions import Condition
from replaykit.reasons.sql_cells import cells_in, once, shown
from replaykit.reasons.sql_due import turning_group
from replaykit.reasons.sql_matches import group_of, grouped_by
from replaykit.reasons.sql_reading import text_of, written
from replaykit.sql_trees import conjuncts_of

if TYPE_CHECKING:
    from replaykit.reasons.sql_selects import Combo, Select

__all__ = ["group_conditions"]


def group_conditions(select: Select, combo: Combo) -> tuple[Condition, ...]:
    """Return the conditions HAVING asks of the group a combination belongs to."""
    having = select.node.args.get("having")
    groups = grouped_by(select)
    values = select.one([written(one) for one in groups], combo) if groups else ()
    origin = group_of(select, values)
    found, alone = [], origin.size == len(origin.combos)
    for node in conjuncts_of(having.this) if having is not None else ():
        inner = list(map(written, _distinct(node)))
        asked = [written(node), *inner, *map(written, groups)]
        by = f" GROUP BY {', '.join(map(written, groups))}" if groups else ""
        rows = select.ask(asked, where=[written(one.node) for one in select.conjuncts], end=by)
        row = next(row for row in rows if repr(row[1 + len(inner) :]) == repr(values))
        cells = once(cell for one in origin.combos for cell in cells_in(select, one, node, text_of(node)))
        said = ", ".join(f"{text_of(one)} is {shown(row[1 + n])}" for n, one in enumerate(_distinct(node)))
        found.append(
            Condition(
                text_of(node),
                "HAVING",
                row[0],
                f"{said}; the group has {count(origin.size, 'row')}",
                tuple(cells),
                threshold=turning_group(select, origin.combos, node) if alone and row[0] is not True else None,
            )
        )
    return tuple(found)


def _distinct(node: Any) -> list[Any]:
    from sqlglot import exp

    found = [
        one.parent if isinstance(one.parent, (exp.Filter, exp.WithinGroup)) else one
        for one in node.find_all(exp.AggFunc)
    ]
    return list({written(one): one for one in found}.values())
