"""Replay: what one replay found, as a value that answers questions."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from replaykit.errors import VerdictError, show_time
from replaykit.moment import Moment, moment_at
from replaykit.questions import Questions
from replaykit.replaying import planned

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from replaykit.determinism import Determinism
    from replaykit.divergence import Divergence
    from replaykit.history import History
    from replaykit.inputs import Plan
    from replaykit.overview import Overview
    from replaykit.reconciler import Reconciler
    from replaykit.recording import Recording
    from replaykit.swimlanes import Swimlanes
    from replaykit.verdict import Verdict
    from replaykit.violations import Violations
    from replaykit.window import Window

__all__ = ["Replay"]


def _no_frame() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame()


@dataclass(frozen=True, repr=False, eq=False)
class Replay(Questions):
    """What one replay found. A value: nothing in it runs the replay again."""

    recording: Recording
    reconciler: Reconciler
    """The rules that ran: a copy."""
    digest: str
    """16 hex digits over the rules' declarations and sources."""
    window: Window
    plan: Plan
    """Base, warm-up and which events were applied."""
    history: History
    """Every version of every row; ``run.history("jobs", "j1")`` is one row's."""
    before_step: int
    """The last step before the window; 0 is the base."""
    after_step: int
    """The last step of all. The window's end is excluded, so this may differ from ``at(end)``."""
    actions: pd.DataFrame
    """One row per emitted action in emission order; ``repeats`` more ticks emitted the same while nothing changed."""
    violations: Violations
    """One row per episode: a breach from the tick that first saw it to the one that no longer did (NaT: still open).

    A DataFrame with ``changes()``, the messages one would send, and ``mute()``."""
    problems: pd.DataFrame
    """What was not as the reconciler's author meant: handlers that raised, kinds nobody handles, with counts."""
    metrics: pd.DataFrame
    """One row per evaluated tick; the reconciler's own measures and recorded ones (``recorded_<name>``) beside it."""
    emitted: tuple[tuple[int, str, Mapping[str, Any], str], ...] = ()
    """Tick, kind, fields and rule of each emitted action, as the rule gave them."""
    effects: pd.DataFrame = field(default_factory=_no_frame)
    """One row per effect an applied action would have had outside the state, in order; nothing of it was done."""
    found: tuple[tuple[int, str, Mapping[str, Any]], ...] = ()
    """Tick, invariant and row of each breach at each check, where recorded checks are there to compare with."""
    checked: frozenset[int] = frozenset()
    """Recorded ticks whose check was evaluated inside the window."""
    last_seq: int | None = None
    """Place in the global order of the last recorded input applied."""
    evaluation: pd.DataFrame = field(default_factory=_no_frame)
    """One row per rule and invariant: in which way it was answered, and why not in a quicker one."""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        from replaykit.display import count

        parts = [count(self.plan.events - self.plan.warmup, "event"), count(len(self.actions), "action")]
        parts += [count(len(self.violations), "violation"), self.verdict.status]
        return f"Replay({', '.join([*parts, *([] if self.verdict.isolated else ['isolation not guaranteed'])])})"

    def _repr_html_(self) -> str:
        from replaykit.replay_html import replay_html

        return replay_html(self)

    @cached_property
    def verdict(self) -> Verdict:
        """Whether this replay can be trusted, and what it was compared with."""
        from replaykit.verdict import judge

        return judge(self)

    @property
    def before(self) -> Moment:
        """The state at the window's start."""
        return self.at(step=self.before_step)

    @property
    def after(self) -> Moment:
        """The state after the last step."""
        return self.at(step=self.after_step)

    @cached_property
    def diff(self) -> Any:
        """What the window changed: `replaykit.diff` of ``before`` and ``after``."""
        from replaykit.diff import diff

        return diff(self.before, self.after)

    @cached_property
    def divergence(self) -> Divergence:
        """What the rules emitted beside what production's did, tick by tick; needs ``ticks="recorded"``."""
        from replaykit.divergence import divergence_of

        return divergence_of(self)

    @cached_property
    def events(self) -> pd.DataFrame:
        """The window's events with their ``step`` and ``applied_at``, in order of steps.

        Where a log says when events were applied, those applied in the window, as often as they were.
        Held from the start up to 100,000 events; beyond, read from the recording when first asked for.
        """
        applied = self.settings["actions"] == "recorded" and "applications" in self.recording.logs
        steps = self.history.frame(
            "SELECT step, position, applied_at FROM steps WHERE input = 'event' AND step > $first ORDER BY step",
            {"first": self.before_step if applied else 0},
        )
        start, end = self.window.bounds()
        inside = (
            "position IN (SELECT unnest($positions))" if applied else "occurred_at >= $start AND occurred_at < $end"
        )
        limits = {"positions": steps["position"].unique().tolist()} if applied else {"start": start, "end": end}
        rows = self.recording._arrow(f"SELECT * FROM events WHERE {inside} ORDER BY position", limits).to_pandas()
        return steps.merge(rows, on="position").reset_index(drop=True)

    @property
    def steps(self) -> pd.DataFrame:
        """Every step: what was applied, from where, when it happened and when it was applied."""
        return self.history.frame("SELECT * FROM steps ORDER BY step")

    def at(self, time: Any = None, *, step: int | None = None, event: str | None = None) -> Moment:
        """Return the state at a moment, without replaying.

        Parameters
        ----------
        time
            The state after all steps with ``applied_at <= time``: from the base, the first step or the window's start
            to the window's end or the last step.
        step
            The state after this step; 0 is the base.
        event
            The state after this event's last application.

        Raises
        ------
        QueryError
            None or several were given, this replay has no such step or event, or does not reach that time.
        """
        return moment_at(self, time, step=step, event=event)

    def plot(self, *, bins: int = 60) -> Overview:
        """Return a picture of events, ticks, actions and violations over time, with a table that says the same.

        Its ``.table`` has one row for each of at most `bins` spans of time, cut at round times.
        """
        from replaykit.overview import overview

        return overview(self, bins=bins)

    def swimlanes(self, table: str, column: str = "status", window: Window | None = None) -> Swimlanes:
        """Return a picture of what a column of a state table was over time; see `replaykit.plots.swimlanes`."""
        from replaykit.plots import swimlanes

        return swimlanes(self, table, column, window)

    def sql(self, query: str, params: Mapping[str, Any] | None = None, /, **named: Any) -> pd.DataFrame:
        """Run one SELECT on the state after the last step; ``history.<table>`` and ``steps`` are there too."""
        return self.after.sql(query, params, **named)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write this replay into one file, which `replaykit.open_run` opens, also years later; return where it is.

        It holds the history, steps, all frames, the events of the window, the verdict as judged now, the digests of
        recording and rules, the texts of these and the versions. The file appears at once and whole; a saved run of
        that name is replaced, anything else is not.

        Raises
        ------
        LoadError
            There is no such folder, something else has that name, or a measured column is of a type no file keeps.
        QueryError
            The recording is closed: its digest is part of the file.
        """
        from replaykit.saving import save_run

        return save_run(self, path)

    def again(self) -> Replay:
        """Return the same replay, run once more."""
        return self._once_more()

    def _once_more(
        self, plan: Plan | None = None, *, recording: Recording | None = None, reconciler: Reconciler | None = None
    ) -> Replay:
        """Return the same replay, with another plan, recording or rules where they are given."""
        return planned(
            recording or self.recording, (reconciler or self.reconciler).copy(), plan or self.plan,
            self.settings["ticks"], self.settings["actions"], self.settings["on_error"],
        )  # fmt: skip

    def check_determinism(self) -> Determinism:
        """Look for clocks, randomness and unordered sets in the reconciler's code; see `replaykit.determinism`."""
        from replaykit.determinism import check_determinism

        return check_determinism(self)

    def raise_for_verdict(self) -> Replay:
        """Return this replay if it is verified; otherwise raise a VerdictError that says why not."""
        if self.verdict.status != "verified":
            raise VerdictError(f"{self.verdict.status}: {self.verdict.sentence}")
        return self

    def raise_for_violations(self) -> Replay:
        """Return this replay if no invariant was broken; otherwise raise a VerdictError that names the first."""
        if len(self.violations):
            first = self.violations.iloc[0]
            raise VerdictError(
                f"{len(self.violations)} violations; the first: {first['invariant']} for {first['entity']}, opened "
                f"{show_time(first['opened_at'])}. See run.violations."
            )
        return self
