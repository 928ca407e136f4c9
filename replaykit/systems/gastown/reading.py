"""Which rows the program accepts when it reads them: strict schemas, and errors that say why one was refused."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    from replaykit.rows import Row
    from replaykit.state import State

__all__ = [
    "TERMINAL",
    "Agent",
    "GastownError",
    "bead_in_full",
    "dumps",
    "existing_bead",
    "json_or",
    "json_set",
    "labels_of",
    "maybe_agent",
    "metadata_of",
]

TERMINAL = frozenset(["closed", "failed"])
_TYPES = frozenset(["issue", "message", "escalation", "merge_request", "convoy", "molecule", "agent"])
_STATUSES = frozenset(["open", "in_progress", "in_review", "closed", "failed"])
_PRIORITIES = frozenset(["low", "medium", "high", "critical"])


class GastownError(Exception):
    """An error of the program itself; what it wrote before stays written.

    ``reason`` is ``not_found``, ``parse``, ``constraint``, ``hook_refused`` or ``other``.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Reader(json.JSONDecoder):
    """Reads JSON as JavaScript does: no NaN, no Infinity."""

    def __init__(self) -> None:
        super().__init__(parse_constant=_refuse)

    def read(self, text: str | None) -> Any:
        if text is None:
            raise GastownError("parse", "expected JSON text and found null")
        try:
            return self.decode(text)
        except ValueError as exc:
            raise GastownError("parse", f"{text!r} is no JSON") from exc

    def read_or(self, text: str | None, default: Any) -> Any:
        try:
            return _value(text)
        except GastownError:
            return default


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


_JSON = _Reader()


@lru_cache(maxsize=1 << 12)
def _value(text: str | None) -> Any:
    return _JSON.read(text)


class Agent(NamedTuple):
    """An agent as the program reads it: its row of ``agent_metadata`` with the rig of its bead."""

    id: str
    role: str
    rig_id: str | None
    status: str
    hook: str | None
    last_activity_at: str | None


def dumps(value: Any) -> str:
    """Return JSON as JavaScript writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_or(text: str | None, default: Any) -> Any:
    """Return what JSON text holds, not to be changed, or `default` if it can't be read."""
    return _JSON.read_or(text, default)


@lru_cache(maxsize=1 << 12)
def labels_of(text: str | None) -> tuple[str, ...]:
    """Return the labels in a bead's ``labels`` column; anything but a JSON list of strings raises."""
    value = _value(text)
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise GastownError("parse", f"labels {text!r} are no list of strings")
    return tuple(value)


def metadata_of(text: str | None) -> dict[str, Any]:
    """Return the object in a bead's ``metadata`` column, not to be changed; anything else raises."""
    value = _value(text)
    if not isinstance(value, dict):
        raise GastownError("parse", f"metadata {text!r} is no object")
    return value


def json_set(text: str | None, name: str, value: Any) -> str:
    """Return JSON text with a member set, as SQLite's ``json_set`` does; what is no object stays as it is."""
    whole = _value(text if text is not None else "{}")
    return dumps({**whole, name: value} if isinstance(whole, dict) else whole)


def bead_in_full(state: State, bead_id: str) -> Row | None:
    """Return a bead that passes the schema, or None if there is none; one that does not pass raises."""
    row = state["beads"].get(bead_id)
    if row is not None:
        if row["status"] not in _STATUSES:
            raise GastownError("parse", f"bead {bead_id} has status {row['status']!r}")
        _check_bead(row)
    return row


def existing_bead(state: State, bead_id: str) -> Row:
    """Return a bead as `bead_in_full`; a missing one raises."""
    row = bead_in_full(state, bead_id)
    if row is None:
        raise GastownError("not_found", f"bead {bead_id} not found")
    return row


def _check_bead(row: Row) -> None:
    if row["title"] is None or not _in_schema(row["type"], row["priority"], row["labels"], row["metadata"]):
        raise GastownError("parse", f"bead {row['bead_id']} has a type, title or priority outside the schema")


@lru_cache(maxsize=1 << 12)
def _in_schema(kind: str, priority: str | None, labels: str | None, metadata: str | None) -> bool:
    """Return whether type and priority are known ones; labels or metadata that can't be read raise."""
    if kind not in _TYPES or priority not in _PRIORITIES:
        return False
    labels_of(labels)
    metadata_of(metadata)
    return True


def maybe_agent(state: State, agent_id: str) -> Agent | None:
    """Return an agent, None if its bead or its metadata is missing; rows that do not pass the schema raise.

    The bead's own status is not looked at: the program's join puts the agent's in its place.
    """
    bead, row = state["beads"].get(agent_id), state["agent_metadata"].get(agent_id)
    if bead is None or row is None:
        return None
    if bead["type"] != "agent":
        raise GastownError("parse", f"agent {agent_id} is a bead of type {bead['type']!r}")
    _check_bead(bead)
    if row["checkpoint"] is not None:
        _value(row["checkpoint"])
    return Agent(
        agent_id, row["role"], bead["rig_id"], row["status"], row["current_hook_bead_id"], row["last_activity_at"]
    )
