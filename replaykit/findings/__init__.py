"""Findings that need no reconciler: what the events, snapshots and logs of a recording say by themselves.

    unexplained(recording)                which changes between snapshots does nothing recorded name?
    latest(rows, key)                     the newest row of each entity, from a frame or a recording's events
    as_of(rows, at, key=...)              the same at an earlier moment
    rewind(table, audit, at=...)          a state table taken back by undoing an audit table
    check(recording, name, sql)           a SQL invariant over snapshots or a log, its breaches as episodes
    episodes(recording, log)              the entries of a log, the same thing again and again told once
    story(recording, entity)              everything recorded about one entity, in order

Each that takes a recording is also a method of `Recording`.
"""

from __future__ import annotations

from replaykit.findings.checks import Check, check
from replaykit.findings.episodes import Episodes, build_episodes, episodes
from replaykit.findings.newest import as_of, latest
from replaykit.findings.rewound import Rewound, rewind, rewind_snapshot
from replaykit.findings.story import Story, story
from replaykit.findings.unexplained import Unexplained, unexplained

__all__ = [
    "Check",
    "Episodes",
    "Rewound",
    "Story",
    "Unexplained",
    "as_of",
    "build_episodes",
    "check",
    "episodes",
    "latest",
    "rewind",
    "rewind_snapshot",
    "story",
    "unexplained",
]
