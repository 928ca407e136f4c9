"""Tracing: one run of a rule, with the lines that its functions and their helpers went through.

Python's own trace function does it, so the rule needs to know nothing. Whoever had that function before, a debugger or
a coverage tool, gets it back on every exit.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.declarations import Action

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType, FrameType

__all__ = ["FrameLog", "Place", "Tracer", "tracing"]

_HERE = str(Path(__file__).parent.parent) + os.sep
_SYSTEMS = _HERE + "systems" + os.sep
_ACTION = Action.__init__.__code__
_GENERATOR = 0x20  # inspect.CO_GENERATOR
_MOST = 2_000_000  # lines of one run; a rule that goes through more is not followed any further


@dataclass(eq=False)
class FrameLog:
    """One call of a function: the lines it went through, in order."""

    code: CodeType
    namespace: Mapping[str, Any]
    """The function's globals."""
    entries: list[tuple[int, Place | None]] = field(default_factory=list)
    """Number of lines gone through before, and the place it was called from, each time it was entered: a generator is
    entered for each value."""
    lines: list[int] = field(default_factory=list)
    seen: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Variables before some of the lines, by their number in `lines`: where something watched was among them."""
    last: dict[str, Any] = field(default_factory=dict)
    """Variables when it was last left."""
    returned: Any = None
    yielded: list[tuple[int, Any]] = field(default_factory=list)
    """Number in `lines` and value of all that a generator gave."""
    raised: BaseException | None = None
    done: bool = False
    item: int = -1
    """Number of the item the rule was called for; -1 outside of any."""

    def __repr__(self) -> str:
        return f"FrameLog({self.code.co_name}, {len(self.lines)} lines)"

    @property
    def is_generator(self) -> bool:
        """Whether it is entered for each value."""
        return bool(self.code.co_flags & _GENERATOR)

    def called_from(self, index: int) -> Place | None:
        """Return the place it was called from for the line with this number."""
        place = bisect_right(self.entries, index, key=itemgetter(0))
        return self.entries[place - 1][1] if place else None


class Place(NamedTuple):
    """A point of a run: a call, and how many lines it had gone through, less one."""

    log: FrameLog
    number: int

    @property
    def line(self) -> int:
        """The line number in the function's file."""
        return self.log.lines[self.number] if self.log.lines else self.log.code.co_firstlineno


class Tracer:
    """Follows the calls of one run.

    Parameters
    ----------
    watched
        Says of a function's variables whether they are worth keeping at a line.
    """

    def __init__(self, watched: Callable[[Mapping[str, Any]], bool], near: str = "") -> None:
        self.logs: list[FrameLog] = []
        self.actions: list[tuple[Action, Place]] = []
        """Every Action made, and where."""
        self.item = -1
        """Number of the item that the rule is being called for."""
        self.cut = False
        """Whether the run went through too many lines to be followed to its end."""
        self._watched = watched
        self._near = str(Path(near).parent) + os.sep if near else ""
        self._known: dict[FrameType, FrameLog] = {}
        self._stack: list[FrameLog] = []
        self._count = 0

    def place(self) -> Place | None:
        """Return where the run is now; None if it is in no function that is followed."""
        if not self._stack:
            return None
        log = self._stack[-1]
        return Place(log, max(0, len(log.lines) - 1))

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> Any:
        """Take the start of a call, as `sys.settrace` tells it."""
        if event != "call" or self.cut:
            return None
        code = frame.f_code
        if code is _ACTION:
            place = self.place()
            if place is not None:
                self.actions.append((frame.f_locals["self"], place))
            return None
        if not _followed(code.co_filename, self._near):
            return None
        log = self._known.get(frame)
        if log is None:
            log = self._known[frame] = FrameLog(code, frame.f_globals, item=self.item)
            self.logs.append(log)
        log.entries.append((len(log.lines), self.place()))
        self._stack.append(log)
        return self._local

    def _local(self, frame: FrameType, event: str, argument: Any) -> Any:
        log = self._known.get(frame)
        if log is None or self.cut:
            return None
        if event == "line":
            self._line(log, frame)
        elif event == "exception":
            log.raised = argument[1]
        elif event == "return":
            self._left(log, frame, argument)
        return self._local

    def _line(self, log: FrameLog, frame: FrameType) -> None:
        log.lines.append(frame.f_lineno)
        log.raised = None  # whatever it was, somebody caught it
        variables = frame.f_locals
        if self._watched(variables):
            log.seen[len(log.lines) - 1] = dict(variables)
        self._count += 1
        self.cut = self._count > _MOST

    def _left(self, log: FrameLog, frame: FrameType, value: Any) -> None:
        log.last = dict(frame.f_locals)
        if log in self._stack:
            del self._stack[len(self._stack) - 1 - self._stack[::-1].index(log) :]
        if log.code.co_flags & _GENERATOR and _at_yield(frame):
            log.yielded.append((max(0, len(log.lines) - 1), value))
        else:
            log.returned, log.done = value, True

    def close(self) -> None:
        """Let the frames go."""
        self._known.clear()
        self._stack.clear()


_RESUME_OPS = {"YIELD_VALUE", "SEND", "YIELD_FROM"}


def _at_yield(frame: FrameType) -> bool:
    """Return whether a generator is being left at a yield, not at its end."""
    code, place = frame.f_code.co_code, frame.f_lasti
    return 0 <= place < len(code) and _name_of(code[place]) in _RESUME_OPS


@lru_cache(maxsize=256)
def _name_of(number: int) -> str:
    import opcode

    return opcode.opname[number]


@lru_cache(maxsize=4096)
def _followed(filename: str, near: str) -> bool:
    """Return whether functions of a file are followed: a rule's own code and its helpers, no libraries."""
    if filename.startswith(_HERE):
        return filename.startswith(_SYSTEMS)
    if near and filename.startswith(near):
        return True
    return not filename.startswith(("<frozen", "<string>")) and not any(
        filename.startswith(one) for one in _libraries()
    )


@lru_cache(maxsize=1)
def _libraries() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    return tuple(paths[name] + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib"))


@contextmanager
def tracing(tracer: Tracer) -> Iterator[Tracer]:
    """Trace this thread for the length of the block."""
    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        yield tracer
    finally:
        sys.settrace(before)
        tracer.close()
