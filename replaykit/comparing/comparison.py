"""Comparison: two reconcilers over one or many recordings, as a value: one line, a table, HTML, JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replaykit.display import brief, count, is_empty, note_html, show_text, table_html
from replaykit.errors import QueryError, VerdictError, excerpt, show_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from replaykit.comparing.cases import Case

__all__ = ["Comparison"]

_SHOWN = 5


@dataclass(frozen=True, repr=False, eq=False)
class Comparison:
    """What two reconcilers did with each recording and window. ``len()`` counts the cases that differ.

    ``found[0]`` or ``found["incident-7"]`` is the `Case` of one; iterating gives them all, in the order given.
    """

    cases: tuple[Case, ...]
    old: str
    """Name and digest of the old reconciler."""
    new: str
    changed: tuple[str, ...] = ()
    """What the reconcilers differ in: parameters with both values, rules and handlers by name."""

    def __len__(self) -> int:
        return len(self.differing)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def __getitem__(self, which: int | str) -> Case:
        if isinstance(which, int) and -len(self.cases) <= which < len(self.cases):
            return self.cases[which]
        named = [one for one in self.cases if one.name == which]
        if not named:
            raise QueryError(
                f"The comparison has no case {excerpt(which)}; its {len(self.cases)} are "
                f"{[one.name for one in self.cases[:_SHOWN]]}{' and more' if len(self.cases) > _SHOWN else ''}."
            )
        return named[0]

    @property
    def identical(self) -> bool:
        """Whether every case is identical."""
        return not self.differing

    @property
    def differing(self) -> tuple[Case, ...]:
        """The cases that are not identical, those that could not be compared among them."""
        return tuple(one for one in self.cases if not one.identical)

    @property
    def first(self) -> Case | None:
        """The case that differs at the earliest time of all; None if none does."""
        timed = [(one.at, number) for number, one in enumerate(self.cases) if one.at is not None and not one.identical]
        return self.cases[min(timed)[1]] if timed else None

    @property
    def sentence(self) -> str:
        """One line, as for a pull request."""
        if len(self.cases) == 1:
            return str(self.cases[0]) if self.cases[0].name else self.cases[0].sentence
        differing, failed = self.differing, [one for one in self.cases if one.error]
        parts = [count(len(self.cases), "case"), f"{len(self.cases) - len(differing):,} identical"]
        if len(differing) > len(failed):
            number = len(differing) - len(failed)
            parts.append(f"{number:,} {'differs' if number == 1 else 'differ'}")
        parts += [f"{len(failed):,} could not be compared"] if failed else []
        first = self.first
        if first is None or first.at is None:
            return ", ".join(parts)
        rule = f" in rule {show_text(first.first.rule, 60)}" if first.first else ""
        parts.append(f"first at {show_time(first.at)} of {show_text(first.name, 60)}{rule}: {first.changes}")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return brief("Comparison", self.sentence)

    def __str__(self) -> str:
        return self.sentence

    @property
    def table(self) -> pd.DataFrame:
        """One row per case: name, window, events, ticks, whether identical, when and by which rule they first differ.

        Then what is fewer or more in words, each outcome's difference, and the error where it could not be compared.
        """
        import pandas as pd

        rows = [_row(one) for one in self.cases]
        frame = pd.DataFrame(rows)
        return frame.astype(dict.fromkeys(["start", "end", "at"], "datetime64[us]"))

    @property
    def rules(self) -> pd.DataFrame:
        """One row per rule, its counts summed over all cases; see `Case.rules`."""
        import pandas as pd

        every = pd.concat([one.rules for one in self.cases], ignore_index=True)
        return every.groupby("rule", sort=False, as_index=False).sum()

    def _repr_html_(self) -> str:
        parts = [note_html(self.sentence, 1_000)]
        if self.changed:
            parts.append(note_html(f"The reconcilers differ in {', '.join(self.changed)}.", 1_000))
        if len(self.cases) > 1:
            parts.append(table_html(self.table, caption="Cases", limit=50, more=".table"))
        shown = self.cases if len(self.cases) == 1 else self.differing[:_SHOWN]
        return "\n".join([*parts, *(one._repr_html_() for one in shown)])

    def to_json(self, *, indent: int | None = None) -> str:
        """Return the comparison as JSON text: sentence, both digests, and every case with its tables."""
        found = {
            "sentence": self.sentence,
            "identical": self.identical,
            "old": self.old,
            "new": self.new,
            "changed": list(self.changed),
            "cases": [_object(one) for one in self.cases],
        }
        return json.dumps(_plain(found), ensure_ascii=False, indent=indent, default=str, allow_nan=False)

    def raise_for_differences(self) -> Comparison:
        """Return this if every case is identical; otherwise raise a VerdictError that says the first difference."""
        if not self.identical:
            raise VerdictError(f"{self.sentence}. See .table, and [name] for one case.")
        return self


def _row(one: Case) -> dict[str, Any]:
    start, end = one.window.bounds()
    return {
        "name": one.name,
        "start": start,
        "end": end,
        "events": one.events,
        "ticks": one.ticks,
        "identical": one.identical,
        "at": one.at,
        "rule": one.first.rule if one.first else None,
        "changes": "" if one.identical or one.error else one.changes,
        **dict(zip(one.outcomes["outcome"], one.outcomes["difference"], strict=True)),
        "error": one.error,
    }


def _object(one: Case) -> dict[str, Any]:
    first = None
    if one.first is not None:
        first = {
            "difference": one.first.difference,
            "tick": one.first.tick,
            "at": show_time(one.first.at),
            "rule": one.first.rule,
            "kind": one.first.kind,
            "fields": dict(one.first.fields),
            "explained": one.first.explained,
            "stopped": one.first.stopped,
            "cells": _records(one.first.cells),
        }
    return {
        "name": one.name,
        "window": [show_time(bound) for bound in one.window.bounds()],
        "events": one.events,
        "ticks": one.ticks,
        "identical": one.identical,
        "sentence": one.sentence,
        "first": first,
        "state": None if one.fork is None else {"step": one.fork.step, "at": show_time(one.fork.at)},
        "rules": _records(one.rules),
        "actions": _records(one.actions),
        "violations": _records(one.violations),
        "outcomes": _records(one.outcomes),
        "error": one.error,
    }


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: no NaN, times in full, bytes as hexadecimal, names as text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if is_empty(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, datetime):
        return show_time(value)
    return value.item() if type(value).__module__ == "numpy" else value


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows."""
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False, name=None)]
