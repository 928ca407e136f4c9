"""Made up: events and rows that show whether a program takes what it may meet."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from replaykit.inputs import Event

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replaykit.rows import ColumnType
    from replaykit.state_table import StateTable

__all__ = ["events_for", "rows_for"]

_HARD: dict[str, tuple[Any, Any]] = {
    "VARCHAR": ("ünïcode ☃ \"quoted\" 'text' \\ \n \U0001f600", ""),
    "TEXT": ("ünïcode ☃", ""),
    "STRING": ("ünïcode ☃", ""),
    "JSON": ('{"a":[1,null]}', "{}"),
    "UUID": ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"),
    "BOOLEAN": (True, False),
    "DOUBLE": (0.1, -1e300),
    "FLOAT": (0.5, -2.0),
    "REAL": (0.5, -2.0),
    "TIMESTAMP": (datetime(2026, 3, 26, 6, 0, 0, 123456), datetime(1969, 12, 31)),
    "DATE": (date(2026, 3, 26), date(1969, 12, 31)),
    "TIME": (time(6, 0, 0, 123456), time(0)),
    "INTERVAL": (timedelta(days=400, microseconds=1), timedelta(0)),
    "BLOB": (b"\x00\xff", b""),
    "BIGINT": (2**53 + 1, -(2**63)),
    "DECIMAL": (Decimal("0.5"), Decimal(0)),
}


def events_for(kinds: Sequence[str], given: Sequence[Mapping[str, Any]], begin: datetime) -> list[Event]:
    """Return the given events, or one of each kind without a payload, a minute apart."""
    found = []
    for number, one in enumerate(given or [{"kind": kind} for kind in kinds]):
        at = begin + timedelta(minutes=number)
        cells = {
            "position": number + 1,
            "occurred_at": datetime.fromisoformat(one["occurred_at"]).replace(tzinfo=None)
            if "occurred_at" in one
            else at,
            "kind": one["kind"],
            "event_id": one.get("id", f"made-up-{number + 1}"),
            "payload": json.dumps(one.get("payload", {})),
        }
        found.append(Event({**one.get("columns", {}), **cells}))
    return found


def rows_for(table: StateTable) -> list[dict[str, Any]]:
    """Return rows with hard values in all columns, and one that is NULL outside of its key."""
    first = {name: _hard(kind)[0] for name, kind in table.types.items()}
    second = {name: _hard(kind)[1] for name, kind in table.types.items()}
    return [first, {name: second[name] if name in table.key else None for name in table.types}]


def _hard(kind: ColumnType) -> tuple[Any, Any]:
    family = kind.sql.upper().partition("(")[0].strip()
    family = {"TIMESTAMP_NS": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP", "TIMESTAMP_S": "TIMESTAMP"}.get(family, family)
    if family in _HARD:
        return _HARD[family]
    return ("0.5", "0") if family == "NUMERIC" else (kind.high, kind.low)
