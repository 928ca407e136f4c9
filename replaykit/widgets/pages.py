"""Pages: the views of an explorer as tabs, each with its controls and one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as ipw

from replaykit.display import is_empty
from replaykit.looks import PAGE
from replaykit.widgets.grid import GLYPHS, Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from replaykit.looks import Choice
    from replaykit.reconciler import Reconciler
    from replaykit.recording import Recording
    from replaykit.replay import Replay

__all__ = ["Pages"]

_ROWS = 300


class Pages:
    """One tab for each view. Only the open one is filled."""

    def __init__(self, recording: Recording, reconciler: Reconciler | None, views: Sequence[str]) -> None:
        self.views = tuple(views)
        self.grids = {name: Grid(name, glyphs={"change": GLYPHS}) for name in self.views}
        self.kinds = ipw.SelectMultiple(
            options=[(f"{row.kind} ({row.events:,})", row.kind) for row in recording.kinds.itertuples()],
            rows=4, description="Kinds", tooltip="Show only these kinds of events; none chosen shows all",
        )  # fmt: skip
        self.text = ipw.Text(
            description="Find", continuous_update=False, placeholder="an id, or part of a payload",
            tooltip="Show only rows that hold this text",
        )  # fmt: skip
        self.entity = ipw.Text(
            description="Entity", continuous_update=False, tooltip="The id whose story is told",
        )  # fmt: skip
        tables = tuple(reconciler.tables) if reconciler is not None else ()
        self.table = ipw.Dropdown(options=tables, description="Table", tooltip="The state table to show")
        self.changed = ipw.Dropdown(
            options=[("all tables", ""), *((name, name) for name in tables)], description="Table",
            tooltip="The table whose changes to show",
        )  # fmt: skip
        self.step = ipw.IntSlider(
            min=0, max=0, description="Step", continuous_update=False,
            tooltip="The step whose state is shown; arrow keys move by one",
        )  # fmt: skip
        self.every = ipw.Checkbox(description="every action", tooltip="Each action by itself, not as episodes")
        self.earlier = ipw.Button(description="Earlier", tooltip="The page of events before")
        self.later = ipw.Button(description="Later", tooltip="The next page of events")
        self.moment = ipw.Label(tooltip="What the step applied")
        self.tabs = ipw.Tab(
            [ipw.VBox([*self._controls(name), self.grids[name].widget]) for name in self.views],
            titles=self.views, layout=ipw.Layout(width="auto"),
        )  # fmt: skip
        self.widget = self.tabs
        self._moving = False
        self._offset = 0

    def _controls(self, name: str) -> list[Any]:
        given = {
            "Events": [self.kinds, self.text, self.earlier, self.later],
            "Actions": [self.every],
            "State diff": [self.changed],
            "State at": [self.table, self.step, self.moment],
            "Story": [self.entity],
        }.get(name)
        return [ipw.HBox(given, layout=ipw.Layout(flex_flow="row wrap"))] if given else []

    @property
    def view(self) -> str:
        """The open view."""
        return self.views[self.tabs.selected_index or 0]

    def open(self, name: str) -> None:
        """Open a view."""
        if name not in self.views:
            raise ValueError(f"There is no view {name!r}; the views are {list(self.views)}.")
        self._moving = True
        try:
            self.tabs.selected_index = self.views.index(name)
        finally:
            self._moving = False

    def listen(
        self, chosen: Callable[[Mapping[str, Any]], None], picked: Callable[[Mapping[str, Any], str | None], None]
    ) -> None:
        """Call ``chosen`` with what a control now says, and ``picked`` with a chosen row."""
        from replaykit.focus import Focus

        def say(change: Mapping[str, Any]) -> None:
            if not self._moving:
                chosen(change)

        def on(control: Any, name: str, made: Callable[[Any], Any] = lambda value: value) -> None:
            control.observe(lambda change: say({name: made(change["new"])}), "value")

        on(self.kinds, "kinds", tuple)
        on(self.text, "text")
        on(self.table, "table")
        on(self.changed, "table")
        on(self.step, "step")
        on(self.every, "every")
        on(self.entity, "focus", lambda value: Focus(entity=value or None))
        self.tabs.observe(lambda _: say({}), "selected_index")
        self.earlier.on_click(lambda _: chosen({"offset": max(self._offset - PAGE, 0)}))
        self.later.on_click(lambda _: chosen({"offset": self._offset + PAGE}))
        for grid in self.grids.values():
            grid.on_select(picked)

    def prepare(self, choice: Choice, run: Replay | None) -> None:
        """Make the controls say what is chosen."""
        self._moving = True
        try:
            self._offset = choice.offset
            self.earlier.disabled = choice.offset == 0
            self.entity.value = choice.focus.entity or ""
            if self.view == "State at":
                choice.table = choice.table or (self.table.options[0] if self.table.options else "")
                self.table.value = choice.table or None
            elif self.view == "State diff":
                self.changed.value = choice.table
            if run is not None:
                self.step.max = run.after_step
                choice.step = run.after_step if choice.step is None else min(choice.step, run.after_step)
                self.step.value = choice.step
                self.moment.value = _told(run, choice.step)
        finally:
            self._moving = False

    def show(self, frame: pd.DataFrame, *, more: str, offset: int, page: int) -> None:
        """Show a table in the open view."""
        self.later.disabled = len(frame) < page
        total = offset + len(frame)
        self.grids[self.view].show(
            frame.head(_ROWS), total, start=offset, more=more, empty="No rows: widen the window or clear the filters."
        )

    def show_nothing(self, why: str) -> None:
        """Say in the open view why there is nothing to show, and what mends it."""
        import pandas as pd

        self.grids[self.view].show(pd.DataFrame(), empty=why)


def _told(run: Replay, step: int) -> str:
    """Return what a step applied, in words."""
    steps = run.steps
    found = steps[steps["step"] == step].to_dict("records")
    if not found:
        return "the base"
    parts = (found[0][name] for name in ("input", "kind", "event_id"))
    return " ".join(str(part) for part in parts if not is_empty(part))
