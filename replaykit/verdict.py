"""Verdict: can this replay be trusted? What it was compared with, what differed, and from which step on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.agreement import CELLS, CHECKS, against_snapshot, against_ticks
from replaykit.display import brief, note_html, table_html
from replaykit.errors import show_time
from replaykit.global_order import INPUTS, next_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from replaykit.inputs import Base
    from replaykit.replayed import Replay
    from replaykit.snapshot import RecordedSnapshot

__all__ = ["NOT_ISOLATED", "Verdict", "judge", "summed_up"]

NOT_ISOLATED = "Isolation is not guaranteed"
"""How the caveat of a replay begins whose rules ran in a process of their own."""


@dataclass(frozen=True, repr=False, eq=False)
class Verdict:
    """How far a replay can be trusted."""

    status: str
    """``verified``, ``contradicted``, ``unverified`` or ``approximate``."""
    sentence: str
    """What it was compared with and what came of it."""
    checks: pd.DataFrame
    """One row per comparison: against what, which table, how many rows, how many differ, first step."""
    cells: pd.DataFrame
    """Differing cells: recorded and replayed value, and the step that last set the replayed one (at most 200)."""
    reasons: tuple[str, ...] = ()
    """Why the replay is only approximate."""

    @property
    def isolated(self) -> bool:
        """Whether all replayed code ran in this process, under the guard; an external program did not."""
        return NOT_ISOLATED not in self.sentence

    def __repr__(self) -> str:
        return brief("Verdict", str(self))

    def __str__(self) -> str:
        return f"{self.status}: {self.sentence}"

    def _repr_html_(self) -> str:
        tables = [("Compared with", self.checks, ".checks"), ("Differing cells", self.cells, ".cells")]
        shown = [table_html(frame, caption=name, limit=20, more=more) for name, frame, more in tables if len(frame)]
        return "\n".join([note_html(f"Verdict: {self.status}. {self.sentence}", 2_000), *shown])


def judge(run: Replay) -> Verdict:
    """Compare a replay with every later snapshot in reach and, tick by tick, with recorded actions."""
    import pandas as pd

    checks: list[dict[str, Any]] = []
    cells: list[dict[str, Any]] = []
    for snapshot in _in_reach(run):
        for check, found in against_snapshot(run, snapshot):
            checks.append(check)
            cells += found
    checks += [] if run.plan.altered else against_ticks(run)
    if all(check["against"].startswith(f"snapshot {run.plan.base.number} ") for check in checks):
        checks = []  # that the base is what it is says nothing of what was replayed
    reasons = tuple(_reasons(run))
    status, sentence = summed_up(checks, reasons, run.reconciler.caveat)
    differing = pd.DataFrame(cells, columns=CELLS).astype({"step": "Int64", "global_seq": "Int64"})
    table = pd.DataFrame(checks, columns=CHECKS).astype({"first_step": "Int64"})
    return Verdict(status, sentence, table, differing, reasons)


def _in_reach(run: Replay) -> Iterator[RecordedSnapshot]:
    """Yield the snapshots taken after the base and no later than what was replayed.

    Where inputs have a global order and production is retraced, the base is among them: it was loaded, too.
    """
    if _late(run) or run.plan.altered:
        return
    following = None if run.last_seq is None else next_input(run.recording, run.last_seq)
    for snapshot in run.recording.snapshots:
        if run.last_seq is not None and snapshot.after_seq is not None:
            if _behind(snapshot, run.plan.base) and (following is None or snapshot.after_seq < following):
                yield snapshot
        elif snapshot.number != run.plan.base.number and _reached(run, snapshot):
            yield snapshot


def _behind(snapshot: RecordedSnapshot, base: Base) -> bool:
    """Return whether a snapshot that has a place in the global order was taken at the base or behind it."""
    if base.seq is not None and snapshot.after_seq is not None:
        return snapshot.after_seq >= base.seq
    return base.at is None or snapshot.at > base.at


def _reached(run: Replay, snapshot: RecordedSnapshot) -> bool:
    """Return whether a snapshot was taken behind the base and before anything that was not applied."""
    plan, base = run.plan, run.plan.base
    later = base.at is None or snapshot.at > base.at
    if run.settings["actions"] != "recorded" or "applications" not in run.recording.logs:
        later = later or snapshot.after_position > base.position
        if not later or snapshot.after_position > plan.last:
            return False
    # Where only events change state, a snapshot is in reach once its last event was applied, however late it was taken.
    only_events = run.settings["actions"] == "collect"
    return later and (only_events or snapshot.at <= run.window.bounds()[1]) and not _skipped(run, snapshot)


def _skipped(run: Replay, snapshot: RecordedSnapshot) -> bool:
    """Return whether production logged an input at the window's very end, which a snapshot of that instant may hold."""
    end = run.window.bounds()[1]
    if run.settings["actions"] != "recorded" or snapshot.at < end:
        return False
    logs = [name for name in INPUTS if name in run.recording.logs]
    return any(
        run.recording._fetch(f"SELECT 1 FROM {log} WHERE occurred_at = $end LIMIT 1", {"end": end}) for log in logs
    )


def _late(run: Replay) -> bool:
    """Return whether the base holds some of what happened inside the window."""
    base = run.plan.base
    retraced = run.settings["actions"] == "recorded" and base.at is not None and base.at > run.window.bounds()[0]
    return run.plan.late or retraced


def _reasons(run: Replay) -> Iterator[str]:
    from replaykit.display import count

    if run.plan.altered:
        yield f"inputs that are not those recorded: {run.plan.altered}"
    if _late(run):
        yield f"the base, {run.plan.base.name}, is later than the window's start {show_time(run.window.bounds()[0])}"
    problems = run.problems
    unhandled = problems[problems["problem"] == "unhandled kind"]
    if len(unhandled):
        kinds = ", ".join(unhandled["kind"].head(5))
        yield f"{count(int(unhandled['count'].sum()), 'event')} of kinds nobody handles ({kinds})"
    skipped = problems[problems["problem"] != "unhandled kind"]
    if len(skipped):
        what = ", ".join(sorted(set(skipped["problem"])))
        yield f"{count(int(skipped['count'].sum()), 'error')} passed over ({what})"
    rejects = run.recording._fetch("SELECT count(*) FROM rejects")[0][0]
    if rejects:
        yield f"{count(rejects, 'source row')} rejected when the recording was loaded"


def summed_up(checks: list[dict[str, Any]], reasons: tuple[str, ...], caveat: str = "") -> tuple[str, str]:
    """Return status and sentence of a verdict from its comparisons, the reasons to doubt it, and a caveat."""
    status, sentence = _summed_up(checks, reasons)
    return status, f"{sentence} {caveat}".rstrip()


def _summed_up(checks: list[dict[str, Any]], reasons: tuple[str, ...]) -> tuple[str, str]:
    from replaykit.display import count

    wrong = [check for check in checks if not check["agrees"]]
    compared = _compared(checks)
    because = f" Approximate because of {'; '.join(reasons)}." if reasons else ""
    if wrong:
        first = wrong[0]
        cells = sum(check["differing_cells"] for check in wrong)
        since = f", first set at step {first['first_step']}" if first["first_step"] is not None else ""
        which = f"{first['table']} against {first['against']}, {first['differing_rows']} of {first['rows']} rows"
        return "contradicted", (
            f"{len(wrong)} of {len(checks)} comparisons differ in {count(cells, 'cell')}; the first is "
            f"{which}{since}.{because}"
        )
    if reasons:
        agree = f"What could be compared agrees: {compared}." if checks else "Nothing to compare with."
        return "approximate", agree + because
    if not checks:
        return "unverified", "There was nothing to compare with: no later snapshot and no recorded action is in reach."
    return "verified", f"It agrees with {compared}."


def _compared(checks: list[dict[str, Any]]) -> str:
    from replaykit.display import count

    states = [check for check in checks if check["against"].startswith("snapshot")]
    parts = []
    if states:
        snapshots = len({check["against"] for check in states})
        rows = sum(check["rows"] for check in states)
        parts.append(f"{count(snapshots, 'snapshot')} ({count(len(states), 'table')} compared, {count(rows, 'row')})")
    ticked: dict[str, list[dict[str, Any]]] = {}
    for check in checks:
        if not check["against"].startswith("snapshot"):
            ticked.setdefault(check["table"], []).append(check)
    for table, same in ticked.items():
        what = str(same[0]["against"]).partition(" at ")[0]
        ticks, rows = sum(check["ticks"] for check in same), sum(check["rows"] for check in same)
        parts.append(f"{what} at {count(ticks, 'tick')} ({count(rows, table.removesuffix('s'))})")
    return ", ".join(parts[:-1]) + " and " * (len(parts) > 1) + "".join(parts[-1:])
