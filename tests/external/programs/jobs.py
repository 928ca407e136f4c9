"""A program for rk.external: jobs that are submitted, started and lost. ``jobs.py sqlite`` or ``jobs.py json``."""

# ruff: noqa: BLE001, D102, D103, FURB162
import json
import sqlite3
import sys
from datetime import datetime, timedelta

COLUMNS = {"job_id": "VARCHAR", "status": "VARCHAR", "updated_at": "TIMESTAMP", "runs": "BIGINT"}
HELLO = {
    "protocol": 1,
    "name": "jobs",
    "tables": {"jobs": {"key": ["job_id"], "columns": COLUMNS}},
    "params": {"patience": 600},
    "handles": ["submitted", "started", "done"],
    "ignores": ["heartbeat"],
    "acts": ["requeue"],
    "rules": [{"name": "requeue_lost", "key": ["job_id"]}, {"name": "greet", "key": ["job_id"]}],
    "invariants": [{"name": "at most two runs", "key": ["job_id"]}],
    "rollback": True,
    "reads": True,
}


def instant(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


class Memory:
    """The state in memory; changes are noted to be reported."""

    def __init__(self, request):
        self.jobs = {row["job_id"]: dict(row) for row in request["tables"]["jobs"]}
        self.noted = []

    def rows(self):
        return list(self.jobs.values())

    def get(self, job):
        return self.jobs.get(job)

    def put(self, job, **cells):
        if job in self.jobs:
            self.jobs[job].update(cells)
            self.noted.append({"op": "update", "table": "jobs", "key": [job], "row": cells})
        else:
            self.jobs[job] = {**dict.fromkeys(COLUMNS), "job_id": job, **cells}
            self.noted.append({"op": "insert", "table": "jobs", "row": {"job_id": job, **cells}})

    def drop(self, job):
        del self.jobs[job]
        self.noted.append({"op": "delete", "table": "jobs", "key": [job]})

    def changes(self):
        noted, self.noted = self.noted, []
        return {"changes": noted} if noted else {}

    def rollback(self, changes):
        for one in changes:
            key = one["key"][0] if "key" in one else one["row"]["job_id"]
            if one["op"] == "delete":
                del self.jobs[key]
            else:
                self.jobs[key] = {**self.jobs.get(key, {}), **one["row"]}


class File:
    """The state in the SQLite file it is given."""

    def __init__(self, request):
        self.db = sqlite3.connect(request["path"], isolation_level=None)
        self.db.row_factory = sqlite3.Row

    def rows(self):
        return [dict(row) for row in self.db.execute("SELECT * FROM jobs")]

    def get(self, job):
        row = self.db.execute("SELECT * FROM jobs WHERE job_id = ?", (job,)).fetchone()
        return None if row is None else dict(row)

    def put(self, job, **cells):
        if self.get(job):
            assigned = ", ".join(f"{name} = ?" for name in cells)
            self.db.execute(f"UPDATE jobs SET {assigned} WHERE job_id = ?", [*cells.values(), job])
        else:
            names = ", ".join(["job_id", *cells])
            marks = ", ".join("?" * (1 + len(cells)))
            self.db.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", [job, *cells.values()])

    def drop(self, job):
        self.db.execute("DELETE FROM jobs WHERE job_id = ?", (job,))

    def changes(self):
        return {}

    def rollback(self, changes):
        pass


def apply(state, event, now):
    job = event["payload"]["job"]
    if event["kind"] == "submitted":
        if state.get(job):
            state.drop(job)
        state.put(job, status="queued", updated_at=now, runs=0)
    elif event["kind"] == "started":
        state.put(job, status="running", updated_at=now)
        state.put(job, runs=state.get(job)["runs"] + 1)
    elif event["payload"].get("bad"):
        state.put(job, status="half written")
        raise ValueError("done badly")
    else:
        state.drop(job)
    return {}


def reconcile(state, params, now):
    actions = []
    for row in state.rows():
        if row["status"] == "running" and instant(now) - instant(row["updated_at"]) > timedelta(
            seconds=params["patience"]
        ):
            reads = [["jobs", [row["job_id"]], ["status", "updated_at"]]]
            fields = {"job_id": row["job_id"]}
            actions.append({"rule": "requeue_lost", "kind": "requeue", "fields": fields, "reads": reads})
        if row["status"] == "queued":
            actions.append({"rule": "greet", "kind": "greet", "fields": {"job_id": row["job_id"], "at": now}})
    return {"actions": actions}


def check(state):
    found = [row for row in state.rows() if row["runs"] > 2]
    fields = [{"job_id": row["job_id"], "runs": row["runs"]} for row in found]
    reads = [[["jobs", [row["job_id"]], ["runs"]]] for row in found]
    return {
        "violations": [
            {"invariant": "at most two runs", "fields": f, "reads": r} for f, r in zip(fields, reads, strict=True)
        ]
    }


def answer(request, known):
    kind, state = request["type"], known.get("state")
    if kind == "hello":
        return {**HELLO, "reads": "silent" not in sys.argv}
    if kind == "load":
        known["state"] = File(request) if "path" in request else Memory(request)
        known["params"] = request["params"]
        return {}
    if kind == "apply":
        return apply(state, request["event"], request["now"])
    if kind == "act":
        job = request["action"]["fields"]["job_id"]
        state.put(job, status="queued", updated_at=request["now"])
        return {"effects": [{"kind": "send mail", "fields": {"job_id": job}}]}
    if kind == "reconcile":
        return reconcile(state, known["params"], request["now"])
    if kind == "check":
        return check(state)
    if kind == "rollback":
        state.rollback(request.get("changes", ()))
        return {}
    raise ValueError(f"unknown request {kind!r}")


def main():
    known = {}
    for line in sys.stdin:
        request = json.loads(line)
        if request["type"] == "bye":
            break
        try:
            reply = answer(request, known)
        except Exception as exc:
            reply = {"error": f"{type(exc).__name__}: {exc}"}
        if request["type"] in ("apply", "act", "reconcile", "check"):
            reply = {**reply, **known["state"].changes()}
        print(json.dumps({"id": request["id"], **reply}), flush=True)


if __name__ == "__main__":
    main()
