"""Divergence: what a replay's rules emitted beside what production's did, tick by tick."""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.display import brief, count, note_html, show_text, table_html
from replaykit.errors import QueryError, show_time
from replaykit.recorded_ticks import recorded_actions
from replaykit.sameness import Forms, same

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from replaykit.declarations import Action
    from replaykit.replayed import Replay

__all__ = ["Divergence", "divergence_of"]

_COLUMNS = ["tick", "at", "step", "difference", "kind", "entity", "rule", "fields", "recorded", "emitted"]


@dataclass(frozen=True, repr=False, eq=False)
class Divergence:
    """Emitted beside recorded actions. ``len()`` counts the differences."""

    frame: pd.DataFrame
    """One row per difference in order of tick and place: ``tick``, ``at``, ``step`` (the state its rules saw),
    ``difference`` (``missing``: recorded, not emitted; ``extra``; ``changed``: same kind and key, other fields;
    ``reordered``), ``kind``, ``entity``, ``rule``, ``fields`` (those that differ), ``recorded`` and ``emitted`` (JSON).
    """
    ticks: int
    """How many ticks were compared."""
    actions: int
    """How many recorded actions they have."""

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return brief("Divergence", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    @property
    def first(self) -> Mapping[str, Any] | None:
        """The first difference, or None."""
        return dict(self.frame.iloc[0]) if len(self.frame) else None

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        compared = f"{count(self.actions, 'recorded action')} at {count(self.ticks, 'tick')}"
        first = self.first
        if first is None:
            return f"Every tick emitted what was recorded: {compared}."
        wrong = self.frame["tick"].nunique()
        kinds = self.frame["difference"].value_counts(sort=False)
        parts = ", ".join(f"{number} {what}" for what, number in sorted(kinds.items()))
        return (
            f"{count(wrong, 'tick')} of {self.ticks:,} differ ({parts}); the first is tick {first['tick']} at "
            f"{show_time(first['at'])}: {first['difference']} {show_text(first['kind'])} {show_text(first['entity'])}."
        )

    def _repr_html_(self) -> str:
        head = note_html(self.sentence, 2_000)
        if not len(self.frame):
            return head
        first = table_html(self.frame.head(1), caption="The first difference")
        if len(self) == 1:
            return f"{head}\n{first}"
        return "\n".join([head, first, table_html(self.frame.iloc[1:], caption="The others", limit=50, more=".frame")])


def divergence_of(run: Replay) -> Divergence:
    """Compare what each tick emitted with what was recorded at it.

    Raises
    ------
    QueryError
        The replay did not tick as recorded, or the recording has no log of actions.
    """
    import pandas as pd

    ticks = run.settings["ticks"].recorded
    if run.settings["ticks"].mode != "recorded" or "actions" not in run.recording.logs:
        raise QueryError(
            "divergence compares emitted with recorded actions: replay with ticks='recorded' a recording that has a "
            "log of actions."
        )
    recorded = recorded_actions(run.recording, ticks, run.window.bounds()[1])
    emitted: dict[int, list[_Emitted]] = {}
    for tick, kind, fields, rule in run.emitted:
        emitted.setdefault(tick, []).append(_Emitted(kind, fields, rule, run.reconciler.rules[rule].key))
    every = [(one.kind, one.fields) for actions in recorded.values() for one in actions]
    forms = Forms(((kind, fields) for _, kind, fields, _ in run.emitted), every)
    steps = dict(zip(run.metrics["tick"], run.metrics["step"], strict=True))
    rows = [
        {"tick": one.tick, "at": one.at, "step": steps.get(one.tick), **row}
        for one in ticks
        for row in _differences(recorded.get(one.tick, []), emitted.get(one.tick, []), forms)
    ]
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    if len(frame):
        frame["at"] = frame["at"].astype("datetime64[us]")
    return Divergence(frame, len(ticks), sum(map(len, recorded.values())))


@dataclass(frozen=True)
class _Emitted:
    kind: str
    fields: Mapping[str, Any]
    rule: str
    key: tuple[str, ...]


def _differences(recorded: Sequence[Action], emitted: Sequence[_Emitted], forms: Forms) -> Iterator[dict[str, Any]]:
    """Yield what differs at one tick: recorded actions in their order first, then what only the replay emitted."""
    mine = [forms.identity(one.kind, one.fields) for one in emitted]
    theirs = [forms.identity(one.kind, one.fields) for one in recorded]
    if mine == theirs:
        return
    free: dict[str, list[int]] = {}
    for number, text in enumerate(mine):
        free.setdefault(text, []).append(number)
    matched = [free[text].pop(0) if free.get(text) else None for text in theirs]
    left = sorted(place for places in free.values() for place in places)
    moved = _moved([place for place in matched if place is not None])
    for place, wanted in zip(matched, recorded, strict=True):
        if place is None:
            twin = next((n for n in left if _alike(wanted, emitted[n])), None)
            left = [n for n in left if n != twin]
            found = None if twin is None else emitted[twin]
            yield _row("missing" if twin is None else "changed", wanted, found, forms)
        elif place in moved:
            yield _row("reordered", wanted, emitted[place], forms)
    for extra in left:
        yield _row("extra", None, emitted[extra], forms)


def _alike(recorded: Action, emitted: _Emitted) -> bool:
    """Return whether two actions are about the same thing: kind and the fields of the rule's key."""
    return recorded.kind == emitted.kind and all(
        same(emitted.fields.get(name), recorded.get(name)) for name in emitted.key
    )


def _moved(places: list[int]) -> set[int]:
    """Return the fewest places to take out so that the rest rises: all but a longest rising subsequence."""
    ends: list[int] = []  # of the best subsequence of each length
    before: dict[int, int | None] = {}
    for place in places:
        n = bisect_left(ends, place)
        before[place] = ends[n - 1] if n else None
        ends[n : n + 1] = [place]
    kept: set[int] = set()
    last: int | None = ends[-1] if ends else None
    while last is not None:
        kept.add(last)
        last = before[last]
    return set(places) - kept


def _row(difference: str, recorded: Action | None, emitted: _Emitted | None, forms: Forms) -> dict[str, Any]:
    shown: Any = emitted if recorded is None else recorded
    differing = _fields(recorded, emitted, forms) if recorded is not None and emitted is not None else []
    key = emitted.key if emitted is not None else [name for name in shown.fields if name.endswith("_id")]
    return {
        "difference": difference,
        "kind": shown.kind,
        "entity": "/".join(str(shown.fields[name]) for name in key if shown.fields.get(name) not in (None, "")),
        "rule": emitted.rule if emitted is not None else None,
        "fields": ", ".join(differing),
        "recorded": _text(recorded),
        "emitted": _text(emitted),
    }


def _fields(recorded: Action, emitted: _Emitted, forms: Forms) -> list[str]:
    """Return the fields that differ; one that only one of both has differs from one that is null."""
    kind = recorded.kind
    sides = [
        {name: forms.identity(kind, {name: value}) for name, value in one.fields.items()} for one in (recorded, emitted)
    ]
    return [name for name in dict.fromkeys([*sides[0], *sides[1]]) if sides[0].get(name) != sides[1].get(name)]


def _text(action: Any) -> str | None:
    if action is None:
        return None
    return json.dumps(dict(action.fields), ensure_ascii=False, default=str)
