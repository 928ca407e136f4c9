"""Pages: the views of an explorer as tabs, each with its controls and one table, page by page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import ipywidgets as ipw

from replaykit.asked import Asks
from replaykit.display import show_text
from replaykit.focus import names_entity
from replaykit.looks import PAGE
from replaykit.widgets.bound import Bound, Quiet, check, choose, row, several, text
from replaykit.widgets.grid import GLYPHS, Grid
from replaykit.widgets.paging import Paging
from replaykit.widgets.parts import Scrubber

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from replaykit.looks import Choice
    from replaykit.replayed import Replay
    from replaykit.widgets.tables import Shown

__all__ = ["Pages"]

_EMPTY = {
    "Differing cells": "nothing that was recorded differs from what was replayed; Verdict says what was compared.",
    "Problems": "everything went as the reconciler's author meant.",
    "Verdict": "there was nothing to compare with: no snapshot and no recorded action or check in reach.",
    "Violations": "no invariant was broken, as far as the ticks asked; or clear the filter.",
    "Why": "no cell of the state can be named",
    "State diff": "the window changed nothing, or nothing that lasted; gross shows what was undone.",
}
_WIDEN = "widen the window, or clear the filter."
_FIRST = ("change", "was", "at", "occurred_at", "applied_at")


class Pages(Quiet):
    """One tab for each view. Only the open one is filled.

    Parameters
    ----------
    views
        Their names, in order.
    tables
        The state tables.
    changed
        Called with the field of the choice and its value when a control was changed by hand, and with ``("view",
        name)`` when another tab was opened.
    picked
        Called with a row chosen by hand, and the column if it was one that names something.
    """

    def __init__(
        self,
        views: Sequence[str],
        tables: Sequence[str],
        changed: Callable[[str, Any], None],
        picked: Callable[[Mapping[str, Any], str | None], None],
    ) -> None:
        self.views = tuple(views)
        self.tables: dict[str, Paging] = {name: _paging(name) for name in self.views}
        """The tables, by view."""
        self.scrubber = Scrubber()
        self.bound = {name: Bound(_controls(name, tables), changed) for name in self.views}
        """The controls, by view and by field of the choice."""
        self._shown: dict[str, Any] = {}
        self._asks: Asks | None = None
        self._hand: int | None = None
        self._held: dict[str, Any] = {}
        for name, table in self.tables.items():
            table.grid.on_select(self._selecting(name))
        self._picked = picked
        self.scrubber.observe(lambda change: None if self._quiet else changed("step", change["new"]), "value")
        self.widget = ipw.Tab([self._page(name) for name in self.views], titles=self.views)
        self.widget.layout = ipw.Layout(width="auto")
        self.widget.observe(lambda _: None if self._quiet else changed("view", self.view), "selected_index")

    def _page(self, name: str) -> Any:
        above = [row(*self.bound[name].controls.values())] if self.bound[name].controls else []
        above += [self.scrubber] if name == "State at" else []
        return ipw.VBox([*above, self.tables[name].widget], layout=ipw.Layout(width="auto"))

    @property
    def view(self) -> str:
        """The open view."""
        return self.views[self.widget.selected_index or 0]

    def open(self, name: str) -> None:
        """Open a view."""
        if name not in self.views:
            raise ValueError(f"There is no view {name!r}; the views are {list(self.views)}.")
        with self.quiet():
            self.widget.selected_index = self.views.index(name)

    def cell(self, label: str, place: int, column: int) -> None:
        """Take over that a cell of a table was clicked."""
        if label in self.tables and (found := self.tables[label].grid.cell(place, column)) is not None:
            self._pick(label, place, *found)

    def _selecting(self, name: str) -> Callable[[Mapping[str, Any], str | None], None]:
        def selected(row: Mapping[str, Any], column: str | None) -> None:
            table = self.tables[name].grid.table
            self._pick(name, table.selected_rows[0] if table is not None else 0, row, column)

        return selected

    def _pick(self, name: str, place: int, row: Mapping[str, Any], column: str | None) -> None:
        """Tell a row chosen by hand; while the focus stays there, this row is the chosen one of those that fit it."""
        self._hand = (self.tables[name].page - 1) * PAGE + place
        try:
            self._picked(row, column)
        finally:
            self._hand = None

    def offer(self, run: Replay) -> None:
        """Let the controls choose among what a replay holds."""
        self._asks = Asks(run)
        self.bound["Why not"].offer("why_not_kind", [(show_text(one, 60), one) for one in self._asks.kinds])
        kinds = run.actions["kind"].value_counts().sort_index()
        told = [(f"{show_text(str(kind), 60)} ({number:,})", kind) for kind, number in kinds.items()]
        self.bound["Actions"].offer("action_kinds", told)
        tables = _with_counts(run)
        self.bound["State diff"].offer("changed", [("all tables", ""), *tables])
        self.bound["State at"].offer("table", [name for _, name in tables])

    @property
    def first_table(self) -> str:
        """The state table offered first: one that the replay changed."""
        return str(self.bound["State at"]["table"].options[0])

    def follow(self, choice: Choice, run: Replay | None, said: str) -> None:
        """Make the controls say what is chosen; `said` is the step in words."""
        if "Actions" in self.views:
            several = ("kind", "entity", "rule", "last_at", "-ticks")
            told = ("kind", "entity", "rule", "-at") if choice.every else several
            self.bound["Actions"].offer("action_sort", _orders("emitted", *told))
        if self._asks is not None:
            self._offer_asks(self._asks, choice)
        for bound in self.bound.values():
            bound.follow(choice)
        with self.quiet(), self.scrubber.hold_sync():
            self.scrubber.most = 0 if run is None else run.after_step
            self.scrubber.value = choice.step or 0
            self.scrubber.said = said

    def _offer_asks(self, asks: Asks, choice: Choice) -> None:
        asks.settle(choice)
        kind = choice.why_not_kind
        own = next(iter(choice.why_not_fields), "") if not choice.why_not_field else ""
        fields = [(show_text(name, 60), name) for name in asks.fields(kind)]
        self.bound["Why not"].offer("why_not_field", [(f"where it was seen{own and f': {own}'}", ""), *fields])
        self.bound["Why"].offer(
            "asked_column", [(show_text(one, 60) or "no cell chosen", one) for one in asks.columns(choice.asked)]
        )

    def titles(self, run: Replay | None) -> None:
        """Say in the tabs how much a replay found."""
        counts = {} if run is None else _found(run)
        told = tuple(f"{name} ({counts[name]})" if name in counts else name for name in self.views)
        if self.widget.titles != told:
            self.widget.titles = told

    def show(self, shown: Shown, key: Any, focus: Any = None) -> None:
        """Show a table in the open view, and in it the row in focus; one that is there already is not sent again.

        Parameters
        ----------
        key
            What makes this table another than the one shown.
        focus
            What makes another row the one in focus.
        """
        table, place = self.tables[self.view], shown.place
        if self._hand is not None and self._shown.get(self.view) == key:
            self._held[self.view] = key, focus, self._hand
        if (held := self._held.get(self.view)) is not None and held[:2] == (key, focus):
            place = held[2]
        if self._shown.get(self.view) != key:
            self._shown.pop(self.view, None)
            offset = shown.offset if place is None else place
            cells = _names if self.view.startswith("State") else _ids
            table.refresh(
                shown.fetch, lambda: shown.count, offset=offset, more=shown.text,
                empty=_EMPTY.get(self.view, _WIDEN), marks=_marks, cells=cells, about=shown.about, first=shown.keys,
            )  # fmt: skip
            self._shown[self.view] = key
        if place is None:
            table.grid.select(None)
        else:
            table.reveal(place)

    def show_nothing(self, why: str) -> None:
        """Say in the open view why there is nothing to show, and what mends it."""
        import pandas as pd

        nothing = pd.DataFrame()
        self._shown.pop(self.view, None)
        self.tables[self.view].refresh(lambda _limit, _offset: nothing, lambda: 0, empty=why, about="")


def _paging(name: str) -> Paging:
    return Paging(
        _no_rows, lambda: 0, PAGE, grid=Grid(name, first=_FIRST if name == "State at" else (), glyphs=_GLYPHS)
    )


_GLYPHS = {"change": GLYPHS}


def _no_rows(_limit: int, _offset: int) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame()


def _names(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name in frame.columns]


def _ids(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name in frame.columns if names_entity(str(name))]


def _marks(frame: pd.DataFrame) -> dict[tuple[int, str], str]:
    """Return the cells that a step changed, in a frame of `replaykit.views.state`."""
    if list(frame.columns[:1]) != ["change"] or not str(frame.columns[1]).startswith("was"):
        return {}
    cells = enumerate(frame.iloc[:, 1])
    return {(number, name): "~" for number, was in cells if isinstance(was, str) for name in json.loads(was)}


def _found(run: Replay) -> dict[str, str]:
    return {
        "Actions": f"{len(run.actions):,}",
        "State diff": f"{sum(len(run.diff[name]) for name in run.diff):,}",
        "Violations": f"{len(run.violations):,}",
        "Verdict": run.verdict.status,
        "Differing cells": f"{len(run.verdict.cells):,}",
        "Problems": f"{len(run.problems):,}",
    }


def _orders(first: str, *names: str) -> list[tuple[str, str]]:
    """Return orders to choose among, each with its name; a minus is falling order."""
    told = [(f"by {name[1:]}, falling" if name.startswith("-") else f"by {name}", name) for name in names]
    return [(f"as {first}", ""), *told]


def _with_counts(run: Replay) -> list[tuple[str, str]]:
    """Return the state tables, those that changed first, each with its number of changed rows."""
    counts = sorted((not len(run.diff[name]), name) for name in run.diff)
    return [(f"{name} ({len(run.diff[name]):,})", name) for _, name in counts]


def _controls(name: str, tables: Sequence[str]) -> dict[str, Any]:
    """Return the controls of a view by field of the choice."""
    if name == "Actions":
        return {
            "action_kinds": several("Action kinds", "Show only these kinds of actions; none chosen shows all", rows=3),
            "target": text("Target", "Show only actions on this entity, or with this in a field", "an id"),
            "action_text": text("In actions", "Show only actions that hold this text"),
            "action_sort": choose("Sort", "The order of the rows", _orders("emitted")),
            "every": check("every action", "Each action by itself, not joined into episodes"),
        }
    if name == "State diff":
        return {
            "changed": choose("Table", "The table whose changes to show", [("all tables", "")]),
            "gross": check("gross", "Every change with its step, also what was undone again; else the net difference"),
        }
    if name == "State at":
        return {"table": choose("Table", "The state table to show", tables)}
    if name == "Why":
        return {"asked_column": choose("Column", "Where a cell was chosen: the column to ask about")}
    if name == "Why not":
        return {
            "why_not_kind": choose("Kind of action", "What was not emitted", width="300px"),
            "why_not_field": choose("Field", "The field of that action that the entity in focus is", width="300px"),
        }
    if name == "Violations":
        return {
            "violation_text": text("In violations", "Show only violations that hold this text"),
            "violation_sort": choose(
                "Sort", "The order of the rows", _orders("opened", "invariant", "entity", "-ticks")
            ),
        }
    return {}
