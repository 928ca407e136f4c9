"""Explorer: choose a window, replay it aside, look at it from every side, and copy what is seen as code."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets as ipw

from replaykit.background import Cancelled
from replaykit.display import note_html
from replaykit.errors import QueryError, WindowError, show_time
from replaykit.estimate import estimate
from replaykit.glance import glance
from replaykit.looks import PAGE, RECORDED, VIEWS, Choice, evaluated, expression, imports
from replaykit.reconciler import reconciler_of
from replaykit.replay import replay
from replaykit.widgets.brush import TimeBrush
from replaykit.widgets.calls import glance_call, replay_call
from replaykit.widgets.pages import Pages
from replaykit.widgets.running import Running
from replaykit.widgets.shown import banner, sentence
from replaykit.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from replaykit.focus import Focus
    from replaykit.reconciler import Reconciler
    from replaykit.recording import Recording
    from replaykit.replay import Replay

__all__ = ["Explorer"]


class Explorer:
    """A recording to look at in a notebook; display it as the last line of a cell.

    Parameters
    ----------
    reconciler
        The rules to replay, or a module that holds them. None only looks at what was recorded.
    window
        The window to begin with; None is the whole recording.
    names
        What your code calls the recording and the reconciler, for `code`.
    options
        Further arguments of `replaykit.replay`: ``ticks``, ``actions``, ``base``, ``params``, ``on_error``.

    Notes
    -----
    `window`, `focus` and `view` are plain values, to be read and set from a cell; every part follows. `code` is at any
    moment the Python that gives the same run and the same table without the widget.
    """

    def __init__(
        self,
        recording: Recording,
        reconciler: Reconciler | ModuleType | None = None,
        *,
        window: Window | None = None,
        names: tuple[str, str] = ("recording", "reconciler"),
        **options: Any,
    ) -> None:
        self.recording = recording
        self.reconciler = None if reconciler is None else reconciler_of(reconciler)
        self.run: Replay | None = None
        """The last replay that ran to its end; None before the first."""
        self.error: BaseException | None = None
        """Why the last thing asked for could not be done; None if it could."""
        self._names, self._options, self._ran = names, options, ""
        span = recording.span
        if span is None:
            raise WindowError("The recording holds no events, so there is nothing to explore; see recording.report.")
        self._choice = Choice(window=(window or span).within(span))
        self.banner, self.about = ipw.HTML(), ipw.HTML()
        self.brush = TimeBrush(recording, self._choice.window)
        self.running = Running("Replay", self._replay, self._done, self._fail)
        views = tuple(VIEWS) if self.reconciler is not None else RECORDED
        self.pages = Pages(recording, self.reconciler, views)
        self.widget = self._laid_out()
        self._listen()
        self.refresh()

    def _laid_out(self) -> Any:
        wide = ipw.Layout(width="auto")
        self.start = ipw.Text(description="From", tooltip="First instant inside the window, UTC")
        self.end = ipw.Text(description="To", tooltip="First instant after the window, UTC")
        for text in (self.start, self.end):
            text.continuous_update = False
            text.layout.width, text.style.description_width = "290px", "40px"
        typed = ipw.HBox([self.start, self.end, self.about], layout=ipw.Layout(flex_flow="row wrap"))
        self.code_area = ipw.Textarea(
            tooltip="The code that gives this table: select all, copy, paste into a cell",
            layout=ipw.Layout(width="auto", height="11em"),
        )
        code = ipw.Accordion([self.code_area], titles=["Copy as code"], layout=wide)
        parts = [self.banner, self.brush, typed]
        parts += [self.running.widget] if self.reconciler is not None else []
        return ipw.VBox([*parts, self.pages.widget, code], layout=wide)

    def _listen(self) -> None:
        self.brush.observe_window(lambda window: self._follow(partial(self._move_to, window)))
        for text in (self.start, self.end):
            text.observe(lambda _: self._follow(self._typed), "value")
        self.pages.listen(lambda change: self._follow(partial(self._chosen, change)), self._picked)

    def _follow(self, action: Callable[[], None]) -> None:
        """Do what a person asked for; an exception is shown in the panel, since nobody would see it elsewhere."""
        if self._moving:
            return
        try:
            self.error = None
            action()
        except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - as said
            self._fail(exc)

    _moving = False

    @property
    def window(self) -> Window:
        """The window; set it to move everything."""
        return self._choice.window

    @window.setter
    def window(self, window: Window) -> None:
        span = self.recording.span
        self._choice.window = window.within(span)
        self._choice.offset = 0
        self.refresh()

    @property
    def focus(self) -> Focus:
        """The time, entity and event that every view looks at; set it to move them."""
        return self._choice.focus

    @focus.setter
    def focus(self, focus: Focus) -> None:
        self._choice.focus = focus
        if focus.time is not None and self.run is not None:
            self._choice.step = self._step_at(focus)
        self.refresh()

    @property
    def view(self) -> str:
        """The name of the view that is open; set it to open another."""
        return self.pages.view

    @view.setter
    def view(self, name: str) -> None:
        self.pages.open(name)
        self.refresh()

    @property
    def stale(self) -> bool:
        """Whether the window or the options have changed since the replay shown."""
        return self.run is not None and self._ran != self._call()

    @property
    def code(self) -> str:
        """The Python that gives the same run and the table of the open view."""
        text = expression(self.view, self.recording, self._choice, self._names[0])
        if "run" not in text or self.reconciler is None:
            return f"{imports(text)}{text}\n" if text else glance_call(self._names[0], self.window)
        return f"{imports(text)}{self._call().removesuffix(f'{chr(10)}run{chr(10)}')}\n{text}\n"

    def _call(self) -> str:
        return replay_call(*self._names, self.window, self._options)

    def replay(self, *, wait: bool = True) -> Replay | None:
        """Replay the window; returns the result if waited for."""
        self.running.start(wait=wait)
        return self.run

    def cancel(self) -> None:
        """Stop the replay that runs; the last result stays."""
        self.running.cancel()

    def _replay(self) -> tuple[str, Replay]:
        call = self._call()
        assert self.reconciler is not None
        return call, replay(self.recording, self.reconciler, self.window, **self._options)

    def _done(self, found: tuple[str, Replay]) -> None:
        self.error = None
        self._ran, self.run = found
        self._choice.step = self.run.after_step
        self.brush.run = self.run
        self.refresh()

    def _fail(self, exc: BaseException) -> None:
        self.error = exc
        status = "cancelled" if isinstance(exc, Cancelled) else "error"
        told = "The replay was cancelled; below is what was there before." if status == "cancelled" else sentence(exc)
        self.banner.value = banner(status, told)

    def _move_to(self, window: Window) -> None:
        self.window = window

    def _typed(self) -> None:
        self.window = Window(self.start.value, self.end.value)

    def _chosen(self, change: Mapping[str, Any]) -> None:
        """Take over what the controls of a view say."""
        for name, value in change.items():
            setattr(self._choice, name, value)
        if "offset" not in change:
            self._choice.offset = 0
        self.refresh()

    def _picked(self, row: Mapping[str, Any], column: str | None) -> None:
        def move() -> None:
            keys = self.run.history.keys.get(self._choice.table, ()) if self.run is not None else ()
            self.focus = self.focus.moved(row, column, tuple(keys))

        self._follow(move)

    def _step_at(self, focus: Focus) -> int | None:
        assert self.run is not None
        try:
            return self.run.at(event=focus.event).step if focus.event else self.run.at(focus.time).step
        except QueryError:
            return self._choice.step

    def refresh(self) -> None:
        """Make every part say the same as window, focus and result."""
        self._moving = True
        try:
            self.start.value, self.end.value = map(show_time, self.window.bounds())
            self.brush.window = self.window
            self.brush.focus = self.focus.time
            self.about.value = note_html(
                f"{glance(self.recording, self.window).sentence} Focus: {self.focus.sentence}."
            )
            self._show_view()
            self.code_area.value = self.code
        finally:
            self._moving = False
        self.banner.value = banner(*self._standing())
        if self.reconciler is not None:
            chosen = {name: self._options[name] for name in ("ticks", "actions", "base") if name in self._options}
            self.running.show_cost(estimate(self.recording, self.reconciler, self.window, **chosen))

    def _show_view(self) -> None:
        self.pages.prepare(self._choice, self.run)
        if self.view not in RECORDED and self.run is None:
            self.pages.show_nothing("Press Replay: this view shows what the rules made of the window.")
            return
        if self.view == "Story" and self.focus.entity is None:
            self.pages.show_nothing("Choose a row anywhere, or type an id: the story is that of one entity.")
            return
        text = expression(self.view, self.recording, self._choice, self._names[0])
        frame = evaluated(text, self.recording, self.run, self._names[0])
        self.pages.show(frame, more=text, offset=self._choice.offset if self.view == "Events" else 0, page=PAGE)

    def _standing(self) -> tuple[str, str]:
        if self.reconciler is None:
            return "recorded", "What the recording holds. Nothing was replayed."
        if self.run is None:
            return "nothing yet", "Choose a window and press Replay."
        if self.stale:
            return (
                "stale",
                f"The window has moved on; press Replay. Below is still {self.run!r} of {self.run.window!r}.",
            )
        return self.run.verdict.status, f"{self.run!r}: {self.run.verdict.sentence}"

    def __repr__(self) -> str:
        found = f", {self.run!r}" if self.run is not None else ""
        return f"Explorer({self.window!r}, {self.view!r}{found})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Return the widget, and for readers without a kernel what it says."""
        return {
            **self.widget._repr_mimebundle_(),
            "text/plain": repr(self),
            "text/html": f"{self.banner.value}{self.about.value}{note_html(self.code)}",
        }
