"""Causes: which emitted action a step applied, where it applied one, and how a step's cause reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.display import is_empty, show_value
from replaykit.sameness import same

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from replaykit.declarations import Action
    from replaykit.engine import Engine
    from replaykit.outcomes import Emission
    from replaykit.recorded import OtherStep

__all__ = ["cause_text", "emitted_by", "numbers_of"]


def cause_text(input: Any, kind: Any, event_id: Any = None, action: Any = None, tick: Any = None) -> str:
    """Return what a step applied, in words: "event started ev-7", "action 17 (requeue) at tick 512"."""
    if is_empty(action):
        return " ".join(show_value(one, 60) for one in (input, kind, event_id) if not is_empty(one))
    text = f"{show_value(input, 60)} {int(action):,} ({show_value(kind, 60)})"
    return text if is_empty(tick) else f"{text} at tick {int(tick):,}"


def emitted_by(engine: Engine) -> list[int | None]:
    """Return for each of an engine's other steps the number of the emitted action it applied, None if there is none.

    A recorded action is the one emitted at its tick with the same kind and fields, else with the same kind and key;
    only where recorded ticks have the numbers that the log of actions names.
    """
    numbers = numbers_of(engine.ticker.emissions)
    found = [None if one.emission is None else numbers[id(one.emission)] for one in engine.others]
    recorded = [(place, one) for place, one in enumerate(engine.others) if one.action is not None]
    if recorded and engine.schedule.mode == "recorded" and engine.retracer.numbered:
        for place, emission in _matched(recorded, engine.ticker.emissions):
            found[place] = numbers[id(emission)]
    return found


def numbers_of(emissions: Iterable[Emission]) -> dict[int, int]:
    """Return the number that each emission has among the actions of a replay, by its id."""
    ordered = sorted(emissions, key=lambda one: (one.tick, one.order))
    return {id(one): number for number, one in enumerate(ordered, 1)}


def _matched(
    recorded: Sequence[tuple[int, OtherStep]], emissions: Iterable[Emission]
) -> Iterable[tuple[int, Emission]]:
    """Yield places of recorded actions, each with the emission it is; no emission twice."""
    free: dict[tuple[int, str], list[Emission]] = {}
    for emission in sorted(emissions, key=lambda one: (one.tick, one.order)):
        free.setdefault((emission.tick, emission.action.kind), []).append(emission)
    left = recorded
    for alike in (_equal, _same_key):
        missed = []
        for place, step in left:
            candidates = free.get((step.tick, step.kind), []) if step.tick is not None else []
            found = (n for n, one in enumerate(candidates) if step.action is not None and alike(step.action, one))
            number = next(found, None)
            if number is None:
                missed.append((place, step))
            else:
                yield place, candidates.pop(number)
        left = missed


def _equal(recorded: Action, emission: Emission) -> bool:
    return recorded == emission.action


def _same_key(recorded: Action, emission: Emission) -> bool:
    return all(same(emission.action.get(name), recorded.get(name)) for name in emission.rule.key)
