"""`load`: from whatever evidence there is to one sealed recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.errors import LoadError, excerpt
from replaykit.sources.columns import cast_columns
from replaykit.sources.logs import LOGS, Log, write_log
from replaykit.sources.masking import Masking
from replaykit.sources.ordered import Ordered, write_ordered
from replaykit.sources.reading import read
from replaykit.sources.rejects import refuse, write_rejects
from replaykit.sources.report import Report
from replaykit.sources.roles import PerKind, Roles, named, resolve
from replaykit.sources.snapshots import write_snapshots
from replaykit.sources.survey import survey_ids, survey_sequence, survey_times
from replaykit.sources.table import Column, Intake, SourceTable, Unreadable, one_of
from replaykit.sources.times import read_time
from replaykit.sources.writing import drafted, write_meta

if TYPE_CHECKING:
    import os

    from replaykit.recording import Recording
    from replaykit.snapshot import Snapshot

__all__ = ["load"]

Names = str | Sequence[str]


@dataclass(frozen=True)
class _Options:
    time: str | None
    kind: str | bool | None
    id: str | bool | None
    payload: str | PerKind | bool | None
    order: str
    sequence: tuple[str, ...]
    seq: str | None


def load(
    events: Any,
    *,
    time: str | None = None,
    kind: str | bool | None = None,
    id: str | bool | None = None,
    payload: str | PerKind | bool | None = None,
    order: str = "time",
    sequence: Names | None = None,
    tz: str | None = None,
    unit: str | None = None,
    snapshots: Iterable[Snapshot] = (),
    keys: Mapping[str, Names] | None = None,
    actions: Log | None = None,
    writes: Log | None = None,
    checks: Log | None = None,
    applications: Log | None = None,
    ticks: Log | None = None,
    only: Iterable[str] | None = None,
    drop: Iterable[str] = (),
    mask: Iterable[str] = (),
    mask_key: str | bytes | None = None,
    types: Mapping[str, str] | None = None,
    strict: bool = False,
    save: str | os.PathLike[str] | None = None,
    seq: str | None = None,
    notes: Iterable[str] = (),
) -> Recording:
    """Load events, snapshots and recorded logs into one sealed recording.

    Every row of the sources is in ``events`` (or its log) or in ``rejects``; `Recording.report` says what was
    guessed, assumed, counted and put aside.

    Parameters
    ----------
    events
        Path or glob (CSV, JSON lines, Parquet; also gzip), list of paths, DataFrame, Arrow table, list of
        dictionaries, or ``rk.sqlite(path, table)``.
    time, kind, id, payload
        Columns that play these parts. None guesses where exactly one column fits; False says there is none (not for
        the time). `payload` is JSON, or ``rk.per_kind("*Attributes")`` where each kind has its own nested object.
        Without a kind every event is an ``event``.
    order, sequence
        ``"time"`` (ties in source order), or ``"sequence"``: by the columns of `sequence`, whose text is compared as
        text unless it is all whole numbers or `types` says otherwise.
    tz, unit
        The zone of times without one (default UTC), and the unit of epoch numbers (``"s"``, ``"ms"``, ``"us"``,
        ``"ns"``), guessed only where all of them agree on one.
    snapshots, keys
        `Snapshot` objects; key columns of their tables, one name or several.
    actions, writes, checks, applications, ticks
        Recorded logs, each a `Log`: what was decided, written, and found broken; which event was applied when (where a
        program drains a queue); and when the rules ran.
    only, drop, mask
        Names of columns (``"token"``, ``"beads.token"``) or places inside JSON (``"payload.token"``). `only` keeps
        nothing but the columns with a part, keys and these; `drop` removes; `mask` puts a keyed hash in place, the
        same for the same value everywhere. What they keep out is neither in the file nor in rejects nor in messages.
    mask_key
        The key of the hashes; None draws one and forgets it, so that hashes agree only within this recording.
    types
        DuckDB types of columns (``{"n": "BIGINT"}``, ``{"beads.n": "BIGINT"}``); a value that is none is rejected.
    strict
        Raise instead of rejecting a row.
    save
        Where to keep the recording. None keeps it in a private temporary file, removed when it is closed.
    seq
        A whole number that orders events and logs together.
    notes
        Sentences for the report, of whoever prepared the sources.

    Returns
    -------
    Recording
        Open and read-only.

    Raises
    ------
    LoadError
        A source or column is missing or ambiguous, or, with `strict`, a row can't be loaded.
    """
    from replaykit.recording import open_private, open_recording  # recording itself reads sources.format

    masking = Masking.of(only, drop, mask, mask_key)
    options = _Options(time, kind, id, payload, order, _names(sequence), seq)
    _check_options(options)
    with drafted(save) as draft:
        intake = Intake(draft.connection, dict(types or {}), tz, unit, masking.active, list(notes))
        loading = _Loading(intake, masking, options)
        try:
            loading.events(events)
            for name, log in zip(LOGS, (actions, writes, checks, applications, ticks), strict=True):
                if log is not None:
                    loading.log(name, log)
            if strict:
                refuse([row for _, row in loading.rejects])
            loading.finish(snapshots, {table: _names(columns) for table, columns in (keys or {}).items()}, events)
        except duckdb.Error as error:
            shown = "" if masking.active else f": {excerpt(str(error).splitlines()[0])}"
            raise LoadError(f"The load failed inside DuckDB ({type(error).__name__}){shown}.") from None
        path, private = draft.publish()
    return open_recording(path) if private is None else open_private(path, private)


def _names(names: Names | None) -> tuple[str, ...]:
    return () if names is None else (names,) if isinstance(names, str) else tuple(names)


def _check_options(options: _Options) -> None:
    if options.order not in ("time", "sequence"):
        raise LoadError(f"order={excerpt(options.order)} is unknown; expected 'time' or 'sequence'.")
    if options.order == "sequence" and not options.sequence:
        raise LoadError("order='sequence' needs sequence=, the column or columns to order by.")


class _Loading:
    """One load under way: its plans, rejects and the names it saw."""

    def __init__(self, intake: Intake, masking: Masking, options: _Options) -> None:
        self.intake = intake
        self.masking = masking
        self.options = options
        self.plans: list[Ordered] = []
        self.names: set[str] = set()
        self.role_names: dict[str, str] = {}

    @property
    def rejects(self) -> list[tuple[str, Unreadable]]:
        return [(plan.name, row) for plan in self.plans for row in plan.rejects]

    def events(self, source: Any) -> None:
        """Read, check and write the events."""
        table = read(source, "events", self.intake)
        self.names |= {column.name for column in table.columns}
        if not table.columns and not table.read:
            self._no_events()
            return
        options = self.options
        table, roles = resolve(
            table, self.intake, time=options.time, kind=options.kind, id=options.id, payload=options.payload
        )
        self._name_roles(roles)
        for name in options.sequence:
            named(table, name, "sequence")
        if options.seq:
            self.role_names["seq"] = named(table, options.seq, "seq").name
        self._protect(roles)
        table = self._treated(table, roles)
        at = read_time(table, roles.within(table).time, self.intake, self.intake.tz, self.intake.unit)
        table, checks = cast_columns(at.table, "events", self.intake)
        roles = roles.within(table)
        plan = Ordered("events", table, at, roles.kind, roles.payload, roles.id, with_id=True)
        plan.checks = [*checks, *roles.checks()]
        plan.seq = table.column(options.seq) if options.seq else None
        plan.used = [*roles.names(), *([options.seq] if options.seq else [])]
        plan.sequence = self._sequence(table)
        plan.order = plan.sequence if options.order == "sequence" else ()
        write_ordered(plan, self.intake, self.masking.active)
        survey_times(plan, self.intake)
        survey_sequence(plan, self.intake)
        survey_ids(self.intake, roles.id is not None)
        self.plans.append(plan)

    def _treated(self, table: SourceTable, roles: Roles) -> SourceTable:
        keep = [*roles.names(), *self.options.sequence, *([self.options.seq] if self.options.seq else [])]
        payload = roles.payload.name if roles.payload else None
        return self.masking.apply(table, self.intake, name="events", keep=keep, payload=payload)

    def _name_roles(self, roles: Roles) -> None:
        found = {"time": roles.time, "kind": roles.kind, "id": roles.id, "payload": roles.payload}
        self.role_names = {part: column.name for part, column in found.items() if column is not None}

    def _sequence(self, table: SourceTable) -> tuple[Column, ...]:
        return tuple(self._sortable(table, named(table, name, "sequence")) for name in self.options.sequence)

    def _protect(self, roles: Roles) -> None:
        placing = [roles.time.name, *self.options.sequence, *([self.options.seq] if self.options.seq else [])]
        self.masking.protect(placing, "events")

    def _sortable(self, table: SourceTable, column: Column) -> Column:
        if column.type != "VARCHAR" or column.name in self.intake.types:
            return column
        whole = f"regexp_full_match({column.sql}, '-?[0-9]{{1,18}}')"
        ((numeric, filled),) = self.intake.rows(
            f"SELECT coalesce(bool_and({whole}), false), count({column.sql}) FROM {table.relation}"
        )
        if not (numeric and filled):
            return column
        self.intake.note(
            f"events: sequence {column.name!r} is text that holds whole numbers; it was ordered as numbers "
            f"(types={{{column.name!r}: 'VARCHAR'}} orders it as text)."
        )
        return Column(column.name, f"TRY_CAST({column.sql} AS BIGINT)", "BIGINT")

    def _no_events(self) -> None:
        self.intake.note("The source of events is empty; the recording holds no events.")
        self.intake.connection.execute(
            "CREATE TABLE events (position BIGINT, occurred_at TIMESTAMP, kind VARCHAR, event_id VARCHAR, payload JSON)"
        )

    def log(self, name: str, log: Log) -> None:
        """Read, check and write one recorded log."""
        plan = write_log(name, log, self.intake, self.masking)
        self.names |= {column.name for column in plan.table.columns}
        survey_times(plan, self.intake)
        self.plans.append(plan)

    def finish(self, snapshots: Iterable[Snapshot], keys: Mapping[str, Sequence[str]], events: Any) -> None:
        """Write snapshots, rejects and meta; refuse rules that matched nothing."""
        found, names, ordered = write_snapshots(tuple(snapshots), keys, events, self.intake, self.masking)
        write_rejects(self.rejects, self.intake)
        self.masking.check_used(sorted(self.names | names))
        _check_types(self.intake, self.names | names)
        if self.masking.active:
            self.intake.note(f"Kept out: {self.masking.describe()}.")
        columns = next((list(plan.columns.values()) for plan in self.plans if plan.name == "events"), [])
        write_meta(
            self.intake.connection,
            {
                "order": self.options.order,
                "sequence": list(self.options.sequence),
                "roles": self.role_names,
                "columns": columns,
                "keys": {table: list(names) for table, names in found.items()},
                "report": self.report().to_dict(),
                "tz": self.intake.tz or "UTC",
                "logs": [plan.name for plan in self.plans if plan.name != "events"],
                "ordered": ordered,
            },
        )

    def report(self) -> Report:
        """Return what happened so far."""
        sources = {
            plan.name: {"read": plan.table.read, "loaded": plan.loaded, "rejected": len(plan.rejects)}
            for plan in self.plans
        }
        reasons: dict[str, int] = {}
        for _, row in self.rejects:
            reasons[row.reason] = reasons.get(row.reason, 0) + 1
        total = {part: sum(numbers[part] for numbers in sources.values()) for part in ("read", "loaded", "rejected")}
        return Report(
            **total, sources=sources, reasons=dict(sorted(reasons.items())), counts=dict(self.intake.counts),
            roles=self.role_names, notes=tuple(self.intake.notes),
        )  # fmt: skip


def _check_types(intake: Intake, names: set[str]) -> None:
    """Refuse types= for columns no source has: a misspelt one would pass for text in silence."""
    unused = [name for name in intake.types if name not in names and name.partition(".")[2] not in names]
    if unused:
        raise LoadError(f"types= names {one_of(unused)}, which no source has; the columns are {one_of(sorted(names))}.")
