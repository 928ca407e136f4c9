"""Comparing: two reconcilers, or two courses of one window, side by side.

`compare` replays recordings with both (jobs.py) and gives a `Comparison` of `Case` values: what each did at every tick
on one line of ticks (axis.py, spans.py), the first divergence with what was behind it (behind.py), states (states.py),
violations (breaches.py) and outcome numbers (outcomes.py).
"""

from __future__ import annotations

from replaykit.comparing.behind import First
from replaykit.comparing.cases import Case
from replaykit.comparing.compare import compare
from replaykit.comparing.comparison import Comparison
from replaykit.comparing.states import StateFork

__all__ = ["Case", "Comparison", "First", "StateFork", "compare"]
