"""reasons: why a rule emitted an action, and why it did not.

``why.py`` and ``why_not.py`` hold the two answers, ``grounds.py`` finds the first; ``values.py`` says what both consist
of. A rule is run once more on its ``scene.py``, the state as it was at that tick. One in Python (``python_*``) is
traced (``tracing.py``) over rows that note what is read of them (``notes.py``); ``syntax.py`` and ``chains.py`` make
lines and rounds of loops out of that, ``explaining.py`` goes into conditions. One in SQL (``sql_*``) is taken apart
into its conditions. ``undoing.py`` tries what would have been without a write. ``graph.py`` draws.
"""

from __future__ import annotations

from replaykit.reasons.grounds import why
from replaykit.reasons.why import Why
from replaykit.reasons.why_not import WhyNot, why_not

__all__ = ["Why", "WhyNot", "why", "why_not"]
