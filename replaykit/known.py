"""What there is: the part of an error that lists the names nearest to one that does not exist, of bounded length."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from replaykit.errors import excerpt
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replaykit.history import History
    from replaykit.sql import Statement

__all__ = ["like", "listed", "nearest_events", "nearest_keys", "tables_told"]

_LISTED = 20
_NEAR = 3


def listed(names: Iterable[object]) -> str:
    """Return names as a list of at most 20, and how many more there are."""
    texts = [excerpt(name) for name in names]
    more = f" and {len(texts) - _LISTED:,} more" if len(texts) > _LISTED else ""
    return f"[{', '.join(texts[:_LISTED])}]{more}"


def like(name: object, names: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for names that resemble one, "" if none does."""
    near = get_close_matches(str(name), list(names), n=_NEAR)
    return f" Did you mean {' or '.join(map(excerpt, near))}?" if near else ""


def nearest_events(history: History, event: object) -> str:
    """Return which ids of applied events resemble one that was not applied, and how many there are."""
    ((count,),) = history.fetch("SELECT count(DISTINCT event_id) FROM steps")
    if not count:
        return "none of its events has an id"
    rows = history.fetch(
        "SELECT event_id FROM steps WHERE event_id IS NOT NULL GROUP BY event_id "
        f"ORDER BY levenshtein(event_id[:100], $id[:100]), min(step) LIMIT {_NEAR}",
        {"id": str(event)},
    )
    return f"nearest of its {count:,} are {_rows(rows)}"


def nearest_keys(history: History, table: str, key: Any) -> str:
    """Return which keys of a table resemble one that it never held."""
    names = history.keys[table]
    listed_names = ", ".join(map(quote, names))
    text = f"concat_ws('/', {', '.join(f'CAST({quote(name)} AS VARCHAR)' for name in names)})"
    wanted = "/".join(map(str, key)) if isinstance(key, (tuple, list)) else str(key)
    rows = history.fetch(
        f"SELECT {listed_names} FROM history.{quote(table)} GROUP BY {listed_names} "
        f"ORDER BY levenshtein({text}[:100], $key[:100]), min(change) LIMIT {_NEAR}",
        {"key": wanted},
    )
    return f"nearest are {_rows(rows)}" if rows else "it never held any row"


def _rows(rows: list[tuple[Any, ...]]) -> str:
    return ", ".join(excerpt(row[0] if len(row) == 1 else row) for row in rows)


def tables_told(history: History, statement: Statement) -> str:
    """Return the columns of the state tables that a statement names, else which tables there are, to end a sentence."""
    named = [name for name in history.tables if name.lower() in statement.words]
    told = [f"{name} has {listed(history.columns(name))}" for name in named[:_NEAR]]
    return f"{'; '.join(told)}." if told else f"the state tables are {listed(history.tables)}."
