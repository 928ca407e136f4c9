"""25 SQL rules at every tick of twelve hours, 5 s apart: ours for all ticks at once, peers tick by tick.

Ours runs inside ``rk.replay``, and its clock while that reads and rewrites statements, turns row versions into spans,
asks, and puts an emission at every tick: all that is done for the rules until each tick has what it said. The peers'
clocks run only while they ask and fetch; that their state follows the events costs them nothing. In neither: replaying
the events, and framing results. SQLite has the indexes that the rules' conditions want, and statistics. DuckDB is asked
at the first ticks only, and its time is scaled to all of them.

All three say the same rows at the same ticks in the same order, or this raises.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.measuring import Measured, best, measure, measure_in_turns
from benchmarks.table import Line

__all__ = ["Sizes", "run"]

_LARGE = 30


@dataclass(frozen=True)
class Sizes:
    """How much is asked."""

    ticks: int = 8_640
    part: int = 120
    """Ticks at which DuckDB is asked tick by tick."""
    events: int = 22_000
    """In the twelve hours."""
    large: int = _LARGE


def run(sizes: Sizes = Sizes(), repeats: int = 3) -> list[Line]:
    """Measure, compare what was said, and return the lines.

    Raises
    ------
    AssertionError
        Ours and a peer said something else.
    """
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="replaykit-bench-") as folder:
        for scale, aim in ((1, 2.0), (sizes.large, 5.0)):
            path = str(Path(folder) / f"rules_{scale}.duckdb")
            measure("make_rules", path=path, events=sizes.events, scale=scale)
            lines += _of_scale(path, scale, aim, sizes, repeats)
    return lines


def _of_scale(path: str, scale: int, aim: float, sizes: Sizes, repeats: int) -> list[Line]:
    cases: dict[str, dict[str, Any]] = {
        "rules_ours": {"recording": path, "ticks": sizes.ticks},
        "rules_sqlite": {"recording": path, "scale": scale, "ticks": sizes.ticks},
    }
    rounds = list(measure_in_turns(cases, repeats))
    ours, sqlite = best(rounds, "rules_ours"), best(rounds, "rules_sqlite")
    _agree(ours, sqlite)
    what = f"{sizes.ticks:,} ticks, {ours.found['rows']:,} rows said, {_ways(ours)}"
    name = "25 SQL rules at every tick" + (f", state x{scale}" if scale > 1 else "")
    lines = [Line.faster(name, what, ours, "SQLite tick by tick, indexed", sqlite, aim)]
    if scale == 1:
        duck = measure("rules_duckdb", recording=path, scale=scale, ticks=sizes.part)
        _agree(measure("rules_ours", recording=path, ticks=sizes.part), duck)
        scaled = replace(duck, seconds=duck.seconds * sizes.ticks / sizes.part)
        peer = f"DuckDB tick by tick, {sizes.part:,} ticks scaled"
        lines.append(Line.faster(name, what, ours, peer, scaled, 200.0))
    return lines


def _ways(ours: Measured) -> str:
    return ", ".join(f"{number} by {way}" for way, number in sorted(ours.found["ways"].items()))


def _agree(ours: Measured, peer: Measured) -> None:
    found = [(one.found["rows"], one.found["digest"]) for one in (ours, peer)]
    if found[0] != found[1]:
        raise AssertionError(f"{ours.case} and {peer.case} said different rows: {found}")
