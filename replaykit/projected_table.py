"""ProjectedTable: a state table that projections fill and handlers only read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from replaykit.errors import StateError
from replaykit.state_table import StateTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replaykit.rows import Row

__all__ = ["ProjectedTable"]


class ProjectedTable(StateTable):
    """A table that projections fill: handlers may read it, not write it."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise StateError(
            f"Table {self.name!r} is filled by projections, and a table has projections or handlers, never both; "
            "write what handlers find into a table of their own."
        )

    insert = update = upsert = delete = _refuse

    def _change(self, key: Any, old: Row, given: dict[str, Any]) -> Row:
        new = super()._change(key, old, given)
        if new is old:  # each projected row is a version, as it is when all steps are computed at once
            self._state._log((self._state.step, self, key, new, old, self._born[key]))
        return new

    def replace(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Hold these rows instead, in this order, without logging a change."""
        for held in (self._rows, self._born, self._index, self._unsorted):
            held.clear()
        self.load(rows)
