"""What the JSON of common providers says: their words for a job's state, in the four that are told apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
_OF_ENVELOPES = frozenset(["success", "successful", "error", "errored", "fail", "not_found"])
"""Words that also say how a request went, and then nothing of the job."""
_STATE_NAMES = ("status", "state")
_URL_NAMES = ("result_url", "output_url", "url")
_INSIDE = ("result", "output", "data", "job")


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

    An envelope around an answer, or around an error, has a status of its own, which is not the job's. So words that
    envelopes use too ("success", "error", ...) end a job only in an object that holds the job's id as one of its
    values, or where it is completed a URL of its result.

    Raises
    ------
    ProviderError
        There is no state, none that is known, or two that disagree, also further inside; or it is a word of envelopes
        without a sign that it is about this job. A guess could end a job that is still running.
    """
    words = {_plain(told[name]) for name in _STATE_NAMES if told.get(name) is not None}
    found = {_STATES.get(word) for word in words}
    state = found.pop() if len(found) == 1 else None
    if state is None or (state != "running" and not set(_states_inside(told)) <= {state}):
        raise ProviderError("unreadable")
    url = _url(told)
    if words <= _OF_ENVELOPES and not _names(told, provider_job_id) and not (state == "completed" and url):
        raise ProviderError("unreadable")
    return Answer(state, url, _error(told), dict(told))


def _plain(status: object) -> str:
    return status.strip().lower().replace("-", "_").replace(" ", "_") if isinstance(status, str) else ""


def _states_inside(value: object, *, inside: bool = False) -> Iterator[str | None]:
    """Yield what the objects inside of an object, however deep, say of a state; None for a word that is not known."""
    if isinstance(value, Mapping):
        yield from (_STATES.get(_plain(value[name])) for name in _STATE_NAMES if inside and name in value)
    if isinstance(value, (Mapping, list)):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _states_inside(one, inside=True)


def _url(told: Mapping[str, Any]) -> str | None:
    """Return the URL of a result, which may stand in an object of its own."""
    objects = [told, *(told[name] for name in _INSIDE if isinstance(told.get(name), Mapping))]
    found = (one[name] for one in objects for name in _URL_NAMES if isinstance(one.get(name), str))
    return next(found, None)


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
