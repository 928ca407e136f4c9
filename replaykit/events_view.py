"""EventsView: what the table ``events`` shows to a replay's SQL, the inputs up to the step the replay is at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.storage import load_arrow

if TYPE_CHECKING:
    import duckdb

    from replaykit.inputs import Plan

__all__ = ["EventsView"]


class EventsView:
    """The view ``events`` of a replay, created anew for each step that SQL asks it at."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, plan: Plan, *, numbered: bool) -> None:
        self._connection = connection
        self._plan = plan
        self._numbered = numbered
        self._pairs: list[tuple[int, int, Any]] = []
        self._paired = 0
        self._shown = -1

    def take(self, pairs: list[tuple[int, int, Any]]) -> None:
        """Take the engine's growing list of ``(step, position, clock)``, where steps are not consecutive positions."""
        self._pairs = pairs

    def forget(self) -> None:
        """Say that the transaction was lost."""
        self._paired = 0
        self._shown = -1

    def show(self, step: int) -> None:
        """Show the inputs up to a step, with their ``step`` in front."""
        if self._numbered:
            self._load_pairs()
        if step != self._shown:
            self._connection.execute(f"CREATE OR REPLACE TEMP VIEW events AS {self._query(step)}")
            self._shown = step

    def show_all(self) -> None:
        """Show the whole input of the replay, as projections read it: steps count events only."""
        start, end = self._plan.window.bounds()
        where = self._plan.where.replace("$first", str(int(self._plan.first)))
        where = where.replace("$start", f"TIMESTAMP '{start}'").replace("$end", f"TIMESTAMP '{end}'")
        step = "row_number() OVER (ORDER BY position)" if self._numbered else f"position - {int(self._plan.first)}"
        self._connection.execute(
            f"CREATE OR REPLACE TEMP VIEW events AS SELECT {step} AS step, * FROM recording.main.events WHERE {where}"
        )
        self._shown = -1

    def _load_pairs(self) -> None:
        import pyarrow as pa

        self._connection.execute("CREATE TEMP TABLE IF NOT EXISTS replaykit_inputs (step BIGINT, position BIGINT)")
        fresh = self._pairs[self._paired :]
        if fresh:
            steps, positions = pa.array([one[0] for one in fresh]), pa.array([one[1] for one in fresh])
            load_arrow(self._connection, "replaykit_inputs", pa.table([steps, positions], names=["step", "position"]))
        self._paired = len(self._pairs)

    def _query(self, step: int) -> str:
        if self._numbered:
            return (
                "SELECT i.step, e.* FROM recording.main.events e JOIN replaykit_inputs i USING (position) "
                f"WHERE i.step <= {int(step)} ORDER BY i.step"
            )
        first = int(self._plan.first)
        last = min(first + int(step), int(self._plan.last))
        return (
            f"SELECT position - {first} AS step, * FROM recording.main.events "
            f"WHERE position > {first} AND position <= {last}"
        )
