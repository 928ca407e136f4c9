"""The controls of a panel: each with a name or a tooltip, none with a rule behind it."""

from __future__ import annotations

from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as ipw

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Controls"]

_WIDE = ipw.Layout(width="auto")
_TICKS = ("end", "event", "1s", "5s", "1min")


class Controls:
    """The widgets of a panel and their order from top to bottom."""

    def __init__(self, *, verb: str, ticks: Any) -> None:
        self.moving = False
        """Whether the controls are being moved by code."""
        self.slider = ipw.IntRangeSlider(
            value=(0, 1), min=0, max=1, readout=False, continuous_update=False, layout=_WIDE,
            tooltip="Window: drag an end or the middle; arrow keys move by one bar",
        )  # fmt: skip
        self.start = ipw.Text(description="From", tooltip="First instant inside the window, UTC")
        self.end = ipw.Text(description="To", tooltip="First instant after the window, UTC")
        self.ticks = ipw.Combobox(
            value=f"{ticks.total_seconds():g}s" if isinstance(ticks, timedelta) else str(ticks), options=_TICKS,
            description="Ticks", continuous_update=False,
            tooltip="When rules and invariants are asked: end, event, recorded, or an interval such as 5s",
        )  # fmt: skip
        for text in (self.start, self.end):
            text.continuous_update = False
            text.layout.width, text.style.description_width = "270px", "40px"
        self.ticks.layout.width, self.ticks.style.description_width = "140px", "40px"
        self.button = ipw.Button(description=verb, button_style="primary", tooltip=f"{verb}: panel.code is the call")
        self.zoom_in = ipw.Button(description="Zoom in", tooltip="Spread the window over the slider")
        self.zoom_out = ipw.Button(description="Zoom out", tooltip="Put the whole recording on the slider")
        for button in (self.button, self.zoom_in, self.zoom_out):
            button.layout.width = "auto"
        self.code = ipw.Textarea(
            tooltip="The call that gives this result: select all, copy, paste into a cell",
            layout=ipw.Layout(width="auto", height="15em"),
        )
        self.banner, self.strip, self.about = (ipw.HTML(layout=_WIDE) for _ in range(3))
        self.tabs = ipw.Tab([self.code], titles=["Copy as code"], layout=_WIDE)

    def column(self, *, ticks: bool) -> Any:
        """Return everything in one column, the verdict on top; `ticks` says whether they can be chosen."""
        typed = [self.start, self.end, *([self.ticks] if ticks else [])]
        row = ipw.HBox([*typed, self.button, self.zoom_in, self.zoom_out], layout=ipw.Layout(flex_flow="row wrap"))
        return ipw.VBox([self.banner, self.strip, self.slider, row, self.about, self.tabs], layout=_WIDE)

    def switch_off(self) -> None:
        """Take input no longer."""
        for control in (self.slider, self.start, self.end, self.ticks, self.button, self.zoom_in, self.zoom_out):
            control.disabled = True

    def move(self, times: Sequence[str], bars: tuple[int, int], most: int) -> None:
        """Show a window as typed times and as bars of `most`; meanwhile `moving`, so that nobody takes it for input."""
        self.moving = True
        try:
            self.start.value, self.end.value = times
            self.slider.max = most
            self.slider.value = bars
        finally:
            self.moving = False

    def show(self, views: list[tuple[str, str]]) -> None:
        """Show views of a result, each with its title, before the code; the tab that is open stays open."""
        place = self.tabs.selected_index if len(self.tabs.children) > 1 else 0
        self.tabs.children = (*(ipw.HTML(text, layout=_WIDE) for _, text in views), self.code)
        self.tabs.titles = (*(title for title, _ in views), "Copy as code")
        self.tabs.selected_index = place

    def without_kernel(self) -> str:
        """Return what stands there now as HTML, for readers who have no kernel."""
        parts = (self.banner.value, self.strip.value, self.about.value)
        return f"{''.join(parts)}<pre>{escape(self.code.value)}</pre>"
