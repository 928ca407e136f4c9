"""Churn: every change of every cell between two steps, also those that a diff of the two ends does not show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.lifelines import key_text, lifelines, numbered

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    import pandas as pd

    from replaykit.history import History
    from replaykit.lifelines import Lifelines, Numbers

__all__ = ["changes_of", "churn", "key_text", "lives_between", "numbered"]

_COLUMNS = (
    "step",
    "applied_at",
    "event_id",
    "caused_by",
    "table",
    "change",
    "key",
    "column",
    "before",
    "after",
    "kept",
)
_EMPTY = {"step": "int64", "applied_at": "datetime64[us]", "kept": "bool"}
_TEXTS = ("event_id", "caused_by", "column", "before", "after")
_DELETE = 99_999  # behind all columns


def churn(history: History, first: int, last: int, tables: Iterable[str] | None = None) -> pd.DataFrame:
    """Return every change of a cell after step `first` and up to step `last`, in the order in which they were made.

    Parameters
    ----------
    tables
        State tables; None is all of them.

    Returns
    -------
    DataFrame
        ``step``, ``applied_at`` (naive UTC), ``event_id``, ``caused_by`` (kind of event or action), ``table``,
        ``change`` (``insert``, ``update``, ``delete``), ``key`` (its values, joined by a slash), ``column`` (missing
        for inserts and deletes), ``before`` and ``after`` as text, and ``kept``: whether it is still so after `last`.
        By step, then by table in the order declared, then as written. Where in its step a deletion came is not kept: it
        stands where its row was last written.

    Raises
    ------
    QueryError
        There is no such table.
    """
    return changes_of(history, lives_between(history, first, last, tables))


def lives_between(history: History, first: int, last: int, tables: Iterable[str] | None = None) -> dict[str, Lifelines]:
    """Return the lifelines of each table that changed between two steps, in the order declared; None is all tables."""
    asked = set(history.tables if tables is None else map(history.check_table, tables))
    chosen = [name for name in history.tables if name in asked]
    return lifelines(history, int(first), int(last), chosen)


def changes_of(
    history: History, lives: Mapping[str, Lifelines], steps_only: Collection[int] | None = None
) -> pd.DataFrame:
    """Return the changes in lifelines of one table or more, with the columns and in the order of `churn`.

    Parameters
    ----------
    steps_only
        Only the changes that these steps made; None is all.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    if not lives:
        return pd.DataFrame(columns=pd.Index(_COLUMNS)).astype(_EMPTY)
    order_of = {name: number for number, name in enumerate(history.tables)}
    parts = [part for name, one in lives.items() for part in _parts(history, name, one, order_of[name])]
    step, number, place, order = (np.concatenate([part.pop(0) for part in parts]) for _ in range(4))
    sorting = np.lexsort((order, place, number, step))
    if steps_only is not None:
        sorting = sorting[np.isin(step[sorting], list(steps_only))]
    texts = [pa.chunked_array([part[n] for part in parts], pa.large_string()) for n in range(6)]
    kept = np.concatenate([part[6] for part in parts])
    steps = step[sorting]
    caused = history.arrow(
        f"SELECT step, applied_at, event_id, kind FROM steps WHERE step >= {_least(steps)} AND step <= {_most(steps)} "
        "ORDER BY step"
    )
    found = _places(steps, caused["step"].to_numpy())
    arrays = [steps, *(caused[name].take(found) for name in ("applied_at", "event_id", "kind"))]
    arrays += [text.combine_chunks().take(sorting) for text in texts]
    frame: pd.DataFrame = pa.table([*arrays, kept[sorting]], names=list(_COLUMNS)).to_pandas()
    empty = [name for name in _TEXTS if len(frame) and frame[name].isna().all()]
    return frame.assign(**{name: pd.Series([None] * len(frame), dtype=object) for name in empty})


def _least(steps: Numbers) -> int:
    return int(steps[0]) if len(steps) else 0


def _most(steps: Numbers) -> int:
    return int(steps[-1]) if len(steps) else -1


def _places(steps: Numbers, known: Numbers) -> Any:
    """Return the place of each step among the known ones, in order; NULL where it is not among them, as the base."""
    import numpy as np
    import pyarrow as pa

    if not len(known):
        return pa.nulls(len(steps), pa.int64())
    places = np.minimum(np.searchsorted(known, steps), len(known) - 1)
    return pa.array(places, mask=known[places] != steps)


def _parts(history: History, name: str, lives: Lifelines, number: int) -> Iterator[list[Any]]:
    """Yield insertions, then each column's updates, then deletions: four keys to sort by, six texts, and `kept`."""
    import numpy as np

    made = lives.valid_from > lives.first
    places = np.flatnonzero(lives.inserts)
    yield _part(lives, places, number, 0, (name, "insert"), kept=lives.lives_on[places])
    for order, column in enumerate(history.columns(name)):
        places = np.flatnonzero(lives.sets(order) & made)
        if len(places):
            kept = lives.lives_on[places] & lives.same(order, places, lives.final[places])
            cells = lives.cells[order]
            sides = (cells.take(places - 1), cells.take(places))
            yield _part(lives, places, number, order + 1, (name, "update", column), sides, kept=kept)
    places = np.flatnonzero(lives.deleted)
    yield _part(lives, places, number, _DELETE, (name, "delete"), kept=~lives.key_stays[places])


def _part(
    lives: Lifelines,
    places: Numbers,
    number: int,
    order: int,
    words: tuple[str, ...],
    sides: tuple[Any, Any] | None = None,
    *,
    kept: Any,
) -> list[Any]:
    import numpy as np
    import pyarrow as pa

    count, none = len(places), pa.nulls(len(places), pa.large_string())
    steps = (lives.valid_to if order == _DELETE else lives.valid_from)[places]
    table, change, *column = (pa.repeat(pa.scalar(word, pa.large_string()), count) for word in words)
    before, after = sides or (none, none)
    sorting = [steps, np.full(count, number), lives.change[places], np.full(count, order)]
    return [*sorting, table, change, lives.key.take(places), column[0] if column else none, before, after, kept]
