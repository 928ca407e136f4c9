"""Spans: the versions of rows as tables that say from which tick to which each was there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from replaykit.history import History
    from replaykit.temporal.ticks_table import Ticks

__all__ = ["BORN", "TICKS", "load_events", "load_ticks", "load_versions", "spans_name"]

BORN = "replaykit_born"
"""Column that holds the insertion position of a row; for an event, its step."""
TICKS = "replaykit_ticks"


def spans_name(table: str) -> str:
    """Return the name of the table with the spans of a state table's rows, or of the events."""
    return f"replaykit_spans_{table.lower()}"


def load_versions(connection: duckdb.DuckDBPyConnection, history: History, name: str, ticks: Ticks) -> None:
    """Create the spans of a state table: its columns, `BORN`, ``t0`` and ``t1``, ticks ``[t0, t1)``.

    Versions that no tick sees are left out. The others come in order of insertion, then of time.
    """
    import numpy as np

    rows = history._versions(name)
    start = ticks.seeing(rows["step"].to_numpy())
    ends = rows["valid_to"].to_numpy(zero_copy_only=False).astype("float64")  # NaN while open
    open_ = np.isnan(ends)
    end = np.where(open_, ticks.count, ticks.seeing(np.where(open_, 0, ends).astype("int64")))
    seen = (start < end) & ~rows["deleted"].to_numpy(zero_copy_only=False)
    kept = rows.append_column("t0", [start]).append_column("t1", [end]).filter(seen)
    _create(connection, name, kept, f"{history._stored(name)}, born AS {quote(BORN)}")


def load_events(connection: duckdb.DuckDBPyConnection, columns: Iterable[str], ticks: Ticks) -> None:
    """Create the spans of the events that the view ``events`` shows: there from the first tick behind them on."""
    listed = ", ".join(quote(one) for one in sorted({*columns, "step"}))
    rows = connection.sql(f"SELECT {listed} FROM events").to_arrow_table()
    start = ticks.seeing(rows["step"].to_numpy())
    kept = rows.append_column("t0", [start]).filter(start < ticks.count)
    _create(connection, "events", kept, f"{listed}, step AS {quote(BORN)}, {ticks.count} AS t1", "t0, ")


def load_ticks(connection: duckdb.DuckDBPyConnection, ticks: Ticks) -> None:
    """Create the table of tick numbers and times, for ticks that no interval gives."""
    connection.register("replaykit_rows", ticks.table())
    connection.execute(f"CREATE TEMP TABLE {TICKS} AS SELECT tick, moment FROM replaykit_rows")
    connection.unregister("replaykit_rows")


def _create(connection: duckdb.DuckDBPyConnection, name: str, rows: Any, listed: str, ends: str = "t0, t1, ") -> None:
    connection.register("replaykit_rows", rows)
    try:
        connection.execute(
            f"CREATE TEMP TABLE {quote(spans_name(name))} AS SELECT {ends}{listed} FROM replaykit_rows "
            f"ORDER BY {quote(BORN)}, t0"
        )
    finally:
        connection.unregister("replaykit_rows")
