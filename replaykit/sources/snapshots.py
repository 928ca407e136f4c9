"""Snapshots written into the recording: state tables of all snapshots, one table each, with widened types."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from replaykit.display import count
from replaykit.errors import LoadError, excerpt
from replaykit.snapshot import Slice, Snapshot
from replaykit.sources.columns import cast_columns, stored, stored_names
from replaykit.sources.masking import Masking
from replaykit.sources.places import place
from replaykit.sources.reading import read
from replaykit.sources.rejects import find_rejects
from replaykit.sources.sqlite import SQLiteSource, tables_of
from replaykit.sources.table import Column, Intake, SourceTable, one_of
from replaykit.sources.unions import common_type
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


__all__ = ["snapshot_tables", "write_snapshots"]

_RESERVED = ("snapshot", "row_no")


def snapshot_tables(snapshot: Snapshot, intake: Intake) -> dict[str, SourceTable]:
    """Return the staged tables of one snapshot, unmasked, for a snapshot that is used without being loaded."""
    states = _States(intake, Masking(), {})
    return {str(name): _sliced(source, str(name), states) for name, source in _tables(snapshot, None, intake).items()}


@dataclass
class _States:
    """What is collected over all snapshots: sources read once, tables of each snapshot, keys."""

    intake: Intake
    masking: Masking
    keys: dict[str, tuple[str, ...]]
    seen: list[tuple[Any, SourceTable]] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)

    def read(self, source: Any, name: str) -> SourceTable:
        """Return a source staged, masked and cast; one used by several snapshots is read once."""
        for known, table in self.seen:
            if known is source:
                return table
        table = read(source, f"snapshot table {name}", self.intake)
        self.columns |= {column.name for column in table.columns}
        keys = self.keys.setdefault(name, table.keys) if table.keys else self.keys.get(name, ())
        table = self.masking.apply(table, self.intake, name=name, keep=keys, payload=None)
        table, checks = cast_columns(table, name, self.intake)
        if bad := [*table.unreadable, *find_rejects(table, checks, self.intake)]:
            first = bad[0]
            raise LoadError(
                f"Snapshot table {name!r} has {len(bad):,} rows that can't be read, the first at "
                f"{first.label}, "
                f"place {first.place}: {first.reason}. A snapshot must be whole; mend or cut the file."
            )
        self.seen.append((source, table))
        return table


def write_snapshots(
    snapshots: Sequence[Snapshot], keys: Mapping[str, Sequence[str]], events: Any, intake: Intake, masking: Masking
) -> tuple[dict[str, tuple[str, ...]], set[str], list[int]]:
    """Write the tables ``snapshots`` and ``state.*``.

    Returns
    -------
    dict, set, list
        The keys of the state tables, all column names, and the numbers of the snapshots whose row order was declared.
    """
    intake.connection.execute("CREATE SCHEMA state")
    intake.connection.execute(
        'CREATE TABLE snapshots (snapshot BIGINT, "at" TIMESTAMP, after_position BIGINT, after_event VARCHAR, name '
        "VARCHAR, "
        "after_seq BIGINT)"
    )
    states = _States(intake, masking, {name: tuple(columns) for name, columns in keys.items()})
    placed = [(*place(snapshot, intake.rows, intake.note, masking.digest), snapshot) for snapshot in snapshots]
    placed.sort(key=lambda item: item[:2])
    pieces: dict[str, list[tuple[int, SourceTable]]] = {}
    ordered = [number for number, (*_, one) in enumerate(placed) if _has_order(one)]
    for number, (at, after, event, snapshot) in enumerate(placed):
        row = [number, at, after, event, snapshot.name, snapshot.after_seq]
        intake.connection.execute("INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?)", row)
        for name, source in _tables(snapshot, events, intake).items():
            pieces.setdefault(str(name), []).append((number, _sliced(source, str(name), states)))
    for name, parts in pieces.items():
        _write(name, parts, intake)
    _check_keys(states.keys, pieces)
    for name in sorted(pieces):
        _note_repeats(name, states.keys.get(name, ()), intake)
    return {name: states.keys[name] for name in sorted(pieces) if states.keys.get(name)}, states.columns, ordered


def _has_order(snapshot: Snapshot) -> bool:
    sources = () if isinstance(snapshot.tables, SQLiteSource) else snapshot.tables.values()
    return bool(sources) and all(isinstance(one, Slice) and one.order is not None for one in sources)


def _tables(snapshot: Snapshot, events: Any, intake: Intake) -> dict[str, Any]:
    if not isinstance(snapshot.tables, SQLiteSource):
        return dict(snapshot.tables)
    source = snapshot.tables
    if source.table is not None:
        return {source.table: source}
    own = isinstance(events, SQLiteSource) and events.path.resolve() == source.path.resolve()
    names = tables_of(source, [events.table] if own else [])
    intake.note(f"Live tables of {source.path.name} became a snapshot: {one_of(names)}.")
    return {name: SQLiteSource(source.path, name) for name in names}


def _sliced(source: Any, name: str, states: _States) -> SourceTable:
    if not isinstance(source, Slice):
        return states.read(source, name)
    table = states.read(source.source, name)
    by = table.column(source.by)
    if by is None:
        raise LoadError(
            f"Snapshot table {name!r} has no column {source.by!r}; it has {one_of([c.name for c in table.columns])}."
        )
    order = table.column(source.order) if source.order else None
    literal = str(source.value).replace("'", "''")
    relation = f"(SELECT * FROM {table.relation} WHERE ({by.sql})::VARCHAR = '{literal}')"
    left_out = [source.by, *([source.order] if source.order else [])]
    return replace(table.without(left_out), relation=relation, row=order.sql if order else table.row)


def _write(name: str, parts: Sequence[tuple[int, SourceTable]], intake: Intake) -> None:
    columns: dict[str, list[str]] = {}
    for _, table in parts:
        for column in table.columns:
            columns.setdefault(column.name, []).append(stored(column).type)
    types = {name: common_type(found) for name, found in columns.items()}
    for own, found in columns.items():
        if len(set(found)) > 1:
            intake.note(
                f"Snapshot table {name!r}: column {own!r} differs in type between snapshots; kept as {types[own]}."
            )
    names = stored_names(
        [Column(column, "", type) for column, type in types.items()], _RESERVED, f"state.{name}", intake
    )
    fields = "".join(f", {quote(own)} {type}" for own, type in zip(names, types.values(), strict=True))
    intake.connection.execute(f"CREATE TABLE state.{quote(name)} (snapshot BIGINT, row_no BIGINT{fields})")
    for number, table in parts:
        reads = "".join(f", {_value(table, column, type)}" for column, type in types.items())
        intake.connection.execute(
            f"INSERT INTO state.{quote(name)} SELECT {number}, row_number() OVER (ORDER BY {table.row}) AS "
            f"row_no{reads} "
            f"FROM {table.relation} ORDER BY row_no"
        )


def _value(table: SourceTable, name: str, type: str) -> str:
    column = table.column(name)
    if column is None:
        return f"CAST(NULL AS {type})"
    kept = stored(column)
    return f"CAST({kept.sql if kept.type != 'BLOB' or type == 'BLOB' else f'hex({kept.sql})'} AS {type})"


def _check_keys(keys: Mapping[str, Sequence[str]], pieces: Mapping[str, Sequence[tuple[int, SourceTable]]]) -> None:
    for name, columns in keys.items():
        if name not in pieces:
            if pieces:
                raise LoadError(
                    f"keys= names state table {excerpt(name)}, which no snapshot has; they have "
                    f"{one_of(sorted(pieces))}."
                )
            continue
        known = {column.name for _, table in pieces[name] for column in table.columns}
        if missing := [column for column in columns if column not in known]:
            raise LoadError(f"keys= of {name!r} names {one_of(missing)}; its columns are {one_of(sorted(known))}.")


def _note_repeats(name: str, keys: Sequence[str], intake: Intake) -> None:
    known = dict(intake.describe(f"state.{quote(name)}"))
    if not keys or any(key not in known for key in keys):
        return
    columns = ", ".join(quote(key) for key in keys)
    ((repeated,),) = intake.rows(
        f"SELECT coalesce(sum(n - 1), 0)::BIGINT FROM (SELECT count(*) AS n FROM state.{quote(name)} "
        f"GROUP BY snapshot, {columns} HAVING count(*) > 1)"
    )
    if repeated:
        intake.note(f"Snapshot table {name!r}: its key {', '.join(keys)} repeats in {count(repeated, 'row')}.")
