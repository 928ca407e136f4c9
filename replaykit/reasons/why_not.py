"""why_not(): what stopped each rule that could have emitted an action, since when, and by how much."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from replaykit.collector import collector_resting
from replaykit.display import brief, count, note_html, show_value, table_html
from replaykit.errors import QueryError, excerpt, show_time
from replaykit.reasons.emitters import emitters
from replaykit.reasons.program_why import of_program, refuse_why_not
from replaykit.reasons.python_why_not import python_obstacle
from replaykit.reasons.running import traced
from replaykit.reasons.scene import Scene, scene_at
from replaykit.reasons.spans import spans
from replaykit.reasons.undoing import blamed
from replaykit.reasons.why import cells_frame
from replaykit.window import Window, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pandas as pd

    from replaykit.declarations import Rule
    from replaykit.reasons.values import Cell, Obstacle
    from replaykit.replayed import Replay

__all__ = ["WhyNot", "obstacle_at", "why_not"]

_TELLING = ("emitted", "other fields", "raised", "turned away", "condition", "blocked", "left out", "not reached")


@dataclass(frozen=True, repr=False, eq=False)
class WhyNot:
    """Why no rule emitted an action."""

    kind: str
    fields: Mapping[str, Any]
    obstacles: tuple[Obstacle, ...]
    """What stopped each rule: one for each rule at a tick; over a window one for each time the answer changed."""
    window: Window | None = None

    @property
    def best(self) -> Obstacle:
        """The obstacle of the rule that came nearest to emitting it; the last one of a window."""
        order = {stop: place for place, stop in enumerate(_TELLING)}
        last = {one.rule: one for one in self.obstacles}
        return min(last.values(), key=lambda one: (order.get(one.stop, len(order)), one.threshold is None))

    @property
    def asked(self) -> str:
        """The action asked about."""
        return f"{self.kind}({', '.join(f'{name}={show_value(value, 60)}' for name, value in self.fields.items())})"

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        best = self.best
        if best.stop == "emitted":
            return f"{self.asked} was emitted at {show_time(best.at)} by {best.rule}."
        others = len({one.rule for one in self.obstacles}) - 1
        more = f" {count(others, 'other rule')} could have: see .obstacles." if others else ""
        return f"{self.asked} was not emitted at {show_time(best.at)}. {best.sentence}{more}"

    def __repr__(self) -> str:
        return brief("WhyNot", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        told = table_html(self.to_frame(), caption="What stopped each rule", limit=50, more=".to_frame()")
        cells = cells_frame(self.best.cells)
        parts = [note_html(self.sentence), told]
        if len(cells):
            parts.append(table_html(cells, caption=f"What {self.best.rule} had read", limit=20, more=".cells"))
        return "\n".join(parts)

    @property
    def cells(self) -> pd.DataFrame:
        """What the rule that came nearest had read, with the steps that set it."""
        return cells_frame(self.best.cells)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per obstacle: rule, tick and time, stop, where, reason, needs, due, since."""
        import pandas as pd

        rows = [_row(one) for one in self.obstacles]
        names = ["rule", "tick", "at", "stop", "where", "reason", "needs", "due_at", "since"]
        frame = pd.DataFrame({name: pd.Series([row[n] for row in rows], dtype=object) for n, name in enumerate(names)})
        return frame.astype({"tick": "int64", **dict.fromkeys(("at", "due_at", "since"), "datetime64[us]")})


def _row(one: Obstacle) -> tuple[Any, ...]:
    needs = " and ".join(need.sentence for need in one.needs) or None
    due = None if one.threshold is None else one.threshold.due_at or one.threshold.turns_at
    reason = one.reason if not one.beyond else f"{one.reason}; {one.beyond}"
    return (one.rule, one.tick, one.at, one.stop, one.where or None, reason, needs, due, one.since)


@collector_resting()
def why_not(
    run: Replay, kind: str, at: Any = None, window: Any = None, fields: Mapping[str, Any] | None = None
) -> WhyNot:
    """Return why no rule emitted an action: see `replaykit.Replay.why_not`."""
    asked = dict(fields or {})
    if not asked:
        raise QueryError("why_not() needs at least one field of the action, as in run.why_not('requeue', job_id='j1').")
    if all(map(of_program, run.reconciler.rules.values())):
        refuse_why_not(run, run.reconciler.rules.values())
    rules = emitters(run, kind)
    refuse_why_not(run, rules)
    _check_fields(run, kind, asked)
    if window is not None:
        if at is not None:
            raise QueryError("why_not() takes at= or window=, not both.")
        chosen = window if isinstance(window, Window) else Window(*window)
        found = [one for rule in rules for one in spans(run, rule, kind, asked, chosen)]
        return WhyNot(kind, asked, tuple(found), chosen)
    moment = None if at is None else parse_time(at, what="at", span=run.plan.span)
    scene = scene_at(run, moment)
    return WhyNot(kind, asked, tuple(obstacle_at(scene, rule, kind, asked) for rule in rules))


def _check_fields(run: Replay, kind: str, fields: Mapping[str, Any]) -> None:
    """Raise a QueryError for a field that actions of this kind never have, as far as this replay shows."""
    known = {name for _, emitted, given, _ in run.emitted if emitted == kind for name in given}
    unknown = [name for name in fields if known and name not in known]
    if unknown:
        raise QueryError(f"Actions {kind!r} have no field {excerpt(unknown[0])}; theirs are {sorted(known)}.")


def obstacle_at(scene: Scene, rule: Rule, kind: str, fields: Mapping[str, Any]) -> Obstacle:
    """Return what stopped one rule at one tick, its cells with the steps that set them."""
    if rule.statement is not None:
        from replaykit.reasons.sql_why_not import sql_obstacle

        found = sql_obstacle(scene, rule, fields)
    else:
        found = python_obstacle(scene, rule, kind, fields)
    if found.stop == "emitted" and not _stands(scene, rule, kind, fields):
        return replace(found, stop="raised", reason=_dropped(scene, rule))
    cells = blamed(scene, found.cells)
    return replace(found, cells=cells, since=found.since or _since(cells))


def _stands(scene: Scene, rule: Rule, kind: str, fields: Mapping[str, Any]) -> bool:
    """Return whether what a rule emitted is among what its tick emitted: rules may fail together."""
    run = scene.run
    if not run.reconciler.rules_fail_together:
        return True
    ticks = zip(run.actions["tick"], run.actions["tick"] + run.actions["repeats"], run.emitted, strict=True)
    given = [
        one for first, last, (_, what, one, name) in ticks
        if first <= scene.tick <= last and (what, name) == (kind, rule.name)
    ]  # fmt: skip
    return any(all(one.get(name) == value for name, value in fields.items()) for one in given)


def _dropped(scene: Scene, rule: Rule) -> str:
    """Return which other rule raised, so that the tick as a whole emitted nothing."""
    told = "it emitted the action, and the tick dropped all actions, since rules fail together"
    for other in scene.run.reconciler.rules.values():
        error = None if other.function is None or other is rule else traced(scene, other, None).error
        if error is not None:
            return f"{told}: rule {other.name} raised {type(error).__name__}: {excerpt(str(error))}"
    return told


def _since(cells: tuple[Cell, ...]) -> datetime | None:
    times = [cell.blame.since for cell in cells if cell.blame is not None and cell.blame.since is not None]
    return max(times, default=None)
