"""What the JSON of common providers says: their words for a job's state, in the four that are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replaykit.systems.clawcut.provider import Answer, ProviderError

__all__ = ["read_answer"]

_WORDS = {
    "completed": "completed complete done finished ready succeed succeeded success successful",
    "failed": "failed failure fail error errored cancelled canceled aborted expired rejected",
    "running": (
        "running processing pending queued in_progress in_queue started starting submitted accepted created waiting "
        "working scheduled throttled"
    ),
    "not_found": "not_found",
}
_STATES = {word: state for state, words in _WORDS.items() for word in words.split()}


def read_answer(told: Mapping[str, Any]) -> Answer:
    """Return what ``status`` (or ``state``), ``result_url`` (or ``output_url``, ``url``) and ``error`` say.

    Raises
    ------
    ProviderError
        There is no state, or none that is known: a guess could end a job that is still running.
    """
    status = next((told[name] for name in ("status", "state") if told.get(name) is not None), None)
    plain = status.strip().lower().replace("-", "_").replace(" ", "_") if isinstance(status, str) else ""
    if plain not in _STATES:
        raise ProviderError("unreadable")
    url = next((told[name] for name in ("result_url", "output_url", "url") if isinstance(told.get(name), str)), None)
    return Answer(_STATES[plain], url, _error(told), dict(told))


def _error(told: Mapping[str, Any]) -> str | None:
    error = told.get("error")
    if isinstance(error, Mapping):
        error = error.get("message")
    return error if isinstance(error, str) and error else None
