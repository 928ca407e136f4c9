"""The guard around Python handlers: refuses files opened for writing, sockets and child processes during a replay.

It stops accidents. It is not a sandbox: code that wants to get around it can, for example through ctypes or a library
that opens files in C++. Only the thread that replays is watched, so a kernel's own threads go on as usual.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from replaykit.errors import IsolationError, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["guarded"]

_watch = threading.local()
_installed = threading.Event()
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_OF_IMPORTS = ("os.mkdir", "os.rename", "os.remove")
_NOWHERE = (os.devnull, os.fsencode(os.devnull))
_REFUSED = frozenset(
    """
    os.system os.exec os.posix_spawn os.spawn os.fork os.forkpty os.startfile os.remove os.rename os.rmdir os.mkdir
    os.link os.symlink os.truncate os.chmod os.chown os.utime os.kill os.killpg os.putenv os.unsetenv os.chdir
    subprocess.Popen pty.spawn shutil.rmtree shutil.move shutil.copyfile tempfile.mkstemp tempfile.mkdtemp
    socket.connect socket.bind socket.sendto socket.sendmsg socket.getaddrinfo socket.gethostbyname
    socket.gethostbyaddr _thread.start_new_thread _thread.start_joinable_thread os.setxattr os.removexattr
    webbrowser.open smtplib.connect urllib.Request ftplib.connect signal.pthread_kill
    """.split()
)


@contextmanager
def guarded() -> Iterator[None]:
    """Watch this thread for the length of the block; nests.

    Raises
    ------
    IsolationError
        Inside the block, where the code reached outside.
    """
    _install()
    depth = getattr(_watch, "depth", 0)
    _watch.depth = depth + 1
    try:
        yield
    finally:
        _watch.depth = depth


@contextmanager
def unguarded() -> Iterator[None]:
    """Let replaykit's own work inside a guarded block through."""
    depth = getattr(_watch, "depth", 0)
    _watch.depth = 0
    try:
        yield
    finally:
        _watch.depth = depth


def _install() -> None:
    # An audit hook can't be removed again, so there is one, and it looks at a flag of the running thread.
    if not _installed.is_set():
        _installed.set()
        sys.addaudithook(_hook)
        if sys.version_info < (3, 12):  # which does not say when a thread starts
            _announce_threads()


def _announce_threads() -> None:
    start: Any = threading._start_new_thread  # type: ignore[attr-defined]

    def announced(*arguments: Any) -> Any:
        _hook("_thread.start_new_thread", arguments)
        return start(*arguments)

    threading._start_new_thread = announced  # type: ignore[attr-defined]


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not getattr(_watch, "depth", 0):
        return
    if event == "open":
        _check_open(*arguments[:3])
    elif event in _REFUSED and not (event in _OF_IMPORTS and _is_bytecode(arguments[0])):
        raise _refusal(event, arguments[0] if arguments else "")
    elif event == "sqlite3.connect" and arguments[0] not in (":memory:", b":memory:"):
        raise _refusal("opening a SQLite database", arguments[0])
    elif event == "socket.__new__":
        raise _refusal("socket", arguments[1:3])


def _check_open(path: Any, mode: Any, flags: Any) -> None:
    writing = any(c in mode for c in "wax+") if isinstance(mode, str) else bool((flags or 0) & _WRITING)
    # A number is a descriptor that was looked at when it was opened.
    if writing and not isinstance(path, int) and not _is_bytecode(path) and path not in _NOWHERE:
        raise _refusal("opening a file for writing", path)


def _is_bytecode(path: Any) -> bool:
    """Return whether a path is what an import writes: the cache is Python's file, not the handler's."""
    folder, name = os.path.split(os.fsdecode(path)) if isinstance(path, (str, bytes)) else ("", "")
    return name == "__pycache__" or (folder.endswith("__pycache__") and ".pyc" in name)


def _refusal(what: str, argument: Any) -> IsolationError:
    return IsolationError(
        f"Replayed code tried to reach outside ({what}: {excerpt(argument)}). A replay must leave nothing behind: "
        "yield an rk.Action for what should happen, and write files after the replay."
    )
