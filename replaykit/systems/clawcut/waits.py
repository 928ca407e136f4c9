"""Waits: for how many jobs the provider had ended and the app did not know, over time, for several replays at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from replaykit.display import count
from replaykit.errors import QueryError, show_time
from replaykit.picture import COLOURS, Picture, new_figure, plain, styled, time_axis
from replaykit.systems.clawcut.stranded import need_log

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from replaykit.replayed import Replay

__all__ = ["Waits", "waits"]

_LINES = ("-", "--", "-.", ":")
_STEPS = """
WITH waiting AS (
    SELECT p.finished_at, e.ended_at FROM provider_jobs AS p LEFT JOIN endings AS e ON e.job_id = p.job_id
    WHERE p.finished_at IS NOT NULL AND coalesce(e.ended_at, $end) - p.finished_at > $longer_than
),
steps AS (
    SELECT finished_at AS moment, 1 AS change FROM waiting
    UNION ALL SELECT ended_at, -1 FROM waiting WHERE ended_at IS NOT NULL
)
SELECT moment AS "at", CAST(sum(sum(change)) OVER (ORDER BY moment) AS BIGINT) AS jobs FROM steps
GROUP BY moment ORDER BY moment
"""
_USUAL = timedelta(minutes=1)
_RESTARTS = "SELECT restarted_at FROM restarts WHERE restarted_at BETWEEN $start AND $end ORDER BY restarted_at"


@dataclass(frozen=True, eq=False, repr=False)
class Waits(Picture):
    """Jobs that had ended without the app's knowing, as one line for each replay. Shown as SVG."""

    table: pd.DataFrame
    """One row for each change of a line: ``replay``, ``at``, ``jobs``."""
    summary: pd.DataFrame
    """One row for each replay: ``replay``, ``checks`` emitted, ``minutes`` those jobs waited, ``most`` at once and
    ``left`` at the end, ``violations``."""
    figure: Figure
    """The matplotlib figure, to be changed or saved; a change shows when it is displayed."""

    @property
    def sentence(self) -> str:
        """What the picture shows, for those who don't see it."""
        return " ".join(map(_told, self.summary.to_dict("records")))


def _told(row: Mapping[Any, Any]) -> str:
    return (
        f"{row['replay']}: {count(row['checks'], 'check')}, {row['minutes']:,.0f} minutes waited, at most "
        f"{row['most']:,} jobs at once, {row['left']:,} at the end."
    )


def waits(runs: Mapping[str, Replay], *, longer_than: timedelta = _USUAL) -> Waits:
    """Return how long jobs waited in several replays of one window: name to replay.

    Each replay is best a closed loop (``actions="apply"``) of a recording with the provider's log; without it nobody
    knows when a job had ended.

    Parameters
    ----------
    longer_than
        Only jobs that waited longer than this: until its next poll every job waits for some seconds.

    Raises
    ------
    QueryError
        There is no replay, not one of clawcut's reconciler, or one without the provider's log.
    """
    import pandas as pd

    if not runs or any("provider_jobs" not in run.history.keys for run in runs.values()):
        raise QueryError("waits() needs replays of clawcut's reconciler by name, such as {'as it was': run}.")
    for run in runs.values():
        need_log(run)
    lines = {name: _line(run, longer_than) for name, run in runs.items()}
    table = pd.concat([line.assign(replay=name)[["replay", "at", "jobs"]] for name, line in lines.items()])
    summary = pd.DataFrame([_row(name, run, lines[name]) for name, run in runs.items()])
    with styled():
        figure = _figure(lines, next(iter(runs.values())))
    return Waits(table.reset_index(drop=True), summary, figure)


def _line(run: Replay, longer_than: timedelta) -> pd.DataFrame:
    """Return the number of jobs that waited, as it changed, from the window's start to its end."""
    import pandas as pd

    start, end = run.window.bounds()
    steps = run.after.sql(_STEPS, end=end, longer_than=longer_than)
    before = steps.loc[steps["at"] <= start, "jobs"]
    first = int(before.iloc[-1]) if len(before) else 0
    inside = steps[(steps["at"] > start) & (steps["at"] <= end)]
    last = int(inside["jobs"].iloc[-1]) if len(inside) else first
    ends = pd.DataFrame({"at": [start, end], "jobs": [first, last]}).astype({"at": "datetime64[us]"})
    return pd.concat([ends.iloc[:1], inside, ends.iloc[1:]], ignore_index=True)


def _row(name: str, run: Replay, line: pd.DataFrame) -> dict[str, Any]:
    seconds = line["at"].diff().shift(-1).dt.total_seconds().fillna(0.0)
    return {
        "replay": name,
        "checks": len(run.actions),
        "minutes": float((line["jobs"] * seconds).sum() / 60),
        "most": int(line["jobs"].max()),
        "left": int(line["jobs"].iloc[-1]),
        "violations": len(run.violations),
    }


def _figure(lines: Mapping[str, pd.DataFrame], run: Replay) -> Figure:
    start, end = run.window.bounds()
    figure = new_figure(9.0, 3.2)
    axes: Any = figure.subplots()
    for number, (name, line) in enumerate(lines.items()):
        axes.step(
            line["at"], line["jobs"], where="post", label=name, color=COLOURS[number % 6], linestyle=_LINES[number % 4]
        )
    for moment in _restarts(run):
        axes.axvline(moment, color="black", linewidth=0.8, linestyle=(0, (1, 2)))
        axes.text(moment, 1.0, " restart", transform=axes.get_xaxis_transform(), va="top", fontsize=8)
    plain(axes, f"Ended at the provider, not in the app, {show_time(start)} to {show_time(end)}", "jobs")
    axes.set_xlim(start, end)
    axes.set_ylim(bottom=0)
    time_axis(axes)
    figure.legend(loc="outside lower center", ncols=len(lines), frameon=False, fontsize=8)
    return figure


def _restarts(run: Replay) -> Iterator[Any]:
    start, end = run.window.bounds()
    yield from run.after.sql(_RESTARTS, start=start, end=end)["restarted_at"]
