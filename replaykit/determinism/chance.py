"""Clocks and randomness: what they are called, whatever name they go by, and what makes a use of them harmless."""

from __future__ import annotations

import random
import sys
import time
from datetime import date, datetime, timedelta
from functools import partial
from types import BuiltinFunctionType, ModuleType
from typing import Any

__all__ = [
    "NAMES",
    "Seeded",
    "builtin_source",
    "compiled_source",
    "global_numpy",
    "handed_source",
    "is_module_random",
    "note_seeded",
    "numpy_fingerprint",
]

_CLOCKS = frozenset(
    "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns thread_time "
    "thread_time_ns clock_gettime clock_gettime_ns".split()
)
_DATES = frozenset({"now", "utcnow", "today"})
_DRAWS = frozenset({"random", "getrandbits"})
_OS = frozenset({"urandom", "getrandom"})
NAMES = _CLOCKS | _DATES | _DRAWS | _OS | {"generate_time_safe"}
# How many arguments keep these from reading the clock.
_WITHOUT = {"localtime": 1, "gmtime": 1, "ctime": 1, "asctime": 1, "strftime": 2}
# Methods of these are called most, and do neither.
_INNOCENT = frozenset({dict, list, str, tuple, set, frozenset, datetime, timedelta})
_MODULE_RANDOM = getattr(random, "_inst", None)


class Seeded:
    """Generators that every replay makes anew, so that how each was made says all.

    They are kept alive, so that ids stay theirs.
    """

    def __init__(self) -> None:
        self._kept: dict[int, Any] = {}

    def add(self, generator: Any) -> None:
        """Note one, if there is one."""
        if generator is not None:
            self._kept[id(generator)] = generator

    def __contains__(self, generator: Any) -> bool:
        return id(generator) in self._kept


def is_module_random(generator: Any) -> bool:
    """Return whether this is the generator behind the functions of `random`."""
    return generator is _MODULE_RANDOM


def builtin_source(function: Any) -> str | None:
    """Return the name of a C function of the standard library if it reads a clock or draws."""
    if type(function) is not BuiltinFunctionType:
        return None
    name, owner = function.__name__, function.__self__
    if name not in NAMES:
        return None
    if owner is time and name in _CLOCKS:
        return f"time.{name}"
    if isinstance(owner, type) and issubclass(owner, date) and name in _DATES:
        return f"{owner.__name__}.{name}"
    if name in _DRAWS and isinstance(owner, random.Random):
        return f"random.{name}" if owner is _MODULE_RANDOM else f"random.{type(owner).__name__}.{name}"
    module = owner.__name__ if isinstance(owner, ModuleType) else ""
    return {"posix": f"os.{name}", "nt": f"os.{name}", "_uuid": "uuid.uuid1"}.get(module)


# What Cython made: recognised where the call is seen with its arguments


def compiled_source(function: Any, given: tuple[Any, ...], named: dict[str, Any], seeded: Seeded) -> str | None:
    """Return the name of a clock or generator that a profile function is not told of, called with these arguments."""
    owner = getattr(function, "__self__", None)
    if type(owner) in _INNOCENT:
        return None
    name = getattr(function, "__name__", None)
    if isinstance(function, partial):
        return handed_source(function.func, (*function.args, *given), {**function.keywords, **named}, seeded)
    if owner is time and name in _WITHOUT:
        return f"time.{name}" if len([one for one in given if one is not None]) < _WITHOUT[name] else None
    if function is hash:
        return "hash of text" if given and _scrambled(given[0]) else None
    if name == "seed" and function is getattr(sys.modules.get("numpy.random"), "seed", None):
        owner = global_numpy()
    if isinstance(owner, _numpy_types()):
        return _drawn(owner, str(name), given, seeded)
    return _pandas_source(function, name, owner, given) or _made_unseeded(function, (*given, *named.values()))


def handed_source(function: Any, given: tuple[Any, ...], named: dict[str, Any], seeded: Seeded) -> str | None:
    """Return the name of a clock or generator that C code calls: there a profile function is told of none."""
    if getattr(function, "__self__", None) in seeded:
        return None
    return builtin_source(function) or compiled_source(function, given, named, seeded)


def _scrambled(value: Any) -> bool:
    """Return whether a value's hash differs from process to process."""
    if isinstance(value, (tuple, frozenset)):
        return any(map(_scrambled, value))
    return value is None or isinstance(value, (str, bytes, date))


def _pandas_source(function: Any, name: str | None, owner: Any, given: tuple[Any, ...]) -> str | None:
    pandas = sys.modules.get("pandas")
    if pandas is None or name is None:
        return None
    if isinstance(owner, type) and name in _DATES and issubclass(owner, (pandas.Timestamp, pandas.Period)):
        return f"pandas.{owner.__name__}.{name}"
    if function is pandas.Timestamp or function is pandas.to_datetime or name == "datetime64":
        wanted = isinstance(given[0], str) and given[0] in ("now", "today") if given else False
        return f"{'numpy' if name == 'datetime64' else 'pandas'}.{name}({given[0]!r})" if wanted else None
    return None


def _drawn(generator: Any, name: str, given: tuple[Any, ...], seeded: Seeded) -> str | None:
    if name == "seed" and given and given[0] is not None:
        seeded.add(generator)
    if generator in seeded:
        return None
    return f"numpy.random.{name}" if generator is global_numpy() else f"numpy.random.{type(generator).__name__}.{name}"


def _made_unseeded(function: Any, given: tuple[Any, ...]) -> str | None:
    if not _numpy_types() or not str(getattr(function, "__module__", "")).startswith("numpy.random"):
        return None
    return f"numpy.random.{function.__name__} without a seed" if all(one is None for one in given) else None


def note_seeded(function: Any, given: tuple[Any, ...], named: dict[str, Any], result: Any, seeded: Seeded) -> None:
    """Note a generator that was just made: from a seed, from another that was, or, already reported, without one."""
    if isinstance(result, random.Random):
        seeded.add(result)
    if isinstance(result, _numpy_types()) and not isinstance(getattr(function, "__self__", None), _numpy_types()):
        first = next((one for one in (*given, *named.values()) if one is not None), None)
        # One without a seed was reported when it was made, and is not at each of its draws.
        if not isinstance(first, _numpy_types()) or first in seeded:
            seeded.add(result)


def _numpy_types() -> tuple[type, ...]:
    module = sys.modules.get("numpy.random")
    if module is None:
        return ()
    return (module.Generator, module.RandomState, module.BitGenerator, module.SeedSequence)


def global_numpy() -> Any:
    """Return the generator behind numpy.random's functions; None if numpy is not loaded."""
    module = sys.modules.get("numpy.random.mtrand")
    return getattr(module, "_rand", None)


def numpy_fingerprint() -> tuple[Any, ...] | None:
    """Return what changes when anybody draws from numpy's global generator; None if numpy is not loaded."""
    generator = global_numpy()
    if generator is None:
        return None
    state = generator.get_state(legacy=False)
    inner = state["state"]
    key = inner["key"][:4].tobytes() if "key" in inner else repr(inner)
    return inner.get("pos"), key, state.get("has_gauss"), state.get("gauss")
