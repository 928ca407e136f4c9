"""Churn: every change of every cell between two steps, also those that a diff of the two ends does not show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replaykit.history import BOOKKEEPING
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from replaykit.history import History

__all__ = ["churn", "key_text", "numbered"]

_COLUMNS = (
    "step",
    "applied_at",
    "event_id",
    "caused_by",
    "table",
    "change",
    "key",
    "column",
    "before",
    "after",
    "kept",
)


def churn(history: History, first: int, last: int, tables: Iterable[str] | None = None) -> pd.DataFrame:
    """Return every change of a cell after step `first` and up to step `last`, in the order in which they were made.

    Parameters
    ----------
    tables
        State tables; None is all of them.

    Returns
    -------
    DataFrame
        ``step``, ``applied_at`` (naive UTC), ``event_id``, ``caused_by`` (kind of event or action), ``table``,
        ``change`` (``insert``, ``update``, ``delete``), ``key`` (its values, joined by a slash), ``column`` (missing
        for inserts and deletes), ``before`` and ``after`` as text, and ``kept``: whether it is still so after `last`.
        By step, then by table in the order declared, then as written. Where in its step a deletion came is not kept: it
        stands where its row was last written.

    Raises
    ------
    QueryError
        There is no such table.
    """
    asked = set(history.tables if tables is None else map(history.check_table, tables))
    chosen = [name for name in history.tables if name in asked]
    if not chosen:
        return _empty()
    pairs = ", ".join(f"t{number} AS MATERIALIZED ({_pairs(history, name)})" for number, name in enumerate(chosen))
    parts = [part for number, name in enumerate(chosen) for part in _changes(history, name, number)]
    listed = ", ".join(f'c."{name}"' for name in _COLUMNS[4:])
    return history.frame(
        f"WITH {pairs} SELECT c.step, s.applied_at, s.event_id, s.kind AS caused_by, {listed} "
        f"FROM ({' UNION ALL '.join(parts)}) c LEFT JOIN steps s ON s.step = c.step "
        "ORDER BY c.step, c.number, c.place, c.part",
        {"first": int(first), "last": int(last)},
    )


def _empty() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns=pd.Index(_COLUMNS))


def _pairs(history: History, name: str) -> str:
    """Return the query for each version made or ended between the steps: itself, the one before, the one at the end."""
    keys = [f"c{list(history.columns(name)).index(column)}" for column in history.keys[name]]
    source = numbered(history, name)
    same = " AND ".join(f"f.{column} IS NOT DISTINCT FROM v.{column}" for column in keys)
    # Updates keep the place at which a row was inserted, so a row deleted and inserted again is two lives.
    life = f"OVER (PARTITION BY {', '.join([*(f'v.{column}' for column in keys), 'v.born'])} ORDER BY v.change)"
    return (
        f"SELECT v, p, f, ended FROM (SELECT v, lag(v) {life} AS p, lead(v.change) {life} IS NULL AS ended "
        f"FROM {source} v QUALIFY (v.valid_from > $first AND v.valid_from <= $last) OR (lead(v.change) {life} IS NULL "
        f"AND v.valid_to > $first AND v.valid_to <= $last)) LEFT JOIN {source} f ON "
        f"{same} AND f.valid_from <= $last AND (f.valid_to IS NULL OR f.valid_to > $last)"
    )


def _changes(history: History, name: str, number: int) -> list[str]:
    """Return one query for the insertions, one for each column's updates, and one for the deletions of a table."""
    text = key_text(history, name)
    place = f"{number} AS number, v.change AS place"
    head = f'{_literal(name)} AS "table"'
    within = "v.valid_from > $first AND v.valid_from <= $last"
    parts = [
        (
            f"SELECT v.valid_from AS step, {place}, 0 AS part, {head}, 'insert' AS change, {text} AS key, "
            'NULL::VARCHAR AS "column", NULL::VARCHAR AS before, NULL::VARCHAR AS after, '
            f"coalesce(f.born = v.born, false) AS kept FROM t{number} WHERE {within} AND p IS NULL"
        )
    ]
    for part, column in enumerate(history.columns(name), 1):
        cell = f"c{part - 1}"
        parts.append(
            f"SELECT v.valid_from, {place}, {part}, {head}, 'update', {text}, {_literal(column)}, "
            f"CAST(p.{cell} AS VARCHAR), CAST(v.{cell} AS VARCHAR), "
            f"coalesce(f.born = v.born AND f.{cell} IS NOT DISTINCT FROM v.{cell}, false) "
            f"FROM t{number} WHERE {within} AND p IS NOT NULL AND p.{cell} IS DISTINCT FROM v.{cell}"
        )
    parts.append(
        f"SELECT v.valid_to, {place}, 99999, {head}, 'delete', {text}, NULL, NULL, NULL, f.born IS NULL "
        f"FROM t{number} WHERE ended AND v.valid_to > $first AND v.valid_to <= $last"
    )
    return parts


def numbered(history: History, name: str) -> str:
    """Return a subquery of a table's versions, its own columns named ``c0``, ``c1``: whatever they are called."""
    listed = [f"{quote(column)} AS c{number}" for number, column in enumerate(history.columns(name))]
    return f"(SELECT {', '.join([*BOOKKEEPING, *listed])} FROM history.{quote(name)})"


def key_text(history: History, name: str) -> str:
    """Return SQL for the key of a `numbered` version ``v``, joined by a slash, its values as Python shows them."""
    columns, keys = history.columns(name), history.keys[name]
    cells = (_shown(f"v.c{list(columns).index(key)}", columns[key].upper()) for key in keys)
    return f"concat_ws('/', {', '.join(cells)})"


def _shown(cell: str, type: str) -> str:
    text = f"CAST({cell} AS VARCHAR)"
    if type == "BOOLEAN":
        return f"CASE WHEN {cell} THEN 'True' ELSE 'False' END"
    if type.startswith("TIMESTAMP"):
        return f"CASE WHEN contains({text}, '.') THEN rpad({text}, 26, '0') ELSE {text} END"
    return text


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
