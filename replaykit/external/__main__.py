"""Check whether a program keeps to the protocol: ``python -m replaykit.external check -- node town.mjs``."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from replaykit.errors import ReconcilerError
from replaykit.external.conformance import Conformance
from replaykit.external.program import STATES, Program

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Check a program, print what came of it, and return 0 if all is well, 1 if a check failed, 2 if none could run."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command: list[str] = []
    if "--" in given:
        place = given.index("--")
        given, command = given[:place], given[place + 1 :]
    options = _parser().parse_args(given)
    if not command:
        _parser().error("no program: write it behind --, as in: check -- node town.mjs")
    try:
        events = _events(options.events)
        program = Program(tuple(command), options.state, options.cwd, timeout=options.timeout)
        return _checked(Conformance(program, events))
    except (OSError, ValueError, KeyError, ImportError, ReconcilerError) as exc:
        print(exc, file=sys.stderr)  # noqa: T201 - it talks to the person who started it
        return 2


def _checked(conformance: Conformance) -> int:
    counts: Counter[str] = Counter()
    for check in conformance.checks():
        counts[check.outcome] += 1
        print(check, flush=True)  # noqa: T201
    print(", ".join(f"{counts[one]} {one}" for one in ("passed", "failed", "skipped")))  # noqa: T201
    return 1 if counts["failed"] else 0


def _events(path: str | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m replaykit.external", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    check = commands.add_parser("check", help="check a program", usage="%(prog)s [options] -- program [argument ...]")
    check.add_argument("--state", choices=STATES, default="sqlite", help="where its state lies (default: sqlite)")
    check.add_argument("--timeout", type=float, default=10.0, help="seconds a request may take (default: 10)")
    check.add_argument("--cwd", help="folder to run it in")
    check.add_argument("--events", help="file of JSON lines with kind, payload, columns: events to apply")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
