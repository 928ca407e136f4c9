"""How a replay, a moment of it and its history read in a notebook: a sentence, counts, first rows, and what to call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.display import count, note_html, show_value, table_html
from replaykit.errors import show_time
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from replaykit.history import History
    from replaykit.moment import Moment
    from replaykit.replayed import Replay

__all__ = ["history_html", "moment_html", "replay_html", "replay_sentence"]

_FIRST = 10
_KINDS = 20
_ROWS = 200
_COMPARED = 200_000
"""Rows before and after that are compared unasked."""
_CALLS = (
    "More: .actions, .violations, .problems, .verdict, .diff, .metrics, .steps; .at(time) is the state at a moment, "
    ".history(table, key) every version of a row; .plot() and .swimlanes(table) are pictures."
)


def replay_sentence(run: Replay) -> str:
    """Return what was replayed and what came of it, in one sentence."""
    start, end = run.window.bounds()
    warmup = f" and {count(run.plan.warmup, 'event')} after it" if run.plan.warmup else ""
    parts = [count(run.plan.events - run.plan.warmup, "event"), count(_with_repeats(run.metrics), "tick")]
    emitted = _with_repeats(run.actions)
    rows = f" in {count(len(run.actions), 'row')}" if emitted != len(run.actions) else ""
    parts += [count(emitted, "action") + rows, run.violations.sentence, _problems(run)]
    return (
        f"Replay of [{show_time(start)}, {show_time(end)}), {show_value(end - start)}, by {run.reconciler.name} on "
        f"{run.plan.base.name}{warmup}: {'; '.join(parts)}."
    )


def _with_repeats(frame: pd.DataFrame) -> int:
    return int(frame["repeats"].sum()) + len(frame)


def _problems(run: Replay) -> str:
    if run.problems.empty:
        return "no problems"
    return f"{count(len(run.problems), 'problem')}, met {count(int(run.problems['count'].sum()), 'time')}"


def replay_html(run: Replay) -> str:
    """Return a bounded summary of a replay: what it was, the verdict, problems, actions, violations, what changed."""
    parts = [note_html(replay_sentence(run), 2_000)]
    parts.append(note_html(f"Verdict: {run.verdict.status}. {run.verdict.sentence}", 2_000))
    if len(run.problems):
        parts.append(table_html(run.problems, caption="Problems", limit=_FIRST, more=".problems"))
    if len(run.actions):
        parts.append(table_html(_by_kind(run), caption="Actions by kind", limit=_KINDS, more=".actions"))
        first = run.actions.head(_FIRST).dropna(axis="columns", how="all")
        shown = table_html(first, caption="First actions", limit=_FIRST, more=".actions", total=len(run.actions))
        parts.append(shown)
    if len(run.violations):
        parts.append(table_html(_frame(run.violations), caption="Violations", limit=_FIRST, more=".violations"))
    return "\n".join([*parts, *_changed(run), note_html(_CALLS)])


def _frame(frame: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(frame)


def _by_kind(run: Replay) -> pd.DataFrame:
    """Return one row for each kind and rule: how many actions, of how many entities, from when to when."""
    import numpy as np

    interval = np.timedelta64(run.settings["ticks"].interval or 0, "us")
    times = run.actions["repeats"] + 1
    until = run.actions["at"] + run.actions["repeats"].to_numpy() * interval
    told = run.actions[["kind", "rule", "entity", "at"]].assign(times=times, until=until)
    found = (
        told.groupby(["kind", "rule"], sort=True)
        .agg(actions=("times", "sum"), entities=("entity", "nunique"), first_at=("at", "min"), last_at=("until", "max"))
        .reset_index()
    )
    return found.sort_values(["actions", "kind", "rule"], ascending=[False, True, True])


def _changed(run: Replay) -> Iterator[str]:
    """Yield what the window changed, table by table."""
    import pandas as pd

    sizes = [sum(_sizes(moment).values()) for moment in (run.before, run.after)]
    if sum(sizes) > _COMPARED:
        yield note_html(f"What the window changed: .diff compares {sizes[0]:,} rows before with {sizes[1]:,} after.")
        return
    yield note_html(f"What the window changed: {run.diff.count}.")
    rows = [
        (name, len(one.added), len(one.removed), len(one.changed), ", ".join(map(str, one.changed_columns)))
        for name, one in run.diff.tables.items()
        if len(one)
    ]
    if rows:
        frame = pd.DataFrame(rows, columns=["table", "added", "removed", "changed", "changed columns"])
        yield table_html(frame, caption="Changed tables", limit=_KINDS, more=".diff")


def _sizes(moment: Moment) -> dict[str, int]:
    """Return how many rows each table has at a moment."""
    asked = moment.history
    counts = (f"SELECT count(*) AS n FROM ({asked.at_query(name, moment.step)})" for name in moment.keys)
    return {name: int(asked.fetch(one)[0][0]) for name, one in zip(moment.keys, counts, strict=True)}


def moment_html(moment: Moment) -> str:
    """Return when a moment is and how many rows it has, then the first rows of its tables, together about 200."""
    sizes = _sizes(moment)
    filled = [name for name, size in sizes.items() if size]
    shown, limit = filled[:_KINDS], min(20, _ROWS // max(1, min(len(filled), _KINDS)))
    parts = [note_html(_when(moment, sizes)), _overview(moment.keys, {"rows": list(sizes.values())})]
    for name in shown:
        rows = moment.history.frame(f"{moment.history.at_query(name, moment.step)} LIMIT {limit}")
        caption = f"{name} after step {moment.step:,}"
        parts.append(table_html(rows, caption=caption, limit=limit, more=f'["{name}"]', total=sizes[name]))
    if len(filled) > len(shown):
        parts.append(note_html(f"… {count(len(filled) - len(shown), 'more table')}: .tables"))
    return "\n".join(parts)


def _when(moment: Moment, sizes: dict[str, int]) -> str:
    cause = moment.history.fetch("SELECT input, kind, event_id FROM steps WHERE step = $step", {"step": moment.step})
    what = " ".join(str(one) for one in cause[0] if one is not None) if cause else "the base"
    size = f"{count(sum(sizes.values()), 'row')} in {count(len(sizes), 'table')}"
    return f"State after step {moment.step:,} ({what}), at {show_time(moment.at)}: {size}."


def _overview(keys: Any, columns: dict[str, list[int]]) -> str:
    import pandas as pd

    frame = pd.DataFrame({"table": list(keys), "key": [", ".join(key) for key in keys.values()], **columns})
    return table_html(frame, caption="Tables", limit=_ROWS, more=".keys")


def history_html(history: History) -> str:
    """Return how many versions of how many rows a history holds, table by table."""
    counts = []
    for name, key in history.keys.items():
        listed = ", ".join(map(quote, key))
        counts.append(
            history.fetch(
                f"SELECT count(*), count(DISTINCT ({listed})), count(*) FILTER (valid_to IS NULL) "
                f"FROM history.{quote(name)}"
            )[0]
        )
    versions, rows, still = ([int(one[place]) for one in counts] for place in range(3))
    ((steps,),) = history.fetch("SELECT coalesce(max(step), 0) FROM steps")
    text = f"{count(sum(versions), 'version')} of {count(sum(rows), 'row')} in {count(len(counts), 'table')}"
    parts = [note_html(f"History of {count(steps, 'step')}: {text}.")]
    parts.append(_overview(history.keys, {"versions": versions, "rows": rows, "there at the end": still}))
    return "\n".join([*parts, note_html("More: history(table, key) is every version of one row, with its cause.")])
