"""What a rule or an invariant yielded, checked and made plain: actions and breaches as results hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from replaykit.errors import ReconcilerError, excerpt
from replaykit.reconciler import Action
from replaykit.rows import plain

if TYPE_CHECKING:
    from replaykit.reconciler import Invariant, Rule

__all__ = ["as_action", "as_row", "what_of"]


def what_of(declared: Rule | Invariant) -> str:
    """Return how errors name a rule or an invariant."""
    return f"{type(declared).__name__} {declared.name!r}"


def _plain(declared: Rule | Invariant, row: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {name: plain(value) for name, value in row.items()}
    except (TypeError, ValueError) as exc:
        raise ReconcilerError(
            f"{what_of(declared)} yielded {excerpt(dict(row))}: {exc}.", handler=declared.name
        ) from exc


def as_action(rule: Rule, row: Any) -> Action:
    """Return the action in what a rule yielded.

    Raises
    ------
    ReconcilerError
        It is no action, lacks a field of the rule's key, or holds a value no result can hold.
    """
    if rule.statement is not None:
        return Action(rule.action or rule.name, **_plain(rule, row))
    if not isinstance(row, Action):
        raise ReconcilerError(f"Rule {rule.name!r} yielded {excerpt(row)}; expected rk.Action(kind, field=value).")
    if rule.key and not any(name in row.fields for name in rule.key):
        names = " or ".join(map(repr, rule.key))
        raise ReconcilerError(f"Rule {rule.name!r} yielded {excerpt(row)} without {names}, which its key names.")
    return Action(row.kind, **_plain(rule, row.fields))


def as_row(invariant: Invariant, row: Any) -> Mapping[str, Any]:
    """Return the breach in what an invariant yielded; errors as `as_action`."""
    if not isinstance(row, Mapping):
        raise ReconcilerError(f"Invariant {invariant.name!r} yielded {excerpt(row)}; expected a mapping such as a row.")
    missing = [name for name in invariant.key if name not in row]
    if missing:
        raise ReconcilerError(
            f"Invariant {invariant.name!r} gave no {missing[0]!r}, which its key names; it gave {list(row)}."
        )
    return _plain(invariant, row)
