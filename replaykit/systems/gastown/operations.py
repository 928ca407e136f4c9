"""What events and actions share: the audit trail, a bead's status, convoy counts, dependencies and deletion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.systems.gastown.reading import TERMINAL, GastownError, bead_in_full, dumps, existing_bead, json_set
from replaykit.systems.gastown.times import iso

if TYPE_CHECKING:
    from replaykit.rows import Row
    from replaykit.state import State

__all__ = [
    "LIVE",
    "dependents",
    "has_live_review",
    "insert_bead",
    "insert_dependency",
    "is_blocked",
    "lands_on_branch",
    "log",
    "recount_convoys",
    "remove_agent",
    "reviews_of",
    "set_bead_status",
    "set_flag",
    "targets",
    "update_if_there",
]

LIVE = frozenset(["open", "in_progress"])


def update_if_there(state: State, table: str, key: str, /, **columns: Any) -> None:
    """Set columns of a row; a missing row is no error, as in SQL."""
    if state[table].get(key) is not None:
        state[table].update(key, columns)


def insert_bead(state: State, **columns: Any) -> str:
    """Insert a bead made now and return its new id."""
    bead_id, now = state.new_id("new-bead"), iso(state.now)
    state["beads"].insert(bead_id=bead_id, created_at=now, updated_at=now, **columns)
    return bead_id


def log(
    state: State,
    bead_id: str,
    agent_id: str | None,
    event_type: str,
    *,
    old: str | None = None,
    new: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Insert a row of the audit trail."""
    state["bead_events"].insert(
        bead_event_id=state.new_id("new-bevt"),
        bead_id=bead_id,
        agent_id=agent_id,
        event_type=event_type,
        old_value=old,
        new_value=new,
        metadata=dumps(metadata or {}),
        created_at=iso(state.now),
    )


def insert_dependency(state: State, bead_id: str, target: str, kind: str) -> None:
    """Insert a dependency; both beads must exist, and the pair must be new."""
    if state["beads"].get(bead_id) is None or state["beads"].get(target) is None:
        raise GastownError("constraint", f"dependency of {bead_id} on {target}: no such bead")
    if state["bead_dependencies"].get((bead_id, target)) is not None:
        raise GastownError("constraint", f"dependency of {bead_id} on {target} exists")
    state["bead_dependencies"].insert(bead_id=bead_id, depends_on_bead_id=target, dependency_type=kind)


def targets(state: State, bead_id: str, kind: str) -> list[str]:
    """Return what a bead blocks on or tracks, ids ascending, existing or not."""
    found = state["bead_dependencies"].find(bead_id=bead_id)
    return sorted(row["depends_on_bead_id"] for row in found if row["dependency_type"] == kind)


def dependents(state: State, target: str, kind: str) -> list[Row]:
    """Return the existing beads that depend on a bead this way, in insertion order of the dependencies."""
    beads = state["beads"]
    found = state["bead_dependencies"].find(depends_on_bead_id=target)
    rows = (beads.get(row["bead_id"]) for row in found if row["dependency_type"] == kind)
    return [row for row in rows if row is not None]


def reviews_of(state: State, target: str) -> list[Row]:
    """Return the merge requests that track a bead, of any status."""
    return [row for row in dependents(state, target, "tracks") if row["type"] == "merge_request"]


def has_live_review(state: State, target: str) -> bool:
    """Return whether an open or running merge request tracks a bead."""
    return any(row["status"] in LIVE for row in reviews_of(state, target))


def is_blocked(state: State, bead_id: str) -> bool:
    """Return whether a bead waits for an existing bead that is not terminal."""
    beads = state["beads"]
    for target in targets(state, bead_id, "blocks"):
        row = beads.get(target)
        if row is not None and row["status"] not in TERMINAL:
            return True
    return False


def set_bead_status(state: State, bead_id: str, status: str, actor: str) -> None:
    """Move a bead to a status and log it; a terminal bead stays as it is, a missing one raises."""
    bead = existing_bead(state, bead_id)
    before = bead["status"]
    if before == status or before in TERMINAL:
        return
    now = iso(state.now)
    closed_at = now if status == "closed" else bead["closed_at"]
    state["beads"].update(bead_id, status=status, updated_at=now, closed_at=closed_at)
    log(state, bead_id, actor, "status_changed", old=before, new=status)
    if status in TERMINAL:
        recount_convoys(state, bead_id)
    bead_in_full(state, bead_id)  # the program reads it back: an unknown status is written, and then raises


def recount_convoys(state: State, bead_id: str) -> None:
    """Count done beads anew in every convoy that a bead tracks, and land the convoys that are complete."""
    for convoy_id in targets(state, bead_id, "tracks"):
        convoy = state["convoy_metadata"].get(convoy_id)
        if convoy is not None:
            done = [row for row in dependents(state, convoy_id, "tracks") if row["status"] in TERMINAL]
            count = sum(not has_live_review(state, row["bead_id"]) for row in done)
            state["convoy_metadata"].update(convoy_id, closed_beads=count)
            if count >= convoy["total_beads"] > 0:
                _complete(state, convoy)


def lands_on_branch(convoy: Row) -> bool:
    """Return whether a convoy collects its work on a feature branch; no merge mode counts as that."""
    return bool(convoy["feature_branch"]) and convoy["merge_mode"] != "review-and-merge"


def _complete(state: State, convoy: Row) -> None:
    convoy_id, now = convoy["bead_id"], iso(state.now)
    if lands_on_branch(convoy):
        set_flag(state, convoy_id, "ready_to_land")
    else:  # written directly: no terminal guard, nothing in the audit trail
        update_if_there(state, "beads", convoy_id, status="closed", closed_at=now, updated_at=now)
        state["convoy_metadata"].update(convoy_id, landed_at=now)


def set_flag(state: State, bead_id: str, name: str) -> None:
    """Set a member of a bead's metadata to 1."""
    bead = state["beads"].get(bead_id)
    if bead is not None:
        metadata = json_set(bead["metadata"], name, 1)
        state["beads"].update(bead_id, metadata=metadata, updated_at=iso(state.now))


def remove_agent(state: State, agent_id: str) -> None:
    """Delete an agent and reopen every bead ever assigned to it, closed and failed ones too."""
    for row in state["beads"].find(assignee_agent_bead_id=agent_id):
        state["beads"].update(row["bead_id"], assignee_agent_bead_id=None, status="open", updated_at=iso(state.now))
    _delete_bead(state, agent_id)


def _delete_bead(state: State, bead_id: str) -> None:
    for child in state["beads"].find(parent_bead_id=bead_id):
        _delete_bead(state, child["bead_id"])
    for agent in state["agent_metadata"].find(current_hook_bead_id=bead_id):
        state["agent_metadata"].update(agent["bead_id"], current_hook_bead_id=None, status="idle")
    links = state["bead_dependencies"]
    for link in [*links.find(bead_id=bead_id), *links.find(depends_on_bead_id=bead_id)]:
        links.delete((link["bead_id"], link["depends_on_bead_id"]))
    for entry in state["bead_events"].find(bead_id=bead_id):
        state["bead_events"].delete(entry["bead_event_id"])
    for table in ("agent_metadata", "review_metadata", "escalation_metadata", "convoy_metadata", "beads"):
        state[table].delete(bead_id)
