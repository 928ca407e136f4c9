"""The program's debug calls, asked of a recording: a dry run of the next tick, and a replay of a window's events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from replaykit.errors import QueryError, WindowError, show_time
from replaykit.inputs import base_rows
from replaykit.replay import replay
from replaykit.state import State
from replaykit.systems.gastown.endpoints import agents_now, apply_event, beads_now, reconcile, unreadable
from replaykit.systems.gastown.reading import GastownError
from replaykit.systems.gastown.reconciler import reconciler
from replaykit.systems.gastown.times import parse
from replaykit.window import Window, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from replaykit.recording import Recording
    from replaykit.replayed import Replay
    from replaykit.snapshot import RecordedSnapshot
    from replaykit.verdict import Verdict

__all__ = ["DryRun", "EventReplay", "dry_run", "replay_events", "state_of"]

_INSTANT = timedelta(microseconds=1)
_PENDING = (
    "SELECT event_id, kind AS event_type, agent_id, bead_id, payload, processed_at, position, "
    "strftime(occurred_at, '%Y-%m-%dT%H:%M:%S.%gZ') AS created_at FROM events "
    "WHERE occurred_at <= $at ORDER BY occurred_at, position"
)


@dataclass(frozen=True, repr=False, eq=False)
class DryRun:
    """What the next tick would do. Nothing was applied."""

    actions: pd.DataFrame
    """One row per action in order: ``action`` (from 1), ``kind``, then the fields of all kinds."""
    metrics: Mapping[str, Any]
    """``events_drained``, ``actions_emitted``, ``actions_by_type``, ``pending_event_count`` (0: they were drained)."""
    problems: pd.DataFrame
    """One row per event that raised or can't be read: the program would try it again at every tick."""
    at: Any
    """The clock it ran at, naive UTC."""

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        from replaykit.display import count

        poison = f" {count(len(self.problems), 'event')} failed and would come back." if len(self.problems) else ""
        drained = count(self.metrics["events_drained"], "pending event")
        return (
            f"A tick at {show_time(self.at)} drains {drained} and emits {count(len(self.actions), 'action')}.{poison}"
        )

    def __repr__(self) -> str:
        return f"DryRun({self.sentence})"

    def _repr_html_(self) -> str:
        from replaykit.display import note_html, table_html

        parts = [("actions", self.actions, ".actions"), ("events that failed", self.problems, ".problems")]
        tables = [table_html(frame, caption=name, limit=50, more=more) for name, frame, more in parts if len(frame)]
        return "\n".join([note_html(self.sentence), *tables])


def dry_run(
    recording: Recording, *, snapshot: int = -1, at: Any = None, params: Mapping[str, Any] | None = None
) -> DryRun:
    """Drain the events that were pending at a snapshot, reconcile, and take it all back.

    Unlike the program's own call, an event that raises does not lose the answer: it is listed, what it wrote before
    stays for this run, and the next one goes on, as in a real tick.

    Parameters
    ----------
    snapshot
        Number of the snapshot to start from; the last by default.
    at
        The clock of the tick; the snapshot's moment by default.
    params
        Thresholds that differ.

    Raises
    ------
    QueryError
        There is no such snapshot, or the events do not say what was processed.
    """
    if "processed_at" not in recording.columns("events"):
        raise QueryError("dry_run needs events with processed_at; load the town with gastown.open or load_trace.")
    start = recording.snapshot(snapshot)
    now = start.at if at is None else parse_time(at, what="at", span=recording.span)
    rules = reconciler.with_params(**(params or {}))
    state = state_of(start, params=params)
    state.now = now
    drained = _pending(recording, start)
    failed = [row for row in (_failure(state, event) for event in drained) if row is not None]
    actions, failed = _reconciled(state, rules, now, failed)
    return DryRun(
        _frame([{"action": n, "kind": one.kind, **one.fields} for n, one in enumerate(actions, 1)], ["action", "kind"]),
        {
            "events_drained": len(drained),
            "actions_emitted": len(actions),
            "actions_by_type": dict(Counter(one.kind for one in actions)),
            "pending_event_count": len([row for row in failed if row["event_id"] is not None]),
        },
        _frame(failed, ["event_id", "event_type", "reason", "detail"]),
        now,
    )


def state_of(snapshot: RecordedSnapshot, *, params: Mapping[str, Any] | None = None) -> State:
    """Return a working set that holds a snapshot's tables."""
    rules = reconciler.with_params(**(params or {}))
    state = State(rules.tables, rules.params)
    tables = snapshot.tables
    for name, table in state.tables.items():
        table.load(base_rows(tables, name, list(table.types)))
    return state


def _pending(recording: Recording, snapshot: RecordedSnapshot) -> list[dict[str, Any]]:
    """Return the events that lay in the queue at a snapshot, in the order the program drains them."""
    found = recording._frame(_PENDING, {"at": snapshot.at}).astype(object)
    rows: list[dict[Any, Any]] = found.where(found.notna(), None).to_dict("records")
    return [row for row in rows if row["processed_at"] is None or _later(row["processed_at"], snapshot)]


def _later(processed_at: Any, snapshot: RecordedSnapshot) -> bool:
    moment = parse(processed_at) if isinstance(processed_at, str) else processed_at
    return moment is not None and moment > snapshot.at


def _failure(state: State, event: Mapping[str, Any]) -> dict[str, Any] | None:
    """Apply an event; return what went wrong, if anything did."""
    given = {"event_id": event["event_id"], "event_type": event["event_type"]}
    wrong = unreadable(event)
    if wrong is not None:
        return {**given, "reason": "parse", "detail": wrong}
    try:
        apply_event(state, reconciler, event)
    except GastownError as error:
        return {**given, "reason": error.reason, "detail": str(error)}
    return None


def _reconciled(
    state: State, rules: Any, now: Any, failed: list[dict[str, Any]]
) -> tuple[list[Any], list[dict[str, Any]]]:
    try:
        return reconcile(state, rules, now), failed
    except GastownError as error:
        told = {"event_id": None, "event_type": "reconcile", "reason": error.reason, "detail": str(error)}
        return [], [*failed, told]


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    names = [*columns, *dict.fromkeys(name for row in rows for name in row if name not in columns)]
    return pd.DataFrame([[row.get(name) for name in names] for row in rows], columns=names)


@dataclass(frozen=True, repr=False, eq=False)
class EventReplay:
    """A window's events replayed, with what the rules would emit at its end."""

    run: Replay
    """The replay behind it."""
    start: Any
    end: Any

    @property
    def events_replayed(self) -> int:
        """How many events the window holds, both bounds included, processed or not."""
        return self.run.plan.events - self.run.plan.warmup

    @property
    def actions(self) -> pd.DataFrame:
        """What the rules emit at the end of the window."""
        return self.run.actions

    @property
    def agents(self) -> pd.DataFrame:
        """All agents after the window: bead_id, role, status, current_hook_bead_id, dispatch_attempts, activity."""
        return agents_now(self.run.after["agent_metadata"])

    @property
    def non_terminal_beads(self) -> pd.DataFrame:
        """Beads that are neither terminal nor agents after the window, by type and status."""
        return beads_now(self.run.after["beads"])

    @property
    def verdict(self) -> Verdict:
        """How far this can be trusted, in place of a caveat that is always the same."""
        return self.run.verdict

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        from replaykit.display import count

        told = f"{count(self.events_replayed, 'event')} from {show_time(self.start)} to {show_time(self.end)}"
        found = f"{count(len(self.actions), 'action')}. {self.verdict.status}: {self.verdict.sentence}"
        return f"{told}, on {self.run.plan.base.name}: {found}"

    def __repr__(self) -> str:
        from replaykit.display import brief

        return brief("EventReplay", self.sentence)

    def _repr_html_(self) -> str:
        from replaykit.display import note_html, table_html

        parts = [("actions", self.actions, ".actions"), ("agents", self.agents, ".agents")]
        parts.append(("beads", self.non_terminal_beads, ".non_terminal_beads"))
        tables = [table_html(frame, caption=name, limit=50, more=more) for name, frame, more in parts if len(frame)]
        return "\n".join([note_html(self.sentence, limit=1_000), *tables])


def replay_events(
    recording: Recording,
    start: Any,
    end: Any,
    *,
    base: Any = "nearest",
    actions: Literal["collect", "apply", "recorded"] = "collect",
    params: Mapping[str, Any] | None = None,
) -> EventReplay:
    """Replay every event from `start` to `end`, both included, and reconcile at the end.

    Parameters
    ----------
    start, end
        Compared as times. Equal bounds are allowed: the events of one instant.
    base
        As in `replaykit.replay`; ``"live"`` is the last snapshot, which is what the program's own call replays on.
    actions
        As in `replaykit.replay`; ``"recorded"`` where everything was logged.

    Raises
    ------
    WindowError
        A bound is missing, empty, unreadable, or the start is after the end; the message names the bound.
    """
    first = parse_time(start, what="start", span=recording.span)
    last = parse_time(end, what="end", span=recording.span)
    if first > last:
        raise WindowError(f"Window start {show_time(first)} is after end {show_time(last)}; swap the bounds.")
    if base == "live":
        base = recording.snapshot(-1)
    run = replay(
        recording, reconciler, Window(first, last + _INSTANT), ticks="end", actions=actions, base=base, params=params,
        on_error="keep",
    )  # fmt: skip
    return EventReplay(run, first, last)
