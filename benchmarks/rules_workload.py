"""A town for the benchmark of rules: beads, agents and links over twelve hours, and 25 rules in two dialects of SQL."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import replaykit as rk

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["END", "RULES", "START", "TABLES", "base", "events", "in_dialect", "reconciler"]

START = datetime(2026, 3, 26, 6)
END = START + timedelta(hours=12)
TABLES = {
    "beads": {"id": "VARCHAR", "type": "VARCHAR", "status": "VARCHAR", "rig": "VARCHAR", "agent": "VARCHAR",
              "seen": "TIMESTAMP"},
    "agents": {"id": "VARCHAR", "status": "VARCHAR", "hook": "VARCHAR", "seen": "TIMESTAMP"},
    "links": {"id": "VARCHAR", "a": "VARCHAR", "b": "VARCHAR"},
}  # fmt: skip
_STALE = [f"SELECT id FROM agents WHERE status = '{s}' AND LATE(seen, {n}) ORDER BY id"
          for s, n in (("working", 500), ("working", 800), ("stalled", 60), ("dead", 120))]  # fmt: skip
_WAITING = [f"SELECT id FROM beads WHERE status = '{s}' AND agent IS NULL AND LATE(seen, {n}) ORDER BY id"
            for s, n in (("open", 600), ("in_progress", 120), ("in_review", 300), ("failed", 60))]  # fmt: skip
_JOINED = [f"SELECT b.id FROM beads b JOIN agents a ON a.id = b.agent WHERE b.status = '{s}' AND a.status = '{t}' "
           "AND LATE(a.seen, 30) ORDER BY b.id"
           for s, t in (("in_progress", "dead"), ("in_progress", "stalled"), ("in_review", "dead"))]  # fmt: skip
_LEFT = [f"SELECT b.id FROM beads b LEFT JOIN agents a ON a.id = b.agent AND a.status <> 'dead' "
         f"WHERE b.status = '{s}' AND b.agent IS NOT NULL AND a.id IS NULL AND LATE(b.seen, 20) ORDER BY b.id"
         for s in ("in_progress", "in_review")]  # fmt: skip
_MISSING = [f"SELECT b.id FROM beads b WHERE b.type = '{t}' AND b.status = '{s}' AND {n} EXISTS (SELECT 1 FROM links l "
            f"JOIN beads o ON o.id = l.b WHERE l.a = b.id AND o.status {o}) AND NOT LATE(b.seen, 120) ORDER BY b.id"
            for t, s, n, o in (("review", "open", "NOT", "<> 'closed'"), ("issue", "in_review", "NOT", "= 'open'"),
                               ("issue", "closed", "", "= 'in_progress'"), ("review", "failed", "", "= 'in_review'"))]  # fmt: skip # noqa: E501
_GROUPED = [
    "SELECT rig AS id FROM beads WHERE type = 'review' AND status = 'in_progress' GROUP BY 1 HAVING count(*) > 5",
    "SELECT hook AS id FROM agents WHERE hook IS NOT NULL GROUP BY hook HAVING count(*) > 1 ORDER BY hook",
    "SELECT agent AS id FROM beads WHERE status = 'in_progress' AND agent IS NOT NULL GROUP BY 1 "  # noqa: ISC004
    "HAVING count(*) > 4 AND LATE(max(seen), 60) ORDER BY 1",
]
_LEFT_OUT = [
    "SELECT id FROM agents WHERE status = 'working' "  # noqa: ISC004
    "AND hook NOT IN (SELECT id FROM beads WHERE status = 'in_progress') ORDER BY id",
]
_WRONG = [
    "SELECT id FROM agents WHERE status = 'working' AND hook IS NULL ORDER BY id",
    "SELECT id FROM beads WHERE type = 'convoy' AND status = 'in_progress' ORDER BY id",
    "SELECT a.id FROM agents a JOIN beads b ON b.id = a.hook WHERE b.status = 'closed' ORDER BY a.id",
    "SELECT id FROM beads WHERE status = 'in_progress' AND agent IS NULL ORDER BY id",
]
RULES = [*_STALE, *_WAITING, *_JOINED, *_LEFT, *_MISSING, *_GROUPED, *_LEFT_OUT, *_WRONG]


def in_dialect(text: str, *, sqlite: bool = False) -> str:
    """Return a rule with its thresholds against the clock spelt out; SQLite holds times in microseconds."""
    late = r":now - \1 > \g<2>000000" if sqlite else r"$now - \1 > INTERVAL \2 SECOND"
    if sqlite:  # which would begin with the many closed beads, not with the few agents
        text = text.replace("b.id = a.hook WHERE b.status", "b.id = a.hook WHERE +b.status")
    return re.sub(r"LATE\((\w+\(\w+\)|[\w.]+), (\d+)\)", late, text)


def base(scale: int) -> dict[str, list[dict[str, Any]]]:
    """Return the rows at the start: 300 beads, 40 agents and 300 links for each unit of scale."""
    draw, old = Random(5), START - timedelta(hours=1)
    beads, agents = 300 * scale, 40 * scale
    rows: dict[str, list[dict[str, Any]]] = {"beads": [], "agents": [], "links": []}
    for n in range(beads):
        status = draw.choices(["closed", "open", "in_progress", "in_review"], [80, 8, 8, 4])[0]
        agent = f"a{draw.randrange(agents)}" if status in {"in_progress", "in_review", "open"} else None
        kind = draw.choices(["issue", "review"], [70, 30])[0]
        rows["beads"].append({"id": f"b{n}", "type": kind, "status": status, "rig": f"r{draw.randrange(8 * scale)}",
                              "agent": agent, "seen": old})  # fmt: skip
        rows["links"].append({"id": f"l{n}", "a": f"b{n}", "b": f"b{draw.randrange(beads)}"})
    for n in range(agents):
        rows["agents"].append({"id": f"a{n}", "status": "idle", "hook": None, "seen": old})
    return rows


def events(number: int) -> Iterator[dict[str, Any]]:
    """Yield events, ascending: what table, which row, and the columns they set."""
    draw = Random(9)
    times = sorted(draw.randrange(12 * 3600 * 1_000_000) for _ in range(number))
    for place, micros in enumerate(times):
        at = START + timedelta(microseconds=micros)
        given: dict[str, Any]
        if draw.random() < 0.7:
            status = draw.choices(["idle", "working", "stalled", "dead"], [30, 69, 0.7, 0.3])[0]
            agent = draw.randrange(40)
            hook = f"b{agent}" if status == "working" else None
            given = {"table": "agents", "id": f"a{agent}", "status": status, "hook": hook}
        else:
            status = draw.choices(["open", "in_progress", "in_review", "closed", "failed"], [0.8, 97.5, 0.8, 0.6, 0.3])[
                0
            ]
            bead = draw.randrange(40)
            agent = f"a{bead}" if status != "failed" and draw.random() < 0.99 else None
            given = {"table": "beads", "id": f"b{bead}", "status": status, "agent": agent}
        yield {"at": at, "kind": "set", "id": f"e{place}", "payload": given}


def reconciler() -> rk.Reconciler:
    """Return the town's reconciler, with its rules."""
    found = rk.Reconciler("town", {name: rk.Table("id", columns) for name, columns in TABLES.items()})

    @found.apply("set")
    def set_(state: Any, event: Any) -> None:
        given = dict(event.payload)
        state[given.pop("table")].update(given.pop("id"), **given, seen=event.occurred_at)

    for number, text in enumerate(RULES):
        found.rule(f"{number}", in_dialect(text), key="id")
    return found
