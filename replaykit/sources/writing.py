"""The file of a recording: built under a private temporary name, synced, then renamed into place."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from replaykit import connection as connections
from replaykit.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["FORMAT_VERSION", "Draft", "Kind", "drafted", "write_meta"]

FORMAT_VERSION = 1
_private: set[str] = set()


@dataclass(frozen=True)
class Kind:
    """A kind of file: what it and the argument that names it are called, how one is begun, and how one is known."""

    noun: str
    argument: str
    begun: Callable[[Path], duckdb.DuckDBPyConnection]
    is_one: Callable[[Path], bool]


class Draft:
    """A file being written: its connection, and where it will be once `publish` is called."""

    def __init__(self, folder: Path, target: Path | None, begun: Callable[[Path], duckdb.DuckDBPyConnection]) -> None:
        self.folder = folder
        self.target = target
        self.path = folder / "recording.duckdb"
        self.connection = begun(self.path)

    def publish(self) -> tuple[Path, Path | None]:
        """Close, sync and rename the file; return its path and the private folder that now holds it, if any."""
        self.connection.execute("CHECKPOINT")
        self.connection.close()
        self.path.chmod(0o600)
        if self.target is None:
            return self.path, self.folder
        _sync(self.path)
        self.path.replace(self.target)
        _sync(self.target.parent)
        return self.target, None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def drafted(save: str | os.PathLike[str] | None, kind: Kind | None = None) -> Iterator[Draft]:
    """Give a new file to write; whatever goes wrong before `publish`, nothing is left at the target's name.

    A file that is there already is replaced if it is of the same kind; that of a recording, if none is given. The new
    file lies in a folder of its own with mode 0700, so that nobody reads it or DuckDB's log beside it meanwhile.
    """
    kind = kind or RECORDING
    target = None if save is None else Path(save).expanduser()
    if target is not None:
        _check_target(target, kind)
    place = None if target is None else target.parent
    folder = Path(tempfile.mkdtemp(prefix=".replaykit-" if target else "replaykit-", dir=place))
    _private.add(str(folder))
    draft = Draft(folder, target, kind.begun)
    kept = False
    try:
        yield draft
        kept = target is None and draft.path.exists()
    finally:
        with contextlib.suppress(duckdb.Error):
            draft.connection.close()
        if not kept:
            remove(folder)


def _check_target(target: Path, kind: Kind) -> None:
    named = f"{kind.argument}={str(target)!r}"
    if not target.parent.is_dir():
        raise LoadError(f"{named}: there is no folder {str(target.parent)!r}; create it first.")
    if target.is_dir():
        raise LoadError(f"{named} is a directory; name a file in it, such as 'incident.duckdb'.")
    if target.exists() and not kind.is_one(target):
        raise LoadError(f"{named} exists and is no {kind.noun}; it is not overwritten. Choose another name.")


def _is_recording(path: Path) -> bool:
    try:
        connection = connections.sealed(path)
    except duckdb.Error:
        return False
    try:
        rows = connection.execute(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = 'recording' AND schema_name = 'main' "
            "AND table_name IN ('meta', 'events', 'rejects', 'snapshots')"
        ).fetchall()
    finally:
        connection.close()
    return len(rows) == 4


RECORDING = Kind("recording", "save", connections.writable, _is_recording)


def remove(folder: Path | str) -> None:
    """Remove a private folder and what is in it."""
    shutil.rmtree(folder, ignore_errors=True)
    _private.discard(str(folder))


@atexit.register
def _remove_all() -> None:
    for folder in list(_private):
        remove(folder)


def write_meta(connection: duckdb.DuckDBPyConnection, values: Mapping[str, Any]) -> None:
    """Write the table that says what the recording is; values are JSON text."""
    connection.execute("CREATE TABLE meta (key VARCHAR PRIMARY KEY, value VARCHAR)")
    rows = [
        (key, json.dumps(value, ensure_ascii=False))
        for key, value in {"format_version": FORMAT_VERSION, **values}.items()
    ]
    connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)
