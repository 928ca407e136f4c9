"""Rules and invariants in SQL at every tick, fast: all ticks at once, where what they say changes nothing.

``evaluation.py`` decides and asks. ``reading.py`` reads a statement and gives its rows one order. ``rewriting.py`` asks
over intervals of ticks (with ``intervals.py``, ``selects.py``), ``lateral.py`` at every tick where something changes;
``spans.py`` and ``ticks_table.py`` hold what they ask. ``filling.py`` and ``standing.py`` put answers where ticks do.
"""

from __future__ import annotations

from replaykit.temporal.evaluation import WAYS, Failed, PutOff, only
from replaykit.temporal.filling import fill

__all__ = ["WAYS", "Failed", "PutOff", "fill", "only"]
