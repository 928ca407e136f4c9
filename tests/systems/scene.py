"""What a town needs for one test, said shortly: beads, agents, merge requests, convoys, events, ticks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from town import Town, plain

from replaykit.systems.gastown.times import iso, parse

NOW = "2026-03-26T12:00:00.000Z"
HOUR = 60


def ago(minutes: float) -> str:
    """Return the time so many minutes before the clock."""
    return iso(parse(NOW) - timedelta(minutes=minutes))


class Scene:
    """Rows of a town in the making; an agent is two rows, a merge request three."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}

    def row(self, table: str, **columns: Any) -> Scene:
        """Add any row."""
        self.rows.setdefault(table, []).append(columns)
        return self

    def bead(self, bead_id: str, **columns: Any) -> Scene:
        """Add a bead, an open issue of rig ``rig`` if nothing else is said."""
        given = {"type": "issue", "title": bead_id, "rig_id": "rig", "created_at": ago(999), "updated_at": ago(1)}
        return self.row("beads", bead_id=bead_id, **{**given, **columns})

    def agent(self, agent_id: str, hook: str | None = None, **columns: Any) -> Scene:
        """Add an agent, a polecat heard of just now if nothing else is said."""
        given = {"role": "polecat", "identity": agent_id, "last_activity_at": ago(0.1)}
        self.bead(agent_id, type="agent")
        return self.row("agent_metadata", bead_id=agent_id, current_hook_bead_id=hook, **{**given, **columns})

    def review(self, mr_id: str, source: str, pr_url: str | None = None, **columns: Any) -> Scene:
        """Add a merge request for a source."""
        metadata = f'{{"source_bead_id":"{source}","source_agent_id":"a"}}'
        self.bead(mr_id, **{"type": "merge_request", "metadata": metadata, **columns})
        self.row("review_metadata", bead_id=mr_id, branch="b", pr_url=pr_url)
        return self.link(mr_id, source)

    def convoy(self, convoy_id: str, status: str = "open", metadata: str = "{}", **columns: Any) -> Scene:
        """Add a convoy."""
        self.bead(convoy_id, type="convoy", status=status, rig_id=None, metadata=metadata)
        return self.row("convoy_metadata", bead_id=convoy_id, **columns)

    def link(self, bead_id: str, target: str, kind: str = "tracks") -> Scene:
        """Add a dependency."""
        return self.row("bead_dependencies", bead_id=bead_id, depends_on_bead_id=target, dependency_type=kind)

    def town(self) -> Town:
        """Return the town of these rows."""
        return Town(self.rows, NOW)


def event(kind: str, agent_id: str | None = None, bead_id: str | None = None, **payload: Any) -> dict[str, Any]:
    """Return an event."""
    return {"event_id": "e", "event_type": kind, "agent_id": agent_id, "bead_id": bead_id, "payload": payload,
            "created_at": NOW, "processed_at": None}  # fmt: skip


def tick(town: Town) -> list[dict[str, Any]]:
    """Reconcile and apply what comes out; return it."""
    actions = town.reconcile()
    for action in actions:
        town.act(action)
    return [plain(action) for action in actions]


def kinds(town: Town) -> list[str]:
    """Return the kinds a reconciliation would emit."""
    return [action.kind for action in town.reconcile()]


def status(town: Town, bead_id: str) -> str:
    """Return a bead's status."""
    return str(town.state["beads"][bead_id]["status"])
