"""Opening a saved run: everything is checked first, then it is a replay again."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit.content import content_digest, content_parts
from replaykit.declarations import Table
from replaykit.divergence import Divergence
from replaykit.errors import FormatError, LoadError, ReconcilerError, excerpt
from replaykit.inputs import Base, Plan
from replaykit.messages import Looked
from replaykit.reconciler import Reconciler, reconciler_of
from replaykit.recorded_ticks import RecordedTick
from replaykit.recording import Recording
from replaykit.saving.conditions import check_condition
from replaykit.saving.declared import SavedRules, describe, differences, rules_from
from replaykit.saving.format import attached, check_tables, read_meta
from replaykit.saving.frames import read_frame
from replaykit.saving.opened import KeptEvents, Origin, SavedHistory, SavedReplay
from replaykit.saving.values import decode
from replaykit.schedule import Schedule
from replaykit.sql import quote
from replaykit.tables import LazyTables
from replaykit.verdict import Verdict
from replaykit.window import Window

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from types import ModuleType

    import pandas as pd

__all__ = ["open_run"]

_DIGEST = re.compile(r"[0-9a-f]{16,64}")
_STATUS = "verified contradicted unverified approximate"
_TICKS = "none end event interval recorded"
_ACTIONS, _ON_ERROR = "collect apply recorded", "raise undo keep"
_FRAMES = ("actions", "problems", "metrics", "effects", "evaluation")


def open_run(
    path: str | os.PathLike[str],
    reconciler: Reconciler | ModuleType | None = None,
    recording: Recording | None = None,
) -> SavedReplay:
    """Open a run that `Replay.save` wrote; read-only, and several processes may do so at once.

    Every question about state is answered from the file: moments, diffs, blame, history, `first` and `when`, actions,
    violations, metrics, pictures, and the verdict as it was judged then. Nothing in a file is ever run.

    Parameters
    ----------
    reconciler
        The rules that ran, for `why`, `why_not`, `readers`, `again` and `check_determinism`. Their digest must be the
        one that was saved.
    recording
        The recording it was made of, for what reads more of it than the window's events. Its digest must be the same.

    Raises
    ------
    FormatError
        The file is missing, damaged, no saved run, or of another format version; the message says which.
    ReconcilerError
        `reconciler` is not the one that ran; the message names both digests and what differs.
    LoadError
        `recording` is not the one it was made of.
    """
    place = Path(path).expanduser()
    connection, tables = attached(place)
    try:
        meta = read_meta(connection, tables)
        check_tables(connection, tables, meta)
        return _opened(connection, meta, place, reconciler, recording)
    except FormatError as error:
        raise FormatError(f"{str(place)!r} can't be opened as a saved run. {error}") from None
    except (LoadError, ReconcilerError):  # what was given with the file is wrong
        raise
    except (KeyError, TypeError, ValueError, ArithmeticError, IndexError, AttributeError, duckdb.Error) as error:
        what = f"{type(error).__name__}: {excerpt(str(error))}"
        raise FormatError(
            f"{str(place)!r} can't be opened as a saved run. What it says of itself is damaged ({what}); fetch it "
            "again, or save the run again."
        ) from None


def _opened(
    connection: duckdb.DuckDBPyConnection, meta: Mapping[str, Any], path: Path, given: Any, recording: Recording | None
) -> SavedReplay:
    rules = rules_from(meta["rules"], str(meta["digest"]))
    history = SavedHistory(connection, {name: (one.key, one.columns) for name, one in rules.tables.items()})
    _check_columns(rules, meta["stored"]["history"])
    frames = {
        name: read_frame(connection, f"recording.results.{quote(name)}", spec) for name, spec in meta["frames"].items()
    }
    plan = _plan(meta["plan"], history)
    kept = KeptEvents(connection, plan.span, tuple(map(str, meta["logs"])))
    origin = Origin(path, meta["versions"], meta["recording"])
    before, after = map(int, meta["steps"])
    if not 0 <= before <= after or not _DIGEST.fullmatch(meta["digest"]):
        raise ValueError("no such steps or digest")
    run = SavedReplay(
        recording=kept if recording is None else _same_recording(recording, origin),  # type: ignore[arg-type]
        reconciler=rules if given is None else _same_rules(given, rules),
        digest=str(meta["digest"]),
        window=plan.window,
        plan=plan,
        history=history,
        before_step=before,
        after_step=after,
        violations=_violations(frames, meta["looked"]),
        emitted=tuple(
            (tick, kind, MappingProxyType(fields), rule) for tick, kind, fields, rule in _rows(frames["emitted"])
        ),
        found=tuple(_rows(frames["found"])),
        checked=frozenset(tick for (tick,) in _rows(frames["checked"])),
        last_seq=meta["last_seq"],
        settings=_settings(meta["settings"], frames["ticks"]),
        origin=origin,
        **{name: frames[name] for name in _FRAMES},
    )
    _judged(run, meta, frames)
    return run


def _judged(run: SavedReplay, meta: Mapping[str, Any], frames: Mapping[str, pd.DataFrame]) -> None:
    """Hand a run what was found with its recording, so that nothing asks for that again."""
    said = meta["verdict"]
    reasons = tuple(map(str, said["reasons"]))
    verdict = Verdict(
        _one_of(said["status"], _STATUS),
        str(said["sentence"]),
        frames["verdict_checks"],
        frames["verdict_cells"],
        reasons,
    )
    run.__dict__["verdict"] = verdict
    if meta["divergence"] is not None:
        ticks, actions = map(int, meta["divergence"])
        run.__dict__["divergence"] = Divergence(frames["divergence"], ticks, actions)


def _check_columns(rules: SavedRules, stored: Mapping[str, Any]) -> None:
    declared = {name: list(one.columns) for name, one in rules.tables.items()}
    if declared != {name: list(columns) for name, columns in stored.items()}:
        raise FormatError("Its state tables are not those its reconciler declares.")


def _rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(zip(*(frame[name].tolist() for name in frame.columns), strict=True))


def _plan(told: Mapping[str, Any], history: SavedHistory) -> Plan:
    logs = {str(log): check_condition(text) for log, text in told.get("logs", {}).items()}
    name, position, at, number, seq = told["base"]
    tables = LazyTables(() if name == "empty" else history.tables, partial(_base_rows, history))
    base = Base(str(name), tables, position, decode(at), number, seq)
    return Plan(
        window=_window(told["window"]),
        base=base,
        first=int(told["first"]),
        where=check_condition(told["where"]),
        events=int(told["events"]),
        warmup=int(told["warmup"]),
        late=bool(told["late"]),
        last=int(told["last"]),
        kinds={kind: (int(number), int(first), event) for kind, number, first, event in told["kinds"]},
        span=None if told["span"] is None else _window(told["span"]),
        logs=logs,
        altered=str(told.get("altered", "")),
    )


def _window(bounds: Any) -> Window:
    start, end = map(decode, bounds)
    return Window(start, end)


def _base_rows(history: SavedHistory, name: str) -> pd.DataFrame:
    """Return a table as the base had it, in types that lose nothing."""
    import pandas as pd
    import pyarrow as pa

    query = history.at_query(name, 0)
    rows = history.arrow(query)
    for place, (column, kind) in enumerate(history.columns(name).items()):
        carried = {"INTERVAL": pa.duration("us"), "HUGEINT": pa.int64()}.get(kind.upper())
        if carried is not None:  # Arrow would make months and decimals of them
            cells = [row[place] for row in history.fetch(query)]
            rows = rows.set_column(place, column, pa.array(cells, carried))
    frame: pd.DataFrame = rows.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _settings(told: Mapping[str, Any], ticks: pd.DataFrame) -> dict[str, Any]:
    recorded = tuple(RecordedTick(*row) for row in _rows(ticks))
    schedule = Schedule(_one_of(told["ticks"], _TICKS), decode(told["interval"]), recorded)
    actions, on_error = _one_of(told["actions"], _ACTIONS), _one_of(told["on_error"], _ON_ERROR)
    return {"ticks": schedule, "actions": actions, "on_error": on_error}


def _one_of(value: Any, choices: str) -> str:
    """Return a word if it is one of some."""
    if value not in choices.split():
        raise ValueError(f"{excerpt(value)} is none of {choices}")
    return str(value)


def _violations(frames: Mapping[str, pd.DataFrame], looked: Mapping[str, Any] | None) -> Any:
    from replaykit.violations import Violations

    found = Violations(frames["violations"])
    if looked is not None:
        ticks, times, places = (frames["looked_ticks"][name].to_numpy() for name in ("tick", "at", "place"))
        spans = [tuple(map(int, row)) for row in _rows(frames["looked_spans"])]
        blind = {name: list(map(int, places)) for name, places in looked["blind"].items()}
        found._looked = Looked(ticks, times, places, int(looked["count"]), decode(looked["interval"]), blind, spans)  # type: ignore[arg-type]
    return found


def _same_rules(given: Any, saved: SavedRules) -> Reconciler:
    """Return a copy of the reconciler if it is the one that ran, with the columns it took from the recording."""
    twin = reconciler_of(given).copy()
    tables = {}
    for name, one in twin.tables.items():
        known = saved.tables.get(name)
        columns = one.columns or (known.columns if known is not None else {})
        tables[name] = Table(one.key, columns, defaults=one.defaults)
    twin.tables = tables
    if twin.digest() != saved.digest():
        parts = differences(saved.told, describe(twin))
        what = "; ".join(parts[:10]) or "what differs can't be told: all names, parameters and sources read the same"
        raise ReconcilerError(
            f"The run was made by rules with digest {saved.digest()}, the given ones have {twin.digest()}: {what}. "
            "Give it the rules that ran (with_params() for parameters), or open it without."
        )
    return twin


def _same_recording(given: Any, origin: Origin) -> Recording:
    if not isinstance(given, Recording):
        raise LoadError(f"recording is {excerpt(given)}; expected an open recording, such as rk.open(path) gives.")
    if content_digest(given) != origin.recording["digest"]:
        saved, here = origin.recording["parts"], content_parts(given)
        names = dict.fromkeys([*saved, *here])
        parts = ", ".join(name for name in names if saved.get(name) != here.get(name))
        raise LoadError(
            f"The run was made of a recording with digest {origin.recording['digest'][:16]}, the given one has "
            f"{content_digest(given)[:16]}; they differ in {parts} ({origin.recording['events']:,} events then, "
            f"{len(given):,} here). Give it that recording, or open it without."
        )
    return given
