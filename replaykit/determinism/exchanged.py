"""Somebody's functions, run for a moment from code with hooks in it.

The whole file is compiled, so closures, defaults, ``super()`` and private names mean what they meant, and only the
``__code__`` of function objects is exchanged, so whoever holds a function sees the same one. What the source compiles
to is compared with what runs first: an edited file is said, not silently checked.
"""

from __future__ import annotations
import __future__

import ast
import functools
import gc
import linecache
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any

from replaykit.determinism.instrumented import HOOK, Site, rewritten
from replaykit.determinism.watched import Place

__all__ = ["Unchecked", "exchanged"]

_FUTURE = functools.reduce(operator.or_, (getattr(__future__, n).compiler_flag for n in __future__.all_feature_names))
_UNSEEN = "calls of compiled code and iteration over sets went unseen"


@dataclass(frozen=True)
class Unchecked:
    """Something that could not be looked into, and why."""

    place: Place
    reason: str


@dataclass
class _Files:
    """Compiled files, each once: the code as it is in the source beside the code with hooks."""

    hook: Any
    sites: list[Site]
    _pairs: dict[tuple[str, int], list[tuple[CodeType, CodeType]]] = field(default_factory=dict)

    def twin_of(self, function: FunctionType) -> CodeType | str:
        """Return the code with hooks for a function, or why there is none."""
        code = function.__code__
        flags = code.co_flags & _FUTURE
        key = (code.co_filename, flags)
        if key not in self._pairs:
            text = "".join(linecache.getlines(code.co_filename, function.__globals__))
            self._pairs[key] = list(self._compiled(text, code.co_filename, flags))
        if not self._pairs[key]:
            return "its source is not kept"
        for plain, hooked in self._pairs[key]:
            if plain == code or (_rewritten_by_pytest(code) and _same_place(plain, code)):
                return hooked
        return "its source is not what runs; was the file edited, or the function made by a tool?"

    def _compiled(self, text: str, file: str, flags: int) -> Iterator[tuple[CodeType, CodeType]]:
        if not text.strip():
            return
        try:
            tree = ast.parse(text, file)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the author saw them when this was first compiled
                options = flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
                plain = compile(ast.parse(text, file), file, "exec", options, dont_inherit=True)
                hooked = compile(rewritten(tree, file, self.sites), file, "exec", options, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError):
            return
        yield from _side_by_side(plain, _with_hook(hooked, self.hook))


def _side_by_side(plain: CodeType, hooked: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    mine = [one for one in plain.co_consts if isinstance(one, CodeType)]
    other = [one for one in hooked.co_consts if isinstance(one, CodeType)]
    for one, two in zip(mine, other, strict=True):
        yield one, two
        yield from _side_by_side(one, two)


def _with_hook(code: CodeType, hook: Any) -> CodeType:
    constants = (_with_hook(c, hook) if isinstance(c, CodeType) else hook if c == HOOK else c for c in code.co_consts)
    return code.replace(co_consts=tuple(constants))


def _rewritten_by_pytest(code: CodeType) -> bool:
    return "@pytest_ar" in code.co_names


def _same_place(one: CodeType, two: CodeType) -> bool:
    return (one.co_qualname, one.co_firstlineno) == (two.co_qualname, two.co_firstlineno)


@contextmanager
def exchanged(
    codes: Iterable[CodeType], known: Iterable[Callable[..., Any]], hook: Any, sites: list[Site]
) -> Iterator[list[Unchecked]]:
    """Exchange the code of the functions behind `codes` for the length of the block; yield those that could not be."""
    wanted = {id(code): code for code in codes if code.co_name != "<module>"}
    files = _Files(hook, sites)
    before: list[tuple[FunctionType, CodeType]] = []
    made: set[tuple[str, int, str]] = set()
    unchecked: list[Unchecked] = []
    try:
        for function in _functions(wanted, known):
            code = function.__code__
            twin = files.twin_of(function)
            if isinstance(twin, str):
                unchecked.append(_unchecked(code, f"{twin}: {_UNSEEN}"))
                made |= {_spot(code), *map(_spot, _inner(code))}
                continue
            before.append((function, code))
            function.__code__ = twin
            made |= {_spot(code), *map(_spot, _inner(code))}
        lost = [code for code in wanted.values() if _spot(code) not in made]
        unchecked += [_unchecked(code, "no function object that runs this code was found") for code in lost]
        yield unchecked
    finally:
        for function, code in before:
            function.__code__ = code


def _functions(wanted: dict[int, CodeType], known: Iterable[Callable[..., Any]]) -> list[FunctionType]:
    found = {id(one): one for one in gc.get_referrers(*wanted.values()) if type(one) is FunctionType} if wanted else {}
    # What somebody froze (gc.freeze) has no referrers, so the registered functions are taken directly too.
    found |= {id(one): one for one in known if type(one) is FunctionType}
    chosen = [one for one in found.values() if id(one.__code__) in wanted]
    return sorted(chosen, key=lambda one: (one.__code__.co_filename, one.__code__.co_firstlineno, one.__qualname__))


def _inner(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _inner(one)


def _spot(code: CodeType) -> tuple[str, int, str]:
    return code.co_filename, code.co_firstlineno, code.co_qualname


def _unchecked(code: CodeType, reason: str) -> Unchecked:
    return Unchecked(Place(code.co_filename, code.co_firstlineno, code.co_qualname), reason)
