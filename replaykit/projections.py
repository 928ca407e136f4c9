"""Projections: state tables computed from SELECTs over ``events``, all steps in one statement."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb

from replaykit.errors import ReconcilerError, excerpt
from replaykit.interrupt import interruptible
from replaykit.sql import quote
from replaykit.storage import arrow_column, storage_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from replaykit.history import History
    from replaykit.reconciler import Projection, Reconciler, Table
    from replaykit.state import State
    from replaykit.workspace import Workspace

__all__ = ["Operation", "Projected", "merged_operations", "prepare_projections"]

_BATCH = 50_000
_IN_ORDER = "ORDER BY replaykit_step, replaykit_part, replaykit_place"


Operation: TypeAlias = "tuple[int, Projected, int, dict[str, Any]]"
"""Step, table, which of its projections, and the columns it sets (the key for a delete)."""


@dataclass(frozen=True)
class Projected:
    """One state table's projections, checked."""

    name: str
    table: Table
    parts: tuple[tuple[Projection, Mapping[str, str]], ...]
    """Each projection, and for each column it sets the expression that gives the value as the table stores it."""
    last: int
    """The last step there is."""

    def _ordered(self, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the query for every projected row, with where it came from, and its parameters."""
        used: dict[str, Any] = {}
        selects = []
        for number, (projection, columns) in enumerate(self.parts):
            used |= {name: parameters[name] for name in projection.statement.parameters}
            listed = ", ".join(
                f"{columns.get(c, f'CAST(NULL AS {storage_type(t)})')} AS {quote(c)}"
                for c, t in self.table.columns.items()
            )
            selects.append(
                f"SELECT step AS replaykit_step, {number} AS replaykit_part, row_number() OVER () AS replaykit_place, "
                f"{projection.delete} AS replaykit_deleted, {listed} FROM ({projection.statement.text})"
            )
        return " UNION ALL ".join(selects), used

    def operations(
        self, workspace: Workspace, parameters: Mapping[str, Any]
    ) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Yield ``(step, part, row)`` in order, for a working set to apply one by one."""
        target = quote(f"replaykit_operations_{self.name}")
        columns = list(self.table.columns)
        offset, made = 0, -1
        while True:
            if made != workspace.losses:  # a statement that failed takes the temp tables with it
                self._list_operations(workspace, target, parameters)
                made = workspace.losses
            query = f"SELECT * FROM {target} LIMIT {_BATCH} OFFSET {offset}"
            rows = workspace.connection.execute(query).fetchall()
            if not rows:
                return
            for row in rows:
                _, set_here = self.parts[row[1]]
                values = dict(zip(columns, row[4:], strict=True))
                yield row[0], row[1], {name: values[name] for name in set_here}
            offset += _BATCH

    def _list_operations(self, workspace: Workspace, target: str, parameters: Mapping[str, Any]) -> None:
        query, used = self._ordered(parameters)
        workspace.show_all_events()
        self._create(workspace.connection, f"CREATE TEMP TABLE {target} AS SELECT * FROM ({query}) {_IN_ORDER}", used)
        self._check_keys(workspace.connection, target)

    def _create(self, connection: duckdb.DuckDBPyConnection, query: str, used: Mapping[str, Any]) -> None:
        try:
            interruptible(connection, lambda: connection.execute(query, dict(used)))
        except duckdb.Error as exc:
            texts = [projection.statement.text for projection, _ in self.parts]
            raise ReconcilerError(
                f"A projection of {self.name!r} failed: {str(exc).splitlines()[0]} The queries: {excerpt(texts)}"
            ) from exc

    def compute(
        self,
        connection: duckdb.DuckDBPyConnection,
        parameters: Mapping[str, Any],
        base: list[Mapping[str, Any]],
        defaults: Mapping[str, Any],
        history: History,
    ) -> list[pa.Table]:
        """Put every version of this table into the history, set-based; returns the steps that gave rows."""
        from replaykit.versions import Operations, versions

        parts = [
            Operations(self._rows(connection, projection, columns, parameters), delete=projection.delete)
            for projection, columns in self.parts
        ]
        taken = [part.rows.select(["step"]) for part in parts]
        if base:
            parts.insert(0, Operations(self._given(connection, base, "0::BIGINT AS step")))
        blank = self._given(connection, [defaults])
        history.take(self.name, versions(parts, blank, [self._numbered[name] for name in self.table.key]))
        return taken

    @property
    def _numbered(self) -> dict[str, str]:
        """The table's columns, and the names they have beside ``step``, ``born`` and ``deleted``."""
        return {column: f"c{number}" for number, column in enumerate(self.table.columns)}

    def _rows(
        self,
        connection: duckdb.DuckDBPyConnection,
        projection: Projection,
        columns: Mapping[str, str],
        parameters: Mapping[str, Any],
    ) -> pa.Table:
        """Return a projection's rows in its own order, in the types of the table."""
        numbered = self._numbered
        chosen = self.table.key if projection.delete else columns
        listed = ", ".join(
            ["CAST(step AS BIGINT) AS step", *(f"{columns[name]} AS {numbered[name]}" for name in chosen)]
        )
        used = {name: parameters[name] for name in projection.statement.parameters}
        query = f"SELECT {listed} FROM ({projection.statement.text})"
        try:
            rows = interruptible(connection, lambda: connection.sql(query, params=used).to_arrow_table())
        except duckdb.Error as exc:
            first, text = str(exc).splitlines()[0], excerpt(projection.statement.text)
            raise ReconcilerError(f"A projection of {self.name!r} failed: {first} The query: {text}") from exc
        self._check_rows(rows, projection)
        return rows

    def _check_rows(self, rows: pa.Table, projection: Projection) -> None:
        import pyarrow.compute as pc

        missing = [rows[self._numbered[name]].is_null() for name in self.table.key]
        astray = pc.or_(pc.less(rows["step"], 1), pc.greater(rows["step"], self.last))
        wrong = reduce(pc.or_, missing, pc.fill_null(astray, fill_value=True))
        if not pc.any(wrong).as_py():
            return
        first = rows.filter(wrong).sort_by("step").slice(0, 1).to_pylist()[0]
        keyless = any(first[self._numbered[name]] is None for name in self.table.key)
        why = f"whose key {list(self.table.key)} is NULL" if keyless else f"and there are steps 1 to {self.last}"
        raise ReconcilerError(
            f"A projection of {self.name!r} gave a row at step {first['step']}, {why}; leave such rows out with WHERE. "
            f"The query: {excerpt(projection.statement.text)}"
        )

    def _given(self, connection: duckdb.DuckDBPyConnection, rows: list[Mapping[str, Any]], *more: str) -> pa.Table:
        """Return rows of the working set in the types of the table, in their order."""
        import pyarrow as pa

        columns = self.table.columns.items()
        arrays = [arrow_column(self.name, name, sql, [row[name] for row in rows]) for name, sql in columns]
        listed = [f"CAST(c{n} AS {storage_type(sql)}) AS c{n}" for n, (_, sql) in enumerate(columns)]
        connection.register("replaykit_rows", pa.table(arrays, names=list(self._numbered.values())))
        try:
            return connection.sql(f"SELECT {', '.join([*more, *listed])} FROM replaykit_rows").to_arrow_table()
        finally:
            connection.unregister("replaykit_rows")

    def _check_keys(self, connection: duckdb.DuckDBPyConnection, target: str) -> None:
        nulls = " OR ".join(f"{quote(name)} IS NULL" for name in self.table.key)
        found = connection.execute(
            f"SELECT replaykit_step, replaykit_part, {nulls} FROM {target} WHERE replaykit_part >= 0 AND ({nulls} OR "
            f"replaykit_step IS NULL OR replaykit_step NOT BETWEEN 1 AND {self.last}) ORDER BY ALL LIMIT 1"
        )
        row = found.fetchone()
        if row:
            why = f"whose key {list(self.table.key)} is NULL" if row[2] else f"and there are steps 1 to {self.last}"
            raise ReconcilerError(
                f"A projection of {self.name!r} gave a row at step {row[0]}, {why}; leave such rows out with WHERE. "
                f"The query: {excerpt(self.parts[row[1]][0].statement.text)}"
            )


def prepare_projections(reconciler: Reconciler, workspace: Workspace, state: State) -> list[Projected]:
    """Check every projection against its table by asking the engine for its columns.

    Raises
    ------
    ReconcilerError
        A projection lacks ``step`` or a key column, selects an unknown column, or its table has Python handlers too.
    """
    workspace.refresh(frozenset())
    workspace.show_all_events()
    found: dict[str, list[tuple[Projection, Mapping[str, str]]]] = {}
    for projection in reconciler.projections:
        columns = _columns(projection, reconciler.tables[projection.table], workspace.connection, state.params)
        found.setdefault(projection.table, []).append((projection, columns))
    last = workspace.planned_events
    return [Projected(name, reconciler.tables[name], tuple(parts), last) for name, parts in found.items()]


def _columns(
    projection: Projection, table: Table, connection: duckdb.DuckDBPyConnection, params: Mapping[str, Any]
) -> dict[str, str]:
    used = {name: params[name] for name in projection.statement.parameters}
    what = f"Projection of {projection.table!r} ({projection.statement.text!r})"
    try:
        described = connection.execute(f"SELECT * FROM ({projection.statement.text}) LIMIT 0", used).description
    except duckdb.Error as exc:
        raise ReconcilerError(f"{what} failed: {str(exc).splitlines()[0]}") from exc
    described = described or []
    names = [column[0] for column in described]
    missing = [name for name in ("step", *table.key) if name not in names]
    if missing:
        raise ReconcilerError(f"{what} lacks {missing}; it must select step and the key {list(table.key)}.")
    unknown = [name for name in names if name != "step" and name not in table.columns]
    if unknown:
        raise ReconcilerError(
            f"{what} selects {unknown}, which are no columns of the table; it has {list(table.columns)}."
        )
    if len(set(names)) < len(names) or "step" in table.columns:
        raise ReconcilerError(f"{what} needs each column once, and 'step' for the step; it gives {names}.")
    return {
        name: _as_stored(quote(name), str(kind), table.columns[name]) for name, kind, *_ in described if name != "step"
    }


def _as_stored(name: str, kind: str, sql: str) -> str:
    """Return the expression for a projected value as a state row holds it, whichever way it gets there."""
    nested = kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))
    return f"CAST({f'to_json({name})' if nested else name} AS {storage_type(sql)})"


def merged_operations(
    projected: list[Projected], workspace: Workspace, parameters: Mapping[str, Any]
) -> Iterator[Operation]:
    """Yield the operations of several tables together, in order of steps."""

    def tagged(number: int, one: Projected) -> Iterator[tuple[int, int, int, Operation]]:
        for order, (step, part, row) in enumerate(one.operations(workspace, parameters)):
            yield step, number, order, (step, one, part, row)

    streams = [tagged(number, one) for number, one in enumerate(projected)]
    for *_, operation in heapq.merge(*streams, key=lambda item: item[:3]):
        yield operation
