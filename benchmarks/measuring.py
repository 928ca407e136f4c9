"""How a case is measured: in a process of its own, with the seconds and the peak memory of that process."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

__all__ = ["Clock", "Measured", "best", "compare", "measure", "measure_in_turns"]

_ROOT = Path(__file__).parent.parent
_RESULT = "MEASURED "


@dataclass
class Clock:
    """Adds up the seconds spent inside ``with clock:``, and keeps the process's peak memory at the end of the last."""

    seconds: float = 0.0
    megabytes: float = 0.0

    def __enter__(self) -> Clock:
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._start
        self.megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@dataclass(frozen=True)
class Measured:
    """What one run of a case took."""

    case: str
    seconds: float
    megabytes: float
    """Peak resident memory of the process until the clock stopped, imports included."""
    found: Mapping[str, Any] = field(default_factory=dict)
    """What else the case told."""


def measure(case: str, **options: Any) -> Measured:
    """Run a function of `benchmarks.cases` in a process of its own.

    Raises
    ------
    RuntimeError
        The process failed; the message ends with what it said.
    """
    command = [sys.executable, "-m", "benchmarks.measuring", case, json.dumps(options, default=str)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith(_RESULT)]
    if done.returncode or not lines:
        raise RuntimeError(f"Case {case} failed: {done.stderr[-2_000:]}")
    return Measured(case, **json.loads(lines[-1].removeprefix(_RESULT)))


def measure_in_turns(cases: Mapping[str, Mapping[str, Any]], repeats: int) -> Iterable[dict[str, Measured]]:
    """Yield one round after another, each with every case once."""
    for _ in range(repeats):
        yield {case: measure(case, **options) for case, options in cases.items()}


def best(rounds: Iterable[Mapping[str, Measured]], case: str) -> Measured:
    """Return a case's fastest run, with the highest of its peaks."""
    runs = [found[case] for found in rounds]
    fastest = min(runs, key=lambda run: run.seconds)
    return Measured(case, fastest.seconds, max(run.megabytes for run in runs), fastest.found)


def compare(ours: Path, peer: Path, columns: Mapping[str, str], order: str) -> int:
    """Compare two Parquet files cell for cell and return how many rows they have.

    Raises
    ------
    AssertionError
        They differ; the message says in how many rows, and shows the first.
    """
    listed = ", ".join(f'CAST("{name}" AS {sql}) AS "{name}"' for name, sql in columns.items())
    with duckdb.connect() as connection:
        for name, path in (("ours", ours), ("peer", peer)):
            source = f"SELECT {listed} FROM read_parquet(?) ORDER BY {order}"
            connection.execute(
                f"CREATE TABLE {name} AS SELECT row_number() OVER () AS place, * FROM ({source})", [str(path)]
            )
        differing = connection.execute(
            "SELECT * FROM ours FULL JOIN peer ON ours.place = peer.place "
            "WHERE ours IS DISTINCT FROM peer ORDER BY coalesce(ours.place, peer.place)"
        ).fetchall()
        if differing:
            raise AssertionError(f"{ours} and {peer} differ in {len(differing):,} rows; the first: {differing[0]}")
        return int(connection.execute("SELECT count(*) FROM ours").fetchall()[0][0])


def _main() -> None:
    from benchmarks import cases

    clock = Clock()
    found = getattr(cases, sys.argv[1])(clock, **json.loads(sys.argv[2])) or {}
    print(_RESULT + json.dumps({"seconds": clock.seconds, "megabytes": clock.megabytes, "found": found}), flush=True)


if __name__ == "__main__":
    _main()
