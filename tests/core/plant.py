"""A small system in plain Python that logs what it does, and the reconciler of its rules."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from building import after

from replaykit.declarations import Action, Table
from replaykit.reconciler import Reconciler
from replaykit.snapshot import Snapshot
from replaykit.sources import Log, load

KEYS = {"jobs": ["id"], "notes": ["note"]}
BROKEN = ("put", "move", "poison", "start", "rule", "order", "invariant", "query")
"""Ways in which `reconciler` can be wrong."""


class RaisedError(Exception):
    """What handlers raise, in production and in the replay."""


@dataclass
class Plant:
    """Production: jobs and notes in dicts, a queue of events, and everything logged under one number."""

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)
    queue: list[dict[str, Any]] = field(default_factory=list)
    seq: int = 0
    tick_no: int = 0
    seen: int = 0
    counting: bool = False
    """Whether a rule and an invariant count the events so far, which a replay does from its base on."""
    logs: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {n: [] for n in ("events", "applications", "actions", "writes", "checks", "ticks")}
    )
    marks: list[tuple[float, int, pd.DataFrame, pd.DataFrame]] = field(default_factory=list)

    def _log(self, name: str, at: float, **entry: Any) -> None:
        self.seq += 1
        self.logs[name].append({"seq": self.seq, "at": after(at), **entry})

    def event(self, at: float, kind: str, **payload: Any) -> str:
        """Put an event into the queue."""
        found = {"kind": kind, "id": f"e{len(self.logs['events']) + 1}", "payload": json.dumps(payload)}
        self._log("events", at, **found)
        self.queue.append(found)
        return found["id"]

    def write(self, at: float, op: str, job: str, **values: Any) -> None:
        """Write a job by hand, and log it."""
        if op == "delete":
            del self.jobs[job]
        else:
            self.jobs.setdefault(job, {"id": job, "n": None, "status": None}).update(values)
        self._log("writes", at, kind="rpc", table="jobs", op=op, key=json.dumps({"id": job}), values=json.dumps(values))

    def drain(self, at: float) -> None:
        """Apply every event in the queue; one that raises stays there, and what it wrote stays as well."""
        for one in list(self.queue):
            self.apply(at, one)

    def apply(self, at: float, one: dict[str, Any]) -> None:
        """Apply one event and log it."""
        ok = True
        try:
            self._fold(one["kind"], json.loads(one["payload"]))
            self.queue = [other for other in self.queue if other is not one]
        except RaisedError:
            ok = False
        self.seen += 1
        self._log("applications", at, event=one["id"], ok=ok, tick=self.tick_no)

    def _fold(self, kind: str, payload: dict[str, Any]) -> None:
        if kind == "put":
            job = payload["id"]
            self.jobs[job] = {**self.jobs.get(job, {"id": job}), "n": payload["n"], "status": "queued"}
            number = 1 + max((int(name[5:]) for name in self.notes), default=0)
            self.notes[f"note-{number:04d}"] = {"note": f"note-{number:04d}", "job": job}
        elif kind == "move":
            if payload["id"] not in self.jobs:
                raise RaisedError(payload["id"])
            self.jobs[payload["id"]]["status"] = payload["to"]
        elif kind == "poison":
            for tag in payload["tags"]:
                self.jobs[payload["id"]]["n"] += tag
            raise RaisedError("always")
        elif kind == "drop":
            del self.jobs[payload["id"]]

    def rules(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the actions of one tick: job by job, then the one of a query."""
        found: list[tuple[str, dict[str, Any]]] = []
        for job in self.jobs.values():
            if job["status"] == "queued":
                found.append(("start", {"id": job["id"], "n": job["n"]}))
            if job["n"] >= 3:
                found.append(("warn", {"id": job["id"], "why": ["high", job["n"]]}))
        if self.counting and self.seen % 2:
            found.append(("odd", {"seen": self.seen}))
        return found

    def act(self, at: float, kind: str, fields: dict[str, Any]) -> None:
        """Apply one action and log it; a start of 13 raises after it has written."""
        ok = True
        if kind == "start":
            self.jobs[fields["id"]]["status"] = "running"
            if fields["n"] == 13:
                ok = False
            else:
                self.jobs[fields["id"]]["n"] += 1
        self._log("actions", at, kind=kind, payload=json.dumps(fields), tick=self.tick_no, ok=ok)

    def tick(self, at: float, checked: float | None = None, between: Any = None) -> None:
        """Drain, decide, act, do something in `between`, and check."""
        self.tick_no += 1
        self.drain(at)
        decided, actions = self.seq, self.rules()
        for kind, fields in actions:
            self.act(at, kind, fields)
        if between is not None:
            between()
        checked = at if checked is None else checked
        place = self.seq
        for job in self.jobs.values():
            if job["n"] >= 5:
                self._log("checks", checked, kind="few", payload=json.dumps({"id": job["id"]}), tick=self.tick_no)
        if self.counting and self.seen > 3:
            self._log("checks", checked, kind="many", payload=json.dumps({"seen": self.seen}), tick=self.tick_no)
        self.logs["ticks"].append(
            {"at": after(at), "seq": decided, "tick": self.tick_no, "checked": after(checked), "check_seq": place,
             "jobs": len(self.jobs)}
        )  # fmt: skip

    def mark(self, at: float) -> None:
        """Take a snapshot."""
        jobs = pd.DataFrame(list(self.jobs.values()), columns=["id", "n", "status"]).astype({"n": "int64"})
        notes = pd.DataFrame(list(self.notes.values()), columns=["note", "job"])
        self.marks.append((at, self.seq, jobs, notes))

    def snapshots(self, *, placed: bool = True) -> list[Snapshot]:
        """Return the snapshots, with their rows' order declared."""
        tables = {
            name: pd.concat([frame.assign(mark=n, row=range(len(frame))) for n, frame in enumerate(frames)])
            for name, frames in (("jobs", [m[2] for m in self.marks]), ("notes", [m[3] for m in self.marks]))
        }
        return Snapshot.split(
            tables, by="mark", order="row", at={n: after(m[0]) for n, m in enumerate(self.marks)},
            after_seq={n: m[1] for n, m in enumerate(self.marks)} if placed else None,
        )  # fmt: skip

    def recording(self, *, without: tuple[str, ...] = (), seq: bool = True, tick: bool = True, **options: Any) -> Any:
        """Return the recording; `without` leaves out logs."""
        place = {"seq": "seq"} if seq else {}
        number = {"tick": "tick"} if tick else {}
        columns = {
            "applications": {"kind": False, "payload": False, "event": "event", "ok": "ok", **number},
            "actions": {"kind": "kind", "payload": "payload", "ok": "ok", **number},
            "writes": {"kind": "kind", "payload": False, **{part: part for part in ("table", "op", "key", "values")}},
            "checks": {"kind": "kind", "payload": "payload", **number},
            "ticks": {
                "kind": False, "payload": False, "checked_at": "checked", **number,
                **({"check_seq": "check_seq"} if seq else {}),
            },
        }  # fmt: skip
        logs = {
            name: Log(pd.DataFrame(self.logs[name]), time="at", **place, **roles)
            for name, roles in columns.items()
            if name not in without and self.logs[name]
        }
        given = {"snapshots": self.snapshots(placed=seq) if self.marks else (), "keys": KEYS if self.marks else None}
        return load(
            pd.DataFrame(self.logs["events"]), time="at", kind="kind", id="id", payload="payload", **place,
            **{**given, **logs, **options},
        )  # fmt: skip


def reconciler(broken: str | None = None, *, counting: bool = False) -> Reconciler:
    """Return the plant's rules; `broken` names the one that is wrong."""
    jobs = Table("id", n="BIGINT", status="VARCHAR")
    found = Reconciler("plant", {"jobs": jobs, "notes": Table("note", job="VARCHAR")})
    found.ignore("drop")

    @found.apply("put")
    def put(state: Any, event: Any) -> None:
        more = 1 if broken == "put" else 0
        state["jobs"].upsert(id=event.payload["id"], n=event.payload["n"] + more, status="queued")
        state["notes"].insert(note=state.new_id("note"), job=event.payload["id"])

    @found.apply("move")
    def move(state: Any, event: Any) -> None:
        if state["jobs"].get(event.payload["id"]) is None:
            raise RaisedError(event.payload["id"])
        state["jobs"].update(event.payload["id"], status="lost" if broken == "move" else event.payload["to"])

    @found.apply("poison")
    def poison(state: Any, event: Any) -> None:
        tags, job = event.payload["tags"], event.payload["id"]
        while tags:  # it uses up what it was given: the next application must be given it anew
            state["jobs"].update(job, n=state["jobs"][job]["n"] + tags.pop(0) * (2 if broken == "poison" else 1))
        raise RaisedError("always")

    @found.apply("drop")
    def drop(state: Any, event: Any) -> None:
        state["jobs"].delete(event.payload["id"])

    @found.act("start")
    def start(state: Any, action: Any) -> None:
        state["jobs"].update(action["id"], status="halted" if broken == "start" else "running")
        if action["n"] == 13:
            raise RaisedError("thirteen")
        state["jobs"].update(action["id"], n=state["jobs"][action["id"]]["n"] + 1)

    found.act("warn", "odd")(lambda state, action: None)
    rules(found, broken)
    if counting:
        more = 1 if broken == "query" else 0
        found.rule("odd", f"SELECT count(*) + {more} AS seen FROM events HAVING count(*) % 2 = 1", key=[])
        found.invariant("many", "SELECT count(*) AS seen FROM events HAVING count(*) > 3", key=[])
    return found


def rules(found: Reconciler, broken: str | None) -> None:
    """Declare rules and invariants."""

    def each(state: Any, now: Any) -> Any:
        return reversed(state["jobs"].find()) if broken == "order" else state["jobs"].find()

    @found.rule("start", key="id", each=each)
    def start(state: Any, now: Any, job: Any) -> Any:
        if job["status"] == "queued":
            yield Action("start", id=job["id"], n=job["n"])

    @found.rule("warn", key="id", each=each)
    def warn(state: Any, now: Any, job: Any) -> Any:
        if job["n"] >= (4 if broken == "rule" else 3):
            yield Action("warn", id=job["id"], why=["high", job["n"]])

    @found.invariant("few", key="id")
    def few(state: Any, now: Any) -> Any:
        return [row for row in state["jobs"].find() if row["n"] >= (6 if broken == "invariant" else 5)]
