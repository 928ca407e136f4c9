"""Background: a long piece of work in a thread of its own, that tells how far it is and stops soon when told to."""

from __future__ import annotations

import ctypes
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb

__all__ = ["Cancelled", "Task", "watching"]

_T = TypeVar("_T")
_PATIENCE = 0.15  # seconds that work between two looks may take before it is stopped from outside
_SLICE = 0.02


class Cancelled(BaseException):
    """The work was cancelled. No Exception, so that no handler takes it for one."""


class Task(Generic[_T]):
    """A call on its way in a thread.

    The work looks in at `look` now and then: replays do, at every input and every tick. What does not come by is
    stopped at the next line of Python, and a query by DuckDB's own interrupt.
    """

    def __init__(self, work: Callable[[], _T], *, name: str = "replaykit-task") -> None:
        self.done_inputs = 0
        self.total_inputs = 0
        self.started = time.monotonic()
        self.seconds = 0.0
        """How long it took; grows while it runs."""
        self._cancelled = threading.Event()
        self._connections: list[duckdb.DuckDBPyConnection] = []
        self._lock = threading.Lock()
        self._result: Any = None
        self._error: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        state = "running" if not self.done else "cancelled" if self.cancelled else "done"
        return f"Task({state}, {self.done_inputs:,} of {self.total_inputs:,} inputs, {self.elapsed:.1f} s)"

    @property
    def done(self) -> bool:
        """Whether it is over: finished, failed or cancelled."""
        return self._over.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether it was told to stop."""
        return self._cancelled.is_set()

    @property
    def elapsed(self) -> float:
        """Seconds since it began, or that it took."""
        return self.seconds if self.done else time.monotonic() - self.started

    def result(self, timeout: float | None = None) -> _T:
        """Wait for the end and return what came of it.

        Raises
        ------
        Cancelled
            It was cancelled.
        TimeoutError
            It is not over after `timeout` seconds.
        """
        if not self._over.wait(timeout):
            raise TimeoutError(f"The task is still running after {timeout} s.")
        if self._error is not None:
            raise self._error
        result: _T = self._result
        return result

    def cancel(self) -> None:
        """Tell it to stop, and wait until it has."""
        self._cancelled.set()
        told = time.monotonic()
        while not self._over.wait(_SLICE):
            with self._lock:
                for connection in self._connections:
                    connection.interrupt()
            if time.monotonic() - told > _PATIENCE:
                self._stop_python()
                told = time.monotonic()

    def look(self, done: int | None = None, total: int | None = None) -> None:
        """Say how far the work is, and raise Cancelled if it shall stop."""
        if done is not None:
            self.done_inputs = done
        if total is not None:
            self.total_inputs = total
        if self._cancelled.is_set():
            raise Cancelled

    @contextmanager
    def querying(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Let `cancel` interrupt this connection for as long as the block lasts."""
        with self._lock:
            self._connections.append(connection)
        try:
            self.look()
            yield
        finally:
            with self._lock:
                self._connections.remove(connection)

    def _run(self, work: Callable[[], _T]) -> None:
        token = _CURRENT.set(self)
        try:
            self._result = work()
        except BaseException as error:  # noqa: BLE001 - whatever it was is told to whoever asks for the result
            self._error = Cancelled() if self._cancelled.is_set() else error
        finally:
            _CURRENT.reset(token)
            self.seconds = time.monotonic() - self.started
            self._over.set()

    def _stop_python(self) -> None:
        if self._thread.ident is not None and not self.done:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), ctypes.py_object(Cancelled))


_CURRENT: ContextVar[Task[Any] | None] = ContextVar("replaykit_task", default=None)


def watching() -> Task[Any] | None:
    """Return the task that this code runs in, or None."""
    return _CURRENT.get()
