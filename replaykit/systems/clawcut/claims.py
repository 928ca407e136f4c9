"""Claims: on one machine a job is asked about by one at a time, across threads and processes.

A claim is a lock of the system on a file. It is free as soon as its process ends, however it ends. It holds on this
machine, for one user and one temporary folder: a claim of somebody else, or in another container, is not seen.

The file is removed with its claim. That is safe since files are locked and removed only under one lock of the folder:
nobody can have opened a file that another then removes.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replaykit.errors import OperationError
from replaykit.systems.clawcut.database import real_path
from replaykit.systems.clawcut.quiet import quiet

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["claimed"]

_GUARD = "guard.lock"
_PATIENCE = 5.0
_POLL = 0.005


@contextmanager
def claimed(database: str | os.PathLike[str], what: str, id: Any = None) -> Iterator[bool]:
    """Claim a job of a database, or a whole pass, and say whether it was free; it is free again at the end.

    Raises
    ------
    OperationError
        There is no such database, or the folder of the claims can't be used: it is private to the user, and lies in
        the system's temporary one.
    ImportError
        filelock is not installed; the message says what to install.
    """
    folder = _folder()
    path = folder / f"{_digest(database, what, id)}.lock"
    lock = _lock(path)
    free = refused = False
    with quiet("filelock"):
        try:
            with _lock(folder / _GUARD).acquire(_PATIENCE, poll_interval=_POLL):
                free = _taken(lock)
        except OSError:  # a Timeout is one
            refused = True
    if refused:
        raise _unusable() from None
    try:
        yield free
    finally:
        if free:
            with quiet("filelock"):
                _free(lock, path)


def _lock(path: Path) -> FileLock:
    try:
        from filelock import FileLock
    except ImportError as exc:
        raise ImportError("Checking clawcut's jobs needs filelock: pip install 'replaykit[clawcut]'") from exc
    return FileLock(path, thread_local=False)


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except TimeoutError:
        return False
    return True


def _free(lock: FileLock, path: Path) -> None:
    """Free a claim and remove its file; one that can't be removed is left for the next claim."""
    try:
        with _lock(path.with_name(_GUARD)).acquire(_PATIENCE, poll_interval=_POLL):
            lock.release()
            path.unlink(missing_ok=True)
    except OSError:
        pass
    finally:
        lock.release()


def _digest(database: str | os.PathLike[str], what: str, id: Any) -> str:
    told = f"{real_path(database)}\0{what}\0{type(id).__name__}\0{id}"
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _folder() -> Path:
    """Return the folder of the claims; nobody else may write there, or they could hold every job for ever."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"replaykit-claims-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        raise _unusable() from None
    private = not stat.S_IMODE(found.st_mode) & 0o022 and (not isinstance(user, int) or found.st_uid == user)
    if not stat.S_ISDIR(found.st_mode) or not private:
        raise _unusable()
    return folder


def _unusable() -> OperationError:
    return OperationError(
        "The claims on jobs can't be kept: their folder, replaykit-claims-<user> in the temporary one, is not the "
        "user's own. Remove it, or name another temporary folder with TMPDIR.",
        reason="claims",
    )
