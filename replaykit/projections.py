"""Projections: state tables computed from SELECTs over ``events``, all steps in one statement."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb

from replaykit.errors import ReconcilerError
from replaykit.interrupt import interruptible
from replaykit.sql import quote
from replaykit.storage import arrow_column, load_table, storage_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from replaykit.history import History
    from replaykit.reconciler import Projection, Reconciler, Table
    from replaykit.state import State
    from replaykit.workspace import Workspace

__all__ = ["Operation", "Projected", "merged_operations", "prepare_projections"]

_BATCH = 50_000


Operation: TypeAlias = "tuple[int, Projected, int, dict[str, Any]]"
"""Step, table, which of its projections, and the columns it sets (the key for a delete)."""


@dataclass(frozen=True)
class Projected:
    """One state table's projections, checked: which columns each of them sets."""

    name: str
    table: Table
    parts: tuple[tuple[Projection, tuple[str, ...]], ...]

    @property
    def key(self) -> str:
        """The key columns, quoted and listed."""
        return ", ".join(quote(column) for column in self.table.key)

    def _ordered(self, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the query for every projected row, with where it came from, and its parameters."""
        used: dict[str, Any] = {}
        selects = []
        for number, (projection, columns) in enumerate(self.parts):
            used |= {name: parameters[name] for name in projection.statement.parameters}
            listed = ", ".join(
                quote(c) if c in columns else f"CAST(NULL AS {storage_type(t)}) AS {quote(c)}"
                for c, t in self.table.columns.items()
            )
            selects.append(
                f"SELECT step, {number} AS part, row_number() OVER () AS place, {projection.delete} AS deleted, "
                f"{listed} FROM ({projection.statement.text})"
            )
        return " UNION ALL ".join(selects), used

    def operations(
        self, connection: duckdb.DuckDBPyConnection, parameters: Mapping[str, Any]
    ) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Yield ``(step, part, row)`` in order, for a working set to apply one by one."""
        query, used = self._ordered(parameters)
        target = quote(f"replaykit_operations_{self.name}")
        ordered = f"CREATE TEMP TABLE {target} AS SELECT * FROM ({query}) ORDER BY step, part, place"
        interruptible(connection, lambda: connection.execute(ordered, used))
        columns = list(self.table.columns)
        offset = 0
        while True:
            rows = connection.execute(f"SELECT * FROM {target} LIMIT {_BATCH} OFFSET {offset}").fetchall()
            if not rows:
                return
            for row in rows:
                _, set_here = self.parts[row[1]]
                values = dict(zip(columns, row[4:], strict=True))
                yield row[0], row[1], {name: values[name] for name in set_here}
            offset += _BATCH

    def versions(self) -> str:
        """Return the query that turns ordered operations into whole row versions, in order of change.

        Several rows of one key and step stay several versions. Deletes start a new generation of their key.
        """
        deletes = any(projection.delete for projection, _ in self.parts)
        partition = f"PARTITION BY {self.key}" + (", generation" if deletes else "")
        source = "operations"
        if deletes:
            source = (
                f"(SELECT *, coalesce(sum(deleted::INT) OVER (PARTITION BY {self.key} ORDER BY change ROWS BETWEEN "
                f"UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS generation, "
                f"coalesce(lag(deleted) OVER (PARTITION BY {self.key} ORDER BY change), true) AS absent "
                "FROM operations)"
            )
        listed = ", ".join(f"{self._value(c, partition)} AS {quote(c)}" for c in self.table.columns)
        kept = "WHERE NOT (deleted AND absent)" if deletes else ""
        outer = ", ".join(["step", "born", "deleted", *(quote(c) for c in self.table.columns)])
        absent = ", absent" if deletes else ""
        return (
            f"SELECT {outer} FROM (SELECT change, step, deleted{absent}, "
            f"min(change) OVER ({partition}) AS born, {listed} FROM {source}) {kept} ORDER BY change"
        )

    def _value(self, column: str, partition: str) -> str:
        """Return the expression for a column's value after an operation: its own, or the last one that was set."""
        setting = [number for number, (p, columns) in enumerate(self.parts) if column in columns and not p.delete]
        name = quote(column)
        everywhere = len(setting) == sum(not p.delete for p, _ in self.parts)
        if column in self.table.key or (everywhere and not any(p.delete for p, _ in self.parts)):
            return name
        listed = ", ".join(map(str, [-1, *setting]))
        return (
            f"(last_value(CASE WHEN part IN ({listed}) THEN struct_pack(v := {name}) END IGNORE NULLS) "
            f"OVER ({partition} ORDER BY change ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)).v"
        )

    def compute(
        self,
        connection: duckdb.DuckDBPyConnection,
        parameters: Mapping[str, Any],
        base: list[Mapping[str, Any]],
        history: History,
    ) -> None:
        """Put every version of this table into the history, set-based."""
        query, used = self._ordered(parameters)
        if base:
            _load_base(connection, self.name, self.table, base)
            listed = ", ".join(quote(c) for c in self.table.columns)
            first = f"SELECT 0 AS step, -1 AS part, place, false AS deleted, {listed} FROM temp.replaykit_base"
            query = f"{first} UNION ALL {query}"
        numbered = (
            "CREATE OR REPLACE TEMP TABLE operations AS SELECT *, row_number() OVER () AS change FROM "
            f"(SELECT * FROM ({query}) ORDER BY step, part, place)"
        )
        interruptible(connection, lambda: connection.execute(numbered, used))
        self._check_keys(connection)
        history.take(self.name, connection, self.versions())
        connection.execute("DROP TABLE operations")

    def _check_keys(self, connection: duckdb.DuckDBPyConnection) -> None:
        nulls = " OR ".join(f"{quote(name)} IS NULL" for name in self.table.key)
        found = connection.execute(
            f"SELECT step, part FROM operations WHERE {nulls} OR step IS NULL ORDER BY ALL LIMIT 1"
        )
        row = found.fetchone()
        if row:
            raise ReconcilerError(
                f"A projection of {self.name!r} gave a row at step {row[0]} whose key {list(self.table.key)} or step "
                f"is NULL; leave such events out with WHERE. The query: {self.parts[row[1]][0].statement.text!r}"
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
    found: dict[str, list[tuple[Projection, tuple[str, ...]]]] = {}
    for projection in reconciler.projections:
        columns = _columns(projection, reconciler.tables[projection.table], workspace.connection, state.params)
        found.setdefault(projection.table, []).append((projection, columns))
    return [Projected(name, reconciler.tables[name], tuple(parts)) for name, parts in found.items()]


def _columns(
    projection: Projection, table: Table, connection: duckdb.DuckDBPyConnection, params: Mapping[str, Any]
) -> tuple[str, ...]:
    used = {name: params[name] for name in projection.statement.parameters}
    what = f"Projection of {projection.table!r} ({projection.statement.text!r})"
    try:
        described = connection.execute(f"SELECT * FROM ({projection.statement.text}) LIMIT 0", used).description
    except duckdb.Error as exc:
        raise ReconcilerError(f"{what} failed: {str(exc).splitlines()[0]}") from exc
    names = [column[0] for column in described or ()]
    missing = [name for name in ("step", *table.key) if name not in names]
    if missing:
        raise ReconcilerError(f"{what} lacks {missing}; it must select step and the key {list(table.key)}.")
    unknown = [name for name in names if name != "step" and name not in table.columns]
    if unknown:
        raise ReconcilerError(
            f"{what} selects {unknown}, which are no columns of the table; it has {list(table.columns)}."
        )
    return tuple(name for name in names if name != "step")


def _load_base(connection: duckdb.DuckDBPyConnection, name: str, table: Table, rows: list[Mapping[str, Any]]) -> None:
    import pyarrow as pa

    columns = {c: arrow_column(name, c, t, [row[c] for row in rows]) for c, t in table.columns.items()}
    connection.execute("DROP TABLE IF EXISTS temp.replaykit_base")
    load_table(
        connection,
        "replaykit_base",
        pa.table({**columns, "place": pa.array(range(len(rows)), pa.int64())}),
        temporary=True,
    )


def merged_operations(
    projected: list[Projected], connection: duckdb.DuckDBPyConnection, parameters: Mapping[str, Any]
) -> Iterator[Operation]:
    """Yield the operations of several tables together, in order of steps."""

    def tagged(number: int, one: Projected) -> Iterator[tuple[int, int, int, Operation]]:
        for order, (step, part, row) in enumerate(one.operations(connection, parameters)):
            yield step, number, order, (step, one, part, row)

    streams = [tagged(number, one) for number, one in enumerate(projected)]
    for *_, operation in heapq.merge(*streams, key=lambda item: item[:3]):
        yield operation
