"""A provider that answers out of its own log, as it would have at a moment: for replays of a day, and for tests."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from replaykit.display import brief, count
from replaykit.errors import show_time
from replaykit.systems.clawcut.provider import Answer
from replaykit.systems.clawcut.provider_log import log_frame
from replaykit.systems.clawcut.times import read_time
from replaykit.window import parse_time

__all__ = ["LoggedProvider"]

_STATES = {"accepted": "running", "started": "running", "finished": "completed", "failed": "failed"}


class _Entry(NamedTuple):
    at: datetime
    provider: str
    answer: Answer


class LoggedProvider:
    """Says of a job what the newest entry of a log says, up to a moment; a job without an entry is not found.

    Parameters
    ----------
    log
        Path of a CSV or Parquet file, or a DataFrame, with columns ``time``, ``provider_job_id`` and ``event``
        (``accepted``, ``started``, ``finished`` or ``failed``), and perhaps ``provider``, ``result_url`` and
        ``error``.
    at
        The moment, which belongs to it: UTC, ISO text or a datetime. None is the end of the log.

    Raises
    ------
    LoadError
        The log can't be read, or has not these columns.
    """

    def __init__(self, log: Any, at: datetime | str | None = None) -> None:
        self._at = None if at is None else parse_time(at, what="at")
        self._entries = _read(log)
        self.asked: list[str] = []
        """For each time it was asked, the name of the job's provider in the log; empty where it is not known."""

    def __repr__(self) -> str:
        moment = "the end" if self._at is None else show_time(self._at)
        return brief("LoggedProvider", f"{count(len(self._entries), 'job')}, as of {moment}")

    def look_up(self, provider_job_id: str) -> Answer:
        """Return what the log says of a job."""
        entries = self._entries.get(provider_job_id, ())
        told = [entry for entry in entries if self._at is None or entry.at <= self._at]
        self.asked.append(told[-1].provider if told else "")
        return told[-1].answer if told else Answer("not_found")


def _read(log: Any) -> dict[str, list[_Entry]]:
    """Return the entries of each job by time, then as logged; those without a readable time are left out."""
    found: dict[str, list[_Entry]] = {}
    for row in log_frame(log).to_dict("records"):
        time, event = row["time"], row["event"]
        at = read_time(time.to_pydatetime() if hasattr(time, "to_pydatetime") else time)
        if at is not None and event in _STATES:
            answer = Answer(_STATES[event], _text(row.get("result_url")), _text(row.get("error")))
            found.setdefault(str(row["provider_job_id"]), []).append(
                _Entry(at, _text(row.get("provider")) or "", answer)
            )
    return {id: sorted(entries, key=lambda entry: entry.at) for id, entries in found.items()}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
