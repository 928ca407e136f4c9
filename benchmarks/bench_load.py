"""Loading: a Parquet file into a sealed recording beside CREATE TABLE AS of the same file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb

from benchmarks.measuring import Measured, best, measure
from benchmarks.table import Line
from benchmarks.workload import ROLES, write_events

__all__ = ["run"]


def run(rows: int = 5_000_000, repeats: int = 3) -> list[Line]:
    """Measure, compare the tables cell for cell, and return the line.

    Raises
    ------
    AssertionError
        The recording does not hold what the file holds, in its order.
    """
    with tempfile.TemporaryDirectory(prefix="replaykit-bench-") as folder:
        source = Path(folder) / "events.parquet"
        write_events(source, rows, max(rows // 100, 1))
        rounds = [_one_round(Path(folder), source) for _ in range(repeats)]
    ours, peer = best(rounds, "load"), best(rounds, "load_by_hand")
    return [Line.at_most("load Parquet, checked and sealed", f"{rows:,} rows x 5", ours, "CREATE TABLE AS", peer, 1.5)]


def _one_round(folder: Path, source: Path) -> dict[str, Measured]:
    paths = {case: folder / f"{case}.duckdb" for case in ("load", "load_by_hand")}
    found = {case: measure(case, source=str(source), path=str(path)) for case, path in paths.items()}
    _agree(paths["load"], paths["load_by_hand"])
    for path in paths.values():
        path.unlink()
    return found


def _agree(ours: Path, peer: Path) -> None:
    canonical = {"time": "occurred_at", "kind": "kind", "id": "event_id", "payload": "payload"}
    pairs = [(canonical[role], name) for role, name in ROLES.items()] + [("job_id", "job_id")]
    differs = " OR ".join(f"a.{one} IS DISTINCT FROM b.{other}" for one, other in pairs)
    with duckdb.connect() as connection:
        for name, path in (("a", ours), ("b", peer)):
            connection.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS {name}_file (READ_ONLY)")
        # Both hold the file's order, so rows meet by place; a longer table leaves NULLs on the other side.
        query = f"SELECT count(*) FROM a_file.events a POSITIONAL JOIN b_file.events b WHERE {differs}"
        ((number,),) = connection.execute(query).fetchall()
    if number:
        raise AssertionError(f"The recording differs from the file in {number:,} rows.")
