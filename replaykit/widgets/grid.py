"""Grid: some hundred rows of a table in a browser, as plain text, with a row to choose by mouse or keyboard.

The table is itables' widget (DataTables). Both candidates were tried in JupyterLab 4.6 with Chromium, on 300 rows of 12
columns. **ipydatagrid** 1.4 draws on a canvas: there is no text for a screen reader and no stop for the Tab key, one
NaT in a column keeps the whole table from appearing ("RangeError: Invalid time value"), 9007199254740993 is shown as
1, and containers as "[object Object]". **itables** 2.9 makes a real HTML table, escapes cells and column names as long
as ``allow_html`` is off, asks no host, follows the theme, and axe finds nothing serious in it.

It is not usable by keyboard as it is: JupyterLab takes the arrow keys and Enter before it, every row is a stop for
Tab, and a widget's caption is lost, so that the table has no name. `_SETUP`, a fixed text, mends these; it is given as
a drawCallback, since itables drops an initComplete. Values go to the browser as texts made by `show_value`, so integers
are never rounded there. Each table sends itables' script (0.7 MB) once, when it first has rows; 300 rows of 12 columns
are 0.1 MB.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as ipw
import numpy as np
import pandas as pd
from itables.typing import JavascriptFunction
from itables.widget import ITable

from replaykit.display import EMPTY, count, show_text, show_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["GLYPHS", "Grid"]

GLYPHS = {
    "added": "+", "insert": "+", "opened": "+", "removed": "−", "delete": "−", "closed": "−",
    "changed": "~", "update": "~", "error": "!", "violated": "!", "contradicted": "!",
}  # fmt: skip
"""A glyph for each word that means a change, so that no meaning hangs on a colour."""

_MOST = 500
_MOST_COLUMNS = 40
# JupyterLab looks for its attribute on the focused element first, so an ancestor's comes too late for the arrow keys.
# Fixed text; what it shows comes from the options, as data. Rows become one stop for Tab, moved by arrows, Home, End.
_SETUP = """function () {
  const api = this.api(), box = api.table().container(), table = api.table().node();
  const rows = () => [...table.tBodies[0].rows];
  const rove = row => row && rows().forEach(each => { each.tabIndex = each === row ? 0 : -1; });
  if (box.dataset.replaykit) return;
  box.dataset.replaykit = 'set up';
  box.querySelectorAll('tr, [tabindex]').forEach(each => each.setAttribute('data-lm-suppress-shortcuts', 'true'));
  table.setAttribute('aria-label', api.init().replaykitName);
  table.querySelectorAll('tbody .rk-glyph').forEach(cell => { cell.dataset.glyph = cell.textContent[0]; });
  const { replaykitMarks, replaykitCells, replaykitGrid } = api.init();
  let chosen = null, frame = null; // brought into sight, also when the table gets its size later, until a hand moves it
  for (const [row, column, glyph] of replaykitMarks) {
    const cell = api.cell(row, column).node();
    if (cell) { cell.classList.add('rk-marked'); cell.dataset.glyph = glyph; chosen ??= cell.parentNode; }
  }
  box.addEventListener('click', event => { // instead of the row's choice, which might arrive after it
    const cell = event.target.closest('tbody td, tbody th'), place = cell && api.cell(cell).index();
    if (!place || !replaykitCells.includes(place.column)) return;
    const detail = { grid: replaykitGrid, row: place.row, column: place.column };
    if (!box.dispatchEvent(new CustomEvent('replaykit-cell', { bubbles: true, cancelable: true, detail })))
      event.stopPropagation();
  }, true);
  api.on('draw', () => rove(rows()[0]));
  box.addEventListener('focusin', event => rove(event.target.closest('tbody tr')));
  box.addEventListener('keydown', event => {
    const end = { Home: 0, End: -1 }[event.key];
    if (end !== undefined && event.target.closest('tbody')) { event.preventDefault(); rows().at(end).focus(); }
  });
  const reveal = () => {
    const top = chosen?.offsetTop;
    if (chosen && frame && (top < frame.scrollTop + 40 || top > frame.scrollTop + frame.clientHeight - 40))
      frame.scrollTop = top - frame.clientHeight / 2;
  };
  const sized = new ResizeObserver(() => {
    if (!box.isConnected) sized.disconnect();
    else if (!frame) sized.observe(frame = box.closest('.replaykit-grid'));
    reveal();
  });
  sized.observe(box);
  for (const hand of ['wheel', 'pointerdown', 'keydown']) box.addEventListener(hand, () => { chosen = null; });
  api.on('select', (_, __, kind, places) => {
    chosen = api.row(places[0]).node();
    rove(chosen);
    reveal();
  });
}"""
_CSS = """
.replaykit-grid table.dataTable { margin: 0; --dt-row-selected: 0, 114, 178; --dt-row-selected-text: 255, 255, 255; }
.replaykit-grid .dt-container .dt-layout-cell { overflow: visible; }
.replaykit-grid table.dataTable thead th { position: sticky; top: 0; z-index: 2; white-space: nowrap;
  text-align: left !important; background: var(--jp-layout-color2, #eee); color: var(--jp-content-font-color1, #000); }
.replaykit-grid table.dataTable tbody > tr > * { white-space: nowrap; font-weight: normal; text-align: left;
  font-family: var(--jp-code-font-family, monospace); font-size: var(--jp-code-font-size, 13px); }
.replaykit-grid table.dataTable tbody > tr > .dt-type-numeric { text-align: right; }
.replaykit-grid table.dataTable .rk-first { position: sticky; left: 0; z-index: 1;
  background-color: var(--jp-layout-color1, #fff); }
.replaykit-grid table.dataTable thead .rk-first { z-index: 3; background-color: var(--jp-layout-color2, #eee); }
.replaykit-grid table.dataTable tbody > tr { cursor: pointer; scroll-margin-top: 3em; }
.replaykit-grid table.dataTable tbody > tr:focus-visible, .replaykit-grid tr:focus-visible > .rk-first {
  outline: 3px solid var(--jp-content-font-color1, #000); outline-offset: -3px; }
.replaykit-grid [data-glyph] { --meaning: transparent; border-left: 4px solid var(--meaning); }
.replaykit-grid .rk-marked::before { content: attr(data-glyph) " "; font-weight: bold; }
.replaykit-grid table.dataTable tbody > tr > .rk-marked {
  background-color: color-mix(in srgb, var(--meaning) 14%, var(--jp-layout-color1, #fff)); }
.replaykit-grid table.dataTable tbody > tr.selected > .rk-marked { color: var(--jp-content-font-color1, #000); }
.replaykit-grid [data-glyph="+"] { --meaning: #0072B2; }
.replaykit-grid [data-glyph="−"], .replaykit-grid [data-glyph="!"] { --meaning: #D55E00; }
.replaykit-grid [data-glyph="~"] { --meaning: #E69F00; }
"""
# Every option is set here, since itables takes those left out from its own settings, which a notebook may have changed.
_FIXED: dict[str, Any] = {
    "allow_html": False, "maxBytes": 0, "maxRows": 0, "maxColumns": _MOST_COLUMNS, "showIndex": False,
    "show_dtypes": False, "show_df_type": False, "footer": False, "column_filters": False, "paging": False,
    "searching": False, "info": False, "autoWidth": False, "order": [], "css": _CSS, "classes": "display compact",
    "style": "width:auto;margin:0", "text_in_header_can_be_selected": False, "keys": False, "layout": dict.fromkeys(
        ("topStart", "topEnd", "bottomStart", "bottomEnd")),
    "select": {"style": "single", "items": "row", "toggleable": False, "info": False, "keys": True},
    "warn_on_undocumented_option": False, "warn_on_unexpected_option_type": False, "warn_on_unexpected_types": False,
}  # fmt: skip


class Grid:
    """A table of a view: shows a DataFrame as text, says how much of it, and tells which row was chosen.

    Parameters
    ----------
    label
        What the table is, for its caption and for screen readers.
    first
        Columns put first; the very first stays in sight when the table is scrolled sideways.
    glyphs
        For some columns, the glyph put before a value, such as ``{"change": GLYPHS}``.

    Notes
    -----
    Rows can be sorted by a click on a heading only when all rows are there: an order of one page would mislead.
    """

    def __init__(
        self, label: str, *, first: Sequence[str] = (), glyphs: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self.label, self._first, self._glyphs = label, tuple(first), dict(glyphs or {})
        self._frame: pd.DataFrame | None = None
        self._heard: list[Callable[[dict[str, Any], str | None], None]] = []
        self._moving = False
        self.table: ITable | None = None
        """The table itself; None until there are rows to show."""
        self.caption = ipw.HTML(layout=ipw.Layout(width="auto"))
        self.widget = ipw.VBox([self.caption], layout=ipw.Layout(width="auto"))
        """Everything, to be put into a layout."""
        self._say(f"{label}: nothing yet")

    def show(
        self, frame: pd.DataFrame, total: int | None = None, *, start: int = 0, more: str = "", empty: str = "",
        marks: Mapping[tuple[int, str], str] | None = None, cells: Sequence[str] = (), about: str = "",
        first: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Show rows of a frame in their order, at most 500 and 40 columns; nothing is chosen then.

        Parameters
        ----------
        total
            How many rows there are of which `frame` holds some; None is its length.
        start
            How many of them come before the first of `frame`.
        more
            The call that gives all of them, for the caption.
        empty
            For a frame without rows: what is missing, and the call that mends it.
        marks
            Glyphs of `GLYPHS` for cells that are to stand out, by row and column.
        cells
            Columns of which a click on a cell tells more than one on its row; the browser hears of it as an event.
        about
            What the rows come to, for the caption.
        first
            Columns put before those that are first in any frame.
        """
        total = len(frame) if total is None else total
        self._frame = frame.iloc[:_MOST, self._order(frame, (*first, *self._first))]
        shown = len(self._frame)
        told = self._caption(shown, total, start, more, empty)
        self._say(told + (f" ({about})" if about[-1:] not in ("", ".") else about and f". {about}"), alarm=not shown)
        if shown:
            self._draw(whole=shown == total, marks=marks or {}, cells=cells)
        if self.table is not None:
            self.table.layout.display = None if shown else "none"

    def on_select(self, callback: Callable[[dict[str, Any], str | None], None]) -> None:
        """Call ``callback(row, column)`` when a person chooses a row.

        `row` holds the frame's own values, not their texts. `column` is None: itables tells the row, not the cell.
        """
        self._heard.append(callback)

    def cell(self, row: int, column: int) -> tuple[dict[str, Any], str] | None:
        """Return a row shown, as its own values, and the name of one of its columns; None if they are gone."""
        values = self._row(row)
        names = [] if values is None else list(values)
        return (values, names[column]) if values is not None and 0 <= column < len(names) else None

    def select(self, position: int | None) -> None:
        """Choose a row by its position in the frame shown, from 0, and bring it into sight; None chooses none.

        Nobody is called back. A position that is not shown chooses none.
        """
        if self.table is None or self._frame is None:
            return
        chosen = [position] if position is not None and 0 <= position < len(self._frame) else []
        self._moving = True
        try:
            self.table.selected_rows = chosen
        finally:
            self._moving = False

    @property
    def selected(self) -> dict[str, Any] | None:
        """The row chosen, as its own values; None without one."""
        rows = [] if self.table is None or self.table.layout.display == "none" else self.table.selected_rows
        return self._row(rows[0]) if rows else None

    def _order(self, frame: pd.DataFrame, wanted: Sequence[str]) -> list[int]:
        """Return the positions of the columns shown."""
        names = [str(name) for name in frame.columns]
        first = [names.index(name) for name in dict.fromkeys(wanted) if name in names]
        return [*first, *(place for place in range(len(names)) if place not in first)][:_MOST_COLUMNS]

    def _caption(self, shown: int, total: int, start: int, more: str, empty: str) -> str:
        if not shown:
            return f"{self.label}: 0 rows" + (f": {empty}" if empty else ".")
        if shown == total:
            return f"{self.label}: {count(total, 'row')}"
        rows = f"{self.label}: rows {start + 1:,} to {start + shown:,} of {total:,}"
        return f"{rows}; all: {more}" if more else rows

    def _say(self, text: str, *, alarm: bool = False) -> None:
        self._text = show_text(text, 500)
        mark = "∅ " if alarm else ""
        self.caption.value = (
            f'<p role="status" class="tex2jax_ignore mathjax_ignore" style="margin:2px 0;white-space:normal;'
            f'line-height:1.4">{mark}{escape(self._text)}</p>'
        )

    def _draw(self, *, whole: bool, marks: Mapping[tuple[int, str], str], cells: Sequence[str]) -> None:
        """Send the rows; an old selection is gone before the new rows are there."""
        texts, columns = self._texts()
        names = [str(name) for name in self._frame.columns] if self._frame is not None else []
        options: dict[str, Any] = {
            **_FIXED, "ordering": whole, "columnDefs": columns, "drawCallback": JavascriptFunction(_SETUP),
            "replaykitName": self._text, "replaykitGrid": self.label, "selected_rows": [],
            "replaykitMarks": [[row, names.index(name), sign] for (row, name), sign in marks.items() if name in names],
            "replaykitCells": [names.index(name) for name in cells if name in names],
        }  # fmt: skip
        self._moving = True
        try:
            if self.table is None:
                self.table = ITable(texts, **options)
                self.table.add_class("replaykit-grid")
                self.table.layout = ipw.Layout(width="auto", max_height="28em", overflow="auto")
                self.table.observe(self._chosen, "selected_rows")
                self.widget.children = (self.caption, self.table)
            else:
                with self.table.hold_sync():
                    self.table.update(texts, **options)
        finally:
            self._moving = False

    def _texts(self) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
        """Return the frame as texts, and what its columns are."""
        assert self._frame is not None
        frame, columns = self._frame, [{"targets": 0, "className": "rk-first", "cellType": "th"}]
        lists = [[show_value(value) for value in frame.iloc[:, place]] for place in range(frame.shape[1])]
        for place, name in enumerate(map(str, frame.columns)):
            if glyphs := self._glyphs.get(name):
                lists[place] = ["·" if text == EMPTY else f"{glyphs.get(text, '·')} {text}" for text in lists[place]]
                columns.append({"targets": place, "className": "rk-glyph"})
        texts = pd.DataFrame(dict(enumerate(lists)), dtype=object)
        texts.columns = pd.Index([show_value(name, 60) for name in frame.columns])
        return texts, columns

    def _chosen(self, change: Mapping[str, Any]) -> None:
        if self._moving or not change["new"]:
            return
        if (row := self._row(change["new"][0])) is not None:
            for callback in self._heard:
                callback(row, None)

    def _row(self, position: int) -> dict[str, Any] | None:
        """Return the frame's own values of a row; a browser may name one that is gone."""
        if self._frame is None or not 0 <= position < len(self._frame):
            return None
        values = (self._frame.iloc[position, place] for place in range(self._frame.shape[1]))
        return {str(name): _plain(value) for name, value in zip(self._frame.columns, values, strict=True)}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.number | np.bool_) else value
