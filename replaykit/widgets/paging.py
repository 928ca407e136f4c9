"""Paging: a long table page by page, each page read when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as ipw

from replaykit.errors import QueryError
from replaykit.widgets.grid import Grid
from replaykit.widgets.shown import banner, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

__all__ = ["Paging"]

_MOST = 500
_WORDS = {
    "first": ("« First", "Show the first page"),
    "previous": ("‹ Previous", "Show the page before this one"),
    "next": ("Next ›", "Show the page after this one"),
    "last": ("Last »", "Show the last page"),
}


class Paging:
    """A grid, and the buttons and the field that choose its page.

    Parameters
    ----------
    fetch
        ``fetch(limit, offset)`` gives so many rows of the table, without those before. Its order must be by a unique
        key, or rows would be shown twice or never.
    count
        Gives how many rows there are.
    size
        Rows of a page, from 1 to 500.
    grid
        The grid to show pages in; None makes one that is called `label`.
    more, empty
        As for `Grid.show`.

    Raises
    ------
    QueryError
        A page of that size can't be shown.

    Notes
    -----
    Nothing is read before `refresh`. An error of `fetch` or `count` is said below the buttons when a person asked, and
    raised when Python did; the page shown stays.
    """

    def __init__(
        self,
        fetch: Callable[[int, int], pd.DataFrame],
        count: Callable[[], int],
        size: int = 200,
        *,
        label: str = "Rows",
        grid: Grid | None = None,
        more: str = "",
        empty: str = "",
    ) -> None:
        if not 1 <= size <= _MOST:
            raise QueryError(f"A page has from 1 to {_MOST} rows, not {size!r}; read more with SQL.")
        self._page_rows, self._row_count, self._size = fetch, count, size
        self._more, self._empty = more, empty
        self._look: dict[str, Any] = {}
        self.grid = Grid(label) if grid is None else grid
        self.total = 0
        """How many rows there were when the page was read."""
        self._page, self._moving = 1, False
        self.buttons = {name: self._button(name) for name in _WORDS}
        """The buttons, by name: ``first``, ``previous``, ``next``, ``last``."""
        self.typed = ipw.BoundedIntText(
            value=1, min=1, max=1, description="Page", tooltip="Page, from 1: type a number and press Enter",
            layout=ipw.Layout(width="120px"), style={"description_width": "40px"},
        )  # fmt: skip
        self.typed.observe(self._typed, "value")
        self.about, self.trouble = ipw.HTML(), ipw.HTML()
        names = list(self.buttons.values())
        row = ipw.HBox([*names[:2], self.typed, self.about, *names[2:]], layout=ipw.Layout(flex_flow="row wrap"))
        self._row = row
        self.widget = ipw.VBox([row, self.trouble, self.grid.widget], layout=ipw.Layout(width="auto"))
        """Everything, to be put into a layout."""
        self._settle()

    @property
    def page(self) -> int:
        """The page shown, from 1; set it to show another. A page after the last is the last."""
        return self._page

    @page.setter
    def page(self, page: int) -> None:
        self._read(page)

    @property
    def pages(self) -> int:
        """How many pages there are, at least 1."""
        return max(1, -(-self.total // self._size))

    def refresh(
        self,
        fetch: Callable[[int, int], pd.DataFrame] | None = None,
        count: Callable[[], int] | None = None,
        *,
        offset: int = 0,
        more: str | None = None,
        empty: str | None = None,
        **look: Any,
    ) -> None:
        """Read the page again; with another `fetch` and `count`, the page of another table that holds a row.

        Parameters
        ----------
        offset
            The number of that row, from 0.
        more, empty, look
            As for `Grid.show`, from now on. Something callable is asked for each page.
        """
        self._more, self._empty = (self._more if more is None else more), (self._empty if empty is None else empty)
        self._look = look or self._look
        before = (self._page_rows, self._row_count)
        self._page_rows, self._row_count = fetch or self._page_rows, count or self._row_count
        try:
            self._read(offset // self._size + 1 if fetch else self._page)
        except BaseException:
            self._page_rows, self._row_count = before
            raise

    def reveal(self, offset: int) -> None:
        """Show the page that holds the row of this number, from 0, and choose the row; nobody is called back."""
        page = max(0, offset) // self._size + 1
        if page != self._page or self.grid.table is None:
            self._read(page)
        self.grid.select(offset - (self._page - 1) * self._size)

    def _button(self, name: str) -> ipw.Button:
        text, tooltip = _WORDS[name]
        button = ipw.Button(description=text, tooltip=tooltip, layout=ipw.Layout(width="auto"))
        button.on_click(lambda _: self._try(self._meant(name)))
        return button

    def _meant(self, name: str) -> int:
        return {"first": 1, "previous": self._page - 1, "next": self._page + 1, "last": self.pages}[name]

    def _typed(self, change: Mapping[str, Any]) -> None:
        if not self._moving:
            self._try(change["new"])

    def _try(self, page: int) -> None:
        """Do what a person asked for; an exception is said, since nobody would see it elsewhere."""
        try:
            self._read(page)
        except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - as said
            self._settle()
            self.trouble.value = banner("error", sentence(exc))

    def _read(self, page: int) -> None:
        total = int(self._row_count())
        page = min(max(1, page), max(1, -(-total // self._size)))
        start = (page - 1) * self._size
        frame = self._page_rows(self._size, start)
        self._page, self.total = page, max(total, start + len(frame))
        look = {name: given(frame) if callable(given) else given for name, given in self._look.items()}
        self.grid.show(frame, self.total, start=start, more=self._more, empty=self._empty, **look)
        self._settle()

    def _settle(self) -> None:
        """Make buttons, field and text say the page shown."""
        self._moving = True
        try:
            self.typed.max = self.pages
            self.typed.value = self._page
        finally:
            self._moving = False
        for name, button in self.buttons.items():
            button.disabled = self._page == (1 if name in {"first", "previous"} else self.pages)
        self.typed.disabled = self.pages == 1
        self._row.layout.display = "none" if self.pages == 1 else ""
        self.about.value = f"<span>&nbsp;of {self.pages:,}&nbsp;</span>"
        self.trouble.value = ""

    def __repr__(self) -> str:
        return f"Paging(page {self._page:,} of {self.pages:,}, {self.total:,} rows)"
