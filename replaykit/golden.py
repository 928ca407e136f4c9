"""Golden files: what a replay gave as digests and counts, with no payload, no id and no entity in it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.display import count
from replaykit.errors import FormatError, excerpt, show_time
from replaykit.fingerprint import actions_digest, frame_digest, state_digest, table_digest, violations_digest

if TYPE_CHECKING:
    from replaykit.replayed import Replay

__all__ = ["GOLDEN_VERSION", "differences", "golden_of", "read_golden", "write_golden"]

GOLDEN_VERSION = 1
"""Version of the file; it rises when the same replay would give other digests."""

_COUNTED = {
    "tables": (("rows", "row"), ("versions", "version")),
    "rules": (("actions", "action"),),
    "invariants": (("episodes", "episode"), ("ticks", "tick")),
    "problems": (("problems", "problem"),),
    "effects": (("effects", "effect"),),
}
_TOLD = ("handler", "position", "event_id", "detail")  # messages and paths, which may differ from machine to machine
_SINGULAR = {"tables": "table", "rules": "rule", "invariants": "invariant"}
_BY_NAME = tuple(_SINGULAR)


def golden_of(run: Replay) -> dict[str, Any]:
    """Return what a golden file holds of a replay: counts and digests by table, rule and invariant."""
    interval = run.settings["ticks"].interval
    return {
        "versions": {"golden": GOLDEN_VERSION, "duckdb": ".".join(duckdb.__version__.split(".")[:2])},
        "reconciler": run.reconciler.name,
        "window": [show_time(bound) for bound in run.window.bounds()],
        "ticks": str(interval) if interval is not None else run.settings["ticks"].mode,
        "actions": run.settings["actions"],
        "on_error": run.settings["on_error"],
        "steps": run.after_step,
        "tables": {name: _table(run, name) for name in run.history.tables},
        "rules": {name: _rule(run, name) for name in _declared(run, "rule")},
        "invariants": {name: _invariant(run, name) for name in _declared(run, "invariant")},
        "problems": {"problems": _sum(run.problems, "count"), "digest": frame_digest(run.problems, leave_out=_TOLD)},
        "effects": {"effects": len(run.effects), "digest": frame_digest(run.effects)},
    }


def _declared(run: Replay, what: str) -> list[str]:
    return [str(name) for name in run.evaluation.loc[run.evaluation["declared"] == what, "name"]]


def _sum(frame: Any, column: str) -> int:
    return int(frame[column].sum()) if len(frame) else 0


def _table(run: Replay, name: str) -> dict[str, Any]:
    from replaykit.sql import quote

    table, last = quote(name), run.after_step
    ((rows, versions),) = run.history.fetch(
        f"SELECT count(*) FILTER (valid_from <= {last} AND (valid_to IS NULL OR valid_to > {last})), count(*) "
        f"FROM history.{table}"
    )
    end, every = state_digest(run.history, name, last), table_digest(run.history, name)
    return {"rows": rows, "versions": versions, "end": end, "history": every}


def _rule(run: Replay, name: str) -> dict[str, Any]:
    mine = run.actions[run.actions["rule"] == name]
    return {"actions": len(mine) + _sum(mine, "repeats"), "digest": actions_digest(run, name)}


def _invariant(run: Replay, name: str) -> dict[str, Any]:
    mine = run.violations[run.violations["invariant"] == name]
    return {"episodes": len(mine), "ticks": _sum(mine, "ticks"), "digest": violations_digest(run, name)}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return in words which parts differ; versions are no part, and are told only where something else differs."""
    found = [*_settings(old, new), *_parts(old, new)]
    if found and old["versions"] != new["versions"]:
        found.append(f"written with {_versions(old)}, this is {_versions(new)}")
    return found


def _versions(golden: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(golden["versions"].items()))


def _settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in ("reconciler", "window", "ticks", "actions", "on_error", "steps"):
        if old.get(name) != new[name]:
            yield f"{name}: {_told(old.get(name))} -> {_told(new[name])}"


def _told(value: object) -> str:
    return " to ".join(map(str, value)) if isinstance(value, list) else str(value)


def _parts(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for part in _COUNTED:
        if part not in _BY_NAME:
            yield from _compared(part, part, old.get(part), new[part])
            continue
        before, after = old.get(part, {}), new[part]
        for name in dict.fromkeys([*before, *after]):
            yield from _compared(f"{_SINGULAR[part]} {name!r}", part, before.get(name), after.get(name))


def _compared(what: str, part: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> Iterator[str]:
    if old == new:
        return
    if old is None or new is None:
        yield f"{what}: {'not there before' if old is None else 'no longer there'}"
        return
    counts = [_change(old.get(name), new[name], noun) for name, noun in _COUNTED[part] if old.get(name) != new[name]]
    same = ", ".join(count(new[name], noun) for name, noun in _COUNTED[part])
    if part == "tables" and old.get("end") == new["end"]:
        counts.append("the same at the end, by another way")
    yield f"{what}: {', '.join(counts) or f'as many as before ({same}), but others'}"


def _change(old: Any, new: int, noun: str) -> str:
    return f"{old:,} -> {count(new, noun)}" if isinstance(old, int) else f"-> {count(new, noun)}"


def read_golden(path: Path) -> dict[str, Any]:
    """Return what a golden file holds.

    Raises
    ------
    FormatError
        It is no golden file, or one of another version.
    """
    try:
        golden = json.loads(path.read_text(encoding="utf-8"))
        version = golden["versions"]["golden"]
    except (ValueError, KeyError, TypeError) as exc:
        raise FormatError(f"{excerpt(str(path))} is no golden file; delete it and approve anew.") from exc
    if version != GOLDEN_VERSION:
        raise FormatError(
            f"{excerpt(str(path))} is a golden file of version {version}, and this replaykit writes {GOLDEN_VERSION}, "
            "which counts otherwise; look at the replay once, and approve anew."
        )
    return dict(golden)


def write_golden(path: Path, golden: Mapping[str, Any]) -> None:
    """Write a golden file in one go: sorted keys, one to a line, so that a diff of two shows what changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False, encoding="utf-8") as file:
        file.write(json.dumps(golden, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    Path(file.name).chmod(0o644)
    os.replace(file.name, path)  # noqa: PTH105 - the one call that replaces on every system
