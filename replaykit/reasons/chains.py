"""Chains: in which rounds of which loops something happened, and whether it had a part in something else."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from replaykit.reasons.syntax import Body, body_of

if TYPE_CHECKING:
    from replaykit.reasons.tracing import FrameLog, Place

__all__ = ["Chains", "body_of_log"]

_ITEM = (0, 0)


@lru_cache(maxsize=512)
def body_of_log(code: Any) -> Body | None:
    """Return the syntax of the function a log belongs to; None if its source is not at hand."""
    return body_of(code)


class Chains:
    """The rounds of loops around each place of one run."""

    def __init__(self) -> None:
        self._rounds: dict[int, list[tuple[tuple[int, int], ...]]] = {}

    def rounds(self, log: FrameLog) -> list[tuple[tuple[int, int], ...]]:
        """Return for each line a function went through the rounds of its own loops around it."""
        found = self._rounds.get(id(log))
        if found is None:
            body = body_of_log(log.code)
            found = self._rounds[id(log)] = [()] * len(log.lines) if body is None else body.iterations(log.lines)
        return found

    def of(self, place: Place | None) -> dict[tuple[int, int], int]:
        """Return the rounds around a place, outermost first: the round by call and header line of the loop.

        What a loop's own header evaluates before its first round is outside of it, but for generators: they are entered
        again for each round.
        """
        found: list[tuple[tuple[int, int], int]] = []
        inner: FrameLog | None = None
        while place is not None:
            log, index = place
            rounds = self.rounds(log)[index] if index < len(log.lines) else ()
            line = log.lines[index] if index < len(log.lines) else 0
            mine = [((id(log), header), number) for header, number in rounds if not _outside(line, header, log, inner)]
            found = mine + found
            inner, place = log, log.called_from(index)
            if place is None and log.item >= 0:
                found.insert(0, (_ITEM, log.item))
        return dict(found)


def _outside(line: int, header: int, log: FrameLog, inner: FrameLog | None) -> bool:
    """Return whether a place in a loop's header is evaluated before the loop."""
    body = body_of_log(log.code)
    if line != header or body is None or body.is_comprehension:
        return False
    return inner is None or not inner.is_generator
