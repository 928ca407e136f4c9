"""Answers: what SQL rules and invariants said last, and whether a change since could make them say something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replaykit.readings import differs, readings
from replaykit.sights import Sight

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from replaykit.readings import Reading, Shape
    from replaykit.rows import Row
    from replaykit.sql import Statement
    from replaykit.state_table import Change, StateTable
    from replaykit.temp_tables import TempTable

__all__ = ["Answers"]

_OFTEN = 20  # questions worth finding out what the statement reads, which costs as much as asking one to three times
_MANY = 1_000  # statements kept; a handler may write a new one for each event
_BEFORE = 64  # earlier answers kept for each statement, and the rows one of them may have
_LONG = 200


class _Answer:
    """The answer to one statement, and those it gave before."""

    __slots__ = ("asked", "before", "fresh", "read", "rows", "sights")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.fresh = False
        self.asked = 0
        self.read = False
        """Whether it is known what the statement reads. Until then any change of a table it names counts."""
        self.sights: list[Sight] = []
        self.before: dict[Any, list[Row]] = {}

    def take(self, rows: list[Row]) -> None:
        """Take over the rows it gives now."""
        self.rows, self.fresh = rows, True
        seen = self._seen() if len(rows) <= _LONG else None
        if seen is not None:
            if len(self.before) >= _BEFORE:
                del self.before[next(iter(self.before))]
            self.before[seen] = rows

    def recall(self) -> bool:
        """Return whether the statement sees what it saw before, and give the answer of then."""
        seen = self._seen()
        rows = self.before.get(seen) if seen is not None else None
        if rows is None:
            return False
        self.rows, self.fresh = rows, True
        return True

    def _seen(self) -> tuple[Any, ...] | None:
        if not self.read:
            return None
        found = [sight.contents() for sight in self.sights]
        return None if None in found else tuple(found)


class _Watched:
    """One table, and the answers that depend on it."""

    def __init__(self, table: StateTable, temp: TempTable) -> None:
        self.table = table
        self.temp = temp
        self.types = {name: kind.sql for name, kind in table.types.items()}
        self.by_any_change: list[_Answer] = []
        self.sights: list[tuple[_Answer, Sight]] = []
        self.columns: frozenset[str] = frozenset()
        self.differs = differs(self.columns, self.types)

    def add(self, answer: _Answer, reading: Reading) -> None:
        """Let an answer depend on what its statement reads of this table."""
        sight = Sight(reading, self.table, self.types)
        self.sights.append((answer, sight))
        answer.sights.append(sight)
        self.columns |= reading.columns
        self.differs = differs(self.columns, self.types)

    def spoil(self, change: Change) -> bool:
        """Mark the answers that a change may alter; returns whether a statement that is asked often sees it."""
        if self.by_any_change:
            for answer in self.by_any_change:
                answer.fresh = False
            self.by_any_change.clear()
        new, old = change[3], change[4]
        there = old is not None and new is not None
        if there and not self.differs(old, new):  # type: ignore[arg-type]
            return False
        seen = False
        for answer, sight in self.sights:
            if sight.take(change):
                answer.fresh = False
                seen = True
        return seen or not there

    def forget(self) -> None:
        """Say that the table went back to what it was."""
        self.by_any_change.clear()
        for _, sight in self.sights:
            sight.forget()


class Answers:
    """The answers to the statements that were asked, each until a change may alter it."""

    def __init__(self, temps: Mapping[StateTable, TempTable]) -> None:
        self._watched = {table: _Watched(table, temp) for table, temp in temps.items()}
        self._names = {table.name.lower(): watched for table, watched in self._watched.items()}
        self._shape: Shape = tuple((table.name, tuple(w.types.items())) for table, w in self._watched.items())
        self._known: dict[str, _Answer] = {}

    def fresh(self, text: str) -> list[Row] | None:
        """Return the rows a statement still gives; None if it may give others."""
        answer = self._known.get(text)
        return list(answer.rows) if answer is not None and answer.fresh else None

    def recalled(self, text: str) -> list[Row] | None:
        """Return the rows a statement gave when it saw what it sees now; None if it has to be asked."""
        answer = self._known.get(text)
        return list(answer.rows) if answer is not None and answer.recall() else None

    def columns(self, text: str) -> Mapping[StateTable, Collection[str]] | None:
        """Return the columns that have to be right in the rows that were wanted; None if it takes everything."""
        answer = self._known.get(text)
        if answer is None or not answer.read:
            return None
        return {table: watched.columns for table, watched in self._watched.items()}

    def note(self, changes: Iterable[Change]) -> None:
        """Take note of changes that the temp tables lack."""
        watched = self._watched
        for change in changes:
            one = watched[change[1]]
            one.temp.note(change, wanted=one.spoil(change))

    def written(self, change: Change, row: Row | None) -> None:
        """Take note of a change that a temp table had first; see `TempTable.written`."""
        one = self._watched[change[1]]
        one.spoil(change)
        one.temp.written(change, row)

    def keep(self, statement: Statement, rows: list[Row]) -> None:
        """Keep an answer just given, on tables that were brought up to the working set for it."""
        answer = self._known.get(statement.text)
        if answer is None:
            if len(self._known) >= _MANY:
                self._drop()
            answer = self._known[statement.text] = _Answer()
        answer.asked += 1
        if not answer.read and answer.asked >= _OFTEN:
            answer.read = True
            for name, reading in readings(statement, self._shape).items():
                self._names[name.lower()].add(answer, reading)
        answer.take(list(rows))
        if not answer.read:
            for name, watched in self._names.items():
                if name in statement.words:
                    watched.by_any_change.append(answer)

    def forget(self) -> None:
        """Say that the working set went back: no answer is fresh, though what a statement reads is still known."""
        for answer in self._known.values():
            answer.fresh = False
        for watched in self._watched.values():
            watched.forget()

    def _drop(self) -> None:
        self._known.clear()
        for watched in self._watched.values():
            watched.by_any_change.clear()
            watched.sights.clear()
