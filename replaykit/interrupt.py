"""interruptible(): a query that stops at once when the person waiting for it interrupts."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from replaykit.audit import unguarded
from replaykit.background import watching

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    import duckdb

__all__ = ["Worker", "interruptible", "raise_if_interrupted", "stopped", "told_apart"]

_T = TypeVar("_T")
_P = ParamSpec("_P")


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
    if not _in_main_thread():  # only the main thread is ever interrupted, others are cancelled
        task = watching()
        if task is None:
            return work()
        with task.querying(connection):
            return work()
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
        super().__init__(1, thread_name_prefix="replaykit-sql", initializer=self._begin)
        self.working = False
        # An interrupt that arrives while the thread starts keeps the pool from noting it; it notes itself.
        self.thread: threading.Thread | None = None

    def _begin(self) -> None:
        self.thread = threading.current_thread()

    def start(self, work: Callable[[], _T]) -> Future[_T]:
        """Begin `work`; ``working`` says whether it is under way, whatever happens to the caller meanwhile."""
        return self.submit(self._noted, work)

    def _noted(self, work: Callable[[], _T]) -> _T:
        self.working = True
        try:
            return work()
        finally:
            self.working = False

    def interrupt(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Interrupt what is under way, and leave it a moment."""
        if self.working:
            connection.interrupt()
        time.sleep(0.01)


def _waited_for(pool: Worker, work: Callable[[], _T], connection: duckdb.DuckDBPyConnection) -> _T:
    future: Future[_T] | None = None
    try:
        with unguarded():  # the worker is our thread, not a handler's
            future = pool.start(work)
        while not future.done():
            wait([future], timeout=0.05)
        return future.result()
    except KeyboardInterrupt:
        while future is not None and not future.done():
            pool.interrupt(connection)
        raise


def stopped(pool: Worker, connection: duckdb.DuckDBPyConnection) -> None:
    """End a worker, and a query left running in it by an interrupt that came between two lines above."""
    try:
        _end(pool, connection)
    except KeyboardInterrupt:
        _end(pool, connection)
        raise


def _end(pool: Worker, connection: duckdb.DuckDBPyConnection) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    for thread in {*pool._threads, *((pool.thread,) if pool.thread is not None else ())}:
        thread.join(0.01)
        while thread.is_alive():
            pool.interrupt(connection)


class _Interrupts:
    """Whether somebody interrupted since the outermost `told_apart` began. Only the main thread asks."""

    def __init__(self) -> None:
        self.seen = False
        self.previous: Any = None
        self.leaving = False

    def received(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        if not self.leaving:
            self.previous(number, frame)

    def begin(self) -> bool:
        """Listen; returns whether this call is the one to `end` it."""
        current = signal.getsignal(signal.SIGINT)
        if not _in_main_thread() or not callable(current) or self.previous:
            return False
        self.seen, self.leaving, self.previous = False, False, current
        signal.signal(signal.SIGINT, self.received)
        return True

    def end(self) -> bool:
        """Listen no more; returns whether there was an interrupt."""
        self.leaving = True
        signal.signal(signal.SIGINT, self.previous)
        self.previous = None
        seen, self.seen = self.seen, False
        return seen


_interrupts = _Interrupts()


def told_apart(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Make a function raise KeyboardInterrupt for whatever DuckDB or a handler turned one into.

    In the main thread DuckDB swallows a KeyboardInterrupt and raises a RuntimeError, an InvalidInputException or
    "current transaction is aborted", which a handler that catches exceptions, or ``on_error="undo"``, swallows in turn.
    """

    @wraps(function)
    def watched(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        mine = seen = False
        try:
            mine = _interrupts.begin()
            result = function(*args, **kwargs)
            raise_if_interrupted()
        except Exception as exc:
            if _in_main_thread() and _interrupts.seen:
                raise KeyboardInterrupt from exc
            raise
        finally:
            if mine:
                seen = _interrupts.end()
        if seen:
            raise KeyboardInterrupt
        return result

    return watched


def raise_if_interrupted() -> None:
    """Raise the KeyboardInterrupt that somebody swallowed since the outermost `told_apart` began."""
    if _interrupts.seen and _in_main_thread():
        raise KeyboardInterrupt


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
