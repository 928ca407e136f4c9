"""Late tables: rows of a state that are read from the history when somebody first looks into their table."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from replaykit.rows import Row
    from replaykit.state_table import StateTable

__all__ = ["make_late"]


def make_late(table: StateTable, read: Callable[[], tuple[dict[Any, Row], dict[Any, int]]]) -> None:
    """Let an empty table take its rows and their insertion numbers, by key, from `read` when first looked into."""
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
    rows, born = table._late_read()
    table._rows, table._born = dict(rows), dict(born)
    table._next = max(born.values(), default=0) + 1
