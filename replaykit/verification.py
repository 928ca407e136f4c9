"""verify(): replay from each snapshot to the next, and name every cell that comes out differently."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from replaykit.agreement import CELLS, CHECKS, against_snapshot, against_ticks
from replaykit.display import brief, note_html, table_html
from replaykit.errors import QueryError, VerdictError
from replaykit.inputs import make_plan
from replaykit.reconciler import reconciler_of
from replaykit.recorded_ticks import log_of_ticks, recorded_ticks
from replaykit.replaying import planned
from replaykit.schedule import Schedule
from replaykit.verdict import summed_up
from replaykit.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

    import pandas as pd

    from replaykit.reconciler import Reconciler
    from replaykit.recorded_ticks import RecordedTick
    from replaykit.recording import Recording
    from replaykit.replayed import Replay
    from replaykit.snapshot import RecordedSnapshot

__all__ = ["Verification", "verify"]

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, repr=False, eq=False)
class Verification:
    """Every snapshot folded to the next one, and compared with it."""

    table: pd.DataFrame
    """One row per pair of snapshots and table: rows, differing rows and cells, the first step where one went wrong
    (counted from the earlier snapshot) and the input it applied. Retraced, ``actions`` and ``violations`` are compared
    at every recorded tick as well."""
    cells: pd.DataFrame
    """Differing cells, at most 200 per pair."""
    sentence: str
    """The result in one sentence."""
    ok: bool
    """Whether every comparison agreed, and there was at least one."""

    def __repr__(self) -> str:
        return brief("Verification", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        tables = [("Comparisons", self.table, ".table"), ("Differing cells", self.cells, ".cells")]
        shown = [table_html(frame, caption=name, limit=50, more=more) for name, frame, more in tables if len(frame)]
        return "\n".join([note_html(self.sentence, 2_000), *shown])

    def raise_for_verdict(self) -> Verification:
        """Return this if every comparison agreed; otherwise raise a VerdictError."""
        if not self.ok:
            raise VerdictError(self.sentence)
        return self


def verify(
    recording: Recording,
    reconciler: Reconciler | ModuleType,
    *,
    params: Mapping[str, Any] | None = None,
    actions: Literal["collect", "recorded"] | None = None,
) -> Verification:
    """Replay from each snapshot to the next, and name every cell that comes out differently.

    Parameters
    ----------
    actions
        ``"collect"``: fold the events. ``"recorded"``: retrace, with everything that was logged, and compare what rules
        and invariants gave at every recorded tick as well. None retraces where a log says when events were applied.

    Raises
    ------
    QueryError
        The recording holds fewer than two snapshots.
    """
    import pandas as pd

    snapshots = recording.snapshots
    if len(snapshots) < 2:
        raise QueryError(
            f"verify needs two snapshots or more; the recording holds {len(snapshots)}. Load them as rk.Snapshot."
        )
    twin = reconciler_of(reconciler).with_params(**(params or {}))
    retraced = actions == "recorded" or (actions is None and "applications" in recording.logs)
    if retraced and all(one.after_seq is not None for one in snapshots):
        snapshots = tuple(sorted(snapshots, key=lambda one: one.after_seq or 0))  # a clock may have stepped back
    rows, cells = [], []
    for earlier, later in itertools.pairwise(snapshots):
        run = (_retraced if retraced else _folded)(recording, twin.copy(), earlier, later)
        for check, found in against_snapshot(run, later):
            rows.append({"from": earlier.number, "to": later.number, **check})
            cells += found
        rows += [{"from": earlier.number, "to": later.number, **check} for check in against_ticks(run)]
    table = pd.DataFrame(rows, columns=["from", "to", *CHECKS]).astype({"first_step": "Int64"})
    status, sentence = summed_up(rows, (), twin.caveat)
    return Verification(
        table.drop(columns=["against"]),
        pd.DataFrame(cells, columns=CELLS).astype({"step": "Int64", "global_seq": "Int64"}),
        sentence,
        status == "verified",
    )


def _folded(recording: Recording, twin: Reconciler, earlier: RecordedSnapshot, later: RecordedSnapshot) -> Replay:
    window = Window(earlier.at, max(_after(recording, later), earlier.at + _INSTANT))
    plan = make_plan(recording, window, earlier, anywhere=True)
    return planned(recording, twin, plan, Schedule("none"), "collect", "keep")


def _retraced(recording: Recording, twin: Reconciler, earlier: RecordedSnapshot, later: RecordedSnapshot) -> Replay:
    window = Window(_before_ticks(recording, earlier), max(_behind_inputs(recording, later), earlier.at + _INSTANT))
    plan = make_plan(recording, window, earlier, anywhere=True)
    ticks = recorded_ticks(recording, plan) if log_of_ticks(recording) else ()
    schedule = Schedule("recorded", recorded=tuple(_between(ticks, earlier, later, window.bounds()[1])))
    return planned(recording, twin, plan, schedule, "recorded", "keep")


def _between(
    ticks: Sequence[RecordedTick], earlier: RecordedSnapshot, later: RecordedSnapshot, end: datetime
) -> Iterator[RecordedTick]:
    """Yield the ticks whose rules ran between two snapshots; a check behind the later one is left out."""
    first, last = earlier.after_seq, later.after_seq
    for one in ticks:
        if first is None or last is None or one.seq is None:
            yield one
        elif first <= one.seq < last:
            late = one.check_seq is not None and one.check_seq > last
            yield replace(one, checked_at=end) if late else one


def _before_ticks(recording: Recording, snapshot: RecordedSnapshot) -> datetime:
    """Return a snapshot's moment, or that of a tick behind it whose clock had stepped back."""
    if not {"ticks", "applications"} <= set(recording.logs) or "global_seq" not in recording.columns("ticks"):
        return snapshot.at
    found = recording._fetch("SELECT min(occurred_at) FROM ticks WHERE global_seq >= $seq", {"seq": snapshot.after_seq})
    return snapshot.at if found[0][0] is None else min(snapshot.at, found[0][0])


def _behind_inputs(recording: Recording, snapshot: RecordedSnapshot) -> datetime:
    """Return the first instant behind a snapshot's last recorded input."""
    logs = [name for name in ("applications", "actions", "writes") if name in recording.logs]
    if snapshot.after_seq is None or not logs:
        return _after(recording, snapshot)
    reads = " UNION ALL ".join(f"SELECT max(occurred_at) AS t FROM {log} WHERE global_seq <= $seq" for log in logs)
    found = recording._fetch(f"SELECT max(t) FROM ({reads})", {"seq": snapshot.after_seq})[0][0]
    return snapshot.at if found is None else max(snapshot.at, found + _INSTANT)


def _after(recording: Recording, snapshot: RecordedSnapshot) -> datetime:
    """Return the first instant behind a snapshot's last event."""
    found = recording._fetch(
        "SELECT max(occurred_at) FROM events WHERE position <= $position", {"position": snapshot.after_position}
    )[0][0]
    return snapshot.at if found is None else max(snapshot.at, found + _INSTANT)
