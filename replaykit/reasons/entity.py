"""Entity: the rows that a question is about, and whether something holds one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replaykit.declarations import Rule
    from replaykit.state import State

__all__ = ["Entity", "entity_of"]

_INSIDE = 8  # members of a tuple or list that are looked at


@dataclass
class Entity:
    """What an action that was not emitted would have been about."""

    values: tuple[Any, ...]
    """The values of the fields that name it."""
    rows: set[tuple[str, Any]] = field(default_factory=set)
    """Table and key of the rows that have such a key."""
    naming: set[tuple[str, Any]] = field(default_factory=set)
    """Of further rows that hold such a value in another column."""

    def holds(self, variables: Mapping[str, Any]) -> bool:
        """Return whether one of its rows, or a value that names it, is among variables."""
        return any(self.level(value) < 4 for value in variables.values())

    def level(self, value: Any) -> int:
        """Return 0 for one of its rows, 1 for a row that names it, 2 for such a value, 3 for what holds a row, or 4."""
        kind = type(value)
        if kind is str:
            return 2 if value in self.values else 4
        if hasattr(value, "_rk_table"):
            row = (value._rk_table, value._rk_key)
            return 0 if row in self.rows else 1 if row in self.naming else 4
        if isinstance(value, (tuple, list)) and len(value) <= _INSIDE:
            return 3 if any(self.level(one) < 2 for one in value if not isinstance(one, (tuple, list))) else 4
        return 4


def entity_of(rule: Rule, fields: Mapping[str, Any], state: State, looked_at: Iterable[str]) -> Entity:
    """Return what the fields of an action name, as far as rows of a state go.

    Parameters
    ----------
    looked_at
        The tables a rule looked into.
    """
    named = [name for name in rule.key if name in fields and fields[name] not in (None, "")]
    chosen = named or [name for name in fields if fields[name] not in (None, "")]
    entity = Entity(tuple(fields[name] for name in chosen))
    _take_rows(entity, state, set(looked_at))
    if not entity.rows and not entity.naming:
        _take_rows(entity, state, set(state.tables))
    return entity


def _take_rows(entity: Entity, state: State, tables: set[str]) -> None:
    values = frozenset(entity.values)
    for name in sorted(tables):
        for key, row in state.tables[name]._rows.items():
            if values.isdisjoint(dict.values(row)):
                continue
            if not values.isdisjoint(key if isinstance(key, tuple) else (key,)):
                entity.rows.add((name, key))
            else:
                entity.naming.add((name, key))
