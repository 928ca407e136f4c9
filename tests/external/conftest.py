"""What tests of external programs share: a recording of jobs, the program in both states, and a replay to ask."""

from __future__ import annotations

import pandas as pd
import pytest
from jobs_cases import HAPPENED, WINDOW, jobs_program

import replaykit as rk


@pytest.fixture(scope="session")
def recording() -> rk.Recording:
    """Return some jobs' lives."""
    rows = [
        {
            "at": pd.Timestamp("2026-03-26T06:00:00") + pd.Timedelta(seconds=seconds),
            "kind": kind,
            "id": f"e{number}",
            "payload": f'{{"job":"{job}"}}',
        }
        for number, (seconds, kind, job) in enumerate(HAPPENED)
    ]
    return rk.load(events=pd.DataFrame(rows), time="at", kind="kind", id="id", payload="payload")


@pytest.fixture(scope="session", params=["sqlite", "json"])
def program(request: pytest.FixtureRequest) -> rk.Reconciler:
    """Return the program, with its state in a file or in memory."""
    return jobs_program(request.param)


@pytest.fixture(scope="session")
def run(recording, program) -> rk.Replay:
    """Return a replay to ask."""
    return rk.replay(recording, program, WINDOW, ticks="60s")
