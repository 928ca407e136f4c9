"""The digest of a recording: the same for the same content, however its file lies on the disk and whoever reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from replaykit.sql import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from replaykit.recording import Recording

__all__ = ["content_digest", "content_parts"]

_META = ("order", "sequence", "roles", "columns", "keys", "tz", "logs", "ordered", "span")
"""What `load` was told that changes how a recording is replayed; its report names files and is left out."""
_LEFT_OUT = {"rejects": ("source",)}
_ORDER = {"rejects": "reject", "snapshots": "snapshot"}
_BATCH = 122_880
_WHOLE = frozenset("BIGINT INTEGER SMALLINT TINYINT UINTEGER USMALLINT UTINYINT BOOLEAN".split())
_AS_IS = frozenset(["VARCHAR", "JSON", "BLOB", "DOUBLE", "FLOAT", "TIMESTAMP"])
_known: WeakKeyDictionary[Recording, dict[str, str]] = WeakKeyDictionary()


def content_digest(recording: Recording) -> str:
    """Return 64 hex digits over a recording's content: every row of every table in order, and how it is to be read.

    Reads everything once, about 0.5 s for a million events; it is kept then.

    Raises
    ------
    QueryError
        The recording is closed.
    """
    return hashlib.sha256(json.dumps(content_parts(recording), sort_keys=True).encode()).hexdigest()


def content_parts(recording: Recording) -> Mapping[str, str]:
    """Return 64 hex digits for each table, and for ``how it was loaded``: names what differs between two recordings."""
    if recording not in _known:
        told = {name: recording._meta[name] for name in _META if name in recording._meta}
        parts = {"how it was loaded": hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()}
        for schema, table in sorted(recording._columns):
            if table != "meta" or schema == "state":
                parts[table if schema == "main" else f"state.{table}"] = _table(recording, schema, table)
        _known[recording] = parts
    return _known[recording]


def _table(recording: Recording, schema: str, table: str) -> str:
    """Return the digest of a table: a stream of lengths, gaps and bytes for each column, so that batches don't show."""
    left_out = _LEFT_OUT.get(table, ()) if schema == "main" else ()
    types = {name: kind for name, kind in recording._columns[schema, table].items() if name not in left_out}
    order = "snapshot, row_no" if schema == "state" else _ORDER.get(table, "position")
    reads = ", ".join(f"{_exact(name, kind)} AS c{number}" for number, (name, kind) in enumerate(types.items()))
    query = f"SELECT {reads} FROM {quote(schema)}.{quote(table)} ORDER BY {order}"
    streams = [[hashlib.sha256() for _ in range(3)] for _ in types]
    for batch in _batches(recording, query):
        for into, column in zip(streams, batch.columns, strict=True):
            for stream, content in zip(into, _bytes(column), strict=True):
                stream.update(content)
    told = [list(types.items()), [[stream.hexdigest() for stream in into] for into in streams]]
    return hashlib.sha256(json.dumps(told).encode("utf-8", "backslashreplace")).hexdigest()


def _exact(name: str, kind: str) -> str:
    """Return the expression for a column in a type of fixed bytes; other types as the text DuckDB writes of them."""
    if kind in _WHOLE:
        return f"CAST({quote(name)} AS BIGINT)"
    return quote(name) if kind in _AS_IS else f"CAST({quote(name)} AS VARCHAR)"


def _batches(recording: Recording, query: str) -> Iterator[pa.RecordBatch]:
    cursor = recording._cursor()
    try:
        yield from cursor.sql(query).to_arrow_reader(_BATCH)
    finally:
        cursor.close()


def _bytes(values: pa.Array) -> tuple[bytes, bytes, bytes]:
    """Return which values are missing, how long each is, and their bytes; what lies below a gap does not count."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = pc.is_null(values).to_numpy(zero_copy_only=False).tobytes()
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return missing, b"", pc.fill_null(values, 0).to_numpy(zero_copy_only=False).tobytes()
    whole = pc.fill_null(values.cast(pa.large_binary()), b"")
    _, offsets, content = whole.buffers()
    ends = np.frombuffer(offsets, np.int64)[whole.offset : whole.offset + len(whole) + 1]
    held = b"" if content is None else memoryview(content)[ends[0] : ends[-1]].tobytes()
    return missing, np.diff(ends).tobytes(), held
