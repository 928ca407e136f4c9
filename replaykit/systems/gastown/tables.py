"""The nine state tables of a town, with keys, columns and defaults as its SQLite schema has them."""

from __future__ import annotations

from replaykit.declarations import Table

__all__ = ["KEYS", "TABLES"]


def _table(
    key: str | tuple[str, ...],
    text: str,
    integers: tuple[str, ...] = (),
    defaults: dict[str, str | int] | None = None,
) -> Table:
    columns = {name: "BIGINT" if name in integers else "VARCHAR" for name in text.split()}
    return Table(key=key, columns=columns, defaults=defaults)


TABLES = {
    "rigs": _table(
        "id",
        "id name git_url default_branch config created_at",
        defaults={"git_url": "", "default_branch": "main", "config": "{}"},
    ),
    "beads": _table(
        "bead_id",
        "bead_id type status title body rig_id parent_bead_id assignee_agent_bead_id priority labels metadata "
        "created_by created_at updated_at closed_at",
        defaults={"status": "open", "priority": "medium", "labels": "[]", "metadata": "{}"},
    ),
    "agent_metadata": _table(
        "bead_id",
        "bead_id role identity container_process_id status current_hook_bead_id dispatch_attempts checkpoint "
        "last_activity_at agent_status_message agent_status_updated_at last_event_type last_event_at active_tools",
        integers=("dispatch_attempts",),
        defaults={"status": "idle", "dispatch_attempts": 0, "active_tools": "[]"},
    ),
    "bead_dependencies": _table(
        ("bead_id", "depends_on_bead_id"),
        "bead_id depends_on_bead_id dependency_type",
        defaults={"dependency_type": "blocks"},
    ),
    "review_metadata": _table(
        "bead_id",
        "bead_id branch target_branch merge_commit pr_url retry_count",
        integers=("retry_count",),
        defaults={"target_branch": "main", "retry_count": 0},
    ),
    "convoy_metadata": _table(
        "bead_id",
        "bead_id total_beads closed_beads landed_at feature_branch merge_mode staged",
        integers=("total_beads", "closed_beads", "staged"),
        defaults={"total_beads": 0, "closed_beads": 0, "staged": 0},
    ),
    "escalation_metadata": _table(
        "bead_id",
        "bead_id severity category acknowledged re_escalation_count acknowledged_at",
        integers=("acknowledged", "re_escalation_count"),
        defaults={"acknowledged": 0, "re_escalation_count": 0},
    ),
    "agent_nudges": _table(
        "nudge_id",
        "nudge_id agent_bead_id message mode priority source created_at delivered_at expires_at",
        defaults={"mode": "wait-idle", "priority": "normal", "source": "system"},
    ),
    "bead_events": _table(
        "bead_event_id",
        "bead_event_id bead_id agent_id event_type old_value new_value metadata created_at",
        defaults={"metadata": "{}"},
    ),
}

KEYS = {name: table.key for name, table in TABLES.items()}
