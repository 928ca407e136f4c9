"""Lifelines: the versions of a table's rows that two steps enclose, row by row, as columns to compare.

One query for each table, which reads only versions made or ended between the steps; the rest is arithmetic on arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from replaykit.history import BOOKKEEPING
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from replaykit.history import History

    Numbers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = ["Lifelines", "distinct", "key_text", "lifelines", "numbered", "written_at"]


@dataclass(frozen=True)
class Lifelines:
    """Versions made or ended after step `first` and up to step `last`, by life, each in the order of writing.

    A life is a row from its insertion to its deletion. The first of its versions here that is no insertion is the one
    that stood after `first`; the last is the one that stands after `last`, or that was deleted.
    """

    first: int
    last: int
    change: Numbers
    valid_from: Numbers
    valid_to: Numbers
    """-1 while open."""
    life: Numbers
    """A number for each life, rising, from 0."""
    key: pa.Array
    """The key's values as text, joined by a slash."""
    row: Numbers
    """A number for each key: a row deleted and inserted again has two lives and one number."""
    cells: tuple[pa.Array, ...]
    """Each column as text."""
    compared: tuple[pa.Array, ...]
    """Each column as text that is the same where SQL calls the values the same."""

    def __len__(self) -> int:
        return len(self.change)

    @cached_property
    def opens(self) -> Flags:
        """Whether a version is the first of its life here."""
        import numpy as np

        return np.concatenate([np.ones(min(1, len(self)), dtype=bool), self.life[1:] != self.life[:-1]])

    @cached_property
    def ends(self) -> Flags:
        """Whether a version is the last of its life."""
        import numpy as np

        return np.concatenate([self.opens[1:], np.ones(min(1, len(self)), dtype=bool)])

    @property
    def inserts(self) -> Flags:
        """Whether a version inserted its row."""
        return self.opens & (self.valid_from > self.first)

    @property
    def deleted(self) -> Flags:
        """Whether a version is the one that a deletion ended."""
        return self.ends & (self.valid_to >= 0) & (self.valid_to <= self.last)

    @cached_property
    def final(self) -> Numbers:
        """The place of the last version of each version's life."""
        import numpy as np

        places: Numbers = np.flatnonzero(self.ends)[self.life]
        return places

    @cached_property
    def lives_on(self) -> Flags:
        """Whether a version's life goes on after `last`."""
        on: Flags = ~self.deleted[self.final]
        return on

    @cached_property
    def key_stays(self) -> Flags:
        """Whether a row with a version's key is there after `last`."""
        import numpy as np

        there = np.zeros(int(self.row.max()) + 1 if len(self) else 0, dtype=bool)
        there[self.row[self.lives_on]] = True
        return there[self.row]

    def sets(self, column: int) -> Flags:
        """Return whether a version gave a column of a living row another value."""
        return self._sets[column]

    @cached_property
    def _sets(self) -> list[Flags]:
        import numpy as np

        head = np.zeros(min(1, len(self)), dtype=bool)
        pairs = ((cells.slice(1), cells.slice(0, max(0, len(cells) - 1))) for cells in self.compared)
        return [np.concatenate([head, distinct(*pair)]) & ~self.opens for pair in pairs]

    def same(self, column: int, places: Numbers, others: Numbers) -> Flags:
        """Return whether a column has the same value in the versions at some places as in those at others."""
        cells = self.compared[column]
        return ~distinct(cells.take(places), cells.take(others))


def distinct(one: pa.Array, other: pa.Array) -> Flags:
    """Return where two arrays of text differ; nothing is like nothing."""
    import numpy as np
    import pyarrow.compute as pc

    differ = pc.fill_null(pc.not_equal(one, other), False).to_numpy(zero_copy_only=False)
    if one.null_count or other.null_count:
        missing = [np.asarray(pc.is_null(each)) for each in (one, other)]
        differ = differ | (missing[0] != missing[1])
    found: Flags = np.asarray(differ, dtype=bool)
    return found


def lifelines(
    history: History, first: int, last: int, names: Iterable[str], touching: Sequence[int] | None = None
) -> dict[str, Lifelines]:
    """Return the lifelines of these tables between two steps; a table without any is not there.

    Parameters
    ----------
    touching
        Only rows whose keys some of these steps wrote or deleted; None is all.
    """
    import numpy as np

    listed = list(names)
    if not listed:
        return {}
    parts = [_versions(history, name, number, first, last, touching) for number, name in enumerate(listed)]
    rows = history.arrow(" UNION ALL ".join(parts)).combine_chunks()
    tables = rows["n"].to_numpy()
    found = {}
    for number, name in enumerate(listed):
        places = np.flatnonzero(tables == number)
        if len(places):
            found[name] = _sorted(history, name, rows.take(places), first, last)
    return found


_APART = 8
_SIGNED_ZERO = ("DOUBLE", "FLOAT", "REAL")
"""Types with two texts for one number: 0.0 and -0.0."""


def _rough(history: History, name: str) -> list[int]:
    return [number for number, type in enumerate(history.columns(name).values()) if type.upper() in _SIGNED_ZERO]


def _versions(history: History, name: str, number: int, first: int, last: int, touching: Sequence[int] | None) -> str:
    """Return the query for the versions of one table, their cells as one list of texts."""
    texts = [f"CAST(v.c{column} AS VARCHAR)" for column in range(len(history.columns(name)))]
    texts += [f"CAST(v.c{column} + 0.0 AS VARCHAR)" for column in _rough(history, name)]
    # Conditions on one column each come first, since the engine skips whole pieces of a table that can't meet them.
    return (
        f"SELECT {number} AS n, v.change, v.born, v.valid_from, coalesce(v.valid_to, -1) AS valid_to, "
        f"{key_text(history, name)} AS key, [{', '.join(texts)}] AS cells FROM {numbered(history, name)} v "
        f"WHERE v.valid_from <= {last} AND (v.valid_to > {first} OR v.valid_to IS NULL) "
        f"AND (v.valid_from > {first} OR v.valid_to <= {last}){_only(history, name, touching)}"
    )


def _only(history: History, name: str, touching: Sequence[int] | None) -> str:
    """Return the condition that a version's key is one that some of these steps wrote or deleted."""
    if touching is None:
        return ""
    columns = list(history.columns(name))
    keys = [columns.index(key) for key in history.keys[name]]
    mine, theirs = (", ".join(f"{one}.c{key}" for key in keys) for one in ("v", "w"))
    found = written_at(
        f"SELECT {f'({theirs})' if len(keys) > 1 else theirs} FROM {numbered(history, name)} w", touching
    )
    return f" AND {f'({mine})' if len(keys) > 1 else mine} IN ({found})"


def written_at(query: str, steps: Sequence[int]) -> str:
    """Return a query over versions for those that some of these steps wrote or ended, twice where both did."""
    # The engine skips pieces of a table for one step, and not for a list of them.
    meant = [f"= {step}" for step in steps] if len(steps) <= _APART else [f"IN ({', '.join(map(str, steps))})"]
    return " UNION ALL ".join(f"{query} WHERE {end} {one}" for one in meant for end in ("valid_from", "valid_to"))


def _sorted(history: History, name: str, rows: pa.Table, first: int, last: int) -> Lifelines:
    import numpy as np

    born, change = rows["born"].to_numpy(), rows["change"].to_numpy()
    order = np.lexsort((change, born))
    born = born[order]
    count, rough = len(history.columns(name)), _rough(history, name)
    width, flat = count + len(rough), rows["cells"].combine_chunks().flatten()
    texts = [flat.take(order * width + column).cast("large_string") for column in range(width)]
    compared = [texts[count + rough.index(n)] if n in rough else texts[n] for n in range(count)]
    columns = list(history.columns(name))
    return Lifelines(
        first=first,
        last=last,
        change=change[order],
        valid_from=rows["valid_from"].to_numpy()[order],
        valid_to=rows["valid_to"].to_numpy()[order],
        life=np.cumsum(np.concatenate([np.zeros(min(1, len(born)), dtype=bool), born[1:] != born[:-1]])),
        key=rows["key"].combine_chunks().take(order).cast("large_string"),
        row=_numbers_of([compared[columns.index(key)] for key in history.keys[name]]),
        cells=tuple(texts[:count]),
        compared=tuple(compared),
    )


def _numbers_of(keys: list[Any]) -> Numbers:
    """Return a number for each key, the same where the keys are."""
    import numpy as np

    found = np.zeros(len(keys[0]), dtype=np.int64)
    for column in keys:
        codes = column.dictionary_encode(null_encoding="encode")
        found = np.unique(found * len(codes.dictionary) + codes.indices.to_numpy(), return_inverse=True)[1]
    return found


def numbered(history: History, name: str) -> str:
    """Return a subquery of a table's versions, its own columns named ``c0``, ``c1``: whatever they are called."""
    listed = [f"{quote(column)} AS c{number}" for number, column in enumerate(history.columns(name))]
    return f"(SELECT {', '.join([*BOOKKEEPING, *listed])} FROM history.{quote(name)})"


def key_text(history: History, name: str) -> str:
    """Return SQL for the key of a `numbered` version ``v``, joined by a slash, its values as Python shows them."""
    columns, keys = history.columns(name), history.keys[name]
    cells = (_shown(f"v.c{list(columns).index(key)}", columns[key].upper()) for key in keys)
    return f"concat_ws('/', {', '.join(cells)})"


def _shown(cell: str, type: str) -> str:
    text = f"CAST({cell} AS VARCHAR)"
    if type == "BOOLEAN":
        return f"CASE WHEN {cell} THEN 'True' ELSE 'False' END"
    if type.startswith("TIMESTAMP"):
        return f"CASE WHEN contains({text}, '.') THEN rpad({text}, 26, '0') ELSE {text} END"
    return text
