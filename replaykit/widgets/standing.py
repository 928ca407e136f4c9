"""Standing: how things stand in an explorer, in a word and a sentence, and what mends it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from replaykit.glance import glance
from replaykit.window import Window

if TYPE_CHECKING:
    from replaykit.recording import Recording
    from replaykit.widgets.explorer import Explorer

__all__ = ["standing", "widened"]


def standing(explorer: Explorer) -> tuple[Any, ...]:
    """Return a status, a sentence, details to copy, and the button that mends it, if one does."""
    if explorer._choice is None:
        return "empty", "The recording holds no events; recording.report says what was read and rejected."
    below = f"Below is still {explorer.run!r} of {explorer.run.window!r}." if explorer.run is not None else ""
    if explorer.running:
        return "running", f"Replaying {explorer.window!r}. {below}"
    if not explorer.frame.brush.counted:
        return _empty(explorer, below)
    if explorer.reconciler is None:
        return "recorded", "What the recording holds. Nothing was replayed: rk.explore was given no reconciler."
    if explorer.run is None:
        return "nothing yet", "Choose a window and press Replay."
    if explorer.stale:
        return "stale", f"The controls have moved on; press Replay. {below}"
    return explorer.run.verdict.status, f"{explorer.run!r}: {explorer.run.verdict.sentence}"


def _empty(explorer: Explorer, below: str) -> tuple[Any, ...]:
    if explorer.choice.kinds or explorer.choice.text:
        told = f"No event of {explorer.window!r} passes the filter. {below}"
        return "empty", told, "", ("Clear the filter", "Show all kinds, whatever their text")
    mend = ("Widen", "Move the nearest end of the window so far that it holds an event")
    return "empty", f"{glance(explorer.recording, explorer.window).sentence} {below}", "", mend


def widened(recording: Recording, window: Window) -> Window:
    """Return a window widened on both sides to the nearest event there is; rules may want what is between."""
    start, end = window.bounds()
    before, after = glance(recording, window).nearest
    return Window(
        start if before is None else min(start, before),
        end if after is None else max(end, after + timedelta(microseconds=1)),
    )
