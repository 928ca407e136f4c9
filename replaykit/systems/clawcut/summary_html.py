"""A summary as HTML: escaped, bounded, without script; it reads well without any style."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.display import EMPTY, grid_html, note_html, show_value
from replaykit.errors import show_time
from replaykit.systems.clawcut.policy import age_text

if TYPE_CHECKING:
    from replaykit.systems.clawcut.audit import AuditEvent
    from replaykit.systems.clawcut.outlook import LiveJob
    from replaykit.systems.clawcut.summary import Summary

__all__ = ["GLYPHS", "GROUNDS", "pass_text", "short_id", "summary_html"]

GLYPHS = {"fresh": "✓", "watch": "~", "stale": "!", "very_stale": "‼", "unknown": "?"}
"""A mark for each bucket, for those who see no colours."""
GROUNDS = {
    "fresh": "#D9F0E8",
    "watch": "#E3EEF8",
    "stale": "#FBF0B8",
    "very_stale": "#FADFCF",
    "unknown": "#EEEEEE",
}
"""Pale grounds below black text."""
_MOST = 50
_HEADS = ("job", "provider", "kind", "status", "age", "bucket", "outlook", "advice")


def summary_html(summary: Summary) -> str:
    """Return the card of a summary: counts, jobs that are not terminal, the last pass, recent audit events."""
    shown = summary.jobs[:_MOST]
    more = len(summary.jobs) - len(shown)
    notes = [f"… {more:,} more: .table"] if more else []
    jobs = grid_html(
        _HEADS,
        [_cells(job) for job in shown],
        caption=f"At {show_time(summary.at)}: {summary.sentence}",
        notes=notes,
        style=lambda row, place: (
            f"text-align:left;color:black;background:{GROUNDS[shown[row].hints.bucket]}"
            if _HEADS[place] == "bucket"
            else "text-align:left"
        ),
    )
    events = grid_html(
        ("at", "event", "job", "by", "details"),
        [_event_cells(event) for event in summary.recent],
        caption=f"The newest {len(summary.recent):,} audit events",
    )
    return "\n".join([jobs, note_html(pass_text(summary.last_pass)), events])


def _cells(job: LiveJob) -> list[str]:
    hint = job.hints
    bucket = f"{GLYPHS[hint.bucket]} {hint.bucket}"
    advice = hint.advice if job.candidate else job.reason
    return [
        short_id(job.job_id), job.provider, job.kind, job.status, age_text(hint.age), bucket, job.outlook, advice
    ]  # fmt: skip


def short_id(job_id: Any) -> str:
    """Return a job's id, of a long one the first eight characters."""
    text = show_value(job_id, 80)
    return text if len(text) <= 12 else f"{text[:8]}…"


def pass_text(event: AuditEvent | None) -> str:
    """Return what the last pass said of itself, in a sentence."""
    if event is None:
        return "No pass has run."
    if event.metadata_unreadable:
        return f"The last pass ran at {show_time(event.at)}; what it said can't be read (metadata_unreadable)."
    said = event.details
    how = "as a dry run, which changes nothing" if said.get("dry_run") else "and wrote what it found"
    told = f"The last pass ran at {show_time(event.at)} {how}: {_number(said, 'scanned')} scanned, "
    told += f"{_number(said, 'eligible')} eligible, {_number(said, 'reconciled')} reconciled"
    results = ", ".join(f"{n} {name}" for name, n in sorted(said.get("results", {}).items()))
    told += f" ({results})" if results else ""
    return told + (f"; skipped: {said['skip_reason'].replace('_', ' ')}." if said.get("skip_reason") else ".")


def _number(said: Any, name: str) -> str:
    return f"{said[name]:,}" if name in said else "an unknown number"


def _event_cells(event: AuditEvent) -> list[str]:
    job = EMPTY if event.job_id is None else short_id(event.job_id)
    details = "metadata_unreadable" if event.metadata_unreadable else _details(event)
    return [show_time(event.at) if event.at is not None else "not known", event.kind, job, event.actor, details]


def _details(event: AuditEvent) -> str:
    shown = {name: show_value(value, 60) for name, value in event.details.items()}
    return ", ".join(f"{name}={text}" for name, text in sorted(shown.items()))
