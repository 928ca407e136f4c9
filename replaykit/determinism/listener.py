"""The listener: a profile function that notices clocks and draws while a watched function runs.

A profile function is told of every call of a C function with the function itself, so an alias, a module-level bound
method or ``from time import time`` hide nothing. Functions that Cython made (pandas, numpy) are not told of.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, CodeType, FrameType
from typing import Any

from replaykit.determinism.chance import NAMES, Seeded, builtin_source, is_module_random, numpy_fingerprint
from replaykit.determinism.watched import Place, Seen, UserCode, Watched, definition

__all__ = ["Listener"]

# What these read can't come back into a result.
_SILENT = frozenset(
    "replaykit logging importlib warnings traceback linecache ipykernel IPython zmq tornado traitlets tqdm _pytest "
    "pluggy unittest coverage pydevd".split()
)
_PLAIN_LABELS = frozenset({"uuid", "secrets", "random"})
_COMPREHENSION = re.compile(r"(\.<locals>)?\.<(genexpr|listcomp|setcomp|dictcomp)>")
_SEED: CodeType = random.Random.seed.__code__


class Listener:
    """Listens by profile function while a watched function runs, and notes the code that ran."""

    def __init__(self, user: UserCode, seen: Seen) -> None:
        self.seeded = Seeded()
        self.ran: dict[int, CodeType] = {}
        self.drew_numpy: set[tuple[str, str]] = set()
        self.watched: Watched
        self._user = user
        self._seen = seen
        self._met: dict[int, CodeType] = {}
        self._last: FrameType | None = None

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Listen for the length of the block; whatever profile function was there is put back."""
        before, numpy_before = sys.getprofile(), numpy_fingerprint()
        try:
            sys.setprofile(self._profile)
            yield
        finally:
            put_back(before)
            self._last = None
            if numpy_before is not None and numpy_before != numpy_fingerprint():
                self.drew_numpy.add((self.watched.handler, self.watched.on))

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            # A stranger's __name__ may be a property that raises or an unhashable value; a C function's is text.
            if type(argument) is BuiltinFunctionType and argument.__name__ in NAMES:
                self._called(frame, argument)
        elif event == "call":
            code = frame.f_code
            if id(code) not in self._met:
                self._meet(code)
            if code is _SEED:
                self._seeds(frame)

    def _meet(self, code: CodeType) -> None:
        self._met[id(code)] = code
        if code in self._user:
            self.ran[id(code)] = code

    def _seeds(self, frame: FrameType) -> None:
        generator, seed = frame.f_locals["self"], frame.f_locals["a"]
        self.seeded.add(generator)  # one without a seed is reported here, and not at each of its draws
        if seed is None and isinstance(generator, random.Random):
            name = "random.seed" if is_module_random(generator) else "random.Random"
            self._note(f"{name} without a seed", frame)

    def _called(self, frame: FrameType, function: Any) -> None:
        owner = function.__self__
        if isinstance(owner, random.Random) and (owner is self.watched.own_random or owner in self.seeded):
            return
        source = builtin_source(function)
        if source is not None:
            self._note(source, frame)

    def _note(self, source: str, frame: FrameType) -> None:
        """Count a use for the nearest line of the user's, unless a library did it for itself."""
        between: FrameType | None = None
        for outer in self.watched.frames(frame):
            if outer.f_code in self._user:
                name = _COMPREHENSION.sub("", outer.f_code.co_qualname)
                place = Place(outer.f_code.co_filename, outer.f_lineno, name)
                break
            if _module(outer).partition(".")[0] in _SILENT:
                return
            between = outer
        else:
            place = definition(self.watched.called[self.watched.on])
        if between is not None and between is self._last:
            return  # one call of a library that draws several times
        self._last = between
        self._seen.add(_label(source, between), self.watched, place)


def _label(source: str, between: FrameType | None) -> str:
    if between is None or source.endswith("without a seed") or between.f_code.co_filename == "<string>":
        return source
    module, name = _module(between), between.f_code.co_qualname
    if module in _PLAIN_LABELS:
        drawn_from_module = source.startswith("random.") and source.count(".") == 1
        return f"{module}.{name.removeprefix('Random.') if drawn_from_module else name}"
    return f"{source} through {module}.{name}"


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def put_back(before: Any) -> None:
    """Install a profile function again. A running cProfile is no function, and has to be enabled instead."""
    if before is not None and not callable(before) and hasattr(before, "enable"):
        before.enable()
    else:
        sys.setprofile(before)
