"""Two ways to find the steps at which a query returns rows: over the validity of row versions, or step by step.

Where a query only picks rows of state tables by conditions on them, alone or joined, it returns rows exactly while the
versions it picks are valid together, so one query over all versions tells. Any other is asked at every step at which
what it reads has changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.diff.rows import private_cursor
from replaykit.errors import QueryError, excerpt
from replaykit.interrupt import Worker, interruptible, stopped
from replaykit.known import tables_told
from replaykit.progress import Progress
from replaykit.readings import readings
from replaykit.rollback import read_only
from replaykit.row_filters import is_plain, sources_of
from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from replaykit.history import History
    from replaykit.sql import Statement

__all__ = ["ALONG", "WALKED", "Span", "spans_along", "spans_walked"]

ALONG = "over the validity of row versions"
WALKED = "step by step"
_END = 2**63 - 1
_FEW = 50_000
_PARTS = {"expressions", "from", "from_", "joins", "where", "order"}
"""Parts of a SELECT that do not decide whether it returns rows, beside what is read and picked."""
_INNER = {"", "INNER", "CROSS"}


@dataclass(frozen=True)
class Span:
    """Steps ``[first, end)`` at which a query returns rows; `end` is None where it still does after the last."""

    first: int
    end: int | None
    rows: int
    """How many it returns at the first of them."""


def spans_along(
    history: History, statement: Statement, values: Mapping[str, Any], *, until_found: bool = False
) -> list[Span] | None:
    """Return the spans of a query over the validity of row versions; None if it is none that can be asked so.

    Parameters
    ----------
    until_found
        Return only where the first span begins; its end and rows say nothing. What began early is looked at first.
    """
    found = _over_versions(history, statement)
    if found is None:
        return None
    used = {name: values[name] for name in values if re.search(rf"\${re.escape(name)}\b", found)}
    if until_found:
        found = f"SELECT began, began AS ended FROM ({found}) ORDER BY began LIMIT 1"
    ((last,),) = history.fetch("SELECT coalesce(max(step), 0) FROM steps")
    for before in [last // 64, last // 8, last] if until_found and last > _FEW else [last]:
        with history.reading() as cursor:
            try:
                rows = interruptible(cursor, partial(_columns, cursor, found, {**used, "replaykit_before": before}))
            except duckdb.Error:
                return None  # an alias in a condition, for instance; asked step by step it is told or works
        if len(rows["began"]):
            return _merged(rows["began"], rows["ended"])
    return []


def _columns(cursor: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any]) -> dict[str, Any]:
    rows: dict[str, Any] = cursor.execute(query, values).fetchnumpy()
    return rows


def _merged(began: Any, ended: Any) -> list[Span]:
    """Return the spans that intervals cover, with how many of them hold at each beginning."""
    import numpy as np

    began, ended = np.sort(np.asarray(began)), np.asarray(ended)[np.argsort(began, kind="stable")]
    reach = np.maximum.accumulate(ended)
    opens = np.flatnonzero(np.concatenate([[True], began[1:] > reach[:-1]]))
    lasts = np.concatenate([opens[1:] - 1, [len(began) - 1]])
    firsts, ends = began[opens], reach[lasts]
    holding = np.searchsorted(began, firsts, side="right") - np.searchsorted(np.sort(ended), firsts, side="right")
    return [
        Span(int(first), None if end == _END else int(end), int(rows))
        for first, end, rows in zip(firsts, ends, holding, strict=True)
    ]


def _over_versions(history: History, statement: Statement) -> str | None:
    """Return the query for the steps ``[began, ended)`` of each row that a query gives; None if it is not so simple.

    Only of versions that began up to the step ``$replaykit_before``.
    """
    import sqlglot
    from sqlglot import errors, exp

    if "now" in statement.parameters:
        return None
    try:
        tree = sqlglot.parse_one(statement.text, dialect="duckdb")
    except errors.SqlglotError:
        return None
    if not isinstance(tree, exp.Select) or {key for key, value in tree.args.items() if value} - _PARTS:
        return None
    if len(list(tree.find_all(exp.Query))) > 1 or any(tree.find_all(exp.Window, exp.AggFunc, exp.Unnest, exp.Lateral)):
        return None
    if not _called(statement.text).isdisjoint(_not_of_one_row()):
        return None
    names = {name.lower(): name for name in history.tables}
    sources = list(sources_of(tree))
    if not sources or not all(_simple(source, join, names) for source, join in sources):
        return None
    began, ended = [], []
    for source, _ in sources:
        alias = quote(source.alias_or_name)
        began.append(f"{alias}.replaykit_from")
        ended.append(f"{alias}.replaykit_to")
        columns = ", ".join(map(quote, history.columns(names[source.name.lower()])))
        versions = (
            f"SELECT {columns}, valid_from AS replaykit_from, coalesce(valid_to, {_END}) AS replaykit_to "
            f"FROM history.{quote(names[source.name.lower()])} WHERE valid_from <= $replaykit_before"
        )
        source.replace(sqlglot.parse_one(f"SELECT * FROM ({versions}) AS {alias}", dialect="duckdb").find(exp.Subquery))
    start, end = (f"{of}({', '.join(one)})" for of, one in (("greatest", began), ("least", ended)))
    tree.set("order", None)
    tree.set(
        "expressions", [sqlglot.parse_one(one, dialect="duckdb") for one in (f"{start} AS began", f"{end} AS ended")]
    )
    return str(tree.where(f"{start} < {end}", dialect="duckdb", copy=False).sql("duckdb"))


def _simple(source: Any, join: Any, names: Mapping[str, str]) -> bool:
    """Return whether a source is a state table, joined in a way that only picks among pairs of rows."""
    from sqlglot import exp

    if not is_plain(source) or not isinstance(source.this, exp.Identifier) or source.name.lower() not in names:
        return False
    if join is None:
        return True
    used = {key for key, value in join.args.items() if value}
    return used <= {"this", "on", "kind", "using"} and join.kind in _INNER and not join.side


def _called(text: str) -> set[str]:
    """Return every word before a parenthesis, in strings and comments too: too many rather than too few."""
    return {word.lower() for word in re.findall(r'(\w+)"?\s*\(', text)}


@lru_cache(maxsize=1)
def _not_of_one_row() -> frozenset[str]:
    """Return the functions that look at more than one row or give more than one."""
    with private_cursor() as cursor:
        query = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type <> 'scalar'"
        return frozenset(name.lower() for (name,) in cursor.execute(query).fetchall()) | {"unnest", "over", "columns"}


def spans_walked(
    history: History, statement: Statement, values: Mapping[str, Any], base_at: datetime | None, *, until_found: bool
) -> list[Span]:
    """Return the spans of a query by asking it at every step at which what it reads has changed.

    Parameters
    ----------
    base_at
        What ``$now`` is at step 0.
    until_found
        Stop at the first step at which it returns rows.

    Raises
    ------
    QueryError
        The query does not run at one of the steps.
    """
    found: list[Span] = []
    open_: tuple[int, int] | None = None
    for step, rows in _counts(history, statement, values, base_at):
        if rows and open_ is None:
            open_ = (step, rows)
            if until_found:
                break
        elif not rows and open_ is not None:
            found.append(Span(open_[0], step, open_[1]))
            open_ = None
    return found if open_ is None else [*found, Span(open_[0], None, open_[1])]


def _counts(
    history: History, statement: Statement, values: Mapping[str, Any], base_at: datetime | None
) -> Iterator[tuple[int, int]]:
    """Yield steps in order, each with how many rows the query returns there."""
    shape = tuple((name, tuple(history.columns(name).items())) for name in history.tables)
    read = {name: sorted(one.columns) for name, one in readings(statement, shape).items()}
    clock = "now" in statement.parameters and "now" not in values
    steps = _every_step(history, base_at) if clock else [(step, None) for step in _changing(history, read)]
    query = f"SELECT count(*) FROM ({statement.text}\n) AS replaykit_asked"
    progress = Progress("Asking at steps")
    with history.reading() as cursor:
        worker = Worker()
        try:
            _show(history, cursor, read)
            for number, (step, at) in enumerate(steps):
                cursor.execute(f"SET VARIABLE replaykit_step = {int(step)}")
                given = {**values, "now": at} if clock else dict(values)
                yield step, _count(cursor, worker, query, given)
                progress.advance(number, len(steps))
        except duckdb.Error as exc:
            told = str(exc).splitlines()[0].rstrip(".!")
            raise QueryError(
                f"The query {excerpt(statement.text)} does not run at step {step:,}: {told}; "
                f"{tables_told(history, statement)}"
            ) from exc
        finally:
            progress.close()
            stopped(worker, cursor)


def _every_step(history: History, base_at: datetime | None) -> list[tuple[int, Any]]:
    return [(0, base_at), *history.fetch("SELECT step, applied_at FROM steps ORDER BY step")]


def _changing(history: History, read: Mapping[str, list[str]]) -> list[int]:
    """Return step 0 and those at which rows came, went, or changed in the columns read, in order."""
    parts = []
    for name, columns in read.items():
        life = "OVER (PARTITION BY born ORDER BY change)"
        cells = f"row({', '.join(map(quote, columns))})" if columns else "1"
        versions = (
            f"SELECT valid_from, valid_to, {cells} IS DISTINCT FROM lag({cells}) {life} AS differs, "
            f"lag(change) {life} IS NULL AS opens, lead(change) {life} IS NULL AS ends FROM history.{quote(name)}"
        )
        parts.append(f"SELECT valid_from AS step FROM ({versions}) WHERE differs OR opens")
        parts.append(f"SELECT valid_to FROM ({versions}) WHERE ends AND valid_to IS NOT NULL")
    query = f"SELECT DISTINCT step FROM ({' UNION ALL '.join(['SELECT 0::BIGINT AS step', *parts])}) ORDER BY step"
    return [step for (step,) in history.fetch(query)]


def _show(history: History, cursor: duckdb.DuckDBPyConnection, names: Mapping[str, Any]) -> None:
    """Make state tables visible as of a step that a variable holds."""
    for name in names:
        listed = ", ".join(map(quote, history.columns(name)))
        cursor.execute(
            f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS SELECT {listed} FROM history.{quote(name)} "
            "WHERE valid_from <= CAST(getvariable('replaykit_step') AS BIGINT) AND (valid_to IS NULL "
            "OR valid_to > CAST(getvariable('replaykit_step') AS BIGINT)) ORDER BY born"
        )


def _count(cursor: duckdb.DuckDBPyConnection, worker: Worker, query: str, values: dict[str, Any]) -> int:
    with read_only(cursor):
        return int(interruptible(cursor, partial(_fetched, cursor, query, values), worker)[0][0])


def _fetched(cursor: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = cursor.execute(query, values).fetchall()
    return rows
