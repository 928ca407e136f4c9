"""Questions after a replay: how long each takes on a long history, beside replaying once more."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measuring import measure
from benchmarks.table import Line
from benchmarks.workload import COLUMNS

__all__ = ["run"]

_AIM = 0.050
_AIM_OF_REASONS = 0.200
_NAMES = {
    "at": "the state at a moment",
    "blame": "blame of a cell",
    "touched": "all that one event changed",
    "first": "the first time of a query",
    "when": "all times of a query",
    "diff": "diff of moments 1,000 steps apart",
    "diff of all": "diff of base and end",
    "gross diff": "gross diff of 1,000 steps",
    "why": "why, a rule in Python",
    "why sql": "why, a rule in SQL",
    "why not": "why not, a rule in Python",
    "why not sql": "why not, a rule in SQL",
}


def run(events: int = 1_000_000, rows: int = 10_000, repeats: int = 3) -> list[Line]:
    """Measure and return a line for each question; each answer is compared with the bare history's.

    Raises
    ------
    RuntimeError
        An answer was wrong.
    """
    with tempfile.TemporaryDirectory(prefix="replaykit-bench-") as folder:
        recording = str(Path(folder) / "recording.duckdb")
        measure("make_recording", path=recording, events=events, rows=rows)
        rounds = [measure("ask", recording=recording) for _ in range(repeats)]
    replay = min(one.seconds for one in rounds)
    peak = max(one.megabytes for one in rounds)
    size = f"{events:,} changes, {rows:,} rows x {len(COLUMNS)}"
    lines = []
    for name, told in _NAMES.items():
        seconds = min(one.found[name] for one in rounds)
        most = _AIM_OF_REASONS if name.startswith("why") else _AIM
        aim, what = f"< {most * 1_000:g} ms", "replaying again, by handlers"
        lines.append(Line(f"{told} (median)", size, seconds, what, replay, replay / seconds, aim, seconds < most, peak))
    return lines
