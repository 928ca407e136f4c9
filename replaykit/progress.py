"""Progress of a long replay, shown only where somebody is looking: a terminal, or a notebook front end that can ask."""

from __future__ import annotations

import sys
import time
from typing import Any

from replaykit.background import watching

__all__ = ["Progress"]

_PATIENCE = 3.0
_INTERVAL = 0.2


class Progress:
    """A line that says how far a long replay is, at most five times a second, and is gone when it ends."""

    def __init__(self, what: str, *, noun: str = "event") -> None:
        self._what = what
        self._noun = noun
        self._shown: Any = None
        self._started = self._last = time.monotonic()
        self._live = _watched()
        self._task = watching()

    def advance(self, done: int, total: int) -> None:
        """Say that `done` of `total` inputs are applied; raises Cancelled if the task this runs in shall stop."""
        now = self._due(done, total)
        if now is not None and total:
            rate = done / (now - self._started)
            left = (total - done) / rate if rate else 0.0
            pace = f"{rate:,.{0 if rate >= 10 else 1}f}/s"
            self._show(f"{self._what}: {done:,} of {total:,} {self._noun}s, {pace}, {left:,.0f} s left")

    def tell(self, done: int, said: str) -> None:
        """Say how far something is whose end nobody knows, in words; raises as `advance`."""
        if self._due(done, None) is not None:
            self._show(f"{self._what}: {done:,} {self._noun}s, {said}")

    def _due(self, done: int, total: int | None) -> float | None:
        """Return the time if a line is due, after telling the task this runs in."""
        if self._task is not None:
            self._task.look(done, total)
            return None
        now = time.monotonic()
        if not self._live or now - self._started < _PATIENCE or now - self._last < _INTERVAL:
            return None
        self._last = now
        return now

    def close(self) -> None:
        """Take the line away."""
        if self._shown is not None:
            self._show("")
            self._shown = None

    def _show(self, line: str) -> None:
        display = _display()
        if display is None:
            self._shown = True
            # A progress line is for the eye.
            print("\r" + line.ljust(78) + ("" if line else "\r"), end="", file=sys.stderr, flush=True)  # noqa: T201
        elif self._shown is None:
            self._shown = display({"text/plain": line}, raw=True, display_id=True)
        else:
            self._shown.update({"text/plain": line}, raw=True)


def _display() -> Any:
    """Return IPython's display in a kernel, where stderr would leave a box behind; None in a terminal."""
    module = sys.modules.get("IPython")
    return module.display.display if module is not None and hasattr(_shell(), "kernel") else None


def _watched() -> bool:
    kernel = getattr(_shell(), "kernel", None)
    if kernel is not None:
        # A front end with a person can answer input(); nbval, nbconvert and nbclient say that they can't.
        return bool(getattr(kernel, "_allow_stdin", False))
    return sys.stderr is not None and sys.stderr.isatty()


def _shell() -> object:
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None else None
