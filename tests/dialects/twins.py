"""Two small tables, in DuckDB, in SQLite and in PostgreSQL, and how each of them is asked."""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb

import replaykit as rk

HERE = Path(__file__).parent
NOW = datetime(2026, 3, 26, 14, 23, 5, 123000)
PARAMS = {"m": 5, "limit": 3, "name": "open", "frac": 0.5, "none": None}
TYPES = {"id": "VARCHAR", "n": "BIGINT", "small": "INTEGER", "w": "DOUBLE", "status": "VARCHAR", "seen": "TIMESTAMP",
         "made": "VARCHAR", "ok": "BOOLEAN", "day": "DATE"}  # fmt: skip
TABLES = {"jobs": rk.Table("id", TYPES), "links": rk.Table(["a", "b"], kind="VARCHAR")}
JOBS = [
    ("a", 7, 3, 0.5, "Open", datetime(2026, 3, 26, 14, 18, 5), "2026-03-26 14:18:05", True, date(2026, 3, 26)),
    ("b", -7, -2, -1.5, "open", datetime(2026, 3, 26, 14, 18, 6), "2026-03-26 14:18:06", False, date(2026, 3, 25)),
    ("c", None, 0, 2.5, None, None, None, None, None),
    ("d", 0, None, None, "DÖNE", datetime(2026, 3, 26), "2026-03-26", True, date(2026, 2, 28)),
    ("e", 2**53 + 1, 5, 1e300, "döne%x_y", datetime(2026, 3, 26, 14, 23, 5), "2026-03-26 14:23:05", False, None),
    ("F", 10, 10, 7.0, "", datetime(2025, 12, 31, 23, 59, 59), "2025-12-31 23:59:59", True, date(2025, 12, 31)),
]
LINKS = [("a", "b", "x"), ("b", "c", None), ("e", "e", "X"), ("F", "zz", "y")]


def queries(dialect, what):
    """Return the queries of a file that are to be ``equal`` or ``refused``."""
    text = (HERE / f"{dialect}.txt").read_text()
    part = text.partition(f"# {what}\n")[2].partition("\n# ")[0]
    return [line for line in part.splitlines() if line]


def filled(connection, types):
    """Return a connection with both tables; `types` maps DuckDB's types to its own, and values to what it holds."""
    convert = types.pop(None, lambda value: value)
    listed = ", ".join(f"{name} {types.get(kind, kind)}" for name, kind in TYPES.items())
    mark = types.get("mark", "?")
    connection.execute(f"CREATE TABLE jobs ({listed})")
    text = types.get("VARCHAR", "VARCHAR")
    connection.execute(f"CREATE TABLE links (a {text}, b {text}, kind {text})")
    for table, rows in (("jobs", JOBS), ("links", LINKS)):
        for row in rows:
            connection.execute(f"INSERT INTO {table} VALUES ({', '.join([mark] * len(row))})", [*map(convert, row)])
    return connection


def in_duckdb():
    """Return the tables in DuckDB."""
    return filled(duckdb.connect(), {})


def in_sqlite():
    """Return the tables in SQLite, times as its own text of them."""
    text = dict.fromkeys(("VARCHAR", "TIMESTAMP", "DATE"), "TEXT")
    numbers = {"BIGINT": "INTEGER", "BOOLEAN": "INTEGER", "DOUBLE": "REAL"}
    return filled(sqlite3.connect(":memory:"), {**text, **numbers, None: _for_sqlite})


def in_postgres(uri):
    """Return the tables in PostgreSQL."""
    import psycopg

    connection = psycopg.connect(uri, autocommit=True)
    connection.execute("SET TIME ZONE 'UTC'")
    connection.execute("DROP TABLE IF EXISTS jobs, links")
    return filled(connection, {"DOUBLE": "DOUBLE PRECISION", "VARCHAR": "TEXT", "mark": "%s"})


def _for_sqlite(value):
    if isinstance(value, bool):
        return int(value)
    return str(value) if isinstance(value, date) else value


def ask_duckdb(connection, text):
    """Return the rows of a translated query at `NOW`."""
    known = {**PARAMS, "now": NOW}
    given = {name: known[name] for name in duckdb.extract_statements(text)[0].named_parameters}
    return connection.execute(text, given).fetchall()


def ask_sqlite(connection, query):
    """Return the rows of a query as SQLite gives them, with the clock put in as text that SQLite reads itself."""
    now = f"'{NOW:%Y-%m-%d %H:%M:%S}.{NOW.microsecond // 1000:03}'"
    for name, made in (("TIMESTAMP", "datetime"), ("DATE", "date"), ("TIME", "time")):
        query = re.sub(rf"\bCURRENT_{name}\b", f"{made}({now})", query)
    query = query.replace("'now'", now).replace("unixepoch()", f"unixepoch({now})")
    return connection.execute(query, PARAMS).fetchall()


def ask_postgres(connection, query):
    """Return the rows of a query as PostgreSQL gives them, with the clock put in as a constant."""
    now = f"TIMESTAMPTZ '{NOW.isoformat()}Z'"
    clocks = r"\b(?:(?:now|clock_timestamp|statement_timestamp|transaction_timestamp)\(\)|(?i:CURRENT_TIMESTAMP\b))"
    query = re.sub(clocks, now, query).replace("localtimestamp", f"{now}::timestamp")
    query = query.replace("current_date", f"DATE '{NOW:%Y-%m-%d}'")
    query = re.sub(
        r"\$([a-z]+)|%\(([a-z]+)\)s|(?<!:):([a-z]+)", lambda m: _constant(PARAMS[m[1] or m[2] or m[3]]), query
    )
    return connection.execute(query).fetchall()


def _constant(value):
    return f"'{value}'" if isinstance(value, str) else str(value)


def plain(rows, *, exact):
    """Return rows as JSON holds them; without `exact` a number is a number, as a numeric and a double are."""
    return json.loads(json.dumps([[_plain(value, exact=exact) for value in row] for row in rows]))


def _plain(value, *, exact):
    if isinstance(value, datetime):
        return str(value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None))
    if isinstance(value, (date, timedelta)):
        return str(value)
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, bool) and exact:
        return int(value)
    return float(value) if type(value) is int and not exact and abs(value) < 2**53 else value
