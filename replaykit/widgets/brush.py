"""TimeBrush: choose a window on a histogram of events, by mouse, touch, keyboard or from Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets as t

from replaykit.bins import round_width
from replaykit.display import show_text
from replaykit.errors import WindowError
from replaykit.histogram import Histograms
from replaykit.instants import ends_of, log_times, micros, moment, window_of
from replaykit.widgets.bars import Marks, bars
from replaykit.widgets.moves import KEYS, Ground, clipped, moved
from replaykit.widgets.parts import CSS, ESM
from replaykit.widgets.shown import sentence
from replaykit.window import Window, parse_time

if TYPE_CHECKING:
    from replaykit.recording import Recording
    from replaykit.replayed import Replay

__all__ = ["TimeBrush"]

_BINS, _MOST_KEYS, _SHORTEST = 240, 200, 200
_OWN_MARKS = (("recorded action", "actions"), ("recorded violation", "checks"))


def _ends_json(value: Window | None, _: Any) -> list[str] | None:
    return None if value is None else [str(micros(at)) for at in value.bounds()]


def _time_json(value: datetime | None, _: Any) -> str | None:
    return None if value is None else str(micros(value))


def _window() -> Any:
    # Text: a browser's numbers are exact only for some 285 years of microseconds.
    return t.Instance(Window, allow_none=True).tag(sync=True, to_json=_ends_json)


class TimeBrush(anywidget.AnyWidget):
    """A histogram of a recording's events with a window on it; display it as the last line of a cell.

    Parameters
    ----------
    window
        The window to begin with; None is the whole recording.

    Notes
    -----
    `window` is the one truth: mouse, touch and keys ask for a change, and Python answers with the window there is.
    An exception in between is in `problem`, which the browser shows, and in `error`.
    """

    _esm = ESM
    _css = CSS
    part = t.Unicode("brush").tag(sync=True)

    window = _window()
    """The window chosen, half-open; set it to move it, or to None for all. It is None only without events."""
    span = _window()
    """From the recording's first event to the instant after its last."""
    limits = _window()
    """What can be seen and chosen by hand: the span and the window, widened to round times."""
    view = _window()
    """What is seen now, in whole bins; `zoom` changes it."""
    focus = t.Instance(datetime, allow_none=True).tag(sync=True, to_json=_time_json)
    """The instant looked at, naive UTC, or None; a click sets it to the nearest mark or event."""
    bins = t.Dict().tag(sync=True)
    """Width in microseconds, kinds with name, look and number, and a row of counts for each kind."""
    marks: Any = t.List().tag(sync=True)
    """For each sort of mark its name, glyph, and pairs of bin and number."""
    counted = t.Int(0).tag(sync=True)
    """How many events that pass the filter lie in the window."""
    problem = t.Unicode("").tag(sync=True)
    """What could not be done, in one sentence."""
    seen = t.Unicode("").tag(sync=True)
    """The last request answered, so that the browser tells late answers from new ones."""

    def __init__(self, recording: Recording, window: Window | None = None) -> None:
        self.recording = recording
        self.error: BaseException | None = None
        """The exception behind `problem`."""
        self.moving = False
        """Whether a drag is under way: a follower may leave costly work until it ends."""
        self._by_hand = False
        self._run: Replay | None = None
        self._followers: list[Callable[[Window], object]] = []
        self._listeners: list[Callable[[str, int, int], object]] = []
        self._marks = Marks()
        super().__init__()
        self.events = Histograms(recording)
        """The counts behind the picture; `filter` changes them."""
        self.span = recording.span
        self.on_msg(self._received)
        if self.span is None:
            self.problem = "The recording holds no events; recording.report says what was read."
            return
        self._own_marks()
        self.window = window or self.span
        self.zoom(None)

    @t.validate("window")
    def _checked(self, proposal: Any) -> Window:
        return proposal["value"].within(self.span)  # type: ignore[no-any-return]

    @t.validate("focus")
    def _in_utc(self, proposal: Any) -> datetime | None:
        return None if proposal["value"] is None else parse_time(proposal["value"], what="focus", span=self.span)

    @t.observe("window")
    def _follow(self, _: Any) -> None:
        if self.window is None:
            self.window = self.span  # comes here again
            return
        with self.hold_sync():
            self.counted = self.events.count(*self._ends)
            self._widen()
            if self.view is not None and not self._by_hand:
                self._reveal()
        self._tell()

    @property
    def run(self) -> Replay | None:
        """The replay whose actions and violations are marked, or None; set it."""
        return self._run

    @run.setter
    def run(self, run: Replay | None) -> None:
        self._run = run
        self.set_marks("action", () if run is None else run.actions["at"])
        self.set_marks("violation", () if run is None else run.violations["opened_at"])

    def observe_window(self, callback: Callable[[Window], object]) -> None:
        """Call `callback` with the window whenever it moved, and once more when a drag ends.

        What it raises is shown in the brush and does not undo the move.
        """
        self._followers.append(callback)

    def observe_cells(self, callback: Callable[[str, int, int], object]) -> None:
        """Call `callback` with a grid's label, row and column when a cell of a grid beside the brush was clicked."""
        self._listeners.append(callback)

    def set_marks(self, name: str, times: Iterable[Any]) -> None:
        """Mark times, naive UTC, under a name of your choice, in place of those it had; none removes the marks."""
        self._marks.put(name, times)
        if self.view is not None:
            self.marks = self._marks.binned(*ends_of(self.view), self.bins["width"])

    def zoom(self, window: Window | None = None) -> None:
        """Show a window with a little room around it; None shows the whole recording."""
        if window is None:
            self._look(*ends_of(self.limits))
            return
        start, end = ends_of(window.within(self.span))
        room = max((end - start) // 20, (_SHORTEST - (end - start)) // 2, 1)
        self._look(start - room, end + room)

    def filter(self, kinds: Iterable[str] | None = None, text: str | None = None) -> None:
        """Show and stop at only some events, as `replaykit.histogram.event_filter` says."""
        self.events = self.events.filtered(kinds, text)
        if self.span is not None:
            with self.hold_sync():
                self.counted = self.events.count(*self._ends)
                self._look(*ends_of(self.view))

    @property
    def _ends(self) -> tuple[int, int]:
        return ends_of(self.window)

    def _widen(self) -> None:
        (first, last), (start, end) = ends_of(self.span), self._ends
        first, last = min(first, start), max(last, end)
        width = round_width(moment(first), moment(last), _BINS) // timedelta(microseconds=1)
        self.limits = window_of(first // width * width, -(-last // width) * width)

    def _reveal(self, part: str = "both") -> None:
        """Move the view where the window went; zoom out only if it does not fit."""
        (start, end), (left, right) = self._ends, ends_of(self.view)
        shown = {"start": (start, start), "end": (end, end)}.get(part, (start, end))
        if left <= shown[0] and shown[1] <= right:
            return
        if shown[1] - shown[0] > right - left:
            self.zoom(self.window)
            return
        room = (right - left - (shown[1] - shown[0])) // 10
        by = shown[0] - room - left if shown[0] < left else shown[1] + room - right
        self._look(left + by, right + by)

    def _look(self, start: int, end: int) -> None:
        """Show ``[start, end)``, widened to whole bins, as far as the limits let it."""
        low, high = ends_of(self.limits)
        length = min(max(end - start, 1), high - low)
        start = min(max(start, low), high - length)
        found = self.events.over(start, start + length, _BINS)
        with self.hold_sync():
            self.view = window_of(found.edges[0], found.edges[-1])
            self.bins = bars(found, tuple(self.events.totals))
            self.marks = self._marks.binned(found.edges[0], found.edges[-1], self.bins["width"])

    def _own_marks(self) -> None:
        self.set_marks("snapshot", [snapshot.at for snapshot in self.recording.snapshots])
        for name, log in _OWN_MARKS:
            if log in self.recording.logs:
                self.set_marks(name, log_times(self.recording, log))

    def _tell(self) -> None:
        for follower in tuple(self._followers):
            try:
                follower(self.window)
            except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - nobody would see it elsewhere
                self._fail(exc)

    def _fail(self, exc: BaseException) -> None:
        self.error, self.problem = exc, show_text(sentence(exc), 600)

    def _received(self, _: Any, content: Mapping[str, Any], __: Any) -> None:
        """Do what a hand or a key asked for, and answer whatever comes of it."""
        with self.hold_sync():
            self.error, self.problem, self._by_hand = None, "", True
            try:
                getattr(self, _REQUESTS[content["do"]])(content)
            except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - as said
                self._fail(exc)
            finally:
                self.moving = self._by_hand = False
                self.seen = str(content.get("seq", ""))

    def _dragged(self, content: Mapping[str, Any]) -> None:
        ends = clipped(int(content["start"]), int(content["end"]), ends_of(self.limits), str(content["part"]))
        self.moving = not content["done"]
        before, self.window = self.window, window_of(*ends)
        if content["done"] and before == self.window:
            self._tell()

    def _pressed(self, content: Mapping[str, Any]) -> None:
        if content["key"] not in KEYS:
            raise WindowError(f"The brush takes the keys {', '.join(KEYS)}.")
        ground = Ground(self.events, ends_of(self.span), ends_of(self.limits), self.bins["width"])
        part, ends = content["part"], self._ends
        for _ in range(min(int(content.get("times", 1)), _MOST_KEYS)):
            ends = moved(ends, part, content["key"], ground, by_bin=bool(content.get("shift")))
        self.window = window_of(*ends)
        self._reveal("both" if content["key"].startswith("Page") else part)

    def _zoomed(self, content: Mapping[str, Any]) -> None:
        (left, right), how = ends_of(self.view), content["how"]
        half = (right - left) // 2
        if how in {"earlier", "later"}:
            by = half if how == "later" else -half
            self._look(left + by, right + by)
        elif how == "out":
            self._look(left - 2 * half, right + 2 * half)
        else:
            self.zoom(self.window if how == "window" else None)

    def _clicked(self, content: Mapping[str, Any]) -> None:
        at = int(content["at"])
        events = [near for near in (self.events.last_before(at), self.events.first_from(at)) if near is not None]
        close = self._marks.nearest(at, int(content["reach"]))
        self.focus = moment(min(close or events or [at], key=lambda near: (abs(near - at), near)))

    def _cell(self, content: Mapping[str, Any]) -> None:
        for listener in self._listeners:
            listener(str(content["grid"]), int(content["row"]), int(content["column"]))

    def __repr__(self) -> str:
        return "TimeBrush(no events)" if self.span is None else f"TimeBrush({self.window!r})"


_REQUESTS = {"window": "_dragged", "key": "_pressed", "zoom": "_zoomed", "focus": "_clicked", "cell": "_cell"}
