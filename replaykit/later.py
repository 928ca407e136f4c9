"""Later: what became of changes, that is which step wrote each of these cells next."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import pandas as pd

    from replaykit.history import History
    from replaykit.lifelines import Lifelines, Numbers

__all__ = ["later_of"]

_TYPES = {
    "step": "int64",
    "table": "object",
    "key": "object",
    "change": "object",
    "column": "object",
    "until": "Int64",
    "until_at": "datetime64[us]",
    "lasted": "timedelta64[us]",
    "input": "object",
    "caused_by": "object",
    "event_id": "object",
    "action": "Int64",
    "wrote": "object",
    "then": "object",
}
_DELETE = 99_999


def later_of(history: History, lives: Mapping[str, Lifelines], steps: Collection[int]) -> pd.DataFrame:
    """Return the next write of each cell that some of these steps wrote, in the order of `replaykit.churn.churn`.

    Parameters
    ----------
    lives
        All later versions of the rows that these steps wrote, too.
    """
    import pandas as pd

    order = {name: number for number, name in enumerate(history.tables)}
    parts = (_Later(name, list(history.columns(name)), one).rows(steps, order[name]) for name, one in lives.items())
    rows = [row[1:] for row in sorted(chain.from_iterable(parts), key=lambda row: row[0])]
    known = _causes(history, {step for one in rows for step in (one[0], one[5]) if step is not None})
    found = []
    for one in rows:
        until, wrote, then = one[5:]
        at, *cause = known.get(until, (None,) * 5)
        lasted = None if at is None else at - known[one[0]][0]
        found.append((*one[:5], until, at, lasted, *cause, wrote, then))
    columns = zip(*found, strict=True) if found else ([] for _ in _TYPES)
    pairs = zip(_TYPES.items(), columns, strict=True)
    return pd.DataFrame({name: pd.Series(list(values), dtype=kind) for (name, kind), values in pairs})


def _causes(history: History, steps: Collection[Any]) -> dict[int, tuple[Any, ...]]:
    """Return clock, input, kind, event and action of steps."""
    if not steps:
        return {}
    rows = history.fetch(
        "SELECT step, applied_at, input, kind, event_id, action FROM steps "
        "WHERE step IN (SELECT unnest($steps)) ORDER BY step",
        {"steps": sorted(map(int, steps))},
    )
    return {step: tuple(rest) for step, *rest in rows}


class _Later:
    """What became of the changes in one table."""

    def __init__(self, name: str, columns: list[str], lives: Lifelines) -> None:
        import numpy as np

        self._name, self._columns, self._lives = name, columns, lives
        self._sets: dict[int, Numbers] = {}
        self._inserts: dict[int, list[int]] = {}  # by row: the places of its insertions, in order
        for place in np.flatnonzero(lives.inserts).tolist():
            self._inserts.setdefault(int(lives.row[place]), []).append(place)

    def rows(self, steps: Collection[int], number: int) -> Iterator[tuple[Any, ...]]:
        """Yield for each change at these steps what it sorts by, what it was, and what came next."""
        import numpy as np

        lives, listed = self._lives, list(steps)
        made, deleted = np.isin(lives.valid_from, listed), np.isin(lives.valid_to, listed) & lives.deleted
        for place in np.flatnonzero(lives.inserts & made).tolist():
            yield self._row(place, number, 0, "insert", None, self._next_write(place))
        for order, column in enumerate(self._columns):
            self._sets[order] = np.flatnonzero(lives.sets(order))
            for place in np.flatnonzero(lives.sets(order) & made).tolist():
                yield self._row(place, number, order + 1, "update", column, self._next_set(place, order))
        for place in np.flatnonzero(deleted).tolist():
            yield self._row(place, number, _DELETE, "delete", None, self._next_insert(place))

    def _row(
        self, place: int, number: int, order: int, change: str, column: str | None, following: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        lives = self._lives
        step = int((lives.valid_to if change == "delete" else lives.valid_from)[place])
        sorting = (step, number, int(lives.change[place]), order)
        return (sorting, step, self._name, lives.key[place].as_py(), change, column, *following)

    def _next_write(self, place: int) -> tuple[Any, ...]:
        if not self._lives.ends[place]:
            return int(self._lives.valid_from[place + 1]), "update", None
        return self._end(place)

    def _next_set(self, place: int, order: int) -> tuple[Any, ...]:
        import numpy as np

        lives, places = self._lives, self._sets[order]
        coming = int(np.searchsorted(places, place, side="right"))
        if coming < len(places) and lives.life[places[coming]] == lives.life[place]:
            following = int(places[coming])
            return int(lives.valid_from[following]), "update", lives.cells[order][following].as_py()
        return self._end(int(lives.final[place]))

    def _end(self, last: int) -> tuple[Any, ...]:
        """Return the deletion of a life by the place of its last version, if it was deleted."""
        return (int(self._lives.valid_to[last]), "delete", None) if self._lives.deleted[last] else (None, None, None)

    def _next_insert(self, place: int) -> tuple[Any, ...]:
        # Lives come in the order in which they began.
        coming = [one for one in self._inserts.get(int(self._lives.row[place]), ()) if one > place]
        return (int(self._lives.valid_from[coming[0]]), "insert", None) if coming else (None, None, None)
