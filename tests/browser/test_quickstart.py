"""The quickstart in a real JupyterLab: everything runs, the panel is drawn, and its button works by mouse."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TOKEN = "only-for-this-test"
BOTTOM = "() => { const notebook = document.querySelector('.jp-WindowedPanel-outer'); notebook.scrollTo(0, 1e6); }"
REPLAY = "button:has-text('Replay')"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    pytest.mark.skipif(shutil.which("jupyter-lab", path=Path(sys.executable).parent) is None, reason="no JupyterLab"),
    # asyncio inside playwright and the server's pipes are closed by the garbage collector, later than pytest likes.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def lab(repository, tmp_path_factory):
    """Start JupyterLab on copies of the notebook, with settings of its own; yield its address and their folder."""
    room = tmp_path_factory.mktemp("lab")
    (room / "notebooks").mkdir()
    for attempt in (1, 2):  # each with a kernel of its own
        shutil.copy(repository / "notebooks" / "quickstart.ipynb", room / "notebooks" / f"{attempt}.ipynb")
    (room / "sample_data").symlink_to(repository / "sample_data")
    quiet = room / "settings" / "@jupyterlab" / "apputils-extension"
    quiet.mkdir(parents=True)
    (quiet / "notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False})
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = {
        "JUPYTERLAB_SETTINGS_DIR": room / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": room / "workspaces",
        "JUPYTER_CONFIG_DIR": room / "config",
        "JUPYTER_DATA_DIR": room / "data",
        "JUPYTER_RUNTIME_DIR": room / "runtime",
    }
    path = os.pathsep.join(filter(None, [str(repository), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    options = ["--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={room}"]
    with (room / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [*command, *options],
            env={**os.environ, **{name: str(folder) for name, folder in folders.items()}, "PYTHONPATH": path},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/api?token={TOKEN}", server)
            yield address, room / "notebooks"
        finally:
            server.terminate()
            server.wait(20)


def wait_for(address, server):
    """Wait until the server answers."""
    for _ in range(120):
        with contextlib.suppress(OSError, urllib.error.URLError), urllib.request.urlopen(address, timeout=2):
            return
        if server.poll() is not None:
            break
        time.sleep(0.5)
    pytest.fail("JupyterLab did not start; see lab.log in the temporary folder")


def errors_in(page, notebook):
    """Save the notebook and return the errors in it; cells far from the screen are not drawn."""
    before = notebook.stat().st_mtime_ns
    page.keyboard.press("Control+s")
    for _ in range(40):
        if notebook.stat().st_mtime_ns != before:
            break
        page.wait_for_timeout(250)
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    return [f"{one['ename']}: {one['evalue']}" for one in outputs if one["output_type"] == "error"]


def look(address, notebooks, folder, attempt):
    """Run the quickstart, click Replay in its last panel, and return what was seen; leave a screenshot behind."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(10_000)
        try:
            page.goto(f"{address}/lab/workspaces/test-{attempt}/tree/notebooks/{attempt}.ipynb?token={TOKEN}")
            # The light at the notebook is idle before there is a kernel; the status bar says what is true.
            page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=30_000)
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
            page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='busy']", timeout=15_000)
            page.evaluate(BOTTOM)
            with contextlib.suppress(playwright.TimeoutError):
                page.wait_for_selector(REPLAY, timeout=60_000)  # drawn by the last cell, when all others have run
            errors = errors_in(page, notebooks / f"{attempt}.ipynb")
            assert errors == []  # our own, and no reason to try again
            return seen_after_click(page)
        finally:
            page.screenshot(path=folder / f"quickstart-{attempt}.png")
            browser.close()


def seen_after_click(page):
    """Change the end of the window, see the result marked stale, press Replay, and return the states passed through."""
    panel = page.locator(".jp-OutputArea-output").filter(has=page.locator(REPLAY)).last
    status = panel.locator("[role=status]")
    states = [status.inner_text().split()[1]]
    end = panel.locator("input[type=text]").nth(1)
    end.fill("2025-09-04T20:46:30Z")
    end.press("Enter")
    playwright.expect(status).to_contain_text("stale")
    states.append("stale")
    panel.locator(REPLAY).click()
    playwright.expect(status).not_to_contain_text("stale", timeout=15_000)
    playwright.expect(status).to_contain_text("unverified", timeout=15_000)
    states.append(status.inner_text().split()[1])
    pictures, tabs = panel.locator("svg[role=img]").count(), panel.get_by_role("tab").all_inner_texts()
    return {"states": states, "pictures": pictures, "tabs": tabs}


def test_quickstart_runs_and_its_panel_replays_by_click(lab, tmp_path):
    """Everything else is tested without a browser; this shows that what a person sees is the same."""
    try:
        seen = look(*lab, tmp_path, 1)
    except playwright.Error as error:  # about one browser run in twenty times out for no reason that could be found
        print(f"attempt 1: {error}")
        seen = look(*lab, tmp_path, 2)

    assert seen["states"] == ["unverified", "stale", "unverified"]
    assert seen["pictures"] == 1
    assert [tab.split()[0] for tab in seen["tabs"]] == ["Actions", "Diff", "Violations", "Problems", "Verdict", "Copy"]
