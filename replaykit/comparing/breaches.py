"""Breaches: violations that a new reconciler gained, lost, or had for another time."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from replaykit.comparing.axis import Axis
    from replaykit.replayed import Replay

__all__ = ["COLUMNS", "breaches"]

COLUMNS = ["change", "invariant", "entity", "at", "old_opened", "old_closed", "new_opened", "new_closed"]

Episode = dict[str, Any]


def breaches(old: Replay, new: Replay, axis: Axis) -> pd.DataFrame:
    """Return one row for each episode that only one replay has, or that lasted otherwise; in order of opening.

    ``change`` is ``gained`` (only the new one has it), ``lost``, or ``changed`` (opened or closed at another tick, or
    with other details when it was opened). Episodes of one invariant and entity belong together where ticks overlap.
    """
    import pandas as pd

    sides = _episodes(old, axis, 0), _episodes(new, axis, 1)
    rows = [
        row
        for identity in dict.fromkeys([*sides[0], *sides[1]])
        for row in _of_identity(sides[0].get(identity, []), sides[1].get(identity, []))
    ]
    rows.sort(key=lambda row: (row["at"], row["invariant"], row["entity"], row["change"]))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype(dict.fromkeys(["at", *COLUMNS[4:]], "datetime64[us]"))


def _episodes(run: Replay, axis: Axis, side: int) -> Mapping[tuple[str, str], list[Episode]]:
    found: dict[tuple[str, str], list[Episode]] = defaultdict(list)
    rows: list[Episode] = run.violations.to_dict("records")  # type: ignore[assignment]
    for row in rows:
        places = axis.place(side, row["opened_tick"]), axis.last(side, row["last_tick"], 0)
        found[row["invariant"], row["entity"]].append({**row, "first": places[0], "last": places[1]})
    return found


def _of_identity(old: list[Episode], new: list[Episode]) -> Iterator[dict[str, Any]]:
    left = list(new)
    for mine in old:
        twin = next((one for one in left if one["first"] <= mine["last"] and mine["first"] <= one["last"]), None)
        if twin is None:
            yield _row("lost", mine, None)
            continue
        left.remove(twin)
        if [mine[name] for name in ("first", "last", "detail")] != [twin[name] for name in ("first", "last", "detail")]:
            yield _row("changed", mine, twin)
    for extra in left:
        yield _row("gained", None, extra)


def _row(change: str, old: Episode | None, new: Episode | None) -> dict[str, Any]:
    both = [one for one in (old, new) if one is not None]
    row = {"change": change, "invariant": both[0]["invariant"], "entity": both[0]["entity"]}
    row["at"] = min(one["opened_at"] for one in both)
    for side, one in (("old", old), ("new", new)):
        row[f"{side}_opened"] = None if one is None else one["opened_at"]
        row[f"{side}_closed"] = None if one is None else one["closed_at"]
    return row
