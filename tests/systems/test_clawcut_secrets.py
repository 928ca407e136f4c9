"""Secrets planted wherever an operation could meet them come out nowhere: no result, error, log or audit event."""

from __future__ import annotations

import json
import logging
import pickle
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from clawcut_app import NOW, Told, ago, change, event, job, make_app, row, rows
from clawcut_http import Server, raw, serving, status

import replaykit as rk
from replaykit.systems import clawcut
from replaykit.systems.clawcut import Answer, HTTPProvider, ProviderError
from replaykit.systems.clawcut import database as opening

PLANTED = (
    "request_json",
    "response_json",
    "provider_job_id",
    "result_url",
    "error",
    "metadata",
    "actor",
    "folder",
    "base_url",
    "header",
    "body",
    "raised",
    "answer_url",
    "answer_error",
    "answer_response",
    "trigger",
    "asked_id",
)
SECRETS = {name: f"zq{number:02d}{name.replace('_', '')}x7" for number, name in enumerate(PLANTED)}
S = SECRETS


def leaks(text: str | bytes) -> list[str]:
    """Return which secrets a text holds, in whatever case."""
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return [name for name, secret in SECRETS.items() if secret in plain.lower()]


def everything_of(result: Any) -> Iterator[str | bytes]:
    """Yield each way in which a result may be looked at or kept."""
    yield from (str(result), repr(result), f"{result!r:>300}", result._repr_html_(), pickle.dumps(result))
    yield repr(vars(result))
    for check in getattr(result, "checks", ()):
        yield from everything_of(check)
    if hasattr(result, "table"):
        yield from (result.table.to_csv(), result.table.to_html(), repr(result.results), result.sentence)


def of_error(error: BaseException) -> Iterator[str]:
    """Yield each way in which an error is shown."""
    yield from (str(error), repr(error), repr(vars(error)), *traceback.format_exception(error))


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Return an app with secrets in each of its columns, in a folder with a telling name."""
    folder = tmp_path / S["folder"]
    folder.mkdir()
    planted = {
        "request_json": json.dumps({"prompt": S["request_json"]}),
        "error": S["error"],
        "result_url": f"https://cdn.example/{S['result_url']}",
    }
    jobs = [
        job(1, 60, provider_job_id=S["provider_job_id"], response_json=S["response_json"], **planted),
        job(2, 50, provider_job_id=S["provider_job_id"] + "-2", **planted),
        job(3, 40, provider_job_id=None, **planted),
        job(4, 30, provider_job_id=S["provider_job_id"] + "-4", status="completed", **planted),
    ]
    past = event("reconcile_checked", 55, actor=S["actor"], job_id=2, outcome=S["metadata"], note=S["metadata"])
    broken = event("submitted", 50) | {"metadata": '{"job_id": 2, "' + S["metadata"]}
    return make_app(folder, jobs, [past, broken])


@pytest.fixture
def quiet_about_it(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> Iterator[None]:
    """Fail at the end if anything that was printed, logged or warned of holds a secret."""
    caplog.set_level(logging.DEBUG)
    yield
    out, err = capfd.readouterr()
    assert leaks(out + err + caplog.text + "".join(str(record.__dict__) for record in caplog.records)) == []
    assert [leaks(str(warning.message)) for warning in recwarn] == [[]] * len(recwarn)


def check_no_leak(app: Path, results: list[Any], audit_before: int = 2) -> None:
    """Fail if a result holds a secret, or an audit event that was written meanwhile."""
    assert results
    assert [leaks(text) for result in results for text in everything_of(result) if leaks(text)] == []
    written = rows(app, "audit_events")[audit_before:]
    assert leaks(json.dumps(written)) == []


def every_operation(app: Path, provider: Any) -> list[Any]:
    """Return what all three operations come to, dry and applied."""
    return [
        clawcut.run_pass(app, provider, enabled=True, now=NOW),
        clawcut.check_batch(app, provider, now=NOW),
        *(clawcut.check(app, id, provider, now=NOW) for id in (1, 2, 3, 4)),
        clawcut.check(app, 3, provider, apply=True, now=NOW),
        clawcut.run_pass(app, provider, enabled=True, dry_run=False, limit=1, now=NOW),
        clawcut.check_batch(app, provider, apply=True, now=NOW),
        clawcut.run_pass(app, provider, now=NOW),
    ]


def test_the_grep_finds_what_is_there(app: Path):
    """A search that finds nothing anywhere proves nothing."""
    columns = {"request_json", "response_json", "provider_job_id", "result_url", "error", "metadata", "actor"}

    assert set(leaks(app.read_bytes())) == columns
    assert leaks(str(app)) == ["folder"]
    assert leaks("Leak of " + S["header"].upper()) == ["header"]
    error = sqlite3.OperationalError(S["error"])
    assert any(leaks(text) for text in of_error(error))
    assert any(leaks(text) for text in everything_of(clawcut.Check(S["error"], *[None] * 9)))  # type: ignore[arg-type]


@pytest.mark.parametrize("state", ["completed", "failed", "running", "not_found", "?"])
def test_answers_come_out_in_the_jobs_row_alone(app: Path, quiet_about_it: None, state: str):
    """The app needs the URL; whoever looks at the notebook does not."""
    told = Answer(state, f"https://{S['answer_url']}", S["answer_error"], {"token": S["answer_response"]})
    provider = Told({S["provider_job_id"]: told, S["provider_job_id"] + "-2": told})

    results = every_operation(app, provider)

    check_no_leak(app, [result for result in results if not isinstance(result, Answer)])
    assert leaks(repr(told) + str(told)) == []
    assert (S["answer_url"] in str(row(app, 1)["result_url"])) == (state == "completed")
    assert (row(app, 1)["error"] == S["answer_error"]) == (state == "failed")
    assert len(provider.asked) >= 6


class SecretiveError(Exception):
    """Tells everything."""


def raising(error: BaseException, cause: BaseException | None = None) -> Callable[[str], Answer]:
    """Return a provider that raises."""

    def ask(id: str) -> Answer:
        print_nothing = f"{id} {S['raised']}"
        raise error from (cause or ValueError(print_nothing))

    return ask


@pytest.mark.parametrize(
    "error",
    [
        SecretiveError(S["raised"]),
        OSError(5, S["raised"], S["raised"]),
        KeyError(S["raised"]),
        rk.OperationError(S["raised"]),
        ProviderError("server_error", 3),
        UnicodeDecodeError("utf-8", S["raised"].encode(), 0, 1, S["raised"]),
        type(f"https://{S['raised']}", (Exception,), {})(S["raised"]),
    ],
    ids=lambda error: type(error).__name__[:8],
)
def test_what_a_provider_raises_is_told_by_its_class(app: Path, quiet_about_it: None, error: Exception):
    """The text of an exception holds the URL more often than not."""
    results = every_operation(app, raising(error))

    check_no_leak(app, results)
    assert {check.outcome for check in results[1].checks} == {"provider_error"}


def http(server: Server | str, **options: Any) -> HTTPProvider:
    """Return a client whose URL and header are secret."""
    base = server if isinstance(server, str) else server.url
    headers = {"Authorization": f"Bearer {S['header']}"}
    return HTTPProvider(f"{base}/{S['base_url']}?key={S['base_url']}", headers=headers, timeout=1, **options)


@pytest.mark.parametrize(
    "behaviour",
    [
        status(200, {"status": "done", "result_url": f"https://{S['answer_url']}", "error": S["body"]}),
        status(200, {"status": S["body"]}),
        status(200, S["body"].encode()),
        status(302, {}, Location=f"/{S['body']}"),
        status(403, {"error": S["body"]}, X_Header=S["body"]),
        status(429, {"error": S["body"]}, Retry_After=S["body"]),
        status(500, {"error": S["body"]}),
        raw(f"{S['body']} 200 {S['body']}\r\n{S['body']}\r\n\r\n"),
        raw(f"HTTP/1.1 200 OK\r\n {S['body']}\r\nContent-Length: {S['body']}\r\n\r\n"),
    ],
    ids=["done", "word", "garbage", "redirect", "refused", "limited", "error", "no http", "bad head"],
)
def test_what_goes_over_http_is_not_told(app: Path, quiet_about_it: None, behaviour: Any):
    """Address, path, key and whatever the server says, at each of its failures."""
    with serving(**{S["provider_job_id"]: behaviour, S["provider_job_id"] + "-2": behaviour}) as server:
        provider = http(server, retries=1)
        results = every_operation(app, provider)

    check_no_leak(app, results)
    assert leaks(repr(provider) + str(provider)) == []
    assert {path for path, _ in server.seen}
    assert leaks(json.dumps(server.seen)) == ["provider_job_id", "base_url", "header"]


def test_a_server_that_is_not_there_is_not_named(app: Path, quiet_about_it: None):
    """Nor a header that can't be sent."""
    unreachable = http(f"http://{S['base_url']}.invalid", retries=0)
    check_no_leak(app, every_operation(app, unreachable))
    with pytest.raises(ProviderError) as caught:
        unreachable.look_up(S["asked_id"])
    with pytest.raises(rk.OperationError) as refused:
        HTTPProvider("http://127.0.0.1:9", headers={"X-Key": f"{S['header']}\r\nX: y"})

    assert [leaks(text) for error in (caught, refused) for text in of_error(error.value) if leaks(text)] == []


def failing(app: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], object]]:
    """Yield calls that raise, each with the database in another bad state."""
    provider = Told()
    yield lambda: clawcut.check(app, S["asked_id"], provider, now=NOW)
    yield lambda: clawcut.check(app.with_name(S["folder"] + ".sqlite"), 1, provider, now=NOW)
    yield lambda: clawcut.check_batch(app.parent, provider, now=NOW)
    yield lambda: clawcut.run_pass(str(app) + "\0" + S["folder"], provider, enabled=True, now=NOW)
    yield lambda: clawcut.check(app, 1, provider, actor="", now=NOW)
    change(app, f"CREATE TRIGGER no BEFORE UPDATE ON ai_jobs BEGIN SELECT RAISE(ABORT, '{S['trigger']}'); END")
    yield lambda: clawcut.check(app, 1, provider, apply=True, now=NOW)
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.02)
    with closing(sqlite3.connect(app, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        yield lambda: clawcut.check(app, 1, provider, apply=True, now=NOW)
        yield lambda: clawcut.run_pass(app, provider, enabled=True, now=NOW)
    change(app, "ALTER TABLE ai_jobs RENAME COLUMN updated_at TO " + S["trigger"])
    yield lambda: clawcut.check(app, 1, provider, now=NOW)
    app.write_bytes(S["error"].encode() * 100)
    yield lambda: clawcut.check(app, 1, provider, now=NOW)


def test_errors_tell_no_secret(app: Path, quiet_about_it: None, monkeypatch: pytest.MonkeyPatch):
    """Tracebacks are pasted into chats."""
    raised = []
    for call in failing(app, monkeypatch):
        with pytest.raises(rk.ReplayKitError) as caught:
            call()
        raised.append(caught.value)

    assert len(raised) == 10
    told = [text for error in raised for text in of_error(error) if leaks(text)]
    assert [leaks(text) for text in told] == []


def test_text_that_is_not_utf8_is_not_quoted(app: Path, quiet_about_it: None):
    """SQLite's own error quotes the column's text."""
    change(app, "UPDATE ai_jobs SET provider_job_id = CAST(? AS TEXT)", S["provider_job_id"].encode() + b"\xff")
    change(app, "UPDATE audit_events SET metadata = CAST(? AS TEXT)", S["metadata"].encode() + b"\xff")

    check_no_leak(app, [clawcut.check_batch(app, Told(), now=NOW)])


def test_columns_that_are_shown_show_plain_words_only(app: Path, quiet_about_it: None):
    """A URL in the column `kind`, `provider` or `status` is not shown either."""
    url = f"https://{S['base_url']}/"
    change(app, "UPDATE ai_jobs SET kind = ?, provider = ? WHERE id = 1", url, url)
    change(app, "UPDATE ai_jobs SET status = ? WHERE id = 2", url)

    check_no_leak(app, [clawcut.check(app, id, Told(), apply=True, now=NOW) for id in (1, 2)])


def test_a_log_of_the_provider_is_not_shown(tmp_path: Path, app: Path, quiet_about_it: None):
    """Its ids and URLs are the provider's."""
    log = tmp_path / f"{S['folder']}.csv"
    log.write_text(
        f"time,provider,provider_job_id,event,result_url,error\n"
        f"{ago(5).isoformat()}Z,veo,{S['provider_job_id']},finished,https://{S['answer_url']},\n"
    )
    provider = clawcut.LoggedProvider(log)

    check_no_leak(app, every_operation(app, provider))
    assert leaks(repr(provider) + str(provider.asked)) == []
