"""Hands: what a person does in an explorer, by mouse, keyboard or typing, and what it means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

from replaykit.asked import ask
from replaykit.focus import Focus
from replaykit.widgets.standing import widened
from replaykit.widgets.tables import keys_of
from replaykit.window import Window, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replaykit.widgets.explorer import Explorer

__all__ = ["Hands"]


def _watched(method: Callable[..., None]) -> Callable[..., None]:
    """Show what a callback raises in the explorer, since nobody would see it elsewhere."""

    @wraps(method)
    def watching(self: Hands, *given: Any) -> None:
        self.explorer.error = None
        try:
            method(self, *given)
        except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - as said
            self.explorer._fail(exc)

    return watching


class Hands:
    """Takes over what the controls, the tables and the brush of an explorer were told."""

    def __init__(self, explorer: Explorer) -> None:
        self.explorer = explorer

    @_watched
    def chosen(self, name: str, value: Any) -> None:
        """Take over a control by the name of what it stands for, and its value."""
        one = self.explorer
        if name in ("start", "end"):
            one.window = Window(one.frame.start.value, one.frame.end.value)
        elif name == "window":
            one.window = value
        elif name in ("focus", "time", "entity", "event"):
            one.focus = self._focus(name, value)
        elif name == "mend":
            self._mend()
        elif name == "ask":
            one.view = value
        else:
            self._set(name, value)
            one.refresh()

    @_watched
    def picked(self, row: Mapping[str, Any], column: str | None) -> None:
        """Take over a row, and the column of the cell if it names something."""
        one = self.explorer
        one.frame.offer(row)
        if one.run is not None:
            ask(one.choice, one.run, one.view, row, column)
        one.focus = one.focus.moved(row, column, keys_of(one.view, one.choice, one.run))

    def _focus(self, name: str, value: Any) -> Focus:
        """Return the focus that was chosen on the brush, or typed."""
        one = self.explorer
        if isinstance(value, Focus):
            return value
        if name == "focus":
            return replace(one.focus, time=value[0], event=value[1])
        if name == "time":
            time = parse_time(value, what="focus", span=one.recording.span) if value.strip() else None
            return replace(one.focus, time=time, event=None)
        return replace(one.focus, **{name: value})

    def _set(self, name: str, value: Any) -> None:
        if name == "ticks":
            self.explorer.options["ticks"] = value
        elif name != "view":
            setattr(self.explorer.choice, name, value)
        if name == "why_not_kind":
            self.explorer.choice.why_not_field = ""
        if name in ("kinds", "text"):
            self._filter()

    def _mend(self) -> None:
        one = self.explorer
        if one.choice.kinds or one.choice.text:
            one.choice.kinds, one.choice.text = (), ""
            self._filter()
            one.refresh()
        else:
            one.window = widened(one.recording, one.window)

    def _filter(self) -> None:
        one = self.explorer
        one.choice.offset = 0
        one.frame.brush.filter(one.choice.kinds or None, one.choice.text or None)
