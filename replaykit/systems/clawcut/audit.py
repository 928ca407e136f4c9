"""What audit events say: job, outcome and counts out of their metadata, and nothing that may be secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.systems.clawcut.policy import LIVE, TERMINAL, UNANSWERED
from replaykit.systems.clawcut.times import read_time

if TYPE_CHECKING:
    from replaykit.systems.clawcut.schema import Entry

__all__ = [
    "CHECKED",
    "OUTCOMES",
    "PASSED",
    "SETTLED",
    "AuditEvent",
    "Past",
    "job_of",
    "metadata_of",
    "past_checks",
    "read_entry",
]

CHECKED = "reconcile_checked"
PASSED = "pass_ran"
SETTLED = ("completed", "failed")
"""Outcomes of a check after which the job is terminal."""

_LARGEST = 1 << 53
_JOB_IDS = ("job_id", "ai_job_id", "jobId", "aiJobId", "jobID", "job", "ai_job", "entity_id", "subject_id", "id")
_ACTORS = ("app", "clawcut", "cron", "operator", "pass", "poller", "provider", "scheduler", "system", "user", "worker")
OUTCOMES = (
    *SETTLED,
    "still_running",
    "not_found",
    "provider_error",
    "indeterminate",
    "changed_meanwhile",
    "in_flight",
    "not_written",
    "terminal",
)
"""What a check can end with."""
_SKIPPED = ("no_candidates", "none_old_enough", "all_waiting", "another_pass", "nobody_named")
_SAID = frozenset([*OUTCOMES, *LIVE, *TERMINAL, *_SKIPPED])
"""Words that may be shown where metadata holds them; any other text is the app's own."""


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _count(value: Any) -> int | None:
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1
    return int(value) if whole and 0 <= value < _LARGEST else None


def _said(value: Any) -> str | None:
    return value if isinstance(value, str) and value in _SAID else None


def _counts(value: Any) -> Mapping[str, int] | None:
    if not isinstance(value, dict):
        return None
    return MappingProxyType({name: n for name, n in value.items() if name in _SAID and type(n) is int})


_HARMLESS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("applied", "automatic", "dry_run", "enabled"), _flag),
    **dict.fromkeys(("age_minutes", "attempt", "min_age", "min_age_minutes"), _number),
    **dict.fromkeys(("eligible", "limit", "reconciled", "scanned"), _count),
    **dict.fromkeys(("now", "outcome", "skip_reason", "status", "was"), _said),
    **dict.fromkeys(("asked_at", "ran_at"), read_time),
    "results": _counts,
}
"""Fields of metadata that may be shown, and what reads them."""


@dataclass(frozen=True)
class AuditEvent:
    """An audit event without anything secret."""

    id: Any
    kind: str
    actor: str
    """A word such as ``operator``; ``other`` for any that is not known."""
    at: datetime | None
    """When, UTC; None where it can't be read."""
    job_id: Any = None
    details: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Fields that are known to be harmless, where their values are: counts, flags, times and plain words."""
    metadata_unreadable: bool = False
    """Whether its metadata is no JSON object, so that what it said is not known."""


class Past(NamedTuple):
    """Earlier checks of a job since it last changed that settled nothing."""

    attempts: int
    """Those of them that got an answer."""
    last_checked_at: datetime
    last_outcome: str


def metadata_of(text: Any) -> dict[str, Any] | None:
    """Return the object that metadata holds; empty if there is none, None if it can't be read."""
    if text is None or text in ("", b""):
        return {}
    try:
        value = json.loads(text if isinstance(text, (str, bytes)) else str(text), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def job_of(metadata: Mapping[str, Any]) -> Any:
    """Return the job that metadata names; None if it names none."""
    found = next((metadata[name] for name in _JOB_IDS if metadata.get(name) is not None), None)
    return found if type(found) in (int, str) else None


def read_entry(entry: Entry) -> AuditEvent:
    """Return what may be shown of an audit event."""
    metadata = metadata_of(entry.metadata)
    known = metadata or {}
    actor = entry.actor.partition(":")[0] if isinstance(entry.actor, str) else ""
    return AuditEvent(
        entry.id,
        entry.kind,
        actor if actor in _ACTORS else "other",
        read_time(entry.created_at),
        job_of(known),
        MappingProxyType(_harmless(known)),
        metadata is None,
    )


def _harmless(metadata: Mapping[str, Any]) -> dict[str, Any]:
    read = {name: reader(metadata[name]) for name, reader in _HARMLESS.items() if name in metadata}
    return {name: value for name, value in read.items() if value is not None}


def past_checks(events: Iterable[AuditEvent], updated: Mapping[Any, datetime | None]) -> dict[Any, Past]:
    """Return the earlier checks of each job that count for its backoff.

    Parameters
    ----------
    events
        In order of time; all but applied ``reconcile_checked`` are passed over.
    updated
        Job id to when it was last updated; metadata may have a number as text. A check before that is forgotten: the
        job has moved since.
    """
    found: dict[Any, Past] = {}
    ids = {str(id): id for id in updated}
    for event in events:
        if event.kind != CHECKED or event.at is None or event.details.get("outcome") in SETTLED:
            continue
        id = ids.get(str(event.job_id))
        since = updated.get(id)
        if id is not None and (since is None or event.at >= since):
            before = found[id].attempts if id in found else 0
            outcome = str(event.details.get("outcome", "unknown"))
            found[id] = Past(before + (outcome not in UNANSWERED), event.at, outcome)
    return found
