"""Violations: the frame of a replay's breaches, which can tell its messages and remembers what was muted in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.api.types import is_bool_dtype, is_integer

from replaykit.display import count, is_empty, note_html, show_text, table_html
from replaykit.errors import QueryError, excerpt
from replaykit.messages import MESSAGE, READ, Looked, messages

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

__all__ = ["Mute", "Violations"]

_MUTE = {"reason": "str", "predicate": "str", "episodes": "int64", "ticks": "int64"}
_NOTES = 10

_Predicate = str | Mapping[str, Any] | Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Mute:
    """One call of `Violations.mute`: what it left out, and why."""

    reason: str
    """Why; empty if nobody said."""
    predicate: str
    """What was muted, as text."""
    rows: pd.DataFrame = field(repr=False)
    """The episodes left out."""

    @property
    def ticks(self) -> int:
        """In how many ticks they were seen, together."""
        return int(self.rows["ticks"].sum())

    @property
    def sentence(self) -> str:
        """The mute in one sentence."""
        what = show_text(self.reason or self.predicate, 200)
        if not len(self.rows):
            return f"muted: nothing matches: {what}"
        return f"muted: {count(self.ticks, 'tick')} in {count(len(self.rows), 'episode')}: {what}"


class Violations(pd.DataFrame):
    """Breaches of invariants, one row per episode, in order of opening. A DataFrame that can tell its messages.

    Filtered, copied and pickled frames stay Violations; `changes` speaks of the rows that are left.
    """

    _metadata = ["_looked", "_mutes"]  # noqa: RUF012 - pandas asks for a list of names here
    _looked: Looked | None = None
    _mutes: tuple[Mute, ...] = ()

    @property
    def _constructor(self) -> type[Violations]:
        return Violations

    def changes(self, clean: int = 3) -> pd.DataFrame:
        """Return the messages one would send about these rows: one when a breach opens, one when it has closed.

        A breach has closed at the last of `clean` ticks in a row at which its invariant was asked and held; one that
        comes back sooner goes on, and no message tells of it. Nothing closes over missing data: a tick at which the
        invariant raised ends such a row of ticks, and what was not clean for long enough by the last tick stays open.
        Rows that were muted or filtered out count as clean.

        Parameters
        ----------
        clean
            How many clean ticks close a breach.

        Returns
        -------
        DataFrame
            One row per message, ordered by tick; at one tick, closings first, then by violation. ``what`` (``opened``,
            ``closed``, or ``open at start`` if it was there when first asked), ``invariant``, ``entity``, ``tick`` and
            ``at`` (when the message would be sent), ``ticks`` (at how many it was seen broken by then), ``lasted``
            (from the first tick that saw it to the first that no longer did; 0 while opening), ``text``, and
            ``violation`` (the row it began with). ``attrs["muted"]`` lists what was muted.

        Raises
        ------
        QueryError
            `clean` is no whole number from 1, a column is missing, or the frame does not know its ticks, as one made
            from several does not, nor one of recorded ticks whose numbers do not ascend.
        """
        if not is_integer(clean) or clean < 1:
            raise QueryError(f"clean={excerpt(clean)}: expected a whole number of ticks from 1.")
        _need(self, READ)
        if self._looked is None:
            raise QueryError(
                "These violations don't know the ticks they were found at. Ask run.violations.changes() of one replay, "
                "whose ticks have ascending numbers."
            )
        rows = messages(self, self._looked, clean) if len(self) else []
        frame = pd.DataFrame(rows, columns=list(MESSAGE)).astype(MESSAGE)
        frame.attrs["muted"] = self.mutes.to_dict("records")
        return frame

    def mute(self, predicate: _Predicate, reason: str = "") -> Violations:
        """Return these violations without those that match, and keep account of what was left out.

        Parameters
        ----------
        predicate
            Text as for ``DataFrame.query`` (``"invariant == 'idle' and ticks < 3"``), a function from a row to bool, or
            a mapping of columns to a value or several (``{"invariant": "idle", "entity": ["a", "b"]}``; None is
            missing).
        reason
            Why, in your words; shown below the table.

        Returns
        -------
        Violations
            `muted`, `mutes` and the display say what is missing from it.

        Raises
        ------
        QueryError
            A column is not there, or the predicate can't be read or asked.
        """
        _need(self, ["ticks"])
        text, hit = _matched(self, predicate)
        kept: Violations = self[~hit]
        kept._mutes = (*self._mutes, Mute(str(reason), text, pd.DataFrame(self[hit])))
        return kept

    @property
    def mutes(self) -> pd.DataFrame:
        """One row per mute, in order: ``reason``, ``predicate``, ``episodes`` and ``ticks`` left out."""
        rows = [(one.reason, one.predicate, len(one.rows), one.ticks) for one in self._mutes]
        return pd.DataFrame(rows, columns=list(_MUTE)).astype(_MUTE)

    @property
    def muted(self) -> pd.DataFrame:
        """The episodes that were muted, with the ``reason`` and ``predicate`` of the mute that took them."""
        taken = [one.rows.assign(reason=one.reason, predicate=one.predicate) for one in self._mutes if len(one.rows)]
        return pd.concat(taken or [pd.DataFrame(self[:0]).assign(reason="", predicate="")], ignore_index=True)

    @property
    def sentence(self) -> str:
        """How many there are, of how many invariants and how many of them open, as far as the columns tell; no stop."""
        parts = [count(len(self), "violation")]
        if len(self) and "invariant" in self.columns:
            parts[0] += f" of {count(self['invariant'].nunique(), 'invariant')}"
        if len(self) and "closed_at" in self.columns:
            parts.append(f"{int(self['closed_at'].isna().sum()):,} still open")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *self._notes()])

    def _repr_html_(self) -> str | None:
        if "violation" not in self.columns:  # some of the columns, or what pandas made of them
            table: str | None = super()._repr_html_()  # type: ignore[misc]
        else:
            rows = table_html(pd.DataFrame(self), caption="Violations", limit=50, more=".iloc[50:], .to_csv()")
            table = f"{note_html(self.sentence + '.')}\n{rows}"
        return None if table is None else "\n".join([table, *map(note_html, self._notes())])

    def _notes(self) -> list[str]:
        told = [one.sentence for one in self._mutes[:_NOTES]]
        more = len(self._mutes) - _NOTES
        return [*told, f"… {count(more, 'more mute')}: .mutes"] if more > 0 else told


def _need(frame: pd.DataFrame, columns: Iterable[Hashable]) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise QueryError(f"The violations have no column {excerpt(missing[0])}; their columns are {_names(frame)}.")


def _names(frame: pd.DataFrame) -> str:
    return ", ".join(map(str, frame.columns[:40]))


def _matched(frame: pd.DataFrame, predicate: _Predicate) -> tuple[str, Any]:
    """Return a predicate as text, and for each row whether it matches."""
    if isinstance(predicate, str):
        return predicate, _queried(frame, predicate)
    if isinstance(predicate, Mapping) and predicate:
        _need(frame, predicate)
        hit = pd.Series(True, index=frame.index)
        for name, value in predicate.items():
            hit &= frame[name].map(_equals(value)).astype(bool)
        return " and ".join(f"{name} = {excerpt(_ordered(value))}" for name, value in predicate.items()), hit
    if callable(predicate):
        return str(getattr(predicate, "__name__", type(predicate).__name__)), _asked(frame, predicate)
    raise QueryError(f"predicate is {excerpt(predicate)}; expected a query text, a function of a row, or a mapping.")


def _ordered(value: Any) -> Any:
    return sorted(value, key=repr) if isinstance(value, AbstractSet) else value


def _queried(frame: pd.DataFrame, text: str) -> Any:
    try:
        # Level 3 is who called mute(), whose variables stand in the text as @name.
        hit: Any = pd.DataFrame(frame).eval(text, engine="python", level=3)
    except Exception as exc:
        raise QueryError(
            f"mute({excerpt(text)}) can't be asked: {type(exc).__name__}: {excerpt(str(exc))}. The columns are "
            f"{_names(frame)}."
        ) from exc
    if not isinstance(hit, pd.Series) or not is_bool_dtype(hit):
        raise QueryError(f"mute({excerpt(text)}) says nothing about rows; compare a column, of {_names(frame)}.")
    return hit.fillna(False).astype(bool)


def _equals(wanted: Any) -> Callable[[Any], bool]:
    several = list(wanted) if isinstance(wanted, (list, tuple, AbstractSet)) else [wanted]

    def equals(value: Any) -> bool:
        return any(is_empty(value) if is_empty(one) else bool(not is_empty(value) and value == one) for one in several)

    return equals


def _asked(frame: pd.DataFrame, predicate: Callable[[Any], Any]) -> Any:
    found = []
    for place in range(len(frame)):
        try:
            found.append(bool(predicate(frame.iloc[place])))
        except Exception as exc:
            raise QueryError(
                f"The predicate of mute() raised {excerpt(exc)} at row {place}; it is asked about one row, whose "
                f"columns are {_names(frame)}."
            ) from exc
    return pd.Series(found, index=frame.index, dtype=bool)
