"""Episodes: the same thing seen again and again, told once with a beginning and an end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, excerpt
from replaykit.findings.mentions import is_number, log_columns
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from replaykit.recording import Recording

__all__ = ["Episodes", "build_episodes", "episodes", "log_moments"]

_FIXED = ["opened_tick", "opened_at", "last_tick", "last_at", "closed_tick", "closed_at", "ticks"]


@dataclass(frozen=True, eq=False, repr=False)
class Episodes:
    """Entries of a log told as episodes. ``len()`` counts the episodes."""

    frame: pd.DataFrame
    """One row per episode, in the order in which they opened: the key columns, ``opened_tick``, ``opened_at``,
    ``last_tick``, ``last_at``, ``closed_tick``, ``closed_at`` (the first tick without it; missing if it was still
    going on when the log ended), ``ticks`` (in how many it was seen)."""
    log: str
    """The log they were built from."""
    key: tuple[str, ...]
    """What makes two entries the same thing."""
    entries: int
    """How many entries the log has."""
    rule: str
    """How long an episode may pause, in words."""

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        return f"Episodes({len(self.frame):,} of {self.entries:,} {self.log})"

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        from replaykit.display import count

        found = count(len(self.frame), "episode")
        return f"{self.entries:,} {self.log} are {found}: same {', '.join(self.key)}, {self.rule}."

    @property
    def summary(self) -> pd.DataFrame:
        """One row per value of the first key column: how many episodes, how many ticks in them, the longest."""
        first = self.key[0]
        grouped = self.frame.groupby(first, sort=True, dropna=False)["ticks"].agg(["count", "sum", "max"]).reset_index()
        return grouped.set_axis([first, "episodes", "ticks", "longest"], axis=1)

    def _repr_html_(self) -> str:
        from replaykit.display import note_html, table_html

        caption = f"By {self.key[0]}"
        return "\n".join(
            [
                note_html(self.sentence),
                table_html(self.summary, caption=caption, limit=30, more=".summary"),
                table_html(self.frame, caption="Episodes", limit=50, more=".frame"),
            ]
        )


def build_episodes(
    observations: pd.DataFrame,
    key: Sequence[str],
    *,
    clean_ticks: int = 1,
    end: int | None = None,
    ticks: pd.DataFrame | None = None,
    pause: timedelta | None = None,
    repeats: str | None = None,
    interval: timedelta | None = None,
) -> pd.DataFrame:
    """Join observations of the same key in neighbouring ticks into episodes.

    Parameters
    ----------
    observations
        ``tick`` (a number of the moments at which one looked), ``at`` (naive UTC) and the key columns; further columns
        are kept with their first value. Several observations of a key at one tick count once. Nulls are equal.
    key
        Columns that make two observations the same thing; none means there is only one thing.
    clean_ticks
        How many ticks in a row without it close an episode; one that comes back sooner goes on.
    end
        The last tick at which one looked; None is the last one known. Who was not clean by then is still open.
    ticks
        ``tick`` and ``at`` of the moments looked at, for ``closed_at``; None takes those with an observation.
    pause
        Close an episode by time instead: when it was not seen for longer than this.
    repeats
        A column that says in how many ticks right after its own an observation was made again; `interval` is the time
        between two of those.

    Returns
    -------
    DataFrame
        The key columns, then ``opened_tick, opened_at, last_tick, last_at, closed_tick, closed_at, ticks``, then the
        first values; ordered by ``opened_tick`` and key. ``closed_tick`` is the first tick without it, ``closed_at``
        the time of the first known tick from there on; both are missing while it is open.

    Raises
    ------
    QueryError
        A key column is not there, or has the name of a column of the result.
    """
    import numpy as np

    key = list(key)
    _check_key(list(observations.columns), key)
    looked = (observations if ticks is None else ticks)[["tick", "at"]].drop_duplicates("tick").sort_values("tick")
    order = observations.sort_values("tick", kind="stable")
    if repeats is not None:
        longest = order.groupby(["tick", *key], sort=False, dropna=False)[repeats].transform("max")
        order = order.assign(**{repeats: longest})
    order = order.drop_duplicates(["tick", *key])
    same = order.groupby(key, sort=False, dropna=False).ngroup().to_numpy() if key else np.zeros(len(order), np.int64)
    place = np.argsort(same, kind="stable")
    order, same = order.iloc[place].reset_index(drop=True), same[place]
    seen, fresh = order["tick"].to_numpy(), np.ones(len(order), np.int64)
    if repeats is not None:
        seen, fresh = _standing(seen, same, order.pop(repeats).to_numpy())
    opens = _opens(order, same, clean_ticks, pause, seen)
    starts = np.flatnonzero(opens)
    stops = np.append(starts[1:], len(order))[: len(starts)] - 1
    first, last = order.iloc[starts].reset_index(drop=True), order.iloc[stops].reset_index(drop=True)
    if repeats is not None:
        last["at"] += np.timedelta64(interval or 0, "us") * (seen[stops] - last["tick"].to_numpy())
        last["tick"] = seen[stops]
    frame = first[key].assign(
        opened_tick=first["tick"], opened_at=first["at"], last_tick=last["tick"], last_at=last["at"]
    )
    total = np.append(0, np.cumsum(fresh))
    frame = _closed(frame, looked, clean_ticks, end, pause).assign(ticks=total[stops + 1] - total[starts])
    others = [name for name in order.columns if name not in ("tick", "at", *key)]
    frame[[f"{name}_" if name in _FIXED else name for name in others]] = first[others]
    return frame.sort_values(["opened_tick", *key], kind="stable", key=_sortable).reset_index(drop=True)


def _check_key(columns: list[str], key: list[str]) -> None:
    for name in key:
        if name in _FIXED or name in ("tick", "at"):
            raise QueryError(f"Key column {name!r} has the name of a column of the result; select it AS another name.")
        if name not in columns:
            raise QueryError(
                f"No key column {excerpt(name)} among the columns {columns[:40]}; select it, or change key=."
            )


def _standing(ticks: Any, same: Any, again: Any) -> tuple[Any, Any]:
    """Return for each observation, by key and tick, until when it or one before it stood, and the ticks it adds."""
    import numpy as np

    until = ticks + again
    apart = same * (until.max(initial=0) - ticks.min(initial=0) + 1)  # lifts each key's ticks above the one's before
    seen = np.maximum.accumulate(until + apart) - apart
    before = ticks - 1
    before[1:] = np.where(same[1:] == same[:-1], np.maximum(before[1:], seen[:-1]), before[1:])
    return seen, seen - before


def _opens(order: pd.DataFrame, same: Any, clean_ticks: int, pause: timedelta | None, seen: Any) -> Any:
    """Return which observations, sorted by key and tick, open an episode."""
    import numpy as np

    opens = np.ones(len(order), dtype=bool)
    if pause is None:
        ticks = order["tick"].to_numpy()
        opens[1:] = (same[1:] != same[:-1]) | (ticks[1:] - seen[:-1] > clean_ticks)
    else:
        times = order["at"].to_numpy()
        opens[1:] = (same[1:] != same[:-1]) | (times[1:] - times[:-1] > np.timedelta64(pause))
    return opens


def _closed(
    frame: pd.DataFrame, looked: pd.DataFrame, clean_ticks: int, end: int | None, pause: timedelta | None
) -> pd.DataFrame:
    """Return the episodes with ``closed_tick`` and ``closed_at``."""
    import numpy as np

    known, times = looked["tick"].to_numpy(), looked["at"].to_numpy()
    stop = end if end is not None else (int(known[-1]) if len(known) else 0)
    if pause is None:
        closed: Any = frame["last_tick"].to_numpy() + clean_ticks <= stop
    else:
        final = times[-1] if len(times) else np.datetime64("NaT")
        closed = final - frame["last_at"].to_numpy() > np.timedelta64(pause)
    after = np.searchsorted(known, frame["last_tick"].to_numpy(), side="right")
    seen = closed & (after < len(known))
    closed_at = np.full(len(frame), np.datetime64("NaT"), dtype="datetime64[us]")
    closed_at[seen] = times[after[seen]]
    tick = (frame["last_tick"] + 1).astype("Int64").where(closed)
    return frame.assign(closed_tick=tick, closed_at=closed_at)


def _sortable(column: pd.Series[Any]) -> pd.Series[Any]:
    return column.map(str) if column.dtype == object else column


def episodes(
    recording: Recording,
    log: str = "actions",
    key: str | Sequence[str] | None = None,
    gap: int | timedelta | None = None,
) -> Episodes:
    """Tell the entries of a log as episodes: the same thing, again and again, until it stops.

    Parameters
    ----------
    log
        ``events`` or a recorded log.
    key
        Columns or payload keys (``"bead_id"`` or ``"payload.item.id"``) that make two entries the same thing; None is
        ``kind`` and the whole payload.
    gap
        How far apart two entries of one episode may be: a number of ticks, or a timedelta. Ticks are the log's own
        column ``tick``; else its distinct times, if at least three entries on average share two of them. None is one
        such tick, or, where the log has neither, five times the median time between neighbours of the same key.

    Raises
    ------
    QueryError
        The log or a key is not there.
    """
    if log != "events" and log not in recording.logs:
        raise QueryError(f"No log {excerpt(log)} in the recording; it has {['events', *recording.logs]}.")
    columns = log_columns(recording, log)
    chosen = ["kind", "payload"] if key is None else [key] if isinstance(key, str) else list(key)
    seen = _observations(recording, log, columns, chosen)
    names = [name for name in seen.columns if name not in ("tick", "at")]
    pause, clean, rule = _gap(seen, names, gap, _tick(columns) == "tick")
    frame = build_episodes(seen, names, clean_ticks=clean, pause=pause)
    return Episodes(frame, log, tuple(names), len(seen), rule)


def log_moments(recording: Recording, log: str) -> pd.DataFrame:
    """Return ``position``, ``tick`` and ``at`` of a log's entries; ticks are its column, else its distinct times."""
    frame: pd.DataFrame = recording._frame(
        f'SELECT position, {_tick(log_columns(recording, log))} AS tick, occurred_at AS "at" '
        f"FROM {quote('main')}.{quote(log)} ORDER BY position"
    )
    return frame


def _tick(columns: Mapping[str, str]) -> str:
    return "tick" if is_number(columns.get("tick", "")) else "dense_rank() OVER (ORDER BY occurred_at)"


def _observations(recording: Recording, log: str, columns: dict[str, str], key: list[str]) -> pd.DataFrame:
    params: dict[str, Any] = {}
    parts = []
    for number, name in enumerate(key):
        if name in columns:
            parts.append(f"{quote(name)} AS {quote(name)}")
            continue
        path = name.removeprefix("payload.").split(".")
        params[f"key_{number}"] = "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)
        parts.append(f"json_extract_string(payload, $key_{number}) AS {quote('.'.join(path))}")
    query = f"""SELECT {_tick(columns)} AS tick, occurred_at AS "at", {", ".join(parts)}
        FROM {quote("main")}.{quote(log)} ORDER BY position"""
    frame: pd.DataFrame = recording._frame(query, params)
    for number, name in enumerate(key):
        if f"key_{number}" in params and len(frame) and frame.iloc[:, number + 2].isna().all():
            raise QueryError(
                f"No entry of {log!r} has a column or payload key {excerpt(name)}; its columns are {list(columns)}."
            )
    return frame


def _gap(
    seen: pd.DataFrame, key: list[str], gap: int | timedelta | None, ticked: bool
) -> tuple[timedelta | None, int, str]:
    """Return the pause in time or None, the pause in ticks, and both in words."""
    shared = ticked or len(seen) >= 1.5 * seen["tick"].nunique()
    if gap is None and not shared and len(seen):
        between: Any = (
            seen.sort_values("at", kind="stable").groupby(key, sort=False, dropna=False)["at"].diff().dropna()
        )
        gap = (5 * between.median()).to_pytimedelta() if len(between) else timedelta(0)
    if isinstance(gap, timedelta):
        return gap, 1, f"never more than {gap} apart"
    ticks = 1 if gap is None else int(gap)
    unit = "ticks" if ticked else "distinct times of the log"
    return None, ticks, f"in neighbouring {unit}" if ticks == 1 else f"never more than {ticks} {unit} apart"
