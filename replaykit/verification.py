"""verify(): fold events from each snapshot to the next, and name every cell that comes out differently."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Any

from replaykit.agreement import CELLS, CHECKS, against_snapshot
from replaykit.errors import QueryError, VerdictError
from replaykit.inputs import make_plan
from replaykit.replaying import planned
from replaykit.schedule import Schedule
from replaykit.verdict import summed_up
from replaykit.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from replaykit.reconciler import Reconciler
    from replaykit.recording import Recording
    from replaykit.snapshot import RecordedSnapshot

__all__ = ["Verification", "verify"]

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, repr=False, eq=False)
class Verification:
    """Every snapshot folded to the next one, and compared with it."""

    table: pd.DataFrame
    """One row per pair of snapshots and table: rows, differing rows and cells, first step where one went wrong."""
    cells: pd.DataFrame
    """Differing cells, at most 200 per pair."""
    sentence: str
    """The result in one sentence."""
    ok: bool
    """Whether every comparison agreed, and there was at least one."""

    def __repr__(self) -> str:
        return f"Verification({self.sentence})"

    def _repr_html_(self) -> str:
        from replaykit.display import table_html

        tables = [("comparisons", self.table), ("differing cells", self.cells)]
        return f"<p>{escape(self.sentence)}</p>" + "".join(
            table_html(frame, caption=name, limit=50) for name, frame in tables if len(frame)
        )

    def raise_for_verdict(self) -> Verification:
        """Return this if every comparison agreed; otherwise raise a VerdictError."""
        if not self.ok:
            raise VerdictError(self.sentence)
        return self


def verify(recording: Recording, reconciler: Reconciler, *, params: Mapping[str, Any] | None = None) -> Verification:
    """Fold events from each snapshot to the next, and name every cell that comes out differently.

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
    twin = reconciler.with_params(**(params or {}))
    rows, cells = [], []
    for earlier, later in itertools.pairwise(snapshots):
        start = earlier.at
        window = Window(start, max(_after(recording, later), start + _INSTANT))
        plan = make_plan(recording, window, earlier, anywhere=True)
        run = planned(recording, twin.copy(), plan, Schedule("none"), "collect", "keep")
        for check, found in against_snapshot(run, later):
            rows.append({"from": earlier.number, "to": later.number, **check})
            cells += found
    table = pd.DataFrame(rows, columns=["from", "to", *CHECKS]).drop(columns=["against"])
    status, sentence = summed_up(rows, ())
    return Verification(
        table, pd.DataFrame(cells, columns=CELLS).astype({"step": "Int64"}), sentence, status == "verified"
    )


def _after(recording: Recording, snapshot: RecordedSnapshot) -> datetime:
    """Return the first instant behind a snapshot's last event."""
    found = recording._fetch(
        "SELECT max(occurred_at) FROM events WHERE position <= $position", {"position": snapshot.after_position}
    )[0][0]
    return snapshot.at if found is None else max(snapshot.at, found + _INSTANT)
