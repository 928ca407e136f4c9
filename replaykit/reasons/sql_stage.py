"""Stage: the tables that statements name, as they were at one tick, in a database of their own for many questions."""

from __future__ import annotations

import atexit
import weakref
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit import connection
from replaykit.asking import Asker
from replaykit.errors import GuardError, StateError, excerpt
from replaykit.events_view import EventsView
from replaykit.interrupt import told_apart
from replaykit.reasons.scene import pairs_at
from replaykit.sql import quote
from replaykit.state import State
from replaykit.storage import arrow_column, load_arrow, storage_type

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from replaykit.reasons.scene import Scene
    from replaykit.reasons.undoing import Write
    from replaykit.rows import Row
    from replaykit.sql import Statement

__all__ = ["Stage", "staged"]

_idle: list[duckdb.DuckDBPyConnection] = []  # nothing is in them: what they held was rolled back
_MOST_IDLE = 2
_ending: list[bool] = []


def staged(scene: Scene, statement: Statement) -> Stage:
    """Return the stage of a scene for a statement; it is closed when the scene is no longer used."""
    named = [name for name in scene.run.reconciler.tables if name.lower() in statement.words]
    beyond = not statement.words.isdisjoint(("events", "recording"))
    key = (*named, beyond)
    if key not in scene._stages:
        stage = scene._stages[key] = Stage(scene, named, beyond=beyond)
        weakref.finalize(scene, stage.close)
    found: Stage = scene._stages[key]
    return found


class Stage:
    """Temp tables in a transaction that is never committed. It goes on working after a statement failed.

    Parameters
    ----------
    named
        The tables it holds.
    beyond
        Whether the recording and its events are there too.
    """

    def __init__(self, scene: Scene, named: list[str], *, beyond: bool) -> None:
        run = scene.run
        self._params, self._at, self._step = run.reconciler.params, scene.at, scene.step
        self.tables = State({name: run.reconciler.tables[name] for name in named}, {}).tables
        self._rows = {name: _arrow(scene, name, self.types(name)) for name in named}
        self._connection = connection.sealed(run.recording.path, threads=1) if beyond else _taken()
        self._asker = Asker(self._connection)
        self._events: EventsView | None = None
        if beyond:
            numbered = run.settings["actions"] != "collect" or run.plan.last - run.plan.first != run.plan.events
            self._events = EventsView(self._connection, run.plan, numbered=numbered)
            self._events.take(pairs_at(run, scene.step) if numbered else [])
        self._stale = dict.fromkeys(named)
        self._connection.execute("BEGIN TRANSACTION")

    def types(self, name: str) -> Mapping[str, str]:
        """Return the types a table's columns are stored as."""
        return {column: storage_type(kind.sql) for column, kind in self.tables[name].types.items()}

    def close(self) -> None:
        """Give back the database."""
        self._asker.close()
        _give_back(self._connection, again=self._events is None)

    @told_apart
    def rows(
        self,
        statement: Statement,
        extra: Mapping[str, Any] | None = None,
        *,
        at: datetime | None = None,
        without: Write | None = None,
    ) -> list[Row]:
        """Run a checked SELECT, at another time than the tick's or on the state without one write.

        Raises
        ------
        GuardError
            It names a parameter that has no value.
        StateError
            It failed.
        """
        known = {**self._params, "now": at or self._at, **(extra or {})}
        missing = sorted(name for name in statement.parameters if name not in known)
        if missing:
            raise GuardError(f"SQL uses ${missing[0]}, which has no value; there are {sorted(known)}.")
        bound = {name: known[name] for name in statement.parameters}
        try:
            self._fill()
            back = self._undo(without) if without is not None else None
            found = self._asker.ask(statement.text, bound, None)
            if without is not None:
                self._redo(without, back)
            return found
        except duckdb.Error as exc:
            self._restart()
            raise StateError(f"SQL {excerpt(statement.text)} failed: {str(exc).splitlines()[0]}") from exc
        except BaseException:  # two columns of one name, an interrupt: what was undone is still undone
            self._stale = dict.fromkeys(self.tables)
            raise

    def described(self, name: str) -> list[str]:
        """Return the columns of a table or view."""
        self._fill()
        cursor = self._connection.execute(f"SELECT * FROM {quote(name)} LIMIT 0")
        return [str(column[0]) for column in cursor.description or ()]

    def _undo(self, write: Write) -> dict[str, Any] | None:
        """Take back a write; return what puts it there again, None if that is nothing less than all rows."""
        where, key = self._where(write.table, write.key)
        if write.before is None:
            self._connection.execute(f"DELETE FROM {quote(write.table)} WHERE {where}", key)
            return None
        if not write.before:
            return {}
        listed = ", ".join(map(quote, write.before))
        now = self._connection.execute(f"SELECT {listed} FROM {quote(write.table)} WHERE {where}", key).fetchall()
        self._update(write.table, write.key, write.before)
        return dict(zip(write.before, now[0], strict=True)) if now else {}

    def _redo(self, write: Write, back: Mapping[str, Any] | None) -> None:
        if back is None:
            self._stale[write.table] = None
        else:
            self._update(write.table, write.key, back)

    def _update(self, name: str, key: Any, values: Mapping[str, Any]) -> None:
        if not values:
            return
        types = self.types(name)
        where, parameters = self._where(name, key)
        given = {f"v{number}": value for number, value in enumerate(values.values())}
        listed = ", ".join(f"{quote(c)} = CAST($v{number} AS {types[c]})" for number, c in enumerate(values))
        self._connection.execute(f"UPDATE {quote(name)} SET {listed} WHERE {where}", {**parameters, **given})

    def _where(self, name: str, key: Any) -> tuple[str, dict[str, Any]]:
        names, types = self.tables[name].key, self.types(name)
        parts = key if len(names) > 1 else (key,)
        asked = (f"{quote(c)} IS NOT DISTINCT FROM CAST($k{n} AS {types[c]})" for n, c in enumerate(names))
        return " AND ".join(asked), {f"k{number}": part for number, part in enumerate(parts)}

    def _fill(self) -> None:
        for name in list(self._stale):
            listed = ", ".join(f"{quote(column)} {kind}" for column, kind in self.types(name).items())
            self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {quote(name)} ({listed})")
            load_arrow(self._connection, quote(name), self._rows[name])
            del self._stale[name]
        if self._events is not None:
            self._events.show(self._step)

    def _restart(self) -> None:
        """Begin again: a statement that fails takes the whole transaction with it."""
        self._connection.execute("ROLLBACK")
        self._connection.execute("BEGIN TRANSACTION")
        self._stale = dict.fromkeys(self.tables)
        if self._events is not None:
            self._events.forget()


def _arrow(scene: Scene, name: str, types: Mapping[str, str]) -> Any:
    """Return a table's rows in insertion order; without making Python rows of them unless they are there already."""
    import pyarrow as pa

    if name in scene._known:
        rows = scene.state()[name].find()
        return pa.table({c: arrow_column(name, c, kind, [row[c] for row in rows]) for c, kind in types.items()})
    listed = ", ".join(_carried(column, kind) for column, kind in types.items())
    return scene.run.history.arrow(
        f"SELECT {listed} FROM history.{quote(name)} WHERE valid_from <= {int(scene.step)} "
        f"AND (valid_to IS NULL OR valid_to > {int(scene.step)}) ORDER BY born"
    )


def _carried(column: str, kind: str) -> str:
    """Return a column as Arrow carries it without loss."""
    huge = kind.upper() == "HUGEINT"
    return f"CAST({quote(column)} AS DECIMAL(38, 0)) AS {quote(column)}" if huge else quote(column)


def _taken() -> duckdb.DuckDBPyConnection:
    """Return an empty database that works as that of a replay does; opening one takes longer than most questions."""
    try:
        return _idle.pop()
    except IndexError:
        instance = connection.memory()
        instance.execute("SET threads = 1")
        return connection.seal(instance)


def _give_back(instance: duckdb.DuckDBPyConnection, *, again: bool) -> None:
    try:
        instance.execute("ROLLBACK")
    except duckdb.Error:
        again = False
    if again and len(_idle) < _MOST_IDLE and not _ending:
        _idle.append(instance)
    else:
        instance.close()


@atexit.register
def _end() -> None:
    """Close what is idle: DuckDB complains of databases that outlive the interpreter."""
    _ending.append(True)
    while _idle:
        _idle.pop().close()
