"""Recorded ticks: when production's rules ran and its invariants were checked, and what they gave there."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.errors import ReconcilerError
from replaykit.recorded import action_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from replaykit.inputs import Plan
    from replaykit.reconciler import Action
    from replaykit.recording import Recording

__all__ = ["RecordedTick", "recorded_actions", "recorded_checks", "recorded_ticks"]


@dataclass(frozen=True)
class RecordedTick:
    """One tick production ran: its number, and the place in time and in the global order of its two halves."""

    tick: int
    at: datetime
    seq: int | None = None
    """The last input its rules saw."""
    checked_at: datetime | None = None
    check_seq: int | None = None
    """The last input its invariants saw."""


def recorded_ticks(recording: Recording, plan: Plan) -> tuple[RecordedTick, ...]:
    """Return the ticks whose rules ran inside the window, from the log of ticks.

    Without one: one for each time of a check, or of an action where there are no checks, numbered from 0.

    Raises
    ------
    ReconcilerError
        The recording holds none of these.
    """
    name = next((log for log in ("ticks", "checks", "actions") if log in recording.logs), None)
    if name is None:
        raise ReconcilerError(
            "ticks='recorded', but the recording holds no ticks, checks or actions; load them as rk.Log."
        )
    start, end = plan.window.bounds()
    if name != "ticks":
        reads = f"SELECT DISTINCT occurred_at FROM {name}"
    else:
        known = recording.columns(name)
        names = ["occurred_at", "position", "tick", "global_seq", "checked_at", "check_seq"]
        reads = f"SELECT {', '.join(one if one in known else f'NULL AS {one}' for one in names)} FROM ticks"
    rows = recording._fetch(
        f"{reads} WHERE occurred_at >= $start AND occurred_at < $end ORDER BY {'position' if name == 'ticks' else 1}",
        {"start": start, "end": end},
    )
    if name != "ticks":
        return tuple(RecordedTick(number, at) for number, (at,) in enumerate(rows))
    return tuple(RecordedTick(position if tick is None else tick, at, *rest) for at, position, tick, *rest in rows)


def recorded_actions(recording: Recording, ticks: Sequence[RecordedTick], end: datetime) -> dict[int, list[Action]]:
    """Return the recorded actions of these ticks in order, by tick; ticks without any are not there."""
    found: dict[int, list[Action]] = {}
    for tick, kind, payload in _of_ticks(recording, "actions", ticks, end):
        found.setdefault(tick, []).append(action_of(kind, payload))
    return found


def recorded_checks(
    recording: Recording, ticks: Sequence[RecordedTick], end: datetime
) -> dict[int, list[tuple[str, Mapping[str, Any]]]]:
    """Return invariant and recorded fields of each breach found at these ticks in order, by tick."""
    found: dict[int, list[tuple[str, Mapping[str, Any]]]] = {}
    for tick, kind, payload in _of_ticks(recording, "checks", ticks, end):
        detail = json.loads(payload) if payload else {}
        found.setdefault(tick, []).append((kind, detail if isinstance(detail, dict) else {}))
    return found


def _of_ticks(
    recording: Recording, log: str, ticks: Sequence[RecordedTick], end: datetime
) -> list[tuple[int, str, str | None]]:
    """Return tick, kind and payload of the entries of a log that belong to one of these ticks.

    By the tick the log names; where it names none, from a tick's time until the next one's, or `end`.
    """
    numbered = "tick" in recording.columns(log)
    rows = recording._fetch(
        f"SELECT {'tick' if numbered else 'NULL'}, occurred_at, kind, payload FROM {log} ORDER BY position"
    )
    instants = [one.at for one in ticks]
    numbers = {one.tick for one in ticks}
    found = []
    for tick, at, kind, payload in rows:
        place = bisect_right(instants, at) - 1 if tick is None and at < end else -1
        of = ticks[place].tick if place >= 0 else tick
        if of in numbers:
            found.append((of, kind, payload))
    return found
