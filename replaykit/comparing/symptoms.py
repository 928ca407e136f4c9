"""Symptoms: what a smaller replay must still show: an action, a violation, or whatever a function says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.display import show_text
from replaykit.errors import QueryError, excerpt, show_time

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from replaykit.replayed import Replay

__all__ = ["Symptom", "holds", "rows_of", "symptom_of"]


@dataclass(frozen=True)
class Symptom:
    """An action of one entity that began at one time, or a violation that was opened then.

    Without the time a smaller replay would show another: an order that waits from the start for want of an event.
    """

    what: str
    """``action`` or ``violation``."""
    name: str
    """The rule, or the invariant."""
    kind: str
    """The kind of the action; the invariant again."""
    entity: str
    at: datetime
    """The clock of its first tick, naive UTC."""

    def __call__(self, run: Replay) -> bool:
        """Return whether a replay shows it."""
        if self.what == "violation":
            shown: dict[str, Any] = {"invariant": self.name, "entity": self.entity, "opened_at": self.at}
        else:
            shown = {"rule": self.name, "kind": self.kind, "entity": self.entity, "at": self.at}
        return len(rows_of(run, shown)) > 0

    @property
    def sentence(self) -> str:
        """What it is, in words."""
        name, entity = show_text(self.name, 60), show_text(self.entity, 60)
        if self.what == "violation":
            return f"invariant {name} is violated for {entity} from {show_time(self.at)} on"
        return f"{name} emits {show_text(self.kind, 60)} {entity} at {show_time(self.at)}"


def rows_of(run: Replay, shown: Mapping[str, Any]) -> pd.DataFrame:
    """Return the violations, if an invariant is named, or else the actions, that have these values.

    Raises
    ------
    QueryError
        They have no such column.
    """
    frame: pd.DataFrame = run.violations if "invariant" in shown else run.actions
    unknown = [name for name in shown if name not in frame.columns]
    if unknown:
        raise QueryError(f"There is no column {unknown[0]!r} to look in; there are {list(frame.columns)}.")
    for name, value in shown.items():
        frame = frame[frame[name] == value]
    return frame


def symptom_of(run: Replay, shows: Any = None) -> Symptom | Callable[[Any], bool]:
    """Return what a replay shows, from a row of its violations or actions, or a function of a replay.

    None is the first violation.

    Raises
    ------
    QueryError
        It is none of these, or the replay does not show it.
    """
    if shows is None:
        if not len(run.violations):
            raise QueryError(
                "This replay has no violation; say what to look for: a row of run.actions, as in "
                "run.actions.iloc[0], or a function of a replay."
            )
        shows = run.violations.iloc[0]
    symptom: Any = shows if callable(shows) else _of_row(shows)
    if not holds(symptom, run):
        told = getattr(symptom, "sentence", getattr(symptom, "__name__", "the given function"))
        raise QueryError(f"This replay does not show what is looked for ({told}), so there is nothing to keep.")
    return symptom  # type: ignore[no-any-return]


def holds(symptom: Callable[[Any], Any], run: Replay) -> bool:
    """Return what a symptom says of a replay.

    Raises
    ------
    QueryError
        It said neither yes nor no.
    """
    try:
        return bool(symptom(run))
    except ValueError as exc:
        raise QueryError(f"What to look for has to be true or false of a replay, but it raised: {exc}.") from exc


def _of_row(row: Any) -> Symptom:
    if hasattr(row, "columns"):
        if len(row) != 1:
            raise QueryError(f"shows= has {len(row)} rows; give one of them, as in run.violations.iloc[0].")
        row = row.iloc[0]
    if isinstance(row, Mapping) or hasattr(row, "to_dict"):
        given = dict(row)
        if {"invariant", "entity", "opened_at"} <= set(given):
            invariant = str(given["invariant"])
            return Symptom("violation", invariant, invariant, str(given["entity"]), _time(given["opened_at"]))
        if {"rule", "kind", "entity", "at"} <= set(given):
            rule, kind, entity = (str(given[name]) for name in ("rule", "kind", "entity"))
            return Symptom("action", rule, kind, entity, _time(given["at"]))
    raise QueryError(
        f"{excerpt(row)} is no symptom; expected a row of run.violations or run.actions, or a function of a replay."
    )


def _time(value: Any) -> datetime:
    found: datetime = value.to_pydatetime() if hasattr(value, "to_pydatetime") else value
    return found
