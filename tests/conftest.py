"""What every test shares: the repository's folders and how Hypothesis runs."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parents[1]
NUMBERS = pytest.StashKey[list[str]]()
LONGEST = [
    "test_explorer_by_hand.py",
    "test_gastown_trace.py",
    "compare.ipynb",
    "test_notebooks_guard.py",
    "test_benchmarks.py",
]

# derandomize: a red build must be red again when it is repeated; --hypothesis-profile=search looks for new examples.
# thorough tries all of the same: tests whose examples are slow otherwise try some of them, see samples.py.
for profile in ("repeatable", "thorough"):
    settings.register_profile(
        profile, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.register_profile("search", deadline=None, max_examples=1_000)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--vectors``: a file of scenarios for `tests/systems/test_gastown_vectors.py` to run instead of its own."""
    parser.addoption("--vectors", metavar="FILE", help="scenarios for test_gastown_vectors.py (.jsonl.gz)")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Return the folder of the sample recordings."""
    return REPOSITORY / "sample_data"


@pytest.fixture(scope="session")
def numbers(pytestconfig: pytest.Config) -> list[str]:
    """Return the list of lines that are printed when everything has run, for what was measured on the way."""
    return pytestconfig.stash.setdefault(NUMBERS, [])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: one that began last would keep a processor waiting for another."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what was measured to the process that prints, where tests run in several."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["numbers"] = session.config.stash.get(NUMBERS, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take it from there."""
    lines = getattr(node, "workeroutput", {}).get("numbers", [])
    node.config.stash.setdefault(NUMBERS, []).extend(lines)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was measured, also when all is well."""
    if lines := config.stash.get(NUMBERS, []):
        terminalreporter.section("numbers from the browser")
        for line in lines:
            terminalreporter.write_line(line)


def _required(report: pytest.TestReport | pytest.CollectReport, where: str) -> None:
    """Turn what was skipped into a failure."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("REPLAYKIT_BROWSER") == "required":
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"{where}: REPLAYKIT_BROWSER=required, and it was skipped: {why}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let no test of a browser be skipped where one is required."""
    report = yield
    if item.get_closest_marker("browser"):
        _required(report, item.nodeid)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let no file of such tests be skipped either, for want of playwright."""
    report = yield
    if collector.path.parent.name == "browser":
        _required(report, collector.nodeid)
    return report
