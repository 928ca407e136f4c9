"""Frame: everything of an explorer around its tables, from the brush down to the code."""

from __future__ import annotations

from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as ipw

from replaykit.display import is_empty, note_html, show_text
from replaykit.errors import show_time
from replaykit.focus import Focus, names_entity
from replaykit.glance import glance
from replaykit.views.happened import event_at
from replaykit.widgets.bound import Bound, Quiet, check, row, several, text
from replaykit.widgets.brush import TimeBrush
from replaykit.widgets.parts import Copier
from replaykit.widgets.running import Running
from replaykit.widgets.shown import banner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replaykit.looks import Choice
    from replaykit.recording import Recording
    from replaykit.replayed import Replay
    from replaykit.window import Window

__all__ = ["Frame"]

_TICKS = ("end", "event", "recorded", "1s", "5s", "1min")
_ASKED = {
    "Why": "What made the action, the violation or the cell chosen last so",
    "Why not": "What stopped each rule that could have emitted an action on the entity in focus at the time in focus",
}
_UNASKED = {
    "Why": "Replay, then choose an action, a violation or a cell of the state, to ask what made it so",
    "Why not": "Replay, then choose a row or type an id into Entity, to ask what stopped an action on it",
}
_WIDE = ipw.Layout(width="auto")
_NARROW = {"description_width": "initial"}


class Frame(Quiet):
    """The brush, the window as typed times, filters, the replay button, how things stand, the focus, the code.

    Parameters
    ----------
    changed
        Called with what a person changed, and its new value: a field of the choice, ``window``, ``focus``, ``ticks``.
    work, done, failed, began
        As for `replaykit.widgets.running.Running`; without `work` nothing can be replayed.
    """

    def __init__(
        self,
        recording: Recording,
        pages: Any,
        changed: Callable[[str, Any], None],
        ticks: Any,
        work: Callable[[], Any] | None,
        **calls: Callable[..., None],
    ) -> None:
        self.recording, self._changed = recording, changed
        self._told: Window | None = None
        self.brush = TimeBrush(recording)
        self.start = text("From", "First instant inside the window, UTC; without a day, of the recording's")
        self.end = text("To", "First instant after the window, UTC")
        self.about = ipw.HTML(layout=_WIDE)
        counts = self.brush.events.totals if recording.span is not None else {}
        self.filters = Bound(
            {
                "kinds": several(
                    "Kinds", "Show only events of these kinds; none chosen shows all. The numbers are of all events.",
                    [(f"{show_text(kind, 60) or '(no kind)'} ({number:,})", kind) for kind, number in counts.items()],
                ),
                "text": text(
                    "Find", "Show only events with this text in an id, a column or the payload", "an id, or any text"
                ),
            },
            changed,
        )  # fmt: skip
        told = f"{ticks.total_seconds():g}s" if isinstance(ticks, timedelta) else str(ticks)
        self.ticks = ipw.Combobox(
            value=told, options=_TICKS, description="Ticks", continuous_update=False, layout=ipw.Layout(width="150px"),
            tooltip="When rules and invariants are asked: end, event, recorded, or an interval such as 5s",
            style={"description_width": "initial"},
        )  # fmt: skip
        self.running = Running("Replay", work or (lambda: None), **calls)
        self.banner = ipw.HTML(layout=ipw.Layout(width="auto", flex="1 1 400px"))
        self.mend = ipw.Button(tooltip="Mend it", layout=ipw.Layout(width="auto", display="none"))
        self.details = Copier(label="Copy details", title="Copy the error, its traceback and the code shown")
        self.time = text("Time", "The instant in focus, UTC", "no time", "270px")
        self.entity = ipw.Combobox(
            description="Entity", placeholder="no entity", continuous_update=False, layout=ipw.Layout(width="260px"),
            style={"description_width": "initial"},
            tooltip="The id in focus; the list offers those of the row chosen last",
        )  # fmt: skip
        self.event = text("Event", "The id of the event in focus", "no event", "230px")
        self.clear = ipw.Button(
            description="Clear focus", tooltip="Look at nothing in particular", layout=ipw.Layout(width="auto")
        )
        self.asks = {name: ipw.Button(description=f"{name}?", layout=_WIDE) for name in _UNASKED}
        """Buttons that open the views with answers, by view."""
        self.copier = Copier(label="Copy as code", title="Copy the code that gives this replay and this table")
        self.code_area = ipw.Textarea(
            description="Code", tooltip="The code that gives this replay and this table", style=_NARROW,
            layout=ipw.Layout(width="auto", height="14em", display="none"),
        )  # fmt: skip
        self.show_code = check("show the code", "Show the code that gives this replay and this table")
        self.widget = self._laid_out(pages, replays=work is not None)
        self._listen()

    def _laid_out(self, pages: Any, *, replays: bool) -> Any:
        code = row(self.copier, self.show_code)  # no key opens an Accordion
        if self.recording.span is None:
            box = ipw.VBox([self.banner], layout=_WIDE)
        else:
            parts = [self.brush, row(self.start, self.end, self.about), row(*self.filters.controls.values())]
            parts += [row(self.ticks, *self.running.parts)] if replays else []
            parts.append(row(self.banner, self.mend, self.details))
            parts.append(row(self.time, self.entity, self.event, self.clear, *(self.asks.values() if replays else ())))
            box = ipw.VBox([*parts, pages, code, self.code_area], layout=_WIDE)
        box.add_class("replaykit-explorer")
        return box

    def _listen(self) -> None:
        self.brush.observe_window(lambda window: self._say("window", window))
        self.brush.observe(lambda change: self._say("focus", self._focused(change["new"])), "focus")
        for name, control in (("start", self.start), ("end", self.end), ("ticks", self.ticks)):
            control.observe(lambda change, name=name: self._say(name, change["new"]), "value")
        self.time.observe(lambda _: self._say("time", self.time.value), "value")
        for name in ("entity", "event"):
            getattr(self, name).observe(lambda change, name=name: self._say(name, change["new"] or None), "value")
        self.clear.on_click(lambda _: self._say("focus", Focus()))
        for name, button in self.asks.items():
            button.on_click(lambda _, name=name: self._say("ask", name))
        self.mend.on_click(lambda _: self._say("mend", None))
        self.show_code.observe(lambda change: self._open_code(change["new"]), "value")

    def _open_code(self, shown: bool) -> None:
        self.code_area.layout.display = None if shown else "none"

    def _say(self, name: str, value: Any) -> None:
        if not self._quiet:
            self._changed(name, value)

    def _focused(self, time: Any) -> Any:
        """Return the change of focus that a click on the brush means."""
        return (time, None if time is None else event_at(self.recording, time))

    def follow(self, choice: Choice, run: Replay | None = None) -> None:
        """Make everything say what is chosen; without a replay nothing can be asked."""
        with self.quiet():
            self.start.value, self.end.value = map(show_time, choice.window.bounds())
            self.brush.window, self.brush.focus = choice.window, choice.focus.time
            focus = choice.focus
            self.time.value = "" if focus.time is None else show_time(focus.time)
            self.entity.value, self.event.value = focus.entity or "", focus.event or ""
        self.filters.follow(choice)
        for name, there in (("Why", choice.asked), ("Why not", choice.why_not_fields)):
            self.asks[name].disabled = run is None or not there
            self.asks[name].tooltip = _UNASKED[name] if self.asks[name].disabled else _ASKED[name]
        if self._told != choice.window:
            self._told = choice.window
            self.about.value = note_html(glance(self.recording, choice.window).sentence)

    def stand(self, status: str, told: str, details: str = "", mend: tuple[str, str] | None = None) -> None:
        """Say how things stand, with the button that mends it (its text and what it does), and details to copy."""
        self.banner.value = banner(status, told)
        self.details.text = details
        self.mend.layout.display = "none" if mend is None else ""
        if mend is not None:
            self.mend.description, self.mend.tooltip = mend

    def code(self, text: str) -> None:
        """Show the code."""
        self.code_area.value = self.copier.text = text

    def offer(self, row: Mapping[str, Any]) -> None:
        """Let the entity be chosen among the ids of a row."""
        ids = [str(value) for name, value in row.items() if names_entity(name) and not is_empty(value)]
        with self.quiet():
            self.entity.options = tuple(dict.fromkeys(one for one in ids if one))

    def without_kernel(self, run: Replay | None) -> str:
        """Return what stands there now as HTML, for readers who have no kernel."""
        found = "" if run is None else run._repr_html_()
        code = f"<pre>{escape(self.code_area.value)}</pre>"
        return f"{self.banner.value}{self.about.value}{found}{code}"
