"""Moment: the state after one of the steps of a replay, read from its history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.errors import show_time
from replaykit.tables import LazyTables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pandas as pd

    from replaykit.blame import Blame
    from replaykit.history import History

__all__ = ["Moment"]


@dataclass(frozen=True, repr=False, eq=False)
class Moment:
    """The state after one step. Its tables are read from the history when asked for; nothing is replayed."""

    history: History
    step: int
    """The last step included; 0 is the base."""
    at: datetime | None
    """The clock at that step, naive UTC."""

    def __repr__(self) -> str:
        return f"Moment(step {self.step}, {show_time(self.at)}, {len(self.history.keys)} tables)"

    def __getitem__(self, table: str) -> pd.DataFrame:
        """Return a table as of this moment, in insertion order."""
        return self.history.frame(self.history.at_query(self.history.check_table(table), self.step))

    def _repr_html_(self) -> str:
        from replaykit.replay_html import moment_html

        return moment_html(self)

    @property
    def keys(self) -> Mapping[str, tuple[str, ...]]:
        """Key columns by table."""
        return self.history.keys

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Every table as of this moment, read when taken out."""
        return LazyTables(self.keys, self.__getitem__)

    def blame(self, table: str, key: Any, column: str) -> Blame:
        """Return which step set a cell to what it is at this moment, and what was behind it; see `replaykit.blame`."""
        from replaykit.blame import blame

        return blame(self, table, key, column)

    def sql(self, query: str, params: Mapping[str, Any] | None = None, /, **named: Any) -> pd.DataFrame:
        """Run one SELECT over the state tables as of this moment; ``history.<table>`` and ``steps`` are there too."""
        return self.history.ask(query, {**(params or {}), **named}, step=self.step)
