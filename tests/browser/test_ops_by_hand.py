"""The card of clawcut's jobs in a real JupyterLab: nobody is asked before it was confirmed; the keyboard does all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

import playwright.sync_api as playwright
from explorer_hand import Hand
from lab import CHROMIUM, NEEDED, change_theme, errors_in, open_and_run, pictures, seen_in_two_tries, serious

pytestmark = NEEDED
CARD, ROWS = ".replaykit-jobs", ".replaykit-grid tbody tr"
SETUP = f"""import sys, tempfile, time
from pathlib import Path
sys.path.append({str(Path(__file__).parents[1] / "systems")!r})
import clawcut_app as app
from replaykit.systems import clawcut
odd = dict(kind="image"), dict(provider_job_id=None), dict(updated_at=None), dict(updated_at=app.ago(3))
jobs = [app.job(id, 300 - 20 * (id - 470), provider="runway" if id % 3 == 0 else "veo") for id in range(470, 482)]
jobs += [app.job(490 + place, 47, **one) for place, one in enumerate(odd)]
database = app.make_app(Path(tempfile.mkdtemp()), jobs, [app.event("app_restarted", 200, reason="deploy")])
asked, pause = [], 0.0
def provider(provider_job_id):
    asked.append(provider_job_id)
    time.sleep(pause)
    return clawcut.Answer("completed")
'ready'"""
SHOW = """card = clawcut.card(database, provider, now=app.NOW, limit=6)
card"""
# Where the keyboard is: what a screen reader would call it, and whether a ring shows it.
HERE = """() => { const one = document.activeElement, style = getComputedStyle(one);
  return [one.textContent.trim() || one.labels?.[0]?.textContent.trim() || one.tagName,
    style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1]; }"""
PROGRESS = """() => { window.progress = []; const far = document.querySelector('.rk-work');
  new MutationObserver(() => { if (!far.hidden) window.progress.push(far.querySelector('span').textContent); })
    .observe(far, { subtree: true, childList: true, characterData: true, attributes: true }); }"""


class Operator(Hand):
    """What a person does with the card of a page, and sees of it."""

    def __init__(self, page):
        super().__init__(page, playwright)
        self.root = page.locator(CARD)
        self.question, self.line = self.root.locator(".rk-question p").first, self.root.locator(".rk-line")
        self.rows = self.root.locator(ROWS)

    def here(self):
        """Return where the keyboard is, and whether a ring shows it."""
        return self.page.evaluate(HERE)

    def tab_to(self, name, key="Tab"):
        """Go there by keyboard; return whether each stop on the way had a ring."""
        rings = []
        for _ in range(12):
            self.page.keyboard.press(key)
            found, ring = self.here()
            rings.append(ring)
            if found == name:
                return all(rings)
        return pytest.fail(f"{key} does not lead to {name}")

    def reads(self, text):
        """Wait for the line that says what came of it; return all of it."""
        self.expect(self.line).to_contain_text(text)
        return self.line.inner_text()

    def asks(self, text):
        """Wait for the question; return it."""
        self.expect(self.question).to_contain_text(text)
        return self.question.inner_text()

    def arrives(self, name):
        """Wait until the keyboard is there."""
        self.until(lambda: self.here()[0] == name, f"the keyboard at {name}")

    def counted(self):
        """Return how often a provider was asked, and how many jobs the database says are completed."""
        code = "print(len(asked), sum(row['status'] == 'completed' for row in app.rows(database)))"
        return tuple(map(int, self.ask(code).split()))


@pytest.fixture(scope="module")
def seen(repository, tmp_path_factory):
    """Return what was seen in one session."""
    room, folder = tmp_path_factory.mktemp("ops"), pictures(tmp_path_factory)
    return seen_in_two_tries(repository, room, folder, (SETUP, SHOW, ""), look)


def look(address, notebooks, folder, attempt):
    """Do all there is to do in one session, and return what was seen, by name."""
    seen = {"requests": [], "shouts": []}
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1500})
        page.set_default_timeout(10_000)
        page.on("request", lambda request: seen["requests"].append(request.url))
        page.on("pageerror", lambda error: seen["shouts"].append(str(error)))
        page.on("console", lambda one: seen["shouts"].append(one.text) if one.type == "error" else None)
        try:
            open_and_run(page, address, str(attempt))
            operator = Operator(page)
            operator.rows.first.wait_for(timeout=30_000)
            for part in (choose, cancel, ask_one, ask_shown, stop, refresh):
                part(operator, seen)
            show(operator, seen, folder)
            seen["errors"] = errors_in(page, notebooks / f"{attempt}.ipynb")
            seen["address"] = address
            return seen
        except BaseException:
            page.screenshot(path=folder / f"ops-failed-{attempt}.png")
            raise
        finally:
            browser.close()


def choose(operator, seen):
    """Choose the third row by keyboard."""
    page = operator.page
    seen["off"] = [operator.button(name).is_disabled() for name in ("Check job…", "Check shown…")]
    operator.rows.first.focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
        page.wait_for_timeout(150)  # JupyterLab answers a key a little later
    operator.expect(operator.root.get_by_text("Job 472,")).to_be_visible()
    seen["row"] = operator.rows.nth(2).inner_text()
    seen["glyphs"] = operator.root.locator("tbody [data-glyph]").evaluate_all("all => all.map(one => one.textContent)")


def cancel(operator, seen):
    """Open the question by keyboard, press what JupyterLab would take, and cancel."""
    page = operator.page
    seen["rings"] = operator.tab_to("Check job…")
    page.keyboard.press("Enter")
    seen["question"] = operator.asks("Ask veo")
    operator.arrives("Cancel")
    cells = page.locator(".jp-Cell").count()
    for key in ("b", "d", "d", "x", "Escape"):
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    seen["keys"] = (page.locator(".jp-Cell").count() - cells, operator.question.is_visible(), operator.here()[0])
    page.keyboard.press("Enter")
    seen["cancelled"] = operator.reads("Cancelled")
    operator.arrives("Check job…")
    seen["asked nobody"] = operator.counted()


def ask_one(operator, seen):
    """Ask about the job chosen, by keyboard."""
    page = operator.page
    operator.button("Check job…").focus()
    page.keyboard.press("Space")
    operator.asks("Ask veo")
    operator.arrives("Cancel")
    operator.tab_to("Ask", "Shift+Tab")
    page.keyboard.press("Enter")
    seen["one"] = operator.reads("Job 472")
    operator.arrives("Check job…")
    seen["asked one"] = operator.counted()


def ask_shown(operator, seen):
    """Ask about the batch with its answers written, by mouse, with a click too many; meanwhile a cell runs."""
    page = operator.page
    operator.ask("pause = 0.3")
    operator.root.get_by_label("Write the answers").check()
    operator.button("Check shown…").click()
    seen["batch question"] = operator.asks("answers are written")
    page.evaluate(PROGRESS)
    operator.button("Ask").dblclick()
    operator.arrives("Stop")
    seen["meanwhile"] = operator.ask("print(card.running)").strip()
    seen["busy"] = [operator.button(name).is_disabled() for name in ("Check job…", "Check shown…", "Refresh")]
    seen["batch"] = operator.reads("written")
    seen["progress"] = page.evaluate("window.progress")
    seen["asked batch"], seen["rows after"] = operator.counted(), operator.rows.count()


def stop(operator, seen):
    """Stop a batch by keyboard."""
    operator.button("Check shown…").click()
    operator.asks("Ask veo")
    operator.button("Ask").click()
    operator.arrives("Stop")
    operator.page.keyboard.press("Enter")
    seen["stopped"] = operator.reads("Stopped")
    operator.arrives("Check shown…")
    seen["asked then"] = operator.counted()


def refresh(operator, seen):
    """Let the app finish a job, and look again; a question that was open is void."""
    before = operator.rows.count()
    operator.ask("app.change(database, 'UPDATE ai_jobs SET status = ? WHERE id = 490', 'completed')")
    operator.button("Check shown…").click()
    operator.asks("Ask veo")
    operator.button("Refresh").click()
    seen["void"] = operator.reads("void")
    operator.expect(operator.rows).to_have_count(before - 1)


def show(operator, seen, folder):
    """Leave pictures in light and dark, with a question and with its answer, and have axe look."""
    page = operator.page
    operator.rows.nth(1).click()
    for theme in ("Light", "Dark"):
        change_theme(page, theme)
        operator.button("Check shown…").click()
        operator.asks("Ask veo")
        operator.picture(folder / f"ops-{theme.lower()}-question.png")
        seen[theme] = serious(page, CARD) if theme == "Light" else None
        operator.button("Cancel").click()
        operator.reads("Cancelled")
        operator.picture(folder / f"ops-{theme.lower()}.png")
    seen["Dark"] = serious(page, CARD)


def test_a_row_is_chosen_by_keyboard_and_its_job_told_in_full(seen):
    """Before that nothing can be asked about one; bucket and outlook have a glyph before the word."""
    assert seen["off"] == [True, False]
    assert seen["row"].split("\t")[:3] == ["472", "veo", "video"]
    assert {"‼ very_stale", "! stale", "✓ fresh", "? unknown", "⚑ needs a person"} <= set(seen["glyphs"])


def test_the_question_opens_by_keyboard_on_cancel_and_keeps_jupyterlabs_keys_away(seen):
    """Letters delete and insert cells otherwise; Escape is left to JupyterLab. Each stop on the way has a ring."""
    assert seen["question"] == "Ask veo about job 472: 1 request. Dry run: nothing is written."
    assert seen["keys"] == (0, True, "Cancel")
    assert seen["rings"]


def test_cancel_asks_nobody(seen):
    """And leads back to the button it came from."""
    assert seen["cancelled"].endswith("Cancelled; nobody was asked.")
    assert seen["asked nobody"] == (0, 0)


def test_ask_asks_once_and_a_dry_run_writes_nothing(seen):
    """The line says both; the keyboard is back where it was."""
    assert re.search(r"✓ done Job 472: completed\..* nothing was written, this was a dry run", seen["one"])
    assert seen["asked one"] == (1, 0)


def test_a_batch_is_written_and_leaves_the_kernel_free(seen):
    """One request for each job although Ask was clicked twice; progress grew; its rows are gone."""
    assert seen["batch question"] == (
        "Ask veo about 4 jobs and runway about 2: 6 requests. The answers are written, one transaction per job."
    )
    assert (seen["meanwhile"], seen["busy"]) == ("True", [True, True, True])
    assert {"1 of 6", "4 of 6"} <= set(seen["progress"])
    assert seen["batch"].endswith("6 of 14 candidates checked: 6 completed; 6 jobs written.")
    assert (seen["asked batch"], seen["rows after"]) == ((7, 6), 10)


def test_a_batch_is_stopped_by_keyboard(seen):
    """After the job at hand."""
    asked, completed = seen["asked then"]
    assert re.search(r"Stopped after [123] of 6\.", seen["stopped"])
    assert asked - 7 == completed - 6
    assert 1 <= asked - 7 <= 3


def test_refresh_reads_again_and_voids_the_question(seen):
    """What was to be confirmed no longer stands there."""
    assert seen["void"].endswith("The question is void: the table was read again. Nobody was asked.")


def test_nothing_goes_wrong_unseen(seen):
    """No error in the notebook or the console, and nobody outside is asked for anything."""
    elsewhere = [url for url in seen["requests"] if not url.startswith((seen["address"], "data:", "blob:"))]
    assert (seen["errors"], seen["shouts"], elsewhere) == ([], [], [])


def test_axe_finds_nothing_serious_in_light_and_dark(seen):
    """With the question open, and with the line below."""
    assert (seen["Light"], seen["Dark"]) == ([], [])
