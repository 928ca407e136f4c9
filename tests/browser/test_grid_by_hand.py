"""Grids in a real JupyterLab: hostile texts do nothing, nobody else is asked, mouse and keyboard choose a row."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lab import CHROMIUM, NEEDED, change_theme, errors_in, notebook, open_and_run, serious, started

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = NEEDED
GRID, SAID = ".replaykit-grid", ".python-says"
SETUP = f"""import sys
sys.path.append({str(Path(__file__).parent.parent)!r})
import hostile
import pandas as pd
from ipywidgets import HTML, Button, VBox
from itables.widget import ITable
from replaykit.glance import glance
from replaykit.widgets.grid import GLYPHS, Grid
from replaykit.widgets.paging import Paging
recording = hostile.recording([name for name in hostile.CORPUS if name != "surrogate"])
changes = (["added", "removed", "changed", "error"] * 20)[: len(recording)]
events = recording.events.assign(change=changes, big=2**53 + 1)
said = HTML("nothing")
said.add_class("python-says")
def say(row, column):
    said.value = f"{{row['position']}} {{row['big']}} {{column}} {{len(row['note'])}}"
grid = Grid(hostile.CORPUS["handler"], first=["position", "change"], glyphs={{"change": GLYPHS}})
grid.on_select(say)
grid.show(events)
size = 15
pages = Paging(lambda limit, offset: events.iloc[offset : offset + limit], lambda: len(events), size, label="Pages")
pages.refresh()
def unsafe(_):
    box.children = (*box.children, ITable(pd.DataFrame({{"text": [hostile.CORPUS["handler"]]}}), allow_html=True))
button = Button(description="allow HTML")
button.on_click(unsafe)
box = VBox([grid.widget, said, button])"""
OTHERS = (
    """display(recording, recording.events, glance(recording), recording.story(f"2 {hostile.CORPUS['handler']}"))"""
)


@pytest.fixture(scope="module")
def lab(repository, tmp_path_factory):
    """Start JupyterLab; yield its address and the notebooks' folder."""
    room = tmp_path_factory.mktemp("grid")
    for attempt in (1, 2):
        notebook(
            room / "notebooks" / f"{attempt}.ipynb",
            SETUP,
            "box",
            "pages.widget",
            OTHERS,
            "'done'",
        )
    with started(repository, room) as address:
        yield address, room / "notebooks"


@pytest.fixture(scope="module")
def seen(lab, tmp_path_factory):
    """What was seen in one session; with one more try, since a browser times out now and then."""
    folder = Path(os.environ.get("SCREENSHOTS", "") or tmp_path_factory.mktemp("pictures"))
    try:
        return look(*lab, folder, 1)
    except playwright.Error as error:
        print(f"attempt 1: {error}")
        return look(*lab, folder, 2)


def look(address, notebooks, folder, attempt):
    """Do all there is to do in one session, and return what was seen, by name."""
    seen, asked = {}, []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 2400})
        page.set_default_timeout(10_000)
        page.on("request", lambda request: asked.append(request.url))
        try:
            open_and_run(page, address, str(attempt))
            page.get_by_text("'done'").last.wait_for(timeout=30_000)
            page.locator(f"{GRID} tbody tr").first.wait_for()
            choose(page, seen)
            turn(page, seen)
            for theme in ("Light", "Dark"):
                change_theme(page, theme)
                page.screenshot(path=folder / f"grid-{theme.lower()}-{attempt}.png")
                seen[theme] = serious(page, GRID, ".widget-vbox")
            seen["ran"] = page.evaluate("window.hostile")
            seen["elements"] = page.locator(
                f"{GRID} :is(script, img, svg, iframe, a, style[hostile-marker], [onerror])"
            )
            seen["elements"] = seen["elements"].count()
            seen["errors"] = errors_in(page, notebooks / f"{attempt}.ipynb")
            seen["asked"] = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
            page.get_by_role("button", name="allow HTML").click()
            page.wait_for_function("window.hostile", timeout=10_000)
            seen["unsafe"] = page.evaluate("window.hostile")
            return seen
        finally:
            browser.close()


def choose(page, seen):
    """Choose rows of the first grid by mouse and by keyboard."""
    said, rows = page.locator(SAID), page.locator(GRID).first.locator("tbody tr")

    def hears(position):
        playwright.expect(said).to_contain_text(f"{position} 9007199254740993 None")
        return said.inner_text()

    here = "document.activeElement.querySelector('th').innerText"
    rows.nth(3).locator("td").nth(2).click()
    seen["mouse"] = hears(4)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(700)  # JupyterLab answers a key a little later
    seen["focus after arrows"] = page.evaluate(here)
    page.keyboard.press("Enter")
    seen["keyboard"] = hears(6)
    page.keyboard.press("End")
    page.wait_for_timeout(700)
    seen["focus after End"] = page.evaluate(here)
    page.keyboard.press("Space")
    seen["last"] = hears(rows.count())
    page.keyboard.press("Tab")
    seen["Tab leaves"] = page.evaluate(f"!document.activeElement.closest('{GRID} tbody')")
    seen["chosen"] = page.locator(GRID).first.locator("tr.selected").count()
    seen["rows"] = rows.count()


def turn(page, seen):
    """Turn pages by mouse and by typing; the rows that come are chosen like the first ones."""
    grid = page.locator(GRID).last
    first = grid.locator("tbody tr").first.locator("th")
    page.get_by_role("button", name="Next").click()
    playwright.expect(first).to_have_text("16")
    seen["suppressed"] = grid.locator("tbody tr:not([data-lm-suppress-shortcuts])").count()
    field = page.get_by_role("spinbutton", name="Page")
    field.fill("3")
    field.press("Enter")
    playwright.expect(first).to_have_text("31")
    seen["names"] = page.eval_on_selector_all(f"{GRID} table", "tables => tables.map(one => one.ariaLabel)")


def test_hostile_texts_do_nothing(seen):
    """They are cells, column names, the grid's label, and parts of every other output on the page."""
    assert seen["errors"] == []
    assert seen["rows"] > 40
    assert (seen["ran"], seen["elements"]) == (None, 0)


def test_the_same_text_acts_where_html_is_allowed(seen):
    """Otherwise the test above would be green for nothing."""
    assert seen["unsafe"] == "yes"


def test_nobody_else_is_asked(seen):
    """An incident's data stays on the machine, and the machine may have no network."""
    assert seen["asked"] == []


def test_a_row_chosen_by_mouse_reaches_python_with_its_own_values(seen):
    """An integer beyond 2**53 arrives as it left."""
    assert seen["mouse"].startswith("4 9007199254740993 None")
    assert seen["chosen"] == 1


def test_a_row_chosen_by_keyboard_reaches_python(seen):
    """JupyterLab would take the arrow keys for its cells."""
    assert seen["keyboard"].startswith("6 ")
    assert (seen["focus after arrows"], seen["focus after End"]) == ("6", str(seen["rows"]))
    assert seen["Tab leaves"]


def test_pages_turn_and_their_rows_have_the_same_keys(seen):
    """A page's rows are new rows."""
    assert seen["suppressed"] == 0
    assert seen["names"][1] == f"Pages: rows 31 to {seen['rows']} of {seen['rows']}"


def test_tables_have_a_name(seen):
    """A screen reader says it; it may hold anything."""
    assert seen["names"][0].startswith("<img hostile-marker src=x onerror=")


def test_axe_finds_nothing_serious_in_light_and_dark(seen):
    """Names, roles and contrast, as far as a program can tell."""
    assert (seen["Light"], seen["Dark"]) == ([], [])
