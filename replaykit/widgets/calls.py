"""The plain Python call that gives what an explorer shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError
from replaykit.inputs import make_plan
from replaykit.snapshot import RecordedSnapshot

if TYPE_CHECKING:
    from replaykit.reconciler import Reconciler
    from replaykit.replayed import Replay
    from replaykit.window import Window

__all__ = ["names_in", "options_of", "replay_call"]


def replay_call(recording: str, reconciler: str, window: Window, options: Mapping[str, Any]) -> str:
    """Return the call that replays a window; `recording` and `reconciler` are the caller's names for them."""
    given = [f"    {name}={_written(value, recording)},\n" for name, value in options.items()]
    return f"run = rk.replay(\n    {recording},\n    {reconciler},\n    rk.{window!r},\n{''.join(given)})\n"


def options_of(run: Replay, reconciler: Reconciler) -> dict[str, Any]:
    """Return the options of `replaykit.replay` that gave a result, those that are not its defaults.

    Raises
    ------
    QueryError
        The replay began from a state that no code can name.
    """
    given = {**run.settings, "ticks": run.settings["ticks"].interval or run.settings["ticks"].mode}
    defaults = {"ticks": "end", "actions": "collect", "on_error": "raise"}
    found: dict[str, Any] = {name: given[name] for name, default in defaults.items() if given[name] != default}
    base = run.plan.base
    if base.name == "the given snapshot":
        raise QueryError("That replay began from a snapshot of no recording, so there is no call that repeats it.")
    if base.name != make_plan(run.recording, run.window, "nearest").base.name:
        found["base"] = "empty" if base.number is None else run.recording.snapshot(base.number)
    differing = {name: value for name, value in run.reconciler.params.items() if reconciler.params.get(name) != value}
    return found | ({"params": differing} if differing else {})


def names_in(variables: Mapping[str, Any], recording: Any, reconciler: Any) -> tuple[str, str]:
    """Return what code with these variables calls a recording and a reconciler; general words where it has no name."""
    found = []
    for thing, word in ((recording, "recording"), (reconciler, "reconciler")):
        names = sorted(name for name, value in variables.items() if value is thing and _plain(name))
        found.append(names[0] if names and thing is not None else word)
    return found[0], found[1]


def _plain(name: str) -> bool:
    taken = name in ("glance", "rk", "run", "views")  # what the code itself uses
    return name.isidentifier() and not iskeyword(name) and not name.startswith("_") and not taken


def _written(value: Any, recording: str) -> str:
    if isinstance(value, RecordedSnapshot):
        return f"{recording}.snapshot({value.number})"
    if isinstance(value, timedelta):
        return repr(value).removeprefix("datetime.")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_written(one, recording)}" for key, one in value.items()) + "}"
    return repr(value)
