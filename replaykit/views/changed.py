"""What a window did to the state: the net difference of its two ends, or every change in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replaykit.churn import churn
from replaykit.diff.show import arrow
from replaykit.errors import QueryError
from replaykit.results import entity_of

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.diff import Diff
    from replaykit.replayed import Replay

__all__ = ["changes"]


def changes(run: Replay, table: str | None = None, *, gross: bool = False) -> pd.DataFrame:
    """Return what the window of a replay changed.

    Parameters
    ----------
    table
        One state table; None is all.
    gross
        Every change with the step that made it, as `replaykit.churn.churn` gives them: also what was undone again.
        Otherwise what differs between the window's start and the state after its last step.

    Returns
    -------
    DataFrame
        Net, of one table: one row for each row that differs: ``change`` (changed, added, removed), the key, then the
        columns that changed anywhere, each cell as ``before → after``, and only if rows were added or removed the
        others. Net, of all tables: one row for each changed cell, added or removed row: ``table``, ``change``,
        ``key``, ``column``, ``before``, ``after``. By table, then changed, added, removed, then by key.

    Raises
    ------
    QueryError
        There is no such table.
    """
    if table is not None:
        run.history.check_table(table)
    if gross:
        return churn(run.history, run.before_step, run.after_step, None if table is None else [table])
    return _rows(run.diff[table]) if table is not None else _cells(run)


def _rows(found: Diff) -> pd.DataFrame:
    """Return the rows of one table that differ, before → after in one cell."""
    import pandas as pd

    if found.key is None:
        raise QueryError("A table without a key has no rows that changed; see run.diff.")
    key, changed = [str(name) for name in found.key], [str(name) for name in found.changed_columns]
    inner = found._found
    names = [*key, *changed]
    if len(found.added) or len(found.removed):
        names += [str(name) for name in inner.compared if str(name) not in names]
    rows = []
    sides = [(str(name), list(inner.before[name]), list(inner.after[name])) for name in inner.compared]
    for number, row in enumerate(inner.key_frame(inner.before).to_dict("records")):
        cells = {str(name): value for name, value in row.items()}
        for place, (name, before, after) in enumerate(sides):
            old, new = before[number], after[number]
            cells[name] = arrow(old, new, inner.paths.get((number, place))) if inner.mask[number, place] else new
        rows.append({"change": "changed", **cells})
    for change, frame in (("added", found.added), ("removed", found.removed)):
        rows += [{"change": change, **{str(k): v for k, v in one.items()}} for one in frame.to_dict("records")]
    return pd.DataFrame(rows, columns=["change", *names], dtype=object)


def _cells(run: Replay) -> pd.DataFrame:
    """Return one row for each changed cell, and each added or removed row, of every table."""
    import pandas as pd

    rows = []
    for table in run.diff:
        found = run.diff[table]
        keys = [str(name) for name in found.key or ()]
        # By place, since a key may be called "column".
        for *key, column, before, after in found.changed_long.itertuples(index=False, name=None):
            rows.append((table, "changed", entity_of(key), column, before, after))
        for change, frame in (("added", found.added), ("removed", found.removed)):
            rows += [
                (table, change, entity_of(row), None, None, None)
                for row in frame[keys].itertuples(index=False, name=None)
            ]
    names = ["table", "change", "key", "column", "before", "after"]
    return pd.DataFrame(rows, columns=names, dtype=object)
