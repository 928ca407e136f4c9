"""The explorer on many events: how long a person waits for the first picture, and for each new one in a drag."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measuring import Measured, best, measure
from benchmarks.table import Line
from benchmarks.workload import ROLES, write_events

__all__ = ["run"]


def run(rows: int = 10_000_000, repeats: int = 3) -> list[Line]:
    """Measure both and return a line each; every count is compared with a query's."""
    import replaykit as rk

    with tempfile.TemporaryDirectory(prefix="replaykit-bench-") as folder:
        source, path = Path(folder) / "events.parquet", Path(folder) / "events.duckdb"
        write_events(source, rows, max(rows // 100, 1))
        with rk.load(source, **ROLES, save=path):
            pass
        rounds = [{"explorer": measure("explorer", recording=str(path))} for _ in range(repeats)]
    first = best(rounds, "explorer")
    drags = [one["explorer"].found["drag"] for one in rounds]
    drag = Measured("drag", min(drags), first.megabytes)
    return [
        Line.within("explorer, first picture", f"{rows:,} events", first, 1.0),
        Line.within("explorer, new picture and count in a drag (median)", f"{rows:,} events", drag, 0.1),
    ]
