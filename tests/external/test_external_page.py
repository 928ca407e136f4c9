"""The page that explains the protocol, its example and the command that checks a program."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import replaykit as rk
from replaykit.external import child
from replaykit.external.__main__ import main
from replaykit.external.protocol import SCHEMA

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    """Return the page."""
    return (repository / "docs" / "external.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def example(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program on the page, as a file."""
    text = next(one for one in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL) if "HELLO = {" in one)
    path = tmp_path_factory.mktemp("example") / "jobs.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_has_about_forty_lines(example: Path):
    """Somebody is to write one this afternoon."""
    lines = [line for line in example.read_text(encoding="utf-8").splitlines() if line]

    assert 30 <= len(lines) <= 44


def test_the_example_replays(example: Path):
    """It requeues what hangs, tells why, and applies its own actions."""
    rows = [("06:00:00", "submitted", "a"), ("06:00:10", "started", "a"), ("06:01:00", "started", "b")]
    rows += [("06:01:10", "started", "c"), ("06:02:30", "done", "c")]
    events = pd.DataFrame(
        [(pd.Timestamp(f"2026-03-26T{at}"), kind, json.dumps({"job": job})) for at, kind, job in rows],
        columns=["at", "kind", "payload"],
    )
    recording = rk.load(events=events, time="at", kind="kind", payload="payload")
    window = rk.Window("2026-03-26T06:00Z", "2026-03-26T06:15Z")

    run = rk.replay(recording, rk.external([sys.executable, str(example)]), window, ticks="60s", actions="apply")

    assert run.actions[["kind", "job_id", "tick"]].values.tolist() == [["requeue", "a", 11], ["requeue", "b", 12]]
    assert run.violations["opened_tick"].tolist() == [2]
    assert [cell.name for cell in run.why(1).cells] == ["jobs[a].status", "jobs[a].since"]
    assert run.after["jobs"]["status"].tolist() == ["submitted", "submitted", "done"]


def test_the_example_passes_the_check(example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """With real events as well as with made-up ones."""
    events = tmp_path / "events.jsonl"
    given = [{"kind": kind, "payload": {"job": "j1"}} for kind in ("submitted", "started", "done")]
    events.write_text("\n".join(map(json.dumps, given)), encoding="utf-8")

    assert main(["check", "--events", str(events), "--", sys.executable, "-S", str(example)]) == 0

    told = capsys.readouterr().out
    assert "passed   apply answers every kind it handles: 3 taken" in told
    assert "skipped  rollback returns to the state before" in told
    assert told.splitlines()[-1] == "13 passed, 0 failed, 1 skipped"


@pytest.mark.parametrize("state", ["sqlite", "json"])
def test_the_tests_own_program_passes_in_both_states(state: str, capsys: pytest.CaptureFixture[str]):
    """It rolls back in memory, too."""
    assert main(["check", "--state", state, "--", sys.executable, "-S", str(PROGRAMS / "jobs.py")]) == 0
    assert "14 passed, 0 failed, 0 skipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("how", "where", "state", "message"),
    [
        ("crash", "hello", "json", "hello: Program .* ended with exit code 3"),
        (
            "writes",
            "reconcile",
            "sqlite",
            r"reconcile and check only read: it wrote to its state in reconcile \(2 times\)",
        ),
        ("forgets", "apply", "json", "the same requests get the same replies: reply 1 differs a second process"),
        ("keeps", "load", "json", "load replaces all there was: reply 1 differs after another load"),
        ("stays", "bye", "json", r"bye ends it: it still ran 1 s later"),
    ],
)
def test_what_is_wrong_with_a_program_is_named(how, where, state, message, capsys, monkeypatch):
    """One line for each check, and the exit code tells."""
    monkeypatch.setattr(child, "_GRACE", 0.1)
    command = [sys.executable, "-S", str(PROGRAMS / "bad.py"), how, where]

    assert main(["check", "--state", state, "--timeout", "1", "--", *command]) == 1
    assert re.search(f"FAILED   {message}", capsys.readouterr().out)


def test_what_can_not_be_checked_at_all_is_said(capsys: pytest.CaptureFixture[str]):
    """Exit code 2, as of any command that was called wrongly."""
    assert main(["check", "--", "/no/such/program"]) == 2
    assert "can't be started" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["check"])


def test_the_page_names_every_request_and_every_word_of_hello(page: str):
    """The schema is what programs are held against."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    requests = {name.removesuffix("_request") for name in schema["definitions"] if name.endswith("_request")}
    words = set(schema["definitions"]["hello_reply"]["properties"]) | {"reads", "changes", "effects"}

    assert {one for one in requests if f"| `{one}` |" not in page} == set()
    assert {one for one in words if f"`{one}`" not in page} == set()


def test_the_requests_that_are_sent_fit_the_schema(tmp_path: Path):
    """Whoever writes a program reads them there."""
    import fastjsonschema

    seen = tmp_path / "requests"
    code = (
        "import sys,runpy\nimport builtins\nclass Tee:\n def __init__(s,f): s.f=f\n"
        " def __iter__(s):\n  for line in s.f:\n   open(sys.argv[2],'a').write(line)\n   yield line\n"
        "sys.stdin=Tee(sys.stdin)\nrunpy.run_path(sys.argv[1],run_name='__main__')"
    )
    at = pd.date_range("2026-03-26T06:00", periods=3, freq="1min")
    payload = ['{"job":"j1"}', '{"job":"j1"}', '{"job":"j1","bad":true}']
    events = pd.DataFrame({"at": at, "kind": ["submitted", "started", "done"], "payload": payload, "n": [1, 2**60, 3]})
    recording = rk.load(events=events, time="at", kind="kind", payload="payload")
    for state in ("json", "sqlite"):
        program = rk.external([sys.executable, "-c", code, str(PROGRAMS / "jobs.py"), str(seen)], state=state)
        window = rk.Window("2026-03-26T06:00Z", "2026-03-26T06:20Z")
        rk.replay(recording, program, window, ticks="60s", actions="apply", on_error="undo")
    check = fastjsonschema.compile(json.loads(SCHEMA.read_text(encoding="utf-8")))
    requests = [json.loads(line) for line in seen.read_text(encoding="utf-8").splitlines()]

    for request in requests:
        check(request)

    assert {"hello", "load", "apply", "act", "reconcile", "check", "rollback", "bye"} == {r["type"] for r in requests}
