"""Late tables: rows of a state that are read from the history when somebody first looks into their table."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from replaykit.rows import Row
    from replaykit.state_table import StateTable

__all__ = ["make_late"]


def make_late(table: StateTable, read: Callable[[], list[tuple[int, Row]]]) -> None:
    """Let an empty table take its rows, with their insertion numbers, from `read` when first looked into."""
    late: Any = table
    kind: Any = type(table)
    late.__class__ = _late(kind)
    for name in ("_rows", "_born", "_next"):
        late.__dict__.pop(name, None)
    late._late_read = read


@lru_cache(maxsize=8)
def _late(base: Any) -> Any:
    """Return a subclass that fills in rows and insertion numbers as soon as one of them is asked for."""

    def missing(self: Any, name: str) -> Any:
        if name not in ("_rows", "_born", "_next"):
            raise AttributeError(f"{base.__name__} has no attribute {name!r}")
        _fill(self)
        return self.__dict__[name]

    return type(base.__name__, (base,), {"__getattr__": missing})


def _fill(table: Any) -> None:
    found = table._late_read()
    keys = [table._key_of(row) for _, row in found]
    table._rows = dict(zip(keys, (row for _, row in found), strict=True))
    table._born = dict(zip(keys, (born for born, _ in found), strict=True))
    table._next = max((born for born, _ in found), default=0) + 1
