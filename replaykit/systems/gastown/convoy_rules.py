"""Rule C: convoys make progress, become ready to land, land, and close."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.declarations import Action
from replaykit.systems.gastown.operations import LIVE, dependents, has_live_review, reviews_of
from replaykit.systems.gastown.reading import TERMINAL, GastownError, json_or
from replaykit.systems.gastown.reconciler import reconciler

if TYPE_CHECKING:
    from replaykit.rows import Row
    from replaykit.state import State

__all__: list[str] = []

_MERGE_MODES = (None, "review-then-land", "review-and-merge")


@reconciler.rule("C", key="convoy_id")
def convoys(state: State, now: datetime) -> Iterator[Action]:  # noqa: ARG001 - a rule is given the clock
    """Correct the count of every open convoy; close, prepare or land those whose issues are all done."""
    for bead in state["beads"].find(type="convoy", status="open"):
        convoy = state["convoy_metadata"].get(bead["bead_id"])
        if convoy is not None:
            _check(bead, convoy)
            yield from _progress(state, bead, convoy)


def _check(bead: Row, convoy: Row) -> None:
    if bead["metadata"] is None or convoy["merge_mode"] not in _MERGE_MODES:
        raise GastownError("parse", f"convoy {bead['bead_id']} has metadata or a merge mode outside the schema")


def _progress(state: State, bead: Row, convoy: Row) -> Iterator[Action]:
    convoy_id = convoy["bead_id"]
    issues = [row for row in dependents(state, convoy_id, "tracks") if row["type"] == "issue"]
    done = sum(row["status"] in TERMINAL for row in issues)
    if done != convoy["closed_beads"]:
        yield Action("update_convoy_progress", convoy_id=convoy_id, closed_beads=done)
    if not issues or done < len(issues) or _is_in_review(state, convoy_id):
        return
    if convoy["merge_mode"] != "review-then-land" or not convoy["feature_branch"]:
        yield Action("close_convoy", convoy_id=convoy_id)
    elif not _is_ready(bead):
        yield Action("set_convoy_ready_to_land", convoy_id=convoy_id)
    else:
        yield from _landing(state, convoy)


def _is_in_review(state: State, convoy_id: str) -> bool:
    """Return whether a live merge request tracks any bead that tracks the convoy, the bead existing or not."""
    links = state["bead_dependencies"].find(depends_on_bead_id=convoy_id)
    return any(has_live_review(state, link["bead_id"]) for link in links if link["dependency_type"] == "tracks")


def _is_ready(bead: Row) -> bool:
    metadata: Any = json_or(bead["metadata"], {})
    if metadata is None:
        raise GastownError("other", f"metadata of convoy {bead['bead_id']} is null")
    flag = metadata.get("ready_to_land") if isinstance(metadata, dict) else None
    return isinstance(flag, (dict, list)) or bool(flag)  # empty ones are true in JavaScript


def _landing(state: State, convoy: Row) -> Iterator[Action]:
    convoy_id = convoy["bead_id"]
    statuses = {mr["status"] for mr in reviews_of(state, convoy_id)}
    if "closed" in statuses:
        yield Action("close_convoy", convoy_id=convoy_id)
        return
    trackers = dependents(state, convoy_id, "tracks")
    rig_id = next((row["rig_id"] for row in trackers if row["rig_id"] is not None), None)
    if rig_id is not None and not statuses & LIVE:
        rig = state["rigs"].get(rig_id)
        yield Action(
            "create_landing_mr",
            convoy_id=convoy_id,
            rig_id=rig_id,
            feature_branch=convoy["feature_branch"],
            target_branch=rig["default_branch"] if rig is not None else "main",
        )
