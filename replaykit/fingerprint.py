"""Fingerprints: digests by which two histories, or what two replays found, are told to be equal without comparing rows.

A digest is 64 hex digits. It is the same for equal values whatever the process, the hash seed, the number of threads or
the way a rule was answered in, and for a run read back from its file. -0.0 is 0.0, every NaN is one NaN.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from typing import TYPE_CHECKING, Any

from replaykit.display import is_empty
from replaykit.sql import quote

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from replaykit.history import History
    from replaykit.replayed import Replay

__all__ = [
    "actions_digest",
    "frame_digest",
    "history_digest",
    "state_digest",
    "steps_digest",
    "table_digest",
    "violations_digest",
]

# Everything else is read as DuckDB's text of it, which is exact.
_AS_IT_IS = {
    "BIGINT", "BOOLEAN", "DATE", "DOUBLE", "FLOAT", "INTEGER", "JSON", "SMALLINT", "STRING", "TEXT", "TIMESTAMP",
    "TINYINT", "UUID", "VARCHAR",
}  # fmt: skip


def history_digest(history: History, upto_step: int | None = None) -> str:
    """Return a digest of every version of every row of all tables, with keys, column names and types.

    Parameters
    ----------
    upto_step
        Only what was known after this step: versions with ``valid_from <= upto_step``, those that end later still
        open. So two runs have equal digests up to a step exactly if their states took the same way there. None is all.

    Notes
    -----
    Two tables are not told apart by which of them changed first within one step.
    """
    return _joined([table_digest(history, name, upto_step) for name in sorted(history.tables)])


def table_digest(history: History, name: str, upto_step: int | None = None) -> str:
    """Return a digest of every version of one table's rows in order of change; as `history_digest`."""
    end = "valid_to" if upto_step is None else f"CASE WHEN valid_to <= {int(upto_step)} THEN valid_to END"
    where = "true" if upto_step is None else f"valid_from <= {int(upto_step)}"
    # `change` counts over all tables, so a prefix may number it otherwise; its order within a table is what counts.
    rows = history.arrow(
        f"SELECT born, valid_from, {end} AS valid_to, {_columns(history, name)} "
        f"FROM history.{quote(name)} WHERE {where} ORDER BY change"
    )
    return _table(history, name, rows)


def state_digest(history: History, name: str, step: int) -> str:
    """Return a digest of one table's rows after a step, in insertion order."""
    live = f"valid_from <= {int(step)} AND (valid_to IS NULL OR valid_to > {int(step)})"
    rows = history.arrow(
        f"SELECT {_columns(history, name)} FROM history.{quote(name)} WHERE {live} ORDER BY born, change"
    )
    return _table(history, name, rows)


def steps_digest(history: History, upto_step: int | None = None) -> str:
    """Return a digest of what was applied at each step and when, up to one step or all of them."""
    where = "true" if upto_step is None else f"step <= {int(upto_step)}"
    rows = history.arrow(
        f"SELECT step, input, kind, event_id, occurred_at, applied_at, tick FROM steps WHERE {where} ORDER BY step"
    )
    return _joined([str(len(rows)), *(_column(rows[name]) for name in rows.column_names)])


def actions_digest(run: Replay, rule: str | None = None) -> str:
    """Return a digest of what a replay's rules emitted, with ticks and steps in order; of one rule, or of all."""
    rows = run.actions if rule is None else run.actions[run.actions["rule"] == rule]
    return frame_digest(rows, leave_out=("action",))


def violations_digest(run: Replay, invariant: str | None = None) -> str:
    """Return a digest of a replay's episodes in order of opening; of one invariant, or of all."""
    rows = run.violations if invariant is None else run.violations[run.violations["invariant"] == invariant]
    return frame_digest(rows, leave_out=("violation",))


def frame_digest(rows: pd.DataFrame, *, leave_out: Sequence[str] = ()) -> str:
    """Return a digest of a frame's rows in order. An empty cell is the same as a column that is not there."""
    names = [str(name) for name in rows.columns if name not in leave_out]
    cells = [rows[name].tolist() for name in rows.columns if name not in leave_out]
    digest = hashlib.sha256()
    for row in zip(*cells, strict=True):
        known = {name: _plain(cell) for name, cell in zip(names, row, strict=True) if not is_empty(cell)}
        digest.update(_json(known) + b"\n")
    return digest.hexdigest()


def _columns(history: History, name: str) -> str:
    """Return the list that selects a table's columns in a form that Arrow carries exactly."""
    parts = []
    for number, (column, kind) in enumerate(history.columns(name).items()):
        text = quote(column)
        parts.append(f"{text if kind.upper() in _AS_IT_IS else f'CAST({text} AS VARCHAR)'} AS c{number}")
    return ", ".join(parts)


def _table(history: History, name: str, rows: pa.Table) -> str:
    head = [name, list(history.keys[name]), [[column, kind.upper()] for column, kind in history.columns(name).items()]]
    return _joined([_json(head).decode(), str(len(rows)), *(_column(rows[column]) for column in rows.column_names)])


def _column(values: pa.ChunkedArray) -> str:
    """Return a digest of a column's values; what lies in memory below a NULL does not count."""
    import pyarrow as pa
    import pyarrow.compute as pc

    digest = hashlib.sha256(pc.is_null(values).to_numpy().tobytes())
    if pa.types.is_floating(values.type):
        digest.update(_floats(values))
    elif pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
        digest.update(pc.fill_null(values.cast(pa.int64()), 0).to_numpy().tobytes())
    elif pa.types.is_temporal(values.type):
        counted = values.cast(pa.int32() if pa.types.is_date32(values.type) else pa.int64())
        digest.update(pc.fill_null(counted.cast(pa.int64()), 0).to_numpy().tobytes())
    else:
        digest.update(_texts(pc.fill_null(values.cast(pa.large_string()), "").cast(pa.large_binary())))
    return digest.hexdigest()


def _texts(values: pa.ChunkedArray) -> bytes:
    """Return the lengths of texts, then their bytes."""
    import numpy as np
    import pyarrow as pa

    whole = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], pa.large_binary())
    _, offsets, content = whole.buffers()
    if not len(whole) or offsets is None:
        return b""
    ends = np.frombuffer(offsets, np.int64)[whole.offset : whole.offset + len(whole) + 1]
    return np.diff(ends).tobytes() + (b"" if content is None else memoryview(content)[ends[0] : ends[-1]].tobytes())


def _floats(values: pa.ChunkedArray) -> bytes:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = pc.fill_null(values.cast(pa.float64()), 0.0).to_numpy() + 0.0  # -0.0 becomes 0.0
    return bytes(np.where(np.isnan(numbers), np.nan, numbers).tobytes())


def _joined(parts: Sequence[str]) -> str:
    return hashlib.sha256(_json(parts)).hexdigest()


def _json(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", "backslashreplace")


def _plain(value: Any) -> Any:
    """Return a cell of a frame as JSON has it, the same whichever type the rest of its column gave it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (date, time)):  # a datetime and a pandas Timestamp are dates
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value // timedelta(microseconds=1)}us"
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        value = value.item()
    return int(value) if isinstance(value, float) and value.is_integer() else value
