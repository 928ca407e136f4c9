"""Case: what two reconcilers did with one recording and window, side by side, as a value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.comparing.axis import Axis
from replaykit.comparing.behind import First, first_of
from replaykit.comparing.breaches import COLUMNS as BREACHES
from replaykit.comparing.breaches import breaches
from replaykit.comparing.outcomes import outcomes_of
from replaykit.comparing.spans import differences, spans_of
from replaykit.comparing.states import StateFork, first_fork
from replaykit.display import brief, count, note_html, show_text, table_html
from replaykit.errors import show_time
from replaykit.fingerprint import frame_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import pandas as pd

    from replaykit.comparing.spans import Difference, Spans
    from replaykit.diff import TablesDiff
    from replaykit.replayed import Replay
    from replaykit.window import Window

__all__ = ["Case", "case_of", "failed_case"]

_OTHERWISE = {"changed": "with other fields", "other rule": "by another rule", "reordered": "in another order"}
_RULES = ["rule", "old", "new", "missing", "extra", "changed", "other rule", "reordered", "ticks"]
_KINDS = ["kind", "old", "new", "ticks"]
_ACTIONS = [
    "difference", "tick", "at", "ticks", "rule", "kind", "entity", "fields", "old_action", "new_action", "old", "new",
]  # fmt: skip


@dataclass(frozen=True, repr=False, eq=False)
class Case:
    """One recording and window, replayed with both reconcilers. Holds no replay: it can be kept, sent and pickled."""

    name: str
    """What the recording is called."""
    window: Window
    events: int
    """Events inside the window."""
    ticks: int
    """Ticks at which both were asked."""
    first: First | None
    """The first action in which they differ."""
    fork: StateFork | None
    """The first step after which their states differ."""
    rules: pd.DataFrame
    """One row per rule that either has: ``rule``, ``old`` and ``new`` (actions; one that stands over neighbouring ticks
    is one), ``missing``, ``extra``, ``changed``, ``other rule``, ``reordered`` (differences), ``ticks`` (with one)."""
    kinds: pd.DataFrame
    """One row per kind of action with a difference, in order of the first: ``kind``, ``old`` and ``new`` (actions), and
    ``ticks`` (at how many more it was emitted)."""
    actions: pd.DataFrame
    """One row per difference, in order: ``difference``, ``tick`` and ``at`` of the first tick, ``ticks`` (how many in
    a row), ``rule``, ``kind``, ``entity``, ``fields`` (that differ), ``old_action`` and ``new_action`` (numbers in
    ``run.actions`` of where they began), ``old`` and ``new`` (fields as JSON)."""
    diff: TablesDiff | None
    """What differs between the states at the end, old before new; None if nothing does."""
    violations: pd.DataFrame
    """One row per episode gained, lost or changed; see `replaykit.comparing.breaches`."""
    outcomes: pd.DataFrame
    """One row per outcome number: ``outcome``, ``old``, ``new``, ``difference``."""
    beside: tuple[str, ...] = ()
    """What else differs: ``effects`` of applied actions, or ``problems`` (who raised what, and how often)."""
    error: str = ""
    """Why it could not be compared: a replay raised. Nothing else is known then."""

    @property
    def identical(self) -> bool:
        """Whether actions, states at all times, violations, effects and problems are the same."""
        return not (self.error or len(self.actions) or len(self.violations) or self.fork is not None or self.beside)

    @property
    def at(self) -> datetime | None:
        """When actions first differ, naive UTC; else when states or violations do."""
        found = self.first or self.fork
        times = [found.at] if found else self.violations["at"].head(1).tolist()
        return times[0] if times else None

    @property
    def changes(self) -> str:
        """What is fewer, more or other, in words: "4 fewer dispatch_agent, 1 violation gained"."""
        parts = _kinds(self.actions, self.kinds)
        for change in ("gained", "lost", "changed"):
            number = int((self.violations["change"] == change).sum())
            parts += [f"{count(number, 'violation')} {change}"] if number else []
        if self.diff is not None and len(self.diff):
            parts.append(f"{count(len(self.diff), 'row')} {'differ' if len(self.diff) > 1 else 'differs'} at the end")
        elif self.fork is not None:
            parts.append("states differ on the way, not at the end")
        return ", ".join([*parts, *(f"other {one}" for one in self.beside)]) or "nothing"

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        if self.error:
            return f"could not be compared: {self.error}"
        if self.identical:
            actions = count(int(self.rules["old"].sum()), "action")
            return f"identical: {count(self.events, 'event')}, {count(self.ticks, 'tick')}, {actions}"
        by = f" in rule {show_text(self.first.rule, 60)}" if self.first else ""
        when = f", first at {show_time(self.at)}{by}" if self.at is not None else ""
        return f"differs{when}: {self.changes}"

    def __repr__(self) -> str:
        return brief("Case", str(self))

    def __str__(self) -> str:
        return f"{self.name}: {self.sentence}" if self.name else self.sentence

    def _repr_html_(self) -> str:
        return "\n".join([note_html(str(self), 1_000), self.details_html()])

    def details_html(self) -> str:
        """Return what is behind the sentence as bounded HTML: the first divergence, and tables of what differs."""
        parts = []
        if self.first is not None:
            parts.append(self.first._repr_html_())
        if self.fork is not None:
            parts.append(note_html(self.fork.sentence, 1_000))
        differing = self.rules[self.rules[_RULES[3:]].any(axis=1)]
        tables = [("Rules that differ", differing, ".rules"), ("Actions that differ", self.actions, ".actions"),
                  ("Violations", self.violations, ".violations"), ("Outcomes", self.outcomes, ".outcomes")]  # fmt: skip
        parts += [table_html(frame, caption=name, limit=20, more=more) for name, frame, more in tables if len(frame)]
        return "\n".join(parts)


def _kinds(actions: pd.DataFrame, kinds: pd.DataFrame) -> list[str]:
    """Return for each kind of action how many more or fewer there are, and how many are otherwise."""
    parts = []
    for kind, old, new, ticks in kinds.itertuples(index=False):
        found = actions.loc[actions["kind"] == kind, "difference"].value_counts()
        name = show_text(str(kind), 60)
        more = new - old if (new - old) * ticks > 0 else 0  # a gap makes two of one, though there are fewer
        parts += [f"{abs(more):,} {'more' if more > 0 else 'fewer'} {name}"] if more else []
        other = int(found.get("extra", 0)) + int(found.get("missing", 0)) - abs(more)
        parts += [f"{other:,} {name} at other ticks or for others"] if other > 0 else []
        parts += [f"{int(found[one]):,} {name} {what}" for one, what in _OTHERWISE.items() if one in found]
    return parts


def case_of(
    old: Replay,
    new: Replay,
    changed: Sequence[str],
    *,
    name: str = "",
    outcomes: Mapping[str, Callable[[Any], Any]] | None = None,
) -> Case:
    """Compare two replays of one window; `changed` says what their reconcilers differ in."""
    axis = Axis(old, new)
    sides = spans_of(old, axis, 0), spans_of(new, axis, 1)
    found = differences(old, new, axis, sides)
    fork = first_fork(old, new)
    return Case(
        name=name,
        window=new.window,
        events=old.plan.events - old.plan.warmup,
        ticks=axis.ticks,
        first=first_of(found[0], old, new, axis, changed) if found else None,
        fork=fork,
        rules=_rules(old, new, found, sides),
        kinds=_kind_rows(found, sides),
        actions=_actions(found, axis),
        diff=_diff(old, new) if fork is not None else None,
        violations=breaches(old, new, axis),
        outcomes=_outcomes(*(outcomes_of(run, outcomes or {}) for run in (old, new))),
        beside=_beside(old, new),
    )


def failed_case(name: str, window: Window, error: str) -> Case:
    """Return the case of a replay that raised."""
    import pandas as pd

    return Case(
        name, window, 0, 0, None, None, _rule_rows({}), pd.DataFrame(columns=_KINDS),
        pd.DataFrame(columns=_ACTIONS), None,
        pd.DataFrame(columns=BREACHES), _outcomes({}, {}), (), error,
    )  # fmt: skip


def _beside(old: Replay, new: Replay) -> tuple[str, ...]:
    """Return which tables differ that are neither actions, states nor violations; steps and ticks are not compared."""
    found = []
    for name, leave_out in (("effects", ("step", "tick")), ("problems", ("step", "position"))):
        digests = {frame_digest(getattr(run, name), leave_out=leave_out) for run in (old, new)}
        found += [name] if len(digests) > 1 else []
    return tuple(found)


def _diff(old: Replay, new: Replay) -> TablesDiff:
    import replaykit

    found: TablesDiff = replaykit.diff(old.after, new.after)
    return found


def _rules(old: Replay, new: Replay, found: Sequence[Difference], sides: tuple[Spans, Spans]) -> pd.DataFrame:
    names = dict.fromkeys([*old.reconciler.rules, *new.reconciler.rules])
    rows: dict[str, dict[str, Any]] = {name: dict.fromkeys(_RULES[1:], 0) for name in names}
    for side, every in enumerate(sides):
        for identity, spans in every.items():
            rows[identity[0]][("old", "new")[side]] += len(spans)
    for one in found:
        row = rows[one.shown.rule]
        row[one.difference] += 1
        row["ticks"] += one.last - one.first + 1
    return _rule_rows(rows)


def _kind_rows(found: Sequence[Difference], sides: tuple[Spans, Spans]) -> pd.DataFrame:
    import pandas as pd

    numbers = {kind: [0, 0] for kind in dict.fromkeys(one.shown.kind for one in found)}
    for side, every in enumerate(sides):
        for identity, spans in every.items():
            if identity[1] in numbers:
                numbers[identity[1]][side] += len(spans)
    ticks = dict.fromkeys(numbers, 0)
    for one in found:
        sign = {"extra": 1, "missing": -1}.get(one.difference, 0)
        ticks[one.shown.kind] += sign * (one.last - one.first + 1)
    return pd.DataFrame([(kind, *both, ticks[kind]) for kind, both in numbers.items()], columns=_KINDS)


def _rule_rows(rows: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame([{"rule": name, **row} for name, row in rows.items()], columns=_RULES)
    return frame.astype({"rule": "str", **dict.fromkeys(_RULES[1:], "int64")})


def _actions(found: Sequence[Difference], axis: Axis) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame([_action(one, axis) for one in found], columns=_ACTIONS)
    whole = {"old_action": "Int64", "new_action": "Int64", "tick": "int64", "ticks": "int64"}
    return frame.astype({**whole, "at": "datetime64[us]"})


def _action(one: Difference, axis: Axis) -> dict[str, Any]:
    shown = one.shown
    row = {
        "difference": one.difference,
        "tick": axis.tick(0 if one.new is None else 1, one.first),
        "at": axis.at(one.first),
        "ticks": one.last - one.first + 1,
        "rule": shown.rule,
        "kind": shown.kind,
        "entity": shown.entity,
        "fields": ", ".join(one.fields),
    }
    for side, span in (("old", one.old), ("new", one.new)):
        row[f"{side}_action"] = None if span is None else span.number
        row[side] = None if span is None else json.dumps(dict(span.fields), ensure_ascii=False, default=str)
    return row


def _outcomes(old: Mapping[str, Any], new: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame({"outcome": list(old), "old": list(old.values()), "new": [new[name] for name in old]})
    frame = frame.astype({"outcome": "str", "old": "float64", "new": "float64"})
    return frame.assign(difference=(frame["new"] - frame["old"]).round(6))
