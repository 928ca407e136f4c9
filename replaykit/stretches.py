"""Stretches: how long a column of a state table held each value, read from a replay's history."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.errors import QueryError, WindowError, excerpt, show_time
from replaykit.results import entity_of
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import pandas as pd

    from replaykit.history import History
    from replaykit.replayed import Replay
    from replaykit.window import Window

__all__ = ["Lane", "Stretch", "bounds_of", "lanes_of", "stretches_frame"]


class Stretch(NamedTuple):
    """One value of one entity, for as long as it stood."""

    value: Any
    from_step: int
    to_step: int | None
    """None while open."""
    caused_by: str
    since: datetime | None
    """When it began, naive UTC; None where the base has no time."""
    until: datetime | None
    """When it ended; None while open."""


class Lane(NamedTuple):
    """The stretches of one entity, in order."""

    entity: str
    stretches: Sequence[Stretch]
    changes: int
    """At how many steps inside the bounds its value appeared, changed or disappeared."""


def bounds_of(run: Replay, window: Window | None) -> tuple[datetime, datetime]:
    """Return the bounds of a window of a replay; None is the replay's own.

    Raises
    ------
    WindowError
        The window has no day, or lies outside what was replayed.
    """
    first, end = run.window.bounds()
    if window is None:
        return first, end
    first = min(first, run.plan.base.at or first)
    start, stop = window.within(run.plan.span).bounds()
    if stop <= first or start >= end:
        raise WindowError(
            f"{window!r} lies outside the replay, which covers {show_time(first)} to {show_time(end)}; choose bounds "
            "inside it."
        )
    return start, stop


def lanes_of(run: Replay, table: str, column: str, start: datetime, end: datetime) -> list[Lane]:
    """Return every entity of a state table that was there between two instants: most changes first, then by key.

    The end is excluded, unless it is that of the replay or later: then what its last tick did is in.

    Raises
    ------
    QueryError
        There is no such table or column; the message lists those there are.
    """
    columns = list(run.history.columns(table))
    if column not in columns:
        raise QueryError(f"Table {table!r} has no column {excerpt(column)}; choose column= of {columns}.")
    limit = None if end >= run.window.bounds()[1] else end
    keys = run.history.keys[table]
    lanes = []
    for key, rows in groupby(_rows(run, table, keys, column), lambda row: row[: len(keys)]):
        found = [Stretch(*row[len(keys) :]) for row in rows]
        inside = [one for one in found if _overlaps(one, start, limit)]
        if inside:
            lanes.append(Lane(entity_of(key), inside, _changes(inside, start, limit)))
    return sorted(lanes, key=lambda lane: -lane.changes)


def _rows(run: Replay, table: str, keys: Iterable[str], column: str) -> list[tuple[Any, ...]]:
    """Return the key and the stretch of each value, ordered by key and step."""
    names = ", ".join(f"k{number}" for number, _ in enumerate(keys))
    listed = ", ".join(f"{quote(key)} AS k{number}" for number, key in enumerate(keys))
    history: History = run.history
    return history.fetch(
        f"""
        WITH seen AS (
            SELECT {listed}, {quote(column)} AS value, change, valid_from, valid_to FROM history.{quote(table)}
            WHERE valid_to IS NULL OR valid_to > valid_from
        ), marked AS (
            SELECT *, value IS DISTINCT FROM lag(value) OVER version
                OR valid_from IS DISTINCT FROM lag(valid_to) OVER version AS begins
            FROM seen WINDOW version AS (PARTITION BY {names} ORDER BY change)
        ), numbered AS (
            SELECT *, count(*) FILTER (begins) OVER (PARTITION BY {names} ORDER BY change) AS stretch FROM marked
        ), stretches AS (
            SELECT {names}, any_value(value) AS value, min(valid_from) AS from_step,
                CASE WHEN bool_or(valid_to IS NULL) THEN NULL ELSE max(valid_to) END AS to_step
            FROM numbered GROUP BY {names}, stretch
        )
        SELECT {names}, value, from_step, to_step, coalesce(first.kind, 'base'),
            CASE WHEN from_step = 0 THEN $base ELSE first.applied_at END, next.applied_at
        FROM stretches LEFT JOIN steps AS first ON first.step = from_step LEFT JOIN steps AS next ON next.step = to_step
        ORDER BY {names}, from_step
        """,
        {"base": run.plan.base.at},
    )


def _overlaps(one: Stretch, start: datetime, limit: datetime | None) -> bool:
    began = one.since is None or limit is None or one.since < limit
    return began and (one.until is None or one.until > start or (one.since is not None and one.since >= start))


def _changes(stretches: Sequence[Stretch], start: datetime, limit: datetime | None) -> int:
    marks = {(one.from_step, one.since) for one in stretches} | {(one.to_step, one.until) for one in stretches}
    return sum(1 for step, at in marks if step and at is not None and start <= at and (limit is None or at < limit))


def stretches_frame(lanes: Sequence[Lane]) -> pd.DataFrame:
    """Return one row per stretch, lane by lane: ``entity, value, from, to, from_step, caused_by``."""
    import pandas as pd

    rows = [(lane.entity, one) for lane in lanes for one in lane.stretches]
    columns = {
        "entity": pd.Series([entity for entity, _ in rows], dtype="str"),
        "value": pd.Series([one.value for _, one in rows], dtype="object").convert_dtypes(),
        "from": pd.Series([one.since for _, one in rows], dtype="datetime64[us]"),
        "to": pd.Series([one.until for _, one in rows], dtype="datetime64[us]"),
        "from_step": pd.Series([one.from_step for _, one in rows], dtype="int64"),
        "caused_by": pd.Series([one.caused_by for _, one in rows], dtype="str"),
    }
    return pd.DataFrame(columns)
