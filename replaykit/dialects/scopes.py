"""Scopes: which columns a name in a SELECT can mean, and of what kind they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from replaykit.dialects.pieces import column_kind

__all__ = ["Kinds", "Scope", "table_kinds"]

Kinds = Mapping[str, tuple[str, bool]]
"""Columns by name: kind, and whether whole numbers are narrow."""

_EVENTS = {"step": "BIGINT", "position": "BIGINT", "occurred_at": "TIMESTAMP", "kind": "VARCHAR",
           "event_id": "VARCHAR", "payload": "JSON"}  # fmt: skip


@dataclass
class Scope:
    """The sources of one SELECT, those of the SELECTs around it, and the WITH queries it can name."""

    parent: Scope | None = None
    queries: dict[str, Kinds] = field(default_factory=dict)
    sources: dict[str, tuple[Kinds, bool]] = field(default_factory=dict)
    """Columns by alias, and whether there may be more than are known."""
    outputs: dict[str, Any] = field(default_factory=dict)
    """What this SELECT gives, by name."""
    width: int = 0
    """How many columns this SELECT gives, once that is known: ORDER BY may count them."""
    merged: bool = False
    """Whether USING has made one column of two."""
    grouped: set[str] | None = None
    """Columns that GROUP BY names, as ``source.column``; None where nothing is grouped."""
    inside: int = 0
    """How many aggregates the reading is inside of."""

    def child(self) -> Scope:
        """Return the scope of a SELECT inside this one."""
        return Scope(self, dict(self.queries))

    def find(self, name: str, source: str = "") -> tuple[str, tuple[str, bool], Scope] | None:
        """Return alias, kind and scope of a column; None if no source has it. An ambiguous one is of kind ``any``."""
        scope: Scope | None = self
        while scope is not None:
            fits = [
                (alias, columns.get(name.lower(), ("any", False)))
                for alias, (columns, more) in scope.sources.items()
                if source.lower() in ("", alias) and (name.lower() in columns or more)
            ]
            sure = [one for one in fits if name.lower() in scope.sources[one[0]][0]] or fits
            if sure:
                return (*(sure[0] if len(sure) == 1 else (sure[0][0], _shared(sure))), scope)
            scope = scope.parent
        return None


def _shared(fits: list[tuple[str, tuple[str, bool]]]) -> tuple[str, bool]:
    """Return the kind of a column that USING has joined."""
    kinds = {kind for _, kind in fits}
    return fits[0][1] if len(kinds) == 1 else ("any", False)


def table_kinds(tables: Mapping[str, Any]) -> dict[str, tuple[Kinds, bool]]:
    """Return the columns of the state tables and of ``events``, and for each whether it may have more."""
    found: dict[str, tuple[Kinds, bool]] = {
        name.lower(): ({column.lower(): column_kind(sql) for column, sql in table.columns.items()}, not table.columns)
        for name, table in tables.items()
    }
    found.setdefault("events", ({name: column_kind(sql) for name, sql in _EVENTS.items()}, True))
    return found
