"""Outcome numbers: what a replay came to, as numbers that can be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, excerpt
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from replaykit.replayed import Replay

__all__ = ["OUTCOMES", "checked_outcomes", "number_of", "outcome_of", "outcomes_of"]

_COLUMNS = ("name", "start", "end", "events", "ticks", "identical", "at", "rule", "changes", "error")


def actions(run: Replay) -> float:
    """Return how many actions were emitted, at all ticks together."""
    return float((run.actions["repeats"] + 1).sum())


def violations(run: Replay) -> float:
    """Return how many episodes of broken invariants there were."""
    return float(len(run.violations))


def stuck_minutes(run: Replay) -> float:
    """Return the minutes for which invariants were broken, summed over episodes; open ones last to the window's end."""
    end = run.window.bounds()[1]
    lasted = run.violations["closed_at"].fillna(end) - run.violations["opened_at"]
    return round(float(lasted.dt.total_seconds().sum()) / 60, 6)


def without_effect(run: Replay) -> float | None:
    """Return how many applied actions changed no row; None where actions were only collected."""
    if run.settings["actions"] == "collect":
        return None
    written = " UNION ".join(
        f"SELECT unnest([valid_from, valid_to]) AS step FROM history.{quote(name)}" for name in run.history.tables
    )
    found = run.history.fetch(
        "SELECT count(*) FROM steps ANTI JOIN "
        f"({written or 'SELECT 0 AS step'}) AS written USING (step) WHERE input IN ('action', 'recorded action') "
        "AND step > $first",
        {"first": run.before_step},
    )
    return float(found[0][0])


def problems(run: Replay) -> float:
    """Return how often a handler or rule raised, or an event or action had none."""
    return float(run.problems["count"].sum())


OUTCOMES: Mapping[str, Callable[[Any], float | None]] = {
    "actions": actions,
    "violations": violations,
    "stuck_minutes": stuck_minutes,
    "without_effect": without_effect,
    "problems": problems,
}


def outcome_of(outcome: Any) -> tuple[str, Callable[[Any], Any]]:
    """Return name and function of an outcome, from the name of one that is there or a function of a replay.

    Raises
    ------
    QueryError
        It is neither.
    """
    if callable(outcome):
        return getattr(outcome, "__name__", "outcome"), outcome
    if isinstance(outcome, str) and outcome in OUTCOMES:
        return outcome, OUTCOMES[outcome]
    raise QueryError(
        f"outcome={excerpt(outcome)}: expected one of {list(OUTCOMES)}, or a function that takes a replay and returns "
        "a number."
    )


def number_of(name: str, function: Callable[[Any], Any], run: Replay) -> float | None:
    """Return an outcome of a replay; None where there is none.

    Raises
    ------
    QueryError
        The function raised, or gave something that is no number.
    """
    try:
        found = function(run)
    except Exception as exc:
        raise QueryError(f"Outcome {name!r} raised {type(exc).__name__}: {excerpt(str(exc))}.") from exc
    if found is None:
        return None
    if not isinstance(found, (Real, Decimal)) or not math.isfinite(found):
        raise QueryError(f"Outcome {name!r} gave {excerpt(found)}; expected a number, or None where there is none.")
    return float(found)


def checked_outcomes(further: Any) -> dict[str, Callable[[Any], Any]]:
    """Return further outcomes by name.

    Raises
    ------
    QueryError
        They are no dict of functions, or one has the name of an outcome that is there already, or of a column.
    """
    if not isinstance(further, Mapping) or not all(map(callable, further.values())):
        raise QueryError(f"outcomes={excerpt(further)}: expected a dict of names to functions of a replay.")
    taken = next((name for name in further if name in OUTCOMES or name in _COLUMNS), None)
    if taken is not None:
        raise QueryError(f"outcomes has {taken!r}, which is a column of the table already; choose another name.")
    return {str(name): function for name, function in further.items()}


def outcomes_of(run: Replay, further: Mapping[str, Callable[[Any], Any]]) -> dict[str, float | None]:
    """Return every outcome number of a replay by name: those that are there, then further ones."""
    return {name: number_of(name, function, run) for name, function in {**OUTCOMES, **further}.items()}
