"""Parts: a slider over steps that says the time, and a button that copies a text; both draw with explorer.js."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets as t

__all__ = ["CSS", "ESM", "Copier", "Scrubber"]

ESM = Path(__file__).with_name("explorer.js")
"""The only JavaScript there is; a widget's ``part`` says which function in it draws the widget."""
CSS = Path(__file__).with_name("explorer.css")


class Scrubber(anywidget.AnyWidget):
    """A slider over the steps of a replay.

    ipywidgets' own sliders have no name for screen readers and read out the number alone.
    """

    _esm, _css = ESM, CSS
    part = t.Unicode("scrubber").tag(sync=True)
    value = t.Int(0).tag(sync=True)
    """The step; 0 is the base."""
    most = t.Int(0).tag(sync=True)
    """The last step."""
    said = t.Unicode("").tag(sync=True)
    """The step in words: shown beside it, and read out."""

    @t.validate("value")
    def _within(self, proposal: Any) -> int:
        return min(max(int(proposal["value"]), 0), self.most)

    def __repr__(self) -> str:
        return f"Scrubber(step {self.value} of {self.most})"


class Copier(anywidget.AnyWidget):
    """A button that puts a text on the clipboard; it is hidden while there is none."""

    _esm, _css = ESM, CSS
    part = t.Unicode("copier").tag(sync=True)
    label = t.Unicode("Copy").tag(sync=True)
    title = t.Unicode("").tag(sync=True)
    text = t.Unicode("").tag(sync=True)
    """What is copied."""

    def __repr__(self) -> str:
        return f"Copier({self.label!r})"
