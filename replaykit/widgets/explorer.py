"""Explorer: choose a window, replay it aside, look at it from every side, and copy what is seen as code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.background import Cancelled
from replaykit.errors import QueryError, WindowError
from replaykit.estimate import estimate
from replaykit.focus import Focus
from replaykit.looks import RECORDED, REPLAYED, Choice, expression, imports
from replaykit.reconciler import reconciler_of
from replaykit.replay import replay
from replaykit.views.standing import step_of, step_sentence
from replaykit.widgets.calls import options_of, replay_call
from replaykit.widgets.frame import Frame
from replaykit.widgets.hands import Hands
from replaykit.widgets.pages import Pages
from replaykit.widgets.shown import details, sentence
from replaykit.widgets.standing import standing
from replaykit.widgets.tables import Tables, table_of

if TYPE_CHECKING:
    from types import ModuleType

    from replaykit.reconciler import Reconciler
    from replaykit.recording import Recording
    from replaykit.replayed import Replay
    from replaykit.window import Window

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
    `window`, `focus`, `view` and `run` are plain values, to be read and set from a cell; every part follows. `code` is
    at any moment the Python that gives the same run and the same table without the widget.
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
        self.error: BaseException | None = None
        """Why the last thing asked for could not be done; None if it could."""
        self._names, self._options, self._ran = names, options, ""
        self._run: Replay | None = None
        self._taken, self._costed = 0, ""  # how many results there were, and the call whose cost is shown
        self._choice: Choice | None = None
        self._tables = Tables(recording, names[0], self._turned)
        self._hands = Hands(self)
        self.pages = Pages(*self._offered(), self._hands.chosen, self._hands.picked)
        """The views as tabs: ``tables`` and ``bound`` controls by view, ``scrubber``."""
        work = None if self.reconciler is None else self._replay
        calls: dict[str, Any] = {"done": self._done, "failed": self._fail, "began": self._stand}
        ticks = options.get("ticks", "end")
        self.frame = Frame(recording, self.pages.widget, self._hands.chosen, ticks, work, **calls)
        """The widgets around them: ``brush``, ``start``, ``end``, ``filters``, ``ticks``, ``running``, ``banner``."""
        self.widget = self.frame.widget
        """Everything, to be put into a layout of your own."""
        if (span := recording.span) is not None:
            self._choice = Choice(window=(window or span).within(span))
            self.frame.brush.observe_cells(self.pages.cell)
        self.refresh()

    def _offered(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the views and the state tables there are to look at."""
        if self.reconciler is None:
            return RECORDED, ()
        return REPLAYED, tuple(self.reconciler.tables)

    @property
    def choice(self) -> Choice:
        """What is chosen in the controls; after setting a field of it, call `refresh`.

        Raises
        ------
        WindowError
            The recording holds no events.
        """
        if self._choice is None:
            raise WindowError("The recording holds no events, so there is nothing to explore; see recording.report.")
        return self._choice

    @property
    def window(self) -> Window:
        """The window; set it to move everything."""
        return self.choice.window

    @window.setter
    def window(self, window: Window) -> None:
        self.choice.window = window.within(self.recording.span)
        self.choice.offset, self.error = 0, None
        self.refresh()

    @property
    def focus(self) -> Focus:
        """The time, entity and event that every view looks at; set it to move them."""
        return self.choice.focus

    @focus.setter
    def focus(self, focus: Focus) -> None:
        before, self.choice.focus, self.error = self.choice.focus, focus, None
        if self.run is not None:
            if (focus.time, focus.event) != (before.time, before.event):
                self.choice.step = step_of(self.run, focus, self.choice.step)
            if focus.entity not in (None, before.entity):
                self.choice.table = table_of(self.run, self.choice)
        self.refresh()

    @property
    def view(self) -> str:
        """The name of the view that is open; set it to open another."""
        return self.pages.view

    @view.setter
    def view(self, name: str) -> None:
        self.pages.open(name)
        self.error = None
        self.refresh()

    @property
    def run(self) -> Replay | None:
        """The last replay that ran to its end, None before the first; set it to look at one made elsewhere."""
        return self._run

    @run.setter
    def run(self, run: Replay) -> None:
        if self.reconciler is None:
            raise QueryError("This explorer has no views for replays: give rk.explore a reconciler.")
        if run.recording is not self.recording:
            raise QueryError("That replay is of another recording; explore that one.")
        self._options = options_of(run, self.reconciler)
        self._take(self._call(run.window), run)
        self.window = run.window

    @property
    def running(self) -> bool:
        """Whether a replay is under way."""
        return self.frame.running.task is not None

    @property
    def stale(self) -> bool:
        """Whether the window or the options have changed since the replay shown."""
        return self.run is not None and self._ran != self._call(self.window)

    @property
    def code(self) -> str:
        """The Python that gives the replay shown and the table of the open view."""
        if self._choice is None:
            return f"{self._names[0]}.report\n"
        if self.view in RECORDED:
            shown = expression(self.view, self.choice, self._names[0])
            shown = f"{self._names[0]}.kinds" if self.view == "Story" and self.focus.entity is None else shown
            return f"{imports(shown)}{shown}\n"
        call = self._ran or self._call(self.window)
        shown = "run" if self.run is None else expression(self.view, self.choice, self._names[0])
        return f"{imports(call + shown)}{call}{shown}\n"

    @property
    def options(self) -> dict[str, Any]:
        """Further arguments of `replaykit.replay`; after changing them, call `refresh`."""
        return self._options

    def _call(self, window: Window) -> str:
        return replay_call(*self._names, window, self._options)

    def replay(self, *, wait: bool = True) -> Replay | None:
        """Replay the window aside; if waited for, return the result or raise what went wrong."""
        if self.reconciler is None:
            raise QueryError("There are no rules to replay: give rk.explore a reconciler.")
        self.error = None
        self.frame.running.start(wait=wait)
        if wait and self.error is not None:
            raise self.error
        return self.run

    def cancel(self) -> None:
        """Stop the replay that runs; the last result stays."""
        self.frame.running.cancel()

    def _replay(self) -> tuple[str, Replay]:
        assert self.reconciler is not None
        call, window, options = self._call(self.window), self.window, dict(self._options)
        return call, replay(self.recording, self.reconciler, window, **options)

    def _done(self, found: tuple[str, Replay]) -> None:
        self.error = None
        self._take(*found)
        self.refresh()

    def _take(self, call: str, run: Replay) -> None:
        self._taken, self._ran, self._run, self._costed = self._taken + 1, call, run, ""
        self.choice.asked = ()  # by number, which means another row in this replay
        self.choice.step = run.after_step if self.focus == Focus() else step_of(run, self.focus, self.choice.step)
        self.pages.offer(run)
        if self._taken == 1:
            self.choice.table = self.pages.first_table
        self.frame.brush.run = run

    def _fail(self, exc: BaseException) -> None:
        """Say what went wrong; nobody sees an exception of a callback elsewhere."""
        self.error, self._costed = exc, ""
        if isinstance(exc, Cancelled):
            below = f"Below is still {self.run!r}." if self.run is not None else "There is no result yet."
            self.frame.stand("cancelled", f"The replay was cancelled and left nothing behind. {below} Press Replay.")
        else:
            self.frame.stand("error", sentence(exc), details(exc, self.code))

    def _turned(self, offset: int) -> None:
        """Take over that a page of events was turned."""
        self.choice.offset = offset
        self.frame.code(self.code)

    def refresh(self) -> None:
        """Make every part say the same as window, focus and result."""
        if self._choice is not None:
            brush, said = self.frame.brush, ""
            if self.view == "State at":
                said = step_sentence(self.run, self.choice.step)
            self.pages.follow(self.choice, self.run, said)
            self.frame.follow(self.choice, self.run)
            if not brush.moving:  # while a window is dragged, only what is cheap goes along
                self._show_view()
                self._show_cost()
        self.frame.code(self.code)
        self._stand()

    def _show_view(self) -> None:
        try:
            shown = self._tables.shown(self.view, self.choice, self.run, self.frame.brush.counted)
        except QueryError as exc:
            self.pages.show_nothing(sentence(exc))
        else:
            self.pages.show(shown, (shown.text, self._taken), self.focus)
        self.pages.titles(self.run)

    def _show_cost(self) -> None:
        call = self._call(self.window)
        if self.reconciler is not None and call != self._costed:
            chosen = {name: self._options[name] for name in ("ticks", "actions", "base") if name in self._options}
            self.frame.running.show_cost(estimate(self.recording, self.reconciler, self.window, **chosen))
            self._costed = call

    def _stand(self) -> None:
        if self.error is None:
            self.frame.stand(*standing(self))

    def __repr__(self) -> str:
        if self._choice is None:
            return "Explorer(no events)"
        found = f", {self.run!r}" if self.run is not None else ""
        return f"Explorer({self.window!r}, {self.view!r}{found})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Return the widget, and for readers without a kernel what it says."""
        return {
            **self.widget._repr_mimebundle_(),
            "text/plain": repr(self),
            "text/html": self.frame.without_kernel(self.run),
        }
