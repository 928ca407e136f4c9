"""A program for rk.external that misbehaves: ``bad.py how [where]``, where is the type of request (apply)."""

# ruff: noqa: D103
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

HELLO = {
    "protocol": 1,
    "name": "bad",
    "tables": {"t": {"key": ["k"], "columns": {"k": "VARCHAR", "n": "BIGINT"}}},
    "handles": ["go"],
    "rules": [{"name": "r", "key": ["k"]}],
    "invariants": [{"name": "i", "key": ["k"]}],
}
GOOD = {"reconcile": {"actions": []}, "check": {"violations": []}, "hello": HELLO}
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


def note(pid):
    if "NOTES" in os.environ:
        with Path(os.environ["NOTES"]).open("a") as file:
            file.write(f"{pid}\n")


def say(reply):
    print(json.dumps(reply), flush=True)


def crash(request):
    print("before the end", file=sys.stderr, flush=True)
    os._exit(3)


def killed(request):
    os.kill(os.getpid(), 9)


def half(request):
    sys.stdout.write('{"id":')
    sys.stdout.flush()
    os._exit(0)


def hang(request):
    time.sleep(600)


def garbage(request):
    print("Traceback: this is a log line", flush=True)


def number(request):
    print(42, flush=True)


def unasked(request):
    reply = json.dumps({"id": request["id"], **GOOD.get(request["type"], {})})
    print(f"{reply}\none more thing", flush=True)


def endless(request):
    while True:
        sys.stdout.write("x" * 65536)


def flood(request):
    for number in range(20_000):
        print(f"log line {number} " + "y" * 100, file=sys.stderr)
    sys.stderr.flush()
    say({"id": request["id"], **GOOD.get(request["type"], {})})


def flood_and_crash(request):
    for number in range(20_000):
        print(f"log line {number}", file=sys.stderr)
    sys.stderr.flush()
    os._exit(4)


def other_id(request):
    say({"id": request["id"] + 7, **GOOD.get(request["type"], {})})


def other_protocol(request):
    say({"id": request["id"], **HELLO, "protocol": 2})


def shape(request):
    say({"id": request["id"], "actions": [{"kind": "x"}], "violations": 1, "changes": [{"op": "upsert", "table": "t"}]})


def unknown_rule(request):
    actions = [{"rule": "nobody", "kind": "x", "fields": {"k": "a"}}]
    violations = [{"invariant": "nobody", "fields": {"k": "a"}}]
    say({"id": request["id"], "actions": actions, "violations": violations})


def change(table, **row):
    def report(request):
        say({"id": request["id"], "changes": [{"op": "insert", "table": table, "row": row}]})

    return report


def forks(request):
    for new_session in (False, True):
        child = subprocess.Popen(SLEEPER, start_new_session=new_session)
        note(child.pid)
    say({"id": request["id"], **GOOD.get(request["type"], {})})


def forks_and_crashes(request):
    note(subprocess.Popen(SLEEPER, start_new_session=True).pid)
    note(subprocess.Popen(SLEEPER).pid)
    os._exit(5)


def forgets(request):
    """Say another thing in each process."""
    say({"id": request["id"], "changes": [{"op": "upsert", "table": "t", "row": {"k": "a", "n": os.getpid()}}]})


def keeps(request):
    """Go on counting over loads: every event says how many loads there were."""
    LOADS.append(request)
    GOOD["apply"] = {"changes": [{"op": "upsert", "table": "t", "row": {"k": "a", "n": len(LOADS)}}]}
    say({"id": request["id"]})


def stays(request):
    time.sleep(600)


def closes_stdin(request):
    os.close(0)
    say({"id": request["id"], **GOOD.get(request["type"], {})})
    time.sleep(600)


def statements(*texts, commit=True):
    def run(request):
        database = sqlite3.connect(PATH[0], isolation_level=None)
        for text in texts:
            database.execute(text)
        KEPT.append(database)
        say({"id": request["id"], **GOOD.get(request["type"], {})})

    return run


WAYS = {
    "open transaction": statements("BEGIN", "INSERT INTO t VALUES ('a', 1)"),
    "drop": statements("DROP TABLE t"),
    "alter": statements("ALTER TABLE t ADD COLUMN more TEXT"),
    "text for a number": statements("INSERT INTO t VALUES ('a', 'many')"),
    "writes": statements("INSERT INTO t VALUES ('w', 1) ON CONFLICT (k) DO UPDATE SET n = n + 1"),
    "no triggers": statements("DROP TRIGGER _replaykit_i0", "INSERT INTO t VALUES ('a', 1)"),
    "unknown table": change("u", k="a"),
    "unknown column": change("t", k="a", m=1),
    "unfit value": change("t", k="a", n="many"),
    "twice": change("t", k="there", n=1),
}
LOADS: list = []
PATH: list = []
KEPT: list = []


def main():
    how, where = sys.argv[1], (sys.argv[2] if len(sys.argv) > 2 else "apply")
    note(os.getpid())
    for line in sys.stdin:
        request = json.loads(line)
        if request["type"] == "bye" != where:
            break
        if "path" in request:
            PATH[:] = [request["path"]]
        if request["type"] == where:
            (WAYS.get(how) or globals()[how])(request)
        else:
            say({"id": request["id"], **GOOD.get(request["type"], {})})


if __name__ == "__main__":
    main()
