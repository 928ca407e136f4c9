"""Asked: what a row chosen in an explorer lets one ask why of, and the action of which one asks why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from replaykit.display import is_empty
from replaykit.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replaykit.looks import Choice
    from replaykit.replayed import Replay

__all__ = ["Asks", "ask"]

_TAKEN = ("at", "window")  # arguments of why_not


def ask(choice: Choice, run: Replay, view: str, row: Mapping[str, Any], column: str | None = None) -> None:
    """Let a choice ask about a row of a view, and the column if one was chosen; rows of other views change nothing."""
    if view == "Actions":
        choice.asked, choice.asked_column = ("action", int(row["action"])), ""
        choice.why_not_kind, choice.why_not_field = str(row["kind"]), ""
    elif view == "Violations":
        choice.asked, choice.asked_column = ("violation", int(row["violation"]) - 1), ""
    elif view == "State at" or (view == "State diff" and choice.changed and not choice.gross):
        table = choice.table if view == "State at" else choice.changed
        step = choice.step if view == "State at" else run.after_step
        key = tuple(_part(row[name]) for name in run.history.keys[table])
        choice.asked, choice.asked_column = ("cell", step, table, key), _column(run, table, row, column)
    elif view == "State diff":
        table, names = row["table"], run.history.keys[row["table"]]
        parts = tuple(str(row["key"]).split("/", len(names) - 1))
        choice.asked = ("cell", int(row["step"]) if choice.gross else run.after_step, table, parts)
        choice.asked_column = _column(run, table, {}, None if is_empty(row["column"]) else row["column"])


def _part(value: Any) -> Any:
    """Return a part of a key as it can be written down; DuckDB reads the text of any."""
    return value if isinstance(value, int | str) and not isinstance(value, bool) else str(value)


def _column(run: Replay, table: str, row: Mapping[str, Any], chosen: str | None) -> str:
    """Return the column chosen; else the first that the row says was changed, or the first that is not of the key."""
    columns = list(run.history.columns(table))
    if chosen in columns:
        return str(chosen)
    others = [name for name in columns if name not in run.history.keys[table]] or columns
    was = next((one for name, one in row.items() if name.startswith("was") and name not in columns), None)
    changed: Iterable[str] = json.loads(was) if isinstance(was, str) else (
        name for name in others if isinstance(row.get(name), str) and " → " in row[name]
    )  # fmt: skip
    known = set(changed)
    return next((name for name in others if name in known), others[0])


class Asks:
    """The actions that the rules of one replay can emit: kinds, fields, and what was seen in these."""

    def __init__(self, run: Replay) -> None:
        self.run = run
        rules = run.reconciler.rules
        self._keys: dict[str, dict[str, None]] = {}
        self._fields: dict[str, dict[str, None]] = {}
        self._values: dict[str, dict[str, Any]] = {}
        for _, kind, fields, name in run.emitted:
            self._add(kind, [field for field in rules[name].key if field in fields], fields)
            for field in rules[name].key:
                self._values.setdefault(field, {}).setdefault(str(fields.get(field)), fields.get(field))
        for rule in rules.values():
            if rule.statement is not None and (rule.action or rule.name) not in self._fields:
                self._add(rule.action or rule.name, rule.key, ())

    def _add(self, kind: str, key: Iterable[str], fields: Iterable[str]) -> None:
        self._keys.setdefault(kind, {}).update(dict.fromkeys(key))
        self._fields.setdefault(kind, {}).update(dict.fromkeys([*key, *fields]))

    @property
    def kinds(self) -> list[str]:
        """Kinds that were emitted in this replay, and those of rules in SQL, sorted."""
        return sorted(self._fields)

    def fields(self, kind: str) -> list[str]:
        """Return the fields by which one can ask for a kind: those of its rules' keys first."""
        return [name for name in self._fields.get(kind, ()) if name not in _TAKEN]

    def columns(self, asked: tuple[Any, ...]) -> list[str]:
        """Return the columns among which to choose where a cell is asked about."""
        try:
            return list(self.run.history.columns(asked[2])) if asked[:1] == ("cell",) else [""]
        except QueryError:
            return [""]

    def field_of(self, kind: str, entity: str) -> str:
        """Return the field of a kind in which an entity was seen; else the first."""
        keys = [name for name in self._keys.get(kind, ()) if name not in _TAKEN] or self.fields(kind)
        for texts in ([entity], entity.split("/")):
            for field in keys:
                if any(text in self._values.get(field, {}) for text in texts):
                    return field
        return keys[0] if keys else ""

    def value(self, field: str, entity: str) -> Any:
        """Return the value that a field has for an entity: seen under its text, or under a part of that."""
        seen = self._values.get(field, {})
        for text in (entity, *entity.split("/")):
            if text in seen:
                return seen[text]
        numbers = bool(seen) and all(type(value) is int for value in seen.values())
        return int(entity) if numbers and entity.lstrip("-").isdecimal() else entity

    def settle(self, choice: Choice) -> None:
        """Make what a choice asks fit this replay and the entity in focus."""
        if choice.why_not_kind not in self._fields:
            choice.why_not_kind = next(iter(self.kinds), "")
        if choice.why_not_field not in self.fields(choice.why_not_kind):
            choice.why_not_field = ""
        entity = choice.focus.entity
        if entity is None:
            choice.why_not_fields = {}
            return
        field = choice.why_not_field or self.field_of(choice.why_not_kind, entity)
        choice.why_not_fields = {field: self.value(field, entity)} if field else {}
