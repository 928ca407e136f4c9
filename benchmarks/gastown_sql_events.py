"""gastown's events as SQL statements on SQLite: what its handlers in Python are measured against."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from benchmarks.gastown_sqlite import SQLiteState

__all__ = ["fold"]

_GRACE = 180.0
_GONE = ("exited", "not_found")
_AGENT = (
    "SELECT m.role, m.status, m.current_hook_bead_id, m.last_activity_at, b.rig_id "
    "FROM agent_metadata m JOIN beads b USING (bead_id) WHERE m.bead_id = ?"
)
_IDLE = "UPDATE agent_metadata SET status = 'idle' WHERE bead_id = ?"
_ENDED = "UPDATE agent_metadata SET status = 'idle', dispatch_attempts = 0 WHERE bead_id = ?"
_FORGET = "UPDATE agent_metadata SET checkpoint = NULL WHERE bead_id = ?"
_HOOKED = "SELECT bead_id FROM agent_metadata WHERE current_hook_bead_id = ? ORDER BY born"
_STAGED = "UPDATE convoy_metadata SET staged = 0 WHERE bead_id = ?"
_PR_OF_REVIEW = "UPDATE review_metadata SET pr_url = ? WHERE bead_id = ?"
_PR_OF_BEAD = "UPDATE beads SET metadata = json_set(metadata, '$.pr_url', ?) WHERE bead_id = ?"
_PROGRESS = "UPDATE beads SET status = 'in_progress', updated_at = ? WHERE bead_id = ?"
_RECOVER = (
    "SELECT bead_id FROM beads WHERE assignee_agent_bead_id = ? AND type = 'merge_request' "
    "AND status NOT IN ('closed', 'failed') ORDER BY updated_at DESC LIMIT 1"
)
_loads = json.loads
_Handler = Callable[[SQLiteState, datetime, str, str, str], None]


def fold(state: SQLiteState, batches: Iterable[Sequence[tuple[Any, ...]]]) -> list[int]:
    """Apply events given as position, time, kind, payload, agent and bead; return which of them raised."""
    raised = []
    handlers = _HANDLERS
    for batch in batches:
        for step, at, kind, payload, agent_id, bead_id in batch:
            handler = handlers.get(kind)
            if handler is not None:
                state.step = step
                try:
                    handler(state, at, payload, agent_id, bead_id)
                except (LookupError, sqlite3.IntegrityError):
                    raised.append(step)
    return raised


def _container_status(state: SQLiteState, at: datetime, payload: str, agent_id: str, _: str) -> None:
    agent = state.run(_AGENT, (agent_id,)).fetchone()
    gone = _loads(payload)["status"]
    if agent is None or agent[1] not in ("working", "stalled") or gone not in _GONE:
        return
    role, _, hook, active, _ = agent
    if gone == "not_found" and active and (at - datetime.fromisoformat(active[:-1])).total_seconds() < _GRACE:
        return
    bead = state.run("SELECT status FROM beads WHERE bead_id = ?", (hook,)).fetchone() if role == "refinery" else None
    done = bead is not None and bead[0] in ("closed", "failed")
    if done:
        state.unhook(agent_id, hook, _iso(at))
    state.run(_IDLE, (agent_id,))
    if done:
        state.run(_FORGET, (agent_id,))


def _agent_done(state: SQLiteState, at: datetime, payload: str, agent_id: str, _: str) -> None:
    agent = state.run(_AGENT, (agent_id,)).fetchone()
    if agent is None:
        raise LookupError(agent_id)
    role, _, hook, _, rig_id = agent
    if not hook:
        if role == "refinery":
            _recover(state, _iso(at), _loads(payload), agent_id)
        return
    now, told = _iso(at), _loads(payload)
    bead = state.run("SELECT labels, created_by FROM beads WHERE bead_id = ?", (hook,)).fetchone()
    labels, author = bead if bead is not None else ("[]", None)
    if '"gt:rework"' in labels or ('"gt:triage"' in labels and author == "patrol"):
        state.set_status(hook, "closed", agent_id, now)
        state.unhook(agent_id, hook, now)
    elif role == "refinery":
        _reviewed(state, now, told, agent_id, hook)
    else:
        state.submit(now, told, agent_id, hook, rig_id)
        state.unhook(agent_id, hook, now)
        state.set_status(hook, "in_review", agent_id, now)


def _recover(state: SQLiteState, now: str, told: Mapping[str, Any], agent_id: str) -> None:
    found = state.run(_RECOVER, (agent_id,)).fetchone()
    if found is None:
        return
    url = told.get("pr_url")
    if not url:
        default = "Merged by refinery agent (recovered from unhook)"
        state.finish(found[0], "merged", told.get("summary", default), now)
    elif not _opened(state, found[0], url, now):
        state.finish(found[0], "failed", f"Refinery provided invalid pr_url: {url}", now)


def _reviewed(state: SQLiteState, now: str, told: Mapping[str, Any], agent_id: str, mr_id: str) -> None:
    url = told.get("pr_url")
    if not url:
        state.finish(mr_id, "merged", told.get("summary", "Merged by refinery agent"), now)
    elif _opened(state, mr_id, url, now):
        state.log(mr_id, agent_id, "pr_created", now, new=url, more={"pr_url": url, "created_by": "refinery"})
    else:
        state.finish(mr_id, "failed", f"Refinery provided invalid pr_url: {url}", now)
        state.log(mr_id, agent_id, "pr_creation_failed", now, more={"pr_url": url, "reason": "invalid_url"})
    state.unhook(agent_id, mr_id, now)


def _opened(state: SQLiteState, mr_id: str, url: str, now: str) -> bool:
    if not url.startswith("https://"):
        return False
    state.run(_PR_OF_REVIEW, (url, mr_id))
    state.run(_PR_OF_BEAD, (url, mr_id))
    state.run(_PROGRESS, (now, mr_id))
    return True


def _agent_completed(state: SQLiteState, at: datetime, payload: str, agent_id: str, _: str) -> None:
    agent = state.run(_AGENT, (agent_id,)).fetchone()
    if agent is None:
        return
    role, status, hook, _, _ = agent
    if hook and role != "refinery":
        now = _iso(at)
        if _loads(payload).get("status") != "completed":
            state.set_status(hook, "failed", agent_id, now)
        state.unhook(agent_id, hook, now)
        hook = None
    if hook is None or status != "working":
        state.run(_IDLE if role == "refinery" else _ENDED, (agent_id,))


def _pr_status_changed(state: SQLiteState, at: datetime, payload: str, _: str, bead_id: str) -> None:
    outcome = _loads(payload).get("pr_state")
    if outcome == "merged":
        state.finish(bead_id, "merged", "PR merged (detected by polling)", _iso(at))
    elif outcome == "closed":
        state.finish(bead_id, "failed", "PR closed without merge", _iso(at))


def _bead_cancelled(state: SQLiteState, at: datetime, payload: str, _: str, bead_id: str) -> None:
    now = _iso(at)
    state.set_status(bead_id, "closed" if _loads(payload).get("cancel_status") == "closed" else "failed", "system", now)
    for (agent_id,) in state.run(_HOOKED, (bead_id,)).fetchall():
        state.unhook(agent_id, bead_id, now)


def _convoy_started(state: SQLiteState, _: datetime, payload: str, *__: str) -> None:
    state.run(_STAGED, (_loads(payload)["convoy_id"],))


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds") + "Z"


_HANDLERS: dict[str, _Handler] = {
    "container_status": _container_status,
    "agent_done": _agent_done,
    "agent_completed": _agent_completed,
    "pr_status_changed": _pr_status_changed,
    "bead_cancelled": _bead_cancelled,
    "convoy_started": _convoy_started,
}
