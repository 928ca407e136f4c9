"""Looks: each view of an explorer as one Python expression, so that what is shown and what is copied are the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from replaykit.focus import Focus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from replaykit.recording import Recording
    from replaykit.replayed import Replay
    from replaykit.window import Window

__all__ = ["PAGE", "PAGED", "RECORDED", "REPLAYED", "VIEWS", "Choice", "evaluated", "expression", "imports"]

PAGE = 200
"""Rows shown at once."""


@dataclass
class Choice:
    """What is chosen in an explorer's controls. Empty texts and tuples choose everything."""

    window: Window
    kinds: tuple[str, ...] = ()
    """Kinds of events."""
    text: str = ""
    """Text to look for in ids and payloads of events."""
    action_kinds: tuple[str, ...] = ()
    target: str = ""
    """The entity, or a field, of an action."""
    action_text: str = ""
    action_sort: str = ""
    every: bool = False
    """Actions one by one, not as episodes."""
    changed: str = ""
    """The table whose changes are shown."""
    gross: bool = False
    """Every change, not the difference of the ends."""
    table: str = ""
    """The table shown as of a step."""
    step: int | None = None
    violation_text: str = ""
    violation_sort: str = ""
    offset: int = 0
    """Events before those shown."""
    focus: Focus = field(default_factory=Focus)


def _call(name: str, *given: str, **options: Any) -> str:
    """Return a call as text, without the options that choose nothing."""
    # Step 0 is a choice, though it equals False.
    told = (f"{key}={value!r}" for key, value in options.items() if value is not False and value not in (None, "", []))
    return f"{name}({', '.join([*given, *told])})"


def events(choice: Choice, name: str, page: tuple[int, int] | None) -> str:
    """Return the expression of a page of the window's events."""
    limit, offset = page or (PAGE, choice.offset)
    return _call(
        "views.events", name, f"rk.{choice.window!r}", kinds=list(choice.kinds), text=choice.text, limit=limit or None,
        offset=offset or None,
    )  # fmt: skip


def actions(choice: Choice, name: str, page: tuple[int, int] | None) -> str:  # noqa: ARG001
    """Return the expression of the actions, as episodes or one by one, filtered and sorted."""
    return _call(
        "views.actions", "run", kinds=list(choice.action_kinds), target=choice.target, text=choice.action_text,
        every=choice.every, sort=choice.action_sort,
    )  # fmt: skip


def changes(choice: Choice, name: str, page: tuple[int, int] | None) -> str:  # noqa: ARG001
    """Return the expression of what the window changed, in one table or in all."""
    return _call("views.changes", "run", *([repr(choice.changed)] if choice.changed else []), gross=choice.gross)


def state_at(choice: Choice, name: str, page: tuple[int, int] | None) -> str:  # noqa: ARG001
    """Return the expression of a table after a step."""
    limit, offset = page or (None, 0)
    return _call("views.state", "run", repr(choice.table), step=choice.step, limit=limit or None, offset=offset or None)


def violations(choice: Choice, name: str, page: tuple[int, int] | None) -> str:  # noqa: ARG001
    """Return the expression of the episodes of violations."""
    return _call("views.violations", "run", text=choice.violation_text, sort=choice.violation_sort)


def story(choice: Choice, name: str, page: tuple[int, int] | None) -> str:  # noqa: ARG001
    """Return the expression of everything recorded about the entity in focus."""
    return f"{name}.story({choice.focus.entity!r}).frame"


def _glance(choice: Choice, name: str, what: str) -> str:
    return f"glance({name}, rk.{choice.window!r}).{what}"


def _plain(text: str) -> Callable[[Choice, str, tuple[int, int] | None], str]:
    def said(choice: Choice, name: str, page: tuple[int, int] | None) -> str:  # noqa: ARG001
        return text

    return said


VIEWS: Mapping[str, Callable[[Choice, str, tuple[int, int] | None], str]] = {
    "Actions": actions,
    "State diff": changes,
    "State at": state_at,
    "Violations": violations,
    "Events": events,
    "Story": story,
    "Metrics": _plain("run.metrics"),
    "Verdict": _plain("run.verdict.checks"),
    "Differing cells": _plain("run.verdict.cells"),
    "Problems": _plain("run.problems"),
    "Kinds": lambda choice, name, page: _glance(choice, name, "kinds"),  # noqa: ARG005
    "Unexplained": lambda choice, name, page: _glance(choice, name, "unexplained"),  # noqa: ARG005
}
"""The views in their order."""
RECORDED = ("Events", "Story", "Kinds", "Unexplained")
"""Those that need no replay."""
REPLAYED = tuple(name for name in VIEWS if name not in RECORDED[2:])
"""Those to look at a replay with."""
PAGED = ("Events", "State at")
"""Those of which DuckDB gives a page; the others are held in memory."""


def expression(view: str, choice: Choice, name: str = "recording", page: tuple[int, int] | None = None) -> str:
    """Return the Python expression of a view's table.

    Parameters
    ----------
    name
        What the caller calls the recording.
    page
        How many rows, and how many before them, of a view that DuckDB pages.
    """
    return VIEWS[view](choice, name, page)


def evaluated(text: str, recording: Recording, run: Replay | None, name: str = "recording") -> pd.DataFrame:
    """Return the table of an expression made by `expression`: names, calls and quoted values, nothing else."""
    import replaykit
    from replaykit import views
    from replaykit.glance import glance

    names: dict[str, Any] = {name: recording, "run": run, "views": views, "rk": replaykit, "glance": glance}
    found: pd.DataFrame = eval(text, {"__builtins__": {}}, names)  # noqa: S307 - our own text, values quoted
    return found


def imports(text: str) -> str:
    """Return the imports some code needs, each with its line end, and an empty line; empty if it needs none."""
    needed = {
        "timedelta(": "from datetime import timedelta\n",
        "rk.": "import replaykit as rk",
        "views.": "from replaykit import views",
        "glance(": "from replaykit.glance import glance",
    }
    lines = [f"{line}\n" for name, line in needed.items() if name in text]
    return "".join([*lines, "\n"]) if lines else ""
