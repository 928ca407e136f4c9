"""The garbage collector during a replay: a working set that only grows is not worth walking again and again."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["collector_resting"]


@contextmanager
def collector_resting() -> Iterator[Callable[[], None]]:
    """Freeze what exists, so that the collector does not walk a growing working set again and again."""
    if gc.get_freeze_count():  # somebody else froze objects: thawing ours would thaw theirs
        yield lambda: None
        return
    gc.freeze()
    try:
        yield gc.freeze
    finally:
        gc.unfreeze()
