"""Proof by intervention, on the gastown trace: answers are tried out, by means that the answers do not share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from incident import FOLDER
from samples import everything, least, some

import replaykit as rk
from replaykit.errors import StateError
from replaykit.reasons.scene import Scene, scene_at
from replaykit.reasons.why_not import obstacle_at
from replaykit.systems import gastown
from replaykit.ticks import Ticker

if TYPE_CHECKING:
    from collections.abc import Callable

    from replaykit.reasons.values import Obstacle
    from replaykit.replayed import Replay

PAIRS = 200
TRIED = some(PAIRS, 1 / 5)  # of three hours, in which most rules emit; all, of twelve, with everything asked for
REFUSED = some(PAIRS, 1 / 2)  # more, since only one in ten of these is due at some tick
WINDOW = None if everything() else rk.Window("2026-03-26T14:00Z", "2026-03-26T17:00Z")
AIM = 0.95


@cache
def replayed() -> Replay:
    """Return the incident, retraced: the worst hours of it, or the whole."""
    return rk.replay(gastown.load_trace(FOLDER), gastown, WINDOW, ticks="recorded", actions="recorded")


@cache
def alone(rule: str) -> rk.Reconciler:
    """Return the reconciler with one rule: that another raises, and takes all actions along, must not count."""
    given = replayed().reconciler
    return given.without(*(name for name in given.rules if name != rule), *given.invariants)


def emitted_at(
    scene: Scene, rule: str, change: Callable[[Any], None] | None = None
) -> list[tuple[str, str, dict[str, Any]]]:
    """Return rule, kind and fields of all that a rule emits at a tick, on its state or a changed one."""
    state = scene.state()
    if change is not None:
        change(state)
    state.changes.clear()
    workspace: Any = None  # which only rules in SQL need
    ticker = Ticker(alone(rule), state, workspace, lambda *_: None)
    return [(one.rule.name, one.action.kind, dict(one.action.fields)) for one in ticker.decide(scene.tick, scene.at)]


@dataclass
class Tally:
    """How often something came true, and what did not."""

    what: str
    right: int = 0
    asked: int = 0
    tried: int = REFUSED
    misses: list[str] | None = None

    def take(self, right: bool, miss: str) -> None:
        """Count one answer."""
        self.asked += 1
        self.right += right
        if not right:
            self.misses = [*(self.misses or []), miss]

    def tell(self, numbers: list[str]) -> None:
        """Print the rate and every miss."""
        rate = f"{self.right} of {self.asked} ({self.right / max(1, self.asked):.1%})"
        numbers.append(f"{self.what}: {rate}; {self.tried} of {PAIRS} samples were tried")
        numbers += [f"  miss: {miss}" for miss in self.misses or []]


def undo(run: Replay, cell: Any, step: int) -> Callable[[Any], None]:
    """Return what takes the write behind a cell back, worked out from the table of all versions of its row."""
    key = cell.key if len(cell.key) > 1 else cell.key[0]
    versions = run.history(cell.table, key)
    versions = versions[versions["valid_from"] <= step]
    names = list(run.history.columns(cell.table))
    if cell.blame.inserted:
        return lambda state: state[cell.table].delete(key)
    rows = versions[names].astype(object).where(versions[names].notna(), None)
    now, before = rows.iloc[-1], rows[(versions["valid_from"] < cell.blame.step).to_numpy()].iloc[-1]
    wrote = rows[(versions["valid_from"] == cell.blame.step).to_numpy()].iloc[-1]
    kept = {name: before[name] for name in names if wrote[name] != before[name] and now[name] == wrote[name]}
    return lambda state: state[cell.table].update(key, {name: _plain(value) for name, value in kept.items()})


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def test_without_the_blamed_write_the_action_vanishes(numbers: list[str]) -> None:
    """The tick is evaluated again as the replay does, on a state without that write."""
    run = replayed()
    tally = Tally("why: the action vanishes, or another row comes, once the blamed write is undone", tried=TRIED)
    for number in sorted(Random(1).sample(range(1, len(run.actions) + 1), PAIRS)[:TRIED]):
        why = run.why(number)
        scene = Scene(run, why.tick, why.at, why.step)
        asked = (why.rule, why.kind, dict(why.fields))
        assert asked in emitted_at(scene, why.rule), "the tick itself, evaluated again, emits it"
        gone = why.cause is not None and asked not in emitted_at(scene, why.rule, undo(run, why.cause, why.step))
        tally.take(gone, f"action {number}: {why.sentence}")
    tally.tell(numbers)
    assert tally.right >= AIM * tally.asked


Answer: TypeAlias = "tuple[Scene, str, str, dict[str, Any], Obstacle]"


@cache
def refused() -> list[Answer]:
    """Return actions that were not emitted at a tick, with what stopped them; half of the ticks are near ones.

    Each was emitted by the same rule for the same entity at some other tick.
    """
    run, random = replayed(), Random(2)
    ticks = run.metrics["tick"].tolist()
    rules = run.reconciler.rules
    keyed = [(t, r, k, tuple((n, f[n]) for n in rules[r].key if n in f)) for t, k, f, r in run.emitted]
    kinds = sorted({one[1:3] for one in keyed})
    there, found = set(keyed), list[Any]()
    while len(found) < REFUSED:
        which = random.choice(kinds)  # not by how often they were emitted: most of it is polling
        tick, rule, kind, fields = random.choice([one for one in keyed if one[1:3] == which])
        place = ticks.index(tick)
        near = ticks[max(0, place - 20) : place + 20]
        tick = random.choice(near if len(found) % 2 else ticks)
        if (tick, rule, kind, fields) not in there and fields:
            scene = scene_at(run, tick=tick)
            found.append((scene, rule, kind, dict(fields), obstacle_at(scene, rules[rule], kind, dict(fields))))
    return found


def is_emitted(found: list[tuple[str, str, dict[str, Any]]], rule: str, kind: str, fields: dict[str, Any]) -> bool:
    """Return whether a rule emitted such an action."""
    return any(
        (name, what) == (rule, kind) and all(given.get(one) == value for one, value in fields.items())
        for name, what, given in found
    )


def test_with_the_named_cells_set_the_action_appears_or_the_next_obstacle_is_named(numbers: list[str]) -> None:
    """The cells are set in the state, nothing else, and the tick is evaluated again."""
    tally = Tally("why not: with the named cells set the action appears, or the next obstacle is named")
    appeared, unnamed = 0, Counter[str]()
    for scene, rule, kind, fields, obstacle in refused():
        if not obstacle.needs:
            unnamed[obstacle.stop if obstacle.threshold is None else "due"] += 1
            continue
        needs = [(need.table, need.key, need.column, need.value) for need in obstacle.needs]
        told = f"{kind}({fields}) at tick {scene.tick}: {obstacle.sentence}"
        try:
            changed = scene.with_cells(needs)
        except StateError as exc:
            tally.take(False, f"{told} {exc}")
            continue
        if is_emitted(emitted_at(changed, rule), rule, kind, fields):
            appeared += 1
            tally.take(True, told)
            continue
        then = obstacle_at(changed, scene.run.reconciler.rules[rule], kind, fields)
        other = (then.stop, then.source, then.reason) != (obstacle.stop, obstacle.source, obstacle.reason)
        tally.take(other and then.stop != "unknown", f"{told} Then: {then.sentence}")
    tally.tell(numbers)
    numbers.append(f"  the action appeared in {appeared}; no cell to set in {sum(unnamed.values())}: {dict(unnamed)}")
    assert tally.right >= AIM * tally.asked
    assert tally.asked >= REFUSED / 2


def test_no_obstacle_is_told_where_the_action_is_emitted_and_none_is_unknown() -> None:
    """An answer is given for each of them."""
    for scene, rule, kind, fields, obstacle in refused():
        assert not is_emitted(emitted_at(scene, rule), rule, kind, fields)
        assert obstacle.stop not in ("emitted", "other fields", "unknown"), (kind, fields, obstacle.sentence)


def test_what_is_said_to_be_due_comes_at_that_tick(numbers: list[str]) -> None:
    """The trace itself is looked at, where the cell was not written again meanwhile."""
    run, tally = replayed(), Tally("due at: the comparison has turned at the tick named, and not at the one before")
    meanwhile = 0
    found = [one for one in refused() if one[4].threshold is not None]
    for scene, rule, kind, fields, obstacle in found:
        due = obstacle.threshold.due_tick if obstacle.threshold is not None else None
        if due is None:
            continue
        before, then = (
            obstacle_at(scene_at(run, tick=tick), run.reconciler.rules[rule], kind, fields) for tick in (due - 1, due)
        )
        if _cells(before) != _cells(obstacle):
            meanwhile += 1  # written in between, so it was not a matter of waiting
            continue
        held = before.threshold is not None and before.source == obstacle.source
        turned = then.threshold is None or then.reason.split(":")[0] != obstacle.reason.split(":")[0]
        tally.take(held and turned, f"{kind}({fields}) at tick {scene.tick}: {obstacle.sentence} Then: {then.sentence}")
    tally.tell(numbers)
    numbers.append(f"  of {len(found)} answers, {meanwhile} had the cell written again before it was due")
    assert tally.right >= AIM * tally.asked
    assert tally.asked >= least(20, 1 / 5)


def _cells(obstacle: Obstacle) -> list[tuple[str, Any]]:
    return [(cell.name, cell.value) for cell in obstacle.cells]


if __name__ == "__main__":
    pytest.main([__file__, "-q"])
