"""What the rules of a replay emitted and what its invariants found, filtered and sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, excerpt
from replaykit.findings.episodes import build_episodes

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from replaykit.replay import Replay

__all__ = ["actions", "violations"]

_KEY = ["kind", "entity"]
_FIRST = [*_KEY, "rule", "opened_at", "last_at", "closed_at", "ticks"]


def actions(
    run: Replay,
    *,
    kinds: Iterable[str] | None = None,
    target: str | None = None,
    text: str | None = None,
    every: bool = False,
    sort: str | None = None,
) -> pd.DataFrame:
    """Return the actions a replay's rules emitted.

    Parameters
    ----------
    kinds
        Only of these kinds; None is all.
    target
        Only those whose entity, or one of whose fields, is this.
    text
        Only those in which some cell holds this text, capital or not.
    every
        One row for each action, as in ``run.actions``. Otherwise one for each episode: the same kind for the same
        entity, tick after tick, from the one that first emitted it to the first that did not (missing: still going
        on); further columns hold what its first action said.
    sort
        A column, ``"-ticks"`` for falling order; rows that are equal in it keep the order of emission.

    Raises
    ------
    QueryError
        There is no such column.
    """
    shown = run.actions
    if kinds is not None:
        shown = shown[shown["kind"].isin(list(kinds))]
    if target:
        named = shown.drop(columns=["action", "tick", "at", "step", "rule", "kind", "repeats"])
        shown = shown[_any(named, lambda column: column == target)]
    if text:
        shown = shown[_holding(shown, text)]
    if not every:
        shown = build_episodes(
            shown, _KEY, ticks=run.metrics, repeats="repeats", interval=run.settings["ticks"].interval
        )
        shown = shown[[*_FIRST, *(name for name in shown.columns if name not in _FIRST)]]
    return _sorted(shown, sort)


def violations(run: Replay, *, text: str | None = None, sort: str | None = None) -> pd.DataFrame:
    """Return the episodes of violations of a replay; `text` and `sort` as for `actions`."""
    import pandas as pd

    shown = pd.DataFrame(run.violations)
    return _sorted(shown[_holding(shown, text)] if text else shown, sort)


def _holding(frame: pd.DataFrame, text: str) -> Any:
    return _any(frame, lambda column: column.str.contains(text, case=False, regex=False))


def _any(frame: pd.DataFrame, test: Any) -> Any:
    """Return for each row whether a cell, as text, passes a test."""
    import pandas as pd

    found = pd.Series(False, index=frame.index)
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        found |= test(column.where(column.notna(), "").astype(str).astype("str")).astype(bool)
    return found


def _sorted(frame: pd.DataFrame, sort: str | None) -> pd.DataFrame:
    if sort:
        name = sort.removeprefix("-")
        if name not in frame.columns:
            raise QueryError(f"There is no column {excerpt(name)} to sort by; the columns are {list(frame.columns)}.")
        plain = frame[name].map(str) if frame[name].dtype == object else frame[name]
        order = plain.reset_index(drop=True).sort_values(kind="stable", ascending=name == sort).index
        frame = frame.iloc[order]
    return frame.reset_index(drop=True)
