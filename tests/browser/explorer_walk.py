"""One session with an explorer on an incident: everything a person may do there, once, and what was seen of it."""

from __future__ import annotations

import re
from statistics import median

import playwright.sync_api as playwright
from explorer_asks import ask
from explorer_hand import ANSWERS, CLOCKS, CUT, DARK, IN_SIGHT, STATES, STOP, TRIED, VIEWS, Hand
from lab import CHROMIUM, TOKEN, change_theme, errors_in, open_and_run, serious

SETUP = """import json
import replaykit as rk
from replaykit.display import show_value
from replaykit.systems import gastown
town = gastown.load_trace("../sample_data/gastown-incident")
window = rk.Window("2026-03-26T14:20Z", "2026-03-26T14:30Z")
def told(frame):
    rows = [[show_value(value) for value in row] for row in frame.itertuples(index=False)]
    return json.dumps({"columns": [str(name) for name in frame.columns], "rows": rows})
'loaded'"""
SHOW = """explorer = rk.explore(town, gastown, window=window, ticks="recorded", actions="recorded")
explorer"""
CANCEL = "click on Cancel to cancelled, a replay of the whole incident"
FROM, TO = "2026-03-26T14:20:00Z", "2026-03-26T14:30:00Z"


def look(address, notebooks, folder, attempt):
    """Do all there is to do in one session, and return what was seen, by name."""
    seen = {"asked": [], "shouts": [], "seconds": {}}
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        allowed = ["clipboard-read", "clipboard-write"]
        page = browser.new_context(viewport={"width": 1300, "height": 2300}, permissions=allowed).new_page()
        page.set_default_timeout(15_000)
        page.add_init_script(CLOCKS)
        page.on("request", lambda request: seen["asked"].append(request.url))
        page.on("pageerror", lambda error: seen["shouts"].append(str(error)))
        page.on("console", lambda one: seen["shouts"].append(one.text) if one.type == "error" else None)
        hand = Hand(page, playwright)
        try:
            begin(hand, seen, address, attempt)
            for part in (choose_windows, replay, follow_focus, scrub, ask):
                part(hand, seen)
            copy_all(hand, seen, folder)
            for part in (mend, filter_events, cancel):
                part(hand, seen)
            show_in_the_dark(hand, seen, folder)
            walk_by_keyboard(hand, seen)
            make_narrow(hand, seen, folder)
            seen["errors"] = errors_in(page, notebooks / f"{attempt}.ipynb")
            come_back(page, seen, address, attempt)
            return seen
        except BaseException:
            page.screenshot(path=folder / f"explorer-failed-{attempt}.png")
            raise
        finally:
            browser.close()


def begin(hand, seen, address, attempt):
    """Open the notebook and run all."""
    open_and_run(hand.page, address, attempt)
    hand.watch("loaded", ".jp-OutputArea-output", "loaded")
    hand.watch("drawn", ".rk-plot path[data-kind]")
    seen["seconds"]["first picture, from running the cell"] = hand.seconds("drawn", "window.times.loaded")
    hand.stands("nothing yet")


def choose_windows(hand, seen):
    """Choose windows by mouse, by keyboard and by typing."""
    page = hand.page
    hand.root.get_by_role("button", name="Zoom to window").click()
    hand.until(lambda: hand.root.locator(".rk-body").bounding_box()["width"] > 300, "the zoom")
    page.evaluate(ANSWERS)
    box = hand.end.bounding_box()
    x, y = box["x"] + 6, box["y"] + 50
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 16):
        page.mouse.move(x - 20 * step, y)
        page.wait_for_timeout(100)
    page.mouse.up()
    seen["mouse"] = hand.window()
    seen["seconds"]["histogram during a drag (median), from a move to the number of events inside"] = (
        median(page.evaluate("window.answers")) / 1000
    )
    hand.end.focus()
    page.keyboard.press("ArrowRight")
    hand.until(lambda: hand.said() != seen["mouse"][0], "the key")
    seen["keyboard"] = hand.window()
    hand.type_window("2026-03-26T14:21:00Z", "2026-03-26T14:29:30.5Z")
    seen["typing"] = hand.window()
    hand.type_window(FROM, TO)


def replay(hand, seen):
    """Replay the window, then move it away and back."""
    hand.page.evaluate(STATES)
    hand.watch("verdict", "[role=status] b", "verified")
    hand.button("Replay").click()
    seen["seconds"]["click on Replay to verdict, ten minutes of the incident"] = hand.seconds("verdict")
    seen["verdict"] = hand.stands("verified")
    seen["states"], seen["progress"] = hand.page.evaluate("[window.states, window.progress]")
    seen["tabs"] = hand.root.get_by_role("tab").all_inner_texts()
    hand.type_window(FROM, "2026-03-26T14:31:00Z")
    seen["stale"] = hand.stands("stale")
    hand.type_window(FROM, TO)
    seen["fresh"] = hand.stands("verified")


def follow_focus(hand, seen):
    """Choose an action, look where it is in other views, choose an id in it, and a mark of the brush."""
    table = hand.open("Actions")
    seen["clicked"] = dict(zip(table["columns"], table["rows"][9], strict=True))
    hand.cell(9, "rule").click()
    hand.until(lambda: hand.focus()["Time"], "the focus")
    hand.page.wait_for_timeout(500)
    seen["focus"], seen["still chosen"] = hand.focus(), hand.table()["chosen"]
    seen["followed"] = {view: hand.open(view) for view in ("State diff", "State at", "Events", "Story")}
    table = hand.open("Actions")
    place = next(number for number, row in enumerate(table["rows"]) if "/" in row[table["columns"].index("entity")])
    cell = hand.cell(place, "agent_id")
    cell.click()
    hand.page.wait_for_timeout(700)
    seen["id clicked"], seen["entity"] = cell.inner_text(), hand.focus()["Entity"]
    mark = hand.root.locator(".rk-plot svg text[text-anchor=middle]", has_text="△").nth(3).bounding_box()
    before = hand.focus()["Time"]
    hand.page.mouse.click(mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2)
    hand.until(lambda: hand.focus()["Time"] != before, "the focus of a mark")
    seen["mark"] = hand.ask("print(explorer.focus.time in set(explorer.run.actions['at']))").strip()
    seen["focus line"] = hand.root.locator(".rk-focus").is_visible()


def scrub(hand, seen):
    """Move the step by keyboard and by mouse, and look at what it changed."""
    hand.open("State at")
    hand.button("Clear focus").click()
    hand.until(lambda: not any(hand.focus().values()), "no focus")
    hand.field("Table").select_option(label="beads")

    def said():
        return hand.step.get_attribute("aria-valuetext")

    def move(act):
        before = said()
        act()
        hand.until(lambda: said() != before, "the step")
        return said()

    seen["step"] = said()
    hand.step.focus()
    seen["step by key"] = move(lambda: hand.page.keyboard.press("ArrowRight"))
    for _ in range(60):
        if re.search(r"\bbeads \d", said()):
            break
        move(lambda: hand.page.keyboard.press("ArrowRight"))
    hand.page.wait_for_timeout(600)
    seen["changing step"], seen["changed"] = said(), hand.grid.locator("td.rk-marked").all_inner_texts()
    seen["changed row"] = hand.grid.locator("tbody tr", has=hand.page.locator(".rk-marked")).first.inner_text()
    seen["changed in sight"] = hand.grid.locator(".rk-marked").first.evaluate(IN_SIGHT)
    seen["button"] = move(hand.button("Step before").click)
    seen["step by mouse"] = move(hand.step.click)  # in the middle
    hand.step.focus()
    seen["last step"] = move(lambda: hand.page.keyboard.press("End"))


def copy_all(hand, seen, folder):
    """In every view, leave a picture and ask axe; copy as code, paste it into the cell below, run, keep both tables."""
    seen["copied"], seen["Light"] = {}, {}
    hand.enter("Entity", "rpc-bead-0057")
    for view in VIEWS:
        shown, caption = hand.open(view), hand.caption(view)
        picture(hand, seen, folder, view, "Light")
        if view not in TRIED:
            continue
        hand.copy()
        pasted = hand.paste()
        seen["copied"][view] = caption, shown, hand.told(), pasted


def mend(hand, seen):
    """Type what is no time, copy the details; choose a window without events, and widen it."""
    hand.enter("From", "half past two")
    seen["error"] = hand.stands("error")
    hand.root.get_by_role("button", name="Copy details").click()
    hand.until(lambda: "Traceback" in hand.clipboard(), "the details")
    seen["details"] = hand.clipboard()
    hand.enter("From", FROM)
    seen["mended"] = hand.stands("verified")
    hand.type_window("2026-03-26T14:22:00.000001Z", "2026-03-26T14:22:00.000002Z")
    seen["empty"] = hand.stands("empty")
    hand.button("Widen").click()
    seen["widened"] = hand.stands("stale")
    seen["events of it"] = hand.root.locator(".rk-says").inner_text()
    hand.type_window(FROM, TO)


def filter_events(hand, seen):
    """Filter by kind and by text."""
    says = hand.root.locator(".rk-says")

    def look_at(act):
        before = says.inner_text()
        act()
        hand.until(lambda: says.inner_text() != before, "the number of events")
        return says.inner_text(), hand.open("Events"), hand.caption("Events")

    hand.open("Events")
    kinds = hand.field("Kinds")
    seen["one kind"] = look_at(lambda: kinds.select_option("container_status (1,052)"))
    seen["next kind"] = look_at(lambda: kinds.press("ArrowDown"))
    seen["all kinds"] = look_at(lambda: kinds.select_option([]))
    seen["one text"] = look_at(lambda: hand.enter("Find", "not_found"))
    hand.enter("Find", "no event says this")
    seen["filtered out"] = hand.stands("empty")
    hand.button("Clear the filter").click()
    hand.stands("verified")


def cancel(hand, seen):
    """Cancel a replay of the whole recording, then replay the window again."""
    hand.type_window("2026-03-26T08:01:00Z", "2026-03-26T19:59:00Z")
    hand.button("Replay").click()
    hand.root.get_by_text(re.compile(r"^[1-9][\d,]* of [\d,]+ inputs")).wait_for(timeout=30_000)
    hand.watch("cancelled", "[role=status] b", "cancelled")
    hand.button("Cancel").click()
    seen["seconds"][CANCEL] = hand.seconds("cancelled")
    seen["cancelled"] = hand.stands("cancelled")
    hand.type_window(FROM, TO)
    hand.stands("verified")
    hand.button("Replay").press("Enter")
    seen["Enter"] = hand.stands("running")
    hand.stands("verified")


def show_in_the_dark(hand, seen, folder):
    """Leave pictures of views in the other theme, and ask axe."""
    hand.open("Actions")
    hand.cell(4, "rule").click()
    change_theme(hand.page, "Dark")
    seen["Dark"] = {}
    for view in DARK:
        hand.open(view)
        picture(hand, seen, folder, view, "Dark")


def picture(hand, seen, folder, view, theme):
    """Leave a picture of the open view, and ask axe; around the view all is the same, so that it is asked once."""
    hand.picture(folder / f"explorer-{view.replace(' ', '-').lower()}-{theme.lower()}.png")
    part = " .widget-tab-contents" if seen[theme] else ""
    seen[theme][view] = serious(hand.page, ".replaykit-explorer" + part)


def walk_by_keyboard(hand, seen):
    """Go through the explorer with Tab alone, and open a tab and the code with keys."""
    press, seen["stops"] = hand.page.keyboard.press, {}
    for view in ("State at", "Actions"):
        hand.open(view)
        hand.root.get_by_role("button").first.focus()
        press("Tab")
        press("Shift+Tab")
        stops = [hand.page.evaluate(STOP)]
        while stops[-1]["inside"] and len(stops) < 80:
            press("Tab")
            stops.append(hand.page.evaluate(STOP))
        seen["stops"][view] = stops
    hand.root.get_by_role("tab", name="Actions").focus()
    press("ArrowRight")
    press("Enter")
    hand.caption("State diff")
    hand.field("show the code").press("Space")
    seen["code by key"] = hand.field("Code").input_value()
    seen["open code"] = serious(hand.page, ".replaykit-explorer")
    hand.field("show the code").press("Space")


def make_narrow(hand, seen, folder):
    """Look at views in a window of 600 pixels."""
    hand.page.keyboard.press("Control+b")  # fold the side bar
    hand.page.set_viewport_size({"width": 600, "height": 2300})
    hand.page.wait_for_timeout(700)
    seen["cut"] = {}
    for view in TRIED:
        hand.open(view)
        seen["cut"][view] = hand.root.evaluate(CUT)
    hand.open("Actions")
    hand.picture(folder / "explorer-narrow.png")
    hand.page.set_viewport_size({"width": 1300, "height": 2300})


def come_back(page, seen, address, attempt):
    """Shut the kernel down and load the page again."""
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_role("menuitem", name="Shut Down Kernel", exact=True).click()
    page.wait_for_timeout(1000)
    page.goto(f"{address}/lab/workspaces/back-{attempt}/tree/notebooks/{attempt}.ipynb?token={TOKEN}")
    page.locator(".jp-OutputArea-output", has_text="1,704").first.wait_for(timeout=30_000)
    seen["back"] = page.locator(".jp-CodeCell").nth(3).locator(".jp-OutputArea-output").inner_text()
