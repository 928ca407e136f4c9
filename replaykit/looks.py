"""Looks: each view of an explorer as one Python expression, so that what is shown and what is copied are the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from replaykit.focus import Focus
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from replaykit.recording import Recording
    from replaykit.replay import Replay
    from replaykit.window import Window

__all__ = ["PAGE", "RECORDED", "VIEWS", "Choice", "evaluated", "expression", "imports"]

PAGE = 200
"""Rows of events shown at once."""


@dataclass
class Choice:
    """What is chosen in an explorer's controls, beside the window."""

    window: Window
    kinds: tuple[str, ...] = ()
    """Kinds to show; empty is all of them."""
    text: str = ""
    """Text to look for in ids, columns and payloads, or in an action's fields."""
    table: str = ""
    step: int | None = None
    sort: str = ""
    every: bool = False
    """Actions one by one, not as episodes."""
    offset: int = 0
    focus: Focus = field(default_factory=Focus)


def events(recording: Recording, choice: Choice, name: str) -> str:
    """Return the expression of a page of the window's events."""
    start, end = choice.window.bounds()
    where = [f"occurred_at >= TIMESTAMP '{start}'", f"occurred_at < TIMESTAMP '{end}'"]
    named: dict[str, Any] = {}
    if choice.kinds:
        where.append("list_contains($kinds, kind)")
        named["kinds"] = list(choice.kinds)
    if choice.text:
        columns = [quote(c) for c, t in recording.columns("events").items() if t in ("VARCHAR", "JSON")]
        where.append(f"contains(concat_ws(' ', {', '.join(columns)}), $text)")
        named["text"] = choice.text
    query = f"SELECT * FROM events WHERE {' AND '.join(where)} ORDER BY position LIMIT {PAGE} OFFSET {choice.offset}"
    given = "".join(f", {key}={value!r}" for key, value in named.items())
    return f"{name}.sql({query!r}{given})"


def actions(recording: Recording, choice: Choice, name: str) -> str:  # noqa: ARG001
    """Return the expression of the actions, as episodes or one by one, filtered and sorted."""
    shown = "run.actions"
    if choice.text:
        shown += f".loc[lambda a: a.astype(str).agg(' '.join, axis=1).str.contains({choice.text!r}, regex=False)]"
    if not choice.every:
        shown = f"build_episodes({shown}, ['kind', 'entity'], ticks=run.metrics)"
    return _sorted(shown, choice)


def _sorted(shown: str, choice: Choice) -> str:
    return f"{shown}.sort_values({choice.sort!r}, kind='stable')" if choice.sort else shown


def changes(recording: Recording, choice: Choice, name: str) -> str:  # noqa: ARG001
    """Return the expression of what the window changed, cell by cell, in one table or in all."""
    return f"run.diff[{choice.table!r}].changed_long" if choice.table else "run.diff.changed_long"


def state_at(recording: Recording, choice: Choice, name: str) -> str:  # noqa: ARG001
    """Return the expression of a table after a step."""
    moment = f"run.at(step={choice.step})" if choice.step is not None else "run.after"
    return f"{moment}[{choice.table!r}]"


def violations(recording: Recording, choice: Choice, name: str) -> str:  # noqa: ARG001
    """Return the expression of the episodes of violations."""
    return _sorted("run.violations", choice)


def story(recording: Recording, choice: Choice, name: str) -> str:  # noqa: ARG001
    """Return the expression of everything recorded about the entity in focus."""
    return f"{name}.story({choice.focus.entity!r}).frame"


def metrics(recording: Recording, choice: Choice, name: str) -> str:  # noqa: ARG001
    """Return the expression of the metrics of every tick."""
    return "run.metrics"


def verdict(recording: Recording, choice: Choice, name: str) -> str:  # noqa: ARG001
    """Return the expression of what the replay was compared with."""
    return "run.verdict.checks"


def cells(recording: Recording, choice: Choice, name: str) -> str:  # noqa: ARG001
    """Return the expression of the cells that differ from what was recorded."""
    return "run.verdict.cells"


def problems(recording: Recording, choice: Choice, name: str) -> str:  # noqa: ARG001
    """Return the expression of what did not go as the reconciler's author meant."""
    return "run.problems"


VIEWS: Mapping[str, Callable[[Recording, Choice, str], str]] = {
    "Actions": actions,
    "State diff": changes,
    "State at": state_at,
    "Violations": violations,
    "Events": events,
    "Story": story,
    "Metrics": metrics,
    "Verdict": verdict,
    "Differing cells": cells,
    "Problems": problems,
}
"""The views in their order."""
RECORDED = ("Events", "Story")
"""Those that need no replay."""


def expression(view: str, recording: Recording, choice: Choice, name: str = "recording") -> str:
    """Return the Python expression of a view's table; `name` is what the caller calls the recording."""
    return VIEWS[view](recording, choice, name)


def evaluated(text: str, recording: Recording, run: Replay | None, name: str = "recording") -> pd.DataFrame:
    """Return the table of an expression made by `expression`: names, calls and quoted values, nothing else."""
    from replaykit.findings.episodes import build_episodes

    names: dict[str, Any] = {name: recording, "run": run, "build_episodes": build_episodes}
    found: pd.DataFrame = eval(text, {"__builtins__": {"str": str}}, names)  # noqa: S307 - our own text, values quoted
    return found


def imports(text: str) -> str:
    """Return the import an expression needs, with its line end; empty if none."""
    return "from replaykit.findings.episodes import build_episodes\n" if "build_episodes(" in text else ""
