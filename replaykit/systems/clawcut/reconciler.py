"""The reconciler clawcut's rules are registered with, and its thresholds."""

from __future__ import annotations

from replaykit.reconciler import Reconciler
from replaykit.systems.clawcut.policy import PARAMS
from replaykit.systems.clawcut.tables import TABLES

__all__ = ["reconciler"]

reconciler = Reconciler("clawcut", tables=TABLES, params=PARAMS)
