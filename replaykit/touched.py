"""Touched: everything one event, step or applied action changed, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replaykit.causes import cause_text
from replaykit.churn import changes_of
from replaykit.display import brief, count, note_html, show_value, table_html
from replaykit.errors import QueryError, excerpt, show_time
from replaykit.later import later_of
from replaykit.lifelines import lifelines, written_at
from replaykit.sql import quote

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from replaykit.history import History

__all__ = ["Touched", "touched"]

_END = 2**62  # behind every step


@dataclass(frozen=True, repr=False, eq=False)
class Touched:
    """Everything one event, step or applied action changed. Its length is the number of changes."""

    what: str
    """What was asked about, in words."""
    steps: tuple[int, ...]
    """The steps that applied it: several where an event was applied several times."""
    at: tuple[datetime, ...]
    """The clock at each of them, naive UTC."""
    changes: pd.DataFrame
    """One row for each change of a cell, insertion or deletion, with the columns and in the order of
    `replaykit.churn.churn`; ``kept`` says whether it is still so after the replay's last step."""
    rows: pd.DataFrame
    """One row for each row touched: ``table``, ``key``, ``changes`` (which, and of which columns), ``kept`` (how many
    of them are still so)."""
    later: pd.DataFrame
    """What became of each of `changes`, row by row in the same order: ``step``, ``table``, ``key``, ``change``,
    ``column``, then the next write of that cell: ``until`` (its step; missing: there was none), ``until_at``,
    ``lasted``, ``input``, ``caused_by``, ``event_id``, ``action``, ``wrote`` (``update``, ``delete``, ``insert``) and
    ``then``, the cell's next value as text. For an insertion it is the row's next write, for a deletion the next
    insertion of the same key.

    Later steps that only read what was written are not in it: reads of handlers are not recorded."""

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        where = f"step {self.steps[0]:,}, {show_time(self.at[0])}"
        if len(self.steps) > 1:
            where = f"{len(self.steps):,} steps, {self.steps[0]:,} to {self.steps[-1]:,}"
        if not len(self):
            return f"{self.what} changed nothing ({where})."
        kinds = self.changes["change"].value_counts()
        parts = [
            f"{verb} {count(int(kinds[kind]), noun)}"
            for kind, verb, noun in (
                ("update", "changed", "cell"), ("insert", "inserted", "row"), ("delete", "deleted", "row")
            )
            if kind in kinds
        ]  # fmt: skip
        kept = int(self.changes["kept"].sum())
        named = [show_value(name, 40) for name in self.rows["table"].unique()]
        tables = ", ".join(named[:3]) + (f" and {count(len(named) - 3, 'more table')}" if len(named) > 3 else "")
        still = f"{kept:,} of {count(len(self), 'change')} {'is' if kept == 1 else 'are'} still so at the end"
        return f"{self.what} {', '.join(parts)} in {tables} ({where}); {still}."

    def __len__(self) -> int:
        return len(self.changes)

    def __repr__(self) -> str:
        return brief("Touched", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        parts = [note_html(self.sentence)]
        if len(self):
            parts.append(table_html(self.rows, caption="Rows touched", limit=20, more=".rows"))
            shown = self.changes.drop(columns=["applied_at", "event_id", "caused_by"])
            parts.append(table_html(shown, caption="Changes", limit=50, more=".changes"))
            parts.append(table_html(self.later, caption="What became of them", limit=50, more=".later"))
        return "\n".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Return `changes`, as a frame of its own."""
        return self.changes.copy()


def touched(
    history: History, *, event: str | None = None, step: int | None = None, action: int | None = None
) -> Touched:
    """Return everything that one event, step or applied action changed.

    Parameters
    ----------
    event
        An event's id: everything its applications changed, where it was applied several times.
    step
        A step's number, from 1.
    action
        A number in ``run.actions``, where a step applied that action: with ``actions="apply"``, or recorded ones.

    Raises
    ------
    QueryError
        None or several were given, or no step applied that event or action; the message says what there is.
    """
    if [event, step, action].count(None) != 2:
        raise QueryError("touched() takes exactly one of event=, step= and action=.")
    steps = _steps(history, event, step, action)
    listed = ", ".join(map(str, steps))
    caused = history.fetch(
        f"SELECT input, kind, event_id, action, tick, applied_at FROM steps WHERE step IN ({listed}) ORDER BY step"
    )
    *cause, _ = caused[0]
    text = cause_text(*cause)
    return _found(history, text[:1].upper() + text[1:], steps, tuple(one[-1] for one in caused))


def _steps(history: History, event: str | None, step: int | None, action: int | None) -> list[int]:
    if event is not None:
        found = history.fetch("SELECT step FROM steps WHERE event_id = $id ORDER BY 1", {"id": str(event)})
        return [one for (one,) in found] or [history.step_of(event)]  # which raises, and says what there is
    if action is not None:
        found = history.fetch("SELECT step FROM steps WHERE action = $action ORDER BY 1", {"action": int(action)})
        if not found:
            raise QueryError(f"No step applied action {excerpt(action)}; {_applied(history)}")
        return [one for (one,) in found]
    ((last,),) = history.fetch("SELECT coalesce(max(step), 0) FROM steps")
    number = int(step or 0)
    if not 1 <= number <= last:
        raise QueryError(f"There is no step {step} that changed anything; this replay has steps 1 to {last:,}.")
    return [number]


def _applied(history: History) -> str:
    ((count_, least, most),) = history.fetch("SELECT count(action), min(action), max(action) FROM steps")
    if not count_:
        return "none of this replay's steps applied an emitted action. Replay with actions='apply' to close the loop."
    return f"{count_:,} of the actions of this replay were applied, with numbers from {least:,} to {most:,}."


def _found(history: History, what: str, steps: list[int], at: tuple[datetime, ...]) -> Touched:
    import pandas as pd

    lives = lifelines(history, steps[0] - 1, _END, _tables(history, steps), touching=steps)
    changes = changes_of(history, lives, steps)
    texts: dict[tuple[str, str], list[Any]] = {}
    for table, key, change, column, kept in changes[["table", "key", "change", "column", "kept"]].itertuples(
        index=False
    ):
        told = f"{change} {column}" if change == "update" else change
        row = texts.setdefault((table, key), [{}, 0])
        row[0][told] = None
        row[1] += bool(kept)
    rows = [(table, key, _told(list(row[0])), row[1]) for (table, key), row in texts.items()]
    frame = pd.DataFrame(rows, columns=["table", "key", "changes", "kept"])
    return Touched(what, tuple(steps), at, changes, frame, later_of(history, lives, steps))


def _told(changes: list[str]) -> str:
    """Return kinds of changes in words: "insert; update status, n"."""
    updated = [one.removeprefix("update ") for one in changes if one.startswith("update ")]
    whole = [one for one in changes if not one.startswith("update ")]
    return "; ".join([*whole, *([f"update {', '.join(updated)}"] if updated else [])])


def _tables(history: History, steps: list[int]) -> list[str]:
    """Return the tables that some of these steps wrote to, in the order declared."""
    names = history.tables
    parts = [
        f"(SELECT * FROM ({written_at(f'SELECT {number} FROM history.{quote(name)}', steps)}) LIMIT 1)"
        for number, name in enumerate(names)
    ]
    return [names[number] for (number,) in history.fetch(f"{' UNION ALL '.join(parts)} ORDER BY 1")] if parts else []
