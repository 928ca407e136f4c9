"""Measured: a replay's metrics per tick, with those its reconciler defines and those production recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.errors import IsolationError, ReconcilerError, excerpt
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from replaykit.replayed import Replay

__all__ = ["with_measures"]

_OWN = {"position", "occurred_at", "kind", "payload", "global_seq", "tick", "checked_at", "check_seq"}


def with_measures(run: Replay) -> pd.DataFrame:
    """Return the metrics of a replay, with the columns that `Reconciler.measure` adds, and ``recorded_<column>``.

    Recorded columns are those of the log of ticks that play no other part; they come where the replay ticked as
    recorded.
    """
    frame = run.metrics.copy()  # a measure is handed the run's own
    for function in run.reconciler.measures:
        frame = _joined(frame, _measured(function, run), f"Measure {_named(function)}")
    if run.settings["ticks"].mode == "recorded" and "ticks" in run.recording.logs:
        frame = _joined(frame, _recorded(run), "The log of ticks")
    return frame


def _named(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))


def _measured(function: Callable[..., Any], run: Replay) -> Any:
    try:
        return function(run)
    except IsolationError:
        raise
    except Exception as exc:
        raise ReconcilerError(f"Measure {_named(function)} raised {excerpt(exc)}.", handler=_named(function)) from exc


def _joined(frame: pd.DataFrame, more: Any, source: str) -> pd.DataFrame:
    """Return the frame with the columns of another, by tick; ticks it does not know are left out."""
    import pandas as pd

    what = f"{source} measured a {type(more).__name__}; expected a DataFrame"
    if not isinstance(more, pd.DataFrame) or list(more.columns).count("tick") != 1:
        raise ReconcilerError(f"{what} with one column 'tick'.")
    if not pd.api.types.is_integer_dtype(more["tick"].dtype) and len(more):
        raise ReconcilerError(f"{what} whose tick is a whole number; it is {more['tick'].dtype}.")
    if not more["tick"].is_unique:
        twice = more["tick"][more["tick"].duplicated()].iloc[0]
        raise ReconcilerError(f"{what} with one row for each tick; it has several for tick {twice}.")
    names = [name for name in more.columns if name != "tick"]
    clash = next((name for n, name in enumerate(names) if name in frame.columns or name in names[:n]), None)
    if clash is not None:
        raise ReconcilerError(f"{source} measured {clash!r}, a column that is there already: {list(frame.columns)}.")
    if not len(more):
        more = more.astype({"tick": "int64"})
    return frame.merge(more, on="tick", how="left")


def _recorded(run: Replay) -> pd.DataFrame:
    columns = [name for name in run.recording.columns("ticks") if name not in _OWN]
    reads = "".join(f", {quote(name)} AS {quote(f'recorded_{name}')}" for name in columns)
    above = "(SELECT coalesce(max(tick), 0) FROM ticks)"  # as `recorded_ticks` numbers ticks without a number
    numbered = f"coalesce(tick, {above} + position)" if "tick" in run.recording.columns("ticks") else "position"
    start, end = run.window.bounds()
    return run.recording._frame(
        f"SELECT {numbered} AS tick{reads} FROM ticks WHERE occurred_at >= $start AND occurred_at < $end "
        "ORDER BY position",
        {"start": start, "end": end},
    )
