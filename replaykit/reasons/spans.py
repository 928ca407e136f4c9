"""Spans: what stopped a rule over a window, asked again only when the state changed, or time let the rule emit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, show_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replaykit.declarations import Rule
    from replaykit.reasons.values import Obstacle
    from replaykit.replayed import Replay
    from replaykit.window import Window

__all__ = ["spans"]

_MOST = 400  # ticks that are looked at one by one


def spans(run: Replay, rule: Rule, kind: str, fields: Mapping[str, Any], window: Window) -> Iterator[Obstacle]:
    """Yield what stopped a rule in a window, each time the answer changes.

    Raises
    ------
    QueryError
        No tick lies in the window, or too many do.
    """
    from replaykit.reasons.scene import Scene
    from replaykit.reasons.why_not import obstacle_at

    last: Any = None
    before: tuple[int, bool] | None = None
    due: Any = None
    times = _emitted(run, rule, kind, fields)
    for tick, at, step in _ticks(run, window):
        # Time alone may let a rule begin to emit, or end it, without any threshold that was told.
        now = (step, any(first <= tick <= end for first, end in times))
        if now == before and (due is None or at < due):
            continue
        found = obstacle_at(Scene(run, tick, at, step), rule, kind, fields)
        before, due = now, found.threshold.due_at if found.threshold is not None else None
        same = (found.stop, found.where, found.source, [cell.value for cell in found.cells])
        if same != last:
            yield found
        last = same


def _emitted(run: Replay, rule: Rule, kind: str, fields: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the first and last ticks of the times at which a rule emitted such an action without a break."""
    return [
        (tick, tick + int(repeats))
        for (tick, emitted, given, name), repeats in zip(run.emitted, run.actions["repeats"], strict=True)
        if (emitted, name) == (kind, rule.name) and all(given.get(one) == value for one, value in fields.items())
    ]


def _ticks(run: Replay, window: Window) -> list[tuple[int, Any, int]]:
    """Return number, time and step of the evaluated ticks of a window."""
    start, end = window.within(run.plan.span).bounds()
    chosen = run.metrics[(run.metrics["at"] >= start) & (run.metrics["at"] < end)]
    if chosen.empty:
        raise QueryError(f"No tick lies between {show_time(start)} and {show_time(end)}; see run.metrics for those.")
    if chosen["step"].nunique() > _MOST:
        raise QueryError(
            f"The ticks of this window saw {chosen['step'].nunique():,} states, more than the {_MOST} that why_not() "
            "looks at; give a shorter window, or at=."
        )
    return [(int(row.tick), row.at.to_pydatetime(), int(row.step)) for row in chosen.itertuples()]  # type: ignore[arg-type, union-attr]
