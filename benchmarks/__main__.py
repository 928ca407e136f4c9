"""``python -m benchmarks``: print the table; ``--quick`` runs a tenth once, ``--only replay`` one part of it."""

from __future__ import annotations

import argparse
import os
import platform

import duckdb

from benchmarks import (
    bench_ask,
    bench_explorer,
    bench_external,
    bench_gastown,
    bench_load,
    bench_loop,
    bench_replay,
    bench_rules,
)
from benchmarks.bench_replay import Sizes
from benchmarks.measuring import measure
from benchmarks.table import Line, as_text, peak_line

_PARTS = ("replay", "ask", "rules", "loop", "gastown", "diff", "load", "explorer", "external")
_A_TENTH = "2026-03-26T09:12:00Z"  # of the twelve hours traced


def main() -> None:
    """Measure what was asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, once")
    parser.add_argument("--only", choices=_PARTS, help="one part of the table")
    parser.add_argument("--repeats", type=int, default=None, help="rounds; the best of each case counts (3)")
    asked = parser.parse_args()
    part, repeats = 10 if asked.quick else 1, asked.repeats or (1 if asked.quick else 3)
    lines: list[Line] = []
    for name in (asked.only,) if asked.only else _PARTS:
        lines += _measured(name, part, repeats)
    if not asked.only:
        lines.append(peak_line(lines))
    print(as_text(lines))
    print(f"\n{_machine()}")


def _measured(name: str, part: int, repeats: int) -> list[Line]:
    if name == "replay":
        return bench_replay.run(Sizes(1_000_000 // part, 10_000 // part, 20_000 // part), repeats)
    if name == "rules":
        return bench_rules.run(bench_rules.Sizes(8_640 // part, 120 // part), repeats)
    if name == "ask":
        return bench_ask.run(1_000_000 // part, 10_000 // part, repeats)
    if name == "loop":
        return bench_loop.run(12 / part, None if part == 1 else _A_TENTH, repeats)
    if name == "gastown":
        return bench_gastown.run(bench_gastown.Sizes(50_000 // part, None if part == 1 else _A_TENTH), repeats)
    if name == "explorer":
        return bench_explorer.run(10_000_000 // part, repeats)
    if name == "external":
        return bench_external.run(20_000 // part, repeats)
    if name == "load":
        return bench_load.run(5_000_000 // part, repeats)
    rows = 1_000_000 // part
    found = measure("diff", rows=rows, repeats=repeats)
    # Both frames and every peer share that process, so its peak is more than the diff's own.
    return [Line.of_diff(line, f"{rows:,} rows x 20", found.megabytes) for line in found.found["lines"]]


def _machine() -> str:
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}, {os.cpu_count()} cores, load {load}. "
        "Ratios of one run, rounds in turn, best of each; final states and histories equal, cell for cell."
    )


if __name__ == "__main__":
    main()
