"""Bound: controls that say what an explorer's choice says, and change it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ipywidgets as ipw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from replaykit.looks import Choice

__all__ = ["Bound", "Quiet", "check", "choose", "row", "several", "text"]


class Quiet:
    """What can move its widgets without anybody taking it for a person's choice."""

    _quiet = False

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Listen to no widget inside the block."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before


class Bound(Quiet):
    """Controls, each bound to the field of a choice that has its name.

    Parameters
    ----------
    controls
        Widgets by field.
    changed
        Called with the field and its new value when a person changed a control.
    """

    def __init__(self, controls: Mapping[str, Any], changed: Callable[[str, Any], None]) -> None:
        self.controls = dict(controls)
        self._changed = changed
        for name, control in self.controls.items():
            control.observe(self._listener(name), "value")

    def __getitem__(self, name: str) -> Any:
        return self.controls[name]

    def _listener(self, name: str) -> Callable[[Any], None]:
        def listen(change: Any) -> None:
            if not self._quiet:
                self._changed(name, change["new"])

        return listen

    def follow(self, choice: Choice) -> None:
        """Make the controls say what the choice says; what a control can't say, the choice says no longer."""
        with self.quiet():
            for name, control in self.controls.items():
                wanted = getattr(choice, name)
                options = getattr(control, "options", None)
                if options is not None and not isinstance(control, ipw.Combobox):
                    known = [one[1] if isinstance(one, tuple) else one for one in options]
                    wanted = _possible(wanted, known)
                    setattr(choice, name, wanted)
                control.value = wanted

    def offer(self, name: str, options: Iterable[Any]) -> None:
        """Let a control choose among these."""
        control, given = self.controls[name], tuple(options)
        if tuple(control.options) != given:
            with self.quiet():
                control.options = given


def _possible(wanted: Any, known: list[Any]) -> Any:
    if isinstance(wanted, tuple):
        return tuple(one for one in wanted if one in known)
    return wanted if wanted in known else (known[0] if known else None)


_STYLE = {"description_width": "initial"}


def text(name: str, tooltip: str, hint: str = "", width: str = "260px") -> ipw.Text:
    """Return a field for a text, heard when a person presses Enter or leaves it."""
    return ipw.Text(
        description=name, placeholder=hint, tooltip=tooltip, continuous_update=False, style=_STYLE,
        layout=ipw.Layout(width=width),
    )  # fmt: skip


def choose(name: str, tooltip: str, options: Iterable[Any] = (), width: str = "220px") -> ipw.Dropdown:
    """Return a list to choose one of."""
    return ipw.Dropdown(
        options=tuple(options), description=name, tooltip=tooltip, style=_STYLE, layout=ipw.Layout(width=width)
    )


def several(name: str, tooltip: str, options: Iterable[Any] = (), rows: int = 4) -> ipw.SelectMultiple:
    """Return a list to choose several of; none chosen means all."""
    return ipw.SelectMultiple(
        options=tuple(options), rows=rows, description=name, tooltip=tooltip, style=_STYLE,
        layout=ipw.Layout(width="320px"),
    )  # fmt: skip


def check(name: str, tooltip: str) -> ipw.Checkbox:
    """Return something to switch on."""
    return ipw.Checkbox(description=name, tooltip=tooltip, indent=False, layout=ipw.Layout(width="auto"))


def row(*controls: Any) -> ipw.HBox:
    """Return controls side by side, below each other where the window is narrow."""
    return ipw.HBox(controls, layout=ipw.Layout(flex_flow="row wrap", grid_gap="2px 12px", align_items="center"))
