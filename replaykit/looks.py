"""Looks: each view of an explorer as one Python expression, so that what is shown and what is copied are the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from replaykit.errors import show_time
from replaykit.focus import Focus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from replaykit.recording import Recording
    from replaykit.replayed import Replay
    from replaykit.window import Window

__all__ = [
    "ASKED", "PAGE", "PAGED", "RECORDED", "REPLAYED", "VIEWS", "Choice", "answered", "evaluated", "expression",
    "imports",
]  # fmt: skip

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
    asked: tuple[Any, ...] = ()
    """What was chosen last: ``("action", 17)``, its number; ``("violation", 3)``, its place in ``run.violations``;
    ``("cell", 512, "beads", ("b12",))``, the step, the table and the key of a row of the state."""
    asked_column: str = ""
    """The column of the cell asked about."""
    why_not_kind: str = ""
    """The kind of action of which to ask why not."""
    why_not_field: str = ""
    """The field that the entity in focus is; empty is the one in which it was seen."""
    why_not_fields: Mapping[str, Any] = field(default_factory=dict)
    """What names that action: the field and the entity as its value. Follows the focus."""
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


def why(choice: Choice, name: str, page: tuple[int, int] | None) -> str:  # noqa: ARG001
    """Return the expression of what made an action, a violation or a cell so; of the replay where none was chosen."""
    what, *told = choice.asked or ("nothing",)
    if what == "action":
        return f"run.why({told[0]!r}).to_frame()"
    if what == "violation":
        return f"run.why(run.violations.iloc[{told[0]!r}]).to_frame()"
    if what == "cell":
        step, table, key = told
        named = key[0] if len(key) == 1 else key
        return f"run.at(step={step!r}).blame({table!r}, {named!r}, {choice.asked_column!r}).values"
    return "run"


def why_not(choice: Choice, name: str, page: tuple[int, int] | None) -> str:  # noqa: ARG001
    """Return the expression of what stopped the rules from an action; of the replay where no entity is in focus."""
    if not choice.why_not_fields:
        return "run"
    plain = {one: value for one, value in choice.why_not_fields.items() if one.isidentifier() and not iskeyword(one)}
    odd = {one: value for one, value in choice.why_not_fields.items() if one not in plain}
    given = [repr(choice.why_not_kind), *(f"{one}={value!r}" for one, value in plain.items())]
    given += [f"**{odd!r}"] if odd else []
    given += [f"at={show_time(choice.focus.time)!r}"] if choice.focus.time is not None else []
    return f"run.why_not({', '.join(given)}).to_frame()"


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
    "Why": why,
    "Why not": why_not,
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
ASKED = ("Why", "Why not")
"""Those that answer a question: the table of a value that also says it in a sentence."""
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
    found: pd.DataFrame = _value(text, recording, run, name)
    return found


def answered(text: str, recording: Recording, run: Replay, name: str = "recording") -> tuple[pd.DataFrame, str]:
    """Return the table of the expression of a question, and the answer in words; it is asked once."""
    asked, _, table = text.rpartition(".")
    answer = _value(asked, recording, run, name)
    beyond = getattr(answer, "beyond", "")
    told = answer.sentence if beyond in answer.sentence else f"{answer.sentence} {beyond}."
    return answer.to_frame() if table == "to_frame()" else answer.values, told


def _value(text: str, recording: Recording, run: Replay | None, name: str) -> Any:
    import replaykit
    from replaykit import views
    from replaykit.glance import glance

    names: dict[str, Any] = {name: recording, "run": run, "views": views, "rk": replaykit, "glance": glance}
    return eval(text, {"__builtins__": {}}, names)  # noqa: S307 - our own text, values quoted


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
