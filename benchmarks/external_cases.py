"""What is measured of an external program: a replay of its events, beside the bare pipe to the same program."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Loaded before any clock runs, as a notebook has them by the time it replays.
import pandas as pd
import pyarrow.compute  # noqa: F401 - loaded on purpose

import replaykit as rk

if TYPE_CHECKING:
    from benchmarks.measuring import Clock

__all__ = ["external_bare", "external_ours", "make_external"]

_T0 = datetime(2026, 3, 26, 6)
_COMMAND = [sys.executable, "-S", str(Path(__file__).with_name("external_program.py"))]
_KEYS = 500


def _key(number: int) -> str:
    return f"key-{number * 7919 % _KEYS:03d}"


def make_external(clock: Clock, path: str, events: int) -> None:
    """Write a recording of beats, a second apart."""
    times = [_T0 + timedelta(seconds=number) for number in range(events)]
    body = [json.dumps({"key": _key(number)}) for number in range(events)]
    frame = pd.DataFrame({"at": times, "what": "beat", "body": body})
    with clock, rk.load(frame, time="at", kind="what", id=False, payload="body", save=path):
        pass


def external_ours(clock: Clock, recording: str, state: str) -> dict[str, Any]:
    """Replay all events through the program; returns how often each key was seen."""
    program = rk.external(_COMMAND, state=state)  # type: ignore[arg-type]
    with rk.open(recording) as held, clock:
        run = rk.replay(held, program)
    rows = run.after["counts"]
    return {"counts": dict(sorted(zip(rows["key"], map(int, rows["n"]), strict=True)))}


def external_bare(clock: Clock, events: int) -> dict[str, Any]:
    """Write the same requests to the program one by one, and read its replies: what no replay can be faster than."""
    with subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def ask(request: dict[str, Any]) -> dict[str, Any]:
            child.stdin.write(json.dumps(request).encode() + b"\n")
            child.stdin.flush()
            return dict(json.loads(child.stdout.readline()))

        ask({"id": 1, "type": "hello"})
        counts: dict[str, int] = {}
        with clock:
            for number in range(events):
                at = (_T0 + timedelta(seconds=number)).isoformat(timespec="milliseconds") + "Z"
                event = {"kind": "beat", "id": None, "occurred_at": at, "position": number + 1, "columns": {}}
                event["payload"] = {"key": _key(number)}
                reply = ask({"id": number + 2, "type": "apply", "now": at, "event": event})
                row = reply["changes"][0]["row"]
                counts[row["key"]] = row["n"]
        child.stdin.close()
    return {"counts": dict(sorted(counts.items()))}
