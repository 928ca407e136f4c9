"""Saving a replay: its history, steps, frames and all that was decided, in one DuckDB file."""

from __future__ import annotations

import json
import platform
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit import connection as connections
from replaykit.content import content_digest, content_parts
from replaykit.history import BOOKKEEPING
from replaykit.saving.carrying import carry, types_of
from replaykit.saving.declared import describe
from replaykit.saving.format import FORMAT_VERSION, is_run
from replaykit.saving.frames import write_frame
from replaykit.saving.values import encode
from replaykit.sources.writing import Kind, drafted
from replaykit.sql import quote

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import pandas as pd

    from replaykit.inputs import Plan
    from replaykit.messages import Looked
    from replaykit.replayed import Replay

__all__ = ["save_run"]

_FEW_ROWS = 100_000
_SMALL, _LARGE = 16_384, 262_144
_STORAGE = "v2.0.0"
"""What every DuckDB reads that this library runs on; by default each writes what only it and later ones read."""


def save_run(run: Replay, path: str | os.PathLike[str]) -> Path:
    """Write a replay into one file; see `Replay.save`."""
    block = _SMALL if _rows(run) < _FEW_ROWS else _LARGE
    told = _told(run)  # reads the recording: what is wrong with that is told before anything is written
    kind = Kind("saved run", "path", lambda place: _begun(place, block), is_run)
    with drafted(path, kind) as draft:
        into = draft.connection
        for schema in ("history", "results"):
            into.execute(f"CREATE SCHEMA {schema}")
        told["stored"] = _write_history(run, into)
        _write_events(run, into)
        told["frames"] = {
            name: write_frame(into, f"results.{quote(name)}", frame) for name, frame in _frames(run).items()
        }
        _write_meta(into, told)
        written, _ = draft.publish()
    return written


def _begun(path: Path, block: int) -> duckdb.DuckDBPyConnection:
    connection = connections.memory()
    place = str(path).replace("'", "''")
    connection.execute(f"ATTACH '{place}' AS saved (STORAGE_VERSION '{_STORAGE}', BLOCK_SIZE {block})")
    connection.execute("USE saved")
    return connection


def _rows(run: Replay) -> int:
    counts = [f"(SELECT count(*) FROM {one})" for one in ("steps", *_sources(run).values())]
    return int(run.history.fetch(f"SELECT {' + '.join(counts)}")[0][0])


def _sources(run: Replay) -> dict[str, str]:
    return {name: f"history.{quote(name)}" for name in run.history.tables}


def _write_history(run: Replay, into: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Write versions and steps; return the types of their columns."""
    with run.history.reading() as cursor:
        stored: dict[str, Any] = {"steps": types_of(cursor, "main", "steps")}
        tables = {name: types_of(cursor, "history", name) for name in run.history.tables}
    carry(run.history.arrow, "steps", "step", stored["steps"], into, "main.steps")
    for name, source in _sources(run).items():
        carry(run.history.arrow, source, "change", tables[name], into, source)
    stored["history"] = {
        name: {column: kind for column, kind in types.items() if column not in BOOKKEEPING}
        for name, types in tables.items()
    }
    return stored


def _write_events(run: Replay, into: duckdb.DuckDBPyConnection) -> None:
    """Write the events of the window, and those applied in it, with every column the recording has."""
    start, end = run.window.bounds()
    values: dict[str, Any] = {"start": start, "end": end}
    inside = "occurred_at >= $start AND occurred_at < $end"
    if _scattered(run):
        inside += " OR position IN (SELECT unnest($positions))"
        values["positions"] = run.events["position"].unique().tolist()
    types = run.recording.columns("events")
    carry(partial(run.recording._arrow, params=values), f"events WHERE {inside}", "position", types, into, "events")


def _scattered(run: Replay) -> bool:
    """Return whether events were applied at other times than they happened."""
    return run.settings["actions"] == "recorded" and "applications" in run.recording.logs


def _frames(run: Replay) -> dict[str, pd.DataFrame]:
    import pandas as pd

    frames = {
        "actions": run.actions,
        "violations": pd.DataFrame(run.violations),
        "problems": run.problems,
        "metrics": run.metrics,
        "effects": run.effects,
        "evaluation": run.evaluation,
        "verdict_checks": run.verdict.checks,
        "verdict_cells": run.verdict.cells,
        "emitted": _table(run.emitted, ["tick", "kind", "fields", "rule"]),
        "found": _table(run.found, ["tick", "invariant", "detail"]),
        "checked": _table([(tick,) for tick in sorted(run.checked)], ["tick"]),
        "ticks": _table(
            [(one.tick, one.at, one.seq, one.checked_at, one.check_seq) for one in run.settings["ticks"].recorded],
            ["tick", "at", "seq", "checked_at", "check_seq"],
        ),
        **_looked(run.violations._looked),
    }
    return {**frames, **({"divergence": run.divergence.frame} if _diverges(run) else {})}


def _table(rows: Any, names: list[str]) -> pd.DataFrame:
    """Return rows as a frame of objects: what they hold comes back as it is."""
    import pandas as pd

    cells = list(zip(*(tuple(map(_open, row)) for row in rows), strict=True)) or [()] * len(names)
    return pd.DataFrame({name: pd.Series(list(one), dtype=object) for name, one in zip(names, cells, strict=True)})


def _open(value: Any) -> Any:
    return dict(value) if hasattr(value, "items") else value


def _looked(looked: Looked | None) -> dict[str, pd.DataFrame]:
    import pandas as pd

    if looked is None:
        return {}
    ticks = {"tick": looked.ticks, "at": looked.times, "place": looked.places}
    spans = _table(looked.spans, ["same", "first", "last"]).astype("int64")
    return {"looked_ticks": pd.DataFrame(ticks), "looked_spans": spans}


def _diverges(run: Replay) -> bool:
    return run.settings["ticks"].mode == "recorded" and "actions" in run.recording.logs


def _told(run: Replay) -> dict[str, Any]:
    """Return everything else there is to know, as JSON has it."""
    import pandas as pd

    import replaykit

    versions = {
        "replaykit": replaykit.__version__,
        "duckdb": duckdb.__version__,
        "pandas": pd.__version__,
        "python": platform.python_version(),
    }
    origin = getattr(run, "origin", None)
    looked, verdict = run.violations._looked, run.verdict
    schedule = run.settings["ticks"]
    return {
        "versions": versions if origin is None else dict(origin.versions),
        "recording": _recording(run) if origin is None else dict(origin.recording),
        "logs": list(run.recording.logs),
        "digest": run.digest,
        "rules": describe(run.reconciler),
        "plan": _plan(run.plan),
        "settings": {
            "ticks": schedule.mode,
            "interval": encode(schedule.interval),
            "actions": run.settings["actions"],
            "on_error": run.settings["on_error"],
        },
        "steps": [run.before_step, run.after_step],
        "last_seq": run.last_seq,
        "verdict": {"status": verdict.status, "sentence": verdict.sentence, "reasons": list(verdict.reasons)},
        "looked": None if looked is None else _looked_told(looked),
        "divergence": [run.divergence.ticks, run.divergence.actions] if _diverges(run) else None,
    }


def _recording(run: Replay) -> dict[str, Any]:
    return {
        "digest": content_digest(run.recording),
        "parts": dict(content_parts(run.recording)),
        "events": len(run.recording),
    }


def _plan(plan: Plan) -> dict[str, Any]:
    base = plan.base
    # The rows of a recorded snapshot are the recording's, those of a given one the history's at step 0.
    return {
        "window": [encode(bound) for bound in plan.window.bounds()],
        "base": [base.name, base.position, encode(base.at), base.number, base.seq],
        "first": plan.first,
        "where": plan.where,
        "events": plan.events,
        "warmup": plan.warmup,
        "late": plan.late,
        "last": plan.last,
        "kinds": [[kind, *found] for kind, found in plan.kinds.items()],
        "span": None if plan.span is None else [encode(bound) for bound in plan.span.bounds()],
        "logs": dict(plan.logs),
        "altered": plan.altered,
    }


def _looked_told(looked: Looked) -> dict[str, Any]:
    blind = {name: list(places) for name, places in looked.blind.items()}
    return {"count": looked.count, "interval": encode(looked.interval), "blind": blind}


def _write_meta(into: duckdb.DuckDBPyConnection, told: Mapping[str, Any]) -> None:
    into.execute("CREATE TABLE main.meta (key VARCHAR, value VARCHAR)")
    rows = [(key, json.dumps(value)) for key, value in {"format_version": FORMAT_VERSION, **told}.items()]
    into.executemany("INSERT INTO main.meta VALUES (?, ?)", rows)
