"""Checks: what asking about a job came to, as a value that holds nothing secret, and how one or many are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from replaykit.display import brief, count, grid_html, note_html, show_value
from replaykit.systems.clawcut.audit import OUTCOMES, SETTLED

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Check", "Checked", "checks_frame", "checks_html", "count_outcomes", "sentence_of", "told_outcomes"]

_SHOWN = 200
_SENTENCES = {
    "completed": "The provider has finished it",
    "failed": "The provider says that it failed",
    "still_running": "The provider is still at work on it; leave it.",
    "not_found": "The provider does not know it; it needs a person.",
    "provider_error": "The provider gave no answer",
    "changed_meanwhile": "It was left alone",
    "in_flight": "Somebody else is asking about it just now; nobody was asked again.",
    "not_written": "Nothing was written.",
    "terminal": "It has ended already; nobody was asked.",
}
_HEADS = {
    "job_id": "Job",
    "kind": "Kind",
    "provider": "Provider",
    "status_before": "Was",
    "outcome": "Outcome",
    "status_after": "Is",
    "applied": "Written",
    "age": "Age",
    "asked_at": "Asked at",
    "sentence": "What it means",
}


@dataclass(frozen=True, repr=False)
class Check:
    """What asking about one job came to. Nothing the provider wrote is in it."""

    job_id: Any
    """The app's own id."""
    kind: str
    provider: str
    """The provider's name."""
    status_before: str
    """The status that the job had when it was looked at."""
    outcome: str
    """``completed``, ``failed``, ``still_running``, ``not_found``, ``provider_error``, ``indeterminate`` (nobody can be
    asked), ``changed_meanwhile``, ``in_flight``, ``terminal`` or, in a batch, ``not_written``."""
    status_after: str | None
    """The status that the job has now in the database; None if it is gone."""
    applied: bool
    """Whether the job was changed."""
    age: timedelta | None
    """Since it was last updated; None where that can't be known."""
    asked_at: datetime | None
    """When the provider was asked, UTC; None if it was not."""
    sentence: str
    """What it means, in a sentence or two."""

    def __repr__(self) -> str:
        return brief("Check", f"job {show_value(self.job_id, 40)}: {self.outcome}. {self.sentence}")

    def _repr_html_(self) -> str:
        return checks_html([self])


class Checked:
    """What a batch and a pass have in common: checks, counted and as a table."""

    checks: tuple[Check, ...]

    @property
    def results(self) -> Mapping[str, int]:
        """Outcome to number of jobs."""
        return count_outcomes(self.checks)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each check, with the fields of `Check`."""
        return checks_frame(self.checks)


def sentence_of(outcome: str, because: str = "", *, written: bool = False) -> str:
    """Return what an outcome means; `because` is a reason in words of our own."""
    if outcome == "indeterminate":
        return because
    told = _SENTENCES[outcome]
    if outcome in SETTLED:
        return f"{told}; the job now says so." if written else f"{told}; nothing was written, this was a dry run."
    if outcome == "not_written":
        return f"{told} {because}"
    return f"{told}: {because}." if because else f"{told.removesuffix('.')}."


def count_outcomes(checks: Iterable[Check]) -> Mapping[str, int]:
    """Return outcome to number of checks, in the order of `OUTCOMES`; those that did not occur are left out."""
    found = Counter(check.outcome for check in checks)
    return MappingProxyType({outcome: found[outcome] for outcome in OUTCOMES if found[outcome]})


def told_outcomes(results: Mapping[str, int]) -> str:
    """Return the counts in words: "20 completed, 3 still running"."""
    return ", ".join(f"{number:,} {outcome.replace('_', ' ')}" for outcome, number in results.items()) or "none"


def checks_frame(checks: Iterable[Check]) -> pd.DataFrame:
    """Return checks as a table, one row each, in their order."""
    import pandas as pd

    names = [field.name for field in fields(Check)]
    return pd.DataFrame([[getattr(check, name) for name in names] for check in checks], columns=names)


def checks_html(checks: Iterable[Check], caption: str | None = None) -> str:
    """Return checks as an HTML table: escaped, without script, at most 200 rows."""
    every = list(checks)
    texts = [[_cell(name, getattr(check, name)) for name in _HEADS] for check in every[:_SHOWN]]
    left = len(every) - len(texts)
    notes = [f"… {count(left, 'more check')}: see .table"] if left else []
    return grid_html(list(_HEADS.values()), texts, caption=caption, notes=notes) if every else note_html(caption or "")


def _cell(name: str, value: object) -> str:
    if name == "applied":
        return "yes" if value else "no"
    return str(value).replace("_", " ") if name == "outcome" else show_value(value)
