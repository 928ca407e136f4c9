"""Measured: a replay's metrics per tick, with those its reconciler defines and those production recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.errors import ReconcilerError, excerpt
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from replaykit.replay import Replay

__all__ = ["with_measures"]

_OWN = {"position", "occurred_at", "kind", "payload", "global_seq", "tick", "checked_at", "check_seq"}


def with_measures(run: Replay) -> pd.DataFrame:
    """Return the metrics of a replay, with the columns that `Reconciler.measure` adds, and ``recorded_<column>``.

    Recorded columns are those of the log of ticks that play no other part; they come where the replay ticked as
    recorded.
    """
    frame = run.metrics
    for function in run.reconciler.measures:
        frame = _joined(frame, function(run), _named(function))
    if run.settings["ticks"].mode == "recorded" and "ticks" in run.recording.logs:
        frame = _joined(frame, _recorded(run), "the log of ticks")
    return frame


def _named(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))


def _joined(frame: pd.DataFrame, more: Any, source: str) -> pd.DataFrame:
    """Return the frame with the columns of another, by tick."""
    if "tick" not in getattr(more, "columns", ()) or not more["tick"].is_unique:
        raise ReconcilerError(f"{source} measured {excerpt(type(more).__name__)}; expected a frame with a unique tick.")
    twice = [name for name in more.columns if name in frame.columns and name != "tick"]
    if twice:
        raise ReconcilerError(f"{source} measured {twice[0]!r}, a column that is there already: {list(frame.columns)}.")
    return frame.merge(more, on="tick", how="left")


def _recorded(run: Replay) -> pd.DataFrame:
    columns = [name for name in run.recording.columns("ticks") if name not in _OWN]
    reads = "".join(f", {quote(name)} AS {quote(f'recorded_{name}')}" for name in columns)
    numbered = "tick" if "tick" in run.recording.columns("ticks") else "position"
    start, end = run.window.bounds()
    return run.recording._frame(
        f"SELECT {numbered} AS tick{reads} FROM ticks WHERE occurred_at >= $start AND occurred_at < $end "
        "ORDER BY position",
        {"start": start, "end": end},
    )
