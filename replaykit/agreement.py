"""Agreement: a replay beside what was recorded, cell by cell and tick by tick, with the step that set what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.errors import show_time
from replaykit.recorded_ticks import recorded_checks
from replaykit.sameness import same
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from replaykit.replayed import Replay
    from replaykit.snapshot import RecordedSnapshot

__all__ = ["CELLS", "CHECKS", "against_snapshot", "against_ticks"]

_BLAMED = 200  # differing cells whose step is looked up; the rest are counted

_NOTHING = {"step": None, "caused_by": None, "event_id": None, "global_seq": None}
_BASE = {**_NOTHING, "caused_by": "base"}

CHECKS = ["against", "table", "rows", "differing_rows", "differing_cells", "first_step", "first_input",
          "agrees"]  # fmt: skip
CELLS = ["against", "table", "key", "column", "recorded", "replayed", "step", "caused_by", "event_id",
         "global_seq"]  # fmt: skip


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
        if theirs[shared].equals(mine[shared]):
            yield _agreed(snapshot, name, len(theirs)), []
            continue
        found = diff(theirs[shared], mine[shared], key=list(key))
        cells = list(_cells(run, snapshot, name, key, found, step))
        cells += _out_of_order(snapshot, name, key, theirs, mine) if snapshot.ordered else []
        first = min((cell for cell in cells if cell["step"] is not None), key=lambda one: one["step"], default=None)
        yield (
            {
                **_agreed(snapshot, name, len(theirs)),
                "differing_rows": max(len(found), min(len(cells), 1)),
                "differing_cells": max(_cell_count(found, len(shared)), len(cells) if not len(found) else 0),
                "first_step": None if first is None else first["step"],
                "first_input": None if first is None else _input_text(first),
                "agrees": len(found) == 0 and not cells,
            },
            cells,
        )


def _agreed(snapshot: RecordedSnapshot, name: str, rows: int) -> dict[str, Any]:
    against = f"snapshot {snapshot.number} ({show_time(snapshot.at)})"
    fine = {"differing_rows": 0, "differing_cells": 0, "first_step": None, "first_input": None, "agrees": True}
    return {"against": against, "table": name, "rows": rows, **fine}


def _cell_count(found: Any, columns: int) -> int:
    return len(found.changed_long) + (len(found.added) + len(found.removed)) * columns


def _input_text(cell: Mapping[str, Any]) -> str:
    parts = [cell["caused_by"], cell["event_id"], f"seq {cell['global_seq']}" if cell["global_seq"] else None]
    return " ".join(str(part) for part in parts if part)


def _out_of_order(
    snapshot: RecordedSnapshot, name: str, key: tuple[str, ...], theirs: Any, mine: Any
) -> list[dict[str, Any]]:
    """Return one cell for the first row that stands elsewhere in the replay, where the same rows are in both."""
    columns = list(key)
    wanted, got = (list(frame[columns].itertuples(index=False, name=None)) for frame in (theirs, mine))
    if wanted == got or sorted(map(str, wanted)) != sorted(map(str, got)):
        return []
    place = next(n for n, (one, other) in enumerate(zip(wanted, got, strict=True)) if one != other)
    cell = {"against": f"snapshot {snapshot.number}", "table": name, "key": "/".join(map(str, wanted[place]))}
    return [{**cell, "column": "(order)", "recorded": place, "replayed": got.index(wanted[place]), **_NOTHING}]


def _step_of(run: Replay, snapshot: RecordedSnapshot) -> int:
    """Return the last step a snapshot includes.

    By the global order where snapshot and steps know it; else events by the last one it includes, unless a log says
    when they were applied, and everything else by time.
    """
    retraced = run.settings["actions"] == "recorded"
    found = run.history.fetch(
        "SELECT coalesce(max(step), 0) FROM steps WHERE CASE WHEN global_seq IS NOT NULL AND $seq IS NOT NULL "
        "THEN global_seq <= $seq WHEN input = 'event' AND $queued THEN position <= $p ELSE applied_at <= $at END",
        {
            "p": snapshot.after_position,
            "at": snapshot.at,
            "seq": snapshot.after_seq if retraced else None,
            "queued": not (retraced and "applications" in run.recording.logs),
        },
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
    missing, extra = (frame.head(_BLAMED).to_dict("records") for frame in (found.removed, found.added))
    causes = _ended(run, name, key, missing, step)
    for row in missing:
        cell = {"column": "(row)", "recorded": "row", "replayed": "no row"}
        yield {**fixed, "key": _key_text(row, key), **cell, **causes.get(_key_text(row, key), _NOTHING)}
    causes = _blame(run, name, key, extra, None, step)
    for row in extra:
        cell = {"column": "(row)", "recorded": "no row", "replayed": "row"}
        yield {**fixed, "key": _key_text(row, key), **cell, **causes.get(_key_text(row, key), _BASE)}


def _key_text(row: Mapping[Any, Any], key: tuple[str, ...]) -> str:
    return "/".join(str(row[name]) for name in key)


def _blame(
    run: Replay, name: str, key: tuple[str, ...], rows: list[dict[Any, Any]], column: str | None, step: int
) -> dict[str, dict[str, Any]]:
    """Return, by key, the step that last set a column of some rows (or touched them), and the input behind it."""
    shown = quote(column) if column is not None and column in run.history.columns(name) else "change"
    names = ", ".join(quote(part) for part in key)
    last = (
        f"SELECT {names}, max(valid_from) AS step FROM (SELECT {names}, valid_from, "
        f"{shown} IS DISTINCT FROM lag({shown}) OVER (PARTITION BY {names} ORDER BY change) AS moved "
        f"FROM asked_of WHERE valid_from <= $step) WHERE moved GROUP BY {names}"
    )
    return _causes(run, name, key, rows, last, step)


def _ended(
    run: Replay, name: str, key: tuple[str, ...], rows: list[dict[Any, Any]], step: int
) -> dict[str, dict[str, Any]]:
    """Return, by key, the step that deleted some rows, and the input behind it; rows that never were are not there."""
    names = ", ".join(quote(part) for part in key)
    last = f"SELECT {names}, max(valid_to) AS step FROM asked_of WHERE valid_to <= $step GROUP BY {names}"
    return _causes(run, name, key, rows, last, step)


def _causes(
    run: Replay, name: str, key: tuple[str, ...], rows: list[dict[Any, Any]], last: str, step: int
) -> dict[str, dict[str, Any]]:
    """Return the inputs at the steps that a query finds among the versions of some rows, by key."""
    if not rows:
        return {}
    names = ", ".join(quote(part) for part in key)
    lists = ", ".join(f"unnest($k{number}) AS {quote(part)}" for number, part in enumerate(key))
    found = run.history.fetch(
        f"WITH asked_of AS (SELECT * FROM history.{quote(name)} SEMI JOIN (SELECT {lists}) AS asked USING ({names})) "
        f"SELECT {names}, s.step, s.kind, s.event_id, s.global_seq FROM ({last}) JOIN steps s USING (step)",
        {**{f"k{n}": [_scalar(row[part]) for row in rows] for n, part in enumerate(key)}, "step": step},
    )
    return {
        _key_text(dict(zip(key, parts, strict=True)), key): dict(zip(_NOTHING, cause, strict=True))
        for parts, cause in ((row[: len(key)], row[len(key) :]) for row in found)
    }


def _scalar(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def against_ticks(run: Replay) -> Iterator[dict[str, Any]]:
    """Yield the comparisons with what production's ticks gave, where the replay ticked as recorded."""
    if run.settings["ticks"].mode == "recorded" and run.settings["ticks"].recorded:
        if "actions" in run.recording.logs:
            yield _actions(run)
        if run.checked and "checks" in run.recording.logs:
            yield _checks(run)


def _actions(run: Replay) -> dict[str, Any]:
    """Compare what each tick emitted with what was recorded at it, in order."""
    found = run.divergence
    first = found.first
    return _of_ticks(
        "actions", "recorded actions", found.ticks, found.actions, found.frame["tick"].unique().tolist(), first
    )


def _checks(run: Replay) -> dict[str, Any]:
    """Compare the breaches each check found with those recorded at it, in order, by their recorded fields."""
    ticks = [one for one in run.settings["ticks"].recorded if one.tick in run.checked]
    recorded = recorded_checks(run.recording, ticks, run.window.bounds()[1])
    found: dict[int, list[tuple[str, Mapping[str, Any]]]] = {}
    for tick, name, detail in run.found:
        found.setdefault(tick, []).append((name, detail))
    wrong = [one.tick for one in ticks if not _same(found.get(one.tick, []), recorded.get(one.tick, []))]
    steps = dict(zip(run.metrics["tick"], run.metrics["step"], strict=True))
    first = {"step": steps.get(wrong[0]), "tick": wrong[0]} if wrong else None
    total = sum(map(len, recorded.values()))
    return _of_ticks("violations", "recorded checks", len(ticks), total, wrong, first)


def _same(found: list[tuple[str, Mapping[str, Any]]], recorded: list[tuple[str, Mapping[str, Any]]]) -> bool:
    if len(found) != len(recorded):
        return False
    pairs = zip(found, recorded, strict=True)
    return all(
        mine == theirs and all(name in detail and same(detail[name], value) for name, value in fields.items())
        for (mine, detail), (theirs, fields) in pairs
    )


def _of_ticks(table: str, what: str, ticks: int, rows: int, wrong: Sequence[int], first: Any) -> dict[str, Any]:
    step = None if first is None else first["step"]
    return {
        "against": f"{what} at {ticks:,} ticks",
        "ticks": ticks,
        "table": table,
        "rows": rows,
        "differing_rows": len(wrong),
        "differing_cells": len(wrong),
        "first_step": None if step is None else int(step),
        "first_input": None if first is None else f"tick {first['tick']}",
        "agrees": len(wrong) == 0,
    }
