"""Cells that the parts of a SELECT read of a combination of rows, with the text that reads them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from replaykit.display import show_text, show_value
from replaykit.reasons.sql_reading import outer_columns
from replaykit.reasons.values import Cell, amount

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replaykit.reasons.sql_selects import Combo, Select

__all__ = ["cells_in", "once", "shown"]


def cells_in(select: Select, combo: Combo, node: Any, where: str, alias: str | None = None) -> list[Cell]:
    """Return the cells a node reads of a combination's rows in state tables, in the order of the text.

    With `alias` only those of that source.
    """
    found = []
    for column in outer_columns(node):
        source = select.sources.get(column.table)
        place = combo.get(column.table)
        if source is None or source.table is None or place is None or alias not in (None, column.table):
            continue
        bench, table = select.bench, source.table
        if column.name in bench.types[table]:
            name = bench.types[table][column.name][0]
            value = bench.row(table, place)[name]
            found.append(Cell(bench.tables[table].name, bench.key(table, place), name, value, where))
    return once(found)


def once(cells: Iterable[Cell]) -> list[Cell]:
    """Return cells without those that an earlier one names already."""
    found: dict[tuple[str, str, str], Cell] = {}
    for cell in cells:
        found.setdefault((cell.table, repr(cell.key), cell.column), cell)
    return list(found.values())


def shown(value: Any) -> str:
    """Return a value as sentences show it: text in quotes, spans in seconds."""
    if isinstance(value, timedelta):
        return amount(value)
    return f"'{show_text(value, 60)}'" if isinstance(value, str) else show_value(value, 60)
