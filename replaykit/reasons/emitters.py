"""Emitters: which rules can emit a kind of action."""

from __future__ import annotations

from difflib import get_close_matches
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replaykit.declarations import Rule
    from replaykit.replayed import Replay

__all__ = ["emitters"]

_FUNCTIONS = 200  # functions looked through before giving up


def emitters(run: Replay, kind: str) -> list[Rule]:
    """Return the rules that emitted a kind of action in a replay, or whose code names it, in declared order.

    Raises
    ------
    QueryError
        No rule does either.
    """
    rules = run.reconciler.rules
    did = {rule for _, emitted, _, rule in run.emitted if emitted == kind}
    found = [rule for name, rule in rules.items() if name in did or _names(rule, kind)]
    if not found:
        known = sorted(
            {emitted for _, emitted, _, _ in run.emitted} | {one.action or "" for one in rules.values()} - {""}
        )
        near = get_close_matches(str(kind), known, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise QueryError(
            f"No rule of {run.reconciler.name!r} emits {excerpt(kind)}. Kinds emitted in this replay: "
            f"{', '.join(known) or 'none'}{hint}"
        )
    return found


def _names(rule: Rule, kind: str) -> bool:
    if rule.statement is not None:
        return (rule.action or rule.name) == kind
    return any(kind in _texts(code) for code in _codes(rule.function))


def _texts(code: CodeType) -> Iterator[Any]:
    for const in code.co_consts:
        if isinstance(const, str):
            yield const
        elif isinstance(const, CodeType):
            yield from _texts(const)
        elif isinstance(const, tuple):
            yield from (one for one in const if isinstance(one, str))


def _codes(function: Any) -> Iterator[CodeType]:
    """Yield the code of a function and of those it names, near ones first."""
    waiting: list[Any] = [function]
    seen: set[int] = set()
    while waiting and len(seen) < _FUNCTIONS:
        one = waiting.pop(0)
        one = getattr(one, "__wrapped__", getattr(one, "func", one))
        if not isinstance(one, FunctionType) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one.__code__
        waiting += _called(one, one.__code__)


def _called(function: FunctionType, code: CodeType) -> list[Any]:
    names = [name for name in code.co_names if name in function.__globals__]
    found = [function.__globals__[name] for name in names]
    for module in [one for one in found if isinstance(one, ModuleType)]:
        found += [getattr(module, name) for name in code.co_names if hasattr(module, name)]
    for inner in [const for const in code.co_consts if isinstance(const, CodeType)]:
        found += _called(function, inner)
    return [*found, *(cell.cell_contents for cell in function.__closure__ or () if _filled(cell))]


def _filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
