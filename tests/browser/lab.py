"""A JupyterLab of its own for tests that drive a browser: nothing of the person's settings, nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TOKEN = "only-for-this-test"
TAKE_AWAY = """looked => { const far = '.replaykit-grid tbody tr:nth-child(n+6):not(.selected):not(:has(.rk-marked))';
  const cells = [...document.querySelectorAll('.jp-Cell')].filter(one => !one.querySelector(looked));
  window.away = [...cells, ...document.querySelectorAll(`${far}, .jp-Cell .lm-mod-hidden`)]
    .map(node => { const place = document.createComment(''); node.replaceWith(place); return [node, place]; }); }"""
NEEDED = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; get one with: apt-get install chromium"),
    pytest.mark.skipif(shutil.which("jupyter-lab", path=Path(sys.executable).parent) is None, reason="no JupyterLab"),
    # asyncio inside playwright and the server's pipes are closed by the garbage collector, later than pytest likes.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
"""Marks of every test that needs one."""


@contextlib.contextmanager
def started(repository, room):
    """Start JupyterLab in a folder that holds `notebooks`; give its address."""
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
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/api?token={TOKEN}", server)
            yield address
        finally:
            stop(server)


def seen_in_two_tries(repository, room, folder, sources, look):
    """Return what `look` sees in a notebook of these cells; with one more try, since a browser times out now and then.

    It is called as ``look(address, notebooks, folder, attempt)``; each attempt has a notebook of its own.
    """
    from playwright.sync_api import Error

    for attempt in (1, 2):
        notebook(room / "notebooks" / f"{attempt}.ipynb", *sources)
    with started(repository, room) as address:
        try:
            return look(address, room / "notebooks", folder, 1)
        except Error as error:
            print(f"attempt 1: {error}")
            return look(address, room / "notebooks", folder, 2)


def stop(server):
    """Stop the server; one told to while a kernel of its own was starting never ends by itself, so it is made to."""
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
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


def open_and_run(page, address, name):
    """Open a notebook in a workspace of its own and run all its cells."""
    page.goto(f"{address}/lab/workspaces/test-{name}/tree/notebooks/{name}.ipynb?token={TOKEN}")
    # The light at the notebook is idle before there is a kernel; the status bar says what is true.
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=30_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def notebook(path, *sources):
    """Write a notebook of these code cells."""
    cells = [
        {"cell_type": "code", "id": f"c{number}", "execution_count": None, "metadata": {}, "outputs": [], "source": one}
        for number, one in enumerate(sources)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


def errors_in(page, path):
    """Save the notebook and return the errors in it; cells far from the screen are not drawn."""
    before = path.stat().st_mtime_ns
    page.evaluate("document.activeElement.blur()")  # a widget may keep JupyterLab's keys for itself
    page.keyboard.press("Control+s")
    for _ in range(40):
        if path.stat().st_mtime_ns != before:
            break
        page.wait_for_timeout(250)
    else:
        pytest.fail(f"{path.name} was not saved, so nothing is known of errors in it")
    cells = [cell for cell in _written(page, path)["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    return [f"{one['ename']}: {one['evalue']}" for one in outputs if one["output_type"] == "error"]


def _written(page, path):
    """Return a notebook's JSON, as soon as it is written to its end."""
    for _ in range(40):
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(path.read_text())
        page.wait_for_timeout(250)
    return json.loads(path.read_text())


def change_theme(page, theme):
    """Choose ``"Light"`` or ``"Dark"`` from the menu."""
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.locator(".lm-Menu-itemLabel", has_text="Theme").first.hover()
    page.locator(".lm-Menu-itemLabel", has_text=f"JupyterLab {theme}").first.click()
    page.wait_for_selector(f"body[data-jp-theme-light={str(theme == 'Light').lower()}]", state="attached")
    page.wait_for_timeout(500)


def serious(page, *selectors):
    """Return what axe finds inside these that is serious or critical: the rule, and the first element it is about.

    Meanwhile other cells and hidden tabs are taken out of the page, and of a grid all rows but the first ones and those
    chosen or marked: axe needs a second for each thousand elements there are, looked at or not.
    """
    from axe_core_python.sync_playwright import Axe

    page.evaluate(TAKE_AWAY, ", ".join(selectors))
    context, only = {"include": [[one] for one in selectors]}, {"resultTypes": ["violations"]}
    found = Axe().run(page, context=context, options=only)["violations"]
    page.evaluate("() => { for (const [node, place] of window.away) place.replaceWith(node); }")
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in {"serious", "critical"}]


def pictures(factory):
    """Return the folder for screenshots: what SCREENSHOTS names, or one among pytest's temporary files."""
    return Path(os.environ.get("SCREENSHOTS") or factory.mktemp("pictures"))
