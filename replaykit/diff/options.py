"""What the caller asked of a diff, checked against the columns that are there."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from replaykit.errors import KeyDiffError, QueryError, excerpt

if TYPE_CHECKING:
    from replaykit.diff.columns import ColumnPair
    from replaykit.diff.sources import Source

__all__ = ["Options", "Tolerance", "options_of"]

Tolerance = float | str | timedelta
"""How far two values may lie apart: a number, a part of the larger one such as "0.1%", or a duration."""

_SHOWN = 40


@dataclass(frozen=True)
class Options:
    """The options of one diff. `key` is None for rows without identity."""

    key: tuple[Hashable, ...] | None
    ignore: tuple[Hashable, ...]
    tolerance: Mapping[Hashable, Tolerance]
    json: tuple[Hashable, ...]
    anywhere: Tolerance | None
    """The tolerance of every column that can have it, if the caller gave just one."""
    table: str | None = None

    def place(self) -> str:
        """Return how messages begin, naming the table where there are several."""
        return "" if self.table is None else f"Table {self.table!r}: "

    def has_tolerance(self, name: Hashable) -> bool:
        """Return whether a tolerance may apply to this column."""
        return self.anywhere is not None or name in self.tolerance

    def within(self, available: Iterable[Hashable], table: str) -> Options:
        """Return the options for one of several tables: what names none of its columns falls away."""
        names = set(available)
        return replace(
            self,
            ignore=tuple(name for name in self.ignore if name in names),
            tolerance={name: limit for name, limit in self.tolerance.items() if name in names},
            json=tuple(name for name in self.json if name in names),
            table=table,
        )

    def named(self) -> dict[str, tuple[Hashable, ...]]:
        """Return the columns that each option names."""
        return {"ignore": self.ignore, "tolerance": tuple(self.tolerance), "json": self.json}

    def check_names(self, available: Collection[Hashable]) -> None:
        """Raise a QueryError if an option names a column that is not available."""
        for option, names in self.named().items():
            for name in names:
                if name not in available:
                    raise QueryError(
                        f"{self.place()}{option}= names {name!r}, a column of neither side; "
                        f"the columns are {_listed(available)}."
                    )

    def check(self, before: Source, after: Source) -> None:
        """Raise a QueryError or KeyDiffError if a named column is not there, or is both key and something else."""
        self.check_names({*before.names, *after.names})
        for option, names in self.named().items():
            for name in names:
                if name in (self.key or ()):
                    raise QueryError(f"{self.place()}{option}= names {name!r}, which is part of the key.")
        for side, source in (("before", before), ("after", after)):
            for name in self.key or ():
                if name not in source.names:
                    raise KeyDiffError(
                        f"{self.place()}Key column {name!r} is not in {side}; its columns are {_listed(source.names)}. "
                        "Name the columns that identify a row with key=, or compare whole rows with key=None."
                    )
        if self.key is None and (self.tolerance or self.anywhere is not None):
            raise QueryError(f"{self.place()}A tolerance needs a key: without one no two rows are paired. Pass key=.")

    def conditions(self, pairs: list[ColumnPair], keys: int) -> dict[int, tuple[str, float]]:
        """Return by column number when two different cells count as equal, as SQL and the value of its parameter."""
        found = {}
        for number, pair in enumerate(pairs[keys:], keys):
            asked = self.tolerance.get(pair.name, self.anywhere)
            condition = None if asked is None else _condition(number, pair, asked)
            if condition is not None:
                found[number] = condition
            elif pair.name in self.tolerance:
                raise QueryError(
                    f"{self.place()}tolerance={asked!r} does not fit column {pair.name!r}, which holds "
                    f"{' and '.join(sorted(set(pair.families)))}; numbers take a number or '0.1%', times a timedelta."
                )
        return found


def _listed(names: Iterable[Hashable]) -> str:
    texts = sorted(map(repr, names))
    return ", ".join(texts[:_SHOWN]) + (f" … {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")


def options_of(ignore: object, tolerance: object, json: object) -> Options:
    """Return the caller's options as given, each tolerance checked."""
    if isinstance(tolerance, Mapping):
        by_column = {name: _checked(limit) for name, limit in tolerance.items()}
        return Options(None, _names(ignore), by_column, _names(json), None)
    return Options(None, _names(ignore), {}, _names(json), None if tolerance is None else _checked(tolerance))


def _names(value: Any) -> tuple[Hashable, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _checked(limit: Any) -> Tolerance:
    number = limit.total_seconds() if isinstance(limit, timedelta) else limit
    if isinstance(limit, str) and limit.endswith("%"):
        number = _number(limit[:-1])
    if isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number) and number >= 0:
        return limit  # type: ignore[no-any-return]
    raise QueryError(
        f"Can't read tolerance={excerpt(limit)}; pass a number such as 0.01, a part such as '0.1%', or a timedelta."
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _condition(number: int, pair: ColumnPair, limit: Tolerance) -> tuple[str, float] | None:
    """Return the SQL under which two cells are close, or None if the limit does not fit the column."""
    import pyarrow as pa

    kind, name = pair.before.type, f"$t{number}"
    sides = f"b.c{number}", f"a.c{number}"
    if isinstance(limit, timedelta):
        if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            return None
        left, right = (f"epoch_ns({side}::TIMESTAMP_NS)::HUGEINT" for side in sides)
        return f"abs({left} - {right}) <= {name}::BIGINT", limit // timedelta(microseconds=1) * 1000
    if set(pair.families) - {"empty"} != {"number"} or pa.types.is_large_string(kind):
        return None
    if isinstance(limit, str):
        left, right = (f"{side}::DOUBLE" for side in sides)
        return f"abs({left} - {right}) <= {name}::DOUBLE * greatest(abs({left}), abs({right}))", _number(
            limit[:-1]
        ) / 100
    whole = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    left, right = (f"{side}::{'HUGEINT' if whole else 'DOUBLE'}" for side in sides)
    return f"abs({left} - {right}) <= {name}::DOUBLE", float(limit)
