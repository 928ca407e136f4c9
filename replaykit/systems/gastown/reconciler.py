"""The reconciler gastown's rules are registered with, and its thresholds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from replaykit.reconciler import Reconciler
from replaykit.systems.gastown.tables import TABLES

__all__ = ["PARAMS", "reconciler"]

PARAMS: dict[str, Any] = {
    "town_id": None,  # part of the identity of agents it creates; None takes it from the agents there are
    "heartbeat_limit": timedelta(seconds=90),
    "not_found_grace": timedelta(seconds=180),
    "dispatch_cooldown": timedelta(minutes=2),
    "max_dispatch_attempts": 20,
    "stale_in_progress": timedelta(minutes=5),
    "orphaned_source": timedelta(minutes=5),
    "stuck_review": timedelta(minutes=30),
    "abandoned_mr": timedelta(minutes=2),
    "orphaned_pr_review": timedelta(minutes=30),
    "gupp_warn": timedelta(minutes=15),
    "gupp_escalate": timedelta(minutes=60),
    "gupp_stop": timedelta(minutes=120),
    "nudge_window": timedelta(minutes=60),
    "agent_retention": timedelta(hours=24),
    "max_triage_requests": 5,
}

# One rule that raises takes the tick's other actions with it, as one corrupt row does in the program.
reconciler = Reconciler("gastown", tables=TABLES, params=PARAMS, rules_fail_together=True)
