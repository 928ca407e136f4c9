"""A reconciler whose functions are watched while they run, and what was seen in which of them."""

from __future__ import annotations

import dataclasses
import inspect
import os
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replaykit.reconciler import Reconciler

__all__ = ["Place", "Seen", "UserCode", "Watched", "called_code", "code_of", "definition", "functions_of"]


@dataclass(frozen=True)
class Place:
    """A line of somebody's code."""

    file: str
    line: int
    function: str


@dataclass
class Seen:
    """What was seen, by source, watched function, what it handled, and place: how often, and at which step first."""

    counts: dict[tuple[str, str, str, Place], tuple[int, int]] = dataclasses.field(default_factory=dict)

    def add(self, source: str, watched: Watched, place: Place) -> None:
        """Count one use."""
        key = (source, watched.handler, watched.on, place)
        number, step = self.counts.get(key, (0, watched.step))
        self.counts[key] = (number + 1, step)


class UserCode:
    """Tells a user's own code from Python's, an installed package's and replaykit's.

    The files that hold handlers are the user's wherever they lie, and so are their neighbours.
    """

    def __init__(self, functions: list[Callable[..., Any]]) -> None:
        paths = sysconfig.get_paths()
        names = ("stdlib", "platstdlib", "purelib", "platlib")
        self._libraries = tuple({paths[name] + os.sep for name in names} | {str(Path(__file__).parent.parent) + os.sep})
        self._files = {code.co_filename for code in map(code_of, functions) if code is not None}
        folders = {str(Path(name).parent) + os.sep for name in self._files if name.startswith(self._libraries)}
        self._folders = tuple(folders - set(self._libraries))
        self._known: dict[str, bool] = {}

    def __contains__(self, code: CodeType | None) -> bool:
        if code is None:
            return False
        name = code.co_filename
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._decide(name)
        return found

    def _decide(self, name: str) -> bool:
        # Generated methods, such as a dataclass's __init__, call themselves "<string>"; their caller's line says more.
        if name in self._files or name.startswith(self._folders):
            return True
        return not name.startswith(("<frozen", "<string>", "<__array_function__", *self._libraries))


class Watched:
    """A copy of a reconciler in which each call of a function is made inside `listen`.

    While one runs ``handler`` and ``on`` say which, and ``state`` is what it was given.
    """

    def __init__(
        self, reconciler: Reconciler, listen: Callable[[], AbstractContextManager[None]], drained: Callable[[Any], Any]
    ) -> None:
        self.handler = ""
        self.on = ""
        self.state: Any = None
        self.called: dict[str, Callable[..., Any]] = {}
        self._items: dict[int, Callable[..., Any]] = {}
        self._listen = listen
        self._drained = drained
        self.reconciler = twin = reconciler.copy()
        twin.handlers = {kind: self._wrap(f, f"event {kind}") for kind, f in twin.handlers.items()}
        twin.appliers = {kind: self._wrap(f, f"action {kind}") for kind, f in twin.appliers.items()}
        twin.rules = {name: self._declared(one, f"rule {name}") for name, one in twin.rules.items()}
        twin.invariants = {name: self._declared(one, f"invariant {name}") for name, one in twin.invariants.items()}

    @property
    def running(self) -> bool:
        """Whether one of the functions runs right now."""
        return self.state is not None

    @property
    def step(self) -> int:
        """The step the running function sees."""
        return int(self.state.step) if self.running else 0

    @property
    def own_random(self) -> Any:
        """The generator of the state the running function sees; None as long as nobody asked for it."""
        # Asking for `state.random` would make one, and a rule that draws is evaluated at every tick.
        held = vars(self.state) if self.running else {}
        return held.get("_random") or held.get("random")

    def _declared(self, one: Any, on: str) -> Any:
        if one.function is None:
            return one
        each = getattr(one, "each", None)
        if each is not None:
            # Rules that take turns are known by having the same `each`, so it is wrapped once for all of them.
            each = self._items.setdefault(id(each), self._wrap(each, f"items of {on}", rows=True))
            return dataclasses.replace(one, function=self._wrap(one.function, on, rows=True), each=each)
        return dataclasses.replace(one, function=self._wrap(one.function, on, rows=True))

    def _wrap(self, function: Callable[..., Any], on: str, *, rows: bool = False) -> Callable[..., Any]:
        name = getattr(function, "__qualname__", repr(function))
        if _elsewhere(function):
            return function

        def watched(state: Any, *given: Any) -> Any:
            self.handler, self.on, self.state = name, on, state
            self.called[on] = function
            try:
                with self._listen():
                    result = function(state, *given)
                    # A generator's body runs while it is read, so it is read here.
                    return list(self._drained(result) or ()) if rows else result
            finally:
                self.state = None

        watched.__qualname__ = name
        watched.__wrapped__ = function  # type: ignore[attr-defined]  # whoever looks into rules looks at the user's own
        return watched

    def frames(self, frame: FrameType | None) -> Iterator[FrameType]:
        """Yield the frames from `frame` outwards, up to where the watched function was called."""
        while frame is not None and frame.f_code is not _BOUNDARY:
            yield frame
            frame = frame.f_back


def _boundary() -> CodeType:
    return next(c for c in Watched._wrap.__code__.co_consts if isinstance(c, CodeType))


_BOUNDARY = _boundary()


def functions_of(reconciler: Reconciler) -> dict[str, Callable[..., Any]]:
    """Return every Python function of a reconciler by what it handles."""
    found: dict[str, Callable[..., Any]] = {f"event {kind}": f for kind, f in reconciler.handlers.items()}
    found |= {f"action {kind}": f for kind, f in reconciler.appliers.items()}
    found |= {f"rule {n}": one.function for n, one in reconciler.rules.items() if one.function}
    items: dict[int, tuple[str, Callable[..., Any]]] = {}
    for name, one in reconciler.rules.items():
        if one.each is not None:
            items.setdefault(id(one.each), (f"items of rule {name}", one.each))
    found |= dict(items.values())
    found |= {f"invariant {n}": one.function for n, one in reconciler.invariants.items() if one.function}
    return {on: function for on, function in found.items() if not _elsewhere(function)}


def _elsewhere(function: Any) -> bool:
    """Return whether a function is a request to an external program: nobody listens there."""
    return bool(getattr(function, "unfollowed", False))


def code_of(function: Any) -> CodeType | None:
    """Return the code behind a handler: a function, a partial, a bound method, or an object that can be called."""
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    call = getattr(type(function), "__call__", None)  # noqa: B004  it is looked at, not asked for
    code = getattr(function, "__code__", None) or getattr(call, "__code__", None)
    return code if isinstance(code, CodeType) else None


def definition(function: Callable[..., Any]) -> Place:
    """Return where a handler is defined."""
    code = code_of(function)
    if code is None:
        return Place("", 0, getattr(function, "__qualname__", type(function).__name__))
    return Place(code.co_filename, code.co_firstlineno, code.co_qualname)


def called_code(function: Any) -> CodeType | None:
    """Return the Python code that calling a function, method, class or object runs; None if it is compiled."""
    kind: Any = function if isinstance(function, type) else None
    target = kind.__init__ if kind is not None else getattr(function, "__func__", function)
    call = getattr(type(function), "__call__", None)  # noqa: B004
    code = getattr(target, "__code__", None) or getattr(call, "__code__", None)
    return code if isinstance(code, CodeType) else None
