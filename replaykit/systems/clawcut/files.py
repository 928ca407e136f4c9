"""Files of a database as they lie: their header, locks and stamps, and a copy of what a crash left."""

from __future__ import annotations

import os
import shutil
import struct
import threading
import time
from collections import OrderedDict
from pathlib import Path

from replaykit.errors import OperationError

__all__ = ["Stamps", "copied", "is_abandoned", "is_wal", "settled", "sidecars", "stamps"]

Stamps = tuple[tuple[int, int, int] | None, ...]
"""Inode, size and time of the last write of a database and its sidecars; None where there is no such file."""

_TICK = 0.02
"""No clock of a file system is coarser: what is written so long after a stamp has another time than that."""
_MAGIC = b"SQLite format 3\0"
_WAL = b"\x02\x02"
_DEAD_MAN_SWITCH = 128
"""The byte of the shared memory that every connection locks (UNIX_SHM_DMS in SQLite's os_unix.c)."""
_MOST_KEPT = 64
_kept: OrderedDict[tuple[int, int], int] = OrderedDict()
_keeping = threading.Lock()


def sidecars(path: Path) -> tuple[Path, Path, Path]:
    """Return where SQLite keeps a database's write-ahead log, its shared memory and its journal."""
    wal, shm, journal = (path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal"))
    return wal, shm, journal


def stamps(path: Path) -> Stamps:
    """Return what differs once anybody has written to a database; the shared memory is no part of what was written."""
    wal, _, journal = sidecars(path)
    return tuple(_stamp(file) for file in (path, wal, journal))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def settled(path: Path) -> Stamps:
    """Return stamps by which any later change is seen: a file of just now might change again without another time."""
    found = stamps(path)
    if any(stamp is not None and time.time_ns() - stamp[2] < _TICK * 1e9 for stamp in found):
        time.sleep(_TICK)
    return found


def is_wal(path: Path) -> bool:
    """Return whether a database is in WAL mode; raise OperationError if the file is no database."""
    return _header(path)[18:20] == _WAL


def copied(path: Path, beside: Path, folder: Path) -> Path:
    """Copy a database that nobody has open, with what a crash left beside it, and return the path of the copy."""
    target = folder / "copy.sqlite"
    for file in (path, beside):
        shutil.copyfile(file, folder / (target.name + file.name[len(path.name) :]))
    return target


def is_abandoned(shm: Path) -> bool:
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
