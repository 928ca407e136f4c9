"""Triage requests: issues that ask for an agent to be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.systems.gastown.operations import insert_bead, log
from replaykit.systems.gastown.reading import GastownError, dumps, json_or

if TYPE_CHECKING:
    from replaykit.rows import Row
    from replaykit.state import State

__all__ = ["asks_for_triage", "request_triage"]

_LABEL = '"gt:triage-request"'


def asks_for_triage(labels: str | None) -> bool:
    """Return whether the text of a bead's labels names a triage request, case aside as in SQL's LIKE."""
    return labels is not None and _LABEL in labels.lower()


def request_triage(state: State, agent_id: str, kind: str, reason: str) -> None:
    """Insert a triage request, unless the same waits already or `max_triage_requests` of others do."""
    waiting = [row for row in state["beads"].find(status="open", type="issue") if asks_for_triage(row["labels"])]
    if any(_kind(row) == kind for row in waiting if row["assignee_agent_bead_id"] == agent_id and agent_id):
        return
    if kind != "escalation":
        others = sum(_kind(row) not in (None, "escalation") for row in waiting)
        if others >= state.params.max_triage_requests:
            return
    title = f"Triage: {reason}"
    bead_id = insert_bead(
        state,
        type="issue",
        title=title,
        body=dumps({"reason": reason}),
        assignee_agent_bead_id=agent_id,
        labels=f"[{_LABEL}]",
        metadata=_metadata(agent_id, kind, reason),
    )
    log(state, bead_id, agent_id, "created", new="open", metadata={"type": "issue", "title": title})


def _metadata(agent_id: str, kind: str, reason: str) -> str:
    return dumps(
        {
            "triage_type": kind,
            "agent_bead_id": agent_id,
            "hooked_bead_id": None,
            "context": {"reason": reason},
            "options": ["RESTART", "CLOSE", "ESCALATE"],
        }
    )


def _kind(row: Row) -> Any:
    """Return a request's type; null metadata has none, and what is no JSON raises, as SQLite's json_extract does."""
    if row["metadata"] is None:
        return None
    metadata = json_or(row["metadata"], ...)
    if metadata is ...:
        raise GastownError("other", f"metadata of bead {row['bead_id']} is no JSON")
    return metadata.get("triage_type") if isinstance(metadata, dict) else None
