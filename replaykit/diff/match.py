"""From two sources and what was asked to the rows that differ, held as frames."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.diff.columns import ColumnPair, pair_up
from replaykit.diff.json import canonical_json, json_changes
from replaykit.diff.rows import RowMatch, is_unique, key_problems, match_bags, match_keys
from replaykit.diff.sources import index_frame
from replaykit.errors import KeyDiffError, QueryError, excerpt

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pandas as pd

    from replaykit.diff.options import Options
    from replaykit.diff.sources import Source

__all__ = ["Comparison", "compare", "paired"]

_MOST_TRIED = 2_000_000
Paths = Mapping[tuple[int, int], list[tuple[str, object, object]]]


@dataclass(frozen=True)
class Comparison:
    """The rows that differ between two sources, and what else is needed to show and apply them."""

    key: tuple[Hashable, ...] | None
    index_names: tuple[Hashable, ...]
    compared: tuple[Hashable, ...]
    """The columns compared, without the key, in the order of before."""
    ignored: tuple[Hashable, ...]
    columns_added: tuple[Hashable, ...]
    columns_removed: tuple[Hashable, ...]
    types: Mapping[Hashable, tuple[str, str]]
    unlike: tuple[Hashable, ...]
    """Columns of two families, such as number and text, in which no two values are equal."""
    added: pd.DataFrame
    removed: pd.DataFrame
    before: pd.DataFrame
    after: pd.DataFrame
    """The two rows of each changed key, by place."""
    mask: np.ndarray[Any, Any]
    """For each changed row and compared column, whether the cell differs."""
    paths: Paths
    """The changed paths of each changed cell of a JSON column, by row and column number."""

    def key_frame(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the key columns of rows of either side."""
        if self.index_names:
            return index_frame(rows.index, self.index_names)
        return rows[list(self.key or ())].reset_index(drop=True)


def compare(connection: duckdb.DuckDBPyConnection, before: Source, after: Source, options: Options) -> Comparison:
    """Return what differs between two sources."""
    options.check(before, after)
    key = options.key or ()
    common = [name for name in before.names if name in set(after.names)]
    compared = [name for name in common if name not in key and name not in options.ignore]
    pairs = paired(before, after, [*key, *compared], options)
    rows = len(before), len(after)
    if options.key is None:
        _check_comparable(compared, before, after, options)
        found = match_bags(connection, pairs or [_constant(*rows)], rows, len(compared))
        paths: Paths = {}
    else:
        _check_keys(connection, before, after, pairs, options)
        found = match_keys(connection, pairs, len(key), rows, options.conditions(pairs, len(key)))
        found, paths = _by_path(found, pairs[len(key) :], set(options.json))
    return Comparison(
        key=options.key,
        index_names=before.index_names,
        compared=tuple(compared),
        ignored=options.ignore,
        columns_added=tuple(name for name in after.names if name not in set(before.names)),
        columns_removed=tuple(name for name in before.names if name not in set(after.names)),
        types=_types(before, after, common),
        unlike=tuple(pair.name for pair in pairs if _unlike(pair)),
        added=after.take(found.added),
        removed=before.take(found.removed),
        before=before.take(found.before),
        after=after.take(found.after),
        mask=found.mask,
        paths=paths,
    )


def paired(before: Source, after: Source, names: Sequence[Hashable], options: Options) -> list[ColumnPair]:
    """Return the named columns of both sides, each in one type."""
    import pyarrow as pa

    pairs = []
    for name in names:
        as_json = name in options.json
        pair = pair_up(before, after, name, as_json=as_json, rough=options.has_tolerance(name))
        if as_json and options.key is None:
            texts = [pa.array(map(canonical_json, side.to_pylist())) for side in (pair.before, pair.after)]
            pair = ColumnPair(name, texts[0].cast("large_string"), texts[1].cast("large_string"), pair.families)
        pairs.append(pair)
    return pairs


def _constant(before: int, after: int) -> ColumnPair:
    import numpy as np
    import pyarrow as pa

    return ColumnPair("", pa.array(np.zeros(before)), pa.array(np.zeros(after)), ("number", "number"))


def _types(before: Source, after: Source, names: Sequence[Hashable]) -> dict[Hashable, tuple[str, str]]:
    both = {name: (before.type_name(name), after.type_name(name)) for name in names}
    return {name: pair for name, pair in both.items() if pair[0] != pair[1]}


def _unlike(pair: ColumnPair) -> bool:
    left, right = pair.families
    return left != right and not {left, right} & {"empty", "object"}


def _check_comparable(compared: list[Hashable], before: Source, after: Source, options: Options) -> None:
    if not compared and (len(before.names) > 0 or len(after.names) > 0) and not options.ignore:
        names = [list(source.names)[:20] for source in (before, after)]
        raise QueryError(f"{options.place()}No column is on both sides: before has {names[0]}, after has {names[1]}.")


def _check_keys(
    connection: duckdb.DuckDBPyConnection, before: Source, after: Source, pairs: list[ColumnPair], options: Options
) -> None:
    keys = pairs[: len(options.key or ())]
    for pair in keys:
        if _unlike(pair) and len(before) and len(after):
            raise KeyDiffError(
                f"{options.place()}Key column {pair.name!r} holds {pair.families[0]} before and {pair.families[1]} "
                f"after, so no rows would match; convert one, such as after.astype({{{pair.name!r}: ...}})."
            )
    for side, source in (("before", before), ("after", after)):
        empty, repeated = key_problems(connection, [getattr(pair, side) for pair in keys], len(source))
        if empty:
            raise KeyDiffError(_empty_key(side, empty, options))
        if repeated:
            instead = _unique_key(connection, pairs, (len(before), len(after)), options)
            raise KeyDiffError(_repeated_key(side, source, repeated, instead, options))


def _empty_key(side: str, empty: list[int], options: Options) -> str:
    key = list(options.key or ())
    return (
        f"{options.place()}The key {key} is empty in rows of {side}, counted from 0: {empty}"
        f"{' and perhaps more' if len(empty) == 5 else ''}. Drop them with {side}.dropna(subset={key}), "
        "or compare whole rows: rk.diff(before, after, key=None)."
    )


def _repeated_key(
    side: str, source: Source, repeated: list[tuple[int, int]], instead: list[Hashable] | None, options: Options
) -> str:
    import numpy as np

    key = list(options.key or ())
    rows = source.take(np.array([place for place, _ in repeated]))
    frame = index_frame(rows.index, source.index_names) if source.index_names else rows[key]
    listed = [
        f"{excerpt(values[0] if len(key) == 1 else values)} in {n:,} rows"
        for values, (_, n) in zip(frame.itertuples(index=False, name=None), repeated, strict=True)
    ]
    return (
        f"{options.place()}The key {key} does not tell the rows of {side} apart: {', '.join(listed)}"
        f"{' and perhaps more' if len(repeated) == 5 else ''}. This works: rk.diff(before, after, key={instead!r})"
        f"{', which compares whole rows' if instead is None else ''}."
    )


def _unique_key(
    connection: duckdb.DuckDBPyConnection, pairs: list[ColumnPair], rows: tuple[int, int], options: Options
) -> list[Hashable] | None:
    """Return a key with one more column that tells all rows apart, or None if there is none or looking takes long."""
    keys = len(options.key or ())
    if sum(rows) * (len(pairs) - keys) > _MOST_TRIED:
        return None
    for extra in pairs[keys:]:
        tried = [*pairs[:keys], extra]
        sides = [[getattr(pair, side) for pair in tried] for side in ("before", "after")]
        if not any(column.null_count for side in sides for column in side) and all(
            is_unique(connection, side, n) for side, n in zip(sides, rows, strict=True)
        ):
            return [pair.name for pair in tried]
    return None


def _by_path(found: RowMatch, pairs: list[ColumnPair], json: set[Hashable]) -> tuple[RowMatch, Paths]:
    """Compare the cells of JSON columns by path, and drop rows in which only their spelling differs."""
    import numpy as np

    numbers = [number for number, pair in enumerate(pairs) if pair.name in json]
    if not numbers:
        return found, {}
    mask = found.mask.copy()
    paths: dict[tuple[int, int], list[tuple[str, object, object]]] = {}
    for number in numbers:
        rows = np.flatnonzero(mask[:, number])
        old = pairs[number].before.take(found.before[rows]).to_pylist()
        new = pairs[number].after.take(found.after[rows]).to_pylist()
        for row, before, after in zip(rows.tolist(), old, new, strict=True):
            changes = json_changes(before, after, str(pairs[number].name))
            mask[row, number] = bool(changes)
            paths[row, number] = changes
    kept = mask.any(axis=1)
    place = np.cumsum(kept) - 1
    held = {(int(place[row]), number): changes for (row, number), changes in paths.items() if changes}
    return RowMatch(found.added, found.removed, found.before[kept], found.after[kept], mask[kept]), held
