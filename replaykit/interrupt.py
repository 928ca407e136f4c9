"""interruptible(): a query that stops at once when the person waiting for it interrupts."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

from replaykit.audit import unguarded

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

__all__ = ["interruptible", "stopped"]

_T = TypeVar("_T")


def interruptible(
    connection: duckdb.DuckDBPyConnection, work: Callable[[], _T], pool: ThreadPoolExecutor | None = None
) -> _T:
    """Run `work` on a worker thread, so that an interrupt of the main thread stops its query at once.

    DuckDB looks for an interrupt of the main thread only between chunks, and a join may be one chunk for minutes.

    Parameters
    ----------
    connection
        What `work` queries; interrupted if the main thread is.
    pool
        A pool of one thread to use again and again; one of its own if None.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()  # only the main thread is ever interrupted
    if pool is not None:
        return _waited_for(pool, work, connection)
    own = ThreadPoolExecutor(1, thread_name_prefix="replaykit-sql")
    try:
        return _waited_for(own, work, connection)
    finally:
        stopped(own, connection)


def _waited_for(pool: ThreadPoolExecutor, work: Callable[[], _T], connection: duckdb.DuckDBPyConnection) -> _T:
    future: Future[_T] | None = None
    try:
        with unguarded():  # the worker is our thread, not a handler's
            future = pool.submit(work)
        while not future.done():
            wait([future], timeout=0.05)
        return future.result()
    except KeyboardInterrupt:
        while future is not None and not future.done():
            connection.interrupt()
            wait([future], timeout=0.02)
        raise


def stopped(pool: ThreadPoolExecutor, connection: duckdb.DuckDBPyConnection) -> None:
    """End a worker, and a query left running in it by an interrupt that came between two lines above."""
    pool.shutdown(wait=False, cancel_futures=True)
    for thread in tuple(pool._threads):
        thread.join(0.02)
        while thread.is_alive():
            connection.interrupt()
            thread.join(0.02)
