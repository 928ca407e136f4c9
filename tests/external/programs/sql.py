"""A program for rk.external that runs the SQL in its events' payloads on its file, with the schema given as JSON."""

# ruff: noqa: BLE001
import json
import sqlite3
import sys
from contextlib import suppress

TABLES = {
    "boxes": {
        "key": ["box"],
        "columns": {
            "box": "BIGINT",
            "name": "VARCHAR",
            "size": "DOUBLE",
            "open": "BOOLEAN",
            "data": "BLOB",
            "made": "TIMESTAMP",
            "more": "JSON",
        },
    },
    "labels": {"key": ["box", "label"], "columns": {"box": "BIGINT", "label": "VARCHAR"}},
}
OWN = [
    """CREATE TABLE boxes (box INTEGER PRIMARY KEY, name TEXT UNIQUE, size REAL, open INTEGER, data BLOB, made TEXT,
    more TEXT, hidden TEXT DEFAULT 'h')""",
    """CREATE TABLE labels (box INTEGER REFERENCES boxes ON DELETE CASCADE, label TEXT, PRIMARY KEY (box, label))
    WITHOUT ROWID""",
]
HELLO = {
    "protocol": 1,
    "name": "sql",
    "tables": TABLES,
    "handles": ["sql"],
    "rules": [{"name": "rows", "key": ["box"]}],
    "invariants": [{"name": "none", "key": ["box"]}],
}


def main():
    """Answer requests; in reconcile, run what stands behind ``--`` and tell the boxes as they are in the file."""
    arguments = sys.argv[1:]
    schema = [one.removeprefix("schema=") for one in arguments if one.startswith("schema=")]
    hello = {**HELLO, "schema": OWN} if "own" in arguments else {**HELLO, "schema": schema} if schema else HELLO
    wild = arguments[arguments.index("--") + 1 :] if "--" in arguments else []
    database = None
    for line in sys.stdin:
        request = json.loads(line)
        reply = {"id": request["id"]}
        try:
            if request["type"] == "hello":
                reply.update(hello)
            elif request["type"] == "load":
                database = sqlite3.connect(request["path"], isolation_level=None)
                database.execute("PRAGMA foreign_keys=ON")
                database.execute(f"PRAGMA recursive_triggers={'ON' if 'recursive' in arguments else 'OFF'}")
            elif request["type"] == "apply":
                for text in request["event"]["payload"]["sql"]:
                    database.execute(text)
            elif request["type"] == "reconcile":
                rows = database.execute("SELECT box, name, rowid FROM boxes").fetchall()
                fields = [{"box": box, "name": name, "place": place} for box, name, place in rows]
                reply["actions"] = [{"rule": "rows", "kind": "row", "fields": one} for one in fields]
                for text in wild:
                    with suppress(sqlite3.IntegrityError):
                        database.execute(text)
            elif request["type"] == "check":
                reply["violations"] = []
        except Exception as exc:
            reply["error"] = f"{type(exc).__name__}: {exc}"
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
