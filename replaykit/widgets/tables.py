"""Tables: which rows an explorer's open view shows, from memory or page by page from DuckDB, and the row in focus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.errors import QueryError
from replaykit.looks import ASKED, RECORDED, answered, evaluated, expression
from replaykit.views.happened import event_place
from replaykit.views.standing import entity_place, first_touched, state_size

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from replaykit.looks import Choice
    from replaykit.recording import Recording
    from replaykit.replayed import Replay

__all__ = ["Shown", "Tables", "keys_of", "table_of"]


@dataclass(frozen=True)
class Shown:
    """The table of a view."""

    text: str
    """The expression that gives it."""
    fetch: Callable[[int, int], pd.DataFrame]
    """``fetch(limit, offset)`` gives some of its rows."""
    count: int
    """How many rows it has."""
    place: int | None = None
    """The row in focus, from 0."""
    offset: int = 0
    """The row to begin with where none is in focus."""
    about: str = ""
    """What the rows come to, in words."""
    keys: tuple[str, ...] = ()
    """Columns that identify a row, where it is one of a state table."""


class Tables:
    """The tables of one recording, under what its user calls it.

    Parameters
    ----------
    paged
        Called with the offset when a page of events was read.
    """

    def __init__(self, recording: Recording, name: str, paged: Callable[[int], None]) -> None:
        self.recording, self.name, self._paged = recording, name, paged
        self._held: tuple[Any, pd.DataFrame, str] | None = None

    def shown(self, view: str, choice: Choice, run: Replay | None, counted: int) -> Shown:
        """Return what a view shows; `counted` is the number of events that pass the filter inside the window.

        Raises
        ------
        QueryError
            The view needs something that is not there: the message says what to do.
        """
        if view not in RECORDED and run is None:
            raise QueryError("Press Replay: this view shows what the rules made of the window.")
        if view == "Story" and choice.focus.entity is None:
            raise QueryError("Choose a row anywhere, or type an id into Entity: the story is that of one entity.")
        if view == "Why" and not choice.asked:
            raise QueryError("Choose an action, a violation, or a cell of the state: this view says what made it so.")
        if view == "Why not" and not choice.why_not_fields:
            raise QueryError("Choose a row anywhere, or type an id into Entity: this view says what stopped the rules.")
        if view == "Events":
            return self._events(choice, counted)
        if view == "State at":
            assert run is not None
            return self._state(choice, run)
        text, keys = expression(view, choice, self.name), keys_of(view, choice, run)
        frame, said = self._whole(text, run, answers=view in ASKED)
        return Shown(
            text, lambda limit, offset: frame.iloc[offset : offset + limit], len(frame),
            choice.focus.place_in(frame, keys), about=said or _about(view, choice, run), keys=keys,
        )  # fmt: skip

    def _events(self, choice: Choice, counted: int) -> Shown:
        def fetch(limit: int, offset: int) -> pd.DataFrame:
            self._paged(offset)
            return evaluated(expression("Events", choice, self.name, (limit, offset)), self.recording, None, self.name)

        text = expression("Events", choice, self.name, (0, 0))
        place = event_place(self.recording, choice.window, choice.focus, kinds=choice.kinds or None, text=choice.text)
        if place is not None and place >= counted:
            place = None
        return Shown(text, fetch, counted, place, choice.offset)

    def _state(self, choice: Choice, run: Replay) -> Shown:
        def fetch(limit: int, offset: int) -> pd.DataFrame:
            text = expression("State at", choice, self.name, (limit, offset))
            return evaluated(text, self.recording, run, self.name)

        text, focus, table = expression("State at", choice, self.name), choice.focus, choice.table
        place = None if focus.entity is None else entity_place(run, table, focus.entity, step=choice.step)
        offset = first_touched(run, table, step=choice.step) or 0
        size = state_size(run, table, step=choice.step)
        return Shown(text, fetch, size, place, offset, keys=run.history.keys[table])

    def _whole(self, text: str, run: Replay | None, *, answers: bool) -> tuple[pd.DataFrame, str]:
        """Return a view's table and what it says in words, held as long as the same is asked for."""
        if self._held is None or self._held[0] != (text, run):
            found = answered(text, self.recording, run, self.name) if answers and run is not None else None
            self._held = ((text, run), *(found or (evaluated(text, self.recording, run, self.name), "")))
        return self._held[1:]


def _about(view: str, choice: Choice, run: Replay | None) -> str:
    if view != "State diff" or run is None:
        return ""
    return str(run.diff[choice.changed].summary if choice.changed else run.diff.count)


def keys_of(view: str, choice: Choice, run: Replay | None) -> tuple[str, ...]:
    """Return the columns that identify a row of a view, where it shows one state table."""
    table = {"State at": choice.table, "State diff": "" if choice.gross else choice.changed}.get(view)
    return tuple(run.history.keys[table]) if run is not None and table else ()


def table_of(run: Replay, choice: Choice) -> str:
    """Return the state table that holds the entity in focus at the step chosen; the one shown if it does, or none."""
    if choice.focus.entity is not None:
        for name in dict.fromkeys([choice.table or run.history.tables[0], *run.history.tables]):
            if entity_place(run, name, choice.focus.entity, step=choice.step) is not None:
                return name
    return choice.table
