"""A diff made to a frame: applied to before, it gives after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.diff.match import paired
from replaykit.diff.options import Options
from replaykit.diff.rows import match_bags, places_of, private_cursor
from replaykit.diff.sources import PandasSource, source_of, with_index_names
from replaykit.display import count
from replaykit.errors import QueryError

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pandas as pd

    from replaykit.diff.match import Comparison
    from replaykit.diff.sources import Source

__all__ = ["applied"]

_EXACT = Options(None, (), {}, (), None)


def applied(found: Comparison, frame: object) -> pd.DataFrame:
    """Return `frame` with the diff made to it."""
    if found.columns_added:
        raise QueryError(
            f"This diff can't be applied: after has the columns {list(found.columns_added)}, whose values in unchanged "
            "rows a diff does not hold. Diff without them, or take after itself."
        )
    source = source_of(frame, "the frame", by_index=bool(found.index_names))
    if found.index_names:
        source = with_index_names(source, found.index_names)
    missing = [name for name in (*(found.key or ()), *found.compared) if name not in source.names]
    if missing:
        raise QueryError(f"This diff can't be applied: the frame has no column {missing[0]!r}.")
    rows = _frame(source)
    held = rows.drop(columns=[name for name in found.columns_removed if name in rows.columns])
    with private_cursor() as connection:
        if found.key is None:
            return _bag_applied(connection, found, held)
        return _key_applied(connection, found, held)


def _frame(source: Source) -> pd.DataFrame:
    import numpy as np

    return source.frame if isinstance(source, PandasSource) else source.take(np.arange(len(source)))


def _bag_applied(connection: duckdb.DuckDBPyConnection, found: Comparison, frame: pd.DataFrame) -> pd.DataFrame:
    import numpy as np

    left, right = PandasSource(frame), PandasSource(found.removed)
    rest = match_bags(connection, paired(left, right, found.compared, _EXACT), (len(left), len(right)), 0)
    if len(rest.added):
        raise QueryError(f"This diff can't be applied: the frame lacks {len(rest.added):,} rows it removes.")
    return _like_after(found, [frame.iloc[np.sort(rest.removed)], found.added]).reset_index(drop=True)


def _key_applied(connection: duckdb.DuckDBPyConnection, found: Comparison, frame: pd.DataFrame) -> pd.DataFrame:
    import numpy as np

    target = PandasSource(frame, found.index_names)
    changed, removed, added = (
        _places(connection, found, rows, target) for rows in (found.before, found.removed, found.added)
    )
    lacking = int((changed < 0).sum() + (removed < 0).sum())
    if lacking or (added >= 0).any():
        raise QueryError(
            f"This diff can't be applied: the frame lacks {count(lacking, 'row')} that it changes or removes, and "
            f"already has {count(int((added >= 0).sum()), 'row')} that it adds; it fits the frame it was made from."
        )
    kept = np.setdiff1d(np.arange(len(frame)), np.concatenate([changed, removed]))
    result = _like_after(found, [frame.iloc[kept], _changed(found, frame, changed), found.added])
    order = np.argsort(np.concatenate([kept, changed, len(frame) + np.arange(len(added))]), kind="stable")
    return result.iloc[order] if found.index_names else result.iloc[order].reset_index(drop=True)


def _places(
    connection: duckdb.DuckDBPyConnection, found: Comparison, rows: pd.DataFrame, target: PandasSource
) -> np.ndarray[Any, Any]:
    """Return the position of each row of the diff in the frame by key, -1 if it is not there."""
    held = PandasSource(rows, found.index_names)
    places = places_of(connection, paired(held, target, found.key or (), _EXACT), (len(held), len(target)))
    if len(places) != len(held):
        raise QueryError(f"This diff can't be applied: the key {list(found.key or ())} is repeated in the frame.")
    return places


def _changed(found: Comparison, frame: pd.DataFrame, places: np.ndarray[Any, Any]) -> pd.DataFrame:
    """Return the changed rows as they are after, but for ignored columns."""
    rows = found.after.copy(deep=False)
    for name in found.ignored:
        if name in rows.columns and name in frame.columns:
            rows[name] = frame[name].iloc[places].set_axis(rows.index)
    return rows


def _like_after(found: Comparison, pieces: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the pieces one below the other with the columns and types of after."""
    import pandas as pd

    names = [name for name in found.added.columns if all(name in piece.columns for piece in pieces)]
    filled = [piece for piece in pieces if len(piece)]
    if not filled:
        return found.added[names].iloc[:0]
    typed = [piece[names].copy(deep=False) for piece in filled]
    for piece in typed:
        for name in names:
            if name not in found.ignored:
                piece[name] = _as_type(piece[name], found.added[name].dtype)
    return pd.concat(typed)


def _as_type(column: pd.Series[Any], kind: Any) -> pd.Series[Any]:
    """Return the column in another type; unchanged values are equal in both, so nothing is lost but in a tolerance."""
    import pandas as pd

    if column.dtype == kind:
        return column
    if isinstance(kind, pd.DatetimeTZDtype) and column.dtype.kind == "M" and not hasattr(column.dtype, "tz"):
        column = column.dt.tz_localize("UTC")
    elif kind.kind == "M" and isinstance(column.dtype, pd.DatetimeTZDtype) and not hasattr(kind, "tz"):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    if kind.kind in "iu" and column.dtype.kind == "f" and not (column % 1 == 0).all():
        return column
    try:
        return column.astype(kind)
    except (TypeError, ValueError):
        return column
