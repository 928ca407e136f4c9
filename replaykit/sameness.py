"""Sameness: when what a replay gave is what production logged, though one is Python's and the other was JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

__all__ = ["Forms", "identity", "same"]


def identity(kind: str, fields: Mapping[str, Any]) -> str:
    """Return the text by which an action, or a breach, is the same as another: kind and fields, in any order.

    As in JSON, 1 is 1.0 (and True is neither).
    """
    return kind + canonical(fields)


def canonical(value: Any) -> str:
    """Return a value as JSON text that is the same for values that are the same in JSON."""
    return json.dumps(_plain(value), sort_keys=True, default=str, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.isoformat() if isinstance(value, date) else value


def same(mine: Any, theirs: Any) -> bool:
    """Return whether a value a replay gave is what was recorded, where times and JSON may be text."""
    if canonical(mine) == canonical(theirs):
        return True
    if isinstance(mine, datetime):
        return canonical(_time(theirs)) == canonical(mine)
    return isinstance(theirs, (Mapping, list)) and canonical(_loaded(mine)) == canonical(theirs)


class Forms:
    """Fields that a replay's actions hold in another form than JSON does: times, and text that is JSON itself."""

    def __init__(
        self, emitted: Iterable[tuple[str, Mapping[str, Any]]], recorded: Iterable[tuple[str, Mapping[str, Any]]]
    ) -> None:
        self._times = {(kind, name) for kind, fields in emitted for name in fields if _is_time(fields[name])}
        self._nested = {(kind, name) for kind, fields in recorded for name in fields if _is_nested(fields[name])}

    def identity(self, kind: str, fields: Mapping[str, Any]) -> str:
        """Return the identity of an emitted or recorded action, with these fields in one form."""
        if not self._times and not self._nested:
            return identity(kind, fields)
        return identity(kind, {name: self._formed(kind, name, value) for name, value in fields.items()})

    def _formed(self, kind: str, name: str, value: Any) -> Any:
        if (kind, name) in self._times:
            return _time(value)
        return _loaded(value) if (kind, name) in self._nested else value


def _is_time(value: Any) -> bool:
    return isinstance(value, datetime)


def _is_nested(value: Any) -> bool:
    return isinstance(value, (Mapping, list))


def _time(value: Any) -> Any:
    """Return text that is a time as naive UTC; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return value
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


def _loaded(value: Any) -> Any:
    """Return text that is JSON as what it says; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
