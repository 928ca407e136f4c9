"""gastown's reconciler: how a town of coding agents turns events into work, reviews and merges.

`open` reads a town's own database, `load_trace` a folder in which everything was logged; ``reconciler`` holds the
rules, and `replaykit.replay` takes this module for it. `dry_run` and `replay_events` are the program's debug calls,
`live_replay_error` says what the latter would have got wrong. Read it from the outside in:

- ``door.py``, ``trace.py`` how a town comes in, ``noise.py`` what may be folded on the way;
- ``calls.py``, ``live_error.py`` the debug calls on recordings;
- ``metrics.py``, ``buckets.py``, ``dashboard.py``, ``plots.py`` the dashboard, from a tick's numbers to the picture;
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

from replaykit.systems.gastown import plots
from replaykit.systems.gastown.calls import DryRun, EventReplay, dry_run, replay_events
from replaykit.systems.gastown.door import open
from replaykit.systems.gastown.live_error import LiveReplayError, live_replay_error
from replaykit.systems.gastown.reconciler import reconciler
from replaykit.systems.gastown.trace import load_trace

__all__ = [
    "DryRun",
    "EventReplay",
    "LiveReplayError",
    "dry_run",
    "live_replay_error",
    "load_trace",
    "open",
    "plots",
    "reconciler",
    "replay_events",
]

# Handlers, rules and invariants register themselves; the order of the rules' modules is that of a tick.
_RULES = ("agent_rules", "bead_rules", "review_rules", "convoy_rules", "watch_rules")
for _module in ("events", "actions", *_RULES, "invariants", "metrics"):
    import_module(f"{__name__}.{_module}")
