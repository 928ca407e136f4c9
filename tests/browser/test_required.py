"""Where there is no Chromium, tests in a browser are skipped and say how to get one; in CI that is a failure."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # others take ten times as long to load


@pytest.mark.parametrize(("required", "code"), [("", 0), ("required", 1)])
def test_a_skipped_browser_fails_only_where_it_is_required(repository, tmp_path, required, code):
    """As `.ci/run` sets it."""
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/browser/test_quickstart.py"],
        cwd=repository,
        env={**os.environ, "PATH": str(tmp_path), "REPLAYKIT_BROWSER": required, **QUICK},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == code, found.stdout
    assert "apt-get install chromium" in found.stdout
    assert ("1 error" if code else "1 skipped") in found.stdout
