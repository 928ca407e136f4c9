"""Changed rules: what two reconcilers differ in, by name: parameters, rules, invariants, handlers, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.display import show_value
from replaykit.reconciler import source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from replaykit.reconciler import Reconciler

__all__ = ["changed_rules"]


def changed_rules(old: Reconciler, new: Reconciler) -> tuple[str, ...]:
    """Return what differs between two reconcilers, in words; nothing if they are the same to their sources."""
    return (*_params(old, new), *(text for what, *sides in _parts(old, new) for text in _named(what, *sides)))


def _params(old: Reconciler, new: Reconciler) -> Iterator[str]:
    for name in dict.fromkeys([*old.params, *new.params]):
        if name not in new.params or name not in old.params:
            yield f"parameter {name} {'added' if name in new.params else 'removed'}"
        elif repr(old.params[name]) != repr(new.params[name]):
            yield f"parameter {name} {show_value(old.params[name], 60)} → {show_value(new.params[name], 60)}"


def _parts(old: Reconciler, new: Reconciler) -> Iterator[tuple[str, Mapping[str, str], Mapping[str, str]]]:
    for what, name in (("rule", "rules"), ("invariant", "invariants")):
        yield what, _sources(getattr(old, name), _declared), _sources(getattr(new, name), _declared)
    for what, name in (("handler of", "handlers"), ("act handler of", "appliers")):
        yield what, _sources(getattr(old, name), source_of), _sources(getattr(new, name), source_of)
    yield "projection of", _projections(old), _projections(new)
    yield "table", _sources(old.tables, repr), _sources(new.tables, repr)


def _sources(parts: Mapping[str, Any], text: Callable[[Any], str]) -> dict[str, str]:
    return {name: text(one) for name, one in parts.items()}


def _declared(one: Any) -> str:
    text = one.statement.text if one.statement is not None else source_of(one.function)
    each = getattr(one, "each", None)
    return "\0".join([text, repr(one.key), repr(getattr(one, "action", None)), source_of(each) if each else ""])


def _projections(reconciler: Reconciler) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in reconciler.projections:
        found[one.table] = found.get(one.table, "") + f"\0{one.delete}{one.statement.text}"
    return found


def _named(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys([*old, *new]):
        if name not in new or name not in old:
            yield f"{what} {name} {'added' if name in new else 'removed'}"
        elif old[name] != new[name]:
            yield f"{what} {name} rewritten"
