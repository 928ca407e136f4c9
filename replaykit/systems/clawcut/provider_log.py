"""A provider's own log, as it is given: which job ended when, and how."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from replaykit.errors import LoadError
from replaykit.systems.clawcut.times import read_time

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "Finished", "finished_jobs", "log_frame"]

COLUMNS = ("time", "provider_job_id", "event")
"""Columns a log must have; others may stand beside them."""
_ENDS = {"finished": "completed", "completed": "completed", "succeeded": "completed", "failed": "failed"}


class Finished(NamedTuple):
    """A job that ended at the provider."""

    provider_job_id: str
    outcome: str
    """``completed`` or ``failed``."""
    at: datetime


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


def finished_jobs(log: Any) -> list[Finished]:
    """Return the jobs that ended, by time, then as logged; a job that is said to end twice ended at the first time.

    Rows whose time can't be read are no ends.
    """
    frame = log_frame(log)
    ends: list[Finished] = []
    for time, job, event in zip(*(frame[name] for name in COLUMNS), strict=True):
        moment = read_time(time.to_pydatetime() if hasattr(time, "to_pydatetime") else time)
        if event in _ENDS and moment is not None:
            ends.append(Finished(str(job), _ENDS[event], moment))
    first: dict[str, Finished] = {}
    for end in sorted(ends, key=lambda end: end.at):
        first.setdefault(end.provider_job_id, end)
    return list(first.values())
