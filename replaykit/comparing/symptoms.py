"""Symptoms: what a smaller replay must still show: an action, a violation, or whatever a function says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.display import show_text
from replaykit.errors import QueryError, excerpt

if TYPE_CHECKING:
    from replaykit.replayed import Replay

__all__ = ["Symptom", "symptom_of"]


@dataclass(frozen=True)
class Symptom:
    """An action or a violation of one entity, wherever in the window it is."""

    what: str
    """``action`` or ``violation``."""
    name: str
    """The rule, or the invariant."""
    kind: str
    """The kind of the action; the invariant again."""
    entity: str

    def __call__(self, run: Replay) -> bool:
        """Return whether a replay shows it."""
        if self.what == "violation":
            broken = run.violations
            return bool(((broken["invariant"] == self.name) & (broken["entity"] == self.entity)).any())
        found = run.actions
        same = (found["rule"] == self.name) & (found["kind"] == self.kind) & (found["entity"] == self.entity)
        return bool(same.any())

    @property
    def sentence(self) -> str:
        """What it is, in words."""
        entity = show_text(self.entity, 60)
        if self.what == "violation":
            return f"{show_text(self.name, 60)} is violated for {entity}"
        return f"{show_text(self.name, 60)} emits {show_text(self.kind, 60)} {entity}".rstrip()


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
    if not symptom(run):
        raise QueryError(
            f"This replay does not show {getattr(symptom, 'sentence', excerpt(symptom))}; nothing to keep."
        )
    return symptom  # type: ignore[no-any-return]


def _of_row(row: Any) -> Symptom:
    if hasattr(row, "columns") and len(row) == 1:
        row = row.iloc[0]
    if isinstance(row, Mapping) or hasattr(row, "to_dict"):
        given = dict(row)
        if {"invariant", "entity"} <= set(given):
            return Symptom("violation", str(given["invariant"]), str(given["invariant"]), str(given["entity"]))
        if {"rule", "kind", "entity"} <= set(given):
            return Symptom("action", str(given["rule"]), str(given["kind"]), str(given["entity"]))
    raise QueryError(
        f"{excerpt(row)} is no symptom; expected a row of run.violations or run.actions, or a function of a replay."
    )
