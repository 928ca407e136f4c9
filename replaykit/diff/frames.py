"""Held rows of a diff arranged as frames: side by side, cell by cell, or one row for each difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    import numpy as np
    import pandas as pd

    from replaykit.diff.match import Comparison

__all__ = ["flat", "joined", "long", "ordered_columns", "side_by_side"]


def ordered_columns(found: Comparison, changed: Iterable[Hashable]) -> list[Hashable]:
    """Return the compared columns, those that changed first."""
    first = list(changed)
    return first + [name for name in found.compared if name not in set(first)]


def side_by_side(found: Comparison, changed: Iterable[Hashable]) -> pd.DataFrame:
    """Return the key and each changed column twice, one row for each changed key."""
    columns = _Columns(found.key_frame(found.before))
    for name in changed:
        columns.add(f"{name}_before", found.before[name].array)
        columns.add(f"{name}_after", found.after[name].array)
    return columns.frame()


class _Columns:
    """Columns gathered for a frame; a name that is taken gets an underscore."""

    def __init__(self, start: pd.DataFrame) -> None:
        self._length = len(start)
        self._arrays: dict[Hashable, Any] = {name: start[name].array for name in start.columns}

    def add(self, name: str, values: Any) -> None:
        while name in self._arrays:
            name += "_"
        self._arrays[name] = values

    def frame(self) -> pd.DataFrame:
        import pandas as pd

        # A frame of a dict with tuple names would get column levels; setting the names afterwards keeps them plain.
        # Objects are declared as such, or pandas would make text of them where they all are, and NaN of None.
        columns = [pd.Series(array, dtype=array.dtype) for array in self._arrays.values()]
        frame = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(self._length))
        frame.columns = pd.Index(list(self._arrays), tupleize_cols=False)
        return frame


def long(found: Comparison) -> pd.DataFrame:
    """Return the key, column, before and after of every changed cell, by row and then column; JSON cells by path."""
    import numpy as np
    import pandas as pd

    rows, columns = np.nonzero(found.mask)
    values = [np.empty(len(rows), dtype=object) for _ in range(2)]
    for number, name in enumerate(found.compared):
        places = np.flatnonzero(columns == number)
        if len(places):
            for cells, frame in zip(values, (found.before, found.after), strict=True):
                cells[places] = _objects(frame[name].iloc[rows[places]])
    names = np.array([str(name) for name in found.compared] or [""], dtype=object)[columns]
    if found.paths:
        rows, names, values = _with_paths(found, rows, columns, names, values)
    result = _Columns(found.key_frame(found.before).iloc[rows].reset_index(drop=True))
    result.add("column", pd.array(names, dtype="str"))
    result.add("before", values[0])
    result.add("after", values[1])
    return result.frame()


def _objects(column: pd.Series[Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    cells = np.empty(len(column), dtype=object)
    for place, (value, missing) in enumerate(zip(column.array, column.isna(), strict=True)):
        cells[place] = None if missing else value
    return cells


def _with_paths(
    found: Comparison, rows: Any, columns: Any, names: Any, values: list[Any]
) -> tuple[Any, Any, list[Any]]:
    """Put one row for each changed path where a JSON column had one for the cell."""
    import numpy as np

    expanded: list[tuple[int, str, object, object]] = []
    for row, column, name, before, after in zip(rows.tolist(), columns.tolist(), names, *values, strict=True):
        paths = found.paths.get((row, column))
        expanded += [(row, *change) for change in paths] if paths else [(row, name, before, after)]
    arrays = [np.empty(len(expanded), dtype=object) for _ in range(4)]
    for place, cells in enumerate(expanded):
        for array, cell in zip(arrays, cells, strict=True):
            array[place] = cell
    return arrays[0].astype(np.int64), arrays[1], arrays[2:]


def flat(found: Comparison, changed: Iterable[Hashable]) -> pd.DataFrame:
    """Return one row for each differing row: changed, then added, then removed ones, each by the key."""
    import pandas as pd

    n = len(found.before), len(found.added), len(found.removed)
    kinds = ["changed"] * n[0] + ["added"] * n[1] + ["removed"] * n[2]
    if found.key is None:
        rows = pd.concat([found.added, found.removed], ignore_index=True)
        columns = _Columns(pd.DataFrame({"change": pd.Series(kinds, dtype="str")}))
        for name in rows.columns:
            columns.add(str(name), rows[name].array)
        return columns.frame()
    keys = pd.concat([found.key_frame(side) for side in (found.before, found.added, found.removed)], ignore_index=True)
    columns = _Columns(pd.DataFrame({"change": pd.Series(kinds, dtype="str")}))
    for name in keys.columns:
        columns.add(str(name), keys[name].array)
    for compared in ordered_columns(found, changed):
        columns.add(f"{compared}_before", _stacked(found.before[compared], n[1], found.removed[compared]))
        columns.add(f"{compared}_after", _stacked(found.after[compared], found.added[compared], n[2]))
    return columns.frame()


def _stacked(*parts: pd.Series[Any] | int) -> Any:
    """Return the parts one below the other, a number being so many empty cells; their type stays if there are none."""
    import numpy as np
    import pandas as pd

    filled = [part for part in parts if not isinstance(part, int)]
    if sum(map(len, filled)) == sum(part if isinstance(part, int) else len(part) for part in parts):
        return pd.concat(filled, ignore_index=True).array
    cells = [np.full(part, None, dtype=object) if isinstance(part, int) else _objects(part) for part in parts]
    return np.concatenate(cells)


def joined(frames: Mapping[str, pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Return the frames of several tables one below the other, the table's name first."""
    import pandas as pd

    filled = {name: frame for name, frame in frames.items() if len(frame)}
    if not filled:
        return pd.DataFrame({name: pd.Series([], dtype=object) for name in columns})
    parts = [frame.assign(table=name)[list(columns)] for name, frame in filled.items()]
    return pd.concat(parts, ignore_index=True)
