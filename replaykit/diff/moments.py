"""Two moments of one history: a diff has to read only rows whose versions differ, and a gross one asks the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.diff.sources import TablesAndKeys
from replaykit.errors import QueryError
from replaykit.tables import LazyTables

if TYPE_CHECKING:
    from replaykit.history import History
    from replaykit.moment import Moment

__all__ = ["enclosed", "moment_of", "narrowed"]


def moment_of(value: Any) -> Moment | None:
    """Return a Moment itself, a Replay's last one, and None for anything else."""
    from replaykit.moment import Moment
    from replaykit.replayed import Replay

    if isinstance(value, Replay):
        return value.after
    return value if isinstance(value, Moment) else None


def narrowed(before: object, after: object) -> tuple[TablesAndKeys, TablesAndKeys] | None:
    """Return the tables of two moments of one history, without rows that are the same version in both.

    None if they are no such moments. A diff by the tables' own keys gives the same rows as one of the whole tables: a
    row left out on one side is left out on the other.
    """
    one, other = moment_of(before), moment_of(after)
    if one is None or other is None or one.history is not other.history:
        return None
    return _part(one, other.step), _part(other, one.step)


def _part(moment: Moment, other: int) -> TablesAndKeys:
    """Return the rows of a moment that are not there, or in another version, after step `other`."""
    history = moment.history
    differs = f"valid_to <= {other}" if other > moment.step else f"valid_from > {other}"
    tables = {name: history.at_query(name, moment.step, differs) for name in history.tables}
    return TablesAndKeys(LazyTables(tables, lambda name: history.frame(tables[name])), dict(history.keys))


def enclosed(before: object, after: object, **options: Any) -> tuple[History, int, int]:
    """Return the history of two moments and their steps, for a gross diff.

    Raises
    ------
    QueryError
        They are not two moments of one replay in this order, or an option was given.
    """
    given = [name for name, value in options.items() if value is not None and value != ()]
    if given:
        raise QueryError(f"gross=True takes no {given[0]}=: it lists every change. Filter its .changes instead.")
    one, other = moment_of(before), moment_of(after)
    if one is None or other is None:
        side, value = ("before", before) if one is None else ("after", after)
        raise QueryError(
            f"gross=True needs two moments of one replay, such as run.at(step=10) and run.after, but {side} is a "
            f"{type(value).__name__}, which knows no steps in between. Without gross= it is compared as it is."
        )
    if one.history is not other.history:
        raise QueryError(
            "gross=True follows the steps of one replay, and these moments belong to two. Compare them without gross=, "
            "or ask each replay for its own: rk.diff(run.before, run.after, gross=True)."
        )
    if one.step > other.step:
        raise QueryError(
            f"gross=True goes forward in time, but before is step {one.step:,} and after is step {other.step:,}; "
            "exchange them."
        )
    return one.history, one.step, other.step
