"""Recorded ticks: when production's rules ran and its invariants were checked, and what they gave there."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from replaykit.errors import ReconcilerError
from replaykit.global_order import reach_of
from replaykit.recorded import action_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from replaykit.global_order import Reach
    from replaykit.inputs import Plan
    from replaykit.reconciler import Action
    from replaykit.recording import Recording

__all__ = ["RecordedTick", "log_of_ticks", "recorded_actions", "recorded_checks", "recorded_ticks"]


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

    Without one: one for each time of a check, or of an action where there are no checks, numbered from 0. Left out is
    what ran on a state the replay does not come by: ticks whose rules saw less than the base, or more than it applies.

    Raises
    ------
    ReconcilerError
        The recording holds none of these, or two ticks of one number.
    """
    start, end = plan.window.bounds()
    inside = [one for one in _logged(recording) if start <= one.at < end]
    if "ticks" not in recording.logs:
        return tuple(replace(one, tick=number) for number, one in enumerate(inside))
    reach = reach_of(recording, plan)
    return tuple(_cut(one, reach, end) for one in inside if one.seq is None or _seen(one.seq, reach))


def _seen(seq: int, reach: Reach) -> bool:
    return (reach.after is None or seq >= reach.after) and (reach.end is None or seq < reach.end)


def _cut(one: RecordedTick, reach: Reach, end: datetime) -> RecordedTick:
    """Return a tick without its check, if that saw more than the replay applies."""
    late = reach.end is not None and one.check_seq is not None and one.check_seq >= reach.end
    return replace(one, checked_at=end) if late else one


def log_of_ticks(recording: Recording) -> str | None:
    """Return the log that says when production ticked: of ticks, else of checks, else of actions; None without any."""
    return next((log for log in ("ticks", "checks", "actions") if log in recording.logs), None)


def _logged(recording: Recording) -> list[RecordedTick]:
    """Return every tick of the recording in order; without a log of ticks they all have the number 0."""
    name = log_of_ticks(recording)
    if name is None:
        raise ReconcilerError(
            "ticks='recorded', but the recording holds no ticks, checks or actions; load them as rk.Log."
        )
    if name != "ticks":
        return [
            RecordedTick(0, at) for (at,) in recording._fetch(f"SELECT DISTINCT occurred_at FROM {name} ORDER BY 1")
        ]
    known = recording.columns(name)
    names = ["position", "tick", "occurred_at", "global_seq", "checked_at", "check_seq"]
    reads = ", ".join(one if one in known else f"NULL AS {one}" for one in names)
    rows = recording._fetch(f"SELECT {reads} FROM ticks ORDER BY position")
    _check_numbers([tick for _, tick, *_ in rows if tick is not None])
    # A tick without a number takes one that no other has; without any they are numbered by their position.
    above = max((tick for _, tick, *_ in rows if tick is not None), default=0)
    return [RecordedTick(above + position if tick is None else tick, *rest) for position, tick, *rest in rows]


def _check_numbers(numbers: Sequence[int]) -> None:
    if len(set(numbers)) < len(numbers):
        twice = next(number for number, times in Counter(numbers).items() if times > 1)
        raise ReconcilerError(
            f"The log of ticks has several ticks of the number {twice}, as after a restart; what belongs to which "
            "can't be told. Load logs with a tick= that goes on counting, or all without one: then place decides."
        )


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

    By the number the log names, if the ticks have theirs from a log as well; else an entry belongs to the last tick
    before it: in the global order where both have a place there, by time otherwise.
    """
    known = recording.columns(log)
    reads = ", ".join(one if one in known else f"NULL AS {one}" for one in ("tick", "global_seq"))
    rows = recording._fetch(f"SELECT {reads}, occurred_at, kind, payload FROM {log} ORDER BY position")
    given = "ticks" in recording.logs
    every = _logged(recording) if given else list(ticks)
    numbered = given and "tick" in recording.columns("ticks")
    before = _Before(every, checks=log == "checks")
    numbers = {one.tick for one in ticks}
    found = []
    for tick, seq, at, kind, payload in rows:
        by_place = tick is None or not numbered
        of = (before.tick(seq, at) if given or at < end else None) if by_place else tick
        if of in numbers:
            found.append((of, kind, payload))
    return found


class _Before:
    """Finds the last tick whose rules (or checks) ran before an entry of a log."""

    def __init__(self, ticks: Sequence[RecordedTick], *, checks: bool) -> None:
        ran = [_ran(one, checks=checks) for one in ticks]
        by_time = sorted((at, number) for number, (_, at) in enumerate(ran))
        by_seq = sorted((seq, number) for number, (seq, _) in enumerate(ran) if seq is not None)
        self._times = [at for at, _ in by_time]
        self._timed = [ticks[number].tick for _, number in by_time]
        self._seqs = [seq for seq, _ in by_seq]
        self._placed = [ticks[number].tick for _, number in by_seq]
        self._ordered = len(by_seq) == len(ran)

    def tick(self, seq: int | None, at: datetime) -> int | None:
        """Return the tick's number, None if there is none."""
        if self._ordered and seq is not None:
            place = bisect_left(self._seqs, seq)
            return self._placed[place - 1] if place else None
        place = bisect_right(self._times, at)
        return self._timed[place - 1] if place else None


def _ran(one: RecordedTick, *, checks: bool) -> tuple[int | None, datetime]:
    seq = one.check_seq if checks and one.check_seq is not None else one.seq
    return seq, (one.checked_at or one.at) if checks else one.at
