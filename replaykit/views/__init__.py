"""Views: the tables an explorer shows, as plain functions of a recording or a replay, so that what is seen is a call.

``events`` is the window's events under a filter, ``actions`` what the rules emitted, as episodes or one by one,
``changes`` what the window did to the state, net or with everything in between, ``state`` a table as of a step with
what the step changed, ``violations`` the episodes of breaches.
"""

from __future__ import annotations

from replaykit.views.acted import actions, violations
from replaykit.views.changed import changes
from replaykit.views.happened import events
from replaykit.views.standing import state

__all__ = ["actions", "changes", "events", "state", "violations"]
