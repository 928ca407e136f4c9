"""SQL that exists already, written for SQLite or PostgreSQL: translated exactly, or refused with the fragment named.

Only what is known to mean the same is translated: a list of what is allowed, not of what is not. The clock becomes
``$now``. What is taken for granted of the original database is said in `translated`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replaykit.errors import GuardError, ReconcilerError, excerpt
from replaykit.sql import Statement, check_query

if TYPE_CHECKING:
    from replaykit.declarations import Table
    from replaykit.reconciler import Reconciler

__all__ = ["DIALECTS", "checked_query", "translate_anew", "translated"]

DIALECTS = ("duckdb", "postgres", "sqlite")


def checked_query(
    query: str, *, what: str, dialect: str | None, tables: Mapping[str, Table], params: Mapping[str, Any]
) -> Statement:
    """Return a query as a checked statement in DuckDB's SQL, translated if it is written in another dialect."""
    if dialect in (None, "duckdb"):
        return check_query(query, what=what)
    text = translated(query, str(dialect), tables=tables, params=params, what=what)
    return replace(check_query(text, what=f"{what}, translated from {dialect},"), original=query, dialect=dialect)


def translate_anew(reconciler: Reconciler, changed: Collection[str]) -> None:
    """Translate again what uses a changed parameter: which types it has is part of what a statement means."""

    def again(declared: Any, what: str) -> Any:
        known = declared.statement
        if known is None or known.original is None or known.parameters.isdisjoint(changed):
            return declared
        given = {"tables": reconciler.tables, "params": reconciler.params, "dialect": known.dialect}
        return replace(declared, statement=checked_query(known.original, what=what, **given))

    reconciler.projections = [again(one, f"Projection of {one.table!r}") for one in reconciler.projections]
    reconciler.rules = {name: again(one, f"Rule {name!r}") for name, one in reconciler.rules.items()}
    reconciler.invariants = {name: again(one, f"Invariant {name!r}") for name, one in reconciler.invariants.items()}


def translated(
    query: str, dialect: str, *, tables: Mapping[str, Table], params: Mapping[str, Any], what: str = "SQL"
) -> str:
    """Return a SELECT of another dialect in DuckDB's SQL.

    Parameters
    ----------
    dialect
        ``sqlite`` or ``postgres``.
    tables
        State tables; the types of their columns decide what a comparison or a division means.
    params
        Parameters that ``:name``, ``@name``, ``%(name)s`` and ``$name`` may name, beside ``now``.

    Notes
    -----
    Of PostgreSQL it is taken for granted that the session is in UTC and that text sorts by code point (C, C.UTF-8);
    ``numeric`` that is not whole becomes DOUBLE where it is divided. Of SQLite that a TIMESTAMP column held text
    ``YYYY-MM-DD HH:MM:SS``, and other columns values of their declared types. Where the original would raise (an
    integer that overflows), DuckDB does too, and in SQLite's whole numbers also where SQLite goes on with a double.
    Means of whole numbers beyond 2**53 are rounded as DuckDB does, parts of a millisecond are cut off.

    Raises
    ------
    GuardError
        A fragment has no exact counterpart; the message names it, says why, and what to write.
    ReconcilerError
        The dialect is not known, or a parameter is not declared.
    """
    if dialect not in DIALECTS[1:]:
        raise ReconcilerError(f"{what}: dialect={excerpt(dialect)}; expected one of {list(DIALECTS)}.")
    tree = _parsed(query, dialect, what)
    try:
        return str(_translator(dialect)(tables, params).whole(tree))
    except GuardError as exc:
        raise GuardError(f"{what} can't be translated from {dialect}: {exc}") from exc
    except ReconcilerError as exc:
        raise ReconcilerError(f"{what}: {exc}") from exc
    except (AttributeError, IndexError, KeyError, TypeError) as exc:  # sqlglot reads some calls without their arguments
        raise GuardError(f"{what} {excerpt(query)} is not complete {dialect}; run it there first.") from exc
    except RecursionError as exc:
        raise GuardError(f"{what} is nested too deeply to be translated; write it in DuckDB's SQL.") from exc


def _parsed(query: str, dialect: str, what: str) -> Any:
    import sqlglot
    from sqlglot import errors

    if not isinstance(query, str):
        raise GuardError(f"{what} is a {type(query).__name__}; expected the text of one SELECT.")
    try:
        trees = [tree for tree in sqlglot.parse(query, dialect=dialect) if tree is not None]
    except (errors.SqlglotError, RecursionError) as exc:
        first = (str(exc).splitlines() or ["nested too deeply"])[0]
        raise GuardError(f"{what} {excerpt(query)} can't be read as {dialect}: {first}") from exc
    if len(trees) != 1:
        raise GuardError(f"{what} {excerpt(query)} holds {len(trees)} statements; expected exactly one SELECT.")
    return trees[0]


def _translator(dialect: str) -> Any:
    if dialect == "sqlite":
        from replaykit.dialects.sqlite import SqliteExpressions

        return SqliteExpressions
    from replaykit.dialects.postgres import PostgresExpressions

    return PostgresExpressions
