"""The garbage collector during a replay: a working set that only grows is not worth walking again and again."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["collector_resting"]

_PATIENCE = 100_000


@contextmanager
def collector_resting() -> Iterator[Callable[[], None]]:
    """Freeze what exists, so that the collector does not walk a growing working set again and again.

    Gives a function to call now and then: it collects what has been left in circles since, and freezes the rest.
    """
    if gc.get_freeze_count():  # somebody else froze objects: thawing ours would thaw theirs
        yield lambda: None
        return
    often, *rarely = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(often and max(often, _PATIENCE), *rarely)
    try:
        yield _settle
    finally:
        gc.set_threshold(often, *rarely)
        gc.unfreeze()


def _settle() -> None:
    gc.collect(0)
    gc.freeze()
