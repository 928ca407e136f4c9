"""The plain Python call that gives what a panel shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from replaykit.snapshot import RecordedSnapshot

if TYPE_CHECKING:
    from replaykit.window import Window

__all__ = ["glance_call", "replay_call"]


def glance_call(recording: str, window: Window) -> str:
    """Return the call that looks at a window."""
    return f"import replaykit as rk\nfrom replaykit.glance import glance\n\nglance({recording}, rk.{window!r})\n"


def replay_call(recording: str, reconciler: str, window: Window, options: Mapping[str, Any]) -> str:
    """Return the call that replays a window; `recording` and `reconciler` are the caller's names for them."""
    given = [f"    {name}={_written(value, recording)},\n" for name, value in options.items()]
    body = f"run = rk.replay(\n    {recording},\n    {reconciler},\n    rk.{window!r},\n{''.join(given)})\nrun\n"
    imports = "from datetime import timedelta\n\n" if "timedelta(" in body else ""
    return f"{imports}import replaykit as rk\n\n{body}"


def _written(value: Any, recording: str) -> str:
    if isinstance(value, RecordedSnapshot):
        return f"{recording}.snapshot({value.number})"
    if isinstance(value, timedelta):
        return repr(value).removeprefix("datetime.")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_written(one, recording)}" for key, one in value.items()) + "}"
    return repr(value)
