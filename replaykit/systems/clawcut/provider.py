"""Providers: who is asked about a job, what they may answer, and what an answer comes to."""

from __future__ import annotations

import builtins
import inspect
import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from replaykit.errors import OperationError

__all__ = [
    "REASONS",
    "Answer",
    "Provider",
    "ProviderError",
    "Providers",
    "Reply",
    "ask",
    "asker",
    "check_providers",
    "repeats",
]

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
    """What the provider sent, as JSON can hold it; NaN and infinity, which it can't, are written as null."""

    def __repr__(self) -> str:
        return f"Answer({self.state if _is_state(self.state) else 'of an unknown state'})"


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


def repeats(providers: Providers, names: Collection[str]) -> int:
    """Return how often a request to one of some providers may be repeated at most, as far as they tell.

    A provider tells it with a whole number ``retries``.
    """
    found = [providers.get(name) for name in names] if isinstance(providers, Mapping) else [providers]
    told = [getattr(provider, "retries", 0) for provider in found]
    return max([number for number in told if isinstance(number, int) and not isinstance(number, bool)], default=0)


def check_providers(providers: object) -> None:
    """Raise OperationError if a provider can't be one, before anybody is asked; a name may stand for None, nobody."""
    if isinstance(providers, Mapping) and not all(isinstance(name, str) for name in providers):
        raise OperationError("provider: expected the names of providers as text, as ai_jobs has them.")
    named = [one for one in providers.values() if one is not None] if isinstance(providers, Mapping) else [providers]
    for provider in named:
        _check_provider(provider)


def _check_provider(provider: object) -> None:
    wanted = "expected an object with look_up(provider_job_id), a function of one argument, or names with one each"
    if isinstance(provider, type):
        raise OperationError(f"provider: {wanted}; this is a class. Make an object of it.")
    asks = provider.look_up if isinstance(provider, Provider) else provider
    if not callable(asks):
        raise OperationError(f"provider: {wanted}.")
    if any(_gives_no_answer(one) for one in (asks, getattr(asks, "__call__", None))):  # noqa: B004  not whether it has
        raise OperationError(f"provider: {wanted}; this is a coroutine function or a generator, which gives no answer.")
    try:
        inspect.signature(asks).bind("id")
    except TypeError:
        raise OperationError(f"provider: {wanted}; this can't be called with one argument.") from None
    except ValueError:  # written in C, and does not tell
        return


def _gives_no_answer(call: object) -> bool:
    tests = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    return any(test(call) for test in tests)


def ask(ask_provider: Asker, provider_job_id: str) -> Reply:
    """Return what a provider says; whatever it raises is an outcome, except what stops the program."""
    try:
        answer: object = ask_provider(provider_job_id)
    except ProviderError as error:
        return Reply("provider_error", _because(error))
    except Exception as error:  # noqa: BLE001  a provider is somebody else's code, and a batch goes on
        return Reply("provider_error", f"asking it raised {_named(error)}")
    try:
        return _reply(answer)
    except Exception:  # noqa: BLE001  what it answered may be of its own making, and may refuse to be written
        return Reply("provider_error", REASONS["unreadable"])


def _reply(answer: object) -> Reply:
    if inspect.iscoroutine(answer):
        answer.close()  # else Python warns of it later, somewhere
    if not isinstance(answer, Answer) or not _is_state(answer.state):
        return Reply("provider_error", REASONS["unreadable"])
    response = None if answer.response is None else _json(answer.response)
    return Reply(_STATES[answer.state], "", _text(answer.result_url), _text(answer.error), response)


def _is_state(state: object) -> bool:
    return isinstance(state, str) and state in _STATES


def _because(error: ProviderError) -> str:
    """Return why there is no answer; a class derived from it may lack what it tells."""
    reason, seconds = getattr(error, "reason", None), getattr(error, "retry_after", None)
    wait = f"; it may be asked again in {seconds:,.0f} s" if _is_wait(seconds) else ""
    return REASONS[reason if isinstance(reason, str) and reason in REASONS else "unreadable"] + wait


def _named(error: Exception) -> str:
    """Return the name of one of Python's own errors; another may be made of a secret."""
    kind = type(error)
    return kind.__name__ if vars(builtins).get(kind.__name__) is kind else "an error of its own"


def _is_wait(seconds: Any) -> bool:
    return isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 <= seconds < 1e9


def _json(value: Any) -> str:
    """Return a value as JSON; what JSON has no word for is written as text."""
    try:
        return json.dumps(value, default=str, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    """Return a value with None for each NaN and infinity, which JSON has not; Python would write them all the same."""
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: Any) -> str | None:
    """Return text that a database takes: half a surrogate pair is written as its escape."""
    value = _finite(value)
    if value is None:
        return None
    text = value if isinstance(value, str) else _json(value)
    return text.encode("utf-8", "backslashreplace").decode()
