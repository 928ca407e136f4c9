"""What every test shares: the repository's folders and how Hypothesis runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parents[1]

# derandomize: a red build must be red again when it is repeated; --hypothesis-profile=search looks for new examples.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
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
