"""Running: the button that replays aside, with the cost before it, progress while it runs, and a cancel that works."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import ipywidgets as ipw

from replaykit.background import Cancelled, Task
from replaykit.display import count

if TYPE_CHECKING:
    from collections.abc import Callable

    from replaykit.estimate import Estimate

__all__ = ["Running"]

_INTERVAL = 0.1  # seconds between two looks at a running task: ten messages a second at most


class Running:
    """A button, a bar and a cancel button for one task at a time.

    Parameters
    ----------
    work
        Called in a thread of its own when the button is pressed.
    done
        Called with the result in the thread that shows widgets.
    failed
        Called there with the error; `Cancelled` if it was cancelled.
    began
        Called there when it begins.
    """

    def __init__(
        self,
        verb: str,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
        began: Callable[[], None] = lambda: None,
    ) -> None:
        self._work, self._done, self._failed, self._began = work, done, failed, began
        self._task: Task[Any] | None = None
        self.rate = 1.0
        """Seconds a run took for each second estimated, from the last run."""
        self.button = ipw.Button(
            description=verb, button_style="primary", tooltip=f"{verb} the window; nothing is written anywhere"
        )
        self.cancel_button = ipw.Button(
            description="Cancel", disabled=True, tooltip="Stop the replay; the last result stays"
        )
        self.bar = ipw.FloatProgress(value=0.0, min=0.0, max=1.0, tooltip="How much of the inputs is applied")
        self.bar.layout.visibility = "hidden"
        self.cost = ipw.Label(value="", tooltip="What the next replay will take, by the last one's speed")
        for button in (self.button, self.cancel_button):
            button.layout.width = "auto"
        self.parts = [self.button, self.cancel_button, self.bar, self.cost]
        """The widgets, from left to right."""
        self.button.on_click(lambda _: self.start())
        self.cancel_button.on_click(lambda _: self.cancel())
        self._estimate: Estimate | None = None

    @property
    def task(self) -> Task[Any] | None:
        """The task under way; None if there is none."""
        return self._task

    def show_cost(self, estimate: Estimate) -> None:
        """Say what the next run will take."""
        self._estimate = estimate
        if self._task is None:
            self.cost.value = estimate.sentence(self.rate)

    def start(self, *, wait: bool = False) -> None:
        """Begin, unless something is running; `wait` for the end where no front end is to be kept alive."""
        if self._task is not None:
            return
        self._task = Task(self._work)
        self.button.disabled, self.cancel_button.disabled = True, False
        self.bar.value, self.bar.layout.visibility = 0.0, "visible"
        self._began()
        loop = None if wait else _loop()
        if loop is None:
            self.wait()
        else:
            self._poll = loop.create_task(self._polled())

    def wait(self) -> None:
        """Wait until what runs is over, and show it."""
        if self._task is not None:
            try:
                self._task._over.wait()
            except KeyboardInterrupt:
                self.cancel()
                raise
            self._finish()

    def cancel(self) -> None:
        """Stop what runs; the result that was there stays."""
        if self._task is not None:
            self._task.cancel()
            self._finish()

    async def _polled(self) -> None:
        while self._task is not None and not self._task.done:
            self._show(self._task)
            await asyncio.sleep(_INTERVAL)
        self._finish()

    def _show(self, task: Task[Any]) -> None:
        total, done = task.total_inputs, task.done_inputs
        self.bar.value = done / total if total else 0.0
        left = (total - done) * task.elapsed / done if done else None
        rest = f", {left:,.0f} s left" if left is not None else ""
        told = f"{done:,} of {count(total, 'input')}" if total else "reading"
        rate = f", {done / task.elapsed:,.0f}/s" if done and task.elapsed else ""
        self.cost.value = f"{told}, {task.elapsed:.1f} s{rate}{rest}"

    def _finish(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        self.button.disabled, self.cancel_button.disabled = False, True
        self.bar.layout.visibility = "hidden"
        try:
            found = task.result(0)
        except BaseException as error:  # noqa: BLE001 - shown in the panel, where somebody sees it
            self.cost.value = f"cancelled after {task.elapsed:.1f} s" if isinstance(error, Cancelled) else ""
            self._failed(error)
            return
        if self._estimate is not None:
            self.rate = min(max(task.elapsed / max(self._estimate.seconds, 0.05), 0.05), 50.0)
        self.cost.value = f"took {task.elapsed:.1f} s"
        self._done(found)


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
