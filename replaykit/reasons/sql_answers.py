"""Answer: what one SELECT of a rule says to the question why not, and how the obstacle is made of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from replaykit.display import count
from replaykit.reasons.undoing import blamed
from replaykit.reasons.values import Cell, Obstacle

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from replaykit.declarations import Rule
    from replaykit.reasons.conditions import Condition
    from replaykit.reasons.scene import Scene

__all__ = ["Answer", "as_obstacle"]

_MOST_BLAMED = 20
_TOLD = 3


@dataclass(frozen=True)
class Answer:
    """What stopped a row, before it is known since when."""

    stop: str
    reason: str
    where: str = ""
    source: str = ""
    conditions: tuple[Condition, ...] = ()
    since: datetime | None = None
    beyond: str = ""
    misses: int = 1 << 10
    """How far off it was, for choosing among several."""
    first: Condition | None = None
    """The first condition that failed."""

    @staticmethod
    def of(conditions: Sequence[Condition]) -> Answer:
        """Return the answer for conditions of which some failed: the first is what stopped it."""
        failed = [one for one in conditions if one.held is not True]
        first, rest = failed[0], failed[1:]
        reason = first.sentence
        if rest:
            told = "; ".join(f"{one.text} ({one.said})" for one in rest[:_TOLD])
            reason += f"; and {len(rest)} more: {told}" + ("; ..." if len(rest) > _TOLD else "")
        blocked = first.clause.startswith(("NOT", "ANTI"))
        return Answer(
            "blocked" if blocked else "condition", reason, first.clause, first.text, tuple(conditions),
            misses=len(failed), first=first,
        )  # fmt: skip

    def unknown(self) -> Answer:
        """Return that all conditions held, and still there was no row."""
        return replace(self, stop="unknown", reason="all its conditions held, and still it gave no such row")

    def beside(self, others: Sequence[Answer]) -> Answer:
        """Return this answer with a word on those of the other SELECTs of a UNION."""
        if not others:
            return self
        told = "; ".join(one.reason for one in others[:_TOLD])
        return replace(self, beyond=f"{count(len(others), 'other SELECT')} of its UNION: {told}")


def as_obstacle(scene: Scene, rule: Rule, answer: Answer) -> Obstacle:
    """Return an answer as an obstacle, its cells with blame, and since when it has been so."""
    first = answer.first
    cells: list[Cell] = []
    since = answer.since
    if first is not None:
        own = blamed(scene, (first.blockers or first.cells)[:_MOST_BLAMED])
        since = max(
            (one.blame.since for one in own if one.blame is not None and one.blame.since is not None), default=None
        )
        names = {one.name for one in own}
        cells = [*own, *(one for one in _all_cells(answer.conditions) if one.name not in names)]
    return Obstacle(
        rule.name, scene.tick, scene.at, scene.step, answer.stop, answer.where, answer.source, answer.reason,
        tuple(cells), first.needs if first is not None else (), first.threshold if first is not None else None,
        since, answer.beyond,
    )  # fmt: skip


def _all_cells(conditions: Sequence[Condition]) -> list[Cell]:
    cells = [cell for one in conditions for cell in (*one.cells, *one.blockers)]
    return list({cell.name: cell for cell in reversed(cells)}.values())[::-1]
