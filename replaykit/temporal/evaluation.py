"""Evaluation: rules and invariants in SQL, put off while a replay runs and then answered for all its ticks at once.

What a replay that only collects actions does next does not depend on what its rules say, so SQL can wait until every
version of every row is known. Three ways are tried, the first that can is taken: over intervals (`rewriting`), by one
LATERAL query (`lateral`), tick by tick, as rules are asked where their actions are applied.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.interrupt import interruptible
from replaykit.rows import Row
from replaykit.temporal.intervals import Dial
from replaykit.temporal.lateral import by_lateral
from replaykit.temporal.reading import Refused, has_order, ordered, qualified, unsure
from replaykit.temporal.rewriting import by_intervals
from replaykit.temporal.spans import load_events, load_ticks, load_versions
from replaykit.temporal.ticks_table import Ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd

    from replaykit.declarations import Invariant, Rule
    from replaykit.engine import Engine
    from replaykit.readings import Shape
    from replaykit.replaying import Replaying
    from replaykit.sql import Statement
    from replaykit.temporal.standing import Said

__all__ = ["WAYS", "Failed", "PutOff", "only"]

WAYS = ("intervals", "lateral", "tick by tick")
_FEW = 25  # ticks that are not worth reading a statement for
_WALKABLE = 100_000  # ticks that may be looked at one by one
_ways: ContextVar[tuple[str, ...] | None] = ContextVar("ways", default=None)


@contextmanager
def only(*ways: str) -> Iterator[None]:
    """Let replays inside the block ask their SQL rules in these ways only; tick by tick where none can.

    For tests and benchmarks: every way gives the same, so nobody else has a reason to choose.
    """
    token = _ways.set(ways)
    try:
        yield
    finally:
        _ways.reset(token)


class Failed(Exception):  # noqa: N818 - no error: it says that a replay has to ask some rules tick by tick
    """Rules that were put off turned out to have no answer at once: their number, and why."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__(dict(reasons))
        self.reasons = dict(reasons)


@dataclass
class _Asked:
    """One statement that is put off, and the queries that answer it."""

    statement: Statement
    queries: list[tuple[str, Callable[[], str]]]
    """Way, and what makes its query, the one to try first in front."""
    how: str = ""


@dataclass
class PutOff:
    """The rules and invariants that a replay puts off, by their number."""

    declared: list[Rule | Invariant]
    asked: dict[int, _Asked] = field(default_factory=dict)
    reasons: dict[int, list[str]] = field(default_factory=dict)
    """Why a quicker way could not."""
    ticks: int = 0

    @classmethod
    def of(cls, replaying: Replaying, failed: Mapping[int, str]) -> PutOff:
        """Return what a replay can put off, if it is one that only collects.

        Parameters
        ----------
        failed
            Those that were put off before, to no avail.
        """
        found = cls(replaying.reconciler.declared())
        found.reasons = {number: [reason] for number, reason in failed.items()}
        forced = _ways.get()
        ways = WAYS if forced is None else forced
        found.ticks = _count(replaying)
        if replaying.actions != "collect" or (found.ticks < _FEW and forced is None):
            return found
        walkable = found.ticks <= _WALKABLE
        interval = replaying.schedule.interval
        step = None if interval is None else round(interval.total_seconds() * 1_000_000)
        dial = Dial(replaying.plan.window.bounds()[0], step, walkable)
        for number, one in enumerate(found.declared):
            known = one.statement is not None and one.statement.parameters <= {"now", *replaying.reconciler.params}
            if one.statement is not None and known and number not in failed:
                found._prepare(number, one.statement, replaying, dial, ways)
        return found

    def _prepare(
        self, number: int, statement: Statement, replaying: Replaying, dial: Dial, ways: tuple[str, ...]
    ) -> None:
        shape = _shape(replaying)
        names = {name.lower(): name for name, _ in shape}
        reasons = self.reasons.setdefault(number, [])
        keys = {name.lower(): table.key for name, table in replaying.reconciler.tables.items()}
        try:
            tree = qualified(statement.text, _named(shape, statement))
            why = unsure(tree, shape, keys)
            if why is None and not has_order(statement, tuple(name for name, _ in shape)):
                why = "its rows can't be given one order"
            if why is not None:
                raise Refused(why)
        except Refused as refused:
            reasons.append(str(refused))
            return
        asked = _Asked(ordered(statement, tuple(name for name, _ in shape)), [])
        makers: dict[str, Callable[[], str]] = {
            "intervals": partial(by_intervals, tree, names, dial),
            "lateral": partial(by_lateral, tree, names, dial, self.ticks),
        }
        for way in [way for way in ways if way in makers]:
            try:  # the next only has to be made if this one does not answer
                asked.queries.append((way, makers[way] if asked.queries else partial(str, makers[way]())))
            except Refused as refused:
                reasons.append(f"{way}: {refused}")
        if asked.queries:
            self.asked[number] = asked

    @property
    def numbers(self) -> frozenset[int]:
        """Numbers of what is put off."""
        return frozenset(self.asked)

    def frame(self) -> pd.DataFrame:
        """Return one row per rule and invariant in order: ``name, declared, language, how, why``."""
        import pandas as pd

        rows = [
            (
                one.name,
                type(one).__name__.lower(),
                "python" if one.statement is None else "sql",
                self.asked[number].how if number in self.asked else WAYS[-1],
                "; ".join(self.reasons.get(number, ())),
            )
            for number, one in enumerate(self.declared)
        ]
        return pd.DataFrame(rows, columns=["name", "declared", "language", "how", "why"], dtype="str")

    def answers(self, engine: Engine, connection: duckdb.DuckDBPyConnection) -> tuple[Ticks, dict[int, list[Said]]]:
        """Answer what was put off, for all ticks; called when the replay has taken its last step.

        Raises
        ------
        Failed
            None of the ways could answer some of it.
        """
        ticks = Ticks.of(engine.ticker.noted, engine.schedule.interval)
        if not self.asked or not ticks.count:
            return ticks, {}
        if ticks.count != self.ticks:
            raise Failed(dict.fromkeys(self.asked, f"there are {ticks.count} ticks, not {self.ticks}"))
        session = _Session(self, engine, connection, ticks)
        found: dict[int, list[Said]] = {}
        failed: dict[int, str] = {}
        for number, asked in self.asked.items():
            said = self._answered(number, asked, session)
            if said is None:
                failed[number] = "; ".join(self.reasons[number])
            else:
                found[number] = said
        if failed:
            raise Failed(failed)
        return ticks, found

    def _answered(self, number: int, asked: _Asked, session: _Session) -> list[Said] | None:
        for way, query in asked.queries:
            try:
                said = session.ask(asked.statement, query())
            except (duckdb.Error, Refused) as exc:
                session.lost()
                self.reasons[number].append(f"{way}: {str(exc).splitlines()[0]}")
                continue
            asked.how = way
            return said
        return None


class _Session:
    """The database after a replay's last step, with the spans of all versions in it."""

    def __init__(self, put_off: PutOff, engine: Engine, connection: duckdb.DuckDBPyConnection, ticks: Ticks) -> None:
        self._engine = engine
        self._connection = connection
        self._ticks = ticks
        statements = [asked.statement for asked in put_off.asked.values()]
        self._words = frozenset(word for one in statements for word in one.words)
        self._loaded = False

    def lost(self) -> None:
        """Say that a statement failed, and with it everything in the transaction."""
        self._engine.workspace.forget()
        self._loaded = False

    def _load(self) -> None:
        engine, connection = self._engine, self._connection
        engine.workspace.refresh(self._words)
        for name in engine.history.tables:
            if name.lower() in self._words:
                load_versions(connection, engine.history, name, self._ticks)
        if "events" in self._words:
            columns = engine.recording.columns("events")
            load_events(connection, [name for name in columns if name.lower() in self._words], self._ticks)
        if self._ticks.interval is None:
            load_ticks(connection, self._ticks)
        self._loaded = True

    def ask(self, statement: Statement, query: str) -> list[Said]:
        """Return the rows of a statement, with the ticks at which they are said."""
        if not self._loaded:
            self._load()
        described = self._fetched(f"DESCRIBE {statement.text}")
        names = [row[0] for row in described]
        if len(set(names)) < len(names):
            raise duckdb.BinderException("two of its columns have the same name")
        rows = interruptible(self._connection, lambda: self._fetched(query))
        return [(row[0], row[1], Row(zip(names, row[2:], strict=True))) for row in rows]

    def _fetched(self, query: str) -> list[tuple[Any, ...]]:
        known = {**self._engine.state.params, "now": self._ticks.times[0]}
        found = duckdb.extract_statements(query)[0]
        return self._connection.execute(found, {name: known[name] for name in found.named_parameters}).fetchall()


def _count(replaying: Replaying) -> int:
    """Return how many ticks a replay will have, as far as that can be told; 0 if it is of another kind."""
    plan, interval = replaying.plan, replaying.schedule.interval
    if replaying.schedule.mode == "event":
        return plan.events - plan.warmup
    if interval is None:
        return 0
    start, end = plan.window.bounds()
    return -((start - end) // interval)


def _shape(replaying: Replaying) -> Shape:
    events = replaying.recording.columns("events")
    tables = {name: table.columns for name, table in replaying.reconciler.tables.items()}
    return tuple(
        (name, tuple(types.items())) for name, types in {**tables, "events": {"step": "BIGINT", **events}}.items()
    )


def _named(shape: Shape, statement: Statement) -> Shape:
    return tuple((name, columns) for name, columns in shape if name.lower() in statement.words)
