"""Strays: everything a program started, also what left its process group, is found by a mark and ended."""

from __future__ import annotations

import itertools
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["MARK", "end_all", "mark", "marked"]

MARK = "REPLAYKIT_PROGRAM"
"""The environment variable that every process started by a program inherits."""
_ROUNDS = 50
_numbers = itertools.count(1)


def mark() -> str:
    """Return a mark no other program of this machine carries, to be put behind those of programs around it."""
    return f"{os.environ.get(MARK, '')}/{os.getpid()}.{next(_numbers)}/"


def marked(text: str) -> list[int]:
    """Return the processes that carry a mark, where /proc tells; a program that clears its environment hides."""
    wanted = f"{MARK}={text}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            if wanted in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return sorted(found)


def end_all(group: int | None, text: str) -> int:
    """Kill a process group (None: it is gone) and all that carries a mark; return how many strays were found."""
    if group is not None:
        with suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    strays: set[int] = set()
    for _ in range(_ROUNDS):
        found = marked(text)
        if not found:
            break
        strays.update(found)
        for one in found:
            with suppress(OSError):
                os.kill(one, signal.SIGKILL)
        time.sleep(0.002)
    return len(strays - {group})
