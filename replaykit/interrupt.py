"""interruptible(): a query that stops at once when the person waiting for it interrupts."""

from __future__ import annotations

from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    import duckdb

__all__ = ["interruptible"]

_T = TypeVar("_T")


def interruptible(pool: ThreadPoolExecutor, connection: duckdb.DuckDBPyConnection, work: Callable[[], _T]) -> _T:
    """Run `work` on the worker thread, so that an interrupt of this thread stops the query at once.

    DuckDB looks for an interrupt of the main thread only between chunks, and a join may be one chunk for minutes.
    """
    future = pool.submit(work)
    try:
        while True:
            try:
                return future.result(timeout=0.05)
            except FutureTimeoutError:
                if future.done():
                    return future.result()
    except KeyboardInterrupt:
        while not future.done():
            connection.interrupt()
            try:
                future.exception(timeout=0.02)
            except FutureTimeoutError:
                continue
        raise
