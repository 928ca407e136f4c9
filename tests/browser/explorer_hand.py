"""A person at an explorer in JupyterLab: what hands do there, and what eyes see."""

from __future__ import annotations

import json
import re

import pytest
from samples import everything

VIEWS = (
    "Actions", "State diff", "State at", "Violations", "Why", "Why not", "Events", "Story", "Metrics", "Verdict",
    "Differing cells", "Problems",
)  # fmt: skip
# One view of each sort: those whose code is run, and those looked at in a narrow window; and, with one that has marks
# in colour, in the dark. In light all are looked at; everything is done to all with --hypothesis-profile=thorough.
TRIED = VIEWS if everything() else ("Actions", "State at", "Why", "Why not", "Verdict")
DARK = VIEWS if everything() else ("State diff", *TRIED)
GRID = """grid => { const rows = [...grid.querySelectorAll('tbody tr')], box = grid.getBoundingClientRect();
  const chosen = rows.findIndex(row => row.classList.contains('selected')), at = rows[chosen]?.getBoundingClientRect();
  return { columns: [...grid.querySelectorAll('thead th')].map(one => one.textContent), chosen,
    glyphs: [...(rows[0]?.cells ?? [])].map(cell => cell.classList.contains('rk-glyph')),
    seen: at ? at.top >= box.top - 1 && at.bottom <= box.bottom + 1 : null,
    rows: rows.map(row => [...row.cells].map(cell => cell.textContent)) }; }"""
# How many rows the table on the screen has, and all that may still change of it: cells, and which row is chosen.
STANDS = """root => { const grids = [...root.querySelectorAll('.replaykit-grid')].filter(one => one.offsetHeight);
  const rows = [...(grids[0]?.querySelectorAll('tbody tr') ?? [])];
  return [rows.length, rows.map(row => row.className + row.textContent).join()]; }"""
# Where Tab stands: its name as a screen reader would say it, and whether a ring shows it.
STOP = """() => { const one = document.activeElement, inside = one.closest('.replaykit-explorer') !== null;
  const label = one.getAttribute('aria-labelledby'), style = getComputedStyle(one);
  const named = label && document.getElementById(label)?.textContent;
  const name = one.ariaLabel || named || one.labels?.[0]?.textContent || one.title || '';
  const ring = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
  return { inside, name: (name || one.textContent).trim().slice(0, 60), ring, tag: one.tagName }; }"""
IN_SIGHT = """cell => { const box = cell.closest('.replaykit-grid').getBoundingClientRect();
  const at = cell.getBoundingClientRect(); return at.top >= box.top && at.bottom <= box.bottom; }"""
CUT = """root => { const box = root.getBoundingClientRect(), own = '.replaykit-grid *, option, .rk-plot *';
  const shown = [...root.querySelectorAll('*')].filter(one => one.offsetParent !== null && !one.matches(own));
  const out = shown.filter(one => { const at = one.getBoundingClientRect();
    return at.width > 0 && (at.right > box.right + 1 || at.left < box.left - 1); });
  const cut = shown.filter(one => one.matches('button, label, .rk-says, [role=status], [role=tab]')
    && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== 'inline');
  return [...out, ...cut].map(one => `${one.tagName}.${one.className.baseVal ?? one.className} ${one.textContent}`
    .slice(0, 120)); }"""
WATCH = """([name, selector, text]) => { (window.times ??= {})[name] = null;
  const look = () => { const found = [...document.querySelectorAll(selector)];
    if (found.some(one => one.checkVisibility() && one.textContent.includes(text)))
      window.times[name] = performance.now();
    else requestAnimationFrame(look); }; requestAnimationFrame(look); }"""
# The capturing listeners come first, so the clock starts with the hand and not with what it set off.
CLOCKS = """window.hands = {}; for (const kind of ['click', 'pointermove'])
  addEventListener(kind, () => { window.hands[kind] = performance.now(); }, true);"""

# During a drag: from a move of the mouse to the number of events inside the window it leads to.
ANSWERS = """() => { window.answers = []; const says = document.querySelector('.rk-says'); let asked = null;
  addEventListener('pointermove', event => { if (event.buttons) asked ??= performance.now(); }, true);
  new MutationObserver(() => { if (asked === null || says.textContent.includes('…')) return;
    window.answers.push(performance.now() - asked); asked = null; }).observe(says, { childList: true }); }"""
STATES = """() => { window.states = []; window.progress = [];
  const root = document.querySelector('.replaykit-explorer'), look = () => {
    const state = root.querySelector('[role=status] b').textContent, bar = root.querySelector('.progress-bar');
    if (state !== window.states.at(-1)) window.states.push(state);
    const told = [...root.querySelectorAll('.widget-label')].find(one => / of .* input/.test(one.textContent));
    if (told && getComputedStyle(bar).visibility === 'visible')
      window.progress.push([told.textContent, bar.style.width]);
  };
  new MutationObserver(look).observe(root, { subtree: true, childList: true, attributes: true, characterData: true });
}"""


class Hand:
    """What a person does with the explorer of a page, and sees of it."""

    def __init__(self, page, playwright):
        self.page, self.expect = page, playwright.expect
        self.root = page.locator(".replaykit-explorer")
        self.banner = self.root.locator("[role=status] >> visible=true").filter(has=page.locator("b")).first
        self.start, self.end = (self.root.get_by_role("slider", name=f"window {part}") for part in ("start", "end"))
        self.grid = self.root.locator(".replaykit-grid >> visible=true")
        self.step = self.root.get_by_role("slider", name="Step")

    def field(self, name):
        """Return the uppermost control of a name."""
        return self.root.get_by_label(name, exact=True).locator("visible=true").first

    def button(self, name):
        """Return the button of a name."""
        return self.root.get_by_role("button", name=name, exact=True)

    def enter(self, name, text):
        """Type into a field."""
        self.field(name).fill(text)
        self.field(name).press("Enter")

    def type_window(self, start, end):
        """Type both ends; in an order in which the window is never empty."""
        ends = [("From", start), ("To", end)]
        for name, text in ends if start < self.field("To").input_value() else ends[::-1]:
            self.enter(name, text)
            self.until(lambda name=name, text=text: self.field(name).input_value()[:16] == text[:16], "the field")
        self.until(lambda: self.said()[0][:16] == start[:16] and self.said()[1][:16] == end[:16], "the brush")

    def said(self):
        """Return the window as the brush says it."""
        return tuple(one.get_attribute("aria-valuetext").split(",")[0] for one in (self.start, self.end))

    def window(self):
        """Return the window as brush, fields and Python say it, once the first two agree."""
        self.until(lambda: self.said() == self.typed(), "brush and fields to agree")
        told = self.ask("print(*map(rk.errors.show_time, explorer.window.bounds()))")
        return self.said(), self.typed(), tuple(told.split())

    def typed(self):
        """Return the window as the fields say it."""
        return self.field("From").input_value(), self.field("To").input_value()

    def focus(self):
        """Return the fields of the focus."""
        return {name: self.field(name).input_value() for name in ("Time", "Entity", "Event")}

    def until(self, test, what, seconds=15):
        """Wait until something is so."""
        for _ in range(seconds * 20):
            if test():
                return
            self.page.wait_for_timeout(50)
        pytest.fail(f"waited {seconds} s for {what}")

    def stands(self, status, seconds=20):
        """Wait until the banner begins with a status; return all it says."""
        self.expect(self.banner.locator("b")).to_have_text(re.compile(rf"^\S {status}$"), timeout=seconds * 1000)
        return self.banner.inner_text()

    def open(self, view):
        """Open a tab, wait for its table, and return what it shows."""
        tab = self.root.get_by_role("tab", name=re.compile(rf"^{view}( \(.*\))?$"))
        tab.click()
        self.expect(tab).to_have_attribute("aria-selected", "true")
        before, found, rows = None, [0, ""], -1
        for _ in range(150):
            if before == found and found[0] == rows:
                return self.table()
            self.page.wait_for_timeout(80)  # the table comes after its caption
            if told := re.search(r": (?:rows ([\d,]+) to )?([\d,]+) (?:row|of)", self.caption(view)):
                first, last = (int(one.replace(",", "")) for one in told.groups(default="1"))
                rows = last - first + 1
            before, found = found, self.root.evaluate(STANDS)
        return pytest.fail(f"the table of {view} is not what its caption says: {self.caption(view)}")

    def caption(self, view):
        """Return the line above a view's table."""
        found = self.root.locator("[role=status] >> visible=true").filter(has_text=re.compile(rf"^(∅ )?{view}: "))
        found.first.wait_for()
        return found.first.inner_text()

    def table(self):
        """Return columns, rows, and the row chosen of the table on the screen; None where there are no rows."""
        return self.grid.first.evaluate(GRID) if self.grid.count() else None

    def cell(self, row, column):
        """Return a cell of the table on the screen by its column's name."""
        place = self.table()["columns"].index(column)
        return self.grid.locator("tbody tr").nth(row).locator("td, th").nth(place)

    def at(self, share, height=60):
        """Return the point at a share of the brush's width."""
        box = self.root.locator(".rk-plot").bounding_box()
        return box["x"] + share * box["width"], box["y"] + height

    def ask(self, code):
        """Run code in the last cell and return what it prints."""
        return self._run(self.page.locator(".jp-CodeCell").last, code)

    def copy(self):
        """Copy the code of the open view to the clipboard."""
        self.page.evaluate("navigator.clipboard.writeText('')")
        self.root.get_by_role("button", name="Copy as code").click()
        self.until(self.clipboard, "the clipboard")

    def paste(self):
        """Paste the clipboard into the cell below the explorer and run it."""
        return self._run(self.page.locator(".jp-CodeCell").nth(2), None)

    def _run(self, cell, code):
        prompt = cell.locator(".jp-InputPrompt").first
        before = prompt.inner_text()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Control+v") if code is None else self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Control+Enter")
        self.until(lambda: prompt.inner_text() != before and "*" not in prompt.inner_text(), "the cell to end")
        return "".join(cell.locator(".jp-OutputArea-output").all_text_contents())

    def told(self):
        """Return the columns and rows, as the texts a table shows, of what the cell run last gave."""
        return json.loads(self.ask("print(told(_))"))

    def clipboard(self):
        """Return what is on the clipboard."""
        return self.page.evaluate("navigator.clipboard.readText()")

    def watch(self, name, selector, text=""):
        """Start to look out for a text on the page, frame by frame."""
        self.page.evaluate(WATCH, [name, selector, text])

    def seconds(self, name, since="window.hands.click"):
        """Return how long after the last click, or another time, a text was there."""
        self.page.wait_for_function(f"window.times[{name!r}]", timeout=60_000)
        return self.page.evaluate(f"window.times[{name!r}] - {since}") / 1000

    def picture(self, path):
        """Leave a picture of the explorer behind."""
        self.page.mouse.move(5, 5)
        self.root.screenshot(path=path)
