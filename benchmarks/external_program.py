"""A small program for `benchmarks.bench_external`: it counts events by key, in memory or in the file it is given."""

from __future__ import annotations

import json
import sqlite3
import sys
from typing import Any

_HELLO = {
    "protocol": 1,
    "name": "counts",
    "tables": {"counts": {"key": ["key"], "columns": {"key": "VARCHAR", "n": "BIGINT"}}},
    "handles": ["beat"],
    "rules": [{"name": "many", "key": ["key"]}],
    "invariants": [{"name": "few", "key": ["key"]}],
}
_PUT = "INSERT INTO counts VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET n = n + 1"


class _Counts:
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.database: Any = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        kind = request["type"]
        if kind == "apply":
            return self.apply(request["event"]["payload"]["key"])
        if kind == "reconcile":
            return {"actions": []}
        if kind == "check":
            return {"violations": []}
        if kind == "load" and "path" in request:
            self.database = sqlite3.connect(request["path"], isolation_level=None)
        return {} if kind == "load" else _HELLO

    def apply(self, key: str) -> dict[str, Any]:
        if self.database is not None:
            self.database.execute(_PUT, (key,))
            return {}
        self.counts[key] = self.counts.get(key, 0) + 1
        return {"changes": [{"op": "upsert", "table": "counts", "row": {"key": key, "n": self.counts[key]}}]}


if __name__ == "__main__":
    held = _Counts()
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["type"] == "bye":
            break
        print(json.dumps({"id": asked["id"], **held.answer(asked)}), flush=True)
