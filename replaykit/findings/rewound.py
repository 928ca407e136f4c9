"""rewind: a state table taken back to an earlier moment, by undoing an audit table of old and new values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.display import count, note_html, table_html
from replaykit.errors import QueryError, excerpt, show_time
from replaykit.findings.frame_times import column_times, moment_in, need_columns

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from replaykit.recording import Recording

__all__ = ["Rewound", "rewind", "rewind_snapshot"]


@dataclass(frozen=True, eq=False, repr=False)
class Rewound:
    """A state table as it was at an earlier moment, as far as an audit table tells."""

    frame: pd.DataFrame
    """The table's rows that existed at ``at``, in the table's order, audited columns undone. The other columns are as
    in the table given, which is later."""
    at: datetime
    """The moment, naive UTC; entries at exactly this time are kept."""
    conflicts: pd.DataFrame
    """Writes nobody logged, each between two neighbouring entries of one cell (or the last entry and the table):
    ``entity``, ``column``, ``after`` (time of the entry before), ``before`` (of the next; NaT is the table itself),
    ``logged`` (the value the entry before left), ``found`` (the value the next one met) and ``misses``."""
    created_later: int
    """Rows left out because they were created after ``at``."""

    @property
    def misses(self) -> pd.DataFrame:
        """The conflicts around ``at``: cells whose value there nobody can tell.

        It was ``logged`` or ``found``, or one that unlogged writes left in between; the frame holds ``found``. A cell
        with an unlogged write and no entry before it can't be listed.
        """
        return self.conflicts[self.conflicts["misses"]].drop(columns="misses").reset_index(drop=True)

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        uncertain = count(len(self.misses), "uncertain cell")
        return f"Rewound({count(len(self.frame), 'row')} at {show_time(self.at)}, {uncertain})"

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        return (
            f"{len(self.frame):,} rows as of {show_time(self.at)} ({self.created_later:,} were created later); "
            f"{len(self.misses):,} cells uncertain there, and {len(self.conflicts):,} writes in all that nobody logged."
        )

    def _repr_html_(self) -> str:
        rows = table_html(self.frame, caption=f"Rows as of {show_time(self.at)}", limit=20, more=".frame")
        parts = [note_html(self.sentence), rows]
        if len(self.misses):
            parts.append(table_html(self.misses, caption="Uncertain cells", limit=20, more=".misses"))
        return "\n".join(parts)


def rewind(
    table: pd.DataFrame,
    audit: pd.DataFrame,
    *,
    at: Any,
    key: str = "id",
    entity: str | None = None,
    column: str | Mapping[str, str],
    kind: str | None = None,
    old: str = "old_value",
    new: str = "new_value",
    time: str = "created_at",
    created: str | None = None,
) -> Rewound:
    """Undo an audit table of old and new values, from the newest entry backwards, to a moment.

    The value at `at` is the old value of the first later entry of that cell, or the table's if there is none. Entries
    with the same time count in the order of their rows. Values are compared and restored as text where the types of
    table and audit differ.

    Parameters
    ----------
    table
        State now, one row per `key`.
    audit
        One row per logged write. Entries of entities that are not in `table` are ignored.
    at
        ISO 8601 text or datetime; a time of day if the audit lies within one day.
    entity
        The audit's column that names the row written; None is `key`.
    column
        The column of `table` that all entries write; or the audit's column that says which; or, with `kind`, a
        mapping from audit kinds to columns of `table` (other kinds are ignored).
    kind
        The audit's column of kinds, for a mapping.
    old, new, time
        The audit's columns.
    created
        The table's column of creation times: rows created after `at` are left out. None leaves all in.

    Raises
    ------
    QueryError
        A column is missing, a key is repeated, or a time is missing or unreadable.
    """
    import pandas as pd

    need_columns(table, [key, *([created] if created else [])], "The table")
    need_columns(audit, [entity or key, old, new, time], "The audit table")
    if table[key].duplicated().any():
        repeated = table[key][table[key].duplicated()].iloc[0]
        raise QueryError(f"The table has several rows with {key} {excerpt(repeated)}; rewind needs one row per key.")
    entries = pd.DataFrame(
        {
            "entity": audit[entity or key],
            "column": _written_columns(table, audit, column, kind),
            "time": column_times(audit, time, "The audit table's"),
            "old": audit[old],
            "new": audit[new],
        }
    )
    moment = moment_in(at, entries["time"])
    return _undo(table, entries, moment, key, created)


def rewind_snapshot(
    recording: Recording, table: str, audit: str, *, at: Any, snapshot: int = -1, **options: Any
) -> Rewound:
    """Undo an audit table of a recording, from a state table in a snapshot backwards to a moment.

    Parameters
    ----------
    table
        State table, taken from the snapshot; its one key column is `rewind`'s ``key``.
    audit
        State table of the same snapshot, ``events`` or a recorded log, that holds old and new values.
    snapshot
        Number of the snapshot to start from; negative numbers count from the last.
    options
        As in `rewind`: ``column`` and, where they differ from the defaults, ``kind``, ``entity``, ``old``, ``new``,
        ``time``, ``created``.

    Raises
    ------
    QueryError
        A table or column is not there, or the table's key is not one column.
    """
    from replaykit.window import parse_time

    start = recording.snapshot(snapshot)
    key = recording.keys.get(table, ())
    now = start[table]
    if len(key) != 1 and "key" not in options:
        raise QueryError(f"State table {table!r} has the key {list(key)}; rewind needs one column, given by key=.")
    if audit in recording.state_tables:
        entries = start[audit]
    else:
        entries = recording.events if audit == "events" else recording.log(audit)
    moment = parse_time(at, what="at", span=recording.span)
    return rewind(now, entries, at=moment, **({"key": key[0] if key else None} | options))


def _written_columns(
    table: pd.DataFrame, audit: pd.DataFrame, column: str | Mapping[str, str], kind: str | None
) -> Any:
    """Return for each entry the table's column it wrote, missing where it wrote none."""
    if isinstance(column, Mapping):
        if kind is None:
            raise QueryError("column= is a mapping of audit kinds; name the audit's column of kinds with kind=.")
        need_columns(audit, [kind], "The audit table")
        need_columns(table, list(column.values()), "The table")
        return audit[kind].map(dict(column))
    names = list(table.columns)
    if column in audit.columns and audit[column].isin(names).any():
        return audit[column].where(audit[column].isin(names))
    need_columns(table, [column], "The table")
    return column


def _undo(table: pd.DataFrame, entries: pd.DataFrame, moment: datetime, key: str, created: str | None) -> Rewound:
    entries = entries[entries["column"].notna() & entries["entity"].isin(table[key])]
    entries = entries.sort_values("time", kind="stable").reset_index(drop=True)
    existing = _existing(table, moment, created)
    conflicts = _conflicts(entries, table, moment, key)
    uncertain = conflicts["misses"] & conflicts["entity"].isin(existing[key])
    undone = entries[entries["time"] > moment].drop_duplicates(["entity", "column"], keep="first")
    for column, part in undone.groupby("column", sort=True):
        existing[column] = _restored(existing, key, str(column), part)
    return Rewound(existing, moment, conflicts.assign(misses=uncertain), len(table) - len(existing))


def _existing(table: pd.DataFrame, moment: datetime, created: str | None) -> pd.DataFrame:
    if created is None:
        return table.reset_index(drop=True)
    return table[column_times(table, created, "The table's") <= moment].reset_index(drop=True)


def _restored(table: pd.DataFrame, key: str, column: str, undone: pd.DataFrame) -> pd.Series[Any]:
    """Return a column of the table with the old values in, as the column's type if they all fit it."""
    import pandas as pd

    hit = table[key].isin(undone["entity"])
    old = table.loc[hit, key].map(undone.set_index("entity")["old"])
    was = table[column]
    if pd.api.types.is_numeric_dtype(was) and not pd.api.types.is_bool_dtype(was):
        numbers = pd.to_numeric(old, errors="coerce")
        old = numbers if numbers.notna().eq(old.notna()).all() else old
    whole = was.astype(object)
    whole[hit] = old.astype(object)
    try:
        return whole.astype(was.dtype)
    except (ValueError, TypeError):
        return whole


def _conflicts(entries: pd.DataFrame, table: pd.DataFrame, moment: datetime, key: str) -> pd.DataFrame:
    """Return the neighbouring entries of one cell of which the second did not find what the first had left."""
    cell = entries.groupby(["entity", "column"], sort=False)
    before, found = cell["time"].shift(-1), cell["old"].shift(-1).astype(object)
    last = ~entries.duplicated(["entity", "column"], keep="last")
    for column in sorted(set(entries["column"])):
        here = last & (entries["column"] == column)
        now = table.set_index(key)[column].astype(object)
        found[here] = entries.loc[here, "entity"].map(now).astype(object)
    differs = entries["new"].map(_text) != found.map(_text)
    frame = entries[["entity", "column"]].assign(
        after=entries["time"],
        before=before,
        logged=entries["new"],
        found=found,
        misses=(entries["time"] <= moment) & ~(before <= moment),
    )
    return frame[differs].reset_index(drop=True)


def _text(value: object) -> str:
    """Return a value as text that is the same for 3, 3.0 and "3", and for every form of nothing."""
    from replaykit.display import is_empty

    if is_empty(value):
        return "nothing"
    if isinstance(value, float) and value.is_integer():
        return f"={int(value)}"
    return f"={value}"
