"""A state table as of a step, with the rows and cells that the step changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.churn import key_text, numbered
from replaykit.display import is_empty, show_value
from replaykit.errors import QueryError, show_time
from replaykit.sql import quote

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.focus import Focus
    from replaykit.replayed import Replay

__all__ = ["entity_place", "first_touched", "state", "state_size", "step_of", "step_sentence", "touched_by"]


def state(
    run: Replay, table: str, *, step: int | None = None, limit: int | None = None, offset: int = 0
) -> pd.DataFrame:
    """Return a state table after a step, and what the step did to it.

    Parameters
    ----------
    step
        0 is the base, None the last one.
    limit, offset
        At most so many rows, without so many before them; None is all.

    Returns
    -------
    DataFrame
        ``change`` (``insert``, ``update``, ``delete`` or missing), ``was`` (for an updated row, the cells that the step
        changed as they were before, as JSON: none if it wrote the row and put it back), and the table's columns. Rows
        are in the order of insertion; one that the step deleted stands where it was, with the values it had.

    Raises
    ------
    QueryError
        There is no such table or step.
    """
    at = _step(run, step)
    columns = list(run.history.columns(table))
    cells = ", ".join(f"'{name.replace(chr(39), chr(39) * 2)}', {_before(n)}" for n, name in enumerate(columns))
    listed = ", ".join(f"v.c{number} AS {quote(name)}" for number, name in enumerate(columns))
    was, source = "was", numbered(run.history, table)
    while was in {name.lower() for name in columns}:
        was += "_"
    page = ("" if limit is None else f" LIMIT {int(limit)}") + f" OFFSET {int(offset)}"
    return run.history.frame(
        f"SELECT {_CHANGE} AS change, CASE WHEN v.live AND p.change IS NOT NULL THEN "
        f"CAST(json_merge_patch('{{}}', json_object({cells})) AS VARCHAR) END AS {quote(was)}, {listed} "
        f"FROM {_shown(run, table)} LEFT JOIN {source} p ON p.born = v.born AND {_same(run, table)} "
        "AND p.valid_from < $step AND p.valid_to = $step AND v.valid_from = $step "
        f"ORDER BY v.born, v.change{page}",
        {"step": at},
    )


_CHANGE = (
    "CASE WHEN NOT v.live THEN 'delete' WHEN $step = 0 OR v.valid_from < $step THEN NULL "
    "WHEN p.change IS NULL THEN 'insert' ELSE 'update' END"
)


def _before(number: int) -> str:
    """Return the cell before the step where it differs; json_merge_patch leaves out members that are null."""
    one = f"c{number}"
    old = f"coalesce(to_json(CAST(p.{one} AS VARCHAR)), to_json('∅'))"
    return f"CASE WHEN p.{one} IS DISTINCT FROM v.{one} THEN {old} END"


def state_size(run: Replay, table: str, *, step: int | None = None) -> int:
    """Return how many rows `state` has."""
    found = run.history.fetch(f"SELECT count(*) FROM {_shown(run, table)}", {"step": _step(run, step)})
    return int(found[0][0])


def first_touched(run: Replay, table: str, *, step: int | None = None) -> int | None:
    """Return the place among the rows of `state` of the first that the step changed; None if it changed none."""
    return _first_place(run, table, "$step > 0 AND (NOT v.live OR v.valid_from = $step)", {"step": _step(run, step)})


def entity_place(run: Replay, table: str, entity: str, *, step: int | None = None) -> int | None:
    """Return the place among the rows of `state` of the one with this key, joined by a slash; None if there is none."""
    named = f"{key_text(run.history, table)} = $entity"
    return _first_place(run, table, named, {"step": _step(run, step), "entity": entity})


def _first_place(run: Replay, table: str, meant: str, values: dict[str, Any]) -> int | None:
    """Return how many rows of `state` come before the first that a condition on ``v`` means; None if it means none."""
    shown = _shown(run, table)
    found = run.history.fetch(
        f"SELECT count(*) FROM {shown} WHERE (v.born, v.change) < "
        f"(SELECT min((v.born, v.change)) FROM {shown} WHERE {meant}) "
        f"HAVING EXISTS (SELECT 1 FROM {shown} WHERE {meant})",
        values,
    )
    return int(found[0][0]) if found else None


def touched_by(run: Replay, step: int) -> dict[str, int]:
    """Return how many rows a step wrote or deleted in each table, where it did; also those that it put back as before.

    Raises
    ------
    QueryError
        There is no such step.
    """
    at = _step(run, step)
    if not at or not run.history.tables:
        return {}
    parts = [
        f"SELECT {number}, count(DISTINCT born) FROM history.{quote(name)} WHERE valid_from = $step OR valid_to = $step"
        for number, name in enumerate(run.history.tables)
    ]
    found = run.history.fetch(" UNION ALL ".join(parts) + " ORDER BY 1", {"step": at})
    return {run.history.tables[number]: int(rows) for number, rows in found if rows}


def step_of(run: Replay, focus: Focus, otherwise: int | None = None) -> int | None:
    """Return the step of the event or the time in focus; where the replay has none, the step there was."""
    try:
        if focus.event is not None or focus.time is not None:
            return (run.at(event=focus.event) if focus.event is not None else run.at(focus.time)).step
    except QueryError:
        if focus.time is not None:
            return run.history.step_at(focus.time)
    return otherwise


def step_sentence(run: Replay | None, step: int | None) -> str:
    """Return a step in words: which, when, what it applied and which tables it changed."""
    if run is None or step is None:
        return "no replay yet"
    if step == 0:
        return f"step 0 of {run.after_step:,}, the base: {run.plan.base.name}"
    found = run.history.frame("SELECT * FROM steps WHERE step = $step", {"step": step}).to_dict("records")
    one: dict[Any, Any] = found[0] if found else {}
    parts = [show_value(one[name], 60) for name in ("input", "kind", "event_id") if not is_empty(one.get(name))]
    changed = ", ".join(f"{table} {rows:,}" for table, rows in touched_by(run, step).items())
    at = f" · {show_time(one['applied_at'].to_pydatetime())}" if one else ""
    before = " · before the window" if step <= run.before_step else ""
    told = f" · {' '.join(parts)}" if parts else ""
    return f"step {step:,} of {run.after_step:,}{at}{told} · changed {changed or 'nothing'}{before}"


def _step(run: Replay, step: int | None) -> int:
    at = run.after_step if step is None else int(step)
    if not 0 <= at <= run.after_step:
        raise QueryError(f"There is no step {at}; this replay has steps 0 (the base) to {run.after_step}.")
    return at


def _shown(run: Replay, table: str) -> str:
    """Return the versions shown at a step: those live after it, and the last of each row that it deleted."""
    source = numbered(run.history, table)
    live = "(v.valid_from <= $step AND (v.valid_to IS NULL OR v.valid_to > $step))"
    gone = (
        f"(v.valid_from < $step AND v.valid_to = $step AND NOT EXISTS (SELECT 1 FROM {source} w WHERE w.born = v.born "
        f"AND {_same(run, table, 'w')} AND w.valid_from = $step AND (w.valid_to IS NULL OR w.valid_to > $step)))"
    )
    return f"(SELECT v.*, {live} AS live FROM {source} v WHERE {live} OR {gone}) v"


def _same(run: Replay, table: str, other: str = "p") -> str:
    columns = list(run.history.columns(table))
    keys = [columns.index(name) for name in run.history.keys[table]]
    return " AND ".join(f"{other}.c{number} IS NOT DISTINCT FROM v.c{number}" for number in keys)
