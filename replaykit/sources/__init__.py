"""Sources: reading files, frames and SQLite, naming columns, checking rows, masking, and writing the recording."""

from __future__ import annotations

from replaykit.sources.loading import load
from replaykit.sources.logs import Log
from replaykit.sources.places import place_snapshot, snapshot_frames
from replaykit.sources.report import Report
from replaykit.sources.roles import per_kind
from replaykit.sources.sqlite import sqlite

__all__ = ["Log", "Report", "load", "per_kind", "place_snapshot", "snapshot_frames", "sqlite"]
