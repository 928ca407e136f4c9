"""Ablation: each event of a window left out in turn, and which of them an outcome hangs on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.comparing.other_inputs import positions_of
from replaykit.comparing.outcomes import number_of, outcome_of
from replaykit.display import brief, count, note_html, show_text, table_html
from replaykit.errors import QueryError, ReplayKitError, show_time
from replaykit.narrowing import LeftOut, held, narrowed
from replaykit.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from replaykit.inputs import Plan
    from replaykit.replayed import Replay

__all__ = ["Ablation", "ablate", "without"]


@dataclass(frozen=True, repr=False, eq=False)
class Ablation:
    """What an outcome comes to without each event; ``len()`` counts the events without which it is another."""

    outcome: str
    value: float
    """The outcome with all events."""
    table: pd.DataFrame
    """One row per event left out: ``event_id``, ``kind``, ``step``, ``occurred_at``, ``position``, ``value`` (without
    it), ``change``, ``error`` (a replay without it raised). Those without which it raised come first, then the largest
    changes; the earliest of equals first."""
    left: int = 0
    """Events that were not tried, because somebody interrupted."""

    def __len__(self) -> int:
        return int(((self.table["change"].fillna(0) != 0) | (self.table["error"] != "")).sum())

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        tried = count(len(self.table), "event")
        rest = f"; {self.left:,} more were not tried" if self.left else ""
        if not len(self):
            return f"{self.outcome} is {self.value:g} without any one of {tried}, as it is with all{rest}."
        first = self.table.iloc[0]
        named = " ".join(show_text(str(one), 60) for one in (first["kind"], first["event_id"]) if one is not None)
        value = "it raised" if first["error"] else f"{first['value']:g}"
        return (
            f"{self.outcome} ({self.value:g}) hangs on {len(self):,} of {tried}, most on {named} at "
            f"{show_time(first['occurred_at'])}: {value} without it{rest}."
        )

    def __repr__(self) -> str:
        return brief("Ablation", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        return "\n".join([note_html(self.sentence, 1_000), table_html(self.table, limit=20, more=".table")])


def ablate(run: Replay, outcome: Any, events: Any = None) -> Ablation:
    """Leave out each event in turn, and rank them: see `replaykit.Replay.ablate`."""
    name, function = outcome_of(outcome)
    value = _number(function, run, name)
    rows = _inside(run) if events is None else _chosen(run, events)
    if not rows:
        raise QueryError("ablate() leaves out events of the window, and there is none.")
    progress, found = Progress("Leaving out", noun="event"), []
    plan = held(run.plan)
    try:
        for number, row in enumerate(rows, 1):
            found.append((*row, *_tried(run, plan, function, name, row[-1], value)))
            progress.advance(number, len(rows))
    except KeyboardInterrupt:
        if not found:
            raise
    finally:
        progress.close()
    return Ablation(name, value, _ranked(found), len(rows) - len(found))


def without(run: Replay, plan: Plan, left_out: LeftOut) -> Replay:
    """Return the replay once more, without some of its inputs or rows of its base; `plan` is its own, held."""
    return run._once_more(narrowed(run.recording, plan, left_out))


_STEPS = (
    "SELECT any_value(event_id ORDER BY step), any_value(kind ORDER BY step), min(step), any_value(occurred_at), "
    "position FROM steps WHERE input = 'event' AND {where} GROUP BY position ORDER BY min(step)"
)


def _inside(run: Replay) -> list[tuple[Any, ...]]:
    return run.history.fetch(_STEPS.format(where="step > $first"), {"first": run.before_step})


def _chosen(run: Replay, events: Any) -> list[tuple[Any, ...]]:
    positions = positions_of(run, events, what="events")
    return run.history.fetch(_STEPS.format(where="list_contains($positions, position)"), {"positions": positions})


def _tried(
    run: Replay, plan: Plan, function: Callable[[Any], Any], name: str, position: int, value: float
) -> tuple[Any, Any, str]:
    """Return the outcome without one event, its change, and the error if there is no outcome."""
    try:
        other = _number(function, without(run, plan, LeftOut(events=frozenset({position}))), name)
    except ReplayKitError as exc:
        return None, None, str(exc)
    return other, other - value, ""


def _number(function: Callable[[Any], Any], run: Replay, name: str) -> float:
    found = number_of(name, function, run)
    if found is None:
        raise QueryError(f"Outcome {name!r} is not known of this replay; choose one that is, or replay with actions=.")
    return found


def _ranked(found: list[tuple[Any, ...]]) -> pd.DataFrame:
    import pandas as pd

    names = ["event_id", "kind", "step", "occurred_at", "position", "value", "change", "error"]
    frame = pd.DataFrame(found, columns=names)
    frame = frame.astype({"occurred_at": "datetime64[us]", "value": "float64", "change": "float64"})
    order = frame["change"].abs().where(frame["error"] == "", math.inf)
    ranked = frame.assign(order=-order).sort_values(["order", "step"], kind="stable", ignore_index=True)
    return ranked.drop(columns="order")
