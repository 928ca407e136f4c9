"""Readers: which decisions rested on what one event, step or action wrote, as far as that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.collector import collector_resting
from replaykit.display import brief, count, note_html, table_html
from replaykit.reasons.grounds import why
from replaykit.reasons.program_why import refuse_readers

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.replayed import Replay

__all__ = ["Readers", "readers"]

_TYPES = {
    "action": "int64",
    "tick": "int64",
    "at": "datetime64[us]",
    "rule": "str",
    "kind": "str",
    "entity": "str",
    "table": "str",
    "key": "str",
    "column": "str",
    "value": "object",
    "decisive": "boolean",
    "applied": "Int64",
}


@dataclass(frozen=True, repr=False, eq=False)
class Readers:
    """Which emitted actions were decided on cells that one event, step or action had written."""

    what: str
    """What was asked about, in words."""
    frame: pd.DataFrame
    """One row for each action and cell: ``action``, ``tick``, ``at``, ``rule``, ``kind``, ``entity``, then the cell:
    ``table``, ``key``, ``column``, ``value``, ``decisive`` (the action falls without that write), and ``applied``, the
    step that applied the action (missing: none did, or it is not known)."""
    asked: int
    """How many actions were looked into: of each kind for each entity the first while what was written stood."""
    left: int
    """How many were not, because there were too many."""

    def __len__(self) -> int:
        return int(self.frame["action"].nunique())

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        what = self.what[:1].lower() + self.what[1:]
        told = f"{count(len(self), 'action')} of {self.asked:,} looked into rested on what {what} wrote"
        rules = ", ".join(self.frame["rule"].unique()[:5])
        more = f"; {self.left:,} more were not looked into" if self.left else ""
        return f"{told}{f', by {rules}' if rules else ''}{more}. Reads of handlers are not recorded."

    def __repr__(self) -> str:
        return brief("Readers", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        table = table_html(self.frame, caption="Decisions that read it", limit=50, more=".frame")
        return f"{note_html(self.sentence)}\n{table if len(self) else ''}"

    def to_frame(self) -> pd.DataFrame:
        """Return `frame`, as a frame of its own."""
        return self.frame.copy()


@collector_resting()
def readers(run: Replay, most: int, asked: dict[str, Any]) -> Readers:
    """Return which decisions rested on what was written: see `replaykit.Replay.readers`."""
    import pandas as pd

    refuse_readers(run)
    touched = run.history.touched(**asked)
    steps = frozenset(touched.steps)
    numbers = _while_it_stood(run, touched.later)
    applied = _applied(run)
    rows = [row for number in numbers[:most] for row in _read(run, number, steps, applied)]
    columns = zip(*rows, strict=True) if rows else ([] for _ in _TYPES)
    pairs = zip(_TYPES.items(), columns, strict=True)
    frame = pd.DataFrame({name: pd.Series(list(values), dtype=kind) for (name, kind), values in pairs})
    return Readers(touched.what, frame, min(most, len(numbers)), max(0, len(numbers) - most))


def _while_it_stood(run: Replay, later: pd.DataFrame) -> list[int]:
    """Return the numbers of the first actions of each kind and entity emitted while what was written stood."""
    actions = run.actions
    inside = actions["step"] < 0
    for one in later[later["change"] != "delete"].itertuples():
        stood = actions["step"] >= one.step
        inside |= stood if _is_missing(one.until) else stood & (actions["step"] < one.until)
    first = actions[inside].drop_duplicates(["rule", "kind", "entity"])
    return [int(number) for number in first["action"]]


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def _applied(run: Replay) -> dict[int, int]:
    found = run.history.fetch("SELECT action, min(step) FROM steps WHERE action IS NOT NULL GROUP BY 1 ORDER BY 1")
    return {int(action): int(step) for action, step in found}


def _read(run: Replay, number: int, steps: frozenset[int], applied: dict[int, int]) -> list[tuple[Any, ...]]:
    """Return a row for each cell of these steps that an action was decided on."""
    found, row = why(run, number), run.actions.iloc[number - 1]
    head = (number, found.tick, found.at, found.rule, found.kind, row["entity"])
    return [
        (*head, cell.table, "/".join(map(str, cell.key)), cell.column, cell.value, cell.decisive, applied.get(number))
        for cell in found.cells
        if cell.blame is not None and cell.blame.step in steps
    ]
