"""Quiet: what libraries log while they work for us is dropped, since it names URLs, provider ids and paths."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]

_here = threading.local()


class _Dropped(logging.Filter):
    """Lets records pass, except those of a thread that is at work for us."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return not getattr(_here, "depth", 0)


_DROPPED = _Dropped()


@contextmanager
def quiet(library: str) -> Iterator[None]:
    """Drop what a library logs in this thread meanwhile; other threads, and other libraries, go on logging."""
    for name in [library, *(name for name in list(logging.root.manager.loggerDict) if name.startswith(library + "."))]:
        logging.getLogger(name).addFilter(_DROPPED)  # a filter that is there already is not added again
    _here.depth = getattr(_here, "depth", 0) + 1
    try:
        yield
    finally:
        _here.depth -= 1
