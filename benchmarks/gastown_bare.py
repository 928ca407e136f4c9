"""A working set that does nothing but hold rows: what replaying the whole trace is measured against.

The same handlers, rules and appliers run on it, since it is written like a `replaykit.State`. It keeps no history,
checks no types, logs no changes and has no SQL: the five invariants are written in Python here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.systems.gastown.endpoints import reconcile
from replaykit.systems.gastown.operations import has_live_review
from replaykit.systems.gastown.reading import GastownError

if TYPE_CHECKING:
    from replaykit.declarations import Action, Table
    from replaykit.reconciler import Reconciler
    from replaykit.recorded import RecordedInput
    from replaykit.recorded_ticks import RecordedTick

__all__ = ["BareState", "retrace"]

_Row = dict[str, Any]


class BareTable:
    """Rows by key in insertion order; an update puts a new dict in the place of the old one."""

    def __init__(self, declared: Table) -> None:
        self.key = declared.key
        self._single = declared.key[0] if len(declared.key) == 1 else None
        self._template = {**dict.fromkeys(declared.columns), **declared.defaults}
        self.rows: dict[Any, _Row] = {}
        self._born: dict[Any, int] = {}
        self._next = 0
        self._index: dict[str, dict[Any, dict[Any, None]]] = {}

    def get(self, key: Any) -> _Row | None:
        """Return a row or None."""
        return self.rows.get(key)

    def __getitem__(self, key: Any) -> _Row:
        return self.rows[key]

    def find(self, **equals: Any) -> list[_Row]:
        """Return rows whose columns equal the given values, in insertion order; a tuple means any of its members."""
        if not equals:
            return list(self.rows.values())
        (column, wanted), *rest = equals.items()
        index = self._index.get(column) or self._indexed(column)
        if isinstance(wanted, tuple):
            keys = [key for one in wanted for key in index.get(one, ())]
        else:
            keys = list(index.get(wanted, ()))
        if len(keys) > 1:
            keys.sort(key=self._born.__getitem__)
        rows = [self.rows[key] for key in keys]
        for name, value in rest:
            rows = [row for row in rows if row[name] == value]
        return rows

    def _indexed(self, column: str) -> dict[Any, dict[Any, None]]:
        index: dict[Any, dict[Any, None]] = {}
        for key, row in self.rows.items():
            index.setdefault(row[column], {})[key] = None
        self._index[column] = index
        return index

    def insert(self, row: Mapping[str, Any] | None = None, /, **columns: Any) -> _Row:
        """Add a row at the end."""
        new = {**self._template, **(row or {}), **columns}
        key = new[self._single] if self._single else tuple([new[name] for name in self.key])
        if key in self.rows:
            raise KeyError(key)
        self.rows[key] = new
        self._born[key] = self._next = self._next + 1
        for column, index in self._index.items():
            index.setdefault(new[column], {})[key] = None
        return new

    def update(self, key: Any, values: Mapping[str, Any] | None = None, /, **columns: Any) -> _Row:
        """Set columns of a row."""
        old = self.rows[key]
        new = self.rows[key] = {**old, **(values or {}), **columns}
        for column, index in self._index.items():
            if new[column] != old[column]:
                del index[old[column]][key]
                index.setdefault(new[column], {})[key] = None
        return new

    def delete(self, key: Any) -> bool:
        """Remove a row; returns whether there was one."""
        old = self.rows.pop(key, None)
        if old is None:
            return False
        del self._born[key]
        for column, index in self._index.items():
            del index[old[column]][key]
        return True


class _Params(dict[str, Any]):
    __getattr__ = dict.__getitem__


class BareState:
    """Tables, a clock, parameters and numbers for new ids."""

    def __init__(self, tables: Mapping[str, Table], params: Mapping[str, Any]) -> None:
        self.tables = {name: BareTable(table) for name, table in tables.items()}
        self.params = _Params(params)
        self.now: datetime | None = None
        self._numbers: dict[str, int] = {}

    def __getitem__(self, name: str) -> BareTable:
        return self.tables[name]

    def new_id(self, prefix: str) -> str:
        """Return the next id, behind the highest number there is."""
        number = self._numbers.get(prefix)
        if number is None:
            keys = (key for table in self.tables.values() for key in table.rows if str(key).startswith(f"{prefix}-"))
            number = max((int(key.rpartition("-")[2]) for key in keys), default=0)
        self._numbers[prefix] = number + 1
        return f"{prefix}-{number + 1:04d}"


def retrace(
    state: BareState, rules: Reconciler, inputs: Iterable[RecordedInput], ticks: Iterable[RecordedTick], end: datetime
) -> tuple[list[tuple[int, list[Action]]], list[tuple[int, str, _Row]]]:
    """Apply inputs and evaluate rules and invariants in the recorded order.

    Returns
    -------
    list, list
        Tick and actions of each evaluation of the rules; tick, invariant and row of each breach.
    """
    actions: list[tuple[int, list[Action]]] = []
    found: list[tuple[int, str, _Row]] = []
    for _, what, one in _in_order(inputs, ticks, end):
        if what == _INPUT:
            _apply(state, rules, one)
        elif what == _RULES:
            state.now = one.at
            actions.append((one.tick, reconcile(state, rules, one.at)))  # type: ignore[arg-type]
        else:
            found += [(one.tick, name, row) for name, ask in _INVARIANTS.items() for row in ask(state)]
    return actions, found


_INPUT, _RULES, _CHECK = range(3)


def _in_order(
    inputs: Iterable[RecordedInput], ticks: Iterable[RecordedTick], end: datetime
) -> list[tuple[int, int, Any]]:
    places: list[tuple[int, int, Any]] = [(one.global_seq or 0, _INPUT, one) for one in inputs]
    for tick in ticks:
        places.append((tick.seq or 0, _RULES, tick))
        if (tick.checked_at or tick.at) < end:
            places.append((tick.check_seq or tick.seq or 0, _CHECK, tick))
    return sorted(places, key=lambda place: place[:2])


def _apply(state: BareState, rules: Reconciler, one: RecordedInput) -> None:
    if one.log == "writes":
        one.write_to(state)  # type: ignore[arg-type]
        return
    state.now = one.occurred_at
    handlers, given = (rules.appliers, one.action) if one.action is not None else (rules.handlers, one.event)
    handler = handlers.get(one.kind)
    if handler is not None:
        try:
            handler(state, given)
        except GastownError:
            if not one.failed:
                raise


def _works_without_hook(state: Any) -> Iterator[_Row]:
    for agent in state["agent_metadata"].find(status="working"):
        if agent["current_hook_bead_id"] is None:
            yield {"bead_id": agent["bead_id"], "message": f"agent {agent['bead_id']} works without a hook"}


def _convoy_in_progress(state: Any) -> Iterator[_Row]:
    for bead in state["beads"].find(type="convoy", status="in_progress"):
        yield {"bead_id": bead["bead_id"], "message": f"convoy {bead['bead_id']} has status in_progress"}


def _reviews_side_by_side(state: Any) -> Iterator[_Row]:
    found = state["beads"].find(status="in_progress")
    rigs = Counter(bead["rig_id"] for bead in found if bead["type"] == "merge_request" and bead["rig_id"] is not None)
    for rig, count in sorted(rigs.items()):
        if count > 1:
            yield {"rig_id": rig, "message": f"rig {rig} has {count} MRs in progress"}


def _hooked_twice(state: Any) -> Iterator[_Row]:
    hooks = Counter(agent["current_hook_bead_id"] for agent in state["agent_metadata"].find())
    del hooks[None]
    for bead, count in sorted(hooks.items()):
        if count > 1:
            yield {"bead_id": bead, "message": f"bead {bead} hooked by {count} agents"}


def _review_without_request(state: Any) -> Iterator[_Row]:
    for bead in state["beads"].find(status="in_review"):
        if bead["type"] == "issue" and not has_live_review(state, bead["bead_id"]):
            yield {"bead_id": bead["bead_id"], "message": f"issue {bead['bead_id']} in review without a live MR"}


_INVARIANTS: dict[str, Callable[[Any], Iterator[_Row]]] = {
    "7": _works_without_hook,
    "5": _convoy_in_progress,
    "3": _reviews_side_by_side,
    "6": _hooked_twice,
    "4": _review_without_request,
}
