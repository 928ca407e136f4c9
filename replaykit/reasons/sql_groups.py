"""The conditions of HAVING on one group, with what its rows add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.display import count
from replaykit.reasons.conditions import Condition
from replaykit.reasons.sql_cells import cells_in, once, shown
from replaykit.reasons.sql_matches import group_of, grouped_by
from replaykit.reasons.sql_reading import conjuncts_of, text_of, written

if TYPE_CHECKING:
    from replaykit.reasons.sql_selects import Combo, Select

__all__ = ["group_conditions"]


def group_conditions(select: Select, combo: Combo) -> tuple[Condition, ...]:
    """Return the conditions HAVING asks of the group a combination belongs to."""
    from sqlglot import exp

    having = select.node.args.get("having")
    groups = grouped_by(select)
    values = select.ask([written(one) for one in groups], [combo])[0] if groups else ()
    origin = group_of(select, values)
    found = []
    for node in conjuncts_of(having.this) if having is not None else ():
        inner = list(dict.fromkeys(written(one) for one in node.find_all(exp.AggFunc)))
        asked = [written(node), *inner, *map(written, groups)]
        by = f" GROUP BY {', '.join(map(written, groups))}" if groups else ""
        rows = select.ask(asked, where=[written(one.node) for one in select.conjuncts], end=by)
        row = next(row for row in rows if repr(row[1 + len(inner) :]) == repr(values))
        cells = once(cell for one in origin.combos for cell in cells_in(select, one, node, text_of(node)))
        said = ", ".join(f"{text_of(one)} is {shown(row[1 + n])}" for n, one in enumerate(_distinct(node)))
        found.append(
            Condition(
                text_of(node), "HAVING", row[0], f"{said}; the group has {count(origin.size, 'row')}", tuple(cells)
            )
        )
    return tuple(found)


def _distinct(node: Any) -> list[Any]:
    from sqlglot import exp

    return list({written(one): one for one in node.find_all(exp.AggFunc)}.values())
