"""Merge requests, from submission to merge or failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.systems.gastown.operations import (
    insert_bead,
    insert_dependency,
    lands_on_branch,
    log,
    recount_convoys,
    reviews_of,
    set_bead_status,
    targets,
    update_if_there,
)
from replaykit.systems.gastown.reading import TERMINAL, GastownError, bead_in_full, dumps, json_set, metadata_of
from replaykit.systems.gastown.times import iso

if TYPE_CHECKING:
    from replaykit.rows import Row
    from replaykit.state import State

__all__ = ["finish_review", "mark_in_progress", "set_pr_url", "submit_for_review"]


def submit_for_review(
    state: State,
    agent_id: str,
    source_id: str,
    rig_id: str,
    branch: str,
    *,
    pr_url: str | None = None,
    summary: str | None = None,
    default_branch: str | None = None,
) -> None:
    """Create the merge request of a source bead; it targets the feature branch of the source's convoy, if any."""
    convoy_id = next(iter(targets(state, source_id, "tracks")), None)
    convoy = state["convoy_metadata"].get(convoy_id) if convoy_id else None
    target = convoy["feature_branch"] if convoy is not None and lands_on_branch(convoy) else default_branch
    target = target if target is not None else "main"
    metadata: dict[str, Any] = {
        "source_bead_id": source_id,
        "source_agent_id": agent_id,
        "pr_url": pr_url or None,
        "convoy_id": convoy_id or None,
        "convoy_feature_branch": (convoy["feature_branch"] or None) if convoy is not None else None,
    }
    mr_id = insert_bead(
        state,
        type="merge_request",
        title=f"Review: {branch}",
        body=summary,
        rig_id=rig_id,
        labels='["gt:merge-request"]',
        metadata=dumps({name: value for name, value in metadata.items() if value is not None}),
        created_by=agent_id,
    )
    insert_dependency(state, mr_id, source_id, "tracks")
    state["review_metadata"].insert(bead_id=mr_id, branch=branch, target_branch=target, pr_url=pr_url)
    entry = {"branch": branch, "target_branch": target}
    log(state, source_id, agent_id, "review_submitted", new=branch, metadata=entry)


def set_pr_url(state: State, mr_id: str, url: str) -> bool:
    """Note the pull request of a merge request; returns False, and writes nothing, if it is no https address."""
    if not url.startswith("https://"):
        return False
    update_if_there(state, "review_metadata", mr_id, pr_url=url)
    bead = state["beads"].get(mr_id)
    if bead is not None:
        state["beads"].update(mr_id, metadata=json_set(bead["metadata"], "pr_url", url))
    return True


def mark_in_progress(state: State, mr_id: str) -> None:
    """Put a merge request in progress by a direct write, even from a terminal status."""
    update_if_there(state, "beads", mr_id, status="in_progress", updated_at=iso(state.now))


def finish_review(state: State, mr_id: str, result: str, message: str) -> None:
    """End a review as ``merged`` or ``failed`` and let its source follow, also if it had ended before."""
    now = iso(state.now)
    bead = bead_in_full(state, mr_id)
    if bead is None:
        return
    if bead["status"] not in TERMINAL:
        closed = result == "merged"
        status, closed_at = ("closed", now) if closed else ("failed", None)
        bead = state["beads"].update(mr_id, status=status, updated_at=now, closed_at=closed_at)
    if state["review_metadata"].get(mr_id) is None:
        return
    if bead["type"] != "merge_request":
        raise GastownError("parse", f"bead {mr_id} has review metadata and is of type {bead['type']!r}")
    source_id, agent_id = _submitted(bead)
    log(state, source_id, agent_id, "review_completed", new=result, metadata={"message": message})
    if result == "merged":
        _merged(state, mr_id, source_id, agent_id)
    else:
        _failed(state, source_id, agent_id)


def _submitted(mr: Row) -> tuple[str, str]:
    """Return the source of a merge request (itself if none is named) and the agent that submitted it."""
    metadata = metadata_of(mr["metadata"])
    source, agent = metadata.get("source_bead_id"), metadata.get("source_agent_id")
    if not isinstance(agent, str):
        agent = mr["created_by"] or ""
    return source if isinstance(source, str) else mr["bead_id"], agent


def _merged(state: State, mr_id: str, source_id: str, agent_id: str) -> None:
    now = iso(state.now)
    set_bead_status(state, source_id, "closed", agent_id)
    for sibling in reviews_of(state, source_id):
        if sibling["bead_id"] != mr_id and sibling["status"] != "closed":
            state["beads"].update(sibling["bead_id"], status="closed", updated_at=now, closed_at=now)
    recount_convoys(state, source_id)
    source = bead_in_full(state, source_id)
    if source is not None and source["type"] == "convoy":
        update_if_there(state, "convoy_metadata", source_id, landed_at=now)


def _failed(state: State, source_id: str, agent_id: str) -> None:
    source = bead_in_full(state, source_id)
    if source is not None and source["status"] not in TERMINAL:
        set_bead_status(state, source_id, "open", agent_id)
        state["beads"].update(source_id, assignee_agent_bead_id=None)
