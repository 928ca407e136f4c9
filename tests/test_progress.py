"""Progress is for a person who waits: nothing of it may reach a notebook's checked outputs."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from replaykit import progress
from replaykit.progress import Progress

if TYPE_CHECKING:
    import pytest


def shown(monkeypatch: pytest.MonkeyPatch, *, kernel: Any) -> list[str]:
    """Return what a replay that takes ten seconds shows in a kernel, one text for each state of its line."""
    clock = iter(range(100))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    lines: list[str] = []

    def display(bundle: dict[str, str], **_: Any) -> Any:
        lines.append(bundle["text/plain"])
        return SimpleNamespace(update=display)

    shell = SimpleNamespace(kernel=kernel)
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    line = Progress("Replaying jobs")
    for done in range(0, 1001, 100):
        line.advance(done, 1000)
    line.close()
    return lines


def test_front_end_with_a_person_sees_count_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """JupyterLab can answer input(); it gets a line that is wiped away at the end."""
    lines = shown(monkeypatch, kernel=SimpleNamespace(_allow_stdin=True))

    assert "Replaying jobs: 500 of 1,000 events, 83/s, 6 s left" in lines
    assert lines[-1] == ""


def test_nbval_and_nbconvert_see_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """They say that nobody can answer, and compare what a cell printed."""
    assert shown(monkeypatch, kernel=SimpleNamespace(_allow_stdin=False)) == []


def test_script_whose_output_is_no_terminal_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A log file is no place for a line that rewrites itself."""
    line = Progress("Replaying jobs")
    line._started = line._last = -1e9
    line.advance(1, 2)
    line.close()

    assert capsys.readouterr().err == ""
