"""replay(): run a reconciler over a window inside a transaction that always rolls back; Replay: what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from replaykit import connection
from replaykit.engine import Engine, Schedule, base_rows
from replaykit.errors import QueryError, ReconcilerError, VerdictError, excerpt, show_time
from replaykit.history import History, Moment
from replaykit.inputs import Plan, make_plan
from replaykit.progress import Progress
from replaykit.projections import prepare_projections
from replaykit.reconciler import Reconciler, Table, as_interval
from replaykit.recorded import recorded_inputs, recorded_instants
from replaykit.results import actions_frame, metrics_frame, problems_frame, steps_table, violations_frame
from replaykit.rollback import rolled_back
from replaykit.state import State
from replaykit.window import Window, parse_time
from replaykit.workspace import RESERVED, Workspace

if TYPE_CHECKING:
    import pandas as pd

    from replaykit.recording import Recording
    from replaykit.verdict import Verdict

__all__ = ["Replay", "replay"]


def replay(
    recording: Recording,
    reconciler: Reconciler,
    window: Window | None = None,
    *,
    ticks: Any = "end",
    actions: Literal["collect", "apply", "recorded"] = "collect",
    base: Any = "nearest",
    params: Mapping[str, Any] | None = None,
    on_error: Literal["raise", "undo", "keep"] = "raise",
) -> Replay:
    """Run a reconciler over one window, then undo everything it wrote.

    Inputs are applied in the recording's declared order, one step each, on a state that starts from `base`; events
    between the base and the window's start are applied first, without ticks. All writes share one transaction, which
    never commits.

    Parameters
    ----------
    window
        Half-open ``[start, end)``, UTC, microseconds. None is the whole recording. May hold no event.
    ticks
        When rules and invariants are evaluated: ``"end"`` (once, at the window's end), ``"event"`` (after each event),
        a timedelta or text such as ``"5s"`` (multiples since the window's start; events at a tick's instant come
        first), ``"recorded"``. Stretches in which nothing can change are answered without being walked.
    actions
        ``"collect"`` only; ``"apply"`` through ``act`` handlers before the next tick; ``"recorded"``: the recorded
        actions and writes are applied at their recorded place.
    base
        ``"nearest"`` snapshot at or before the window's start, ``"empty"``, or a snapshot. One later than the start is
        allowed, and makes the verdict ``approximate``.
    params
        Parameters that differ from the reconciler's.
    on_error
        ``"raise"`` at the first handler that raises; ``"undo"`` or ``"keep"`` what that event wrote, list it in
        ``problems`` and go on.

    Returns
    -------
    Replay
        Rows are held in memory.

    Raises
    ------
    WindowError
        A bound is missing, unreadable, reversed or outside the recording.
    ReconcilerError
        The reconciler raised: ``__cause__`` is its error, ``.event`` and ``.step`` say where.
    IsolationError
        Replayed code tried to leave the transaction.

    Notes
    -----
    Source of the rollback rules: https://duckdb.org/docs/stable/sql/statements/transactions
    """
    twin = (reconciler.with_params(**params) if params else reconciler.copy()) if _is(reconciler) else reconciler
    _check_choices(actions=(actions, "collect apply recorded"), on_error=(on_error, "raise undo keep"))
    plan = make_plan(recording, window, base)
    schedule = _schedule(ticks, recording, plan)
    twin.tables = {name: _typed(recording, name, table) for name, table in twin.tables.items()}
    twin.check()
    return _Run(recording, twin, plan, schedule, actions, on_error).result()


def _is(reconciler: Any) -> bool:
    if not isinstance(reconciler, Reconciler):
        raise ReconcilerError(f"reconciler is {excerpt(reconciler)}; expected an rk.Reconciler.")
    return True


def _check_choices(**given: tuple[str, str]) -> None:
    for name, (value, choices) in given.items():
        if value not in choices.split():
            raise ReconcilerError(f"{name}={excerpt(value)}: expected one of {choices.split()}.")


def _schedule(ticks: Any, recording: Recording, plan: Plan) -> Schedule:
    if ticks in ("end", "event"):
        return Schedule(ticks)
    if ticks == "recorded":
        return Schedule("recorded", instants=recorded_instants(recording, plan))
    interval = as_interval(ticks)
    if interval is None or interval.total_seconds() <= 0:
        raise ReconcilerError(
            f"ticks={excerpt(ticks)}: expected 'end', 'event', 'recorded', or a positive timedelta or text such as '5s'."
        )
    return Schedule("interval", interval)


def _typed(recording: Recording, name: str, table: Table) -> Table:
    """Return the table with its columns, taken from the recording's snapshot if it declares none."""
    if name in RESERVED:
        raise ReconcilerError(f"A state table can't be named {name!r}; that is a table of the replay itself.")
    if table.columns:
        return table
    if name not in recording.state_tables:
        raise ReconcilerError(
            f"Table {name!r} declares no columns, and no snapshot of the recording holds it (they hold "
            f"{list(recording.state_tables)}). Declare them: rk.Table(key=..., column='TYPE')."
        )
    columns = {c: _row_type(t) for c, t in recording.columns(name).items() if c not in ("snapshot", "row_no")}
    return Table(table.key, columns, defaults=table.defaults)


def _row_type(sql: str) -> str:
    nested = sql.endswith("]") or sql.startswith(("STRUCT", "MAP", "UNION"))
    return "JSON" if nested else "TIMESTAMP" if sql.startswith("TIMESTAMP") else sql


@dataclass
class _Run:
    recording: Recording
    reconciler: Reconciler
    plan: Plan
    schedule: Schedule
    actions: str
    on_error: str

    def result(self) -> Replay:
        """Replay inside the transaction, and gather what is kept after it."""
        self.state = State(
            self.reconciler.tables, self.reconciler.params, projected={p.table for p in self.reconciler.projections}
        )
        self.history = History({n: (t.key, t.columns) for n, t in self.reconciler.tables.items()})
        self.progress = Progress(f"Replaying {self.reconciler.name}")
        instance = connection.sealed(self.recording.path, threads=1)
        try:
            with rolled_back(instance):
                engine = self._replayed(instance)
        finally:
            self.progress.close()
            instance.close()
        return self._gathered(engine)

    def _replayed(self, instance: Any) -> Engine:
        taken = recorded_inputs(self.recording, self.plan) if self.actions == "recorded" else []
        numbered = self.actions != "collect" or self._gaps()
        workspace = Workspace(instance, self.state, self.plan, numbered=numbered)
        try:
            self.state._sql = workspace.sql
            self._load_base()
            projected = prepare_projections(self.reconciler, workspace, self.state) if self.reconciler.projections else []
            bulk = bool(projected) and self._set_based()
            engine = Engine(
                self.recording, self.reconciler, self.plan, self.schedule, self.state, workspace, self.history,
                self.actions == "apply", self.on_error, taken, [] if bulk else projected, self.progress,
            )  # fmt: skip
            engine.numbered = numbered
            workspace.follow(engine.pairs)
            if projected:
                engine.mark_projected(_taken_up(projected, instance, self.state.params))
            if bulk:
                self._compute(engine, projected, instance)
            else:
                engine.flush()
                engine.run()
            return engine
        finally:
            workspace.close()

    def _gaps(self) -> bool:
        """Return whether the chosen events are not simply consecutive positions."""
        return self.plan.last - self.plan.first != self.plan.events

    def _set_based(self) -> bool:
        """Return whether no Python has to see the state on the way."""
        return not self.reconciler.handlers and self.schedule.mode == "end" and self.actions == "collect" and not self._gaps()

    def _load_base(self) -> None:
        for name, table in self.state.tables.items():
            table.load(base_rows(self.plan.base.tables, name))
            self.state.changes += [(0, table, key, row, None, born) for key, row, born in table.numbered()]

    def _compute(self, engine: Engine, projected: list[Any], instance: Any) -> None:
        """Fill the history from projections alone, then tick once on what came out."""
        named = {one.name for one in projected}
        for one in projected:
            one.compute(instance, self.state.params, self.state[one.name].find(), self.history)
        rest = [change for change in self.state.changes if change[1].name not in named]
        self.history.append(rest)
        self.state.changes.clear()
        engine.skip_to_end()
        if self.reconciler.rules or self.reconciler.invariants:
            for one in projected:
                self.state[one.name].replace(self.history.latest_rows(one.name))
            engine.workspace.forget()
        engine.finish()

    def _gathered(self, engine: Engine) -> Replay:
        self.history.close_log(steps_table(engine))
        ticker = engine.ticker
        return Replay(
            recording=self.recording,
            reconciler=self.reconciler,
            digest=self.reconciler.digest(),
            window=self.plan.window,
            plan=self.plan,
            history=self.history,
            before_step=engine.before_step,
            after_step=self.state.step,
            actions=actions_frame(ticker.emissions),
            violations=violations_frame(ticker.episodes),
            problems=problems_frame(engine.problems.values()),
            metrics=metrics_frame(ticker.records),
            settings={"ticks": self.schedule, "actions": self.actions, "on_error": self.on_error},
        )


def _taken_up(projected: list[Any], instance: Any, params: Mapping[str, Any]) -> frozenset[str]:
    """Return the kinds of events from which some projection made a row."""
    kinds: set[str] = set()
    for one in projected:
        for projection, _ in one.parts:
            used = {name: params[name] for name in projection.statement.parameters}
            query = f"SELECT DISTINCT kind FROM events SEMI JOIN ({projection.statement.text}) AS made USING (step)"
            kinds |= {row[0] for row in instance.execute(query, used).fetchall()}
    return frozenset(kinds)


@dataclass(frozen=True, repr=False, eq=False)
class Replay:
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
    violations: pd.DataFrame
    """One row per episode: a breach from the tick that first saw it to the one that no longer did (NaT: still open)."""
    problems: pd.DataFrame
    """What was not as the reconciler's author meant: handlers that raised, kinds nobody handles, with counts."""
    metrics: pd.DataFrame
    """One row per evaluated tick."""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        from replaykit.display import count

        parts = [count(self.plan.events, "event"), count(len(self.actions), "action")]
        return f"Replay({', '.join([*parts, count(len(self.violations), 'violation'), self.verdict.status])})"

    def _repr_html_(self) -> str:
        from replaykit.results import replay_html

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
    def events(self) -> pd.DataFrame:
        """The window's events with their ``step`` and ``applied_at``, in order of steps."""
        start, end = self.window.bounds()
        steps = self.history.frame("SELECT step, position, applied_at FROM steps WHERE input = 'event' ORDER BY step")
        rows = self.recording._arrow(
            "SELECT * FROM events WHERE occurred_at >= $start AND occurred_at < $end ORDER BY position",
            {"start": start, "end": end},
        ).to_pandas()
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
            The state after all steps with ``applied_at <= time``.
        step
            The state after this step; 0 is the base.
        event
            The state after this event's last application.

        Raises
        ------
        QueryError
            None or several were given, or this replay has no such step or event.
        """
        if [time, step, event].count(None) != 2:
            raise QueryError("at() takes exactly one of a time, step= and event=.")
        if time is not None:
            step = self._step_at(parse_time(time, what="at", span=self.recording.span))
        elif event is not None:
            step = self._step_of(event)
        if not 0 <= int(step or 0) <= self.after_step:
            raise QueryError(f"There is no step {step}; this replay has steps 0 (the base) to {self.after_step}.")
        clock = self.history.frame(f"SELECT applied_at FROM steps WHERE step = {int(step or 0)}")
        at = clock.iloc[0, 0].to_pydatetime() if len(clock) else self.plan.base.at
        return Moment(self.history, int(step or 0), at)

    def _step_at(self, moment: datetime) -> int:
        found = self.history.frame("SELECT coalesce(max(step), 0) FROM steps WHERE applied_at <= $at", {"at": moment})
        return int(found.iloc[0, 0])

    def _step_of(self, event: str) -> int:
        found = self.history.frame("SELECT max(step) FROM steps WHERE event_id = $id", {"id": str(event)})
        if found.isna().iloc[0, 0]:
            raise QueryError(f"This replay applied no event {excerpt(event)}; see run.steps for those it did.")
        return int(found.iloc[0, 0])

    def sql(self, query: str, /, **params: Any) -> pd.DataFrame:
        """Run one SELECT on the state after the last step; ``history.<table>`` and ``steps`` are there too."""
        return self.after.sql(query, **params)

    def again(self) -> Replay:
        """Return the same replay, run once more."""
        return _Run(
            self.recording, self.reconciler.copy(), self.plan, self.settings["ticks"], self.settings["actions"],
            self.settings["on_error"],
        ).result()  # fmt: skip

    def check_determinism(self) -> Any:
        """Look for clocks, randomness and unordered sets in the reconciler's Python code; see `replaykit.determinism`."""
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


