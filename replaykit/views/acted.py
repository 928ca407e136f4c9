"""What the rules of a replay emitted and what its invariants found, filtered and sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.display import is_empty
from replaykit.errors import QueryError, excerpt
from replaykit.findings.episodes import build_episodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

    from replaykit.replayed import Replay

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
        A column, ``"-ticks"`` for falling order; rows that are equal in it keep their order (that of emission, or in
        which episodes opened), and those without a value come last.

    Raises
    ------
    QueryError
        There is no such column.
    """
    shown = run.actions
    if kinds is not None:
        wanted = set(kinds)
        shown = shown[_any(shown[["kind"]], lambda cell: cell in wanted)]
    if target:
        named = shown.drop(columns=["action", "tick", "at", "step", "rule", "kind", "repeats"])
        shown = shown[_any(named, lambda cell: cell == target)]
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
    wanted = text.lower()
    return _any(frame, lambda cell: wanted in cell.lower())


def _any(frame: pd.DataFrame, test: Callable[[str], bool]) -> Any:
    """Return for each row whether a cell, as text, passes a test; missing ones do not."""
    import numpy as np

    found = np.zeros(len(frame), dtype=bool)
    for place in range(frame.shape[1]):
        found |= _passing(frame.iloc[:, place], test)
    return found


def _passing(column: pd.Series[Any], test: Callable[[str], bool]) -> Any:
    import numpy as np
    import pandas as pd

    if column.dtype == object:  # 1 and True would be one value
        return np.array([not is_empty(cell) and test(str(cell)) for cell in column], dtype=bool)
    codes, values = pd.factorize(column)  # missing ones have code -1
    return np.array([*(test(str(value)) for value in values), False], dtype=bool)[codes]


def _sorted(frame: pd.DataFrame, sort: str | None) -> pd.DataFrame:
    if sort:
        name = sort if sort in frame.columns else sort.removeprefix("-")
        if name not in frame.columns:
            raise QueryError(f"There is no column {excerpt(name)} to sort by; the columns are {list(frame.columns)}.")
        column = frame[name].reset_index(drop=True)
        try:
            order = column.sort_values(kind="stable", ascending=name == sort)
        except TypeError:  # numbers beside texts
            order = column.map(str, na_action="ignore").sort_values(kind="stable", ascending=name == sort)
        frame = frame.iloc[order.index]
    return frame.reset_index(drop=True)
