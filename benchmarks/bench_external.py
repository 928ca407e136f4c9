"""An external program's events, applied through ``rk.replay``, beside the bare pipe to the same program.

The peer writes the same requests to the same program and reads its replies; it keeps no history, checks no shape and
guards against nothing. Both must have counted the same.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measuring import best, measure, measure_in_turns
from benchmarks.table import Line

__all__ = ["run"]

_STATES = {"json": 4.0, "sqlite": 6.0}


def run(events: int = 20_000, repeats: int = 3) -> list[Line]:
    """Measure, compare, and return the lines.

    Raises
    ------
    AssertionError
        A replay and the bare pipe counted something else.
    """
    with tempfile.TemporaryDirectory(prefix="replaykit-bench-") as folder:
        path = str(Path(folder) / "beats.duckdb")
        measure("make_external", path=path, events=events)
        lines = []
        for state, aim in _STATES.items():
            cases = {"external_ours": {"recording": path, "state": state}, "external_bare": {"events": events}}
            rounds = list(measure_in_turns(cases, repeats))
            ours, bare = best(rounds, "external_ours"), best(rounds, "external_bare")
            assert ours.found["counts"] == bare.found["counts"], f"state={state!r}: other counts"
            size = f"{events:,} events, {events / ours.seconds:,.0f} a second"
            lines.append(Line.at_most(f"external program, {state}", size, ours, "bare pipe", bare, aim))
    return lines
