"""Versions: whole rows from what projections set, by a few array operations instead of a window for each column."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = ["Operations", "closings", "versions"]

_TEXT_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class Operations:
    """What one projection gave, or the base: ``step`` and the columns it sets, in the query's own order."""

    rows: pa.Table
    delete: bool = False


def versions(parts: Sequence[Operations], blank: pa.Table, key: Sequence[str]) -> pa.Table:
    """Return step, born, deleted and the columns of every version, in order of change: by step, part and place.

    A column a part does not have keeps its last value in the same generation of its key; a delete ends a generation,
    and one that finds no row gives no version.

    Parameters
    ----------
    blank
        All columns, and one row: the values of columns nobody has set.
    """
    import numpy as np
    import pyarrow as pa

    step = np.concatenate([part.rows["step"].to_numpy() for part in parts])
    whole = pa.concat_tables([*(part.rows for part in parts), blank], promote_options="default")
    every = _every(len(step))
    change = _order(step)  # parts follow each other, so equal steps come by part and place
    codes = _codes(whole.slice(0, len(step)), key)[change]
    by_key = _order(codes)
    place = change[by_key]  # row of `whole`, key after key, each in order of change
    origin = np.repeat(np.arange(len(parts), dtype=np.int16), [len(part.rows) for part in parts])[place]
    codes = codes[by_key]
    deleted = np.array([part.delete for part in parts])[origin]
    opens = np.ones(len(place), dtype=bool)
    opens[1:] = (codes[1:] != codes[:-1]) | deleted[:-1]
    start = np.maximum.accumulate(np.where(opens, every, 0))
    back = np.empty_like(every)
    back[by_key] = every
    if deleted.any():  # a delete that opens a generation found no row
        back = back[~(deleted & opens)[back]]
    born = _born(by_key, opens & ~deleted)[start]
    search = _Search(parts, origin, place, start, back)
    names = blank.column_names
    with ThreadPoolExecutor() as pool:  # NumPy and Arrow let go of the interpreter while they work
        columns = list(pool.map(search.column, (whole[name] for name in names), map(search.setting, names)))
    arrays = [step[place][back], born[back], deleted[back], *columns]
    return pa.table(arrays, names=["step", "born", "deleted", *names])


def closings(rows: pa.Table) -> pa.Array:
    """Return for each change the step of its row's next one, NULL for the last: where its version ends."""
    import numpy as np
    import pyarrow as pa

    born, step = rows["born"].to_numpy(), rows["step"].to_numpy()
    order = _order(_small(born))
    again = born[order[1:]] == born[order[:-1]]
    ends = np.full(len(rows), -1)
    ends[order[:-1][again]] = step[order[1:][again]]
    return pa.array(ends, mask=ends < 0)


def _every(count: int) -> Numbers:
    import numpy as np

    return np.arange(count, dtype=_index(count))


def _index(count: int) -> str:
    """Return the type for places among so many; half the bytes are twice the speed."""
    return "int32" if count < 2**31 - 1 else "int64"


def _order(numbers: NDArray[Any]) -> NDArray[Any]:
    return numbers.argsort(kind="stable").astype(_index(len(numbers)))


def _small(numbers: Numbers) -> NDArray[Any]:
    """Return the numbers in 16 bits if they fit: NumPy sorts those by radix, ten times as fast."""
    return numbers.astype("uint16") if len(numbers) and numbers.max() < 2**16 else numbers


def _codes(rows: pa.Table, key: Sequence[str]) -> NDArray[Any]:
    """Return a number for each row's key, equal where the keys are."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    codes = np.zeros(len(rows), dtype=np.int64)
    for name in key:
        column = _joined(rows[name])
        if pa.types.is_floating(column.type):
            column = pc.add(column, 0.0)  # SQL and Python call -0.0 and 0.0 the same key
        column = column.dictionary_encode()
        codes = codes * len(column.dictionary) + column.indices.to_numpy()
        if len(key) > 1:
            codes = np.unique(codes, return_inverse=True)[1]
    return _small(codes)


def _joined(column: pa.ChunkedArray) -> pa.Array:
    if column.nbytes > _TEXT_LIMIT and str(column.type) in ("string", "binary"):
        column = column.cast(f"large_{column.type}")  # offsets of 32 bits would overflow
    return column.combine_chunks()


def _born(by_key: Numbers, inserts: Flags) -> Numbers:
    """Return insertion numbers, dense in order of change, where a generation opens with a row."""
    import numpy as np

    opening = np.flatnonzero(inserts)
    born = np.zeros(len(inserts), dtype=np.int64)
    born[opening[np.argsort(by_key[opening])]] = np.arange(1, len(opening) + 1)
    return born


class _Search:
    """Finds the row that last set a column; columns set by the same parts share one search."""

    def __init__(
        self, parts: Sequence[Operations], origin: Numbers, place: Numbers, start: Numbers, back: Numbers
    ) -> None:
        self._parts = parts
        self._origin, self._place, self._start, self._back = origin, place, start, back
        self._every = _every(len(place))
        self._found: dict[tuple[bool, ...], Numbers] = {}

    def setting(self, name: str) -> tuple[bool, ...]:
        """Return for each part whether it sets the column."""
        return tuple(name in part.rows.column_names and not part.delete for part in self._parts)

    def column(self, column: pa.ChunkedArray, setting: tuple[bool, ...]) -> pa.Array:
        """Return a column as it stands after each change."""
        if setting not in self._found:
            self._found[setting] = self._setters(setting)
        return _joined(column).take(self._found[setting])

    def _setters(self, setting: tuple[bool, ...]) -> Any:
        import numpy as np
        import pyarrow as pa

        if all(setting):
            return pa.array(self._place[self._back])
        sets = np.array(setting)[self._origin]
        last = np.maximum.accumulate(np.where(sets, self._every, -1))
        blank = len(self._place)
        return pa.array(np.where(last < self._start, blank, self._place[last])[self._back])
