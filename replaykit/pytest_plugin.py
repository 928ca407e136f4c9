"""The plugin of pytest: ``--rk-approve`` lets `replaykit.testing.assert_golden` write golden files that differ.

Workers of pytest-xdist get the option as every other, and hand back what they wrote when they are done.
"""

from __future__ import annotations

from typing import Any

import pytest

__all__ = [
    "approved",
    "pytest_addoption",
    "pytest_configure",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "pytest_unconfigure",
]

approved: list[str] | None = None
"""Golden files written by this process; None where nothing may be approved."""
_KEY = "replaykit_approved"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--rk-approve``."""
    group = parser.getgroup("replaykit")
    group.addoption(
        "--rk-approve", action="store_true", help="write golden files of replays that differ, and list them"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Allow approving where the option says so."""
    global approved  # noqa: PLW0603 - one process runs one session of pytest, or one inside the other
    config.stash[_BEFORE] = approved
    approved = [] if config.getoption("--rk-approve") else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Put back what was allowed before, as a session inside another session must."""
    global approved  # noqa: PLW0603 - as in pytest_configure
    approved = config.stash.get(_BEFORE, None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what a worker wrote to the process that started it."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_KEY] = list(approved or [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker wrote."""
    if approved is not None:
        approved.extend(getattr(node, "workeroutput", {}).get(_KEY, []))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List the golden files that were written."""
    if approved is None:
        return
    terminalreporter.section("golden files approved" if approved else "no golden file differed")
    for path in sorted(set(approved)):
        terminalreporter.write_line(path)


_BEFORE = pytest.StashKey[list[str] | None]()
