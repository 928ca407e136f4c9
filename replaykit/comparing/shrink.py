"""Shrink: the fewest events, recorded inputs and rows of the base with which a replay still shows something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.comparing.ablation import without
from replaykit.comparing.symptoms import Symptom, symptom_of
from replaykit.display import brief, count, note_html, table_html
from replaykit.errors import QueryError, ReplayKitError
from replaykit.narrowing import LeftOut, held
from replaykit.progress import Progress
from replaykit.recorded_ticks import log_of_ticks
from replaykit.shrinking import minimize_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from replaykit.replayed import Replay
    from replaykit.shrinking import MinimizedGroups

__all__ = ["Shrunk", "shrink"]

_LOGS = {"actions": "recorded action", "writes": "recorded write"}
_ROWS = "rows of "
_VALUES = {
    "events": ("event", "CAST(payload AS VARCHAR)"),
    "actions": ("recorded action", "CAST(payload AS VARCHAR)"),
    "writes": ("recorded write", "concat_ws(' ', op, table_name, row_key, new_values)"),
}


@dataclass(frozen=True, repr=False, eq=False)
class Shrunk:
    """A replay of few inputs that still shows what it was shrunk for."""

    run: Replay
    """The small replay; ask it anything."""
    symptom: Symptom | Callable[[Any], bool]
    """What it shows."""
    found: MinimizedGroups[int]
    """Which items are left of each group, after how many replays, and whether none can be left out alone."""
    inputs: pd.DataFrame
    """What is still applied: ``step``, ``applied_at``, ``input``, ``kind``, ``event_id``, ``values`` (as JSON)."""
    rows: Mapping[str, pd.DataFrame]
    """The rows of the base that are left, by table; tables without any are left out."""

    @property
    def minimal(self) -> bool:
        """Whether it was tried that none of what is left can go alone."""
        return self.found.minimal

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        told = getattr(self.symptom, "sentence", "what was looked for still shows")
        groups = {name: len(left) for name, left in self.found.groups.items()}
        rows = sum(number for name, number in groups.items() if name.startswith(_ROWS))
        parts = [count(number, name.removesuffix("s")) for name, number in groups.items() if not name.startswith(_ROWS)]
        parts.append(f"{count(rows, 'row')} of the base")
        stopped = "" if self.minimal else f"; not minimal ({self.found.stopped}), fewer may do"
        return f"{told} with {', '.join(parts)} of {self.found.size:,}; {count(self.found.tests, 'replay')}{stopped}."

    def __repr__(self) -> str:
        return brief("Shrunk", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        parts = [note_html(self.sentence, 1_000), table_html(self.inputs, caption="Inputs", limit=30, more=".inputs")]
        parts += [
            table_html(frame, caption=f"Base: {name}", limit=10, more=f".rows[{name!r}]")
            for name, frame in self.rows.items()
        ]
        return "\n".join(parts)


def shrink(run: Replay, shows: Any = None, *, budget: int | None = 500, rows: bool = True) -> Shrunk:
    """Leave out what is not needed to show something: see `replaykit.Replay.shrink`."""
    if run.plan.altered:
        raise QueryError(f"This replay is of other inputs already ({run.plan.altered}); shrink the one it was made of.")
    symptom = symptom_of(run, shows)
    groups, plan = _groups(run, rows=rows), held(run.plan)

    def still(kept: Mapping[str, Sequence[int]]) -> bool:
        try:
            return bool(symptom(without(run, plan, _left_out(groups, kept))))
        except ReplayKitError:
            return False

    progress = Progress("Shrinking", noun="replay")
    try:
        found = minimize_groups(groups, still, budget=budget, progress=progress)
    finally:
        progress.close()
    small = without(run, plan, _left_out(groups, found.groups))
    _ = small.verdict, small.events
    tables = small.plan.base.tables
    rows_left = {name: tables[name].reset_index(drop=True) for name in tables if len(tables[name])}
    return Shrunk(small, symptom, found, _inputs(small, found), rows_left)


def _inputs(run: Replay, found: MinimizedGroups[int]) -> pd.DataFrame:
    """Return what is applied, each input with what it said."""
    import pandas as pd

    steps = run.steps[["step", "applied_at", "input", "kind", "event_id", "position"]]
    values = [
        run.recording._frame(
            f"SELECT position, {text} AS values, '{name}' AS input FROM {log} "
            "WHERE list_contains($positions, position) ORDER BY position",
            {"positions": list(found.groups[log])},
        )
        for log, (name, text) in _VALUES.items()
        if found.groups.get(log)
    ]
    if not values:
        return steps.assign(values=None).drop(columns="position").reset_index(drop=True)
    known = pd.concat(values).astype({"position": "Int64"})
    joined = steps.astype({"position": "Int64"}).merge(known, on=["input", "position"], how="left")
    return joined.drop(columns="position").sort_values("step", ignore_index=True)


def _groups(run: Replay, *, rows: bool) -> dict[str, list[int]]:
    """Return what can be left out: positions of events and recorded inputs, numbers of rows of the base."""
    found = {"events": _positions(run, "event")}
    if run.settings["actions"] == "recorded":
        found |= {log: _positions(run, name) for log, name in _LOGS.items() if log in _shrinkable(run)}
    if rows:
        sizes = {name: len(run.plan.base.tables[name]) for name in run.plan.base.tables if name in run.history.keys}
        found |= {f"{_ROWS}{name}": list(range(size)) for name, size in sizes.items() if size}
    return found


def _shrinkable(run: Replay) -> list[str]:
    """Return the logs that can be thinned out: not the one that says when the ticks were."""
    told = log_of_ticks(run.recording) if run.settings["ticks"].mode == "recorded" else None
    return [log for log in run.recording.logs if log != told]


def _positions(run: Replay, input: str) -> list[int]:
    found = run.history.fetch(
        "SELECT position FROM steps WHERE input = $input GROUP BY position ORDER BY min(step)", {"input": input}
    )
    return [row[0] for row in found]


def _left_out(groups: Mapping[str, Sequence[int]], kept: Mapping[str, Sequence[int]]) -> LeftOut:
    gone = {name: frozenset(items) - frozenset(kept[name]) for name, items in groups.items()}
    rows = {name.removeprefix(_ROWS): one for name, one in gone.items() if name.startswith(_ROWS)}
    return LeftOut(gone["events"], {log: gone[log] for log in _LOGS if log in gone}, rows)
