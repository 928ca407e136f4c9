"""The nine metrics of a tick, from a replay: what the program would have reported."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from replaykit.systems.gastown.reconciler import reconciler

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.replayed import Replay

__all__ = ["METRICS", "nine_metrics"]

METRICS = {
    "events_drained": "Int64",
    "actions_emitted": "Int64",
    "actions_by_type": "str",
    "side_effects_attempted": "Int64",
    "side_effects_succeeded": "Int64",
    "side_effects_failed": "Int64",
    "invariant_violations": "Int64",
    "wall_clock_ms": "Int64",
    "pending_event_count": "Int64",
}


@reconciler.measure
def nine_metrics(run: Replay) -> pd.DataFrame:
    """Return ``tick`` and the nine metrics, one row per evaluated tick.

    Side effects are counted where actions are applied; each counts as succeeded, because every effect catches its own
    errors. Violations are missing for a tick whose check lies behind the window. The pending events are those inserted
    and not applied with success by the tick's check; they are known where production is retraced. A replay has no wall
    clock: ``wall_clock_ms`` is missing.
    """
    import pandas as pd

    ticks = run.metrics
    frame = pd.DataFrame({"tick": ticks["tick"]})
    frame["events_drained"] = _drained(run)
    frame["actions_emitted"] = ticks["actions"]
    frame["actions_by_type"] = _by_type(run)
    effects = _effects(run)
    frame["side_effects_attempted"] = effects
    frame["side_effects_succeeded"] = effects
    frame["side_effects_failed"] = None if effects is None else 0
    asked = ticks["tick"].isin(run.checked) | (run.settings["ticks"].mode != "recorded")
    frame["invariant_violations"] = ticks["violations"].where(asked)
    frame["wall_clock_ms"] = None
    frame["pending_event_count"] = _pending(run)
    return frame.astype(METRICS)


def _drained(run: Replay) -> list[int]:
    """Return how many events were applied between each tick's rules and those of the tick before."""
    import numpy as np

    steps = run.history.frame("SELECT step FROM steps WHERE input = 'event' ORDER BY step")
    applied = steps["step"].to_numpy(np.int64)
    before = np.searchsorted(applied, [run.before_step], side="right")
    upto = np.searchsorted(applied, run.metrics["step"].to_numpy(), side="right")
    found: list[int] = np.diff(upto, prepend=before).tolist()
    return found


def _by_type(run: Replay) -> list[str]:
    found: dict[int, Counter[str]] = {}
    for tick, kind, *_ in run.emitted:
        found.setdefault(tick, Counter())[kind] += 1
    return [json.dumps(found.get(tick, {}), separators=(",", ":")) for tick in run.metrics["tick"]]


def _effects(run: Replay) -> list[int] | None:
    if run.settings["actions"] == "collect":
        return None
    found = Counter(run.effects["tick"].dropna().tolist())
    return [found[tick] for tick in run.metrics["tick"]]


def _pending(run: Replay) -> list[Any] | None:
    """Return how many events were waiting after each recorded tick."""
    import numpy as np

    if run.last_seq is None or run.settings["ticks"].mode != "recorded":
        return None
    fetch = run.recording._fetch
    inserted = np.array([row[0] for row in fetch("SELECT global_seq FROM events ORDER BY global_seq")])
    done = np.array(
        [row[0] for row in fetch("SELECT global_seq FROM applications WHERE ok IS NOT false ORDER BY global_seq")]
    )
    places = {one.tick: one.check_seq for one in run.settings["ticks"].recorded}
    upto = [places.get(tick) or 0 for tick in run.metrics["tick"]]
    waiting = np.searchsorted(inserted, upto, side="right") - np.searchsorted(done, upto, side="right")
    return list(waiting.tolist())
