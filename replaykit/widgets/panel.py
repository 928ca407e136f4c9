"""Panel: choose a window by hand, replay it, look, and copy the choice as code."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from replaykit.bins import edges
from replaykit.display import note_html
from replaykit.errors import WindowError, show_time
from replaykit.glance import Glance, glance
from replaykit.plots import timeline_table
from replaykit.widgets.calls import glance_call, replay_call
from replaykit.widgets.controls import Controls
from replaykit.widgets.shown import banner, sentence, standing, views
from replaykit.widgets.strip import place, strip
from replaykit.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from replaykit.reconciler import Reconciler
    from replaykit.recording import Recording
    from replaykit.replay import Replay

__all__ = ["Panel"]

_BINS = 120


class Panel:
    """Controls for a window of a recording, and what comes of it; display it as the last line of a cell.

    Parameters
    ----------
    reconciler
        The rules to replay. None only looks at what was recorded.
    window
        The window to begin with; None is the whole recording.
    names
        What your code calls the recording and the reconciler, for `code`.
    options
        Further arguments of `replaykit.replay`: ``ticks``, ``actions``, ``base``, ``params``, ``on_error``.

    Notes
    -----
    The button runs one call, which `code` shows. `controls` holds the widgets, to be set and clicked from Python, and
    `widget` all of them, to be put into a layout of your own.
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
        self.recording, self.reconciler = recording, reconciler
        self.found: Replay | Glance | None = None
        """The last result: a Replay, or without a reconciler a Glance."""
        self.error: BaseException | None = None
        """Why the controls or the last click could not be followed; None if they could."""
        self._names, self._ran = names, ""
        self.controls = Controls(verb="Replay" if reconciler else "Look", ticks=options.pop("ticks", "end"))
        """The widgets: ``slider``, ``start``, ``end``, ``ticks``, ``button``, ``zoom_in``, ``zoom_out``."""
        self.widget = self.controls.column(ticks=reconciler is not None)
        self._options, self._window = options, recording.span
        if self._window is None:
            self.controls.switch_off()
            self._fail(WindowError("The recording holds no events; recording.report says what was read."))
            return
        self._span = self._window
        self._spread(self._span)
        self.window = window or self._span
        self._listen()

    @property
    def window(self) -> Window:
        """The window the controls show; set it to move them.

        Raises
        ------
        WindowError
            The recording is empty, or, when set, the window lies outside it.
        """
        if self._window is None:
            raise WindowError("The recording holds no events, so there is no window to choose.")
        return self._window

    @window.setter
    def window(self, window: Window) -> None:
        self._window = window.within(self._span)
        if self.window.bounds()[0] < self._edges[0] or self.window.bounds()[1] > self._edges[-1]:
            self._spread(self._span)
        self._refresh()

    @property
    def run(self) -> Replay | None:
        """The last replay; None before the first, and without a reconciler."""
        return None if isinstance(self.found, Glance) else self.found

    @property
    def stale(self) -> bool:
        """Whether the controls have moved on since the result shown."""
        return self.found is not None and self._ran != self.code

    @property
    def code(self) -> str:
        """The plain call that gives the result for what the controls show."""
        if self.reconciler is None:
            return glance_call(self._names[0], self.window)
        return replay_call(*self._names, self.window, {"ticks": self.controls.ticks.value, **self._options})

    def _listen(self) -> None:
        on = self.controls
        on.slider.observe(partial(self._follow, self._slid), "value")
        for text in (on.start, on.end):
            text.observe(partial(self._follow, self._typed), "value")
        on.ticks.observe(partial(self._follow, self._refresh), "value")
        on.button.on_click(partial(self._follow, self._run))
        on.zoom_in.on_click(partial(self._follow, lambda: self._spread(self.window)))
        on.zoom_out.on_click(partial(self._follow, lambda: self._spread(self._span)))

    def _follow(self, action: Callable[[], None], _: Any) -> None:
        """Do what a person asked for; an exception is shown in the panel, since nobody would see it elsewhere."""
        if self.controls.moving:
            return
        try:
            action()
        except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - as said
            self._fail(exc)

    def _slid(self) -> None:
        left, right = self.controls.slider.value
        left = min(left, len(self._edges) - 2)
        self.window = Window(self._edges[left], self._edges[max(right, left + 1)])

    def _typed(self) -> None:
        self.window = Window(self.controls.start.value, self.controls.end.value)

    def _run(self) -> None:
        self._typed()
        self.controls.button.disabled = True
        self.controls.banner.value = banner("running", f"{self.controls.button.description} …")
        code, found = self.code, self._call()
        self._ran, self.found = code, found
        self.controls.show(views(found))
        self._refresh()

    def _call(self) -> Replay | Glance:
        from replaykit.replay import replay

        if self.reconciler is None:
            return glance(self.recording, self.window)
        return replay(self.recording, self.reconciler, self.window, ticks=self.controls.ticks.value, **self._options)

    def _fail(self, exc: BaseException) -> None:
        self.error = exc
        self.controls.button.disabled = isinstance(exc, WindowError)
        self.controls.banner.value = banner("error", sentence(exc))

    def _spread(self, over: Window) -> None:
        """Put a window on the whole slider."""
        self._edges = edges(*over.bounds(), _BINS)
        self._events = list(timeline_table(self.recording, over, bins=_BINS).sum(axis=1))
        self._refresh()

    def _refresh(self) -> None:
        """Make every part say the same as the window and the result."""
        start, end = (place(self._edges, at) for at in self.window.bounds())
        bars = (int(start), max(math.ceil(end), int(start) + 1))
        self.controls.move(tuple(map(show_time, self.window.bounds())), bars, len(self._events))
        marks = [("snapshot", [snapshot.at for snapshot in self.recording.snapshots])]
        if self.run is not None:
            marks += [("action", list(self.run.actions["at"])), ("violation", list(self.run.violations["opened_at"]))]
        self.controls.strip.value = strip(self._edges, self._events, (start, end), marks)
        self.controls.about.value = note_html(glance(self.recording, self.window).sentence)
        self.controls.code.value = self.code
        self.controls.button.disabled, self.error = False, None
        self.controls.banner.value = banner(
            *standing(self.found, stale=self.stale, verb=self.controls.button.description)
        )

    def __repr__(self) -> str:
        if self._window is None:
            return "Panel(no events)"
        return f"Panel({self._window!r}, {self.found!r})" if self.found is not None else f"Panel({self._window!r})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Return the widget, and for readers without a kernel what it says."""
        return {
            **self.widget._repr_mimebundle_(),
            "text/plain": repr(self),
            "text/html": self.controls.without_kernel(),
        }
