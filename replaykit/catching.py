"""Whether a rule handles exceptions: then what stands in for the clock can't be followed through it."""

from __future__ import annotations

import dis
from contextlib import suppress
from itertools import islice
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ["may_hide_errors"]

_FUNCTIONS = 200  # functions looked at before giving up


def may_hide_errors(function: object) -> bool:
    """Return whether a rule, or a function it names, handles exceptions.

    C code that wants a real datetime raises a TypeError for what stands in for one. Where nobody catches it, the rule
    is evaluated again with a real one; where the rule does, it would go another way than at any other tick.
    """
    seen: dict[int, object] = {}
    waiting = [function]
    if getattr(function, "unfollowed", False):  # it says itself that no stand-in gets through it
        return True
    while waiting and len(seen) < _FUNCTIONS:
        one: Any = waiting.pop()
        one = getattr(one, "func", getattr(one, "__func__", one))
        if id(one) in seen:
            continue
        seen[id(one)] = one
        if hasattr(one, "__wrapped__"):  # beside the wrapper, which is what runs and may catch
            waiting.append(one.__wrapped__)
            if getattr(one, "__globals__", {}).get("__name__", "").startswith("replaykit."):
                continue  # a wrapper of our own lets every error through
        if not isinstance(one, FunctionType):
            continue
        codes = [one.__code__]
        while codes:
            code = codes.pop()
            if any(step.opname == "PUSH_EXC_INFO" for step in dis.get_instructions(code)):
                return True
            codes += [const for const in code.co_consts if isinstance(const, CodeType)]
            waiting += _named(one, code)
    return bool(waiting)


def _named(function: FunctionType, code: CodeType) -> list[object]:
    """Return what a function's code can call by name: globals, what modules and registries hold, its closure."""
    found = [function.__globals__[name] for name in code.co_names if name in function.__globals__]
    modules = [one for one in found if isinstance(one, ModuleType)]
    found += [getattr(module, name) for module in modules for name in code.co_names if hasattr(module, name)]
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # a cell that is not filled yet
            found.append(cell.cell_contents)
    for registry in [one for one in found if isinstance(one, (dict, list, tuple))]:
        found += islice(registry.values() if isinstance(registry, dict) else registry, _FUNCTIONS)
    return [one for one in found if callable(one) and not isinstance(one, type)]
