"""The table of a card of jobs: one row each, the stalest first, with short ids, marks beside colours, and advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from replaykit.display import show_value
from replaykit.errors import show_time
from replaykit.systems.clawcut.outlook import CHECKED_LATER, HEALS, PERSON
from replaykit.systems.clawcut.policy import age_text
from replaykit.systems.clawcut.summary_html import GLYPHS, short_id
from replaykit.widgets.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replaykit.systems.clawcut.outlook import LiveJob

__all__ = ["OUTLOOKS", "JobsGrid", "Shown", "frame_of", "job_text"]

OUTLOOKS = {HEALS: "↻", CHECKED_LATER: "→", PERSON: "⚑"}
"""A mark for each outlook."""
_COLUMNS = ("job", "provider", "kind", "status", "age", "bucket", "outlook", "advice")


@dataclass(frozen=True)
class Shown:
    """A job as a cell: its short id in view, and all of it for whoever chooses the row."""

    job: LiveJob

    def __str__(self) -> str:
        return short_id(self.job.job_id)


class JobsGrid(Grid):
    """A grid of jobs; ages are words, so it can't be sorted by them: it comes oldest update first."""

    def __init__(self) -> None:
        super().__init__("Jobs that are not over", glyphs={"bucket": GLYPHS, "outlook": OUTLOOKS})

    def _texts(self) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
        texts, columns = super()._texts()
        return texts, [*columns, {"targets": _COLUMNS.index("age"), "orderable": False}]


def frame_of(jobs: Iterable[LiveJob]) -> pd.DataFrame:
    """Return the rows of the table, in order."""
    return pd.DataFrame([_row(job) for job in jobs], columns=list(_COLUMNS), dtype=object)


def _row(job: LiveJob) -> tuple[Any, ...]:
    hint = job.hints
    age = age_text(hint.age)
    return Shown(job), job.provider, job.kind, job.status, age, hint.bucket, job.outlook, hint.advice


def job_text(job: LiveJob) -> str:
    """Return all that is shown of a job, with its whole id, in some sentences."""
    made, updated = (_time(moment) for moment in (job.created_at, job.updated_at))
    told = f"Job {show_value(job.job_id, 200)}, {job.kind} by {job.provider}, {job.status}: created {made}, "
    told += f"updated {updated}. {job.outlook.capitalize()}. {job.reason}"
    return told if job.reason in job.hints.advice else f"{told} {job.hints.advice}"


def _time(moment: Any) -> str:
    return "at an unknown time" if moment is None else show_time(moment)
