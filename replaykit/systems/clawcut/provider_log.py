"""A provider's own log, as it is given: which job ended when, and how."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.errors import LoadError
from replaykit.systems.clawcut.times import read_time

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "LogEntry", "LoggedJob", "log_entries", "log_frame", "logged_jobs"]

COLUMNS = ("time", "provider_job_id", "event")
"""Columns a log must have; others may stand beside them."""
_FURTHER = ("provider", "result_url", "error")
_ENDS = {
    **dict.fromkeys(("finished", "completed", "complete", "succeeded", "success", "done"), "completed"),
    **dict.fromkeys(("failed", "error", "cancelled", "canceled", "expired", "rejected"), "failed"),
}


class LogEntry(NamedTuple):
    """One line of a log."""

    at: datetime
    provider: str
    """Empty where the log names none."""
    provider_job_id: str
    state: str
    """``completed``, ``failed``, or ``running`` for any event that is no end."""
    result_url: str | None
    error: str | None


class LoggedJob(NamedTuple):
    """What a provider's log says of one job."""

    provider: str
    """Empty where the log names none."""
    provider_job_id: str
    known_at: datetime
    """The time of its first entry."""
    outcome: str | None
    """``completed`` or ``failed``; None while it had not ended."""
    ended_at: datetime | None


def log_frame(log: Any) -> pd.DataFrame:
    """Return a provider's log as a frame of text.

    Parameters
    ----------
    log
        Path of a CSV or Parquet file, or anything a DataFrame is made of. Columns ``time``, ``provider_job_id`` and
        ``event`` (``accepted``, ``started``, ``finished`` or ``failed``); perhaps ``provider``, ``result_url``,
        ``error``.

    Raises
    ------
    LoadError
        A file is not there or can't be read, or a column is missing. The message shows no path.
    """
    import pandas as pd

    try:
        frame = _read(log) if isinstance(log, (str, Path)) else pd.DataFrame(log)
    except (OSError, ValueError):
        raise LoadError("The provider's log can't be read; expected a CSV or Parquet file, or a DataFrame.") from None
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise LoadError(f"The provider's log has no column {missing[0]!r}; expected {', '.join(COLUMNS)}.")
    return frame


def _read(path: str | Path) -> pd.DataFrame:
    import pandas as pd

    place = Path(path).expanduser()
    if place.suffix == ".parquet":
        return pd.read_parquet(place)
    return pd.read_csv(place, dtype=str, keep_default_na=False)


def logged_jobs(log: Any) -> list[LoggedJob]:
    """Return the jobs a log tells of, by time of their first entry, then as logged; the first end of a job counts.

    Entries whose time can't be read are left out.
    """
    found: dict[tuple[str, str], LoggedJob] = {}
    for entry in log_entries(log_frame(log)):
        key = entry.provider, entry.provider_job_id
        known = found.setdefault(key, LoggedJob(*key, entry.at, None, None))
        if entry.state != "running" and known.outcome is None:
            found[key] = known._replace(outcome=entry.state, ended_at=entry.at)
    return list(found.values())


def log_entries(frame: pd.DataFrame) -> list[LogEntry]:
    """Return the lines of a log by time, then as logged; those without a readable time or a job's id are left out."""
    names = (*COLUMNS, *_FURTHER)
    columns = [frame[name] if name in frame.columns else [None] * len(frame) for name in names]
    entries = (_entry(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True))
    return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.at)


def _entry(row: dict[str, Any]) -> LogEntry | None:
    time, job = row["time"], _text(row["provider_job_id"])
    at = read_time(time.to_pydatetime() if hasattr(time, "to_pydatetime") else time)
    if at is None or not job:
        return None
    state = _ENDS.get(_text(row["event"]).lower(), "running")
    return LogEntry(
        at, _text(row["provider"]), job, state, _text(row["result_url"]) or None, _text(row["error"]) or None
    )


def _text(value: Any) -> str:
    """Return an id or a word; a whole number that pandas made a fraction of, for a gap beside it, is whole again."""
    if value is None or value != value:  # noqa: PLR0124 - NaN and NaT
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
