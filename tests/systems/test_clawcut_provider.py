"""Providers: what can't be one is refused before anybody is asked, and whatever one answers is written as it may be."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from clawcut_app import NOW, Told, audited, job, make_app, row

import replaykit as rk
from replaykit.systems import clawcut
from replaykit.systems.clawcut import Answer, LoggedProvider, ProviderError
from replaykit.systems.clawcut.provider import ask, check_providers, repeats

LOG = [
    ("2026-05-12T11:00:00Z", "veo", "p1", "accepted"),
    ("2026-05-12T11:10:00Z", "runway", "p1", "accepted"),
    ("2026-05-12T11:20:00Z", "runway", "p1", "failed"),
    ("2026-05-12T11:30:00Z", "veo", "p2", "finished"),
    ("2026-05-12T11:40:00Z", "", "p2", "finished"),
]


async def coroutine(id: str) -> Answer:
    """Give no answer, but what has to be awaited."""
    return Answer(id)


def generator(id: str) -> Iterator[Answer]:
    """Give no answer, but what has to be gone through."""
    yield Answer(id)


async def both(id: str) -> AsyncIterator[Answer]:
    """Give neither."""
    yield Answer(id)


class Awaited:
    """A provider whose method is a coroutine function."""

    async def look_up(self, id: str) -> Answer:
        """As `coroutine`."""
        return Answer(id)


class Called:
    """An object that is called, and gives what has to be awaited."""

    async def __call__(self, id: str) -> Answer:
        """As `coroutine`."""
        return Answer(id)


class Named:
    """Looks as if it could be asked."""

    look_up = "veo"


NONE = [
    None,
    "veo",
    5,
    object(),
    ["veo"],
    Told,
    LoggedProvider,
    coroutine,
    functools.partial(coroutine),
    generator,
    both,
    Awaited(),
    Called(),
    Named(),
    lambda: Answer("completed"),
    lambda _a, _b: Answer("completed"),
    {"veo": Told},
    {"veo": "https://secret.example"},
    {"veo": Told(), "runway": coroutine},
    {5: Told()},
]


@pytest.mark.parametrize("wrong", NONE, ids=lambda wrong: type(wrong).__name__)
def test_what_can_be_no_provider_is_refused(wrong: Any):
    """Else each job of a batch would come to an error of its own, and to a pause before the next check."""
    with pytest.raises(rk.OperationError, match="provider: expected") as caught:
        check_providers(wrong)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "right",
    [
        Told(),
        Told().look_up,
        functools.partial(Told().look_up),
        lambda _id, _more=1: Answer("completed"),
        {},
        {"veo": Told(), "runway": None},
        {"veo": lambda *_ids: Answer("completed")},
        json.loads,
    ],
)
def test_whoever_can_be_asked_is_taken(right: Any):
    """An object, a method, a function, names with one each, and nobody under a name."""
    check_providers(right)


def test_how_often_a_request_may_be_repeated_is_what_providers_tell():
    """At most, of those that are named; one that does not tell it in a whole number says nothing."""
    patient, odd = clawcut.HTTPProvider("https://veo.example", retries=4), Told()
    odd.retries = "7"  # type: ignore[attr-defined]
    providers = {"veo": patient, "runway": odd, "pixl": Told(), "none": None}

    assert (repeats(patient, ["any"]), repeats(odd, ["any"]), repeats(Told(), [])) == (4, 0, 0)
    assert repeats(providers, ["veo", "runway", "pixl"]) == 4
    assert repeats(providers, ["runway", "pixl", "none", "nobody"]) == 0


def test_what_json_has_no_word_for_is_written_as_null(tmp_path: Path):
    """The app reads response_json with a reader that knows no NaN."""
    nan, told = float("nan"), {}
    told.update({"score": nan, "parts": [1.5, float("inf"), {"x": (nan, "NaN")}], "path": Path("a")})
    app = make_app(tmp_path, [job(1), job(2)])
    provider = Told({"p1": Answer("completed", nan, None, told), "p2": Answer("failed", None, {"code": nan})})  # type: ignore[arg-type]

    clawcut.check_batch(app, provider, apply=True, now=NOW)

    found = json.loads(row(app, 1)["response_json"], parse_constant=pytest.fail)
    assert found == {"score": None, "parts": [1.5, None, {"x": [None, "NaN"]}], "path": "a"}
    assert (row(app, 1)["result_url"], row(app, 2)["error"]) == (None, '{"code": null}')


def test_an_answer_that_can_not_be_written_is_no_answer():
    """It holds itself, is of no known state, or has to be awaited."""
    loop: list[Any] = []
    loop.append(loop)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for answer in (Answer("completed", response=loop), Answer(["completed"]), coroutine("p1")):  # type: ignore[arg-type]
            reply = ask(lambda _id, answer=answer: answer, "p1")
            assert (reply.outcome, reply.because) == ("provider_error", "its answer can't be read")

    assert repr(Answer(["secret"])) == "Answer(of an unknown state)"  # type: ignore[arg-type]


class BareError(ProviderError):
    """Has neither a reason nor a wait."""

    def __init__(self) -> None:
        """Leave out what it is made of."""


@pytest.mark.parametrize(
    ("error", "because"),
    [
        (KeyError("sk-live-1"), "asking it raised KeyError"),
        (TimeoutError(), "asking it raised TimeoutError"),
        (type("sk-live-1", (Exception,), {})(), "asking it raised an error of its own"),
        (type("sk_live_1", (ValueError,), {})(), "asking it raised an error of its own"),
        (type("KeyError", (ValueError,), {})(), "asking it raised an error of its own"),
        (BareError(), "its answer can't be read"),
    ],
)
def test_an_error_is_named_only_if_it_is_pythons_own(tmp_path: Path, error: Exception, because: str):
    """The name of a class that is made at run time may hold what its maker read."""
    app = make_app(tmp_path, [job(1)])

    check = clawcut.check(app, 1, Told({"p1": error}), apply=True, now=NOW)

    assert check.sentence == f"The provider gave no answer: {because}."
    assert audited(app, "reconcile_checked")[0]["outcome"] == "provider_error"
    assert b"live" not in app.read_bytes()


@pytest.fixture
def log() -> pd.DataFrame:
    """Return a log in which two providers gave the same id to a job."""
    return pd.DataFrame(LOG, columns=["time", "provider", "provider_job_id", "event"])


@pytest.mark.parametrize("at", [None, "2026-05-12T11:05:00Z"])
def test_an_id_at_two_providers_is_not_mixed_up(log: pd.DataFrame, at: str | None):
    """Also before the second one had it: it may be the second one's job."""
    provider = LoggedProvider(log, at=at)

    with pytest.raises(ProviderError) as caught:
        provider.look_up("p1")
    assert (caught.value.reason, provider.asked) == ("refused", [""])
    assert provider.look_up("p2").state == ("not_found" if at else "completed")


def test_each_provider_answers_for_its_own_jobs(log: pd.DataFrame, tmp_path: Path):
    """A job at one of them is not ended by what the other says of the same id."""
    app = make_app(tmp_path, [job(1, provider_job_id="p1"), job(2, provider_job_id="p1", provider="runway")])
    providers = LoggedProvider(log).by_name()

    batch = clawcut.check_batch(app, providers, now=NOW)

    assert [check.outcome for check in batch.checks] == ["still_running", "failed"]
    assert {name: one.asked for name, one in providers.items()} == {"runway": ["runway"], "veo": ["veo"]}
    assert LoggedProvider(log, provider="veo").look_up("p1").state == "running"
    assert LoggedProvider(log, provider="runway").look_up("p2").state == "not_found"
    assert LoggedProvider(log, at="2026-05-12T11:15:00Z").by_name()["runway"].look_up("p1").state == "running"


def test_a_log_that_names_no_provider_says_so(log: pd.DataFrame):
    """And a name that is none is refused."""
    bare = log.drop(columns="provider")
    with pytest.raises(rk.LoadError, match="'provider'"):
        LoggedProvider(bare, provider="veo")
    with pytest.raises(rk.LoadError, match="'provider'"):
        LoggedProvider(bare).by_name()
    for wrong in ("", 5, b"veo"):
        with pytest.raises(rk.OperationError, match="provider"):
            LoggedProvider(log, provider=wrong)  # type: ignore[arg-type]

    assert LoggedProvider(bare).look_up("p2").state == "completed"
