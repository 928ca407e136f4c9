"""The widgets of a card of jobs, from the sentence at the top down to the line that says what came of a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as ipw

from replaykit.display import note_html
from replaykit.systems.clawcut.summary_html import pass_text
from replaykit.widgets.bound import check, row
from replaykit.widgets.confirming import Confirming
from replaykit.widgets.jobs_table import JobsGrid, frame_of, job_text
from replaykit.widgets.parts import Copier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replaykit.systems.clawcut.outlook import LiveJob
    from replaykit.systems.clawcut.summary import Summary

__all__ = ["BUSY", "NOTHING_CHOSEN", "JobsFrame"]

BUSY = "Somebody is being asked just now."
NOTHING_CHOSEN = "No job is chosen: choose a row to see all of it, and to ask about it."
_WORDS = {"refresh": "Refresh", "chosen": "Check job…", "shown": "Check shown…"}
_DOES = {
    "refresh": "Read the database again; nobody is asked",
    "chosen": "Ask about the job chosen; what will be asked of whom is said first",
    "shown": "Ask about the oldest of the jobs shown; what will be asked of whom is said first",
}
_WIDE = ipw.Layout(width="auto")


class JobsFrame:
    """What is seen of a card; it decides nothing.

    Parameters
    ----------
    pressed
        Called with what a person did: ``refresh``, ``chosen``, ``shown``, ``writes``, ``ask``, ``cancel``, ``stop``.
    picked
        Called with the job whose row a person chose.
    """

    def __init__(self, pressed: Callable[[str], None], picked: Callable[[LiveJob], None]) -> None:
        self.head, self.passed, self.detail = ipw.HTML(layout=_WIDE), ipw.HTML(layout=_WIDE), ipw.HTML(layout=_WIDE)
        self.head.add_class("replaykit-head")
        self.grid = JobsGrid()
        self.asking = Confirming(pressed)
        """The question with Ask and Cancel, progress with Stop, and the line: ``question``, ``running``, ``line``."""
        self.copier = Copier(label="Copy as code", title="Copy the plain call that does the same")
        self.writes = check("Write the answers", "Off: a dry run, the provider is asked and nothing is written")
        self.buttons = {name: ipw.Button(description=word, layout=_WIDE) for name, word in _WORDS.items()}
        """Buttons by name: ``refresh``, ``chosen``, ``shown``."""
        bar = row(*self.buttons.values(), self.writes, self.copier)
        self.widget = ipw.VBox(
            [self.head, self.passed, self.grid.widget, self.detail, bar, self.asking], layout=_WIDE
        )  # fmt: skip
        self.widget.add_class("replaykit-jobs")
        for name, button in self.buttons.items():
            button.on_click(lambda _, name=name: pressed(name))
        self.writes.observe(lambda _: pressed("writes"), "value")
        self.grid.on_select(lambda row, _: picked(row["job"].job))

    def show(self, summary: Summary, *, fixed: bool) -> None:
        """Show how the jobs stand; `fixed` says that the clock is not the machine's."""
        clock = f"{summary.at:%Y-%m-%d %H:%M:%S} UTC" + (", a fixed time" if fixed else "")
        self.head.value = note_html(f"{summary.sentence} At {clock}.")
        self.passed.value = note_html(pass_text(summary.last_pass))
        self.grid.show(frame_of(summary.jobs), empty="No job waits.", more="card.summary.table")

    def choose(self, job: LiveJob | None) -> None:
        """Say all that there is to say about the job chosen."""
        self.detail.value = note_html(NOTHING_CHOSEN if job is None else job_text(job), 1000)

    def able(self, reasons: Mapping[str, str], *, busy: bool) -> None:
        """Enable each button unless there is a reason against it, which its tooltip says then."""
        for name, button in self.buttons.items():
            hint = BUSY if busy else reasons.get(name, "")
            button.disabled, button.tooltip = bool(hint), hint or _DOES[name]

    def without_kernel(self, summary: Summary) -> str:
        """Return what stands there now as HTML, for readers who have no kernel."""
        line = note_html(self.asking.line) if self.asking.line else ""
        found: Any = summary._repr_html_()
        return f"{line}{found}"
