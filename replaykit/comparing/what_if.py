"""What if: the same window with other inputs or rules, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from replaykit.altering import altered
from replaykit.comparing.cases import case_of
from replaykit.comparing.changed_rules import changed_rules
from replaykit.comparing.other_inputs import other_inputs
from replaykit.display import brief, count, note_html, show_text
from replaykit.errors import QueryError, ReconcilerError, show_time
from replaykit.fingerprint import history_digest, steps_digest
from replaykit.inputs import make_plan
from replaykit.narrowing import LeftOut, narrowed, ranges

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from replaykit.altering import OtherInputs
    from replaykit.comparing.cases import Case
    from replaykit.reconciler import Reconciler
    from replaykit.replayed import Replay

__all__ = ["WhatIf", "what_if"]


@dataclass(frozen=True, repr=False, eq=False)
class WhatIf:
    """What would have come of other inputs or rules, beside what came of those there were."""

    asked: str
    """What is otherwise, in words."""
    case: Case
    """What differs: actions, states, violations, outcome numbers."""
    old: Replay
    """The replay that was asked."""
    new: Replay
    """The other one; ask it anything."""
    fork: int
    """The last step up to which both had the same inputs and rules; 0 is the base."""
    forked_at: datetime | None
    """The clock at that step, naive UTC."""
    prefix: str
    """Digest of the history of all tables up to there, which is the same in both."""

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        after = f"The same up to step {self.fork:,}" + (
            f" ({show_time(self.forked_at)})" if self.fork else ", the base"
        )
        found = "nothing differs after it either" if self.case.identical else self.case.sentence
        return f"{self.asked[:1].upper()}{self.asked[1:]}: {found}. {after}."

    def __repr__(self) -> str:
        return brief("WhatIf", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        proof = f"Proof: the histories up to step {self.fork:,} have the same digest, {self.prefix[:16]}."
        return "\n".join([note_html(self.sentence, 1_000), self.case.details_html(), note_html(proof)])


def what_if(
    run: Replay,
    skip: Any = None,
    edit: Any = None,
    add: Any = None,
    params: Mapping[str, Any] | None = None,
    without: Sequence[str] = (),
) -> WhatIf:
    """Return what a window would have come to otherwise: see `replaykit.Replay.what_if`."""
    inputs = other_inputs(run, skip, edit, add)
    rules = _rules(run, params, without)
    changed = changed_rules(run.reconciler, rules)
    if not inputs and not changed:
        raise QueryError(
            "what_if() was asked for nothing else; name skip=, edit=, add=, params= or without=, as in "
            "run.what_if(skip=['ev-7'])."
        )
    asked = ", ".join([*_told(run, inputs), *(f"with {one}" for one in changed)])
    new = _replayed(run, inputs, rules, asked)
    fork = _fork(run, new, inputs, changed)
    proof = _proved(run, new, fork)
    return WhatIf(asked, case_of(run, new, changed), run, new, fork, run.at(step=fork).at, proof)


def _rules(run: Replay, params: Mapping[str, Any] | None, without: Sequence[str]) -> Reconciler:
    rules = run.reconciler.with_params(**(params or {}))
    return rules.without(*([without] if isinstance(without, str) else without))


def _told(run: Replay, inputs: OtherInputs) -> list[str]:
    """Return what is asked of the inputs, in words; an event by its id where it is one."""
    parts = []
    if inputs.skipped:
        parts.append(f"without {_named(run, inputs.skipped)}")
    if inputs.edits:
        parts.append(f"with {_named(run, inputs.edits)} edited")
    if inputs.adds:
        parts.append(f"with {count(len(inputs.adds), 'event')} added")
    return parts


def _named(run: Replay, positions: Collection[int]) -> str:
    if len(positions) > 1:
        return count(len(positions), "event")
    found = run.history.fetch(
        "SELECT kind, event_id FROM steps WHERE position = $at AND input = 'event'", {"at": min(positions)}
    )
    return " ".join(["event", *(show_text(one, 60) for one in found[0] if one)])


def _replayed(run: Replay, inputs: OtherInputs, rules: Reconciler, asked: str) -> Replay:
    recording, plan = run.recording, run.plan
    if inputs.edits or inputs.adds:
        recording, behind = altered(recording, inputs, plan.base.position)
        plan = make_plan(recording, run.window, replace(plan.base, position=behind), anywhere=True)
    elif inputs.skipped:
        plan = narrowed(recording, plan, LeftOut(events=inputs.skipped))
    plan = replace(plan, altered=asked) if inputs else plan
    made = run._once_more(plan, recording=recording, reconciler=rules)
    _ = made.verdict, made.events
    return made


def _fork(run: Replay, new: Replay, inputs: OtherInputs, changed: Sequence[str]) -> int:
    """Return the last step before anything was otherwise."""
    forks = [min(run.before_step, new.before_step)] if changed else []
    touched = sorted({*inputs.skipped, *inputs.edits})
    if touched:
        (first,) = run.history.fetch(
            f"SELECT min(step) - 1 FROM steps WHERE input = 'event' AND {ranges('position', touched)}"
        )[0]
        forks.append(int(first))
    timed = [values for values in (*inputs.adds, *inputs.edits.values()) if "occurred_at" in values]
    forks += [_behind(run, values["occurred_at"]) for values in timed]
    fork = min(forks)
    # Parameters may have told handlers something before the window.
    return fork if not changed or history_digest(run.history, fork) == history_digest(new.history, fork) else 0


def _behind(run: Replay, time: Any) -> int:
    """Return the step of the last event that is not later than a time."""
    found = run.history.fetch(
        "SELECT coalesce(max(step), 0) FROM steps WHERE input = 'event' AND occurred_at <= $time", {"time": time}
    )
    return int(found[0][0])


def _proved(run: Replay, new: Replay, fork: int) -> str:
    """Return the digest that both histories have up to the fork.

    Raises
    ------
    ReconcilerError
        They differ, although inputs and rules were the same up to there.
    """
    digests = [history_digest(one.history, fork) for one in (run, new)]
    steps = [steps_digest(one.history, fork) for one in (run, new)]
    if digests[0] != digests[1] or steps[0] != steps[1]:
        raise ReconcilerError(
            f"Two replays of the same inputs up to step {fork:,} came to different states, so nothing can be said of "
            "what comes after it. Look with run.check_determinism() for a clock, a draw or a set in the rules."
        )
    return digests[0]
