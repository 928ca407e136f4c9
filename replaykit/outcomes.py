"""Outcomes of ticks while a replay runs: emitted actions, episodes of breaches, and one record for each tick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from replaykit.declarations import Action, Invariant, Rule

__all__ = ["Effect", "Emission", "Episode", "TickRecord"]


@dataclass
class Emission:
    """One emitted action, and at how many further ticks the same one was emitted without anything having changed."""

    tick: int
    at: datetime
    step: int
    rule: Rule
    order: tuple[int, int, int, int]
    """Place among the emissions of its tick: group of rules, item of the group, rule, and number within these."""
    action: Action
    repeats: int = 0


@dataclass
class Episode:
    """One breach of an invariant, from the tick that first saw it to the one that no longer did."""

    invariant: Invariant
    key: tuple[Any, ...]
    opened: tuple[int, datetime, int]
    last: tuple[int, datetime]
    detail: Mapping[str, Any]
    ticks: int = 1
    closed: tuple[int, datetime] | None = None


@dataclass
class TickRecord:
    """What one tick did; ``repeats`` further ticks did the same."""

    tick: int
    at: datetime
    step: int
    actions: int
    violations: int
    repeats: int = 0
    checked_at: datetime | None = None
    """When its invariants were evaluated; None if only its rules were."""


@dataclass(frozen=True)
class Effect:
    """What the system would have started outside its state after applying an action."""

    step: int
    tick: int | None
    at: datetime
    action: Action
    effect: Action
