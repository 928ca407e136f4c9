"""The hook of instrumented code: notices where the order of a set leaves it, and gives another order there.

``sorted``, ``len``, ``in``, set algebra, ``any`` and ``all`` don't let an order out; loops, ``list``, ``join``, ``pop``
and unpacking do. Sums do if they hold floats, ``min``, ``max`` and ``sorted`` with a key if two members tie.
"""

from __future__ import annotations

import array
import collections
import functools
import heapq
import itertools
import math
import threading
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from replaykit.determinism import chance
from replaykit.determinism.exchanged import Unchecked
from replaykit.determinism.watched import Place, Seen, UserCode, Watched, called_code, definition

if TYPE_CHECKING:
    from replaykit.determinism.instrumented import Site

__all__ = ["SET_ORDER", "Orders"]

SET_ORDER = "set order"
_SETS = (set, frozenset)
_BUILT: list[Any] = [list, tuple, enumerate, zip, map, filter, dict, iter, array.array, functools.reduce, heapq.merge]
_BUILT += [collections.deque, collections.Counter, collections.OrderedDict]
_ORDERED = frozenset(map(id, _BUILT + [one for one in vars(itertools).values() if isinstance(one, type)]))
_ORDERED_METHODS = frozenset({"extend", "extendleft", "join", "fromkeys", "writelines", "from_iterable", "fromlist"})
_SHOWING = frozenset(map(id, [str, repr, format, ascii]))
_PASSED_ON = _ORDERED | _SHOWING
_PICKING = frozenset(map(id, [sorted, min, max]))
_ADDING = frozenset(map(id, [sum, math.prod]))
_CAREFREE = frozenset(map(id, [set, frozenset, any, all, len, math.fsum]))
_LOOKING = (len, isinstance, issubclass, type, id, hash, bool, callable, print, getattr, setattr, hasattr, next)
_HARMLESS = _CAREFREE | frozenset(map(id, _LOOKING))
_CONTAINERS = (list, dict, set, frozenset, tuple, str, bytes, collections.deque)
_CALLED = frozenset({BuiltinFunctionType, MethodType, functools.partial})
_CACHE = functools._lru_cache_wrapper
_MOST_POPPED = 1000


class _Shown:
    """Looks like a set whose members stand in another order."""

    def __init__(self, members: Any) -> None:
        inside = ", ".join(map(repr, reversed(list(members))))
        self._text = f"{{{inside}}}" if isinstance(members, set) else f"frozenset({{{inside}}})"

    def __repr__(self) -> str:
        return self._text

    def __format__(self, spec: str) -> str:
        return format(self._text, spec)


class Orders:
    """What instrumented code calls in place of iterating and calling."""

    def __init__(self, user: UserCode, seen: Seen) -> None:
        self.sites: list[Site] = []
        self.handed: dict[Unchecked, None] = {}
        self.watched: Watched
        self._user = user
        self._seen = seen
        self._seeded = chance.Seeded()
        self.watch_numpy = False
        self._thread = threading.get_ident()
        # By the site of the call that decides: sites whose order it let out, if it did.
        self._undecided: dict[int, dict[int, None]] = {}

    @property
    def _off(self) -> bool:
        return not self.watched.running or threading.get_ident() != self._thread

    @property
    def numpy_is_seeded(self) -> bool:
        """Whether a handler gave numpy's global generator a seed."""
        return chance.global_numpy() in self._seeded

    # Called from instrumented code; the names are in `replaykit.determinism.instrumented`

    def iterate(self, site: int, value: Any) -> Any:
        """Return what to iterate over instead of `value`."""
        if not isinstance(value, _SETS) or self._off:
            return value
        return self._other_order(site, value)

    def stir(self, site: int, value: Any) -> Any:  # noqa: ARG002  all hooks are called alike
        """Return another order where none can be seen: a result that differs after all would show."""
        return value if not isinstance(value, _SETS) or self._off else list(value)[::-1]

    def shown(self, site: int, value: Any) -> Any:
        """Return what to put into a text in place of `value`."""
        if type(value) is tuple:
            return tuple([self.shown(site, one) for one in value])
        if not isinstance(value, _SETS) or len(value) < 2 or self._off:
            return value
        self._report(site)
        return _Shown(value)

    def call(self, site: int, function: Any, /, *given: Any, **named: Any) -> Any:
        """Call `function`, with sets in another order if it lets their order out."""
        if self._off:
            return function(*given, **named)
        if getattr(function, "__func__", function).__class__ is FunctionType and called_code(function) in self._user:
            result = function(*given, **named)
            self._decide(site, function, named, result)
            return result
        if getattr(function, "__func__", function).__class__ is _CACHE:
            self._remembered(function)
        if isinstance(getattr(function, "__self__", None), set) and function.__name__ == "pop":
            return self._popped(site, function)
        self._seeded.add(self.watched.own_random)
        source = chance.compiled_source(function, given, named, self._seeded)
        if source is not None:
            self._note(source, site)
        self._handed_on(site, function, given, named)
        result = self._drawing(site, function, *self._reordered(site, function, given, named), source)
        chance.note_seeded(function, given, named, result, self._seeded)
        self._decide(site, function, named, result)
        return result

    # Reports

    def _other_order(self, site: int, value: Iterable[Any]) -> list[Any]:
        members = list(value)[::-1]
        if len(members) > 1:
            self._report(site)
        return members

    def _report(self, site: int) -> None:
        owner = self.sites[site].owner
        if owner is None:
            self._note(SET_ORDER, site)
        else:
            self._undecided.setdefault(owner, {})[site] = None

    def _note(self, source: str, site: int) -> None:
        self._seen.add(source, self.watched, self.sites[site].place)

    def drained(self, rows: Any) -> Any:
        """Return what a rule gave; a set of actions has no order."""
        if isinstance(rows, _SETS) and len(rows) > 1:
            place = definition(self.watched.called[self.watched.on])
            self._seen.add(SET_ORDER, self.watched, place)
            return list(rows)[::-1]
        return rows

    def _decide(self, site: int, function: Any, named: dict[str, Any], result: Any) -> None:
        """Report what went undecided into this call, if it does not swallow the order."""
        inner = self._undecided.pop(site, None) if self._undecided else None
        if not inner:
            return
        owner = getattr(function, "__self__", None)
        carefree = id(function) in _CAREFREE or (isinstance(owner, _SETS) and function.__name__ != "pop")
        carefree = carefree or (id(function) in _PICKING and named.get("key") is None)
        if carefree or (id(function) in _ADDING and not isinstance(result, float)):
            return
        outer = self.sites[site].owner
        for one in inner:
            if outer is None:
                self._note(SET_ORDER, one)
            else:
                self._undecided.setdefault(outer, {})[one] = None

    # Calls

    def _drawing(
        self, site: int, function: Any, given: tuple[Any, ...], named: dict[str, Any], source: str | None
    ) -> Any:
        before = chance.numpy_fingerprint() if self.watch_numpy and source is None else None
        result = function(*given, **named)
        if before is not None and before != chance.numpy_fingerprint() and not self.numpy_is_seeded:
            self._note(f"numpy.random through {_name(function)}", site)
        return result

    def _handed_on(self, site: int, function: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Report a clock that is handed to C code, which may call it where no profile function looks."""
        for one in (*given, *named.values()) if named else given:
            if type(one) in _CALLED and one is not hash:
                source = chance.handed_source(one, (None,), {}, self._seeded) if called_code(function) is None else None
                if source is not None:
                    self._note(f"{source} through {_name(function)}", site)

    def _reordered(
        self, site: int, function: Any, given: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for one in (*given, *named.values()) if named else given:
            if isinstance(one, _SETS) and len(one) > 1:
                break
        else:
            return self._passed_on(site, function, given, named)
        change = self._change_for(site, function, given, named)
        if change is None:
            return given, named
        return tuple(map(change, given)), {name: change(one) for name, one in named.items()}

    def _remembered(self, function: Any) -> None:
        """Say that a cache answers: what its function did when it ran is not seen again."""
        place, code = definition(function), called_code(function.__wrapped__)
        if code in self._user and function.cache_info().hits:
            self.handed[
                Unchecked(place, "its results are cached, and it did not run again; try cache_clear() before")
            ] = None

    def _popped(self, site: int, pop: Any) -> Any:
        """Pop another member than Python would."""
        members: set[Any] = pop.__self__
        if not 1 < len(members) <= _MOST_POPPED:
            return pop()
        self._report(site)
        last = list(members)[-1]
        members.discard(last)
        return last

    def _passed_on(
        self, site: int, function: Any, given: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Follow what iterates over members from C: ``map(list, ...)``, ``json.dumps(..., default=list)``, chains."""
        if function is map and given and id(given[0]) in _PASSED_ON:
            given = (functools.partial(self.call, site, given[0]), *given[1:])
        elif getattr(function, "__self__", None) is itertools.chain and given:
            given = ((self.iterate(site, one) for one in given[0]),)
        elif named and id(named.get("default")) in _PASSED_ON:
            named = {**named, "default": functools.partial(self.call, site, named["default"])}
        return given, named

    def _change_for(
        self, site: int, function: Any, given: tuple[Any, ...], named: dict[str, Any]
    ) -> Callable[[Any], Any] | None:
        """Return how to change the sets among a call's arguments; None if they are to stay."""
        if id(function) in _PICKING:
            return self._picked(site, function, given, named)
        if id(function) in _HARMLESS:
            return None
        if id(function) in _ADDING:
            return self._turned(site) if any(isinstance(one, float) for one in given[0]) else None
        if id(function) in _SHOWING:
            return functools.partial(self.shown, site)
        owner = getattr(function, "__self__", None)
        if id(function) in _ORDERED or _lets_out(function, owner):
            return self._turned(site)
        if not isinstance(owner, _CONTAINERS):
            self._hand_over(site, function)
        return None

    def _turned(self, site: int) -> Callable[[Any], Any]:
        return lambda one: self._other_order(site, one) if isinstance(one, _SETS) else one

    def _picked(self, site: int, function: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Callable[[Any], Any]:
        key = named.get("key")
        if key is None or len(given) != 1 or not isinstance(given[0], _SETS):
            return lambda one: one
        keys = sorted(map(key, given[0]))
        ties = keys[0] == keys[1] if function is min else keys[-1] == keys[-2]
        if function is sorted:
            ties = any(one == two for one, two in itertools.pairwise(keys))
        return self._turned(site) if ties else lambda one: one

    def _hand_over(self, site: int, function: Any) -> None:
        """Say that a set went where its iteration can't be seen."""
        code = called_code(function)
        module = str(getattr(function, "__module__", "") or "").partition(".")[0]
        if code in self._user or module in ("replaykit", "copy", "typing", "logging"):
            return
        if hasattr(function, "__dataclass_fields__") or hasattr(function, "_fields"):
            return
        place = self.sites[site].place
        reason = f"a set was handed to {_name(function)}, whose iteration can't be seen; hand it sorted(...)"
        self.handed[Unchecked(Place(place.file, place.line, place.function), reason)] = None


def _lets_out(function: Any, owner: Any) -> bool:
    name = getattr(function, "__name__", None)
    if name == "update" and isinstance(owner, dict):
        return True
    kinds = (list, str, bytes, bytearray, collections.deque, type, array.array)
    return name in _ORDERED_METHODS and isinstance(owner, kinds)


def _name(function: Any) -> str:
    module = getattr(function, "__module__", None) or type(getattr(function, "__self__", None)).__module__
    name = getattr(function, "__qualname__", None) or type(function).__name__
    return str(name) if module in (None, "builtins") else f"{module}.{name}"
