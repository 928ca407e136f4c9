"""A provider over HTTP is asked with patience that ends, whatever it answers, and nothing is told of where it lives."""

from __future__ import annotations

import json
import logging
import socket
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clawcut_app import NOW, audited, job, make_app, row
from clawcut_http import done, dripping, endless, hang_up, serving, silent, slow, status, then_done

import replaykit as rk
from replaykit.systems import clawcut
from replaykit.systems.clawcut import Answer, HTTPProvider, ProviderError

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b'11\r\n{"status":"done"}\r\n'


def asked(provider: HTTPProvider, id: str = "x") -> tuple[str, float | None]:
    """Return state, or reason and wait, of what asking came to."""
    try:
        return provider.look_up(id).state, None
    except ProviderError as error:
        return error.reason, error.retry_after


def test_an_answer_is_read_with_everything_in_it():
    """Path, query and headers are as they were given."""
    with serving(x=done) as server:
        provider = HTTPProvider(server.url + "/v1/jobs/?region=eu", headers={"Authorization": "Bearer abc"})
        answer = provider.look_up("x")

    assert (answer.state, answer.result_url, answer.response["status"]) == (
        "completed",
        "https://cdn.example/x",
        "succeeded",
    )
    path, headers = server.seen[0]
    assert (path, headers["Authorization"]) == ("/v1/jobs/x?region=eu", "Bearer abc")


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"status": "COMPLETE", "id": "x"}, "completed"),
        ({"state": "done", "url": "https://cdn.example/1"}, "completed"),
        ({"state": "done", "status": "Succeeded", "id": "x"}, "completed"),
        ({"status": "in-progress"}, "running"),
        ({"status": " Queued "}, "running"),
        ({"status": "THROTTLED"}, "running"),
        ({"status": "error", "error": {"message": "no"}, "task": "x"}, "failed"),
        ({"status": "cancelled", "id": "x"}, "failed"),
        ({"status": "not found", "job": "x"}, "not_found"),
        ({"status": "failed", "error": "no capacity"}, "failed"),
        ({"status": "completed", "output": {"url": "https://cdn.example/1"}}, "completed"),
        ({"status": "completed", "data": {"status": "completed", "result_url": "https://cdn.example/1"}}, "completed"),
        ({"status": "processing", "steps": [{"state": "done"}]}, "running"),
        ({"status": "perhaps"}, "unreadable"),
        ({"status": None}, "unreadable"),
        ({"status": 200}, "unreadable"),
        ({}, "unreadable"),
        ([{"status": "done"}], "unreadable"),
        ("done", "unreadable"),
    ],
)
def test_the_words_of_common_providers_are_understood_and_no_other_is_guessed(told: Any, state: str):
    """A guess could end a job that is still running."""
    with serving(x=status(200, told)) as server:
        assert asked(HTTPProvider(server.url))[0] == state


@pytest.mark.parametrize(
    "told",
    [
        {"status": "success", "data": {"state": "processing"}},
        {"state": "running", "status": "success"},
        {"status": "ok", "state": "running"},
        {"status": "success", "id": "x", "data": {"job": [{"status": "processing"}]}},
        {"status": "completed", "id": "x", "data": {"status": "processing", "result_url": "https://cdn.example/1"}},
        {"status": "failed", "id": "x", "steps": [{"state": "failed"}, {"state": "who knows"}]},
        {"status": "error", "message": "rate limit exceeded"},
        {"status": "error", "message": "rate limit exceeded", "url": "https://docs.example/limits", "request_id": "r1"},
        {"status": "error", "error": "no route to /v1/x", "path": "/v1/x"},
        {"status": "fail"},
        {"status": "success"},
        {"status": "success", "url": ""},
        {"status": "not_found", "message": "no such route"},
        b'{"id": "x", "status": "processing", "status": "completed"}',
    ],
)
def test_an_envelope_ends_no_job(told: Any):
    """That the question was understood, or was one too many, says nothing of the job; nor do two words that differ."""
    with serving(x=status(200, told)) as server:
        assert asked(HTTPProvider(server.url, retries=0)) == ("unreadable", None)


@pytest.mark.parametrize("code", [404, 410])
@pytest.mark.parametrize("body", [b"", b'{"detail": "x"}', b"<html>no such job"])
def test_a_job_is_not_found_where_the_server_says_so(code: int, body: bytes):
    """However it words it; nothing is written into the job, which is left to a person."""
    with serving(x=status(code, body)) as server:
        assert asked(HTTPProvider(server.url, retries=0)) == ("not_found", None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"nan", b'{"status": "do'])
def test_a_body_that_is_no_json_is_no_answer(body: bytes):
    """A proxy's page is not the provider's word."""
    with serving(x=status(200, body)) as server:
        assert asked(HTTPProvider(server.url, retries=0)) == ("unreadable", None)


@pytest.mark.parametrize(
    ("code", "reason", "requests"),
    [
        (404, "not_found", 1),
        (410, "not_found", 1),
        (400, "refused", 1),
        (401, "refused", 1),
        (403, "refused", 1),
        (418, "refused", 1),
        (429, "rate_limited", 3),
        (500, "server_error", 3),
        (501, "server_error", 1),
        (502, "server_error", 3),
        (503, "server_error", 3),
        (504, "server_error", 3),
    ],
)
def test_only_what_may_pass_is_asked_again_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, code: int, reason: str, requests: int
):
    """A wrong key stays wrong; a server that restarts is back in a second."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with serving(x=status(code, {"status": "done"})) as server:
        found = asked(HTTPProvider(server.url))

    assert (found, len(server.asked)) == ((reason, None), requests)
    assert sum(slept) <= 2


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(code: int):
    """The credentials would go with it."""
    with serving(y=done) as other, serving(x=status(code, {}, Location=other.url + "/y")) as server:
        found = asked(HTTPProvider(server.url, headers={"Authorization": "Bearer abc"}))

    assert (found[0], server.asked, other.asked) == ("refused", ["x"], [])


@pytest.mark.parametrize("behaviour", [status(500, {}), status(503, {}), hang_up], ids=["500", "503", "hang up"])
def test_a_short_fault_is_got_over(behaviour: Any):
    """Nobody is bothered with it."""
    with serving(x=then_done(1, behaviour)) as server:
        assert asked(HTTPProvider(server.url)) == ("completed", None)

    assert len(server.asked) == 2


def test_a_short_wait_that_the_provider_wants_is_kept():
    """Its word is better than a guess of ours."""
    with serving(x=then_done(1, status(429, {}, Retry_After="1"))) as server:
        began = time.monotonic()
        assert asked(HTTPProvider(server.url)) == ("completed", None)

    assert 1 <= time.monotonic() - began < 3


@pytest.mark.parametrize("code", [429, 503])
def test_a_long_wait_is_told_and_not_slept(code: int):
    """An hour in a notebook is a hang; to ask again before would be rude."""
    with serving(x=status(code, {}, Retry_After="3600")) as server:
        began = time.monotonic()
        found = asked(HTTPProvider(server.url))

    assert found == ("rate_limited" if code == 429 else "server_error", 3600)
    assert (len(server.asked), time.monotonic() - began < 1) == (1, True)


@pytest.mark.parametrize("wanted", ["soon", "-5", "9" * 5000, "1e9", "", formatdate(0), formatdate(10**11)])
def test_a_wait_that_makes_no_sense_does_no_harm(wanted: str):
    """It is a header like any other."""
    with serving(x=status(429, {}, Retry_After=wanted)) as server:
        began = time.monotonic()
        found = asked(HTTPProvider(server.url, retries=1))

    assert found[0] == "rate_limited"
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("behaviour", "wanted"),
    [
        (silent, "timeout"),
        (dripping(b"HTTP/1.1 404 Oh\r\nX-Slow: "), "timeout"),
        (dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"), "timeout"),
        (dripping(b"HTTP/1.1 200 OK\r\n\r\n"), "timeout"),
        (dripping(CHUNKED, b"0"), "timeout"),
        (dripping(CHUNKED + b"2;", b"a"), "timeout"),
        (dripping(CHUNKED + WHOLE + b"0\r\n", b"X-a: b\r\n"), "timeout"),
        (dripping(b"HTTP/1.1 500 Oh\r\n\r\n"), "server_error"),
    ],
    ids=["silent", "head", "body", "body without length", "size", "extension", "trailers", "error"],
)
def test_an_answer_that_does_not_come_is_left_in_time(behaviour: Any, wanted: str):
    """A byte every nine seconds beats a timeout of ten for a day, unless the whole answer has one."""
    with serving(x=behaviour) as server:
        began = time.monotonic()
        found = asked(HTTPProvider(server.url, timeout=0.3, retries=1))
        took = time.monotonic() - began

    assert found[0] == wanted
    assert took < 3


def test_the_time_of_one_answer_is_not_the_time_of_the_next():
    """A connection is used again, and what watched over it is gone by then."""
    with serving(x=slow(0.2), y=status(429, {}), z=status(404)) as server:
        provider = HTTPProvider(server.url, timeout=0.5, retries=0)

        assert [asked(provider, id)[0] for id in "xyzxyzxx"] == [
            *("completed", "rate_limited", "not_found") * 2,
            "completed",
            "completed",
        ]


def test_a_slow_answer_within_the_time_counts():
    """Slow is not dead."""
    with serving(x=slow(0.3)) as server:
        assert asked(HTTPProvider(server.url, timeout=5)) == ("completed", None)


def test_a_body_without_end_is_not_kept():
    """Eight megabytes are more than any job needs."""
    with serving(x=endless) as server:
        assert asked(HTTPProvider(server.url, retries=0)) == ("unreadable", None)


def test_nobody_there_is_told():
    """A port without a server, and a name without an address."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    assert asked(HTTPProvider(f"http://127.0.0.1:{port}", retries=0)) == ("unreachable", None)
    assert asked(HTTPProvider("http://no-such-host.invalid", retries=0, timeout=2))[0] == "unreachable"


def test_certificates_are_verified():
    """A server without one is none."""
    with serving(x=done) as server:
        provider = HTTPProvider(server.url.replace("http:", "https:"), retries=0)

        assert asked(provider) == ("unreachable", None)
    assert provider._pool.cert_reqs in {None, "CERT_REQUIRED"}
    assert server.asked == []


@pytest.mark.parametrize("id", ["a/b", "../admin", "a?b=c", "a#b", "ä ö", "a%2Fb", "a\r\nX: y"])
def test_an_id_is_one_piece_of_the_path_whatever_is_in_it(id: str):
    """Ids come out of a database."""
    with serving(x=done) as server:
        server.behaviours[id] = done
        provider = HTTPProvider(server.url + "/v1")
        answer = provider.look_up(id)

    assert answer.state == "completed"
    assert all(path.startswith("/v1/") and path.count("/") == 2 for path, _ in server.seen)


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_an_id_that_would_be_another_path_is_not_asked_about(id: str):
    """Two dots are the collection, not a job."""
    with serving(x=done) as server:
        assert asked(HTTPProvider(server.url + "/v1/jobs"), id)[0] == "refused"

    assert server.asked == []


def test_a_reader_of_your_own_makes_the_answer():
    """Providers differ; one that stumbles is no answer."""

    def read(told: dict[str, Any]) -> Answer:
        return Answer({"OK": "completed"}[told["code"]], told["file"])

    with serving(x=status(200, {"code": "OK", "file": "https://cdn.example/f"}), y=status(200, {})) as server:
        provider = HTTPProvider(server.url, read=read)

        assert provider.look_up("x").result_url == "https://cdn.example/f"
        assert asked(provider, "y") == ("unreadable", None)


@pytest.mark.parametrize(
    "url", ["", "secret-host", "ftp://secret-host", "http://", "https://me:secret@host", "https://secret#f", None, 3]
)
def test_an_address_that_can_not_work_is_refused_without_showing_it(url: Any):
    """It may hold a key."""
    with pytest.raises(rk.OperationError, match="base_url") as caught:
        HTTPProvider(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"timeout": value} for value in (0, -1, float("nan"), float("inf"), 1e6, "1", True, None)),
        *({"retries": value} for value in (-1, 1.5, "2", True, None)),
        *({"longest_wait": value} for value in (-1, float("nan"), float("inf"), "1", True, None)),
        {"read": "status"},
        {"headers": "secret"},
        {"headers": {"X": 5}},
        {"headers": {"X": None}},
        {"headers": {"X": "secret\n"}},
        {"headers": {"X": "secret\r\nY: z"}},
        {"headers": {"X": "\u20acsecret"}},
        {"headers": {"X secret:": "1"}},
    ],
)
def test_arguments_that_can_not_work_are_refused_without_showing_them(wrong: dict[str, Any]):
    """A timeout of 0 is none in some libraries, and a key that was read from a file ends with a line break."""
    with pytest.raises(rk.OperationError) as caught:
        HTTPProvider("https://veo.example", **wrong)

    assert next(iter(wrong)).rstrip("s") in str(caught.value)
    assert "secret" not in str(caught.value)


def test_numbers_of_numpy_are_taken_and_retries_told():
    """They come out of tables."""
    provider = HTTPProvider("https://veo.example", retries=np.int64(3), timeout=np.float32(2), longest_wait=np.int64(1))

    assert (provider.retries, type(provider.retries)) == (3, int)
    with pytest.raises(AttributeError):
        provider.retries = 5  # type: ignore[misc]


def test_nothing_is_logged_of_it_and_others_go_on_logging(caplog: pytest.LogCaptureFixture):
    """urllib3 writes every path into its debug log."""
    import urllib3

    caplog.set_level(logging.DEBUG)
    with serving(secret_x=then_done(1, status(500, {})), other=done) as server:
        HTTPProvider(server.url + "/secret").look_up("secret_x")
        assert [record for record in caplog.records if record.name.startswith("urllib3")] == []
        urllib3.request("GET", server.url + "/other")

    assert any("/other" in record.getMessage() for record in caplog.records)
    assert "secret" not in caplog.text


def test_a_batch_over_http_tells_each_job_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Everything at once, with a database behind it."""
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    app = make_app(tmp_path, [job(id, 100 - id) for id in range(1, 8)])
    with serving(
        p1=done,
        p2=status(200, {"status": "running"}),
        p3=status(500, {}),
        p4=status(200, {"id": "p4", "status": "failed", "error": "no capacity"}),
        p5=status(429, {}, Retry_After="600"),
        p6=status(200, b"garbage"),
    ) as server:
        batch = clawcut.check_batch(app, {"veo": HTTPProvider(server.url, timeout=2)}, apply=True, now=NOW)

    assert [check.outcome for check in batch.checks] == [
        "completed",
        "still_running",
        "provider_error",
        "failed",
        "provider_error",
        "provider_error",
        "not_found",
    ]
    assert "600 s" in batch.checks[4].sentence
    assert (row(app, 1)["result_url"], row(app, 4)["error"]) == ("https://cdn.example/p1", "no capacity")
    assert json.loads(row(app, 1)["response_json"])["status"] == "succeeded"
    assert len(audited(app, "reconcile_checked")) == 7
