"""Whether two runs of one replay gave the same results, and where they part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.sql import quote

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.replayed import Replay

__all__ = ["differing", "parting"]

_FRAMES = ("actions", "violations", "problems", "metrics")


def differing(first: Replay, second: Replay) -> tuple[str, ...]:
    """Return the names of what differs: ``actions``, ``violations``, ..., ``history of <table>``.

    A history is compared by its number of versions and a 128-bit sum of digests over them, each holding its place.
    """
    names = [name for name in _FRAMES if not getattr(first, name).equals(getattr(second, name))]
    tables = [name for name in first.history.tables if _digest(first, name) != _digest(second, name)]
    return (*names, *(f"history of {name}" for name in tables))


def _digest(run: Replay, table: str) -> tuple[Any, ...]:
    # `change` is dense and part of each digest, so the same versions in another order sum up differently.
    found = run.history.frame(
        f"SELECT count(*) AS n, bit_xor(md5_number(v::VARCHAR))::VARCHAR AS digest FROM history.{quote(table)} AS v"
    )
    return tuple(map(str, found.iloc[0]))


def parting(first: Replay, second: Replay, names: tuple[str, ...]) -> tuple[int, str]:
    """Return the step at which two replays part, and what was handled there: ``event submitted``, ``rule requeue``."""
    tables = [name for name in names if name.startswith("history of ")]
    if tables:
        step = min(_first_step(*(_versions(run, name) for run in (first, second))) for name in tables)
        kinds = first.history.frame("SELECT input, kind FROM steps WHERE step = $step", {"step": step})
        on = " ".join(map(str, kinds.iloc[0])) if len(kinds) else "base"
        return step, on.removeprefix("recorded ")
    for name, what, column in (("actions", "rule", "step"), ("violations", "invariant", "opened_step")):
        if name in names:
            rows = _first_rows(getattr(first, name), getattr(second, name))
            return int(rows[0][column]), f"{what} {rows[0][what]}"
    return 0, ""


def _versions(run: Replay, name: str) -> pd.DataFrame:
    return run.history.frame(f"SELECT * FROM history.{quote(name.removeprefix('history of '))} ORDER BY change")


def _first_rows(one: pd.DataFrame, two: pd.DataFrame) -> list[pd.Series[Any]]:
    """Return the first row of each that the other has not in its place; one of them if the other is shorter."""
    length = min(len(one), len(two))
    left, right = one.astype("object")[:length], two.reindex(columns=one.columns).astype("object")[:length]
    same = ((left == right) | (left.isna() & right.isna())).all(axis=1)
    place = length if same.all() else int((~same).to_numpy().argmax())
    return [frame.iloc[place] for frame in (one, two) if place < len(frame)] or [one.iloc[0], two.iloc[0]]


def _first_step(one: pd.DataFrame, two: pd.DataFrame) -> int:
    rows = _first_rows(one, two)
    if len(rows) == 2 and rows[0].drop("valid_to").map(repr).equals(rows[1].drop("valid_to").map(repr)):
        return min(int(row["valid_to"]) for row in rows if row["valid_to"] == row["valid_to"])  # they differ in its end
    return min(int(row["valid_from"]) for row in rows)
