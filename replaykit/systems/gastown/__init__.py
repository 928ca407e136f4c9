"""gastown's reconciler: how a town of coding agents turns events into work, reviews and merges.

``reconciler`` is what `replaykit.replay` takes. Read it from the outside in:

- ``tables.py`` the nine state tables, ``times.py`` timestamps as text, ``reading.py`` which rows the program accepts;
- ``operations.py`` what events and actions share: status, convoy counts, deletion; ``agents.py`` hooks and new agents;
  ``reviews.py`` merge requests from submission to merge;
- ``events.py`` what each event does, ``actions.py`` what each action does;
- ``agent_rules.py``, ``bead_rules.py``, ``review_rules.py``, ``convoy_rules.py``, ``watch_rules.py`` what a tick emits;
- ``invariants.py`` what should hold; ``endpoints.py`` the event queue and the two debug calls, over a State.

It is faithful to the program as of 26 March 2026, odd behaviour included; ``params`` holds every threshold.
"""

from __future__ import annotations

from importlib import import_module

from replaykit.systems.gastown.reconciler import reconciler

__all__ = ["reconciler"]

# Handlers, rules and invariants register themselves; the order of the rules' modules is that of a tick.
_RULES = ("agent_rules", "bead_rules", "review_rules", "convoy_rules", "watch_rules")
for _module in ("events", "actions", *_RULES, "invariants"):
    import_module(f"{__name__}.{_module}")
