"""The error tree. Every error replaykit raises on purpose derives from `ReplayKitError`.

ReplayKitError
├── LoadError            a source can't be read, a column is missing or ambiguous
│   └── FormatError      a file is no recording, or one of another format version
├── WindowError          a bound is missing, unreadable, reversed or outside the recording
├── QueryError           a question names a table, key, column or moment that does not exist
├── GuardError           a statement or function that replayed SQL may not use
├── StateError           a handler wrote something a state table can't hold
├── ReconcilerError      the reconciler is badly declared, or its code raised
│   ├── IsolationError   replayed code tried to leave the transaction
│   └── ExternalError    an external program crashed, hung or broke the protocol
├── OperationError       what was asked of a live system can't be done; never quotes paths, URLs or anybody's data
├── VerdictError         a verdict, violation or determinism check that was asked to raise
└── KeyDiffError         keys of a diff are missing, null or repeated
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

__all__ = [
    "STOPPING",
    "ExternalError",
    "FormatError",
    "GuardError",
    "IsolationError",
    "KeyDiffError",
    "LoadError",
    "OperationError",
    "QueryError",
    "ReconcilerError",
    "ReplayKitError",
    "StateError",
    "VerdictError",
    "WindowError",
]

_EXCERPT = 80


class ReplayKitError(Exception):
    """Base of every error replaykit raises on purpose; catch it to catch them all."""


class LoadError(ReplayKitError, ValueError):
    """A source can't be read, or a column is missing or ambiguous."""


class FormatError(LoadError):
    """A file is no recording, or one written in another format version."""


class WindowError(ReplayKitError, ValueError):
    """A bound is missing, unreadable, reversed or outside the recording."""


class QueryError(ReplayKitError, LookupError):
    """A question names a table, key, column or moment that does not exist; the message lists what does."""


class GuardError(ReplayKitError, ValueError):
    """A SQL statement or function that may not run inside a replay."""


class StateError(ReplayKitError, ValueError):
    """A handler wrote something that a state table can't hold, or a row that is not there."""


class ReconcilerError(ReplayKitError):
    """The reconciler is badly declared, or its code raised: then ``__cause__`` is its error.

    ``event``, ``step`` and ``handler`` say where; each is None if the error is not at an event.
    """

    def __init__(self, message: str, *, event: Any = None, step: int | None = None, handler: str | None = None) -> None:
        super().__init__(message)
        self.event = event
        self.step = step
        self.handler = handler


class IsolationError(ReconcilerError):
    """Replayed code tried to leave the transaction: to write a file, open a socket, start a process or commit."""


class ExternalError(ReconcilerError):
    """An external program crashed, hung, broke the protocol or can't be started; the message names the request.

    ``request``, ``exit_code`` and ``stderr`` (its last lines) say more; the first two are None if there was none. It
    ends a replay whatever ``on_error`` says: there is nobody left to go on with.
    """

    def __init__(
        self,
        message: str,
        *,
        request: str | None = None,
        exit_code: int | None = None,
        stderr: tuple[str, ...] = (),
        step: int | None = None,
    ) -> None:
        super().__init__(message, step=step)
        self.request = request
        self.exit_code = exit_code
        self.stderr = stderr


STOPPING = (IsolationError, ExternalError)
"""Errors that no ``on_error`` passes over."""


class OperationError(ReplayKitError):
    """What was asked of a live system can't be done: its database is missing or locked, it has no such job.

    The message never quotes a path, a URL, an id of a provider, a credential or the text of somebody else's exception,
    nor is there a cause. ``reason`` is one word for programs: ``missing``, ``locked``, ``unreadable``, ``read_only``,
    ``changed``, ``unknown_job`` or ``invalid``. ``result`` is what had been done by then, such as a pass that could not
    be written down; None if nothing was.
    """

    def __init__(self, message: str, *, reason: str = "invalid") -> None:
        super().__init__(message)
        self.reason = reason
        self.result: Any = None


class VerdictError(ReplayKitError, AssertionError):
    """A verdict, violation or determinism check that was asked to raise."""


class KeyDiffError(ReplayKitError, ValueError):
    """Keys of a diff are missing, null or repeated; the message lists them and shows the call that works."""


def excerpt(value: object) -> str:
    """Return the repr of a value cut to 80 characters, the most of anybody's data an error may quote."""
    text = repr(value)
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"


def show_time(moment: datetime | None) -> str:
    """Return a UTC time as ISO 8601 with Z; a naive one is taken as UTC."""
    if moment is None:
        return "none"
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat() + "Z"
