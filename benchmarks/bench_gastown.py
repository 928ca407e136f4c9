"""gastown: its events beside the same operations in SQLite, and the whole trace beside a set that only holds rows.

Events
    Ours is ``rk.replay`` as an engineer would call it, with the handlers alone (no rules, no invariants), errors kept
    and every version kept. The clock runs in the loop only: from the first event read from the recording to the last
    change moved into the history. The peer's runs in its own loop: it reads the same events from the same file, applies
    them by SQL inside one savepoint, triggers keeping every version, and rolls back. In neither: opening the recording,
    creating tables, loading the base, and what comes behind the loop (sealing the history, framing results, the
    verdict). The size column says what both took with all of that, opening the recording aside. The peer trusts its
    rows, while the handlers check them as the program does.

Whole trace
    Ours is what ``rk.replay(recording, gastown, ticks="recorded", actions="recorded")`` does but its verdict, since the
    peer compares nothing; what the verdict takes on top is in the size column. The peer runs the same handlers, rules
    and appliers on dicts of dicts, reads inputs by the same functions, and answers the five invariants in Python, which
    are SQL in ours: the ratio includes what SQL costs. Loading the recording is in neither.

Final tables are compared cell for cell in row order; versions and which events raised for the one, the actions and the
violations of every tick for the other.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import Measured, best, measure, measure_in_turns
from benchmarks.table import Line

__all__ = ["Sizes", "agree", "run"]

_PAIRS = (("gastown_events", "gastown_sqlite"), ("gastown_trace", "gastown_bare"))


@dataclass(frozen=True)
class Sizes:
    """How much is replayed."""

    events: int = 50_000
    end: str | None = None
    """Where the window over the trace ends; None is all twelve hours."""


def run(sizes: Sizes = Sizes(), repeats: int = 3) -> list[Line]:
    """Measure, compare what both sides of each line came to, and return the lines.

    Raises
    ------
    AssertionError
        A peer came to something else.
    """
    with tempfile.TemporaryDirectory(prefix="replaykit-bench-") as folder:
        events, trace = (str(Path(folder) / f"{name}.duckdb") for name in ("events", "trace"))
        measure("make_gastown_events", path=events, events=sizes.events)
        measure("make_gastown_trace", path=trace)
        of_events = {"recording": events, "out": folder}
        of_trace = {"recording": trace, "out": folder, "end": sizes.end}
        cases = {
            "gastown_events": of_events,
            "gastown_sqlite": of_events,
            "gastown_trace": of_trace,
            "gastown_bare": of_trace,
        }
        rounds = []
        for found in measure_in_turns(cases, repeats):
            rounds.append(found)
            for ours, peer in _PAIRS:
                agree(Path(folder) / f"{ours}.json", Path(folder) / f"{peer}.json")
    return [_of_events(rounds), _of_trace(rounds)]


def _of_events(rounds: list[dict[str, Measured]]) -> Line:
    ours, peer = (best(rounds, case) for case in _PAIRS[0])
    events = ours.found["events"]
    speeds = " and ".join(f"{events / one.seconds:,.0f}/s" for one in (ours, peer))
    whole = " and ".join(f"{one.found['whole']:.2f} s" for one in (ours, peer))
    size = f"{events:,} events ({ours.found['changed']:,} change something), {speeds}; with all else {whole}"
    what = "SQLite SAVEPOINT and triggers, rows unchecked"
    return Line.faster("gastown apply_event, the trace's own mix", size, ours, what, peer, 1.0)


def _of_trace(rounds: list[dict[str, Measured]]) -> Line:
    ours, peer = (best(rounds, case) for case in _PAIRS[1])
    found = ours.found
    size = f"{found['inputs']:,} inputs, {found['ticks']:,} ticks; verdict {found['verdict_seconds']:.2f} s more"
    return Line.at_most("gastown, whole trace", size, ours, "same rules on dicts, no history, no checks", peer, 1.6)


def agree(ours: Path, peer: Path) -> None:
    """Compare what two cases wrote.

    Raises
    ------
    AssertionError
        They differ; the message names the first difference.
    """
    texts = [path.read_text(encoding="utf-8") for path in (ours, peer)]
    if texts[0] != texts[1]:  # the same values are written as the same text
        difference = _difference(*map(json.loads, texts), ours.stem)
        raise AssertionError(f"{ours.stem} and {peer.stem} differ: {difference}")


def _difference(one: Any, other: Any, place: str) -> str | None:
    if type(one) is not type(other):
        return f"{place} is {one!r} and {other!r}"
    if isinstance(one, dict):
        if list(one) != list(other):
            return f"{place} holds {list(one)} and {list(other)}"
        pairs = [(f"{place}.{name}", one[name], other[name]) for name in one]
    elif isinstance(one, list):
        pairs = [(f"{place}[{n}]", *both) for n, both in enumerate(zip(one, other, strict=False))]
    else:
        return None if one == other else f"{place} is {one!r} and {other!r}"
    found = next((said for name, a, b in pairs if (said := _difference(a, b, name))), None)
    if found is None and len(one) != len(other):
        return f"{place} has {len(one)} and {len(other)} entries"
    return found
