"""Providers: who is asked about a job, what they may answer, and what an answer comes to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from replaykit.systems.clawcut.schema import word

__all__ = ["REASONS", "Answer", "Provider", "ProviderError", "Providers", "Reply", "ask", "asker"]

_STATES = {"completed": "completed", "failed": "failed", "running": "still_running", "not_found": "not_found"}
REASONS = {
    "timeout": "it did not answer in time",
    "rate_limited": "it wants to be asked less often",
    "server_error": "it answered with an error of its own",
    "unreadable": "its answer can't be read",
    "unreachable": "it can't be reached",
    "refused": "it refused to answer",
}
"""Why a provider gave no answer, each with the words for it."""


@dataclass(frozen=True, repr=False)
class Answer:
    """What a provider says of a job. Its repr shows the state and nothing else."""

    state: str
    """``completed``, ``failed``, ``running`` or ``not_found``."""
    result_url: str | None = None
    error: str | None = None
    response: Any = None
    """What the provider sent, as JSON can hold it."""

    def __repr__(self) -> str:
        return f"Answer({self.state if self.state in _STATES else 'of an unknown state'})"


class ProviderError(Exception):
    """A provider gave no answer; ``reason`` says why.

    Parameters
    ----------
    reason
        ``timeout``, ``rate_limited``, ``server_error``, ``unreadable``, ``unreachable`` or ``refused``.
    retry_after
        Seconds after which the provider may be asked again; None where it did not say.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        if reason not in REASONS:
            raise ValueError(f"reason of a ProviderError: expected one of {', '.join(REASONS)}.")
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


@runtime_checkable
class Provider(Protocol):
    """Whoever can be asked about a job. A function of the same shape will do."""

    def look_up(self, provider_job_id: str) -> Answer:
        """Return what the provider says of a job now; raise ProviderError if it says nothing."""
        ...


Asker = Callable[[str], Answer]
Providers = Provider | Asker | Mapping[str, Provider | Asker]
"""One provider for all jobs, or the name of a provider to each: ``{"veo": ..., "runway": ...}``."""


@dataclass(frozen=True)
class Reply:
    """What asking came to; texts of the provider are never shown."""

    outcome: str
    because: str = ""
    """Why there is no answer, in words of our own."""
    result_url: str | None = field(default=None, repr=False)
    error: str | None = field(default=None, repr=False)
    response_json: str | None = field(default=None, repr=False)


def asker(providers: Providers, name: Any) -> Asker | None:
    """Return how to ask the provider of a job; None if nobody was named for it."""
    if isinstance(providers, Mapping):
        found = providers.get(name)
        return None if found is None else _method(found)
    return _method(providers)


def _method(provider: Provider | Asker) -> Asker:
    return provider.look_up if isinstance(provider, Provider) else provider


def ask(ask_provider: Asker, provider_job_id: str) -> Reply:
    """Return what a provider says; whatever it raises is an outcome, except what stops the program."""
    try:
        answer: object = ask_provider(provider_job_id)
        if not isinstance(answer, Answer) or answer.state not in _STATES:
            return Reply("provider_error", REASONS["unreadable"])
        response = None if answer.response is None else json.dumps(answer.response, default=str)
        return Reply(_STATES[answer.state], "", _text(answer.result_url), _text(answer.error), response)
    except ProviderError as error:
        wait = f"; it may be asked again in {error.retry_after:,.0f} s" if _is_wait(error.retry_after) else ""
        return Reply("provider_error", REASONS.get(error.reason, REASONS["unreadable"]) + wait)
    except Exception as error:  # noqa: BLE001  a provider is somebody else's code, and a batch goes on
        return Reply("provider_error", f"asking it raised {word(type(error).__name__)}")


def _is_wait(seconds: Any) -> bool:
    return isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 <= seconds < 1e9


def _text(value: Any) -> str | None:
    """Return text that a database takes: half a surrogate pair is written as its escape."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.encode("utf-8", "backslashreplace").decode()
