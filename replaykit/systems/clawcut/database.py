"""The one place that opens the app's database: beside the app while it writes, and without leaving anything behind."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from replaykit.errors import OperationError
from replaykit.systems.clawcut.files import copied, is_abandoned, is_wal, settled, sidecars, stamps
from replaykit.systems.clawcut.schema import check_app

__all__ = ["BUSY_SECONDS", "failure_of", "read", "real_path", "writing"]

T = TypeVar("T")

BUSY_SECONDS = 5.0
"""How long a lock of another process is waited for."""
_PAUSE = 0.01

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


class _Changed(Exception):  # noqa: N818  no error, but a reason to look again
    """The app was at work on files that nobody seemed to have open."""


class _Look:
    """One look at a database: how it was opened, and whether what was seen, or the error that came, is reliable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = settled(path)
        self._way: _Way | None = None

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """Open the database for one transaction that only reads; it begins with a look at the tables."""
        with ExitStack() as stack:
            self._way = _way(self._path, stack)
            if self._way.path != self._path and stamps(self._path) != self._before:
                raise _Changed
            connection = _connected(self._way)
            stack.callback(connection.close)
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            check_app(connection)
            yield connection

    def holds(self) -> bool:
        """Return whether what was seen is of one moment: nothing keeps the app from a file read as immutable."""
        immutable = self._way is not None and "immutable" in self._way.options
        return not immutable or stamps(self._path)[0] == self._before[0]

    def is_final(self, error: Exception) -> bool:
        """Return whether an error tells something of the database, and not of files that came and went meanwhile."""
        if isinstance(error, _Changed) or not self.holds():
            return False
        live = self._way is not None and self._way == _Way(self._path, "mode=ro")
        if self._way is None or (live and isinstance(error, sqlite3.Error) and not _is_busy(error)):
            return stamps(self._path) == self._before
        return True


def read(database: str | os.PathLike[str], look: Callable[[sqlite3.Connection], T]) -> T:
    """Return what one consistent look at the app's database finds; neither it nor its folder changes.

    The app may be writing: rows in its write-ahead log are seen, and its locks are waited for. Where nobody has a
    database in WAL mode open, it is read without the sidecars that SQLite would otherwise make. If the app comes or
    goes meanwhile, `look` is called again, for up to 5 s.

    Raises
    ------
    OperationError
        There is no such database, it can't be read, is locked for longer than 5 s, or changes all the time.
    LoadError
        It is not the app's.
    """
    path = real_path(database)
    until = time.monotonic() + BUSY_SECONDS
    while True:
        tried = _Look(path)
        failure: Exception | None = None
        try:
            with tried.opened() as connection:
                found = look(connection)
            if tried.holds():
                return found
        except Exception as error:  # noqa: BLE001  pages of two moments can raise anything
            failure = error if tried.is_final(error) else None
        if failure is not None or time.monotonic() >= until:
            raise _told(failure or _Changed()) from None
        time.sleep(_PAUSE)


def _told(error: Exception) -> Exception:
    """Return what to tell of an error: in words of our own where it is not ours."""
    if isinstance(error, _Changed):
        return OperationError("The database changed while it was read. Ask again.", reason="changed")
    if isinstance(error, sqlite3.Error):
        return failure_of(error)
    if isinstance(error, OSError):
        return OperationError(
            "The database can't be read. Look at the rights of its file and folder, then ask again.",
            reason="unreadable",
        )
    return error


@contextmanager
def writing(database: str | os.PathLike[str], *, keep: bool = True) -> Iterator[sqlite3.Connection]:
    """Open the app's database for one transaction, which commits at the end and is rolled back on any error.

    With ``keep=False`` it is rolled back at the end too: a trial.

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
            connection.execute("COMMIT" if keep else "ROLLBACK")
        finally:
            connection.close()  # rolls back what was not committed
    except sqlite3.Error as error:
        failure = failure_of(error)
    if failure is not None:
        raise failure from None


def _kind_of(error: sqlite3.Error) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _is_busy(error: sqlite3.Error) -> bool:
    return _kind_of(error) in _BUSY


def failure_of(error: sqlite3.Error) -> OperationError:
    """Return what to tell of an error of SQLite: its kind and what to do, without its text."""
    kind = _kind_of(error)
    if kind in _BUSY:
        return OperationError(
            f"The database was locked by somebody else for longer than {BUSY_SECONDS:g} s. Ask again.", reason="locked"
        )
    if kind is not None and kind in _TOLD:
        reason, message = _TOLD[kind]
        return OperationError(message, reason=reason)
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return OperationError(
        f"SQLite refused ({name}). Expected the app's own database, in working order.", reason="unreadable"
    )


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


def _way(path: Path, stack: ExitStack) -> _Way:
    wal, shm, journal = sidecars(path)
    if not is_wal(path):
        # A journal that nobody holds was left by a crash, and to roll it back is to write.
        return _copy(path, journal, stack) if journal.exists() and _is_hot(path) else _Way(path, "mode=ro")
    if not wal.exists():
        return _Way(path, "mode=ro&immutable=1")  # nobody has it open, and SQLite would make sidecars
    if shm.exists() and not is_abandoned(shm):
        return _Way(path, "mode=ro")
    return _copy(path, wal, stack)  # left by a crash: SQLite would write, to read it


def _copy(path: Path, beside: Path, stack: ExitStack) -> _Way:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="replaykit-"))
    return _Way(copied(path, beside, Path(folder)), "mode=rw")


def _is_hot(path: Path) -> bool:
    connection = _connected(_Way(path, "mode=ro"))
    try:
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    except sqlite3.OperationalError as error:
        return getattr(error, "sqlite_errorname", "") == "SQLITE_READONLY_ROLLBACK"
    finally:
        connection.close()
    return False
