"""A provider that answers out of its own log, as it would have at a moment: for replays of a day, and for tests."""

from __future__ import annotations

from copy import copy
from datetime import datetime
from typing import Any

from replaykit.display import brief, count
from replaykit.errors import LoadError, OperationError, show_time
from replaykit.systems.clawcut.provider import Answer, ProviderError
from replaykit.systems.clawcut.provider_log import LogEntry, log_entries, log_frame
from replaykit.window import parse_time

__all__ = ["LoggedProvider"]


class LoggedProvider:
    """Says of a job what a log says up to a moment: its end, else that it runs; a job without an entry is not found.

    Two providers may have given the same id to different jobs. Where they did in this log, one that was not told for
    which provider it answers refuses to, rather than mix them up: give `by_name` to a check then.

    Parameters
    ----------
    log
        Path of a CSV or Parquet file, or a DataFrame, with columns ``time``, ``provider_job_id`` and ``event``
        (``accepted``, ``started``, ``finished``, ``failed`` or a common synonym of these), and perhaps ``provider``,
        ``result_url`` and ``error``.
    at
        The moment, which belongs to it: UTC, ISO text or a datetime. None is the end of the log.
    provider
        The name of a provider in the log, to answer from its entries alone; None is whoever has the id.

    Raises
    ------
    LoadError
        The log can't be read, or has not these columns; ``provider`` is one of them if one was named.
    OperationError
        `provider` is no name.
    """

    def __init__(self, log: Any, at: datetime | str | None = None, *, provider: str | None = None) -> None:
        named: object = provider
        if named is not None and (not isinstance(named, str) or not named):
            raise OperationError("LoggedProvider: expected provider as the name of a provider in the log, or None.")
        self._at = None if at is None else parse_time(at, what="at")
        self._entries = _read(log, provider)
        self.asked: list[str] = []
        """For each time it was asked, the name of the job's provider in the log; empty where it is not known."""

    def __repr__(self) -> str:
        moment = "the end" if self._at is None else show_time(self._at)
        return brief("LoggedProvider", f"{count(len(self._entries), 'job')}, as of {moment}")

    def look_up(self, provider_job_id: str) -> Answer:
        """Return what the log says of a job; raises ProviderError where the id is known at several providers."""
        entries = self._entries.get(provider_job_id, ())
        if len({entry.provider for entry in entries if entry.provider}) > 1:  # later ones too: it may be their job
            self.asked.append("")
            raise ProviderError("refused")
        told = [entry for entry in entries if self._at is None or entry.at <= self._at]
        self.asked.append(told[-1].provider if told else "")
        return _answer(told) if told else Answer("not_found")

    def by_name(self) -> dict[str, LoggedProvider]:
        """Return one provider for each name in the log, sorted, as checks take them; each keeps whom it was asked for.

        Raises
        ------
        LoadError
            No entry of the log names its provider.
        """
        names = sorted({entry.provider for entries in self._entries.values() for entry in entries if entry.provider})
        if not names:
            raise LoadError("The provider's log names no provider; expected names in a column 'provider'.")
        return {name: self._of(name) for name in names}

    def _of(self, name: str) -> LoggedProvider:
        made = copy(self)
        own = {id: [entry for entry in entries if entry.provider == name] for id, entries in self._entries.items()}
        made._entries, made.asked = {id: found for id, found in own.items() if found}, []
        return made


def _read(log: Any, provider: str | None) -> dict[str, list[LogEntry]]:
    """Return the entries of each job by time, then as logged."""
    frame = log_frame(log)
    if provider is not None and "provider" not in frame.columns:
        raise LoadError("The provider's log has no column 'provider'; expected one, to tell providers apart.")
    found: dict[str, list[LogEntry]] = {}
    for entry in log_entries(frame):
        if provider in (None, entry.provider):
            found.setdefault(entry.provider_job_id, []).append(entry)
    return found


def _answer(told: list[LogEntry]) -> Answer:
    """Return the first end among entries, as `open` takes it from the log, else that the provider is at work."""
    end = next((entry for entry in told if entry.state != "running"), told[-1])
    return Answer(end.state, end.result_url, end.error)
