"""The closed loop with Python rules, beside the same program on bare dictionaries; actions and final rows are equal.

gastown
    Its own fifteen rules and its appliers over the twelve hours traced, on both sides; the peer's dictionaries are
    indexed. No invariants, which are SQL, and no verdict, since the peer compares nothing.
fleet
    Five small rules over about twenty live jobs. A tick takes the peer 50 us, so the ratio shows what one event, one
    action and one tick cost us apart from the rules: history, types, the log of changes, identities. Everything that
    ``rk.replay`` does is in it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.bench_gastown import agree
from benchmarks.measuring import Measured, best, measure, measure_in_turns
from benchmarks.table import Line

__all__ = ["run"]

_PAIRS = (("gastown_loop", "gastown_loop_bare"), ("loop_ours", "loop_bare"))


def run(hours: float = 12, end: str | None = None, repeats: int = 3) -> list[Line]:
    """Measure, compare, and return the lines.

    Parameters
    ----------
    hours
        How long the fleet runs.
    end
        Where the window over the trace ends; None is all twelve hours.

    Raises
    ------
    AssertionError
        The two sides of a line came to something else.
    """
    with tempfile.TemporaryDirectory(prefix="replaykit-bench-") as folder:
        fleet, trace = (str(Path(folder) / f"{name}.duckdb") for name in ("fleet", "trace"))
        measure("make_loop", path=fleet, hours=hours)
        measure("make_gastown_trace", path=trace)
        of_trace = {"recording": trace, "out": folder, "end": end}
        of_fleet = {"recording": fleet, "out": folder, "hours": hours}
        cases = dict.fromkeys(_PAIRS[0], of_trace) | dict.fromkeys(_PAIRS[1], of_fleet)
        rounds = []
        for found in measure_in_turns(cases, repeats):
            rounds.append(found)
            for ours, peer in _PAIRS:
                agree(Path(folder) / f"{ours}.json", Path(folder) / f"{peer}.json")
    names = ("closed loop: gastown's rules", "closed loop: five small rules")
    return [_line(name, rounds, *pair) for name, pair in zip(names, _PAIRS, strict=True)]


def _line(name: str, rounds: list[dict[str, Measured]], ours: str, peer: str) -> Line:
    best_of = best(rounds, ours)
    told = best_of.found
    size = f"{told['events']:,} events, {told['ticks']:,} ticks of 5 s, {told['actions']:,} actions applied"
    return Line.at_most(name, size, best_of, "bare dictionaries, no history", best(rounds, peer), 2.0)
