"""A provider's own log, as it is given: which job ended when, and how."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.errors import LoadError
from replaykit.systems.clawcut.times import read_time

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "LoggedJob", "log_frame", "logged_jobs"]

COLUMNS = ("time", "provider_job_id", "event")
"""Columns a log must have; others may stand beside them."""
_ENDS = {
    **dict.fromkeys(("finished", "completed", "complete", "succeeded", "success", "done"), "completed"),
    **dict.fromkeys(("failed", "error", "cancelled", "canceled", "expired", "rejected"), "failed"),
}


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
    frame = log_frame(log)
    providers = frame["provider"] if "provider" in frame.columns else [""] * len(frame)
    entries = [
        (
            read_time(time.to_pydatetime() if hasattr(time, "to_pydatetime") else time),
            _text(name),
            _text(job),
            _text(event),
        )
        for name, time, job, event in zip(providers, *(frame[column] for column in COLUMNS), strict=True)
    ]
    dated = sorted((entry for entry in entries if entry[0] is not None and entry[2]), key=_time_of)
    found: dict[tuple[str, str], LoggedJob] = {}
    for at, name, job, event in dated:
        assert at is not None  # left out above
        known = found.setdefault((name, job), LoggedJob(name, job, at, None, None))
        outcome = _ENDS.get(event.lower())
        if outcome is not None and known.outcome is None:
            found[name, job] = known._replace(outcome=outcome, ended_at=at)
    return list(found.values())


def _time_of(entry: tuple[datetime | None, str, str, str]) -> Any:
    return entry[0]


def _text(value: Any) -> str:
    """Return an id or a word; a whole number that pandas made a fraction of, for a gap beside it, is whole again."""
    if value is None or value != value:  # noqa: PLR0124 - NaN and NaT
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
