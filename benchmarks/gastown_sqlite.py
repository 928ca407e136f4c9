"""gastown's state in SQLite: its tables and indexes, a log of versions kept by triggers, and what its events share.

Written to be fast, not to be the program: rows are trusted instead of being checked against schemas, and statements ask
for the columns they need. Every statement's text is a constant, so that SQLite prepares it once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from replaykit.systems.gastown.tables import TABLES

__all__ = ["SQLiteState", "dumps"]

_REFERENCES = {
    ("agent_metadata", "bead_id"), ("agent_metadata", "current_hook_bead_id"), ("beads", "parent_bead_id"),
    ("bead_dependencies", "bead_id"), ("bead_dependencies", "depends_on_bead_id"), ("review_metadata", "bead_id"),
    ("convoy_metadata", "bead_id"), ("escalation_metadata", "bead_id"),
}  # fmt: skip
_INDEXES = """
CREATE INDEX beads_type ON beads (type, status);
CREATE INDEX beads_parent ON beads (parent_bead_id);
CREATE INDEX beads_rig ON beads (rig_id, status);
CREATE INDEX beads_assignee ON beads (assignee_agent_bead_id, type, status);
CREATE UNIQUE INDEX agents_identity ON agent_metadata (identity);
CREATE UNIQUE INDEX rigs_name ON rigs (name);
CREATE INDEX agents_hook ON agent_metadata (current_hook_bead_id);
CREATE INDEX dependencies_target ON bead_dependencies (depends_on_bead_id);
"""
_STATUS = "SELECT status FROM beads WHERE bead_id = ?"
_SET_STATUS = "UPDATE beads SET status = ?, updated_at = ? WHERE bead_id = ?"
_CLOSE = "UPDATE beads SET status = 'closed', updated_at = ?, closed_at = ? WHERE bead_id = ?"
_FAIL = "UPDATE beads SET status = 'failed', updated_at = ?, closed_at = NULL WHERE bead_id = ?"
_UNASSIGN = "UPDATE beads SET assignee_agent_bead_id = NULL WHERE bead_id = ?"
_READY = "UPDATE beads SET metadata = json_set(metadata, '$.ready_to_land', 1), updated_at = ? WHERE bead_id = ?"
_LOG = (
    "INSERT INTO bead_events (bead_event_id, bead_id, agent_id, event_type, old_value, new_value, metadata, created_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_UNHOOK = "UPDATE agent_metadata SET current_hook_bead_id = NULL, status = 'idle' WHERE bead_id = ?"
_TRACKED = (
    "SELECT depends_on_bead_id FROM bead_dependencies WHERE bead_id = ? AND dependency_type = 'tracks' ORDER BY 1"
)
_CONVOY = "SELECT total_beads, feature_branch, merge_mode FROM convoy_metadata WHERE bead_id = ?"
_COUNTED = "UPDATE convoy_metadata SET closed_beads = ? WHERE bead_id = ?"
_LANDED = "UPDATE convoy_metadata SET landed_at = ? WHERE bead_id = ?"
_LANDED_CONVOY = f"{_LANDED} AND EXISTS (SELECT 1 FROM beads WHERE bead_id = ?2 AND type = 'convoy')"
_DONE = (
    "SELECT count(*) FROM bead_dependencies d JOIN beads b ON b.bead_id = d.bead_id WHERE d.depends_on_bead_id = ? "
    "AND d.dependency_type = 'tracks' AND b.status IN ('closed', 'failed') AND NOT EXISTS (SELECT 1 FROM "
    "bead_dependencies r JOIN beads m ON m.bead_id = r.bead_id WHERE r.depends_on_bead_id = b.bead_id AND "
    "r.dependency_type = 'tracks' AND m.type = 'merge_request' AND m.status IN ('open', 'in_progress'))"
)
_SUBMIT = (
    "INSERT INTO beads (bead_id, type, status, title, body, rig_id, priority, labels, metadata, created_by, created_at,"
    " updated_at) VALUES (?, 'merge_request', 'open', ?, ?, ?, 'medium', '[\"gt:merge-request\"]', ?, ?, ?, ?)"
)
_SUBMITTED = "INSERT INTO review_metadata (bead_id, branch, target_branch, pr_url) VALUES (?, ?, ?, ?)"
_REVIEW = (
    "SELECT b.status, json_extract(b.metadata, '$.source_bead_id'), json_extract(b.metadata, '$.source_agent_id'), "
    "b.created_by, r.bead_id FROM beads b LEFT JOIN review_metadata r USING (bead_id) WHERE b.bead_id = ?"
)
_SIBLINGS = (
    "SELECT m.bead_id FROM bead_dependencies d JOIN beads m ON m.bead_id = d.bead_id WHERE d.depends_on_bead_id = ? "
    "AND d.dependency_type = 'tracks' AND m.type = 'merge_request' AND m.status <> 'closed' AND m.bead_id <> ? "
    "ORDER BY d.born"
)


class SQLiteState:
    """The nine tables in SQLite, and what several kinds of events do to them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.run = connection.execute
        self.step = 0
        self.change = 0
        self.numbers: dict[str, int] = {}
        connection.executescript("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
        for name, table in TABLES.items():
            columns = ", ".join(_column(name, column, sql) for column, sql in table.columns.items())
            key = ", ".join(table.key)
            self.run(f"CREATE TABLE {name} (born INTEGER PRIMARY KEY, {columns}, UNIQUE ({key}))")
            logged = ", ".join(table.columns)
            self.run(f"CREATE TABLE log_{name} (change INTEGER, step INTEGER, born INTEGER, {logged})")
        connection.executescript(_INDEXES)

    def load(self, rows: Mapping[str, Sequence[tuple[Any, ...]]]) -> None:
        """Take over the base; every version from here on is kept."""
        for name, table in TABLES.items():
            insert = f"INSERT INTO {name} ({', '.join(table.columns)}) VALUES ({', '.join('?' for _ in table.columns)})"
            self.connection.executemany(insert, rows[name])
            self.change += len(rows[name])
        for prefix, key, name in (("new-bead", "bead_id", "beads"), ("new-bevt", "bead_event_id", "bead_events")):
            highest = f"SELECT max(CAST(substr({key}, 10) AS INTEGER)) FROM {name} WHERE {key} LIKE '{prefix}-%'"
            self.numbers[prefix] = self.run(highest).fetchone()[0] or 0
        self.run("PRAGMA foreign_keys = ON")
        # Functions cost only where something changes; a column for the step would have to be set with every write.
        self.connection.create_function("next_change", 0, self._next_change)
        self.connection.create_function("this_step", 0, lambda: self.step)
        for name, table in TABLES.items():
            self.connection.executescript(_triggers(name, list(table.columns)))

    def _next_change(self) -> int:
        self.change += 1
        return self.change

    def new_id(self, prefix: str) -> str:
        """Return the next id."""
        self.numbers[prefix] = number = self.numbers[prefix] + 1
        return f"{prefix}-{number:04d}"

    def log(
        self, bead_id: str, agent_id: str, what: str, now: str, *,
        old: str | None = None, new: str | None = None, more: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Insert a row of the audit trail."""
        metadata = dumps(more) if more else "{}"
        self.run(_LOG, (self.new_id("new-bevt"), bead_id, agent_id, what, old, new, metadata, now))

    def unhook(self, agent_id: str, bead_id: str, now: str) -> None:
        """Take an agent off its bead."""
        self.run(_UNHOOK, (agent_id,))
        self.log(bead_id, agent_id, "unhooked", now, old=agent_id)

    def set_status(self, bead_id: str, status: str, actor: str, now: str) -> None:
        """Move a bead to a status and log it; a terminal bead stays as it is, a missing one raises."""
        found = self.run(_STATUS, (bead_id,)).fetchone()
        if found is None:
            raise LookupError(bead_id)
        if found[0] == status or found[0] in ("closed", "failed"):
            return
        if status == "closed":
            self.run(_CLOSE, (now, now, bead_id))
        else:
            self.run(_SET_STATUS, (status, now, bead_id))
        self.log(bead_id, actor, "status_changed", now, old=found[0], new=status)
        if status in ("closed", "failed"):
            self.recount(bead_id, now)

    def recount(self, bead_id: str, now: str) -> None:
        """Count done beads anew in every convoy that a bead tracks."""
        for (convoy_id,) in self.run(_TRACKED, (bead_id,)).fetchall():
            convoy = self.run(_CONVOY, (convoy_id,)).fetchone()
            if convoy is None:
                continue
            (done,) = self.run(_DONE, (convoy_id,)).fetchone()
            self.run(_COUNTED, (done, convoy_id))
            if done >= convoy[0] > 0 and convoy[1] and convoy[2] != "review-and-merge":
                self.run(_READY, (now, convoy_id))
            elif done >= convoy[0] > 0:
                self.run(_CLOSE, (now, now, convoy_id))
                self.run(_LANDED, (now, convoy_id))

    def submit(self, now: str, told: Mapping[str, Any], agent_id: str, source_id: str, rig_id: str | None) -> None:
        """Create the merge request of a source bead."""
        convoy_id = next((row[0] for row in self.run(_TRACKED, (source_id,))), None)
        _, feature, mode = self.run(_CONVOY, (convoy_id,)).fetchone() or (None, None, None)
        rig = self.run("SELECT default_branch FROM rigs WHERE id = ?", (rig_id,)).fetchone()
        target = feature if feature and mode != "review-and-merge" else rig[0] if rig else "main"
        branch, url = told.get("branch", ""), told.get("pr_url")
        metadata = {"source_bead_id": source_id, "source_agent_id": agent_id, "pr_url": url, "convoy_id": convoy_id}
        metadata["convoy_feature_branch"] = feature
        mr_id, kept = self.new_id("new-bead"), dumps({name: value for name, value in metadata.items() if value})
        self.run(_SUBMIT, (mr_id, f"Review: {branch}", told.get("summary"), rig_id or "", kept, agent_id, now, now))
        self.run("INSERT INTO bead_dependencies VALUES (NULL, ?, ?, 'tracks')", (mr_id, source_id))
        self.run(_SUBMITTED, (mr_id, branch, target, url))
        entry = {"branch": branch, "target_branch": target}
        self.log(source_id, agent_id, "review_submitted", now, new=branch, more=entry)

    def finish(self, mr_id: str, result: str, message: str, now: str) -> None:
        """End a review as ``merged`` or ``failed`` and let its source follow."""
        found = self.run(_REVIEW, (mr_id,)).fetchone()
        if found is None:
            return
        status, source, agent, author, review = found
        if status not in ("closed", "failed"):
            self.run(_CLOSE if result == "merged" else _FAIL, (now, now, mr_id)[result != "merged" :])
        if review is None:
            return
        source, agent = source or mr_id, agent or author or ""
        self.log(source, agent, "review_completed", now, new=result, more={"message": message})
        if result == "merged":
            self._merged(mr_id, source, agent, now)
        else:
            self._failed(source, agent, now)

    def _merged(self, mr_id: str, source: str, agent: str, now: str) -> None:
        self.set_status(source, "closed", agent, now)
        for (sibling,) in self.run(_SIBLINGS, (source, mr_id)).fetchall():
            self.run(_CLOSE, (now, now, sibling))
        self.recount(source, now)
        self.run(_LANDED_CONVOY, (now, source))

    def _failed(self, source: str, agent: str, now: str) -> None:
        found = self.run(_STATUS, (source,)).fetchone()
        if found is not None and found[0] not in ("closed", "failed"):
            self.set_status(source, "open", agent, now)
            self.run(_UNASSIGN, (source,))


def dumps(value: Mapping[str, Any]) -> str:
    """Return JSON as the program writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _column(name: str, column: str, sql: str) -> str:
    defaults = TABLES[name].defaults
    default = f" DEFAULT {defaults[column]!r}" if column in defaults else ""
    reference = " REFERENCES beads (bead_id)" if (name, column) in _REFERENCES else ""
    return f"{column} {'INTEGER' if sql == 'BIGINT' else 'TEXT'}{default}{reference}"


def _triggers(name: str, columns: list[str]) -> str:
    new = ", ".join(f"new.{column}" for column in columns)
    differs = " OR ".join(f"new.{column} IS NOT old.{column}" for column in columns)
    keep = f"BEGIN INSERT INTO log_{name} VALUES (next_change(), this_step(), new.born, {new}); END"
    return (
        f"CREATE TRIGGER inserted_{name} AFTER INSERT ON {name} {keep};"
        f"CREATE TRIGGER updated_{name} AFTER UPDATE ON {name} WHEN {differs} {keep};"
    )
