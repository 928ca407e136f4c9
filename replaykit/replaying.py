"""Replaying: one replay from its base to its result, inside the transaction that is rolled back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit import connection
from replaykit.audit import unguarded
from replaykit.collector import collector_resting
from replaykit.engine import Engine
from replaykit.errors import STOPPING, ReconcilerError
from replaykit.global_order import last_place
from replaykit.history import History
from replaykit.inputs import base_rows
from replaykit.interrupt import interruptible, told_apart
from replaykit.measured import with_measures
from replaykit.progress import Progress
from replaykit.projections import prepare_projections
from replaykit.recorded import recorded_inputs
from replaykit.results import (
    actions_frame,
    effects_frame,
    event_steps,
    metrics_frame,
    problems_frame,
    steps_table,
    violations_frame,
)
from replaykit.rollback import rolled_back
from replaykit.state import State
from replaykit.temporal import Failed, PutOff, fill
from replaykit.typed_tables import typed_tables
from replaykit.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replaykit.inputs import Plan
    from replaykit.reconciler import Reconciler
    from replaykit.recording import Recording
    from replaykit.replayed import Replay
    from replaykit.schedule import Schedule

__all__ = ["Replaying", "planned"]


@told_apart
def planned(
    recording: Recording, reconciler: Reconciler, plan: Plan, schedule: Schedule, actions: str, on_error: str
) -> Replay:
    """Run a copied reconciler over a plan; errors as `replaykit.replay`."""
    reconciler.tables = typed_tables(recording, reconciler.tables)
    reconciler.check()
    return Replaying(recording, reconciler, plan, schedule, actions, on_error).result()


@dataclass
class Replaying:
    """One replay: what it was asked for, and `result`, which runs it."""

    recording: Recording
    reconciler: Reconciler
    plan: Plan
    schedule: Schedule
    actions: str
    on_error: str

    def result(self) -> Replay:
        """Replay, once more if SQL that was put off can't be answered at once, or if something raised before it was."""
        failed: dict[int, str] = {}
        while True:
            self.put_off = PutOff.of(self, failed)
            try:
                return self._attempted()
            except Failed as exc:
                failed |= exc.reasons
            except Exception as exc:  # at which tick a rule would have raised before is not known yet
                if not self.put_off.numbers or isinstance(exc, STOPPING):
                    raise
                failed |= dict.fromkeys(self.put_off.numbers, "the replay raised")

    def _attempted(self) -> Replay:
        """Replay inside the transaction, and gather what is kept after it."""
        self.state = State(
            self.reconciler.tables, self.reconciler.params, projected={p.table for p in self.reconciler.projections}
        )
        self.history = History({n: (t.key, t.columns) for n, t in self.reconciler.tables.items()})
        self.progress = Progress(f"Replaying {self.reconciler.name}")
        # Where steps are consecutive positions nothing in the replay can change them, so they are laid down aside.
        with ThreadPoolExecutor(1, thread_name_prefix="replaykit-steps") as aside:
            with unguarded():  # a replay inside a handler starts threads of its own
                steps = None if self._numbered() else aside.submit(self._lay_steps)
            instance = connection.sealed(self.recording.path, threads=1)
            try:
                with rolled_back(instance):
                    engine = self._replayed(instance)
            finally:
                self.progress.close()
                instance.close()
            with collector_resting():
                if steps is None:
                    self.history.load_steps(steps_table(engine))
                else:
                    steps.result()
                return self._gathered(engine)

    def _lay_steps(self) -> None:
        self.history.load_steps(event_steps(self.recording, self.plan))

    def _replayed(self, instance: Any) -> Engine:
        taken = recorded_inputs(self.recording, self.plan) if self.actions == "recorded" else None
        numbered = self._numbered()
        workspace = Workspace(instance, self.state, self.plan, numbered=numbered)
        try:
            self.state._sql = workspace.sql
            self._load_base()
            projected = (
                prepare_projections(self.reconciler, workspace, self.state) if self.reconciler.projections else []
            )
            bulk = bool(projected) and self._set_based()
            engine = Engine(
                self.recording, self.reconciler, self.plan, self.schedule, self.state, workspace, self.history,
                self.actions == "apply", self.on_error, taken, [] if bulk else projected, self.progress,
            )  # fmt: skip
            engine.numbered = numbered
            engine.ticker.put_off(self.put_off.numbers)
            workspace.follow(engine.pairs)
            if projected and not bulk:
                engine.mark_projected(_taken_up(projected, instance, self.state.params))
            with self.reconciler.running(self.state, self.on_error) as problems:
                if bulk:
                    self._compute(engine, projected, instance)
                else:
                    engine.flush()
                    engine.run()
            for problem in problems:
                engine.problems.add(problem)
            with collector_resting():
                ticks, said = self.put_off.answers(engine, instance)
                if said:
                    fill(engine.ticker, said, ticks)
            return engine
        finally:
            workspace.close()

    def _numbered(self) -> bool:
        """Return whether steps have to be numbered while they are taken."""
        return self.actions != "collect" or self._gaps()

    def _gaps(self) -> bool:
        """Return whether the chosen events are not simply consecutive positions."""
        return self.plan.last - self.plan.first != self.plan.events

    def _set_based(self) -> bool:
        """Return whether no Python has to see the state on the way."""
        return (
            not self.reconciler.handlers
            and self.schedule.mode == "end"
            and self.actions == "collect"
            and not self._gaps()
        )

    def _load_base(self) -> None:
        for name, table in self.state.tables.items():
            table.load(base_rows(self.plan.base.tables, name, list(table.types)))
            self.state.changes += [(0, table, key, row, None, born) for key, row, born in table.numbered()]

    def _compute(self, engine: Engine, projected: list[Any], instance: Any) -> None:
        """Fill the history from projections alone, then tick once on what came out."""
        named = {one.name for one in projected}
        steps: list[Any] = []
        for one in projected:
            table = self.state[one.name]
            steps += one.compute(instance, self.state.params, table.find(), table._template, self.history)
        engine.mark_projected(self._kinds_of(steps, instance))
        rest = [change for change in self.state.changes if change[1].name not in named]
        self.history.append(rest)
        self.state.changes.clear()
        engine.skip_to_end()
        if self.reconciler.rules or self.reconciler.invariants:
            for one in projected:
                self.state.replace(one.name, self.history.latest_rows(one.name))
            engine.workspace.forget()
        engine.finish()

    def _kinds_of(self, steps: list[Any], instance: Any) -> frozenset[str]:
        """Return the kinds of the events at these steps."""
        import numpy as np
        import pyarrow as pa

        made = np.zeros(self.plan.events + 1, dtype=bool)
        for table in steps:
            numbers = table["step"].to_numpy()
            made[numbers[(numbers > 0) & (numbers <= self.plan.events)]] = True
        if made[1:].all():
            return frozenset(self.plan.kinds)
        instance.register("replaykit_rows", pa.table({"step": np.flatnonzero(made)}))
        found = instance.execute("SELECT DISTINCT kind FROM events SEMI JOIN replaykit_rows USING (step)").fetchall()
        instance.unregister("replaykit_rows")
        return frozenset(row[0] for row in found)

    def _gathered(self, engine: Engine) -> Replay:
        from replaykit.replayed import Replay

        self.history.close_log()
        ticker = engine.ticker
        run = Replay(
            recording=self.recording,
            reconciler=self.reconciler,
            digest=self.reconciler.digest(),
            window=self.plan.window,
            plan=self.plan,
            history=self.history,
            before_step=engine.before_step,
            after_step=self.state.step,
            actions=actions_frame(ticker.emissions),
            violations=violations_frame(ticker.episodes, ticker.records, self.schedule.interval, ticker.blind),
            problems=problems_frame(engine.problems.found.values()),
            metrics=metrics_frame(ticker.records),
            emitted=tuple((one.tick, one.action.kind, one.action.fields, one.rule.name) for one in ticker.emissions),
            effects=effects_frame(engine.effects),
            found=tuple(ticker.found or ()),
            checked=frozenset(ticker.checked),
            last_seq=last_place(self.plan, self.history) if self.actions == "recorded" else None,
            evaluation=self.put_off.frame(),
            settings={"ticks": self.schedule, "actions": self.actions, "on_error": self.on_error},
        )
        return replace(run, metrics=with_measures(run))


def _taken_up(projected: list[Any], instance: Any, params: Mapping[str, Any]) -> frozenset[str]:
    """Return the kinds of events from which some projection made a row."""
    kinds: set[str] = set()
    for one in projected:
        for projection, _ in one.parts:
            used = {name: params[name] for name in projection.statement.parameters}
            query = f"SELECT DISTINCT kind FROM events SEMI JOIN ({projection.statement.text}) AS made USING (step)"
            try:
                rows = interruptible(instance, partial(_fetched, instance, query, used))
            except duckdb.Error as exc:
                first = str(exc).splitlines()[0]
                raise ReconcilerError(f"A projection of {one.name!r} failed: {first}") from exc
            kinds |= {row[0] for row in rows}
    return frozenset(kinds)


def _fetched(instance: Any, query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = instance.execute(query, parameters).fetchall()
    return rows
