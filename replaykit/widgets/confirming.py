"""Confirming: a question with Ask and Cancel, progress with Stop, and a line that says what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets as t

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Confirming"]


class Confirming(anywidget.AnyWidget):
    """What stands between a button and asking somebody.

    Each question has a number. A click says which question it was about, so that one that arrives late, after the
    question was withdrawn or another was put, does nothing; nor does a second click.
    """

    _esm, _css = Path(__file__).with_name("jobs_card.js"), Path(__file__).with_name("jobs_card.css")
    question = t.Unicode("").tag(sync=True)
    """What will be done if it is confirmed; empty if nothing is asked."""
    about = t.Unicode("").tag(sync=True)
    """More of it, below."""
    number = t.Int(0).tag(sync=True)
    """Grows with every question."""
    running = t.Unicode("").tag(sync=True)
    """What goes on; empty if nothing does."""
    done = t.Int(0).tag(sync=True)
    total = t.Int(0).tag(sync=True)
    stoppable = t.Bool(False).tag(sync=True)
    status = t.Unicode("note").tag(sync=True)
    """A word for the line: ``done``, ``failed``, ``error``, ``look``, ``void``, ``stopped``, ``note``."""
    line = t.Unicode("").tag(sync=True)
    """What came of it."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        super().__init__()
        self._heard = heard
        self.on_msg(self._received)

    def put(self, question: str, about: str = "") -> None:
        """Show a question; one that was shown before can't be confirmed any more."""
        with self.hold_sync():
            self.number += 1
            self.question, self.about, self.line = question, about, ""

    def begin(self, text: str, *, stoppable: bool) -> None:
        """Say that something goes on, in place of the question."""
        with self.hold_sync():
            self.question = self.about = ""
            self.running, self.stoppable, self.done, self.total, self.line = text, stoppable, 0, 0, ""

    def far(self, text: str, done: int, total: int) -> None:
        """Say how far it is."""
        with self.hold_sync():
            self.running, self.done, self.total = text, done, total

    def say(self, status: str, text: str) -> None:
        """Say what came of it; nothing is asked and nothing goes on any more."""
        with self.hold_sync():
            self.question = self.about = ""
            self.running, self.stoppable, self.status, self.line = "", False, status, text

    def _received(self, _: Any, content: Any, __: Any) -> None:
        """Take a click from a browser; whatever else arrives is passed over."""
        if not isinstance(content, dict) or content.get("number") != self.number:
            return
        if content.get("do") in ("ask", "cancel") and not self.question:
            return
        if content.get("do") in ("ask", "cancel", "stop"):
            self._heard(content["do"])

    def __repr__(self) -> str:
        return f"Confirming({self.question or self.running or self.line!r})"
