"""What the JSON of common providers says: their words for a job's state, in the four that are told apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from replaykit.systems.clawcut.provider import Answer, ProviderError

__all__ = ["read_answer", "read_json"]

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


_STATE_NAMES = ("status", "state")


def read_json(body: bytes) -> Any:
    """Return what a body says.

    Raises
    ------
    ProviderError
        It is no JSON, or an object in it names something twice, so that readers differ on what it says.
    """
    try:
        return json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise ProviderError("unreadable") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) < len(pairs):
        raise ValueError
    return told


def read_answer(told: Mapping[str, Any], provider_job_id: str) -> Answer:
    """Return what ``status`` (or ``state``), ``result_url`` (or ``output_url``, ``url``) and ``error`` say of a job.

    An envelope around an answer, or around an error, has a status of its own, which is not the job's. So an object
    ends a job only if it holds the job's id as one of its values, or where it is completed a URL of its result.

    Raises
    ------
    ProviderError
        There is no state, none that is known, two that disagree, or one further inside; or it ends a job and does not
        show that it is about this one. A guess could end a job that is still running.
    """
    found = {_state(told[name]) for name in _STATE_NAMES if told.get(name) is not None}
    state = found.pop() if len(found) == 1 else None
    if state is None or any(_has_state(value) for value in told.values()):
        raise ProviderError("unreadable")
    url = next((told[name] for name in ("result_url", "output_url", "url") if isinstance(told.get(name), str)), None)
    if state != "running" and not _names(told, provider_job_id) and not (state == "completed" and url):
        raise ProviderError("unreadable")
    return Answer(state, url, _error(told), dict(told))


def _state(status: object) -> str | None:
    plain = status.strip().lower().replace("-", "_").replace(" ", "_") if isinstance(status, str) else ""
    return _STATES.get(plain)


def _has_state(value: object) -> bool:
    """Return whether an object has a state, or one inside of it, however deep."""
    if isinstance(value, Mapping):
        return any(name in value for name in _STATE_NAMES) or any(_has_state(one) for one in value.values())
    return isinstance(value, list) and any(_has_state(one) for one in value)


def _names(told: Mapping[str, Any], provider_job_id: str) -> bool:
    """Return whether one of an object's values is the job's id: errors name it inside of paths and sentences."""
    return any(
        isinstance(value, (str, int)) and not isinstance(value, bool) and str(value) == provider_job_id
        for value in told.values()
    )


def _error(told: Mapping[str, Any]) -> str | None:
    error = told.get("error")
    if isinstance(error, Mapping):
        error = error.get("message")
    return error if isinstance(error, str) and error else None
