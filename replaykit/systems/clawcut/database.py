"""The one place that opens the app's database: beside the app while it writes, and without leaving anything behind."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from replaykit.errors import OperationError
from replaykit.systems.clawcut.schema import check_app

__all__ = ["BUSY_SECONDS", "failure_of", "reading", "real_path", "writing"]

BUSY_SECONDS = 5.0
"""How long a lock of another process is waited for."""

_MAGIC = b"SQLite format 3\0"
_WAL = b"\x02\x02"
_DEAD_MAN_SWITCH = 128
"""The byte of the shared memory that every connection locks (UNIX_SHM_DMS in SQLite's os_unix.c)."""
_MOST_KEPT = 64
_Stamp = tuple[int, int, int]
_kept: OrderedDict[tuple[int, int], int] = OrderedDict()
_keeping = threading.Lock()

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_TOLD: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_CORRUPT: ("unreadable", "The database is damaged. Have SQLite check it: PRAGMA integrity_check."),
    sqlite3.SQLITE_NOTADB: ("unreadable", "The file is no SQLite database. Name the app's own."),
    sqlite3.SQLITE_CANTOPEN: ("unreadable", "The database can't be opened. Look at the rights of file and folder."),
    sqlite3.SQLITE_READONLY: ("read_only", "The database may not be written. Look at the rights of file and folder."),
    sqlite3.SQLITE_FULL: ("unreadable", "The disk is full; nothing was written. Make room, then ask again."),
}


class _Way(NamedTuple):
    """How to open a file: the path (of a copy perhaps) and options of SQLite."""

    path: Path
    options: str


@contextmanager
def reading(database: str | os.PathLike[str]) -> Iterator[sqlite3.Connection]:
    """Open the app's database for one consistent look; neither it nor its folder changes.

    The app may be writing: rows in its write-ahead log are seen, and its locks are waited for. Where nobody has a
    database in WAL mode open, it is read without the sidecars that SQLite would otherwise make.

    Raises
    ------
    OperationError
        There is no such database, it can't be read, is locked for longer than 5 s, or changed while it was read.
    LoadError
        It is not the app's.
    """
    path = real_path(database)
    failure: OperationError | None = None
    with ExitStack() as stack:
        try:
            connection, before = _opened(path, stack)
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            check_app(connection)
            yield connection
        except sqlite3.Error as error:
            failure = failure_of(error)
        if failure is None and before is not None and _stamp(path) != before:
            failure = OperationError("The database changed while it was read. Ask again.", reason="changed")
        if failure is not None:
            raise failure from None


@contextmanager
def writing(database: str | os.PathLike[str]) -> Iterator[sqlite3.Connection]:
    """Open the app's database for one transaction, which commits at the end and is rolled back on any error.

    The lock for writing is taken at once, so that what is read inside can't change before it is written. A database
    that is not there is not made.

    Raises
    ------
    OperationError
        There is no such database, it can't be written, or it is locked for longer than 5 s; nothing was written.
    """
    path = real_path(database)
    failure: OperationError | None = None
    try:
        connection = _connected(_Way(path, "mode=rw"))
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()  # rolls back what was not committed
    except sqlite3.Error as error:
        failure = failure_of(error)
    if failure is not None:
        raise failure from None


def failure_of(error: sqlite3.Error) -> OperationError:
    """Return what to tell of an error of SQLite: its kind and what to do, without its text."""
    code = getattr(error, "sqlite_errorcode", None)
    kind = None if code is None else code & 0xFF
    if kind in _BUSY:
        return OperationError(
            f"The database was locked by somebody else for longer than {BUSY_SECONDS:g} s. Ask again.", reason="locked"
        )
    if kind in _TOLD:
        reason, message = _TOLD[kind]
        return OperationError(message, reason=reason)
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return OperationError(
        f"SQLite refused ({name}). Expected the app's own database, in working order.", reason="unreadable"
    )


def _opened(path: Path, stack: ExitStack) -> tuple[sqlite3.Connection, _Stamp | None]:
    """Return a connection that the stack closes, and what must not have changed when all is read."""
    try:
        way = _way(path, stack)
        before = _stamp(path) if "immutable" in way.options else None
    except OSError:
        raise OperationError(
            "The database can't be read. Look at the rights of its file and folder, then ask again.",
            reason="unreadable",
        ) from None
    connection = _connected(way)
    stack.callback(connection.close)
    return connection, before


def real_path(database: str | os.PathLike[str]) -> Path:
    """Return the real path of a database, beside which SQLite's sidecars lie; raise OperationError if it is none."""
    try:
        path = Path(database).expanduser().resolve()
        there = path.is_file()
    except (OSError, RuntimeError, TypeError, ValueError):
        there = False
    if not there:
        raise OperationError(
            "There is no database at the path given; expected the app's SQLite file.", reason="missing"
        )
    return path


def _connected(way: _Way) -> sqlite3.Connection:
    uri = f"{way.path.as_uri()}?{way.options}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    connection.text_factory = _decoded
    return connection


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")  # SQLite's own error would quote the text


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return found.st_ino, found.st_size, found.st_mtime_ns


def _way(path: Path, stack: ExitStack) -> _Way:
    wal, shm, journal = (path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal"))
    if _header(path)[18:20] != _WAL:
        # A journal that nobody holds was left by a crash, and to roll it back is to write.
        return _copied(path, [journal], stack) if journal.exists() and _is_hot(path) else _Way(path, "mode=ro")
    if not wal.exists():
        return _Way(path, "mode=ro&immutable=1")  # nobody has it open, and SQLite would make sidecars
    if shm.exists() and not _is_abandoned(shm):
        return _Way(path, "mode=ro")
    return _copied(path, [wal], stack)  # left by a crash: SQLite would write, to read it


def _is_abandoned(shm: Path) -> bool:
    """Return whether nobody has a database in WAL mode open; False where the system can't tell.

    Every connection holds a shared lock on one byte of the shared memory. Asking by open file description sees those of
    this process as well.
    """
    try:
        from fcntl import F_OFD_GETLK, F_UNLCK, F_WRLCK, fcntl
    except ImportError:
        return False
    question = struct.pack("hhqqi", F_WRLCK, os.SEEK_SET, _DEAD_MAN_SWITCH, 1, 0)
    try:
        answer = fcntl(_kept_open(shm), F_OFD_GETLK, question)
    except OSError:
        return False
    return bool(struct.unpack("hhqqi", answer)[0] == F_UNLCK)


def _is_hot(path: Path) -> bool:
    connection = _connected(_Way(path, "mode=ro"))
    try:
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    except sqlite3.OperationalError as error:
        return getattr(error, "sqlite_errorname", "") == "SQLITE_READONLY_ROLLBACK"
    finally:
        connection.close()
    return False


def _copied(path: Path, sidecars: list[Path], stack: ExitStack) -> _Way:
    """Copy a database that nobody has open, with what a crash left beside it."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="replaykit-")))
    target = folder / "copy.sqlite"
    for file in (path, *sidecars):
        shutil.copyfile(file, folder / (target.name + file.name[len(path.name) :]))
    return _Way(target, "mode=rw")


def _header(path: Path) -> bytes:
    """Return the first bytes of a file; raise OperationError if they are not SQLite's."""
    header = os.pread(_kept_open(path), 20, 0)
    if header and not header.startswith(_MAGIC):
        raise OperationError("The file is no SQLite database. Name the app's own.", reason="unreadable")
    return header


def _kept_open(path: Path) -> int:
    """Return a descriptor of a file that stays open.

    To close any descriptor of a file drops all locks that this process holds on it, SQLite's in other threads too.
    """
    found = path.stat()
    key = (found.st_dev, found.st_ino)
    with _keeping:
        if key not in _kept:
            _kept[key] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            while len(_kept) > _MOST_KEPT:
                os.close(_kept.popitem(last=False)[1])
        return _kept[key]
