"""Agreement: a replay beside what was recorded, cell by cell and tick by tick, with the step that set what differs."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from typing import TYPE_CHECKING, Any

from replaykit.errors import show_time
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replaykit.replay import Replay
    from replaykit.snapshot import RecordedSnapshot

__all__ = ["CELLS", "CHECKS", "against_actions", "against_snapshot"]

_BLAMED = 200  # differing cells whose step is looked up; the rest are counted

_BASE = {"step": None, "caused_by": "base", "event_id": None}
_NOTHING = {"step": None, "caused_by": None, "event_id": None}

CHECKS = ["against", "table", "rows", "differing_rows", "differing_cells", "first_step", "agrees"]
CELLS = ["against", "table", "key", "column", "recorded", "replayed", "step", "caused_by", "event_id"]


def against_snapshot(run: Replay, snapshot: RecordedSnapshot) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Compare the replayed state after a snapshot's last event with the snapshot, table by table."""
    from replaykit.diff import diff

    step = _step_of(run, snapshot)
    recorded = run.recording.snapshot(snapshot.number)
    for name, key in run.history.keys.items():
        if name not in run.recording.state_tables or name not in recorded:
            continue
        mine, theirs = run.at(step=step)[name], recorded[name]
        shared = [column for column in mine.columns if column in theirs.columns]
        found = diff(theirs[shared], mine[shared], key=list(key))
        cells = list(_cells(run, snapshot, name, key, found, step))
        steps = [cell["step"] for cell in cells if cell["step"] is not None]
        yield (
            {
                "against": f"snapshot {snapshot.number} ({show_time(snapshot.at)})",
                "table": name,
                "rows": len(theirs),
                "differing_rows": len(found),
                "differing_cells": len(found.changed_long) + (len(found.added) + len(found.removed)) * len(shared),
                "first_step": min(steps, default=None),
                "agrees": len(found) == 0,
            },
            cells,
        )


def _step_of(run: Replay, snapshot: RecordedSnapshot) -> int:
    """Return the last step a snapshot includes: by its last event, and by its time for steps that are no events."""
    found = run.history.fetch(
        "SELECT coalesce(max(step), 0) FROM steps WHERE (input = 'event' AND position <= $p) "
        "OR (input <> 'event' AND applied_at <= $at)",
        {"p": snapshot.after_position, "at": snapshot.at},
    )
    return int(found[0][0])


def _cells(
    run: Replay, snapshot: RecordedSnapshot, name: str, key: tuple[str, ...], found: Any, step: int
) -> Iterator[dict[str, Any]]:
    """Yield the differing cells of a table, at most some hundred, each with the step that last set it."""
    fixed = {"against": f"snapshot {snapshot.number}", "table": name}
    changed = found.changed_long.head(_BLAMED).to_dict("records")
    by_column: dict[str, list[dict[Any, Any]]] = {}
    for row in changed:
        by_column.setdefault(str(row["column"]).partition(".")[0], []).append(row)
    blamed = {column: _blame(run, name, key, rows, column, step) for column, rows in by_column.items()}
    for row in changed:
        causes = blamed[str(row["column"]).partition(".")[0]]
        cell = {"column": row["column"], "recorded": row["before"], "replayed": row["after"]}
        yield {**fixed, "key": _key_text(row, key), **cell, **causes.get(_key_text(row, key), _BASE)}
    for frame, recorded, replayed in ((found.removed, "row", "no row"), (found.added, "no row", "row")):
        rows = frame.head(_BLAMED).to_dict("records")
        causes = _blame(run, name, key, rows, None, step)
        for row in rows:
            cell = {"column": "(row)", "recorded": recorded, "replayed": replayed}
            yield {**fixed, "key": _key_text(row, key), **cell, **causes.get(_key_text(row, key), _NOTHING)}


def _key_text(row: Mapping[Any, Any], key: tuple[str, ...]) -> str:
    return "/".join(str(row[name]) for name in key)


def _blame(
    run: Replay, name: str, key: tuple[str, ...], rows: list[dict[Any, Any]], column: str | None, step: int
) -> dict[str, dict[str, Any]]:
    """Return, by key, the step that last set a column of some rows (or touched them), and the input behind it."""
    if not rows:
        return {}
    shown = quote(column) if column is not None and column in run.history.columns(name) else "change"
    names = ", ".join(quote(part) for part in key)
    lists = ", ".join(f"unnest($k{number}) AS {quote(part)}" for number, part in enumerate(key))
    found = run.history.fetch(
        f"SELECT {names}, s.step, s.kind, s.event_id FROM (SELECT {names}, max(valid_from) AS step FROM ("
        f"SELECT {names}, valid_from, {shown} IS DISTINCT FROM lag({shown}) OVER (PARTITION BY {names} "
        f"ORDER BY change) AS moved FROM history.{quote(name)} SEMI JOIN (SELECT {lists}) AS asked USING ({names}) "
        f"WHERE valid_from <= $step) WHERE moved GROUP BY {names}) JOIN steps s USING (step)",
        {**{f"k{n}": [_scalar(row[part]) for row in rows] for n, part in enumerate(key)}, "step": step},
    )
    return {
        _key_text(dict(zip(key, parts, strict=True)), key): {"step": by, "caused_by": kind, "event_id": event_id}
        for *parts, by, kind, event_id in found
    }


def _scalar(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def against_actions(run: Replay) -> dict[str, Any]:
    """Compare what each tick emitted with what was recorded between it and the next one."""
    from replaykit.recorded import recorded_actions

    instants = run.settings["ticks"].instants
    recorded: dict[int, Counter[str]] = {}
    start, end = run.window.bounds()
    total = 0
    for at, action in recorded_actions(run.recording, start, end):
        tick = _tick_of(instants, at)
        recorded.setdefault(tick, Counter())[_identity(action.kind, action.fields)] += 1
        total += 1
    emitted: dict[int, Counter[str]] = {}
    for tick, kind, fields in run.emitted:
        emitted.setdefault(tick, Counter())[_identity(kind, fields)] += 1
    wrong = sorted(t for t in {*recorded, *emitted} if recorded.get(t, Counter()) != emitted.get(t, Counter()))
    steps = run.metrics.set_index("tick")["step"]
    return {
        "against": f"recorded actions at {len(instants)} ticks",
        "table": "actions",
        "rows": total,
        "differing_rows": len(wrong),
        "differing_cells": len(wrong),
        "first_step": int(steps[wrong[0]]) if wrong and wrong[0] in steps.index else None,
        "agrees": not wrong,
    }


def _tick_of(instants: tuple[Any, ...], at: Any) -> int:
    return bisect_right(instants, at) - 1


def _identity(kind: str, fields: Mapping[str, Any]) -> str:
    return kind + json.dumps({k: fields[k] for k in sorted(fields)}, default=str)
