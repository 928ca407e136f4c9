"""interruptible(): a query that stops at once when the person waiting for it interrupts."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

__all__ = ["interruptible"]

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
        return _waited_for(pool.submit(work), connection)
    with ThreadPoolExecutor(1, thread_name_prefix="replaykit-sql") as own:
        return _waited_for(own.submit(work), connection)


def _waited_for(future: Future[_T], connection: duckdb.DuckDBPyConnection) -> _T:
    try:
        while not future.done():
            wait([future], timeout=0.05)
        return future.result()
    except KeyboardInterrupt:
        while not future.done():
            connection.interrupt()
            wait([future], timeout=0.02)
        raise
