"""An explorer of hostile texts in a real JupyterLab: every view and every plain result shows them, and none acts."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

import playwright.sync_api as playwright
from explorer_hand import VIEWS, Hand
from lab import CHROMIUM, NEEDED, change_theme, errors_in, open_and_run, pictures, seen_in_two_tries

pytestmark = NEEDED
HANDLER = """<img hostile-marker src=x onerror="window.hostile='yes'">"""
ACTING = ":is([hostile-marker], [onerror], [onload], [onfocus], [ontoggle], [onclick], [href^='javascript:'], iframe)"
SETUP = f"""import sys
sys.path.append({str(Path(__file__).parent.parent)!r})
import hostile
import pandas as pd
import replaykit as rk
from ipywidgets import Button, VBox
from itables.widget import ITable
texts = [name for name in hostile.CORPUS if name != "surrogate"]
frame = hostile.frame(texts)
things = pd.DataFrame({{"id": frame["id"], "note": frame["note"]}})
others = things.assign(note=things["note"] + hostile.CORPUS["handler"])
recording = hostile.recording(texts, keys={{"things": "id"}}, snapshots=[
    rk.Snapshot({{"things": things.head(10)}}, at="2026-01-01T00:00:10Z"),
    rk.Snapshot({{"things": others}}, at="2026-01-01T00:00:40Z"),
])
made = rk.Reconciler("<b>made</b>", {{"things": rk.Table(key="id", id="VARCHAR", note="VARCHAR")}})
@made.apply(*sorted(set(frame["kind"])))
def seen(state, event):
    if event["note"] == hostile.CORPUS["format"]:
        raise KeyError(hostile.CORPUS["handler"])
    state["things"].upsert(id=event.id, note=event["note"])
@made.rule(hostile.CORPUS["handler"], key=["id"])
def act(state, now):
    yield from (rk.Action(row["note"][:200] or "none", **row) for row in state["things"].find())
made.invariant(hostile.CORPUS["svg"], "SELECT id, note FROM things", key="id")
def unsafe(_):
    box.children = (*box.children, ITable(pd.DataFrame({{"text": [hostile.CORPUS["handler"]]}}), allow_html=True))
button = Button(description="allow HTML")
button.on_click(unsafe)
box = VBox([button])"""
SHOW = """explorer = rk.explore(recording, made, base="empty", on_error="keep")
explorer"""
PLAIN = """from IPython.display import display
from replaykit.glance import glance
run = explorer.run
plain = [recording, recording.report, recording.events, recording.kinds, glance(recording),
    recording.episodes("events", key="kind"), recording.unexplained(), recording.story(frame["id"][2]),
    recording.snapshot(0), run, run.diff, run.verdict, run.violations, run.problems, run.actions, run.after,
    run.history("things", frame["id"][2]), explorer]
for one in plain[:-1]:
    display(one)
for one in plain:
    print(repr(one))
print("shown", len(plain))"""


@pytest.fixture(scope="module")
def seen(repository, tmp_path_factory):
    """Return what was seen in one session."""
    room, folder = tmp_path_factory.mktemp("hostile"), pictures(tmp_path_factory)
    return seen_in_two_tries(repository, room, folder, (SETUP, SHOW, "box", ""), look)


def look(address, notebooks, folder, attempt):
    """Show everything there is in one session, and return what was seen, by name."""
    seen = {"asked": [], "shouts": [], "views": {}}
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 2300})
        page.set_default_timeout(15_000)
        page.on("request", lambda request: seen["asked"].append(request.url))
        page.on("pageerror", lambda error: seen["shouts"].append(str(error)))
        hand = Hand(page, playwright)
        try:
            open_and_run(page, address, attempt)
            hand.root.locator(".rk-plot path[data-kind]").first.wait_for(timeout=60_000)
            replay_and_walk(hand, seen)
            for theme in ("Dark", "Light"):
                change_theme(page, theme)
                hand.picture(folder / f"explorer-hostile-{theme.lower()}.png")
            seen["plain"] = hand.ask(PLAIN)
            seen["ran"], seen["elements"] = page.evaluate("window.hostile ?? 'nothing'"), page.locator(ACTING).count()
            seen["errors"] = errors_in(page, notebooks / f"{attempt}.ipynb")
            seen["elsewhere"] = [url for url in seen["asked"] if not url.startswith((address, "data:", "blob:", "ws:"))]
            page.get_by_role("button", name="allow HTML").click()
            page.wait_for_function("window.hostile", timeout=10_000)
            seen["unsafe"], seen["unsafe elements"] = page.evaluate("window.hostile"), page.locator(ACTING).count()
            return seen
        except BaseException:
            page.screenshot(path=folder / f"explorer-hostile-failed-{attempt}.png")
            raise
        finally:
            browser.close()


def replay_and_walk(hand, seen):
    """Replay, open every view and choose a row in it, filter by a hostile text, and type one where a time belongs."""
    seen["legend"] = hand.root.locator(".rk-legend li").all_inner_texts()
    seen["tips"] = []
    for place in range(44):  # one event a second
        hand.page.mouse.move(*hand.at((place + 0.1) / 43.2))
        seen["tips"].append(hand.root.locator(".rk-tip").text_content())
    hand.button("Replay").click()
    hand.stands("contradicted", 60)
    for view in VIEWS:
        seen["views"][view] = hand.open(view)
        if seen["views"][view]:
            hand.cell(min(2, len(seen["views"][view]["rows"]) - 1), seen["views"][view]["columns"][0]).click()
            hand.page.wait_for_timeout(200)
        hand.enter("Entity", f"2 {HANDLER}")
    hand.field("show the code").press("Space")
    hand.open("Story")
    hand.until(lambda: "story" in hand.field("Code").input_value(), "the code of the story")
    seen["code"] = hand.field("Code").input_value()
    hand.enter("From", HANDLER)
    seen["error"] = hand.stands("error")
    hand.enter("From", "2026-01-01T00:00:00Z")
    hand.enter("Find", HANDLER)
    hand.until(lambda: "44 events" not in hand.root.locator(".rk-says").inner_text(), "the filter")
    seen["filtered"] = hand.open("Events")


@pytest.mark.parametrize("view", [view for view in VIEWS if view not in {"Metrics", "Verdict"}])  # numbers
def test_every_view_shows_hostile_texts(seen, view):
    """As texts: what is a tag in a browser stands in a cell, character by character."""
    shown = seen["views"][view]
    texts = [*shown["columns"], *(cell for row in shown["rows"] for cell in row)]
    assert any("<img hostile-marker" in text or "<script hostile-marker" in text for text in texts)


def test_around_the_views_they_are_texts_too(seen):
    """In the legend, the tip, an error's banner and the code."""
    assert any("hostile-marker" in text for text in seen["legend"])
    assert any("hostile-marker" in text for text in seen["tips"])
    assert "<img hostile-marker" in seen["error"]
    assert repr(f"2 {HANDLER}") in seen["code"]
    place = seen["filtered"]["columns"].index("note")
    assert seen["filtered"]["rows"][0][place] == HANDLER


def test_plain_results_show_them(seen):
    """By HTML and by repr, all in one cell."""
    assert "shown 18" in seen["plain"]
    assert "<img hostile-marker" in seen["plain"]


def test_nothing_acts_and_nobody_else_is_asked(seen):
    """No script, handler, frame or link, no address from a text, no error in a cell or in the page."""
    assert (seen["ran"], seen["elements"]) == ("nothing", 0)
    assert seen["elsewhere"] == []
    assert (seen["shouts"], seen["errors"]) == ([], [])


def test_the_same_text_acts_where_html_is_allowed(seen):
    """Otherwise the test above would be green for nothing."""
    assert seen["unsafe"] == "yes"
    assert seen["unsafe elements"] > 0
