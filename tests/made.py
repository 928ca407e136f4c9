"""Every kind of result there is to look at, made from the town's incident and from a small recording; and as JSON.

Run as a script, it prints what each shows, so that processes can be compared.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import pandas as pd

import replaykit as rk
from replaykit.glance import glance
from replaykit.plots import swimlanes, timeline
from replaykit.systems import gastown

FOLDER = Path(__file__).parent.parent / "sample_data" / "gastown-incident"
WINDOW = rk.Window("2026-03-26T14:20Z", "2026-03-26T14:30Z")
MANY = 300


def rules():
    """Return rules that set the status of jobs, ask for work on every one, and break an invariant for each lost one."""
    made = rk.Reconciler("jobs", {"jobs": rk.Table(key="id", id="BIGINT", status="VARCHAR")})

    @made.apply("lost", "done")
    def moved(state, event):
        state["jobs"].upsert(id=event.payload["id"], status=event.kind)

    made.rule("work", "SELECT id FROM jobs WHERE status = 'lost' ORDER BY id", key="id")
    made.invariant("found", "SELECT id FROM jobs WHERE status = 'lost' ORDER BY id", key="id")
    return made


def small():
    """Return a recording of many jobs, whose second snapshot contradicts the rules."""
    data = [
        {"at": f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z", "kind": kind, "data": {"id": n}}
        for n, kind in enumerate(["lost"] * MANY + ["done", "unheard of"])
    ]
    jobs = [{"id": n, "status": "lost"} for n in range(MANY)]
    none = pd.DataFrame(jobs).iloc[:0]
    shots = [
        rk.Snapshot({"jobs": none}, at="2025-12-31T23:59:59Z"),
        rk.Snapshot({"jobs": jobs}, at="2026-01-01T00:05:30Z"),
    ]
    return rk.load(data, time="at", kind="kind", id=False, payload="data", snapshots=shots, keys={"jobs": "id"})


@cache
def town():
    """Return the incident's recording, and ten minutes of it retraced."""
    recording = gastown.load_trace(FOLDER)
    return recording, rk.replay(recording, gastown, WINDOW, ticks="recorded", actions="recorded")


def of_town():
    """Return results by name."""
    recording, run = town()
    return {
        "town": recording,
        "town's snapshot": recording.snapshot(6),
        "town's glance": glance(recording, WINDOW),
        "town's replay": run,
        "town's verdict": run.verdict,
        "town's diff": run.diff,
        "town's beads": run.diff["beads"],
        "town's moment": run.at("2026-03-26T14:25Z"),
        "town's history": run.history,
        "town's gross diff": rk.diff(run.before, run.after, gross=True),
        "town's event": run.history.touched(step=run.after_step - 1),
        "town's first": run.first("SELECT bead_id FROM beads WHERE status = $status", status="closed"),
        "town's times": run.when(
            "SELECT bead_id FROM beads WHERE status = 'in_progress' AND priority = $one", one="high"
        ),
        "town's violations": run.violations,
        "town's divergence": run.divergence,
        "town's episodes": recording.episodes("checks"),
        "town's story": recording.story("rpc-bead-0066"),
        "town's unexplained": recording.unexplained(["review_metadata"]),
    }


def of_small():
    """Return results by name, most of them with more rows than are shown; and the recording first."""
    recording = small()
    run = rk.replay(recording, rules(), ticks="end")
    audit = pd.DataFrame(
        {"id": range(MANY), "old_value": "new", "new_value": "lost", "created_at": "2026-01-01T00:01Z"}
    )
    now = pd.DataFrame({"id": range(MANY), "status": "lost"})
    return {
        "small": recording,
        "snapshot": recording.snapshot(1),
        "glance": glance(recording),
        "replay": run,
        "verdict": run.verdict,
        "diff": run.diff,
        "one diff": run.diff["jobs"],
        "moment": run.after,
        "base": run.at(step=0),
        "history": run.history,
        "gross diff": rk.diff(run.before, run.after, gross=True),
        "touched": run.history.touched(step=3),
        "first": run.first("SELECT * FROM jobs ORDER BY id"),
        "never": run.first("SELECT count(*) FROM jobs HAVING count(*) > 1000"),
        "times": run.when("SELECT id FROM jobs WHERE status = $hostile", hostile="<script>alert(1)</script>\x1b[31m"),
        "blame": run.after.blame("jobs", 1, "status"),
        "violations": run.violations,
        "muted": run.violations.mute("ticks == 1", reason="they always are"),
        "determinism": run.check_determinism(),
        "verification": rk.verify(recording, rules()),
        "rewound": rk.rewind(now, audit, at="2026-01-01T00:00Z", column="status"),
        "check": recording.check("none lost", "SELECT id FROM jobs WHERE status = 'lost'", key="id"),
        "unexplained": recording.unexplained(),
        "window": run.window,
    }


@cache
def all_results():
    """Return the results of both by name, which many tests look at."""
    return {**of_town(), **of_small()}


@cache
def pictures():
    """Return pictures by name."""
    recording, run = town()
    return {
        "plot": run.plot(),
        "swim-lanes": swimlanes(run, "beads"),
        "timeline": timeline(recording),
        "timeline of a replay": timeline(run),
        "panels": gastown.plots.panels(run),
    }


def shown():
    """Return what each result shows, as plain text and as HTML or SVG."""
    texts = {name: [repr(one), getattr(one, "_repr_html_", str)()] for name, one in all_results().items()}
    return {**texts, **{name: [repr(one), one.svg] for name, one in pictures().items()}}


def order_of_a_set():
    """Return a hundred texts in the order of a set, which no two hash seeds have in common."""
    return list({str(n) for n in range(100)})


if __name__ == "__main__":
    json.dump({"shown": shown(), "order of a set": order_of_a_set()}, sys.stdout)
