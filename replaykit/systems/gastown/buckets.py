"""Buckets: the nine metrics of a replay's ticks over round spans of time, and in all; the numbers behind the panels."""

from __future__ import annotations

import json
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

from replaykit.systems.gastown.metrics import METRICS
from replaykit.tick_bins import cuts_of, place, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    import pandas as pd

    from replaykit.replayed import Replay

    Numbers = np.ndarray[Any, Any]

__all__ = ["BINS", "EFFECTS", "PANELS", "panel_summary", "panel_table"]

BINS = 60
"""How many bins there are at most, if nobody says."""
EFFECTS = ("side_effects_attempted", "side_effects_succeeded", "side_effects_failed")
"""The metrics of the third panel."""
PANELS = (
    "Events Drained per Tick",
    "Actions Emitted per Tick by Type",
    "Side Effects",
    "Invariant Violations",
    "Reconciler Wall Clock Time",
    "Pending Event Queue Depth",
)
"""Titles of the panels, in their order."""
_MEANS = ("events_drained", *EFFECTS, "wall_clock_ms")
_SUMMARY = ["panel", "series", "unit", "replayed", "recorded", "threshold", "state"]
_THRESHOLDS: Mapping[str, tuple[tuple[int, str], ...]] = {
    "Invariant Violations": ((1, "red"),),
    "Reconciler Wall Clock Time": ((500, "red"),),
    "Pending Event Queue Depth": ((25, "yellow"), (50, "red")),
}


def panel_table(run: Replay, *, bins: int = BINS) -> pd.DataFrame:
    """Return the metrics of a replay's ticks in at most `bins` spans of time, cut at round times.

    Returns
    -------
    DataFrame
        Index ``from`` (start of the bin, naive UTC). ``ticks``; the mean of a tick for ``events_drained``, the three
        ``side_effects_…`` and ``wall_clock_ms``; one sum for each kind of action (``actions_<kind>``), most frequent
        first; the sum of ``invariant_violations``; the last ``pending_event_count``. Beside each ``recorded_<column>``,
        if production's is known and another. NA: not known, or no tick to take a mean of.
    """
    import pandas as pd

    cuts = cuts_of(run, bins)
    frame = pd.DataFrame(dict(_Buckets(run, cuts.to_numpy()).columns()), index=cuts[:-1].rename("from"))
    types = {name: "Float64" if name.removeprefix("recorded_") in _MEANS else "Int64" for name in frame.columns}
    return frame.astype("Float64").astype(types)


def panel_summary(run: Replay, table: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each series of each panel: what its legend says, and whether it passes a threshold.

    Returns
    -------
    DataFrame
        ``panel``, ``series``, ``unit``, ``replayed`` and ``recorded`` (NA: not known), ``threshold``, and ``state``:
        ``ok``, ``yellow`` or ``red`` (of what was replayed, or if that is not known, recorded), empty without a
        threshold or a value.
    """
    import pandas as pd

    rows = []
    for panel, series, unit, *values in _series(run, table):
        steps = _THRESHOLDS.get(panel, ())
        threshold = ", ".join(f"{colour} from {least}" for least, colour in steps)
        value = next((one for one in values if one is not None), None)
        passed = ["ok", *(colour for least, colour in steps if value is not None and value >= least)]
        shown = (pd.NA if one is None else round(one, 2) for one in values)
        rows.append((panel, series, unit, *shown, threshold, passed[-1] if steps and value is not None else ""))
    return pd.DataFrame(rows, columns=_SUMMARY, dtype=object)  # whole numbers stay whole beside means


def _series(run: Replay, table: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Yield panel, series and unit, and what was replayed and recorded."""
    metrics = _comparable(run)
    drained, actions, effects, violations, wall_clock, pending = PANELS
    yield from _line(metrics, table, drained, "events_drained", "events per tick")
    emitted, recorded = sums_by_kind(run)
    for kind, number in emitted.items():
        yield actions, kind, "actions", number, None if recorded is None else recorded[kind]
    for name in EFFECTS:
        yield effects, name.removeprefix("side_effects_"), "effects per tick", *_both(metrics, name, _mean)
    yield violations, "sum", "violations", *_both(metrics, "invariant_violations", _total)
    yield from _line(metrics, table, wall_clock, "wall_clock_ms", "ms")
    yield pending, "latest", "events", *_both(metrics, "pending_event_count", _latest)


def _line(metrics: pd.DataFrame, table: pd.DataFrame, panel: str, name: str, unit: str) -> Iterator[tuple[Any, ...]]:
    yield panel, "mean", unit, *_both(metrics, name, _mean)
    recorded = f"recorded_{name}"
    told = recorded if recorded in table else name  # left out of the table where it is the same
    tops = [table[shown].max() if _known(metrics, one) else None for one, shown in ((name, name), (recorded, told))]
    yield panel, "highest", unit, *tops


def _both(metrics: pd.DataFrame, name: str, read: Callable[[pd.DataFrame, str], Any]) -> list[Any]:
    return [read(metrics, one) if _known(metrics, one) else None for one in (name, f"recorded_{name}")]


def _mean(metrics: pd.DataFrame, name: str) -> float:
    return float(metrics[name].sum() / (metrics["repeats"] + 1)[metrics[name].notna()].sum())


def _total(metrics: pd.DataFrame, name: str) -> int:
    return int((metrics[name] * (metrics["repeats"] + 1)).sum())


def _latest(metrics: pd.DataFrame, name: str) -> int:
    return int(metrics[name].dropna().iloc[-1])


def _comparable(run: Replay) -> pd.DataFrame:
    """Return a replay's metrics; a tick whose value the replay does not know has no recorded one to add up either."""
    metrics = run.metrics.copy()
    for name in METRICS:
        recorded = f"recorded_{name}"
        if recorded in metrics and _known(metrics, name):
            metrics[recorded] = metrics[recorded].where(metrics[name].notna())
    return metrics


def _known(metrics: pd.DataFrame, name: str) -> bool:
    """Return whether a metric is there and has a value at any tick."""
    return name in metrics and bool(metrics[name].notna().any())


def _alike(metrics: pd.DataFrame, name: str) -> bool:
    """Return whether nothing else was recorded than replayed."""
    recorded, there = f"recorded_{name}", metrics[name].notna()
    if not _known(metrics, recorded) or not _known(metrics, name):
        return not _known(metrics, recorded)
    return bool((metrics[name] == metrics[recorded])[there].fillna(False).all())


def sums_by_kind(run: Replay) -> tuple[dict[str, int], dict[str, int] | None]:
    """Return how many actions of each kind were emitted and recorded (None: not known), most frequent first."""
    emitted = Counter[str]()
    for kind, repeats in zip(run.actions["kind"], run.actions["repeats"].tolist(), strict=True):
        emitted[kind] += 1 + repeats
    counts = _recorded(run)
    recorded = Counter() if counts is None else sum((Counter(one) for one in counts), Counter[str]())
    kinds = sorted({*emitted, *recorded}, key=lambda kind: (-max(emitted[kind], recorded[kind]), kind))
    mine = {kind: emitted[kind] for kind in kinds}
    return mine, None if counts is None else {kind: recorded[kind] for kind in kinds}


def _recorded(run: Replay) -> list[Mapping[str, int]] | None:
    """Return recorded actions by kind for each row of the metrics."""
    if not _known(run.metrics, "recorded_actions_by_type"):
        return None
    texts = run.metrics["recorded_actions_by_type"]
    return [json.loads(text) if isinstance(text, str) else {} for text in texts]


class _Buckets:
    """A replay's ticks and actions, and the bins they fall into."""

    def __init__(self, run: Replay, cuts: Numbers) -> None:
        self.run, self.metrics, self.cuts = run, _comparable(run), cuts

    def columns(self) -> Iterator[tuple[str, Any]]:
        """Yield name and values of each column."""
        yield "ticks", self.ticks
        yield from self._both(_MEANS[0], self._mean)
        yield from self._kinds()
        for name in EFFECTS:
            yield from self._both(name, self._mean)
        yield from self._both("invariant_violations", self._sum)
        yield from self._both("wall_clock_ms", self._mean)
        yield from self._both("pending_event_count", self._last)

    @cached_property
    def ticks(self) -> Numbers:
        """How many ticks lie in each bin."""
        import numpy as np

        return self._spread(self.metrics, np.ones(len(self.metrics)))

    @cached_property
    def own(self) -> Numbers:
        """The bin of each row of the metrics; the ticks that repeat it may lie in later ones."""
        return self._place(self.metrics["at"].to_numpy())

    def _both(self, name: str, read: Callable[[str], Numbers]) -> Iterator[tuple[str, Numbers]]:
        """Yield what was replayed, and beside it what was recorded if that is something else."""
        yield name, read(name)
        if not _alike(self.metrics, name):
            yield f"recorded_{name}", read(f"recorded_{name}")

    def _mean(self, name: str) -> Numbers:
        """Return what rows have in all, for each tick that is known; the ticks that repeat a row add nothing."""
        import numpy as np

        numbers = self._numbers(name)
        sums = np.bincount(self.own, np.nan_to_num(numbers), minlength=len(self.cuts) - 1)
        with np.errstate(invalid="ignore"):
            return sums / self._spread(self.metrics, ~np.isnan(numbers))

    def _sum(self, name: str) -> Numbers:
        import numpy as np

        numbers = self._numbers(name)
        return self._spread(self.metrics, numbers if np.isnan(numbers).all() else np.nan_to_num(numbers))

    def _last(self, name: str) -> Numbers:
        import numpy as np

        found, numbers = np.full(len(self.cuts) - 1, np.nan), self._numbers(name)
        found[self.own[~np.isnan(numbers)]] = numbers[~np.isnan(numbers)]
        return found

    def _numbers(self, name: str) -> Numbers:
        numbers: Numbers = self.metrics[name].astype("Float64").to_numpy(dtype="float64", na_value=float("nan"))
        return numbers

    def _kinds(self) -> Iterator[tuple[str, Numbers]]:
        """Yield sums of actions by kind; `Replay.actions` counts those of ticks that were not walked as well."""
        import numpy as np

        counts = _recorded(self.run)
        for kind in sums_by_kind(self.run)[0]:
            rows = self.run.actions[self.run.actions["kind"] == kind]
            mine = self._spread(rows, np.ones(len(rows)))
            yield f"actions_{kind}", mine
            if counts is not None:
                theirs = np.bincount(self.own, [one.get(kind, 0) for one in counts], minlength=len(self.cuts) - 1)
                if (mine != theirs).any():
                    yield f"recorded_actions_{kind}", theirs

    def _place(self, times: Numbers) -> Numbers:
        return place(self.cuts, times)

    def _spread(self, rows: pd.DataFrame, weights: Numbers) -> Numbers:
        """Return sums by bin over rows and the ticks that repeat them, each in its own bin."""
        return spread(self.run, rows, self.cuts, weights)
