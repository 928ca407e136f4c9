"""Aside: one piece of work at a time in a thread of its own, looked at now and then, ended on request between steps."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from replaykit.background import Task, watching

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Aside"]

_INTERVAL = 0.1  # seconds between two looks: ten messages a second at most


class Aside:
    """Runs work that tells its progress, and shows it in the thread that shows widgets.

    Parameters
    ----------
    far
        Called with how many steps are done, and of how many, while it runs.
    done
        Called with the result.
    failed
        Called with the error.
    """

    def __init__(
        self,
        far: Callable[[int, int], None],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._far, self._done, self._failed = far, done, failed
        self._task: Task[Any] | None = None
        self._ending = threading.Event()
        self._poll: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether something is under way."""
        return self._task is not None

    @property
    def stopped(self) -> bool:
        """Whether it was told to end, or the last one was."""
        return self._ending.is_set()

    def start(self, work: Callable[[], Any], *, wait: bool) -> None:
        """Begin; `wait` for the end, or return where an event loop looks after it."""
        assert self._task is None
        self._ending.clear()
        self._task = Task(work)
        loop = None if wait else _loop()
        if loop is None:
            self._wait()
        else:
            self._poll = loop.create_task(self._polled())

    def step(self, done: int, total: int) -> bool:
        """Note progress, from inside the work; return whether to go on."""
        task = watching()
        if task is not None:
            task.look(done, total)
        return not self._ending.is_set()

    def stop(self) -> None:
        """Let it end after the step at hand."""
        self._ending.set()

    def _wait(self) -> None:
        assert self._task is not None
        try:
            self._task._over.wait()
        except KeyboardInterrupt:
            self.stop()  # the step at hand is not torn apart: its answer may be about to be written
            try:
                self._task._over.wait()
            finally:  # whoever interrupts again no longer waits for it
                self._finish()
            raise
        self._finish()

    async def _polled(self) -> None:
        while self._task is not None and not self._task.done:
            self._far(self._task.done_inputs, self._task.total_inputs)
            await asyncio.sleep(_INTERVAL)
        self._finish()

    def _finish(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        try:
            self._done(task.result(0))
        except BaseException as error:  # noqa: BLE001 - shown in the card, where somebody sees it
            self._failed(error)


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
