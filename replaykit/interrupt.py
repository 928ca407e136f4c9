"""interruptible(): a query that stops at once when the person waiting for it interrupts."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

from replaykit.audit import unguarded

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

__all__ = ["Worker", "interruptible", "stopped"]

_T = TypeVar("_T")


def interruptible(connection: duckdb.DuckDBPyConnection, work: Callable[[], _T], pool: Worker | None = None) -> _T:
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
    own = Worker()
    try:
        return _waited_for(own, work, connection)
    finally:
        stopped(own, connection)


class Worker(ThreadPoolExecutor):
    """A pool of one thread that knows what it is doing: only a query under way may be interrupted, not the next one."""

    def __init__(self) -> None:
        super().__init__(1, thread_name_prefix="replaykit-sql")
        self.pending = 0

    def start(self, work: Callable[[], _T]) -> Future[_T]:
        """Begin `work`; ``pending`` is 1 until it ended, whatever happens to the caller meanwhile."""
        self.pending += 1
        return self.submit(self._ended, work)

    def _ended(self, work: Callable[[], _T]) -> _T:
        try:
            return work()
        finally:
            self.pending -= 1


def _waited_for(pool: Worker, work: Callable[[], _T], connection: duckdb.DuckDBPyConnection) -> _T:
    try:
        with unguarded():  # the worker is our thread, not a handler's
            future = pool.start(work)
        while not future.done():
            wait([future], timeout=0.05)
        return future.result()
    except KeyboardInterrupt:
        _interrupt(pool, connection)
        raise


def _interrupt(pool: Worker, connection: duckdb.DuckDBPyConnection) -> None:
    while pool.pending:
        connection.interrupt()
        time.sleep(0.01)


def stopped(pool: Worker, connection: duckdb.DuckDBPyConnection) -> None:
    """End a worker, and a query left running in it by an interrupt that came between two lines above."""
    _interrupt(pool, connection)
    pool.shutdown(wait=True, cancel_futures=True)
