"""Results of a replay as held rows: the frames of actions, violations, problems, metrics and steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from replaykit.causes import emitted_by
from replaykit.messages import looked_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    import pandas as pd
    import pyarrow as pa

    from replaykit.engine import Engine
    from replaykit.inputs import Plan
    from replaykit.outcomes import Effect, Emission, Episode, TickRecord
    from replaykit.problems import Problem
    from replaykit.recording import Recording
    from replaykit.violations import Violations

__all__ = [
    "actions_frame",
    "effects_frame",
    "event_steps",
    "metrics_frame",
    "problems_frame",
    "steps_table",
    "violations_frame",
]

_ACTION = {"action": "int64", "tick": "int64", "at": "datetime64[us]", "step": "int64", "rule": "str", "kind": "str"}
_VIOLATION = {
    "violation": "int64",
    "invariant": "str",
    "entity": "str",
    "opened_tick": "int64",
    "opened_at": "datetime64[us]",
    "opened_step": "int64",
    "last_tick": "int64",
    "last_at": "datetime64[us]",
    "closed_tick": "Int64",
    "closed_at": "datetime64[us]",
    "ticks": "int64",
    "detail": "str",
}


def _frame(rows: Sequence[Sequence[Any]], types: dict[str, str]) -> pd.DataFrame:
    import pandas as pd

    columns = zip(*rows, strict=True) if rows else ([] for _ in types)
    return pd.DataFrame(
        {name: pd.Series(list(values), dtype=kind) for (name, kind), values in zip(types.items(), columns, strict=True)}
    )


def entity_of(values: Iterable[Any]) -> str:
    """Return the text that names an entity: its key values, joined by a slash."""
    return "/".join("" if value is None else str(value) for value in values)


def actions_frame(emissions: list[Emission]) -> pd.DataFrame:
    """Return one row per emission in order of tick, rule and place; the actions' fields follow as columns."""
    import pandas as pd

    emissions.sort(key=lambda one: (one.tick, one.order))
    fixed = [(n, e.tick, e.at, e.step, e.rule.name, e.action.kind) for n, e in enumerate(emissions, 1)]
    keys = [[e.action.get(name) for name in e.rule.key] for e in emissions]
    entities = [entity_of(part for part in key if part not in (None, "")) for key in keys]
    columns: dict[Any, Any] = dict(_frame(fixed, _ACTION).items())
    columns["entity"] = pd.Series(entities, dtype="str")
    given = [dict(emission.action.fields) for emission in emissions]
    for name in dict.fromkeys(name for fields in given for name in fields):
        column = name
        while column in columns or column == "repeats":
            column += "_"
        columns[column] = pd.Series([fields.get(name) for fields in given]).convert_dtypes()
    columns["repeats"] = pd.Series([emission.repeats for emission in emissions], dtype="int64")
    return pd.DataFrame(columns)


def effects_frame(effects: Sequence[Effect]) -> pd.DataFrame:
    """Return one row per effect in order: where it belongs, the kinds of action and effect, the fields as JSON."""
    types = {
        "step": "int64",
        "tick": "Int64",
        "at": "datetime64[us]",
        "action": "str",
        "effect": "str",
        "fields": "str",
    }
    rows = [
        (e.step, e.tick, e.at, e.action.kind, e.effect.kind, json.dumps(dict(e.effect.fields), default=str))
        for e in effects
    ]
    return _frame(rows, types)


def violations_frame(
    episodes: list[Episode],
    records: Iterable[TickRecord] | None = None,
    interval: timedelta | None = None,
    blind: Iterable[tuple[str, int]] = (),
) -> Violations:
    """Return one row per episode, in order of opening.

    Parameters
    ----------
    records
        The ticks, as for `replaykit.messages.looked_at`, as `interval` and `blind` are. None makes violations that
        can't tell their messages.
    """
    from replaykit.violations import Violations

    rows = []
    for number, one in enumerate(episodes, 1):
        closed = one.closed or (None, None)
        detail = json.dumps(dict(one.detail), ensure_ascii=False, default=str)
        rows.append(
            (number, one.invariant.name, entity_of(one.key), *one.opened, *one.last, *closed, one.ticks, detail)
        )
    frame = Violations(_frame(rows, _VIOLATION))
    frame._looked = None if records is None else looked_at(episodes, records, interval, blind)
    return frame


def problems_frame(problems: Iterable[Problem]) -> pd.DataFrame:
    """Return one row per problem, kind and handler, with the first occurrence and a count."""
    types = {
        "problem": "str",
        "kind": "str",
        "handler": "str",
        "count": "int64",
        "step": "Int64",
        "position": "Int64",
        "event_id": "str",
        "detail": "str",
    }
    rows = [(p.problem, p.kind, p.handler, p.count, p.step, p.position, p.event_id, p.detail) for p in problems]
    return _frame(rows, types)


def metrics_frame(records: list[TickRecord]) -> pd.DataFrame:
    """Return one row per evaluated tick; ``repeats`` further ticks did the same."""
    types = {
        "tick": "int64",
        "at": "datetime64[us]",
        "step": "int64",
        "actions": "int64",
        "violations": "int64",
        "repeats": "int64",
    }
    return _frame([(r.tick, r.at, r.step, r.actions, r.violations, r.repeats) for r in records], types)


def steps_table(engine: Engine) -> Any:
    """Return the Arrow table of all steps in order, with the columns of `event_steps`."""
    import pyarrow as pa

    events = event_steps(engine.recording, engine.plan)
    if engine.retracer.drives:
        events = events.slice(0, 0)
    elif engine.numbered:
        events = events.set_column(0, "step", pa.array([step for step, _, _ in engine.pairs], pa.int64()))
        events = events.set_column(6, "applied_at", pa.array([at for _, _, at in engine.pairs], pa.timestamp("us")))
    if not engine.others:
        return events
    others = pa.table(
        {
            "step": pa.array([one.step for one in engine.others], pa.int64()),
            "input": [one.input for one in engine.others],
            "kind": [one.kind for one in engine.others],
            "event_id": pa.array([one.event_id for one in engine.others], pa.string()),
            "position": pa.array([one.position for one in engine.others], pa.int64()),
            "occurred_at": pa.array([one.occurred_at for one in engine.others], pa.timestamp("us")),
            "applied_at": pa.array([one.applied_at for one in engine.others], pa.timestamp("us")),
            "tick": pa.array([one.tick for one in engine.others], pa.int64()),
            "action": pa.array(emitted_by(engine), pa.int64()),
            "global_seq": pa.array([one.global_seq for one in engine.others], pa.int64()),
        }
    )
    return pa.concat_tables([events.cast(others.schema), others]).sort_by("step")


def event_steps(recording: Recording, plan: Plan) -> pa.Table:
    """Return the steps of the events of a plan, numbered as if there were no others.

    Columns: step, input, kind, event_id, position, occurred_at, applied_at, tick, action, global_seq. ``action`` is the
    number in ``Replay.actions`` of what was applied, where a tick of this replay emitted it.
    """
    import numpy as np
    import pyarrow as pa

    seq = "global_seq" if "global_seq" in recording.columns("events") else "NULL::BIGINT AS global_seq"
    rows = recording._arrow(
        f"SELECT kind, event_id, position, occurred_at, {seq} FROM events WHERE {plan.where} ORDER BY position",
        plan.parameters,
    )
    step = rows["position"].to_numpy() - plan.first
    applied = np.maximum.accumulate(rows["occurred_at"].to_numpy())
    if plan.base.at is not None:
        applied = np.maximum(applied, np.datetime64(plan.base.at, "us"))
    names = [
        "step",
        "input",
        "kind",
        "event_id",
        "position",
        "occurred_at",
        "applied_at",
        "tick",
        "action",
        "global_seq",
    ]
    *columns, order = rows.columns
    none = pa.nulls(len(rows), pa.int64())
    values = [step, pa.repeat("event", len(rows)), *columns, applied, none, none, order]
    return pa.table(values, names=names)
